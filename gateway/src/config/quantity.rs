//! Sizes in bytes, as people write them.

/// The units of sizes, with the longest of those that end alike first.
const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Bytes from a text such as `2GiB`, `512 MB` or `100B`; `None` when it is no such text or too large.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (unit, factor) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text[..text.len() - unit.len()].trim_end();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("2GiB", Some(2 << 30)),
            ("512 MB", Some(512_000_000)),
            ("1kB", Some(1_000)),
            ("7B", Some(7)),
            ("2", None),
            ("GiB", None),
            ("-1GiB", None),
            ("1.5GiB", None),
            ("2gib", None),
            ("99999999TiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}

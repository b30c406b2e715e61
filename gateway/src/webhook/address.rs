//! The URL of a webhook as people are shown it.

use reqwest::Url;

/// A URL without what may let its reader in: many receivers are known by nothing but the path, or a parameter, of theirs.
pub(crate) fn shown(url: &str) -> String {
    let Some(parsed) = Url::parse(url).ok().filter(|parsed| parsed.has_host()) else { return "...".to_owned() };
    let host = parsed.host_str().unwrap_or_default();
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    let is_whole = parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
    format!("{}://{host}{port}/{}", parsed.scheme(), if is_whole { "" } else { "..." })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (url, expected) in [
            ("https://hooks.example.com/services/T0/s3cr3t", "https://hooks.example.com/..."),
            ("http://127.0.0.1:9/?key=s3cr3t", "http://127.0.0.1:9/..."),
            ("https://u:s3cr3t@[::1]:8443/x", "https://[::1]:8443/..."),
            ("https://h/#s3cr3t", "https://h/..."),
            ("https://h", "https://h/"),
            ("s3cr3t", "..."),
            ("data:s3cr3t", "..."),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
    }
}

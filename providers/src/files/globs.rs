//! Tables that are named with the pattern of their files, in the option `globs`.

use std::collections::BTreeSet;

use glob::{MatchOptions, Pattern};

/// What begins a part of a name that may be anything.
const WILDCARDS: [char; 3] = ['*', '?', '['];

/// As in a shell: `*` ends at a slash, `**` does not.
const MATCHING: MatchOptions = MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// A table's name and the pattern of its files' paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    name: String,
    pattern: Pattern,
    base: String,
}

impl Glob {
    /// Reads lines, or what stands between semicolons, of `name = pattern`.
    ///
    /// # Errors
    /// All that is wrong, each to follow the option's name, with the line.
    pub(super) fn parse(text: &str) -> Result<Vec<Self>, Vec<String>> {
        let (mut globs, mut faults) = (Vec::new(), Vec::new());
        let mut names = BTreeSet::new();
        for line in text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty()) {
            match Self::parse_line(line) {
                Ok(glob) if names.insert(glob.name.clone()) => globs.push(glob),
                Ok(_) => faults.push(invalid(line, "the table is named twice")),
                Err(reason) => faults.push(invalid(line, &reason)),
            }
        }
        if globs.is_empty() && faults.is_empty() {
            faults.push(invalid(text, "it names no table"));
        }
        if faults.is_empty() { Ok(globs) } else { Err(faults) }
    }

    fn parse_line(line: &str) -> Result<Self, String> {
        let (name, pattern) = line.split_once('=').ok_or("it is not `name = pattern`")?;
        let (name, pattern) = (name.trim(), pattern.trim());
        if name.is_empty() || pattern.is_empty() {
            return Err("it is not `name = pattern`".to_owned());
        }
        if pattern.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err("a pattern is a path below `path`, without empty parts, `.` and `..`".to_owned());
        }
        let compiled = Pattern::new(pattern).map_err(|e| e.msg.to_owned())?;
        let folders: Vec<&str> = pattern.split('/').collect();
        let literal = folders[..folders.len() - 1].iter().take_while(|folder| !folder.contains(WILDCARDS));
        let base = literal.copied().collect::<Vec<_>>().join("/");
        Ok(Self { name: name.to_owned(), pattern: compiled, base })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The pattern as it was written.
    pub(super) fn text(&self) -> &str {
        self.pattern.as_str()
    }

    /// The folder that holds all that can match; empty for the datasource's own.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The path, when the pattern is of one file only.
    pub(super) fn only_path(&self) -> Option<&str> {
        (!self.text().contains(WILDCARDS)).then(|| self.text())
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.pattern.matches_with(path, MATCHING)
    }
}

fn invalid(line: &str, reason: &str) -> String {
    format!("has \"{line}\": {reason}; write a line `name = folder/*.csv` for each table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_tables() {
        let globs = Glob::parse("a = x/y/*.csv\n\n b=z.parquet; c = year=2024/**/*.json").unwrap();
        let seen: Vec<_> = globs.iter().map(|glob| (glob.name(), glob.text(), glob.base(), glob.only_path())).collect();
        assert_eq!(
            seen,
            [("a", "x/y/*.csv", "x/y", None), ("b", "z.parquet", "", Some("z.parquet")), ("c", "year=2024/**/*.json", "year=2024", None)]
        );
    }

    #[test]
    fn stars_end_at_slashes() {
        let matches = |pattern: &str, path: &str| Glob::parse(&format!("t = {pattern}")).unwrap()[0].matches(path);
        assert!(matches("*.csv", "a.csv") && !matches("*.csv", "x/a.csv"));
        assert!(matches("**/*.csv", "a.csv") && matches("x/**/*.csv", "x/y/z/a.csv") && !matches("*.csv", "a.CSV"));
        assert!(matches("[[]x].csv", "[x].csv"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("", "names no table"),
            ("a", "name = pattern"),
            ("a = ", "name = pattern"),
            ("a = x; a = y", "twice"),
            ("a = ../x", "`..`"),
            ("a = /x", "empty parts"),
            ("a = [x", "invalid range"),
        ] {
            let faults = Glob::parse(text).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains(reason), "{faults:?}");
        }
        let faults = Glob::parse("a = x; b; a = y\nc = ../x").unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}

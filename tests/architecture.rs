//! The shape of the house: which crate may know which, and what each file must be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use causeway_tests::finish_within;
use serde_json::Value;

const PRODUCT: [&str; 4] = ["gateway", "catalog", "planner", "providers"];
const EDGES: [(&str, &str); 5] =
    [("gateway", "catalog"), ("gateway", "planner"), ("gateway", "providers"), ("catalog", "providers"), ("planner", "providers")];

/// A name of code that only one crate may use.
const DOORS: [(&str, &str); 10] = [
    ("pgwire", "gateway"),
    ("axum", "gateway"),
    ("reqwest", "gateway"),
    ("sqlx", "catalog"),
    ("tokio_postgres", "providers"),
    ("mysql_async", "providers"),
    ("rusqlite", "providers"),
    ("object_store", "providers"),
    ("SessionStateBuilder", "planner"),
    ("OptimizerRule", "planner"),
];

struct Source {
    crate_name: String,
    path: PathBuf,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.components().any(|part| part.as_os_str() == "tests")
    }

    /// The text without comments, string contents and the test module at its end.
    fn code(&self) -> String {
        let product = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        without_comments_and_strings(product)
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn sources(members: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for member in members {
        let mut folders = vec![root().join(member)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    let path = path.strip_prefix(root()).unwrap().to_owned();
                    found.push(Source { crate_name: (*member).to_owned(), path, text });
                }
            }
        }
    }
    assert!(found.len() > members.len(), "the sources are where the test looks for them");
    found
}

fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else if next == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            rest = &rest[end.map_or(rest.len(), |end| end + 2)..];
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    code
}

fn uses_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root());
    let finished = finish_within(Duration::from_secs(60), &mut cargo);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    serde_json::from_str(&finished.stdout).unwrap()
}

#[test]
fn crates_know_only_whom_they_may() {
    let metadata = metadata();
    let mut edges = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let from = package["name"].as_str().unwrap().trim_start_matches("causeway-");
        for dependency in package["dependencies"].as_array().unwrap() {
            if let Some(to) = dependency["name"].as_str().unwrap().strip_prefix("causeway-") {
                assert!(
                    from == "benches" && to == "tests" || PRODUCT.contains(&from),
                    "{from} starts the product as a process and must not depend on {to}"
                );
                if PRODUCT.contains(&from) {
                    edges.insert((from.to_owned(), to.to_owned()));
                }
            }
        }
    }
    let allowed: BTreeSet<_> = EDGES.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    let new: Vec<_> = edges.difference(&allowed).collect();
    assert!(new.is_empty(), "new edges between the crates: {new:?}");
}

#[test]
fn third_parties_have_one_door() {
    let mut faults = Vec::new();
    for source in sources(&PRODUCT).iter().filter(|source| !source.is_test()) {
        let code = source.code();
        for (word, owner) in DOORS {
            if source.crate_name != owner && uses_word(&code, word) {
                faults.push(format!("{}: {word} belongs to {owner}", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn drivers_are_dependencies_of_providers_only() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let from = package["name"].as_str().unwrap().trim_start_matches("causeway-");
        if !PRODUCT.contains(&from) {
            continue;
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap().replace('-', "_");
            let for_tests = dependency["kind"].as_str() == Some("dev");
            if let Some((_, owner)) = DOORS.iter().find(|(door, _)| *door == name) {
                assert!(from == *owner || for_tests, "{from} must not depend on {name}, which belongs to {owner}");
            }
        }
    }
}

/// The kinds are looked for as match arms and comparisons; only those that mean nothing else in SQL.
#[test]
fn only_providers_knows_connector_kinds() {
    let mut faults = Vec::new();
    for source in sources(&["gateway", "catalog", "planner"]).iter().filter(|source| !source.is_test()) {
        let product = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in product.lines().enumerate() {
            for kind in ["\"mysql\"", "\"sqlite\"", "\"files\""] {
                let Some((before, after)) = line.split_once(kind) else { continue };
                let arm = after.trim_start().starts_with("=>") || after.trim_start().starts_with('|');
                let comparison = before.trim_end().ends_with("==") || after.trim_start().starts_with("==");
                if arm || comparison {
                    faults.push(format!("{}:{}: {}", source.path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "a connector is known by its manifest, not by its kind:\n{}", faults.join("\n"));
}

#[test]
fn files_say_what_they_hold() {
    let mut faults = Vec::new();
    for source in sources(&["gateway", "catalog", "planner", "providers", "tests", "benches"]) {
        let stem = source.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if ["utils", "util", "helpers", "common", "core", "misc", "types"].contains(&stem) && !source.is_test() {
            faults.push(format!("{}: a name that says nothing", source.path.display()));
        }
        if !source.text.starts_with("//!") {
            faults.push(format!("{}: does not begin with what it holds", source.path.display()));
        }
        let lines = source.text.lines().count();
        if lines > 1_000 && !source.is_test() {
            faults.push(format!("{}: {lines} lines; split it", source.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn code_is_told_from_words_about_it() {
    let text = "//! pgwire\nlet a = \"axum \\\" axum\"; // rusqlite\nlet quote = '\"'; use tokio_postgres::Client; my_pgwire();";
    let code = without_comments_and_strings(text);
    assert!(uses_word(&code, "tokio_postgres"));
    for word in ["pgwire", "axum", "rusqlite"] {
        assert!(!uses_word(&code, word), "{word} in {code}");
    }
}

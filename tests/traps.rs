//! Every trap of push-down that we know has a number in `README.md`, and a test or a reason beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::differential;

const README: &str = include_str!("README.md");
const SECTION: &str = "## Push-down traps";
const KNOWN: std::ops::RangeInclusive<u32> = 1..=40;
/// What a trap says that no statement can step into.
const REASON: &str = "not computed here: ";

/// The numbers of the table and the text that says where each is tested.
fn places(readme: &str) -> Vec<(u32, &str)> {
    let section = readme.split_once(SECTION).map_or("", |(_, after)| after).split("\n## ").next().unwrap_or_default();
    let row = |line| {
        let cells: Vec<&str> = str::split(line, '|').map(str::trim).collect();
        // A line begins and ends with a bar.
        let [_, number, _, place, _] = cells[..] else { return None };
        Some((number.parse().ok()?, place))
    };
    section.lines().filter_map(row).collect()
}

/// What stands between two marks of this kind: the headings in quotes, the tests in backticks.
fn marked(place: &str, mark: char) -> impl Iterator<Item = &str> {
    place.split(mark).skip(1).step_by(2)
}

fn is_test(text: &str, name: &str) -> bool {
    let mut attributed = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            attributed = true;
        } else if line.contains("fn ") {
            if attributed && line.contains(&format!("fn {name}(")) {
                return true;
            }
            attributed = false;
        }
    }
    false
}

fn faults(readme: &str, headings: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for (number, place) in places(readme) {
        if seen.insert(number, place).is_some() {
            faults.push(format!("{number} has two lines"));
        }
        let (statements, tests): (Vec<_>, Vec<_>) = (marked(place, '"').collect(), marked(place, '`').collect());
        let reason = place.split_once(REASON).is_some_and(|(_, reason)| !reason.is_empty());
        if statements.is_empty() && tests.is_empty() && !reason {
            faults.push(format!("{number} has neither a test nor a reason"));
        }
        for statement in statements {
            if headings.iter().filter(|heading| *heading == statement).count() != 1 {
                faults.push(format!("{number}: there is not one statement \"{statement}\""));
            }
        }
        for test in tests {
            let source = test.split_once("::").and_then(|(path, name)| {
                let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path);
                Some((fs::read_to_string(path).ok()?, name))
            });
            if !source.is_some_and(|(text, name)| is_test(&text, name)) {
                faults.push(format!("{number}: there is no test {test}"));
            }
        }
    }
    faults.extend(KNOWN.filter(|number| !seen.contains_key(number)).map(|number| format!("{number} is missing")));
    faults.extend(seen.keys().filter(|number| !KNOWN.contains(number)).map(|number| format!("{number} is no trap we know")));
    faults
}

#[test]
fn every_trap_is_tested_or_has_a_reason() {
    let faults = faults(README, &differential::headings());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_missing_is_noticed() {
    let mut lines: Vec<_> = KNOWN.map(|number| format!("| {number} | trap | not computed here: for a reason |")).collect();
    let table = |lines: &[String]| format!("# Tests\n\n{SECTION}\n\n{}\n\n## Next\n\n| 1 | elsewhere | |\n", lines.join("\n"));
    let headings = ["sorts".to_owned(), "twice".to_owned(), "twice".to_owned()];
    assert!(faults(&table(&lines), &headings).is_empty());
    lines[0] = "| 1 | trap | \"sorts\"; `tests/traps.rs::what_is_missing_is_noticed` |".to_owned();
    assert!(faults(&table(&lines), &headings).is_empty());
    for (line, fault) in [
        ("| 41 | trap | \"sorts\" |", "41 is no trap we know"),
        ("| 2 | trap | \"sorts\" |", "2 has two lines"),
        ("| 1 | trap | |", "1 has neither a test nor a reason"),
        ("| 1 | trap | not computed here: |", "1 has neither a test nor a reason"),
        ("| 1 | trap | \"groups\" |", "1: there is not one statement \"groups\""),
        ("| 1 | trap | \"twice\" |", "1: there is not one statement \"twice\""),
        ("| 1 | trap | `tests/traps.rs::is_test` |", "1: there is no test tests/traps.rs::is_test"),
        ("| 1 | trap | `tests/nowhere.rs::a` |", "1: there is no test tests/nowhere.rs::a"),
        ("nothing", "1 is missing"),
    ] {
        let mut lines = lines.clone();
        lines[0] = line.to_owned();
        let found = faults(&table(&lines), &headings);
        assert!(found.iter().any(|found| found == fault), "{line}: {found:?}");
    }
}

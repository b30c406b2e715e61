//! Counts what became of the statements.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Outcome;

#[derive(Default)]
pub(super) struct Tally {
    same: usize,
    refused_by_reference: usize,
    refused: usize,
    differences: usize,
    /// By SQLSTATE and the shape of the message: how often, and a statement.
    errors: BTreeMap<String, (usize, String)>,
    reference_errors: BTreeMap<String, (usize, String)>,
    shown: Vec<String>,
}

impl Tally {
    pub(super) fn count(&mut self, outcome: &Outcome, sql: impl FnOnce() -> String) {
        let (count, errors, message) = match outcome {
            Outcome::Same => {
                self.same += 1;
                return;
            }
            Outcome::Different(_) => {
                self.differences += 1;
                return;
            }
            Outcome::RefusedByReference(message) => (&mut self.refused_by_reference, &mut self.reference_errors, message),
            Outcome::Refused(message) => (&mut self.refused, &mut self.errors, message),
        };
        *count += 1;
        let entry = errors.entry(shape(message)).or_insert_with(|| (0, sql()));
        entry.0 += 1;
    }

    pub(super) fn show(&mut self, difference: String) {
        self.shown.push(difference);
    }

    /// Panics of the gateway are as bad as wrong answers.
    pub(super) fn panics(&mut self, lines: &[&str]) {
        self.differences += lines.len();
        self.shown.extend(lines.iter().map(|line| (*line).to_owned()));
    }

    pub(super) fn differences(&self) -> usize {
        self.differences
    }

    pub(super) fn refused(&self) -> usize {
        self.refused
    }

    /// How many the reference answered.
    pub(super) fn answered(&self) -> usize {
        self.same + self.refused + self.differences
    }

    pub(super) fn shown(&self) -> String {
        self.shown.join("\n")
    }

    pub(super) fn summary(&self) -> String {
        let mut text = format!(
            "fuzz: {} same, {} different, {} errors, {} refused by the reference",
            self.same, self.differences, self.refused, self.refused_by_reference
        );
        for (title, errors) in [("errors", &self.errors), ("errors of the reference", &self.reference_errors)] {
            let mut errors: Vec<_> = errors.iter().collect();
            errors.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
            let _ = write!(text, "\n{title}:");
            for (shape, (count, sql)) in errors {
                let _ = write!(text, "\n{count:>6} {shape}");
                if title == "errors" {
                    let _ = write!(text, "\n       {sql}");
                }
            }
        }
        text
    }
}

/// A message without what differs from one statement to the next: numbers, and whatever is in quotes.
fn shape(message: &str) -> String {
    let (mut text, mut quoted) = (String::new(), None);
    for character in message.chars().take(300) {
        match (quoted, character) {
            (Some(open), _) if character == open => quoted = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => {
                quoted = Some(character);
                text.push('_');
            }
            (None, '0'..='9') if text.len() > 5 && text.ends_with('0') => {}
            (None, '0'..='9') if text.len() > 5 => text.push('0'),
            (None, _) => text.push(character),
        }
    }
    text
}

#[test]
fn messages_are_told_apart_by_their_shape() {
    assert_eq!(shape("22003 \"int\" of 1234 is 'x'"), "22003 _ of 0 is _");
}

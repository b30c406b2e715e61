//! One mapping of a configuration file: gives values by key, and reports what is wrong with them and which keys nobody asked for.

use std::time::Duration;

use super::fault::Report;
use super::quantity;
use super::tree::{Entry, Node, Value};

/// The longest duration that is taken for meant, in the years of the parser.
const LONGEST: Duration = Duration::from_secs(100 * 31_557_600);

/// How alike two keys must be for one to be offered for the other.
const ALIKE: f64 = 0.75;

/// A mapping while it is read. Ends with [`finish`](Self::finish).
pub(crate) struct Section<'a> {
    file: &'a str,
    /// The keys that lead here, with a dot after the last.
    path: String,
    line: usize,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
    report: &'a Report,
}

/// A text and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// An element of a list.
pub(crate) enum Item<'a> {
    Text(Text),
    Section(Section<'a>),
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(crate) fn root(file: &'a str, root: &'a Node, report: &'a Report) -> Self {
        let this = Self { file, path: String::new(), line: root.line, entries: &[], asked: Vec::new(), report };
        match &root.value {
            Value::Mapping(entries) => Self { entries, ..this },
            Value::Null => this,
            Value::Scalar(_) | Value::List(_) => {
                report.add(file, root.line, "", "is not a mapping of keys to values");
                this
            }
        }
    }

    /// The line of a key, or where the section begins when it is not there.
    pub(crate) fn line_of(&self, key: &str) -> usize {
        self.entries.iter().find(|entry| entry.key == key).map_or(self.line, |entry| entry.line)
    }

    /// Reports a fault of `key`, in the line of its value, or of the section when it is not there.
    pub(crate) fn fault(&self, key: &str, message: impl Into<String>) {
        let line = self.entries.iter().find(|entry| entry.key == key).map_or(self.line, |entry| entry.value.line);
        self.fault_at(line, key, message);
    }

    /// Reports a fault of `key` in a line.
    pub(crate) fn fault_at(&self, line: usize, key: &str, message: impl Into<String>) {
        self.report.add(self.file, line, &format!("{}{key}", self.path), message);
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// A scalar as written. A key without a value is as good as no key.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<Text> {
        let node = self.get(key)?;
        match &node.value {
            Value::Null => None,
            Value::Scalar(text) => Some(Text { text: text.clone(), line: node.line }),
            Value::List(_) | Value::Mapping(_) => {
                self.fault(key, "is not a single value");
                None
            }
        }
    }

    /// A scalar that must be there.
    pub(crate) fn required(&mut self, key: &'static str) -> Option<Text> {
        let faulty = self.get(key).is_some_and(|node| matches!(node.value, Value::List(_) | Value::Mapping(_)));
        let text = self.text(key);
        if text.is_none() && !faulty {
            self.fault(key, "is required");
        }
        text
    }

    /// A scalar converted by `convert`, which says what would be right when it cannot.
    pub(crate) fn value<T>(&mut self, key: &'static str, convert: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let Text { text, line } = self.text(key)?;
        match convert(&text) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.fault_at(line, key, format!("is \"{text}\", {expected}"));
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.value(key, |text| text.parse().map_err(|_| "neither true nor false".to_owned()))
    }

    /// A whole number within bounds.
    pub(crate) fn count(&mut self, key: &'static str, least: usize, most: usize) -> Option<usize> {
        self.value(key, |text| match text.parse::<usize>() {
            Ok(count) if (least..=most).contains(&count) => Ok(count),
            _ => Err(format!("not a number from {least} to {most}")),
        })
    }

    /// A part of a whole, more than nothing.
    pub(crate) fn share(&mut self, key: &'static str) -> Option<f64> {
        self.value(key, |text| match text.parse::<f64>() {
            Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
            _ => Err("not a number above 0 and up to 1, such as 0.01".to_owned()),
        })
    }

    /// A duration of more than nothing, and no longer than [`LONGEST`].
    pub(crate) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.value(key, |text| match humantime::parse_duration(text) {
            Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(duration),
            Ok(duration) if duration > LONGEST => Err("longer than 100 years".to_owned()),
            // A number that is too large for a duration is one that is too long as well.
            Err(humantime::DurationError::NumberOverflow) => Err("longer than 100 years".to_owned()),
            _ => Err("not a duration such as 30s, 500ms or 5m".to_owned()),
        })
    }

    /// A size in bytes, at least `least`.
    pub(crate) fn size(&mut self, key: &'static str, least: usize) -> Option<usize> {
        self.value(key, |text| match quantity::bytes(text).and_then(|bytes| usize::try_from(bytes).ok()) {
            Some(bytes) if bytes >= least => Ok(bytes),
            Some(_) => Err(format!("less than {least} bytes")),
            None => Err("not a size such as 512MiB or 2GiB".to_owned()),
        })
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.value(key, |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                format!("not one of {}", words.join(", "))
            })
        })
    }

    /// A list of scalars; a single scalar is a list of one.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<Text> {
        let Some(node) = self.get(key) else { return Vec::new() };
        match &node.value {
            Value::Null => Vec::new(),
            Value::Scalar(text) => vec![Text { text: text.clone(), line: node.line }],
            Value::Mapping(_) => {
                self.fault(key, "is not a list");
                Vec::new()
            }
            Value::List(nodes) => {
                let scalar = |node: &Node| match &node.value {
                    Value::Scalar(text) => Some(Text { text: text.clone(), line: node.line }),
                    Value::Null | Value::List(_) | Value::Mapping(_) => {
                        self.fault_at(node.line, key, "holds something that is not a single value");
                        None
                    }
                };
                nodes.iter().filter_map(scalar).collect()
            }
        }
    }

    /// A mapping of free keys to scalars.
    pub(crate) fn pairs(&mut self, key: &'static str) -> Vec<(String, Text)> {
        let Some(node) = self.get(key) else { return Vec::new() };
        match &node.value {
            Value::Null => Vec::new(),
            Value::Scalar(_) | Value::List(_) => {
                self.fault(key, "is not a mapping of keys to values");
                Vec::new()
            }
            Value::Mapping(entries) => {
                let pair = |entry: &Entry| match &entry.value.value {
                    Value::Scalar(text) => Some((entry.key.clone(), Text { text: text.clone(), line: entry.value.line })),
                    Value::Null => {
                        let what = "has no value; the word null is written in quotes: \"null\"";
                        self.fault_at(entry.line, &format!("{key}.{}", entry.key), what);
                        None
                    }
                    Value::List(_) | Value::Mapping(_) => {
                        self.fault_at(entry.line, &format!("{key}.{}", entry.key), "is not a single value");
                        None
                    }
                };
                entries.iter().filter_map(pair).collect()
            }
        }
    }

    /// A section within; an absent one is an empty one.
    pub(crate) fn section(&mut self, key: &'static str) -> Section<'a> {
        let path = format!("{}{key}.", self.path);
        let this = Section { file: self.file, path, line: self.line, entries: &[], asked: Vec::new(), report: self.report };
        let Some(node) = self.get(key) else { return this };
        match &node.value {
            Value::Mapping(entries) => Section { line: node.line, entries, ..this },
            Value::Null => this,
            Value::Scalar(_) | Value::List(_) => {
                self.fault(key, "is not a mapping of keys to values");
                this
            }
        }
    }

    /// A list of sections.
    pub(crate) fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let nodes = match &node.value {
            Value::Null => return Vec::new(),
            Value::List(nodes) => nodes,
            Value::Scalar(_) | Value::Mapping(_) => {
                self.fault(key, "is not a list");
                return Vec::new();
            }
        };
        let section = |(index, node): (usize, &'a Node)| match &node.value {
            Value::Mapping(entries) => Some(Section {
                file: self.file,
                path: format!("{}{key}[{index}].", self.path),
                line: node.line,
                entries,
                asked: Vec::new(),
                report: self.report,
            }),
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                self.fault_at(node.line, &format!("{key}[{index}]"), "is not a mapping of keys to values");
                None
            }
        };
        nodes.iter().enumerate().filter_map(section).collect()
    }

    /// Sections by names that are free.
    pub(crate) fn named_sections(&mut self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let entries = match &node.value {
            Value::Null => return Vec::new(),
            Value::Mapping(entries) => entries,
            Value::Scalar(_) | Value::List(_) => {
                self.fault(key, "is not a mapping of names to what is said of them");
                return Vec::new();
            }
        };
        let named = |entry: &'a Entry| {
            let path = format!("{key}.{}", entry.key);
            Some((entry.key.clone(), self.within(&entry.value, &path, entry.line)?))
        };
        entries.iter().filter_map(named).collect()
    }

    /// A list of scalars and sections.
    pub(crate) fn items(&mut self, key: &'static str) -> Vec<Item<'a>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let nodes = match &node.value {
            Value::Null => return Vec::new(),
            Value::List(nodes) => nodes,
            Value::Scalar(_) | Value::Mapping(_) => {
                self.fault(key, "is not a list");
                return Vec::new();
            }
        };
        let item = |(index, node): (usize, &'a Node)| match &node.value {
            Value::Scalar(text) => Some(Item::Text(Text { text: text.clone(), line: node.line })),
            Value::Null | Value::List(_) | Value::Mapping(_) => self.within(node, &format!("{key}[{index}]"), node.line).map(Item::Section),
        };
        nodes.iter().enumerate().filter_map(item).collect()
    }

    /// The mapping that `node` must be, which is found at `path` from here.
    fn within(&self, node: &'a Node, path: &str, line: usize) -> Option<Section<'a>> {
        match &node.value {
            Value::Mapping(entries) => Some(Section {
                file: self.file,
                path: format!("{}{path}.", self.path),
                line,
                entries,
                asked: Vec::new(),
                report: self.report,
            }),
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                self.fault_at(node.line, path, "is not a mapping of keys to values");
                None
            }
        }
    }

    /// A key that this version does not have. Refused, so that nobody relies on what is silently ignored.
    pub(crate) fn unavailable(&mut self, key: &'static str) {
        self.asked.push(key);
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            self.fault_at(entry.line, key, "is not available in this version");
        }
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(self) {
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.as_str())) {
            let alike = |key: &&str| strsim::jaro_winkler(key, &entry.key);
            let nearest = self.asked.iter().filter(|key| !self.has(key)).max_by(|a, b| alike(a).total_cmp(&alike(b)));
            let message = match nearest {
                Some(key) if alike(key) >= ALIKE => format!("is not a known key; did you mean `{key}`?"),
                _ => format!("is not a known key; known here: {}", self.asked.join(", ")),
            };
            self.fault_at(entry.line, &entry.key, message);
        }
    }
}

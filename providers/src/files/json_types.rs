//! Column types from the values of JSON lines.
//!
//! A field whose values are of one kind has its type. One of several kinds of plain values is text, as they are written; one that is an
//! object or an array in some rows and something else in others is kept as JSON.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};

use super::json_text::{Written, fields, items, unquoted};
use super::number::{NUMERIC, Numbers};
use super::sample::{Head, Volume};
use crate::remote::{PRESENTATION_KEY, Presentation};

/// An object with more fields than this in all rows together is kept as JSON: each of them takes room in each row.
const MOST_FIELDS: usize = 200;

/// The columns of JSON lines, from all rows seen so far.
#[derive(Debug, Default)]
pub(super) struct JsonColumns {
    rows: Object,
    volume: Volume,
}

impl JsonColumns {
    /// Looks at the whole lines that a file begins with.
    ///
    /// # Errors
    /// The reason, for the user.
    pub(super) fn look_at(&mut self, file: &Head) -> Result<(), String> {
        let lines = file.lines().ok_or("its first line is too long")?;
        let rows = self.look_at_lines(lines)?;
        self.volume.add(file.volume(rows, lines.len()));
        Ok(())
    }

    /// How much was looked at.
    pub(super) fn volume(&self) -> Volume {
        self.volume
    }

    /// As [`look_at`](Self::look_at); says how many rows there were.
    pub(super) fn look_at_lines(&mut self, lines: &[u8]) -> Result<usize, String> {
        let lines = std::str::from_utf8(lines).map_err(|_| "it is not UTF-8".to_owned())?.trim_start_matches('\u{feff}');
        if lines.trim_start().starts_with('[') {
            return Err("it is a JSON array; one object per line is read".to_owned());
        }
        let mut rows = 0;
        for line in lines.lines().filter(|line| !line.trim_ascii().is_empty()) {
            match Written::parse(line) {
                Some(Written::Object(object)) => self.rows.see(object)?,
                _ => return Err("it is not one JSON object per line".to_owned()),
            }
            rows += 1;
        }
        Ok(rows)
    }

    /// # Errors
    /// The reason, for the user.
    pub(super) fn schema(&self) -> Result<Schema, String> {
        if self.rows.names.is_empty() {
            return Err("its objects have no fields".to_owned());
        }
        let column = |(name, seen): (&String, &Seen)| match seen.data_type() {
            Some(numeric) if numeric == NUMERIC => presented(name, numeric, Presentation::UnconstrainedNumeric),
            Some(data_type) => Field::new(name, data_type, true),
            None => presented(name, DataType::Utf8, Presentation::Json),
        };
        Ok(Schema::new(self.rows.names.iter().zip(&self.rows.fields).map(column).collect::<Fields>()))
    }
}

/// A column that its type alone does not say all of.
pub(super) fn presented(name: &str, data_type: DataType, presentation: Presentation) -> Field {
    let field = Field::new(name, data_type, true);
    match presentation.as_str() {
        Some(word) => field.with_metadata([(PRESENTATION_KEY.to_owned(), word.to_owned())].into()),
        None => field,
    }
}

/// The fields of objects, in the order in which they were first seen.
#[derive(Debug, Default)]
struct Object {
    names: Vec<String>,
    fields: Vec<Seen>,
    places: HashMap<String, usize>,
}

impl Object {
    fn see(&mut self, object: &str) -> Result<(), String> {
        let mut found = Vec::new();
        for (name, value) in fields(object) {
            found.push((unquoted(name).ok_or("a name in it is not Unicode")?, value));
        }
        // New fields of one object come by name.
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, value) in found {
            let place = match self.places.get(name.as_ref()) {
                Some(place) => *place,
                None => {
                    let place = self.names.len();
                    self.names.push(name.clone().into_owned());
                    self.fields.push(Seen::default());
                    self.places.insert(name.into_owned(), place);
                    place
                }
            };
            self.fields[place].see(value)?;
        }
        Ok(())
    }

    fn data_type(&self) -> Option<DataType> {
        // PostgreSQL has no rows without columns. An object of many names is a map, of which each row has a few.
        if self.names.is_empty() || self.names.len() > MOST_FIELDS {
            return None;
        }
        let field = |(name, seen): (&String, &Seen)| Some(Field::new(name, seen.data_type()?, true));
        Some(DataType::Struct(self.names.iter().zip(&self.fields).map(field).collect::<Option<Fields>>()?))
    }
}

/// The values of one field.
#[derive(Debug, Default)]
struct Seen {
    numbers: Option<Numbers>,
    boolean: bool,
    string: bool,
    items: Option<Box<Seen>>,
    object: Option<Box<Object>>,
}

impl Seen {
    fn see(&mut self, value: Written<'_>) -> Result<(), String> {
        match value {
            Written::Null => {}
            Written::Boolean(_) => self.boolean = true,
            Written::Number(number) => self.numbers.get_or_insert_default().see(number),
            Written::String(_) => self.string = true,
            Written::Array(array) => {
                let seen = self.items.get_or_insert_default();
                items(array).try_for_each(|item| seen.see(item))?;
            }
            Written::Object(object) => self.object.get_or_insert_default().see(object)?,
        }
        Ok(())
    }

    /// `None` for values that no type but JSON has.
    fn data_type(&self) -> Option<DataType> {
        let is_plain = self.numbers.is_some() || self.boolean || self.string;
        match (&self.items, &self.object) {
            (None, None) => Some(match (self.numbers, self.boolean, self.string) {
                (Some(numbers), false, false) => numbers.data_type().unwrap_or(DataType::Utf8),
                (None, true, false) => DataType::Boolean,
                // A field that is null in the whole sample could be anything; text takes most of it.
                _ => DataType::Utf8,
            }),
            (Some(items), None) if !is_plain => Some(DataType::List(Arc::new(Field::new_list_field(items.data_type()?, true)))),
            (None, Some(object)) if !is_plain => object.data_type(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(lines: &str) -> Vec<String> {
        let mut columns = JsonColumns::default();
        columns.look_at_lines(lines.as_bytes()).unwrap();
        let schema = columns.schema().unwrap();
        let shown = |field: &Arc<Field>| match Presentation::of(field) {
            Presentation::Plain => format!("{} {}", field.name(), field.data_type()),
            other => format!("{} {}", field.name(), other.as_str().unwrap()),
        };
        schema.fields().iter().map(shown).collect()
    }

    #[test]
    fn a_field_is_what_all_its_values_are() {
        let cases = [
            ("{\"b\": 1, \"a\": 2.5}\n\n{\"b\": null, \"c\": true}", "a Float64, b Int64, c Boolean"),
            ("{\"a\": 9007199254740993}\n{\"a\": 0.5}", "a numeric"),
            ("{\"a\": 18446744073709551615}", "a numeric"),
            ("{\"a\": 1e400}", "a Utf8"),
            ("{\"a\": 1}\n{\"a\": \"x\"}\n{\"a\": true}", "a Utf8"),
            ("{\"a\": null}", "a Utf8"),
            ("{\"a\": [1, null]}\n{\"a\": []}", "a List(Int64)"),
            ("{\"a\": [1, \"x\"]}", "a List(Utf8)"),
            ("{\"a\": [1, [2]]}", "a json"),
            ("{\"a\": 1}\n{\"a\": {\"b\": 1}}", "a json"),
            ("{\"a\": {\"b\": 1}}\n{\"a\": {\"b\": [1]}}", "a json"),
            ("{\"a\": {}}", "a json"),
            ("{\"a\": {\"c\": 1, \"b\": 9007199254740993.5}}", "a Struct(\"b\": Decimal256(76, 38), \"c\": Int64)"),
        ];
        for (lines, wanted) in cases {
            assert_eq!(types(lines).join(", "), wanted, "{lines}");
        }
    }

    #[test]
    fn an_object_that_is_a_map_is_json() {
        let map = |users: usize| (0..users).map(|user| format!("{{\"scores\": {{\"user{user}\": 7}}}}\n")).collect::<String>();
        assert!(types(&map(MOST_FIELDS))[0].starts_with("scores Struct("));
        assert_eq!(types(&map(MOST_FIELDS + 1)), ["scores json"]);
    }

    #[test]
    fn lines_must_be_objects() {
        let fault = |lines: &str| {
            let mut columns = JsonColumns::default();
            columns.look_at_lines(lines.as_bytes()).and_then(|_| columns.schema()).unwrap_err()
        };
        assert!(fault(" [{\"a\": 1}]").contains("array"));
        assert!(fault("{\"a\": 1").contains("one JSON object per line"));
        assert!(fault("{\"a\": 1}\n2").contains("one JSON object per line"));
        assert!(fault("{}\n").contains("no fields"));
    }
}

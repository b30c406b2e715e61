//! Records of CSV files as columns. What does not fit a column exactly is an error.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::FieldRef;

use super::csv_records::Records;
use super::infer::csv_names;
use super::text_reader::{BadRow, Batch, TextRows};
use super::written::Scalars;

/// Rows that are being read.
#[derive(Debug)]
pub(super) struct CsvRows {
    records: Records,
    /// The names that the first record must have.
    names: Vec<String>,
    is_past_names: bool,
    /// The columns that are read, and where they are in a record.
    columns: Vec<(usize, FieldRef, Scalars)>,
    /// The rows of the file so far.
    row: usize,
    batch: Batch,
}

impl CsvRows {
    /// Rows of those of a file's columns that are at `wanted`; `None` when one has a type that CSV is never inferred to have.
    pub(super) fn of(columns: &[FieldRef], wanted: &[usize], delimiter: u8, most_rows: usize) -> Option<Self> {
        let names = columns.iter().map(|field| field.name().clone()).collect();
        let fields: Vec<FieldRef> = wanted.iter().map(|place| columns.get(*place).cloned()).collect::<Option<_>>()?;
        let batch = Batch::of(&fields, most_rows);
        let columns = wanted.iter().zip(fields).map(|(place, field)| {
            let values = Scalars::of(field.data_type())?;
            Some((*place, field, values))
        });
        let columns = columns.collect::<Option<_>>()?;
        Some(Self { records: Records::new(delimiter), names, is_past_names: false, columns, row: 0, batch })
    }

    /// Takes in the record that is whole.
    fn push(&mut self) -> Result<(), BadRow> {
        let fields = self.records.fields()?;
        if !self.is_past_names {
            let names = csv_names(fields).map_err(BadRow::because)?;
            self.is_past_names = names == self.names;
            return if self.is_past_names { Ok(()) } else { Err(BadRow::because("its first row has other names than the table")) };
        }
        if self.records.count() != self.names.len() {
            return Err(BadRow::because(other_length(self.records.count(), self.names.len())));
        }
        let mut length = 0;
        for (place, field, values) in &mut self.columns {
            let text = fields.get(*place).unwrap_or_default();
            length += text.len();
            if text.is_empty() {
                // Whether it was quoted does not matter.
                values.push_null();
            } else {
                values.push(text).map_err(|reason| BadRow::because(reason).in_column(field.name()))?;
            }
        }
        self.batch.add_row(length);
        self.row += 1;
        Ok(())
    }

    fn read_records(&mut self, text: &mut &[u8], is_end: bool) -> Result<(), BadRow> {
        while !self.batch.is_full() && self.records.next(text, is_end)? {
            self.push()?;
        }
        Ok(())
    }
}

/// Why a record of so many fields is no row.
pub(super) fn other_length(found: usize, wanted: usize) -> String {
    let more = if found > wanted { "more" } else { "fewer" };
    format!("it has {more} fields than the first row, {found} and not {wanted}")
}

impl TextRows for CsvRows {
    fn read(&mut self, text: &[u8], is_end: bool) -> Result<usize, BadRow> {
        let mut rest = text;
        let read = self.read_records(&mut rest, is_end);
        // The names themselves are no row.
        read.map_err(|bad| if self.is_past_names { bad.at(format!("row {}", self.row + 1)) } else { bad })?;
        Ok(text.len() - rest.len())
    }

    fn batch(&self) -> &Batch {
        &self.batch
    }

    fn take(&mut self) -> (usize, Vec<ArrayRef>) {
        (self.batch.take(), self.columns.iter_mut().map(|(_, _, values)| values.take()).collect())
    }
}

//! The rows of one insert: checked against the descriptor before anything is sent, in the order of their keys, cut into statements.

use super::{CellValue, InsertReport, TableDescriptor};
use crate::error::{Error, ErrorKind, Result};

/// A row of the caller.
pub(crate) type Row<'a> = &'a [CellValue];

/// Rows that fit their table.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    descriptor: &'a TableDescriptor,
    key: Vec<usize>,
    rows: Vec<Row<'a>>,
}

impl<'a> Batch<'a> {
    /// Checks `rows` and orders them by their keys: writers that take locks in one order do not wait for each other in a circle.
    ///
    /// # Errors
    /// `Invalid` for a descriptor no source can follow, and for the first row that does not fit it.
    pub(crate) fn new(descriptor: &'a TableDescriptor, rows: &'a [Vec<CellValue>]) -> Result<Self> {
        descriptor.check()?;
        for (number, row) in rows.iter().enumerate() {
            let invalid = |text: String| Error::new(ErrorKind::Invalid, format!("row {} for \"{}\": {text}", number + 1, descriptor.name));
            if row.len() != descriptor.columns.len() {
                return Err(invalid(format!("{} values for {} columns", row.len(), descriptor.columns.len())));
            }
            for (column, value) in descriptor.columns.iter().zip(row) {
                column.check(value).map_err(|reason| invalid(format!("column \"{}\" {reason}", column.name)))?;
            }
        }
        let key = descriptor.key_positions();
        let mut rows: Vec<Row<'a>> = rows.iter().map(Vec::as_slice).collect();
        // Stable: of two rows of one key the first stays the first, and is the one that is kept.
        rows.sort_by(|a, b| key.iter().map(|&at| &a[at]).cmp(key.iter().map(|&at| &b[at])));
        Ok(Self { descriptor, key, rows })
    }

    pub(crate) fn descriptor(&self) -> &'a TableDescriptor {
        self.descriptor
    }

    /// The rows, ordered by their keys.
    pub(crate) fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    /// What became of the rows when so many of them were inserted.
    pub(crate) fn report(&self, inserted: u64) -> InsertReport {
        InsertReport { inserted, duplicates: (self.rows.len() as u64).saturating_sub(inserted) }
    }

    /// The values of a row's key.
    pub(crate) fn key_of<'r>(&self, row: &'r [CellValue]) -> Vec<&'r CellValue> {
        self.key.iter().map(|&at| &row[at]).collect()
    }

    /// The rows in runs of at most `most_rows` and, unless it is a single one, about `most_bytes`.
    pub(crate) fn chunks(&self, most_rows: usize, most_bytes: usize) -> Vec<&[Row<'a>]> {
        let mut chunks = Vec::new();
        let (mut begin, mut bytes) = (0, 0);
        for (at, row) in self.rows.iter().enumerate() {
            let size = size(row);
            if at > begin && (at - begin == most_rows || bytes + size > most_bytes) {
                chunks.push(&self.rows[begin..at]);
                (begin, bytes) = (at, 0);
            }
            bytes += size;
        }
        if begin < self.rows.len() {
            chunks.push(&self.rows[begin..]);
        }
        chunks
    }
}

/// About how many bytes a row takes on the wire.
pub(crate) fn size(row: &[CellValue]) -> usize {
    row.iter().map(CellValue::size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::{DescribedColumn, DescribedType};

    fn descriptor() -> TableDescriptor {
        let column = |name: &str, kind| DescribedColumn { name: name.to_owned(), kind, nullable: name != "id" };
        TableDescriptor {
            schema: None,
            name: "t".to_owned(),
            columns: vec![column("note", DescribedType::Text), column("id", DescribedType::Key)],
            primary_key: vec!["id".to_owned()],
        }
    }

    fn row(note: &str, id: &str) -> Vec<CellValue> {
        vec![CellValue::Text(note.to_owned()), CellValue::Text(id.to_owned())]
    }

    #[test]
    fn rows_are_in_key_order_and_the_first_of_a_key_stays_first() {
        let (descriptor, rows) = (descriptor(), [row("1", "b"), row("2", "a"), row("3", "b"), row("4", "a")]);
        let batch = Batch::new(&descriptor, &rows).unwrap();
        assert_eq!(batch.rows(), [&rows[1][..], &rows[3], &rows[0], &rows[2]]);
        assert_eq!(batch.key_of(&rows[0]), [&CellValue::Text("b".to_owned())]);
    }

    #[test]
    fn chunks_are_bounded_in_rows_and_bytes_and_hold_every_row_once() {
        let (descriptor, rows) =
            (descriptor(), (0..100).map(|n| row(&"x".repeat(if n == 50 { 5000 } else { 10 }), &format!("{n:03}"))).collect::<Vec<_>>());
        let batch = Batch::new(&descriptor, &rows).unwrap();
        let lengths = |most_rows, most_bytes| -> Vec<usize> { batch.chunks(most_rows, most_bytes).iter().map(|c| c.len()).collect() };
        assert_eq!(lengths(usize::MAX, usize::MAX), [100]);
        assert_eq!(lengths(40, usize::MAX), [40, 40, 20]);
        assert_eq!(lengths(50, 2000), [50, 1, 49]);
        assert_eq!(lengths(1, 1), [1; 100]);
        assert_eq!(batch.chunks(7, 300).concat(), batch.rows());
        assert!(Batch::new(&descriptor, &[]).unwrap().chunks(10, 10).is_empty());
    }

    #[test]
    fn a_row_that_does_not_fit_is_named_and_not_shown() {
        let descriptor = descriptor();
        let refused = |bad: Vec<CellValue>| Batch::new(&descriptor, &[row("fine", "1"), bad]).unwrap_err();
        let error = refused(row("secret", ""));
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.message(), "row 2 for \"t\": column \"id\" takes keys of 1 to 64 characters without a blank at the end");
        let error = refused(vec![CellValue::Null]);
        assert_eq!(error.message(), "row 2 for \"t\": 1 values for 2 columns");
        let error = refused(vec![CellValue::Json("\"secret\"".to_owned()), CellValue::Text("2".to_owned())]);
        assert_eq!(error.message(), "row 2 for \"t\": column \"note\" was given a value of another type");
    }
}

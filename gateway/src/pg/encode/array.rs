//! Arrays: braces and quotes in text, dimensions and elements in binary.

use bytes::{BufMut, BytesMut};
use causeway_providers::Presentation;
use datafusion::arrow::array::{
    Array, ArrayRef, FixedSizeListArray, LargeListArray, LargeListViewArray, ListArray, ListViewArray, OffsetSizeTrait,
};
use datafusion::arrow::datatypes::{DataType, Field};

use super::column::writer;
use super::{Column, Format, Style, flatten, write_cell};
use crate::pg::pg_type::{PgType, TYPE_KEY, element_presentation};
use crate::pg::sqlstate::PgError;

/// PostgreSQL's limit.
const MAX_DIMENSIONS: usize = 6;

/// The elements of each row of a list array: one child array and a span of it per row.
pub(super) struct Spans {
    lists: ArrayRef,
}

impl Spans {
    /// The lists with their elements.
    pub(super) fn new(lists: &ArrayRef) -> Result<(Self, ArrayRef), PgError> {
        let any = lists.as_any();
        let values = None
            .or_else(|| any.downcast_ref::<ListArray>().map(|lists| lists.values()))
            .or_else(|| any.downcast_ref::<LargeListArray>().map(|lists| lists.values()))
            .or_else(|| any.downcast_ref::<FixedSizeListArray>().map(|lists| lists.values()))
            .or_else(|| any.downcast_ref::<ListViewArray>().map(|lists| lists.values()))
            .or_else(|| any.downcast_ref::<LargeListViewArray>().map(|lists| lists.values()))
            .ok_or_else(|| PgError::internal(format!("{} is not a list", lists.data_type())))?
            .clone();
        Ok((Self { lists: lists.clone() }, values))
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.lists.is_null(row)
    }

    /// Where the elements of a row are; an empty span for a null.
    pub(super) fn of(&self, row: usize) -> std::ops::Range<usize> {
        if self.lists.is_null(row) {
            return 0..0;
        }
        fn offsets<O: OffsetSizeTrait>(offsets: &[O], row: usize) -> std::ops::Range<usize> {
            offsets[row].as_usize()..offsets[row + 1].as_usize()
        }
        fn view<O: OffsetSizeTrait>(offset: O, size: O) -> std::ops::Range<usize> {
            offset.as_usize()..offset.as_usize() + size.as_usize()
        }
        let any = self.lists.as_any();
        if let Some(lists) = any.downcast_ref::<ListArray>() {
            offsets(lists.value_offsets(), row)
        } else if let Some(lists) = any.downcast_ref::<LargeListArray>() {
            offsets(lists.value_offsets(), row)
        } else if let Some(lists) = any.downcast_ref::<FixedSizeListArray>() {
            let length = lists.value_length().unsigned_abs() as usize;
            row * length..(row + 1) * length
        } else if let Some(lists) = any.downcast_ref::<ListViewArray>() {
            view(lists.value_offset(row), lists.value_size(row))
        } else if let Some(lists) = any.downcast_ref::<LargeListViewArray>() {
            view(lists.value_offset(row), lists.value_size(row))
        } else {
            0..0
        }
    }
}

/// A column of arrays.
struct ListColumn {
    spans: Spans,
    elements: Elements,
    format: Format,
    element_oid: u32,
    /// `int2vector` and `oidvector`, which have blanks between their elements and count from zero.
    is_vector: bool,
    scratch: Vec<u8>,
}

/// What the lists hold.
enum Elements {
    Values(Box<dyn Column>),
    /// Lists again: PostgreSQL sees one array with a dimension more.
    Lists(Box<ListColumn>),
}

/// A writer for an array of lists.
pub(super) fn list_writer(
    lists: &ArrayRef,
    field: &Field,
    presentation: Presentation,
    format: Format,
    style: &Style,
) -> Result<Box<dyn Column>, PgError> {
    Ok(Box::new(ListColumn::new(lists, field, presentation, format, style)?))
}

impl ListColumn {
    fn new(lists: &ArrayRef, field: &Field, presentation: Presentation, format: Format, style: &Style) -> Result<Self, PgError> {
        let (spans, values) = Spans::new(lists)?;
        let values = match values.data_type() {
            DataType::Dictionary(_, inner) => flatten(&values, inner)?,
            DataType::RunEndEncoded(_, inner) => flatten(&values, inner.data_type())?,
            _ => values,
        };
        let mut element = match field.data_type() {
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _)
            | DataType::ListView(element)
            | DataType::LargeListView(element) => element.as_ref().clone(),
            _ => Field::new("element", values.data_type().clone(), true),
        };
        let type_name = field.metadata().get(TYPE_KEY);
        let vector_element = type_name.and_then(|name| name.strip_suffix("vector"));
        if let Some(name) = type_name {
            // An array type is named after its element's; further dimensions have the same name.
            let is_nested = crate::pg::pg_type::list_element(element.data_type()).is_some();
            let name = if is_nested { name.as_str() } else { vector_element.unwrap_or(name.trim_start_matches('_')) };
            element = element.with_metadata([(TYPE_KEY.to_owned(), name.to_owned())].into());
        }
        let presentation = element_presentation(&element, presentation);
        let (elements, element_oid) = if crate::pg::pg_type::list_element(values.data_type()).is_some() {
            let inner = Self::new(&values, &element, presentation, format, style)?;
            let oid = inner.element_oid;
            (Elements::Lists(Box::new(inner)), oid)
        } else {
            let presented = match presentation.as_str() {
                Some(word) => {
                    let mut metadata = element.metadata().clone();
                    metadata.insert(causeway_providers::PRESENTATION_KEY.to_owned(), word.to_owned());
                    element.clone().with_metadata(metadata)
                }
                None => element.clone(),
            };
            let oid = PgType::of(&presented)?.oid;
            (Elements::Values(writer(&values, &presented, presentation, format, style)?), oid)
        };
        Ok(Self { spans, elements, format, element_oid, is_vector: vector_element.is_some(), scratch: Vec::new() })
    }

    fn write_text(&mut self, row: usize, out: &mut BytesMut) -> Result<(), PgError> {
        if !self.is_vector {
            out.put_u8(b'{');
        }
        for (position, element) in self.spans.of(row).enumerate() {
            if position > 0 {
                out.put_u8(if self.is_vector { b' ' } else { b',' });
            }
            match &mut self.elements {
                Elements::Values(values) if !values.is_null(element) => {
                    let mark = out.len();
                    values.write(element, out)?;
                    quote(mark, out, &mut self.scratch);
                }
                Elements::Lists(lists) if !lists.is_null(element) => lists.write_text(element, out)?,
                Elements::Values(_) | Elements::Lists(_) => out.put_slice(b"NULL"),
            }
        }
        if !self.is_vector {
            out.put_u8(b'}');
        }
        Ok(())
    }

    fn write_binary(&mut self, row: usize, out: &mut BytesMut) -> Result<(), PgError> {
        let mut dimensions = Vec::with_capacity(2);
        self.measure(row, &mut dimensions);
        if dimensions.len() > MAX_DIMENSIONS {
            return Err(PgError::new("54000", format!("an array has at most {MAX_DIMENSIONS} dimensions")));
        }
        // An array without elements has no dimensions either.
        let is_empty = dimensions.contains(&0);
        out.put_i32(if is_empty { 0 } else { dimensions.len() as i32 });
        let flag = out.len();
        out.put_i32(0);
        out.put_u32(self.element_oid);
        if is_empty {
            return Ok(());
        }
        for length in &dimensions {
            out.put_i32(i32::try_from(*length).map_err(|_| PgError::new("54000", "an array has too many elements"))?);
            out.put_i32(i32::from(!self.is_vector));
        }
        if self.write_elements(row, &dimensions, out)? {
            out[flag..flag + 4].copy_from_slice(&1_i32.to_be_bytes());
        }
        Ok(())
    }

    /// The lengths along the first elements.
    fn measure(&self, row: usize, dimensions: &mut Vec<usize>) {
        let span = self.spans.of(row);
        dimensions.push(span.len());
        if let (Elements::Lists(inner), false) = (&self.elements, span.is_empty()) {
            inner.measure(span.start, dimensions);
        }
    }

    /// Writes the elements and says whether there was a null.
    fn write_elements(&mut self, row: usize, dimensions: &[usize], out: &mut BytesMut) -> Result<bool, PgError> {
        let span = self.spans.of(row);
        if dimensions.first() != Some(&span.len()) || (self.spans.is_null(row)) {
            return Err(PgError::new("2202E", "multidimensional arrays must have sub-arrays of equal length")
                .hint("Ask for the column in text format, or cast it to text."));
        }
        let mut has_null = false;
        for element in span {
            match &mut self.elements {
                Elements::Values(values) => {
                    has_null |= values.is_null(element);
                    write_cell(values.as_mut(), element, out)?;
                }
                Elements::Lists(inner) => has_null |= inner.write_elements(element, &dimensions[1..], out)?,
            }
        }
        Ok(has_null)
    }
}

impl Column for ListColumn {
    fn is_null(&self, row: usize) -> bool {
        self.spans.is_null(row)
    }

    fn write(&mut self, row: usize, out: &mut BytesMut) -> Result<(), PgError> {
        match self.format {
            Format::Text => self.write_text(row, out),
            Format::Binary => self.write_binary(row, out),
        }
    }
}

/// Puts quotes around the text from `mark` on where an array needs them.
fn quote(mark: usize, out: &mut BytesMut, scratch: &mut Vec<u8>) {
    let text = &out[mark..];
    let is_plain = !text.is_empty()
        && !text.eq_ignore_ascii_case(b"null")
        && !text.iter().any(|byte| matches!(byte, b'{' | b'}' | b'"' | b'\\' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c));
    if is_plain {
        return;
    }
    scratch.clear();
    scratch.extend_from_slice(text);
    out.truncate(mark);
    out.put_u8(b'"');
    for byte in scratch.iter() {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

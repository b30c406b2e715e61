//! Structs, maps and unions, which PostgreSQL has no such types for, as JSON text.

use bytes::{BufMut, BytesMut};
use causeway_providers::Presentation;
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, MapArray, StructArray, UnionArray};
use datafusion::arrow::datatypes::{DataType, Field};

use super::array::Spans;
use super::column::writer;
use super::{Column, Format, Style, flatten};
use crate::pg::pg_type::list_element;
use crate::pg::sqlstate::PgError;

/// A column of JSON documents made from nested arrays.
pub(super) struct JsonColumn {
    array: ArrayRef,
    node: Node,
    scratch: Vec<u8>,
}

/// How one level is written.
enum Node {
    /// Numbers and JSON itself: as they are.
    Verbatim(Box<dyn Column>),
    /// Everything else: its text in quotes.
    Quoted(Box<dyn Column>),
    Boolean(BooleanArray),
    List(Spans, Box<Node>),
    /// Names come quoted already.
    Object(StructArray, Vec<(Vec<u8>, Node)>),
    /// Keys and values of a map's entries.
    Map(MapArray, Box<Node>, Box<Node>),
    Union(UnionArray, Vec<(i8, Node)>),
}

impl JsonColumn {
    pub(super) fn new(array: &ArrayRef, field: &Field, style: &Style) -> Result<Self, PgError> {
        Ok(Self { array: array.clone(), node: Node::new(array, field, style)?, scratch: Vec::new() })
    }
}

impl Column for JsonColumn {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&mut self, row: usize, out: &mut BytesMut) -> Result<(), PgError> {
        self.node.write(row, out, &mut self.scratch)
    }
}

impl Node {
    fn new(array: &ArrayRef, field: &Field, style: &Style) -> Result<Self, PgError> {
        let any = array.as_any();
        let presentation = Presentation::of(field);
        if let Some(array) = any.downcast_ref::<BooleanArray>() {
            return Ok(Node::Boolean(array.clone()));
        }
        if let Some(array) = any.downcast_ref::<StructArray>() {
            let members = array
                .fields()
                .iter()
                .zip(array.columns())
                .map(|(field, column)| Ok((quoted(field.name().as_bytes()), Node::new(column, field, style)?)))
                .collect::<Result<_, PgError>>()?;
            return Ok(Node::Object(array.clone(), members));
        }
        if let Some(array) = any.downcast_ref::<MapArray>() {
            let (keys, values) = (array.keys(), array.values());
            let key = Node::Quoted(text_writer(keys, &Field::new("key", keys.data_type().clone(), false), Presentation::Plain, style)?);
            let value = Node::new(values, &Field::new("value", values.data_type().clone(), true), style)?;
            return Ok(Node::Map(array.clone(), Box::new(key), Box::new(value)));
        }
        if let (Some(array), DataType::Union(fields, _)) = (any.downcast_ref::<UnionArray>(), array.data_type()) {
            let members =
                fields.iter().map(|(id, field)| Ok((id, Node::new(array.child(id), field, style)?))).collect::<Result<_, PgError>>()?;
            return Ok(Node::Union(array.clone(), members));
        }
        match array.data_type() {
            DataType::Dictionary(_, inner) => return Node::new(&flatten(array, inner)?, field, style),
            DataType::RunEndEncoded(_, inner) => return Node::new(&flatten(array, inner.data_type())?, field, style),
            _ => {}
        }
        if let Some(element) = list_element(array.data_type()) {
            let (spans, values) = Spans::new(array)?;
            return Ok(Node::List(spans, Box::new(Node::new(&values, element, style)?)));
        }
        let column = text_writer(array, field, presentation, style)?;
        let is_json = matches!(presentation, Presentation::Json | Presentation::Jsonb);
        Ok(if is_json || is_number(array.data_type()) { Node::Verbatim(column) } else { Node::Quoted(column) })
    }

    fn write(&mut self, row: usize, out: &mut BytesMut, scratch: &mut Vec<u8>) -> Result<(), PgError> {
        if self.is_null(row) {
            out.put_slice(b"null");
            return Ok(());
        }
        match self {
            Node::Verbatim(column) => {
                let mark = out.len();
                column.write(row, out)?;
                // JSON has no word for these.
                if matches!(&out[mark..], b"NaN" | b"Infinity" | b"-Infinity") {
                    quote(mark, out, scratch);
                }
                Ok(())
            }
            Node::Quoted(column) => {
                let mark = out.len();
                column.write(row, out)?;
                quote(mark, out, scratch);
                Ok(())
            }
            Node::Boolean(array) => {
                out.put_slice(if array.value(row) { b"true" } else { b"false" });
                Ok(())
            }
            Node::List(spans, elements) => sequence(b"[]", spans.of(row), out, |element, out| elements.write(element, out, scratch)),
            Node::Object(_, members) => {
                let count = members.len();
                sequence(b"{}", 0..count, out, |member, out| {
                    let (name, node) = &mut members[member];
                    out.put_slice(name);
                    out.put_u8(b':');
                    node.write(row, out, scratch)
                })
            }
            Node::Map(maps, keys, values) => {
                let offsets = maps.value_offsets();
                // Offsets are checked to be ascending when a map is made.
                let span = offsets[row] as usize..offsets[row + 1] as usize;
                sequence(b"{}", span, out, |entry, out| {
                    keys.write(entry, out, scratch)?;
                    out.put_u8(b':');
                    values.write(entry, out, scratch)
                })
            }
            Node::Union(array, members) => {
                let (id, offset) = (array.type_id(row), array.value_offset(row));
                match members.iter_mut().find(|(known, _)| *known == id) {
                    Some((_, member)) => member.write(offset, out, scratch),
                    None => Err(PgError::internal(format!("a union has no member {id}"))),
                }
            }
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Node::Verbatim(column) | Node::Quoted(column) => column.is_null(row),
            Node::Boolean(array) => array.is_null(row),
            Node::List(spans, _) => spans.is_null(row),
            Node::Object(array, _) => array.is_null(row),
            Node::Map(array, ..) => array.is_null(row),
            Node::Union(..) => false,
        }
    }
}

fn text_writer(array: &ArrayRef, field: &Field, presentation: Presentation, style: &Style) -> Result<Box<dyn Column>, PgError> {
    writer(array, field, presentation, Format::Text, style)
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Writes things between two brackets, with commas.
fn sequence(
    brackets: &[u8; 2],
    span: std::ops::Range<usize>,
    out: &mut BytesMut,
    mut write: impl FnMut(usize, &mut BytesMut) -> Result<(), PgError>,
) -> Result<(), PgError> {
    out.put_u8(brackets[0]);
    let first = span.start;
    for index in span {
        if index > first {
            out.put_u8(b',');
        }
        write(index, out)?;
    }
    out.put_u8(brackets[1]);
    Ok(())
}

/// Turns the text from `mark` on into a JSON string.
fn quote(mark: usize, out: &mut BytesMut, scratch: &mut Vec<u8>) {
    scratch.clear();
    scratch.extend_from_slice(&out[mark..]);
    out.truncate(mark);
    quote_into(scratch, out);
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::with_capacity(text.len() + 2);
    quote_into(text, &mut out);
    out.to_vec()
}

fn quote_into(text: &[u8], out: &mut BytesMut) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.put_u8(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', *byte]),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            0..=0x1f => out.put_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
            _ => out.put_u8(*byte),
        }
    }
    out.put_u8(b'"');
}

//! Functions over arrays and values of any type.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StringArray, StructArray, UInt32Array, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::names::type_name;
use crate::pg::catalog::base_types::{shape_of_field, type_by_oid};

/// Appends these functions.
pub(super) fn add(functions: &mut Vec<Arc<ScalarUDF>>) {
    for operation in [
        Operation::Single,
        Operation::First,
        Operation::OrEmpty,
        Operation::Lower,
        Operation::Upper,
        Operation::Subscripts,
        Operation::Expand,
        Operation::NoAncestors,
        Operation::JsonObject,
        Operation::TypeOf,
    ] {
        functions.push(Arc::new(ScalarUDF::new_from_impl(ArrayFunction::new(operation))));
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    /// The only element; NULL of none, an error of more: a scalar subquery.
    Single,
    /// The first element; NULL of none: a scalar subquery with `LIMIT 1`.
    First,
    /// An empty array for NULL: `ARRAY(SELECT ...)` of no rows.
    OrEmpty,
    Lower,
    Upper,
    /// The subscripts as an array, which the rewritten statement unnests.
    Subscripts,
    /// Elements with their positions, which the rewritten statement unnests.
    Expand,
    /// No partitions, and so no ancestors.
    NoAncestors,
    JsonObject,
    TypeOf,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayFunction {
    operation: Operation,
    signature: Signature,
}

impl ArrayFunction {
    fn new(operation: Operation) -> Self {
        let signature = match operation {
            Operation::Lower | Operation::Upper | Operation::Subscripts => Signature::any(2, Volatility::Immutable),
            Operation::JsonObject => Signature::variadic_any(Volatility::Stable),
            _ => Signature::any(1, Volatility::Immutable),
        };
        Self { operation, signature }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

fn element_type(list: &DataType) -> Result<DataType> {
    match list {
        DataType::List(item) => Ok(item.data_type().clone()),
        DataType::Null => Ok(DataType::Null),
        other => plan_err!("an array is needed where {other} is"),
    }
}

fn expanded(element: DataType) -> Fields {
    Fields::from(vec![Field::new("x", element, true), Field::new("n", DataType::Int32, true)])
}

impl ScalarUDFImpl for ArrayFunction {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Single => "causeway_single",
            Operation::First => "causeway_first",
            Operation::OrEmpty => "causeway_or_empty",
            Operation::Lower => "array_lower",
            Operation::Upper => "array_upper",
            Operation::Subscripts => "generate_subscripts",
            Operation::Expand => "_pg_expandarray",
            Operation::NoAncestors => "pg_partition_ancestors",
            Operation::JsonObject => "json_build_object",
            Operation::TypeOf => "pg_typeof",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.operation {
            Operation::Single | Operation::First => element_type(&arguments[0])?,
            Operation::OrEmpty => list_of(element_type(&arguments[0])?),
            Operation::Lower | Operation::Upper => DataType::Int32,
            Operation::Subscripts => list_of(DataType::Int32),
            Operation::Expand => list_of(DataType::Struct(expanded(element_type(&arguments[0])?))),
            Operation::NoAncestors => list_of(DataType::UInt32),
            Operation::JsonObject | Operation::TypeOf => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let array: ArrayRef = match self.operation {
            Operation::NoAncestors => empty_lists(rows, DataType::UInt32)?,
            Operation::JsonObject => Arc::new(json_objects(&arrays, rows)?),
            Operation::TypeOf => {
                let oid = shape_of_field(&args.arg_fields[0]).type_oid;
                let name = type_by_oid(oid).map_or_else(|| "text".to_owned(), |t| type_name(t.name));
                Arc::new(StringArray::from(vec![name; rows]))
            }
            _ if arrays[0].data_type() == &DataType::Null => match args.return_field.data_type() {
                DataType::List(item) if self.operation == Operation::OrEmpty => empty_lists(rows, item.data_type().clone())?,
                other => datafusion::arrow::array::new_null_array(other, rows),
            },
            Operation::Single => first_elements(arrays[0].as_list(), Surplus::Error)?,
            Operation::First => first_elements(arrays[0].as_list(), Surplus::Ignored)?,
            Operation::OrEmpty => or_empty(arrays[0].as_list())?,
            Operation::Lower => Arc::new(bounds(arrays[0].as_list(), |_| 1)),
            Operation::Upper => Arc::new(bounds(arrays[0].as_list(), |length| length)),
            Operation::Subscripts => Arc::new(subscripts(arrays[0].as_list())?),
            Operation::Expand => expand(arrays[0].as_list())?,
        };
        Ok(ColumnarValue::Array(array))
    }
}

fn empty_lists(rows: usize, element: DataType) -> Result<ArrayRef> {
    let field = Arc::new(Field::new_list_field(element.clone(), true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::new_zeroed(rows), new_empty_array(&element), None)?))
}

/// What becomes of elements after the first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surplus {
    Error,
    Ignored,
}

fn first_elements(lists: &ListArray, surplus: Surplus) -> Result<ArrayRef> {
    let mut indices = Vec::with_capacity(lists.len());
    for (row, bounds) in lists.offsets().windows(2).enumerate() {
        let length = bounds[1] - bounds[0];
        if surplus == Surplus::Error && length > 1 && lists.is_valid(row) {
            return exec_err!("more than one row returned by a subquery used as an expression");
        }
        indices.push((length > 0 && lists.is_valid(row)).then(|| u32::try_from(bounds[0]).unwrap_or(u32::MAX)));
    }
    Ok(take(lists.values(), &UInt32Array::from(indices), None)?)
}

fn or_empty(lists: &ListArray) -> Result<ArrayRef> {
    let DataType::List(field) = lists.data_type() else { return plan_err!("an array is needed") };
    if lists.null_count() == 0 {
        return Ok(Arc::new(lists.clone()));
    }
    let mut indices: Vec<u32> = Vec::new();
    let mut lengths = Vec::with_capacity(lists.len());
    for (row, bounds) in lists.offsets().windows(2).enumerate() {
        let range = if lists.is_valid(row) { bounds[0]..bounds[1] } else { 0..0 };
        lengths.push(range.len());
        indices.extend(range.filter_map(|i| u32::try_from(i).ok()));
    }
    let values = take(lists.values(), &UInt32Array::from(indices), None)?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), values, None)?))
}

/// A bound of each array; NULL of an empty one, as it has none.
fn bounds(lists: &ListArray, bound: impl Fn(i32) -> i32) -> Int32Array {
    let lengths = lists.offsets().windows(2).map(|b| b[1] - b[0]).enumerate();
    lengths.map(|(row, length)| (lists.is_valid(row) && length > 0).then(|| bound(length))).collect()
}

fn subscripts(lists: &ListArray) -> Result<ListArray> {
    let lengths: Vec<usize> = (0..lists.len()).map(|row| if lists.is_valid(row) { lists.value(row).len() } else { 0 }).collect();
    let numbers: Int32Array = lengths.iter().flat_map(|length| (1..).take(*length)).collect();
    let field = Arc::new(Field::new_list_field(DataType::Int32, true));
    Ok(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::new(numbers), None)?)
}

fn expand(lists: &ListArray) -> Result<ArrayRef> {
    let whole = or_empty(lists)?;
    let whole = whole.as_list::<i32>();
    let (start, end) = (whole.value_offsets()[0], whole.value_offsets()[whole.len()]);
    let values = whole.values().slice(usize::try_from(start).unwrap_or(0), usize::try_from(end - start).unwrap_or(0));
    let lengths: Vec<usize> = (0..whole.len()).map(|row| whole.value(row).len()).collect();
    let numbers: Int32Array = lengths.iter().flat_map(|length| (1..).take(*length)).collect();
    let fields = expanded(values.data_type().clone());
    let pairs = StructArray::try_new(fields.clone(), vec![values, Arc::new(numbers)], None)?;
    let field = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::new(pairs), None)?))
}

fn json_objects(arrays: &[ArrayRef], rows: usize) -> Result<StringArray> {
    if !arrays.len().is_multiple_of(2) {
        return exec_err!("argument list must have even number of elements");
    }
    let options = FormatOptions::default();
    let formatters = arrays.iter().map(|a| Ok(ArrayFormatter::try_new(a.as_ref(), &options)?)).collect::<Result<Vec<_>>>()?;
    let mut objects = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut object = String::from("{");
        for (index, pair) in arrays.chunks(2).enumerate() {
            if index > 0 {
                object.push_str(", ");
            }
            let (key, value) = (&formatters[2 * index], &formatters[2 * index + 1]);
            let plain = pair[1].data_type().is_numeric() || pair[1].data_type() == &DataType::Boolean;
            let key = serde_json::Value::String(key.value(row).to_string());
            let value = match pair[1].is_null(row) || pair[1].data_type() == &DataType::Null {
                true => "null".to_owned(),
                false if plain => value.value(row).to_string(),
                false => serde_json::Value::String(value.value(row).to_string()).to_string(),
            };
            let _infallible = write!(object, "{key} : {value}");
        }
        object.push('}');
        objects.push(object);
    }
    Ok(StringArray::from(objects))
}

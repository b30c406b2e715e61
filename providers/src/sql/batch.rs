//! How large the batches of a scan get, whatever the table is like.

use datafusion::arrow::datatypes::{DataType, FieldRef};

/// A batch leaves when its rows hold about so many bytes, however few they are. What they are built in is up to twice as large, since it
/// grows by doubling.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Batches that may wait for their reader, in each partition of a scan. Beside them there are those that are being filled, one by each
/// connection, and the one that is computed with.
pub(crate) const BATCHES_AHEAD: usize = 2;

/// Of a text, a list or the like: where it begins, and what becomes longer on its way from the source.
const BESIDE_ITS_BYTES: usize = 24;

/// What each row of these columns holds beside the bytes of its texts and lists, NULL or not.
pub(crate) fn row_bytes(columns: &[FieldRef]) -> usize {
    columns.iter().map(|column| value_bytes(column.data_type())).sum()
}

fn value_bytes(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or_else(|| match data_type {
        DataType::Boolean | DataType::Null => 1,
        DataType::Struct(fields) => row_bytes(fields),
        _ => BESIDE_ITS_BYTES,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Fields};

    use super::*;

    #[test]
    fn a_null_has_a_place_too() {
        let columns = |types: Vec<DataType>| types.into_iter().map(|data_type| Field::new("c", data_type, true)).collect::<Fields>();
        let object = DataType::Struct(columns(vec![DataType::Int64, DataType::Utf8]));
        let types = vec![DataType::Int32, DataType::Decimal256(76, 38), DataType::Boolean, DataType::Utf8, object];
        assert_eq!(row_bytes(&columns(types)), 4 + 32 + 1 + 24 + 8 + 24);
    }
}

//! How large the batches of a scan get, whatever the table is like.

use datafusion::arrow::datatypes::{DataType, Schema};

/// A batch leaves when its rows hold about so many bytes, however few they are. What they are built in is up to twice as large, since it
/// grows by doubling.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Batches that may wait for their reader, in each partition of a scan. Beside them there are those that are being filled, one by each
/// connection, and the one that is computed with.
pub(crate) const BATCHES_AHEAD: usize = 2;

/// Of a text, a list or the like: where it begins, and what becomes longer on its way from the source.
const BESIDE_ITS_BYTES: usize = 24;

/// What each row of `schema` holds beside the bytes of its texts and lists, NULL or not.
pub(crate) fn row_bytes(schema: &Schema) -> usize {
    let width = |data_type: &DataType| {
        data_type.primitive_width().unwrap_or(match data_type {
            DataType::Boolean | DataType::Null => 1,
            _ => BESIDE_ITS_BYTES,
        })
    };
    schema.fields().iter().map(|field| width(field.data_type())).sum()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;

    use super::*;

    #[test]
    fn a_null_has_a_place_too() {
        let fields = [DataType::Int32, DataType::Decimal256(76, 38), DataType::Boolean, DataType::Utf8];
        let schema = Schema::new(fields.map(|data_type| Field::new("c", data_type, true)).to_vec());
        assert_eq!(row_bytes(&schema), 4 + 32 + 1 + 24);
    }
}

//! Whether a source is what a statement was made for. A binary `COPY` does not say what its bytes are, and those of one type are values
//! of another too; and rows that were compared by another collation look like any others.

use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use tokio_postgres::types::{Kind, ToSql, Type};
use tokio_postgres::{Client, Column};

use super::copy_reader::ReadError;
use super::type_mapping::{UNCONSTRAINED, precision_and_scale};
use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED};
use crate::remote::Comparison;
use crate::sql::{CollatedColumn, Reliance};

/// The collation of a column by a name that no other has, even if it is the database's: `a` is the attribute, `co` its collation, `cn`
/// that one's schema, and `db` the [`database`].
macro_rules! collation_name {
    () => {
        "CASE WHEN co.collprovider = 'd' THEN db.name \
              WHEN cn.nspname = 'pg_catalog' AND co.collname::pg_catalog.text <> db.name THEN co.collname::pg_catalog.text \
              ELSE cn.nspname || '.' || co.collname END"
    };
}
pub(super) use collation_name;

/// A select of what the database compares texts by.
macro_rules! database {
    () => {
        "SELECT pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text AS encoding, d.datcollate::pg_catalog.text AS locale, \
                COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') AS provider, \
                COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale', \
                         d.datcollate::pg_catalog.text) AS name \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"
    };
}
pub(super) use database;

/// Of columns by schema, table and name, the first whose type or collation is not the one given, and which they are.
const COMPARED_OTHERWISE: &str = concat!(
    "WITH db AS MATERIALIZED (",
    database!(),
    ") \
     SELECT w.place, pg_catalog.format_type(a.atttypid, a.atttypmod), COALESCE(",
    collation_name!(),
    ", 'no collation') \
     FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]), \
                     pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::pg_catalog.text[]), \
                     pg_catalog.unnest($5::pg_catalog.text[])) \
          WITH ORDINALITY AS w(schema_name, table_name, column_name, type_name, collation_name, place) \
     JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema_name::pg_catalog.name \
     JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.table_name::pg_catalog.name \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = w.column_name::pg_catalog.name AND NOT a.attisdropped \
     LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation \
     LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace \
     CROSS JOIN db \
     WHERE w.type_name <> pg_catalog.format_type(a.atttypid, a.atttypmod) OR w.collation_name IS DISTINCT FROM ",
    collation_name!(),
    " ORDER BY w.place LIMIT 1"
);

/// What the source must be for a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// What the rows are decoded as.
    pub(super) schema: &'a Schema,
    /// What it computes with over there.
    pub(super) reliance: &'a Reliance,
}

impl Wanted<'_> {
    /// Has `sql` described and compares its columns.
    ///
    /// # Errors
    /// `SchemaMismatch` with the code [`TYPE_CHANGED`], naming the first column of another type; those of the driver.
    pub(super) async fn check_types(self, client: &Client, sql: &str) -> Result<(), ReadError> {
        let described = client.prepare(sql).await?;
        check(self.schema, described.columns()).map_err(ReadError::Value)
    }

    /// Compares the types and collations of the texts that the statement has compared with those of now. What is not there any more is not compared: the
    /// statement itself fails on that.
    ///
    /// # Errors
    /// `SchemaMismatch` with the code [`TYPE_CHANGED`], naming the first column of another; those of the driver.
    pub(super) async fn check_collations(self, client: &Client) -> Result<(), ReadError> {
        // What compares in no way is never compared over there.
        let collated: Vec<CollatedColumn<'_>> = self.reliance.collated().filter(|of| of.column.comparison != Comparison::None).collect();
        if collated.is_empty() {
            return Ok(());
        }
        let texts = |of: fn(&CollatedColumn<'_>) -> String| collated.iter().map(of).collect::<Vec<_>>();
        let wanted = [
            texts(|of| of.table.schema.clone()),
            texts(|of| of.table.name.clone()),
            texts(|of| of.column.name.clone()),
            texts(|of| of.column.remote_type.clone()),
            texts(|of| of.collation.to_owned()),
        ];
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            wanted.iter().map(|texts| (texts as &(dyn ToSql + Sync), Type::TEXT_ARRAY)).collect();
        let rows = client.query_typed(COMPARED_OTHERWISE, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (place, now_type, now_collation): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let other = usize::try_from(place - 1).ok().and_then(|place| collated.get(place));
        let other = other.ok_or_else(|| Error::new(ErrorKind::Internal, "the source named a column that was not asked for"));
        Err(ReadError::Value(other.map_or_else(|error| error, |other| other.changed(&now_type, &now_collation))))
    }
}

/// Compares what the source says a statement gives with the `schema` it is wanted in.
fn check(schema: &Schema, described: &[Column]) -> Result<()> {
    // Rows that are only counted have a column nobody reads.
    if schema.fields().is_empty() {
        return Ok(());
    }
    if schema.fields().len() != described.len() {
        let text = format!("a statement for {} columns gives {}", schema.fields().len(), described.len());
        return Err(Error::new(ErrorKind::Internal, text));
    }
    let is_as_wanted = |field: &Field, column: &Column| is_read_as(field.data_type(), column.type_()) && fits(field.data_type(), column);
    match schema.fields().iter().zip(described).find(|(field, column)| !is_as_wanted(field, column)) {
        None => Ok(()),
        Some((field, column)) => {
            let text = format!("column \"{}\" is {} at the source now, which is another type", field.name(), column.type_().name());
            Err(Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("refresh the catalog of the datasource"))
        }
    }
}

/// Whether the binary form of a type decodes to `data_type`.
fn is_read_as(data_type: &DataType, remote: &Type) -> bool {
    match data_type {
        DataType::Boolean => *remote == Type::BOOL,
        DataType::Int8 | DataType::Int16 => *remote == Type::INT2,
        DataType::Int32 => *remote == Type::INT4,
        DataType::Int64 => *remote == Type::INT8,
        DataType::Float32 => *remote == Type::FLOAT4,
        DataType::Float64 => *remote == Type::FLOAT8,
        DataType::Decimal128(..) | DataType::Decimal256(..) => *remote == Type::NUMERIC,
        DataType::Date32 => *remote == Type::DATE,
        DataType::Timestamp(TimeUnit::Microsecond, None) => *remote == Type::TIMESTAMP,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => *remote == Type::TIMESTAMPTZ,
        DataType::Time64(TimeUnit::Microsecond) => *remote == Type::TIME,
        DataType::Interval(IntervalUnit::MonthDayNano) => *remote == Type::INTERVAL,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => *remote == Type::BYTEA,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => TEXTS.contains(remote),
        DataType::List(element) => match remote.kind() {
            Kind::Array(of) => is_read_as(element.data_type(), of),
            _ => false,
        },
        _ => false,
    }
}

/// Whether all that a stored numeric may hold fits the decimal it is wanted as. What is computed has a type without bounds over there.
fn fits(data_type: &DataType, column: &Column) -> bool {
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = data_type else { return true };
    if column.table_oid().is_none() {
        return true;
    }
    match precision_and_scale(column.type_modifier()) {
        None => *data_type == UNCONSTRAINED,
        Some((digits, decimals)) => {
            let (precision, scale) = (i32::from(*precision), i32::from(*scale));
            decimals <= scale && digits - decimals <= precision - scale
        }
    }
}

/// Types whose binary form is their text.
const TEXTS: [Type; 8] = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::JSON, Type::CHAR, Type::XML, Type::UNKNOWN];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Field;

    use super::*;

    #[test]
    fn bytes_of_another_type_are_not_read() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
        let read = [
            (DataType::Int32, Type::INT4),
            (DataType::Utf8, Type::BPCHAR),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), Type::TIMESTAMPTZ),
            (list.clone(), Type::INT4_ARRAY),
        ];
        assert!(read.iter().all(|(data_type, remote)| is_read_as(data_type, remote)), "{read:?}");
        let not_read = [
            (DataType::Int32, Type::FLOAT4),
            (DataType::Int64, Type::TIMESTAMP),
            (DataType::Utf8, Type::JSONB),
            (DataType::Timestamp(TimeUnit::Microsecond, None), Type::TIMESTAMPTZ),
            (list, Type::FLOAT4_ARRAY),
        ];
        assert!(!not_read.iter().any(|(data_type, remote)| is_read_as(data_type, remote)), "{not_read:?}");
    }
}

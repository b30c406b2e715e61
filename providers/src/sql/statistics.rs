//! What a source believes of a table's size and values, and what that makes of a scan. Beliefs choose plans, never answers.

use std::collections::HashMap;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// The share of the rows that a condition is taken to leave when nothing is known of it. PostgreSQL takes the same of a range.
const UNKNOWN: f64 = 1.0 / 3.0;
/// The same of an equality with one value.
const UNKNOWN_EQUALITY: f64 = 0.005;

/// A source's estimates of one table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableStatistics {
    /// How many rows it has.
    pub rows: u64,
    /// Its columns by remote name, those of which something is known.
    pub columns: HashMap<String, ColumnEstimate>,
}

/// A source's estimates of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnEstimate {
    /// The share of NULLs, from 0 to 1.
    pub null_fraction: f64,
    /// How many distinct values that are not NULL.
    pub distinct: Option<u64>,
    /// The bytes of an average value that is not NULL.
    pub width: u64,
    /// Between which values most of those that are not NULL are, where they have an order that is told in numbers: a number is itself,
    /// a date its days and a moment its microseconds since 1970.
    pub range: Option<(f64, f64)>,
}

impl TableStatistics {
    /// The statistics of a scan that reads the columns of `schema`, filters by `filters` and stops after `limit` rows. All of it is
    /// inexact.
    pub fn of_scan(&self, schema: &Schema, filters: &[Expr], limit: Option<usize>) -> Statistics {
        let share = self.share(filters);
        let mut rows = (self.rows as f64 * share).round() as usize;
        if let Some(limit) = limit {
            rows = rows.min(limit);
        }
        let columns: Vec<ColumnStatistics> = schema.fields().iter().map(|field| self.of_column(field.name(), rows)).collect();
        believed(rows, columns)
    }

    /// What is believed of a column in `rows` rows.
    pub fn of_column(&self, name: &str, rows: usize) -> ColumnStatistics {
        let Some(column) = self.columns.get(name) else { return ColumnStatistics::new_unknown() };
        let nulls = ((rows as f64 * column.null_fraction).round() as usize).min(rows);
        let distinct = column.distinct.map(|distinct| usize::try_from(distinct).unwrap_or(usize::MAX).min(rows - nulls));
        ColumnStatistics::new_unknown()
            .with_null_count(Precision::Inexact(nulls))
            .with_distinct_count(distinct.map_or(Precision::Absent, Precision::Inexact))
            .with_byte_size(Precision::Inexact((rows - nulls).saturating_mul(usize::try_from(column.width).unwrap_or(usize::MAX))))
    }

    /// The share of the rows, from 0 to 1, that all of `filters` leave, if those of one column have nothing to do with those of others.
    pub fn share(&self, filters: &[Expr]) -> f64 {
        let mut share = 1.0;
        let mut ranges: HashMap<&str, (f64, f64)> = HashMap::new();
        for filter in filters.iter().flat_map(split_conjunction) {
            match bounds(filter).filter(|(name, ..)| self.range(name).is_some()) {
                Some((name, low, high)) => {
                    let range = ranges.entry(name).or_insert((f64::NEG_INFINITY, f64::INFINITY));
                    *range = (range.0.max(low), range.1.min(high));
                }
                None => share *= self.share_of(filter),
            }
        }
        share * ranges.into_iter().map(|(name, (low, high))| self.share_between(name, low, high)).product::<f64>()
    }

    fn range(&self, name: &str) -> Option<(f64, f64)> {
        self.columns.get(name)?.range.filter(|(least, greatest)| least < greatest)
    }

    /// The share of the rows whose value is between two, if they are spread evenly.
    fn share_between(&self, name: &str, low: f64, high: f64) -> f64 {
        let Some((least, greatest)) = self.range(name) else { return UNKNOWN };
        let part = (high.min(greatest) - low.max(least)) / (greatest - least);
        let nulls = self.columns.get(name).map_or(0.0, |column| column.null_fraction);
        // A few may be anywhere.
        part.clamp(UNKNOWN_EQUALITY, 1.0) * (1.0 - nulls)
    }

    fn share_of(&self, filter: &Expr) -> f64 {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), Expr::Literal(..)) | (Expr::Literal(..), Expr::Column(column)) => self.one_value(&column.name),
                _ => UNKNOWN,
            },
            Expr::InList(list) if !list.negated => match list.expr.as_ref() {
                Expr::Column(column) => (self.one_value(&column.name) * list.list.len() as f64).min(1.0),
                _ => UNKNOWN,
            },
            Expr::IsNull(inner) => self.null_fraction(inner).unwrap_or(UNKNOWN_EQUALITY),
            Expr::IsNotNull(inner) => self.null_fraction(inner).map_or(1.0 - UNKNOWN_EQUALITY, |nulls| 1.0 - nulls),
            _ => UNKNOWN,
        }
    }

    fn one_value(&self, name: &str) -> f64 {
        match self.columns.get(name) {
            Some(ColumnEstimate { null_fraction, distinct: Some(distinct), .. }) => (1.0 - null_fraction) / (*distinct).max(1) as f64,
            Some(_) | None => UNKNOWN_EQUALITY,
        }
    }

    fn null_fraction(&self, expr: &Expr) -> Option<f64> {
        match expr {
            Expr::Column(column) => self.columns.get(&column.name).map(|column| column.null_fraction),
            _ => None,
        }
    }
}

/// The column that a condition keeps between two values, and these; infinite where it does not say.
fn bounds(filter: &Expr) -> Option<(&str, f64, f64)> {
    let (least, greatest) = (f64::NEG_INFINITY, f64::INFINITY);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, op, value) = match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), Expr::Literal(value, _)) => (column, *op, value),
                (Expr::Literal(value, _), Expr::Column(column)) => (column, op.swap()?, value),
                _ => return None,
            };
            let value = place(value)?;
            match op {
                Operator::Lt | Operator::LtEq => Some((&column.name, least, value)),
                Operator::Gt | Operator::GtEq => Some((&column.name, value, greatest)),
                _ => None,
            }
        }
        Expr::Between(between) if !between.negated => match (between.expr.as_ref(), between.low.as_ref(), between.high.as_ref()) {
            (Expr::Column(column), Expr::Literal(low, _), Expr::Literal(high, _)) => Some((&column.name, place(low)?, place(high)?)),
            _ => None,
        },
        _ => None,
    }
}

/// Where a value is in its order, as [`ColumnEstimate::range`] has it.
fn place(value: &ScalarValue) -> Option<f64> {
    match value {
        ScalarValue::Int8(value) => value.map(f64::from),
        ScalarValue::Int16(value) => value.map(f64::from),
        ScalarValue::Int32(value) | ScalarValue::Date32(value) => value.map(f64::from),
        ScalarValue::Int64(value) | ScalarValue::TimestampMicrosecond(value, _) => value.map(|value| value as f64),
        ScalarValue::TimestampNanosecond(value, _) => value.map(|value| value as f64 / 1000.0),
        ScalarValue::Decimal128(value, _, scale) => value.map(|value| value as f64 / 10_f64.powi(i32::from(*scale))),
        ScalarValue::Float32(value) => value.map(f64::from),
        ScalarValue::Float64(value) => *value,
        _ => None,
    }
}

/// The statistics of `rows` rows of `columns`, as far as something is known of each. All of it is inexact.
pub fn believed(rows: usize, columns: Vec<ColumnStatistics>) -> Statistics {
    let bytes = columns.iter().map(|column| column.byte_size.get_value().copied()).sum::<Option<usize>>();
    Statistics {
        num_rows: Precision::Inexact(rows),
        total_byte_size: bytes.filter(|_| !columns.is_empty()).map_or(Precision::Absent, Precision::Inexact),
        column_statistics: columns,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn orders() -> TableStatistics {
        let columns = [
            ("id", ColumnEstimate { null_fraction: 0.0, distinct: Some(10_000), width: 8, range: None }),
            ("note", ColumnEstimate { null_fraction: 0.75, distinct: Some(4), width: 20, range: None }),
            ("day", ColumnEstimate { null_fraction: 0.5, distinct: Some(1000), width: 4, range: Some((10_000.0, 11_000.0)) }),
        ];
        TableStatistics { rows: 10_000, columns: columns.map(|(name, column)| (name.to_owned(), column)).into() }
    }

    fn day(days: i32) -> Expr {
        lit(ScalarValue::Date32(Some(days)))
    }

    #[test]
    fn filters_leave_what_the_columns_suggest() {
        let statistics = orders();
        let cases = [
            (vec![], 10_000),
            (vec![col("id").eq(lit(5))], 1),
            (vec![lit(5).eq(col("id"))], 1),
            (vec![col("id").in_list(vec![lit(1), lit(2), lit(3)], false)], 3),
            (vec![col("note").eq(lit("x"))], 625),
            (vec![col("note").is_null()], 7500),
            (vec![col("note").is_not_null()], 2500),
            (vec![col("note").is_null().and(col("other").eq(lit(1)))], 38),
            (vec![col("id").gt(lit(5))], 3333),
            (vec![col("id").gt(lit(5)), col("id").lt(lit(7))], 1111),
            (vec![col("day").gt_eq(day(10_100))], 4500),
            (vec![day(10_100).gt(col("day"))], 500),
            (vec![col("day").gt_eq(day(10_400)), col("day").lt(day(10_500)).and(col("id").eq(lit(5)))], 0),
            (vec![col("day").gt_eq(day(10_400)).and(col("day").lt(day(10_500)))], 500),
            (vec![col("day").between(day(10_400), day(10_500)), col("id").gt(lit(5))], 167),
            (vec![col("day").gt(day(20_000))], 25),
            (vec![col("day").lt(day(20_000))], 5000),
            (vec![col("day").not_eq(day(10_100))], 3333),
        ];
        let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
        for (filters, rows) in cases {
            assert_eq!(statistics.of_scan(&schema, &filters, None).num_rows, Precision::Inexact(rows), "{filters:?}");
        }
        assert_eq!(statistics.of_scan(&schema, &[], Some(7)).num_rows, Precision::Inexact(7));
    }

    #[test]
    fn columns_have_nulls_values_and_bytes() {
        let schema = Schema::new(vec![Field::new("note", DataType::Utf8, true), Field::new("id", DataType::Int64, false)]);
        let scan = orders().of_scan(&schema, &[], None);
        assert_eq!(scan.total_byte_size, Precision::Inexact(2500 * 20 + 10_000 * 8));
        let note = &scan.column_statistics[0];
        assert_eq!((note.null_count, note.distinct_count), (Precision::Inexact(7500), Precision::Inexact(4)));
        let schema = Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("other", DataType::Utf8, true)]);
        let scan = orders().of_scan(&schema, &[], Some(10));
        assert_eq!(scan.total_byte_size, Precision::Absent);
        assert_eq!(scan.column_statistics[0].distinct_count, Precision::Inexact(10));
    }
}

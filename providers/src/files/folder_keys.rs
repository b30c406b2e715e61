//! The keys in the names of folders: what their values are, and which folders a filter leaves.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;

use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteId;

/// How Hive and whoever follows it write a folder whose key is NULL.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The value of a key, from the text behind the `=` in a folder's name.
pub(super) fn value(text: &str) -> Option<Cow<'_, str>> {
    (text != NULL).then(|| decoded(text))
}

/// What `%2F` and its like stand for. A name that would be no text stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match behind {
            [high, low, behind @ ..] if *first == b'%' => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push((high << 4) | low);
                    rest = behind;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The columns of keys. A folder without a value may come any time, so each may be NULL.
pub(super) fn columns(keys: &[String]) -> Fields {
    keys.iter().map(|key| Field::new(key, DataType::Utf8, true)).collect()
}

/// Whether an expression is about the keys of folders alone, so that it is the same for all rows of a file.
pub(super) fn is_about(keys: &[String], filter: &Expr) -> bool {
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    !keys.is_empty() && expr_applicable_for_cols(&names, filter)
}

/// Filters on the keys of folders.
#[derive(Debug)]
pub(super) struct KeyFilter {
    filters: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
    datasource: RemoteId,
}

impl KeyFilter {
    /// A file is read when all `filters` hold for its keys.
    pub(super) fn new(keys: &[String], filters: &[Expr], session: &dyn Session, datasource: &RemoteId) -> DataFusionResult<Self> {
        let schema: SchemaRef = Arc::new(Schema::new(columns(keys)));
        let named = DFSchema::from_unqualified_fields(schema.fields().clone(), std::collections::HashMap::default())?;
        let physical =
            filters.iter().map(|filter| session.create_physical_expr(filter.clone(), &named)).collect::<DataFusionResult<_>>()?;
        Ok(Self { filters: physical, schema, datasource: datasource.clone() })
    }

    /// Whether files in folders with these values are read.
    ///
    /// # Errors
    /// When a filter cannot be computed for a value, which is named.
    pub(super) fn admits(&self, values: &[Option<Cow<'_, str>>]) -> Result<bool> {
        let arrays = values.iter().map(|value| Arc::new(StringArray::from(vec![value.as_deref()])) as ArrayRef).collect();
        let internal = |e| Error::new(ErrorKind::Internal, "the keys of a folder are not those of its table").because(e);
        let row = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| internal(e.into()))?;
        for filter in &self.filters {
            let holds = filter.evaluate(&row).and_then(|holds| holds.into_array(1)).map_err(|e| self.failure(e, filter, values))?;
            let holds = holds.as_boolean_opt().ok_or_else(|| internal(DataFusionError::Internal("a filter is no boolean".to_owned())))?;
            if holds.iter().next().flatten() != Some(true) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// It is the statement that asks for what cannot be, and no file.
    fn failure(&self, error: DataFusionError, filter: &Arc<dyn PhysicalExpr>, values: &[Option<Cow<'_, str>>]) -> Error {
        let mut places: Vec<usize> = collect_columns(filter).iter().map(|column| column.index()).collect();
        places.sort_unstable();
        let shown: Vec<String> = places
            .into_iter()
            .filter_map(|place| {
                let value = values.get(place)?.as_deref().map_or("NULL".to_owned(), |value| format!("\"{value}\""));
                Some(format!("{value} of the partition column \"{}\"", self.schema.fields().get(place)?.name()))
            })
            .collect();
        let text = match shown.as_slice() {
            [] => "a filter cannot be computed".to_owned(),
            shown => format!("a filter cannot be computed for the value {}", shown.join(" and ")),
        };
        let failed = Error::new(ErrorKind::Invalid, text)
            .hint("the columns of folders named key=value are text; leave out such a folder before the filter converts its value");
        let failed = match sqlstate(&error) {
            Some(code) => failed.remote_code(code),
            None => failed,
        };
        failed.at(self.datasource.as_str()).because(error)
    }
}

/// PostgreSQL's code for what is wrong with a value.
fn sqlstate(error: &DataFusionError) -> Option<&'static str> {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::CastError(_) | ArrowError::ParseError(_) => Some("22P02"),
            ArrowError::DivideByZero => Some("22012"),
            ArrowError::ArithmeticOverflow(_) => Some("22003"),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{SessionContext, cast, col, lit};

    use super::*;

    #[test]
    fn values_are_decoded_and_may_be_null() {
        for (text, wanted) in [
            ("2024", Some("2024")),
            ("", Some("")),
            ("a%2Fb%2fc", Some("a/b/c")),
            ("%E2%98%83 50%", Some("☃ 50%")),
            ("%zz%4", Some("%zz%4")),
            ("%FF", Some("%FF")),
            (NULL, None),
        ] {
            assert_eq!(value(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_filter_decides_by_the_values() {
        let keys = ["k".to_owned(), "l".to_owned()];
        let state = SessionContext::new().state();
        let admits = |filters: &[Expr], values: [Option<&str>; 2]| {
            let filter = KeyFilter::new(&keys, filters, &state, &RemoteId::new("lake")).unwrap();
            filter.admits(&values.map(|value| value.map(Cow::Borrowed)))
        };
        assert!(admits(&[col("k").eq(lit("1"))], [Some("1"), None]).unwrap());
        assert!(!admits(&[col("k").eq(lit("1")), col("l").eq(lit("2"))], [Some("1"), None]).unwrap());
        assert!(admits(&[col("l").is_null()], [Some("1"), None]).unwrap());
        assert!(!admits(&[col("l").not_eq(lit("2"))], [Some("1"), None]).unwrap());
        let year = |year: i64| cast(col("k"), DataType::Int64).eq(lit(year));
        let error = admits(&[year(2024)], [Some("old"), None]).unwrap_err();
        assert_eq!(error.message(), "a filter cannot be computed for the value \"old\" of the partition column \"k\"");
        assert_eq!((error.remote_sqlstate(), error.datasource()), (Some("22P02"), Some("lake")));
        assert!(!admits(&[year(2024)], [None, None]).unwrap());
    }
}

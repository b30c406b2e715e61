//! Wordings that statements do not easily provoke.

use std::io::ErrorKind as ErrorKindOfIo;
use std::sync::Arc;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::{Error, ErrorKind, sql_type_names};

fn told(error: DataFusionError) -> (ErrorKind, String) {
    let error = Error::from(error);
    (error.kind(), error.message().to_owned())
}

#[test]
fn wrappers_are_looked_through() {
    let zero = || DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
    let expected = (ErrorKind::DivisionByZero, "division by zero".to_owned());
    assert_eq!(told(zero()), expected);
    assert_eq!(told(DataFusionError::Shared(Arc::new(zero()))), expected);
    assert_eq!(told(zero().context("somewhere")), expected);
    assert_eq!(told(DataFusionError::Collection(vec![zero(), DataFusionError::Internal("x".to_owned())])), expected);
    assert_eq!(told(DataFusionError::External(Box::new(zero()))), expected);
    let inside = ArrowError::ExternalError(Box::new(zero()));
    assert_eq!(told(DataFusionError::ArrowError(Box::new(inside), None)), expected);
}

#[test]
fn an_error_of_ours_comes_back_as_it_was() {
    let ours = Error::new(ErrorKind::UndefinedTable, "relation \"t\" does not exist").hint("look again");
    let back = Error::from(DataFusionError::from(ours).context("planning"));
    assert_eq!(
        (back.kind(), back.message(), back.hint_text()),
        (ErrorKind::UndefinedTable, "relation \"t\" does not exist", Some("look again"))
    );
}

#[test]
fn a_datasource_is_found_under_any_wrapping() {
    let cause = causeway_providers::Error::new(causeway_providers::ErrorKind::Timeout, "took too long").at("crm");
    let error = Error::from(DataFusionError::Shared(Arc::new(DataFusionError::from(cause).context("x"))));
    assert_eq!(error.kind(), ErrorKind::Datasource);
    assert_eq!(error.message(), "datasource \"crm\": took too long");
    assert!(error.datasource_error().is_some());
}

#[test]
fn memory_and_spill_space_differ() {
    let (kind, text) = told(DataFusionError::ResourcesExhausted("Failed to allocate additional 1 B for Sort".to_owned()));
    assert_eq!((kind, text.as_str()), (ErrorKind::OutOfMemory, "out of memory"));
    let (kind, text) = told(DataFusionError::ResourcesExhausted(
        "The used disk space during the spilling process has exceeded the allowable limit of 1 GB".to_owned(),
    ));
    assert_eq!((kind, text.as_str()), (ErrorKind::OutOfMemory, "out of spill space"));
    let quota = "The used disk space during the spilling process has exceeded the allowable limit of 50.0 MB.";
    let written = ArrowError::from(std::io::Error::other(DataFusionError::ResourcesExhausted(quota.to_owned())));
    let (kind, text) = told(DataFusionError::ArrowError(Box::new(written), None));
    assert_eq!((kind, text.as_str()), (ErrorKind::OutOfMemory, "out of spill space"));
    for full in [ErrorKindOfIo::StorageFull, ErrorKindOfIo::QuotaExceeded] {
        let written = ArrowError::from(std::io::Error::from(full));
        let (kind, text) = told(DataFusionError::ArrowError(Box::new(written), None).context("spilling"));
        assert_eq!((kind, text.as_str()), (ErrorKind::OutOfMemory, "out of spill space"));
    }
}

#[test]
fn faults_of_our_own_say_so_without_traces() {
    let (kind, text) = told(DataFusionError::Internal("Something odd.\nbacktrace: 0: main".to_owned()));
    assert_eq!((kind, text.as_str()), (ErrorKind::Internal, "internal error: something odd"));
}

#[test]
fn overflow_does_not_show_the_values() {
    let (kind, text) = told(DataFusionError::ArrowError(
        Box::new(ArrowError::ArithmeticOverflow("Overflow happened on: 9223372036854775807 + 1".to_owned())),
        None,
    ));
    assert_eq!((kind, text.as_str()), (ErrorKind::OutOfRange, "value out of range"));
}

#[test]
fn arrow_types_are_named_as_postgres_names_them() {
    for (arrow, sql) in [
        ("f(Int64, Utf8)", "f(bigint, text)"),
        ("Decimal128(12, 2) + Boolean", "numeric + boolean"),
        ("Timestamp(µs, \"+00:00\")", "timestamp with time zone"),
        ("Timestamp(ns)", "timestamp without time zone"),
        ("Interval(MonthDayNano) = Date32", "interval = date"),
        ("nothing to replace", "nothing to replace"),
    ] {
        assert_eq!(sql_type_names(arrow), sql);
    }
}

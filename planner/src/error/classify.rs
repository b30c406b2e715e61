//! Sorts DataFusion's errors into kinds and rewords them as PostgreSQL would, without values and without traces.

use std::io;

use datafusion::arrow::error::ArrowError;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::{Error, ErrorKind};
use crate::parse::{syntax_error, too_deep};

/// The kind, text and hint of `error`.
pub(super) fn classify(error: &DataFusionError) -> Error {
    if let Some(found) = causeway_providers::Error::find(error) {
        return Error::new(ErrorKind::Datasource, found.to_string());
    }
    match error {
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        DataFusionError::ParquetError(_) => Error::new(ErrorKind::Datasource, "a Parquet file could not be read"),
        DataFusionError::ObjectStore(_) => Error::new(ErrorKind::Datasource, "a file could not be read from its store"),
        DataFusionError::IoError(inner) if is_full(inner) => out_of_spill_space(),
        DataFusionError::IoError(inner) => Error::new(ErrorKind::Datasource, format!("a file could not be read: {}", inner.kind())),
        DataFusionError::SQL(inner, _) => parser(inner),
        DataFusionError::NotImplemented(text) => Error::new(ErrorKind::Unsupported, clean(text)),
        DataFusionError::Internal(text) => Error::new(ErrorKind::Internal, format!("internal error: {}", clean(text))),
        DataFusionError::Plan(text) => plan(text),
        DataFusionError::Configuration(text) => Error::new(ErrorKind::Invalid, clean(text)),
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::Execution(text) => execution(text),
        DataFusionError::ExecutionJoin(_) => Error::new(ErrorKind::Internal, "internal error: a task of this statement failed"),
        DataFusionError::ResourcesExhausted(text) => exhausted(text),
        DataFusionError::External(inner) => match (inner.downcast_ref::<Error>(), inner.downcast_ref::<DataFusionError>()) {
            (Some(ours), _) => restate(ours),
            (None, Some(wrapped)) => classify(wrapped),
            (None, None) => match inner.downcast_ref::<ArrowError>() {
                Some(wrapped) => arrow(wrapped),
                None if is_regular_expression(&inner.to_string()) => regular_expression(),
                None => Error::new(ErrorKind::Internal, format!("internal error: {}", clean(&inner.to_string()))),
            },
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => classify(inner),
        DataFusionError::Shared(inner) => classify(inner),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => classify(first),
            None => Error::new(ErrorKind::Internal, "internal error: an error without a cause"),
        },
        DataFusionError::Substrait(text) | DataFusionError::Ffi(text) => {
            Error::new(ErrorKind::Internal, format!("internal error: {}", clean(text)))
        }
    }
}

/// An error of ours that travelled through DataFusion, as it was.
fn restate(ours: &Error) -> Error {
    Error { kind: ours.kind, message: ours.message.clone(), hint: ours.hint.clone(), table: ours.table.clone(), source: None }
}

fn parser(error: &ParserError) -> Error {
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => syntax_error(text),
        ParserError::RecursionLimitExceeded => too_deep(),
    }
}

fn arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::DivideByZero => Error::new(ErrorKind::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(_) => Error::new(ErrorKind::OutOfRange, "value out of range"),
        ArrowError::CastError(text) | ArrowError::ParseError(text) => conversion(text),
        ArrowError::InvalidArgumentError(text) if is_out_of_range(text) => Error::new(ErrorKind::OutOfRange, "numeric field overflow"),
        ArrowError::ExternalError(inner) => {
            if let Some(ours) = inner.downcast_ref::<Error>() {
                restate(ours)
            } else if let Some(wrapped) = inner.downcast_ref::<DataFusionError>() {
                classify(wrapped)
            } else {
                Error::new(ErrorKind::Internal, format!("internal error: {}", clean(&inner.to_string())))
            }
        }
        ArrowError::NotYetImplemented(text) => Error::new(ErrorKind::Unsupported, clean(text)),
        ArrowError::ComputeError(text) if is_regular_expression(text) => regular_expression(),
        ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => Error::new(ErrorKind::Invalid, clean(text)),
        ArrowError::SchemaError(text) => Error::new(ErrorKind::TypeMismatch, clean(text)),
        ArrowError::IoError(_, inner) if is_full(inner) => out_of_spill_space(),
        ArrowError::IoError(..) | ArrowError::IpcError(_) | ArrowError::CsvError(_) | ArrowError::JsonError(_) => {
            Error::new(ErrorKind::Datasource, "a file could not be read: its content is not what its format promises")
        }
        ArrowError::ParquetError(_) | ArrowError::AvroError(_) => Error::new(ErrorKind::Datasource, "a file could not be read"),
        ArrowError::MemoryError(_) => Error::new(ErrorKind::OutOfMemory, "out of memory"),
        ArrowError::OffsetOverflowError(_) => Error::new(ErrorKind::OutOfMemory, "a batch of text or lists is larger than 2 GiB"),
        ArrowError::CDataInterface(text) => Error::new(ErrorKind::Internal, format!("internal error: {}", clean(text))),
        ArrowError::DictionaryKeyOverflowError | ArrowError::RunEndIndexOverflowError => {
            Error::new(ErrorKind::Internal, "internal error: a dictionary overflowed")
        }
    }
}

fn is_regular_expression(text: &str) -> bool {
    ["regex parse error", "egular expression did not compile", "regex compilation"].iter().any(|sign| text.contains(sign))
}

fn regular_expression() -> Error {
    Error::new(ErrorKind::RegularExpression, "invalid regular expression")
        .hint("Back-references, lookaround and \\m, \\M, \\y are not known here.")
}

/// A value that does not convert. The value itself stays out of the text: it may be a row's.
fn conversion(text: &str) -> Error {
    if is_out_of_range(text) {
        return Error::new(ErrorKind::OutOfRange, "value out of range for its type");
    }
    let target = text
        .split_once("to value of ")
        .or_else(|| text.split_once("' as "))
        .map(|(_, after)| after.trim_end_matches(" type").trim())
        .or_else(|| text.contains("imestamp").then_some("Timestamp(ns)"))
        .or_else(|| text.contains("nterval").then_some("Interval(MonthDayNano)"));
    match target {
        Some(target) => Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type {}", sql_type_names(target))),
        None => Error::new(ErrorKind::InvalidText, "invalid input syntax for the type it is converted to"),
    }
}

fn is_out_of_range(text: &str) -> bool {
    ["too large to store", "too small to store", "Can't cast value", "out of range", "verflow", "exceeds"]
        .iter()
        .any(|sign| text.contains(sign))
}

fn execution(text: &str) -> Error {
    if text.contains("ivide by zero") || text.contains("ivision by zero") {
        Error::new(ErrorKind::DivisionByZero, "division by zero")
    } else if text.contains("verflow") || text.contains("out of range") {
        Error::new(ErrorKind::OutOfRange, "value out of range")
    } else if text.starts_with("Error parsing") || text.contains("Cannot cast") {
        conversion(text)
    } else if is_regular_expression(text) {
        regular_expression()
    } else if text.contains("returned more than one row") {
        Error::new(ErrorKind::Invalid, "more than one row returned by a subquery used as an expression")
    } else {
        Error::new(ErrorKind::Invalid, clean(text))
    }
}

/// Whether a file could not be written for lack of space: those of spilled rows are all that statements write.
fn is_full(error: &io::Error) -> bool {
    // The quota of spilled rows is told as an error of the file that is being written.
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) || is_quota(&error.to_string())
}

fn is_quota(text: &str) -> bool {
    text.contains("disk space") || text.contains("spilling")
}

fn out_of_spill_space() -> Error {
    Error::new(ErrorKind::OutOfMemory, "out of spill space")
        .hint("Narrow the statement, raise limits.spill_quota, or free or enlarge the folder in limits.spill.")
}

fn exhausted(text: &str) -> Error {
    if is_quota(text) {
        out_of_spill_space()
    } else {
        Error::new(ErrorKind::OutOfMemory, "out of memory")
            .hint("Narrow the statement with filters or fewer columns, run fewer statements at once, or raise limits.memory.")
    }
}

fn schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => undefined_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            Error::new(ErrorKind::AmbiguousColumn, format!("column reference \"{}\" is ambiguous", field.name))
                .hint("Write the table's name or alias in front of the column.")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(ErrorKind::AmbiguousColumn, format!("column reference \"{name}\" is ambiguous"))
                .hint("Give the columns of equal names different aliases.")
        }
    }
}

fn undefined_column(field: &Column, valid: &[Column]) -> Error {
    let name = &field.name;
    let Some(relation) = &field.relation else {
        let error = Error::new(ErrorKind::UndefinedColumn, format!("column \"{name}\" does not exist"));
        return match closest(name, valid) {
            Some(found) => error.hint(format!("Perhaps you meant to reference the column {found}.")),
            None => error,
        };
    };
    let table = relation.table();
    if !valid.is_empty() && !valid.iter().any(|c| c.relation.as_ref().is_some_and(|r| r.table() == table)) {
        return Error::new(ErrorKind::UndefinedTable, format!("missing FROM-clause entry for table \"{table}\""));
    }
    let error = Error::new(ErrorKind::UndefinedColumn, format!("column {table}.{name} does not exist"));
    match closest(name, valid) {
        Some(found) => error.hint(format!("Perhaps you meant to reference the column {found}.")),
        None => error,
    }
}

/// A column that differs by case or by a letter or so.
fn closest(name: &str, valid: &[Column]) -> Option<String> {
    let wanted = name.to_lowercase();
    let spelled = |column: &Column| match &column.relation {
        Some(relation) => format!("\"{}.{}\"", relation.table(), column.name),
        None => format!("\"{}\"", column.name),
    };
    let best = valid.iter().min_by_key(|column| levenshtein(&wanted, &column.name.to_lowercase()))?;
    is_like(&wanted, &best.name.to_lowercase()).then(|| spelled(best))
}

/// Whether one name is the other but for a letter or so.
fn is_like(wanted: &str, known: &str) -> bool {
    levenshtein(wanted, known) <= wanted.chars().count().min(6) / 2
}

fn plan(text: &str) -> Error {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("Invalid function '") {
        let name = rest.split('\'').next().unwrap_or(rest);
        let error = Error::new(ErrorKind::UndefinedFunction, format!("function {name} does not exist"));
        return match rest.split("Did you mean '").nth(1).and_then(|after| after.split('\'').next()) {
            Some(other) if is_like(name, other) => error.hint(format!("Perhaps you meant {other}.")),
            _ => error,
        };
    }
    if let Some(rest) = text.strip_prefix("There is no window function named ") {
        return Error::new(ErrorKind::UndefinedFunction, format!("window function {} does not exist", rest.trim()));
    }
    if let Some(rest) = text.strip_prefix("table function '") {
        let name = rest.split('\'').next().unwrap_or(rest);
        return Error::new(ErrorKind::UndefinedFunction, format!("function {name} does not exist"))
            .hint("No table function of that name is known here.");
    }
    if let Some(signature) = quoted_after(text, "No function matches the given name and argument types '") {
        return no_such_signature(&signature);
    }
    if let Some(name) = quoted_after(text, "Failed to coerce arguments to satisfy a call to '") {
        let arguments = text
            .split_once("coercion from ")
            .and_then(|(_, after)| after.split_once(" to the signature"))
            .map_or("", |(arguments, _)| arguments);
        return no_such_signature(&format!("{name}({arguments})"));
    }
    if text.contains("does not support zero arguments") {
        let name = text.split('\'').nth(1).unwrap_or("");
        return no_such_signature(&format!("{name}()"));
    }
    if text.contains("takes ") && text.contains("argument") || text.contains("function requires") || text.contains("function expects") {
        return Error::new(ErrorKind::UndefinedFunction, clean(text)).hint("No function matches the given name and number of arguments.");
    }
    for sign in [
        "Cannot infer common argument type for comparison operation ",
        "Cannot infer common argument type for logical boolean operation ",
        "Cannot infer common argument type for regex operation ",
        "Cannot infer common type for bitwise operation ",
        "Cannot infer common string type for string concat operation ",
        "Cannot infer common argument type for operation ",
        "Cannot coerce arithmetic expression ",
    ] {
        if let Some((_, operation)) = text.split_once(sign) {
            let operation = operation.trim_end().trim_end_matches(" to valid types");
            return Error::new(ErrorKind::UndefinedFunction, format!("operator does not exist: {}", sql_type_names(operation)))
                .hint("No operator matches the given name and argument types. You might need to add explicit type casts.");
        }
    }
    if ["coerce", "coercion", "Cannot cast", "must be a boolean", "requires a boolean", "incompatible type", "boolean expression"]
        .iter()
        .any(|sign| text.contains(sign))
    {
        return Error::new(ErrorKind::TypeMismatch, sql_type_names(&clean(text)));
    }
    if text.contains("must be in the GROUP BY") || text.contains("must appear in the GROUP BY") {
        return Error::new(ErrorKind::Invalid, grouping(text));
    }
    if text.contains("not supported") || text.contains("not implemented") || text.starts_with("Unsupported") {
        return Error::new(ErrorKind::Unsupported, clean(text));
    }
    Error::new(ErrorKind::Invalid, clean(text))
}

fn grouping(text: &str) -> String {
    match quoted_after(text, "expression \"").or_else(|| quoted_after(text, "column \"")) {
        Some(column) => format!("column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"),
        None => clean(text),
    }
}

fn no_such_signature(signature: &str) -> Error {
    Error::new(ErrorKind::UndefinedFunction, format!("function {} does not exist", sql_type_names(signature)))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

/// What stands in quotes right after `sign`.
fn quoted_after(text: &str, sign: &str) -> Option<String> {
    let (_, after) = text.split_once(sign)?;
    let end = after.find(['\'', '"'])?;
    Some(after[..end].to_owned())
}

/// One line, in lower case, without the prefixes DataFusion stacks up.
fn clean(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    let mut line = line;
    while let Some(rest) = [
        "Error during planning: ",
        "Execution error: ",
        "Arrow error: ",
        "Invalid argument error: ",
        "Compute error: ",
        "Internal error: ",
        "SQL error: ",
        "This feature is not implemented: ",
        "External error: ",
        "type_coercion: ",
        "type_coercion\n",
    ]
    .iter()
    .find_map(|prefix| line.strip_prefix(prefix))
    {
        line = rest;
    }
    let line = line.trim_end_matches('.');
    let mut letters = line.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => first.to_lowercase().chain(letters).collect(),
        _ => line.to_owned(),
    }
}

/// Replaces the names of Arrow types in `text` by PostgreSQL's.
pub(crate) fn sql_type_names(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        written.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let (parameters, beyond) = match closing(after) {
            Some(close) => after.split_at(close + 1),
            None => ("", after),
        };
        let (name, swallowed) = match word {
            "Boolean" => ("boolean", false),
            "Int8" | "Int16" | "UInt8" => ("smallint", false),
            "Int32" | "UInt16" => ("integer", false),
            "Int64" | "UInt32" => ("bigint", false),
            "UInt64" => ("numeric", false),
            "Float16" | "Float32" => ("real", false),
            "Float64" => ("double precision", false),
            "Utf8" | "LargeUtf8" | "Utf8View" => ("text", false),
            "Binary" | "LargeBinary" | "BinaryView" => ("bytea", false),
            "Date32" | "Date64" => ("date", false),
            "Null" => ("unknown", false),
            "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => ("numeric", true),
            "Time32" | "Time64" if !parameters.is_empty() => ("time without time zone", true),
            "Interval" if !parameters.is_empty() => ("interval", true),
            "Timestamp" if parameters.contains("Some") || parameters.contains('"') => ("timestamp with time zone", true),
            "Timestamp" if !parameters.is_empty() => ("timestamp without time zone", true),
            other => (other, false),
        };
        written.push_str(name);
        if swallowed {
            rest = beyond;
        } else {
            rest = after;
        }
    }
    written.push_str(rest);
    written
}

/// Where the parenthesis that `text` begins with closes, if it begins with one.
fn closing(text: &str) -> Option<usize> {
    if !text.starts_with('(') {
        return None;
    }
    let mut depth = 0usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

//! The options of `EXPLAIN (...)`, by PostgreSQL's names and values.

use datafusion::common::format::{ExplainFormat, ExplainStatementOptions, MetricType};
use datafusion::sql::sqlparser::ast::{Expr, UtilityOption, Value};

use crate::error::{Error, ErrorKind, Result};

/// How it is kept that the times of planning and running are wanted.
pub(super) const SUMMARY: MetricType = MetricType::Summary;

/// Reads the options. Those of which there is nothing to tell here, such as `BUFFERS`, are taken and change nothing: tools send them
/// with every plan they ask for.
///
/// # Errors
/// [`ErrorKind::Syntax`] for an option PostgreSQL has not, [`ErrorKind::Invalid`] for a value, [`ErrorKind::Unsupported`] for a format.
pub(crate) fn options(raw: &[UtilityOption]) -> Result<ExplainStatementOptions> {
    let mut options = ExplainStatementOptions::default();
    for option in raw {
        let name = option.name.value.to_ascii_lowercase();
        match name.as_str() {
            "analyze" => options.analyze = truth(&name, option)?,
            "verbose" => options.verbose = truth(&name, option)?,
            "costs" => options.show_statistics = Some(truth(&name, option)?),
            "summary" => options.analyze_level = Some(if truth(&name, option)? { SUMMARY } else { MetricType::Dev }),
            "format" => options.format = Some(format(option)?),
            "buffers" | "generic_plan" | "memory" | "settings" | "timing" | "wal" => drop(truth(&name, option)?),
            "serialize" => {}
            _ => return Err(Error::new(ErrorKind::Syntax, format!("unrecognized EXPLAIN option \"{name}\""))),
        }
    }
    Ok(options)
}

fn format(option: &UtilityOption) -> Result<ExplainFormat> {
    let word = option.arg.as_ref().and_then(word).unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "text" => Ok(ExplainFormat::Indent),
        "json" => Ok(ExplainFormat::PostgresJSON),
        "xml" | "yaml" => Err(Error::new(ErrorKind::Unsupported, format!("EXPLAIN does not write {}", word.to_uppercase()))
            .hint("FORMAT TEXT or FORMAT JSON.")),
        _ => Err(Error::new(ErrorKind::Invalid, format!("unrecognized value for EXPLAIN option \"format\": \"{word}\""))),
    }
}

/// An option without a value is on.
fn truth(name: &str, option: &UtilityOption) -> Result<bool> {
    let Some(value) = &option.arg else { return Ok(true) };
    match word(value).map(|word| word.to_ascii_lowercase()).as_deref() {
        Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        _ => Err(Error::new(ErrorKind::Invalid, format!("{name} requires a Boolean value"))),
    }
}

fn word(value: &Expr) -> Option<String> {
    match value {
        Expr::Identifier(identifier) => Some(identifier.value.clone()),
        Expr::Value(value) => match &value.value {
            Value::Boolean(truth) => Some(truth.to_string()),
            Value::Number(number, _) => Some(number.to_string()),
            other => other.clone().into_string(),
        },
        _ => None,
    }
}

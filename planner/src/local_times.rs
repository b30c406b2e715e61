//! Days and hours of no zone become instants in the session's time zone, wherever they meet one.
//!
//! DataFusion casts them to the type of the instant beside them, in whose zone they would be read, and that of a source's column is UTC.
//! It also refuses hours that clocks skip or show twice; PostgreSQL takes the offset from UTC that was there before a skipped hour, and
//! that which is there after a repeated one (`DetermineTimeZoneOffset` in its `datetime.c`).

use std::sync::Arc;

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    cast,
};
use datafusion::optimizer::AnalyzerRule;

use crate::error::{Error, ErrorKind};
use crate::named::map_named;
use crate::zones::Zone;

/// To be applied once all casts are there.
#[derive(Debug)]
pub(crate) struct LocalTimes;

impl AnalyzerRule for LocalTimes {
    fn name(&self) -> &'static str {
        "local_times"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = Zone::of(config);
        if zone.is_utc() {
            return Ok(plan);
        }
        let convert =
            ScalarUDF::new_from_impl(Instants { zone: Arc::clone(zone.name()), signature: Signature::any(1, Volatility::Immutable) });
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            map_named(node, |expr| expr.transform_up(|expr| instant(expr, &schema, &convert, zone.name())))
        })
        .data()
    }
}

/// A cast to an instant, of what is none, by way of the session's zone.
fn instant(expr: Expr, schema: &DFSchema, convert: &ScalarUDF, zone: &Arc<str>) -> Result<Transformed<Expr>> {
    let Expr::Cast(Cast { expr, field }) = expr else { return Ok(Transformed::no(expr)) };
    let DataType::Timestamp(_, Some(target)) = field.data_type() else { return Ok(Transformed::no(Expr::Cast(Cast { expr, field }))) };
    let here = match expr.get_type(schema)? {
        DataType::Timestamp(_, None) | DataType::Date32 => {
            convert.call(vec![cast(*expr, DataType::Timestamp(TimeUnit::Microsecond, None))])
        }
        DataType::Utf8 if target != zone => cast(*expr, DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone)))),
        _ => return Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
    };
    let is_target = *field.data_type() == DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone)));
    Ok(Transformed::yes(if is_target { here } else { Expr::Cast(Cast { expr: Box::new(here), field }) }))
}

/// Microseconds on the clocks of a zone as instants.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Instants {
    zone: Arc<str>,
    signature: Signature,
}

impl ScalarUDFImpl for Instants {
    fn name(&self) -> &'static str {
        "local_to_instant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&self.zone))))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let is_nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[])?, is_nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [moments] = &ColumnarValue::values_to_arrays(&arguments.args)?[..] else {
            return internal_err!("{} takes one value", self.name());
        };
        let zone: Tz = self.zone.parse()?;
        let instants = moments.as_primitive::<TimestampMicrosecondType>().try_unary::<_, TimestampMicrosecondType, _>(|local| {
            instant_of(local, &zone)
                .ok_or_else(|| DataFusionError::External(Box::new(Error::new(ErrorKind::OutOfRange, "timestamp out of range"))))
        })?;
        Ok(ColumnarValue::Array(Arc::new(instants.with_timezone(Arc::clone(&self.zone)))))
    }
}

/// The instant, in microseconds, at which the clocks of `zone` show `local`; `None` beyond what a calendar has.
fn instant_of(local: i64, zone: &Tz) -> Option<i64> {
    // PostgreSQL's infinities.
    if matches!(local, i64::MIN | i64::MAX) {
        return Some(local);
    }
    let offset = offset(DateTime::from_timestamp_micros(local)?.naive_utc(), zone)?;
    local.checked_sub(i64::from(offset) * 1_000_000)
}

/// Seconds that `zone` is before UTC when its clocks show `local`.
fn offset(local: NaiveDateTime, zone: &Tz) -> Option<i32> {
    match zone.offset_from_local_datetime(&local) {
        LocalResult::Single(offset) | LocalResult::Ambiguous(_, offset) => Some(offset.fix().local_minus_utc()),
        // A zone that changed its side of the date line skipped a day.
        LocalResult::None => (1..=49).find_map(|hours| {
            let before = zone.offset_from_local_datetime(&(local - TimeDelta::hours(hours)));
            before.latest().map(|offset| offset.fix().local_minus_utc())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Tz, instant_of};

    #[test]
    fn skipped_and_repeated_hours_are_those_of_postgres() {
        // What PostgreSQL 15 gives for `extract(epoch FROM timestamp '...' AT TIME ZONE '...')`.
        for (local, zone, expected) in [
            ("2024-03-10T02:30:00Z", "America/New_York", "2024-03-10T07:30:00Z"),
            ("2024-11-03T01:30:00Z", "America/New_York", "2024-11-03T06:30:00Z"),
            ("2024-03-31T02:15:00Z", "Europe/Paris", "2024-03-31T01:15:00Z"),
            ("2024-10-27T02:15:00Z", "Europe/Paris", "2024-10-27T01:15:00Z"),
            ("2011-12-30T12:00:00Z", "Pacific/Apia", "2011-12-30T22:00:00Z"),
            ("2024-07-01T12:00:00Z", "Asia/Kolkata", "2024-07-01T06:30:00Z"),
        ] {
            let micros = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
            let zone: Tz = zone.parse().unwrap();
            assert_eq!(instant_of(micros(local), &zone), Some(micros(expected)), "{local} in {zone:?}");
        }
        assert_eq!(instant_of(i64::MAX, &"Asia/Kolkata".parse().unwrap()), Some(i64::MAX));
    }
}

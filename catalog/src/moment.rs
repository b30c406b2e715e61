//! Moments as the store and the events hold them: microseconds since 1970-01-01 UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// A moment as microseconds; one before 1970 is 1970.
pub(crate) fn to_micros(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The moment of so many microseconds.
pub(crate) fn from_micros(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.max(0).unsigned_abs())
}

/// Now, as microseconds.
pub(crate) fn now() -> i64 {
    to_micros(SystemTime::now())
}

/// A moment as RFC 3339 in UTC, to the microsecond.
pub(crate) fn rfc3339(moment: SystemTime) -> String {
    DateTime::<Utc>::from(moment).to_rfc3339_opts(SecondsFormat::Micros, true)
}

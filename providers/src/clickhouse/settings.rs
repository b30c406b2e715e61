//! What every request asks of the server beside its statement, whatever the user's profile says.

use std::fmt::Write;
use std::time::Duration;

/// The settings of every request.
///
/// It reads only. Rows arrive as Arrow without compression and dictionaries, texts as bytes so that a bad one can be told by its
/// column. Times are UTC. A join gives all rows, the missing ones as NULL, `IN` knows no NULL, a column comes before an alias of its
/// name, and a number in ORDER BY is no position. A limit that is met is an error, never a shorter result. A reader that takes its
/// time is not hung up on. Rows come in blocks that are no larger than a batch. A statement ends when its client is gone, and an error comes as text and not as a row.
const NORMALISE: [(&str, &str); 32] = [
    ("readonly", "2"),
    ("default_format", "ArrowStream"),
    ("wait_end_of_query", "0"),
    ("http_write_exception_in_output_format", "0"),
    ("cancel_http_readonly_queries_on_client_close", "1"),
    ("http_send_timeout", "604800"),
    ("max_query_size", "16777216"),
    ("max_block_size", "8192"),
    ("session_timezone", "UTC"),
    ("output_format_arrow_string_as_string", "0"),
    ("output_format_arrow_fixed_string_as_fixed_byte_array", "1"),
    ("output_format_arrow_low_cardinality_as_dictionary", "0"),
    ("output_format_arrow_compression_method", "none"),
    ("join_use_nulls", "1"),
    ("join_default_strictness", "ALL"),
    ("transform_null_in", "0"),
    ("prefer_column_name_to_alias", "1"),
    ("enable_positional_arguments", "0"),
    ("empty_result_for_aggregation_by_empty_set", "0"),
    ("decimal_check_overflow", "1"),
    ("limit", "0"),
    ("offset", "0"),
    ("skip_unavailable_shards", "0"),
    ("result_overflow_mode", "throw"),
    ("read_overflow_mode", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("sort_overflow_mode", "throw"),
    ("distinct_overflow_mode", "throw"),
    ("set_overflow_mode", "throw"),
    ("join_overflow_mode", "throw"),
    ("transfer_overflow_mode", "throw"),
    ("timeout_overflow_mode", "throw"),
];

/// The path of a request: its settings, and the time after which the server ends it. The server counts whole seconds.
pub(super) fn path(database: &str, query_id: &str, limit: Option<Duration>) -> String {
    let mut path = String::from("/?database=");
    encode(&mut path, database);
    path.push_str("&query_id=");
    encode(&mut path, query_id);
    for (name, value) in NORMALISE {
        let _ = write!(path, "&{name}={value}");
    }
    let seconds = limit.map_or(0, |limit| limit.as_secs() + u64::from(limit.subsec_nanos() > 0));
    let _ = write!(path, "&max_execution_time={}", seconds.min(31_536_000));
    path
}

/// Percent-encodes what is not plain in the query part of a URL.
fn encode(path: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_limits_rounded_up() {
        let path = path("a b&c=ä", "id", Some(Duration::from_millis(1_001)));
        assert!(path.starts_with("/?database=a%20b%26c%3D%C3%A4&query_id=id&readonly=2&"), "{path}");
        assert!(path.ends_with("&max_execution_time=2"), "{path}");
        assert!(super::path("a", "id", None).ends_with("&max_execution_time=0"));
    }
}

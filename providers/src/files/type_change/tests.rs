//! Every ordered pair of ordinary types, and how people spell them.

use super::*;
use crate::type_change::table::{assert_synonyms, assert_table};

/// See [`assert_table`] for how to read it.
const TABLE: &str = r#"
Null                                                                            | =
Boolean                                                                         | w=
Int8                                                                            | w.=
UInt8                                                                           | w..=
Int16                                                                           | w.ww=
UInt16                                                                          | w..w.=
Int32                                                                           | w.wwww=
UInt32                                                                          | w..w.w.=
Int64                                                                           | w.wwwwww=
UInt64                                                                          | w..w.w.w.=
Float16                                                                         | w.ww......=
Float32                                                                         | w.wwww....w=
Float64                                                                         | w.wwwwww..ww=
Decimal128(5, 2)                                                                | w.ww.........=
Decimal128(20, 0)                                                               | w.wwwwwwww....=
Decimal128(38, 10)                                                              | w.wwwwwwww...ww=
Decimal256(50, 10)                                                              | w.wwwwwwww...www=
Utf8                                                                            | w................=
Binary                                                                          | w.................=
FixedSizeBinary(4)                                                              | w.................n=
FixedSizeBinary(16)                                                             | w.................n.=
Date32                                                                          | w....................=
Date64                                                                          | w.....................=
Time32(s)                                                                       | w......................=
Time64(µs)                                                                      | w......................w=
Time64(ns)                                                                      | w......................ww=
Timestamp(s)                                                                    | w.........................=
Timestamp(µs)                                                                   | w.....................w...w=
Timestamp(ns)                                                                   | w.....................w...ww=
Timestamp(ms, "UTC")                                                            | w............................=
Timestamp(µs, "UTC")                                                            | w............................w=
Duration(ms)                                                                    | w..............................=
Duration(ns)                                                                    | w..............................w=
Interval(MonthDayNano)                                                          | w................................=
List(Int32)                                                                     | w.................................=
List(Int64)                                                                     | w.................................w=
FixedSizeList(3 x Int32)                                                        | w.................................nn=
FixedSizeList(4 x Int32)                                                        | w.................................nn.=
Struct("a": Int32)                                                              | w.....................................=
Struct("a": Int64)                                                              | w.....................................w=
Struct("a": Int32, "b": Utf8)                                                   | w.......................................=
Map("entries": non-null Struct("key": non-null Utf8, "value": Int32), unsorted) | w........................................=
"#;

#[test]
fn every_pair_of_types_is_judged() {
    assert_table(&type_change, TABLE);
}

#[test]
fn encodings_and_spellings_are_one_type() {
    let lines = [
        "Utf8 | LargeUtf8 | Utf8View | Dictionary(Int32, Utf8)",
        "Binary | LargeBinary | BinaryView",
        "Int64 | Dictionary(Int32, Int64) | RunEndEncoded(\"run_ends\": non-null Int32, \"values\": Int64)",
        "Decimal128(5, 2) | Decimal32(5, 2) | Decimal256(5,2)",
        "Timestamp(µs, \"UTC\") | Timestamp(us, \"+00:00\") | Timestamp(Microsecond, Some(\"Europe/Berlin\"))",
        "Timestamp(µs) | Timestamp(Microsecond, None)",
        "List(Int64) | LargeList(Int64) | List(non-null Int64) | List(Int64, field: 'element')",
        "no type | No  Type",
        "another",
    ];
    assert_synonyms(&type_change, &lines);
}

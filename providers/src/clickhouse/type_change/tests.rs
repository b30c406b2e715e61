//! Every ordered pair of ordinary types, and how people spell them.

use super::*;
use crate::type_change::table::{assert_synonyms, assert_table};

/// See [`assert_table`] for how to read it.
const TABLE: &str = r#"
Int8                         | =
UInt8                        | .=
Int16                        | ww=
UInt16                       | .w.=
Int32                        | wwww=
UInt32                       | .w.w.=
Int64                        | wwwwww=
UInt64                       | .w.w.w.=
Int128                       | ........=
UInt128                      | .........=
Int256                       | ........ww=
UInt256                      | .........w.=
Float32                      | wwww........=
Float64                      | wwwwww......w=
Decimal(3,0)                 | ww............=
Decimal(10,2)                | wwww..........w=
Decimal(12,4)                | wwww..........ww=
Decimal(20,0)                | wwwwwwww......w..=
Decimal(76,38)               | wwwwwwww......wwww=
String                       | ...................=
FixedString(3)               | ....................=
FixedString(16)              | .....................=
Date                         | ......................=
Date32                       | ......................w=
DateTime                     | ........................=
DateTime64(3)                | ........................w=
DateTime64(6)                | ........................ww=
DateTime64(9)                | ........................w..=
Time                         | ............................=
Time64(3)                    | .............................=
Bool                         | ..............................=
UUID                         | ...............................=
Enum8('a'=1,'b'=2)           | ...................n............=
Enum8('a'=1,'b'=2,'c'=3)     | ...................n............w=
Enum8('b'=1,'a'=2)           | ...................n............=n=
IPv4                         | ...................................=
IPv6                         | ....................................=
Array(Int8)                  | .....................................=
Array(Int32)                 | .....................................w=
Array(Nullable(Int32))       | .....................................ww=
Array(UUID)                  | ........................................=
Array(Array(Int8))           | .........................................=
Map(String,Int8)             | ..........................................=
Tuple(Int8,String)           | ...........................................=
JSON                         | ............................................=
AggregateFunction(uniq,Int8) | .............................................=
"#;

#[test]
fn spellings_are_one_type() {
    let lines = [
        "Int8 | tinyint | byte | int1 | Nullable(Int8) | tinyint(4)",
        "UInt8 | tinyint unsigned",
        "Int16 | smallint | SMALLINT SIGNED",
        "Int32 | int | INTEGER | int(11) | LowCardinality(Int32)",
        "Int64 | bigint | signed",
        "UInt64 | bigint unsigned | unsigned",
        "UInt16 | year",
        "Float32 | float | real | single",
        "Float64 | double | double precision",
        "Decimal(10, 0) | decimal | numeric(10)",
        "Decimal(18, 4) | Decimal64(4) | dec(18,4)",
        "String | text | varchar(20) | LowCardinality(Nullable(String)) | bytea",
        "FixedString(3) | binary(3)",
        "DateTime | DateTime('UTC') | timestamp | datetime32",
        "DateTime64(3) | DateTime64(3, 'Asia/Tokyo') | datetime64",
        "Bool | boolean",
        "Enum8('a' = 1, 'b' = 2) | Enum8('a'=1,'b'=2) | Enum16('a' = 1, 'b' = 2)",
        "IPv4 | inet4",
        "Array(Int32) | Array(int)",
        "Array(Nullable(Int32))",
        "Int64 unheard of",
    ];
    assert_synonyms(&type_change, &lines);
}

#[test]
fn every_pair_of_types_is_judged() {
    assert_table(&type_change, TABLE);
}

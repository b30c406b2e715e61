//! Every ordered pair of ordinary types, and how people spell them.

use super::*;
use crate::type_change::table::{assert_synonyms, assert_table};

/// See [`assert_table`] for how to read it.
const TABLE: &str = r#"
smallint                       | =
integer                        | w=
bigint                         | ww=
oid                            | ..n=
real                           | w...=
double precision               | ww.ww=
numeric(5,0)                   | w.....=
numeric(10,2)                  | w.....w=
numeric(12,4)                  | w.....ww=
numeric(19,0)                  | wwww..w..=
numeric(60,2)                  | wwww..ww.w=
numeric                        | wwww..wwww.=
numeric(80,2)                  | ............=
numeric(90,2)                  | ............w=
numeric(3,-2)                  | ..............=
character(3)                   | ...............=
character(5)                   | ...............w=
character varying(4)           | ...............w.=
character varying(20)          | ...............www=
character varying(63)          | ...............wwww=
text                           | ...............wwwww=
bpchar                         | ...............ww...n=
name                           | ...................nn.=
"char"                         | .......................=
citext                         | ........................=
boolean                        | .........................=
date                           | ..........................=
time(0) without time zone      | ...........................=
time without time zone         | ...........................w=
time with time zone            | .............................=
timestamp(3) without time zone | ..............................=
timestamp without time zone    | ..............................w=
timestamp(3) with time zone    | ................................=
timestamp with time zone       | ................................w=
interval(3)                    | ..................................=
interval                       | ..................................w=
interval year to month         | ..................................nn=
interval day to second(3)      | ..................................nn.=
bytea                          | ......................................=
uuid                           | .......................................=
json                           | ........................................=
jsonb                          | .........................................=
xml                            | ..........................................=
money                          | ...........................................=
inet                           | ............................................=
cidr                           | .............................................=
macaddr                        | ..............................................=
bit(3)                         | ...............................................=
bit(8)                         | ................................................=
bit varying(8)                 | ...............................................ww=
bit varying                    | ...............................................www=
mood                           | ...................................................=
int4range                      | ....................................................=
point                          | .....................................................=
tsvector                       | ......................................................=
smallint[]                     | .......................................................=
integer[]                      | .......................................................w=
numeric(10,2)[]                | .......................................................w.=
numeric(12,4)[]                | .......................................................w.w=
numeric[]                      | ...........................................................=
character varying(20)[]        | ............................................................=
text[]                         | ............................................................w=
character(3)[]                 | ..............................................................=
character(5)[]                 | ...............................................................=
inet[]                         | ................................................................=
"#;

#[test]
fn every_pair_of_types_is_judged() {
    assert_table(&type_change, TABLE);
}

#[test]
fn spellings_are_one_type() {
    let lines = [
        "smallint | int2 | SMALLINT | smallserial | pg_catalog.int2",
        "integer | int | int4 | Integer | serial | pg_catalog.int4",
        "bigint | int8 | bigserial",
        "real | float4 | float(24) | float(1)",
        "double precision | double  precision | float8 | float | float(53)",
        "numeric | decimal | dec",
        "numeric(10,0) | decimal(10) | numeric( 10 , 0 ) | dec(10,0)",
        "boolean | bool",
        "character varying | varchar | text",
        "character varying(20) | varchar(20) | VARCHAR ( 20 ) | char varying(20)",
        "character(1) | char | character | char(1) | bpchar(1) | nchar(1)",
        "bpchar",
        "\"char\" | pg_catalog.\"char\"",
        "timestamp without time zone | timestamp | timestamp(6) | timestamp(6) without time zone",
        "timestamp with time zone | timestamptz | timestamptz(6) | timestamp(6) with time zone",
        "timestamp(3) with time zone | timestamptz(3)",
        "time without time zone | time | time(6)",
        "time with time zone | timetz",
        "interval | interval(6)",
        "interval day to second | interval day to second(6)",
        "bit(1) | bit",
        "bit varying(5) | varbit(5)",
        "integer[] | int[] | int4[] | integer[3] | integer[][] | integer array",
        "mood | public.mood | MOOD",
        "\"Mood\" | public.\"Mood\"",
        "public.text",
        "geometry(Point,4326) | public.geometry(point, 4326)",
        "geometry",
    ];
    assert_synonyms(&type_change, &lines);
}

#[test]
fn a_text_that_is_no_type_is_only_like_itself() {
    for text in ["", "(", "numeric(a)", "integer(3)", "float(99)", "interval foo(3", "text[", "]", "\"x"] {
        assert_eq!(type_change(text, text), TypeChange::Same, "{text}");
        assert_eq!(type_change(text, "integer"), TypeChange::Different, "{text}");
    }
}

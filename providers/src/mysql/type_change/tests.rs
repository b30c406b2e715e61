//! Every ordered pair of ordinary types, and how people spell them.

use super::*;
use crate::type_change::table::{assert_synonyms, assert_table};

/// See [`assert_table`] for how to read it.
const TABLE: &str = r#"
tinyint(4)             | =
tinyint(3) unsigned    | .=
smallint(6)            | ww=
smallint(5) unsigned   | .w.=
mediumint(9)           | wwww=
mediumint(8) unsigned  | .w.w.=
int(11)                | wwwwww=
int(10) unsigned       | .w.w.w.=
bigint(20)             | wwwwwwww=
bigint(20) unsigned    | .w.w.w.w.=
year(4)                | ..nnnnnnnn=
decimal(3,0)           | ww.........=
decimal(10,2)          | wwwwww....ww=
decimal(10,2) unsigned | .w.w.w....w.n=
decimal(12,4)          | wwwwww....wwww=
decimal(20,0)          | wwwwwwwwwwww...=
decimal(65,30)         | wwwwwwwwwwwwwwww=
float                  | wwwwww....w......=
float unsigned         | .w.w.w....w......n=
float(7,4)             | .................n.=
float(8,4)             | .................n.w=
double                 | wwwwwwww..w......wwww=
double(9,4)            | .....................n=
bit(1)                 | .......................=
bit(8)                 | ........................=
char(3)                | .........................=
char(20)               | .........................w=
varchar(10)            | .........................w.=
varchar(63)            | .........................www=
varchar(300)           | .........................wwww=
tinytext               | .........................wwwwn=
text                   | .........................wwwwww=
mediumtext             | .........................wwwwwww=
longtext               | .........................wwwwwwww=
json                   | .................................n=
enum('a','b')          | .........................nnnnnnnnn.=
enum('a','b','c')      | .........................nnnnnnnnn.w=
enum('b','a')          | .........................nnnnnnnnn...=
set('a','b')           | .........................nnnnnnnnn....=
set('a','b','c')       | ..........................nnnnnnnn....w=
binary(3)              | ........................................=
binary(16)             | .........................................=
varbinary(10)          | ........................................w.=
varbinary(300)         | ........................................www=
tinyblob               | ........................................wwwn=
blob                   | ........................................wwwww=
mediumblob             | ........................................wwwwww=
longblob               | ........................................wwwwwww=
date                   | ................................................=
time                   | .................................................=
time(3)                | .................................................w=
datetime               | ...................................................=
datetime(6)            | ...................................................w=
timestamp              | .....................................................=
timestamp(6)           | .....................................................w=
uuid                   | .......................................................=
inet4                  | ........................................................=
inet6                  | .........................................................=
point                  | ..........................................................=
polygon                | ...........................................................=
geometry               | ..........................................................ww=
"#;

#[test]
fn every_pair_of_types_is_judged() {
    assert_table(&type_change, TABLE);
}

#[test]
fn spellings_are_one_type() {
    let lines = [
        "tinyint | tinyint(1) | tinyint(4) | bool | boolean | int1",
        "tinyint unsigned | tinyint(3) unsigned | tinyint(3) unsigned zerofill",
        "smallint | smallint(6) | int2",
        "mediumint | mediumint(9) | middleint | int3",
        "int | int(11) | INTEGER | int4 | int signed",
        "int unsigned | int(10) unsigned | int(11)unsigned | int(5) zerofill",
        "bigint | bigint(20) | int8",
        "bigint unsigned | bigint(20) unsigned | serial",
        "decimal(10,0) | decimal | numeric | dec(10) | fixed(10,0)",
        "decimal(10,2) | numeric(10, 2)",
        "float | float(24) | float4",
        "double | double precision | real | float8 | float(53)",
        "double(9,4) | real(9,4)",
        "bit(1) | bit",
        "year | year(4)",
        "char(1) | char | character(1) | national char(1)",
        "varchar(20) | character varying(20) | nvarchar(20) | varchar(20) character set latin1 | varchar(20) charset utf8mb4 collate utf8mb4_bin \
         | varchar(20) binary",
        "mediumtext | long | long varchar",
        "binary(1) | binary | char byte",
        "enum('a','it''s','(,)') | ENUM( 'a', 'it''s', '(,)' ) character set utf8mb4",
        "enum('A') | enum('A')",
        "datetime | datetime(0) | datetime /* mariadb-5.3 */",
        "datetime(6)",
        "timestamp | timestamp(0)",
        "geometrycollection | geomcollection",
        "vector(3)",
        "vector(4)",
    ];
    assert_synonyms(&type_change, &lines);
}

#[test]
fn labels_widen_only_in_their_order() {
    let cases = [
        ("enum('a','b')", "enum('a','b','c')", TypeChange::Widened),
        ("enum('a','b')", "enum('a','x','b')", TypeChange::Widened),
        ("enum('a','b')", "enum('a')", TypeChange::Narrowed),
        ("enum('a','b')", "enum('b','a')", TypeChange::Different),
        ("enum('a','b')", "enum('a','c')", TypeChange::Different),
        ("enum('a')", "enum('A')", TypeChange::Different),
        ("enum('long one')", "varchar(8)", TypeChange::Widened),
        ("enum('long one')", "varchar(7)", TypeChange::Different),
        // A set prints all its labels at once.
        ("set('a','b')", "varchar(3)", TypeChange::Widened),
        ("set('a','b')", "varchar(2)", TypeChange::Different),
    ];
    for (expected, actual, change) in cases {
        assert_eq!(type_change(expected, actual), change, "from {expected} to {actual}");
    }
}

#[test]
fn a_text_that_is_no_type_is_only_like_itself() {
    for text in ["", "(", "decimal(a)", "varchar", "enum(a)", "int(1,2)", "float(1,2,3)", "text(10)", "varchar(-1)"] {
        assert_eq!(type_change(text, text), TypeChange::Same, "{text}");
        assert_eq!(type_change(text, "int"), TypeChange::Different, "{text}");
    }
}

//! Every ordered pair of ordinary types, and how people spell them.

use super::*;
use crate::type_change::table::{assert_synonyms, assert_table};

/// See [`assert_table`] for how to read it.
const TABLE: &str = r#"
INTEGER       | =
REAL          | .=
TEXT          | ..=
VARCHAR(10)   | ..n=
VARCHAR(20)   | ..nw=
BLOB          | .....=
              | ......=
BOOLEAN       | .......=
DATE          | ........=
TIME          | .........=
DATETIME      | ..........=
TIMESTAMPTZ   | ...........=
DECIMAL(5)    | ............=
DECIMAL(10,2) | ............w=
DECIMAL(12,2) | ............ww=
DECIMAL(50,2) | ............www=
NUMERIC       | ............www.=
JSON          | .................=
STRING        | ..................=
POINT         | ...................=
"#;

#[test]
fn every_pair_of_types_is_judged() {
    assert_table(&type_change, TABLE);
}

#[test]
fn spellings_are_one_type() {
    let lines = [
        "INTEGER | integer | INT | BIGINT | TINYINT(1) | UNSIGNED BIG INT",
        "REAL | DOUBLE PRECISION | double  precision | FLOAT",
        "TEXT | text | CLOB | VARCHAR",
        "VARCHAR(20) | varchar( 20 ) | NCHAR(20)",
        "VARCHAR(300)",
        "BLOB | blob",
        "BOOLEAN | bool",
        "DATETIME | TIMESTAMP | timestamp  without time zone | DATETIME(6)",
        "TIMESTAMPTZ | TIMESTAMP WITH TIME ZONE",
        "DECIMAL(10,2) | NUMERIC(10, 2) | dec(10,2)",
        "DECIMAL(5) | NUMERIC(5,0)",
        "NUMERIC | DECIMAL",
        "JSON",
        "STRING | ANY",
    ];
    assert_synonyms(&type_change, &lines);
}

//! What `Comparison` says of a text column is held against the server, for pairs of texts that collations confuse.

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use mysql_async::prelude::Queryable;

use super::server::{TestServer, cells, table};
use crate::mysql::dialect::MySqlDialect;
use crate::remote::Comparison;
use crate::sql::{Dialect, NullOrder};

const TEXTS: &[&str] = &[
    "",
    " ",
    "  ",
    "a",
    "A",
    "a ",
    "a\t",
    "a\0",
    "b",
    "B",
    "ab",
    "a-b",
    "z",
    "Z",
    "0",
    "10",
    "9",
    "~",
    "\u{7f}",
    "é",
    "É",
    "e",
    "e\u{301}",
    "ß",
    "ss",
    "ä",
    "ae",
    "Ω",
    "ω",
    "€",
    "ÿ",
    "œ",
    "日本",
    "ｱ",
    "ア",
    "ı",
    "I",
    "i",
    "\u{ffff}",
    "\u{feff}",
    "\u{200d}",
    "😀",
    "😁",
    "\u{10000}",
];

const COLLATIONS: &[(&str, &str, Comparison)] = &[
    ("utf8mb4", "utf8mb4_nopad_bin", Comparison::Total),
    ("utf8mb3", "utf8mb3_nopad_bin", Comparison::Total),
    ("ascii", "ascii_nopad_bin", Comparison::Total),
    ("latin1", "latin1_nopad_bin", Comparison::Equality),
    ("ucs2", "ucs2_nopad_bin", Comparison::Equality),
    ("utf16", "utf16_nopad_bin", Comparison::Equality),
    ("utf32", "utf32_nopad_bin", Comparison::Equality),
    ("utf8mb4", "utf8mb4_bin", Comparison::SupersetEquality),
    ("utf8mb4", "utf8mb4_general_ci", Comparison::SupersetEquality),
    ("utf8mb4", "utf8mb4_unicode_nopad_ci", Comparison::SupersetEquality),
    ("utf8mb4", "utf8mb4_uca1400_as_cs", Comparison::SupersetEquality),
    ("utf8mb3", "utf8mb3_general_ci", Comparison::SupersetEquality),
    ("latin1", "latin1_swedish_ci", Comparison::SupersetEquality),
    ("latin1", "latin1_general_cs", Comparison::SupersetEquality),
    ("latin1", "latin1_bin", Comparison::SupersetEquality),
    ("ascii", "ascii_general_ci", Comparison::SupersetEquality),
    ("latin2", "latin2_general_ci", Comparison::None),
];

#[tokio::test]
async fn comparisons_are_as_declared() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("collations").await;
    let remote = server.remote("collations").await;
    let dialect = MySqlDialect::maria_db();
    for (at, (character_set, collation, declared)) in COLLATIONS.iter().enumerate() {
        admin
            .query_drop(format!(
                "CREATE TABLE t{at} (id int PRIMARY KEY, v varchar(30) CHARACTER SET {character_set} COLLATE {collation}, KEY (v))"
            ))
            .await
            .unwrap();
        // A text the character set cannot hold is left out.
        admin.query_drop("SET SESSION sql_mode = 'STRICT_ALL_TABLES'").await.unwrap();
        let mut held = Vec::new();
        for (id, text) in TEXTS.iter().enumerate() {
            let literal = dialect.literal(&ScalarValue::from(*text)).unwrap();
            if admin.query_drop(format!("INSERT INTO t{at} VALUES ({id}, {literal})")).await.is_ok() {
                held.push((id, *text));
            }
        }
        assert!(held.len() >= 20, "{collation} holds only {}", held.len());
        assert_eq!(table(&remote, &format!("t{at}")).await.columns[1].comparison, *declared, "{collation}");
        if *declared == Comparison::None {
            continue;
        }
        let ids = async |condition: &str| -> Vec<usize> {
            let sql = format!("SELECT id FROM t{at} WHERE {condition} ORDER BY id");
            let cells = cells(&remote, &sql, &[DataType::Int32]).await.unwrap_or_else(|error| panic!("{collation}: {sql}: {error}"));
            cells.into_iter().map(|row| row[0].parse().unwrap()).collect()
        };
        let expected = |holds: &dyn Fn(&str) -> bool| -> Vec<usize> { held.iter().filter(|(_, t)| holds(t)).map(|(id, _)| *id).collect() };
        // Every text, those the column cannot hold too.
        for text in TEXTS {
            let literal = dialect.literal(&ScalarValue::from(*text)).unwrap();
            let found = ids(&format!("v = {literal}")).await;
            let ours = expected(&|held| held == *text);
            if *declared == Comparison::SupersetEquality {
                assert!(ours.iter().all(|id| found.contains(id)), "{collation}: v = {literal}");
                continue;
            }
            assert_eq!(found, ours, "{collation}: v = {literal}");
            assert_eq!(ids(&format!("v <> {literal}")).await, expected(&|held| held != *text), "{collation}: v <> {literal}");
            if *declared == Comparison::Total {
                assert_eq!(ids(&format!("v < {literal}")).await, expected(&|held| held < *text), "{collation}: v < {literal}");
                assert_eq!(ids(&format!("v >= {literal}")).await, expected(&|held| held >= *text), "{collation}: v >= {literal}");
            }
        }
        let list: Vec<_> = ["a", "é", "日本", "it's"].iter().map(|text| dialect.literal(&ScalarValue::from(*text)).unwrap()).collect();
        let found = ids(&format!("v IN ({})", list.join(", "))).await;
        assert!(expected(&|held| ["a", "é", "日本"].contains(&held)).iter().all(|id| found.contains(id)), "{collation}: IN");

        if *declared == Comparison::Total {
            let mut sorted: Vec<_> = held.iter().map(|(_, text)| vec![(*text).to_owned()]).collect();
            sorted.sort();
            for (index, ascending) in [("USE", true), ("IGNORE", true), ("IGNORE", false)] {
                let order = dialect.order_by("v", &DataType::Utf8, ascending, NullOrder::Last);
                let sql = format!("SELECT v FROM t{at} {index} INDEX (v) ORDER BY {order}");
                assert_eq!(cells(&remote, &sql, &[DataType::Utf8]).await.unwrap(), sorted, "{collation}: {sql}");
                if index == "IGNORE" {
                    sorted.reverse();
                }
            }
        }
        if matches!(declared, Comparison::Total | Comparison::Equality) {
            for way in ["SQL_SMALL_RESULT", "SQL_BIG_RESULT"] {
                let sql = format!("SELECT {way} COUNT(*) FROM t{at} IGNORE INDEX (v) GROUP BY {}", dialect.group_by("v", &DataType::Utf8));
                assert_eq!(cells(&remote, &sql, &[DataType::Int64]).await.unwrap().len(), held.len(), "{collation}: {sql}");
            }
        }
        // Joined with itself: at least every text with itself, and nothing else where that is declared.
        let joined = cells(&remote, &format!("SELECT COUNT(*) FROM t{at} x JOIN t{at} y ON x.v = y.v"), &[DataType::Int64]).await.unwrap();
        let joined: usize = joined[0][0].parse().unwrap();
        assert!(joined == held.len() || (*declared == Comparison::SupersetEquality && joined > held.len()), "{collation}: join");
    }
}

/// A column too long to be sorted by every byte is not declared to be.
#[tokio::test]
async fn long_texts_are_not_trusted_to_sort() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("long_texts").await;
    admin
        .query_drop(
            "CREATE TABLE t (a varchar(256) COLLATE utf8mb4_nopad_bin, b varchar(257) COLLATE utf8mb4_nopad_bin, c text COLLATE utf8mb4_nopad_bin, \
             d varbinary(1024), e blob)",
        )
        .await
        .unwrap();
    let remote = server.remote("long_texts").await;
    let seen: Vec<_> = table(&remote, "t").await.columns.into_iter().map(|column| column.comparison).collect();
    let (total, superset) = (Comparison::Total, Comparison::SupersetEquality);
    assert_eq!(seen, [total, superset, superset, total, superset]);
    // Texts of the longest trusted kind that differ in the last character only.
    admin
        .query_drop("INSERT INTO t (a) SELECT CONCAT(REPEAT('\u{1f600}', 255), CHAR(97 + seq)) FROM seq_0_to_9 ORDER BY seq % 3")
        .await
        .unwrap();
    let found = cells(&remote, "SELECT RIGHT(a, 1) FROM t ORDER BY a", &[DataType::Utf8]).await.unwrap();
    assert_eq!(found.concat(), ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    let groups = cells(&remote, "SELECT COUNT(*) FROM (SELECT DISTINCT a FROM t) s", &[DataType::Int64]).await.unwrap();
    assert_eq!(groups, [["10".to_owned()]]);
}

//! The table that the tests of all connectors write to.

use std::time::Duration;

use super::{CellValue, DescribedColumn, DescribedType, EnsureMode, EnsureReport, InsertReport, TableDescriptor, Writer};
use crate::deadline::Deadline;
use crate::error::Result;

/// Long enough for a busy machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Texts that are easy to get wrong between here and there.
pub(crate) const AWKWARD: [&str; 12] = [
    "plain",
    "",
    " blanks ",
    "it's \"quoted\" `twice`",
    r"back\slash \' \n \\",
    "line\nfeed\ttab\r",
    "ümläut, 中文, 🦀",
    "$1 %s ? :name {0}",
    "NULL",
    "\\N",
    "1e5",
    "'); DROP TABLE letters; --",
];

/// A table of every type, with one awkward name.
pub(crate) fn descriptor() -> TableDescriptor {
    let column = |name: &str, kind, nullable| DescribedColumn { name: name.to_owned(), kind, nullable };
    TableDescriptor {
        schema: None,
        name: "letters".to_owned(),
        columns: vec![
            column("seq", DescribedType::BigInt, false),
            column("id", DescribedType::Key, false),
            column("su\"b`ject", DescribedType::Text, true),
            column("at", DescribedType::Timestamp, false),
            column("data", DescribedType::Json, true),
        ],
        primary_key: vec!["id".to_owned()],
    }
}

/// A row of [`descriptor`], whose moment is 2024-02-29 12:34:56.789012 UTC and `seq` microseconds.
pub(crate) fn row(seq: i64, id: &str, subject: &str) -> Vec<CellValue> {
    vec![
        CellValue::BigInt(seq),
        CellValue::Text(id.to_owned()),
        CellValue::Text(subject.to_owned()),
        CellValue::Timestamp(1_709_210_096_789_012 + seq),
        CellValue::Json(json(subject)),
    ]
}

/// A document whose text a source may not change: an order of keys, blanks, a key twice, and a number that no float holds.
pub(crate) fn json(subject: &str) -> String {
    let text: String = subject
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("{{\"z\": 1, \"a\":  [\"{text}\", 12345678901234567890.10], \"z\": \"it's\"}}")
}

/// So many rows whose ids begin with `prefix`.
pub(crate) fn rows(prefix: &str, count: i64) -> Vec<Vec<CellValue>> {
    (0..count).map(|seq| row(seq, &format!("{prefix}-{seq}"), AWKWARD[usize::try_from(seq).unwrap() % AWKWARD.len()])).collect()
}

pub(crate) async fn add(writer: &dyn Writer, descriptor: &TableDescriptor) -> Result<EnsureReport> {
    writer.ensure_table(descriptor, EnsureMode::Additive, Deadline::after(PATIENCE)).await
}

pub(crate) async fn check(writer: &dyn Writer, descriptor: &TableDescriptor) -> Result<EnsureReport> {
    writer.ensure_table(descriptor, EnsureMode::CheckOnly, Deadline::after(PATIENCE)).await
}

pub(crate) async fn insert(writer: &dyn Writer, rows: &[Vec<CellValue>]) -> Result<InsertReport> {
    writer.insert(&descriptor(), rows, Deadline::after(PATIENCE)).await
}

/// What every source does alike with an empty database: the table is made once, and rows count once.
pub(crate) async fn from_nothing(writer: &dyn Writer) {
    let missing = check(writer, &descriptor()).await.unwrap_err();
    assert_eq!(missing.kind(), crate::ErrorKind::NotFound, "{missing}");
    let statement = missing.hint_text().unwrap().to_owned();
    assert!(statement.starts_with("CREATE TABLE"), "{statement}");
    assert_eq!(insert(writer, &rows("early", 1)).await.unwrap_err().kind(), crate::ErrorKind::NotFound);

    let made = add(writer, &descriptor()).await.unwrap();
    assert_eq!(made, EnsureReport { executed: vec![statement], ..EnsureReport::default() });
    assert_eq!(add(writer, &descriptor()).await.unwrap(), EnsureReport::default());
    assert_eq!(check(writer, &descriptor()).await.unwrap(), EnsureReport::default());

    let first = rows("a", 10_000);
    assert_eq!(insert(writer, &first).await.unwrap(), InsertReport { inserted: 10_000, duplicates: 0 });
    assert_eq!(insert(writer, &first).await.unwrap(), InsertReport { inserted: 0, duplicates: 10_000 });
    let mixed: Vec<_> = rows("b", 700).into_iter().chain(rows("a", 300)).chain(rows("b", 5)).collect();
    assert_eq!(insert(writer, &mixed).await.unwrap(), InsertReport { inserted: 700, duplicates: 305 });
    assert_eq!(insert(writer, &[]).await.unwrap(), InsertReport::default());
    // Keys differ by their bytes, whatever a source's collation makes of them.
    let alike = ["key", "KEY", "Key", "kéy", " key"].map(|id| row(1, id, ""));
    assert_eq!(insert(writer, &alike).await.unwrap(), InsertReport { inserted: 5, duplicates: 0 });
    assert_eq!(insert(writer, &alike).await.unwrap(), InsertReport { inserted: 0, duplicates: 5 });
    // A row that is there stays as it is.
    assert_eq!(insert(writer, &[row(99, "a-1", "other")]).await.unwrap(), InsertReport { inserted: 0, duplicates: 1 });
    // What does not fit is refused before anything is sent.
    let refused = insert(writer, &[row(1, "fits", ""), row(1, "", "")]).await.unwrap_err();
    assert_eq!(refused.kind(), crate::ErrorKind::Invalid, "{refused}");
    assert!(refused.datasource().is_some());
}

/// Two gateways at once on an empty source: both find the table, and every row is counted by exactly one.
pub(crate) async fn two_at_once(one: &dyn Writer, other: &dyn Writer) {
    let gateway = async |writer: &dyn Writer| {
        add(writer, &descriptor()).await.unwrap();
        let mut inserted = 0;
        for chunk in rows("both", 2000).chunks(100) {
            let report = insert(writer, chunk).await.unwrap();
            assert_eq!(report.inserted + report.duplicates, 100);
            inserted += report.inserted;
        }
        inserted
    };
    let (one, other) = futures::future::join(gateway(one), gateway(other)).await;
    assert_eq!(one + other, 2000, "{one} and {other}");
}

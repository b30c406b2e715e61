//! Every difference between a table and its descriptor, without a source.

use super::*;

/// A source that writes plainly and ignores the case of columns.
struct Plain;

impl Definition for Plain {
    fn quote(&self, identifier: &str) -> String {
        format!("<{identifier}>")
    }

    fn table(&self, descriptor: &TableDescriptor) -> String {
        self.quote(&descriptor.name)
    }

    fn type_name(&self, kind: DescribedType) -> &'static str {
        match kind {
            DescribedType::Key => "key",
            DescribedType::Text => "text",
            DescribedType::Json => "json",
            DescribedType::Timestamp => "moment",
            DescribedType::BigInt => "number",
        }
    }

    fn table_options(&self) -> &'static str {
        " PLAINLY"
    }

    fn is_same_column(&self, left: &str, right: &str) -> bool {
        left.eq_ignore_ascii_case(right)
    }

    fn add_column(&self, table: &str, column: &str) -> String {
        format!("ADD {table} {column}")
    }

    fn change_type(&self, table: &str, column: &str, wanted: &DescribedColumn) -> Option<String> {
        (wanted.kind != DescribedType::Json).then(|| format!("CHANGE {table} {column} {}", self.type_name(wanted.kind)))
    }

    fn allow_null(&self, table: &str, column: &str, found: &FoundColumn) -> Option<String> {
        Some(format!("RELAX {table} {column} {}", found.remote_type))
    }
}

fn descriptor() -> TableDescriptor {
    let column = |name: &str, kind, nullable| DescribedColumn { name: name.to_owned(), kind, nullable };
    TableDescriptor {
        schema: None,
        name: "t".to_owned(),
        columns: vec![
            column("id", DescribedType::Key, false),
            column("data", DescribedType::Json, true),
            column("at", DescribedType::Timestamp, false),
        ],
        primary_key: vec!["id".to_owned()],
    }
}

fn column(name: &str, kind: DescribedType) -> FoundColumn {
    let remote_type = Plain.type_name(kind).to_owned();
    FoundColumn { name: name.to_owned(), remote_type, holds: vec![kind], nullable: name != "id", filling: Filling::Nothing }
}

fn fitting() -> FoundTable {
    FoundTable {
        columns: vec![column("id", DescribedType::Key), column("data", DescribedType::Json), column("at", DescribedType::Timestamp)],
        primary_key: vec!["id".to_owned()],
    }
}

/// What one look leads to.
fn step(mode: EnsureMode, found: Option<&FoundTable>) -> Result<Step> {
    Ensuring::new(&descriptor(), &Plain, mode)?.next(found)
}

/// A report of what was skipped and why no row can be inserted.
fn skipped(statements: &[&str], obstacles: &[&str]) -> Step {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Step::Done(EnsureReport { executed: Vec::new(), skipped: owned(statements), obstacles: owned(obstacles) })
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS <t> (<id> key NOT NULL, <data> json, <at> moment NOT NULL, PRIMARY KEY (<id>)) PLAINLY";

#[test]
fn a_missing_table_is_made_or_its_statement_shown() {
    assert_eq!(step(EnsureMode::Additive, None).unwrap(), Step::Run(vec![CREATE.to_owned()]));
    let error = step(EnsureMode::CheckOnly, None).unwrap_err();
    assert_eq!((error.kind(), error.hint_text()), (ErrorKind::NotFound, Some(CREATE)));
}

#[test]
fn a_table_that_fits_is_left_alone() {
    let mut found = fitting();
    for mode in [EnsureMode::Additive, EnsureMode::CheckOnly] {
        assert_eq!(step(mode, Some(&found)).unwrap(), skipped(&[], &[]));
    }
    // Another order, another case, and fewer constraints than described.
    found.columns.reverse();
    found.columns[2].name = "ID".to_owned();
    found.primary_key = vec!["ID".to_owned()];
    assert_eq!(step(EnsureMode::Additive, Some(&found)).unwrap(), skipped(&[], &[]));
}

#[test]
fn a_missing_column_is_added_without_a_constraint() {
    let mut found = fitting();
    found.columns.pop();
    assert_eq!(step(EnsureMode::Additive, Some(&found)).unwrap(), Step::Run(vec!["ADD <t> <at> moment".to_owned()]));
    let expected = skipped(&["ADD <t> <at> moment"], &["column \"at\" is missing"]);
    assert_eq!(step(EnsureMode::CheckOnly, Some(&found)).unwrap(), expected);
}

#[test]
fn what_may_lose_data_is_never_run() {
    type Change = fn(&mut FoundTable);
    let cases: [(Change, Step); 8] = [
        (
            |found| found.columns[2] = FoundColumn { name: "at".to_owned(), ..column("text", DescribedType::Text) },
            skipped(&["CHANGE <t> <at> moment"], &["column \"at\" is text where moment is needed"]),
        ),
        (
            |found| found.columns[1] = FoundColumn { name: "data".to_owned(), ..column("number", DescribedType::BigInt) },
            skipped(
                &["column \"data\" is number where json is needed: the table has to be made anew"],
                &["column \"data\" is number where json is needed"],
            ),
        ),
        (|found| found.columns[1].nullable = false, skipped(&["RELAX <t> <data> json"], &["column \"data\" takes no NULL"])),
        (
            |found| found.columns[1].filling = Filling::Generated,
            skipped(
                &["column \"data\" is generated and takes no values: the table has to be made anew"],
                &["column \"data\" is generated and takes no values"],
            ),
        ),
        (|found| found.columns.push(column("more", DescribedType::Text)), skipped(&["ALTER TABLE <t> DROP COLUMN <more>"], &[])),
        (
            |found| found.columns.push(FoundColumn { nullable: false, filling: Filling::Default, ..column("more", DescribedType::Text) }),
            skipped(&["ALTER TABLE <t> DROP COLUMN <more>"], &[]),
        ),
        (
            |found| found.columns.push(FoundColumn { nullable: false, ..column("more", DescribedType::Text) }),
            skipped(
                &["ALTER TABLE <t> DROP COLUMN <more>"],
                &["column \"more\" is not ours, takes no NULL and has no default: give it a default or drop it"],
            ),
        ),
        (
            |found| found.primary_key = vec!["at".to_owned()],
            skipped(
                &["the primary key of <t> is (<at>), and needs to be (<id>)"],
                &["the primary key of <t> is (<at>), and needs to be (<id>)"],
            ),
        ),
    ];
    for (change, expected) in cases {
        let mut found = fitting();
        change(&mut found);
        for mode in [EnsureMode::Additive, EnsureMode::CheckOnly] {
            assert_eq!(step(mode, Some(&found)).unwrap(), expected);
        }
    }
}

#[test]
fn a_key_is_neither_added_nor_made_shorter() {
    let mut found = fitting();
    found.columns.remove(0);
    found.primary_key.clear();
    let sentence = "<t> has no primary key, and needs (<id>)";
    assert_eq!(step(EnsureMode::Additive, Some(&found)).unwrap(), skipped(&[sentence], &[sentence]));
    let mut found = fitting();
    found.primary_key.push("at".to_owned());
    let sentence = "the primary key of <t> is (<id>, <at>), and needs to be (<id>)";
    assert_eq!(step(EnsureMode::Additive, Some(&found)).unwrap(), skipped(&[sentence], &[sentence]));
}

#[test]
fn what_was_run_is_reported_after_another_look() {
    let descriptor = descriptor();
    let mut ensuring = Ensuring::new(&descriptor, &Plain, EnsureMode::Additive).unwrap();
    let Step::Run(statements) = ensuring.next(None).unwrap() else { panic!("nothing to run") };
    for statement in statements {
        ensuring.ran(statement);
    }
    // Somebody else made it meanwhile, and less of it.
    let mut found = fitting();
    found.columns.pop();
    assert_eq!(ensuring.next(Some(&found)).unwrap(), Step::Run(vec!["ADD <t> <at> moment".to_owned()]));
    ensuring.ran("ADD".to_owned());
    let Step::Done(report) = ensuring.next(Some(&fitting())).unwrap() else { panic!("not done") };
    assert_eq!(report, EnsureReport { executed: vec![CREATE.to_owned(), "ADD".to_owned()], ..EnsureReport::default() });
}

#[test]
fn a_table_that_keeps_vanishing_is_given_up() {
    let descriptor = descriptor();
    let mut ensuring = Ensuring::new(&descriptor, &Plain, EnsureMode::Additive).unwrap();
    for _ in 0..ROUNDS {
        ensuring.next(None).unwrap();
    }
    assert_eq!(ensuring.next(None).unwrap_err().kind(), ErrorKind::Conflict);
}

//! Every kind of difference, what is none, and the fingerprints.

use causeway_providers::{Introspection, Omission, OmissionCause, RemoteTable, Subject, TypeChange};

use super::*;
use crate::fake::table;

fn types(expected: &str, actual: &str) -> TypeChange {
    match (expected, actual) {
        _ if expected == actual => TypeChange::Same,
        ("int8", "bigint") | ("bigint", "int8") => TypeChange::Same,
        ("bigint", "numeric") => TypeChange::Widened,
        ("bigint", "integer") => TypeChange::Narrowed,
        _ => TypeChange::Different,
    }
}

fn cust() -> RemoteTable {
    let mut cust = table("public", "cust", &["id", "name", "note"]);
    cust.columns[0].nullable = false;
    cust.primary_key = vec!["id".to_owned()];
    cust
}

fn seen(tables: Vec<RemoteTable>) -> Introspection {
    Introspection { default_schema: "public".to_owned(), tables, omitted: Vec::new() }
}

/// What differs once `change` was made to the table, a line each.
fn found(change: impl FnOnce(&mut RemoteTable)) -> Vec<String> {
    let mut changed = cust();
    change(&mut changed);
    lines(&compare(&Baseline::of(&seen(vec![cust()])), &Observation::of(&seen(vec![changed])), &types))
}

fn lines(report: &DriftReport) -> Vec<String> {
    report.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn each_kind_has_its_severity() {
    assert_eq!(found(|t| drop(t.columns.pop())), ["error    public.cust: column note is gone (expected text)"]);
    assert_eq!(found(|t| t.columns.push(table("", "", &["id"]).columns.remove(0))).len(), 0, "a name twice is known");
    assert_eq!(found(|t| t.columns.extend(table("", "", &["extra"]).columns)), ["warning  public.cust: column extra is new (text)"]);
    let typed = |name: &'static str| found(move |t| t.columns[0].remote_type = name.to_owned());
    assert_eq!(typed("numeric"), ["warning  public.cust: column id is numeric (expected bigint)"]);
    assert_eq!(typed("integer"), ["error    public.cust: column id is integer (expected bigint)"]);
    assert_eq!(typed("text"), ["error    public.cust: column id is text (expected bigint)"]);
    let collated = |collation: Option<&str>| {
        let of = |collation: Option<&str>| {
            let mut cust = cust();
            cust.columns[1].collation = collation.map(str::to_owned);
            seen(vec![cust])
        };
        lines(&compare(&Baseline::of(&of(Some("C"))), &Observation::of(&of(collation)), &types))
    };
    assert_eq!(collated(Some("en_US")), ["warning  public.cust: column name is text COLLATE en_US (expected text COLLATE C)"]);
    let image = |collation: &str| {
        let mut cust = cust();
        cust.columns[1].collation = Some(collation.to_owned());
        cust
    };
    let told = compare(&Baseline::of(&seen(vec![image("C")])), &Observation::of(&seen(vec![image("en_US")])), &types);
    assert_eq!(told.tables[0].before.as_ref().unwrap().columns[1].collation.as_deref(), Some("C"));
    assert_eq!(told.tables[0].after.as_ref().unwrap().columns[1].collation.as_deref(), Some("en_US"));
    assert!(collated(Some("C")).is_empty() && collated(None).is_empty(), "one that is not known is not another one");
    assert_eq!(found(|t| t.columns[0].nullable = true), ["error    public.cust: column id is nullable (expected not null)"]);
    assert_eq!(found(|t| t.columns[1].nullable = false), ["warning  public.cust: column name is not null (expected nullable)"]);
    assert_eq!(found(|t| t.primary_key.clear()), ["error    public.cust: the primary key is none (expected (id))"]);
    assert_eq!(found(|t| t.primary_key.push("name".to_owned())), ["error    public.cust: the primary key is (id, name) (expected (id))"]);
    let base = Baseline::of(&seen(vec![cust()]));
    let gone = compare(&base, &Observation::of(&seen(Vec::new())), &types);
    assert_eq!(lines(&gone), ["error    public.cust: the table is gone"]);
    assert!(gone.tables[0].before.is_some() && gone.tables[0].after.is_none());
    let other = compare(&base, &Observation::of(&seen(vec![cust(), table("mart", "sales", &["id"])])), &types);
    assert_eq!(lines(&other), ["warning  mart.sales: the table is new"]);
    let quiet = Baseline { watches_new_tables: false, ..base };
    assert!(lines(&compare(&quiet, &Observation::of(&seen(vec![cust(), table("mart", "sales", &["id"])])), &types)).is_empty());
}

#[test]
fn a_gained_key_is_a_warning() {
    let mut before = cust();
    before.primary_key.clear();
    let report = compare(&Baseline::of(&seen(vec![before])), &Observation::of(&seen(vec![cust()])), &types);
    assert_eq!(lines(&report), ["warning  public.cust: the primary key is (id) (expected none)"]);
}

#[test]
fn spelling_order_comments_and_counts_are_no_differences() {
    assert!(found(|t| t.columns[0].remote_type = "int8".to_owned()).is_empty());
    assert!(found(|t| t.columns.reverse()).is_empty());
    assert!(
        found(|t| {
            t.comment = Some("new".to_owned());
            t.row_estimate = Some(7);
            t.columns[1].comment = Some("new".to_owned());
            t.columns[1].collation = Some("C".to_owned());
        })
        .is_empty()
    );
}

#[test]
fn ignored_columns_may_come_and_go() {
    let mut contract = Contract::of(&cust());
    contract.columns.retain(|column| column.name != "note");
    contract.ignore_columns.insert("note".to_owned());
    let agrees = |contract: &Contract, table: &RemoteTable| compare_table(contract, table, &types, &|_| false).is_empty();
    let mut without = cust();
    without.columns.pop();
    assert!(agrees(&contract, &cust()));
    assert!(agrees(&contract, &without));
    contract.primary_key = None;
    without.primary_key.clear();
    without.columns[0].nullable = true;
    contract.columns.iter_mut().for_each(|column| column.nullable = None);
    assert!(agrees(&contract, &without), "what a contract does not say is not compared");
}

#[test]
fn what_may_not_be_read_is_unreadable_and_nothing_else() {
    let unreadable = |subject: Subject| Omission {
        subject: subject.to_string(),
        reason: "no SELECT privilege".to_owned(),
        cause: OmissionCause::Unreadable,
    };
    let base = Baseline::of(&seen(vec![cust()]));
    let hidden = Introspection { omitted: vec![unreadable(Subject::table("public", "cust"))], ..seen(Vec::new()) };
    let report = compare(&base, &Observation::of(&hidden), &types);
    assert_eq!(lines(&report), ["unknown  public.cust: our user may not read it"]);
    assert!(report.tables.is_empty());
    let mut partly = cust();
    partly.columns.remove(0);
    partly.primary_key.clear();
    let hidden = Introspection { omitted: vec![unreadable(Subject::column("public", "cust", "id"))], ..seen(vec![partly]) };
    assert!(compare(&base, &Observation::of(&hidden), &types).tables.is_empty());
}

#[test]
fn a_table_under_two_contracts_has_each_difference_once() {
    let mut base = Baseline::of(&seen(vec![cust()]));
    base.expectations.push(base.expectations[0].clone());
    let mut changed = cust();
    changed.columns.pop();
    let report = compare(&base, &Observation::of(&seen(vec![changed])), &types);
    assert_eq!(report.tables.len(), 1);
    assert_eq!(report.tables[0].differences.len(), 1);
}

#[test]
fn fingerprints_tell_what_matters() {
    let same = |change: fn(&mut RemoteTable)| {
        let mut changed = cust();
        change(&mut changed);
        table_fingerprint(&changed) == table_fingerprint(&cust()) && fingerprint(&seen(vec![changed])) == fingerprint(&seen(vec![cust()]))
    };
    assert!(same(|_| {}));
    assert!(same(|t| t.columns.reverse()));
    assert!(same(|t| t.row_estimate = Some(9)));
    assert!(!same(|t| t.columns[0].nullable = true));
    assert!(!same(|t| t.primary_key.clear()));
    assert!(!same(|t| t.comment = Some("c".to_owned())));
    assert!(!same(|t| t.name.push('x')));
    let two = |order: [&str; 2]| fingerprint(&seen(order.map(|name| table("s", name, &["id"])).into()));
    assert_eq!(two(["a", "b"]), two(["b", "a"]));
}

fn unreadable(subject: &Subject) -> Omission {
    Omission { subject: subject.to_string(), reason: "no SELECT privilege".to_owned(), cause: OmissionCause::Unreadable }
}

/// What a table is expected to be under a contract, of which it was this before.
fn under(contract: &RemoteTable, earlier: &[RemoteTable], standing: Standing) -> Expectation {
    Expectation { contract: Contract::of(contract), standing, earlier: earlier.to_vec(), published: None }
}

fn columns(image: Option<&TableImage>) -> Option<Vec<&str>> {
    image.map(|image| image.columns.iter().map(|column| column.name.as_str()).collect())
}

#[test]
fn the_image_before_is_another_than_the_one_after() {
    let [agreed, broken, mended, more] = [&["id", "name"][..], &["id"], &["id", "name", "note"], &["id", "name", "note", "more"]]
        .map(|names| table("public", "cust", names));
    let images = |earlier: &[RemoteTable], now: &RemoteTable| {
        let expectations = vec![under(&agreed, earlier, Standing::Imported)];
        let report = compare(&Baseline { expectations, watches_new_tables: false }, &Observation::of(&seen(vec![now.clone()])), &types);
        let found = report.of(&Subject::table("public", "cust")).expect("it differs from its contract").clone();
        assert_ne!(found.before, found.after, "{report}");
        columns(found.before.as_ref()).map(|names| names.join(" ")).unwrap_or_default()
    };
    assert_eq!(images(std::slice::from_ref(&agreed), &mended), "id name");
    assert_eq!(images(&[mended.clone(), broken.clone()], &mended), "id", "mended and changed at once: what was accepted is the broken one");
    assert_eq!(images(&[mended.clone(), broken], &more), "id name note");
    assert_eq!(images(std::slice::from_ref(&mended), &mended), "id name", "the contract is older than what was accepted");
    assert_eq!(images(&[], &mended), "id name", "it was never seen");
    let mut commented = mended.clone();
    commented.comment = Some("new".to_owned());
    assert_eq!(images(&[commented], &mended), "id name", "a comment is no difference");
}

#[test]
fn a_table_is_new_when_it_is_not_shown_whoever_imported_it() {
    let drift = |standing, now: Introspection| {
        let base = Baseline { expectations: vec![under(&cust(), &[cust()], standing)], watches_new_tables: true };
        lines(&compare(&base, &Observation::of(&now), &types))
    };
    let new = "warning  public.cust: the table is new";
    let mut changed = cust();
    changed.columns.pop();
    assert!(drift(Standing::Published, seen(vec![cust()])).is_empty());
    assert_eq!(drift(Standing::Imported, seen(vec![cust()])), [new]);
    assert_eq!(drift(Standing::Imported, seen(vec![changed.clone()])), [new, "error    public.cust: column note is gone (expected text)"]);
    assert_eq!(drift(Standing::Hidden, seen(vec![changed])), [new], "nothing was expected of its columns");
    let hidden = Introspection { omitted: vec![unreadable(&cust().subject())], ..seen(vec![]) };
    assert_eq!(drift(Standing::Hidden, hidden), ["unknown  public.cust: our user may not read it"]);
    assert_eq!(drift(Standing::Hidden, seen(Vec::new())), ["error    public.cust: the table is gone"]);
}

#[test]
fn of_what_may_not_be_read_a_report_says_nothing() {
    let base = Baseline::of(&seen(vec![cust()]));
    let subject = cust().subject();
    let said = |hidden: &Subject, now: Vec<RemoteTable>| {
        let report = compare(&base, &Observation::of(&Introspection { omitted: vec![unreadable(hidden)], ..seen(now) }), &types);
        let says = |kind, column| !report.says_nothing_of(&subject, kind, column);
        (report.unreadable.clone(), [says("type_mismatch", Some("note")), says("type_mismatch", Some("name")), says("pk_mismatch", None)])
    };
    let without = |column: &str| {
        let mut table = cust();
        table.columns.retain(|known| known.name != column);
        table
    };
    let (note, id) = (Subject::column("public", "cust", "note"), Subject::column("public", "cust", "id"));
    assert_eq!(said(&subject, Vec::new()), (vec!["public.cust".to_owned()], [false; 3]));
    assert_eq!(said(&note, vec![without("note")]), (vec!["public.cust.note".to_owned()], [false, true, true]));
    let mut keyless = without("id");
    keyless.primary_key.clear();
    assert_eq!(said(&id, vec![keyless.clone()]), (vec!["public.cust.id".to_owned()], [true, true, false]));
    // A key of columns that we may read and of one that we may not is not shown at all.
    let mut keyless = without("note");
    keyless.primary_key.clear();
    let hidden = Introspection { omitted: vec![unreadable(&note)], ..seen(vec![keyless]) };
    assert!(compare(&base, &Observation::of(&hidden), &types).tables.is_empty());
}

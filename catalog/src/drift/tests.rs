//! Every kind of difference with its severity, and what is none.

use std::collections::BTreeSet;

use causeway_providers::{
    Comparison, Introspection, Omission, OmissionCause, Presentation, RemoteColumn, RemoteTable, Subject, TableKind, TypeChange,
};
use datafusion::arrow::datatypes::DataType;

use super::*;

/// A table of `public` with columns as `name type` or `name type not null`.
fn table(name: &str, columns: &[&str], primary_key: &[&str]) -> RemoteTable {
    let column = |text: &&str| {
        let (declared, nullable) = text.strip_suffix(" not null").map_or((*text, true), |declared| (declared, false));
        let (name, remote_type) = declared.split_once(' ').unwrap();
        RemoteColumn {
            name: name.to_owned(),
            remote_type: remote_type.to_owned(),
            data_type: DataType::Utf8,
            presentation: Presentation::Plain,
            nullable,
            comment: None,
            collation: None,
            comparison: Comparison::None,
        }
    };
    RemoteTable {
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind: TableKind::Table,
        columns: columns.iter().map(column).collect(),
        primary_key: primary_key.iter().map(|&name| name.to_owned()).collect(),
        unique_keys: Vec::new(),
        comment: None,
        row_estimate: None,
    }
}

fn cust() -> RemoteTable {
    table("cust", &["id integer not null", "email text", "age smallint"], &["id"])
}

/// Everything of `tables`, as exposed tables are watched.
fn baseline(tables: &[RemoteTable]) -> Baseline {
    Baseline {
        contracts: tables.iter().map(Contract::of).collect(),
        watches_new_tables: true,
        images: tables.iter().map(TableImage::of).collect(),
    }
}

fn seen(tables: &[RemoteTable]) -> Observation {
    Observation { tables: tables.to_vec(), unreadable: BTreeSet::new() }
}

fn unreadable(tables: &[RemoteTable], subjects: &[Subject]) -> Observation {
    Observation { tables: tables.to_vec(), unreadable: subjects.iter().map(Subject::to_string).collect() }
}

/// Integers of three sizes, of which `int` is a synonym of the second.
fn types(expected: &str, actual: &str) -> TypeChange {
    let size = |name: &str| match name {
        "smallint" => Some(1),
        "integer" | "int" => Some(2),
        "bigint" => Some(3),
        _ => None,
    };
    match (size(expected), size(actual)) {
        (Some(a), Some(b)) if a == b => TypeChange::Same,
        (Some(a), Some(b)) if a < b => TypeChange::Widened,
        (Some(_), Some(_)) => TypeChange::Narrowed,
        _ => TypeChange::Different,
    }
}

/// The report's lines.
fn lines(base: &Baseline, seen: &Observation) -> Vec<String> {
    compare(base, seen, &types).to_string().lines().map(ToOwned::to_owned).collect()
}

/// What `expected` as a baseline says of `actual`, one line per difference.
fn between(expected: &RemoteTable, actual: &RemoteTable) -> Vec<String> {
    lines(&baseline(std::slice::from_ref(expected)), &seen(std::slice::from_ref(actual)))
}

#[test]
fn every_kind_has_its_severity() {
    let changed = |columns: &[&str], key: &[&str]| between(&cust(), &table("cust", columns, key));
    let (id, email, age) = ("id integer not null", "email text", "age smallint");
    let cases: [(&[&str], &[&str], &[&str]); 12] = [
        (&[id, email, age], &["id"], &[]),
        (&[id, age], &["id"], &["error    public.cust: column email is gone (expected text)"]),
        (&[id, email, age, "fax text"], &["id"], &["warning  public.cust: column fax is new (text)"]),
        (&[id, email, "age bigint"], &["id"], &["warning  public.cust: column age is bigint (expected smallint)"]),
        (&["id smallint not null", email, age], &["id"], &["error    public.cust: column id is smallint (expected integer)"]),
        (&[id, "email uuid", age], &["id"], &["error    public.cust: column email is uuid (expected text)"]),
        (&["id integer", email, age], &["id"], &["error    public.cust: column id is nullable (expected not null)"]),
        (&[id, "email text not null", age], &["id"], &["warning  public.cust: column email is not null (expected nullable)"]),
        (&[id, email, age], &[], &["error    public.cust: the primary key is gone (expected (id))"]),
        (&[id, email, age], &["id", "email"], &["error    public.cust: the primary key is (id, email) (expected (id))"]),
        (
            &["id int not null", "age bigint", "e_mail text"],
            &["id"],
            &[
                "error    public.cust: column email is gone (expected text)",
                "warning  public.cust: column e_mail is new (text)",
                "warning  public.cust: column age is bigint (expected smallint)",
            ],
        ),
        (&["id int not null", email, age], &["id"], &[]),
    ];
    for (columns, key, expected) in cases {
        assert_eq!(changed(columns, key), expected, "{columns:?} {key:?}");
    }
    assert_eq!(lines(&baseline(&[cust()]), &seen(&[])), ["error    public.cust: the table is gone"]);
    assert_eq!(lines(&baseline(&[]), &seen(&[cust()])), ["warning  public.cust: the table is new"]);
    let keyless = table("cust", &["id integer not null"], &[]);
    assert_eq!(between(&keyless, &table("cust", &["id integer not null"], &["id"])), ["warning  public.cust: the primary key (id) is new"]);
    // The order of a key's columns is part of the key.
    let both = ["a integer not null", "b integer not null"];
    assert_eq!(
        between(&table("cust", &both, &["a", "b"]), &table("cust", &both, &["b", "a"])),
        ["error    public.cust: the primary key is (b, a) (expected (a, b))"]
    );
}

#[test]
fn what_is_no_difference_to_anybody() {
    let mut other = cust();
    other.columns.reverse();
    other.comment = Some("customers".to_owned());
    other.row_estimate = Some(7);
    other.unique_keys = vec![vec!["email".to_owned()]];
    for column in &mut other.columns {
        column.comment = Some("a comment".to_owned());
        column.collation = Some("en_US.utf8".to_owned());
    }
    assert_eq!(compare(&baseline(&[cust()]), &seen(&[other]), &types), DriftReport::default());
}

#[test]
fn what_a_contract_does_not_say_is_not_compared() {
    let mut contract = Contract { primary_key: None, ..Contract::of(&cust()) };
    contract.columns.iter_mut().for_each(|column| column.nullable = None);
    let base = Baseline { contracts: vec![contract], ..Baseline::default() };
    let loose = table("cust", &["id integer", "email text not null", "age smallint"], &["email"]);
    assert_eq!(compare(&base, &seen(&[loose, table("more", &["id integer"], &[])]), &types), DriftReport::default());
}

#[test]
fn ignored_columns_may_come_change_and_go() {
    let ignore: BTreeSet<String> = ["email", "fax"].map(str::to_owned).into();
    let base = Baseline { contracts: vec![Contract { ignore_columns: ignore, ..Contract::of(&cust()) }], ..Baseline::default() };
    let id = "id integer not null";
    for columns in [&[id, "age smallint"][..], &[id, "age smallint", "email uuid not null"], &[id, "age smallint", "fax text"]] {
        assert_eq!(compare(&base, &seen(&[table("cust", columns, &["id"])]), &types), DriftReport::default(), "{columns:?}");
    }
    assert_eq!(
        lines(&base, &seen(&[table("cust", &[id, "telex text"], &["id"])])),
        ["error    public.cust: column age is gone (expected smallint)", "warning  public.cust: column telex is new (text)"]
    );
}

#[test]
fn what_may_not_be_read_is_neither_gone_nor_changed() {
    let base = baseline(&[cust(), table("orders", &["id integer"], &[])]);
    let report = compare(&base, &unreadable(&[table("orders", &["id integer"], &[])], &[Subject::table("public", "cust")]), &types);
    assert_eq!((report.tables.as_slice(), report.unreadable.as_slice()), ([].as_slice(), ["public.cust".to_owned()].as_slice()));
    assert_eq!(report.to_string(), "unknown  public.cust: may not be read");

    // A column, and with it the key that it is part of. The rest of the table is compared.
    let half = table("cust", &["email uuid", "age smallint"], &[]);
    let seen = unreadable(&[half, table("orders", &["id integer"], &[])], &[Subject::column("public", "cust", "id")]);
    assert_eq!(
        lines(&base, &seen),
        ["error    public.cust: column email is uuid (expected text)", "unknown  public.cust.id: may not be read"]
    );

    // What nothing is expected of is not told of.
    let stranger = unreadable(&base_tables(), &[Subject::table("public", "secret"), Subject::column("public", "cust", "salary")]);
    assert_eq!(compare(&base, &stranger, &types), DriftReport::default());

    // A dot in a name does not make a column of a table.
    let dotted = Contract { table: "cust.id".to_owned(), ..Contract::of(&cust()) };
    let base = Baseline { contracts: vec![dotted], ..Baseline::default() };
    assert_eq!(
        lines(&base, &unreadable(&[], &[Subject::column("public", "cust", "id")])),
        ["error    public.\"cust.id\": the table is gone"]
    );
}

fn base_tables() -> Vec<RemoteTable> {
    vec![cust(), table("orders", &["id integer"], &[])]
}

#[test]
fn a_look_tells_what_may_not_be_read_from_what_cannot_be_mapped() {
    let omission = |subject: &str, cause| Omission { subject: subject.to_owned(), reason: String::new(), cause };
    let omitted = vec![omission("public.cust", OmissionCause::Unreadable), omission("public.orders", OmissionCause::Unmapped)];
    let seen = Observation::from(Introspection { omitted, ..Introspection::default() });
    assert_eq!(
        lines(&baseline(&base_tables()), &seen),
        ["error    public.orders: the table is gone", "unknown  public.cust: may not be read"]
    );
}

#[test]
fn new_tables_are_seen_only_when_watched_and_unknown() {
    let fresh = table("fresh", &["id integer"], &[]);
    let mut base = baseline(&[cust()]);
    assert_eq!(lines(&base, &seen(&[cust(), fresh.clone()])), ["warning  public.fresh: the table is new"]);
    base.images.push(TableImage::of(&fresh));
    assert_eq!(lines(&base, &seen(&[cust(), fresh.clone()])), [""; 0]);
    base.images.pop();
    base.watches_new_tables = false;
    assert_eq!(lines(&base, &seen(&[cust(), fresh])), [""; 0]);
}

#[test]
fn a_drift_holds_the_images_before_and_after() {
    let changed = table("cust", &["id integer not null", "email text"], &["id"]);
    let fresh = table("fresh", &["id integer"], &[]);
    let base = baseline(&[cust(), table("gone", &["id integer"], &[])]);
    let report = compare(&base, &seen(&[fresh.clone(), changed.clone()]), &types);
    let images: Vec<_> = report.tables.iter().map(|drift| (drift.table.as_str(), drift.before.clone(), drift.after.clone())).collect();
    let image = |table: &RemoteTable| Some(TableImage::of(table));
    assert_eq!(
        images,
        [
            ("cust", image(&cust()), image(&changed)),
            ("fresh", None, image(&fresh)),
            ("gone", image(&table("gone", &["id integer"], &[])), None),
        ]
    );
    // A table that was never seen as it is expected has no image before.
    let declared = Baseline { contracts: vec![Contract::of(&cust())], ..Baseline::default() };
    assert_eq!(compare(&declared, &seen(&[changed]), &types).tables[0].before, None);
}

#[test]
fn two_contracts_of_one_table_make_one_drift() {
    let exposed = Contract::of(&cust());
    let pinned = Contract { kind: ContractKind::Pinned, ignore_columns: ["age".to_owned()].into(), ..Contract::of(&cust()) };
    let changed = seen(&[table("cust", &["id integer not null"], &["id"])]);
    for contracts in [vec![exposed.clone(), pinned.clone()], vec![pinned, exposed]] {
        let report = compare(&Baseline { contracts, ..Baseline::default() }, &changed, &types);
        assert_eq!(report.tables.len(), 1);
        assert_eq!(report.tables[0].kind, ContractKind::Pinned);
        assert_eq!(
            report.tables[0].to_string(),
            "public.cust: column age is gone (expected smallint)\npublic.cust: column email is gone (expected text)"
        );
    }
}

#[test]
fn a_report_knows_its_worst() {
    let new = compare(&baseline(&[]), &seen(&[cust()]), &types);
    assert_eq!((new.severity(), new.tables[0].errors().count()), (Some(Severity::Warning), 0));
    let mixed = compare(&baseline(&[cust()]), &seen(&[table("cust", &["id bigint", "age smallint"], &["id"])]), &types);
    assert_eq!((mixed.severity(), mixed.tables[0].errors().count()), (Some(Severity::Error), 2));
    assert_eq!(DriftReport::default().severity(), None);
}

#[test]
fn words_are_the_same_in_text_and_json() {
    use DifferenceKind::{MissingColumn, MissingTable, NewTable, NullabilityMismatch, PkMismatch, TypeMismatch, UnmappedColumn};
    for kind in [MissingTable, NewTable, MissingColumn, UnmappedColumn, TypeMismatch, NullabilityMismatch, PkMismatch] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
    }
    for severity in [Severity::Warning, Severity::Error] {
        assert_eq!(serde_json::to_value(severity).unwrap(), severity.to_string());
    }
    for kind in [ContractKind::Exposed, ContractKind::Pinned] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

#[test]
fn fingerprints_follow_what_the_image_shows() {
    let same = {
        let mut same = cust();
        same.columns.reverse();
        same.row_estimate = Some(7);
        same
    };
    let print = fingerprint(&cust());
    assert_eq!(print.len(), 64);
    assert_eq!(fingerprint(&same), print);
    // Kept in stores: it may not change with the program.
    assert_eq!(print, include_str!("golden/fingerprint.txt").trim());

    let changes: [fn(&mut RemoteTable); 12] = [
        |table| table.schema = "mart".to_owned(),
        |table| table.name = "customer".to_owned(),
        |table| table.kind = TableKind::View,
        |table| drop(table.columns.pop()),
        |table| table.columns[1].name = "e_mail".to_owned(),
        |table| table.columns[1].remote_type = "uuid".to_owned(),
        |table| table.columns[1].nullable = false,
        |table| table.columns[1].collation = Some("C".to_owned()),
        |table| table.columns[1].comment = Some(String::new()),
        |table| table.primary_key.clear(),
        |table| table.unique_keys.push(vec!["email".to_owned()]),
        |table| table.comment = Some("customers".to_owned()),
    ];
    let mut all = BTreeSet::from([print]);
    for change in changes {
        let mut changed = cust();
        change(&mut changed);
        all.insert(fingerprint(&changed));
    }
    assert_eq!(all.len(), 13);

    // Columns of a key do not run together.
    let keyed = |keys: &[&[&str]]| {
        let unique_keys = keys.iter().map(|key| key.iter().map(|&name| name.to_owned()).collect()).collect();
        fingerprint(&RemoteTable { unique_keys, ..cust() })
    };
    assert_ne!(keyed(&[&["a", "b"]]), keyed(&[&["a"], &["b"]]));
    assert_eq!(keyed(&[&["a"], &["b"]]), keyed(&[&["b"], &["a"]]));

    let look = |tables: Vec<RemoteTable>| Introspection { default_schema: "public".to_owned(), tables, omitted: Vec::new() };
    let orders = table("orders", &["id integer"], &[]);
    let both = catalog_fingerprint(&look(vec![cust(), orders.clone()]));
    assert_eq!(catalog_fingerprint(&look(vec![orders.clone(), same])), both);
    assert_ne!(catalog_fingerprint(&look(vec![orders])), both);
}

/// Tables that change in every way at once, in a source some of whose names are odd.
fn large_report() -> DriftReport {
    let mut before = vec![
        table("cust", &["id integer not null", "email text", "age smallint", "zip text not null"], &["id"]),
        table("orders", &["id bigint not null", "cust integer", "total numeric"], &["id"]),
        table("gone", &["id integer"], &[]),
        table("still", &["id integer"], &[]),
        table("secret", &["id integer"], &[]),
        table("Odd.Name", &["a integer", "b\"c integer"], &[]),
        RemoteTable { kind: TableKind::View, ..table("lost_view", &["id integer"], &[]) },
        RemoteTable { schema: "mart".to_owned(), ..table("sales", &["day date not null", "sum numeric"], &["day"]) },
        table("half", &["id integer not null", "salary numeric"], &["id"]),
    ];
    let mut after = vec![
        table("cust", &["fax text", "zip text", "age bigint", "id smallint not null"], &[]),
        table("orders", &["id bigint not null", "cust uuid not null", "total numeric", "a_b text"], &["id", "cust"]),
        table("still", &["id int"], &[]),
        table("Odd.Name", &["a bigint"], &[]),
        RemoteTable { schema: "mart".to_owned(), ..table("sales", &["sum numeric", "day date not null"], &["day"]) },
        table("half", &["id integer not null"], &["id"]),
        RemoteTable { kind: TableKind::MaterializedView, ..table("fresh", &["id integer"], &[]) },
        RemoteTable { schema: "mart".to_owned(), ..table("fresh", &["id integer"], &[]) },
    ];
    before[0].comment = Some("our customers".to_owned());
    before[0].unique_keys = vec![vec!["email".to_owned()]];
    after[1].columns[3].name = "a b".to_owned();
    after[0].columns[1].collation = Some("en_US.utf8".to_owned());
    let mut base = baseline(&before);
    base.contracts[1].kind = ContractKind::Pinned;
    let seen = unreadable(&after, &[Subject::table("public", "secret"), Subject::column("public", "half", "salary")]);
    let report = compare(&base, &seen, &types);
    // The order of what is compared is nobody's business.
    base.contracts.reverse();
    base.images.reverse();
    let mut reversed = seen;
    reversed.tables.reverse();
    assert_eq!(compare(&base, &reversed, &types), report);
    report
}

#[test]
fn a_large_report_is_as_it_was() {
    let report = large_report();
    assert_eq!(format!("{report}\n"), include_str!("golden/report.txt"));
    let json = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(format!("{json}\n"), include_str!("golden/report.json"));
    assert_eq!(serde_json::from_str::<DriftReport>(&json).unwrap(), report);
}

//! Names, pinned tables and column maps.

use causeway_providers::{Presentation, RemoteId};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;

use super::*;
use crate::fake::{FakeRemote, FakeSource, datasource, pinned, table};

fn publish(datasource: &Datasource, tables: Vec<RemoteTable>) -> Result<Publication> {
    let source = FakeSource::with(tables);
    let seen = source.seen.lock().unwrap().clone();
    let remote: Arc<dyn Remote> = Arc::new(FakeRemote { id: RemoteId::new(&datasource.name), source });
    Publication::new(datasource, &remote, &seen)
}

fn unmapped(subject: &str, reason: &str) -> Omission {
    Omission { subject: subject.to_owned(), reason: reason.to_owned(), cause: OmissionCause::Unmapped }
}

fn names(publication: &Publication) -> Vec<String> {
    let schemas = publication.schemas.iter();
    schemas.flat_map(|(name, schema)| schema.tables.keys().map(move |table| format!("{name}.{table}"))).collect()
}

fn two_schemas() -> Vec<RemoteTable> {
    vec![table("mart", "sales", &["id"]), table("public", "cust", &["id", "cust_nm", "legacy"]), table("public", "Orders", &["id"])]
}

#[test]
fn the_default_schema_takes_the_datasources_name_and_others_are_prefixed() {
    let published = publish(&datasource("crm"), two_schemas()).unwrap();
    assert_eq!(names(&published), ["crm.Orders", "crm.cust", "crm_mart.sales"]);
    assert_eq!(published.tables(), 3);
    assert_eq!(published.schemas["crm_mart"].remote_schema, "mart");
}

#[test]
fn schema_names_override_and_an_empty_source_still_has_its_schema() {
    let mut crm = datasource("crm");
    crm.schema_names = BTreeMap::from([("public".to_owned(), "sales".to_owned()), ("mart".to_owned(), "mart".to_owned())]);
    assert_eq!(names(&publish(&crm, two_schemas()).unwrap()), ["mart.sales", "sales.Orders", "sales.cust"]);
    assert_eq!(publish(&crm, Vec::new()).unwrap().schemas.keys().collect::<Vec<_>>(), ["sales"]);
}

#[test]
fn two_remote_schemas_under_one_name_are_refused() {
    let mut crm = datasource("crm");
    crm.schema_names = BTreeMap::from([("mart".to_owned(), "crm".to_owned())]);
    let error = publish(&crm, two_schemas()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.message(), "remote schemas \"mart\" and \"public\" would both be published as schema \"crm\"");
}

#[test]
fn only_allowed_schemas_are_published() {
    let mut crm = datasource("crm");
    crm.allowed_schemas = vec!["mart".to_owned()];
    assert_eq!(names(&publish(&crm, two_schemas()).unwrap()), ["crm_mart.sales"]);
}

#[test]
fn a_pinned_table_replaces_the_exposed_one_and_hides_its_namesake() {
    let mut crm = datasource("crm");
    crm.tables = vec![pinned("Orders", "cust", &[], &[])];
    let published = publish(&crm, two_schemas()).unwrap();
    assert_eq!(names(&published), ["crm.Orders", "crm_mart.sales"]);
    assert_eq!(published.schemas["crm"].tables["Orders"].remote.name, "cust");
    assert_eq!(published.omitted, [unmapped("public.Orders", "a pinned table of the same name hides it")]);
    crm.expose = Expose::Pinned;
    assert_eq!(names(&publish(&crm, two_schemas()).unwrap()), ["crm.Orders"]);
}

#[test]
fn mismatches_name_table_and_column_and_leave_the_rest() {
    let mut crm = datasource("crm");
    crm.tables = vec![
        pinned("gone", "absent", &[], &[]),
        pinned("renamed", "cust", &[("no_such", "name")], &[]),
        pinned("doubled", "cust", &[("cust_nm", "id")], &[]),
        pinned("good", "cust", &[("cust_nm", "name")], &["legacy"]),
    ];
    let published = publish(&crm, two_schemas()).unwrap();
    assert_eq!(
        published.mismatches,
        [
            "pinned table \"gone\": the source has no table public.absent",
            "pinned table \"renamed\": public.cust has no column no_such",
            "pinned table \"doubled\": two columns would be named id",
        ]
    );
    assert_eq!(names(&published), ["crm.Orders", "crm.good", "crm_mart.sales"]);
    let error = published.mismatch_error("crm");
    assert!(error.message().starts_with("EXTERNAL_SCHEMA_MISMATCH: pinned table \"gone\""), "{error}");
    assert_eq!(error.datasource(), Some("crm"));
}

#[test]
fn a_pinned_table_the_source_left_out_says_why() {
    let source = FakeSource::with(Vec::new());
    let omission = unmapped("public.odd", "it has no columns");
    source.seen.lock().unwrap().omitted.push(omission);
    let seen = source.seen.lock().unwrap().clone();
    let remote: Arc<dyn Remote> = Arc::new(FakeRemote { id: RemoteId::new("crm"), source });
    let mut crm = datasource("crm");
    crm.tables = vec![pinned("odd", "odd", &[], &[])];
    let published = Publication::new(&crm, &remote, &seen).unwrap();
    assert_eq!(published.mismatches, ["pinned table \"odd\": public.odd cannot be read: it has no columns"]);
}

#[test]
fn a_table_that_cannot_be_read_is_omitted_and_hides_no_other() {
    let published = publish(&datasource("crm"), vec![table("public", "fine", &["id"]), table("public", "unreadable", &["id"])]).unwrap();
    assert_eq!(names(&published), ["crm.fine"]);
    assert_eq!(published.omitted, [unmapped("public.unreadable", "it cannot be read")]);
}

#[test]
fn validate_only_publishes_no_tables_and_still_compares() {
    let mut crm = datasource("crm");
    crm.schema_mode = SchemaMode::ValidateOnly;
    crm.tables = vec![pinned("gone", "absent", &[], &[])];
    let published = publish(&crm, two_schemas()).unwrap();
    assert_eq!(published.tables(), 0);
    assert_eq!(published.mismatches.len(), 1);
}

#[tokio::test]
async fn renamed_columns_are_read_filtered_and_keep_their_presentation() {
    let mut crm = datasource("crm");
    crm.tables = vec![pinned("customers", "cust", &[("cust_nm", "Name"), ("code", "ref")], &["legacy"])];
    let published = publish(&crm, vec![table("public", "cust", &["id", "legacy", "cust_nm", "code"])]).unwrap();
    let customers = &published.schemas["crm"].tables["customers"];
    assert!(customers.pinned);
    assert_eq!(customers.remote_columns, [0, 2, 3]);
    let named: Vec<_> = customers.columns.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(named, ["id", "Name", "ref"]);
    let seen_by_planner = customers.provider.schema();
    assert_eq!(seen_by_planner.fields(), customers.columns.fields());
    assert_eq!(Presentation::of(seen_by_planner.field(2)), Presentation::Uuid);

    let session = SessionContext::new();
    session.register_table("customers", Arc::clone(&customers.provider)).unwrap();
    let sql = "SELECT a.\"Name\", b.id FROM customers a JOIN customers b ON a.id = b.id WHERE a.\"Name\" = 'bob'";
    let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
    let shown = pretty_format_batches(&rows).unwrap().to_string();
    assert_eq!(shown.lines().collect::<Vec<_>>()[1..4], ["| Name | id |", "+------+----+", "| bob  | 2  |"]);
}

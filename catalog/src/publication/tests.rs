//! Names, pinned tables and column maps.

use causeway_providers::{Presentation, Remote, RemoteId, TypeChange};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;

use super::*;
use crate::datasource::Datasource;
use crate::drift::{Contract, ContractColumn};
use crate::fake::{FakeRemote, FakeSource, datasource, pinned, table};
use crate::store::StoredForeignTable;

fn publish(datasource: &Datasource, tables: Vec<RemoteTable>) -> Result<Publication> {
    publish_all(datasource, &[], Introspection { default_schema: "public".to_owned(), tables, omitted: Vec::new() })
}

fn publish_all(datasource: &Datasource, imported: &[StoredForeignTable], seen: Introspection) -> Result<Publication> {
    let source = FakeSource::with(seen.tables.clone());
    let remote: Arc<dyn Remote> = Arc::new(FakeRemote { id: RemoteId::new(&datasource.name), source });
    let provide = |table: &RemoteTable| Arc::clone(&remote).table(table);
    let types = |expected: &str, actual: &str| if expected == actual { TypeChange::Same } else { TypeChange::Different };
    let forms = |_: &str| (DataType::Utf8, Presentation::Plain);
    let mended = BTreeMap::new();
    Publication::new(&Declared { datasource, imported, mended: &mended, types: &types, forms: &forms }, &provide, &seen, None)
}

fn texts(publication: &Publication) -> Vec<&str> {
    publication.mismatches.iter().map(|mismatch| mismatch.text.as_str()).collect()
}

fn names(publication: &Publication) -> Vec<String> {
    let schemas = publication.offer.schemas.iter();
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
    assert_eq!(published.offer.schemas["crm_mart"].remote_schema, "mart");
}

#[test]
fn schema_names_override_and_an_empty_source_still_has_its_schema() {
    let mut crm = datasource("crm");
    crm.schema_names = BTreeMap::from([("public".to_owned(), "sales".to_owned()), ("mart".to_owned(), "mart".to_owned())]);
    assert_eq!(names(&publish(&crm, two_schemas()).unwrap()), ["mart.sales", "sales.Orders", "sales.cust"]);
    assert_eq!(publish(&crm, Vec::new()).unwrap().offer.schemas.keys().collect::<Vec<_>>(), ["sales"]);
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
    assert_eq!(published.offer.schemas["crm"].tables["Orders"].remote.name, "cust");
    assert_eq!(
        published.omitted,
        [Omission {
            subject: "public.Orders".to_owned(),
            reason: "a pinned table of the same name hides it".to_owned(),
            cause: OmissionCause::Unmapped
        }]
    );
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
        texts(&published),
        [
            "pinned table \"gone\": the source has no table public.absent",
            "pinned table \"renamed\": public.cust has no column no_such",
            "pinned table \"doubled\": two columns would be named id",
        ]
    );
    assert_eq!(names(&published), ["crm.Orders", "crm.good", "crm.renamed", "crm_mart.sales"]);
    let broken = published.offer.schemas["crm"].table("renamed").unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::SchemaMismatch);
    assert_eq!(broken.message(), "EXTERNAL_SCHEMA_MISMATCH: pinned table \"renamed\": public.cust has no column no_such");
    assert!(published.offer.schemas["crm"].table("good").unwrap().is_some(), "the others go on");
    let error = published.mismatch_error("crm");
    assert!(error.message().starts_with("EXTERNAL_SCHEMA_MISMATCH: pinned table \"gone\""), "{error}");
    assert_eq!(error.datasource(), Some("crm"));
}

#[test]
fn a_pinned_table_the_source_left_out_says_why() {
    let omission = Omission { subject: "public.odd".to_owned(), reason: "it has no columns".to_owned(), cause: OmissionCause::Unmapped };
    let seen = Introspection { default_schema: "public".to_owned(), tables: Vec::new(), omitted: vec![omission] };
    let mut crm = datasource("crm");
    crm.tables = vec![pinned("odd", "odd", &[], &[])];
    let published = publish_all(&crm, &[], seen).unwrap();
    assert_eq!(texts(&published), ["pinned table \"odd\": public.odd cannot be read: it has no columns"]);
}

#[test]
fn a_table_that_cannot_be_read_is_omitted_and_hides_no_other() {
    let published = publish(&datasource("crm"), vec![table("public", "fine", &["id"]), table("public", "unreadable", &["id"])]).unwrap();
    assert_eq!(names(&published), ["crm.fine"]);
    assert_eq!(
        published.omitted,
        [Omission { subject: "public.unreadable".to_owned(), reason: "it cannot be read".to_owned(), cause: OmissionCause::Unmapped }]
    );
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
    let customers = &published.offer.schemas["crm"].tables["customers"];
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

fn contract(columns: &[(&str, &str)]) -> Vec<ContractColumn> {
    let column = |(name, remote_type): &(&str, &str)| ContractColumn {
        name: (*name).to_owned(),
        remote_type: (*remote_type).to_owned(),
        nullable: None,
    };
    columns.iter().map(column).collect()
}

#[test]
fn a_contract_publishes_its_columns_alone_and_breaks_when_one_is_gone() {
    let mut crm = datasource("crm");
    crm.expose = Expose::Pinned;
    let mut kept = pinned("kept", "cust", &[("cust_nm", "name")], &[]);
    kept.columns = Some(contract(&[("cust_nm", "text"), ("id", "bigint")]));
    let mut broken = pinned("broken", "cust", &[], &[]);
    broken.columns = Some(contract(&[("id", "text"), ("email", "text")]));
    crm.tables = vec![kept, broken];
    let published = publish(&crm, two_schemas()).unwrap();
    let columns: Vec<_> = published.offer.schemas["crm"].tables["kept"].columns.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(columns, ["name", "id"], "in the contract's order, without what it does not name");
    assert_eq!(
        texts(&published),
        ["pinned table \"broken\": public.cust: column email is gone (expected text); public.cust: column id is bigint (expected text)"]
    );
    assert_eq!(published.offer.schemas["crm"].table("broken").unwrap_err().kind(), ErrorKind::SchemaMismatch);
    let shown: Vec<_> = published.offer.schemas["crm"].tables["broken"]
        .columns
        .fields()
        .iter()
        .map(|f| (f.name().clone(), f.data_type().clone()))
        .collect();
    assert_eq!(shown, [("id".to_owned(), DataType::Utf8), ("email".to_owned(), DataType::Utf8)], "as the contract has it");
}

#[test]
fn a_table_that_was_never_seen_is_shown_as_its_contract_has_it() {
    let mut crm = datasource("crm");
    let mut lost = pinned("lost", "absent", &[("nm", "name")], &["noise"]);
    lost.columns = Some(contract(&[("id", "bigint"), ("nm", "text")]));
    crm.tables = vec![lost, pinned("unknown", "nowhere", &[], &[])];
    let published = publish(&crm, two_schemas()).unwrap();
    let columns: Vec<_> = published.offer.schemas["crm"].tables["lost"].columns.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(columns, ["id", "name"]);
    let broken = published.offer.schemas["crm"].table("lost").unwrap_err();
    assert_eq!((broken.kind(), published.mismatches.len()), (ErrorKind::SchemaMismatch, 2));
    assert!(!published.offer.schemas["crm"].tables.contains_key("unknown"), "nothing says what columns it has");
}

#[test]
fn imported_tables_go_to_the_schema_they_were_imported_into() {
    let cust = table("public", "cust", &["id", "cust_nm"]);
    let imported = StoredForeignTable {
        schema: "sales".to_owned(),
        name: "customers".to_owned(),
        datasource: "crm".to_owned(),
        writable: false,
        contract: Contract::of(&cust),
        fingerprint: String::new(),
        comment: Some("ours".to_owned()),
        imported_at: std::time::SystemTime::now(),
        imported_by: None,
    };
    let seen = Introspection { default_schema: "public".to_owned(), tables: vec![cust], omitted: Vec::new() };
    let published = publish_all(&datasource("crm"), &[imported], seen).unwrap();
    assert_eq!(names(&published), ["crm.cust"], "the datasource's own schema goes on showing it");
    let customers = &published.offer.imported[0];
    assert_eq!((customers.schema.as_str(), customers.name.as_str(), customers.pinned), ("sales", "customers", true));
    assert_eq!(customers.comment.as_deref(), Some("ours"));
}

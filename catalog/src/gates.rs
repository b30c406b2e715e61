//! The gates: who may change what at a source. Pure decisions; whoever changes something asks here first.

use causeway_providers::{Error, ErrorKind, Result};

use crate::datasource::{Datasource, SchemaMode};
use crate::snapshot::{CatalogSnapshot, ForeignTable};

/// The code of a refusal to change a schema that is not ours.
pub const SCHEMA_MODE_VIOLATION: &str = "EXTERNAL_SCHEMA_MODE_VIOLATION";
/// The code of a refusal to write rows.
pub const WRITE_FORBIDDEN: &str = "EXTERNAL_WRITE_FORBIDDEN";

/// Whether Causeway may run DDL on a datasource.
///
/// # Errors
/// `ReadOnly` with [`SCHEMA_MODE_VIOLATION`] unless its `schema_mode` is `managed`.
pub fn admit_ddl(datasource: &Datasource) -> Result<()> {
    match datasource.schema_mode {
        SchemaMode::Managed => Ok(()),
        SchemaMode::External | SchemaMode::ValidateOnly => {
            let mode = datasource.schema_mode.as_str();
            Err(refusal(SCHEMA_MODE_VIOLATION, &format!("its schema_mode is {mode}, so nothing is created or altered there"), datasource)
                .hint("let the owner of the schema make the change, or set `schema_mode: managed` if Causeway owns it"))
        }
    }
}

/// Whether a statement may drop a published table, in its own words: at its source.
///
/// # Errors
/// As [`admit_ddl`]; of an imported one in any mode, for what was imported is no table of the source's to drop.
pub fn admit_drop(datasource: &Datasource, table: &ForeignTable, published: &CatalogSnapshot) -> Result<()> {
    let is_imported = published.schemas.get(&table.schema).is_some_and(|schema| schema.datasource.is_none());
    if !is_imported {
        return admit_ddl(datasource);
    }
    let (schema, name) = (&table.schema, &table.name);
    Err(refusal(
        SCHEMA_MODE_VIOLATION,
        &format!("{schema}.{name} is an imported table, and no statement drops the one it is read from"),
        datasource,
    )
    .hint(format!("DROP FOREIGN TABLE {}.{} ends its publication here", quoted(schema), quoted(name))))
}

/// A name as SQL takes it.
fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether Causeway may write rows to a datasource at all.
///
/// # Errors
/// `ReadOnly` with [`WRITE_FORBIDDEN`] unless it has `allow_writes`.
pub fn admit_rows(datasource: &Datasource) -> Result<()> {
    if datasource.allow_writes {
        return Ok(());
    }
    Err(refusal(WRITE_FORBIDDEN, "it is not open to writes", datasource).hint("set `external.allow_writes: true` on the datasource"))
}

/// Whether a statement may write to a table: its datasource allows writes, and the table is writable.
///
/// # Errors
/// `ReadOnly` with [`WRITE_FORBIDDEN`] when either is not so.
pub fn admit_write(datasource: &Datasource, table: &ForeignTable) -> Result<()> {
    admit_rows(datasource)?;
    if table.writable {
        return Ok(());
    }
    let what = format!("table {}.{} is not writable", table.schema, table.name);
    Err(refusal(WRITE_FORBIDDEN, &what, datasource).hint("set `writable: true` on the table, or import it with that option"))
}

fn refusal(code: &'static str, what: &str, datasource: &Datasource) -> Error {
    Error::new(ErrorKind::ReadOnly, format!("{code}: {what}")).code(code).at(&datasource.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use causeway_providers::{RemoteTable, TableKind};
    use datafusion::arrow::datatypes::Schema;
    use datafusion::datasource::empty::EmptyTable;

    use super::*;
    use crate::fake::datasource;
    use crate::snapshot::SnapshotSchema;

    fn with(schema_mode: SchemaMode, allow_writes: bool) -> Datasource {
        Datasource { schema_mode, allow_writes, ..datasource("crm") }
    }

    fn table(writable: bool) -> ForeignTable {
        let columns = Arc::new(Schema::empty());
        ForeignTable {
            schema: "crm".to_owned(),
            name: "cust".to_owned(),
            datasource: "crm".to_owned(),
            pinned: true,
            writable,
            comment: None,
            remote: RemoteTable {
                schema: "public".to_owned(),
                name: "cust".to_owned(),
                kind: TableKind::Table,
                columns: Vec::new(),
                primary_key: Vec::new(),
                unique_keys: Vec::new(),
                comment: None,
                row_estimate: None,
            },
            columns: Arc::clone(&columns),
            remote_columns: Vec::new(),
            unavailable: None,
            provider: Arc::new(EmptyTable::new(columns)),
        }
    }

    #[test]
    fn ddl_is_for_managed_schemas() {
        for (mode, admitted) in [(SchemaMode::Managed, true), (SchemaMode::External, false), (SchemaMode::ValidateOnly, false)] {
            for allow_writes in [false, true] {
                let answer = admit_ddl(&with(mode, allow_writes));
                assert_eq!(answer.is_ok(), admitted, "{mode:?}");
                if let Err(error) = answer {
                    assert_eq!((error.kind(), error.datasource()), (ErrorKind::ReadOnly, Some("crm")));
                    assert!(error.message().starts_with(SCHEMA_MODE_VIOLATION) && error.message().contains(mode.as_str()), "{error}");
                }
            }
        }
    }

    #[test]
    fn an_imported_table_is_dropped_by_another_statement() {
        let schema = |datasource: Option<&str>| SnapshotSchema { datasource: datasource.map(str::to_owned), ..SnapshotSchema::default() };
        let published = |datasource| CatalogSnapshot {
            schemas: BTreeMap::from([("crm".to_owned(), Arc::new(schema(datasource)))]),
            ..CatalogSnapshot::default()
        };
        let odd = ForeignTable { name: "Odd \"name".to_owned(), ..table(false) };
        for mode in [SchemaMode::Managed, SchemaMode::External] {
            let refused = admit_drop(&with(mode, true), &odd, &published(None)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ReadOnly);
            assert_eq!(refused.hint_text(), Some("DROP FOREIGN TABLE crm.\"Odd \"\"name\" ends its publication here"));
        }
        let own = admit_drop(&with(SchemaMode::External, true), &odd, &published(Some("crm"))).unwrap_err();
        assert!(own.message().contains("schema_mode is external"), "{own}");
        assert!(admit_drop(&with(SchemaMode::Managed, true), &odd, &published(Some("crm"))).is_ok());
    }

    #[test]
    fn a_write_needs_the_datasource_and_the_table() {
        let codes: BTreeMap<_, _> = [(false, false), (false, true), (true, false), (true, true)]
            .into_iter()
            .map(|(allow_writes, writable)| {
                let answer = admit_write(&with(SchemaMode::External, allow_writes), &table(writable));
                ((allow_writes, writable), answer.err().map(|error| (error.kind(), error.message().to_owned())))
            })
            .collect();
        assert_eq!(codes[&(true, true)], None);
        let told = |key| codes[&key].clone().expect("it is refused");
        for key in [(false, false), (false, true), (true, false)] {
            assert_eq!(told(key).0, ErrorKind::ReadOnly);
            assert!(told(key).1.starts_with(WRITE_FORBIDDEN));
        }
        assert!(told((true, false)).1.contains("table crm.cust") && !told((false, false)).1.contains("cust"));
    }

    #[test]
    fn rows_without_a_table_of_ours_need_the_datasource_alone() {
        assert!(admit_rows(&with(SchemaMode::External, true)).is_ok());
        assert_eq!(admit_rows(&with(SchemaMode::Managed, false)).unwrap_err().kind(), ErrorKind::ReadOnly);
    }
}

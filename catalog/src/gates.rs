//! The gates: who may change what at a source. Pure decisions; whoever changes something asks here first.

use causeway_providers::{Error, ErrorKind, Result};

use crate::datasource::{Datasource, SchemaMode};
use crate::snapshot::ForeignTable;

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

//! Imported tables, with the contracts they were imported under.

use std::time::SystemTime;

use causeway_providers::{Error, ErrorKind, Result, Subject};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Change, ControlStore, failed};
use crate::drift::Contract;
use crate::moment;

/// An imported table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredForeignTable {
    /// The published schema.
    pub(crate) schema: String,
    /// The published name.
    pub(crate) name: String,
    /// The datasource it is read from.
    pub(crate) datasource: String,
    /// Whether writes are allowed, given the datasource allows them.
    pub(crate) writable: bool,
    /// What is expected of the remote table.
    pub(crate) contract: Contract,
    /// The remote table's fingerprint when it was imported.
    pub(crate) fingerprint: String,
    /// Its comment.
    pub(crate) comment: Option<String>,
    /// When it was imported last.
    pub(crate) imported_at: SystemTime,
    /// By whom.
    pub(crate) imported_by: Option<String>,
}

impl StoredForeignTable {
    /// Whether another says the same of the table, whenever and by whom it was imported.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let Self { schema, name, datasource, writable, contract, fingerprint, comment, imported_at: _, imported_by: _ } = self;
        let identity = (schema, name, datasource) == (&other.schema, &other.name, &other.datasource);
        identity && (writable, contract, fingerprint, comment) == (&other.writable, &other.contract, &other.fingerprint, &other.comment)
    }
}

impl ControlStore {
    /// All imported tables of an environment, by schema and name.
    pub(crate) async fn foreign_tables(&self, environment: &str) -> Result<Vec<StoredForeignTable>> {
        let rows = sqlx::query(
            "SELECT schema_name, table_name, datasource, writable, contract, fingerprint, comment, imported_at, imported_by \
             FROM foreign_tables WHERE environment = ?1 ORDER BY schema_name, table_name",
        )
        .bind(environment)
        .fetch_all(self.readers())
        .await
        .map_err(|error| failed("the imported tables cannot be read", error))?;
        // One that is damaged keeps no other from being read, nor the gateway from starting.
        let readable = rows.iter().filter_map(|row| match table(row) {
            Ok(table) => Some(table),
            Err(error) => {
                tracing::error!(error = error.with_causes(), "an imported table is left out");
                None
            }
        });
        Ok(readable.collect())
    }
}

impl ControlStore {
    /// The datasource of an imported table, whether or not its contract can still be read; `None` when there is no such table.
    pub(crate) async fn foreign_table_owner(&self, environment: &str, schema: &str, name: &str) -> Result<Option<String>> {
        sqlx::query_scalar("SELECT datasource FROM foreign_tables WHERE environment = ?1 AND schema_name = ?2 AND table_name = ?3")
            .bind(environment)
            .bind(schema)
            .bind(name)
            .fetch_optional(self.readers())
            .await
            .map_err(|error| failed("the imported tables cannot be read", error))
    }
}

impl Change {
    /// Stores an imported table. One of the same name keeps its row, and with it its identity and its comment; `false` when the name is
    /// taken by another datasource's.
    pub(crate) async fn keep_foreign_table(&mut self, table: &StoredForeignTable) -> Result<bool> {
        let environment = self.environment().to_owned();
        let contract = serde_json::to_string(&table.contract)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("a contract cannot be written: {error}")))?;
        let done = sqlx::query(
            "INSERT INTO foreign_tables (environment, schema_name, table_name, datasource, remote_schema, remote_table, writable, \
             contract, fingerprint, comment, imported_at, imported_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (environment, schema_name, table_name) DO UPDATE SET \
             remote_schema = excluded.remote_schema, remote_table = excluded.remote_table, \
             writable = excluded.writable, contract = excluded.contract, fingerprint = excluded.fingerprint, \
             comment = COALESCE(foreign_tables.comment, excluded.comment), imported_at = excluded.imported_at, \
             imported_by = excluded.imported_by \
             WHERE foreign_tables.datasource = excluded.datasource",
        )
        .bind(environment)
        .bind(&table.schema)
        .bind(&table.name)
        .bind(&table.datasource)
        .bind(&table.contract.schema)
        .bind(&table.contract.table)
        .bind(table.writable)
        .bind(contract)
        .bind(&table.fingerprint)
        .bind(&table.comment)
        .bind(moment::to_micros(table.imported_at))
        .bind(&table.imported_by)
        .execute(self.connection())
        .await
        .map_err(|error| failed("an imported table cannot be stored", error))?;
        Ok(done.rows_affected() > 0)
    }

    /// Forgets an imported table and gives its datasource and the remote table; `None` when there was no such table.
    pub(crate) async fn forget_foreign_table(&mut self, schema: &str, name: &str) -> Result<Option<(String, Subject)>> {
        let environment = self.environment().to_owned();
        let forgotten: Option<(String, String, String)> = sqlx::query_as(
            "DELETE FROM foreign_tables WHERE environment = ?1 AND schema_name = ?2 AND table_name = ?3 \
             RETURNING datasource, remote_schema, remote_table",
        )
        .bind(environment)
        .bind(schema)
        .bind(name)
        .fetch_optional(self.connection())
        .await
        .map_err(|error| failed("an imported table cannot be dropped", error))?;
        Ok(forgotten.map(|(datasource, remote_schema, remote_table)| (datasource, Subject::table(&remote_schema, &remote_table))))
    }
}

fn table(row: &SqliteRow) -> Result<StoredForeignTable> {
    let unreadable = |error| failed("the imported tables cannot be read", error);
    let get = || -> sqlx::Result<(StoredForeignTable, String)> {
        let contract: String = row.try_get(4)?;
        let table = StoredForeignTable {
            schema: row.try_get(0)?,
            name: row.try_get(1)?,
            datasource: row.try_get(2)?,
            writable: row.try_get(3)?,
            contract: Contract::default(),
            fingerprint: row.try_get(5)?,
            comment: row.try_get(6)?,
            imported_at: moment::from_micros(row.try_get(7)?),
            imported_by: row.try_get(8)?,
        };
        Ok((table, contract))
    };
    let (mut table, contract) = get().map_err(unreadable)?;
    table.contract = serde_json::from_str(&contract).map_err(|error| {
        let name = format!("{}.{}", table.schema, table.name);
        Error::new(ErrorKind::Invalid, format!("the contract of imported table {name} in the control store is damaged: {error}"))
            .hint(format!("import it again as {name}"))
    })?;
    Ok(table)
}

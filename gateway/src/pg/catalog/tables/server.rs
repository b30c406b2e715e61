//! Relations about databases and datasources.

use std::collections::BTreeMap;

use datafusion::error::Result;

use crate::pg::catalog::PgCatalog;
use crate::pg::catalog::columns::{Rows, Value};
use crate::pg::catalog::model::{NumberedServer, OWNER};

const NULL: Value<'static> = Value::Null;

/// The oid of the encoding UTF8.
const UTF8: i64 = 6;

/// The oid of the tablespace `pg_default`.
const DEFAULT_TABLESPACE: u32 = 1663;

/// Appends the rows of one of these relations; does nothing for any other.
pub(super) fn fill(name: &str, catalog: &PgCatalog, rows: &mut Rows) -> Result<()> {
    let model = catalog.model();
    match name {
        "pg_database" => model.databases.iter().try_for_each(|(oid, name)| {
            rows.push(&[
                (*oid).into(),
                name.into(),
                OWNER.into(),
                Value::Int(UTF8),
                "c".into(),
                false.into(),
                true.into(),
                Value::Int(-1),
                Value::Int(0),
                Value::Int(0),
                DEFAULT_TABLESPACE.into(),
                // Text is compared by bytes, which is what the locale C means.
                "C".into(),
                "C".into(),
            ])
        }),
        "pg_foreign_data_wrapper" => wrappers(&model.servers)
            .into_iter()
            .try_for_each(|(name, oid)| rows.push(&[oid.into(), name.into(), OWNER.into(), Value::Int(0), Value::Int(0)])),
        "pg_foreign_server" => model.servers.iter().try_for_each(|s| {
            let options = option_texts(s.server.options.iter().filter(|(key, _)| key != "user"));
            rows.push(&[s.oid.into(), (&s.server.name).into(), OWNER.into(), s.wrapper.into(), NULL, NULL, NULL, Value::Texts(&options)])
        }),
        "pg_foreign_table" => model.foreign_tables().try_for_each(|(relation, table)| {
            let server = model.server(&table.datasource).map_or(0, |s| s.oid);
            let options = [format!("schema_name={}", table.remote.schema), format!("table_name={}", table.remote.name)];
            rows.push(&[relation.oid.into(), server.into(), Value::Texts(&options)])
        }),
        "pg_user_mapping" => model
            .servers
            .iter()
            .filter_map(|s| Some((s, remote_user(s)?)))
            .try_for_each(|(s, user)| rows.push(&[s.oid.into(), Value::Int(0), s.oid.into(), Value::Texts(&[format!("user={user}")])])),
        "pg_user_mappings" => model.servers.iter().filter_map(|s| Some((s, remote_user(s)?))).try_for_each(|(s, user)| {
            let options = [format!("user={user}")];
            let name = &s.server.name;
            rows.push(&[s.oid.into(), s.oid.into(), name.into(), Value::Int(0), "public".into(), Value::Texts(&options)])
        }),
        _ => Ok(()),
    }
}

/// The wrappers of all servers, by name.
pub(super) fn wrappers(servers: &[NumberedServer]) -> BTreeMap<&str, u32> {
    servers.iter().map(|s| (s.server.wrapper.as_str(), s.wrapper)).collect()
}

fn remote_user(server: &NumberedServer) -> Option<&str> {
    server.server.options.iter().find(|(key, _)| key == "user").map(|(_, user)| user.as_str())
}

fn option_texts<'a>(options: impl Iterator<Item = &'a (String, String)>) -> Vec<String> {
    options.map(|(key, value)| format!("{key}={value}")).collect()
}

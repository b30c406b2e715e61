//! The keys of a datasource file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use causeway_catalog::{ContractColumn, Datasource, Expose, OnMismatch, Origin, PinnedTable, SchemaMode, Validation};
use causeway_providers::{Connector, ConnectorRegistry, DeclaredType, Options, PoolLimits, RemoteId, Visibility};
use secrecy::SecretString;

use super::fault::Report;
use super::section::{Section, Text};
use super::tree::Node;
use super::{Variables, credential, remote_name};

/// One statement's time on a datasource, unless its file says otherwise.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// How alike two names of types must be for one to be offered for the other.
const ALIKE: f64 = 0.75;
/// How alike they must be for one to be the other, misspelt.
const MISSPELT: f64 = 0.95;
/// What PostgreSQL allows for a name, in bytes.
const LONGEST_NAME: usize = 63;
/// Schemas that are ours.
pub(super) const RESERVED: [&str; 3] = ["pg_catalog", "information_schema", "causeway"];

/// A datasource file as far as it could be read: enough to compare it with the others even when parts of it are wrong.
pub(super) struct Declared {
    pub(super) file: String,
    pub(super) name: String,
    /// The line of the name.
    pub(super) line: usize,
    /// Remote schema, published name, line.
    pub(super) schema_names: Vec<(String, String, usize)>,
    /// Absent when something is wrong.
    pub(super) datasource: Option<Datasource>,
}

/// Reads one file. Without a name there is nothing to compare, so `None`.
pub(super) fn read(
    path: &Path,
    shown: &str,
    root: &Node,
    registry: &ConnectorRegistry,
    variables: Variables<'_>,
    report: &Report,
) -> Option<Declared> {
    let base = path.parent().unwrap_or(Path::new(""));
    let mut section = Section::root(shown, root, report);
    let name = section.required("name");
    if let Some(fault) = name.as_ref().and_then(|name| name_fault(&name.text)) {
        section.fault("name", fault);
    }
    let connector = section.required("connector");
    let schema_mode = schema_mode(&mut section);
    let id = RemoteId::new(name.as_ref().map_or("", |name| &name.text));
    let options = options(&mut section, connector.as_ref(), id, base, registry, variables);
    let External { label, allowed_schemas, expose, allow_writes, query_timeout, first_row_timeout, refresh_interval, validation, pool } =
        external(&mut section);
    let known = connector.as_ref().and_then(|connector| registry.get(&connector.text));
    let tables = tables(&mut section, known.map(AsRef::as_ref));
    let schema_names = schema_names(&mut section);
    section.finish();

    let name = name?;
    let datasource = options.map(|mut options| {
        options.pool = pool;
        options.query_timeout = Some(query_timeout);
        options.first_row_timeout = first_row_timeout;
        options.allow_writes = allow_writes;
        Datasource {
            name: name.text.clone(),
            connector: connector.map(|connector| connector.text).unwrap_or_default(),
            origin: Origin::Code,
            schema_mode,
            label,
            options,
            allowed_schemas,
            schema_names: schema_names.iter().map(|(remote, name, _)| (remote.clone(), name.clone())).collect(),
            expose,
            allow_writes,
            validation,
            refresh_interval,
            tables,
        }
    });
    Some(Declared { file: shown.to_owned(), line: name.line, name: name.text, schema_names, datasource })
}

/// What is wrong with a datasource's name: it is a schema's name too, and must be reachable without quotes.
fn name_fault(name: &str) -> Option<String> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    if !first || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Some(format!("is \"{name}\"; a name is made of lower case letters, digits and _, and does not begin with a digit"));
    }
    schema_fault(name)
}

/// What is wrong with the name of a published schema.
fn schema_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("is empty".to_owned())
    } else if name.len() > LONGEST_NAME {
        Some(format!("is longer than {LONGEST_NAME} bytes"))
    } else if RESERVED.contains(&name) || name.starts_with("pg_") {
        Some(format!("is \"{name}\", a schema of the gateway's own; names that begin with pg_ are reserved as well"))
    } else {
        None
    }
}

fn schema_mode(section: &mut Section<'_>) -> SchemaMode {
    let modes = [("external", SchemaMode::External), ("validate_only", SchemaMode::ValidateOnly), ("managed", SchemaMode::Managed)];
    section.choice("schema_mode", &modes).unwrap_or(SchemaMode::External)
}

fn options(
    section: &mut Section<'_>,
    connector: Option<&Text>,
    id: RemoteId,
    base: &Path,
    registry: &ConnectorRegistry,
    variables: Variables<'_>,
) -> Option<Options> {
    let values = section.pairs("options");
    let credentials = section.pairs("credentials");
    let mut secrets = BTreeMap::new();
    for (key, reference) in &credentials {
        let secret = credential::resolve(&reference.text, base, variables).unwrap_or_else(|fault| {
            section.fault_at(reference.line, &format!("credentials.{key}"), fault);
            // It is there, only not readable: the connector need not ask for it as well.
            SecretString::default()
        });
        secrets.insert(key.clone(), secret);
    }
    let connector = connector?;
    let Some(known) = registry.get(&connector.text) else {
        let kinds: Vec<_> = registry.kinds().collect();
        section.fault("connector", format!("is \"{}\", not one of {}", connector.text, kinds.join(", ")));
        return None;
    };
    let given = values.iter().map(|(key, value)| (key.clone(), value.text.clone())).collect();
    let faults = match Options::check(known.manifest(), id, base, given, secrets) {
        Ok(options) => return Some(options),
        Err(faults) => faults,
    };
    let line = |pairs: &[(String, Text)], key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, text)| text.line);
    for fault in faults {
        let (in_options, in_credentials) = (line(&values, &fault.key), line(&credentials, &fault.key));
        let (part, line) = match fault.visibility {
            // A secret written among the options is told where it stands.
            Visibility::Secret if in_credentials.is_none() && in_options.is_some() => ("options", in_options),
            Visibility::Secret => ("credentials", in_credentials),
            Visibility::Public => ("options", in_options),
        };
        section.fault_at(line.unwrap_or_else(|| section.line_of(part)), &format!("{part}.{}", fault.key), fault.message);
    }
    None
}

struct External {
    label: Option<String>,
    allowed_schemas: Vec<String>,
    expose: Expose,
    allow_writes: bool,
    query_timeout: Duration,
    first_row_timeout: Option<Duration>,
    refresh_interval: Option<Duration>,
    validation: Validation,
    pool: PoolLimits,
}

fn external(section: &mut Section<'_>) -> External {
    let mut external = section.section("external");
    let label = external.text("label").map(|label| label.text);
    let allowed_schemas: Vec<String> = external.texts("allowed_schemas").into_iter().map(|schema| schema.text).collect();
    if allowed_schemas.is_empty() && external.has("allowed_schemas") {
        external.fault("allowed_schemas", "names no schema; leave it out to allow all");
    }
    let expose = external.choice("expose", &[("all", Expose::All), ("pinned", Expose::Pinned)]).unwrap_or(Expose::All);
    let allow_writes = external.flag("allow_writes").unwrap_or(false);
    let query_timeout = external.duration("query_timeout").unwrap_or(QUERY_TIMEOUT);
    let first_row_timeout = external.duration("first_row_timeout");
    let refresh_interval = external.duration("refresh_interval");

    let mut validation = external.section("validation");
    let words = [("fail", OnMismatch::Fail), ("warn", OnMismatch::Warn), ("ignore", OnMismatch::Ignore)];
    let checked = Validation {
        on_mismatch: validation.choice("on_mismatch", &words).unwrap_or(OnMismatch::Fail),
        check_on_boot: validation.flag("check_on_boot").unwrap_or(true),
        check_interval: validation.duration("check_interval"),
    };
    validation.finish();

    let mut pool = external.section("pool");
    let defaults = PoolLimits::default();
    let limits = PoolLimits {
        max_connections: pool.count("max_connections", 1, 10_000).unwrap_or(defaults.max_connections),
        connect_timeout: pool.duration("connect_timeout").unwrap_or(defaults.connect_timeout),
        acquire_timeout: pool.duration("acquire_timeout").or(defaults.acquire_timeout),
        idle_timeout: pool.duration("idle_timeout").unwrap_or(defaults.idle_timeout),
        max_lifetime: pool.duration("max_lifetime").or(defaults.max_lifetime),
        check_after: pool.duration("check_after").unwrap_or(defaults.check_after),
    };
    pool.finish();
    external.finish();
    External {
        label,
        allowed_schemas,
        expose,
        allow_writes,
        query_timeout,
        first_row_timeout,
        refresh_interval,
        validation: checked,
        pool: limits,
    }
}

fn tables(section: &mut Section<'_>, connector: Option<&dyn Connector>) -> Vec<PinnedTable> {
    let mut names = BTreeSet::new();
    let mut tables = Vec::new();
    for mut table in section.sections("tables") {
        let name = table.required("name");
        let remote = table.required("remote");
        let split = remote.as_ref().map(|remote| remote_name::split(&remote.text));
        if let (Some(Err(fault)), Some(remote)) = (&split, &remote) {
            table.fault("remote", format!("is \"{}\", {fault}", remote.text));
        }
        let column_map = column_map(&mut table);
        let writable = table.flag("writable").unwrap_or(false);
        let ignore_columns: Vec<String> = table.texts("ignore_columns").into_iter().map(|column| column.text).collect();
        if let Some(both) = column_map.keys().find(|column| ignore_columns.contains(column)) {
            table.fault("ignore_columns", format!("holds {both}, which `column_map` names as well"));
        }
        let columns = contract_columns(&mut table, connector);
        let primary_key = primary_key(&mut table);
        contract_is_consistent(&table, columns.as_deref(), primary_key.as_deref(), &column_map, &ignore_columns);
        if let (Some(name), Some(Ok((remote_schema, remote_table)))) = (name, split) {
            if names.insert((remote_schema.clone(), name.text.clone())) {
                let name = name.text;
                let primary_key = primary_key.map(|key| key.into_iter().map(|column| column.text).collect());
                tables.push(PinnedTable { name, remote_schema, remote_table, writable, column_map, ignore_columns, columns, primary_key });
            } else {
                table.fault("name", format!("is \"{}\", as is that of a table above", name.text));
            }
        }
        table.finish();
    }
    tables
}

/// The columns a table is pinned to; `None` when it follows the source.
fn contract_columns(table: &mut Section<'_>, connector: Option<&dyn Connector>) -> Option<Vec<ContractColumn>> {
    let mut columns: Vec<ContractColumn> = Vec::new();
    for mut column in table.sections("columns") {
        let (name, remote_type) = (column.required("name"), column.required("type"));
        let nullable = column.flag("nullable");
        if let (Some(connector), Some(remote_type)) = (connector, &remote_type)
            && let Some(fault) = type_fault(connector, &remote_type.text)
        {
            column.fault("type", fault);
        }
        if let Some(twice) = name.as_ref().filter(|name| columns.iter().any(|known| known.name == name.text)) {
            column.fault("name", format!("is \"{}\", as is that of a column above", twice.text));
        } else if let (Some(name), Some(remote_type)) = (name, remote_type) {
            columns.push(ContractColumn { name: name.text, remote_type: remote_type.text, nullable });
        }
        column.finish();
    }
    (!columns.is_empty()).then_some(columns)
}

/// Why a type is not one that a column of the connector's sources can have.
fn type_fault(connector: &dyn Connector, text: &str) -> Option<String> {
    let (known, is_closed) = match connector.declared_type(text) {
        DeclaredType::Known(..) => return None,
        DeclaredType::Custom(known) => (known, false),
        DeclaredType::Unknown(known) => (known, true),
    };
    let word = text.split(['(', '[']).next().unwrap_or_default().trim();
    let alike = |known: &&&str| strsim::jaro_winkler(&known.to_lowercase(), &word.to_lowercase());
    let nearest = known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    let is_near = |least: f64| nearest.filter(|nearest| alike(nearest) >= least && **nearest != word);
    if is_closed {
        let kind = connector.manifest().kind;
        return Some(match is_near(ALIKE) {
            Some(nearest) => format!("is \"{text}\", which is no type of connector {kind}; did you mean `{nearest}`?"),
            None => format!("is \"{text}\", which is no type of connector {kind}; there are {}", known.join(", ")),
        });
    }
    // The name of a type that somebody made may be like another's, but for one that is next to nothing else.
    let is_bare = !word.contains(['.', '"']);
    let nearest = is_near(MISSPELT).filter(|_| is_bare)?;
    Some(format!("is \"{text}\"; did you mean `{nearest}`? A type that the source's users made is written with its schema"))
}

/// The columns of the primary key a table is pinned to; an empty list pins it to having none.
fn primary_key(table: &mut Section<'_>) -> Option<Vec<Text>> {
    let columns = table.texts("primary_key");
    table.has("primary_key").then_some(columns)
}

/// What speaks of columns must agree with the columns a table is pinned to.
fn contract_is_consistent(
    table: &Section<'_>,
    columns: Option<&[ContractColumn]>,
    primary_key: Option<&[Text]>,
    column_map: &BTreeMap<String, String>,
    ignore_columns: &[String],
) {
    let Some(columns) = columns else {
        if primary_key.is_some() && !table.has("columns") {
            table.fault("primary_key", "is given without `columns`, which say what the table is pinned to");
        }
        return;
    };
    let is_pinned = |name: &str| columns.iter().any(|column| column.name == name);
    if let Some(absent) = column_map.keys().find(|name| !is_pinned(name)) {
        table.fault("column_map", format!("names {absent}, which `columns` lacks"));
    }
    if let Some(both) = ignore_columns.iter().find(|name| is_pinned(name)) {
        table.fault("ignore_columns", format!("holds {both}, which `columns` names as well"));
    }
    if let Some(absent) = primary_key.into_iter().flatten().find(|name| !is_pinned(&name.text)) {
        table.fault_at(absent.line, "primary_key", format!("holds {}, which `columns` lacks", absent.text));
    }
}

fn column_map(table: &mut Section<'_>) -> BTreeMap<String, String> {
    let mut published = BTreeSet::new();
    let mut map = BTreeMap::new();
    for (remote, name) in table.pairs("column_map") {
        if published.insert(name.text.clone()) {
            map.insert(remote, name.text);
        } else {
            let key = format!("column_map.{remote}");
            table.fault_at(name.line, &key, format!("is \"{}\", as is that of another column", name.text));
        }
    }
    map
}

fn schema_names(section: &mut Section<'_>) -> Vec<(String, String, usize)> {
    let names = section.pairs("schema_names");
    for (remote, name) in &names {
        if let Some(fault) = schema_fault(&name.text) {
            section.fault_at(name.line, &format!("schema_names.{remote}"), fault);
        }
    }
    names.into_iter().map(|(remote, name)| (remote, name.text, name.line)).collect()
}

//! Everything that exists in one database, numbered: the ground that system relations and functions stand on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use causeway_catalog::{CatalogSnapshot, ForeignTable};
use causeway_providers::{RemoteColumn, TableKind};
use datafusion::arrow::datatypes::SchemaRef;

use super::base_types::{self, ColumnShape, shape_of_column, shape_of_field};
use super::oids::{ObjectKind, OidRegistry};
use super::relations::{SystemKind, SystemRelation, SystemSchema, system_relations};

/// The oid of the role that owns everything.
pub(super) const OWNER: u32 = 10;

/// The name of the role that owns everything.
pub(super) const OWNER_NAME: &str = "causeway";

/// The oid of `pg_catalog`.
pub(super) const PG_CATALOG: u32 = 11;

/// The oid of `public`.
const PUBLIC: u32 = 2200;

/// What a database holds, as plain values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Database {
    /// The environment whose catalog this is.
    pub name: String,
    /// All environments, for `pg_database`.
    pub environments: Vec<String>,
    /// The roles that may log in. The session's own role and the owner of everything are listed anyway.
    pub roles: Vec<Role>,
    /// The datasources.
    pub servers: Vec<Server>,
    /// The published tables.
    pub snapshot: Arc<CatalogSnapshot>,
    /// Schemas of our own, such as `causeway`: tables by schema and name.
    pub system_schemas: BTreeMap<String, BTreeMap<String, SchemaRef>>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    /// Its name.
    pub name: String,
    /// Whether it may do everything.
    pub superuser: bool,
}

/// A datasource as SQL/MED sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// The datasource's name.
    pub name: String,
    /// The connector kind.
    pub wrapper: String,
    /// Its options as everybody may read them: never a credential.
    pub options: Vec<(String, String)>,
}

/// A schema.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) comment: Option<String>,
}

/// A foreign server, with its wrapper.
#[derive(Debug)]
pub(super) struct NumberedServer {
    pub(super) oid: u32,
    pub(super) wrapper: u32,
    pub(super) server: Server,
}

/// A table, view, or system relation.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: u32,
    pub(super) namespace: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) keys: Vec<Key>,
}

/// Where a relation comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// Published from a datasource.
    Foreign(Arc<ForeignTable>),
    /// PostgreSQL's own.
    System(&'static SystemRelation),
    /// Ours.
    Own(SchemaRef),
}

/// A key the source enforces, shown as a constraint with its index.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) index: u32,
    pub(super) constraint: u32,
    pub(super) name: String,
    pub(super) kind: KeyKind,
    /// Column numbers, from one, in key order.
    pub(super) columns: Vec<i64>,
}

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Primary,
    Unique,
}

/// A column of a relation.
#[derive(Debug)]
pub(super) struct Column<'a> {
    pub(super) number: i64,
    pub(super) name: &'a str,
    pub(super) shape: ColumnShape,
    pub(super) not_null: bool,
    pub(super) comment: Option<&'a str>,
}

impl Relation {
    /// The letter of `relkind`.
    ///
    /// A published table is `r` and not `f`: `\dt` and the table lists of most tools leave foreign tables out.
    /// `pg_foreign_table` has it all the same.
    pub(super) fn kind(&self) -> &'static str {
        match &self.origin {
            Origin::Foreign(table) => match table.remote.kind {
                TableKind::Table | TableKind::PartitionedTable | TableKind::ForeignTable => "r",
                TableKind::View => "v",
                TableKind::MaterializedView => "m",
            },
            Origin::System(relation) if relation.kind == SystemKind::Table => "r",
            Origin::System(_) | Origin::Own(_) => "v",
        }
    }

    /// The published table, if it is one.
    pub(super) fn foreign(&self) -> Option<&ForeignTable> {
        match &self.origin {
            Origin::Foreign(table) => Some(table),
            Origin::System(_) | Origin::Own(_) => None,
        }
    }

    /// Its comment.
    pub(super) fn comment(&self) -> Option<&str> {
        self.foreign().and_then(|table| table.comment.as_deref())
    }

    /// How many columns it has.
    pub(super) fn column_count(&self) -> usize {
        match &self.origin {
            Origin::Foreign(table) => table.columns.fields().len(),
            Origin::System(relation) => relation.columns.len(),
            Origin::Own(schema) => schema.fields().len(),
        }
    }

    /// Its columns, in order.
    pub(super) fn columns(&self) -> Vec<Column<'_>> {
        match &self.origin {
            Origin::Foreign(table) => (1..)
                .zip(table.columns.fields())
                .map(|(number, field)| {
                    let remote = remote_column(table, number);
                    Column {
                        number,
                        name: field.name(),
                        shape: shape_of_column(field, remote),
                        not_null: !field.is_nullable(),
                        comment: remote.and_then(|r| r.comment.as_deref()),
                    }
                })
                .collect(),
            Origin::System(relation) => (1..)
                .zip(&relation.columns)
                .map(|(number, column)| Column {
                    number,
                    name: column.name,
                    shape: ColumnShape { type_oid: column.type_oid, modifier: -1 },
                    not_null: column.not_null,
                    comment: None,
                })
                .collect(),
            Origin::Own(schema) => (1..)
                .zip(schema.fields())
                .map(|(number, field)| Column {
                    number,
                    name: field.name(),
                    shape: shape_of_field(field),
                    not_null: !field.is_nullable(),
                    comment: None,
                })
                .collect(),
        }
    }

    /// The name of the column with that number.
    pub(super) fn column_name(&self, number: i64) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        match &self.origin {
            Origin::Foreign(table) => table.columns.fields().get(index).map(|f| f.name().as_str()),
            Origin::System(relation) => relation.columns.get(index).map(|c| c.name),
            Origin::Own(schema) => schema.fields().get(index).map(|f| f.name().as_str()),
        }
    }
}

fn remote_column(table: &ForeignTable, number: i64) -> Option<&RemoteColumn> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    table.remote.columns.get(*table.remote_columns.get(index)?)
}

/// A relation or an index, found by oid or name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    Relation(&'a Relation),
    Index(&'a Relation, &'a Key),
}

impl<'a> Found<'a> {
    /// Its own name, without the schema.
    pub(super) fn name(self) -> &'a str {
        match self {
            Found::Relation(relation) => &relation.name,
            Found::Index(_, key) => &key.name,
        }
    }

    /// Its schema.
    pub(super) fn schema(self) -> &'a str {
        match self {
            Found::Relation(relation) | Found::Index(relation, _) => &relation.schema,
        }
    }

    /// Its oid.
    pub(super) fn oid(self) -> u32 {
        match self {
            Found::Relation(relation) => relation.oid,
            Found::Index(_, key) => key.index,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Position {
    relation: usize,
    key: Option<usize>,
}

/// Everything in one database.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) namespaces: Vec<Namespace>,
    pub(super) relations: Vec<Relation>,
    pub(super) servers: Vec<NumberedServer>,
    pub(super) databases: Vec<(u32, String)>,
    by_oid: HashMap<u32, Position>,
    by_name: HashMap<String, HashMap<String, Position>>,
    constraints: HashMap<u32, Position>,
}

impl Model {
    /// Numbers everything `database` holds.
    pub(super) fn new(database: &Database, oids: &OidRegistry) -> Self {
        let mut relations = Vec::new();
        let mut namespaces = Vec::new();
        let namespace = |name: &str| match name {
            "pg_catalog" => PG_CATALOG,
            "public" => PUBLIC,
            name => oids.oid(ObjectKind::Schema, "", name),
        };
        let mut schemas: BTreeMap<&str, Option<String>> = BTreeMap::from([
            ("pg_catalog", Some("system catalog schema".to_owned())),
            ("information_schema", None),
            ("public", Some("standard public schema".to_owned())),
        ]);
        schemas.extend(database.system_schemas.keys().map(|name| (name.as_str(), Some("views of the gateway itself".to_owned()))));
        schemas.extend(database.snapshot.schemas.iter().map(|(name, schema)| {
            let remote = if schema.remote_schema.is_empty() { String::new() } else { format!(", remote schema {}", schema.remote_schema) };
            let told = match &schema.datasource {
                Some(datasource) => format!("datasource {datasource}{remote}"),
                None => "imported tables".to_owned(),
            };
            (name.as_str(), Some(told))
        }));
        for (name, comment) in schemas {
            namespaces.push(Namespace { oid: namespace(name), name: name.to_owned(), comment });
        }
        for relation in system_relations().iter().filter(|r| r.kind != SystemKind::Function) {
            let schema = relation.schema.name();
            relations.push(Relation {
                oid: relation.oid.unwrap_or_else(|| oids.oid(ObjectKind::Relation, schema, relation.name)),
                namespace: namespace(schema),
                schema: schema.to_owned(),
                name: relation.name.to_owned(),
                origin: Origin::System(relation),
                keys: Vec::new(),
            });
        }
        for (schema, tables) in &database.system_schemas {
            for (name, columns) in tables {
                relations.push(Relation {
                    oid: oids.oid(ObjectKind::Relation, schema, name),
                    namespace: namespace(schema),
                    schema: schema.clone(),
                    name: name.clone(),
                    origin: Origin::Own(Arc::clone(columns)),
                    keys: Vec::new(),
                });
            }
        }
        for (schema, contents) in &database.snapshot.schemas {
            for (name, table) in &contents.tables {
                relations.push(Relation {
                    oid: oids.oid(ObjectKind::Relation, schema, name),
                    namespace: namespace(schema),
                    schema: schema.clone(),
                    name: name.clone(),
                    keys: keys_of(table, schema, name, oids),
                    origin: Origin::Foreign(Arc::clone(table)),
                });
            }
        }
        let servers = number_servers(database, oids);
        let databases = number_databases(database, oids);
        let mut model = Self {
            namespaces,
            relations,
            servers,
            databases,
            by_oid: HashMap::new(),
            by_name: HashMap::new(),
            constraints: HashMap::new(),
        };
        model.index();
        model
    }

    fn index(&mut self) {
        for (number, relation) in self.relations.iter().enumerate() {
            // Tables come before indexes so that a table keeps its name when an index of the schema would have the same.
            let names = self.by_name.entry(relation.schema.clone()).or_default();
            let position = Position { relation: number, key: None };
            self.by_oid.insert(relation.oid, position);
            names.insert(relation.name.clone(), position);
        }
        for (number, relation) in self.relations.iter().enumerate() {
            for (key_number, key) in relation.keys.iter().enumerate() {
                let position = Position { relation: number, key: Some(key_number) };
                self.by_oid.insert(key.index, position);
                self.constraints.insert(key.constraint, position);
                if let Some(names) = self.by_name.get_mut(&relation.schema) {
                    names.entry(key.name.clone()).or_insert(position);
                }
            }
        }
    }

    fn at(&self, position: Position) -> Found<'_> {
        let relation = &self.relations[position.relation];
        match position.key {
            Some(key) => Found::Index(relation, &relation.keys[key]),
            None => Found::Relation(relation),
        }
    }

    /// The relation or index with that oid.
    pub(super) fn by_oid(&self, oid: u32) -> Option<Found<'_>> {
        self.by_oid.get(&oid).map(|position| self.at(*position))
    }

    /// The relation or index of that name.
    pub(super) fn by_name(&self, schema: &str, name: &str) -> Option<Found<'_>> {
        self.by_name.get(schema)?.get(name).map(|position| self.at(*position))
    }

    /// The key whose constraint has that oid, with its table.
    pub(super) fn constraint(&self, oid: u32) -> Option<(&Relation, &Key)> {
        match self.at(*self.constraints.get(&oid)?) {
            Found::Index(relation, key) => Some((relation, key)),
            Found::Relation(_) => None,
        }
    }

    /// The oid of a schema.
    pub(super) fn namespace(&self, name: &str) -> Option<u32> {
        self.namespaces.iter().find(|n| n.name == name).map(|n| n.oid)
    }

    /// The name of the schema with that oid.
    pub(super) fn namespace_name(&self, oid: u32) -> Option<&str> {
        self.namespaces.iter().find(|n| n.oid == oid).map(|n| n.name.as_str())
    }

    /// Relations that are not PostgreSQL's own or ours.
    pub(super) fn foreign_tables(&self) -> impl Iterator<Item = (&Relation, &ForeignTable)> {
        self.relations.iter().filter_map(|r| r.foreign().map(|t| (r, t)))
    }

    /// The server of a datasource.
    pub(super) fn server(&self, datasource: &str) -> Option<&NumberedServer> {
        self.servers.iter().find(|s| s.server.name == datasource)
    }

    /// The relation that an unqualified name means on that search path.
    ///
    /// `pg_catalog` comes first unless the path places it elsewhere.
    pub(super) fn resolve<'p>(&self, path: impl Iterator<Item = &'p str> + Clone, name: &str) -> Option<Found<'_>> {
        let system = SystemSchema::PgCatalog.name();
        let implicit = (!path.clone().any(|schema| schema == system)).then_some(system);
        implicit.into_iter().chain(path).find_map(|schema| self.by_name(schema, name))
    }

    /// Whether a schema holds a table of a datasource.
    pub(super) fn has_tables(&self, schema: &str) -> bool {
        self.by_name.get(schema).is_some_and(|names| !names.is_empty())
    }
}

fn keys_of(table: &ForeignTable, schema: &str, name: &str, oids: &OidRegistry) -> Vec<Key> {
    let number_of = |remote_name: &String| {
        let remote = table.remote.columns.iter().position(|c| c.name == *remote_name)?;
        let published = table.remote_columns.iter().position(|index| *index == remote)?;
        i64::try_from(published + 1).ok()
    };
    // A key with a column that is not published says nothing about the columns that are.
    let numbers = |columns: &[String]| columns.iter().map(number_of).collect::<Option<Vec<i64>>>().filter(|c| !c.is_empty());
    let mut keys: Vec<Key> = Vec::new();
    let declared = [(KeyKind::Primary, &table.remote.primary_key)]
        .into_iter()
        .chain(table.remote.unique_keys.iter().map(|columns| (KeyKind::Unique, columns)));
    for (kind, columns) in declared {
        let Some(columns) = numbers(columns) else { continue };
        let base = match kind {
            KeyKind::Primary => format!("{name}_pkey"),
            KeyKind::Unique => {
                let names: Vec<&str> = columns
                    .iter()
                    .filter_map(|number| table.columns.fields().get(usize::try_from(number - 1).ok()?).map(|f| f.name().as_str()))
                    .collect();
                format!("{name}_{}_key", names.join("_"))
            }
        };
        let taken = |candidate: &str| keys.iter().any(|k| k.name == candidate);
        let key_name = (0..)
            .map(|n| if n == 0 { base.clone() } else { format!("{base}{n}") })
            .find(|candidate| !taken(candidate))
            .expect("a table has fewer keys than there are numbers");
        keys.push(Key {
            // The table's name is part of the index's identity: two tables of a schema may lead to one index name.
            index: oids.oid(ObjectKind::Relation, schema, &format!("{name}\u{0}{key_name}")),
            constraint: oids.oid(ObjectKind::Constraint, schema, &format!("{name}\u{0}{key_name}")),
            name: key_name,
            kind,
            columns,
        });
    }
    keys
}

fn number_servers(database: &Database, oids: &OidRegistry) -> Vec<NumberedServer> {
    let mut servers: BTreeMap<&str, Server> = database
        .snapshot
        .schemas
        .values()
        .filter_map(|schema| {
            let name = schema.datasource.as_deref()?;
            Some((name, Server { name: name.to_owned(), wrapper: "causeway".to_owned(), options: Vec::new() }))
        })
        .collect();
    servers.extend(database.servers.iter().map(|s| (s.name.as_str(), s.clone())));
    servers
        .into_values()
        .map(|server| NumberedServer {
            oid: oids.oid(ObjectKind::Server, "", &server.name),
            wrapper: oids.oid(ObjectKind::Wrapper, "", &server.wrapper),
            server,
        })
        .collect()
}

fn number_databases(database: &Database, oids: &OidRegistry) -> Vec<(u32, String)> {
    let mut names: Vec<&String> = database.environments.iter().chain([&database.name]).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| (oids.oid(ObjectKind::Database, "", name), name.clone())).collect()
}

/// The oid of a role.
pub(super) fn role_oid(name: &str, oids: &OidRegistry) -> u32 {
    if name == OWNER_NAME { OWNER } else { oids.oid(ObjectKind::Role, "", name) }
}

/// The element type of an array type, for `information_schema`.
pub(super) fn is_array(type_oid: u32) -> bool {
    base_types::type_by_oid(type_oid).is_some_and(|t| t.category == "A")
}

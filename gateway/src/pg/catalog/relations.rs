//! The relations PostgreSQL itself has: their columns, and the rows that are the same in every database.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};

use super::columns::{ColumnType, PG_TYPE_KEY, Rows};

/// A system relation.
#[derive(Debug)]
pub(super) struct SystemRelation {
    pub(super) schema: SystemSchema,
    pub(super) name: &'static str,
    pub(super) kind: SystemKind,
    /// The oid PostgreSQL fixes, if it does.
    pub(super) oid: Option<u32>,
    pub(super) columns: Vec<SystemColumn>,
    pub(super) arrow: SchemaRef,
}

/// A column of a system relation.
#[derive(Debug)]
pub(super) struct SystemColumn {
    pub(super) name: &'static str,
    pub(super) type_name: &'static str,
    pub(super) type_oid: u32,
    pub(super) column_type: ColumnType,
    pub(super) not_null: bool,
}

/// The schema of a system relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum SystemSchema {
    PgCatalog,
    InformationSchema,
}

impl SystemSchema {
    /// Its name in SQL.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PgCatalog => "pg_catalog",
            Self::InformationSchema => "information_schema",
        }
    }

    /// The schema called `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "pg_catalog" => Some(Self::PgCatalog),
            "information_schema" => Some(Self::InformationSchema),
            _ => None,
        }
    }
}

/// What a system relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemKind {
    Table,
    View,
    /// A set-returning function, readable as a relation of its name and listed nowhere.
    Function,
}

impl SystemRelation {
    /// An empty set of its rows.
    pub(super) fn rows(&self) -> Rows {
        Rows::new(Arc::clone(&self.arrow), self.columns.iter().map(|c| c.column_type))
    }

    /// The rows that are the same in every database, in the text form of `COPY`.
    pub(super) fn fixed_rows(&self) -> Option<&'static str> {
        if self.schema != SystemSchema::PgCatalog {
            return None;
        }
        Some(match self.name {
            "pg_am" => include_str!("relations/pg_am.tsv"),
            "pg_cast" => include_str!("relations/pg_cast.tsv"),
            "pg_collation" => include_str!("relations/pg_collation.tsv"),
            "pg_get_keywords" => include_str!("relations/pg_get_keywords.tsv"),
            "pg_language" => include_str!("relations/pg_language.tsv"),
            "pg_opclass" => include_str!("relations/pg_opclass.tsv"),
            "pg_operator" => include_str!("relations/pg_operator.tsv"),
            "pg_opfamily" => include_str!("relations/pg_opfamily.tsv"),
            "pg_proc" => include_str!("relations/pg_proc.tsv"),
            "pg_range" => include_str!("relations/pg_range.tsv"),
            "pg_tablespace" => include_str!("relations/pg_tablespace.tsv"),
            "pg_type" => include_str!("relations/pg_type.tsv"),
            _ => return None,
        })
    }
}

static RELATIONS: LazyLock<Vec<SystemRelation>> =
    LazyLock::new(|| include_str!("relations/relations.txt").lines().filter(|line| !line.starts_with('#')).map(parse_relation).collect());

static BY_NAME: LazyLock<HashMap<(SystemSchema, &'static str), &'static SystemRelation>> =
    LazyLock::new(|| RELATIONS.iter().map(|r| ((r.schema, r.name), r)).collect());

/// All system relations, by schema and name.
pub(super) fn system_relations() -> &'static [SystemRelation] {
    &RELATIONS
}

/// The system relation `name` of `schema`.
pub(super) fn system_relation(schema: SystemSchema, name: &str) -> Option<&'static SystemRelation> {
    BY_NAME.get(&(schema, name)).copied()
}

fn parse_relation(line: &'static str) -> SystemRelation {
    let mut words = line.split(' ');
    let mut next = || words.next().expect("relations.txt is part of the program and its lines have four leading words");
    let schema = SystemSchema::named(next()).expect("relations.txt names two schemas");
    let name = next();
    let kind = match next() {
        "r" => SystemKind::Table,
        "v" => SystemKind::View,
        _ => SystemKind::Function,
    };
    let oid = next().parse::<u32>().ok().filter(|oid| *oid != 0);
    let columns: Vec<SystemColumn> = words.map(parse_column).collect();
    let fields: Vec<Field> = columns
        .iter()
        .map(|column| {
            // Every field may be NULL in Arrow's eyes: outer joins make them so, and plans then need no change of schema.
            Field::new(column.name, column.column_type.data_type(), true)
                .with_metadata([(PG_TYPE_KEY.to_owned(), column.type_name.to_owned())].into())
        })
        .collect();
    SystemRelation { schema, name, kind, oid, columns, arrow: Arc::new(Schema::new(fields)) }
}

fn parse_column(word: &'static str) -> SystemColumn {
    let (name, type_name) = word.split_once(':').expect("relations.txt writes columns as name:type");
    let (type_name, not_null) = match type_name.strip_suffix('!') {
        Some(type_name) => (type_name, true),
        None => (type_name, false),
    };
    let type_oid = base_type(type_name).map_or(super::base_types::TEXT, |t| t.oid);
    SystemColumn { name, type_name, type_oid, column_type: ColumnType::of(type_name), not_null }
}

use super::base_types::base_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_rows_fit_their_columns() {
        let mut seen = 0;
        for relation in system_relations() {
            if let Some(text) = relation.fixed_rows() {
                let mut rows = relation.rows();
                rows.push_copied(text).unwrap();
                assert_eq!(rows.finish().unwrap().num_rows(), text.lines().count(), "{}", relation.name);
                seen += 1;
            }
        }
        assert_eq!(seen, 12);
    }

    #[test]
    fn relations_have_the_columns_of_version_16() {
        let names = |schema, name| -> Vec<&str> { system_relation(schema, name).unwrap().columns.iter().map(|c| c.name).collect() };
        assert_eq!(
            names(SystemSchema::PgCatalog, "pg_attribute")[..8],
            ["attrelid", "attname", "atttypid", "attlen", "attnum", "attcacheoff", "atttypmod", "attndims"]
        );
        assert!(names(SystemSchema::PgCatalog, "pg_database").contains(&"daticurules"));
        assert_eq!(names(SystemSchema::InformationSchema, "columns").len(), 44);
        assert_eq!(system_relation(SystemSchema::PgCatalog, "pg_class").unwrap().oid, Some(1259));
        assert!(system_relation(SystemSchema::PgCatalog, "columns").is_none());
    }

    #[test]
    fn columns_carry_the_name_of_their_type() {
        let class = system_relation(SystemSchema::PgCatalog, "pg_class").unwrap();
        let type_of = |name: &str| class.arrow.field_with_name(name).unwrap().metadata()[PG_TYPE_KEY].clone();
        assert_eq!(type_of("oid"), "oid");
        assert_eq!(type_of("relname"), "name");
        assert_eq!(type_of("relkind"), "char");
    }
}

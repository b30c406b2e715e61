//! Casts to types that only PostgreSQL has.
//!
//! An object identifier type such as `regclass` compares as a number and shows as a name. A cast to one becomes a function that gives
//! the number, and where the value is shown (cast on to text, concatenated, or in the result) one that gives the name.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, Expr, ObjectName, SelectItem, SetExpr, TimezoneInfo, Value,
};

use super::operators::elements;
use super::syntax::{array_type, call, cast, null, parts, text, text_of};
use crate::json::{TO_JSON, TO_JSONB};

/// The identifier types and the function each becomes; the name is given by the same with `_name` appended.
const IDENTIFIERS: [(&str, &str); 11] = [
    ("regclass", "causeway_regclass"),
    ("regtype", "causeway_regtype"),
    ("regproc", "causeway_regproc"),
    ("regprocedure", "causeway_regproc"),
    ("regnamespace", "causeway_regnamespace"),
    ("regrole", "causeway_regrole"),
    ("regoper", "causeway_reg"),
    ("regoperator", "causeway_reg"),
    ("regcollation", "causeway_reg"),
    ("regconfig", "causeway_reg"),
    ("regdictionary", "causeway_reg"),
];

/// Rewrites one cast whose operand is done.
pub(super) fn rewrite(expr: &mut Expr) {
    if let Expr::TypedString(typed) = expr {
        in_microseconds(&mut typed.data_type);
    }
    if let Expr::TypedString(typed) = expr
        && let Some(function) = json_function(&typed.data_type)
    {
        *expr = call(function, vec![Expr::Value(typed.value.clone())]);
        return;
    }
    let Expr::Cast { expr: operand, data_type, .. } = expr else { return };
    if let Some(function) = json_function(data_type) {
        *expr = call(function, vec![operand.as_ref().clone()]);
        return;
    }
    if let Some(function) = identifier_function(data_type) {
        *expr = call(function, vec![operand.as_ref().clone()]);
        return;
    }
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type
        && identifier_function(element).is_some()
    {
        // `ARRAY[...]::regtype[]` of numbers; of names it would fail to be a number.
        **element = DataType::IntUnsigned(None);
    }
    if is_vector(data_type) && text_of(operand).is_none() {
        // It is one already, and ours are plain arrays.
        *expr = operand.as_ref().clone();
        return;
    }
    if let Some(plain) = plain_type(data_type) {
        *data_type = plain;
    }
    in_microseconds(data_type);
    match data_type {
        DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_) => {
            show_name(operand);
            cut(expr);
        }
        DataType::Char(Some(_)) | DataType::Character(Some(_)) => cut(expr),
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            if let DataType::Custom(..) | DataType::Char(_) = element.as_ref()
                && let Some(plain) = plain_type(element)
            {
                **element = plain;
            }
            let literal = text_of(operand).and_then(|t| elements(t.trim().strip_prefix('{')?.strip_suffix('}')?));
            if let Some(items) = literal {
                let element = element.as_ref().clone();
                **operand = typed_array(items, &element);
            }
        }
        _ => {}
    }
}

/// Moments have microseconds, as in PostgreSQL: nanoseconds hold three centuries only.
fn in_microseconds(data_type: &mut DataType) {
    if let DataType::Timestamp(precision @ None, _) = data_type {
        *precision = Some(6);
    }
}

/// A cast to a text of limited length leaves off what is longer.
fn cut(expr: &mut Expr) {
    let Expr::Cast { expr: operand, data_type, .. } = expr else { return };
    if let DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::Char(length) | DataType::Character(length) = data_type
        && let Some(CharacterLength::IntegerLength { length, .. }) = length
    {
        let length = Expr::Value(Value::Number(length.to_string(), false).into());
        *expr = call("left", vec![cast(operand.as_ref().clone(), DataType::Text), length]);
    }
}

/// An array of literals cast one by one: the type of an empty one is its cast's.
fn typed_array(items: Vec<Option<String>>, element: &DataType) -> Expr {
    if items.is_empty() {
        return call("causeway_or_empty", vec![cast(null(), array_type(element.clone()))]);
    }
    let elem = items.into_iter().map(|item| cast(item.map_or_else(null, text), element.clone())).collect();
    Expr::Array(datafusion::sql::sqlparser::ast::Array { elem, named: true })
}

fn identifier_function(data_type: &DataType) -> Option<&'static str> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_owned(),
        DataType::Custom(name, modifiers) if modifiers.is_empty() => system_type(name)?,
        _ => return None,
    };
    IDENTIFIERS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
}

/// The function a cast to a document type becomes: the planner below us has no type that is shown as one.
fn json_function(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::JSON => Some(TO_JSON),
        DataType::JSONB => Some(TO_JSONB),
        DataType::Custom(name, modifiers) if modifiers.is_empty() => match system_type(name)?.as_str() {
            "json" => Some(TO_JSON),
            "jsonb" => Some(TO_JSONB),
            _ => None,
        },
        _ => None,
    }
}

fn is_vector(data_type: &DataType) -> bool {
    match data_type {
        DataType::Custom(name, _) => {
            matches!(system_type(name).as_deref(), Some("int2vector" | "oidvector" | "_int2" | "_oid"))
        }
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => match element.as_ref() {
            DataType::Custom(name, _) => matches!(system_type(name).as_deref(), Some("int2" | "oid")),
            DataType::Int2(_) | DataType::SmallInt(_) => true,
            _ => false,
        },
        _ => false,
    }
}

/// The name of a type of `pg_catalog` or `information_schema`, or of one without a schema.
fn system_type(name: &ObjectName) -> Option<String> {
    match parts(name).as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == "pg_catalog" || schema == "information_schema" => Some(name.clone()),
        _ => None,
    }
}

/// The planner's type for one written under PostgreSQL's internal name.
fn plain_type(data_type: &DataType) -> Option<DataType> {
    let DataType::Custom(name, modifiers) = data_type else { return None };
    let length = modifiers.first().and_then(|m| m.parse::<u64>().ok());
    Some(match system_type(name)?.as_str() {
        "bool" | "boolean" => DataType::Boolean,
        "int2" | "smallint" => DataType::SmallInt(None),
        "int4" | "integer" | "int" | "cardinal_number" => DataType::Integer(None),
        "int8" | "bigint" => DataType::BigInt(None),
        "float4" | "real" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "oid" | "xid" | "cid" => DataType::IntUnsigned(None),
        "text" | "name" | "char" | "cstring" | "unknown" | "pg_node_tree" | "sql_identifier" | "character_data" | "yes_or_no" => {
            DataType::Text
        }
        "varchar" | "bpchar" if length.is_none() => DataType::Text,
        "date" => DataType::Date,
        "time" => DataType::Time(None, TimezoneInfo::None),
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "timestamptz" | "time_stamp" => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        "bytea" => DataType::Bytea,
        "_text" | "_name" | "_varchar" | "_char" | "_aclitem" => array_type(DataType::Text),
        "_int4" => array_type(DataType::Integer(None)),
        "_int8" => array_type(DataType::BigInt(None)),
        "_regtype" => array_type(DataType::IntUnsigned(None)),
        _ => return None,
    })
}

/// Turns the number of an identifier into its name.
pub(super) fn show_name(expr: &mut Expr) {
    match expr {
        Expr::Nested(inner) => show_name(inner),
        Expr::Function(function) => {
            if let [name] = parts(&function.name).as_slice()
                && IDENTIFIERS.iter().any(|(_, identifier)| identifier == name)
            {
                *expr = call(&format!("{name}_name"), vec![expr.clone()]);
            }
        }
        _ => {}
    }
}

/// Identifiers in the columns of the result are names.
pub(super) fn show_names(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                    show_name(expr);
                }
            }
        }
        SetExpr::Query(query) => show_names(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            show_names(left);
            show_names(right);
        }
        _ => {}
    }
}

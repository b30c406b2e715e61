//! The names of columns that have none of their own, as PostgreSQL makes them up: `count`, `int4`, `case`, `?column?`.
//!
//! DataFusion names a column by its whole expression, and refuses a select in which two are named alike.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Expr, Ident, ObjectName, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TimezoneInfo,
    TrimWhereField, Value, VisitMut, VisitorMut,
};

/// What PostgreSQL calls a column it has no name for.
const UNNAMED: &str = "?column?";

/// The names of the columns of `query`, whose plan has the columns of `schema`. `None` when the plan's own names are right.
///
/// The plan names a column by its expression, the client wants the name the statement gave it. A wildcard stands for as many
/// columns as are left over; the columns of several wildcards keep the plan's names.
pub(crate) fn column_names(query: &Statement, schema: &Schema) -> Option<Vec<String>> {
    let Statement::Query(query) = query else { return None };
    let select = leftmost(query)?;
    let mut names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let wild: Vec<usize> = select.projection.iter().enumerate().filter(|(_, item)| named(item).is_none()).map(|(at, _)| at).collect();
    let items = &select.projection;
    let (head, tail) = match (wild.first(), wild.last()) {
        (Some(first), Some(last)) => (&items[..*first], &items[last + 1..]),
        _ if items.len() == names.len() => (items.as_slice(), &items[..0]),
        _ => return None,
    };
    if head.len() + tail.len() > names.len() {
        return None;
    }
    for (at, item) in head.iter().enumerate() {
        names[at] = named(item)?;
    }
    let start = names.len() - tail.len();
    for (at, item) in tail.iter().enumerate() {
        names[start + at] = named(item)?;
    }
    Some(names)
}

/// Gives the unnamed items of every select in `query` PostgreSQL's names, and those named alike names of their own.
///
/// What clients see comes from [`column_names`] of the statement as it was.
pub(crate) fn name_columns(mut query: Statement) -> Statement {
    let ControlFlow::Continue(()) = VisitMut::visit(&mut query, &mut Namer { depth: 0 });
    query
}

struct Namer {
    /// Queries around the current one.
    depth: usize,
}

impl VisitorMut for Namer {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        order_by_position(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        // Below the top a name may be referred to: there only what could not stand at all is renamed.
        let outermost = self.depth <= 1;
        let wild = select.projection.iter().any(|item| named(item).is_none());
        // HAVING, and ORDER BY of a DISTINCT select, are matched with the items by name: there no name is added that they could
        // mistake, or miss.
        let matched = select.having.is_some() || select.distinct.is_some();
        let mut taken = HashSet::new();
        for (at, item) in select.projection.iter_mut().enumerate() {
            let SelectItem::UnnamedExpr(expr) = item else {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    taken.insert(folded(alias));
                }
                continue;
            };
            let figured = figured(expr).map_or_else(|| UNNAMED.to_owned(), |figured| figured.name);
            let unique = format!("{figured}:{}", at + 1);
            let name = match plain_name(expr) {
                // DataFusion names it well enough, unless that is taken: `a.id` and `b.id` differ, `id` and `id::text` do not.
                Some(plain) if taken.insert(plain.clone()) && !(wild && outermost) => continue,
                Some(_) => unique,
                None if matched && taken.insert(expr.to_string().to_lowercase()) => continue,
                None if !matched && taken.insert(figured.clone()) => figured,
                None => unique,
            };
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) };
        }
        ControlFlow::Continue(())
    }
}

/// Sorts a `DISTINCT` select by the positions of the items that `ORDER BY` repeats: DataFusion knows them by no other way.
fn order_by_position(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    if select.distinct.is_none() {
        return;
    }
    let items = &select.projection;
    let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &mut query.order_by else { return };
    for key in keys {
        let same = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(expr) if *expr == key.expr);
        let single = |item: &SelectItem| named(item).is_some();
        if plain_name(&key.expr).is_none()
            && !matches!(key.expr, Expr::Value(_))
            && let Some(at) = items.iter().position(same)
            && items[..at].iter().all(single)
        {
            key.expr = Expr::Value(Value::Number((at + 1).to_string(), false).into());
        }
    }
}

/// What DataFusion calls a column reference, casts aside; `None` for other expressions.
fn plain_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => Some(parts.iter().map(folded).collect::<Vec<_>>().join(".")),
        Expr::Nested(inner) => plain_name(inner),
        Expr::Cast { expr, .. } => plain_name(expr),
        _ => None,
    }
}

/// The select whose names a set operation takes.
fn leftmost(query: &Query) -> Option<&Select> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::Query(inner) => body = inner.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            SetExpr::Values(_) | SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => {
                return None;
            }
        }
    }
}

/// The name of an item; `None` for those that stand for several columns.
pub(crate) fn named(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(expr) => Some(figured(expr).map_or_else(|| UNNAMED.to_owned(), |figured| figured.name)),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
    }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// A made-up name. A weak one, from a type, gives way to any other.
struct Figured {
    name: String,
    weak: bool,
}

fn strong(name: impl Into<String>) -> Option<Figured> {
    Some(Figured { name: name.into(), weak: false })
}

fn figured(expr: &Expr) -> Option<Figured> {
    match expr {
        Expr::Identifier(name) => strong(folded(name)),
        Expr::CompoundIdentifier(parts) => strong(folded(parts.last()?)),
        Expr::CompoundFieldAccess { root, access_chain } => access_chain
            .iter()
            .rev()
            .find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => strong(folded(name)),
                AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
            })
            .or_else(|| figured(root)),
        Expr::Function(function) => strong(last(&function.name)?),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figured(inner),
        Expr::Cast { expr, data_type, .. } => match figured(expr) {
            Some(figured) if !figured.weak => Some(figured),
            _ => Some(Figured { name: type_name(data_type), weak: true }),
        },
        Expr::TypedString(typed) => Some(Figured { name: type_name(&typed.data_type), weak: true }),
        Expr::Interval(_) => Some(Figured { name: "interval".to_owned(), weak: true }),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figured) {
            Some(figured) if !figured.weak => Some(figured),
            _ => Some(Figured { name: "case".to_owned(), weak: true }),
        },
        Expr::Subquery(query) => {
            let select = leftmost(query)?;
            strong(named(select.projection.first()?)?)
        }
        Expr::Exists { negated: false, .. } => strong("exists"),
        Expr::Extract { .. } => strong("extract"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            Some(TrimWhereField::Both) | None => "btrim",
        }),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        _ => None,
    }
}

fn last(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(folded)
}

/// A type by the name PostgreSQL keeps it under.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean | DataType::Bool => "bool".to_owned(),
        DataType::SmallInt(_) | DataType::Int2(_) => "int2".to_owned(),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4".to_owned(),
        DataType::BigInt(_) | DataType::Int8(_) => "int8".to_owned(),
        DataType::Real | DataType::Float4 => "float4".to_owned(),
        DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 | DataType::Float(_) => "float8".to_owned(),
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric".to_owned(),
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => "varchar".to_owned(),
        DataType::Char(_) | DataType::Character(_) => "bpchar".to_owned(),
        DataType::Timestamp(_, zone) => match zone {
            TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => "timestamptz".to_owned(),
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => "timestamp".to_owned(),
        },
        DataType::Interval { .. } => "interval".to_owned(),
        DataType::Time(..) => "time".to_owned(),
        DataType::Custom(name, _) => last(name).unwrap_or_else(|| UNNAMED.to_owned()),
        other => {
            let text = other.to_string().to_lowercase();
            text.split(['(', ' ', '[']).next().unwrap_or(&text).to_owned()
        }
    }
}

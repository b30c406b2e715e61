//! Joins at the source.

use datafusion::common::{DFSchema, NullEquality};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Join, JoinType, Operator, binary_expr};

use causeway_providers::Capabilities;
use causeway_providers::sql::{Dialect, SqlRemote, Translation, translate};

use super::absorb::{Absorbed, FILTERED};
use super::open::{Aliases, ColumnAliases, OpenColumn, OpenSelect, PairScope, Source};
use super::{Reason, fan_out};

/// A side of so few rows may be joined without an equality: the product stays small.
const TINY: u64 = 100;

/// A join of `left` and `right`, both of one remote.
pub(super) fn join(node: &Join, left: &OpenSelect, right: &OpenSelect, aliases: &mut Aliases) -> Result<Absorbed, Reason> {
    permitted(node, left, right)?;
    let (left_is_nullable, right_is_nullable) = match node.join_type {
        JoinType::Left => (false, true),
        JoinType::Right => (true, false),
        JoinType::Full => (true, true),
        _ => (false, false),
    };
    let left = operand(left, left_is_nullable, node.join_type, aliases);
    let right = operand(right, right_is_nullable, node.join_type, aliases);
    let conditions = conditions(node, &left, &right)?;
    let (mut left, mut right) = (left, right);
    for expr in node.on.iter().flat_map(|(one, other)| [one, other]).chain(&node.filter) {
        left.rely(expr, node.left.schema());
        right.rely(expr, node.right.schema());
    }
    if !conditions.above.is_empty() && node.join_type != JoinType::Inner {
        return Err(conditions.reasons.into_iter().next().unwrap_or_default());
    }
    let on = conditions.on;
    let multiplied = match node.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => left
            .believed
            .zip(right.believed)
            .and_then(|(ones, others)| fan_out::multiplied((&node.left, ones), (&node.right, others), &node.on)),
        _ => None,
    };
    let open = match node.join_type {
        JoinType::Inner if on.is_empty() => {
            let believed = left.believed.zip(right.believed).map(|(one, other)| one.saturating_mul(other));
            OpenSelect { believed, ..combined(left, right, "CROSS JOIN", None) }
        }
        JoinType::Inner => combined(left, right, "JOIN", Some(on)),
        JoinType::Left => {
            let on = [on, std::mem::take(&mut right.filter)].concat();
            outer_condition(node, &on, left.dialect())?;
            combined(left, right, "LEFT JOIN", Some(on))
        }
        JoinType::Right => {
            let on = [on, std::mem::take(&mut left.filter)].concat();
            outer_condition(node, &on, left.dialect())?;
            combined(left, right, "RIGHT JOIN", Some(on))
        }
        JoinType::Full => combined(left, right, "FULL JOIN", Some(on)),
        JoinType::LeftSemi => exists(left, right, on, "EXISTS"),
        JoinType::LeftAnti => exists(left, right, on, "NOT EXISTS"),
        JoinType::RightSemi => exists(right, left, on, "EXISTS"),
        JoinType::RightAnti => exists(right, left, on, "NOT EXISTS"),
        JoinType::LeftMark | JoinType::RightMark => return Err("a mark join is computed here".to_owned()),
    };
    // Of two rows that do not meet a full join gives both.
    let from_one_row = open.from_one_row && node.join_type != JoinType::Full;
    let open = OpenSelect { believed: multiplied.or(open.believed), from_one_row, ..open };
    if conditions.above.is_empty() {
        Ok(Absorbed::Whole(open))
    } else {
        Ok(Absorbed::Partly { open, above: conditions.above, reasons: conditions.reasons })
    }
}

/// Whether the node itself may be shipped.
fn permitted(node: &Join, left: &OpenSelect, right: &OpenSelect) -> Result<(), Reason> {
    let Capabilities { inner_join, outer_join, full_join, semi_join, .. } = *left.remote.capabilities();
    let (able, kind) = match node.join_type {
        JoinType::Inner => (inner_join, "inner"),
        JoinType::Left | JoinType::Right => (outer_join, "outer"),
        JoinType::Full => (full_join, "full outer"),
        JoinType::LeftSemi | JoinType::RightSemi | JoinType::LeftAnti | JoinType::RightAnti => (semi_join, "semi and anti"),
        JoinType::LeftMark | JoinType::RightMark => (false, "mark"),
    };
    if !able {
        return Err(format!("the source does not compute {kind} joins as is done here"));
    }
    if node.null_aware {
        return Err("NOT IN over values that may be NULL is decided here".to_owned());
    }
    let tiny = |side: &OpenSelect| side.rows.is_some_and(|rows| rows <= TINY);
    let multiplies = matches!(node.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
    if multiplies && node.on.is_empty() && !tiny(left) && !tiny(right) {
        return Err("a join without an equality would come back larger than its inputs".to_owned());
    }
    if node.join_type == JoinType::Full
        && (node.on.is_empty() || node.filter.is_some() || node.null_equality == NullEquality::NullEqualsNull)
    {
        return Err("a full join on more than equalities is computed here".to_owned());
    }
    Ok(())
}

/// A side of a join, wrapped where the join would otherwise change what it computes.
fn operand(side: &OpenSelect, nullable: bool, join_type: JoinType, aliases: &mut Aliases) -> OpenSelect {
    let side = side.clone().flattened(aliases);
    // Above an outer join an expression would be computed over NULLs where the row is missing, instead of being NULL.
    let computes = side.columns.iter().any(|column| !column.is_reference());
    let filters = join_type == JoinType::Full && !side.filter.is_empty();
    if nullable && (computes || filters) { side.closed(aliases) } else { side }
}

struct Conditions {
    on: Vec<String>,
    above: Vec<Expr>,
    reasons: Vec<Reason>,
}

fn conditions(node: &Join, left: &OpenSelect, right: &OpenSelect) -> Result<Conditions, Reason> {
    let (left_schema, right_schema): (&DFSchema, &DFSchema) = (node.left.schema(), node.right.schema());
    let scope = PairScope(left.scope(left_schema), right.scope(right_schema));
    let dialect = left.dialect();
    let operator = match node.null_equality {
        NullEquality::NullEqualsNothing => Operator::Eq,
        NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
    };
    let mut conditions = Conditions { on: Vec::new(), above: Vec::new(), reasons: Vec::new() };
    for (one, other) in &node.on {
        match translate(dialect, &binary_expr(one.clone(), operator, other.clone()), &scope) {
            Translation::Exact(sql) => conditions.on.push(sql),
            Translation::Superset(_) => return Err("the source holds different values equal: joined here".to_owned()),
            Translation::Local(reason) => return Err(reason),
        }
    }
    for conjunct in node.filter.iter().flat_map(|filter| split_conjunction(filter)) {
        match translate(dialect, conjunct, &scope) {
            Translation::Exact(sql) => conditions.on.push(sql),
            Translation::Superset(sql) => {
                conditions.on.push(sql);
                conditions.above.push(conjunct.clone());
                conditions.reasons.push("the source lets more rows through: checked again here".to_owned());
            }
            Translation::Local(reason) => {
                conditions.above.push(conjunct.clone());
                conditions.reasons.push(reason);
            }
        }
    }
    Ok(conditions)
}

/// Whether the source takes `on` as the condition of an outer join.
fn outer_condition(node: &Join, on: &[String], dialect: &dyn Dialect) -> Result<(), Reason> {
    let is_by_equality = !node.on.is_empty() && node.null_equality == NullEquality::NullEqualsNothing;
    if !is_by_equality && !on.is_empty() && !dialect.joins_outer_on_anything() {
        return Err("the source computes outer joins by equalities".to_owned());
    }
    Ok(())
}

fn combined(left: OpenSelect, right: OpenSelect, keyword: &str, on: Option<Vec<String>>) -> OpenSelect {
    let mut sql = format!("{} {keyword} {}", left.from.sql, right.from.operand());
    if let Some(on) = on {
        sql.push_str(" ON ");
        if on.is_empty() {
            // An outer join takes a condition in every dialect, if only one that holds always.
            sql.push_str("1 = 1");
        } else {
            sql.push_str(&on.join(" AND "));
        }
    }
    let tiny = |rows: Option<u64>| rows.is_some_and(|rows| rows <= TINY);
    let rows = match (left.rows, right.rows) {
        (one, other) if tiny(one) && tiny(other) => one.zip(other).map(|(one, other)| one * other),
        _ => None,
    };
    // As of a key and what refers to it: a row of the one for each of the other.
    let believed = left.believed.zip(right.believed).map(|(one, other)| one.max(other));
    let inputs = left.inputs.zip(right.inputs).map(|(one, other)| one.saturating_add(other));
    let columns: Vec<OpenColumn> = [left.columns, right.columns].concat();
    OpenSelect {
        columns,
        from: Source { sql, joined: true },
        filter: [left.filter, right.filter].concat(),
        needs: left.needs.and(&right.needs),
        order_by: Vec::new(),
        gains: true,
        rows,
        believed,
        inputs,
        remote: left.remote,
        grouping: None,
        limit: None,
        offset: 0,
        subqueries: Vec::new(),
        from_one_row: left.from_one_row && right.from_one_row,
    }
}

/// `kept` restricted to rows for which `sought` has a match, or none.
fn exists(kept: OpenSelect, sought: OpenSelect, on: Vec<String>, keyword: &str) -> OpenSelect {
    let inner = OpenSelect { columns: Vec::new(), filter: [sought.filter, on].concat(), ..sought };
    let condition = format!("{keyword} ({})", inner.output(ColumnAliases::None));
    let needs = kept.needs.and(&inner.needs);
    let believed = kept.believed.map(|rows| rows / FILTERED);
    let mut kept = OpenSelect { needs, believed, gains: true, ..kept };
    kept.restrict(condition);
    kept
}

/// Whether both are the same remote.
pub(super) fn same_remote(one: &dyn SqlRemote, other: &dyn SqlRemote) -> bool {
    one.id() == other.id()
}

//! `INTERSECT ALL` and `EXCEPT ALL` heed how often a row is there.
//!
//! DataFusion makes a semi or an anti join of them, as of those without `ALL`: a row that is there once on the right kept, or took away,
//! all of its equals on the left. Here equal rows are numbered on both sides, and the number is compared with them: the third of its
//! kind has its partner only if there are three on the other side too.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder};

/// What the numbers are called on the left and on the right, where the joined columns of both sides have names of their own.
const NUMBERS: [&str; 2] = ["causeway_left_number", "causeway_right_number"];

/// `plan`, as the parser's tree was made into it, with its equal rows counted.
pub(crate) fn count_equals(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if is_of_all(&join) => counted(join).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// Whether a join was made of a set operation with `ALL`: nothing that can be written is a semi or anti join for which NULLs are equal.
/// Where the left is distinct, a row of it is there once and the join is right.
fn is_of_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
}

fn counted(mut join: Join) -> Result<LogicalPlan> {
    let columns = join.left.schema().columns();
    let (left_keys, right_keys) = join.on.iter().cloned().unzip();
    join.left = Arc::new(numbered(&join.left, left_keys, NUMBERS[0])?);
    join.right = Arc::new(numbered(&join.right, right_keys, NUMBERS[1])?);
    let [left, right] = NUMBERS.map(|name| Expr::Column(Column::new_unqualified(name)));
    join.on.push((left, right));
    let join = Join::try_new(
        join.left,
        join.right,
        join.on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(join)).project(columns.into_iter().map(Expr::Column))?.build()
}

/// `plan` with a column more, the how-manieth of its equals each row is.
fn numbered(plan: &Arc<LogicalPlan>, keys: Vec<Expr>, name: &str) -> Result<LogicalPlan> {
    let number = row_number().partition_by(keys).build()?;
    let columns: Vec<_> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let windowed = LogicalPlanBuilder::new_from_arc(Arc::clone(plan)).window([number.clone()])?;
    let number = Expr::Column(Column::new_unqualified(number.schema_name().to_string())).alias(name);
    windowed.project(columns.into_iter().chain([number]))?.build()
}

//! A subquery that stands for a value is NULL when it has no row, whatever its column says.
//!
//! DataFusion asks the column, and of one that is never NULL it takes `(SELECT ...) IS NULL` for false and leaves
//! `coalesce((SELECT ...), 0)` without its zero. So such a subquery is covered by a function that may give NULL and does nothing else,
//! by the name of what it covers.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Covers a subquery whose column is never NULL.
pub(crate) fn cover(expr: Expr) -> Transformed<Expr> {
    match &expr {
        Expr::ScalarSubquery(subquery) if !subquery.subquery.schema().field(0).is_nullable() => {
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: Arc::clone(&COVER), args: vec![expr] }))
        }
        _ => Transformed::no(expr),
    }
}

/// What is covered; anything else is given back.
pub(crate) fn uncover(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if func.inner().downcast_ref::<MaybeNull>().is_some() && args.len() == 1 =>
        {
            Transformed::yes(args.remove(0))
        }
        other => Transformed::no(other),
    }
}

static COVER: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(MaybeNull { signature: Signature::any(1, Volatility::Immutable) })));

#[derive(Debug, PartialEq, Eq, Hash)]
struct MaybeNull {
    signature: Signature,
}

impl ScalarUDFImpl for MaybeNull {
    fn name(&self) -> &'static str {
        "maybe_null"
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        match arguments {
            [only] => Ok(only.schema_name().to_string()),
            _ => internal_err!("{} covers one value", self.name()),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [only] => Ok(only.clone()),
            _ => internal_err!("{} covers one value", self.name()),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match arguments.arg_fields {
            [only] => Ok(Arc::new(Field::clone(only).with_nullable(true))),
            _ => internal_err!("{} covers one value", self.name()),
        }
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.pop() {
            Some(value) => Ok(value),
            None => internal_err!("{} covers one value", self.name()),
        }
    }
}

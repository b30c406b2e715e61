//! `pg_notify(channel, payload)`: NOTIFY as a function, with names and payloads that are computed.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::outbox::Outbox;
use crate::pg::pg_type::TYPE_KEY;

/// The function for the statements of a session, which sends when the session's transaction commits.
pub(crate) fn pg_notify(outbox: &Arc<Outbox>) -> Arc<ScalarUDF> {
    Arc::new(PgNotify { outbox: Arc::clone(outbox), transaction: None, signature: Signature::any(2, Volatility::Volatile) }.into())
}

#[derive(Debug)]
struct PgNotify {
    outbox: Arc<Outbox>,
    /// The transaction the statement runs in. It is found when the statement starts, since a plan may run in many.
    transaction: Option<u64>,
    signature: Signature,
}

impl PartialEq for PgNotify {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.outbox, &other.outbox) && self.transaction == other.transaction
    }
}

impl Eq for PgNotify {}

impl Hash for PgNotify {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.transaction.hash(state);
    }
}

impl ScalarUDFImpl for PgNotify {
    fn name(&self) -> &str {
        "pg_notify"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(self.name(), DataType::Utf8, true);
        Ok(Arc::new(field.with_metadata([(TYPE_KEY.to_owned(), "void".to_owned())].into())))
    }

    /// Statements are optimised each time they start, never before: here the function learns in which transaction it is called.
    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if self.transaction.is_some() {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let bound =
            Self { outbox: Arc::clone(&self.outbox), transaction: Some(self.outbox.transaction()), signature: self.signature.clone() };
        let function = ScalarFunction::new_udf(Arc::new(bound.into()), args);
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(function)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.iter().map(|argument| text(&argument.to_array(rows)?)).collect::<Result<Vec<_>>>()?;
        let [channels, payloads] = columns.as_slice() else {
            return Err(DataFusionError::Internal("pg_notify is called with two arguments".to_owned()));
        };
        for row in 0..rows {
            // As in PostgreSQL a NULL is an empty text: a fault in the channel's place, none in the payload's.
            let value = |column: &StringArray| if column.is_null(row) { String::new() } else { column.value(row).to_owned() };
            let (channel, payload) = (value(channels), value(payloads));
            match self.transaction {
                Some(transaction) => self.outbox.add_in(transaction, &channel, &payload)?,
                None => self.outbox.add(&channel, &payload)?,
            }
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(vec![""; rows]))))
    }
}

fn text(column: &ArrayRef) -> Result<StringArray> {
    Ok(cast(column, &DataType::Utf8)?.as_string().clone())
}

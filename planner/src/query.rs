//! A planned query: what it returns, what parameters it takes, and its execution.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;

use crate::error::Result;
use crate::{Error, ErrorKind};

/// A query with its names and types resolved, to be run any number of times.
#[derive(Debug, Clone)]
pub struct Query {
    schema: SchemaRef,
    parameter_types: Vec<DataType>,
}

impl Query {
    /// The columns of its result. Field metadata holds `causeway_providers::Presentation`.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The types of `$1`, `$2`, ...
    pub fn parameter_types(&self) -> &[DataType] {
        &self.parameter_types
    }

    /// Binds the parameters, optimises, federates and starts. `now()` is the moment of this call.
    ///
    /// Dropping the stream ends the work here and at the sources.
    ///
    /// # Errors
    /// What planning could not see yet; later failures come through the stream and convert `Into<Error>`.
    pub async fn execute(&self, _parameters: Vec<ScalarValue>) -> Result<SendableRecordBatchStream> {
        Err(Error::new(ErrorKind::Unsupported, "no planner yet"))
    }
}

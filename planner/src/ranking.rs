//! Ranking functions with the types of PostgreSQL: DataFusion counts rows in unsigned numbers, which no client of PostgreSQL knows.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::{SortOptions, cast};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::window_state::WindowAggState;
use datafusion::logical_expr::{Documentation, LimitEffect, PartitionEvaluator, Signature, WindowUDF, WindowUDFImpl};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::scalar::ScalarValue;

/// The functions that count rows, and the types that PostgreSQL counts in.
const COUNTS: [(&str, DataType); 4] =
    [("row_number", DataType::Int64), ("rank", DataType::Int64), ("dense_rank", DataType::Int64), ("ntile", DataType::Int32)];

/// The ranking functions to use in the place of those that `find` knows by their names.
pub(crate) fn typed(find: impl Fn(&str) -> Option<Arc<WindowUDF>>) -> Vec<Arc<WindowUDF>> {
    let one = |(name, data_type): (&str, DataType)| Some(Arc::new(WindowUDF::from(Ranking { function: find(name)?, data_type })));
    COUNTS.into_iter().filter_map(one).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ranking {
    function: Arc<WindowUDF>,
    data_type: DataType,
}

impl WindowUDFImpl for Ranking {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn expressions(&self, args: ExpressionArgs<'_>) -> Vec<Arc<dyn PhysicalExpr>> {
        self.function.inner().expressions(args)
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs<'_>) -> DataFusionResult<Box<dyn PartitionEvaluator>> {
        let evaluator = self.function.partition_evaluator_factory(args)?;
        Ok(Box::new(Typed { evaluator, data_type: self.data_type.clone() }))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let field = self.function.field(args)?;
        Ok(Arc::new(Field::clone(&field).with_data_type(self.data_type.clone())))
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.function.sort_options()
    }

    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        self.function.inner().limit_effect(args)
    }
}

/// Ranks of a partition, cast.
#[derive(Debug)]
struct Typed {
    evaluator: Box<dyn PartitionEvaluator>,
    data_type: DataType,
}

impl PartitionEvaluator for Typed {
    fn memoize(&mut self, state: &mut WindowAggState) -> DataFusionResult<()> {
        self.evaluator.memoize(state)
    }

    fn get_range(&self, row: usize, rows: usize) -> DataFusionResult<Range<usize>> {
        self.evaluator.get_range(row, rows)
    }

    fn is_causal(&self) -> bool {
        self.evaluator.is_causal()
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> DataFusionResult<ArrayRef> {
        Ok(cast(&self.evaluator.evaluate_all(values, rows)?, &self.data_type)?)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> DataFusionResult<ScalarValue> {
        self.evaluator.evaluate(values, range)?.cast_to(&self.data_type)
    }

    fn evaluate_all_with_rank(&self, rows: usize, ranks: &[Range<usize>]) -> DataFusionResult<ArrayRef> {
        Ok(cast(&self.evaluator.evaluate_all_with_rank(rows, ranks)?, &self.data_type)?)
    }

    fn supports_bounded_execution(&self) -> bool {
        self.evaluator.supports_bounded_execution()
    }

    fn uses_window_frame(&self) -> bool {
        self.evaluator.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.evaluator.include_rank()
    }
}

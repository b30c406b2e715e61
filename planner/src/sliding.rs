//! Sums, averages and variances of floats over frames that move.
//!
//! DataFusion takes away from a sum what leaves the frame. Of floats that is another sum: `1e20 + 1 - 1e20` is zero, and infinity never
//! leaves. PostgreSQL adds each frame up anew, from its first row to its last, and so are small ones here. Of larger ones nothing is taken away
//! either, and nothing added twice: of the older values it is known what each and those behind it make, so that the oldest can go.
//!
//! That is the two stacks of K. Tangwongsan, M. Hirzel, S. Schneider, K.-L. Wu: General Incremental Sliding-Window Aggregation, VLDB 2015.

use std::collections::VecDeque;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::DFSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionDefinition};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, ExprSchemable, Signature};
use datafusion::scalar::ScalarValue;

use crate::meeting::is_float;

/// What is made of the values of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Statistic {
    Sum,
    Average,
    PopulationVariance,
    SampleVariance,
    PopulationDeviation,
    SampleDeviation,
}

impl Statistic {
    fn of(name: &str) -> Option<Self> {
        match name {
            "sum" => Some(Self::Sum),
            "avg" => Some(Self::Average),
            "var_pop" => Some(Self::PopulationVariance),
            "var" | "var_samp" => Some(Self::SampleVariance),
            "stddev_pop" => Some(Self::PopulationDeviation),
            "stddev" | "stddev_samp" => Some(Self::SampleDeviation),
            _ => None,
        }
    }
}

/// Lets a window function over floats whose frame's start moves add up anew. Whether it is one.
pub(crate) fn adds_anew(function: &mut WindowFunction, schema: &DFSchema) -> bool {
    let WindowFunctionDefinition::AggregateUDF(plain) = &function.fun else { return false };
    let params = &function.params;
    let is_of_floats = matches!(params.args.as_slice(), [value] if value.get_type(schema).is_ok_and(|data_type| is_float(&data_type)));
    if !is_of_floats || params.distinct || params.window_frame.start_bound.is_unbounded() || plain.inner().is::<Anew>() {
        return false;
    }
    let Some(statistic) = Statistic::of(plain.name()) else { return false };
    let anew = AggregateUDF::new_from_impl(Anew { plain: Arc::clone(plain), statistic });
    function.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(anew));
    true
}

/// An aggregate function, whose frames move otherwise.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Anew {
    plain: Arc<AggregateUDF>,
    statistic: Statistic,
}

impl AggregateUDFImpl for Anew {
    fn name(&self) -> &str {
        self.plain.name()
    }

    fn signature(&self) -> &Signature {
        self.plain.signature()
    }

    fn return_type(&self, types: &[DataType]) -> DataFusionResult<DataType> {
        self.plain.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> DataFusionResult<FieldRef> {
        self.plain.return_field(fields)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        self.plain.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        self.plain.state_fields(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        self.plain.coerce_types(types)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(Frame::new(self.statistic, data_type)))
    }
}

/// How many values there are, their sum, and what they differ from their mean, squared.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(value: f64) -> Self {
        Self { count: 1.0, sum: value, mean: value, squares: 0.0 }
    }

    /// Of the values of both, as T. F. Chan, G. H. Golub, R. J. LeVeque: Algorithms for Computing the Sample Variance, 1983.
    fn with(self, later: Self) -> Self {
        if self.count == 0.0 {
            return later;
        }
        if later.count == 0.0 {
            return self;
        }
        let count = self.count + later.count;
        let apart = later.mean - self.mean;
        Self {
            count,
            sum: self.sum + later.sum,
            mean: self.mean + apart * later.count / count,
            squares: self.squares + later.squares + apart * apart * self.count * later.count / count,
        }
    }

    /// `None` where there are too few values.
    fn value(self, statistic: Statistic) -> Option<f64> {
        let variance = |count: f64| (count > 0.0).then(|| self.squares / count);
        match statistic {
            Statistic::Sum => (self.count > 0.0).then_some(self.sum),
            Statistic::Average => (self.count > 0.0).then(|| self.sum / self.count),
            Statistic::PopulationVariance => variance(self.count),
            Statistic::SampleVariance => variance(self.count - 1.0),
            Statistic::PopulationDeviation => variance(self.count).map(f64::sqrt),
            Statistic::SampleDeviation => variance(self.count - 1.0).map(f64::sqrt),
        }
    }
}

/// Frames of at most so many values are added up as they stand.
const SMALL: usize = 256;

/// The values of one frame.
#[derive(Debug)]
struct Frame {
    statistic: Statistic,
    data_type: DataType,
    /// The oldest first.
    values: VecDeque<f64>,
    /// Of each of the first values and those behind it that are older too, the oldest last.
    older: Vec<Moments>,
    /// Of the other values.
    of_newer: Moments,
}

impl Frame {
    fn new(statistic: Statistic, data_type: DataType) -> Self {
        Self { statistic, data_type, values: VecDeque::new(), older: Vec::new(), of_newer: Moments::default() }
    }

    fn all(&self) -> Moments {
        if self.values.len() <= SMALL {
            return self.values.iter().fold(Moments::default(), |all, value| all.with(Moments::of(*value)));
        }
        self.older.last().copied().unwrap_or_default().with(self.of_newer)
    }
}

fn numbers(values: &[ArrayRef]) -> DataFusionResult<ArrayRef> {
    match values {
        [values] => Ok(cast(values, &DataType::Float64)?),
        _ => datafusion::common::internal_err!("a frame has one column"),
    }
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        for value in numbers(values)?.as_primitive::<Float64Type>().iter().flatten() {
            self.values.push_back(value);
            self.of_newer = self.of_newer.with(Moments::of(value));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        for _ in numbers(values)?.as_primitive::<Float64Type>().iter().flatten() {
            if self.older.is_empty() {
                let behind = |behind: &mut Moments, value: &f64| {
                    *behind = Moments::of(*value).with(*behind);
                    Some(*behind)
                };
                self.older.extend(self.values.iter().rev().scan(Moments::default(), behind));
                self.of_newer = Moments::default();
            }
            self.values.pop_front();
            self.older.pop();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        ScalarValue::Float64(self.all().value(self.statistic)).cast_to(&self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.older.capacity() * size_of::<Moments>() + self.values.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        datafusion::common::internal_err!("a frame is not merged with another")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> DataFusionResult<()> {
        datafusion::common::internal_err!("a frame is not merged with another")
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Float64Array;

    use super::*;

    fn array(value: f64) -> [ArrayRef; 1] {
        [Arc::new(Float64Array::from(vec![value]))]
    }

    /// What a frame of so many rows gives as it moves over `values`.
    fn over(values: &[f64], rows: usize, statistic: Statistic) -> Vec<f64> {
        let mut frame = Frame::new(statistic, DataType::Float64);
        let moved = values.iter().enumerate().map(|(at, value)| {
            frame.update_batch(&array(*value)).unwrap();
            if let Some(left) = at.checked_sub(rows) {
                frame.retract_batch(&array(values[left])).unwrap();
            }
            match frame.evaluate().unwrap() {
                ScalarValue::Float64(Some(value)) => value,
                other => panic!("{other:?}"),
            }
        });
        moved.collect()
    }

    #[test]
    fn what_has_left_leaves_nothing_behind() {
        let sums = over(&[1e20, 1.0, f64::INFINITY, 1.0, 2.0, f64::NAN, 3.0, 4.0], 2, Statistic::Sum);
        assert_eq!(format!("{sums:?}"), "[1e20, 1e20, inf, inf, 3.0, NaN, NaN, 7.0]");
    }

    #[test]
    fn large_frames_give_what_small_ones_give() {
        let values: Vec<f64> = (0..2000_u32).map(|at| f64::from(at * 7919 % 1000)).collect();
        for statistic in [Statistic::Sum, Statistic::Average, Statistic::PopulationVariance] {
            let moved = over(&values, 700, statistic);
            for end in [699, 700, 1399, 1400, 1401, 1999] {
                let within = &values[(end + 1_usize).saturating_sub(700)..=end];
                let plain = within.iter().fold(Moments::default(), |all, value| all.with(Moments::of(*value))).value(statistic).unwrap();
                assert!((moved[end] - plain).abs() <= plain * 1e-12, "{statistic:?} at {end}: {} instead of {plain}", moved[end]);
            }
        }
    }
}

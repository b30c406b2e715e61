//! Which order of a cluster's joins is the cheapest: the sum of the rows of all intermediate results, each estimated by the rows of its
//! sides and the distinct values of the columns that are equal (P. G. Selinger et al., "Access Path Selection in a Relational Database
//! Management System", 1979).
//!
//! Each order begins with one input and takes in one after the other, always the one that leaves the fewest rows. From each beginning
//! there is one such order, which is not always the best one there is.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use super::cluster::{Cluster, InputColumn};

/// Of more inputs the written order stays: to look at all of them takes time with the cube of their number.
const MOST_INPUTS: usize = 24;

/// Another order must be believed to be so much cheaper than the written one: beliefs are often wrong.
const WORTH: f64 = 0.8;

/// Inputs in the order in which they are joined, and how many rows each step is believed to leave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) inputs: Vec<usize>,
    /// Those of the first input, of it joined with the second, and so on.
    pub(super) rows: Vec<f64>,
}

impl Order {
    /// The rows between the joins. Those of the last one are the same in each order.
    fn cost(&self) -> f64 {
        self.rows.iter().take(self.rows.len() - 1).sum()
    }
}

/// What is believed of an input.
#[derive(Debug)]
struct Belief {
    rows: f64,
    /// How many distinct values each column has, where anything tells.
    distinct: Vec<Option<f64>>,
}

/// The order of least cost; `None` when that is the written one, or nothing is known of an input.
pub(super) fn least(cluster: &Cluster) -> DataFusionResult<Option<Order>> {
    if cluster.inputs.len() > MOST_INPUTS {
        return Ok(None);
    }
    let mut beliefs = Vec::with_capacity(cluster.inputs.len());
    for (input, widened) in cluster.inputs.iter().zip(&cluster.widened) {
        let Some(mut belief) = believed(input)? else { return Ok(None) };
        // A wider type has no more values than the column.
        let wide: Vec<_> = widened.iter().map(|widened| belief.distinct[widened.column]).collect();
        belief.distinct.extend(wide);
        beliefs.push(belief);
    }
    let Some(written) = in_turn(cluster, &beliefs, (0..beliefs.len()).collect()) else { return Ok(None) };
    let orders = (0..beliefs.len()).filter_map(|first| fewest_next(cluster, &beliefs, first));
    let best = orders.min_by(|one, other| one.cost().total_cmp(&other.cost()));
    Ok(best.filter(|best| best.cost() < WORTH * written.cost()))
}

/// How many rows a plan is believed to have.
pub(super) fn rows_of(plan: &Arc<dyn ExecutionPlan>) -> DataFusionResult<f64> {
    Ok(believed(plan)?.map_or(f64::INFINITY, |belief| belief.rows))
}

fn believed(input: &Arc<dyn ExecutionPlan>) -> DataFusionResult<Option<Belief>> {
    let statistics = StatisticsContext::new().compute(input.as_ref(), &StatisticsArgs::new())?;
    let Some(rows) = statistics.num_rows.get_value() else { return Ok(None) };
    let rows = (*rows as f64).max(1.0);
    let distinct = statistics.column_statistics.iter().map(|column| distinct(column).map(|values| values.clamp(1.0, rows))).collect();
    Ok(Some(Belief { rows, distinct }))
}

/// How many values a column has at most, by what is known of it.
fn distinct(column: &ColumnStatistics) -> Option<f64> {
    if let Some(distinct) = column.distinct_count.get_value() {
        return Some(*distinct as f64);
    }
    let bound = |value: &Precision<ScalarValue>| match value.get_value()?.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(Some(value)) => Some(value as f64),
        _ => None,
    };
    let is_whole =
        column.min_value.get_value().is_some_and(|value| value.data_type().is_integer() || value.data_type() == DataType::Date32);
    if is_whole { Some(bound(&column.max_value)? - bound(&column.min_value)? + 1.0) } else { None }
}

/// The order that begins with `first` and goes on with what leaves the fewest rows; `None` when something is joined by no equality.
fn fewest_next(cluster: &Cluster, beliefs: &[Belief], first: usize) -> Option<Order> {
    let mut order = Order { inputs: vec![first], rows: vec![beliefs[first].rows] };
    while order.inputs.len() < beliefs.len() {
        let others = (0..beliefs.len()).filter(|input| !order.inputs.contains(input));
        let steps = others.filter_map(|input| Some((input, step(cluster, beliefs, &order, input)?)));
        let (input, rows) = steps.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
        order.inputs.push(input);
        order.rows.push(rows);
    }
    Some(order)
}

/// The order that is written. What has no equality with those before it is joined all the same.
fn in_turn(cluster: &Cluster, beliefs: &[Belief], inputs: Vec<usize>) -> Option<Order> {
    let mut order = Order { inputs: vec![*inputs.first()?], rows: vec![beliefs.first()?.rows] };
    for input in inputs.into_iter().skip(1) {
        let product = order.rows.last()? * beliefs[input].rows;
        let rows = step(cluster, beliefs, &order, input).unwrap_or(product);
        order.inputs.push(input);
        order.rows.push(rows);
    }
    Some(order)
}

/// How many rows `input` leaves when it is joined with those of `order`; `None` when no column of it equals one of theirs.
fn step(cluster: &Cluster, beliefs: &[Belief], order: &Order, input: usize) -> Option<f64> {
    let before = *order.rows.last()?;
    let mut rows = before * beliefs[input].rows;
    let mut is_joined = false;
    for class in &cluster.equal {
        let Some(own) = class.iter().find(|column| column.input == input) else { continue };
        let others: Vec<InputColumn> = class.iter().filter(|column| order.inputs.contains(&column.input)).copied().collect();
        if others.is_empty() {
            continue;
        }
        is_joined = true;
        // All of them are equal, so that there are no more values than the least of them has.
        let theirs = others.iter().filter_map(|column| beliefs[column.input].distinct[column.column]).min_by(f64::total_cmp);
        let values = match (theirs.map(|values| values.min(before)), beliefs[input].distinct[own.column]) {
            (Some(one), Some(other)) => one.max(other),
            (Some(known), None) | (None, Some(known)) => known,
            // As of a key and what refers to it.
            (None, None) => before.min(beliefs[input].rows),
        };
        rows /= values.max(1.0);
    }
    is_joined.then_some(rows.max(1.0))
}

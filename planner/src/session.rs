//! The DataFusion session: one template for the process, cloned and narrowed for each statement.

use std::num::NonZeroUsize;
use std::sync::Arc;

use causeway_providers::observe_statements;
use causeway_providers::sql::MOST_KEYS;
use datafusion::config::Dialect;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use crate::arithmetic::Checking;
use crate::coercion::Coercion;
use crate::correlation::Correlation;
use crate::dates::DatesBesideMoments;
use crate::dispensable::Dispensable;
use crate::dynamic_filters::WaitForJoins;
use crate::engine::{EngineLimits, PushDown, StatementContext};
use crate::error::{Error, ErrorKind, Result};
use crate::federation::RemoteQueryPlanner;
use crate::group_keys::ForgetDependencies;
use crate::growth::bounded;
use crate::join_order::JoinOrder;
use crate::json;
use crate::local_times::LocalTimes;
use crate::not_in::NotIn;
use crate::one_group::AboveOneGroup;
use crate::ordered_skip::OrderedSkip;
use crate::ranking;
use crate::single_distinct::SingleDistinct;
use crate::subquery_values::SubqueryValues;
use crate::unambiguous_filters::UnambiguousFilters;
use crate::unordered::UnorderedRows;

/// Rows in a batch between operators.
const BATCH_ROWS: usize = 8192;

/// The bytes of keys that a join hands to the scans of its other side as a list.
const MOST_KEYS_BYTES: usize = 1 << 20;

/// Builds the process-wide template.
pub(crate) fn template(limits: &EngineLimits) -> Result<SessionState> {
    let runtime = runtime(limits)?;
    let mut state = SessionStateBuilder::new()
        .with_config(config())
        .with_runtime_env(runtime)
        .with_default_features()
        .with_analyzer_rules(analyzer_rules())
        .with_optimizer_rules(optimizer_rules())
        .with_query_planner(Arc::new(RemoteQueryPlanner))
        .with_physical_optimizer_rules(physical_rules())
        .build();
    for name in FOREIGN_FUNCTIONS {
        state.deregister_udf(name)?;
    }
    for function in bounded(limits.memory, |name| state.scalar_functions().get(name).cloned()) {
        state.register_udf(function)?;
    }
    for function in json::functions(limits.memory) {
        state.register_udf(function)?;
    }
    for function in ranking::typed(|name| state.window_functions().get(name).cloned()) {
        state.register_udwf(function)?;
    }
    Ok(state)
}

/// Functions that PostgreSQL has too, but with other formats: no answer is better than a wrong one.
const FOREIGN_FUNCTIONS: [&str; 2] = ["to_char", "date_format"];

/// What cannot be joined is refused first, then what IN means is written out. Our coercion comes next: it decides what DataFusion's then finds decided. What is cast to an instant is known after both, and arithmetic
/// is checked once all types are decided.
fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(Correlation), Arc::new(NotIn), Arc::new(Coercion)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(LocalTimes));
    rules.push(Arc::new(Checking));
    rules
}

/// DataFusion's rules and ours. The rule that drops sort keys is not among them: which keys are decided by others it does not know.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        match rule.name() {
            "eliminate_duplicated_expr" => {}
            "decorrelate_predicate_subquery" => rules.extend([Arc::new(SubqueryValues), rule]),
            "push_down_filter" => rules.push(Arc::new(AboveOneGroup(rule))),
            "single_distinct_aggregation_to_group_by" => rules.push(Arc::new(SingleDistinct(rule))),
            "simplify_expressions" => rules.extend([rule, Arc::new(DatesBesideMoments)]),
            "replace_distinct_aggregate" | "eliminate_join" | "optimize_projections" => rules.extend([Arc::new(ForgetDependencies), rule]),
            _ => rules.push(rule),
        }
    }
    rules
}

/// The rules that leave each node what it is, and only simplify its expressions.
pub(crate) fn simplifier() -> Optimizer {
    Optimizer::with_rules(vec![Arc::new(SimplifyExpressions::new()), Arc::new(DatesBesideMoments)])
}

/// DataFusion's rules for physical plans and ours.
pub(crate) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = Vec::new();
    for rule in PhysicalOptimizer::new().rules {
        match rule.name() {
            "join_selection" => rules.extend([Arc::new(JoinOrder), rule]),
            "EnsureRequirements" => {
                rules.extend::<[Arc<dyn PhysicalOptimizerRule + Send + Sync>; 3]>([Arc::new(UnorderedRows), Arc::new(OrderedSkip), rule])
            }
            "ProjectionPushdown" => rules.push(Arc::new(Dispensable(rule))),
            name if name.starts_with("FilterPushdown") => rules.push(Arc::new(UnambiguousFilters(rule))),
            _ => rules.push(rule),
        }
    }
    rules.push(Arc::new(WaitForJoins));
    rules
}

/// What all statements share. Each execution brings its own pool of memory.
fn runtime(limits: &EngineLimits) -> Result<Arc<RuntimeEnv>> {
    std::fs::create_dir_all(&limits.spill).map_err(|cause| {
        Error::new(ErrorKind::Invalid, format!("the spill folder {} cannot be made: {}", limits.spill.display(), cause.kind()))
            .hint("Name a folder that can be written in limits.spill.")
    })?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![limits.spill.clone()]))
        .with_max_temp_directory_size(limits.spill_quota);
    Ok(Arc::new(RuntimeEnvBuilder::new().with_disk_manager_builder(disk).build()?))
}

fn config() -> SessionConfig {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(cores)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_collect_statistics(true);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    // `1.5` is numeric in PostgreSQL; as a float it would drag numeric columns into rounding, and off the source.
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    // The keys of a join are worth more to a source than to a scan of files.
    options.optimizer.hash_join_inlist_pushdown_max_distinct_values = MOST_KEYS;
    options.optimizer.hash_join_inlist_pushdown_max_size = MOST_KEYS_BYTES;
    // Whether a column may be NULL is told differently of one expression before and after it is planned; the rows are the same.
    options.execution.skip_physical_aggregate_schema_check = true;
    // Both count too few rows: below a window that stands on a grouping, and below windows that look ahead in one another.
    options.optimizer.enable_topk_aggregation = false;
    options.optimizer.enable_window_limits = false;
    options.execution.time_zone = Some("+00:00".to_owned());
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    options.execution.parquet.schema_force_view_types = false;
    config
}

/// The template as one statement sees it.
///
/// A clone copies a few maps of pointers; nothing is registered again but the functions the session brings and those few of the
/// built-in ones whose result depends on the time zone.
pub(crate) fn for_statement(template: &SessionState, context: &StatementContext) -> Result<SessionState> {
    let mut state = template.clone();
    state.register_catalog_list(Arc::clone(&context.catalog));
    if let Some(observer) = &context.observer {
        observe_statements(state.config_mut(), Arc::clone(observer));
    }
    let options = state.config_mut().options_mut();
    options.optimizer.enable_join_dynamic_filter_pushdown = context.push_down == PushDown::On;
    options.catalog.default_catalog.clone_from(&context.environment);
    if let Some(first) = context.search_path.first() {
        options.catalog.default_schema.clone_from(first);
    }
    if options.execution.time_zone.as_deref() != Some(context.time_zone.as_str()) {
        options.execution.time_zone = Some(context.time_zone.clone());
        let config = Arc::clone(state.config_options());
        let zoned: Vec<ScalarUDF> =
            state.scalar_functions().values().filter_map(|function| function.inner().with_updated_config(&config)).collect();
        for function in zoned {
            state.register_udf(Arc::new(function))?;
        }
    }
    for function in &context.functions {
        state.register_udf(Arc::clone(function))?;
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left out, wrapped or preceded is found by its name; under another name it would run as it is.
    #[test]
    fn rules_have_the_names_they_are_known_by() {
        let logical: Vec<_> = Optimizer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        let known = [
            "eliminate_duplicated_expr",
            "decorrelate_predicate_subquery",
            "push_down_filter",
            "single_distinct_aggregation_to_group_by",
            "simplify_expressions",
            "replace_distinct_aggregate",
            "eliminate_join",
            "optimize_projections",
        ];
        for name in known {
            assert!(logical.iter().any(|rule| rule == name), "{name} is not one of {logical:?}");
        }
        let physical: Vec<_> = PhysicalOptimizer::new().rules.iter().map(|rule| rule.name().to_owned()).collect();
        for name in ["join_selection", "EnsureRequirements", "ProjectionPushdown"] {
            assert!(physical.iter().any(|rule| rule == name), "{name} is not one of {physical:?}");
        }
        assert!(physical.iter().any(|rule| rule.starts_with("FilterPushdown")), "{physical:?}");
    }
}

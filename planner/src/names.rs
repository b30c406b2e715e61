//! What the names in a statement mean: tables by search path, functions by session.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use causeway_providers::sql::SqlTable;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::catalog::{CatalogProvider, TableFunctionArgs, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::TableReference;
use datafusion::config::ConfigOptions;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement;
use datafusion::sql::resolve::resolve_table_references;

use crate::engine::StatementContext;
use crate::error::{Error, ErrorKind, Result};
use crate::rewrite::{KeyedTable, KnownNames};

/// The schema PostgreSQL looks into first, unless the search path names it elsewhere.
const SYSTEM_SCHEMA: &str = "pg_catalog";

/// How many places of a table are listed when it is asked for without its schema.
const PLACES_SHOWN: usize = 3;

/// The tables and functions a statement can name.
pub(crate) struct Names<'a> {
    state: &'a SessionState,
    context: &'a StatementContext,
    tables: HashMap<TableReference, Arc<dyn TableSource>>,
    /// The schemas and names of these tables.
    places: BTreeSet<(String, String)>,
}

impl<'a> Names<'a> {
    /// Looks up every table `statement` mentions.
    ///
    /// A name that is not found is no failure yet: it may belong to a table function.
    pub(crate) async fn resolve(statement: &Statement, state: &'a SessionState, context: &'a StatementContext) -> Result<Names<'a>> {
        let (references, _) = resolve_table_references(statement, true)?;
        let mut tables = HashMap::with_capacity(references.len());
        let mut places = BTreeSet::new();
        for reference in references {
            if tables.contains_key(&reference) {
                continue;
            }
            if let Some((schema, provider)) = find(context, &reference).await? {
                places.insert((schema, reference.table().to_owned()));
                tables.insert(reference, provider_as_source(provider));
            }
        }
        Ok(Self { state, context, tables, places })
    }

    /// The schemas and names of the tables that were found.
    pub(crate) fn places(&self) -> Vec<(String, String)> {
        self.places.iter().cloned().collect()
    }

    /// The table of a name.
    fn table(&self, name: &[String]) -> Option<&Arc<dyn TableSource>> {
        let reference = match name {
            [table] => TableReference::bare(table.as_str()),
            [schema, table] => TableReference::partial(schema.as_str(), table.as_str()),
            [catalog, schema, table] => TableReference::full(catalog.as_str(), schema.as_str(), table.as_str()),
            _ => return None,
        };
        self.tables.get(&reference)
    }

    /// The names of all columns of these tables.
    pub(crate) fn all_columns(&self) -> HashSet<String> {
        self.tables
            .values()
            .flat_map(|table| table.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>())
            .collect()
    }

    fn undefined(&self, name: &TableReference) -> Error {
        let spelled: Vec<&str> = match name {
            TableReference::Bare { table } => vec![table],
            TableReference::Partial { schema, table } => vec![schema, table],
            TableReference::Full { catalog, schema, table } => vec![catalog, schema, table],
        };
        let error = Error::new(ErrorKind::UndefinedTable, format!("relation \"{}\" does not exist", spelled.join(".")))
            .of_table(name.schema(), name.table());
        match self.elsewhere(name) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Where a table of that name is, if not where it was asked for.
    fn elsewhere(&self, name: &TableReference) -> Option<String> {
        let catalog = self.context.catalog.catalog(&self.context.environment)?;
        if let Some(schema) = name.schema()
            && catalog.schema(schema).is_none()
        {
            return Some(format!("There is no schema \"{schema}\" in environment \"{}\".", self.context.environment));
        }
        let wanted = name.table();
        let mut schemas = catalog.schema_names();
        schemas.sort();
        let mut places = Vec::new();
        for schema in schemas {
            let Some(provider) = catalog.schema(&schema) else { continue };
            if name.schema().is_none() && provider.table_exist(wanted) {
                places.push(format!("{schema}.{wanted}"));
            } else if name.schema().is_none_or(|asked| asked == schema)
                && let Some(other) = provider.table_names().into_iter().find(|n| n != wanted && n.eq_ignore_ascii_case(wanted))
            {
                places.push(format!("{schema}.\"{other}\""));
            }
            if places.len() == PLACES_SHOWN {
                break;
            }
        }
        match places.as_slice() {
            [] => None,
            places => Some(format!("Perhaps you meant {}.", places.join(" or "))),
        }
    }
}

/// A table and the schema it was found in.
type Found = (String, Arc<dyn TableProvider>);

/// The table that a statement calls `name`.
pub(crate) async fn find(context: &StatementContext, name: &TableReference) -> Result<Option<Found>> {
    let catalog = context.catalog.catalog(&context.environment).ok_or_else(|| {
        Error::new(ErrorKind::Internal, format!("internal error: environment \"{}\" has no catalog", context.environment))
    })?;
    match name {
        TableReference::Bare { table } => {
            let explicit = context.search_path.iter().any(|schema| schema == SYSTEM_SCHEMA);
            let implicit = (!explicit).then_some(SYSTEM_SCHEMA);
            for schema in implicit.into_iter().chain(context.search_path.iter().map(String::as_str)) {
                if let Some(found) = in_schema(catalog.as_ref(), schema, table).await? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        }
        TableReference::Partial { schema, table } => in_schema(catalog.as_ref(), schema, table).await,
        TableReference::Full { catalog: environment, schema, table } => {
            if **environment != *context.environment {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("cross-database references are not implemented: \"{environment}.{schema}.{table}\""),
                )
                .hint("An environment sees its own datasources only: connect to the other one."));
            }
            in_schema(catalog.as_ref(), schema, table).await
        }
    }
}

async fn in_schema(catalog: &dyn CatalogProvider, name: &str, table: &str) -> Result<Option<Found>> {
    match catalog.schema(name) {
        Some(schema) => Ok(schema.table(table).await?.map(|found| (name.to_owned(), found))),
        None => Ok(None),
    }
}

impl KnownNames for Names<'_> {
    fn columns(&self, name: &[String]) -> Option<Vec<String>> {
        let table = self.table(name)?;
        Some(table.schema().fields().iter().map(|field| field.name().clone()).collect())
    }

    fn keyed_table(&self, name: &[String]) -> Option<KeyedTable> {
        let provider = source_as_provider(self.table(name)?).ok()?;
        let table = provider.downcast_ref::<SqlTable>()?.table();
        let columns = table.columns.iter().map(|column| column.name.clone()).collect();
        (!table.primary_key.is_empty()).then(|| KeyedTable { columns, key: table.primary_key.clone() })
    }

    fn is_column(&self, name: &str) -> bool {
        self.tables.values().any(|table| table.schema().column_with_name(name).is_some())
    }

    fn is_aggregate(&self, name: &str) -> bool {
        self.state.aggregate_functions().contains_key(name)
    }
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> DataFusionResult<Arc<dyn TableSource>> {
        match self.tables.get(&name) {
            Some(source) => Ok(Arc::clone(source)),
            None => Err(self.undefined(&name).into()),
        }
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> DataFusionResult<Arc<dyn TableSource>> {
        let function =
            self.state.table_functions().get(name).ok_or_else(|| {
                DataFusionError::from(Error::new(ErrorKind::UndefinedFunction, format!("function {name} does not exist")))
            })?;
        let simplifier = ExprSimplifier::new(
            SimplifyContext::builder()
                .with_config_options(Arc::clone(self.state.config_options()))
                .with_query_execution_start_time(self.state.execution_props().query_execution_start_time)
                .build(),
        );
        let schema = DFSchema::empty();
        let args = args
            .into_iter()
            .map(|arg| simplifier.coerce(arg, &schema).and_then(|arg| simplifier.simplify(arg)))
            .collect::<DataFusionResult<Vec<_>>>()?;
        let provider = function.create_table_provider_with_args(TableFunctionArgs::new(&args, self.state))?;
        Ok(provider_as_source(provider))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> DataFusionResult<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        None
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(unqualified(name)).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(unqualified(name)).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(unqualified(name)).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(unqualified(name)).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// `pg_catalog.version` is `version`: the built-in functions live in that schema.
fn unqualified(name: &str) -> &str {
    name.strip_prefix("pg_catalog.").unwrap_or(name)
}

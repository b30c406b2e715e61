//! `/api/v1/datasources/{name}/external`: what the source has, how it drifts, and imports from it. `/api/v1/drift` is all drift at once.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use causeway_catalog::{DriftSelection, DriftState, Import, Selection};
use serde::Deserialize;

use super::extract::{Body, Caller, Parameters, Segments};
use super::problem::Problem;
use super::{Api, shape};
use crate::config::remote_name;

pub(super) async fn tables(State(api): State<Api>, Segments(name): Segments<String>) -> Result<Json<Vec<shape::RemoteTable>>, Problem> {
    let tables = api.administration.foreign_tables(&name)?;
    Ok(Json(shape::RemoteTable::all(tables.iter().map(AsRef::as_ref))))
}

/// `?history` asks for the snapshots that are kept instead of the tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CatalogParameters {
    history: Option<String>,
}

pub(super) async fn catalog(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Parameters(CatalogParameters { history }): Parameters<CatalogParameters>,
) -> Result<Response, Problem> {
    let snapshots = api.administration.history(&name).await?;
    if history.is_some_and(|history| history != "false") {
        let all: Vec<_> = snapshots.iter().map(shape::Snapshot::from).collect();
        return Ok(Json(all).into_response());
    }
    let status = api.administration.datasource(&name)?;
    let tables = api.administration.foreign_tables(&name)?;
    let catalog = shape::ExternalCatalog {
        datasource: name,
        snapshot: snapshots.last().map(shape::Snapshot::from),
        stale_since: status.stale_since.map(shape::moment),
        tables: shape::TableDetail::all(tables.iter().map(AsRef::as_ref)),
    };
    Ok(Json(catalog).into_response())
}

/// The numbers of two snapshots.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DifferenceParameters {
    from: i64,
    to: i64,
}

pub(super) async fn difference(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Parameters(DifferenceParameters { from, to }): Parameters<DifferenceParameters>,
) -> Result<Json<shape::CatalogDifference>, Problem> {
    let report = api.administration.difference(&name, from, to).await?;
    Ok(Json(shape::CatalogDifference { datasource: name, from, to, differences: shape::DriftedColumn::all(&report) }))
}

pub(super) async fn refresh(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Caller(actor): Caller,
) -> Result<Json<shape::Refresh>, Problem> {
    Ok(Json((&api.administration.refresh(&name, actor).await?).into()))
}

pub(super) async fn validate(State(api): State<Api>, Segments(name): Segments<String>) -> Result<Json<shape::Validation>, Problem> {
    Ok(Json((&api.administration.validate(&name).await?).into()))
}

pub(super) async fn draft(
    State(api): State<Api>,
    Segments((name, remote)): Segments<(String, String)>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let (schema, table) = remote_table(&remote)?;
    let drafted = api.administration.draft(&name, schema.as_deref(), &table).await?;
    Ok(([(header::CONTENT_TYPE, "text/yaml; charset=utf-8")], drafted))
}

pub(super) async fn import_table(
    State(api): State<Api>,
    Segments((name, remote)): Segments<(String, String)>,
    Caller(actor): Caller,
    Body(request): Body<shape::TableImport>,
) -> Result<(StatusCode, Json<shape::ImportOutcome>), Problem> {
    let (remote_schema, table) = remote_table(&remote)?;
    let import = Import {
        remote_schema,
        selection: Selection::Only(vec![table.clone()]),
        into: request.schema,
        renames: request.name.map(|name| (table, name)).into_iter().collect(),
        writable: request.writable,
        dry_run: request.dry_run,
        actor: Some(actor.to_owned()),
    };
    imported(&api, &name, import).await
}

pub(super) async fn import_schema(
    State(api): State<Api>,
    Segments(name): Segments<String>,
    Caller(actor): Caller,
    Body(request): Body<shape::SchemaImport>,
) -> Result<(StatusCode, Json<shape::ImportOutcome>), Problem> {
    let selection = match (request.limit_to, request.except.is_empty()) {
        // A list that came out empty does not mean all there is.
        (Some(limit_to), _) if limit_to.is_empty() => return Err(Problem::invalid("`limit_to` is empty: name tables, or leave it out")),
        (None, true) => Selection::All,
        (Some(limit_to), true) => Selection::Only(limit_to),
        (None, false) => Selection::Except(request.except),
        (Some(_), false) => return Err(Problem::invalid("`limit_to` and `except` exclude each other")),
    };
    let import = Import {
        remote_schema: request.remote_schema,
        selection,
        into: request.into,
        renames: request.rename,
        writable: request.writable,
        dry_run: request.dry_run,
        actor: Some(actor.to_owned()),
    };
    imported(&api, &name, import).await
}

async fn imported(api: &Api, datasource: &str, import: Import) -> Result<(StatusCode, Json<shape::ImportOutcome>), Problem> {
    let outcome = shape::ImportOutcome::from(api.administration.import(datasource, &import).await?);
    let status = if outcome.written { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(outcome)))
}

fn remote_table(text: &str) -> Result<(Option<String>, String), Problem> {
    remote_name::split(text).map_err(|expected| Problem::invalid(format!("the remote table is {expected}")))
}

/// Which differences are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriftParameters {
    datasource: Option<String>,
    state: Option<DriftStateWord>,
}

/// Whether a difference is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DriftStateWord {
    Open,
    Resolved,
}

impl From<DriftStateWord> for DriftState {
    fn from(word: DriftStateWord) -> Self {
        match word {
            DriftStateWord::Open => DriftState::Open,
            DriftStateWord::Resolved => DriftState::Resolved,
        }
    }
}

pub(super) async fn drift(
    State(api): State<Api>,
    Parameters(DriftParameters { datasource, state }): Parameters<DriftParameters>,
) -> Result<Json<Vec<shape::Drift>>, Problem> {
    if let Some(name) = &datasource {
        api.administration.datasource(name)?;
    }
    let which = DriftSelection { datasource: datasource.as_deref(), state: state.map(Into::into), limit: None };
    let wanted = api.administration.drift(which).await?;
    Ok(Json(wanted.iter().map(shape::Drift::from).collect()))
}

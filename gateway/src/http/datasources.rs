//! `/api/v1/datasources`: what is declared, and how it is.

use axum::Json;
use axum::extract::State;

use super::extract::Segments;
use super::problem::Problem;
use super::{Api, shape};
use crate::administration::Administration;

pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<shape::Datasource>>, Problem> {
    let all = api.administration.datasources();
    let shape = |status| Ok(shape::Datasource::new(status, published(&api.administration, &status.datasource.name)?));
    Ok(Json(all.iter().map(shape).collect::<Result<_, Problem>>()?))
}

pub(super) async fn show(State(api): State<Api>, Segments(name): Segments<String>) -> Result<Json<shape::DatasourceDetail>, Problem> {
    let status = api.administration.datasource(&name)?;
    Ok(Json(shape::DatasourceDetail::new(&status, published(&api.administration, &name)?)))
}

/// How many tables a datasource publishes.
fn published(administration: &Administration, datasource: &str) -> Result<usize, Problem> {
    Ok(administration.foreign_tables(datasource)?.len())
}

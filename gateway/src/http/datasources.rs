//! `/api/v1/datasources`: what is declared, and how it is.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use causeway_catalog::DatasourceStatus;

use super::extract::Segments;
use super::problem::Problem;
use super::{Api, shape};
use crate::administration::Administration;

pub(super) async fn list(State(api): State<Api>) -> Json<Vec<shape::Datasource>> {
    let counts = Counts::of(&api.administration).await;
    Json(api.administration.datasources().iter().map(|status| counts.shape(status)).collect())
}

pub(super) async fn show(State(api): State<Api>, Segments(name): Segments<String>) -> Result<Json<shape::DatasourceDetail>, Problem> {
    let status = api.administration.datasource(&name)?;
    let counts = Counts::of(&api.administration).await;
    Ok(Json(shape::DatasourceDetail::new(&status, counts.shape(&status))))
}

/// What is counted of all datasources at once.
struct Counts {
    tables: BTreeMap<String, usize>,
    drift: Option<BTreeMap<String, u64>>,
}

impl Counts {
    async fn of(administration: &Administration) -> Self {
        Self { tables: administration.table_counts(), drift: administration.open_drift_counts().await }
    }

    fn shape(&self, status: &DatasourceStatus) -> shape::Datasource {
        let name = &status.datasource.name;
        let drift = self.drift.as_ref().map(|drift| drift.get(name).copied().unwrap_or_default());
        shape::Datasource::new(status, self.tables.get(name).copied().unwrap_or_default(), drift)
    }
}

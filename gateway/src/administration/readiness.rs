//! Whether the environment is ready to serve.

use std::time::Duration;

use causeway_catalog::DatasourceState;

use super::Administration;

/// How long the store may take to show that it can be written.
const STORE: Duration = Duration::from_secs(2);

/// What is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Each datasource, its state, and what failed last.
    pub(crate) datasources: Vec<(String, DatasourceState, Option<String>)>,
    /// Why the store cannot be written; `None` when it can.
    pub(crate) store_error: Option<String>,
}

impl Readiness {
    /// Whether no datasource is starting any more and the store can be written. A datasource that is down is tried again by itself and
    /// keeps nobody else from being served.
    pub(crate) fn is_ready(&self) -> bool {
        self.store_error.is_none() && self.datasources.iter().all(|(_, state, _)| *state != DatasourceState::Starting)
    }
}

impl Administration {
    /// Looks at the datasources and writes nothing into the store, to see that it could.
    pub(crate) async fn readiness(&self) -> Readiness {
        let datasources =
            self.datasources().into_iter().map(|status| (status.datasource.name.clone(), status.state, status.last_error)).collect();
        let store_error = match tokio::time::timeout(STORE, self.environment.append(&[])).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.message().to_owned()),
            Err(_) => Some(format!("it does not take a write within {} seconds", STORE.as_secs())),
        };
        Readiness { datasources, store_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datasource_that_is_down_is_no_reason_to_send_clients_away() {
        let with = |state, store_error| Readiness { datasources: vec![("crm".to_owned(), state, None)], store_error };
        assert!(with(DatasourceState::Running, None).is_ready());
        assert!(with(DatasourceState::Error, None).is_ready());
        assert!(!with(DatasourceState::Starting, None).is_ready());
        assert!(!with(DatasourceState::Running, Some("the disk is full".to_owned())).is_ready());
    }
}

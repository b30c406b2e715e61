//! Owns what runs in one process, from the first port to the last connection, and ends it in order.

mod backend;
mod background;
mod left_out;
mod narrowed;
mod session_state;
mod tables;

use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use causeway_catalog::{ControlStore, Datasource, Delivery, Environment};
use causeway_planner::{Engine, EngineLimits};
use causeway_providers::ConnectorRegistry;
use tokio::task::{JoinHandle, JoinSet};

use crate::administration::Administration;
use crate::audit::Audit;
use crate::config::Settings;
use crate::http::HttpEndpoint;
use crate::metrics::Metrics;
use crate::pg::catalog::OidRegistry;
use crate::pg::{EndpointLimits, EnvironmentBackend as _, Notifications, PgEndpoint};
use crate::shutdown::Shutdown;
use crate::webhook::{SigningSecrets, Webhooks};
use backend::{EnvironmentAtPort, Environments};

/// The environment of connections that name none.
const DEFAULT_ENVIRONMENT: &str = "default";
/// How long running statements have to end by themselves once the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long they have once they were told to.
const TERMINATE: Duration = Duration::from_secs(3);

/// A gateway with its ports bound and its datasources being opened.
pub(crate) struct Server {
    environment: Arc<Environment>,
    audit: Option<Arc<Audit>>,
    delivery: Arc<Delivery>,
    address: SocketAddr,
    http_address: Option<SocketAddr>,
    shutdown: Shutdown,
    port: Port,
    /// The HTTP endpoint, which answers from the first moment: whoever waits for the gateway asks there.
    http: Option<JoinHandle<()>>,
    /// Tasks that end with the server.
    background: JoinSet<()>,
}

/// The Postgres port before and after clients are answered.
enum Port {
    Bound(Box<PgEndpoint>),
    Served(JoinHandle<()>),
}

/// Why a gateway cannot start.
#[derive(Debug)]
pub(crate) struct StartError {
    message: String,
    hint: Option<String>,
    io_kind: Option<io::ErrorKind>,
    address: Option<SocketAddr>,
}

impl StartError {
    fn new(message: String) -> Self {
        Self { message, hint: None, io_kind: None, address: None }
    }

    /// A control store that cannot be opened, or read.
    fn store(error: &causeway_providers::Error) -> Self {
        Self { hint: error.hint_text().map(str::to_owned), ..Self::new(error.message().to_owned()) }
    }

    /// A folder that cannot be used.
    fn folder(key: &str, folder: &Path, error: &io::Error) -> Self {
        let message = format!("the folder {} cannot be made: {error}", folder.display());
        Self { hint: Some(format!("choose another one with `{key}`")), io_kind: Some(error.kind()), ..Self::new(message) }
    }

    /// A port that cannot be bound.
    fn address(address: SocketAddr, option: &str, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => format!("another program listens there: stop it, or choose another port with {option}"),
            io::ErrorKind::PermissionDenied => format!("ports below 1024 are for the administrator: choose another one with {option}"),
            _ => format!("choose an address of this machine with {option}"),
        };
        let message = format!("cannot listen on {address}: {error}");
        Self { message, hint: Some(hint), io_kind: Some(error.kind()), address: Some(address) }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What the system said, when it was the system.
    pub(crate) fn io_kind(&self) -> Option<io::ErrorKind> {
        self.io_kind
    }

    /// The address that cannot be listened on, when that is why.
    pub(crate) fn refused_address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Server {
    /// Binds the ports, opens the control store and starts the datasources. Clients can connect, and wait until
    /// [`listen`](Self::listen).
    ///
    /// # Errors
    /// When a folder cannot be made, a port cannot be bound or the store cannot be opened. No datasource is an error here.
    pub(crate) async fn bind(settings: &Settings, datasources: Vec<Datasource>, registry: &ConnectorRegistry) -> Result<Self, StartError> {
        let limits = &settings.limits;
        ControlStore::make_folder(&settings.data_dir).map_err(|error| StartError::folder("data_dir", &settings.data_dir, &error))?;
        fs::create_dir_all(&limits.spill).map_err(|error| StartError::folder("limits.spill", &limits.spill, &error))?;
        let engine = Engine::new(EngineLimits { memory: limits.memory, spill: limits.spill.clone(), spill_quota: limits.spill_quota })
            .map_err(|error| StartError::new(format!("the engine cannot start: {error}")))?;

        let shutdown = Shutdown::new();
        // Environments are there before their datasources, so that the ports are tried before any source is.
        let environments = Arc::new(Environments::default());
        let endpoint = PgEndpoint::bind(
            settings.postgres,
            Arc::new(engine),
            Arc::clone(&environments) as _,
            EndpointLimits { max_connections: limits.max_connections, ..EndpointLimits::default() },
            shutdown.clone(),
        )
        .await
        .map_err(|error| StartError::address(settings.postgres, "--postgres-listen", &error))?;
        let address = endpoint.local_addr().map_err(|error| StartError::address(settings.postgres, "--postgres-listen", &error))?;
        let http = match settings.http {
            Some(address) => {
                let bound = HttpEndpoint::bind(address, shutdown.clone()).await;
                Some(bound.map_err(|error| StartError::address(address, "--http-listen", &error))?)
            }
            None => None,
        };

        let store = ControlStore::open(&settings.data_dir).await.map_err(|error| StartError::store(&error))?;
        let environment = Environment::start(DEFAULT_ENVIRONMENT, datasources, registry.clone(), store, settings.keeping)
            .await
            .map_err(|error| StartError::store(&error))?;
        let names = vec![DEFAULT_ENVIRONMENT.to_owned()];
        let notifications = Arc::new(Notifications::new());
        let stored = environment.store().oids(DEFAULT_ENVIRONMENT).await.map_err(|error| StartError::store(&error))?;
        let oids = Arc::new(OidRegistry::with(stored));
        let mut background = JoinSet::new();
        background.spawn(background::ring(Arc::clone(&environment), Arc::clone(&notifications)));
        background.spawn(background::keep_oids(Arc::clone(&environment), Arc::clone(&oids)));
        let audit = Audit::start(Arc::clone(&environment), settings.audit).map(Arc::new);
        let at_port = EnvironmentAtPort::new(
            Arc::clone(&environment),
            registry.clone(),
            names,
            notifications,
            oids,
            audit.clone(),
            settings.roles.clone(),
        );
        let metrics = Metrics::new(DEFAULT_ENVIRONMENT, Arc::clone(at_port.statement_cache()));
        environments.add(at_port);
        let secrets = SigningSecrets::new(settings.webhook_secrets.clone());
        let webhooks = Webhooks::new(secrets.clone()).map_err(StartError::new)?;
        let delivery = Arc::new(Delivery::start(Arc::clone(&environment), Arc::new(webhooks)));
        let http_address = http.as_ref().map(HttpEndpoint::address);
        let administration = Administration::new(Arc::clone(&environment), Arc::clone(&delivery), secrets);
        let http = http.map(|http| tokio::spawn(http.serve(administration, metrics)));
        Ok(Self { environment, audit, delivery, address, http_address, shutdown, port: Port::Bound(Box::new(endpoint)), http, background })
    }

    /// The environment it serves.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where its HTTP endpoint listens, when it has one.
    pub(crate) fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Where its Postgres endpoint listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers clients from now on.
    #[must_use]
    pub(crate) fn listen(mut self) -> Self {
        self.port = match self.port {
            Port::Bound(endpoint) => Port::Served(tokio::spawn(endpoint.serve())),
            served @ Port::Served(_) => served,
        };
        self
    }

    /// Waits until one of the ports answers nobody any more, which happens only by a fault of ours.
    pub(crate) async fn ended(&mut self) {
        let postgres = async {
            match &mut self.port {
                Port::Bound(_) => std::future::pending().await,
                // How it ended was told by whoever panicked.
                Port::Served(serving) => drop(serving.await),
            }
        };
        let http = async {
            match &mut self.http {
                None => std::future::pending().await,
                Some(serving) => drop(serving.await),
            }
        };
        tokio::select! {
            () = postgres => {}
            () = http => {}
        }
    }

    /// Lets running statements end for a while, or until `at_once`, then ends them and closes the datasources.
    pub(crate) async fn stop(mut self, at_once: impl Future<Output = ()>) {
        self.shutdown.drain();
        let postgres = match self.port {
            Port::Bound(_) => None,
            Port::Served(serving) => Some(serving),
        };
        let ports: Vec<JoinHandle<()>> = postgres.into_iter().chain(self.http).filter(|serving| !serving.is_finished()).collect();
        let aborts: Vec<_> = ports.iter().map(JoinHandle::abort_handle).collect();
        let mut serving = futures::future::join_all(ports);
        let drained = tokio::select! {
            _ = &mut serving => true,
            () = tokio::time::sleep(DRAIN) => false,
            () = at_once => false,
        };
        if !drained {
            self.shutdown.terminate();
            if tokio::time::timeout(TERMINATE, &mut serving).await.is_err() {
                tracing::warn!("some sessions did not end in time");
                aborts.iter().for_each(|port| port.abort());
            }
        }
        if let Some(audit) = &self.audit {
            audit.stop().await;
        }
        self.delivery.stop().await;
        self.environment.stop().await;
        self.background.shutdown().await;
        self.environment.store().close().await;
    }
}

#[cfg(test)]
pub(crate) mod tests;

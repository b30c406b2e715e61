//! The keys of `causeway.yaml`.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use causeway_catalog::Keeping;

use super::fault::Report;
use super::role;
use super::section::Section;
use crate::roles::Role;

/// What `causeway.yaml` says about the process.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `listen.postgres`: where the Postgres endpoint listens; 127.0.0.1:7432 by default.
    pub postgres: SocketAddr,
    /// `listen.http`: where the HTTP endpoint listens; 127.0.0.1:7433 by default, `None` is nowhere.
    pub http: Option<SocketAddr>,
    /// `data_dir`: where the gateway keeps files of its own; `causeway-data` beside the configuration by default.
    pub data_dir: PathBuf,
    /// `limits`.
    pub limits: Limits,
    /// `events` and `catalog_history`: what is kept of both, and for how long.
    pub keeping: Keeping,
    /// `webhooks.secrets`: the folder with the signing secrets that webhooks may refer to as `file:NAME`; `webhook-secrets` in the
    /// data folder by default.
    pub webhook_secrets: PathBuf,
    /// `audit.queries`: of which remote statements an event tells; of none by default.
    pub audit: Audit,
    /// `roles`: the limited ones by name; by default there are none, and every user is unlimited.
    pub roles: BTreeMap<String, Arc<Role>>,
}

/// Of which remote statements an event tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Audit {
    /// Of none.
    Off,
    /// Of this share of them, above 0 and up to 1.
    Sampled(f64),
    /// Of all.
    Full,
}

/// The share of remote statements that is audited when it is `sampled` and nothing else is said.
const SAMPLE: f64 = 0.01;

/// The bounds of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `max_connections`: clients at once; 1000 by default.
    pub max_connections: usize,
    /// `memory`: bytes that all statements together may hold; 2GiB by default.
    pub memory: usize,
    /// `spill`: where statements put what does not fit; `spill` in the data folder by default.
    pub spill: PathBuf,
    /// `spill_quota`: bytes that all statements together may put there; 32GiB by default.
    pub spill_quota: u64,
}

impl Settings {
    /// The defaults, with a data folder.
    pub fn new(data_dir: PathBuf) -> Self {
        let limits = Limits { max_connections: 1000, memory: 2 << 30, spill: data_dir.join("spill"), spill_quota: 32 << 30 };
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            postgres: local(7432),
            http: Some(local(7433)),
            limits,
            keeping: Keeping::default(),
            webhook_secrets: data_dir.join("webhook-secrets"),
            audit: Audit::Off,
            roles: BTreeMap::new(),
            data_dir,
        }
    }
}

/// The folder with datasource files, and whether somebody named it.
pub(super) struct Folder {
    file: String,
    path: PathBuf,
    named_in_line: Option<usize>,
}

impl Folder {
    /// The `*.yaml` and `*.yml` files in it, by name. A folder nobody named may be absent.
    pub(super) fn files(&self, report: &Report) -> Vec<PathBuf> {
        let listing = match fs::read_dir(&self.path) {
            Ok(listing) => listing,
            Err(_) if self.named_in_line.is_none() => return Vec::new(),
            Err(error) => {
                let message = format!("is {}, a folder that cannot be read: {error}", self.path.display());
                report.add(&self.file, self.named_in_line.unwrap_or_default(), "datasources", message);
                return Vec::new();
            }
        };
        let mut files: Vec<PathBuf> = listing
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"))
            .filter(|path| !path.is_dir())
            .collect();
        files.sort();
        files
    }
}

/// Reads the keys. Paths are taken from `base`.
pub(super) fn read(root: &mut Section<'_>, file: &str, base: &Path) -> (Settings, Folder) {
    let data_dir = root.text("data_dir").map_or_else(|| base.join("causeway-data"), |given| base.join(given.text));
    let mut settings = Settings::new(data_dir);

    let mut listen = root.section("listen");
    if let Some(address) = listen.value("postgres", address) {
        settings.postgres = address;
        if let Some(refusal) = trust_is_refused(address) {
            listen.fault("postgres", refusal);
        }
    }
    if let Some(address) = listen.value("http", http_address) {
        settings.http = address;
        if let Some(refusal) = address.and_then(trust_is_refused) {
            listen.fault("http", refusal);
        } else if address.is_some_and(|address| address == settings.postgres && address.port() != 0) {
            listen.fault("http", format!("is {}, as is `postgres`", settings.postgres));
        }
    }
    listen.finish();

    if let Some(auth) = root.text("auth") {
        match auth.text.as_str() {
            "trust" => {}
            "scram-sha-256" => root.fault("auth", "is \"scram-sha-256\", which is not available in this version; use trust on 127.0.0.1"),
            other => root.fault("auth", format!("is \"{other}\", not one of trust")),
        }
    }

    let mut limits = root.section("limits");
    // A port of the system is taken per client, so there is no use in more.
    if let Some(count) = limits.count("max_connections", 1, 65_535) {
        settings.limits.max_connections = count;
    }
    if let Some(bytes) = limits.size("memory", 16 << 20) {
        settings.limits.memory = bytes;
    }
    if let Some(spill) = limits.text("spill") {
        settings.limits.spill = base.join(spill.text);
    }
    if let Some(bytes) = limits.size("spill_quota", 1 << 20) {
        settings.limits.spill_quota = bytes as u64;
    }
    limits.finish();
    settings.keeping = keeping(root);
    settings.audit = audit(root);
    settings.roles = role::read(root);
    let mut webhooks = root.section("webhooks");
    if let Some(secrets) = webhooks.text("secrets") {
        settings.webhook_secrets = base.join(secrets.text);
    }
    webhooks.finish();

    let named = root.text("datasources");
    let folder = Folder {
        file: file.to_owned(),
        path: base.join(named.as_ref().map_or("datasources", |named| named.text.as_str())),
        named_in_line: named.map(|named| named.line),
    };
    for key in ["tls", "control_store", "secrets"] {
        root.unavailable(key);
    }
    (settings, folder)
}

fn keeping(root: &mut Section<'_>) -> Keeping {
    let mut keeping = Keeping::default();
    let mut events = root.section("events");
    if let Some(age) = events.duration("max_age") {
        keeping.events.max_age = age;
    }
    if let Some(count) = events.count("max_count", 1, u32::MAX as usize) {
        keeping.events.max_count = count as u64;
    }
    events.finish();
    let mut history = root.section("catalog_history");
    if let Some(age) = history.duration("max_age") {
        keeping.history.max_age = age;
    }
    if let Some(count) = history.count("max_count", 1, u32::MAX as usize) {
        keeping.history.max_count = u32::try_from(count).unwrap_or(u32::MAX);
    }
    history.finish();
    keeping
}

fn audit(root: &mut Section<'_>) -> Audit {
    let mut audit = root.section("audit");
    let sample = audit.share("sample").unwrap_or(SAMPLE);
    let words = [("off", Audit::Off), ("sampled", Audit::Sampled(sample)), ("full", Audit::Full)];
    let queries = audit.choice("queries", &words).unwrap_or(Audit::Off);
    audit.finish();
    queries
}

/// An address to serve HTTP on, or `off`.
pub(crate) fn http_address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    address(text).map(Some).map_err(|_| "neither off nor an address such as 127.0.0.1:7433".to_owned())
}

/// An address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| "not an address such as 127.0.0.1:7432".to_owned())
}

/// Why an address may not be listened on while everybody is trusted.
pub(crate) fn trust_is_refused(address: SocketAddr) -> Option<String> {
    (!address.ip().is_loopback())
        .then(|| format!("is {address}, which others can reach, and auth `trust` lets in whoever comes; listen on 127.0.0.1 or [::1]"))
}

//! The keys of `causeway.yaml`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fault::Report;
use super::section::Section;
use crate::audit::AuditPolicy;

/// What `causeway.yaml` says about the process.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `listen.postgres`: where the Postgres endpoint listens; 127.0.0.1:7432 by default.
    pub postgres: SocketAddr,
    /// `data_dir`: where the gateway keeps files of its own; `causeway-data` beside the configuration by default.
    pub data_dir: PathBuf,
    /// `limits`.
    pub limits: Limits,
    /// Which statements are audited; none by default.
    pub audit: AuditPolicy,
}

/// The bounds of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `max_connections`: clients at once; 1000 by default.
    pub max_connections: usize,
    /// `memory`: bytes that all statements together may hold; 2GiB by default.
    pub memory: usize,
    /// `spill`: where statements put what does not fit; `spill` in the data folder by default.
    pub spill: PathBuf,
}

impl Settings {
    /// The defaults, with a data folder.
    pub fn new(data_dir: PathBuf) -> Self {
        let limits = Limits { max_connections: 1000, memory: 2 << 30, spill: data_dir.join("spill") };
        Self { postgres: SocketAddr::from(([127, 0, 0, 1], 7432)), data_dir, limits, audit: AuditPolicy::default() }
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
    listen.unavailable("http");
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
    limits.finish();

    let named = root.text("datasources");
    let folder = Folder {
        file: file.to_owned(),
        path: base.join(named.as_ref().map_or("datasources", |named| named.text.as_str())),
        named_in_line: named.map(|named| named.line),
    };
    for key in ["tls", "control_store", "secrets", "roles"] {
        root.unavailable(key);
    }
    (settings, folder)
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

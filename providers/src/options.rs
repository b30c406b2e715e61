//! The options of one datasource, checked against the manifest of its connector.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};
use crate::remote::RemoteId;

/// Everything a connector needs to open a remote.
///
/// The connector's own options are reached by name, so that a new connector adds no field here.
#[derive(Clone)]
pub struct Options {
    /// Which datasource this is.
    pub id: RemoteId,
    /// How many connections may be open, and how long they may take, idle and live.
    pub pool: PoolLimits,
    /// How long one statement may take on this datasource. `None` is without limit.
    pub query_timeout: Option<Duration>,
    /// How long one may take until its first rows are here. `None` is as long as it may take.
    pub first_row_timeout: Option<Duration>,
    /// Whether the source's data may be changed. Without it nothing of the source is.
    pub allow_writes: bool,
    values: BTreeMap<String, String>,
    secrets: BTreeMap<String, SecretString>,
}

/// The bounds of a connection pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// At most so many connections to the source, 1 or more.
    pub max_connections: usize,
    /// How long opening one may take.
    pub connect_timeout: Duration,
    /// How long a statement may wait for a free one. `None` is as long as the statement may take.
    pub acquire_timeout: Option<Duration>,
    /// An idle one is closed after this.
    pub idle_timeout: Duration,
    /// One that is this old is closed once no statement has it, up to a tenth sooner. `None` is without limit.
    pub max_lifetime: Option<Duration>,
    /// One that was idle for this long is asked whether it still stands before a statement gets it.
    pub check_after: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max_connections: 5,
            connect_timeout: Duration::from_secs(5),
            acquire_timeout: None,
            idle_timeout: Duration::from_secs(300),
            max_lifetime: Some(Duration::from_secs(1800)),
            check_after: Duration::from_secs(30),
        }
    }
}

/// What is wrong with one option. `key` is the option's name as the user wrote or should have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    /// The option's name.
    pub key: String,
    /// Where it belongs.
    pub visibility: Visibility,
    /// What is wrong and what would be right.
    pub message: String,
}

impl OptionFault {
    /// What is wrong with an option that is no credential.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), visibility: Visibility::Public, message: message.into() }
    }

    /// What is wrong with a credential.
    pub fn of_secret(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), visibility: Visibility::Secret, message: message.into() }
    }
}

impl Options {
    /// Checks `values` and `secrets` against `manifest`, fills in defaults, and resolves relative paths from `base`.
    ///
    /// # Errors
    /// Every fault at once, in the manifest's order, unknown keys last. What the options are together is looked at when each is right.
    pub fn check(
        manifest: &Manifest,
        id: RemoteId,
        base: &Path,
        values: BTreeMap<String, String>,
        secrets: BTreeMap<String, SecretString>,
    ) -> Result<Self, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let mut checked = BTreeMap::new();
        for spec in manifest.options {
            let given = match spec.visibility {
                Visibility::Public => values.get(spec.name).cloned(),
                Visibility::Secret => {
                    if values.contains_key(spec.name) {
                        faults.push(fault(spec, "is a secret: write it under `credentials:` as env:NAME or file:PATH"));
                    }
                    if spec.presence == Presence::Required && !secrets.contains_key(spec.name) {
                        faults.push(fault(spec, "is required under `credentials:`"));
                    }
                    continue;
                }
            };
            match (given, spec.presence) {
                (Some(value), _) => match normalise(spec, &value, base) {
                    Ok(value) => {
                        checked.insert(spec.name.to_owned(), value);
                    }
                    Err(message) => faults.push(fault(spec, &message)),
                },
                (None, Presence::Default(value)) => {
                    checked.insert(spec.name.to_owned(), value.to_owned());
                }
                (None, Presence::Required) => faults.push(fault(spec, "is required")),
                (None, Presence::Optional) => {}
            }
        }
        let known = |name: &str, visibility| manifest.options.iter().any(|s| s.name == name && s.visibility == visibility);
        let names = |visibility| {
            let names: Vec<_> = manifest.options.iter().filter(|s| s.visibility == visibility).map(|s| s.name).collect();
            if names.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", names.join(", ")) }
        };
        for key in values.keys().filter(|key| !manifest.options.iter().any(|s| s.name == key.as_str())) {
            faults.push(OptionFault {
                key: key.clone(),
                visibility: Visibility::Public,
                message: format!("is not an option of connector {}: {}", manifest.kind, names(Visibility::Public)),
            });
        }
        for key in secrets.keys().filter(|key| !known(key, Visibility::Secret)) {
            faults.push(OptionFault {
                key: key.clone(),
                visibility: Visibility::Secret,
                message: format!("is not a credential of connector {}: {}", manifest.kind, names(Visibility::Secret)),
            });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let options = Self {
            id,
            pool: PoolLimits::default(),
            query_timeout: None,
            first_row_timeout: None,
            allow_writes: false,
            values: checked,
            secrets,
        };
        let faults = (manifest.faults)(&options);
        if faults.is_empty() { Ok(options) } else { Err(faults) }
    }

    /// The same with another value for an option that the manifest knows.
    #[cfg(feature = "contract")]
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.values.insert(name.to_owned(), value.to_owned());
        other
    }

    /// The value of an option, when it was given or has a default.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of an option the manifest requires or gives a default.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the manifest does neither.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("option `{name}` is read but its manifest does not require it")).at(self.id.as_str())
        })
    }

    /// A port the manifest requires or gives a default.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the manifest does neither.
    pub fn port(&self, name: &str) -> Result<u16> {
        self.required(name)?
            .parse()
            .map_err(|e| Error::new(ErrorKind::Internal, format!("option `{name}` is not checked as a port")).because(e))
    }

    /// A path, already resolved against the folder of the configuration file.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// A flag; absent is `false`.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// A credential in clear. Hand it to the driver and nowhere else.
    pub fn secret(&self, name: &str) -> Option<&str> {
        self.secrets.get(name).map(|s| s.expose_secret())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("id", &self.id)
            .field("values", &self.values)
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn fault(spec: &OptionSpec, message: &str) -> OptionFault {
    OptionFault { key: spec.name.to_owned(), visibility: spec.visibility, message: message.to_owned() }
}

fn normalise(spec: &OptionSpec, value: &str, base: &Path) -> Result<String, String> {
    match spec.value {
        ValueKind::Text => Ok(value.to_owned()),
        ValueKind::Port => match value.parse::<u16>() {
            Ok(1..) => Ok(value.to_owned()),
            _ => Err(format!("is \"{value}\", not a port from 1 to 65535")),
        },
        ValueKind::Flag => match value {
            "true" | "false" => Ok(value.to_owned()),
            _ => Err(format!("is \"{value}\", neither true nor false")),
        },
        ValueKind::Choice(words) if words.contains(&value) => Ok(value.to_owned()),
        ValueKind::Choice(words) => Err(format!("is \"{value}\", not one of {}", words.join(", "))),
        ValueKind::Path => Ok(base.join(value).to_string_lossy().into_owned()),
        ValueKind::Location if value.contains("://") => Ok(value.to_owned()),
        ValueKind::Location => Ok(base.join(value).to_string_lossy().into_owned()),
    }
}

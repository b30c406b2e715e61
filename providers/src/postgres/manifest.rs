//! What the connector says about itself.

use crate::capabilities::Capabilities;
use crate::manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};
use crate::tls::{SSLMODE, SSLROOTCERT};

pub(super) const HOST: &str = "host";
pub(super) const PORT: &str = "port";
pub(super) const DATABASE: &str = "database";
pub(super) const USER: &str = "user";
pub(super) const NUMERIC: &str = "numeric";
pub(super) const PASSWORD: &str = "password";

pub(super) static MANIFEST: Manifest = Manifest {
    kind: "postgres",
    version: env!("CARGO_PKG_VERSION"),
    description: "PostgreSQL 12 or later",
    capabilities: Capabilities::ALL,
    health_check: "Asks for the version over a pooled connection.",
    options: &[
        OptionSpec {
            name: HOST,
            value: ValueKind::Text,
            presence: Presence::Required,
            visibility: Visibility::Public,
            doc: "Host name or address of the server, or the folder of its Unix socket.",
        },
        OptionSpec {
            name: PORT,
            value: ValueKind::Port,
            presence: Presence::Default("5432"),
            visibility: Visibility::Public,
            doc: "Its port.",
        },
        OptionSpec {
            name: DATABASE,
            value: ValueKind::Text,
            presence: Presence::Required,
            visibility: Visibility::Public,
            doc: "The database to connect to.",
        },
        OptionSpec {
            name: USER,
            value: ValueKind::Text,
            presence: Presence::Required,
            visibility: Visibility::Public,
            doc: "The role to connect as; it needs no more than SELECT.",
        },
        OptionSpec {
            name: SSLMODE,
            value: ValueKind::Choice(&["disable", "prefer", "require", "verify-ca", "verify-full"]),
            presence: Presence::Default("prefer"),
            visibility: Visibility::Public,
            doc: "Whether to use TLS: prefer falls back to clear text when the server has none, require takes any certificate, \
                  verify-ca checks who signed it, verify-full its name as well.",
        },
        OptionSpec {
            name: SSLROOTCERT,
            value: ValueKind::Path,
            presence: Presence::Optional,
            visibility: Visibility::Public,
            doc: "A PEM file with the authorities that sslmode verify-ca and verify-full trust.",
        },
        OptionSpec {
            name: NUMERIC,
            value: ValueKind::Choice(&["decimal", "text", "float"]),
            presence: Presence::Default("decimal"),
            visibility: Visibility::Public,
            doc: "How a numeric without precision is read: decimal is exact and refuses what 76 digits, 38 of them decimals, cannot hold; \
                  text holds every value; float rounds to double precision.",
        },
        OptionSpec {
            name: PASSWORD,
            value: ValueKind::Text,
            presence: Presence::Optional,
            visibility: Visibility::Secret,
            doc: "The role's password.",
        },
    ],
    faults: super::tls::faults,
};

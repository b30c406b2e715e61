//! What the connector says about itself.

use crate::capabilities::Capabilities;
use crate::manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};
use crate::tls::{SSLMODE, SSLROOTCERT};

/// The word for a connection in clear text.
pub(super) const DISABLE: &str = "disable";
/// The word for TLS with any certificate.
pub(super) const REQUIRE: &str = "require";
/// The word for TLS with a checked certificate and name.
pub(super) const VERIFY_FULL: &str = "verify-full";

pub(super) static MANIFEST: Manifest = Manifest {
    kind: "clickhouse",
    version: env!("CARGO_PKG_VERSION"),
    description: "Tables and views of a ClickHouse server, over its HTTP interface",
    capabilities: Capabilities {
        filter: true,
        limit: true,
        sort: true,
        aggregate: true,
        window: true,
        inner_join: true,
        outer_join: true,
        full_join: true,
        // Of a correlated `EXISTS` the server makes a join by `=`, which finds no NULL where one is asked for.
        semi_join: false,
        cancel: true,
        statement_timeout: true,
    },
    health_check: "Asks for the version over a pooled connection.",
    options: &[
        OptionSpec {
            name: "host",
            value: ValueKind::Text,
            presence: Presence::Required,
            visibility: Visibility::Public,
            doc: "Name or address of the server.",
        },
        OptionSpec {
            name: "port",
            value: ValueKind::Port,
            presence: Presence::Default("8123"),
            visibility: Visibility::Public,
            doc: "TCP port of the server's HTTP interface; with TLS it is 8443 as a rule.",
        },
        OptionSpec {
            name: "database",
            value: ValueKind::Text,
            presence: Presence::Default("default"),
            visibility: Visibility::Public,
            doc: "The database whose tables appear under the datasource's own name.",
        },
        OptionSpec {
            name: "user",
            value: ValueKind::Text,
            presence: Presence::Default("default"),
            visibility: Visibility::Public,
            doc: "The user to connect as; it needs no more than SELECT, and a profile that is not readonly = 1.",
        },
        OptionSpec {
            name: SSLMODE,
            value: ValueKind::Choice(&[DISABLE, REQUIRE, VERIFY_FULL]),
            presence: Presence::Default(DISABLE),
            visibility: Visibility::Public,
            doc: "Whether the connection is encrypted, and whether the server's certificate is checked (verify-full).",
        },
        OptionSpec {
            name: SSLROOTCERT,
            value: ValueKind::Path,
            presence: Presence::Optional,
            visibility: Visibility::Public,
            doc: "PEM file of the authorities that verify-full trusts.",
        },
        OptionSpec {
            name: "password",
            value: ValueKind::Text,
            presence: Presence::Optional,
            visibility: Visibility::Secret,
            doc: "The user's password.",
        },
    ],
    faults: super::tls::faults,
};

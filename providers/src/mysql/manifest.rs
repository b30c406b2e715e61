//! What the `mysql` connector says about itself.

use crate::capabilities::Capabilities;
use crate::manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};
use crate::tls::{SSLMODE, SSLROOTCERT};

/// `sslmode`: never encrypt.
pub(super) const DISABLE: &str = "disable";
/// `sslmode`: encrypt when the server can.
pub(super) const PREFER: &str = "prefer";
/// `sslmode`: encrypt, whoever the server is.
pub(super) const REQUIRE: &str = "require";
/// `sslmode`: encrypt, and check the server's certificate and name.
pub(super) const VERIFY_FULL: &str = "verify-full";

pub(super) static MANIFEST: Manifest = Manifest {
    kind: "mysql",
    version: env!("CARGO_PKG_VERSION"),
    description: "Tables and views of a MySQL or MariaDB server",
    // Neither server has FULL JOIN.
    capabilities: Capabilities { full_join: false, ..Capabilities::ALL },
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
            presence: Presence::Default("3306"),
            visibility: Visibility::Public,
            doc: "TCP port of the server.",
        },
        OptionSpec {
            name: "database",
            value: ValueKind::Text,
            presence: Presence::Required,
            visibility: Visibility::Public,
            doc: "The database whose tables appear under the datasource's own name.",
        },
        OptionSpec {
            name: "user",
            value: ValueKind::Text,
            presence: Presence::Required,
            visibility: Visibility::Public,
            doc: "The user to connect as; it needs no more than SELECT.",
        },
        OptionSpec {
            name: SSLMODE,
            value: ValueKind::Choice(&[DISABLE, PREFER, REQUIRE, VERIFY_FULL]),
            presence: Presence::Default(PREFER),
            visibility: Visibility::Public,
            doc: "Whether the connection is encrypted, and whether the server's certificate is checked (verify-full).",
        },
        OptionSpec {
            name: SSLROOTCERT,
            value: ValueKind::Path,
            presence: Presence::Optional,
            visibility: Visibility::Public,
            doc: "PEM file of the authorities verify-full trusts instead of the public ones.",
        },
        OptionSpec {
            name: "tinyint1",
            value: ValueKind::Choice(&["integer", "boolean"]),
            presence: Presence::Default("integer"),
            visibility: Visibility::Public,
            doc: "What a tinyint(1) is published as; as a boolean, a number but 0 and 1 in it is an error.",
        },
        OptionSpec {
            name: "zero_dates",
            value: ValueKind::Choice(&["error", "null", "text"]),
            presence: Presence::Default("error"),
            visibility: Visibility::Public,
            doc: "What a date that is none, such as 0000-00-00, is read as; `text` publishes all dates and times of day with a date \
                  as text.",
        },
        OptionSpec {
            name: "parallel_scans",
            value: ValueKind::Choice(&["consistent", "always", "never"]),
            presence: Presence::Default("consistent"),
            visibility: Visibility::Public,
            doc: "Whether a large table is read over several connections at once: when all of them are known to see one moment, always, \
                  or never.",
        },
        OptionSpec {
            name: "password",
            value: ValueKind::Text,
            presence: Presence::Optional,
            visibility: Visibility::Secret,
            doc: "The user's password.",
        },
    ],
    faults: super::connect::faults,
};

//! What the connector says about itself.

use crate::capabilities::Capabilities;
use crate::manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};

pub(super) static MANIFEST: Manifest = Manifest {
    kind: "sqlite",
    version: env!("CARGO_PKG_VERSION"),
    description: "Tables and views of a SQLite database file, read only",
    // What the bundled SQLite computes as we do. A full join is there since 3.39; a time limit is ours, not its own.
    capabilities: Capabilities { statement_timeout: false, ..Capabilities::ALL },
    health_check: "Opens the file and asks for the library's version.",
    options: &[
        OptionSpec {
            name: "path",
            value: ValueKind::Path,
            presence: Presence::Required,
            visibility: Visibility::Public,
            doc: "The database file. It must exist: it is opened for reading and never created.",
        },
        OptionSpec {
            name: "on_mismatch",
            value: ValueKind::Choice(&["error", "null", "text"]),
            presence: Presence::Default("error"),
            visibility: Visibility::Public,
            doc: "What a value that is none of its column's type is read as; `text` publishes all columns that can hold one as text.",
        },
    ],
    faults: |_| Vec::new(),
};

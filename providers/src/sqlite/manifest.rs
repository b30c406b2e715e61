//! What the connector says about itself.

use crate::manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};

pub(super) static MANIFEST: Manifest = Manifest {
    kind: "sqlite",
    description: "Tables and views of a SQLite database file, read only",
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
};

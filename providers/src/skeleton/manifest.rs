//! What the connector says about itself.

use crate::capabilities::Capabilities;
use crate::manifest::{Manifest, OptionSpec, Presence, ValueKind, Visibility};

pub(super) static MANIFEST: Manifest = Manifest {
    kind: "skeleton",
    version: env!("CARGO_PKG_VERSION"),
    description: "The lines of a text file",
    // Declare what the source computes as we do; the contract tells whether that is so.
    capabilities: Capabilities { ..Capabilities::SCAN_ONLY },
    health_check: "Opens the file.",
    options: &[OptionSpec {
        name: "path",
        value: ValueKind::Path,
        presence: Presence::Required,
        visibility: Visibility::Public,
        doc: "The text file.",
    }],
    faults: |_| Vec::new(),
};

//! What the connector says about itself.

use crate::capabilities::Capabilities;
use crate::manifest::Manifest;

pub(super) static MANIFEST: Manifest = Manifest {
    kind: "memory",
    version: env!("CARGO_PKG_VERSION"),
    description: "Tables that live in this process, for tests and trials",
    capabilities: Capabilities::SCAN_ONLY,
    health_check: "Is always well.",
    options: &[],
    faults: |_| Vec::new(),
};

//! What the connector says about itself.

use crate::manifest::Manifest;

pub(super) static MANIFEST: Manifest =
    Manifest { kind: "memory", description: "Tables that live in this process, for tests and trials", options: &[] };

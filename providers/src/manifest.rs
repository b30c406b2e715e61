//! What a connector says about itself: its kind, what its sources compute, its options and which of them are secret.

use crate::capabilities::Capabilities;
use crate::options::{OptionFault, Options};

/// The static description of a connector.
#[derive(Debug)]
pub struct Manifest {
    /// The kind as written in `connector:`, such as `postgres`.
    pub kind: &'static str,
    /// The version of the connector's code.
    pub version: &'static str,
    /// One sentence for `connector list`.
    pub description: &'static str,
    /// What its sources compute as we do. A remote of it may declare less, for a source that can do less, and never more.
    pub capabilities: Capabilities,
    /// How [`Remote::ping`](crate::Remote::ping) finds out whether a source is well, in words.
    pub health_check: &'static str,
    /// The options it takes, in the order the documentation shows them.
    pub options: &'static [OptionSpec],
    /// What is wrong with options each of which is as [`options`](Self::options) says: texts with a form of their own, and what does not go
    /// together. No IO: neither files nor servers are asked, so that a configuration is judged by itself.
    pub faults: fn(&Options) -> Vec<OptionFault>,
}

/// One option of a connector.
#[derive(Debug)]
pub struct OptionSpec {
    /// The key under `options:`, or under `credentials:` when it is secret.
    pub name: &'static str,
    /// What its value may be.
    pub value: ValueKind,
    /// Whether it must be given, and what it is when it is not.
    pub presence: Presence,
    /// Where it is written and how it may be shown.
    pub visibility: Visibility,
    /// One sentence for people.
    pub doc: &'static str,
}

/// What values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// A TCP port, 1 to 65535.
    Port,
    /// A path in the file system; a relative one is taken from the folder of the configuration file.
    Path,
    /// A path or a URL.
    Location,
    /// `true` or `false`.
    Flag,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

/// Whether an option must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must be given.
    Required,
    /// It may be left out.
    Optional,
    /// It may be left out and is then this.
    Default(&'static str),
}

/// Whether an option may ever be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Written under `options:`.
    Public,
    /// Written under `credentials:` as a reference, never shown again.
    Secret,
}

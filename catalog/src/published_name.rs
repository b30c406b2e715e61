//! The name of one of our tables, as a value.

use std::fmt;

use causeway_providers::Subject;
use serde::{Deserialize, Serialize};

/// A published table by schema and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublishedName {
    /// The published schema.
    pub schema: String,
    /// The published name.
    pub name: String,
}

impl PublishedName {
    pub(crate) fn new(schema: &str, name: &str) -> Self {
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for PublishedName {
    /// As a remote table is printed: `schema.name`, quoted where it would not be clear.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Subject::table(&self.schema, &self.name).fmt(f)
    }
}

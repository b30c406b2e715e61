//! What an environment answers to the statements it runs itself.

use super::notice::Notice;

/// The answer to `CALL`, `IMPORT FOREIGN SCHEMA` or `DROP FOREIGN TABLE`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Sent in order, before the statement is reported as complete.
    pub notices: Vec<Notice>,
    /// The rows of an import's dry run. Other statements are described as having none, and theirs are not sent.
    pub steps: Vec<ImportStep>,
}

/// What an import would do about one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportStep {
    /// The table's name at the source.
    pub remote_table: String,
    /// What it would be published as, with its schema.
    pub published_name: String,
    /// What would be done, in a word: `import`, `replace` or `keep`.
    pub action: String,
    /// Why, or what is worth a look; may be empty.
    pub detail: String,
}

/// The columns of a dry run, in the order of [`ImportStep`].
pub(crate) const STEP_COLUMNS: [&str; 4] = ["remote_table", "published_name", "action", "detail"];

impl Outcome {
    /// Something to tell the user and nothing else; an empty text tells nothing.
    pub fn told(text: impl Into<String>) -> Self {
        let text = text.into();
        let notices = if text.is_empty() { Vec::new() } else { vec![Notice::for_user(text)] };
        Self { notices, ..Self::default() }
    }
}

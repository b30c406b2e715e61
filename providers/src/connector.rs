//! The seam a new kind of source plugs into.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::declared_type::DeclaredType;
use crate::error::Result;
use crate::manifest::Manifest;
use crate::options::Options;
use crate::remote::Remote;
use crate::type_change::TypeChange;

/// Code for one kind of source.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync {
    /// What it is and what it takes.
    fn manifest(&self) -> &'static Manifest;

    /// Opens a datasource: connects, checks credentials and reads what later calls rely on.
    ///
    /// The future ends within `options.pool.connect_timeout`, a small margin aside.
    ///
    /// # Errors
    /// `Unreachable`, `Unauthorized`, `NotFound`, `Timeout` or `Invalid`, naming the datasource.
    async fn open(&self, options: &Options) -> Result<Arc<dyn Remote>>;

    /// What became of a column that was `expected` and is `actual`: two types as [`RemoteColumn::remote_type`] prints them, or as a
    /// person may write them. Pure.
    ///
    /// Synonyms are [`TypeChange::Same`]. Read backwards a widening is a narrowing, and two widenings in a row are one. A text that
    /// the connector cannot read is the same as itself and different from all others.
    ///
    /// [`RemoteColumn::remote_type`]: crate::RemoteColumn::remote_type
    fn type_change(&self, expected: &str, actual: &str) -> TypeChange;

    /// What `text` is as the type of a column, as [`RemoteColumn::remote_type`] prints it or as a person may write it. Pure.
    ///
    /// Every type that a look at such a source can give is known, or may be one that the source's users made.
    ///
    /// [`RemoteColumn::remote_type`]: crate::RemoteColumn::remote_type
    fn declared_type(&self, text: &str) -> DeclaredType;
}

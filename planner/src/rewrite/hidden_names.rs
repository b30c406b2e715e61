//! Where a relation of a select can be seen from within it, and where another one of its name is seen instead.
//!
//! The relations of a select are its own: the other parts of a set operation, the common table expressions of its query, and the
//! subqueries in its `FROM` that are not `LATERAL` do not see them. These see what is around the query.

use datafusion::sql::sqlparser::ast::{Query, Select, SetExpr, TableFactor};

use super::scope::relations;

/// The way from a select to where a walk through it stands.
///
/// A walk tells of all it enters and leaves, beginning with the select itself, or with what stands beside it and sees what it sees.
pub(super) struct Way<'a> {
    name: &'a str,
    places: Vec<Place>,
}

/// What is around where a walk stands.
enum Place {
    /// The select whose relation is looked for.
    Start { in_derived: bool },
    /// A query. Once its only select was walked through, what follows, its `ORDER BY`, sees what that does.
    Query { is_one_select: bool, hides: bool },
    /// Another select, and whether it has a relation of the name.
    Select { hides: bool, in_derived: bool },
}

impl<'a> Way<'a> {
    /// A walk that looks for the relation `name`.
    pub(super) fn new(name: &'a str) -> Self {
        Self { name, places: Vec::new() }
    }

    /// Whether the relation that the name means here is another one.
    pub(super) fn is_hidden(&self) -> bool {
        self.places.iter().any(|place| match place {
            Place::Start { in_derived } => *in_derived,
            Place::Query { hides, .. } => *hides,
            Place::Select { hides, in_derived } => *hides && !*in_derived,
        })
    }

    /// Whether this is within a query of the select.
    pub(super) fn is_within(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Query { .. }))
    }

    pub(super) fn enter_query(&mut self, query: &Query) {
        self.places.push(Place::Query { is_one_select: matches!(*query.body, SetExpr::Select(_)), hides: false });
    }

    pub(super) fn leave_query(&mut self) {
        self.places.pop();
    }

    pub(super) fn enter_select(&mut self, select: &Select) {
        self.places.push(if self.places.is_empty() {
            Place::Start { in_derived: false }
        } else {
            Place::Select { hides: relations(select).iter().any(|relation| relation.alias == self.name), in_derived: false }
        });
    }

    pub(super) fn leave_select(&mut self) {
        if let Some(Place::Select { hides, .. }) = self.places.pop()
            && let Some(Place::Query { is_one_select: true, hides: of_query }) = self.places.last_mut()
        {
            *of_query = hides;
        }
    }

    pub(super) fn enter_factor(&mut self, factor: &TableFactor) {
        self.derived(factor, true);
    }

    pub(super) fn leave_factor(&mut self, factor: &TableFactor) {
        self.derived(factor, false);
    }

    fn derived(&mut self, factor: &TableFactor, enters: bool) {
        if let TableFactor::Derived { lateral: false, .. } = factor
            && let Some(Place::Start { in_derived } | Place::Select { in_derived, .. }) = self.places.last_mut()
        {
            *in_derived = enters;
        }
    }
}

//! Which named statements clients have prepared, and on which tables: what a drift report says it breaks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use causeway_catalog::{PreparedStatement, PreparedStatements};

/// A session, a statement's name, and which of that name it is: an older one may be kept by a portal for a while.
type Key = (i32, String, u64);

/// The tables each statement reads.
#[derive(Debug, Default)]
struct Statements {
    registered: BTreeMap<Key, Vec<(String, String)>>,
    count: u64,
}

/// The prepared statements of all sessions of an environment.
#[derive(Debug, Default)]
pub struct StatementRegistry(Mutex<Statements>);

/// A statement in the registry. Dropped, it is there no more.
#[derive(Debug)]
pub(crate) struct Registered {
    registry: Arc<StatementRegistry>,
    key: Key,
}

impl StatementRegistry {
    /// Notes a statement that reads `tables`, each a schema and a name.
    pub(crate) fn register(self: &Arc<Self>, pid: i32, name: &str, tables: &[(String, String)]) -> Registered {
        let mut statements = self.lock();
        statements.count += 1;
        let key = (pid, name.to_owned(), statements.count);
        statements.registered.insert(key.clone(), tables.to_vec());
        drop(statements);
        Registered { registry: Arc::clone(self), key }
    }

    fn lock(&self) -> MutexGuard<'_, Statements> {
        // It is whole after any panic: entries are only added and removed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PreparedStatements for StatementRegistry {
    fn reading(&self, tables: &[(String, String)]) -> Vec<PreparedStatement> {
        let statements = self.lock();
        let reading = statements.registered.iter().filter(|(_, read)| read.iter().any(|table| tables.contains(table)));
        reading.map(|((pid, name, _), _)| PreparedStatement { pid: *pid, name: name.clone() }).collect()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.lock().registered.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_known_as_long_as_it_is_kept() {
        let registry = Arc::new(StatementRegistry::default());
        let table = |name: &str| ("crm".to_owned(), name.to_owned());
        let cust = registry.register(7, "s1", &[table("cust"), table("orders")]);
        let _other = registry.register(8, "s1", &[table("other")]);
        assert_eq!(registry.reading(&[table("orders")]), [PreparedStatement { pid: 7, name: "s1".to_owned() }]);
        drop(cust);
        assert!(registry.reading(&[table("orders")]).is_empty());
        assert_eq!(registry.reading(&[table("other")]).len(), 1);
    }
}

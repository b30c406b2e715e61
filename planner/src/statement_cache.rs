//! Planned statements, for whoever asks the same: drivers and tools send the same few again and again, from many sessions.
//!
//! A plan is found by everything that it depends on: the text, the types that were declared, the version of the tables, the role, and what
//! of the session's settings has a part in planning. What depends on the moment or on the parameters is decided when a plan is executed.
//! A plan that has anything of its session in it is not kept.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{Expr, Visit, Visitor};
use hashlink::LruCache;

use crate::Statement;
use crate::engine::{Engine, PushDown, StatementContext};
use crate::error::Result;
use crate::query::Query;

/// Plans kept: one is some ten kilobytes.
const PLANS: usize = 512;

/// The longest text, in bytes, of a statement whose plan is kept. Each value of a list is some 250 bytes of a plan, so that one of
/// twenty thousand takes five megabytes; and what is sent again and again is short.
const LONGEST: usize = 4096;

/// The bytes of all texts whose plans are kept. Two bytes of text are a value of a list at worst, and its plan is kept twice, as it was
/// planned and optimised: this is some 64 megabytes then.
const TEXTS: usize = 256 << 10;

/// Schemas whose tables are made of what is now, and may be of the session.
const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "causeway"];

/// The plans of one environment's statements. Shared by its sessions.
pub struct StatementCache {
    kept: Mutex<Kept>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How often a plan was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Statements whose plan was there.
    pub hits: u64,
    /// Statements that were planned.
    pub misses: u64,
}

/// A statement as it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The statement.
    pub statement: &'a Statement,
    /// Its text; empty when it is not known, and nothing is kept then.
    pub text: &'a str,
    /// The types of the parameters that the client declared.
    pub declared: &'a [Option<DataType>],
    /// The version of the tables it sees.
    pub version: u64,
    /// The limited role that asks, if it is one.
    pub role: Option<&'a str>,
}

struct Kept {
    /// Of which tables the plans are. Plans of others hold on to what is gone.
    version: u64,
    plans: LruCache<Key, Query>,
    /// The bytes of their texts.
    texts: usize,
}

impl Kept {
    fn clear(&mut self) {
        self.plans.clear();
        self.texts = 0;
    }

    fn insert(&mut self, key: Key, query: Query) {
        self.texts += key.text.len();
        if self.plans.insert(key.clone(), query).is_some() {
            self.texts -= key.text.len();
        }
        while self.plans.len() > PLANS || self.texts > TEXTS {
            let Some((oldest, _)) = self.plans.remove_lru() else { break };
            self.texts -= oldest.text.len();
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    text: Box<str>,
    declared: Box<[Option<DataType>]>,
    role: Option<Box<str>>,
    search_path: Vec<String>,
    time_zone: String,
    push_down: PushDown,
}

impl Default for StatementCache {
    fn default() -> Self {
        let kept = Kept { version: 0, plans: LruCache::new_unbounded(), texts: 0 };
        Self { kept: Mutex::new(kept), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }
}

impl StatementCache {
    /// The plan of a statement in `context`: one that was made before, or a new one.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub async fn plan(&self, engine: &Engine, asked: Asked<'_>, context: &StatementContext) -> Result<Query> {
        if asked.text.is_empty() || asked.text.len() > LONGEST {
            self.misses.fetch_add(1, Ordering::Relaxed);
            return engine.plan(asked.statement, asked.declared, context).await;
        }
        let key = Key {
            text: asked.text.into(),
            declared: asked.declared.into(),
            role: asked.role.map(Into::into),
            search_path: context.search_path.clone(),
            time_zone: context.time_zone.clone(),
            push_down: context.push_down,
        };
        if let Some(found) = self.find(&key, asked.version) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return engine.adopt(&found, context);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let query = engine.plan(asked.statement, asked.declared, context).await?;
        if !names_session(asked.statement, context) && query.is_anyones(context) && reads_no_system_table(&query) {
            self.keep(key, asked.version, engine.disown(&query));
        }
        Ok(query)
    }

    /// How often a plan was found so far.
    pub fn counts(&self) -> CacheCounts {
        CacheCounts { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed) }
    }

    fn find(&self, key: &Key, version: u64) -> Option<Query> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.version < version {
            kept.version = version;
            kept.clear();
        }
        if kept.version == version { kept.plans.get(key).cloned() } else { None }
    }

    fn keep(&self, key: Key, version: u64, query: Query) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.version == version {
            kept.insert(key, query);
        }
    }
}

/// Whether the statement calls a function that knows its session. Of one that a table function is given the plan has the value alone.
fn names_session(statement: &Statement, context: &StatementContext) -> bool {
    struct Calls<'a>(&'a StatementContext);
    impl Visitor for Calls<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let Expr::Function(called) = expr else { return ControlFlow::Continue(()) };
            let parts: Vec<&str> = called.name.0.iter().filter_map(|part| part.as_ident()).map(|name| name.value.as_str()).collect();
            let (whole, last) = (parts.join("."), parts.last().copied().unwrap_or_default());
            let is_called = |name: &str| name.eq_ignore_ascii_case(&whole) || name.eq_ignore_ascii_case(last);
            let knows = self.0.functions.iter().any(|function| is_called(function.name()));
            if knows { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    match statement {
        Statement::Statement(inner) => inner.visit(&mut Calls(context)).is_break(),
        Statement::Explain(explain) => names_session(&explain.statement, context),
        _ => true,
    }
}

fn reads_no_system_table(query: &Query) -> bool {
    query.tables().iter().all(|(schema, _)| !SYSTEM_SCHEMAS.contains(&schema.as_str()))
}

impl fmt::Debug for StatementCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementCache").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

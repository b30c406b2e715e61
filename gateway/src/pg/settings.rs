//! Session settings: `SET`, `SHOW` and `RESET` over a table of known names.
//!
//! Values are kept as PostgreSQL would show them. A copy is one reference count, so a statement keeps the settings it began with and
//! a rolled back transaction gets its old ones back.

mod definition;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use causeway_planner::PushDown;

use super::sqlstate::{CANNOT_CHANGE, INVALID_PARAMETER_VALUE, PgError, UNDEFINED_OBJECT};
pub(crate) use definition::display_name;
use definition::{Definition, KNOWN, find};
use value::identifier_list;
pub(crate) use value::{Zone, fixed_zone_name, quote_identifier, zone};
pub(super) use value::{identifier_list as schemas, milliseconds};

type Values = BTreeMap<Arc<str>, Arc<str>>;

/// The settings of one session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// What RESET goes back to where it differs from the built-in default: what the client asked for at start-up.
    startup: Arc<Values>,
    /// What was set since.
    session: Arc<Values>,
    /// What holds until the transaction ends.
    local: Arc<Values>,
}

/// How long a SET holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetScope {
    Session,
    Transaction,
}

impl Settings {
    /// The settings of a client that asked for nothing.
    pub(crate) fn new() -> Self {
        Self { startup: Arc::default(), session: Arc::default(), local: Arc::default() }
    }

    /// Takes a value from the start-up message.
    pub(crate) fn at_startup(&mut self, name: &str, text: &str) -> Result<(), PgError> {
        let (name, value) = checked(name, text)?;
        Arc::make_mut(&mut self.startup).insert(name, value);
        Ok(())
    }

    /// Fixes a value the client may read and not change.
    pub(crate) fn preset(&mut self, name: &str, value: &str) {
        Arc::make_mut(&mut self.startup).insert(Arc::from(name), Arc::from(value));
    }

    /// `SET name TO text`.
    pub(crate) fn set(&mut self, scope: SetScope, name: &str, text: &str) -> Result<(), PgError> {
        let (name, value) = checked(name, text)?;
        match scope {
            SetScope::Session => {
                Arc::make_mut(&mut self.local).remove(&name);
                Arc::make_mut(&mut self.session).insert(name, value);
            }
            SetScope::Transaction => {
                Arc::make_mut(&mut self.local).insert(name, value);
            }
        }
        Ok(())
    }

    /// `RESET name`, or `SET name TO DEFAULT`.
    pub(crate) fn reset(&mut self, scope: SetScope, name: &str) -> Result<(), PgError> {
        let folded = name.to_lowercase();
        match find(&folded) {
            Some(definition) if definition.is_fixed() => return Err(cannot_change(definition.name)),
            None if !folded.contains('.') => return Err(unknown(name)),
            _ => {}
        }
        match scope {
            SetScope::Session => {
                Arc::make_mut(&mut self.local).remove(folded.as_str());
                Arc::make_mut(&mut self.session).remove(folded.as_str());
            }
            SetScope::Transaction => {
                if let Some(default) = self.default_of(&folded) {
                    Arc::make_mut(&mut self.local).insert(Arc::from(folded), default);
                }
            }
        }
        Ok(())
    }

    /// `RESET ALL`.
    pub(crate) fn reset_all(&mut self) {
        self.session = Arc::default();
        self.local = Arc::default();
    }

    /// Forgets what SET LOCAL set.
    pub(crate) fn end_transaction(&mut self) {
        if !self.local.is_empty() {
            self.local = Arc::default();
        }
    }

    fn default_of(&self, name: &str) -> Option<Arc<str>> {
        self.startup.get(name).cloned().or_else(|| find(name).map(|definition| Arc::from(definition.default)))
    }

    /// The value of a setting as SHOW prints it.
    pub(crate) fn show(&self, name: &str) -> Result<Arc<str>, PgError> {
        let folded = name.to_lowercase();
        self.value(&folded).ok_or_else(|| unknown(name))
    }

    fn value(&self, name: &str) -> Option<Arc<str>> {
        [&self.local, &self.session].into_iter().find_map(|values| values.get(name)).cloned().or_else(|| self.default_of(name))
    }

    /// The value of a setting this house knows.
    fn known(&self, name: &'static str) -> Arc<str> {
        self.value(name).expect("names in code are in the table of known settings")
    }

    /// All known and custom settings by name.
    pub(crate) fn all(&self) -> Vec<SettingRow> {
        let mut rows: BTreeMap<Arc<str>, SettingRow> = KNOWN
            .iter()
            .map(|definition| {
                let row = SettingRow {
                    name: Arc::from(definition.name),
                    value: self.known(definition.name),
                    description: definition.description,
                    kind: definition.kind.word(),
                    default: self.default_of(definition.name),
                };
                (Arc::clone(&row.name), row)
            })
            .collect();
        for name in [&self.startup, &self.session, &self.local].into_iter().flat_map(|values| values.keys()) {
            if let (None, Some(value)) = (rows.get(name), self.value(name)) {
                let row = SettingRow { name: Arc::clone(name), value, description: "", kind: "string", default: self.default_of(name) };
                rows.insert(Arc::clone(name), row);
            }
        }
        rows.into_values().collect()
    }

    /// The settings a client is told of at start-up and whenever they change.
    pub(crate) fn reported(&self) -> Vec<(&'static str, Arc<str>)> {
        KNOWN
            .iter()
            .filter(|definition| definition.reported)
            .map(|definition| (display_name(definition.name), self.known(definition.name)))
            .collect()
    }

    /// Whether both hold the same values, told without comparing them: `false` may be wrong, `true` never is.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.startup, &other.startup) && Arc::ptr_eq(&self.session, &other.session) && Arc::ptr_eq(&self.local, &other.local)
    }

    /// `statement_timeout`; `None` is without limit.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        self.duration("statement_timeout")
    }

    /// `idle_in_transaction_session_timeout`.
    pub(crate) fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        self.duration("idle_in_transaction_session_timeout")
    }

    /// `idle_session_timeout`.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.duration("idle_session_timeout")
    }

    fn duration(&self, name: &'static str) -> Option<Duration> {
        value::milliseconds(&self.known(name)).filter(|milliseconds| *milliseconds > 0).map(Duration::from_millis)
    }

    /// The session's time zone.
    pub(crate) fn time_zone(&self) -> Zone {
        zone(&self.known("timezone")).expect("a time zone is checked before it is kept")
    }

    /// Schemas searched for unqualified names.
    pub(crate) fn search_path(&self, user: &str) -> Vec<String> {
        let path = identifier_list(&self.known("search_path")).unwrap_or_default();
        path.into_iter().map(|schema| if schema == "$user" { user.to_owned() } else { schema }).collect()
    }

    /// Whether the sources may compute.
    pub(crate) fn push_down(&self) -> PushDown {
        let is_on = |name| &*self.known(name) == "on";
        match (is_on("causeway.push_down"), is_on("causeway.dynamic_filters")) {
            (true, true) => PushDown::On,
            (true, false) => PushDown::Static,
            (false, _) => PushDown::Off,
        }
    }

    /// Whether the transaction at hand only reads: as it was told, or else as all of the session are.
    pub(crate) fn is_read_only(&self) -> bool {
        let told = [&self.local, &self.session].into_iter().find_map(|values| values.get("transaction_read_only"));
        told.map_or_else(|| &*self.known("default_transaction_read_only") == "on", |told| &**told == "on")
    }

    /// How many digits of a float are shown beyond, or short of, those that are always exact.
    pub(crate) fn extra_float_digits(&self) -> i32 {
        self.known("extra_float_digits").parse().unwrap_or(1)
    }

    /// Whether bytes are shown in the old escape format.
    pub(crate) fn bytea_escape(&self) -> bool {
        &*self.known("bytea_output") == "escape"
    }

    /// Which notices the client wants.
    pub(crate) fn client_min_messages(&self) -> Arc<str> {
        self.known("client_min_messages")
    }

    /// The client's name for itself.
    pub(crate) fn application_name(&self) -> Arc<str> {
        self.known("application_name")
    }
}

/// Checks a name and a value, and returns both in the form they are kept.
fn checked(name: &str, text: &str) -> Result<(Arc<str>, Arc<str>), PgError> {
    let folded = name.to_lowercase();
    let Some(definition) = find(&folded) else {
        let is_custom = folded.split_once('.').is_some_and(|(class, rest)| is_custom_part(class) && rest.split('.').all(is_custom_part));
        // A misspelt setting of our own must not vanish among the custom ones.
        return if is_custom && !folded.starts_with("causeway.") { Ok((Arc::from(folded), Arc::from(text))) } else { Err(unknown(name)) };
    };
    if definition.is_fixed() {
        return Err(cannot_change(definition.name));
    }
    let value = definition.kind.canonical(text).map_err(|fault| invalid(definition, text, fault))?;
    Ok((Arc::from(definition.name), Arc::from(value)))
}

fn is_custom_part(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))
}

fn unknown(name: &str) -> PgError {
    let error = PgError::new(UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""));
    if name.to_lowercase().starts_with("causeway.") {
        error.hint("Settings of Causeway: causeway.dynamic_filters, causeway.push_down.")
    } else {
        error
    }
}

fn cannot_change(name: &str) -> PgError {
    PgError::new(CANNOT_CHANGE, format!("parameter \"{name}\" cannot be changed"))
}

fn invalid(definition: &Definition, text: &str, fault: Option<String>) -> PgError {
    let error = PgError::new(INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{}\": \"{text}\"", definition.name));
    match fault {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// One line of `SHOW ALL` or `pg_settings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingRow {
    /// The setting's name.
    pub name: Arc<str>,
    /// Its value, as SHOW prints it.
    pub value: Arc<str>,
    /// What it is for.
    pub description: &'static str,
    /// Its type in `pg_settings.vartype`: `bool`, `integer`, `enum` or `string`.
    pub kind: &'static str,
    /// What RESET would make of it.
    pub default: Option<Arc<str>>,
}

/// The settings of a session as they were at one moment.
#[derive(Debug, Clone)]
pub struct SettingsView(pub(crate) Settings);

impl SettingsView {
    /// The value of a setting, as SHOW prints it; `None` when it is not known.
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.0.show(name).ok()
    }

    /// All settings by name.
    pub fn all(&self) -> Vec<SettingRow> {
        self.0.all()
    }
}

impl Default for SettingsView {
    /// The built-in defaults.
    fn default() -> Self {
        Self(Settings::new())
    }
}

//! Decides what makes a table fit its descriptor: statements that only add, and what is left to a person. Does no IO.

#[cfg(test)]
mod tests;

use super::descriptor::{DescribedColumn, DescribedType, TableDescriptor};
use super::{EnsureMode, EnsureReport};
use crate::error::{Error, ErrorKind, Result};

/// How often statements are run before the table has to fit. More than one because others may be at it too.
const ROUNDS: usize = 3;

/// How a source writes the definition of a table.
pub(crate) trait Definition: Sync {
    /// An identifier in quotes, whatever it holds.
    fn quote(&self, identifier: &str) -> String;

    /// The table, with its schema where it has to be given.
    fn table(&self, descriptor: &TableDescriptor) -> String;

    /// The type we give a column.
    fn type_name(&self, kind: DescribedType) -> &'static str;

    /// What stands behind the columns of a new table.
    fn table_options(&self) -> &'static str;

    /// Whether two names of columns are one to the source.
    fn is_same_column(&self, left: &str, right: &str) -> bool;

    /// The statement that adds a column, from its name in quotes and type; nothing happens when it is there already, or it fails
    /// saying so.
    fn add_column(&self, table: &str, column: &str) -> String;

    /// The statement that gives a column, its name in quotes, another type; `None` where the source has none.
    fn change_type(&self, table: &str, column: &str, wanted: &DescribedColumn) -> Option<String>;

    /// The statement that lets a column, its name in quotes, be NULL; `None` where the source has none.
    fn allow_null(&self, table: &str, column: &str, found: &FoundColumn) -> Option<String>;
}

/// A table as the source has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FoundTable {
    pub(crate) columns: Vec<FoundColumn>,
    /// The names of the primary key's columns; empty without one.
    pub(crate) primary_key: Vec<String>,
}

/// A column as the source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    /// The type as the source writes it, with the collation where that matters.
    pub(crate) remote_type: String,
    /// What it holds exactly.
    pub(crate) holds: Vec<DescribedType>,
    pub(crate) nullable: bool,
    pub(crate) filling: Filling,
}

/// What a column gets when a row has no value for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    /// NULL, where it may be.
    Nothing,
    /// A default, or a number of a sequence.
    Default,
    /// Always a value of the source's own: it takes none of ours.
    Generated,
}

/// The error for something that has the table's name and takes no rows as a table does.
pub(crate) fn not_a_table(descriptor: &TableDescriptor, kind: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("\"{}\" is {kind} and not a table", descriptor.name))
        .hint("drop or rename it, or use another name")
}

/// The error of a statement that was run, with the statement for somebody who may run it when our user may not.
pub(crate) fn refused(error: Error, statement: &str) -> Error {
    match error.kind() {
        ErrorKind::Unauthorized => error.hint(format!("let somebody who may do it run: {statement}")),
        _ => error,
    }
}

/// One call of `ensure_table`: looks and statements in turn, until the table fits or nothing more may be done.
pub(crate) struct Ensuring<'a> {
    descriptor: &'a TableDescriptor,
    definition: &'a dyn Definition,
    mode: EnsureMode,
    rounds: usize,
    executed: Vec<String>,
}

/// What to do after a look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Run these, tell of each with [`Ensuring::ran`], and look again. That one of them finds its work done already is no error.
    Run(Vec<String>),
    /// Nothing.
    Done(EnsureReport),
}

impl<'a> Ensuring<'a> {
    /// # Errors
    /// `Invalid` for a descriptor no source can follow.
    pub(crate) fn new(descriptor: &'a TableDescriptor, definition: &'a dyn Definition, mode: EnsureMode) -> Result<Self> {
        descriptor.check()?;
        Ok(Self { descriptor, definition, mode, rounds: 0, executed: Vec::new() })
    }

    /// A statement was run.
    pub(crate) fn ran(&mut self, statement: String) {
        self.executed.push(statement);
    }

    /// What follows from what a look found.
    ///
    /// # Errors
    /// `NotFound` when there is no table and none may be made; `Conflict` when what was added is gone again.
    pub(crate) fn next(&mut self, found: Option<&FoundTable>) -> Result<Step> {
        let Some(found) = found else {
            let create = create(self.descriptor, self.definition);
            return match self.mode {
                EnsureMode::Additive => self.run(vec![create]),
                EnsureMode::CheckOnly => {
                    Err(Error::new(ErrorKind::NotFound, format!("there is no table \"{}\"", self.descriptor.name)).hint(create))
                }
            };
        };
        let (additions, others): (Vec<_>, Vec<_>) =
            differences(self.descriptor, found, self.definition).into_iter().partition(|difference| difference.remedy == Remedy::Addition);
        let skipped = match self.mode {
            EnsureMode::Additive if !additions.is_empty() => return self.run(additions.into_iter().map(|d| d.statement).collect()),
            EnsureMode::Additive => others,
            EnsureMode::CheckOnly => additions.into_iter().chain(others).collect(),
        };
        let obstacles = skipped.iter().filter_map(|difference| difference.obstacle.clone()).collect();
        let skipped = skipped.into_iter().map(|difference| difference.statement).collect();
        Ok(Step::Done(EnsureReport { executed: std::mem::take(&mut self.executed), skipped, obstacles }))
    }

    fn run(&mut self, statements: Vec<String>) -> Result<Step> {
        if self.rounds == ROUNDS {
            let text = format!("table \"{}\" is changed by others at the same time", self.descriptor.name);
            return Err(Error::new(ErrorKind::Conflict, text).hint("try again when they are done"));
        }
        self.rounds += 1;
        Ok(Step::Run(statements))
    }
}

/// Something about a table that is not as described.
struct Difference {
    remedy: Remedy,
    /// What would mend it, or a sentence where no statement does.
    statement: String,
    /// Why no row can be inserted while it lasts, when none can.
    obstacle: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Addition,
    ByHand,
}

fn create(descriptor: &TableDescriptor, definition: &dyn Definition) -> String {
    let mut parts: Vec<String> = descriptor
        .columns
        .iter()
        .map(|column| {
            let null = if column.nullable { "" } else { " NOT NULL" };
            format!("{} {}{null}", definition.quote(&column.name), definition.type_name(column.kind))
        })
        .collect();
    parts.push(format!("PRIMARY KEY ({})", list(&descriptor.primary_key, definition)));
    format!("CREATE TABLE IF NOT EXISTS {} ({}){}", definition.table(descriptor), parts.join(", "), definition.table_options())
}

/// Names in quotes, with commas between them.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n String>, definition: &dyn Definition) -> String {
    names.into_iter().map(|name| definition.quote(name)).collect::<Vec<_>>().join(", ")
}

fn differences(descriptor: &TableDescriptor, found: &FoundTable, definition: &dyn Definition) -> Vec<Difference> {
    let table = definition.table(descriptor);
    let mut differences = Vec::new();
    for wanted in &descriptor.columns {
        match found.columns.iter().find(|column| definition.is_same_column(&column.name, &wanted.name)) {
            Some(column) => differences.extend(column_differences(&table, wanted, column, definition)),
            // A missing column of the key shows in the key, and is not to be added without it.
            None if descriptor.primary_key.contains(&wanted.name) => {}
            None => differences.push(Difference {
                remedy: Remedy::Addition,
                statement: definition
                    .add_column(&table, &format!("{} {}", definition.quote(&wanted.name), definition.type_name(wanted.kind))),
                obstacle: Some(format!("column \"{}\" is missing", wanted.name)),
            }),
        }
    }
    differences.extend(key_difference(&table, descriptor, found, definition));
    for column in &found.columns {
        if !descriptor.columns.iter().any(|wanted| definition.is_same_column(&column.name, &wanted.name)) {
            let blocks = !column.nullable && column.filling == Filling::Nothing;
            differences.push(Difference {
                remedy: Remedy::ByHand,
                statement: format!("ALTER TABLE {table} DROP COLUMN {}", definition.quote(&column.name)),
                obstacle: blocks.then(|| {
                    format!("column \"{}\" is not ours, takes no NULL and has no default: give it a default or drop it", column.name)
                }),
            });
        }
    }
    differences
}

fn column_differences(table: &str, wanted: &DescribedColumn, found: &FoundColumn, definition: &dyn Definition) -> Vec<Difference> {
    let name = definition.quote(&found.name);
    let by_hand = |statement: Option<String>, obstacle: String| Difference {
        remedy: Remedy::ByHand,
        statement: statement.unwrap_or_else(|| format!("{obstacle}: the table has to be made anew")),
        obstacle: Some(obstacle),
    };
    let mut differences = Vec::new();
    if found.filling == Filling::Generated {
        differences.push(by_hand(None, format!("column \"{}\" is generated and takes no values", found.name)));
    } else if !found.holds.contains(&wanted.kind) {
        let obstacle = format!("column \"{}\" is {} where {} is needed", found.name, found.remote_type, definition.type_name(wanted.kind));
        differences.push(by_hand(definition.change_type(table, &name, wanted), obstacle));
    }
    if wanted.nullable && !found.nullable {
        let obstacle = format!("column \"{}\" takes no NULL", found.name);
        differences.push(by_hand(definition.allow_null(table, &name, found), obstacle));
    }
    differences
}

/// The order of a key's columns is of no matter to us.
fn key_difference(table: &str, descriptor: &TableDescriptor, found: &FoundTable, definition: &dyn Definition) -> Option<Difference> {
    let is_in = |name: &String, names: &[String]| names.iter().any(|other| definition.is_same_column(name, other));
    let same = found.primary_key.len() == descriptor.primary_key.len()
        && descriptor.primary_key.iter().all(|name| is_in(name, &found.primary_key));
    if same {
        return None;
    }
    let wanted = list(&descriptor.primary_key, definition);
    let obstacle = match found.primary_key.as_slice() {
        [] => format!("{table} has no primary key, and needs ({wanted})"),
        other => format!("the primary key of {table} is ({}), and needs to be ({wanted})", list(other, definition)),
    };
    Some(Difference { remedy: Remedy::ByHand, statement: obstacle.clone(), obstacle: Some(obstacle) })
}

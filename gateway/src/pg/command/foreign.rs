//! Statements of SQL/MED: what is published of a datasource, changed by SQL.

use super::Command;
use super::cursor::{Cursor, Parsed};
use crate::pg::sqlstate::{DUPLICATE_OBJECT, INVALID_OPTION_NAME, INVALID_PARAMETER_VALUE, PgError, SYNTAX, UNSUPPORTED};

/// The options of `IMPORT FOREIGN SCHEMA`.
const IMPORT_OPTIONS: [&str; 3] = ["dry_run", "writable", "rename"];

/// `IMPORT FOREIGN SCHEMA remote [LIMIT TO (..) | EXCEPT (..)] FROM SERVER datasource INTO schema [OPTIONS (..)]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportForeignSchema {
    /// The schema at the source. Names fold as all names do; in double quotes they are exact.
    pub remote_schema: String,
    /// Which of its tables.
    pub selection: ImportSelection,
    /// The datasource.
    pub datasource: String,
    /// The schema they are published in.
    pub into_schema: String,
    /// The options as they were written; each is known and stands there once, and its value has been read by
    /// [`is_dry_run`](Self::is_dry_run), [`is_writable`](Self::is_writable) and [`renames`](Self::renames) without an error.
    pub options: Vec<(String, String)>,
}

/// Which tables of a schema are imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSelection {
    /// Every one.
    All,
    /// These, and it is an error when one is missing.
    LimitTo(Vec<String>),
    /// Every one but these.
    Except(Vec<String>),
}

/// `DROP FOREIGN TABLE [IF EXISTS] name [, ..]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropForeignTable {
    /// Schema and table; without a schema it is searched in the session's search path.
    pub names: Vec<(Option<String>, String)>,
    /// Whether a table that does not exist is passed over with a notice.
    pub if_exists: bool,
}

impl ImportForeignSchema {
    /// Whether it only tells what it would do.
    pub fn is_dry_run(&self) -> bool {
        self.option("dry_run").and_then(boolean).unwrap_or(false)
    }

    /// Whether the tables may be written to, as far as their datasource allows.
    pub fn is_writable(&self) -> bool {
        self.option("writable").and_then(boolean).unwrap_or(false)
    }

    /// Remote names and the names they are published under. Both are exact.
    pub fn renames(&self) -> Vec<(&str, &str)> {
        self.option("rename").and_then(renames).unwrap_or_default()
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads what follows `IMPORT FOREIGN SCHEMA`.
pub(super) fn import(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let remote_schema = cursor.name()?;
    let selection = selection(cursor)?;
    cursor.expect("from")?;
    cursor.expect("server")?;
    let datasource = cursor.name()?;
    cursor.expect("into")?;
    let into_schema = cursor.name()?;
    let options = if cursor.accept("options") { import_options(cursor)? } else { Vec::new() };
    Ok(Command::ImportForeignSchema(Box::new(ImportForeignSchema { remote_schema, selection, datasource, into_schema, options })))
}

/// Reads what follows `DROP FOREIGN TABLE`.
pub(super) fn drop_table(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let before = *cursor;
    let if_exists = cursor.accept("if") && cursor.accept("exists");
    if !if_exists {
        // A table may be named `if`.
        *cursor = before;
    }
    let names = list(cursor, qualified_name)?;
    // Nothing is made from foreign tables here that would have to go with them: both words change nothing.
    cursor.accept_any(&["cascade", "restrict"]);
    Ok(Command::DropForeignTable(Box::new(DropForeignTable { names, if_exists })))
}

fn selection(cursor: &mut Cursor<'_>) -> Parsed<ImportSelection> {
    if cursor.accept("limit") {
        cursor.expect("to")?;
        return Ok(ImportSelection::LimitTo(parenthesised(cursor, Cursor::name)?));
    }
    if cursor.accept("except") {
        return Ok(ImportSelection::Except(parenthesised(cursor, Cursor::name)?));
    }
    Ok(ImportSelection::All)
}

fn import_options(cursor: &mut Cursor<'_>) -> Parsed<Vec<(String, String)>> {
    let options = parenthesised(cursor, |cursor| Ok((cursor.name()?, cursor.literal()?)))?;
    // The values stay out of every message: an option that is not one of these may be a password.
    for (position, (option, value)) in options.iter().enumerate() {
        if !IMPORT_OPTIONS.contains(&option.as_str()) {
            return Err(PgError::new(INVALID_OPTION_NAME, format!("invalid option \"{option}\""))
                .hint(format!("Valid options in this context are: {}", IMPORT_OPTIONS.join(", "))));
        }
        if options[..position].iter().any(|(other, _)| other == option) {
            return Err(PgError::new(DUPLICATE_OBJECT, format!("option \"{option}\" provided more than once"))
                .hint(format!("Each of these options may be given once: {}", IMPORT_OPTIONS.join(", "))));
        }
        match option.as_str() {
            "rename" => check_renames(value)?,
            _ if boolean(value).is_none() => return Err(PgError::new(SYNTAX, format!("{option} requires a Boolean value"))),
            _ => {}
        }
    }
    Ok(options)
}

/// PostgreSQL's words for truth values in options.
fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `old=new, b=c`.
fn renames(value: &str) -> Option<Vec<(&str, &str)>> {
    value.split(',').map(rename).collect()
}

fn rename(pair: &str) -> Option<(&str, &str)> {
    let (old, new) = pair.split_once('=')?;
    let (old, new) = (old.trim(), new.trim());
    (!old.is_empty() && !new.is_empty() && !new.contains('=')).then_some((old, new))
}

fn check_renames(value: &str) -> Result<(), PgError> {
    let Some(pairs) = renames(value) else {
        return Err(PgError::new(INVALID_PARAMETER_VALUE, "rename requires pairs of names")
            .hint("Write OPTIONS (rename 'remote=published, other=another')."));
    };
    for (position, (old, new)) in pairs.iter().enumerate() {
        let earlier = &pairs[..position];
        if earlier.iter().any(|(other, _)| other == old) {
            return Err(PgError::new(DUPLICATE_OBJECT, format!("rename gives table \"{old}\" two names")));
        }
        if earlier.iter().any(|(_, other)| other == new) {
            return Err(PgError::new(DUPLICATE_OBJECT, format!("rename gives two tables the name \"{new}\"")));
        }
    }
    Ok(())
}

fn qualified_name(cursor: &mut Cursor<'_>) -> Parsed<(Option<String>, String)> {
    let mut parts = vec![cursor.name()?];
    while cursor.accept_symbol(b'.') {
        parts.push(cursor.name()?);
    }
    let shown = parts.join(".");
    let mut parts = parts.into_iter().rev();
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(table), schema, None, None) => Ok((schema, table)),
        (_, _, Some(_), None) => Err(PgError::new(UNSUPPORTED, format!("cross-database references are not implemented: \"{shown}\""))
            .hint("Name the schema and the table; an environment is entered by connecting to it.")),
        _ => Err(PgError::new(SYNTAX, format!("improper qualified name (too many dotted names): {shown}"))),
    }
}

fn parenthesised<'a, T>(cursor: &mut Cursor<'a>, item: impl FnMut(&mut Cursor<'a>) -> Parsed<T>) -> Parsed<Vec<T>> {
    cursor.expect_symbol(b'(')?;
    let items = list(cursor, item)?;
    cursor.expect_symbol(b')')?;
    Ok(items)
}

fn list<'a, T>(cursor: &mut Cursor<'a>, mut item: impl FnMut(&mut Cursor<'a>) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut items = vec![item(cursor)?];
    while cursor.accept_symbol(b',') {
        items.push(item(cursor)?);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::super::parse::recognise;
    use super::*;

    fn imported(sql: &str) -> ImportForeignSchema {
        match recognise(sql) {
            Ok(Some(Command::ImportForeignSchema(import))) => *import,
            other => panic!("{sql}: {other:?}"),
        }
    }

    fn dropped(sql: &str) -> DropForeignTable {
        match recognise(sql) {
            Ok(Some(Command::DropForeignTable(drop))) => *drop,
            other => panic!("{sql}: {other:?}"),
        }
    }

    fn refused(sql: &str) -> PgError {
        recognise(sql).expect_err(sql)
    }

    #[test]
    fn imports_in_all_their_words() {
        let import = imported("IMPORT FOREIGN SCHEMA Public FROM SERVER crm INTO Sales");
        assert_eq!((&*import.remote_schema, &*import.datasource, &*import.into_schema), ("public", "crm", "sales"));
        assert_eq!((import.selection.clone(), import.is_dry_run(), import.is_writable()), (ImportSelection::All, false, false));
        let import = imported(
            "import foreign schema \"Mart\" limit to (a, \"B\") from server crm into s \
             options (dry_run 'TRUE', writable 'on', rename 'Old=new , b = c')",
        );
        assert_eq!(import.remote_schema, "Mart");
        assert_eq!(import.selection, ImportSelection::LimitTo(vec!["a".into(), "B".into()]));
        assert!(import.is_dry_run() && import.is_writable());
        assert_eq!(import.renames(), [("Old", "new"), ("b", "c")]);
        let import = imported("IMPORT FOREIGN SCHEMA s EXCEPT (c) FROM SERVER crm INTO t OPTIONS (dry_run 'false')");
        assert_eq!((import.selection.clone(), import.is_dry_run()), (ImportSelection::Except(vec!["c".into()]), false));
    }

    #[test]
    fn drops_in_all_their_words() {
        let drop = dropped("DROP FOREIGN TABLE Sales.\"C\", orders CASCADE");
        assert_eq!(drop.names, [(Some("sales".to_owned()), "C".to_owned()), (None, "orders".to_owned())]);
        assert!(!drop.if_exists);
        assert!(dropped("drop foreign table if exists a restrict").if_exists);
        assert_eq!(dropped("drop foreign table if").names, [(None, "if".to_owned())]);
    }

    #[test]
    fn faults_name_their_place() {
        for (sql, expected) in [
            ("IMPORT FOREIGN TABLE s FROM SERVER crm INTO t", "syntax error at or near \"TABLE\""),
            ("IMPORT FOREIGN SCHEMA s FROM crm INTO t", "syntax error at or near \"crm\""),
            ("IMPORT FOREIGN SCHEMA s FROM SERVER crm", "syntax error at end of input"),
            ("IMPORT FOREIGN SCHEMA s LIMIT TO () FROM SERVER crm INTO t", "syntax error at or near \")\""),
            ("IMPORT FOREIGN SCHEMA s LIMIT TO (a FROM SERVER crm INTO t", "syntax error at or near \"FROM\""),
            ("IMPORT FOREIGN SCHEMA s FROM SERVER crm INTO t OPTIONS (dry_run true)", "syntax error at or near \"true\""),
            ("IMPORT FOREIGN SCHEMA s FROM SERVER crm INTO t OPTIONS ()", "syntax error at or near \")\""),
            ("IMPORT FOREIGN SCHEMA s FROM SERVER crm INTO t OPTIONS (dry_run 'x')", "dry_run requires a Boolean value"),
            ("IMPORT FOREIGN SCHEMA s FROM SERVER crm INTO t LIMIT TO (a)", "syntax error at or near \"LIMIT\""),
            ("IMPORT FOREIGN SCHEMA \"\" FROM SERVER crm INTO t", "zero-length delimited identifier"),
            ("DROP FOREIGN TABLE", "syntax error at end of input"),
            ("DROP FOREIGN TABLE a,", "syntax error at end of input"),
            ("DROP FOREIGN TABLE a b", "syntax error at or near \"b\""),
            ("DROP FOREIGN TABLE a.b.c.d", "improper qualified name (too many dotted names): a.b.c.d"),
        ] {
            let error = refused(sql);
            assert_eq!((error.code.as_str(), error.message.as_str()), (SYNTAX, expected), "{sql}");
        }
        assert_eq!(refused("DROP FOREIGN TABLE other.s.t").code, UNSUPPORTED);
    }

    #[test]
    fn options_are_known_and_given_once() {
        let with = |options: &str| refused(&format!("IMPORT FOREIGN SCHEMA s FROM SERVER crm INTO t OPTIONS ({options})"));
        let unknown = with("dry_run 'true', verify 'x'");
        assert_eq!((unknown.code.as_str(), unknown.message.as_str()), ("HV00D", "invalid option \"verify\""));
        assert_eq!(unknown.hint.as_deref(), Some("Valid options in this context are: dry_run, writable, rename"));
        let twice = with("dry_run 'true', dry_run 'false'");
        assert_eq!((twice.code.as_str(), twice.message.as_str()), ("42710", "option \"dry_run\" provided more than once"));
        for (rename, code) in
            [("a", "22023"), ("a=", "22023"), ("a=b,", "22023"), ("a=b=c", "22023"), ("a=b, a=c", "42710"), ("a=c, b=c", "42710")]
        {
            assert_eq!(with(&format!("rename '{rename}'")).code, code, "{rename}");
        }
    }

    #[test]
    fn other_statements_are_left_to_the_planner() {
        for sql in ["DROP TABLE t", "DROP FOREIGN DATA WRAPPER w", "IMPORT t"] {
            assert!(recognise(sql).unwrap().is_none(), "{sql}");
        }
    }
}

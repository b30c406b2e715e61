//! The grammar of the statements a session runs itself.

use super::cursor::{Cursor, Parsed};
use super::foreign;
use super::lexer::Kind;
use super::{Command, DiscardTarget, ShowTarget, TransactionCommand, TransactionModes};
use crate::pg::settings::{SetScope, fixed_zone_name};
use crate::pg::sqlstate::{NOT_IN_STATE, PgError, UNSUPPORTED};

/// Whether the statement explains another.
pub(super) fn is_explain(sql: &str) -> bool {
    Cursor::new(sql).accept("explain")
}

/// Reads a statement of the session; `None` is one for the planner.
pub(super) fn recognise(sql: &str) -> Parsed<Option<Command>> {
    let mut cursor = Cursor::new(sql);
    let Some(first) = cursor.word() else { return Ok(None) };
    let command = match &*first {
        "set" => set(&mut cursor)?,
        "show" => show(&mut cursor)?,
        "reset" => reset(&mut cursor)?,
        "discard" => discard(&mut cursor)?,
        "begin" => {
            cursor.accept_any(&["work", "transaction"]);
            transaction(TransactionCommand::Begin { tag: "BEGIN", modes: modes(&mut cursor)? })
        }
        "start" => {
            cursor.expect("transaction")?;
            transaction(TransactionCommand::Begin { tag: "START TRANSACTION", modes: modes(&mut cursor)? })
        }
        "commit" | "end" => {
            if cursor.accept("prepared") {
                return Err(two_phase());
            }
            transaction(TransactionCommand::Commit { and_chain: chain(&mut cursor)? })
        }
        "rollback" | "abort" => rollback(&mut cursor)?,
        "savepoint" => transaction(TransactionCommand::Savepoint(cursor.name()?)),
        "release" => {
            cursor.accept("savepoint");
            transaction(TransactionCommand::Release(cursor.name()?))
        }
        "prepare" => prepare(&mut cursor)?,
        "execute" => execute(&mut cursor)?,
        "deallocate" => {
            cursor.accept("prepare");
            Command::Deallocate(cursor.name_or_all()?)
        }
        "declare" => declare(&mut cursor)?,
        "fetch" => fetch(&mut cursor, false)?,
        "move" => fetch(&mut cursor, true)?,
        "close" => Command::Close(cursor.name_or_all()?),
        "call" => call(&mut cursor)?,
        "listen" => Command::Listen(cursor.name()?),
        "unlisten" if cursor.accept_symbol(b'*') => Command::Unlisten(None),
        "unlisten" => Command::Unlisten(Some(cursor.name()?)),
        "notify" => {
            let channel = cursor.name()?;
            let payload = if cursor.accept_symbol(b',') { cursor.literal()? } else { String::new() };
            Command::Notify { channel, payload }
        }
        "import" if cursor.accept("foreign") => {
            cursor.expect("schema")?;
            foreign::import(&mut cursor)?
        }
        "drop" if cursor.accept("foreign") && cursor.accept("table") => foreign::drop_table(&mut cursor)?,
        "select" if is_listening_channels(cursor) => return Ok(Some(Command::ListeningChannels)),
        "select" => match set_config(&mut cursor) {
            Some(command) => command,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    cursor.end()?;
    Ok(Some(command))
}

fn transaction(command: TransactionCommand) -> Command {
    Command::Transaction(command)
}

fn two_phase() -> PgError {
    PgError::new(UNSUPPORTED, "two-phase transactions are not supported")
}

fn set(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mut scope = SetScope::Session;
    if cursor.accept("local") {
        scope = SetScope::Transaction;
    } else if cursor.accept("session") {
        if cursor.accept("characteristics") {
            cursor.expect("as")?;
            cursor.expect("transaction")?;
            return Ok(transaction(TransactionCommand::Characteristics { is_session: true, modes: modes(cursor)? }));
        }
        if cursor.accept("authorization") {
            return authorization(cursor, scope);
        }
    }
    if cursor.accept("transaction") {
        if cursor.accept("snapshot") {
            return Err(PgError::new(UNSUPPORTED, "snapshots cannot be imported"));
        }
        return Ok(transaction(TransactionCommand::Characteristics { is_session: false, modes: modes(cursor)? }));
    }
    if cursor.accept("time") {
        cursor.expect("zone")?;
        let value = time_zone(cursor)?;
        return Ok(Command::Set { scope, name: "timezone".to_owned(), value });
    }
    if cursor.accept("names") {
        let value = cursor.value()?.filter(|word| !word.eq_ignore_ascii_case("default"));
        return Ok(Command::Set { scope, name: "client_encoding".to_owned(), value });
    }
    if cursor.accept("schema") {
        let value = cursor.value()?;
        return Ok(Command::Set { scope, name: "search_path".to_owned(), value });
    }
    if cursor.accept("role") {
        let value = cursor.value()?;
        return Ok(Command::Set { scope, name: "role".to_owned(), value });
    }
    if cursor.accept("constraints") {
        while cursor.next().is_some() {}
        return Ok(Command::Ignored("SET CONSTRAINTS"));
    }
    let before = *cursor;
    if cursor.accept("session") && cursor.accept("authorization") {
        return authorization(cursor, scope);
    }
    *cursor = before;
    let name = cursor.dotted_name()?;
    if !cursor.accept("to") && !cursor.accept_symbol(b'=') {
        return Err(cursor.unexpected());
    }
    let value = values(cursor, &name)?;
    Ok(Command::Set { scope, name, value })
}

/// Sessions are their user's; only going back to that is accepted.
fn authorization(cursor: &mut Cursor<'_>, _scope: SetScope) -> Parsed<Command> {
    if cursor.accept("default") {
        return Ok(Command::Ignored("SET"));
    }
    Err(PgError::new("42501", "permission denied to set session authorization").hint("Connect as that user."))
}

/// The values after `SET name TO`: lists are joined as PostgreSQL keeps them.
fn values(cursor: &mut Cursor<'_>, name: &str) -> Parsed<Option<String>> {
    if cursor.accept("default") {
        return Ok(None);
    }
    let is_path = name.eq_ignore_ascii_case("search_path");
    let mut list = Vec::new();
    loop {
        let is_text = cursor.peek().is_some_and(|token| token.kind == Kind::Text || token.kind == Kind::Quoted);
        let value = cursor.value()?.ok_or_else(|| cursor.unexpected())?;
        // A schema given in quotes of either kind is exact, and stays so in the list.
        list.push(if is_path && is_text { crate::pg::settings::quote_identifier(&value).into_owned() } else { value });
        if !cursor.accept_symbol(b',') {
            return Ok(Some(list.join(", ")));
        }
    }
}

fn time_zone(cursor: &mut Cursor<'_>) -> Parsed<Option<String>> {
    if cursor.accept("local") || cursor.accept("default") {
        return Ok(None);
    }
    let is_interval = cursor.accept("interval");
    let is_number = cursor.peek().is_some_and(|token| matches!(token.kind, Kind::Number | Kind::Symbol(b'-' | b'+')));
    let value = cursor.value()?.ok_or_else(|| cursor.unexpected())?;
    if is_interval {
        while cursor.accept_any(&["hour", "to", "minute"]) {}
        // Here, unlike in names, east is positive.
        let east = crate::pg::settings::zone(&value).and_then(|zone| match zone {
            crate::pg::settings::Zone::Fixed(west) => Some(-west),
            crate::pg::settings::Zone::Named(_) => None,
        });
        return Ok(Some(east.map_or(value, fixed_zone_name)));
    }
    if is_number
        && let Ok(hours) = value.parse::<f64>()
        && hours.abs() <= 15.0
    {
        return Ok(Some(fixed_zone_name((hours * 3600.0) as i32)));
    }
    Ok(Some(value))
}

fn show(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let one = |name: &str| Ok(Command::Show(ShowTarget::One(name.to_owned())));
    if cursor.accept("all") {
        return Ok(Command::Show(ShowTarget::All));
    }
    if let Some(name) = special_name(cursor)? {
        return one(name);
    }
    one(&cursor.dotted_name()?)
}

/// Settings whose names are several words.
fn special_name(cursor: &mut Cursor<'_>) -> Parsed<Option<&'static str>> {
    let before = *cursor;
    if cursor.accept("time") {
        cursor.expect("zone")?;
        return Ok(Some("timezone"));
    }
    if cursor.accept("transaction") && cursor.accept("isolation") {
        cursor.expect("level")?;
        return Ok(Some("transaction_isolation"));
    }
    *cursor = before;
    if cursor.accept("session") && cursor.accept("authorization") {
        return Ok(Some("session_authorization"));
    }
    *cursor = before;
    Ok(None)
}

fn reset(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.accept("all") {
        return Ok(Command::Reset(None));
    }
    match special_name(cursor)? {
        Some("session_authorization") => Ok(Command::Ignored("RESET")),
        Some(name) => Ok(Command::Reset(Some(name.to_owned()))),
        None => Ok(Command::Reset(Some(cursor.dotted_name()?))),
    }
}

fn discard(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let target = match cursor.word().as_deref() {
        Some("all") => DiscardTarget::All,
        Some("plans") => DiscardTarget::Plans,
        Some("sequences") => DiscardTarget::Sequences,
        Some("temp" | "temporary") => DiscardTarget::Temp,
        _ => return Err(cursor.unexpected()),
    };
    Ok(Command::Discard(target))
}

fn modes(cursor: &mut Cursor<'_>) -> Parsed<TransactionModes> {
    let mut modes = TransactionModes::default();
    loop {
        if cursor.accept("isolation") {
            cursor.expect("level")?;
            modes.isolation = Some(isolation(cursor)?);
        } else if cursor.accept("read") {
            modes.read_only = Some(match cursor.word().as_deref() {
                Some("only") => true,
                Some("write") => false,
                _ => return Err(cursor.unexpected()),
            });
        } else if cursor.accept("deferrable") {
            modes.deferrable = Some(true);
        } else if cursor.accept("not") {
            cursor.expect("deferrable")?;
            modes.deferrable = Some(false);
        } else {
            return Ok(modes);
        }
        cursor.accept_symbol(b',');
    }
}

fn isolation(cursor: &mut Cursor<'_>) -> Parsed<&'static str> {
    match cursor.word().as_deref() {
        Some("serializable") => Ok("serializable"),
        Some("repeatable") => cursor.expect("read").map(|()| "repeatable read"),
        Some("read") if cursor.accept("committed") => Ok("read committed"),
        Some("read") => cursor.expect("uncommitted").map(|()| "read uncommitted"),
        _ => Err(cursor.unexpected()),
    }
}

fn chain(cursor: &mut Cursor<'_>) -> Parsed<bool> {
    cursor.accept_any(&["work", "transaction"]);
    if !cursor.accept("and") {
        return Ok(false);
    }
    let is_chained = !cursor.accept("no");
    cursor.expect("chain")?;
    Ok(is_chained)
}

fn rollback(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.accept("prepared") {
        return Err(two_phase());
    }
    cursor.accept_any(&["work", "transaction"]);
    if cursor.accept("to") {
        cursor.accept("savepoint");
        return Ok(transaction(TransactionCommand::RollbackTo(cursor.name()?)));
    }
    Ok(transaction(TransactionCommand::Rollback { and_chain: chain(cursor)? }))
}

fn prepare(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.accept("transaction") {
        return Err(two_phase());
    }
    let name = cursor.name()?;
    let mut types = Vec::new();
    if cursor.accept_symbol(b'(') {
        let mut start = cursor.position();
        let mut depth = 0;
        loop {
            let token = cursor.next().ok_or_else(|| cursor.unexpected())?;
            match token.kind {
                Kind::Symbol(b'(') => depth += 1,
                Kind::Symbol(b')') if depth > 0 => depth -= 1,
                Kind::Symbol(symbol @ (b',' | b')')) if depth == 0 => {
                    let text = cursor.slice(start, token.start);
                    types.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
                    start = token.end;
                    if symbol == b')' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    cursor.expect("as")?;
    Ok(Command::Prepare { name, types, sql: cursor.take_rest()? })
}

fn execute(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let name = cursor.name()?;
    let arguments = if cursor.accept_symbol(b'(') { arguments(cursor)? } else { Vec::new() };
    Ok(Command::Execute { name, arguments })
}

/// Literals up to the closing parenthesis.
fn arguments(cursor: &mut Cursor<'_>) -> Parsed<Vec<Option<String>>> {
    let mut arguments = Vec::new();
    if cursor.accept_symbol(b')') {
        return Ok(arguments);
    }
    loop {
        let is_null = cursor.accept("null");
        let argument = if is_null { None } else { Some(cursor.value()?.ok_or_else(|| only_literals(cursor))?) };
        arguments.push(argument);
        // A cast of a literal says nothing its place does not say.
        if cursor.accept_symbol(b':') {
            cursor.accept_symbol(b':');
            cursor.dotted_name()?;
        }
        if cursor.accept_symbol(b')') {
            return Ok(arguments);
        }
        if !cursor.accept_symbol(b',') {
            return Err(only_literals(cursor));
        }
    }
}

fn only_literals(cursor: &Cursor<'_>) -> PgError {
    cursor.unexpected().hint("Arguments are literals here.")
}

fn declare(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let name = cursor.name()?;
    loop {
        if cursor.accept("no") {
            cursor.expect("scroll")?;
        } else if cursor.accept("scroll") {
            return Err(PgError::new(UNSUPPORTED, "scrollable cursors are not supported").hint("Declare the cursor with NO SCROLL."));
        } else if !cursor.accept_any(&["binary", "insensitive", "asensitive"]) {
            break;
        }
    }
    cursor.expect("cursor")?;
    if cursor.accept("with") {
        cursor.expect("hold")?;
        return Err(PgError::new(UNSUPPORTED, "cursors WITH HOLD are not supported").hint("Use the cursor within a transaction block."));
    } else if cursor.accept("without") {
        cursor.expect("hold")?;
    }
    cursor.expect("for")?;
    Ok(Command::Declare { name, sql: cursor.take_rest()? })
}

fn fetch(cursor: &mut Cursor<'_>, moves: bool) -> Parsed<Command> {
    cursor.accept("forward");
    let mut count = Some(1);
    if cursor.accept("all") {
        count = None;
    } else if cursor.peek().is_some_and(|token| token.kind == Kind::Number) {
        let text = cursor.value()?.unwrap_or_default();
        count = Some(text.parse().map_err(|_| cursor.unexpected())?);
    } else if cursor.accept_any(&["prior", "backward", "first", "last", "absolute", "relative"])
        || cursor.peek().is_some_and(|token| token.kind == Kind::Symbol(b'-'))
    {
        return Err(PgError::new(NOT_IN_STATE, "cursor can only scan forward").hint("Use FETCH NEXT, FETCH n or FETCH ALL."));
    } else {
        // A cursor may be named so; the word is a direction only when something follows.
        let before = *cursor;
        if cursor.accept("next") && cursor.peek().is_none() {
            *cursor = before;
        }
    }
    cursor.accept_any(&["from", "in"]);
    Ok(Command::Fetch { cursor: cursor.name()?, count, moves })
}

fn call(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let procedure = cursor.dotted_name()?;
    if !cursor.accept_symbol(b'(') {
        return Err(cursor.unexpected());
    }
    let arguments = arguments(cursor)?;
    let arguments = arguments
        .into_iter()
        .map(|argument| argument.ok_or_else(|| PgError::new("22004", "an argument of a procedure is NULL")))
        .collect::<Result<_, _>>()?;
    Ok(Command::Call { procedure, arguments })
}

/// `SELECT [* FROM] [pg_catalog.]pg_listening_channels()` and nothing else.
fn is_listening_channels(mut cursor: Cursor<'_>) -> bool {
    let _is_relation = cursor.accept_symbol(b'*') && cursor.accept("from");
    let Ok(name) = cursor.dotted_name() else { return false };
    matches!(&*name, "pg_listening_channels" | "pg_catalog.pg_listening_channels")
        && cursor.accept_symbol(b'(')
        && cursor.accept_symbol(b')')
        && cursor.peek().is_none()
}

/// `SELECT [pg_catalog.]set_config('name', 'value', bool)` and nothing else.
fn set_config(cursor: &mut Cursor<'_>) -> Option<Command> {
    let name = cursor.dotted_name().ok()?;
    if name != "set_config" && name != "pg_catalog.set_config" || !cursor.accept_symbol(b'(') {
        return None;
    }
    let literals = arguments(cursor).ok()?;
    if cursor.peek().is_some() {
        return None;
    }
    let [Some(name), Some(value), Some(is_local)] = <[Option<String>; 3]>::try_from(literals).ok()? else { return None };
    let scope = match is_local.to_lowercase().as_str() {
        "true" | "t" => SetScope::Transaction,
        "false" | "f" => SetScope::Session,
        _ => return None,
    };
    Some(Command::SetConfig { scope, name, value })
}

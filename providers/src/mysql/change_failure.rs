//! From the server's errors to ours when a client's statement changes rows: constraints and values with the SQLSTATE that PostgreSQL has
//! for them, the names that the server tells, and nothing of a row.

use mysql_async::{Error as DriverFailure, ServerError};

use super::failure;
use crate::error::{Error, ErrorKind};

/// The error of a change.
pub(super) fn of_change(failure: DriverFailure) -> Error {
    let answer = match failure {
        DriverFailure::Server(answer) => answer,
        other => {
            let error = failure::of_statement(other, None);
            return if error.kind() == ErrorKind::Unreachable {
                lost("the connection to the server was lost").because(error)
            } else {
                error
            };
        }
    };
    match told(&answer) {
        Some((error, hint)) => error.hint(hint),
        None if failure::ends_connection(answer.code) => lost("the server ended the connection"),
        None => failure::of_write(DriverFailure::Server(answer)),
    }
}

fn lost(how: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("{how}, and the transaction with it"))
        .hint("check that the server is up, and begin the transaction again")
}

/// Whether a warning with this code says that a value became another.
pub(super) fn tells_of_a_changed_value(code: u16) -> bool {
    matches!(code, 1048 | 1263..=1265 | 1292 | 1364 | 1365 | 1366 | 1406 | 1411 | 1441 | 1916 | 1918)
}

/// The error of a warning that a value became another.
pub(super) fn of_warning(code: u16, message: String) -> Error {
    let answer = ServerError { code, message, state: "22000".to_owned() };
    match told(&answer) {
        Some((error, hint)) => error.hint(hint),
        None => Error::new(ErrorKind::Invalid, format!("the server would store another value (warning {code})")).remote_code("22000"),
    }
}

fn told(answer: &ServerError) -> Option<(Error, &'static str)> {
    let text = answer.message.as_str();
    let named = |what: &str, name: Option<&str>| name.map_or_else(|| what.to_owned(), |name| format!("{what}: {name}"));
    let column = || column(text).map_or_else(|| "a column".to_owned(), |name| format!("column \"{name}\""));
    let conflict = |text: String, state: &str| Error::new(ErrorKind::Conflict, text).remote_code(state);
    let invalid = |text: String, state: &str| Error::new(ErrorKind::Invalid, text).remote_code(state);
    let another = "give another value, or change the column at the source";
    let told = match answer.code {
        1062 | 1169 | 1586 => {
            // The value stands before it and may hold anything.
            let key = text.rsplit_once(" for key '").map(|(_, key)| key.trim_end_matches('\''));
            (conflict(named("a unique key of the table refuses a row", key), "23505"), "give another key, or change the row that has it")
        }
        1048 | 1263 => (conflict(format!("{} takes no NULL", quoted_column(text)), "23502"), "give a value"),
        1364 => (conflict(format!("{} has no default and is given no value", quoted_column(text)), "23502"), "give a value"),
        1216 | 1217 | 1451 | 1452 | 1557 | 1761 | 1762 => {
            let name = between(text, "CONSTRAINT `", "` FOREIGN KEY");
            (conflict(named("a foreign key refuses the change", name), "23503"), "change the row that is referred to along with it")
        }
        4025 => {
            let name = between(text, "CONSTRAINT `", "` failed");
            (conflict(named("a check of the table refuses a row", name), "23514"), another)
        }
        3819 => (conflict(named("a check of the table refuses a row", between(text, "'", "'")), "23514"), another),
        1406 => (invalid(format!("a value is too long for {}", column()), "22001"), another),
        1264 | 1690 => (invalid(format!("a value is out of range for {}", column()), "22003"), another),
        1265 => (invalid(format!("a value does not fit {}", column()), "22P02"), another),
        1365 => (invalid("division by zero".to_owned(), "22012"), "see that the divisor is not 0"),
        1292 | 1366 | 1411 | 1416 | 1918 => {
            // `Incorrect datetime value: '...'`: the kind stands before the value.
            let kind = text.strip_prefix("Incorrect ").and_then(|rest| rest.split_once(" value")).map_or("", |(kind, _)| kind);
            let state = if kind.contains("date") || kind.contains("time") { "22007" } else { "22P02" };
            (invalid(format!("a value is none of the type of {}", column()), state), another)
        }
        1205 => (
            Error::new(ErrorKind::Timeout, "another session at the source holds a lock on a row for too long").remote_code("55P03"),
            "try again when it is done",
        ),
        1213 => (conflict("the source gave the transaction up for another one".to_owned(), "40P01"), "try again"),
        1020 => (conflict("a row was changed by another transaction in the meantime".to_owned(), "40001"), "try again"),
        1044 | 1142 | 1143 | 1227 | 1370 => (
            Error::new(ErrorKind::Unauthorized, "the datasource's user may not make this change at the source")
                .remote_code(answer.state.clone()),
            "grant it SELECT, INSERT, UPDATE and DELETE on the table",
        ),
        1046 | 1049 | 1054 | 1146 => (
            Error::new(ErrorKind::NotFound, "a table or column of the change is not at the source").remote_code(answer.state.clone()),
            "the remote schema may have changed: refresh the datasource's catalog",
        ),
        // Its text is a trigger's own.
        1644 => (Error::new(ErrorKind::Failed, "a trigger of the table refuses the change").remote_code("P0001"), "see the trigger"),
        _ => return None,
    };
    Some(told)
}

/// The name behind the last `for column`, without the table's.
fn column(text: &str) -> Option<&str> {
    let named = text.rsplit_once(" for column ")?.1;
    let named = named.rsplit_once(" at row ").map_or(named, |(named, _)| named);
    let name = named.trim_matches(['\'', '`']);
    Some(name.rsplit_once("`.`").map_or(name, |(_, name)| name))
}

fn quoted_column(text: &str) -> String {
    between(text, "'", "'").map_or_else(|| "a column".to_owned(), |name| format!("column \"{name}\""))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_and_values_are_not() {
        let cases = [
            (1062, "Duplicate entry 'secret for key 'x' for key 'PRIMARY'", "a unique key of the table refuses a row: PRIMARY", "23505"),
            (1048, "Column 'n' cannot be null", "column \"n\" takes no NULL", "23502"),
            (1364, "Field 'n' doesn't have a default value", "column \"n\" has no default and is given no value", "23502"),
            (
                1452,
                "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `fk` FOREIGN KEY (`k`) REFERENCES `u` (`id`))",
                "a foreign key refuses the change: fk",
                "23503",
            ),
            (4025, "CONSTRAINT `t.n` failed for `d`.`t`", "a check of the table refuses a row: t.n", "23514"),
            (3819, "Check constraint 'c' is violated.", "a check of the table refuses a row: c", "23514"),
            (1406, "Data too long for column 'n' at row 1", "a value is too long for column \"n\"", "22001"),
            (1264, "Out of range value for column 'n' at row 3", "a value is out of range for column \"n\"", "22003"),
            (
                1366,
                "Incorrect integer value: 'secret for column `a`.`b`.`c` at row 1' for column `d`.`t`.`n` at row 1",
                "a value is none of the type of column \"n\"",
                "22P02",
            ),
            (
                1292,
                "Incorrect datetime value: 'secret' for column `d`.`t`.`n` at row 1",
                "a value is none of the type of column \"n\"",
                "22007",
            ),
        ];
        for (code, message, expected, state) in cases {
            let answer = ServerError { code, message: message.to_owned(), state: "HY000".to_owned() };
            let error = of_change(DriverFailure::Server(answer));
            assert_eq!((error.message(), error.remote_sqlstate()), (expected, Some(state)), "{code}");
        }
    }
}

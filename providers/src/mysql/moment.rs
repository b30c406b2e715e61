//! At which moment the snapshot of a session stands, as far as a MariaDB server tells, so that two sessions can be known to see the same.
//!
//! InnoDB gives each session a snapshot of its own and no session can take over another's. But MariaDB takes a consistent snapshot under the
//! lock under which transactions that are in the binary log become visible, and tells at which position of that log it did: two
//! snapshots at one position see the same of them. What is written past the log (`sql_log_bin = 0`, `binlog_ignore_db`) moves no position.
//! InnoDB numbers it all the same, once when it begins to write and once when it commits, so the count of these numbers has to stand still
//! as well. A replica that does not log what it applies writes all of it past the log, and is believed nothing.

use std::collections::BTreeMap;

use mysql_async::Row;

use super::connect::Session;
use super::introspect::text;

/// Begins a snapshot of which nothing has to be known.
const BEGIN: &str = "COMMIT AND NO CHAIN NO RELEASE; START TRANSACTION WITH CONSISTENT SNAPSHOT";

/// Where a snapshot stands. Sessions with equal ones see the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment(BTreeMap<String, String>);

/// What a server tells of where a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    At(Moment),
    /// Something was written at that very time. Another one may be told.
    Moved,
    /// It does not tell, or what it tells is not to be relied on.
    Nothing,
}

/// Begins a transaction with a snapshot, in one trip to the server.
pub(super) async fn begin(session: &mut Session) -> mysql_async::Result<()> {
    session.all_rows(BEGIN).await.map(drop)
}

/// As [`begin`], and tells where the snapshot stands.
pub(super) async fn begin_told(session: &mut Session) -> mysql_async::Result<Told> {
    let look = |when: &str| {
        format!(
            "SELECT '{when}', VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.SESSION_STATUS \
             WHERE VARIABLE_NAME IN ('BINLOG_SNAPSHOT_FILE', 'BINLOG_SNAPSHOT_POSITION', 'INNODB_MAX_TRX_ID', 'SLAVES_RUNNING', 'WSREP_READY')"
        )
    };
    let server = "SELECT 'server', VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES \
                  WHERE VARIABLE_NAME IN ('LOG_SLAVE_UPDATES', 'HOSTNAME', 'PORT', 'SERVER_ID')";
    let (before, begin, after) = (look("before"), "START TRANSACTION WITH CONSISTENT SNAPSHOT", look("after"));
    let rows = session.all_rows(&format!("COMMIT AND NO CHAIN NO RELEASE; {before}; {begin}; {after}; {server}")).await?;
    Ok(told(&rows.iter().filter_map(status).collect::<Vec<_>>()))
}

fn status(row: &Row) -> Option<[String; 3]> {
    Some([text(row, 0)?, text(row, 1)?.to_ascii_uppercase(), text(row, 2)?])
}

fn told(told: &[[String; 3]]) -> Told {
    let of = |when: &str| -> BTreeMap<String, String> {
        told.iter().filter(|row| row[0] == when).map(|[_, name, value]| (name.clone(), value.clone())).collect()
    };
    let (before, mut after, server) = (of("before"), of("after"), of("server"));
    let is =
        |map: &BTreeMap<String, String>, name: &str, values: &[&str]| map.get(name).is_some_and(|value| values.contains(&value.as_str()));
    let is_number = |name: &str| after.get(name).is_some_and(|value| value.parse::<u64>().is_ok());
    let is_logged = after.get("BINLOG_SNAPSHOT_FILE").is_some_and(|file| !file.is_empty()) && is_number("BINLOG_SNAPSHOT_POSITION");
    let is_source = is(&after, "SLAVES_RUNNING", &["0"]) && !is(&after, "WSREP_READY", &["ON"]);
    let logs_all = is_source || is(&server, "LOG_SLAVE_UPDATES", &["ON", "1"]);
    if !(is_logged && logs_all && is_number("INNODB_MAX_TRX_ID")) {
        return Told::Nothing;
    }
    if before != after {
        return Told::Moved;
    }
    after.extend(server);
    Told::At(Moment(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server with a binary log tells, after `changes` of a part and a name to a value; without one, it is not told.
    fn after(changes: &[(&str, &str, Option<&str>)]) -> Told {
        let status = |when| {
            [
                (when, "BINLOG_SNAPSHOT_FILE", "bin.000001"),
                (when, "BINLOG_SNAPSHOT_POSITION", "512"),
                (when, "INNODB_MAX_TRX_ID", "77"),
                (when, "SLAVES_RUNNING", "0"),
                (when, "WSREP_READY", "OFF"),
            ]
        };
        let server = [("server", "LOG_SLAVE_UPDATES", "OFF"), ("server", "HOSTNAME", "db"), ("server", "PORT", "3306")];
        let rows = status("before").into_iter().chain(status("after")).chain(server).filter_map(|(when, name, value)| {
            let change = changes.iter().find(|(part, changed, _)| (*part == when || *part == "status") && *changed == name);
            let value = change.map_or(Some(value), |(_, _, value)| *value)?;
            Some([when, name, value].map(str::to_owned))
        });
        told(&rows.collect::<Vec<_>>())
    }

    #[test]
    fn equal_moments_are_those_of_one_server_at_one_position() {
        let known = after(&[]);
        assert!(matches!(known, Told::At(_)));
        assert_eq!(known, after(&[]));
        for other in [
            ("status", "BINLOG_SNAPSHOT_POSITION", Some("513")),
            ("status", "BINLOG_SNAPSHOT_FILE", Some("bin.000002")),
            ("status", "INNODB_MAX_TRX_ID", Some("78")),
            ("server", "HOSTNAME", Some("other")),
            ("server", "PORT", Some("3307")),
        ] {
            let other = after(&[other]);
            assert!(matches!(other, Told::At(_)));
            assert_ne!(known, other);
        }
    }

    #[test]
    fn what_moves_or_is_not_told_or_not_logged_is_no_moment() {
        for change in [("after", "BINLOG_SNAPSHOT_POSITION", Some("513")), ("after", "INNODB_MAX_TRX_ID", Some("78"))] {
            assert_eq!(after(&[change]), Told::Moved, "{change:?}");
        }
        for change in [
            ("status", "BINLOG_SNAPSHOT_FILE", Some("")),
            ("status", "BINLOG_SNAPSHOT_FILE", None),
            ("status", "BINLOG_SNAPSHOT_POSITION", None),
            ("status", "INNODB_MAX_TRX_ID", None),
            ("status", "SLAVES_RUNNING", None),
            ("status", "SLAVES_RUNNING", Some("1")),
            ("status", "WSREP_READY", Some("ON")),
        ] {
            assert_eq!(after(&[change]), Told::Nothing, "{change:?}");
        }
        for replica in [("status", "SLAVES_RUNNING", Some("1")), ("status", "WSREP_READY", Some("ON"))] {
            let logging = after(&[replica, ("server", "LOG_SLAVE_UPDATES", Some("ON"))]);
            assert!(matches!(logging, Told::At(_)), "{replica:?}");
            assert_eq!(after(&[replica, ("server", "LOG_SLAVE_UPDATES", None)]), Told::Nothing, "{replica:?}");
        }
    }
}

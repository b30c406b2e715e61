//! `causeway query`: one statement on a running gateway.

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::client::{Answer, Client, ClientError};
use super::terminal::Terminal;
use super::{FAILED, OK, UNUSABLE, table};

/// The arguments of `causeway query`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The statement.
    sql: String,
    /// The environment.
    #[arg(long, short = 'd')]
    database: Option<String>,
    /// The gateway, as postgres://USER@HOST:PORT/DATABASE.
    #[arg(long, conflicts_with_all = ["host", "port", "user"])]
    url: Option<String>,
    /// The gateway's host.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port of its Postgres endpoint.
    #[arg(long, short = 'p', default_value_t = 7432)]
    port: u16,
    /// Who asks.
    #[arg(long, short = 'U', default_value = "causeway")]
    user: String,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Where to, and as whom.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    address: String,
    user: String,
    database: Option<String>,
}

pub(super) async fn run(arguments: Arguments, terminal: &Terminal) -> u8 {
    let target = match &arguments.url {
        Some(url) => match target(url) {
            Ok(target) => target,
            Err(fault) => {
                terminal.error(&format!("--url {fault}"), Some("such as postgres://causeway@127.0.0.1:7432/default"));
                return UNUSABLE;
            }
        },
        None => Target { address: with_port(&arguments.host, arguments.port), user: arguments.user.clone(), database: None },
    };
    let database = arguments.database.as_deref().or(target.database.as_deref()).unwrap_or("default");
    match answers(&target, database, &arguments.sql).await {
        Ok(answers) => {
            for answer in answers {
                answer.notices.iter().for_each(|notice| terminal.notice(notice));
                if arguments.json { terminal.line(as_json(&answer)) } else { show(&answer, terminal) }
            }
            OK
        }
        Err(error) => {
            terminal.error(&error.to_string(), error.hint());
            FAILED
        }
    }
}

async fn answers(target: &Target, database: &str, sql: &str) -> Result<Vec<Answer>, ClientError> {
    let mut client = Client::connect(&target.address, &target.user, database).await?;
    let answers = client.query(sql).await;
    client.close().await;
    answers
}

fn show(answer: &Answer, terminal: &Terminal) {
    if answer.columns.is_empty() {
        terminal.line(&answer.tag);
    } else {
        terminal.line(table::of(answer));
        let rows = answer.rows.len();
        terminal.line(format!("{rows} {}", if rows == 1 { "row" } else { "rows" }));
    }
}

/// An answer as `--json` shows it. Rows are lists, because two columns may have one name.
#[derive(Debug, Serialize)]
struct JsonAnswer<'a> {
    columns: Vec<&'a str>,
    rows: Vec<Vec<Value>>,
    command: &'a str,
}

/// Numbers and truth values as JSON has them, `json` as it is, the rest as text.
fn as_json(answer: &Answer) -> String {
    let value = |text: &str, type_id: u32| {
        let literal = match type_id {
            16 => return Value::Bool(text == "t"),
            20 | 21 | 23 | 26 | 700 | 701 | 114 | 3802 => serde_json::from_str(text).ok(),
            _ => None,
        };
        literal.unwrap_or_else(|| Value::from(text))
    };
    let rows: Vec<Vec<Value>> = answer
        .rows
        .iter()
        .map(|row| row.iter().zip(&answer.columns).map(|(v, c)| v.as_deref().map_or(Value::Null, |v| value(v, c.type_id))).collect())
        .collect();
    let columns = answer.columns.iter().map(|column| column.name.as_str()).collect();
    serde_json::to_string(&JsonAnswer { columns, rows, command: &answer.tag }).expect("texts and values are always JSON")
}

/// Reads `postgres://[user@]host[:port][/database]`. A password is not sent, so none is taken.
fn target(url: &str) -> Result<Target, &'static str> {
    let rest =
        ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or("does not begin with postgres://")?;
    if rest.contains(['?', '#', '%']) {
        return Err("has parameters or escapes, which are not read here");
    }
    let (authority, database) = rest.split_once('/').map_or((rest, None), |(authority, database)| (authority, Some(database)));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("causeway", authority));
    if user.contains(':') {
        return Err("holds a password, which would be seen by others; gateways ask for none in this version");
    }
    let host_end = host.rfind(']').map_or(0, |end| end + 1);
    let address = if host[host_end..].contains(':') { host.to_owned() } else { with_port(host.trim_matches(['[', ']']), 7432) };
    if host.is_empty() || user.is_empty() {
        return Err("names no host or no user");
    }
    Ok(Target { address, user: user.to_owned(), database: database.filter(|name| !name.is_empty()).map(str::to_owned) })
}

fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::super::client::Column;
    use super::*;

    #[test]
    fn urls() {
        let expected = |address: &str, user: &str, database: Option<&str>| {
            Ok(Target { address: address.to_owned(), user: user.to_owned(), database: database.map(str::to_owned) })
        };
        assert_eq!(target("postgres://ana@db:1/staging"), expected("db:1", "ana", Some("staging")));
        assert_eq!(target("postgresql://db"), expected("db:7432", "causeway", None));
        assert_eq!(target("postgres://[::1]:5/"), expected("[::1]:5", "causeway", None));
        assert_eq!(target("postgres://[::1]"), expected("[::1]:7432", "causeway", None));
        for (url, fault) in [("http://x", "does not begin"), ("postgres://a:b@c", "holds a password"), ("postgres://@h", "names no host")] {
            assert!(target(url).unwrap_err().starts_with(fault), "{url}");
        }
    }

    #[test]
    fn json_keeps_numbers_truth_and_null_apart_from_text() {
        let column = |name: &str, type_id| Column { name: name.to_owned(), type_id };
        let text = |text: &str| Some(text.to_owned());
        let answer = Answer {
            columns: vec![column("i", 20), column("f", 701), column("b", 16), column("n", 1700), column("j", 3802), column("t", 25)],
            rows: vec![
                vec![text("9007199254740993"), text("0.5"), text("t"), text("1.10"), text("{\"a\": 1}"), text("x")],
                vec![None, text("NaN"), text("f"), None, None, text("")],
            ],
            tag: "SELECT 2".to_owned(),
            notices: Vec::new(),
        };
        assert_eq!(
            as_json(&answer),
            r#"{"columns":["i","f","b","n","j","t"],"rows":[[9007199254740993,0.5,true,"1.10",{"a":1},"x"],[null,"NaN",false,null,null,""]],"command":"SELECT 2"}"#
        );
    }
}

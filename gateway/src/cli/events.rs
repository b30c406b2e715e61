//! `causeway events`: what happened at a running gateway, and what happens.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::arguments::Asking;
use super::http_client::{CallError, HttpClient};
use super::table::printable;
use super::terminal::Terminal;
use super::{OK, signal::Signals};
use source::EventSource;

mod source;

/// How many past events `tail` begins with unless told otherwise.
const PAST: i64 = 10;
/// Events asked for at once with `--once`.
const PAGE: usize = 1000;
/// The wait before the stream is taken up again after the first failure; it doubles with every further one.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest such wait.
const LAST_RETRY: Duration = Duration::from_secs(10);

/// What `causeway events` can be asked.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The last events, and then those that come, until it is told to stop.
    Tail(Tail),
}

/// Which events.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Begin after this event; without, ten events before the end.
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// Only events of these types.
    #[arg(long = "type", value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// Do not wait for more.
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(arguments: Asking<Command>, terminal: &Terminal) -> u8 {
    let Command::Tail(tail) = &arguments.command;
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            terminal.error(&format!("signals cannot be received: {error}"), None);
            return super::UNUSABLE;
        }
    };
    let show = |event: &Value| if arguments.connection.json { terminal.line(event) } else { terminal.line(line(event, terminal)) };
    let following = async {
        let gateway = arguments.connection.gateway()?;
        if tail.once { once(&gateway, tail, &show).await } else { follow(&gateway, tail, &show, terminal).await }
    };
    tokio::select! {
        ended = following => match ended {
            Ok(()) => OK,
            Err(error) => error.tell(terminal),
        },
        () = signals.stop() => OK,
    }
}

/// All that is there after a number, page by page.
async fn once(gateway: &HttpClient, tail: &Tail, show: &dyn Fn(&Value)) -> Result<(), CallError> {
    let mut after = tail.after.unwrap_or(-PAST);
    loop {
        let Value::Array(page) = gateway.get(&format!("{}&limit={PAGE}", path(after, &tail.types))).await? else {
            return Err(CallError::Protocol("the answer is not a list of events".to_owned()));
        };
        page.iter().for_each(show);
        match page.last().and_then(|event| event["sequence"].as_i64()) {
            // An answer ends early when its events are large.
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// Follows the log, and takes it up where it was left when the connection breaks.
async fn follow(gateway: &HttpClient, tail: &Tail, show: &dyn Fn(&Value), terminal: &Terminal) -> Result<(), CallError> {
    let mut source = EventSource::new(gateway.clone(), path(tail.after.unwrap_or(-PAST), &tail.types));
    let mut wait = FIRST_RETRY;
    let mut was_connected = false;
    loop {
        match source.next().await {
            Ok(event) => {
                terminal.progress_done();
                show(&event);
                (wait, was_connected) = (FIRST_RETRY, true);
            }
            // A gateway that was never there is told of; one that was there is waited for.
            Err(error) if !error.is_passing() || !(was_connected || source.was_connected()) => return Err(error),
            Err(error) => {
                terminal.progress(format!("{error}; trying again"));
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LAST_RETRY);
            }
        }
    }
}

fn path(after: i64, types: &[String]) -> String {
    // A type is made of letters and dots, and whatever is not is refused by the gateway; a `&` must not begin another parameter.
    let types: Vec<String> = types.iter().map(|word| super::http_client::segment(word)).collect();
    format!("/api/v1/events?after={after}&type={}", types.join(","))
}

/// An event in a line: number, time, type, what of it, and the differences where it tells of some.
fn line(event: &Value, terminal: &Terminal) -> String {
    let text = |key: &str| printable(event[key].as_str().unwrap_or_default());
    let time = text("time");
    // To the millisecond is enough for people.
    let time = time.get(..23).unwrap_or(&time);
    let kind = text("type");
    let kind = match kind.as_str() {
        "external.schema.drift" | "datasource.failed" => terminal.red(&kind),
        "external.schema.drift.resolved" | "datasource.recovered" => terminal.green(&kind),
        _ => kind,
    };
    let datasource = event["source"].as_str().and_then(|source| source.rsplit_once("/datasources/")).map(|(_, name)| printable(name));
    let subject = event["subject"].as_str().map(printable);
    let about: Vec<String> = datasource.into_iter().chain(subject).collect();
    let sequence = event["sequence"].to_string();
    let mut line = format!("{sequence:>6}  {}  {kind}  {}", terminal.dim(time), about.join("  "));
    // An older event has one reason for all.
    let resolved = |difference: &Value| {
        let reason = difference["resolution"].as_str().or(event["data"]["reason"].as_str());
        reason.map_or_else(|| "resolved".to_owned(), |reason| format!("resolved ({})", printable(reason)))
    };
    let is_resolved = event["type"] == "external.schema.drift.resolved";
    for difference in event["data"]["differences"].as_array().into_iter().flatten() {
        let part = |key: &str| difference[key].as_str().map(printable);
        let (expected, actual) =
            (part("expected").unwrap_or_else(|| "none".to_owned()), part("actual").unwrap_or_else(|| "none".to_owned()));
        let standing = if is_resolved { Some(resolved(difference)) } else { part("severity") };
        let words = [standing, part("kind"), part("column"), Some(format!("{expected} → {actual}")), aside(difference)];
        line.push_str(&format!("\n        {}", words.into_iter().flatten().collect::<Vec<_>>().join("  ")));
    }
    line
}

/// What else is to be said of a difference: that it was told before, or that it is not gone for all.
fn aside(difference: &Value) -> Option<String> {
    if difference["new"] == false {
        return Some("(told before)".to_owned());
    }
    let open_for = difference["open_for"].as_array().filter(|tables| !tables.is_empty())?;
    let name = |table: &Value, part: &str| printable(table[part].as_str().unwrap_or_default());
    let names: Vec<String> = open_for.iter().map(|table| format!("{}.{}", name(table, "schema"), name(table, "name"))).collect();
    Some(format!("(still open for {})", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_in_a_line() {
        let event = json!({
            "sequence": 41, "time": "2023-11-14T22:13:20.000001Z", "type": "external.schema.drift", "subject": "public.cust",
            "source": "/environments/default/datasources/crm",
            "data": { "differences": [{ "kind": "missing_column", "column": "email", "expected": "text", "actual": null, "severity": "error" }] },
        });
        assert_eq!(
            line(&event, &Terminal::plain()),
            "    41  2023-11-14T22:13:20.000  external.schema.drift  crm  public.cust\n        error  missing_column  email  text → none"
        );
    }

    #[test]
    fn what_is_resolved_does_not_look_new() {
        let event = |reason: Value| {
            json!({
                "sequence": 42, "time": "2023-11-14T22:13:20Z", "type": "external.schema.drift.resolved", "subject": "public.cust",
                "source": "/environments/default/datasources/crm",
                "data": {
                    "reason": reason,
                    "differences": [{ "kind": "missing_column", "column": "email", "expected": "text", "actual": null, "severity": "error" }],
                },
            })
        };
        for (reason, expected) in [
            (json!("accepted"), "        resolved (accepted)  missing_column  email  text → none"),
            (json!("reverted"), "        resolved (reverted)  missing_column  email  text → none"),
            (json!(null), "        resolved  missing_column  email  text → none"),
        ] {
            assert_eq!(line(&event(reason), &Terminal::plain()).lines().nth(1), Some(expected));
        }
    }

    #[test]
    fn what_is_resolved_for_several_reasons_says_each() {
        let difference = |kind: &str, resolution: &str| json!({ "kind": kind, "column": "email", "resolution": resolution });
        let differences = [difference("missing_column", "superseded"), difference("nullability_mismatch", "reverted")];
        let event = json!({
            "sequence": 44, "time": "2023-11-14T22:13:20Z", "type": "external.schema.drift.resolved", "subject": "public.cust",
            "data": { "reason": null, "differences": differences },
        });
        let line = line(&event, &Terminal::plain());
        let told: Vec<&str> = line.lines().skip(1).map(|line| line.split("  missing").next().unwrap_or_default().trim()).collect();
        assert_eq!(told, ["resolved (superseded)", "resolved (reverted)  nullability_mismatch  email  none → none"]);
    }

    #[test]
    fn what_is_not_new_or_not_all_gone_says_so() {
        let event = |kind: &str, difference: Value| {
            let event = json!({
                "sequence": 43, "time": "2023-11-14T22:13:20Z", "type": kind, "subject": "public.cust",
                "data": { "reason": "accepted", "differences": [difference] },
            });
            line(&event, &Terminal::plain()).lines().nth(1).map(str::to_owned)
        };
        let known = json!({ "kind": "new_table", "actual": "public.cust", "severity": "warning", "new": false });
        assert_eq!(event("external.schema.drift", known).as_deref(), Some("        warning  new_table  none → public.cust  (told before)"));
        let narrowed = json!({ "kind": "missing_column", "column": "email", "open_for": [{ "schema": "sales", "name": "cust" }] });
        assert_eq!(
            event("external.schema.drift.resolved", narrowed).as_deref(),
            Some("        resolved (accepted)  missing_column  email  none → none  (still open for sales.cust)")
        );
    }

    #[test]
    fn a_type_stays_one_parameter() {
        assert_eq!(path(-10, &["a.b".to_owned(), "c&after=0".to_owned()]), "/api/v1/events?after=-10&type=a.b,c%26after%3D0");
    }
}

//! `causeway datasource`: the datasources of a running gateway.

mod show;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::arguments::{Asking, Named};
use super::http_client::{CallError, segment, shaped};
use super::terminal::Terminal;
use super::{FAILED, OK};
use crate::http::shape::{Drift, SchemaImport, Validation};

/// What `causeway datasource` can be asked.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// All datasources and how they are.
    List,
    /// One datasource: how it is, what does not match, what is left out.
    Show(Named),
    /// The remote tables it publishes.
    Tables(Named),
    /// Reads its tables anew and publishes them.
    Refresh(Named),
    /// Compares its tables with what is expected of them, and shows what differs. Nothing that is published changes. Exit code 0, or 1
    /// when a difference breaks something.
    Drift(Named),
    /// Publishes remote tables in a schema, under the contract of what they are now.
    Import(Import),
    /// A remote table as YAML for `tables:` in the datasource's file.
    Draft {
        #[command(flatten)]
        datasource: Named,
        /// The remote table, as `table` or `schema.table`.
        table: String,
    },
}

/// What to import, and as what.
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(flatten)]
    datasource: Named,
    /// The schema to publish the tables in; it is made when it is not there.
    #[arg(long, value_name = "SCHEMA")]
    into: String,
    /// The remote schema; the source's default schema without.
    #[arg(long, value_name = "SCHEMA")]
    remote_schema: Option<String>,
    /// Only these tables.
    #[arg(long, value_name = "TABLES", value_delimiter = ',', conflicts_with = "except")]
    limit_to: Vec<String>,
    /// All tables but these.
    #[arg(long, value_name = "TABLES", value_delimiter = ',')]
    except: Vec<String>,
    /// Publishes a remote table under another name, such as `cust=customers`.
    #[arg(long, value_name = "REMOTE=NAME", value_delimiter = ',', value_parser = parse_rename)]
    rename: Vec<(String, String)>,
    /// Lets the tables be written, given the datasource allows it.
    #[arg(long)]
    writable: bool,
    /// Only says what would be done.
    #[arg(long)]
    dry_run: bool,
}

fn parse_rename(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((remote, name)) if !remote.is_empty() && !name.is_empty() => Ok((remote.to_owned(), name.to_owned())),
        _ => Err("is not such as cust=customers".to_owned()),
    }
}

pub(super) async fn run(arguments: Asking<Command>, terminal: &Terminal) -> u8 {
    match answer(&arguments, terminal).await {
        Ok(code) => code,
        Err(error) => error.tell(terminal),
    }
}

/// Asks, shows the answer, and gives the exit code.
async fn answer(arguments: &Asking<Command>, terminal: &Terminal) -> Result<u8, CallError> {
    const ALL: &str = "/api/v1/datasources";
    let gateway = arguments.connection.gateway()?;
    let is_json = arguments.connection.json;
    let working = |what: String| {
        terminal.progress(what);
        Working(terminal)
    };
    let shown = |answer: Value, show: &dyn Fn(Value) -> Result<(), CallError>| {
        if is_json {
            terminal.line(answer);
            Ok(())
        } else {
            show(answer)
        }
    };
    match &arguments.command {
        Command::List => shown(gateway.get(ALL).await?, &|answer| show::list(answer, terminal))?,
        Command::Show(Named { name }) => {
            shown(gateway.get(&format!("{ALL}/{}", segment(name))).await?, &|answer| show::one(answer, terminal))?;
        }
        Command::Tables(Named { name }) => {
            shown(gateway.get(&format!("{ALL}/{}/external/tables", segment(name))).await?, &|answer| show::tables(answer, terminal))?;
        }
        Command::Refresh(Named { name }) => {
            let working = working(format!("reading the tables of {name}"));
            let answer = gateway.post(&format!("{ALL}/{}/external/refresh-catalog", segment(name)), NOTHING).await?;
            drop(working);
            shown(answer, &|answer| show::refreshed(name, answer, terminal))?;
        }
        Command::Drift(Named { name }) => {
            let working = working(format!("comparing the tables of {name}"));
            let answer = gateway.post(&format!("{ALL}/{}/external/validate", segment(name)), NOTHING).await;
            drop(working);
            let answer = match answer {
                Err(refused) if refused.is_mismatch() => {
                    // It does not run for what its tables are: that is what was asked for.
                    let known = gateway.get(&format!("/api/v1/drift?datasource={}&state=open", segment(name))).await?;
                    let differences: Vec<Drift> = shaped(known.clone())?;
                    shown(known, &|_| {
                        show::known_drift(name, &differences, terminal);
                        Ok(())
                    })?;
                    return Ok(refused.tell(terminal));
                }
                answer => answer?,
            };
            let found: Validation = shaped(answer.clone())?;
            shown(answer, &|_| {
                show::drift(name, &found, terminal);
                Ok(())
            })?;
            let is_broken = found.differences.iter().any(|drift| drift.difference.severity == "error");
            return Ok(if is_broken { FAILED } else { OK });
        }
        Command::Import(import) => {
            let name = &import.datasource.name;
            let working = working(format!("importing from {name}"));
            let answer = gateway.post(&format!("{ALL}/{}/external/import", segment(name)), Some(&request(import))).await?;
            drop(working);
            shown(answer, &|answer| show::imported(answer, terminal))?;
        }
        Command::Draft { datasource: Named { name }, table } => {
            let text = gateway.post_for_text(&format!("{ALL}/{}/external/tables/{}/draft", segment(name), segment(table))).await?;
            terminal.line(if is_json { json!({ "yaml": text }).to_string() } else { text.trim_end().to_owned() });
        }
    }
    Ok(OK)
}

/// The body of a request that has none.
const NOTHING: Option<&()> = None;

/// Takes the progress line away when the work is done, however it ended.
struct Working<'a>(&'a Terminal);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.progress_done();
    }
}

fn request(import: &Import) -> SchemaImport {
    SchemaImport {
        into: import.into.clone(),
        remote_schema: import.remote_schema.clone(),
        limit_to: Some(import.limit_to.clone()).filter(|names| !names.is_empty()),
        except: import.except.clone(),
        rename: import.rename.iter().cloned().collect::<BTreeMap<_, _>>(),
        writable: import.writable,
        dry_run: import.dry_run,
    }
}

//! `causeway datasource`: the datasources of a running gateway.

mod show;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::OK;
use super::http_client::{CallError, Connection, HttpClient, segment};
use super::terminal::Terminal;
use crate::http::shape::SchemaImport;

/// The arguments of `causeway datasource`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All datasources and how they are.
    List,
    /// One datasource: how it is, what does not match, what is left out.
    Show(Named),
    /// The remote tables it publishes.
    Tables(Named),
    /// Reads its tables anew and publishes them.
    Refresh(Named),
    /// Compares its tables with what is expected of them, and shows what differs. Nothing that is published changes.
    Drift(Named),
    /// Publishes remote tables in a schema, under the contract of what they are now.
    Import(Import),
    /// A remote table as YAML for `tables:` in the datasource's file.
    Draft {
        /// The datasource.
        name: String,
        /// The remote table, as `table` or `schema.table`.
        table: String,
    },
}

/// A datasource.
#[derive(Debug, Args)]
struct Named {
    /// The datasource.
    name: String,
}

/// What to import, and as what.
#[derive(Debug, Args)]
struct Import {
    /// The datasource.
    name: String,
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

pub(super) async fn run(arguments: Arguments, terminal: &Terminal) -> u8 {
    match answer(&arguments, terminal).await {
        Ok(()) => OK,
        Err(error) => error.tell(terminal),
    }
}

async fn answer(arguments: &Arguments, terminal: &Terminal) -> Result<(), CallError> {
    let gateway = arguments.connection.gateway()?;
    if let Command::Draft { name, table } = &arguments.command {
        return draft(&gateway, name, table, arguments.connection.json, terminal).await;
    }
    let answer = ask(&gateway, &arguments.command, terminal).await?;
    match &arguments.command {
        _ if arguments.connection.json => {
            terminal.line(answer);
            Ok(())
        }
        Command::List => show::list(answer, terminal),
        Command::Show(_) => show::one(answer, terminal),
        Command::Tables(_) => show::tables(answer, terminal),
        Command::Refresh(Named { name }) => show::refreshed(name, answer, terminal),
        Command::Drift(Named { name }) => show::drift(name, answer, terminal),
        Command::Import(_) => show::imported(answer, terminal),
        Command::Draft { .. } => Ok(()),
    }
}

async fn ask(gateway: &HttpClient, command: &Command, terminal: &Terminal) -> Result<Value, CallError> {
    const ALL: &str = "/api/v1/datasources";
    let nothing: Option<&SchemaImport> = None;
    let working = |what: String| {
        terminal.progress(what);
        Working(terminal)
    };
    match command {
        Command::List => gateway.get(ALL).await,
        Command::Show(Named { name }) | Command::Draft { name, .. } => gateway.get(&format!("{ALL}/{}", segment(name))).await,
        Command::Tables(Named { name }) => gateway.get(&format!("{ALL}/{}/external/tables", segment(name))).await,
        Command::Refresh(Named { name }) => {
            let _working = working(format!("reading the tables of {name}"));
            gateway.post(&format!("{ALL}/{}/external/refresh-catalog", segment(name)), nothing).await
        }
        Command::Drift(Named { name }) => {
            let _working = working(format!("comparing the tables of {name}"));
            gateway.post(&format!("{ALL}/{}/external/validate", segment(name)), nothing).await
        }
        Command::Import(import) => {
            let _working = working(format!("importing from {}", import.name));
            gateway.post(&format!("{ALL}/{}/external/import", segment(&import.name)), Some(&request(import))).await
        }
    }
}

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
        limit_to: import.limit_to.clone(),
        except: import.except.clone(),
        rename: import.rename.iter().cloned().collect::<BTreeMap<_, _>>(),
        writable: import.writable,
        dry_run: import.dry_run,
    }
}

async fn draft(gateway: &HttpClient, name: &str, table: &str, json: bool, terminal: &Terminal) -> Result<(), CallError> {
    let path = format!("/api/v1/datasources/{}/external/tables/{}/draft", segment(name), segment(table));
    let text = gateway.post_for_text(&path).await?;
    if json {
        terminal.line(serde_json::json!({ "yaml": text }));
    } else {
        terminal.line(text.trim_end());
    }
    Ok(())
}

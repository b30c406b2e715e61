//! `causeway migrate`: the form of the control store, of a gateway that does not run.

use std::path::PathBuf;

use causeway_catalog::{AppliedMigration, ControlStore, MigrationDirection};
use causeway_providers::{ConnectorRegistry, Error, ErrorKind};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::terminal::Terminal;
use super::{FAILED, OK, UNUSABLE, table};
use crate::config::Config;

/// The arguments of `causeway migrate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which way.
    direction: Direction,
    /// The configuration file of the gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where the gateway keeps files of its own, when that is not what the configuration says.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

/// What to do to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// To the newest form.
    Up,
    /// One form back; what only the newer form holds is lost.
    Down,
    /// Only shows in which form it is.
    Status,
}

pub(super) async fn run(arguments: Arguments, terminal: &Terminal) -> u8 {
    let loaded = Config::load(&arguments.config, &ConnectorRegistry::built_in(), &|name| std::env::var(name).ok());
    let config = match loaded {
        Ok(config) => config,
        Err(faults) => {
            terminal.error(&format!("the configuration is not valid\n{faults}"), None);
            return UNUSABLE;
        }
    };
    let folder = arguments.data_dir.unwrap_or(config.settings.data_dir);
    match migrate(&folder, arguments.direction).await {
        Ok(forms) if arguments.json => {
            let shown = |form: &AppliedMigration| json!({ "version": form.version, "name": form.description, "applied": form.is_applied });
            terminal.line(json!(forms.iter().map(shown).collect::<Vec<_>>()));
            OK
        }
        Ok(forms) => {
            let mut shown = table::headed(["form", "name", "applied"]);
            for form in forms {
                shown.add_row([
                    form.version.to_string(),
                    form.description.to_owned(),
                    if form.is_applied { "yes" } else { "no" }.to_owned(),
                ]);
            }
            terminal.line(shown);
            OK
        }
        Err(error) => {
            terminal.error(error.message(), error.hint_text());
            FAILED
        }
    }
}

async fn migrate(folder: &std::path::Path, direction: Direction) -> Result<Vec<AppliedMigration>, Error> {
    if direction != Direction::Up && !ControlStore::is_in(folder) {
        return Err(Error::new(ErrorKind::NotFound, format!("there is no control store in {}", folder.display()))
            .hint("`causeway migrate up` makes one, and so does the gateway when it starts; see `data_dir` and --data-dir"));
    }
    let direction = match direction {
        Direction::Up => MigrationDirection::Up,
        Direction::Down => MigrationDirection::Down,
        Direction::Status => return ControlStore::migrations_in(folder).await,
    };
    let store = ControlStore::open_unmigrated(folder).await?;
    store.migrate(direction).await?;
    let forms = store.migrations().await?;
    store.close().await;
    Ok(forms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn up_down_and_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let applied = async |direction| {
            let forms = migrate(folder.path(), direction).await.unwrap();
            forms.iter().filter(|form| form.is_applied).count()
        };
        let newest = applied(Direction::Up).await;
        assert!(newest > 0);
        assert_eq!(applied(Direction::Down).await, newest - 1);
        assert_eq!(applied(Direction::Status).await, newest - 1);
        assert_eq!(applied(Direction::Up).await, newest);
    }

    #[tokio::test]
    async fn where_there_is_no_store_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("data");
        for (direction, folder) in [(Direction::Status, folder.path()), (Direction::Down, folder.path()), (Direction::Status, &missing)] {
            let error = migrate(folder, direction).await.unwrap_err();
            assert_eq!(error.message(), format!("there is no control store in {}", folder.display()));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// Every file of a folder with its content.
    fn content(folder: &std::path::Path) -> std::collections::BTreeMap<std::ffi::OsString, Vec<u8>> {
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
        files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
    }

    #[tokio::test]
    async fn to_ask_for_the_form_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // As a gateway leaves it that is stopped before its first form is there.
        std::fs::write(folder.path().join("causeway.db"), "").unwrap();
        let before = content(folder.path());
        let forms = migrate(folder.path(), Direction::Status).await.unwrap();
        assert!(!forms.is_empty() && forms.iter().all(|form| !form.is_applied), "{forms:?}");
        assert_eq!(content(folder.path()), before);

        migrate(folder.path(), Direction::Up).await.unwrap();
        let before = content(folder.path());
        assert!(migrate(folder.path(), Direction::Status).await.unwrap().iter().all(|form| form.is_applied));
        assert_eq!(content(folder.path()), before);
    }

    #[tokio::test]
    async fn a_store_that_is_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let _open = ControlStore::open(folder.path()).await.unwrap();
        for direction in [Direction::Down, Direction::Status] {
            let error = migrate(folder.path(), direction).await.unwrap_err();
            assert!(error.message().contains("another gateway uses"), "{}", error.message());
        }
    }
}

//! Sources with the random tables of several rounds, a gateway over them, and the reference that holds all tables.

use std::fmt::Write as _;
use std::path::Path;

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresDatabase, PostgresServer, write_sqlite};
use tempfile::TempDir;
use tokio_postgres::Client;

use super::dice::Dice;
use super::files;
use super::tables::{LOOSE_COLLATION, Place, Table, tables};

/// Tables, and the statements over them.
pub(super) struct Round {
    /// What the tables and the statements are made from.
    pub(super) seed: u64,
    pub(super) tables: Vec<Table>,
    /// How many statements to run.
    pub(super) statements: usize,
}

pub(super) struct World {
    pub(super) gateway: Gateway,
    pub(super) reference: PostgresDatabase,
    _files: TempDir,
}

/// How a statement is run by the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Sources compute what they may.
    On,
    /// Sources are told nothing of what joins need.
    Static,
    /// Sources give bare tables.
    Off,
}

impl Round {
    pub(super) fn new(seed: u64, statements: usize) -> Self {
        Self { seed, tables: tables(&mut Dice::new(seed), seed), statements }
    }

    /// The dice for one of its statements.
    pub(super) fn dice(&self, statement: usize) -> Dice {
        Dice::part(self.seed, statement)
    }
}

impl World {
    /// Makes the tables of these rounds and starts the gateway. `None` when a server is not installed: the test is skipped.
    pub(super) fn start(name: &str, rounds: &[Round]) -> Option<Self> {
        let (postgres, mariadb) = (PostgresServer::shared()?, MariaDbServer::shared()?);
        let files = tempfile::Builder::new().prefix("causeway-fuzz-").tempdir().expect("a temporary folder can be made");
        let tables: Vec<&Table> = rounds.iter().flat_map(|round| &round.tables).collect();
        let script = |place: Place, before: &str| {
            let here = tables.iter().filter(|table| table.places.contains(&place));
            here.fold(before.to_owned(), |mut script, table| {
                let _ = write!(script, "{}", table.script(place));
                script
            })
        };
        let source = postgres.database(&format!("{name}_source"));
        source.script(&script(Place::Postgres, LOOSE_COLLATION));
        let shop = mariadb.database(name);
        shop.script(&script(
            Place::MariaDb,
            "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES';\n",
        ));
        let file = files.path().join("s.db");
        write_sqlite(&file, &format!("BEGIN;\n{}COMMIT;\n", script(Place::Sqlite, "")));
        let folder = files.path().join("files");
        std::fs::create_dir(&folder).expect("a folder can be made in an own one");
        rounds.iter().for_each(|round| files::write(&folder, &round.tables));

        let reference = postgres.database(&format!("{name}_reference"));
        let tables: String = tables.iter().map(|table| table.reference_script()).collect();
        reference.script(&format!("CREATE SCHEMA p; CREATE SCHEMA m; CREATE SCHEMA s; CREATE SCHEMA f;\n{tables}ANALYZE;"));
        let gateway = Gateway::start([source.datasource("p"), shop.datasource("m"), sqlite(&file), Datasource::files("f", &folder)]);
        Some(Self { gateway, reference, _files: files })
    }

    /// What the gateway's log says of the error whose id ends this message.
    pub(super) fn logged(&self, message: &str) -> String {
        let id = message.split(' ').next_back().filter(|_| message.contains("internal error"));
        let log = self.gateway.log();
        let lines = log.lines().filter(|line| id.is_some_and(|id| line.contains(id)));
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    /// A client of the reference.
    pub(super) async fn ask_reference(&self) -> Client {
        let client = self.reference.connect().await;
        let settings = "SET timezone = 'UTC'; SET statement_timeout = '20s'; SET bytea_output = 'hex'";
        client.batch_execute(settings).await.expect("the reference knows these settings");
        client
    }

    /// A client of the gateway.
    pub(super) async fn ask_gateway(&self, way: Way) -> Client {
        let client = self.gateway.connect().await;
        let settings: &[&str] = match way {
            Way::On => &[],
            Way::Static => &["SET causeway.dynamic_filters = off"],
            Way::Off => &["SET causeway.push_down = off"],
        };
        for setting in ["SET statement_timeout = '20s'"].iter().chain(settings) {
            client.batch_execute(setting).await.expect("the gateway knows this setting");
        }
        client
    }
}

fn sqlite(file: &Path) -> Datasource {
    Datasource::sqlite("s", file)
}

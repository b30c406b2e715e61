//! The dialects of the sources we know, one file each.

mod mysql;
mod postgres;
mod sqlite;

pub use mysql::MySqlDialect;
pub use postgres::PostgresDialect;
pub use sqlite::SqliteDialect;

//! A mark of the catalog, so that a look at a database that has not changed reads hardly anything of it.
//!
//! Every change of a table is a change of rows in the system's own tables, and every such change leaves rows that another transaction
//! wrote. So the mark is made of how many rows there are and which transactions wrote them. That takes one pass over each of these tables
//! without joins, names or privileges: a small part of what a look takes. What is written in place, without a transaction of its own, is
//! what the server keeps for its planner alone.

use tokio_postgres::{Client, Error as DriverError};

use super::failure;
use super::shape::written;
use crate::remote::CatalogMark;

/// The rows of one system table: how many, and who wrote them.
macro_rules! rows_of {
    ($table:literal) => {
        concat!("(SELECT pg_catalog.concat(pg_catalog.count(*), ':', ", written!("xmin"), ") FROM pg_catalog.", $table, ")")
    };
}

/// All that a look reads but sizes, estimates and comments: the tables, what they are made of, and what our user may read. Two servers
/// that were set up alike have written their tables alike, so since when it runs tells one from the other. Who is a member of
/// which role is in a table; what roles are is only seen through a view, which has no transactions.
const MARK: &str = concat!(
    "SELECT pg_catalog.concat_ws(' ', pg_catalog.pg_postmaster_start_time(), current_user, ",
    rows_of!("pg_class"),
    ", ",
    rows_of!("pg_attribute"),
    ", ",
    rows_of!("pg_index"),
    ", ",
    rows_of!("pg_namespace"),
    ", ",
    rows_of!("pg_type"),
    ", ",
    rows_of!("pg_collation"),
    ", ",
    rows_of!("pg_inherits"),
    ", ",
    rows_of!("pg_auth_members"),
    ", ",
    rows_of!("pg_database"),
    ", (SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(',', r.oid, r.rolname, r.rolsuper, r.rolinherit), ' ' \
                                                    ORDER BY r.oid)) FROM pg_catalog.pg_roles r))"
);

/// Reads the mark, in one statement; `None` from a server that does not know what it is made of.
pub(super) async fn read(client: &Client) -> Result<Option<CatalogMark>, DriverError> {
    match client.query_typed(MARK, &[]).await {
        Ok(rows) => {
            let mark = rows.first().map(|row| row.try_get::<_, Option<String>>(0)).transpose()?.flatten();
            Ok(mark.map(CatalogMark::new))
        }
        Err(error) if failure::is_unknown_there(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

//! Whether texts still compare at the server as a statement was made for.

use datafusion::scalar::ScalarValue;

use super::connect::Session;
use super::decode::changed;
use super::dialect::MySqlDialect;
use super::introspect::text;
use super::row_reader::Interruption;
use crate::error::{Error, ErrorKind};
use crate::remote::{Comparison, RemoteColumn, RemoteTable};
use crate::sql::{Dialect, Reliance};

/// Looks at the collations that `reliance` needs to be as they were. Under any of them equal texts are equal, so those of columns that
/// are only asked for such are not among them, and for nearly all statements there is nothing to look at.
///
/// # Errors
/// `SchemaMismatch` with the code [`TYPE_CHANGED`](crate::TYPE_CHANGED), naming the first column of another collation; those of the server.
pub(super) async fn check(session: &mut Session, dialect: MySqlDialect, reliance: &Reliance) -> Result<(), Interruption> {
    let collated: Vec<(&RemoteTable, &RemoteColumn)> = reliance
        .iter()
        .flat_map(|(table, columns)| columns.map(move |column| (table, column)))
        .filter(|(_, column)| column.collation.is_some() && is_decided_by_collation(column.comparison))
        .collect();
    if collated.is_empty() {
        return Ok(());
    }
    let literal = |text: &str| {
        let unwritable = || Error::new(ErrorKind::Internal, format!("the name {text:?} cannot be written as a literal"));
        dialect.literal(&ScalarValue::Utf8(Some(text.to_owned()))).ok_or_else(unwritable)
    };
    let mut looks = Vec::with_capacity(collated.len());
    for (place, (table, column)) in collated.iter().enumerate() {
        // Each by itself: the server opens the one table whose name a condition gives, and all tables for several.
        looks.push(format!(
            "SELECT '{place}', CONVERT(COLUMN_TYPE USING utf8mb4), CONVERT(COLLATION_NAME USING utf8mb4) FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND COLUMN_NAME = {}",
            literal(&table.schema).map_err(Interruption::Here)?,
            literal(&table.name).map_err(Interruption::Here)?,
            literal(&column.name).map_err(Interruption::Here)?,
        ));
    }
    for row in session.rows(&looks.join(" UNION ALL ")).await? {
        let place = text(&row, 0).and_then(|place| place.parse::<usize>().ok());
        let Some((table, column)) = place.and_then(|place| collated.get(place)) else { continue };
        let (now_type, now) = (text(&row, 1).unwrap_or_default(), text(&row, 2));
        if now != column.collation {
            let now = now.unwrap_or_else(|| "no collation".to_owned());
            let text = format!("column \"{}\" of {} is {now_type} COLLATE {now} at the source now", column.name, table.subject());
            return Err(Interruption::Here(changed(text)));
        }
    }
    Ok(())
}

/// Whether the answer of a comparison that is sent there depends on which collation it is.
fn is_decided_by_collation(comparison: Comparison) -> bool {
    match comparison {
        Comparison::Total | Comparison::Equality | Comparison::Float => true,
        Comparison::OwnType | Comparison::SupersetEquality | Comparison::None => false,
    }
}

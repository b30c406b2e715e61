//! Whether texts still compare at the server as a statement was made for.

use datafusion::scalar::ScalarValue;

use super::connect::Session;
use super::introspect::text;
use super::scan::Interruption;
use crate::error::{Error, ErrorKind};
use crate::remote::Comparison;
use crate::sql::{CollatedColumn, Dialect, MySqlDialect, Reliance};

/// Looks at the collations that `reliance` needs to be as they were. Under any of them equal texts are equal, so those of columns that
/// are only asked for such are not among them, and for nearly all statements there is nothing to look at.
///
/// # Errors
/// `SchemaMismatch` with the code [`TYPE_CHANGED`](crate::TYPE_CHANGED), naming the first column of another collation; those of the server.
pub(super) async fn check(session: &mut Session, dialect: MySqlDialect, reliance: &Reliance) -> Result<(), Interruption> {
    let collated: Vec<CollatedColumn<'_>> = reliance.collated().filter(|of| is_decided_by_collation(of.column.comparison)).collect();
    if collated.is_empty() {
        return Ok(());
    }
    let literal = |text: &str| {
        let unwritable = || Error::new(ErrorKind::Internal, format!("the name {text:?} cannot be written as a literal"));
        dialect.literal(&ScalarValue::Utf8(Some(text.to_owned()))).ok_or_else(unwritable)
    };
    let mut looks = Vec::with_capacity(collated.len());
    for (place, of) in collated.iter().enumerate() {
        // Each by itself: the server opens the one table whose name a condition gives, and all tables for several.
        looks.push(format!(
            "SELECT '{place}', CONVERT(COLUMN_TYPE USING utf8mb4), CONVERT(COLLATION_NAME USING utf8mb4) FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND COLUMN_NAME = {}",
            literal(&of.table.schema).map_err(Interruption::Here)?,
            literal(&of.table.name).map_err(Interruption::Here)?,
            literal(&of.column.name).map_err(Interruption::Here)?,
        ));
    }
    for row in session.rows(&looks.join(" UNION ALL ")).await? {
        let place = text(&row, 0).and_then(|place| place.parse::<usize>().ok());
        let Some(of) = place.and_then(|place| collated.get(place)) else { continue };
        let (now_type, now) = (text(&row, 1).unwrap_or_default(), text(&row, 2).unwrap_or_else(|| "no collation".to_owned()));
        if now != of.collation {
            return Err(Interruption::Here(of.changed(&now_type, &now)));
        }
    }
    Ok(())
}

/// Whether the answer of a comparison that is sent there depends on which collation it is.
fn is_decided_by_collation(comparison: Comparison) -> bool {
    match comparison {
        Comparison::Total | Comparison::Equality | Comparison::Float => true,
        Comparison::SupersetEquality | Comparison::None => false,
    }
}

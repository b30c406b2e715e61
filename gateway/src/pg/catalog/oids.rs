//! Object ids: the same name gets the same number for ever, as far as they are kept.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Mutex, PoisonError};

use causeway_catalog::StoredOid;

/// The first oid PostgreSQL gives to objects of users.
pub(super) const FIRST_USER_OID: u32 = 16_384;

/// Oids stay below this so that clients which read them into a signed integer are right.
const OID_LIMIT: u32 = 1 << 31;

/// What an oid names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ObjectKind {
    Database,
    Schema,
    Relation,
    Constraint,
    Role,
    Server,
    Wrapper,
}

impl ObjectKind {
    const ALL: [ObjectKind; 7] = [Self::Database, Self::Schema, Self::Relation, Self::Constraint, Self::Role, Self::Server, Self::Wrapper];

    /// The word the store keeps.
    fn as_str(self) -> &'static str {
        match self {
            ObjectKind::Database => "database",
            ObjectKind::Schema => "schema",
            ObjectKind::Relation => "relation",
            ObjectKind::Constraint => "constraint",
            ObjectKind::Role => "role",
            ObjectKind::Server => "server",
            ObjectKind::Wrapper => "wrapper",
        }
    }
}

/// Gives out oids by name, one registry for the whole process.
///
/// A number is the hash of kind, schema and name, moved on while another object has it. The order of requests therefore matters only
/// between the few names whose hashes meet.
#[derive(Debug, Default)]
pub(crate) struct OidRegistry {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<(ObjectKind, Box<str>, Box<str>), u32>,
    taken: HashSet<u32>,
    /// Given out since somebody last took them to be kept.
    new: Vec<StoredOid>,
}

impl OidRegistry {
    /// A registry that goes on from what was given out before.
    pub(crate) fn with(stored: Vec<StoredOid>) -> Self {
        let mut known = Known::default();
        for StoredOid { kind, schema, name, oid } in stored {
            // A kind that only a newer version knows still has its number.
            known.taken.insert(oid);
            if let Some(kind) = ObjectKind::ALL.into_iter().find(|known| known.as_str() == kind) {
                known.by_name.insert((kind, schema.into(), name.into()), oid);
            }
        }
        Self { known: Mutex::new(known) }
    }

    /// The numbers given out since this was last asked, for whoever keeps them.
    pub(crate) fn take_new(&self) -> Vec<StoredOid> {
        mem::take(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner).new)
    }

    /// The oid of an object.
    pub(super) fn oid(&self, kind: ObjectKind, schema: &str, name: &str) -> u32 {
        // The lock guards two maps that every panic-free path leaves in step, so a poisoned one is still whole.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { by_name, taken, new } = &mut *known;
        match by_name.entry((kind, schema.into(), name.into())) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let mut oid = within_range(hash(kind, schema, name));
                while !taken.insert(oid) {
                    oid = if oid + 1 == OID_LIMIT { FIRST_USER_OID } else { oid + 1 };
                }
                new.push(StoredOid { kind: kind.as_str().to_owned(), schema: schema.to_owned(), name: name.to_owned(), oid });
                *entry.insert(oid)
            }
        }
    }
}

fn within_range(number: u64) -> u32 {
    let span = u64::from(OID_LIMIT - FIRST_USER_OID);
    FIRST_USER_OID + u32::try_from(number % span).expect("a remainder of a 32 bit span fits 32 bits")
}

/// FNV-1a, which unlike the standard library's hashers promises the same result in every release.
fn hash(kind: ObjectKind, schema: &str, name: &str) -> u64 {
    let bytes = [kind as u8].into_iter().chain(schema.bytes()).chain([0]).chain(name.bytes());
    let mixed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_has_the_same_oid_in_any_order() {
        let (one, other) = (OidRegistry::default(), OidRegistry::default());
        let names: Vec<String> = (0..5_000).map(|i| format!("table_{i}")).collect();
        let forward: Vec<u32> = names.iter().map(|n| one.oid(ObjectKind::Relation, "crm", n)).collect();
        let backward: Vec<u32> = names.iter().rev().map(|n| other.oid(ObjectKind::Relation, "crm", n)).rev().collect();
        assert_eq!(forward, backward);
        assert_eq!(one.oid(ObjectKind::Relation, "crm", "table_17"), forward[17]);
        assert!(forward.iter().all(|oid| (FIRST_USER_OID..OID_LIMIT).contains(oid)));
    }

    #[test]
    fn different_objects_never_share_an_oid() {
        let oids = OidRegistry::default();
        let mut seen = std::collections::HashSet::new();
        for i in 0..50_000 {
            assert!(seen.insert(oids.oid(ObjectKind::Relation, "crm", &i.to_string())));
            assert!(seen.insert(oids.oid(ObjectKind::Constraint, "crm", &i.to_string())));
        }
    }

    #[test]
    fn what_was_kept_is_given_again_and_is_not_new() {
        let before = OidRegistry::default();
        let oid = before.oid(ObjectKind::Relation, "crm", "cust");
        let mut kept = before.take_new();
        assert_eq!(kept.len(), 1);
        assert!(before.take_new().is_empty());
        kept[0].oid = oid + 7;
        let after = OidRegistry::with(kept);
        assert_eq!(after.oid(ObjectKind::Relation, "crm", "cust"), oid + 7);
        assert!(after.take_new().is_empty());
        assert_eq!(after.oid(ObjectKind::Relation, "crm", "other"), before.oid(ObjectKind::Relation, "crm", "other"));
    }

    #[test]
    fn a_taken_number_is_passed_over() {
        let oids = OidRegistry::default();
        let first = within_range(hash(ObjectKind::Schema, "", "crm"));
        oids.known.lock().unwrap().taken.insert(first);
        assert_eq!(oids.oid(ObjectKind::Schema, "", "crm"), first + 1);
        assert_eq!(oids.oid(ObjectKind::Schema, "", "crm"), first + 1);
    }
}

//! Object ids: the same name gets the same number while the process lives, and nearly always after a restart too.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

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
}

impl OidRegistry {
    /// A registry that has given out nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The oid of an object.
    pub(super) fn oid(&self, kind: ObjectKind, schema: &str, name: &str) -> u32 {
        // The lock guards two maps that every panic-free path leaves in step, so a poisoned one is still whole.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { by_name, taken } = &mut *known;
        match by_name.entry((kind, schema.into(), name.into())) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let mut oid = within_range(hash(kind, schema, name));
                while !taken.insert(oid) {
                    oid = if oid + 1 == OID_LIMIT { FIRST_USER_OID } else { oid + 1 };
                }
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
        let (one, other) = (OidRegistry::new(), OidRegistry::new());
        let names: Vec<String> = (0..5_000).map(|i| format!("table_{i}")).collect();
        let forward: Vec<u32> = names.iter().map(|n| one.oid(ObjectKind::Relation, "crm", n)).collect();
        let backward: Vec<u32> = names.iter().rev().map(|n| other.oid(ObjectKind::Relation, "crm", n)).rev().collect();
        assert_eq!(forward, backward);
        assert_eq!(one.oid(ObjectKind::Relation, "crm", "table_17"), forward[17]);
        assert!(forward.iter().all(|oid| (FIRST_USER_OID..OID_LIMIT).contains(oid)));
    }

    #[test]
    fn different_objects_never_share_an_oid() {
        let oids = OidRegistry::new();
        let mut seen = std::collections::HashSet::new();
        for i in 0..50_000 {
            assert!(seen.insert(oids.oid(ObjectKind::Relation, "crm", &i.to_string())));
            assert!(seen.insert(oids.oid(ObjectKind::Constraint, "crm", &i.to_string())));
        }
    }

    #[test]
    fn a_taken_number_is_passed_over() {
        let oids = OidRegistry::new();
        let first = within_range(hash(ObjectKind::Schema, "", "crm"));
        oids.known.lock().unwrap().taken.insert(first);
        assert_eq!(oids.oid(ObjectKind::Schema, "", "crm"), first + 1);
        assert_eq!(oids.oid(ObjectKind::Schema, "", "crm"), first + 1);
    }
}

//! Checks a connector's judgement of types against a table that a person can read.

use super::TypeChange;

/// Checks every ordered pair of the types of `table`, and what must hold between all of them.
///
/// A row is a type and, behind a `|`, one mark per type of the rows above it and one for itself: what becomes of a column of the
/// type above when it has the type of the row. `w` is widened, `n` narrowed, `=` the same and `.` different.
pub(crate) fn assert_table(change: &dyn Fn(&str, &str) -> TypeChange, table: &str) {
    let rows: Vec<(&str, &str)> = table.lines().filter_map(|line| line.rsplit_once('|')).map(|(t, m)| (t.trim(), m.trim())).collect();
    let types: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for (at, (actual, marks)) in rows.iter().enumerate() {
        let judged: String = types[..=at].iter().map(|expected| mark(change(expected, actual))).collect();
        if judged != *marks {
            wrong.push(format!("{actual}: is {judged}, should be {marks}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_lawful(change, &types);
}

/// What must hold whatever the types are.
pub(crate) fn assert_lawful(change: &dyn Fn(&str, &str) -> TypeChange, types: &[&str]) {
    let widens = |from: &str, to: &str| matches!(change(from, to), TypeChange::Same | TypeChange::Widened);
    for a in types {
        assert_eq!(change(a, a), TypeChange::Same, "{a}");
        for b in types {
            let back = match change(a, b) {
                TypeChange::Same => TypeChange::Same,
                TypeChange::Widened => TypeChange::Narrowed,
                TypeChange::Narrowed => TypeChange::Widened,
                TypeChange::Different => TypeChange::Different,
            };
            assert_eq!(change(b, a), back, "from {b} to {a}");
            for c in types.iter().filter(|c| widens(a, b) && widens(b, c)) {
                assert!(widens(a, c), "{a} to {b} to {c}");
            }
        }
    }
}

/// Checks that the types of each line, with a `|` between them, are one type, and that no two lines are.
pub(crate) fn assert_synonyms(change: &dyn Fn(&str, &str) -> TypeChange, lines: &[&str]) {
    let groups: Vec<Vec<&str>> = lines.iter().map(|line| line.split('|').map(str::trim).collect()).collect();
    for (at, group) in groups.iter().enumerate() {
        for name in group {
            assert_eq!(change(group[0], name), TypeChange::Same, "{} and {name}", group[0]);
            assert_eq!(change(name, group[0]), TypeChange::Same, "{name} and {}", group[0]);
        }
        for other in &groups[..at] {
            assert_ne!(change(group[0], other[0]), TypeChange::Same, "{} and {}", group[0], other[0]);
        }
    }
}

fn mark(change: TypeChange) -> char {
    match change {
        TypeChange::Same => '=',
        TypeChange::Widened => 'w',
        TypeChange::Narrowed => 'n',
        TypeChange::Different => '.',
    }
}

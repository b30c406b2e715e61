//! What settings take, refuse and show.

use super::value::{fixed_zone_name, quote_identifier};
use super::*;

fn set(name: &str, text: &str) -> Result<String, String> {
    let mut settings = Settings::new();
    settings.set(SetScope::Session, name, text).map_err(|error| error.code)?;
    Ok(settings.show(name).unwrap().to_string())
}

#[test]
fn values_are_kept_as_postgresql_shows_them() {
    for (name, text, shown) in [
        ("statement_timeout", "5000", "5s"),
        ("statement_timeout", "5s", "5s"),
        ("STATEMENT_TIMEOUT", "90 s", "90s"),
        ("statement_timeout", "2min", "2min"),
        ("statement_timeout", "1500", "1500ms"),
        ("statement_timeout", "0", "0"),
        ("TimeZone", "europe/berlin", "Europe/Berlin"),
        ("timezone", "utc", "UTC"),
        ("DateStyle", "iso, dmy", "ISO, DMY"),
        // As asyncpg sends it.
        ("client_encoding", "'utf-8'", "UTF8"),
        ("causeway.push_down", "FALSE", "off"),
        ("extra_float_digits", "3", "3"),
        ("row_security", "0", "off"),
        ("standard_conforming_strings", "true", "on"),
        ("myapp.user", "ana", "ana"),
        ("default_transaction_isolation", "Repeatable Read", "repeatable read"),
    ] {
        assert_eq!(set(name, text).as_deref(), Ok(shown), "SET {name} TO {text}");
    }
}

#[test]
fn wrong_names_and_values_have_their_codes() {
    for (name, text, code) in [
        ("no_such_thing", "1", "42704"),
        ("causeway.pushdown", "on", "42704"),
        ("statement_timeout", "5 fortnights", "22023"),
        ("statement_timeout", "-1", "22023"),
        ("statement_timeout", "1e30", "22023"),
        ("client_encoding", "LATIN1", "22023"),
        ("timezone", "Mars/Olympus", "22023"),
        ("timezone", "+99:00", "22023"),
        ("datestyle", "German", "22023"),
        ("extra_float_digits", "4", "22023"),
        ("causeway.push_down", "perhaps", "22023"),
        ("server_version", "17", "55P02"),
    ] {
        assert_eq!(set(name, text), Err(code.to_owned()), "SET {name} TO {text}");
    }
}

#[test]
fn startup_values_are_what_reset_goes_back_to() {
    let mut settings = Settings::new();
    settings.at_startup("application_name", "psql").unwrap();
    settings.set(SetScope::Session, "application_name", "other").unwrap();
    assert_eq!(&*settings.application_name(), "other");
    settings.reset(SetScope::Session, "application_name").unwrap();
    assert_eq!(&*settings.application_name(), "psql");
    assert_eq!(settings.reset(SetScope::Session, "nope").unwrap_err().code, "42704");
}

#[test]
fn local_values_end_with_the_transaction() {
    let mut settings = Settings::new();
    settings.set(SetScope::Session, "search_path", "crm").unwrap();
    settings.set(SetScope::Transaction, "search_path", "\"ERP\", $user").unwrap();
    assert_eq!(settings.search_path("ana"), ["ERP", "ana"]);
    settings.end_transaction();
    assert_eq!(settings.search_path("ana"), ["crm"]);
}

#[test]
fn lists_of_identifiers() {
    for (text, names) in [
        ("a, B ,\"C\"", Some(vec!["a", "b", "C"])),
        ("\"x\"\"y\"", Some(vec!["x\"y"])),
        ("", Some(vec![])),
        ("\"\"", Some(vec![])),
        ("a,", None),
        ("a b", None),
        ("\"open", None),
    ] {
        let names = names.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(identifier_list(text), names, "{text}");
    }
    assert_eq!(quote_identifier("plain_1"), "plain_1");
    assert_eq!(quote_identifier("A\"b"), "\"A\"\"b\"");
}

#[test]
fn posix_offsets_point_west() {
    assert_eq!(zone("+02:00"), Some(Zone::Fixed(-7200)));
    assert_eq!(zone("<+02>-02"), Some(Zone::Fixed(7200)));
    assert_eq!(zone("UTC-5:30"), Some(Zone::Fixed(19_800)));
    assert_eq!(fixed_zone_name(7200), "<+02>-02");
    assert_eq!(fixed_zone_name(-19_800), "<-05:30>+05:30");
    assert_eq!(zone(&fixed_zone_name(-19_800)), Some(Zone::Fixed(-19_800)));
    assert_eq!(Zone::Fixed(-19_800).for_planner(), "-05:30");
}

#[test]
fn custom_settings_are_listed() {
    let mut settings = Settings::new();
    settings.set(SetScope::Session, "app.tenant", "7").unwrap();
    let all = settings.all();
    assert!(all.iter().any(|row| &*row.name == "app.tenant" && &*row.value == "7"));
    assert!(all.is_sorted_by_key(|row| row.name.clone()));
}

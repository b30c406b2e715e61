//! Skipping a test loudly, and counting it.

use std::fs::OpenOptions;
use std::io::Write;
use std::thread;

/// The one line that gives a Debian or Ubuntu machine everything the tests want.
const INSTALL: &str = "apt-get install -y postgresql postgresql-client mariadb-server";

/// Announces that the running test is skipped because `what` is missing, which the machine's packages would bring.
///
/// # Panics
/// When `CI=true`: there a skipped test is a failed one.
pub fn skip(what: &str) {
    skip_for(what, INSTALL);
}

/// Announces that the running test is skipped because `what` is missing, and what `command` would bring it.
///
/// The line goes to the real standard error, which the test harness does not capture, and into the file that
/// `CAUSEWAY_SKIPPED` names, where `.ci/run` counts it.
///
/// # Panics
/// When `CI=true`: there a skipped test is a failed one.
pub fn skip_for(what: &str, command: &str) {
    let test = thread::current().name().unwrap_or("?").to_owned();
    let line = format!("SKIPPED {test}: {what} is not installed; to run it: {command}\n");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{line}");
    // A lost line costs a count, not a wrong result, so failing to write it is not worth a failed test.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("CAUSEWAY_SKIPPED")
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = file.write_all(line.as_bytes());
    }
}

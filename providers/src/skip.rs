//! Skipping a test loudly, and counting it. The gateway's tests do so by the same rules, in a crate this one does not know.

use std::fs::OpenOptions;
use std::io::Write;
use std::thread;

/// Announces that the running test is skipped because `what` is missing, and what `command` would bring it.
///
/// The line goes to the real standard error, which the test harness does not capture, and into the file that
/// `CAUSEWAY_SKIPPED` names, where `.ci/run` counts it.
///
/// # Panics
/// When `CI=true`: there a skipped test is a failed one.
pub(crate) fn skip(what: &str, command: &str) {
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

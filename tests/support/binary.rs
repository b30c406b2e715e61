//! Finding the `causeway` program that belongs to the sources under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::process::finish_within;

/// The `causeway` program, built from the present sources. `CAUSEWAY_BIN` names a ready-made one instead.
///
/// Cargo builds no binary of one package for the tests of another, so the first call asks cargo for it. A test asks with the very
/// selection that `cargo test --workspace` resolves features for, so that nothing but the binary itself is left to build; any other
/// program asks for the gateway alone.
///
/// # Panics
/// When it does not build.
pub fn causeway() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("CAUSEWAY_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

fn build() -> PathBuf {
    let running = std::env::current_exe().expect("a running program knows its path");
    let folder = running.parent().expect("a program is in a folder");
    // A test runs from `<target>/<profile>/deps`, any other program from `<target>/<profile>`.
    let is_test = folder.ends_with("deps");
    let profile = if is_test { folder.parent() } else { Some(folder) }.expect("`deps` is in a profile's folder");
    let target = profile.parent().expect("a profile's folder is in the target folder");
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    if is_test {
        cargo.args(["build", "--quiet", "--workspace", "--bin", "causeway", "--test", "causeway"]);
    } else {
        cargo.args(["build", "--quiet", "--package", "causeway-gateway", "--bin", "causeway"]);
    }
    cargo.arg("--target-dir").arg(target).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    // What cargo tells the tests about their own package would otherwise look like a changed environment to build scripts.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    let built = finish_within(Duration::from_secs(45 * 60), &mut cargo);
    assert_eq!(built.code, Some(0), "causeway does not build:\n{}", built.stderr);
    profile.join("causeway")
}

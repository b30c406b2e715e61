//! `causeway connector new`: the folder of a connector that works, to be made another.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use causeway_providers::contract::{SKELETON, SKELETON_FILES};
use causeway_providers::{Capabilities, ConnectorRegistry};
use clap::Args;

use super::super::terminal::Terminal;
use super::super::{FAILED, OK, UNUSABLE};

/// The arguments of `causeway connector new`.
#[derive(Debug, Args)]
pub(in super::super) struct Arguments {
    /// Its kind, as users will write it: lower case letters, digits and _.
    name: String,
    /// What its sources compute, such as filter,limit. Its manifest declares it, and its contract fails until it is so.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    capabilities: Vec<String>,
    /// The folder of connectors that its own is made in.
    #[arg(long, value_name = "FOLDER", default_value = "providers/src")]
    into: PathBuf,
}

/// What a skeleton has without being asked.
const ALWAYS: [&str; 2] = ["discover", "read"];

/// Words that are no name of a module in Rust: its keywords, those that are reserved for later as well, and its own crates.
const KEYWORDS: [&str; 54] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum", "extern",
    "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv",
    "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield", "alloc", "core", "std",
];

pub(super) fn run(arguments: &Arguments, registry: &ConnectorRegistry, terminal: &Terminal) -> u8 {
    if let Err((text, hint)) = check(arguments, registry) {
        terminal.error(&text, Some(&hint));
        return UNUSABLE;
    }
    let folder = arguments.into.join(&arguments.name);
    if let Err(error) = write(&folder, &arguments.name, &arguments.capabilities) {
        let (text, hint) = unwritten(&folder, &error);
        terminal.error(&text, hint.as_deref());
        return FAILED;
    }
    let (name, type_name) = (&arguments.name, camel(&arguments.name));
    terminal.line(format!("{} holds a connector that reads the lines of a text file. Next:\n", folder.display()));
    terminal.line(format!("  1. lib.rs: add `mod {name};`"));
    terminal.line(format!("  2. registry.rs: add `Arc::new(crate::{name}::{type_name}Connector),`"));
    terminal.line(format!(
        "  3. docs/connectors.md: add the row of `{name}`; the test that compares the table with the manifests says how it reads"
    ));
    terminal.line(format!("  4. cargo test -p causeway-providers --features contract {name}::"));
    terminal
        .line(format!("  5. make it read your source, and let `causeway connector test --config {name}.yaml` tell what is not true yet"));
    OK
}

/// What is wrong with the arguments, and what would be right.
fn check(arguments: &Arguments, registry: &ConnectorRegistry) -> Result<(), (String, String)> {
    let name = &arguments.name;
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !name.bytes().next().is_some_and(|b| b.is_ascii_lowercase()) || !name.bytes().all(is_name) {
        return Err((format!("\"{name}\" is no kind"), "A kind is made of lower case letters, digits and _, a letter first.".to_owned()));
    }
    if KEYWORDS.contains(&name.as_str()) {
        let hint = format!("Its module would be named so as well. Choose another name, such as {name}_source.");
        return Err((format!("\"{name}\" is a word of Rust"), hint));
    }
    if registry.get(name).is_some() {
        return Err((format!("there is a connector \"{name}\" already"), "Choose another name.".to_owned()));
    }
    if !arguments.into.is_dir() {
        let hint = "Run it at the root of the sources, or name the folder of connectors with --into.";
        return Err((format!("there is no folder {}", arguments.into.display()), hint.to_owned()));
    }
    if arguments.into.join(format!("{name}.rs")).exists() {
        return Err((format!("there is a module \"{name}\" already"), "Choose another name.".to_owned()));
    }
    let known: Vec<&str> = ALWAYS.into_iter().chain(Capabilities::SCAN_ONLY.flags().map(|(flag, _)| flag)).collect();
    if let Some(unknown) = arguments.capabilities.iter().find(|capability| !known.contains(&capability.as_str())) {
        return Err((format!("\"{unknown}\" is no capability"), format!("There are {}.", known.join(", "))));
    }
    let mut named = BTreeSet::new();
    match arguments.capabilities.iter().find(|capability| !named.insert(*capability)) {
        Some(twice) => Err((format!("capability \"{twice}\" is named twice"), "Name each of them once.".to_owned())),
        None => Ok(()),
    }
}

/// Why a folder was not written, and what to do about it where that does not go without saying.
fn unwritten(folder: &Path, error: &io::Error) -> (String, Option<String>) {
    let shown = folder.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => (
            format!("{shown} is there already, and nothing in it was changed"),
            Some("Go on with the connector that is in it, choose another name, or remove the folder and run this again.".to_owned()),
        ),
        _ => (format!("{shown} cannot be written: {error}"), None),
    }
}

/// Writes all files, or none over one that is there.
fn write(folder: &Path, name: &str, capabilities: &[String]) -> io::Result<()> {
    fs::create_dir(folder)?;
    let declared: String = capabilities
        .iter()
        .filter(|capability| !ALWAYS.contains(&capability.as_str()))
        .map(|capability| format!("{capability}: true, "))
        .collect();
    for (file, text) in SKELETON_FILES {
        let text = text.replace("Capabilities { ..", &format!("Capabilities {{ {declared}.."));
        fs::write(folder.join(file), text.replace(&camel(SKELETON), &camel(name)).replace(SKELETON, name))?;
    }
    Ok(())
}

/// `my_source` as a type: `MySource`.
fn camel(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').filter(|part| !part.is_empty()).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skeleton_is_written_once_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = |name: &str, capabilities: &[&str]| Arguments {
            name: name.to_owned(),
            capabilities: capabilities.iter().map(|&capability| capability.to_owned()).collect(),
            into: folder.path().to_owned(),
        };
        let registry = ConnectorRegistry::built_in();
        assert_eq!(run(&arguments("my_source", &["discover", "filter", "limit"]), &registry, &Terminal::plain()), OK);
        let read = |file: &str| fs::read_to_string(folder.path().join("my_source").join(file)).unwrap();
        assert!(read("mod.rs").contains("pub(crate) struct MySourceConnector;"));
        assert!(read("manifest.rs").contains("Capabilities { filter: true, limit: true, ..Capabilities::SCAN_ONLY }"));
        for (file, _) in SKELETON_FILES {
            assert!(!read(file).to_lowercase().contains("skeleton"), "{file}");
        }
        fs::write(folder.path().join("my_source/mod.rs"), "mine").unwrap();
        assert_eq!(run(&arguments("my_source", &[]), &registry, &Terminal::plain()), FAILED, "it is there already");
        assert_eq!(read("mod.rs"), "mine");
        let again = write(&folder.path().join("my_source"), "my_source", &[]).unwrap_err();
        let (text, hint) = unwritten(Path::new("my_source"), &again);
        assert!(text.contains("is there already") && hint.is_some_and(|hint| hint.contains("choose another name")), "{text}");
        for (name, capabilities, told) in [
            ("My", &[][..], "\"My\" is no kind"),
            ("postgres", &[], "there is a connector \"postgres\" already"),
            ("other", &["teleport"], "\"teleport\" is no capability"),
            ("other", &["filter", "limit", "filter"], "capability \"filter\" is named twice"),
            ("type", &[], "\"type\" is a word of Rust"),
            ("async", &[], "\"async\" is a word of Rust"),
            ("crate", &[], "\"crate\" is a word of Rust"),
            ("self", &[], "\"self\" is a word of Rust"),
        ] {
            assert_eq!(check(&arguments(name, capabilities), &registry).unwrap_err().0, told);
            assert_eq!(run(&arguments(name, capabilities), &registry, &Terminal::plain()), UNUSABLE, "{name}");
            assert!(!folder.path().join(name).exists());
        }
    }
}

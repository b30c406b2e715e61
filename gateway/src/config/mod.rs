//! The configuration: YAML files into checked, plain values, with every fault of all files at once.
//!
//! Text becomes a `tree` that remembers lines; a `section` walks a mapping of it, converts what is asked for and reports what
//! is wrong or was never asked for; `gateway` and `datasource` know the keys. Nothing here opens a datasource.

mod credential;
mod datasource;
mod fault;
mod gateway;
mod quantity;
pub(crate) mod remote_name;
mod role;
mod section;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use causeway_catalog::Datasource;
use causeway_providers::ConnectorRegistry;

pub(crate) use credential::{is_variable, resolve as resolve_credential};
pub use fault::{Fault, Faults};
pub use gateway::{Audit, Limits, Settings};
pub(crate) use gateway::{address, http_address, trust_is_refused};

use fault::Report;
use section::Section;

/// Everything `causeway serve` is told by files.
#[derive(Debug, Clone)]
pub struct Config {
    /// What `causeway.yaml` says.
    pub settings: Settings,
    /// The datasources, by file name.
    pub datasources: Vec<Datasource>,
}

/// Where environment variables come from, so that tests need not change those of their process.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads `path` and the datasource files it points to.
    ///
    /// # Errors
    /// Every fault of all files, in the order of files and lines.
    pub fn load(path: &Path, registry: &ConnectorRegistry, variables: Variables<'_>) -> Result<Self, Faults> {
        let report = Report::default();
        // `Path::parent` of a bare file name is the empty path, which joins as the current folder does.
        let base = path.parent().unwrap_or(Path::new(""));
        let root = read(path, path, &report);
        let settings = root.as_ref().map(|root| {
            let shown = path.display().to_string();
            let mut section = Section::root(&shown, root, &report);
            let settings = gateway::read(&mut section, &shown, base);
            section.finish();
            settings
        });
        let Some((settings, folder)) = settings else { return Err(report.into_faults()) };
        let mut read_so_far: BTreeMap<String, datasource::Declared> = BTreeMap::new();
        let mut order = Vec::new();
        for file in folder.files(&report) {
            // As users find them from where they are, which need not be the folder of `causeway.yaml`.
            let shown = file.components().collect::<PathBuf>();
            let Some(root) = read(&file, &shown, &report) else { continue };
            let Some(declared) = datasource::read(&file, &shown.display().to_string(), &root, registry, variables, &report) else {
                continue;
            };
            if let Some(other) = read_so_far.get(&declared.name) {
                let message = format!("is \"{}\", as is the datasource in {}:{}", declared.name, other.file, other.line);
                report.add(&declared.file, declared.line, "name", message);
                continue;
            }
            order.push(declared.name.clone());
            read_so_far.insert(declared.name.clone(), declared);
        }
        schema_names_are_distinct(&read_so_far, &report);
        let datasources: Vec<_> = order.iter().filter_map(|name| read_so_far.remove(name)?.datasource).collect();
        let faults = report.into_faults();
        if faults.is_empty() { Ok(Self { settings, datasources }) } else { Err(faults) }
    }
}

/// Reads one datasource file alone, as it would stand beside others.
///
/// # Errors
/// Every fault of it, in the order of lines.
pub fn read_datasource(path: &Path, registry: &ConnectorRegistry, variables: Variables<'_>) -> Result<Datasource, Faults> {
    let report = Report::default();
    let shown = path.display().to_string();
    let declared = read(path, path, &report).and_then(|root| datasource::read(path, &shown, &root, registry, variables, &report));
    let faults = report.into_faults();
    match declared.and_then(|declared| declared.datasource) {
        Some(datasource) if faults.is_empty() => Ok(datasource),
        _ => Err(faults),
    }
}

/// Reads one file; a fault when that fails.
fn read(path: &Path, shown: &Path, report: &Report) -> Option<tree::Node> {
    let shown = shown.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            report.add(&shown, 0, "", format!("cannot be read: {error}"));
            return None;
        }
    };
    match tree::parse(&text) {
        Ok(root) => Some(root),
        Err((line, message)) => {
            report.add(&shown, line, "", message);
            None
        }
    }
}

/// A chosen schema name may be neither another datasource's name nor chosen twice.
fn schema_names_are_distinct(declared: &BTreeMap<String, datasource::Declared>, report: &Report) {
    let mut chosen: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for one in declared.values() {
        for (remote, name, line) in &one.schema_names {
            let key = format!("schema_names.{remote}");
            if let Some((datasource, schema)) = chosen.insert(name, (&one.name, remote)) {
                let message = format!("is \"{name}\", as is that of remote schema \"{schema}\" of datasource \"{datasource}\"");
                report.add(&one.file, *line, &key, message);
            } else if *name != one.name && declared.contains_key(name) {
                report.add(&one.file, *line, &key, format!("is \"{name}\", which is the name of another datasource"));
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Which files make which table: decided from names alone.

use std::collections::{BTreeMap, BTreeSet};

use object_store::ObjectMeta;

use crate::remote::{Omission, OmissionCause};

/// How a file's rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Format {
    Parquet,
    /// Fields separated by this byte, the first row holding names.
    Csv(u8),
    Json,
}

impl Format {
    /// The format an option names.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv(b',')),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv(b',')),
            "tsv" => Some(Self::Csv(b'\t')),
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            _ => None,
        }
    }

    /// Its name for people.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Csv(b'\t') => "TSV",
            Self::Csv(_) => "CSV",
            Self::Json => "JSON",
        }
    }
}

/// A table and the files it is read from.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) place: Place,
    /// Its files when it was looked at, by path. None is empty.
    pub(super) files: Vec<ObjectMeta>,
}

/// Where a table's files are found when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// One file, by its path.
    File(String),
    /// A folder, whose files are listed at every scan.
    Folder {
        path: String,
        /// The endings of names that belong to it, as they are written; empty for any name.
        extensions: BTreeSet<String>,
        /// The keys of nested folders named `key=value`, outermost first.
        partitions: Vec<String>,
    },
}

/// Sorts files into tables. `fallback` is the format of names that do not tell.
pub(super) fn arrange(files: Vec<ObjectMeta>, fallback: Option<Format>) -> (Vec<Layout>, Vec<Omission>) {
    let mut omitted = Vec::new();
    let mut single: Vec<Layout> = Vec::new();
    let mut folders: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
    let mut foreign: BTreeSet<String> = BTreeSet::new();
    for file in files {
        let path = file.location.as_ref().to_owned();
        match path.split_once('/') {
            Some((folder, "_delta_log")) => {
                foreign.insert(folder.to_owned());
            }
            Some((folder, rest)) if rest.starts_with("_delta_log/") => {
                foreign.insert(folder.to_owned());
            }
            // Names in other tools' hands: `.git`, `_SUCCESS`, `_temporary/...`, `.part-0.crc`.
            _ if path.split('/').any(|segment| segment.starts_with(['.', '_'])) => {}
            Some((folder, _)) => folders.entry(folder.to_owned()).or_default().push(file),
            None => match format_of(&path, fallback) {
                Some((format, _)) if file.size > 0 => {
                    single.push(Layout { name: stem(&path).to_owned(), format, place: Place::File(path), files: vec![file] });
                }
                Some(_) => omitted.push(omission(&path, "the file is empty")),
                None => omitted.push(omission(&path, "its name tells no format that is read; the option `format` can")),
            },
        }
    }
    let mut found = Vec::new();
    for (folder, files) in folders {
        if foreign.contains(&folder) {
            omitted.push(omission(&folder, "a Delta Lake table is not read: its folder also holds files that were deleted from it"));
            continue;
        }
        match arrange_folder(&folder, files, fallback, &mut omitted) {
            Ok(layout) => found.push(layout),
            Err(reason) => omitted.push(omission(&folder, &reason)),
        }
    }
    single.sort_by(|a, b| (&a.name, a.format).cmp(&(&b.name, b.format)));
    found.extend(single);
    let mut tables: BTreeMap<String, Layout> = BTreeMap::new();
    for layout in found {
        match tables.get(&layout.name) {
            None => {
                tables.insert(layout.name.clone(), layout);
            }
            Some(first) => {
                omitted.push(omission(layout.place.path(), &format!("{} is already the table \"{}\"", first.place.path(), first.name)))
            }
        }
    }
    (tables.into_values().collect(), omitted)
}

impl Place {
    /// The path of the file or folder.
    pub(super) fn path(&self) -> &str {
        match self {
            Self::File(path) | Self::Folder { path, .. } => path,
        }
    }
}

fn arrange_folder(folder: &str, files: Vec<ObjectMeta>, fallback: Option<Format>, omitted: &mut Vec<Omission>) -> Result<Layout, String> {
    let mut extensions = BTreeSet::new();
    let mut formats: BTreeMap<Format, String> = BTreeMap::new();
    let mut partitions: Option<Vec<String>> = None;
    let mut nested = BTreeSet::new();
    let mut kept = Vec::new();
    for file in files {
        let path = file.location.as_ref();
        let Some(rest) = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')) else { continue };
        let (folders, name) = match rest.rsplit_once('/') {
            Some((folders, name)) => (folders, name),
            None => ("", rest),
        };
        let Some((format, extension)) = format_of(name, fallback) else { continue };
        let keys: Option<Vec<String>> =
            folders.split('/').filter(|f| !f.is_empty()).map(|f| f.split_once('=').map(|(key, _)| key.to_owned())).collect();
        let Some(keys) = keys else {
            nested.insert(folders.to_owned());
            continue;
        };
        match &partitions {
            Some(known) if *known != keys => return Err("its files lie in folders of different keys".to_owned()),
            _ => partitions = Some(keys),
        }
        formats.entry(format).or_insert_with(|| name.to_owned());
        extensions.insert(extension.to_owned());
        if file.size > 0 {
            kept.push(file);
        }
    }
    if extensions.contains("") && !nested.is_empty() {
        // Without an ending to tell by, files of nested folders could not be told from its own.
        return Err("it holds nested folders beside files whose names do not tell their format".to_owned());
    }
    for folders in nested {
        omitted.push(omission(&format!("{folder}/{folders}"), "a nested folder is read only when its name is key=value"));
    }
    let mut seen = formats.iter();
    let Some((&format, first)) = seen.next() else { return Err("it holds no file of a format that is read".to_owned()) };
    if let Some((other, second)) = seen.next() {
        return Err(format!("it holds {} and {} files, such as {first} and {second}", format.as_str(), other.as_str()));
    }
    if kept.is_empty() {
        return Err("its files are empty".to_owned());
    }
    kept.sort_by(|a, b| a.location.cmp(&b.location));
    // A fallback format takes every name.
    if extensions.contains("") {
        extensions.clear();
    }
    let place = Place::Folder { path: folder.to_owned(), extensions, partitions: partitions.unwrap_or_default() };
    Ok(Layout { name: folder.to_owned(), format, place, files: kept })
}

/// The format of a name and the ending that told it; empty when none did.
fn format_of(name: &str, fallback: Option<Format>) -> Option<(Format, &str)> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match Format::of_extension(extension) {
        Some(format) => Some((format, extension)),
        None => fallback.map(|format| (format, "")),
    }
}

fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

fn omission(subject: &str, reason: &str) -> Omission {
    Omission { subject: subject.to_owned(), reason: reason.to_owned(), cause: OmissionCause::Unmapped }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Vec<ObjectMeta> {
        let meta = |path: &&str| ObjectMeta {
            location: object_store::path::Path::parse(path.trim_start_matches('0')).unwrap(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: u64::from(!path.starts_with('0')),
            e_tag: None,
            version: None,
        };
        paths.iter().map(meta).collect()
    }

    fn arranged(paths: &[&str], fallback: Option<Format>) -> (Vec<String>, Vec<String>) {
        let (tables, omitted) = arrange(files(paths), fallback);
        let tables = tables.iter().map(|t| format!("{}:{}:{}", t.name, t.format.as_str(), t.files.len())).collect();
        (tables, omitted.into_iter().map(|o| format!("{}: {}", o.subject, o.reason)).collect())
    }

    #[test]
    fn files_and_folders_are_tables() {
        let (tables, omitted) = arranged(
            &[
                "b.csv",
                "a.PARQUET",
                "c.tsv",
                "d.jsonl",
                "odd name ☃.x.json",
                "e/1.csv",
                "e/2.csv",
                "e/README.md",
                "f/y=1/a.parquet",
                "f/y=2/b.parquet",
            ],
            None,
        );
        assert_eq!(tables, ["a:Parquet:1", "b:CSV:1", "c:TSV:1", "d:JSON:1", "e:CSV:2", "f:Parquet:2", "odd name ☃.x:JSON:1"]);
        assert_eq!(omitted, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let (tables, omitted) = arranged(
            &[
                "notes.txt",
                "0empty.csv",
                "mixed/a.csv",
                "mixed/b.parquet",
                "none/a.txt",
                "same.csv",
                "same.parquet",
                "lake/a.parquet",
                "lake/_delta_log/0.json",
                "uneven/a=1/x.csv",
                "uneven/b=1/x.csv",
                "deep/x.csv",
                "deep/er/y.csv",
                "0hollow/a.csv",
            ],
            None,
        );
        assert_eq!(tables, ["deep:CSV:1", "same:Parquet:1"]);
        assert_eq!(
            omitted,
            [
                "notes.txt: its name tells no format that is read; the option `format` can",
                "empty.csv: the file is empty",
                "deep/er: a nested folder is read only when its name is key=value",
                "hollow: its files are empty",
                "lake: a Delta Lake table is not read: its folder also holds files that were deleted from it",
                "mixed: it holds Parquet and CSV files, such as b.parquet and a.csv",
                "none: it holds no file of a format that is read",
                "uneven: its files lie in folders of different keys",
                "same.csv: same.parquet is already the table \"same\"",
            ]
        );
    }

    #[test]
    fn hidden_names_are_nobodys_table() {
        assert_eq!(arranged(&["_SUCCESS", ".git/a.csv", "t/_SUCCESS", "t/.a.csv.crc", "t/a.csv", "t/_tmp/b.csv"], None).0, ["t:CSV:1"]);
    }

    #[test]
    fn the_option_speaks_for_names_that_do_not() {
        let (tables, omitted) = arranged(&["data", "log.1", "f/part-0", "g.parquet"], Format::named("csv"));
        assert_eq!(tables, ["data:CSV:1", "f:CSV:1", "g:Parquet:1", "log:CSV:1"]);
        assert_eq!(omitted, Vec::<String>::new());
    }

    #[test]
    fn partitions_come_from_folders() {
        let (tables, _) = arrange(files(&["t/year=2024/month=01/a.csv", "t/year=2024/month=02/b.CSV"]), None);
        let extensions = BTreeSet::from(["CSV".to_owned(), "csv".to_owned()]);
        let partitions = vec!["year".to_owned(), "month".to_owned()];
        assert_eq!(tables[0].place, Place::Folder { path: "t".to_owned(), extensions, partitions });
    }
}

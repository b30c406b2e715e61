//! Which files make which table: decided from names alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use object_store::ObjectMeta;

use super::compression::Compression;
use super::folder_keys;
use super::globs::Glob;
use super::members::{below, is_hidden, member};
use super::sample::Volume;
use crate::remote::{Omission, OmissionCause};

pub(super) use super::members::{Place, above};

/// The folder that makes the one around it a Delta Lake table.
pub(super) const DELTA_LOG: &str = "_delta_log";
/// Why such a table is left out.
const DELTA_LAKE: &str = "a Delta Lake table is not read: its folder also holds files that were deleted from it";

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
    /// The format of names that do not tell.
    pub(super) fallback: Option<Format>,
    pub(super) place: Place,
    /// The keys of folders named `key=value`, outermost first.
    pub(super) partitions: Vec<String>,
    /// Its files when it was looked at, by path. None is empty.
    pub(super) files: Vec<ObjectMeta>,
    /// What the sample of text files told of their rows.
    pub(super) volume: Volume,
}

impl Layout {
    /// Whether a file belongs to the table: the same rule at every scan as when the table was looked at.
    pub(super) fn holds(&self, path: &str) -> bool {
        match &self.place {
            Place::File(own) => own == path,
            Place::Folder(_) | Place::Glob(_) => {
                member(&self.place, path, self.fallback).is_some_and(|found| found.format == self.format && found.keys == self.partitions)
            }
        }
    }

    /// The values of the keys of a file's folders; `None` for a file that is none of the table's.
    pub(super) fn key_values<'p>(&self, path: &'p str) -> Option<Vec<Option<Cow<'p, str>>>> {
        if !self.holds(path) {
            return None;
        }
        let (folders, _) = below(&self.place, path)?;
        let texts = folders.split('/').filter_map(|folder| folder.split_once('=').map(|(_, text)| text));
        Some(texts.take(self.partitions.len()).map(folder_keys::value).collect())
    }
}

/// Sorts files into tables, one per file or sub-folder. `fallback` is the format of names that do not tell.
pub(super) fn arrange(files: Vec<ObjectMeta>, fallback: Option<Format>) -> (Vec<Layout>, Vec<Omission>) {
    let mut omitted = Vec::new();
    let mut single: Vec<Layout> = Vec::new();
    let mut folders: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
    let lakes = delta_lakes(&files);
    for file in files {
        let path = file.location.as_ref().to_owned();
        match path.split_once('/') {
            _ if is_hidden(&path) => {}
            Some((folder, _)) => folders.entry(folder.to_owned()).or_default().push(file),
            None => match format_of(&path, fallback) {
                Some(format) if file.size > 0 => {
                    let name = stem(&path).to_owned();
                    single.push(Layout {
                        name,
                        format,
                        fallback,
                        place: Place::File(path),
                        partitions: Vec::new(),
                        files: vec![file],
                        volume: Volume::default(),
                    });
                }
                Some(_) => omitted.push(omission(&path, "the file is empty")),
                None => omitted.push(omission(&path, "its name tells no format that is read; the option `format` can")),
            },
        }
    }
    let mut found = Vec::new();
    for (folder, files) in folders {
        if lakes.contains(&folder) {
            omitted.push(omission(&folder, DELTA_LAKE));
            continue;
        }
        match gather(folder.clone(), Place::Folder(folder.clone()), files, fallback, &mut omitted) {
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

/// Sorts files into the tables that `globs` name.
pub(super) fn arrange_globs(files: &[ObjectMeta], globs: &[Glob], fallback: Option<Format>) -> (Vec<Layout>, Vec<Omission>) {
    let (mut tables, mut omitted) = (Vec::new(), Vec::new());
    let lakes = delta_lakes(files);
    for glob in globs {
        let matching = files.iter().filter(|file| glob.matches(file.location.as_ref()));
        let (hidden, own): (Vec<&ObjectMeta>, Vec<&ObjectMeta>) = matching.partition(|file| is_hidden(file.location.as_ref()));
        if own.is_empty() {
            let name = glob.name();
            omitted.push(omission(
                glob.text(),
                &match hidden.first() {
                    None => format!("no file is there for the table \"{name}\""),
                    Some(file) => {
                        let path = file.location.as_ref();
                        format!("no file is there for the table \"{name}\": names that begin with . or _ are skipped, such as {path}")
                    }
                },
            ));
            continue;
        }
        let own: Vec<ObjectMeta> = own.into_iter().cloned().collect();
        let is_of_lake = |file: &ObjectMeta| above(file.location.as_ref()).any(|folder| lakes.contains(folder));
        if own.iter().any(is_of_lake) {
            omitted.push(omission(glob.text(), DELTA_LAKE));
            continue;
        }
        match gather(glob.name().to_owned(), Place::Glob(glob.clone()), own, fallback, &mut omitted) {
            Ok(layout) => tables.push(layout),
            Err(reason) => omitted.push(omission(glob.text(), &reason)),
        }
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    (tables, omitted)
}

/// The folders that are Delta Lake tables; the empty one is the datasource's own.
fn delta_lakes(files: &[ObjectMeta]) -> BTreeSet<String> {
    let lake = |file: &ObjectMeta| {
        let path = file.location.as_ref();
        let log = above(path).find(|folder| folder.rsplit('/').next() == Some(DELTA_LOG))?;
        Some(log.strip_suffix(DELTA_LOG)?.trim_end_matches('/').to_owned())
    };
    files.iter().filter_map(lake).collect()
}

fn gather(
    name: String,
    place: Place,
    files: Vec<ObjectMeta>,
    fallback: Option<Format>,
    omitted: &mut Vec<Omission>,
) -> Result<Layout, String> {
    let mut formats: BTreeMap<Format, String> = BTreeMap::new();
    let mut partitions: Option<Vec<String>> = None;
    let mut nested = BTreeSet::new();
    let mut kept = Vec::new();
    for file in files {
        let path = file.location.as_ref();
        let Some((folders, file_name)) = below(&place, path) else { continue };
        if format_of(file_name, fallback).is_none() {
            continue;
        }
        let Some(found) = member(&place, path, fallback) else {
            nested.insert(folders.to_owned());
            continue;
        };
        match &partitions {
            Some(known) if *known != found.keys => return Err("its files lie in folders of different keys".to_owned()),
            _ => partitions = Some(found.keys),
        }
        formats.entry(found.format).or_insert_with(|| file_name.to_owned());
        if file.size > 0 {
            kept.push(file);
        }
    }
    for folders in nested {
        omitted.push(omission(&format!("{}/{folders}", place.base()), "a nested folder is read only when its name is key=value"));
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
    Ok(Layout { name, format, fallback, place, partitions: partitions.unwrap_or_default(), files: kept, volume: Volume::default() })
}

/// The format that a file's name tells, without the ending of its compression. Parquet compresses within.
pub(super) fn format_of(name: &str, fallback: Option<Format>) -> Option<Format> {
    let (plain, compression) = Compression::of(name);
    let extension = plain.rsplit_once('.').map_or("", |(_, extension)| extension);
    let format = Format::of_extension(extension).or(fallback)?;
    (compression.is_none() || format != Format::Parquet).then_some(format)
}

/// A file's name without its endings.
fn stem(name: &str) -> &str {
    let (plain, _) = Compression::of(name);
    match plain.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => plain,
    }
}

fn omission(subject: &str, reason: &str) -> Omission {
    Omission { subject: subject.to_owned(), reason: reason.to_owned(), cause: OmissionCause::Unmapped }
}

#[cfg(test)]
mod tests;

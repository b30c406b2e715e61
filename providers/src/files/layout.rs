//! Which files make which table: decided from names alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use object_store::ObjectMeta;

use super::compression::Compression;
use super::folder_keys;
use super::globs::Glob;
use super::sample::Volume;
use crate::remote::{Omission, OmissionCause};

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

/// Where a table's files are found when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// One file, by its path.
    File(String),
    /// A folder, whose files are listed at every scan.
    Folder(String),
    /// The files of a pattern, listed at every scan.
    Glob(Glob),
}

impl Place {
    /// The path of the file or folder, or the pattern.
    pub(super) fn path(&self) -> &str {
        match self {
            Self::File(path) | Self::Folder(path) => path,
            Self::Glob(glob) => glob.text(),
        }
    }

    /// The file or the folder under which all files are; empty for the datasource's own.
    pub(super) fn base(&self) -> &str {
        match self {
            Self::File(path) | Self::Folder(path) => path,
            Self::Glob(glob) => glob.base(),
        }
    }
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

/// The folders that hold a path, the innermost first; the last is the empty one.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |folder| (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(outer, _)| outer))).skip(1)
}

/// Whether a name on the way is in other tools' hands: `.git`, `_SUCCESS`, `_temporary/...`, `.part-0.crc`.
fn is_hidden(path: &str) -> bool {
    path.split('/').any(|segment| segment.starts_with(['.', '_']))
}

/// What a file's path says of it as one of a table's.
struct Member {
    format: Format,
    keys: Vec<String>,
}

/// `None` for what is none of the table's files, whatever their format.
fn member(place: &Place, path: &str, fallback: Option<Format>) -> Option<Member> {
    let (folders, name) = below(place, path)?;
    if is_hidden(path) {
        return None;
    }
    let format = format_of(name, fallback)?;
    let key = |folder: &str| folder.split_once('=').map(|(key, _)| key.to_owned());
    let folders = folders.split('/').filter(|folder| !folder.is_empty());
    let keys: Vec<String> = match place {
        Place::File(_) | Place::Folder(_) => folders.map(key).collect::<Option<_>>()?,
        Place::Glob(glob) => {
            if !glob.matches(path) {
                return None;
            }
            folders.map_while(key).collect()
        }
    };
    Some(Member { format, keys })
}

/// The folders between a place's base and a file, and the file's name.
fn below<'a>(place: &Place, path: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = match place.base() {
        "" => path,
        base => path.strip_prefix(base)?.strip_prefix('/')?,
    };
    Some(rest.rsplit_once('/').unwrap_or(("", rest)))
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
        assert_eq!(
            (&tables[0].place, tables[0].partitions.as_slice()),
            (&Place::Folder("t".to_owned()), ["year", "month"].map(String::from).as_slice())
        );
    }

    #[test]
    fn values_come_from_folders() {
        let (tables, _) = arrange(files(&["t/k=a%2Fb/l=__HIVE_DEFAULT_PARTITION__/x.csv"]), None);
        let values = |path| Some(tables[0].key_values(path)?.into_iter().map(|value| value.map(Cow::into_owned)).collect::<Vec<_>>());
        assert_eq!(values("t/k=a%2Fb/l=__HIVE_DEFAULT_PARTITION__/x.csv"), Some(vec![Some("a/b".to_owned()), None]));
        assert_eq!(values("t/k=1/l=/y.csv"), Some(vec![Some("1".to_owned()), Some(String::new())]));
        assert_eq!(values("t/k=1/y.csv"), None);
    }

    #[test]
    fn compressed_files_are_what_is_in_them() {
        let (tables, omitted) = arranged(&["a.csv.gz", "b.jsonl.ZST", "e/1.csv", "e/2.csv.gz", "p.parquet.gz", "log.gz"], None);
        assert_eq!(tables, ["a:CSV:1", "b:JSON:1", "e:CSV:2"]);
        assert_eq!(omitted.len(), 2, "{omitted:?}");
        assert_eq!(arranged(&["log.1.gz", "p.parquet.gz"], Format::named("json")).0, ["log:JSON:1"]);
    }

    #[test]
    fn a_scan_takes_the_files_that_a_look_would() {
        let (tables, _) = arrange(files(&["t/year=2024/a.csv"]), None);
        let holds = |path| tables[0].holds(path);
        assert!(holds("t/year=2025/b.CSV") && holds("t/year=2025/b.csv.gz") && holds("t/year=2025/x=1.csv"));
        for other in ["t/a.csv", "t/year=2025/day=1/a.csv", "t/month=1/a.csv", "t/year=1/_a.csv", "t/year=1/a.json", "tt/year=1/a.csv", "t"]
        {
            assert!(!holds(other), "{other}");
        }
    }

    #[test]
    fn a_pattern_within_a_delta_lake_is_no_table() {
        let globs = Glob::parse("all = lake/*.parquet; part = lake/day=1/*.parquet; other = other/*.parquet").unwrap();
        let paths = ["lake/a.parquet", "lake/day=1/b.parquet", "lake/_delta_log/0.json", "other/c.parquet"];
        let (tables, omitted) = arrange_globs(&files(&paths), &globs, None);
        assert_eq!(tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["other"]);
        assert!(omitted.len() == 2 && omitted.iter().all(|omission| omission.reason == DELTA_LAKE), "{omitted:?}");
    }

    #[test]
    fn a_pattern_of_hidden_files_says_that_they_are_skipped() {
        let globs = Glob::parse("a = _in/*.csv; b = in/.x/*.csv; c = in/*.csv; d = none/*.csv").unwrap();
        let (tables, omitted) = arrange_globs(&files(&["_in/1.csv", "in/.x/2.csv", "in/_3.csv", "in/4.csv"]), &globs, None);
        assert_eq!(tables.iter().map(|table| (table.name.as_str(), table.files.len())).collect::<Vec<_>>(), [("c", 1)]);
        let reasons: Vec<&str> = omitted.iter().map(|omission| omission.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "no file is there for the table \"a\": names that begin with . or _ are skipped, such as _in/1.csv",
                "no file is there for the table \"b\": names that begin with . or _ are skipped, such as in/.x/2.csv",
                "no file is there for the table \"d\"",
            ]
        );
    }

    #[test]
    fn globs_are_tables() {
        let globs =
            Glob::parse("one = logs/*/a.csv\ntwo = logs/**/*.json.gz; late = later/*.csv; mixed = *.*; keyed = k/x=*/**/*.csv").unwrap();
        let paths = [
            "logs/1/a.csv",
            "logs/1/2/a.csv",
            "logs/1/2/b.json.gz",
            "logs/c.json.gz",
            "logs/_x/d.json.gz",
            "m.csv",
            "n.json",
            "k/x=1/y/a.csv",
        ];
        let (tables, omitted) = arrange_globs(&files(&paths), &globs, None);
        let of = |name: &str| tables.iter().find(|table| table.name == name).unwrap();
        assert_eq!((of("one").files.len(), of("two").files.len(), of("keyed").partitions.as_slice()), (1, 2, ["x".to_owned()].as_slice()));
        assert!(of("two").holds("logs/new/e.json.gz") && !of("two").holds("logs/e.csv") && !of("two").holds("else/e.json.gz"));
        let omitted: Vec<_> = omitted.iter().map(|o| (o.subject.as_str(), o.reason.as_str())).collect();
        assert_eq!(
            omitted,
            [("later/*.csv", "no file is there for the table \"late\""), ("*.*", "it holds CSV and JSON files, such as m.csv and n.json")]
        );
    }
}

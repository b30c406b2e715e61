//! What the options of a datasource say, and what is wrong with them that no look at a folder or a server is needed for.

use std::time::Duration;

use object_store::path::Path;

use super::globs::Glob;
use super::introspect::Choice;
use super::layout::{Format, format_of};
use crate::error::{Error, ErrorKind};
use crate::options::{OptionFault, Options};

const PATH: &str = "path";
const GLOBS: &str = "globs";
const LIST_CACHE: &str = "list_cache";
const ENDPOINT: &str = "endpoint";
pub(super) const ACCESS_KEY_ID: &str = "access_key_id";
pub(super) const SECRET_ACCESS_KEY: &str = "secret_access_key";
pub(super) const ALLOW_HTTP: &str = "allow_http";

/// A list that is older is no list of what is there.
const LONGEST_LIST_AGE: Duration = Duration::from_secs(366 * 24 * 3600);
/// What is wrong with anything that is reached without TLS.
const OPEN_TO_ALL: &str = "is http://, which anybody on the way can read and change: use https://, or say `allow_http: true`";

/// The options, read.
#[derive(Debug)]
pub(super) struct Settings {
    /// Which files are tables.
    pub(super) choice: Choice,
    /// How old the list of a table's files may be.
    pub(super) list_age: Duration,
    /// Where they are.
    pub(super) target: Target,
}

/// Where a datasource's files are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// In the folder of that path.
    Folder(String),
    /// In a bucket, below a prefix.
    Bucket { name: String, prefix: Path },
    /// On a web server: these files below a URL.
    Web { base: String, files: Vec<Path> },
}

impl Settings {
    /// # Errors
    /// Every fault, by the option it is of.
    pub(super) fn read(options: &Options) -> Result<Self, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let fallback = options.get("format").and_then(Format::named);
        let globs = match options.get(GLOBS).map(Glob::parse).transpose() {
            Ok(globs) => Some(globs.unwrap_or_default()),
            Err(wrong) => {
                faults.extend(wrong.into_iter().map(|message| OptionFault::new(GLOBS, message)));
                None
            }
        };
        let list_age = list_age(options.get(LIST_CACHE).unwrap_or_default());
        let list_age = list_age.map_err(|message| faults.push(OptionFault::new(LIST_CACHE, message)));
        let target = target(options, globs.as_deref(), fallback).map_err(|wrong| faults.extend(wrong));
        match (globs, list_age, target) {
            (Some(globs), Ok(list_age), Ok(target)) => Ok(Self { choice: Choice { fallback, globs }, list_age, target }),
            _ => Err(faults),
        }
    }

    /// The error of options that were not looked at before.
    pub(super) fn of(options: &Options) -> Result<Self, Error> {
        Self::read(options).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(|fault| format!("the option `{}` {}", fault.key, fault.message)).collect();
            Error::new(ErrorKind::Invalid, told.join("; "))
        })
    }
}

/// What is wrong with options, by themselves and together.
pub(super) fn faults(options: &Options) -> Vec<OptionFault> {
    Settings::read(options).err().unwrap_or_default()
}

/// Where the files are; `globs` are not known when they are wrong.
fn target(options: &Options, globs: Option<&[Glob]>, fallback: Option<Format>) -> Result<Target, Vec<OptionFault>> {
    let location = options.get(PATH).unwrap_or_default();
    let wrong = |message: String| vec![OptionFault::new(PATH, message)];
    match location.split_once("://") {
        None => Ok(Target::Folder(location.to_owned())),
        Some(("s3", rest)) => bucket(rest, options),
        Some(("http", _)) if !options.flag(ALLOW_HTTP) => Err(wrong(OPEN_TO_ALL.to_owned())),
        Some(("http" | "https", rest)) => web(location, rest, globs, fallback),
        Some((scheme, _)) => {
            Err(wrong(format!("is a location {scheme}://, which cannot be read: give a folder, s3://bucket/prefix or https://host/file")))
        }
    }
}

fn bucket(rest: &str, options: &Options) -> Result<Target, Vec<OptionFault>> {
    let mut faults = Vec::new();
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() {
        faults.push(OptionFault::new(PATH, "names no bucket: write it as s3://bucket/prefix"));
    }
    let prefix = Path::parse(prefix.trim_matches('/'));
    if prefix.is_err() {
        faults.push(OptionFault::new(PATH, "has a prefix with an empty part, `.` or `..`: write it as s3://bucket/prefix"));
    }
    match options.get(ENDPOINT).map(|endpoint| endpoint.split_once("://").map(|(scheme, _)| scheme)) {
        Some(Some("http")) if !options.flag(ALLOW_HTTP) => faults.push(OptionFault::new(ENDPOINT, OPEN_TO_ALL)),
        None | Some(Some("http" | "https")) => {}
        Some(_) => faults.push(OptionFault::new(ENDPOINT, "is no URL of a server: write it as https://host:port")),
    }
    const HALF: &str = "give both parts of the access key, or neither for a public bucket";
    match (options.get(ACCESS_KEY_ID), options.secret(SECRET_ACCESS_KEY)) {
        (Some(_), None) => {
            faults.push(OptionFault::new(ACCESS_KEY_ID, format!("needs `{SECRET_ACCESS_KEY}` under `credentials:`: {HALF}")));
        }
        (None, Some(_)) => {
            faults.push(OptionFault::of_secret(SECRET_ACCESS_KEY, format!("needs `{ACCESS_KEY_ID}` under `options:`: {HALF}")));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    match prefix {
        Ok(prefix) if faults.is_empty() => Ok(Target::Bucket { name: name.to_owned(), prefix }),
        Ok(_) | Err(_) => Err(faults),
    }
}

/// The files that `path` or `globs` name below a URL: a web server lists none.
fn web(url: &str, rest: &str, globs: Option<&[Glob]>, fallback: Option<Format>) -> Result<Target, Vec<OptionFault>> {
    let wrong = |message: &str| Err(vec![OptionFault::new(PATH, format!("{message}: write it as https://host/folder/file.parquet"))]);
    if url.contains(['?', '#', '@']) {
        return wrong("is a URL with a user, a query or a fragment, which are not read");
    }
    if rest.is_empty() || rest.starts_with('/') {
        return wrong("names no server");
    }
    match globs {
        Some([]) => {
            let (folder, file) = rest.split_at(rest.rfind('/').unwrap_or(rest.len()));
            let Ok(path) = Path::from_url_path(file.trim_start_matches('/')) else { return wrong("ends in no name of a file") };
            if path.as_ref().is_empty() || format_of(path.as_ref(), fallback).is_none() {
                return Err(vec![OptionFault::new(
                    PATH,
                    "names no file of a format that is read, and a web server lists no files: let it end in a file's name, or name each \
                     table's file in `globs`",
                )]);
            }
            let base = &url[..url.len() - rest.len() + folder.len()];
            Ok(Target::Web { base: base.to_owned(), files: vec![path] })
        }
        Some(globs) => {
            let mut faults = Vec::new();
            let mut files = Vec::new();
            for glob in globs {
                match only_path(glob) {
                    Ok(path) => files.push(path),
                    Err(message) => faults.push(OptionFault::new(GLOBS, message)),
                }
            }
            let base = url.trim_end_matches('/').to_owned();
            if faults.is_empty() { Ok(Target::Web { base, files }) } else { Err(faults) }
        }
        // They are wrong, which is told.
        None => Err(Vec::new()),
    }
}

fn only_path(glob: &Glob) -> Result<Path, String> {
    let shown = glob.text();
    let path = glob.only_path().ok_or_else(|| {
        format!("has \"{shown}\", which a web server cannot be asked to look for: it lists no files; name one file for each table")
    })?;
    Path::parse(path).map_err(|_| format!("has \"{shown}\", which is no path of a file"))
}

/// How long a list is kept; or what is wrong with the text, to follow the option's name.
fn list_age(text: &str) -> Result<Duration, String> {
    let age = humantime::parse_duration(text).map_err(|_| format!("is \"{text}\", not a duration: write it as 10s or 1m"))?;
    if age > LONGEST_LIST_AGE { Err(format!("is \"{text}\", longer than a year")) } else { Ok(age) }
}

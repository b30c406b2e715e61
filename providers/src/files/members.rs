//! Whether a file is one of a table's: decided from its path alone, at every scan as when the table was looked at.

use super::globs::Glob;
use super::layout::{Format, format_of};

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

/// The folders that hold a path, the innermost first; the last is the empty one.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |folder| (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(outer, _)| outer))).skip(1)
}

/// Whether a name on the way is in other tools' hands: `.git`, `_SUCCESS`, `_temporary/...`, `.part-0.crc`.
pub(super) fn is_hidden(path: &str) -> bool {
    path.split('/').any(|segment| segment.starts_with(['.', '_']))
}

/// What a file's path says of it as one of a table's.
pub(super) struct Member {
    pub(super) format: Format,
    /// The keys of its folders, outermost first.
    pub(super) keys: Vec<String>,
}

/// `None` for what is none of the table's files, whatever their format.
pub(super) fn member(place: &Place, path: &str, fallback: Option<Format>) -> Option<Member> {
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
pub(super) fn below<'a>(place: &Place, path: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = match place.base() {
        "" => path,
        base => path.strip_prefix(base)?.strip_prefix('/')?,
    };
    Some(rest.rsplit_once('/').unwrap_or(("", rest)))
}

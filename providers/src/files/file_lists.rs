//! Lists of tables' files, kept for the option `list_cache`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use object_store::ObjectMeta;

/// What the lists may take together; a longer list is not kept.
const MOST_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
struct Kept {
    /// Lists by their tables' names, and since when they are known.
    lists: HashMap<String, (Instant, Arc<[ObjectMeta]>)>,
    /// When all of them were forgotten.
    forgotten: Option<Instant>,
}

/// The lists of a datasource's tables.
#[derive(Debug)]
pub(super) struct FileLists {
    age: Duration,
    kept: Mutex<Kept>,
}

impl FileLists {
    /// Lists are used again until they are of this age.
    pub(super) fn of_age(age: Duration) -> Self {
        Self { age, kept: Mutex::default() }
    }

    /// Whether any list is kept.
    pub(super) fn are_kept(&self) -> bool {
        !self.age.is_zero()
    }

    pub(super) fn get(&self, table: &str) -> Option<Arc<[ObjectMeta]>> {
        let kept = self.kept();
        let (since, files) = kept.lists.get(table)?;
        (since.elapsed() < self.age).then(|| Arc::clone(files))
    }

    /// Keeps what was listed from `since` on, unless lists were forgotten meanwhile.
    pub(super) fn keep(&self, table: &str, since: Instant, files: &Arc<[ObjectMeta]>) {
        let mut kept = self.kept();
        if kept.forgotten.is_some_and(|forgotten| since <= forgotten) {
            return;
        }
        kept.lists.retain(|known, (since, _)| known != table && since.elapsed() < self.age);
        let others: usize = kept.lists.values().map(|(_, files)| size(files)).sum();
        if others + size(files) <= MOST_BYTES {
            kept.lists.insert(table.to_owned(), (since, Arc::clone(files)));
        }
    }

    pub(super) fn forget(&self) {
        *self.kept() = Kept { lists: HashMap::new(), forgotten: Some(Instant::now()) };
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(files: &[ObjectMeta]) -> usize {
    let texts = |file: &ObjectMeta| file.location.as_ref().len() + file.e_tag.as_ref().map_or(0, String::len);
    files.iter().map(|file| size_of::<ObjectMeta>() + texts(file)).sum()
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;

    fn files(count: usize) -> Arc<[ObjectMeta]> {
        let file = |n| ObjectMeta {
            location: Path::from(format!("{n}.csv")),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: 1,
            e_tag: None,
            version: None,
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn lists_are_kept_for_their_time_and_as_far_as_there_is_room() {
        let lists = FileLists::of_age(Duration::from_secs(3600));
        let now = Instant::now();
        lists.keep("a", now, &files(3));
        lists.keep("large", now, &files(MOST_BYTES / size_of::<ObjectMeta>()));
        assert_eq!((lists.get("a").map(|files| files.len()), lists.get("large").is_some()), (Some(3), false));
        lists.keep("a", now, &files(4));
        assert_eq!(lists.get("a").map(|files| files.len()), Some(4));
        lists.forget();
        assert!(lists.get("a").is_none());
        // It was begun before and ended after.
        lists.keep("a", now, &files(4));
        assert!(lists.get("a").is_none());
        lists.keep("a", Instant::now(), &files(4));
        assert!(lists.get("a").is_some());
        let brief = FileLists::of_age(Duration::from_nanos(1));
        brief.keep("a", now, &files(3));
        assert!(brief.get("a").is_none());
    }
}

//! What the first parts of files told, kept for as long as the files stay as they are.
//!
//! A look asks for each file's content as it was listed; what was told of that content before is not read again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use datafusion::arrow::datatypes::SchemaRef;
use object_store::ObjectMeta;

use super::connect::StoreKind;
use super::infer::CsvColumns;
use super::sample::Volume;
use super::source::FileVersion;

/// So many samples are kept; of more files than that some are read again.
const MOST: usize = 20_000;
/// How old a file of a folder must be for its time to tell it from what is written next: times are as coarse as a file system's clock.
const SETTLED: Duration = Duration::from_secs(2);

/// What a sample told.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// The columns of a Parquet file, or of the JSON lines of a table's files together, and how much of these it was.
    Schema(SchemaRef, Volume),
    /// What the columns of a CSV file may be.
    Csv(Arc<CsvColumns>),
}

/// One sample: which content, and how many bytes of each file at the most.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SampleKey {
    files: Vec<FileVersion>,
    limit: usize,
}

impl SampleKey {
    pub(super) fn of<'f>(files: impl IntoIterator<Item = &'f ObjectMeta>, limit: usize) -> Self {
        Self { files: files.into_iter().map(FileVersion::of).collect(), limit }
    }
}

/// The samples of a datasource.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    told: HashMap<SampleKey, (Told, u64)>,
    /// The number of the look that goes on.
    look: u64,
}

impl Samples {
    /// Begins a look at all files.
    pub(super) fn begin(&self) {
        self.kept().look += 1;
    }

    /// Forgets what no look since the last [`begin`](Self::begin) asked for.
    pub(super) fn end(&self) {
        let mut kept = self.kept();
        let look = kept.look;
        kept.told.retain(|_, (_, asked)| *asked == look);
    }

    pub(super) fn get(&self, key: &SampleKey) -> Option<Told> {
        let mut kept = self.kept();
        let look = kept.look;
        let (told, asked) = kept.told.get_mut(key)?;
        *asked = look;
        Some(told.clone())
    }

    /// Keeps what was told of files, if what they are listed as tells their contents apart.
    pub(super) fn keep(&self, key: SampleKey, files: &[&ObjectMeta], place: StoreKind, told: Told) {
        let mut kept = self.kept();
        if kept.told.len() < MOST && files.iter().all(|file| is_telling(file, place)) {
            let look = kept.look;
            kept.told.insert(key, (told, look));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another content of a file would be listed as another version.
fn is_telling(file: &ObjectMeta, place: StoreKind) -> bool {
    match place {
        // What is written in one tick of the clock looks the same when it has the same size.
        StoreKind::Folder => (Utc::now() - file.last_modified).to_std().is_ok_and(|age| age >= SETTLED),
        // A server need not tell when a file changed; a tag is of one content.
        StoreKind::Bucket | StoreKind::Web => file.e_tag.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use datafusion::arrow::datatypes::Schema;
    use object_store::path::Path;

    use super::*;

    fn file(size: u64, tag: Option<&str>) -> ObjectMeta {
        let location = Path::from("a.csv");
        ObjectMeta { location, last_modified: DateTime::UNIX_EPOCH, size, e_tag: tag.map(str::to_owned), version: None }
    }

    #[test]
    fn a_sample_is_kept_as_long_as_looks_ask_for_it() {
        let samples = Samples::default();
        let told = || Told::Schema(Arc::new(Schema::empty()), Volume::default());
        let (one, other) = (file(1, None), file(2, None));
        let (first, second) = (SampleKey::of([&one], 10), SampleKey::of([&other], 10));
        samples.begin();
        samples.keep(first.clone(), &[&one], StoreKind::Folder, told());
        samples.keep(second.clone(), &[&other], StoreKind::Folder, told());
        samples.end();
        assert!(samples.get(&SampleKey::of([&one], 20)).is_none(), "more of it was asked for");
        samples.begin();
        assert!(samples.get(&first).is_some());
        samples.end();
        assert!(samples.get(&first).is_some() && samples.get(&second).is_none());
    }

    #[test]
    fn what_cannot_be_told_apart_is_read_again() {
        let young = ObjectMeta { last_modified: Utc::now(), ..file(1, Some("t")) };
        for (file, place, telling) in [
            (&young, StoreKind::Folder, false),
            (&file(1, None), StoreKind::Folder, true),
            (&young, StoreKind::Bucket, true),
            (&file(1, None), StoreKind::Web, false),
            (&file(1, Some("t")), StoreKind::Web, true),
        ] {
            assert_eq!(is_telling(file, place), telling, "{file:?} {place:?}");
        }
    }
}

//! Which files a look reads, told by a store that counts.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::time::SystemTime;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, Int64Array};
use futures::stream::BoxStream;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore};

use super::connect::{Location, locate};
use super::read_only::{ReadOnly, Reading};
use super::settings::Target;
use super::*;

/// The paths of which content was asked for.
type Reads = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
struct Counting {
    store: Arc<dyn ObjectStore>,
    reads: Reads,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl Reading for Counting {
    async fn get(&self, location: &object_store::path::Path, options: GetOptions) -> object_store::Result<GetResult> {
        if !options.head {
            self.reads.lock().unwrap().push(location.to_string());
        }
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &object_store::path::Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        self.reads.lock().unwrap().push(location.to_string());
        self.store.get_ranges(location, ranges).await
    }

    fn list(&self, prefix: Option<&object_store::path::Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }
}

/// A folder, and a datasource over it that counts.
fn counted(folder: &Path) -> (FilesRemote, Reads) {
    let options = checked(folder.to_str().unwrap(), &[]).unwrap();
    let location = locate(&options, Target::Folder(folder.display().to_string())).unwrap();
    let reads = Reads::default();
    let store = Arc::new(ReadOnly(Counting { store: location.store, reads: Arc::clone(&reads) }));
    let source = Source::new(options.id, Location { store, ..location }, None, Duration::ZERO).unwrap();
    let choice = Choice { fallback: None, globs: Vec::new() };
    (FilesRemote { source: Arc::new(source), choice, known: RwLock::default() }, reads)
}

/// Writes a file that nobody has touched for so many minutes.
fn write_old(folder: &Path, path: &str, bytes: &[u8], minutes: u64) {
    write(folder, path, bytes);
    let file = fs::File::options().write(true).open(folder.join(path)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
}

#[tokio::test]
async fn a_look_reads_what_changed_since_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let numbers = parquet(vec![("n", Arc::new(Int64Array::from_iter_values(0..3)) as ArrayRef)]);
    let files: [(&str, &[u8]); 6] = [
        ("a.csv", b"id\n1\n"),
        ("b.parquet", &numbers),
        ("c/1.csv", b"v\n1\n"),
        ("c/2.csv", b"v\n2\n"),
        ("d.jsonl", b"{\"x\": 1}\n"),
        ("e.csv.gz", &super::choosing::gzip(b"id\n1\n").await),
    ];
    for (path, bytes) in files {
        write_old(folder, path, bytes, 60);
    }
    let (remote, reads) = counted(folder);
    let look = async || {
        let seen = remote.introspect(&Scope::default(), soon()).await.unwrap();
        let mut read = std::mem::take(&mut *reads.lock().unwrap());
        read.sort();
        read.dedup();
        (seen, read)
    };
    let (first, read) = look().await;
    assert_eq!((first.tables.len(), read), (5, files.map(|(path, _)| path.to_owned()).to_vec()));
    let (second, read) = look().await;
    assert_eq!((second == first, read), (true, Vec::new()), "nothing changed, so nothing is read");

    write_old(folder, "c/2.csv", b"v\n2.5\n", 30);
    let (changed, read) = look().await;
    assert_eq!(read, ["c/2.csv"]);
    let type_of = |seen: &Introspection, table: &str| {
        let table = seen.tables.iter().find(|known| known.name == table).unwrap();
        table.columns[0].data_type.clone()
    };
    assert_eq!((type_of(&first, "c"), type_of(&changed, "c")), (DataType::Int64, DataType::Float64));

    // The next content of a file that is being written may have the same time and size.
    write(folder, "c/2.csv", b"v\n2.7\n");
    for _ in 0..2 {
        assert_eq!(look().await.1, ["c/2.csv"]);
    }
    fs::remove_file(folder.join("c/2.csv")).unwrap();
    let (less, read) = look().await;
    assert_eq!((type_of(&less, "c"), read), (DataType::Int64, Vec::new()));
}

//! Tables and their columns: one listing, then the first part of each table's files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat;
use datafusion::execution::SessionState;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::compression::Compression;
use super::connect::{FileName, StoreKind, read_failure_in_file, still_there, store_failure};
use super::folder_keys;
use super::globs::Glob;
use super::infer::CsvColumns;
use super::json_types::JsonColumns;
use super::layout::{DELTA_LOG, Format, Layout, Place, above, arrange, arrange_globs};
use super::parquet_files::parquet_format;
use super::sample::{self, Volume};
use super::samples::{SampleKey, Told};
use super::source::Source;
use super::type_mapping::{common, publish};
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{
    Comparison, Introspection, Omission, OmissionCause, Presentation, RemoteColumn, RemotePresence, RemoteTable, TableKind,
};
use crate::subject::Subject;

/// Files have no schemas.
pub(super) const SCHEMA: &str = "";

/// What a Parquet file ends with: the length of its metadata before that, and a word.
const FOOTER_BYTES: u64 = 8;

/// So many tables are looked at at once.
const CONCURRENCY: usize = 8;

/// Why a table is left out, or why the whole look failed.
enum Fault {
    Table(String),
    Forbidden(String),
    Store(Error),
}

impl Fault {
    /// A missing or unreadable file costs its table; a store that does not answer costs the look.
    fn of(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Unreachable | ErrorKind::Timeout => Self::Store(error),
            ErrorKind::Unauthorized => Self::Forbidden(error.message().to_owned()),
            _ => Self::Table(error.message().to_owned()),
        }
    }
}

pub(super) async fn introspect(source: &Source, choice: &Choice) -> Result<(Introspection, BTreeMap<String, Arc<Layout>>)> {
    let (layouts, mut omitted) = list(source, choice).await?;
    source.samples.begin();
    let state = source.context().state();
    let looks = layouts.into_iter().map(|layout| {
        let state = &state;
        async move { (look_at(source, state, &layout).await, layout) }
    });
    let mut tables = Vec::new();
    let mut known = BTreeMap::new();
    let mut looks = futures::stream::iter(looks).buffered(CONCURRENCY);
    while let Some((columns, mut layout)) = looks.next().await {
        match columns {
            Ok((columns, volume)) => {
                layout.volume = volume;
                tables.push(RemoteTable {
                    schema: SCHEMA.to_owned(),
                    name: layout.name.clone(),
                    kind: TableKind::Table,
                    columns,
                    primary_key: Vec::new(),
                    unique_keys: Vec::new(),
                    comment: None,
                    row_estimate: None,
                });
                known.insert(layout.name.clone(), Arc::new(layout));
            }
            Err(Fault::Table(reason)) => {
                omitted.push(Omission { subject: layout.place.path().to_owned(), reason, cause: OmissionCause::Unmapped });
            }
            // A table all the same, and so under its own name.
            Err(Fault::Forbidden(reason)) => {
                let subject = Subject::table(SCHEMA, &layout.name).to_string();
                omitted.push(Omission { subject, reason, cause: OmissionCause::Unreadable });
            }
            Err(Fault::Store(error)) => return Err(error),
        }
    }
    source.samples.end();
    Ok((Introspection { default_schema: SCHEMA.to_owned(), tables, omitted }, known))
}

/// Looks for tables and columns: one listing, then the files of those tables alone.
pub(super) async fn presence(source: &Source, choice: &Choice, subjects: &[Subject]) -> Result<Vec<RemotePresence>> {
    let (layouts, _) = list(source, choice).await?;
    let state = source.context().state();
    let mut looks = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let layout = layouts.iter().find(|layout| subject.schema == SCHEMA && layout.name == subject.table);
        looks.push(presence_of(source, &state, layout, subject.column.as_deref()));
    }
    futures::stream::iter(looks).buffered(CONCURRENCY).try_collect().await
}

async fn presence_of(source: &Source, state: &SessionState, layout: Option<&Layout>, column: Option<&str>) -> Result<RemotePresence> {
    let Some(layout) = layout else { return Ok(RemotePresence::Absent) };
    match (look_at(source, state, layout).await, column) {
        (Ok((columns, _)), Some(wanted)) if !columns.iter().any(|column| column.name == wanted) => Ok(RemotePresence::Absent),
        (Ok(_), _) => Ok(RemotePresence::Readable),
        (Err(Fault::Forbidden(_)), _) => Ok(RemotePresence::Forbidden),
        (Err(Fault::Table(_)), _) => Ok(RemotePresence::Absent),
        (Err(Fault::Store(error)), _) => Err(error),
    }
}

/// Which files are tables, as the options say.
#[derive(Debug)]
pub(super) struct Choice {
    /// The format of names that do not tell.
    pub(super) fallback: Option<Format>,
    /// Tables by the patterns of their files; without any, each file and sub-folder is a table.
    pub(super) globs: Vec<Glob>,
}

async fn list(source: &Source, choice: &Choice) -> Result<(Vec<Layout>, Vec<Omission>)> {
    let location = &source.location;
    still_there(&location.shown)?;
    let failed = |e| store_failure(&e, &location.shown);
    // A web server's files are found by name.
    if choice.globs.is_empty() || location.place == StoreKind::Web {
        let files: Vec<ObjectMeta> = location.store.list(None).try_collect().await.map_err(failed)?;
        return Ok(if choice.globs.is_empty() {
            arrange(files, choice.fallback)
        } else {
            arrange_globs(&files, &choice.globs, choice.fallback)
        });
    }
    // A folder below another one that is listed is listed with it.
    let mut bases: Vec<Path> = Vec::new();
    for base in choice.globs.iter().map(|glob| Path::from(glob.base())).collect::<BTreeSet<_>>() {
        if !bases.iter().any(|above| base.prefix_matches(above)) {
            bases.push(base);
        }
    }
    let mut files = Vec::new();
    for base in bases {
        let found: Vec<ObjectMeta> = location.store.list(Some(&base)).try_collect().await.map_err(failed)?;
        files.extend(found);
        // What makes a folder a Delta Lake table may lie above all that a pattern names.
        for folder in above(base.as_ref()) {
            let log = Path::from(folder).join(DELTA_LOG);
            files.extend(location.store.list(Some(&log)).next().await.transpose().map_err(failed)?);
        }
    }
    Ok(arrange_globs(&files, &choice.globs, choice.fallback))
}

/// The columns of a table, and how much of text files they were told by.
async fn look_at(source: &Source, state: &SessionState, layout: &Layout) -> Result<(Vec<RemoteColumn>, Volume), Fault> {
    let (found, volume) = match layout.format {
        Format::Parquet => (parquet(source, state, layout).await?, Volume::default()),
        Format::Csv(delimiter) => csv(source, layout, delimiter).await?,
        Format::Json => json(source, layout).await?,
    };
    let column = |field: &Arc<Field>| RemoteColumn {
        name: field.name().clone(),
        remote_type: field.data_type().to_string(),
        data_type: publish(field.data_type()),
        presentation: Presentation::of(field),
        nullable: true,
        comment: None,
        collation: None,
        comparison: Comparison::None,
    };
    let mut columns: Vec<RemoteColumn> = found.fields().iter().map(column).collect();
    columns.extend(folder_keys::columns(&layout.partitions).iter().map(column));
    let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Fault::Table(format!("two columns are called \"{}\"", pair[0]))),
        None => Ok((columns, volume)),
    }
}

/// The fault of a table for what is wrong with one of its files, which a folder has many of.
fn blame(layout: &Layout, path: &str, reason: &str) -> Fault {
    Fault::Table(match layout.place {
        Place::File(_) => reason.to_owned(),
        Place::Folder(_) | Place::Glob(_) => format!("{path}: {reason}"),
    })
}

async fn parquet(source: &Source, state: &SessionState, layout: &Layout) -> Result<Schema, Fault> {
    let mut merged: Vec<Field> = Vec::new();
    for file in sample::choose(&layout.files) {
        let path = file.location.as_ref();
        // What a Parquet file has is not a question of how much of it is read.
        let key = SampleKey::of([file], 0);
        let schema = match source.samples.get(&key) {
            Some(Told::Schema(schema, _)) => schema,
            Some(Told::Csv(_)) | None => {
                let schema = parquet_schema(source, state, layout, file).await?;
                source.samples.keep(key, &[file], source.location.place, Told::Schema(Arc::clone(&schema), Volume::default()));
                schema
            }
        };
        for field in schema.fields() {
            match merged.iter_mut().find(|known| known.name() == field.name()) {
                None => merged.push(Field::new(field.name(), field.data_type().clone(), true)),
                Some(known) if known.data_type() == field.data_type() => {}
                Some(known) => {
                    let (left, right) = (publish(known.data_type()), publish(field.data_type()));
                    let both = common(&left, &right).ok_or_else(|| {
                        Fault::Table(format!("column \"{}\" is {left} in some files and {right} in {path}", field.name()))
                    })?;
                    *known = Field::new(field.name(), both, true);
                }
            }
        }
    }
    if merged.is_empty() { Err(Fault::Table("it has no columns".to_owned())) } else { Ok(Schema::new(merged)) }
}

async fn parquet_schema(source: &Source, state: &SessionState, layout: &Layout, file: &ObjectMeta) -> Result<SchemaRef, Fault> {
    let path = file.location.as_ref();
    if !has_room_for_its_footer(source, file).await? {
        return Err(blame(layout, path, "it is not a Parquet file that can be read"));
    }
    let inferred = parquet_format().infer_schema(state, &source.location.store, std::slice::from_ref(file)).await;
    inferred.map_err(|e| match Error::find(&read_failure_in_file(e, &FileName::new(path, &layout.name.as_str().into()))) {
        Some(error) if error.kind() != ErrorKind::Invalid => Fault::of(Error::new(error.kind(), error.message())),
        _ => blame(layout, path, "it is not a Parquet file that can be read"),
    })
}

/// Whether a file ends as a Parquet file does, and is as long as its footer says that it is. The reader takes that for granted.
async fn has_room_for_its_footer(source: &Source, file: &ObjectMeta) -> Result<bool, Fault> {
    let Some(start) = file.size.checked_sub(FOOTER_BYTES) else { return Ok(false) };
    let read = source.location.store.get_range(&file.location, start..file.size).await;
    let end = read.map_err(|e| Fault::of(store_failure(&e, file.location.as_ref())))?;
    let Some((length, magic)) = end.split_first_chunk::<4>() else { return Ok(false) };
    Ok(matches!(magic, b"PAR1" | b"PARE") && u64::from(u32::from_le_bytes(*length)) <= start)
}

async fn csv(source: &Source, layout: &Layout, delimiter: u8) -> Result<(Schema, Volume), Fault> {
    let chosen = sample::choose(&layout.files);
    let limit = sample::share(chosen.len());
    let mut columns: Option<CsvColumns> = None;
    for file in chosen {
        // Of a file that is read to its end it does not matter how much more would be.
        let (_, compression) = Compression::of(file.location.as_ref());
        let read = if compression.is_none() { limit.min(usize::try_from(file.size).unwrap_or(limit)) } else { limit };
        let key = SampleKey::of([file], read);
        let found = match source.samples.get(&key) {
            Some(Told::Csv(found)) => found,
            Some(Told::Schema(..)) | None => {
                let found = Arc::new(csv_columns(source, layout, file, delimiter, limit).await?);
                source.samples.keep(key, &[file], source.location.place, Told::Csv(Arc::clone(&found)));
                found
            }
        };
        match &mut columns {
            None => columns = Some((*found).clone()),
            Some(columns) if columns.names() != found.names() => {
                let path = file.location.as_ref();
                return Err(blame(layout, path, "its first row has other names than the other files"));
            }
            Some(columns) => columns.merge(&found),
        }
    }
    columns.map(|columns| (columns.schema(), columns.volume())).ok_or_else(|| Fault::Table("it is empty".to_owned()))
}

async fn csv_columns(source: &Source, layout: &Layout, file: &ObjectMeta, delimiter: u8, limit: usize) -> Result<CsvColumns, Fault> {
    let head = sample::head(&source.location.store, file, limit).await.map_err(Fault::of)?;
    CsvColumns::of(&head, delimiter).map_err(|reason| blame(layout, file.location.as_ref(), &reason))
}

async fn json(source: &Source, layout: &Layout) -> Result<(Schema, Volume), Fault> {
    let chosen = sample::choose(&layout.files);
    let limit = sample::share(chosen.len());
    // The fields of a row may be of another type in each file: what they are is told of all files together.
    let key = SampleKey::of(chosen.iter().copied(), limit);
    if let Some(Told::Schema(schema, volume)) = source.samples.get(&key) {
        return Ok((schema.as_ref().clone(), volume));
    }
    let mut columns = JsonColumns::default();
    for file in &chosen {
        let path = file.location.as_ref();
        let head = sample::head(&source.location.store, file, limit).await.map_err(Fault::of)?;
        columns.look_at(&head).map_err(|reason| blame(layout, path, &reason))?;
    }
    let schema = columns.schema().map_err(Fault::Table)?;
    source.samples.keep(key, &chosen, source.location.place, Told::Schema(Arc::new(schema.clone()), columns.volume()));
    Ok((schema, columns.volume()))
}

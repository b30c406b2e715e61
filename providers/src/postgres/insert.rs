//! Inserts rows in a transaction: by `COPY` where that does what `INSERT` does, and by statements of many rows where it does not.

use bytes::BytesMut;
use datafusion::arrow::array::ArrayRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::future::join5;
use futures::{SinkExt, StreamExt};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error as DriverError, Statement};

use super::connect::Lease;
use super::copy_writer::{Parameter, RowWriter, Values};
use super::returned_rows::ReturnedRows;
use super::scan::Source;
use super::shape::Shapes;
use super::transaction::{Ended, limit_statements};
use super::type_mapping::NumericPolicy;
use crate::changes::Insertion;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteColumn;
use crate::sql::Reliance;

/// How much of a `COPY` travels at once.
const MESSAGE_BYTES: usize = 64 << 10;
/// The bounds of one statement of many rows.
const STATEMENT_PARAMETERS: usize = 16_000;
const STATEMENT_ROWS: usize = 1000;
const STATEMENT_BYTES: usize = 1 << 20;
/// The bounds of a statement that has to have all rows: the protocol counts parameters with 16 bits.
const ONLY_STATEMENT_PARAMETERS: usize = 65_535;
const ONLY_STATEMENT_BYTES: usize = 16 << 20;

/// Whether `COPY` does with a table what `INSERT` does: it knows no rules, and refuses views and row security.
const TAKES_COPY: &str = "SELECT c.relkind IN ('r', 'p', 'f') AND NOT c.relhasrules AND NOT pg_catalog.row_security_active(c.oid) \
                          FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)::pg_catalog.oid";

/// An insertion that is on its way.
pub(super) struct Inserting<'a> {
    pub(super) source: &'a Source,
    pub(super) numeric: NumericPolicy,
    pub(super) lease: &'a Lease,
    pub(super) insertion: &'a Insertion,
    pub(super) deadline: Deadline,
}

/// What the source says of the columns that rows are inserted into.
struct Prepared {
    writer: RowWriter,
    /// The types that it takes their values as.
    types: Vec<Type>,
    takes_copy: bool,
}

impl<'a> Inserting<'a> {
    /// Inserts the rows and counts those that were inserted or changed.
    pub(super) async fn run(&self, rows: SendableRecordBatchStream, returned: Option<ReturnedRows<'_>>) -> Result<u64, Ended> {
        if self.insertion.columns.is_empty() {
            limit_statements(self.lease, self.deadline).await?;
            return self.defaults(rows, returned).await;
        }
        let prepared = self.prepare().await?;
        let is_plain = self.insertion.clauses.is_empty() && returned.is_none();
        if is_plain && prepared.takes_copy {
            self.copy(&prepared.writer, rows).await
        } else {
            self.statements(&prepared, rows, returned).await
        }
    }

    fn client(&self) -> &Client {
        self.lease.client()
    }

    fn columns(&self) -> Vec<&'a RemoteColumn> {
        let Insertion { table, columns, .. } = self.insertion;
        columns.iter().map(|&place| &table.columns[place]).collect()
    }

    /// The table, as statements name it.
    fn table(&self) -> String {
        self.source.dialect.table(&self.insertion.table.schema, &self.insertion.table.name)
    }

    /// The columns, as statements name them.
    fn names(&self) -> String {
        let names: Vec<_> = self.columns().iter().map(|column| self.source.dialect.quote(&column.name)).collect();
        names.join(", ")
    }

    /// Asks what the columns are. To be told locks the table as the insert will, so that they stay it: the bytes of one type would be
    /// values of another. What `INSERT` refuses and `COPY` does not, a value for a generated column, is refused here.
    async fn prepare(&self) -> Result<Prepared, Ended> {
        let (table, names, columns) = (self.table(), self.names(), self.columns());
        let reliance = Reliance::of(&self.insertion.table);
        let shapes = Shapes::of(&reliance, &self.source.known, self.source.dialect)?;
        let places: Vec<_> = (1..=columns.len()).map(|place| format!("${place}")).collect();
        let insert = format!("INSERT INTO {table} ({names}) VALUES ({})", places.join(", "));
        let select = format!("SELECT {names} FROM {table}");
        let client = self.client();
        let (limited, inserted, selected, takes_copy, written) = join5(
            limit_statements(self.lease, self.deadline),
            client.prepare(&insert),
            client.prepare(&select),
            client.query_typed(TAKES_COPY, &[(&table, Type::TEXT)]),
            shapes.written_since(client, self.lease.shapes()),
        )
        .await;
        limited?;
        let (inserted, selected) = (inserted?, selected?);
        let takes_copy = match takes_copy?.first() {
            Some(row) => row.try_get(0)?,
            None => false,
        };
        if let Some(changed) = shapes.changed(client, &written?).await? {
            return Err(changed.into());
        }
        let writer = RowWriter::new(&columns, selected.columns(), self.numeric)?;
        Ok(Prepared { writer, types: inserted.params().to_vec(), takes_copy })
    }

    async fn copy(&self, writer: &RowWriter, mut rows: SendableRecordBatchStream) -> Result<u64, Ended> {
        let form = writer.copy_form();
        let copy = format!("COPY {} ({}) FROM STDIN (FORMAT {})", self.table(), self.names(), form.name());
        let mut sink = Box::pin(self.client().copy_in(&copy).await?);
        let mut message = BytesMut::with_capacity(MESSAGE_BYTES);
        RowWriter::begin(form, &mut message);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let arrays = writer.arrays(&batch)?;
            let values = values(&arrays)?;
            for row in 0..batch.num_rows() {
                writer.copy_row(form, &values, row, &mut message)?;
                if message.len() >= MESSAGE_BYTES {
                    sink.send(message.split().freeze()).await?;
                }
            }
        }
        RowWriter::end(form, &mut message);
        // What the source refuses it tells at the end.
        sink.send(message.freeze()).await?;
        Ok(sink.as_mut().finish().await?)
    }

    async fn statements(
        &self,
        prepared: &Prepared,
        mut rows: SendableRecordBatchStream,
        mut returned: Option<ReturnedRows<'_>>,
    ) -> Result<u64, Ended> {
        let columns = prepared.types.len();
        let most = (STATEMENT_PARAMETERS / columns).clamp(1, STATEMENT_ROWS);
        let most_of_all = ONLY_STATEMENT_PARAMETERS / columns;
        let is_only = self.insertion.updates;
        let mut statement = InsertStatement::new(format!("INSERT INTO {} ({}) VALUES ", self.table(), self.names()), columns);
        let mut parameters: Vec<Parameter> = Vec::new();
        let (mut size, mut inserted) = (0, 0);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let arrays = prepared.writer.arrays(&batch)?;
            let values = values(&arrays)?;
            for row in 0..batch.num_rows() {
                if is_only && (parameters.len() == most_of_all * columns || size >= ONLY_STATEMENT_BYTES) {
                    return Err(too_many(most_of_all).into());
                }
                for (place, values) in values.iter().enumerate() {
                    let parameter = prepared.writer.parameter(place, values, row)?;
                    size += parameter.size();
                    parameters.push(parameter);
                }
                if !is_only && (parameters.len() >= most * columns || size >= STATEMENT_BYTES) {
                    let count = parameters.len() / columns;
                    inserted += self.statement(&mut statement, count, &prepared.types, &parameters, returned.as_mut()).await?;
                    parameters.clear();
                    size = 0;
                }
            }
        }
        if !parameters.is_empty() {
            let count = parameters.len() / columns;
            inserted += self.statement(&mut statement, count, &prepared.types, &parameters, returned.as_mut()).await?;
        }
        returned.map_or(Ok(()), ReturnedRows::finish)?;
        Ok(inserted)
    }

    /// Rows without columns have all their values from the source.
    async fn defaults(&self, mut rows: SendableRecordBatchStream, mut returned: Option<ReturnedRows<'_>>) -> Result<u64, Ended> {
        let table = self.table();
        // Only rows that name a column come by many.
        let (mut statement, most) = match self.insertion.table.columns.first() {
            Some(column) => {
                let name = self.source.dialect.quote(&column.name);
                (InsertStatement::new(format!("INSERT INTO {table} ({name}) VALUES "), 0), STATEMENT_ROWS)
            }
            None => (InsertStatement::new(format!("INSERT INTO {table} DEFAULT VALUES"), 0), 1),
        };
        let mut inserted = 0;
        while let Some(batch) = rows.next().await {
            let mut left = batch?.num_rows();
            while left > 0 {
                let count = left.min(most);
                inserted += self.statement(&mut statement, count, &[], &[], returned.as_mut()).await?;
                left -= count;
            }
        }
        returned.map_or(Ok(()), ReturnedRows::finish)?;
        Ok(inserted)
    }

    async fn statement(
        &self,
        statement: &mut InsertStatement,
        rows: usize,
        types: &[Type],
        parameters: &[Parameter],
        returned: Option<&mut ReturnedRows<'_>>,
    ) -> Result<u64, Ended> {
        let client = self.lease.client();
        let is_first = statement.is_new();
        let prepared = statement.prepare(client, rows, types, &self.insertion.clauses).await?;
        match returned {
            Some(returned) => {
                if is_first {
                    returned.expect(prepared.columns())?;
                }
                returned.read(client.query_raw(&prepared, parameters).await?).await
            }
            None => Ok(client.execute_raw(&prepared, parameters).await?),
        }
    }
}

/// In a second statement a row that the first one changed could be changed again, which PostgreSQL refuses within one.
fn too_many(rows: usize) -> Error {
    let megabytes = ONLY_STATEMENT_BYTES >> 20;
    Error::new(
        ErrorKind::LimitExceeded,
        format!("INSERT ... ON CONFLICT DO UPDATE of more than {rows} rows or {megabytes} MiB into this table"),
    )
    .hint("insert them in several statements of one transaction")
}

fn values(arrays: &[ArrayRef]) -> Result<Vec<Values<'_>>> {
    let other = || Error::new(ErrorKind::Internal, "rows to insert have a type that no column has");
    arrays.iter().map(|array| Values::of(array).ok_or_else(other)).collect()
}

/// An `INSERT` of so many rows, prepared anew when their number changes.
struct InsertStatement {
    head: String,
    columns: usize,
    prepared: Option<(usize, Statement)>,
}

impl InsertStatement {
    /// Of rows with so many parameters each; without any, all columns have their defaults.
    fn new(head: String, columns: usize) -> Self {
        Self { head, columns, prepared: None }
    }

    fn is_new(&self) -> bool {
        self.prepared.is_none()
    }

    async fn prepare(&mut self, client: &Client, rows: usize, types: &[Type], clauses: &str) -> Result<Statement, DriverError> {
        if let Some((count, statement)) = &self.prepared
            && *count == rows
        {
            return Ok(statement.clone());
        }
        let sql = format!("{}{} {clauses}", self.head, self.rows(rows));
        let types: Vec<Type> = types.iter().cycle().take(types.len() * rows).cloned().collect();
        let statement = client.prepare_typed(&sql, &types).await?;
        self.prepared = Some((rows, statement.clone()));
        Ok(statement)
    }

    fn rows(&self, count: usize) -> String {
        if self.head.ends_with("DEFAULT VALUES") {
            return String::new();
        }
        let row = |row: usize| {
            let places: Vec<_> = (1..=self.columns).map(|place| format!("${}", row * self.columns + place)).collect();
            if places.is_empty() { "(DEFAULT)".to_owned() } else { format!("({})", places.join(",")) }
        };
        (0..count).map(row).collect::<Vec<_>>().join(",")
    }
}

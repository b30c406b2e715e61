//! A small client of the Postgres protocol: enough to run a statement on a gateway and read its rows as text.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pgwire::error::PgWireError;
use pgwire::messages::data::{DataRow, RowDescription};
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::{Authentication, Startup};
use pgwire::messages::terminate::Terminate;
use pgwire::messages::{DecodeContext, Message, PgWireBackendMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long reaching the gateway may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection to a gateway.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    received: BytesMut,
    context: DecodeContext,
}

/// What one statement returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// What was done, such as `SELECT 3`.
    pub(crate) tag: String,
    /// What the gateway had to say besides.
    pub(crate) notices: Vec<String>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_id: u32,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The gateway cannot be reached or the connection was lost.
    Connection { address: String, error: io::Error },
    /// The gateway refused.
    Refused(Refusal),
    /// What came back is not what this client understands.
    Protocol(String),
}

/// An error the gateway sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Connection { address, error } => write!(f, "{address} cannot be reached: {error}"),
            ClientError::Refused(refusal) => {
                write!(f, "{} ({})", refusal.message, refusal.code)?;
                refusal.detail.as_ref().map_or(Ok(()), |detail| write!(f, "\ndetail: {detail}"))
            }
            ClientError::Protocol(what) => write!(f, "the answer was not understood: {what}"),
        }
    }
}

impl ClientError {
    /// What the user can do.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            ClientError::Connection { .. } => Some("start a gateway with `causeway serve` or `causeway demo`, or name it with --url"),
            ClientError::Refused(refusal) => refusal.hint.as_deref(),
            ClientError::Protocol(_) => Some("is it a Causeway gateway, or another PostgreSQL server that lets you in without a password?"),
        }
    }
}

impl From<PgWireError> for ClientError {
    fn from(error: PgWireError) -> Self {
        ClientError::Protocol(error.to_string())
    }
}

impl Client {
    /// Connects to `address` (host and port) and logs in.
    pub(crate) async fn connect(address: &str, user: &str, database: &str) -> Result<Self, ClientError> {
        let connecting = async {
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(connected) => connected,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")),
            }
        };
        let stream = connecting.await.map_err(|error| ClientError::Connection { address: address.to_owned(), error })?;
        // A statement is one small packet that nothing follows.
        stream.set_nodelay(true).map_err(|error| ClientError::Connection { address: address.to_owned(), error })?;
        let mut context = DecodeContext::default();
        (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, false);
        let mut client = Self { stream, received: BytesMut::new(), context };
        let mut startup = Startup::new();
        for (name, value) in [("user", user), ("database", database), ("application_name", "causeway"), ("client_encoding", "UTF8")] {
            startup.parameters.insert(name.to_owned(), value.to_owned());
        }
        client.send(&startup).await?;
        loop {
            match client.receive().await? {
                PgWireBackendMessage::Authentication(Authentication::Ok) => {}
                PgWireBackendMessage::Authentication(_) => {
                    return Err(ClientError::Protocol("the server asks for a password, which this client does not send".to_owned()));
                }
                PgWireBackendMessage::ErrorResponse(error) => return Err(ClientError::Refused(refusal(error))),
                PgWireBackendMessage::ReadyForQuery(_) => return Ok(client),
                _ => {}
            }
        }
    }

    /// Runs `sql`, which may hold several statements, and gives an answer for each.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Answer>, ClientError> {
        self.send(&Query::new(sql.to_owned())).await?;
        let mut answers = Vec::new();
        let mut answer = Answer::default();
        let mut failed = None;
        loop {
            match self.receive().await? {
                PgWireBackendMessage::RowDescription(description) => answer.columns = columns(description),
                PgWireBackendMessage::DataRow(row) => answer.rows.push(values(row)?),
                PgWireBackendMessage::CommandComplete(complete) => {
                    answer.tag = complete.tag;
                    answers.push(std::mem::take(&mut answer));
                }
                PgWireBackendMessage::NoticeResponse(notice) => {
                    answer.notices.extend(notice.fields.into_iter().filter(|(field, _)| *field == b'M').map(|(_, text)| text));
                }
                PgWireBackendMessage::ErrorResponse(error) => failed = Some(refusal(error)),
                PgWireBackendMessage::ReadyForQuery(_) => match failed {
                    Some(refusal) => return Err(ClientError::Refused(refusal)),
                    None => return Ok(answers),
                },
                _ => {}
            }
        }
    }

    /// Says good-bye.
    pub(crate) async fn close(mut self) {
        // Whoever leaves need not know whether it was heard.
        let _ = self.send(&Terminate::new()).await;
    }

    async fn send(&mut self, message: &impl Message) -> Result<(), ClientError> {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes)?;
        self.stream.write_all(&bytes).await.map_err(lost)
    }

    async fn receive(&mut self) -> Result<PgWireBackendMessage, ClientError> {
        loop {
            if let Some(message) = PgWireBackendMessage::decode(&mut self.received, &self.context)? {
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.received).await.map_err(lost)? == 0 {
                return Err(lost(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")));
            }
        }
    }
}

fn lost(error: io::Error) -> ClientError {
    ClientError::Connection { address: "the gateway".to_owned(), error }
}

fn columns(description: RowDescription) -> Vec<Column> {
    description.fields.into_iter().map(|field| Column { name: field.name, type_id: field.type_id }).collect()
}

fn values(mut row: DataRow) -> Result<Vec<Option<String>>, ClientError> {
    let short = || ClientError::Protocol("a row is shorter than it says".to_owned());
    let mut values = Vec::new();
    for _ in 0..row.field_count {
        let length = row.data.try_get_i32().map_err(|_| short())?;
        // A negative length is NULL.
        let Ok(length) = usize::try_from(length) else {
            values.push(None);
            continue;
        };
        if row.data.len() < length {
            return Err(short());
        }
        let value = row.data.split_to(length);
        values.push(Some(String::from_utf8(value.to_vec()).map_err(|_| ClientError::Protocol("a value is not UTF-8".to_owned()))?));
    }
    Ok(values)
}

fn refusal(error: ErrorResponse) -> Refusal {
    let mut refusal = Refusal::default();
    for (field, value) in error.fields {
        match field {
            b'C' => refusal.code = value,
            b'M' => refusal.message = value,
            b'D' => refusal.detail = Some(value),
            b'H' => refusal.hint = Some(value),
            _ => {}
        }
    }
    refusal
}

#[cfg(test)]
mod tests;

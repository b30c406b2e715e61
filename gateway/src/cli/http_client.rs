//! A small client of the HTTP endpoint: one connection per request, plain HTTP, answers read to their end unless they stream.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::terminal::Terminal;
use super::{FAILED, UNUSABLE};
use crate::administration::Code;
use crate::http::COMMAND_LINE;
use crate::http::shape::Problem;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Where a gateway listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:7433";

/// What all commands that ask a running gateway take.
#[derive(Debug, Clone, Args)]
pub(super) struct Connection {
    /// The gateway's HTTP endpoint.
    #[arg(long, global = true, env = "CAUSEWAY_URL", default_value = DEFAULT_URL)]
    url: String,
    /// Answer as JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Connection {
    /// The gateway to ask.
    ///
    /// # Errors
    /// `Url` when the URL is none.
    pub(super) fn gateway(&self) -> Result<HttpClient, CallError> {
        HttpClient::new(&self.url)
    }
}

/// A gateway that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpClient {
    /// Host and port, as the Host header has them.
    authority: String,
    host: String,
    port: u16,
}

/// Why there is no answer, or a bad one.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The URL is none that can be asked.
    Url(&'static str),
    /// The gateway cannot be reached, or the connection broke.
    Connection { url: String, error: io::Error },
    /// The gateway refused.
    Refused(Box<Problem>),
    /// What came is not what a gateway answers.
    Protocol(String),
}

impl CallError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            CallError::Url(_) => Some("such as http://127.0.0.1:7433"),
            CallError::Connection { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused => {
                Some("start a gateway with `causeway serve`, or say where it is with --url or CAUSEWAY_URL")
            }
            CallError::Connection { .. } => None,
            CallError::Refused(problem) => problem.hint.as_deref(),
            CallError::Protocol(_) => Some("is this the HTTP endpoint of a gateway?"),
        }
    }

    /// Whether asking again may help.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            CallError::Connection { .. } => true,
            CallError::Refused(problem) => problem.status == 503,
            CallError::Url(_) | CallError::Protocol(_) => false,
        }
    }

    /// Whether a datasource does not run because its tables are not what they are pinned to.
    pub(super) fn is_mismatch(&self) -> bool {
        matches!(self, CallError::Refused(problem) if problem.code == Code::ExternalSchemaMismatch.as_str())
    }

    /// Tells it and gives the exit code.
    pub(super) fn tell(&self, terminal: &Terminal) -> u8 {
        terminal.error(&self.to_string(), self.hint());
        match self {
            CallError::Url(_) => UNUSABLE,
            CallError::Connection { .. } | CallError::Refused(_) | CallError::Protocol(_) => FAILED,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Url(fault) => write!(f, "--url {fault}"),
            CallError::Connection { url, error } => write!(f, "{url} cannot be reached: {error}"),
            CallError::Refused(problem) => {
                if let Some(datasource) = &problem.datasource {
                    write!(f, "datasource \"{datasource}\": ")?;
                }
                f.write_str(&problem.detail)?;
                // The text of a gate begins with its code.
                if problem.detail.starts_with(&problem.code) { Ok(()) } else { write!(f, " ({})", problem.code) }
            }
            CallError::Protocol(what) => f.write_str(what),
        }
    }
}

/// An answer that is read as it comes. Dropped, the connection ends.
pub(crate) struct Streamed {
    body: Incoming,
    url: String,
    _connection: AbortOnDropHandle<()>,
}

impl Streamed {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// `Connection` when it broke.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| lost(&self.url, error))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

impl HttpClient {
    /// The gateway at a URL.
    ///
    /// # Errors
    /// `Url` when it is none of plain HTTP, or has more than a host and a port.
    pub(crate) fn new(url: &str) -> Result<Self, CallError> {
        let parsed: Uri = url.parse().map_err(|_| CallError::Url("is not a URL"))?;
        if parsed.scheme_str() != Some("http") {
            return Err(CallError::Url("does not begin with http://"));
        }
        let authority = parsed.authority().filter(|authority| !authority.host().is_empty()).ok_or(CallError::Url("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(CallError::Url("holds a user, and gateways ask for none in this version"));
        }
        if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() {
            return Err(CallError::Url("has more than a host and a port"));
        }
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
        })
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, CallError> {
        json(&self.whole(request(Method::GET, path, None)?).await?)
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub(crate) async fn post(&self, path: &str, body: Option<&(impl Serialize + Sync)>) -> Result<Value, CallError> {
        json(&self.whole(request(Method::POST, path, body.map(encoded))?).await?)
    }

    /// Asks for something that answers with a text.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub(crate) async fn post_for_text(&self, path: &str) -> Result<String, CallError> {
        let bytes = self.whole(request(Method::POST, path, None)?).await?;
        String::from_utf8(bytes.into()).map_err(|_| CallError::Protocol("the answer is not text".to_owned()))
    }

    /// Reads a resource that streams.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub(crate) async fn stream(&self, path: &str, headers: &[(HeaderName, String)]) -> Result<Streamed, CallError> {
        let mut request = request(Method::GET, path, None)?;
        for (name, value) in headers {
            let value = value.parse().map_err(|_| CallError::Protocol(format!("\"{value}\" cannot be sent in a header")))?;
            request.headers_mut().insert(name.clone(), value);
        }
        let (response, connection) = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok(Streamed { body: response.into_body(), url: self.url(), _connection: connection })
    }

    async fn whole(&self, request: Request<Full<Bytes>>) -> Result<Bytes, CallError> {
        let (response, _connection) = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let collected = response.into_body().collect().await.map_err(|error| lost(&self.url(), error))?;
        Ok(collected.to_bytes())
    }

    async fn refusal(&self, response: Response<Incoming>) -> CallError {
        let status = response.status();
        let bytes = match response.into_body().collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) => return lost(&self.url(), error),
        };
        match serde_json::from_slice(&bytes) {
            Ok(problem) => CallError::Refused(Box::new(problem)),
            Err(_) => CallError::Protocol(format!("{} answers with status {status} and no reason", self.url())),
        }
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), CallError> {
        let failed = |error| CallError::Connection { url: self.url(), error };
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let socket = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(failed(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))),
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(|error| lost(&self.url(), error))?;
        // The answer tells when the connection breaks; nobody else need hear of it.
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        let host = self.authority.parse().map_err(|_| CallError::Url("names no host"))?;
        request.headers_mut().insert(HOST, host);
        let response = sender.send_request(request).await.map_err(|error| lost(&self.url(), error))?;
        Ok((response, connection))
    }

    fn url(&self) -> String {
        format!("http://{}", self.authority)
    }
}

fn request(method: Method, path: &str, body: Option<Bytes>) -> Result<Request<Full<Bytes>>, CallError> {
    let mut request =
        Request::builder().method(method).uri(path).header(USER_AGENT, format!("{COMMAND_LINE}{}", env!("CARGO_PKG_VERSION")));
    request = request.header(ACCEPT, "application/json");
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(Full::new(body.unwrap_or_default())).map_err(|error| CallError::Protocol(format!("the request cannot be made: {error}")))
}

fn encoded(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("texts and numbers are always JSON").into()
}

fn json(bytes: &[u8]) -> Result<Value, CallError> {
    serde_json::from_slice(bytes).map_err(|error| CallError::Protocol(format!("the answer is not JSON: {error}")))
}

/// An answer in its shape.
///
/// # Errors
/// `Protocol` when it has another.
pub(crate) fn shaped<T: DeserializeOwned>(answer: Value) -> Result<T, CallError> {
    serde_json::from_value(answer).map_err(|error| CallError::Protocol(format!("the answer is not what is expected: {error}")))
}

fn lost(url: &str, error: hyper::Error) -> CallError {
    CallError::Connection { url: url.to_owned(), error: io::Error::other(error) }
}

/// A text as one part of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let client = HttpClient::new("http://[::1]:7433/").unwrap();
        assert_eq!((client.authority.as_str(), client.host.as_str(), client.port), ("[::1]:7433", "::1", 7433));
        assert_eq!(HttpClient::new("http://localhost").unwrap().port, 80);
        for (url, fault) in [
            ("https://x", "does not begin with http://"),
            ("127.0.0.1:7433", "does not begin with http://"),
            ("http://u:p@x", "holds a user"),
            ("http://x/api", "has more than a host"),
            ("nonsense here", "is not a URL"),
        ] {
            let told = HttpClient::new(url).unwrap_err().to_string();
            assert!(told.contains(fault), "{url}: {told}");
        }
    }

    #[test]
    fn parts_of_paths_are_escaped() {
        assert_eq!(segment("public.cust"), "public.cust");
        assert_eq!(segment("a/b \"é\"?"), "a%2Fb%20%22%C3%A9%22%3F");
    }
}

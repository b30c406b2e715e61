//! The client side of server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::collections::VecDeque;
use std::io;

use hyper::header::{ACCEPT, HeaderName};
use serde_json::Value;

use super::super::http_client::{CallError, HttpClient, Streamed};

/// The header that says where to go on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The longest line that is taken for one; an event holds two images of a table at the most.
const LONGEST_LINE: usize = 64 << 20;

/// A stream of events that remembers where it is.
pub(super) struct EventSource {
    gateway: HttpClient,
    path: String,
    stream: Option<Streamed>,
    parser: Parser,
    was_connected: bool,
}

impl EventSource {
    /// The events of a resource. Nothing is asked for before the first [`next`](Self::next).
    pub(super) fn new(gateway: HttpClient, path: String) -> Self {
        Self { gateway, path, stream: None, parser: Parser::default(), was_connected: false }
    }

    /// Whether the gateway has answered at least once.
    pub(super) fn was_connected(&self) -> bool {
        self.was_connected
    }

    /// The next event. After an error the stream is taken up again behind the last event that came.
    ///
    /// # Errors
    /// As [`CallError`] says; the end of the stream is one too.
    pub(super) async fn next(&mut self) -> Result<Value, CallError> {
        loop {
            if let Some(data) = self.parser.ready.pop_front() {
                return serde_json::from_str(&data).map_err(|error| CallError::Protocol(format!("an event is not JSON: {error}")));
            }
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    let mut headers = vec![(ACCEPT, "text/event-stream".to_owned())];
                    headers.extend(self.parser.last_id.clone().map(|id| (LAST_EVENT_ID, id)));
                    let stream = self.gateway.stream(&self.path, &headers).await?;
                    self.was_connected = true;
                    self.stream.insert(stream)
                }
            };
            match stream.next().await {
                Ok(Some(bytes)) => self.parser.feed(&bytes)?,
                ended => {
                    self.stream = None;
                    self.parser.forget_partial();
                    ended?;
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the gateway ended the stream");
                    return Err(CallError::Connection { url: "the event stream".to_owned(), error });
                }
            }
        }
    }
}

/// Bytes into the data of events.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    data: Vec<String>,
    id: Option<String>,
    last_id: Option<String>,
    ready: VecDeque<String>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > LONGEST_LINE {
                return Err(CallError::Protocol("an event is too long".to_owned()));
            }
            self.line.extend_from_slice(piece);
            if self.line.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8(line).map_err(|_| CallError::Protocol("an event is not UTF-8".to_owned()))?;
                self.take(line.trim_end_matches(['\n', '\r']));
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &str) {
        if line.is_empty() {
            // An id counts with the block it ends, also when that has no data.
            if let Some(id) = self.id.take() {
                self.last_id = Some(id);
            }
            if !self.data.is_empty() {
                self.ready.push_back(std::mem::take(&mut self.data).join("\n"));
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.data.push(value.to_owned()),
            "id" => self.id = Some(value.to_owned()),
            // Comments, the type, which is in the data too, and whatever else there may be one day.
            _ => {}
        }
    }

    /// What a broken connection left unfinished comes again whole.
    fn forget_partial(&mut self) {
        self.line.clear();
        self.data.clear();
        self.id = None;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_broken_stream_is_taken_up_behind_the_last_event() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let mut asked = Vec::new();
            for events in ["id: 1\ndata: 10\n\nid: 2\n\nid: 3\ndata: 3", "id: 3\ndata: 30\n\n"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                asked.push(String::from_utf8_lossy(&request[..length]).to_lowercase());
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
                stream.write_all(format!("{head}{events}").as_bytes()).await.unwrap();
            }
            asked
        });
        let mut source = EventSource::new(HttpClient::new(&url).unwrap(), "/api/v1/events?after=0".to_owned());
        assert!(!source.was_connected());
        assert_eq!(source.next().await.unwrap(), 10);
        let error = source.next().await.unwrap_err();
        assert!(error.is_passing() && source.was_connected(), "{error}");
        assert_eq!(source.next().await.unwrap(), 30);
        let asked = serving.await.unwrap();
        assert!(asked[0].starts_with("get /api/v1/events?after=0 ") && !asked[0].contains("last-event-id"), "{}", asked[0]);
        assert!(asked[1].contains("last-event-id: 2\r\n"), "{}", asked[1]);
    }

    fn parsed(pieces: &[&str]) -> (Vec<String>, Option<String>) {
        let mut parser = Parser::default();
        for piece in pieces {
            parser.feed(piece.as_bytes()).unwrap();
        }
        (parser.ready.into(), parser.last_id)
    }

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text = ": hello\n\nid: 1\nevent: x\ndata: {\"a\":\ndata: 1}\n\nid: 2\n\nid:3\r\ndata:b\r\n\r\n";
        let expected = (vec!["{\"a\":\n1}".to_owned(), "b".to_owned()], Some("3".to_owned()));
        assert_eq!(parsed(&[text]), expected);
        let pieces: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(parsed(&pieces.iter().map(String::as_str).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn what_is_not_finished_does_not_count() {
        assert_eq!(parsed(&["id: 1\ndata: a\n\nid: 2\ndata: b\n"]), (vec!["a".to_owned()], Some("1".to_owned())));
        let mut parser = Parser::default();
        parser.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b").unwrap();
        parser.forget_partial();
        parser.feed(b"id: 2\ndata: c\n\n").unwrap();
        assert_eq!((Vec::from(parser.ready), parser.last_id), (vec!["a".to_owned(), "c".to_owned()], Some("2".to_owned())));
    }
}

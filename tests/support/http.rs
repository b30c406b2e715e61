//! The gateway's HTTP endpoint, asked by hand: one connection per request, so that a test sees what is sent and nothing is retried.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::gateway::Gateway;

impl Gateway {
    /// Sends a request to the API; gives the status and the body.
    ///
    /// # Panics
    /// When it does not answer in full.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let address = self.url().trim_start_matches("http://").to_owned();
        let mut socket = TcpStream::connect(&address).expect("the endpoint listens");
        let body = body.to_string();
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        socket.write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("the endpoint takes a request");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the endpoint answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("an answer has a status"), body.to_owned())
    }
}

/// The stream of server-sent events of a gateway.
#[derive(Debug)]
pub struct EventStream(BufReader<TcpStream>);

impl EventStream {
    /// Asks `address` for the events after number `after`, as a client does that comes back.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(address: &str, after: i64) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        let head = format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\nLast-Event-ID: {after}\r\n\r\n");
        socket.write_all(head.as_bytes())?;
        Ok(Self(BufReader::new(socket)))
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// When the stream ends, also in the middle of an event.
    pub fn receive(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // Comments, numbers and what frames the answer's pieces are other lines.
            if let Some(data) = line.strip_prefix("data:") {
                return serde_json::from_str(data).map_err(io::Error::other);
            }
        }
    }
}

/// A receiver of webhooks that refuses some deliveries, and keeps what it took.
#[derive(Debug)]
pub struct WebhookReceiver {
    url: String,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl WebhookReceiver {
    /// Listens on a free port until the process ends; of each `refused` deliveries it refuses one.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(refused: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}/hook", listener.local_addr().expect("a bound socket has an address"));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        thread::spawn(move || {
            let mut asked = 0_u32;
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                // A delivery that was cut off is none.
                let _ = receive(socket, refused, &mut asked, &kept);
            }
        });
        Self { url, taken }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The events it has taken, in the order they came.
    pub fn taken(&self) -> Vec<Value> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers one request and closes.
fn receive(socket: TcpStream, refused: u32, asked: &mut u32, taken: &Mutex<Vec<Value>>) -> io::Result<()> {
    let mut reader = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let event = serde_json::from_slice(&body).map_err(io::Error::other)?;
    *asked += 1;
    let refuses = asked.is_multiple_of(refused);
    if !refuses {
        taken.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
    let status = if refuses { "503 Service Unavailable" } else { "200 OK" };
    write!(reader.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

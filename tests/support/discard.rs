//! A Postgres client that reads results as fast as the socket gives them and keeps nothing but counts.
//!
//! It parses message headers only, so that what is measured with it is the server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Which of the two query protocols to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One `Query` message, text results.
    Simple,
    /// `Parse`, `Bind`, `Execute`, with binary results.
    ExtendedBinary,
}

/// What came back for one statement.
#[derive(Debug, Clone)]
pub struct Received {
    /// How many rows.
    pub rows: u64,
    /// How many bytes of row messages, headers included.
    pub bytes: u64,
    /// From sending the statement to the first row, when there was one.
    pub first_row: Option<Duration>,
    /// From sending the statement to the end of its result.
    pub total: Duration,
    /// The SQLSTATE of the error that ended it, and its text: message and detail.
    pub error: Option<(String, String)>,
}

/// A connection to a server that asks for no password.
#[derive(Debug)]
pub struct DiscardingClient {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    process: i32,
    secret: i32,
}

/// The right to cancel what one connection runs.
#[derive(Debug, Clone, Copy)]
pub struct Canceller {
    server: SocketAddr,
    process: i32,
    secret: i32,
}

impl Canceller {
    /// Sends a `CancelRequest` over a connection of its own, as the protocol wants.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn cancel(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.server)?;
        let words = [16, 80_877_102, self.process, self.secret];
        stream.write_all(&words.map(i32::to_be_bytes).concat())?;
        // The server closes the connection when it has dealt with the request.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).map(|_| ())
    }
}

impl DiscardingClient {
    /// Connects to the loopback interface.
    ///
    /// # Errors
    /// When there is no server, or it refuses, or it wants a password.
    pub fn connect(port: u16, database: &str, user: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        let mut client = Self { stream, buffer: vec![0; 256 * 1024], start: 0, end: 0, process: 0, secret: 0 };
        let mut body = 196_608_i32.to_be_bytes().to_vec();
        for word in ["user", user, "database", database, ""] {
            body.extend(word.as_bytes());
            body.push(0);
        }
        client.send(None, &body)?;
        loop {
            let (kind, length) = client.header()?;
            let body = client.body(length)?;
            match kind {
                b'R' if body.starts_with(&[0, 0, 0, 0]) => {}
                b'R' => return Err(io::Error::new(io::ErrorKind::Unsupported, "the server wants a password")),
                b'E' => return Err(io::Error::other(error_fields(&body).1)),
                b'K' if body.len() >= 8 => {
                    client.process = number(&body[..4]);
                    client.secret = number(&body[4..8]);
                }
                b'Z' => return Ok(client),
                _ => {}
            }
        }
    }

    /// Runs a statement and discards its rows.
    ///
    /// # Errors
    /// When the connection breaks; an error of the statement is part of what is received.
    pub fn run(&mut self, sql: &str, protocol: Protocol) -> io::Result<Received> {
        self.run_and_tell(sql, protocol, || {})
    }

    /// As [`run`](Self::run); calls `at_first_row` when the first row is here.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn run_and_tell(&mut self, sql: &str, protocol: Protocol, at_first_row: impl FnOnce()) -> io::Result<Received> {
        let mut at_first_row = Some(at_first_row);
        let start = Instant::now();
        self.begin(sql, protocol)?;
        let mut received = Received { rows: 0, bytes: 0, first_row: None, total: Duration::ZERO, error: None };
        loop {
            let (kind, length) = self.header()?;
            match kind {
                b'D' => {
                    received.first_row.get_or_insert_with(|| start.elapsed());
                    if let Some(tell) = at_first_row.take() {
                        tell();
                    }
                    received.rows += 1;
                    received.bytes += length as u64 + 5;
                    self.skip(length)?;
                }
                b'E' => received.error = Some(error_fields(&self.body(length)?)),
                b'Z' => {
                    self.skip(length)?;
                    received.total = start.elapsed();
                    return Ok(received);
                }
                _ => self.skip(length)?,
            }
        }
    }

    /// Sends a statement and waits for its first row only. Whatever follows is left unread.
    ///
    /// # Errors
    /// When the connection breaks or the statement ends without a row.
    pub fn first_row(&mut self, sql: &str, protocol: Protocol) -> io::Result<Duration> {
        let start = Instant::now();
        self.begin(sql, protocol)?;
        loop {
            let (kind, length) = self.header()?;
            match kind {
                b'D' => return Ok(start.elapsed()),
                b'E' => return Err(io::Error::other(error_fields(&self.body(length)?).1)),
                b'Z' => return Err(io::Error::other("the statement gave no row")),
                _ => self.skip(length)?,
            }
        }
    }

    /// Sends a statement and waits for nothing.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn begin(&mut self, sql: &str, protocol: Protocol) -> io::Result<()> {
        let text = [sql.as_bytes(), &[0]].concat();
        match protocol {
            Protocol::Simple => self.send(Some(b'Q'), &text),
            Protocol::ExtendedBinary => {
                self.send(Some(b'P'), &[&[0], &text[..], &[0, 0]].concat())?;
                // Unnamed portal and statement, no parameter formats, no parameters, one result format: binary.
                self.send(Some(b'B'), &[0, 0, 0, 0, 0, 0, 0, 1, 0, 1])?;
                self.send(Some(b'E'), &[0, 0, 0, 0, 0])?;
                self.send(Some(b'S'), &[])
            }
        }
    }

    /// What cancels the statement this connection runs, usable from another thread.
    ///
    /// # Panics
    /// When the connection is gone.
    pub fn canceller(&self) -> Canceller {
        let server = self.stream.peer_addr().expect("a connected socket has a peer");
        Canceller { server, process: self.process, secret: self.secret }
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let length = i32::try_from(body.len() + 4).map_err(io::Error::other)?;
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend(length.to_be_bytes());
        message.extend(body);
        self.stream.write_all(&message)
    }

    /// The kind of the next message and the length of its body.
    fn header(&mut self) -> io::Result<(u8, usize)> {
        while self.end - self.start < 5 {
            self.fill()?;
        }
        let header = &self.buffer[self.start..self.start + 5];
        let (kind, length) = (header[0], number(&header[1..]));
        self.start += 5;
        let length = usize::try_from(length - 4).map_err(|_| io::Error::other("a message with a negative length"))?;
        Ok((kind, length))
    }

    fn body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = Vec::with_capacity(length);
        while body.len() < length {
            if self.start == self.end {
                self.fill()?;
            }
            let taken = (length - body.len()).min(self.end - self.start);
            body.extend(&self.buffer[self.start..self.start + taken]);
            self.start += taken;
        }
        Ok(body)
    }

    fn skip(&mut self, mut length: usize) -> io::Result<()> {
        while length > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let taken = length.min(self.end - self.start);
            self.start += taken;
            length -= taken;
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                // A signal for this process says nothing about the socket.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += read;
        Ok(())
    }
}

fn number(bytes: &[u8]) -> i32 {
    bytes.iter().fold(0, |number, byte| (number << 8) | i32::from(*byte))
}

/// The SQLSTATE of an `ErrorResponse`, and its message and detail as one text.
fn error_fields(body: &[u8]) -> (String, String) {
    let field = |kind: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&kind));
        found.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    };
    let (message, detail) = (field(b'M'), field(b'D'));
    let text = if detail.is_empty() { message } else { format!("{message} ({detail})") };
    (field(b'C'), text)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    #[test]
    fn rows_are_counted_across_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut scratch = [0; 1024];
            let _ = stream.read(&mut scratch).unwrap();
            stream
                .write_all(&[message(b'R', &[0; 4]), message(b'K', &[0, 0, 0, 7, 255, 255, 255, 255]), message(b'Z', b"I")].concat())
                .unwrap();
            let _ = stream.read(&mut scratch).unwrap();
            let rows = [message(b'T', b"x"), message(b'D', &[9; 300_000]).repeat(3), message(b'D', &[])].concat();
            for piece in rows.chunks(100_001) {
                stream.write_all(piece).unwrap();
            }
            stream.write_all(&[message(b'E', b"SERROR\0C57014\0Mgone\0Dfar away\0\0"), message(b'Z', b"I")].concat()).unwrap();
        });
        let mut client = DiscardingClient::connect(port, "d", "u").unwrap();
        assert_eq!((client.process, client.secret), (7, -1));
        let received = client.run("SELECT 1", Protocol::Simple).unwrap();
        assert_eq!((received.rows, received.bytes), (4, 3 * 300_005 + 5));
        assert_eq!(received.error, Some(("57014".to_owned(), "gone (far away)".to_owned())));
        assert!(received.first_row.unwrap() <= received.total);
        server.join().unwrap();
        assert!(client.run("SELECT 1", Protocol::Simple).is_err());
    }
}

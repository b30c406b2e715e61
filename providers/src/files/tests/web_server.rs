//! Web servers, in the clear and with TLS.

use std::process::Command;
use std::sync::Mutex;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::choosing::gzip;
use super::*;
use crate::skip::skip;

/// Whether a server answers requests for parts of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    Given,
    Refused,
}

/// Whether a server answers `HEAD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heads {
    Given,
    /// Answered by this instead.
    Refused(&'static str),
}

/// Files by path, and what was asked for.
#[derive(Debug)]
struct Site {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    parts: Parts,
    heads: Heads,
    requests: Mutex<Vec<String>>,
}

impl Site {
    fn new(parts: Parts) -> Arc<Self> {
        Self::with(parts, Heads::Given)
    }

    fn with(parts: Parts, heads: Heads) -> Arc<Self> {
        Arc::new(Self { files: Mutex::default(), parts, heads, requests: Mutex::default() })
    }

    fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    /// Serves in the background, and says where.
    async fn serve(self: &Arc<Self>, tls: Option<TlsAcceptor>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (site, tls) = (Arc::clone(&site), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => site.answer(socket).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                site.answer(socket).await;
                            }
                        }
                    }
                });
            }
        });
        port
    }

    /// One request and its answer.
    async fn answer(&self, mut socket: impl AsyncRead + AsyncWrite + Unpin) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else { return };
            request.push(byte);
        }
        let request = String::from_utf8(request).unwrap();
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        self.requests.lock().unwrap().push(format!("{method} {path}"));
        let range = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let range = range.filter(|_| self.parts == Parts::Given);
        let file = self.files.lock().unwrap().get(path).cloned();
        let refusal = match self.heads {
            Heads::Refused(status) if method == "HEAD" => Some(status),
            Heads::Refused(_) | Heads::Given => None,
        };
        let (head, body) = match (file, range) {
            _ if refusal.is_some() => (refusal.unwrap_or_default().to_owned(), Vec::new()),
            _ if path.starts_with("/closed/") => ("403 Forbidden".to_owned(), Vec::new()),
            (None, _) => ("404 Not Found".to_owned(), Vec::new()),
            (Some(bytes), None) => ("200 OK".to_owned(), bytes),
            (Some(bytes), Some(range)) => {
                let (from, to) = range.split_once('-').unwrap();
                let from: usize = if from.is_empty() { bytes.len() - to.parse::<usize>().unwrap() } else { from.parse().unwrap() };
                let to: usize = to.parse::<usize>().map_or(bytes.len(), |to| (to + 1).min(bytes.len()));
                assert!(from < to, "nothing here asks for a part of nothing");
                let head = format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{}", to - 1, bytes.len());
                (head, bytes[from..to].to_vec())
            }
        };
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let body = if method == "HEAD" { Vec::new() } else { body };
        // The client may have read enough.
        let _ = socket.write_all(&[head.into_bytes(), body].concat()).await;
        let _ = socket.shutdown().await;
    }
}

fn numbers(count: i64) -> Vec<u8> {
    parquet(vec![("n", Arc::new(Int64Array::from_iter_values(0..count)) as ArrayRef)])
}

#[tokio::test]
async fn a_file_of_a_server_is_a_table() {
    let site = Site::new(Parts::Given);
    site.put("/data/n%20umbers.parquet", numbers(50_000));
    let port = site.serve(None).await;
    let path = format!("http://127.0.0.1:{port}/data/n%20umbers.parquet");
    let remote = open(&path, &[("allow_http", "true")], |_| {}).await.unwrap();
    let context = context(&remote).await;
    assert_eq!(cells(&query(&context, "SELECT sum(n), count(*) FROM \"n umbers\" WHERE n > 49997").await.unwrap()), [["99997", "2"]]);
    assert_eq!(remote.ping(soon()).await.unwrap().product, "web server");

    // Nothing is kept of a file that its server does not tell the age of.
    site.put("/data/n%20umbers.parquet", numbers(49_999));
    assert_eq!(cells(&query(&context, "SELECT count(*) FROM \"n umbers\"").await.unwrap()), [["49999"]]);
    let methods = site.requests.lock().unwrap().iter().map(|request| request.split_once(' ').unwrap().0.to_owned()).collect::<Vec<_>>();
    assert!(methods.iter().all(|method| method == "GET" || method == "HEAD"), "{methods:?}");

    let missing = open(&format!("http://127.0.0.1:{port}/data/other.csv"), &[("allow_http", "true")], |_| {}).await.unwrap();
    assert_eq!(missing.introspect(&Scope::default(), soon()).await.unwrap().tables, []);
}

#[tokio::test]
async fn a_server_need_not_tell_of_a_file_to_give_it() {
    let refusals = ["405 Method Not Allowed", "501 Not Implemented", "400 Bad Request", "403 Forbidden", "404 Not Found"];
    let servers = [Parts::Given, Parts::Refused].into_iter().flat_map(|parts| refusals.map(|status| (parts, status)));
    for (parts, status) in servers {
        let site = Site::with(parts, Heads::Refused(status));
        site.put("/a.csv", "id,v\n1,x\n2,y\n");
        site.put("/p.parquet", numbers(3));
        let port = site.serve(None).await;
        let globs = "a = a.csv\np = p.parquet\ngone = gone.csv\nshut = closed/a.csv";
        let remote = open(&format!("http://127.0.0.1:{port}/"), &[("allow_http", "true"), ("globs", globs)], |_| {}).await.unwrap();
        let seen = remote.introspect(&Scope::default(), soon()).await.unwrap();
        let names: Vec<&str> = seen.tables.iter().map(|table| table.name.as_str()).collect();
        let omitted: Vec<String> = seen.omitted.iter().map(|o| format!("{}: {}", o.subject, o.reason)).collect();
        assert!(omitted.contains(&"gone.csv: no file is there for the table \"gone\"".to_owned()), "{parts:?}: {omitted:?}");
        assert!(seen.omitted.iter().any(|o| o.subject == "shut" && o.cause == OmissionCause::Unreadable), "{parts:?}: {omitted:?}");
        let context = context(&remote).await;
        assert_eq!(cells(&query(&context, "SELECT sum(id), min(v) FROM a").await.unwrap()), [["3", "x"]], "{parts:?}");
        if parts == Parts::Given {
            assert_eq!(names, ["a", "p"]);
            assert_eq!(cells(&query(&context, "SELECT sum(n) FROM p").await.unwrap()), [["3"]]);
        }
        let heads = site.requests.lock().unwrap().iter().filter(|request| request.starts_with("HEAD")).count();
        assert!(heads <= 4, "what is refused is not asked for again and again: {heads} {status}");
    }
}

#[tokio::test]
async fn globs_name_the_files_of_a_server() {
    let site = Site::new(Parts::Refused);
    let long: String = (0..400_000).map(|id| format!("{id},some text\n")).collect();
    site.put("/d/a.csv", format!("id,v\n{long}"));
    site.put("/d/x/b.jsonl.gz", gzip(b"{\"id\": 7}\n").await);
    site.put("/d/p.parquet", numbers(3));
    let port = site.serve(None).await;
    let path = format!("http://127.0.0.1:{port}/d/");
    let globs = "a = a.csv\nb = x/b.jsonl.gz\np = p.parquet\ngone = gone.csv";
    let remote = open(&path, &[("allow_http", "true"), ("globs", globs)], |_| {}).await.unwrap();
    let seen = remote.introspect(&Scope::default(), soon()).await.unwrap();
    let omitted: Vec<String> = seen.omitted.iter().map(|o| format!("{}: {}", o.subject, o.reason)).collect();
    assert_eq!(omitted.len(), 2, "{omitted:?}");
    assert_eq!(omitted[0], "gone.csv: no file is there for the table \"gone\"");
    assert!(omitted[1].starts_with("p.parquet: ") && omitted[1].contains("gives no part of a file"), "{omitted:?}");
    let context = context(&remote).await;
    let sums = "SELECT (SELECT sum(id) FROM a), (SELECT sum(id) FROM b)";
    assert_eq!(cells(&query(&context, sums).await.unwrap()), [["79999800000", "7"]]);

    let wild = checked(&path, &[("allow_http", "true"), ("globs", "a = *.csv")]).unwrap_err();
    assert!(wild[0].key == "globs" && wild[0].message.contains("*.csv"), "{wild:?}");
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_a_table_that_may_not() {
    let site = Site::new(Parts::Given);
    site.put("/open.csv", "id\n1\n");
    let port = site.serve(None).await;
    let options = [("allow_http", "true"), ("globs", "open = open.csv; shut = closed/a.csv")];
    let remote = open(&format!("http://127.0.0.1:{port}"), &options, |_| {}).await.unwrap();
    let seen = remote.introspect(&Scope::default(), soon()).await.unwrap();
    assert_eq!(seen.tables.len(), 1, "{seen:?}");
    let omitted: Vec<_> = seen.omitted.iter().map(|omission| (omission.subject.as_str(), omission.cause)).collect();
    assert_eq!(omitted, [("shut", OmissionCause::Unreadable)]);
}

#[tokio::test]
async fn tls_needs_a_certificate_that_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        Command::new("openssl").args(line.split(' ')).current_dir(folder.path()).output().is_ok_and(|output| output.status.success())
    };
    fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    let made = run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-authority")
        && run("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server")
        && run("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names");
    if !made {
        skip("openssl", "apt-get install -y openssl");
        return;
    }
    let file = |name: &str| folder.path().join(name);
    let certificate = CertificateDer::from_pem_file(file("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let site = Site::new(Parts::Given);
    site.put("/t.csv", "id\n5\n");
    let port = site.serve(Some(TlsAcceptor::from(Arc::new(config)))).await;

    let path = format!("https://127.0.0.1:{port}/t.csv");
    let hasty = |options: &mut Options| options.pool.connect_timeout = Duration::from_secs(2);
    let error = open(&path, &[], hasty).await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::Unreachable, Some("lake")), "{error:?}");
    let authority = file("ca.crt");
    let remote = open(&path, &[("sslrootcert", authority.to_str().unwrap())], hasty).await.unwrap();
    assert_eq!(cells(&query(&context(&remote).await, "SELECT id FROM t").await.unwrap()), [["5"]]);
    for wrong in ["server.key", "nothing"] {
        let error = open(&path, &[("sslrootcert", file(wrong).to_str().unwrap())], hasty).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.message().contains(wrong), "{error}");
    }
}

//! Webhooks against a server of HTTP that answers as it is told and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use causeway_catalog::{Event, Patience, SubscriberKind, SubscriberState, SubscriptionId, Verdict};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::*;

const SECRET: &[u8] = b"a secret of twenty-four.";

/// One request as it arrived.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Gives each request the next answer, the last one again and again. An empty answer is none at all.
struct Receiver {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Receiver {
    async fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (requests, answers) = (Arc::clone(&asked), answers.iter().map(|answer| (*answer).to_owned()).collect::<Vec<_>>());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, Arc::clone(&requests), answers.clone()));
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}/hook?of=mine", self.address)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn converse(mut socket: TcpStream, requests: Arc<Mutex<Vec<Asked>>>, answers: Vec<String>) {
    while let Some(asked) = request(&mut socket).await {
        let number = {
            let mut requests = requests.lock().unwrap();
            requests.push(asked);
            requests.len() - 1
        };
        let answer = &answers[number.min(answers.len() - 1)];
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn request(socket: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
        if head[0] != b'P' {
            // Whoever begins with TLS finds that this is none.
            return None;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().to_owned();
    let headers: BTreeMap<String, String> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    socket.read_exact(&mut body).await.ok()?;
    Some(Asked { line, headers, body: String::from_utf8(body).unwrap() })
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n")
}

fn event() -> Event {
    Event {
        sequence: 7,
        id: Uuid::from_u128(7),
        kind: "external.schema.drift".to_owned(),
        environment: "default".to_owned(),
        datasource: Some("crm".to_owned()),
        subject: Some("public.cust".to_owned()),
        time: SystemTime::now(),
        actor: None,
        data: json!({"größe": 1}),
    }
}

fn subscriber(url: &str, secret: Option<&str>) -> Subscriber {
    Subscriber {
        name: "hook".to_owned(),
        id: SubscriptionId::default(),
        kind: SubscriberKind::Webhook,
        target: url.to_owned(),
        secret: secret.map(str::to_owned),
        types: Vec::new(),
        state: SubscriberState::Waiting,
        position: 0,
        attempts: 0,
        retry_at: None,
        last_error: None,
    }
}

/// A folder with the secret in the file `secret`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), format!("whsec_{}\n", STANDARD.encode(SECRET))).unwrap();
    folder
}

async fn deliver(url: &str, secret: Option<&str>, timeout: Duration) -> Result<(), causeway_catalog::Refusal> {
    let folder = folder();
    let target = Webhooks::with_timeout(SigningSecrets::new(folder.path().to_owned()), timeout).unwrap().webhook(&subscriber(url, secret));
    assert_eq!((target.batch(), target.patience()), (1, Patience::Limited));
    target.deliver(&[event()]).await
}

const PATIENT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_event_arrives_as_a_signed_cloud_event() {
    let receiver = Receiver::answering(&[&status("204 No Content")]).await;
    deliver(&receiver.url(), Some("file:secret"), PATIENT).await.unwrap();
    let [asked] = <[Asked; 1]>::try_from(receiver.asked()).unwrap();
    assert_eq!(asked.line, "POST /hook?of=mine HTTP/1.1");
    assert_eq!(asked.headers["content-type"], "application/cloudevents+json; charset=utf-8");
    let sent: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!((&sent["type"], &sent["sequence"], &sent["data"]["größe"]), (&json!("external.schema.drift"), &json!(7), &json!(1)));
    assert_eq!(sent["id"], asked.headers["webhook-id"]);

    // As a receiver checks it, from what arrived alone.
    let timestamp: u64 = asked.headers["webhook-timestamp"].parse().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(timestamp) < 300);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(format!("{}.{}.{}", asked.headers["webhook-id"], asked.headers["webhook-timestamp"], asked.body).as_bytes());
    let signature = asked.headers["webhook-signature"].strip_prefix("v1,").unwrap();
    mac.verify_slice(&STANDARD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn a_failure_is_told_with_its_status_and_the_next_attempt_has_the_same_id() {
    let receiver = Receiver::answering(&[&status("500 Internal Server Error"), &status("200 OK")]).await;
    let refusal = deliver(&receiver.url(), None, PATIENT).await.unwrap_err();
    assert_eq!((refusal.verdict, refusal.message.as_str()), (Verdict::Unavailable, "it answered 500 Internal Server Error"));
    deliver(&receiver.url(), None, PATIENT).await.unwrap();
    let asked = receiver.asked();
    assert_eq!(asked[0].headers["webhook-id"], asked[1].headers["webhook-id"]);
    assert!(!asked[0].headers.contains_key("webhook-signature"), "there is no secret to sign with");
}

#[tokio::test]
async fn gone_is_for_good_and_a_redirect_is_not_followed() {
    let receiver = Receiver::answering(&[&status("410 Gone")]).await;
    assert_eq!(deliver(&receiver.url(), None, PATIENT).await.unwrap_err().verdict, Verdict::Gone);
    let elsewhere = Receiver::answering(&[&status("200 OK")]).await;
    let redirect = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
    let receiver = Receiver::answering(&[&redirect]).await;
    let refusal = deliver(&receiver.url(), None, PATIENT).await.unwrap_err();
    assert_eq!(refusal.message, "it answered 307 Temporary Redirect; redirects are not followed");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn one_that_does_not_answer_is_given_up_in_time() {
    let receiver = Receiver::answering(&[""]).await;
    let refusal = deliver(&receiver.url(), None, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(refusal.verdict, Verdict::Unavailable);
    assert!(refusal.message.starts_with("it did not answer in time"), "{}", refusal.message);
    assert_eq!(receiver.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_without_end_is_taken_for_its_status() {
    let endless =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", format!("4000\r\n{}\r\n", "x".repeat(0x4000)).repeat(8));
    let receiver = Receiver::answering(&[&endless]).await;
    deliver(&receiver.url(), None, PATIENT).await.unwrap();
}

#[tokio::test]
async fn no_refusal_shows_a_secret_or_the_credentials_of_a_url() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plain = Receiver::answering(&[&status("200 OK")]).await;
    for (url, secret) in [
        (format!("http://ana:hunter2@{closed}/"), None),
        (format!("https://ana:hunter2@{}/", plain.address), None),
        ("ftp://ana:hunter2@nowhere/".to_owned(), None),
        ("http://ana:hunter2@:0:0/".to_owned(), None),
        (plain.url(), Some("file:absent-hunter")),
        (plain.url(), Some("env:NO_SUCH_VARIABLE_FOR_WEBHOOKS")),
        (plain.url(), Some("whsec_hunter2")),
    ] {
        let refusal = deliver(&url, secret, PATIENT).await.unwrap_err();
        assert_eq!(refusal.verdict, Verdict::Unavailable, "{url}");
        assert!(!refusal.message.contains("hunter2") && !refusal.message.contains("ana"), "{url}: {}", refusal.message);
    }
    assert!(plain.asked().is_empty(), "nothing leaves unsigned that is to be signed");
}

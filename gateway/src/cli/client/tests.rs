//! The client against scripted servers.

use pgwire::messages::data::FieldDescription;
use pgwire::messages::response::{CommandComplete, NoticeResponse, ReadyForQuery, TransactionStatus};
use tokio::net::TcpListener;

use super::*;

fn ready(bytes: &mut BytesMut) {
    ReadyForQuery::new(TransactionStatus::Idle).encode(bytes).unwrap();
}

/// A server that answers the start-up with `greeting`, every message after it with `answer`, and then closes.
async fn server(greeting: BytesMut, answer: BytesMut) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = [0; 1024];
        for bytes in [greeting, answer] {
            if stream.read(&mut received).await.unwrap() == 0 {
                return;
            }
            // In two pieces, since a message may arrive in any.
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            stream.write_all(head).await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(tail).await.unwrap();
        }
    });
    address
}

fn welcome() -> BytesMut {
    let mut bytes = BytesMut::new();
    Authentication::Ok.encode(&mut bytes).unwrap();
    ready(&mut bytes);
    bytes
}

fn refused(code: &str) -> BytesMut {
    let fields = [(b'S', "ERROR"), (b'C', code), (b'M', "no such thing"), (b'H', "try another")];
    let mut bytes = BytesMut::new();
    ErrorResponse::new(fields.into_iter().map(|(field, value)| (field, value.to_owned())).collect()).encode(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn rows_and_nulls_come_with_their_columns() {
    let mut answer = BytesMut::new();
    let field = |name: &str, type_id| FieldDescription::new(name.to_owned(), 0, 0, type_id, 8, -1, 0);
    RowDescription::new(vec![field("n", 20), field("t", 25)]).encode(&mut answer).unwrap();
    let data: &[u8] = b"\0\0\0\x0242\xff\xff\xff\xff";
    DataRow::new(BytesMut::from(data), 2).encode(&mut answer).unwrap();
    NoticeResponse::new(vec![(b'M', "by the way".to_owned())]).encode(&mut answer).unwrap();
    CommandComplete::new("SELECT 1".to_owned()).encode(&mut answer).unwrap();
    ready(&mut answer);
    let mut client = Client::connect(&server(welcome(), answer).await, "ana", "default").await.unwrap();
    let answers = client.query("SELECT 42 AS n, NULL AS t").await.unwrap();
    let columns = [("n", 20), ("t", 25)].map(|(name, type_id)| Column { name: name.to_owned(), type_id });
    let rows = vec![vec![Some("42".to_owned()), None]];
    let notices = vec!["by the way".to_owned()];
    let expected = Answer { columns: columns.into(), rows, tag: "SELECT 1".to_owned(), notices };
    assert_eq!(answers, [expected]);
}

#[tokio::test]
async fn an_error_keeps_its_code_and_hint() {
    let mut answer = refused("42P01");
    ready(&mut answer);
    let mut client = Client::connect(&server(welcome(), answer).await, "ana", "default").await.unwrap();
    let error = client.query("SELECT * FROM nowhere").await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hint()), ("no such thing (42P01)", Some("try another")));
    let error = Client::connect(&server(refused("3D000"), BytesMut::new()).await, "ana", "nowhere").await.unwrap_err();
    assert_eq!(error.to_string(), "no such thing (3D000)");
}

#[tokio::test]
async fn a_lost_connection_and_a_short_row_are_errors() {
    let mut client = Client::connect(&server(welcome(), BytesMut::new()).await, "ana", "default").await.unwrap();
    assert!(matches!(client.query("SELECT 1").await, Err(ClientError::Connection { .. })));

    let mut short = BytesMut::new();
    DataRow::new(BytesMut::from(&b"\0\0\0\x09x"[..]), 1).encode(&mut short).unwrap();
    let mut client = Client::connect(&server(welcome(), short).await, "ana", "default").await.unwrap();
    assert!(matches!(client.query("SELECT 1").await, Err(ClientError::Protocol(_))));

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Client::connect(&free.to_string(), "ana", "default").await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached") && error.hint().is_some());
}

//! Servers that end a result too soon, say why behind it, or are none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::ipc::writer::StreamWriter;

use super::server::{cells, options, ours};
use crate::clickhouse::ClickHouseRemote;
use crate::error::ErrorKind;

/// The mark behind the last batch.
const END: [u8; 8] = [255, 255, 255, 255, 0, 0, 0, 0];

/// A whole result, end and all.
fn whole(column: Arc<dyn datafusion::arrow::array::Array>) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("c", column.data_type().clone(), true)]));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![column]).unwrap()).unwrap();
    writer.finish().unwrap();
    let bytes = writer.into_inner().unwrap();
    assert!(bytes.ends_with(&END));
    bytes
}

fn chunked(parts: &[&[u8]]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in parts {
        answer.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        answer.extend_from_slice(part);
        answer.extend_from_slice(b"\r\n");
    }
    answer
}

/// A server that tells its version and then gives this answer to everything, and closes.
fn server(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let version = datafusion::arrow::array::BinaryArray::from_vec(vec![b"26.9"]);
    let version = chunked(&[&whole(Arc::new(version)), b""]);
    std::thread::spawn(move || {
        for (at, socket) in listener.incoming().enumerate() {
            let mut socket = socket.unwrap();
            let mut asked = [0; 16 << 10];
            // One connection carries the version and, after it, what is asked for.
            let answers = if at == 0 { vec![&version, &answer] } else { vec![&answer] };
            for answer in answers {
                let read = socket.read(&mut asked).unwrap();
                if read == 0 || socket.write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    port
}

async fn answered(answer: Vec<u8>) -> Result<usize, (ErrorKind, String)> {
    answered_as(answer, DataType::Int64).await
}

async fn answered_as(answer: Vec<u8>, data_type: DataType) -> Result<usize, (ErrorKind, String)> {
    let remote = Arc::new(ClickHouseRemote::open(&options(server(answer), &[], "")).await.unwrap());
    let rows = cells(&remote, "SELECT 1", &[data_type]).await;
    rows.map(|rows| rows.len()).map_err(|error| (ours(&error).kind(), ours(&error).with_causes()))
}

#[tokio::test]
async fn only_the_mark_of_the_end_ends_a_result() {
    let rows = whole(Arc::new(Int64Array::from(vec![1, 2, 3])));
    let open = &rows[..rows.len() - END.len()];
    assert_eq!(answered(chunked(&[&rows, b""])).await, Ok(3));
    // The body ends as it should, the result does not.
    for parts in [&[open, b"".as_slice()][..], &[&rows[..rows.len() - 4], b""], &[&open[..open.len() - 9], b""], &[b""]] {
        assert_eq!(answered(chunked(parts)).await.unwrap_err().0, ErrorKind::Unreachable);
    }
    // The connection ends first.
    assert_eq!(answered(chunked(&[open])).await.unwrap_err().0, ErrorKind::Unreachable);
    // Values that look like the mark.
    let mark = i64::from_le_bytes(END);
    let alike = whole(Arc::new(Int64Array::from(vec![mark; 8])));
    let cut = &alike[..alike.len() - END.len()];
    assert!(cut.ends_with(&END));
    assert_eq!(answered(chunked(&[&alike, b""])).await, Ok(8));
    assert_eq!(answered(chunked(&[cut, b""])).await.unwrap_err().0, ErrorKind::Unreachable);
}

#[tokio::test]
async fn what_the_server_says_behind_the_rows_is_told() {
    let rows = whole(Arc::new(Int64Array::from(vec![1, 2, 3])));
    let open = &rows[..rows.len() - END.len()];
    let told = b"Code: 241. DB::Exception: Memory limit exceeded: would use 9 GiB. (MEMORY_LIMIT_EXCEEDED) (version 26.9.2.1)\n";
    let marked = [b"\r\n__exception__\r\nabc\r\n".as_slice(), told, b"109 abc\r\n__exception__\r\n"].concat();
    let cases: [&[&[u8]]; 5] = [
        // As plain text, in a message that it began, behind the end, with and without the end of the body.
        &[open, told, b""],
        &[open, &marked, b""],
        &[open, &[255, 255, 255, 255, 200, 0, 0, 0], told, b""],
        &[&rows, told, b""],
        &[open, &marked],
    ];
    for (at, parts) in cases.iter().enumerate() {
        let (kind, text) = answered(chunked(parts)).await.unwrap_err();
        assert_eq!(kind, ErrorKind::LimitExceeded, "case {at}: {text}");
        assert!(text.contains("Memory limit exceeded"), "case {at}: {text}");
    }
}

#[tokio::test]
async fn what_is_no_clickhouse_server_is_told() {
    let page = b"<html>It works!</html>";
    let ok = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
    let missing = format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n", page.len());
    for head in [ok, missing] {
        let (kind, text) = answered([head.as_bytes(), page].concat()).await.unwrap_err();
        assert!(kind == ErrorKind::Unreachable && text.contains("not a ClickHouse server"), "{text}");
    }
    assert_eq!(answered(b"220 mail.example ESMTP\r\n".to_vec()).await.unwrap_err().0, ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_proxy_without_a_server_is_not_called_another_server() {
    let page = b"<html>no healthy upstream</html>";
    for status in ["503 Service Unavailable", "502 Bad Gateway", "504 Gateway Timeout", "429 Too Many Requests"] {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", page.len());
        let (kind, text) = answered([head.as_bytes(), page].concat()).await.unwrap_err();
        assert!(kind == ErrorKind::Unreachable && text.contains(&format!("HTTP status {status}")), "{text}");
        assert!(!text.contains("is not a ClickHouse"), "{text}");
    }
}

#[tokio::test]
async fn a_result_that_is_damaged_on_its_way_is_told_as_that() {
    let rows = whole(Arc::new(Int64Array::from(vec![1, 2, 3])));
    let mut damaged = rows.clone();
    // Behind the mark and the length of the first message its words begin.
    damaged[8..40].fill(0xfe);
    let (kind, text) = answered(chunked(&[&damaged, b""])).await.unwrap_err();
    assert!(kind == ErrorKind::Failed && text.contains("damaged") && !text.contains("not a ClickHouse"), "{text}");
}

#[tokio::test]
async fn what_a_row_says_is_not_what_the_server_says() {
    let said = "Code: 241. DB::Exception: Memory limit exceeded for 4111. (MEMORY_LIMIT_EXCEEDED) (version 26.9.2.1)";
    let rows = whole(Arc::new(StringArray::from(vec![said, said])));
    // Cut behind the batch, within it, and within its last text.
    let open = &rows[..rows.len() - END.len()];
    for cut in [open, &open[..open.len() - 3], &open[..open.len() / 2]] {
        for parts in [vec![cut], vec![cut, b""]] {
            let (kind, text) = answered_as(chunked(&parts), DataType::Utf8).await.unwrap_err();
            assert!(kind == ErrorKind::Unreachable && !text.contains("4111"), "{kind:?} {text}");
        }
    }
}

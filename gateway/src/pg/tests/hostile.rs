//! Clients that do not keep to the protocol.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Gateway, RawClient, code, kinds, within};

async fn socket(gateway: &Gateway) -> RawClient {
    RawClient { socket: TcpStream::connect(gateway.address).await.expect("a socket") }
}

/// What a new client gets for these bytes, up to the end of the stream.
async fn answer_to(gateway: &Gateway, bytes: &[u8]) -> Vec<u8> {
    let mut client = socket(gateway).await;
    client.bytes(bytes).await;
    client.socket.shutdown().await.expect("the writing half closes");
    let mut answer = Vec::new();
    // A reset is as good an end as any.
    let _ = within("the end", client.socket.read_to_end(&mut answer)).await;
    answer
}

#[tokio::test]
async fn encryption_is_refused_and_the_session_goes_on() {
    let gateway = Gateway::start().await;
    let mut client = socket(&gateway).await;
    for request in [80_877_103_u32, 80_877_104] {
        client.bytes(&[8_u32.to_be_bytes(), request.to_be_bytes()].concat()).await;
        assert_eq!(within("an answer", client.socket.read_u8()).await.unwrap(), b'N');
    }
    client.startup(&[("user", "ana")]).await;
    assert!(kinds(&client.until_ready().await).ends_with('Z'));
}

#[tokio::test]
async fn startup_packets_are_checked() {
    let gateway = Gateway::start().await;
    let startup = |version: u32, rest: &[u8]| {
        let mut packet = ((rest.len() + 8) as u32).to_be_bytes().to_vec();
        packet.extend(version.to_be_bytes());
        packet.extend(rest);
        packet
    };
    for (bytes, expected) in [
        (vec![0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0], "08P01"),
        (vec![0, 0, 0, 7, 0, 3, 0], "08P01"),
        (vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0], "08P01"),
        (startup(2 << 16, b"\0"), "0A000"),
        (startup(3 << 16, b"user\0ana\0database\0default"), "08P01"),
        (startup(3 << 16, b"database\0default\0\0"), "28000"),
        (startup(3 << 16, b"user\0ana\0database\0nowhere\0\0"), "3D000"),
        (startup(3 << 16, b"user\0ana\0client_encoding\0LATIN1\0\0"), "22023"),
        (startup(3 << 16, b"user\0ana\0nonsense\0x\0\0"), "42704"),
        (startup(3 << 16, b"user\0ana\0replication\0true\0\0"), "0A000"),
        (startup(3 << 16, b"user\0ana\0options\0-x\0\0"), "42601"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "08P01"),
    ] {
        let answer = answer_to(&gateway, &bytes).await;
        let code = answer.windows(7).find(|window| window[0] == 0 && window[1] == b'C').map(|window| &window[2..]);
        assert_eq!(code, Some(expected.as_bytes()), "{:?}: {:?}", String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&answer));
    }
    for bytes in [&b""[..], b"\0", b"\0\0\0\x08", b"\0\0\0\x10\x04\xd2\x16\x2e", b"\0\0\0\x08\x04\xd2\x16\x2e"] {
        assert_eq!(answer_to(&gateway, bytes).await, b"", "{bytes:?}");
    }
}

#[tokio::test]
async fn newer_protocols_are_negotiated() {
    let gateway = Gateway::start().await;
    for (minor, asks) in [(0_u16, false), (2, false), (9_999, true)] {
        let mut client = socket(&gateway).await;
        let mut body = vec![0, 3];
        body.extend(minor.to_be_bytes());
        body.extend(b"user\0ana\0");
        if asks {
            body.extend(b"_pq_.new\0x\0");
        }
        body.push(0);
        client.bytes(&[&((body.len() + 4) as u32).to_be_bytes()[..], &body].concat()).await;
        let answer = client.until_ready().await;
        assert_eq!(answer[0].0, if asks { 'v' } else { 'R' });
        if asks {
            assert_eq!(answer[0].1, b"\0\x03\0\x02\0\0\0\x01_pq_.new\0");
        }
        let key = answer.iter().find(|(kind, _)| *kind == 'K').expect("a key");
        assert_eq!(key.1.len(), if minor >= 2 { 36 } else { 8 });
    }
}

#[tokio::test]
async fn impossible_frames_end_the_session() {
    let gateway = Gateway::start().await;
    for bytes in [
        &b"Q\xff\xff\xff\xff"[..],
        b"Q\x7f\xff\xff\xff",
        b"Q\0\0\0\x03",
        b"Q\0\0\0\0",
        b"S\0\0\xff\xff",
        b"E\x10\0\0\0",
        b"?\0\0\0\x04",
        b"\0\0\0\0\0\0",
    ] {
        let mut raw = gateway.raw().await;
        raw.bytes(bytes).await;
        let answer = raw.until_ready().await;
        assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("E", Some("08P01")), "{bytes:?}");
    }
}

#[tokio::test]
async fn malformed_bodies_fail_and_the_session_goes_on() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    for (kind, body) in [
        (b'B', &b"\0\0\xff\xff"[..]),
        (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
        (b'P', b"\0select 1\0\xff\xff"),
        (b'P', b"no end"),
        (b'D', b""),
        (b'D', b"Xname\0"),
        (b'C', b"S"),
        (b'E', b"\0"),
        (b'P', b"\0select '\xff\xfe'\0\0\0"),
    ] {
        raw.message(kind, body).await;
        raw.message(b'S', b"").await;
        let answer = raw.until_ready().await;
        assert_eq!(kinds(&answer), "EZ", "{kind} {body:?}");
    }
    raw.message(b'Q', b"select 1").await;
    assert_eq!(kinds(&raw.until_ready().await), "EZ");
    // Messages of a copy outside one are passed over, as PostgreSQL does.
    raw.message(b'd', b"data").await;
    raw.message(b'c', b"").await;
    assert_eq!(kinds(&raw.query("select 1").await), "TDCZ");
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.socket.set_nodelay(true).unwrap();
    for byte in super::support::frame(b'Q', b"select 'slowly'\0") {
        raw.bytes(&[byte]).await;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(kinds(&raw.until_ready().await), "TDCZ");
}

#[tokio::test]
async fn long_statements_are_read_whole() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    let long = "x".repeat(3 << 20);
    let row = within("a long statement", client.query_one(&format!("select length('{long}')"), &[])).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 3 << 20);
}

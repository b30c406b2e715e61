//! Making connections: what is said when it fails, the session's settings, and TLS.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::DataType;
use mysql_async::prelude::Queryable;

use super::server::{PASSWORD, TestServer, cells, ours};
use crate::connector::Connector;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::mysql::{MySqlConnector, MySqlRemote};
use crate::options::Options;
use crate::remote::Remote;
use crate::skip::skip;

async fn refused(options: &Options) -> Error {
    let error = MySqlConnector.open(options).await.unwrap_err();
    assert_eq!(error.datasource(), Some("shop"));
    assert!(error.hint_text().is_some(), "{error}");
    for word in [PASSWORD, "not the password"] {
        assert!(!format!("{error} {error:?} {options:?}").contains(word), "{error:?}");
    }
    error
}

#[tokio::test]
async fn failures_to_connect_say_where_and_why() {
    let Some(server) = TestServer::shared() else { return };
    server.database("connects").await;
    let place = format!("127.0.0.1:{}", server.port());

    let error = refused(&server.options_with("connects", &[], "not the password")).await;
    assert_eq!((error.kind(), error.remote_sqlstate()), (ErrorKind::Unauthorized, Some("28000")));
    assert!(error.message().contains(&place) && error.message().contains("user \"reader\""), "{error}");

    // A database the user may see nothing of, and one that is not there, look alike to such a user.
    let error = refused(&server.options_with("nowhere", &[], PASSWORD)).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.message().contains("database \"nowhere\""), "{error}");
    let error = refused(&server.options_with("nowhere", &[("user", "root")], "")).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let error = refused(&server.options_with("connects", &[("port", "1")], PASSWORD)).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.message().contains("127.0.0.1:1") && error.message().contains("refused"), "{error}");

    let error = refused(&server.options_with("connects", &[("host", "no-such-host.invalid")], PASSWORD)).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);

    let error = refused(&server.options_with("connects", &[("sslmode", "require")], PASSWORD)).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.message().contains("does not offer TLS"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let Some(server) = TestServer::shared() else { return };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let mut options = server.options_with("any", &[("port", &port)], PASSWORD);
    options.pool.connect_timeout = Duration::from_millis(500);
    let begun = Instant::now();
    let error = refused(&options).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.message().contains("no answer within 500ms"), "{error}");
}

#[tokio::test]
async fn sessions_are_in_a_known_state_whatever_the_server_is_set_to() {
    let arguments = [
        "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,NO_ZERO_DATE,NO_ZERO_IN_DATE",
        "--default-time-zone=+07:00",
        "--character-set-server=latin1",
        "--max-statement-time=1",
        "--wait-timeout=2",
        "--init-connect=SET SESSION sql_select_limit = 3",
    ];
    let Some(server) = TestServer::start(&arguments) else { return };
    let mut admin = server.database("state").await;
    admin.query_drop("CREATE TABLE t (c char(10), ts timestamp NULL, d date)").await.unwrap();
    admin.query_drop("INSERT INTO t VALUES ('ü', '2024-01-01 00:00:00', NULL)").await.unwrap();
    let remote = server.remote("state").await;
    let rows = cells(&remote, "SELECT CONCAT(c, '|'), CAST(ts AS CHAR) FROM t", &[DataType::Utf8, DataType::Utf8]).await.unwrap();
    assert_eq!(rows, [["ü|".to_owned(), "2024-01-01 00:00:00".to_owned()]]);
    assert_eq!(cells(&remote, "SELECT seq FROM seq_1_to_10", &[DataType::Int64]).await.unwrap().len(), 10);
    // Beyond the server's own limits for statements and idle connections.
    assert_eq!(cells(&remote, "SELECT SLEEP(1.5)", &[DataType::Int64]).await.unwrap(), [["0".to_owned()]]);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(remote.ping(Deadline::after(Duration::from_secs(5))).await.unwrap().product, "MariaDB");
    // Even a user who may write does not.
    server.admin().await.query_drop("GRANT ALL ON state.* TO reader").await.unwrap();
    let remote = server.remote("state").await;
    let error = cells(&remote, "INSERT INTO t (c) VALUES ('x')", &[DataType::Int64]).await.unwrap_err();
    assert_eq!(ours(&error).remote_sqlstate(), Some("25006"), "{error}");
}

#[tokio::test]
async fn no_more_connections_are_made_than_allowed() {
    let Some(server) = TestServer::shared() else { return };
    server.database("bounded").await;
    let mut options = server.options("bounded");
    options.pool.max_connections = 2;
    let remote = Arc::new(MySqlRemote::open(&options).await.unwrap());
    let ask = || cells(&remote, "SELECT CONNECTION_ID() + 0 * SLEEP(0.1)", &[DataType::Int64]);
    let outcomes = futures::future::join_all((0..6).map(|_| ask())).await;
    let mut ids: Vec<_> = outcomes.into_iter().map(|rows| rows.unwrap().concat()).collect();
    ids.sort();
    ids.dedup();
    assert!(ids.len() <= 2, "{ids:?}");
}

#[tokio::test]
async fn certificates_are_checked_when_asked() {
    let Some(plain) = TestServer::start(&[]) else { return };
    let folder = plain.folder().to_owned();
    let made = Command::new("sh")
        .current_dir(&folder)
        .args([
            "-ec",
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=authority 2>/dev/null
             openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost 2>/dev/null
             printf 'subjectAltName=DNS:localhost\\n' > extensions
             openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile extensions -out cert.pem 2>/dev/null",
        ])
        .status();
    if !made.is_ok_and(|status| status.success()) {
        skip("openssl", "apt-get install -y openssl");
        return;
    }
    let path = |name: &str| folder.join(name).display().to_string();
    let arguments =
        [format!("--ssl-cert={}", path("cert.pem")), format!("--ssl-key={}", path("key.pem")), format!("--ssl-ca={}", path("ca.pem"))];
    let Some(server) = TestServer::start(&arguments.each_ref().map(String::as_str)) else { return };
    server.database("tls").await;
    let ca = path("ca.pem");
    let cipher = async |options: &[(&str, &str)]| -> Result<bool, Error> {
        let remote = Arc::new(MySqlRemote::open(&server.options_with("tls", options, PASSWORD)).await?);
        let sql = "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_CIPHER'";
        Ok(!cells(&remote, sql, &[DataType::Utf8]).await.unwrap()[0][0].is_empty())
    };
    assert!(!cipher(&[("sslmode", "disable")]).await.unwrap());
    assert!(cipher(&[("sslmode", "prefer")]).await.unwrap());
    assert!(cipher(&[("sslmode", "require")]).await.unwrap());
    assert!(cipher(&[("sslmode", "verify-full"), ("sslrootcert", &ca), ("host", "localhost")]).await.unwrap());
    for options in [
        // An authority nobody knows, and a name the certificate is not for.
        &[("sslmode", "verify-full"), ("host", "localhost")][..],
        &[("sslmode", "verify-full"), ("sslrootcert", &ca)][..],
    ] {
        let error = cipher(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
        assert!(error.message().contains("TLS handshake failed"), "{error:?}");
    }
    let error = cipher(&[("sslmode", "verify-full"), ("sslrootcert", "/no/such/file.pem")]).await.unwrap_err();
    assert!(error.message().contains("cannot read sslrootcert /no/such/file.pem"), "{error:?}");
    // The authority itself as a server.
    let own = [format!("--ssl-cert={ca}"), format!("--ssl-key={}", path("ca-key.pem")), format!("--ssl-ca={ca}")];
    let Some(server) = TestServer::start(&own.each_ref().map(String::as_str)) else { return };
    server.database("tls").await;
    let options = server.options_with("tls", &[("sslmode", "verify-full"), ("sslrootcert", &ca), ("host", "localhost")], PASSWORD);
    let error = MySqlRemote::open(&options).await.unwrap_err();
    assert!(error.message().contains("an authority's certificate (CA:TRUE)"), "{error:?}");
    assert!(error.hint_text().unwrap().contains("CA:FALSE"), "{error:?}");
}

#[tokio::test]
async fn each_statement_sees_what_is_committed_by_then_whatever_the_server_is_set_to() {
    let Some(server) = TestServer::start(&["--autocommit=0", "--transaction-isolation=READ-UNCOMMITTED"]) else { return };
    let mut admin = server.database("committed").await;
    admin.query_drop("CREATE TABLE t (x int) ENGINE=InnoDB").await.unwrap();
    let mut options = server.options("committed");
    options.pool.max_connections = 1;
    let remote = Arc::new(MySqlRemote::open(&options).await.unwrap());
    let count = async || cells(&remote, "SELECT COUNT(*) FROM t", &[DataType::Int64]).await.unwrap().concat().concat();
    assert_eq!(count().await, "0");
    admin.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(count().await, "0");
    admin.query_drop("COMMIT").await.unwrap();
    assert_eq!(count().await, "1");
}

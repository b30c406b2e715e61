//! What each `sslmode` takes and refuses.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::DataType;
use futures::StreamExt;

use super::server::{Database, Server};
use super::{LIMITS, PATIENCE, PostgresRemote, assert_fails, column, schema, start};
use crate::error::ErrorKind;
use crate::skip::skip;

/// Options that differ from the usual ones.
type Given<'a> = &'a [(&'a str, &'a str)];

/// A certificate authority, and a certificate for `localhost` that it signed.
fn certificates(folder: &Path) -> bool {
    let run =
        |line: &str| Command::new("openssl").args(line.split(' ')).current_dir(folder).output().is_ok_and(|output| output.status.success());
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost").unwrap();
    run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-authority")
        && run("req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.crt -days 2 -subj /CN=another-authority")
        && run("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost")
        && run("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names")
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmodes_mean_what_libpq_means() {
    let Some(server) = Server::start("") else { return };
    if !certificates(server.folder()) {
        skip("openssl", "apt-get install -y openssl");
        return;
    }
    let path = |name: &str| server.path(name);
    let configuration = format!("\nssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n", path("server.crt"), path("server.key"));
    let file = server.folder().join("data/postgresql.auto.conf");
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, before + &configuration).unwrap();
    server.hand_over();
    server.down("fast");
    server.up();
    let (authority, other, key) = (path("ca.crt"), path("other.crt"), path("ca.key"));
    let Some(database) = Database::on(Arc::new(server), "", "").await else { return };

    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let cases: [(Given<'_>, bool); 6] = [
        (&[("sslmode", "disable")], false),
        (&[("sslmode", "prefer")], true),
        (&[("sslmode", "require")], true),
        (&[("sslmode", "verify-full"), ("sslrootcert", &authority), ("host", "localhost")], true),
        (&[("sslmode", "verify-ca"), ("sslrootcert", &authority), ("host", "localhost")], true),
        // The certificate is for another name.
        (&[("sslmode", "verify-ca"), ("sslrootcert", &authority)], true),
    ];
    for (options, expected) in cases {
        let remote = PostgresRemote::open(&database.options_with(options)).await.unwrap();
        assert_eq!(column(&remote, encrypted, DataType::Boolean).await.unwrap().as_boolean().value(0), expected, "{options:?}");
    }

    let refused: [(Given<'_>, ErrorKind, &str); 5] = [
        (&[("sslmode", "verify-full"), ("sslrootcert", &authority)], ErrorKind::Unreachable, "TLS failed"),
        (&[("sslmode", "verify-full"), ("sslrootcert", &other), ("host", "localhost")], ErrorKind::Unreachable, "TLS failed"),
        (&[("sslmode", "verify-ca"), ("sslrootcert", &other)], ErrorKind::Unreachable, "TLS failed"),
        (&[("sslmode", "verify-ca"), ("sslrootcert", &key)], ErrorKind::Invalid, "has no certificate"),
        (&[("sslmode", "verify-full"), ("sslrootcert", "/nowhere.pem")], ErrorKind::Invalid, "cannot read sslrootcert"),
    ];
    for (options, kind, text) in refused {
        assert_fails(&PostgresRemote::open(&database.options_with(options)).await.unwrap_err(), kind, text);
    }

    // A server without TLS is good enough for prefer alone.
    if let Some(plain) = Database::new("").await {
        for (mode, connects) in [("disable", true), ("prefer", true), ("require", false)] {
            let opened = PostgresRemote::open(&plain.options_with(&[("sslmode", mode)])).await;
            assert_eq!(opened.is_ok(), connects, "{mode}");
            if let Err(error) = opened {
                assert_fails(&error, ErrorKind::Unreachable, "the server has no TLS");
            }
        }
    }

    // A cancel goes the same way as the statement.
    let options = database.options_with(&[("sslmode", "verify-full"), ("sslrootcert", &authority), ("host", "localhost")]);
    let remote = PostgresRemote::open(&options).await.unwrap();
    let mut rows = start(&remote, "SELECT pg_sleep(600)::text AS private", &schema(&[("v", DataType::Utf8)]), LIMITS);
    let admin = database.admin().await;
    let began = tokio::time::Instant::now();
    while database.running(&admin, "private").await == 0 {
        let _ = tokio::time::timeout(std::time::Duration::from_millis(50), rows.next()).await;
        assert!(began.elapsed() < PATIENCE);
    }
    drop(rows);
    let began = tokio::time::Instant::now();
    while database.running(&admin, "private").await > 0 {
        assert!(began.elapsed() < std::time::Duration::from_secs(2));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_shows_itself_is_told_in_words() {
    let Some(server) = Server::start("") else { return };
    if !certificates(server.folder()) {
        skip("openssl", "apt-get install -y openssl");
        return;
    }
    let (authority, key) = (server.path("ca.crt"), server.path("ca.key"));
    let file = server.folder().join("data/postgresql.auto.conf");
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{before}\nssl = on\nssl_cert_file = '{authority}'\nssl_key_file = '{key}'\n")).unwrap();
    server.hand_over();
    server.down("fast");
    server.up();
    let Some(database) = Database::on(Arc::new(server), "", "").await else { return };
    for mode in ["verify-ca", "verify-full"] {
        let options = database.options_with(&[("sslmode", mode), ("sslrootcert", &authority), ("host", "localhost")]);
        let error = PostgresRemote::open(&options).await.unwrap_err();
        assert_fails(&error, ErrorKind::Unreachable, "an authority's certificate (CA:TRUE)");
        assert!(error.hint_text().unwrap().contains("CA:FALSE"), "{error:?}");
    }
}

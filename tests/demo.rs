//! The first command a stranger types.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use causeway_tests::{DiscardingClient, Finished, Protocol, Supervised, causeway, eventually, finish_within, free_port};

fn demo(folder: &Path, port: u16) -> Finished {
    let mut command = Command::new(causeway());
    command.args(["demo", "--exit", "--postgres-listen", &format!("127.0.0.1:{port}")]);
    command.arg("--data-dir").arg(folder.join("data")).current_dir(folder).env("NO_COLOR", "1");
    finish_within(Duration::from_secs(60), &mut command)
}

/// The lines of the printed table, borders left out.
fn table(output: &str) -> Vec<&str> {
    output.lines().map(str::trim).filter(|line| line.starts_with(['|', '│']) || line.contains(" | ") || line.contains(" │ ")).collect()
}

#[test]
fn a_fresh_folder_gives_joined_rows() {
    let folder = tempfile::tempdir().unwrap();
    let first = demo(folder.path(), free_port());
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    let rows = table(&first.stdout);
    assert!(rows.len() > 3, "a heading and joined rows:\n{}", first.stdout);
    assert!(first.stdout.contains("JOIN"), "it shows the statement:\n{}", first.stdout);

    // The sample data is made once and is the same the second time.
    let second = demo(folder.path(), free_port());
    assert_eq!(second.code, Some(0), "{}{}", second.stdout, second.stderr);
    assert_eq!(table(&second.stdout), rows);
}

#[test]
fn it_says_what_to_type_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new(causeway());
    command.args(["demo", "--postgres-listen", &format!("127.0.0.1:{port}")]).env("NO_COLOR", "1");
    command.arg("--data-dir").arg(folder.path().join("data")).current_dir(folder.path());
    let log = folder.path().join("log");
    let mut demo = Supervised::spawn(command, "INT", folder.path(), &log);
    let (said, _) = eventually("it says what to type", Duration::from_secs(60), || {
        let said = fs::read_to_string(&log).unwrap();
        said.contains("psql ").then_some(said)
    });
    assert!(said.contains(&port.to_string()), "{said}");
    let mut client = DiscardingClient::connect(port, "default", "tester").unwrap();
    let received = client.run("SELECT * FROM shop.customers", Protocol::Simple).unwrap();
    assert!(received.rows > 10 && received.error.is_none(), "{received:?}");
    drop(client);
    assert_eq!(demo.stop().code(), Some(0), "Ctrl-C ends it in good order:\n{}", fs::read_to_string(&log).unwrap());
}

#[test]
fn a_busy_port_is_said_or_avoided() {
    let folder = tempfile::tempdir().unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let finished = demo(folder.path(), port);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    if finished.code == Some(0) {
        assert!(!table(&finished.stdout).is_empty(), "{said}");
    } else {
        assert!(said.contains(&port.to_string()), "the text names the port: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

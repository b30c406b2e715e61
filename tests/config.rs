//! A configuration with faults is refused, with all of them at once, each with file, line and key.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use causeway_tests::{Finished, causeway, finish_within, free_port, write_sqlite};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("datasources")).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    fn run(&self, command: &str) -> Finished {
        let mut causeway = Command::new(causeway());
        causeway.args([command, "--config", "causeway.yaml"]).current_dir(self.path()).env("NO_COLOR", "1");
        finish_within(Duration::from_secs(30), &mut causeway)
    }
}

fn main_file() -> String {
    format!("listen:\n  postgres: 127.0.0.1:{}\ndata_dir: ./data\nauth: trust\ndatasources: ./datasources\n", free_port())
}

#[test]
fn every_fault_is_said_with_file_line_and_key() {
    let folder = Folder::new();
    folder
        .write("causeway.yaml", &format!("{}colour: blue\n", main_file()))
        .write(
            "datasources/crm.yaml",
            "name: crm\nconnector: postgres\nschema_mode: external\noptions:\n  host: 127.0.0.1\n  port: 99999\n  database: crm\n\
             credentials:\n  password: letmein-literal\nexternal:\n  query_timeout: soon\n  pool:\n    max_connections: 0\n",
        )
        .write("datasources/desk.yaml", "name: desk\nconnector: sqlite\noptions:\n  pth: ./desk.db\n")
        .write("datasources/odd.yaml", "name: odd\nconnector: abacus\n");
    for command in ["check", "serve"] {
        let finished = folder.run(command);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        if command == "check" {
            assert_eq!(finished.code, Some(2), "{said}");
        } else {
            assert!(!matches!(finished.code, None | Some(0)), "{command}: {said}");
        }
        let faults = [
            ("causeway.yaml", 6, "colour"),
            ("crm.yaml", 6, "port"),
            ("crm.yaml", 9, "password"),
            ("crm.yaml", 11, "query_timeout"),
            ("crm.yaml", 13, "max_connections"),
            ("desk.yaml", 4, "pth"),
            ("odd.yaml", 2, "abacus"),
        ];
        for (file, line, key) in faults {
            let found = said.lines().any(|text| text.contains(&format!("{file}:{line}")) && text.contains(key));
            assert!(found, "{command} does not say {file}:{line} {key}:\n{said}");
        }
        // Required and not given: `user` of crm and `path` of desk.
        assert!(said.contains("user") && said.contains("path"), "{said}");
        assert!(!said.contains("letmein-literal"), "a literal secret is not repeated: {said}");
    }
}

#[test]
fn options_that_only_a_connector_can_judge_are_told_like_all_others() {
    let folder = Folder::new();
    let server = "options:\n  host: 127.0.0.1\n  database: d\n  user: u\n";
    folder
        .write("causeway.yaml", &main_file())
        .write("datasources/lake.yaml", "name: lake\nconnector: files\noptions:\n  path: .\n  list_cache: soon\n  globs: 'a: x'\n")
        .write("datasources/bucket.yaml", "name: bucket\nconnector: files\noptions:\n  path: s3:///x\n  access_key_id: id\n")
        .write("datasources/cloud.yaml", "name: cloud\nconnector: files\noptions:\n  path: gs://cloud\n")
        .write("datasources/site.yaml", "name: site\nconnector: files\noptions:\n  path: http://127.0.0.1/a.csv\n")
        .write("datasources/crm.yaml", &format!("name: crm\nconnector: postgres\n{server}  sslmode: verify-full\n"))
        .write("datasources/shop.yaml", &format!("name: shop\nconnector: mysql\n{server}  sslrootcert: ca.pem\n"))
        .write("datasources/log.yaml", &format!("name: log\nconnector: clickhouse\n{server}  sslmode: verify-full\n"));
    for command in ["check", "serve"] {
        let finished = folder.run(command);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!matches!(finished.code, None | Some(0)), "{command}: {said}");
        for (file, line, key) in [
            ("lake.yaml", 5, "options.list_cache"),
            ("lake.yaml", 6, "options.globs"),
            ("bucket.yaml", 4, "options.path"),
            ("bucket.yaml", 5, "options.access_key_id"),
            ("cloud.yaml", 4, "options.path"),
            ("site.yaml", 4, "options.path"),
            ("crm.yaml", 7, "options.sslmode"),
            ("shop.yaml", 7, "options.sslrootcert"),
            ("log.yaml", 7, "options.sslmode"),
        ] {
            let found = said.lines().any(|text| text.contains(&format!("{file}:{line}: {key}: ")));
            assert!(found, "{command} does not say {file}:{line}: {key}:\n{said}");
        }
    }
}

#[test]
fn check_says_what_can_be_done_about_a_datasource_that_does_not_open() {
    let folder = Folder::new();
    folder
        .write("causeway.yaml", &main_file())
        .write("datasources/desk.yaml", "name: desk\nconnector: sqlite\noptions:\n  path: ./missing.db\n");
    let finished = folder.run("check");
    assert_eq!(finished.code, Some(2), "{}{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains("hint: correct the option `path`"), "{}", finished.stdout);
}

#[test]
fn a_fault_names_its_file_as_it_is_found_from_here() {
    let folder = Folder::new();
    folder.write("causeway.yaml", &main_file()).write("datasources/odd.yaml", "name: odd\nconnector: abacus\n");
    let (around, name) = (folder.path().parent().unwrap(), folder.path().file_name().unwrap().to_str().unwrap());
    for config in [format!("{name}/causeway.yaml"), folder.path().join("causeway.yaml").display().to_string()] {
        let mut causeway = Command::new(causeway());
        causeway.args(["check", "--json", "--config", &config]).current_dir(around).env("NO_COLOR", "1");
        let finished = finish_within(Duration::from_secs(30), &mut causeway);
        let verdict: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        let file = verdict["faults"][0]["file"].as_str().unwrap();
        assert!(around.join(file).is_file() && file.starts_with(config.trim_end_matches("causeway.yaml")), "{file}: {}", finished.stdout);
    }
}

#[test]
fn broken_yaml_and_missing_files_are_said() {
    let folder = Folder::new();
    let missing = folder.run("check");
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    assert!(missing.stderr.contains("causeway.yaml"), "{}", missing.stderr);

    folder.write("causeway.yaml", "listen: { postgres: 127.0.0.1:1\n");
    let broken = folder.run("check");
    assert_eq!(broken.code, Some(2), "{}", broken.stderr);
    assert!(broken.stderr.contains("causeway.yaml:"), "{}", broken.stderr);
}

#[test]
fn trust_is_refused_beyond_loopback() {
    let folder = Folder::new();
    folder.write("causeway.yaml", "listen:\n  postgres: 0.0.0.0:7432\nauth: trust\ndatasources: ./datasources\n");
    let finished = folder.run("check");
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("auth") && finished.stderr.contains("causeway.yaml:"), "{}", finished.stderr);
}

#[test]
fn check_connects() {
    let folder = Folder::new();
    write_sqlite(&folder.path().join("desk.db"), "CREATE TABLE t (a INTEGER);");
    folder
        .write("causeway.yaml", &main_file())
        .write("datasources/desk.yaml", "name: desk\nconnector: sqlite\noptions: { path: ../desk.db }\n");
    let found = folder.run("check");
    // The path is relative to the file that says it, or to the main one; whichever it is, one of the two must be right.
    let found = if found.code == Some(0) {
        found
    } else {
        folder.write("datasources/desk.yaml", "name: desk\nconnector: sqlite\noptions: { path: ./desk.db }\n").run("check")
    };
    assert_eq!(found.code, Some(0), "{}{}", found.stdout, found.stderr);

    folder.write(
        "datasources/gone.yaml",
        &format!("name: gone\nconnector: postgres\noptions: {{ host: 127.0.0.1, port: {}, database: d, user: u }}\n", free_port()),
    );
    let unreachable = folder.run("check");
    assert_eq!(unreachable.code, Some(2), "{}{}", unreachable.stdout, unreachable.stderr);
    assert!(format!("{}{}", unreachable.stdout, unreachable.stderr).contains("gone"));

    fs::remove_file(folder.path().join("datasources/gone.yaml")).unwrap();
    let pinned = fs::read_to_string(folder.path().join("datasources/desk.yaml")).unwrap();
    folder.write("datasources/desk.yaml", &format!("{pinned}tables:\n  - {{ name: lost, remote: main.lost }}\n"));
    let mismatch = folder.run("check");
    assert_eq!(mismatch.code, Some(1), "{}{}", mismatch.stdout, mismatch.stderr);
    assert!(format!("{}{}", mismatch.stdout, mismatch.stderr).contains("lost"));
}

#[test]
fn what_a_role_names_that_is_not_there_is_a_warning() {
    let folder = Folder::new();
    write_sqlite(&folder.path().join("datasources/desk.db"), "CREATE TABLE t (a INTEGER);");
    let roles = "roles:
  ai: { limited: true, schemas: [desk, nowhere], tables: [{ name: desk.t, columns: [a, z] }, desk.other, odd.t] }
";
    folder
        .write("causeway.yaml", &format!("{}{roles}", main_file()))
        .write("datasources/desk.yaml", "name: desk\nconnector: sqlite\noptions: { path: ./desk.db }\n");
    let checked = folder.run("check");
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    let warnings: Vec<&str> = checked.stdout.lines().filter_map(|line| line.strip_prefix("warning: role \"ai\" names ")).collect();
    assert_eq!(
        warnings,
        [
            "schema nowhere, which is not there",
            "table desk.other, which is not there",
            "column z of desk.t, which is not there",
            "table odd.t, whose schema is not there"
        ]
    );
}

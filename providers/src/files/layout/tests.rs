//! Names of files, and the tables they make.

use super::*;

fn files(paths: &[&str]) -> Vec<ObjectMeta> {
    let meta = |path: &&str| ObjectMeta {
        location: object_store::path::Path::parse(path.trim_start_matches('0')).unwrap(),
        last_modified: chrono::DateTime::UNIX_EPOCH,
        size: u64::from(!path.starts_with('0')),
        e_tag: None,
        version: None,
    };
    paths.iter().map(meta).collect()
}

fn arranged(paths: &[&str], fallback: Option<Format>) -> (Vec<String>, Vec<String>) {
    let (tables, omitted) = arrange(files(paths), fallback);
    let tables = tables.iter().map(|t| format!("{}:{}:{}", t.name, t.format.as_str(), t.files.len())).collect();
    (tables, omitted.into_iter().map(|o| format!("{}: {}", o.subject, o.reason)).collect())
}

#[test]
fn files_and_folders_are_tables() {
    let (tables, omitted) = arranged(
        &[
            "b.csv",
            "a.PARQUET",
            "c.tsv",
            "d.jsonl",
            "odd name ☃.x.json",
            "e/1.csv",
            "e/2.csv",
            "e/README.md",
            "f/y=1/a.parquet",
            "f/y=2/b.parquet",
        ],
        None,
    );
    assert_eq!(tables, ["a:Parquet:1", "b:CSV:1", "c:TSV:1", "d:JSON:1", "e:CSV:2", "f:Parquet:2", "odd name ☃.x:JSON:1"]);
    assert_eq!(omitted, Vec::<String>::new());
}

#[test]
fn what_cannot_be_read_says_why() {
    let (tables, omitted) = arranged(
        &[
            "notes.txt",
            "0empty.csv",
            "mixed/a.csv",
            "mixed/b.parquet",
            "none/a.txt",
            "same.csv",
            "same.parquet",
            "lake/a.parquet",
            "lake/_delta_log/0.json",
            "uneven/a=1/x.csv",
            "uneven/b=1/x.csv",
            "deep/x.csv",
            "deep/er/y.csv",
            "0hollow/a.csv",
        ],
        None,
    );
    assert_eq!(tables, ["deep:CSV:1", "same:Parquet:1"]);
    assert_eq!(
        omitted,
        [
            "notes.txt: its name tells no format that is read; the option `format` can",
            "empty.csv: the file is empty",
            "deep/er: a nested folder is read only when its name is key=value",
            "hollow: its files are empty",
            "lake: a Delta Lake table is not read: its folder also holds files that were deleted from it",
            "mixed: it holds Parquet and CSV files, such as b.parquet and a.csv",
            "none: it holds no file of a format that is read",
            "uneven: its files lie in folders of different keys",
            "same.csv: same.parquet is already the table \"same\"",
        ]
    );
}

#[test]
fn hidden_names_are_nobodys_table() {
    assert_eq!(arranged(&["_SUCCESS", ".git/a.csv", "t/_SUCCESS", "t/.a.csv.crc", "t/a.csv", "t/_tmp/b.csv"], None).0, ["t:CSV:1"]);
}

#[test]
fn the_option_speaks_for_names_that_do_not() {
    let (tables, omitted) = arranged(&["data", "log.1", "f/part-0", "g.parquet"], Format::named("csv"));
    assert_eq!(tables, ["data:CSV:1", "f:CSV:1", "g:Parquet:1", "log:CSV:1"]);
    assert_eq!(omitted, Vec::<String>::new());
}

#[test]
fn partitions_come_from_folders() {
    let (tables, _) = arrange(files(&["t/year=2024/month=01/a.csv", "t/year=2024/month=02/b.CSV"]), None);
    assert_eq!(
        (&tables[0].place, tables[0].partitions.as_slice()),
        (&Place::Folder("t".to_owned()), ["year", "month"].map(String::from).as_slice())
    );
}

#[test]
fn values_come_from_folders() {
    let (tables, _) = arrange(files(&["t/k=a%2Fb/l=__HIVE_DEFAULT_PARTITION__/x.csv"]), None);
    let values = |path| Some(tables[0].key_values(path)?.into_iter().map(|value| value.map(Cow::into_owned)).collect::<Vec<_>>());
    assert_eq!(values("t/k=a%2Fb/l=__HIVE_DEFAULT_PARTITION__/x.csv"), Some(vec![Some("a/b".to_owned()), None]));
    assert_eq!(values("t/k=1/l=/y.csv"), Some(vec![Some("1".to_owned()), Some(String::new())]));
    assert_eq!(values("t/k=1/y.csv"), None);
}

#[test]
fn compressed_files_are_what_is_in_them() {
    let (tables, omitted) = arranged(&["a.csv.gz", "b.jsonl.ZST", "e/1.csv", "e/2.csv.gz", "p.parquet.gz", "log.gz"], None);
    assert_eq!(tables, ["a:CSV:1", "b:JSON:1", "e:CSV:2"]);
    assert_eq!(omitted.len(), 2, "{omitted:?}");
    assert_eq!(arranged(&["log.1.gz", "p.parquet.gz"], Format::named("json")).0, ["log:JSON:1"]);
}

#[test]
fn a_scan_takes_the_files_that_a_look_would() {
    let (tables, _) = arrange(files(&["t/year=2024/a.csv"]), None);
    let holds = |path| tables[0].holds(path);
    assert!(holds("t/year=2025/b.CSV") && holds("t/year=2025/b.csv.gz") && holds("t/year=2025/x=1.csv"));
    for other in ["t/a.csv", "t/year=2025/day=1/a.csv", "t/month=1/a.csv", "t/year=1/_a.csv", "t/year=1/a.json", "tt/year=1/a.csv", "t"] {
        assert!(!holds(other), "{other}");
    }
}

#[test]
fn a_pattern_within_a_delta_lake_is_no_table() {
    let globs = Glob::parse("all = lake/*.parquet; part = lake/day=1/*.parquet; other = other/*.parquet").unwrap();
    let paths = ["lake/a.parquet", "lake/day=1/b.parquet", "lake/_delta_log/0.json", "other/c.parquet"];
    let (tables, omitted) = arrange_globs(&files(&paths), &globs, None);
    assert_eq!(tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["other"]);
    assert!(omitted.len() == 2 && omitted.iter().all(|omission| omission.reason == DELTA_LAKE), "{omitted:?}");
}

#[test]
fn a_pattern_of_hidden_files_says_that_they_are_skipped() {
    let globs = Glob::parse("a = _in/*.csv; b = in/.x/*.csv; c = in/*.csv; d = none/*.csv").unwrap();
    let (tables, omitted) = arrange_globs(&files(&["_in/1.csv", "in/.x/2.csv", "in/_3.csv", "in/4.csv"]), &globs, None);
    assert_eq!(tables.iter().map(|table| (table.name.as_str(), table.files.len())).collect::<Vec<_>>(), [("c", 1)]);
    let reasons: Vec<&str> = omitted.iter().map(|omission| omission.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "no file is there for the table \"a\": names that begin with . or _ are skipped, such as _in/1.csv",
            "no file is there for the table \"b\": names that begin with . or _ are skipped, such as in/.x/2.csv",
            "no file is there for the table \"d\"",
        ]
    );
}

#[test]
fn globs_are_tables() {
    let globs =
        Glob::parse("one = logs/*/a.csv\ntwo = logs/**/*.json.gz; late = later/*.csv; mixed = *.*; keyed = k/x=*/**/*.csv").unwrap();
    let paths =
        ["logs/1/a.csv", "logs/1/2/a.csv", "logs/1/2/b.json.gz", "logs/c.json.gz", "logs/_x/d.json.gz", "m.csv", "n.json", "k/x=1/y/a.csv"];
    let (tables, omitted) = arrange_globs(&files(&paths), &globs, None);
    let of = |name: &str| tables.iter().find(|table| table.name == name).unwrap();
    assert_eq!((of("one").files.len(), of("two").files.len(), of("keyed").partitions.as_slice()), (1, 2, ["x".to_owned()].as_slice()));
    assert!(of("two").holds("logs/new/e.json.gz") && !of("two").holds("logs/e.csv") && !of("two").holds("else/e.json.gz"));
    let omitted: Vec<_> = omitted.iter().map(|o| (o.subject.as_str(), o.reason.as_str())).collect();
    assert_eq!(
        omitted,
        [("later/*.csv", "no file is there for the table \"late\""), ("*.*", "it holds CSV and JSON files, such as m.csv and n.json")]
    );
}

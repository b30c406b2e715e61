//! The contract, as far as DataFusion alone can run it, and what is this source's own.
//!
//! `causeway connector test --config datasource.yaml` runs all of it, with the planner.

use std::collections::BTreeMap;
use std::path::Path;

use super::SkeletonConnector;
use crate::connector::Connector;
use crate::contract::{Contract, Coverage, DataFusionAlone, Extent};
use crate::error::ErrorKind;
use crate::options::Options;
use crate::remote::RemoteId;

fn options(path: &Path) -> Options {
    let values = BTreeMap::from([("path".to_owned(), path.display().to_string())]);
    Options::check(SkeletonConnector.manifest(), RemoteId::new("ds"), Path::new("/"), values, BTreeMap::new()).unwrap()
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.txt");
    std::fs::write(&path, "one\ntwo\n\nStraße\none\n").unwrap();
    let options = options(&path);
    let (coverage, extent) = (Coverage::default(), Extent::default());
    let contract = Contract { connector: &SkeletonConnector, options: &options, coverage: &coverage, engine: &DataFusionAlone, extent };
    let report = contract.run(&mut |_| {}).await;
    assert_eq!(report.failures().collect::<Vec<_>>(), [], "{} checks held", report.passed());
    assert!(report.passed() > 50);
}

#[tokio::test]
async fn a_source_that_is_not_there_is_told() {
    let error = SkeletonConnector.open(&options(Path::new("/nowhere/lines.txt"))).await.unwrap_err();
    assert_eq!((error.kind(), error.datasource()), (ErrorKind::NotFound, Some("ds")));
}

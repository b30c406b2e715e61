//! How many clients there may be, and what an idle one costs.

use std::time::Duration;

use super::support::{Gateway, RawClient, code, kinds, within};
use crate::pg::EndpointLimits;

#[tokio::test]
async fn five_hundred_idle_sessions_and_one_that_works() {
    let gateway = Gateway::start().await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(gateway.raw().await);
    }
    let client = gateway.connect().await;
    let row = within("a row", client.query_one("select count(*) from numbers", &[])).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 10);
    for raw in idle.iter_mut().step_by(100) {
        assert_eq!(kinds(&raw.query("select 1").await), "TDCZ");
    }
}

#[test]
fn an_idle_session_is_small() {
    let state = std::mem::size_of::<crate::pg::session::Session>();
    assert!(state < 2_048, "a session takes {state} bytes");
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let gateway = Gateway::with_limits(EndpointLimits { max_connections: 2, ..EndpointLimits::default() }).await;
    let (first, _second) = (gateway.raw().await, gateway.raw().await);
    let refused = || async {
        let mut raw = RawClient { socket: tokio::net::TcpStream::connect(gateway.address).await.unwrap() };
        raw.startup(&[("user", "ana")]).await;
        let answer = raw.until_ready().await;
        code(&answer)
    };
    assert_eq!(refused().await.as_deref(), Some("53300"));
    drop(first);
    within("a free place", async {
        while refused().await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_never_logs_in_is_sent_away() {
    let limits = EndpointLimits { login_timeout: Duration::from_millis(100), ..EndpointLimits::default() };
    let gateway = Gateway::with_limits(limits).await;
    let mut raw = RawClient { socket: tokio::net::TcpStream::connect(gateway.address).await.unwrap() };
    raw.bytes(&[0, 0]).await;
    assert_eq!(code(&raw.until_ready().await).as_deref(), Some("57014"));
}

#[tokio::test]
async fn idle_limits_end_sessions() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    raw.query("set idle_in_transaction_session_timeout = 100").await;
    assert_eq!(kinds(&raw.query("begin").await), "CZ");
    assert_eq!(code(&raw.until_ready().await).as_deref(), Some("25P03"));
    let mut raw = gateway.raw().await;
    raw.query("set idle_session_timeout = 100").await;
    assert_eq!(code(&raw.until_ready().await).as_deref(), Some("57P05"));
}

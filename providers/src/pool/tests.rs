//! The pool over connections that are numbers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// Numbers connections.
#[derive(Default)]
struct Numbers {
    dialled: AtomicUsize,
    hangs: AtomicBool,
    refuses: AtomicBool,
    is_deaf: AtomicBool,
    asked: AtomicUsize,
    unusable: AtomicUsize,
}

impl Dial for Numbers {
    type Connection = usize;

    async fn connect(&self) -> Result<usize> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending().await
        }
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unreachable, "connection refused"));
        }
        Ok(1 + self.dialled.fetch_add(1, Ordering::Relaxed))
    }

    fn is_usable(&self, connection: &usize) -> bool {
        *connection != self.unusable.load(Ordering::Relaxed)
    }

    async fn answers(&self, _connection: &mut usize) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        !self.is_deaf.load(Ordering::Relaxed)
    }
}

const LIMITS: PoolLimits = PoolLimits {
    max_connections: 1,
    connect_timeout: Duration::from_millis(50),
    acquire_timeout: None,
    idle_timeout: Duration::from_secs(60),
    max_lifetime: None,
    check_after: Duration::from_secs(60),
};

fn pool(limits: PoolLimits) -> Arc<Pool<Numbers>> {
    Pool::new(RemoteId::new("crm"), limits, Numbers::default())
}

async fn take(pool: &Arc<Pool<Numbers>>) -> Result<Pooled<Numbers>> {
    pool.acquire(Some(Deadline::after(Duration::from_millis(50)))).await
}

/// Waits until the pool is as wanted.
async fn until(pool: &Arc<Pool<Numbers>>, is_right: impl Fn(&PoolState) -> bool) -> PoolState {
    let began = Instant::now();
    loop {
        let state = pool.state();
        if is_right(&state) {
            return state;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{state:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn only_what_is_given_back_is_used_again() {
    let pool = pool(LIMITS);
    take(&pool).await.unwrap().give_back();
    drop(take(&pool).await.unwrap());
    assert_eq!(pool.state().opened, 1);
    assert_eq!(*take(&pool).await.unwrap(), 2, "the dropped one is gone, a second was dialled");
    assert_eq!(pool.state().size(), 0);
}

#[tokio::test]
async fn an_idle_one_is_closed_by_the_pool_itself() {
    let pool = pool(PoolLimits { max_connections: 2, idle_timeout: Duration::from_millis(100), ..LIMITS });
    let (one, two) = (take(&pool).await.unwrap(), take(&pool).await.unwrap());
    one.give_back();
    two.give_back();
    assert_eq!(pool.state().idle, 2);
    until(&pool, |state| state.size() == 0).await;
    // It sweeps again after a rest.
    take(&pool).await.unwrap().give_back();
    assert_eq!(pool.state().idle, 1);
    until(&pool, |state| state.size() == 0).await;
    let weak = Arc::downgrade(&pool);
    take(&pool).await.unwrap().give_back();
    drop(pool);
    assert!(weak.upgrade().is_none(), "who sweeps keeps the pool alive");
}

#[tokio::test]
async fn one_that_lived_long_enough_is_closed_idle_or_not() {
    let pool = pool(PoolLimits { max_lifetime: Some(Duration::from_millis(100)), ..LIMITS });
    take(&pool).await.unwrap().give_back();
    until(&pool, |state| state.size() == 0).await;
    let busy = take(&pool).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(pool.state().in_use, 1, "a statement keeps the connection it has");
    busy.give_back();
    assert_eq!(pool.state().size(), 0);
}

#[test]
fn lifetimes_are_spread() {
    let all: Vec<Duration> = (0..100).map(|_| sweeper::spread(Duration::from_secs(100))).collect();
    assert!(all.iter().all(|one| (Duration::from_secs(90)..=Duration::from_secs(100)).contains(one)), "{all:?}");
    assert!(all.iter().max().unwrap().saturating_sub(*all.iter().min().unwrap()) > Duration::from_secs(2), "{all:?}");
}

#[tokio::test]
async fn one_that_idled_is_asked_first_and_replaced_when_it_is_deaf() {
    let pool = pool(PoolLimits { max_connections: 2, check_after: Duration::from_millis(20), ..LIMITS });
    let (one, two) = (take(&pool).await.unwrap(), take(&pool).await.unwrap());
    one.give_back();
    two.give_back();
    let soon = take(&pool).await.unwrap();
    assert_eq!((*soon, pool.dial().asked.load(Ordering::Relaxed)), (2, 0), "it has only just answered");
    soon.give_back();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let late = take(&pool).await.unwrap();
    assert_eq!((*late, pool.dial().asked.load(Ordering::Relaxed)), (2, 1));
    late.give_back();
    tokio::time::sleep(Duration::from_millis(30)).await;
    pool.dial().is_deaf.store(true, Ordering::Relaxed);
    let fresh = take(&pool).await.unwrap();
    assert_eq!((*fresh, pool.dial().asked.load(Ordering::Relaxed)), (3, 2));
    assert_eq!(pool.state().size(), 1, "the other one that idled is as dead");
    assert_eq!(pool.state().errors, 0, "nobody went without");
}

#[tokio::test]
async fn an_unusable_one_is_closed_at_once_and_a_fresh_one_is_new() {
    let pool = pool(LIMITS);
    take(&pool).await.unwrap().give_back();
    pool.dial().unusable.store(1, Ordering::Relaxed);
    take(&pool).await.unwrap().give_back();
    assert_eq!(pool.state().opened, 2);
    assert_eq!(*pool.acquire_fresh(None).await.unwrap(), 3);
    assert_eq!(pool.state().size(), 0);
}

#[tokio::test]
async fn waiting_and_dialling_are_bounded_and_say_so() {
    let pool = pool(LIMITS);
    let held = take(&pool).await.unwrap();
    let waited = take(&pool).await.err().unwrap();
    assert_eq!(waited.kind(), ErrorKind::Timeout);
    assert_eq!(waited.to_string(), "datasource \"crm\": waiting for one of 1 pooled connections took longer than 50ms");
    drop(held);
    pool.dial().hangs.store(true, Ordering::Relaxed);
    let hung = pool.acquire(None).await.err().unwrap();
    assert_eq!(hung.kind(), ErrorKind::Unreachable);
    assert_eq!(hung.to_string(), "datasource \"crm\": connecting took longer than 50ms");
    let state = pool.state();
    assert_eq!((state.errors, state.last_error.unwrap().message.as_str()), (2, "connecting took longer than 50ms"));
    assert_eq!((state.in_use, state.waiting), (0, 0));
}

#[tokio::test]
async fn a_pool_has_a_patience_of_its_own() {
    let pool = pool(PoolLimits { acquire_timeout: Some(Duration::from_millis(20)), ..LIMITS });
    let held = take(&pool).await.unwrap();
    for deadline in [None, Some(Deadline::after(Duration::from_secs(60)))] {
        let error = pool.acquire(deadline).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert_eq!(error.to_string(), "datasource \"crm\": all 1 pooled connections were in use for 20ms");
    }
    let error = pool.acquire(Some(Deadline::after(Duration::from_millis(5)))).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout, "the statement's time was shorter");
    drop(held);
    assert!(take(&pool).await.is_ok());
}

#[tokio::test]
async fn who_waits_is_seen_while_it_waits() {
    let pool = pool(PoolLimits { max_connections: 2, ..LIMITS });
    let held = [take(&pool).await.unwrap(), take(&pool).await.unwrap()];
    assert_eq!(pool.state().waited, Duration::ZERO, "nobody has waited");
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.acquire(None).await.map(Pooled::give_back) })
        })
        .collect();
    let state = until(&pool, |state| state.waiting == 3).await;
    assert_eq!((state.size(), state.in_use, state.idle, state.max_size), (2, 2, 0, 2));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let during = pool.state();
    assert!(during.waited >= Duration::from_millis(30), "three of them: {during:?}");
    held.into_iter().for_each(Pooled::give_back);
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    let after = pool.state();
    assert!(after.waited >= during.waited, "{after:?}");
    assert_eq!((after.waiting, after.in_use, after.idle, after.opened, after.errors), (0, 0, 2, 2, 0));
    // One that gives up waiting is not counted any more.
    let held = [take(&pool).await.unwrap(), take(&pool).await.unwrap()];
    assert!(take(&pool).await.is_err());
    assert_eq!(pool.state().waiting, 0);
    drop(held);
}

#[tokio::test]
async fn what_fails_is_told() {
    let pool = pool(LIMITS);
    pool.dial().refuses.store(true, Ordering::Relaxed);
    assert!(take(&pool).await.is_err());
    let state = pool.state();
    assert_eq!((state.errors, state.opened, state.size()), (1, 0, 0));
    assert_eq!(state.last_error.unwrap().message, "connection refused");
}

#[tokio::test]
async fn what_is_spare_leaves_a_place_for_others() {
    let pool = pool(PoolLimits { max_connections: 3, ..LIMITS });
    let spare = || pool.acquire_spare(None);
    let first = spare().await.unwrap().unwrap();
    let second = spare().await.unwrap().unwrap();
    assert!(spare().await.is_none());
    let third = take(&pool).await.unwrap();
    assert!(!pool.is_waited_for());
    let waiting = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.acquire(None).await.map(|connection| *connection) }
    });
    while !pool.is_waited_for() {
        tokio::task::yield_now().await;
    }
    drop(first);
    assert_eq!(waiting.await.unwrap().unwrap(), 4);
    assert!(!pool.is_waited_for());
    drop((second, third));
    assert!(spare().await.is_some());
}

#[tokio::test]
async fn a_closed_pool_refuses_and_keeps_nothing() {
    let pool = pool(PoolLimits { max_connections: 2, ..LIMITS });
    let held = take(&pool).await.unwrap();
    pool.close();
    held.give_back();
    assert_eq!(take(&pool).await.err().unwrap().kind(), ErrorKind::Unreachable);
    let state = pool.state();
    assert_eq!((state.size(), state.errors), (0, 0));
}

#[tokio::test]
async fn a_limit_that_no_clock_shows_is_none() {
    let endless = PoolLimits { idle_timeout: Duration::MAX, max_lifetime: Some(Duration::MAX), ..LIMITS };
    let pool = pool(PoolLimits { connect_timeout: Duration::MAX, acquire_timeout: Some(Duration::MAX), ..endless });
    for _ in 0..2 {
        take(&pool).await.unwrap().give_back();
        tokio::task::yield_now().await;
    }
    assert_eq!(pool.close_expired(), None, "nothing is ever due");
    assert_eq!(pool.state().idle, 1, "and it is still there");
}

//! What is asked of the tasks of a datasource. Whatever waits when the work begins is answered by it, and what nobody waits for any more
//! is not worked for.

use std::collections::BTreeSet;

use causeway_providers::{Error, Result, Subject};
use tokio::sync::{mpsc, oneshot};

use crate::asking::Asking;
use crate::member::DriftCheck;

/// Where an answer is waited for.
type Answer<T> = oneshot::Sender<Result<T>>;

/// A request to check now; the answer is what was found.
pub(crate) type CheckRequest = Answer<DriftCheck>;

/// A request to read tables anew; the answer is how many there are.
#[derive(Debug)]
pub(crate) struct RefreshRequest {
    /// The remote tables to accept; `None` is all there are.
    pub(crate) tables: Option<BTreeSet<Subject>>,
    /// Whoever asks.
    pub(crate) actor: Option<String>,
    pub(crate) answer: Answer<usize>,
}

/// Requests that one look answers, at least one.
#[derive(Debug)]
pub(crate) struct Refreshes(Vec<RefreshRequest>);

impl Refreshes {
    /// A request and all that wait behind it; `None` when nobody waits for any of them.
    pub(crate) fn gather(first: RefreshRequest, behind: &mut mpsc::Receiver<RefreshRequest>) -> Option<Self> {
        let all = gather(first, behind, |request| !request.answer.is_closed());
        (!all.is_empty()).then_some(Self(all))
    }

    /// The remote tables that any of them asks for; `None` is all there are.
    pub(crate) fn tables(&self) -> Option<BTreeSet<Subject>> {
        let asked: Option<Vec<&BTreeSet<Subject>>> = self.0.iter().map(|request| request.tables.as_ref()).collect();
        Some(asked?.into_iter().flatten().cloned().collect())
    }

    /// Whoever asks: of several the first that asks for as much as all of them together.
    pub(crate) fn actor(&self) -> Option<&str> {
        let widest = self.0.iter().find(|request| request.tables.is_none()).or(self.0.first())?;
        widest.actor.as_deref()
    }

    /// Runs the look that answers them, as long as somebody waits for it and, once it is being written, to its end.
    ///
    /// # Errors
    /// What the look gives; `Cancelled` when nobody waits any more.
    pub(crate) async fn run(&mut self, asking: &Asking, look: impl Future<Output = Result<usize>>) -> Result<usize> {
        let gone = async {
            for request in &mut self.0 {
                request.answer.closed().await;
            }
            asking.withdraw();
            std::future::pending().await
        };
        tokio::select! {
            biased;
            looked = asking.clone().run(look) => looked,
            never = gone => never,
        }
    }

    /// Answers all of them.
    pub(crate) fn answer(self, found: Result<usize>) {
        answer(self.0.into_iter().map(|request| request.answer).collect(), found);
    }
}

/// Requests that one check answers; none when nobody waits for any of them.
pub(crate) fn gather_checks(first: CheckRequest, behind: &mut mpsc::Receiver<CheckRequest>) -> Vec<CheckRequest> {
    gather(first, behind, |request| !request.is_closed())
}

fn gather<R>(first: R, behind: &mut mpsc::Receiver<R>, is_waited_for: impl Fn(&R) -> bool) -> Vec<R> {
    let mut all = vec![first];
    while let Ok(next) = behind.try_recv() {
        all.push(next);
    }
    all.retain(is_waited_for);
    all
}

/// Gives all of them the same answer. Nobody waits any more where that fails, which is their choice.
pub(crate) fn answer<T: Copy>(mut waiting: Vec<Answer<T>>, found: Result<T>) {
    let last = waiting.pop();
    for waiting in waiting {
        let _ = waiting.send(found.as_ref().copied().map_err(Error::restated));
    }
    if let Some(last) = last {
        let _ = last.send(found);
    }
}

#[cfg(test)]
mod tests {
    use causeway_providers::ErrorKind;

    use super::*;

    fn request(tables: Option<&[&str]>, actor: &str) -> (RefreshRequest, oneshot::Receiver<Result<usize>>) {
        let (answer, waiting) = oneshot::channel();
        let tables = tables.map(|tables| tables.iter().map(|table| Subject::table("public", table)).collect());
        (RefreshRequest { tables, actor: Some(actor.to_owned()), answer }, waiting)
    }

    #[test]
    fn one_look_is_for_all_that_wait_and_for_nobody_else() {
        let (sender, mut behind) = mpsc::channel(4);
        let (ana, anas) = request(Some(&["cust"]), "ana");
        let (bob, bobs) = request(Some(&["orders"]), "bob");
        let (gone, nobody) = request(None, "gone");
        drop(nobody);
        sender.try_send(gone).unwrap();
        sender.try_send(bob).unwrap();
        let all = Refreshes::gather(ana, &mut behind).unwrap();
        assert_eq!(all.tables(), Some(BTreeSet::from(["cust", "orders"].map(|name| Subject::table("public", name)))));
        assert_eq!(all.actor(), Some("ana"));
        all.answer(Err(Error::new(ErrorKind::Timeout, "too late").at("crm")));
        for mut waiting in [anas, bobs] {
            let told = waiting.try_recv().unwrap().unwrap_err();
            assert_eq!((told.kind(), told.datasource(), told.message()), (ErrorKind::Timeout, Some("crm"), "too late"));
        }

        let (one, _ones) = request(Some(&["cust"]), "ana");
        let (whole, _wholes) = request(None, "eve");
        sender.try_send(whole).unwrap();
        let all = Refreshes::gather(one, &mut behind).unwrap();
        assert_eq!((all.tables(), all.actor()), (None, Some("eve")), "who asks for everything is who accepts it");

        let (one, waiting) = request(None, "ana");
        drop(waiting);
        assert!(Refreshes::gather(one, &mut behind).is_none());
    }
}

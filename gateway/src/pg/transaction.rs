//! Transaction blocks as clients see them.
//!
//! What a block governs is the status byte, the settings it gives back when it is rolled back, the notifications it sends when it commits,
//! and that nothing runs in it after an error. Changes of rows are in a transaction of the source (`write`), which ends with the block.

use pgwire::messages::response::TransactionStatus;

use super::notice::Notice;
use super::notify::{Committed, Mark, Pending};
use super::settings::Settings;
use super::sqlstate::{FAILED_TRANSACTION, NO_ACTIVE_TRANSACTION, PgError, SUCCESSFUL_COMPLETION_ACTIVE_TRANSACTION, UNDEFINED_SAVEPOINT};

/// Where a session stands.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    block: Option<Block>,
    /// What is done at the end. Statements outside a block are a transaction too: up to the next ReadyForQuery.
    pending: Pending,
}

#[derive(Debug)]
struct Block {
    failed: bool,
    before: Settings,
    savepoints: Vec<Savepoint>,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    settings: Settings,
    pending: Mark,
}

/// What a transaction statement answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) tag: &'static str,
    pub(crate) notice: Option<Notice>,
    /// What the end of a transaction leaves to be done.
    pub(crate) committed: Committed,
}

fn answer(tag: &'static str) -> Answer {
    Answer { tag, notice: None, committed: Committed::default() }
}

fn warn(tag: &'static str, code: &'static str, message: &str) -> Answer {
    Answer { notice: Some(Notice::warning(code, message)), ..answer(tag) }
}

impl Transaction {
    pub(crate) fn status(&self) -> TransactionStatus {
        match &self.block {
            None => TransactionStatus::Idle,
            Some(block) if block.failed => TransactionStatus::Error,
            Some(_) => TransactionStatus::Transaction,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.block.is_some()
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.failed)
    }

    /// A statement failed.
    pub(crate) fn fail(&mut self) {
        match &mut self.block {
            Some(block) => block.failed = true,
            None => drop(self.pending.end()),
        }
    }

    /// What waits for the end of the transaction.
    pub(crate) fn pending(&mut self) -> &mut Pending {
        &mut self.pending
    }

    /// Commits what was done outside a block; within one nothing is due yet.
    pub(crate) fn settle(&mut self) -> Committed {
        if self.is_open() { Committed::default() } else { self.pending.end() }
    }

    /// Refuses what may not run after an error.
    pub(crate) fn check(&self) -> Result<(), PgError> {
        if self.is_failed() {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(PgError::new(FAILED_TRANSACTION, message));
        }
        Ok(())
    }

    pub(crate) fn begin(&mut self, settings: &Settings, tag: &'static str) -> Answer {
        if self.is_open() {
            return warn(tag, SUCCESSFUL_COMPLETION_ACTIVE_TRANSACTION, "there is already a transaction in progress");
        }
        self.block = Some(Block { failed: false, before: settings.clone(), savepoints: Vec::new() });
        answer(tag)
    }

    /// Refuses `AND CHAIN` outside a block: for what ends something before the block itself does.
    pub(crate) fn check_chain(&self, word: &str, and_chain: bool) -> Result<(), PgError> {
        if and_chain && !self.is_open() {
            return Err(PgError::new(NO_ACTIVE_TRANSACTION, format!("{word} AND CHAIN can only be used in transaction blocks")));
        }
        Ok(())
    }

    pub(crate) fn commit(&mut self, settings: &mut Settings, and_chain: bool) -> Result<Answer, PgError> {
        self.end(settings, and_chain, true)
    }

    pub(crate) fn rollback(&mut self, settings: &mut Settings, and_chain: bool) -> Result<Answer, PgError> {
        self.end(settings, and_chain, false)
    }

    fn end(&mut self, settings: &mut Settings, and_chain: bool, commit: bool) -> Result<Answer, PgError> {
        let word = if commit { "COMMIT" } else { "ROLLBACK" };
        self.check_chain(word, and_chain)?;
        let Some(block) = self.block.take() else {
            let ended = warn(word, NO_ACTIVE_TRANSACTION, "there is no transaction in progress");
            let pending = self.pending.end();
            return Ok(if commit { Answer { committed: pending, ..ended } } else { ended });
        };
        // A failed block cannot be committed: the client learns it from the tag.
        let is_committed = commit && !block.failed;
        let pending = self.pending.end();
        if is_committed {
            settings.end_transaction();
        } else {
            *settings = block.before;
        }
        if and_chain {
            self.begin(settings, "BEGIN");
        }
        Ok(if is_committed { Answer { committed: pending, ..answer("COMMIT") } } else { answer("ROLLBACK") })
    }

    pub(crate) fn savepoint(&mut self, name: String, settings: &Settings) -> Result<Answer, PgError> {
        let pending = self.pending.mark();
        let block = self.block("SAVEPOINT")?;
        block.savepoints.push(Savepoint { name, settings: settings.clone(), pending });
        Ok(answer("SAVEPOINT"))
    }

    pub(crate) fn release(&mut self, name: &str) -> Result<Answer, PgError> {
        let block = self.block("RELEASE SAVEPOINT")?;
        let at = block.position(name)?;
        block.savepoints.truncate(at);
        Ok(answer("RELEASE"))
    }

    pub(crate) fn rollback_to(&mut self, name: &str, settings: &mut Settings) -> Result<Answer, PgError> {
        let block = self.block("ROLLBACK TO SAVEPOINT")?;
        let at = block.position(name)?;
        block.savepoints.truncate(at + 1);
        block.failed = false;
        settings.clone_from(&block.savepoints[at].settings);
        let pending = block.savepoints[at].pending;
        self.pending.rewind(pending);
        Ok(answer("ROLLBACK"))
    }

    fn block(&mut self, statement: &str) -> Result<&mut Block, PgError> {
        self.block
            .as_mut()
            .ok_or_else(|| PgError::new(NO_ACTIVE_TRANSACTION, format!("{statement} can only be used in transaction blocks")))
    }
}

impl Block {
    fn position(&self, name: &str) -> Result<usize, PgError> {
        self.savepoints
            .iter()
            .rposition(|savepoint| savepoint.name == name)
            .ok_or_else(|| PgError::new(UNDEFINED_SAVEPOINT, format!("savepoint \"{name}\" does not exist")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::SetScope;
    use super::*;

    #[test]
    fn a_failed_block_commits_as_a_rollback() {
        let (mut transaction, mut settings) = (Transaction::default(), Settings::new());
        transaction.begin(&settings, "BEGIN");
        settings.set(SetScope::Session, "application_name", "changed").unwrap();
        transaction.fail();
        assert_eq!(transaction.check().unwrap_err().code, "25P02");
        assert_eq!(transaction.commit(&mut settings, false).unwrap().tag, "ROLLBACK");
        assert_eq!(&*settings.application_name(), "");
        assert_eq!(transaction.status(), TransactionStatus::Idle);
    }

    #[test]
    fn savepoints_give_back_settings_and_mend_the_block() {
        let (mut transaction, mut settings) = (Transaction::default(), Settings::new());
        assert_eq!(transaction.savepoint("a".into(), &settings).unwrap_err().code, "25P01");
        transaction.begin(&settings, "BEGIN");
        transaction.savepoint("a".into(), &settings).unwrap();
        settings.set(SetScope::Session, "application_name", "changed").unwrap();
        transaction.fail();
        transaction.rollback_to("a", &mut settings).unwrap();
        assert_eq!(transaction.status(), TransactionStatus::Transaction);
        assert_eq!(&*settings.application_name(), "");
        transaction.release("a").unwrap();
        assert_eq!(transaction.release("a").unwrap_err().code, "3B001");
    }

    #[test]
    fn warnings_as_postgresql_has_them() {
        let (mut transaction, mut settings) = (Transaction::default(), Settings::new());
        let warning = |answer: Answer| answer.notice.map(|notice| notice.code);
        assert_eq!(warning(transaction.rollback(&mut settings, false).unwrap()), Some("25P01"));
        assert_eq!(warning(transaction.begin(&settings, "BEGIN")), None);
        assert_eq!(warning(transaction.begin(&settings, "BEGIN")), Some("25001"));
        assert_eq!(transaction.commit(&mut settings, true).unwrap().tag, "COMMIT");
        assert!(transaction.is_open(), "AND CHAIN begins the next block");
    }
}

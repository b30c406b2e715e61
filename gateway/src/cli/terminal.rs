//! What a command writes: its answer to standard output, progress and errors to standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// The two streams of the process.
///
/// A reader that went away is no failure of the command, so what cannot be written is dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    styled: bool,
    progress: bool,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none();
        Self { styled: colours && io::stdout().is_terminal(), progress: io::stderr().is_terminal() }
    }

    /// As a terminal that shows no styles.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { styled: false, progress: false }
    }

    /// A line of the answer.
    pub(super) fn line(&self, text: impl Display) {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// Something that takes a while, for people: a line on a terminal that the next one replaces. Nobody else is told.
    pub(super) fn progress(&self, text: impl Display) {
        if self.progress {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
        }
    }

    /// Takes the last progress line away where it can be.
    pub(super) fn progress_done(&self) {
        if self.progress {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K").and_then(|()| stderr.flush());
        }
    }

    /// Why the command failed, and what to do about it.
    pub(super) fn error(&self, text: &str, hint: Option<&str>) {
        self.progress_done();
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "error: {text}");
        if let Some(hint) = hint {
            let _ = writeln!(stderr, "hint: {hint}");
        }
    }

    /// Something the gateway said besides its answer.
    pub(super) fn notice(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "notice: {text}");
    }

    /// A heading, where the terminal can show one.
    pub(super) fn bold(&self, text: &str) -> String {
        if self.styled { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Something that breaks.
    pub(super) fn red(&self, text: &str) -> String {
        self.coloured(31, text)
    }

    /// Something worth a look.
    pub(super) fn yellow(&self, text: &str) -> String {
        self.coloured(33, text)
    }

    /// Something that is well.
    pub(super) fn green(&self, text: &str) -> String {
        self.coloured(32, text)
    }

    fn coloured(&self, colour: u8, text: &str) -> String {
        if self.styled { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Something of less weight.
    pub(super) fn dim(&self, text: &str) -> String {
        if self.styled { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}

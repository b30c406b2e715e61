//! What the checks found.

/// All checks of one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The connector's kind.
    pub kind: &'static str,
    /// The checks by what they are about, in the order they ran.
    pub groups: Vec<Group>,
}

impl Report {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, groups: Vec::new() }
    }

    pub(super) fn add(&mut self, group: Group) {
        self.groups.push(group);
    }

    /// How many checks held.
    pub fn passed(&self) -> usize {
        self.groups.iter().map(|group| group.passed).sum()
    }

    /// What did not hold, a sentence each, by group.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.groups.iter().flat_map(|group| group.failures.iter().map(|failure| (group.name, failure.as_str())))
    }
}

/// Checks of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they are about.
    pub name: &'static str,
    /// How many held.
    pub passed: usize,
    /// Those that did not, a sentence each.
    pub failures: Vec<String>,
    /// What could not be checked here, and why.
    pub left_out: Vec<String>,
}

impl Group {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, passed: 0, failures: Vec::new(), left_out: Vec::new() }
    }

    /// Counts one check.
    pub(super) fn check(&mut self, what: impl AsRef<str>, held: Result<(), String>) {
        match held {
            Ok(()) => self.passed += 1,
            Err(why) => self.failures.push(format!("{}: {why}", what.as_ref())),
        }
    }

    /// Counts one check that something is so.
    pub(super) fn holds(&mut self, what: impl AsRef<str>, so: bool) {
        self.check(what, if so { Ok(()) } else { Err("it is not so".to_owned()) });
    }

    /// Counts one check that gives something to go on with.
    pub(super) fn value<T>(&mut self, what: impl AsRef<str>, made: Result<T, String>) -> Option<T> {
        match made {
            Ok(value) => {
                self.passed += 1;
                Some(value)
            }
            Err(why) => {
                self.failures.push(format!("{}: {why}", what.as_ref()));
                None
            }
        }
    }

    /// Says what is not checked.
    pub(super) fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }
}

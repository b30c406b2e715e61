//! Where the signing secret of a webhook is. Whoever may add a webhook must not learn by it what else the process can read: only
//! variables whose name says that they are for webhooks can be named, and only files of one folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::signature::Secret;
use crate::config::{is_variable, resolve_credential};

/// What the name of a variable begins with that holds a signing secret.
const VARIABLE_PREFIX: &str = "CAUSEWAY_WEBHOOK_";

/// Where environment variables come from.
type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Reads signing secrets by reference: `env:NAME` or `file:PATH`.
#[derive(Clone)]
pub(crate) struct SigningSecrets {
    folder: PathBuf,
    variables: Variables,
}

impl fmt::Debug for SigningSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningSecrets").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why there is no secret at a reference. None of it repeats what may be a secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReferenceFault {
    /// It is no reference: most likely it is the secret.
    NotAReference,
    /// It refers to a variable that is none for webhooks.
    ForeignVariable,
    /// It refers to a file that is not there, or not in the folder. Which of both is not for the asker to know.
    ForeignFile,
    /// What it refers to is no signing secret.
    Unusable(String),
}

impl fmt::Display for ReferenceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReferenceFault::NotAReference => f.write_str("is not a reference"),
            ReferenceFault::ForeignVariable => {
                write!(f, "refers to an environment variable whose name does not begin with {VARIABLE_PREFIX}")
            }
            ReferenceFault::ForeignFile => f.write_str("refers to a file that is not in the folder for the secrets of webhooks"),
            ReferenceFault::Unusable(reason) => f.write_str(reason),
        }
    }
}

impl ReferenceFault {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            ReferenceFault::NotAReference | ReferenceFault::ForeignVariable | ReferenceFault::ForeignFile => format!(
                "give env:{VARIABLE_PREFIX}NAME, a variable of the gateway's own environment, or file:NAME, a file in its folder \
                 `webhooks.secrets`"
            ),
            ReferenceFault::Unusable(_) => "a signing secret is whsec_ and the base64 of 24 to 64 bytes".to_owned(),
        }
    }
}

impl SigningSecrets {
    /// Secrets in the files of `folder`, and in variables of this process.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self::with_variables(folder, Arc::new(|name| std::env::var(name).ok()))
    }

    pub(super) fn with_variables(folder: PathBuf, variables: Variables) -> Self {
        Self { folder, variables }
    }

    /// Reads the secret at a reference, as it is now.
    ///
    /// # Errors
    /// As [`ReferenceFault`] says.
    pub(super) async fn read(&self, reference: &str) -> Result<Secret, ReferenceFault> {
        let (reference, this) = (reference.to_owned(), self.clone());
        // Files may be on a slow disk, or on none that answers.
        let reading = tokio::task::spawn_blocking(move || this.read_blocking(&reference)).await;
        reading.unwrap_or_else(|_| Err(ReferenceFault::Unusable("could not be read".to_owned())))
    }

    /// Whether there is a secret at a reference.
    ///
    /// # Errors
    /// As [`ReferenceFault`] says.
    pub(crate) async fn check(&self, reference: &str) -> Result<(), ReferenceFault> {
        self.read(reference).await.map(drop)
    }

    fn read_blocking(&self, reference: &str) -> Result<Secret, ReferenceFault> {
        let (reference, base) = match reference.split_once(':') {
            Some(("env", name)) if is_variable(name) => {
                if name.strip_prefix(VARIABLE_PREFIX).is_none_or(str::is_empty) {
                    return Err(ReferenceFault::ForeignVariable);
                }
                (reference.to_owned(), self.folder.as_path())
            }
            Some(("file", path)) if !path.is_empty() => {
                let file = self.file(path).ok_or(ReferenceFault::ForeignFile)?;
                (format!("file:{file}"), self.folder.as_path())
            }
            _ => return Err(ReferenceFault::NotAReference),
        };
        let text = resolve_credential(&reference, base, &*self.variables).map_err(ReferenceFault::Unusable)?;
        Secret::parse(&text).map_err(ReferenceFault::Unusable)
    }

    /// The real path of a file below the folder, with all links followed.
    fn file(&self, path: &str) -> Option<String> {
        let folder = self.folder.canonicalize().ok()?;
        let file = folder.join(Path::new(path)).canonicalize().ok()?;
        let is_inside = file.starts_with(&folder) && file.is_file();
        is_inside.then(|| file.to_str().map(str::to_owned))?
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[tokio::test]
    async fn only_what_is_there_for_webhooks_can_be_named() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("secrets");
        fs::create_dir_all(folder.join("team")).unwrap();
        for file in ["secrets/pager", "secrets/team/pager", "outside"] {
            fs::write(outer.path().join(file), SECRET).unwrap();
        }
        fs::write(folder.join("short"), "whsec_c2hvcnQ=").unwrap();
        std::os::unix::fs::symlink(outer.path().join("outside"), folder.join("link")).unwrap();
        let variables =
            |name: &str| ["CAUSEWAY_WEBHOOK_PAGER", "CAUSEWAY_MASTER_KEY", "CAUSEWAY_WEBHOOK_"].contains(&name).then(|| SECRET.to_owned());
        let secrets = SigningSecrets::with_variables(folder.clone(), Arc::new(variables));
        for reference in ["env:CAUSEWAY_WEBHOOK_PAGER", "file:pager", "file:team/pager", &format!("file:{}/pager", folder.display())] {
            assert_eq!(secrets.check(reference).await, Ok(()), "{reference}");
        }
        for reference in ["env:CAUSEWAY_MASTER_KEY", "env:PATH", "env:CAUSEWAY_WEBHOOK_"] {
            assert_eq!(secrets.check(reference).await, Err(ReferenceFault::ForeignVariable), "{reference}");
        }
        let outside = format!("file:{}/outside", outer.path().display());
        for reference in ["file:../outside", "file:link", "file:absent", "file:team", "file:/etc/passwd", &outside] {
            assert_eq!(secrets.check(reference).await, Err(ReferenceFault::ForeignFile), "{reference}");
        }
        for literal in [SECRET, "s3cr3t", "secret:s3cr3t", "env:s3cr3t!", "file:", ""] {
            let fault = secrets.check(literal).await.unwrap_err();
            assert_eq!(fault, ReferenceFault::NotAReference, "{literal}");
            assert!(!format!("{fault} {}", fault.hint()).contains("s3cr3t"), "{fault}");
        }
        for reference in ["env:CAUSEWAY_WEBHOOK_ABSENT", "file:short"] {
            assert!(matches!(secrets.check(reference).await, Err(ReferenceFault::Unusable(_))), "{reference}");
        }
    }
}

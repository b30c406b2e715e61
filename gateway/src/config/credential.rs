//! References to credentials. The value itself never stands in a configuration file, and no fault here repeats what was written.

use std::fs;
use std::path::Path;

use secrecy::SecretString;

use super::Variables;

/// Longest file that is taken for a credential.
const LONGEST_FILE: u64 = 64 * 1024;

/// Resolves `env:NAME` or `file:PATH`, the path from `base`.
///
/// # Errors
/// What is wrong, without the value.
pub(crate) fn resolve(reference: &str, base: &Path, variables: Variables<'_>) -> Result<SecretString, String> {
    match reference.split_once(':') {
        Some(("env", name)) if is_variable(name) => match variables(name) {
            Some(value) => Ok(value.into()),
            None => Err(format!("refers to the environment variable {name}, which is not set")),
        },
        Some(("env", _)) => Err("refers to an environment variable whose name is not made of letters, digits and _".to_owned()),
        Some(("file", path)) if !path.is_empty() => from_file(&base.join(path)),
        Some(("secret", _)) => {
            Err("is a reference to the secret store, which is not available in this version; use env:NAME or file:PATH".to_owned())
        }
        _ => Err("is not a reference: write env:NAME or file:PATH; the credential itself does not belong in this file".to_owned()),
    }
}

/// Whether a text can be the name of an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn from_file(path: &Path) -> Result<SecretString, String> {
    let refused = |reason: String| format!("refers to the file {}, which {reason}", path.display());
    let length = fs::metadata(path).map_err(|error| refused(format!("cannot be read: {error}")))?.len();
    if length > LONGEST_FILE {
        return Err(refused(format!("is longer than {LONGEST_FILE} bytes")));
    }
    let mut text = fs::read_to_string(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    // Editors and `echo` end a file with a line end that is not part of the credential.
    let kept = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(kept);
    if text.is_empty() { Err(refused("is empty".to_owned())) } else { Ok(text.into()) }
}

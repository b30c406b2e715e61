//! The folder the store is in, and the files in it: nobody but their owner reads them, and one gateway at a time uses them.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use causeway_providers::{Error, ErrorKind, Result};

/// The file's name in the data folder.
pub(super) const FILE: &str = "causeway.db";
/// The lock that keeps a second gateway off the same file.
const LOCK: &str = "causeway.lock";
/// What SQLite keeps beside the file, with the rights that the file has when it makes them.
const BESIDE: [&str; 2] = ["causeway.db-wal", "causeway.db-shm"];

/// Makes a folder for the store that nobody but this user can enter. One that is there keeps the rights it has.
///
/// # Errors
/// When the system refuses.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Locks the store in `folder`, and makes what is not there yet; gives the lock and the path of the file.
///
/// # Errors
/// `Conflict` when another process has it; `Unauthorized`, `LimitExceeded` or `Invalid` when the folder cannot be used.
pub(super) fn lock(folder: &Path) -> Result<(File, PathBuf)> {
    let unusable = |error| unusable(folder, &error);
    make(folder).map_err(unusable)?;
    let lock = private(&folder.join(LOCK)).map_err(unusable)?;
    hold(&lock, folder)?;
    let path = folder.join(FILE);
    private(&path).map_err(unusable)?;
    for beside in BESIDE.map(|name| folder.join(name)).iter().filter(|path| path.exists()) {
        private(beside).map_err(unusable)?;
    }
    Ok((lock, path))
}

/// Locks the store in `folder` as far as it has a lock, and makes and changes nothing; gives the lock and the path of the file.
///
/// # Errors
/// As [`lock`].
pub(super) fn lock_unchanged(folder: &Path) -> Result<(Option<File>, PathBuf)> {
    let lock = match File::open(folder.join(LOCK)) {
        Ok(lock) => Some(lock),
        // Whoever uses the store makes one first.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unusable(folder, &error)),
    };
    lock.as_ref().map_or(Ok(()), |lock| hold(lock, folder))?;
    Ok((lock, folder.join(FILE)))
}

/// Whether the store in `folder` was not closed in order, so that the newest of it is beside the file.
pub(super) fn has_journal(folder: &Path) -> bool {
    folder.join(BESIDE[0]).exists()
}

fn hold(lock: &File, folder: &Path) -> Result<()> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Conflict, format!("another gateway uses the data folder {}", folder.display()))
                .hint("stop it, or give this one a folder of its own with `data_dir` or --data-dir"))
        }
        Err(TryLockError::Error(error)) => Err(unusable(folder, &error)),
    }
}

fn unusable(folder: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Unauthorized,
        io::ErrorKind::StorageFull => ErrorKind::LimitExceeded,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, format!("the control store's folder {} cannot be used: {error}", folder.display()))
        .hint("choose another one with `data_dir`")
}

/// Opens a file that only its owner reads and writes, whoever could before.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::fs::{Permissions, set_permissions};
        use std::os::unix::fs::PermissionsExt;
        // Only the owner may change this; where that is somebody else, they have decided.
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            match set_permissions(path, Permissions::from_mode(0o600)) {
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(file)
}

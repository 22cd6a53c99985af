//! Keeps a second process out of the store's directory, and says who is in.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::StoreError;

/// Name of the lock file in the store's directory.
const NAME: &str = "lock";

/// Locks `dir` until the returned file is dropped; the kernel releases it however the process ends.
///
/// # Errors
/// [`StoreError::Locked`] with the holder's process id, [`StoreError::Unavailable`] if the file cannot be made.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let unavailable =
        |e: std::io::Error| StoreError::Unavailable(format!("{}: {e}", dir.join(NAME).display()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(dir.join(NAME)).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known = file.take(20).read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let holder = if known { format!("process {}", pid.trim()) } else { "another process".into() };
            return Err(StoreError::Locked { path: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(e)) => return Err(unavailable(e)),
    }
    // Who it is only makes a message better: a full disk must not keep the store from being read.
    let pid = format!("{}\n", std::process::id());
    let written = file.rewind().and_then(|()| file.write_all(pid.as_bytes()));
    let length = if written.is_ok() { pid.len() as u64 } else { 0 };
    file.set_len(length).map_err(unavailable)?;
    Ok(file)
}

//! The file of the tables, as redb sees it: writes to it wait while they fail.
//!
//! redb refuses everything after one call that failed, reads too, until the file is opened anew; a disk that is full for a
//! minute would end all reading. So what fails while the store is open is tried again until it succeeds. An fsync is not:
//! after one that failed nobody knows what is on disk, and the next would report success. It waits until the store is closed,
//! and the tables stay as they are; the log has everything. Only the thread that writes the tables ever waits here.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, StorageBackend};

use super::flush::Gate;
use super::path_error;
use super::tables::storage;
use crate::StoreError;

/// The file.
#[derive(Debug)]
struct TablesFile {
    file: File,
    path: PathBuf,
    gate: Arc<Gate>,
}

/// Opens the database in file `path`, which must be there. Failures are waited out once `gate` says that the store is open.
///
/// # Errors
/// [`StoreError::Unavailable`] or [`StoreError::Corrupt`] if it cannot be read; they name the file.
pub(super) fn open(path: &Path, cache_bytes: usize, gate: &Arc<Gate>) -> Result<Database, StoreError> {
    let fail = |e: io::Error| path_error(path, &e);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(fail)?;
    // redb would make a new database of it.
    if file.metadata().map_err(fail)?.len() == 0 {
        return Err(StoreError::Corrupt(format!("{}: empty file", path.display())));
    }
    let file = TablesFile { file, path: path.to_owned(), gate: Arc::clone(gate) };
    redb::Builder::new().set_cache_size(cache_bytes).create_with_backend(file).map_err(storage)
}

impl TablesFile {
    /// What an error of the file says to whoever reads it.
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }

    /// Repeats `call` until it succeeds or the store is closed.
    fn insist(&self, call: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
        let mut times = 0;
        while let Err(error) = call(&self.file) {
            let error = self.named(&error);
            if times == 0 {
                tracing::error!(%error, "the tables cannot be written: tried again until they can");
            }
            if !self.gate.wait_and_retry(&error, times) {
                return Err(error);
            }
            times += 1;
        }
        if times > 0 {
            tracing::warn!(path = %self.path.display(), "the tables are written again");
            self.gate.turned(Ok(()));
        }
        Ok(())
    }
}

impl StorageBackend for TablesFile {
    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|m| m.len()).map_err(|e| self.named(&e))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset).map_err(|e| self.named(&e))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.insist(|file| file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| {
            let error = self.named(&error);
            tracing::error!(%error, "the tables are not durable: open the store anew");
            self.gate.wait_for_end(&error);
            error
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.insist(|file| file.write_all_at(data, offset))
    }
}

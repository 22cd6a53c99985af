//! The embedded store: one machine, one process, one redb file.
//!
//! Writes go through a bounded queue to one thread (writer.rs) that makes many transactions durable with one fsync: of the
//! change log (log.rs), which watchers follow (watch.rs). The newest rows are in memory (layers.rs) and are moved to the
//! tables, many at a time, by another thread (flush.rs). Reads look into both and never wait for the disk's writes (ADR 0051).

mod file;
mod flush;
mod fuzz;
mod layers;
mod lock;
mod log;
mod record;
mod snapshot;
mod tables;
mod watch;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase};
use tokio::sync::{mpsc, oneshot};

use crate::{
    BoxFuture, Entry, EntryStream, Event, EventKind, Limits, Range, Revision, Store, StoreError, Txn,
    TxnResult, WatchBatch, WatchStream,
};
use layers::{Layers, Row, Rows, Table};
use log::Log;
use tables::{DATA, STATE, durable_revision, state_row, storage};

pub use fuzz::fuzz_log;

/// Name of the database in the store's directory.
const DATABASE: &str = "weft.redb";
/// Its name until it is initialised.
const UNFINISHED: &str = "weft.redb.new";
/// Transactions waiting for the writer; a caller beyond it waits for a place.
const QUEUE: usize = 1024;
/// Entries a range returns at most, whatever the caller asks for.
const MAX_PAGE: usize = 10_000;
/// Bytes of values after which a page of a range ends.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// Ranges up to this many entries are read on the calling task, longer ones on a thread for blocking work.
const INLINE_PAGE: usize = 32;
/// What one transaction may hold here.
const LIMITS: Limits = Limits { max_ops: 65_536, max_compares: 65_536, max_bytes: 32 << 20, max_key: 4096 };

/// Bounds of an embedded store.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Transactions kept in the change log, at most (somewhat fewer may be kept).
    pub log_revisions: u64,
    /// Bytes of the change log, at most.
    pub log_bytes: u64,
    /// Bytes of the page cache. The kernel keeps the pages that do not fit.
    pub cache_bytes: usize,
    /// Bytes of rows in memory after which they are moved to the tables. While that goes on there may be some times as
    /// many, never more: then writers wait.
    pub memory_bytes: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { log_revisions: 1_000_000, log_bytes: 256 << 20, cache_bytes: 16 << 20, memory_bytes: 8 << 20 }
    }
}

/// A [`Store`] in a directory of this machine.
///
/// Dropping it waits for the transactions already queued and closes the files.
pub struct EmbeddedStore {
    inner: Arc<Inner>,
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<writer::Job>>,
    newest: tokio::sync::watch::Receiver<Revision>,
    thread: Option<JoinHandle<()>>,
}

/// What the writer, the flusher, the readers and the watchers share.
struct Inner {
    /// The newest state whose changes are durable.
    layers: RwLock<Layers>,
    database: Database,
    gate: Arc<flush::Gate>,
    log: Log,
    options: EmbeddedOptions,
    recent: watch::Recent,
    /// Released after the database is closed: fields drop in order.
    _lock: File,
}

impl EmbeddedStore {
    /// Opens the store in directory `dir`, making it if it is not there, with the default bounds.
    ///
    /// Blocks: reads from disk, and after a crash may check the whole file.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if it is open elsewhere, [`StoreError::Format`] if a newer version wrote it,
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`] if its files cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(dir, EmbeddedOptions::default())
    }

    /// [`EmbeddedStore::open`] with other bounds.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(dir: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, StoreError> {
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir).map_err(|e| path_error(dir, &e))?;
        let lock = lock::lock(dir)?;
        create_if_missing(dir)?;
        let gate = Arc::new(flush::Gate::default());
        let database = file::open(&dir.join(DATABASE), options.cache_bytes, &gate)?;
        let durable = durable_revision(&database.begin_read().map_err(storage)?)?;
        let (log, appender, missing) = Log::open(dir, durable)?;
        let revision = missing.last().map_or(durable, |batch| batch.revision);
        let mut layers = Layers::new(durable, open_table(&database)?);
        if revision > durable {
            tracing::info!(transactions = missing.len(), "taken from the log after an unclean end");
            layers.extend(rows_of(missing), revision);
        }
        let layers = RwLock::new(layers);
        let recent = watch::Recent::default();
        let inner = Arc::new(Inner { layers, database, gate, log, options, recent, _lock: lock });
        let (jobs, receiver) = mpsc::channel(QUEUE);
        let (sender, newest) = tokio::sync::watch::channel(revision);
        let flusher = flush::Flusher::start(Arc::clone(&inner), durable)?;
        let writer = writer::Writer::new(Arc::clone(&inner), appender, flusher, revision, sender);
        let thread = std::thread::Builder::new()
            .name("weft-store".into())
            .spawn(move || writer.run(receiver))
            .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        Ok(Self { inner, jobs: Some(jobs), newest, thread: Some(thread) })
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It only fails if the writer panicked; the callers in the queue have been told then.
            let _ = thread.join();
        }
    }
}

fn path_error(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Makes an empty database beside its place and moves it there when it is whole and on disk: one that was killed
/// while being initialised could not be opened again.
fn create_if_missing(dir: &Path) -> Result<(), StoreError> {
    let (path, unfinished) = (dir.join(DATABASE), dir.join(UNFINISHED));
    let exists = path.try_exists().map_err(|e| path_error(&path, &e))?;
    if exists {
        return Ok(());
    }
    match std::fs::remove_file(&unfinished) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(path_error(&unfinished, &e)),
        _ => {}
    }
    initialise(&unfinished).map_err(|error| match error {
        StoreError::Unavailable(what) => StoreError::Unavailable(format!("{}: {what}", unfinished.display())),
        error => error,
    })?;
    std::fs::rename(&unfinished, &path).map_err(|e| path_error(&path, &e))?;
    // The directory entries must be as durable as what the file will hold.
    sync_directory(dir)?;
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_directory)
}

/// Makes a database of a store that was never written.
fn initialise(path: &Path) -> Result<(), StoreError> {
    let database = Database::create(path).map_err(storage)?;
    let transaction = database.begin_write().map_err(storage)?;
    transaction.open_table(DATA).map_err(storage)?;
    let mut state = transaction.open_table(STATE).map_err(storage)?;
    state.insert(0, state_row(0)).map_err(storage)?;
    drop(state);
    transaction.commit().map_err(storage)?;
    database.close().map_err(storage)
}

fn sync_directory(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| path_error(dir, &e))
}

/// What transactions wrote.
fn rows_of(batches: Vec<WatchBatch>) -> Rows {
    let mut rows = Rows::new();
    for WatchBatch { revision, events } in batches {
        for Event { key, kind } in events {
            let value = match kind {
                EventKind::Put(value) => Some(value),
                EventKind::Delete { .. } => None,
            };
            rows.insert(key.into(), Row { revision, value });
        }
    }
    rows
}

/// The table of keys and values as it is now.
fn open_table(database: &Database) -> Result<Table, StoreError> {
    database.begin_read().map_err(storage)?.open_table(DATA).map_err(storage)
}

impl Inner {
    fn layers(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn layers_mut(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let (row, table) = {
            let layers = self.layers();
            (layers.newest(key).cloned(), layers.table())
        };
        let row = match row {
            Some(row) => Some(row),
            None => layers::stored(&table, key)?,
        };
        let entry = |row: Row| {
            let mod_revision = row.revision;
            row.value.map(|value| Entry { key: key.to_owned(), value, mod_revision })
        };
        Ok(row.and_then(entry))
    }

    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Range, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let (revision, walk) = {
            let layers = self.layers();
            // One more than is wanted tells whether there are more.
            (layers.revision, layers.walk(prefix, after, limit + 1)?)
        };
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for entry in walk {
            let entry = entry?;
            if entries.len() >= limit || bytes >= MAX_PAGE_BYTES {
                return Ok(Range { entries, revision, more: true });
            }
            bytes += entry.value.len();
            entries.push(entry);
        }
        Ok(Range { entries, revision, more: false })
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move { self.inner.get(key) })
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Range, StoreError>> {
        Box::pin(async move {
            if limit <= INLINE_PAGE {
                return self.inner.range(prefix, after, limit);
            }
            let inner = Arc::clone(&self.inner);
            let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
            let read = tokio::task::spawn_blocking(move || inner.range(&prefix, after.as_deref(), limit));
            read.await.map_err(|e| StoreError::Unavailable(e.to_string()))?
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<(Revision, EntryStream), StoreError>> {
        Box::pin(async move { snapshot::start(&self.inner) })
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResult, StoreError>> {
        Box::pin(async move {
            LIMITS.check(&txn)?;
            let closed = || StoreError::Unavailable("store closed".into());
            let (reply, outcome) = oneshot::channel();
            let jobs = self.jobs.as_ref().ok_or_else(closed)?;
            jobs.send(writer::Job { txn, reply }).await.map_err(|_| closed())?;
            outcome.await.map_err(|_| closed())?
        })
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        from: Revision,
    ) -> BoxFuture<'a, Result<WatchStream, StoreError>> {
        Box::pin(async move {
            let (current, oldest) = (self.inner.layers().revision, self.inner.log.oldest());
            if from < oldest {
                return Err(StoreError::Compacted { requested: from, oldest });
            }
            if from > current {
                return Err(StoreError::FutureRevision { requested: from, current });
            }
            Ok(watch::stream(Arc::clone(&self.inner), prefix.to_owned(), from, self.newest.clone()))
        })
    }

    fn revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async move { Ok(self.inner.layers().revision) })
    }

    fn limits(&self) -> Limits {
        LIMITS
    }
}

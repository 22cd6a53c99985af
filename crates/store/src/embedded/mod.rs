//! The embedded store: one machine, one process, one redb file.
//!
//! Writes go through a bounded queue to one thread (writer.rs) that makes many transactions durable with one fsync: of the
//! change log (log.rs), which is written before the tables and which watchers follow (watch.rs). The tables are made
//! durable now and then. Reads take the newest state of the tables and never wait for the writer (ADR 0051).

mod lock;
mod log;
mod record;
mod snapshot;
mod tables;
mod watch;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use redb::{Database, ReadOnlyTable, ReadableDatabase};
use tokio::sync::{mpsc, oneshot};

use crate::{
    BoxFuture, Entry, EntryStream, EventKind, Limits, Range, Revision, Store, StoreError, Txn, TxnResult,
    WatchBatch, WatchStream,
};
use log::Log;
use tables::{DATA, DATA_HEADER, STATE, durable_revision, state_row, storage};

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
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { log_revisions: 1_000_000, log_bytes: 256 << 20, cache_bytes: 48 << 20 }
    }
}

/// The table of keys and values, being written.
type Data<'t> = redb::Table<'t, &'static str, &'static [u8]>;

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

/// The state of the tables after a group of transactions.
struct View {
    revision: Revision,
    data: ReadOnlyTable<&'static str, &'static [u8]>,
}

/// What the writer, the readers and the watchers share.
struct Inner {
    /// The newest state whose changes are durable.
    view: RwLock<Arc<View>>,
    database: Database,
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
        let database = redb::Builder::new()
            .set_cache_size(options.cache_bytes)
            .open(dir.join(DATABASE))
            .map_err(storage)?;
        let durable = durable_revision(&database.begin_read().map_err(storage)?)?;
        let (log, appender, missing) = Log::open(dir, durable)?;
        let revision = missing.last().map_or(durable, |batch| batch.revision);
        if revision > durable {
            tracing::info!(transactions = missing.len(), "taken from the log after an unclean end");
            catch_up(&database, &missing)?;
        }
        let view = RwLock::new(Arc::new(View::of(&database, revision)?));
        let recent = watch::Recent::default();
        let inner = Arc::new(Inner { view, database, log, options, recent, _lock: lock });
        let (jobs, receiver) = mpsc::channel(QUEUE);
        let (sender, newest) = tokio::sync::watch::channel(revision);
        let writer = writer::Writer::new(Arc::clone(&inner), appender, revision, durable, sender);
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
    let database = Database::create(&unfinished).map_err(storage)?;
    let transaction = database.begin_write().map_err(storage)?;
    transaction.open_table(DATA).map_err(storage)?;
    let mut state = transaction.open_table(STATE).map_err(storage)?;
    state.insert(0, state_row(0)).map_err(storage)?;
    drop(state);
    transaction.commit().map_err(storage)?;
    database.close().map_err(storage)?;
    std::fs::rename(&unfinished, &path).map_err(|e| path_error(&path, &e))?;
    // The directory entries must be as durable as what the file will hold.
    sync_directory(dir)?;
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_directory)
}

fn sync_directory(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| path_error(dir, &e))
}

/// Applies transactions that are in the log and not in the tables.
fn catch_up(database: &Database, missing: &[WatchBatch]) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(storage)?;
    transaction.set_quick_repair(true);
    let mut data = transaction.open_table(DATA).map_err(storage)?;
    for batch in missing {
        for event in &batch.events {
            match &event.kind {
                EventKind::Put(value) => put_row(&mut data, &event.key, value, batch.revision)?,
                EventKind::Delete { .. } => {
                    data.remove(event.key.as_str()).map_err(storage)?;
                }
            }
        }
    }
    drop(data);
    let revision = missing.last().map_or(0, |batch| batch.revision);
    let mut state = transaction.open_table(STATE).map_err(storage)?;
    state.insert(0, state_row(revision)).map_err(storage)?;
    drop(state);
    transaction.commit().map_err(storage)
}

fn put_row(data: &mut Data<'_>, key: &str, value: &[u8], revision: Revision) -> Result<(), StoreError> {
    let mut row = data.insert_reserve(key, DATA_HEADER + value.len()).map_err(storage)?;
    let (header, body) = row.as_mut().split_at_mut(DATA_HEADER);
    header.copy_from_slice(&revision.to_le_bytes());
    body.copy_from_slice(value);
    Ok(())
}

impl View {
    fn of(database: &Database, revision: Revision) -> Result<Self, StoreError> {
        let transaction = database.begin_read().map_err(storage)?;
        Ok(Self { revision, data: transaction.open_table(DATA).map_err(storage)? })
    }
}

impl Inner {
    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets readers see what the tables hold now.
    fn publish(&self, revision: Revision) -> Result<(), StoreError> {
        let view = Arc::new(View::of(&self.database, revision)?);
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        // The rows must not outlive the state they are of.
        let view = self.view();
        let row = view.data.get(key).map_err(storage)?;
        row.map(|row| tables::entry(key, row.value())).transpose()
    }

    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Range, StoreError> {
        let view = self.view();
        let revision = view.revision;
        let start = after.filter(|after| *after >= prefix);
        let rows = match start {
            Some(after) => {
                use std::ops::Bound::{Excluded, Unbounded};
                view.data.range::<&str>((Excluded(after), Unbounded)).map_err(storage)?
            }
            None => view.data.range(prefix..).map_err(storage)?,
        };
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for row in rows {
            let (key, row) = row.map_err(storage)?;
            if !key.value().starts_with(prefix) {
                break;
            }
            if entries.len() >= limit.min(MAX_PAGE) || bytes >= MAX_PAGE_BYTES {
                return Ok(Range { entries, revision, more: true });
            }
            bytes += row.value().len();
            entries.push(tables::entry(key.value(), row.value())?);
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
        Box::pin(async move { Ok(snapshot::start(self.inner.view())) })
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
            let (current, oldest) = (self.inner.view().revision, self.inner.log.oldest());
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
        Box::pin(async move { Ok(self.inner.view().revision) })
    }

    fn limits(&self) -> Limits {
        LIMITS
    }
}

//! Moving rows from memory to the tables, on a thread of its own: when there are many, when a segment of the log is full,
//! and when nothing has been written for a while. What is in the tables the log need not keep for a next start.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::layers::{Row, Rows};
use super::tables::{DATA, DATA_HEADER, STATE, state_row, storage};
use super::{Inner, open_table};
use crate::{Revision, StoreError};

/// Nothing written for so long: memory is emptied.
const IDLE: Duration = Duration::from_secs(5);
/// Pause after the tables could not be written.
const RETRY: Duration = Duration::from_secs(1);
/// Pause after a write of their file failed for the first time; it doubles up to [`RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(5);
/// Times the bytes of rows in memory that there should be, beyond which writers wait for the tables.
const MOST: usize = 3;

/// What the flusher has come to.
#[derive(Debug, Default)]
struct Progress {
    /// Why the tables could not be written the last time.
    failed: Option<String>,
    /// Whether what fails is waited out: while the store is open, not while it is being opened or closed.
    patient: bool,
}

/// Said and waited for by the writer and the flusher.
#[derive(Debug, Default)]
pub(super) struct Gate {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Gate {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn turned(&self, outcome: Result<(), StoreError>) {
        let mut progress = self.progress();
        progress.failed = outcome.err().map(|error| error.to_string());
        self.changed.notify_all();
    }

    /// The store is open, or about to be closed.
    fn set_patient(&self, patient: bool) {
        self.progress().patient = patient;
        self.changed.notify_all();
    }

    /// Returns after `pause`, or as soon as the store is closed; whether it is open.
    fn pause(&self, progress: MutexGuard<'_, Progress>, pause: Duration) -> bool {
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(progress, pause, |progress| progress.patient);
        waited.unwrap_or_else(PoisonError::into_inner).0.patient
    }

    /// The tables' file could not be written, so many times so far: returns after a while, and whether to try again.
    pub(super) fn wait_and_retry(&self, error: &std::io::Error, times: u32) -> bool {
        let mut progress = self.progress();
        progress.failed = Some(format!("{error}; tried again until it succeeds"));
        self.pause(progress, FIRST_RETRY.saturating_mul(1 << times.min(10)).min(RETRY))
    }

    /// The tables' file cannot be used any more: returns when the store is closed.
    pub(super) fn wait_for_end(&self, error: &std::io::Error) {
        let mut progress = self.progress();
        if progress.patient {
            progress.failed = Some(format!("{error}; open the store anew (restart)"));
            self.changed.notify_all();
            let waited = self.changed.wait_while(progress, |progress| progress.patient);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// The thread's handle.
pub(super) struct Flusher {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    gate: Arc<Gate>,
}

impl Flusher {
    pub(super) fn start(inner: Arc<Inner>, durable: Revision) -> Result<Self, StoreError> {
        // One call waiting is enough: whatever is there by then is written.
        let (wake, calls) = sync_channel(1);
        let gate = Arc::clone(&inner.gate);
        let thread = std::thread::Builder::new()
            .name("weft-tables".into())
            .spawn(move || run(&inner, &calls, durable))
            .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        gate.set_patient(true);
        Ok(Self { wake, thread, gate })
    }

    /// Asks for the tables to be written.
    pub(super) fn wake(&self) {
        match self.wake.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }

    /// Waits while there is too much in memory.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the tables cannot be written.
    pub(super) fn keep_up(&self, inner: &Inner) -> Result<(), StoreError> {
        while inner.layers().bytes() > MOST * inner.options.memory_bytes {
            self.wake();
            let progress = inner.gate.progress();
            if let Some(why) = &progress.failed {
                return Err(StoreError::Refused(format!("the tables cannot be written: {why}")));
            }
            let waited = inner.gate.changed.wait_timeout(progress, RETRY);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        Ok(())
    }

    /// Writes what is left and ends.
    pub(super) fn finish(self) {
        self.gate.set_patient(false);
        drop(self.wake);
        // It only fails if the flusher panicked; the log has everything.
        let _ = self.thread.join();
    }
}

fn run(inner: &Inner, calls: &Receiver<()>, mut durable: Revision) {
    let mut seen = 0;
    loop {
        let call = calls.recv_timeout(IDLE);
        let newest = inner.layers().revision;
        let idle = newest == seen;
        seen = newest;
        match call {
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if !idle => {}
            Ok(()) | Err(RecvTimeoutError::Timeout) => {
                if !turn(inner, &mut durable) {
                    inner.gate.pause(inner.gate.progress(), RETRY);
                }
            }
        }
    }
    // What was frozen when it could not be written, and then the rest.
    let _ = turn(inner, &mut durable) && turn(inner, &mut durable);
}

/// Brings the tables up to what is in memory; false if that failed.
fn turn(inner: &Inner, durable: &mut Revision) -> bool {
    if inner.layers().revision == *durable {
        return true;
    }
    let outcome = flush(inner).map(|revision| *durable = revision);
    if let Err(error) = &outcome {
        tracing::error!(%error, "the tables are not as new as the log");
    }
    let done = outcome.is_ok();
    inner.gate.turned(outcome);
    done
}

/// Writes the rows in memory to the tables; the revision these are at then.
fn flush(inner: &Inner) -> Result<Revision, StoreError> {
    // Held until the end, so that they are freed outside the lock.
    let (rows, revision) = inner.layers_mut().freeze();
    write(inner, &rows, revision)?;
    let table = open_table(&inner.database)?;
    inner.layers_mut().settle(table);
    if let Err(error) = inner.log.trim(&inner.options, revision) {
        tracing::warn!(%error, "the log keeps more than its bounds");
    }
    Ok(revision)
}

fn write(inner: &Inner, rows: &Rows, revision: Revision) -> Result<(), StoreError> {
    let mut transaction = inner.database.begin_write().map_err(storage)?;
    // The file's free space is kept, too: opening takes no time however large the store.
    transaction.set_quick_repair(true);
    {
        let mut data = transaction.open_table(DATA).map_err(storage)?;
        for (key, Row { revision, value }) in rows {
            let Some(value) = value else {
                data.remove(&**key).map_err(storage)?;
                continue;
            };
            let mut row = data.insert_reserve(&**key, DATA_HEADER + value.len()).map_err(storage)?;
            let (header, body) = row.as_mut().split_at_mut(DATA_HEADER);
            header.copy_from_slice(&revision.to_le_bytes());
            body.copy_from_slice(value);
        }
        let mut state = transaction.open_table(STATE).map_err(storage)?;
        state.insert(0, state_row(revision)).map_err(storage)?;
    }
    transaction.commit().map_err(storage)
}

//! The single writer: a thread that applies transactions in order and makes many durable with one fsync.
//!
//! While the disk is busy with one group, the next collects in the queue; so the more clients write at once, the
//! larger the groups. When many write, a group is waited for a little while more of them come: on a fast disk it would
//! else be of a few, and each group costs the processor as much as some transactions. A transaction is answered only after
//! its group is in the log on disk and visible to readers and watchers; no reader sees it before it is in the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::flush::Flusher;
use super::layers::{Layers, Row, Rows, Table, stored};
use super::log::{AppendError, Appender};
use super::{Inner, record};
use crate::{Compare, Condition, Event, EventKind, Op, Revision, StoreError, Txn, TxnResult, WatchBatch};

/// Transactions made durable together, at most.
const GROUP_TXNS: usize = 512;
/// Bytes of keys and values after which no more transactions join a group.
const GROUP_BYTES: usize = 2 << 20;
/// Transactions in the last group from which on the next one is waited for.
const CROWD: usize = 4;
/// Longest wait for a group.
const GATHER: Duration = Duration::from_millis(1);
/// The wait ends when nobody came for so long.
const GATHER_STEP: Duration = Duration::from_micros(200);

type Reply = oneshot::Sender<Result<TxnResult, StoreError>>;

/// A transaction with its way back.
pub(super) struct Job {
    pub(super) txn: Txn,
    pub(super) reply: Reply,
}

/// What became of a group.
struct Committed {
    outcomes: Vec<TxnResult>,
    batches: Vec<WatchBatch>,
}

/// The writer.
pub(super) struct Writer {
    inner: Arc<Inner>,
    log: Appender,
    flusher: Flusher,
    /// The newest revision.
    revision: Revision,
    newest: watch::Sender<Revision>,
    /// Transactions in the last group.
    crowd: usize,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

impl Writer {
    pub(super) fn new(
        inner: Arc<Inner>,
        log: Appender,
        flusher: Flusher,
        revision: Revision,
        newest: watch::Sender<Revision>,
    ) -> Self {
        Self { inner, log, flusher, revision, newest, crowd: 0, broken: None }
    }

    /// Runs until every sender of `jobs` is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            self.gather(&jobs);
            let (group, replies): (Vec<Txn>, Vec<Reply>) =
                collect(first, &mut jobs).into_iter().map(|job| (job.txn, job.reply)).unzip();
            self.crowd = group.len();
            match self.commit(group) {
                Ok(done) => self.answer(replies, done),
                Err(error) => {
                    tracing::error!(%error, transactions = replies.len(), "group of transactions failed");
                    for reply in replies {
                        let _ = reply.send(Err(told(&error)));
                    }
                }
            }
            // A log that is broken ends with a record of which nobody knows; none may come after it.
            if self.broken.is_none() && self.log.full(&self.inner.log, &self.inner.options, self.revision) {
                if let Err(error) = self.log.rotate(&self.inner.log, self.revision) {
                    tracing::error!(%error, "the log grows: its next segment cannot be begun");
                }
                self.flusher.wake();
            } else if self.inner.layers().bytes() > self.inner.options.memory_bytes {
                self.flusher.wake();
            }
        }
        self.flusher.finish();
    }

    /// Lets more transactions come, if many do.
    fn gather(&self, jobs: &mpsc::Receiver<Job>) {
        if self.crowd < CROWD {
            return;
        }
        let (begin, mut before) = (Instant::now(), 0);
        while jobs.len() < GROUP_TXNS && begin.elapsed() < GATHER {
            std::thread::sleep(GATHER_STEP);
            if jobs.len() == before {
                return;
            }
            before = jobs.len();
        }
    }

    fn answer(&self, replies: Vec<Reply>, done: Committed) {
        if !done.batches.is_empty() {
            self.inner.recent.push(Arc::new(done.batches));
            self.newest.send_replace(self.revision);
        }
        for (reply, outcome) in replies.into_iter().zip(done.outcomes) {
            // The caller may have gone; the transaction stands all the same.
            let _ = reply.send(Ok(outcome));
        }
    }

    fn commit(&mut self, group: Vec<Txn>) -> Result<Committed, StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Refused(why.clone()));
        }
        self.flusher.keep_up(&self.inner)?;
        let (mut outcomes, mut batches) = (Vec::with_capacity(group.len()), Vec::new());
        let layers = self.inner.layers();
        let table = layers.table();
        let mut state = Pending { rows: Rows::new(), revision: self.revision, layers: &layers, table };
        for txn in group {
            outcomes.push(state.apply(txn, &mut batches).map_err(refused)?);
        }
        let Pending { rows, revision, .. } = state;
        drop(layers);
        if !batches.is_empty() {
            match self.log.append(&self.inner.log, &record::encode(&batches)?) {
                Ok(()) => {}
                Err(AppendError::Refused(error)) => return Err(refused(error)),
                Err(AppendError::Broken(error)) => return Err(self.breaks(&error)),
            }
            self.inner.layers_mut().extend(rows, revision);
            self.revision = revision;
        }
        Ok(Committed { outcomes, batches })
    }

    /// Nothing is written any more; what the callers of the group are told.
    fn breaks(&mut self, error: &StoreError) -> StoreError {
        let why = cause(error);
        self.broken = Some(format!("{why}; nothing is written until the store is opened anew (restart)"));
        StoreError::Unavailable(format!(
            "{why}; whether this was written shows when the store is opened anew"
        ))
    }
}

fn cause(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(what) | StoreError::Refused(what) => what.clone(),
        other => other.to_string(),
    }
}

/// An error before anything was written: the transactions are not there and will not be.
fn refused(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(what) => StoreError::Refused(what),
        error => error,
    }
}

/// What each caller of a group that failed is told.
fn told(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(what) => StoreError::Unavailable(what.clone()),
        StoreError::Corrupt(what) => StoreError::Corrupt(what.clone()),
        other => StoreError::Refused(cause(other)),
    }
}

fn collect(first: Job, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = size(&first.txn);
    let mut group = vec![first];
    while group.len() < GROUP_TXNS && bytes < GROUP_BYTES {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += size(&job.txn);
        group.push(job);
    }
    group
}

fn size(txn: &Txn) -> usize {
    txn.ops.iter().map(|op| op.key().len() + op.value().map_or(0, Bytes::len)).sum()
}

/// The state that the next transaction of a group sees.
struct Pending<'a> {
    /// What those before it in the group wrote.
    rows: Rows,
    revision: Revision,
    layers: &'a Layers,
    table: Arc<Table>,
}

impl Pending<'_> {
    /// The row of a key: its revision and value, or that it was deleted.
    fn row(&self, key: &str) -> Result<Option<Row>, StoreError> {
        match self.rows.get(key).or_else(|| self.layers.newest(key)) {
            Some(row) => Ok(Some(row.clone()).filter(|row| row.value.is_some())),
            None => stored(&self.table, key),
        }
    }

    fn apply(&mut self, txn: Txn, batches: &mut Vec<WatchBatch>) -> Result<TxnResult, StoreError> {
        for compare in txn.compare {
            if !self.holds(&compare)? {
                return Ok(TxnResult::Conflict { key: compare.key });
            }
        }
        let revision = self.revision + 1;
        let mut events = Vec::with_capacity(txn.ops.len());
        for op in txn.ops {
            let (key, kind, value) = match op {
                Op::Put { key, value } => (key, EventKind::Put(value.clone()), Some(value)),
                Op::Delete { key } => {
                    let Some(previous) = self.row(&key)?.and_then(|row| row.value) else { continue };
                    (key, EventKind::Delete { previous }, None)
                }
            };
            self.rows.insert(key.as_str().into(), Row { revision, value });
            events.push(Event { key, kind });
        }
        if !events.is_empty() {
            self.revision = revision;
            batches.push(WatchBatch { revision, events });
        }
        Ok(TxnResult::Committed(self.revision))
    }

    fn holds(&self, compare: &Compare) -> Result<bool, StoreError> {
        let row = self.row(&compare.key)?;
        Ok(match (compare.condition, row) {
            (Condition::Absent, row) => row.is_none(),
            (Condition::Present, row) => row.is_some(),
            (Condition::ModRevision(_), None) => false,
            (Condition::ModRevision(revision), Some(row)) => row.revision == revision,
        })
    }
}

//! The single writer: a thread that applies transactions in order and makes many durable with one fsync.
//!
//! While the disk is busy with one group, the next collects in the queue; so the more clients write at once, the
//! larger the groups. A transaction is answered only after its group is in the log on disk and visible to readers and
//! watchers; no reader sees it before it is in the log.

use std::sync::Arc;

use bytes::Bytes;
use redb::{Durability, ReadableTable};
use tokio::sync::{mpsc, oneshot, watch};

use super::log::{AppendError, Appender};
use super::tables::{DATA, STATE, row_revision, state_row, storage};
use super::{Data, Inner, put_row, record, tables};
use crate::{Compare, Condition, Event, EventKind, Op, Revision, StoreError, Txn, TxnResult, WatchBatch};

/// Transactions made durable together, at most.
const GROUP_TXNS: usize = 512;
/// Bytes of keys and values after which no more transactions join a group.
const GROUP_BYTES: usize = 2 << 20;

/// A transaction with its way back.
pub(super) struct Job {
    pub(super) txn: Txn,
    pub(super) reply: oneshot::Sender<Result<TxnResult, StoreError>>,
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
    /// The newest revision.
    revision: Revision,
    /// The revision at which the tables were last made durable.
    durable: Revision,
    newest: watch::Sender<Revision>,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

impl Writer {
    pub(super) fn new(
        inner: Arc<Inner>,
        log: Appender,
        revision: Revision,
        durable: Revision,
        newest: watch::Sender<Revision>,
    ) -> Self {
        Self { inner, log, revision, durable, newest, broken: None }
    }

    /// Runs until every sender of `jobs` is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let group = collect(first, &mut jobs);
            match self.commit(&group) {
                Ok(done) => self.answer(group, done),
                Err(error) => {
                    tracing::error!(%error, transactions = group.len(), "group of transactions failed");
                    for job in group {
                        let _ = job.reply.send(Err(StoreError::Unavailable(error.to_string())));
                    }
                }
            }
            if self.log.full(&self.inner.log, &self.inner.options, self.revision)
                && let Err(error) = self.next_segment()
            {
                tracing::error!(%error, "the log grows: its next segment cannot be begun");
            }
        }
        if let Err(error) = self.make_durable() {
            tracing::error!(%error, "the tables are not as new as the log: the next start mends that");
        }
    }

    fn answer(&self, group: Vec<Job>, done: Committed) {
        if !done.batches.is_empty() {
            self.inner.recent.push(Arc::new(done.batches));
            self.newest.send_replace(self.revision);
        }
        for (job, outcome) in group.into_iter().zip(done.outcomes) {
            // The caller may have gone; the transaction stands all the same.
            let _ = job.reply.send(Ok(outcome));
        }
    }

    fn commit(&mut self, group: &[Job]) -> Result<Committed, StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Unavailable(why.clone()));
        }
        let mut transaction = self.inner.database.begin_write().map_err(storage)?;
        transaction.set_durability(Durability::None).map_err(storage)?;
        let (mut outcomes, mut batches) = (Vec::with_capacity(group.len()), Vec::new());
        let mut revision = self.revision;
        {
            let mut data = transaction.open_table(DATA).map_err(storage)?;
            for job in group {
                outcomes.push(apply(&mut data, &job.txn, &mut revision, &mut batches)?);
            }
        }
        if batches.is_empty() {
            transaction.abort().map_err(storage)?;
            return Ok(Committed { outcomes, batches });
        }
        match self.log.append(&self.inner.log, &record::encode(&batches)?) {
            Ok(()) => {}
            Err(AppendError::Refused(error)) => return Err(error),
            Err(AppendError::Broken(error)) => return Err(self.breaks(error)),
        }
        // From here on the transactions have happened: what fails now is mended by the next start.
        let visible = transaction.commit().map_err(storage).and_then(|()| self.inner.publish(revision));
        visible.map_err(|error| self.breaks(error))?;
        self.revision = revision;
        Ok(Committed { outcomes, batches })
    }

    fn breaks(&mut self, error: StoreError) -> StoreError {
        self.broken = Some(format!("{error}; nothing is written until the store is opened anew"));
        error
    }

    /// Makes the tables durable as they are.
    fn make_durable(&mut self) -> Result<(), StoreError> {
        if self.durable == self.revision || self.broken.is_some() {
            return Ok(());
        }
        let mut transaction = self.inner.database.begin_write().map_err(storage)?;
        // The file's free space is kept, too: opening takes no time however large the store.
        transaction.set_quick_repair(true);
        transaction
            .open_table(STATE)
            .map_err(storage)?
            .insert(0, state_row(self.revision))
            .map_err(storage)?;
        transaction.commit().map_err(storage)?;
        self.durable = self.revision;
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), StoreError> {
        self.make_durable()?;
        self.log.rotate(&self.inner.log, &self.inner.options, self.revision)
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

/// Applies one transaction; those before it in the group are already visible to it.
fn apply(
    data: &mut Data<'_>,
    txn: &Txn,
    newest: &mut Revision,
    batches: &mut Vec<WatchBatch>,
) -> Result<TxnResult, StoreError> {
    for compare in &txn.compare {
        if !holds(data, compare)? {
            return Ok(TxnResult::Conflict { key: compare.key.clone() });
        }
    }
    let revision = *newest + 1;
    let mut events = Vec::with_capacity(txn.ops.len());
    for op in &txn.ops {
        match op {
            Op::Put { key, value } => {
                put_row(data, key, value, revision)?;
                events.push(Event { key: key.clone(), kind: EventKind::Put(value.clone()) });
            }
            Op::Delete { key } => {
                if let Some(row) = data.remove(key.as_str()).map_err(storage)? {
                    let previous = row.value().get(tables::DATA_HEADER..).unwrap_or_default();
                    let previous = Bytes::copy_from_slice(previous);
                    events.push(Event { key: key.clone(), kind: EventKind::Delete { previous } });
                }
            }
        }
    }
    if !events.is_empty() {
        *newest = revision;
        batches.push(WatchBatch { revision, events });
    }
    Ok(TxnResult::Committed(*newest))
}

fn holds(data: &Data<'_>, compare: &Compare) -> Result<bool, StoreError> {
    let row = data.get(compare.key.as_str()).map_err(storage)?;
    Ok(match (compare.condition, row) {
        (Condition::Absent, row) => row.is_none(),
        (Condition::Present, row) => row.is_some(),
        (Condition::ModRevision(_), None) => false,
        (Condition::ModRevision(revision), Some(row)) => row_revision(row.value())? == revision,
    })
}

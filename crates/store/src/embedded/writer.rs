//! The single writer: a thread that applies transactions in order and makes many durable with one fsync.
//!
//! While the disk is busy with one group, the next collects in the queue; so the more clients write at once, the
//! larger the groups. A transaction is answered only after its group is on disk and visible to readers and watchers.

use std::sync::Arc;

use bytes::Bytes;
use redb::{ReadableTable, Table};
use tokio::sync::{mpsc, oneshot, watch};

use super::Inner;
use super::tables::{DATA, DATA_HEADER, LOG, STATE, State, encode_group, group_len, row_revision, storage};
use crate::{Compare, Condition, Event, EventKind, Op, Revision, StoreError, Txn, TxnResult, WatchBatch};

/// Transactions made durable together, at most.
const GROUP_TXNS: usize = 512;
/// Bytes of keys and values after which no more transactions join a group.
const GROUP_BYTES: usize = 2 << 20;
/// Log rows removed per group, at most: bounds what one commit can be delayed by.
const TRIM_ROWS: usize = 256;

/// A transaction with its way back.
pub(super) struct Job {
    pub(super) txn: Txn,
    pub(super) reply: oneshot::Sender<Result<TxnResult, StoreError>>,
}

/// What became of a group.
struct Committed {
    state: State,
    outcomes: Vec<TxnResult>,
    batches: Vec<WatchBatch>,
}

/// Runs until every sender of `jobs` is gone.
pub(super) fn run(inner: &Inner, mut jobs: mpsc::Receiver<Job>, newest: &watch::Sender<Revision>) {
    while let Some(first) = jobs.blocking_recv() {
        let group = collect(first, &mut jobs);
        match commit(inner, &group) {
            Ok(done) => {
                if !done.batches.is_empty() {
                    inner.recent.push(Arc::new(done.batches));
                    newest.send_replace(done.state.revision);
                }
                for (job, outcome) in group.into_iter().zip(done.outcomes) {
                    // The caller may have gone; the transaction stands all the same.
                    let _ = job.reply.send(Ok(outcome));
                }
            }
            Err(error) => {
                tracing::error!(%error, transactions = group.len(), "group of transactions failed");
                for job in group {
                    let _ = job.reply.send(Err(StoreError::Unavailable(error.to_string())));
                }
            }
        }
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

fn commit(inner: &Inner, group: &[Job]) -> Result<Committed, StoreError> {
    let mut transaction = inner.database.begin_write().map_err(storage)?;
    transaction.set_quick_repair(inner.options.quick_repair);
    let mut outcomes = Vec::with_capacity(group.len());
    let mut batches = Vec::new();
    let state = {
        let mut table = transaction.open_table(STATE).map_err(storage)?;
        let row = table.get(0).map_err(storage)?.map(|row| row.value());
        let mut state = State::from_row(row.ok_or_else(|| StoreError::Corrupt("state row missing".into()))?)?;
        let mut data = transaction.open_table(DATA).map_err(storage)?;
        for job in group {
            outcomes.push(apply(&mut data, &job.txn, &mut state, &mut batches)?);
        }
        if !batches.is_empty() {
            let mut log = transaction.open_table(LOG).map_err(storage)?;
            append(&mut log, &batches, &mut state)?;
            trim(&mut log, inner, &mut state)?;
            table.insert(0, state.to_row()).map_err(storage)?;
        }
        state
    };
    if batches.is_empty() {
        transaction.abort().map_err(storage)?;
    } else {
        transaction.commit().map_err(storage)?;
    }
    Ok(Committed { state, outcomes, batches })
}

/// Applies one transaction; those before it in the group are already visible to it.
fn apply(
    data: &mut Table<'_, &'static str, &'static [u8]>,
    txn: &Txn,
    state: &mut State,
    batches: &mut Vec<WatchBatch>,
) -> Result<TxnResult, StoreError> {
    for compare in &txn.compare {
        if !holds(data, compare)? {
            return Ok(TxnResult::Conflict { key: compare.key.clone() });
        }
    }
    let revision = state.revision + 1;
    let mut events = Vec::with_capacity(txn.ops.len());
    for op in &txn.ops {
        match op {
            Op::Put { key, value } => {
                let mut row =
                    data.insert_reserve(key.as_str(), DATA_HEADER + value.len()).map_err(storage)?;
                let (header, body) = row.as_mut().split_at_mut(DATA_HEADER);
                header.copy_from_slice(&revision.to_le_bytes());
                body.copy_from_slice(value);
                events.push(Event { key: key.clone(), kind: EventKind::Put(value.clone()) });
            }
            Op::Delete { key } => {
                if let Some(row) = data.remove(key.as_str()).map_err(storage)? {
                    let previous = row.value().get(DATA_HEADER..).unwrap_or_default();
                    let previous = Bytes::copy_from_slice(previous);
                    events.push(Event { key: key.clone(), kind: EventKind::Delete { previous } });
                }
            }
        }
    }
    if !events.is_empty() {
        state.revision = revision;
        batches.push(WatchBatch { revision, events });
    }
    Ok(TxnResult::Committed(state.revision))
}

fn holds(data: &Table<'_, &'static str, &'static [u8]>, compare: &Compare) -> Result<bool, StoreError> {
    let row = data.get(compare.key.as_str()).map_err(storage)?;
    Ok(match (compare.condition, row) {
        (Condition::Absent, row) => row.is_none(),
        (Condition::Present, row) => row.is_some(),
        (Condition::ModRevision(_), None) => false,
        (Condition::ModRevision(revision), Some(row)) => row_revision(row.value())? == revision,
    })
}

fn append(
    log: &mut Table<'_, u64, &'static [u8]>,
    batches: &[WatchBatch],
    state: &mut State,
) -> Result<(), StoreError> {
    let Some(first) = batches.first() else { return Ok(()) };
    let row = encode_group(batches);
    state.log_bytes = state.log_bytes.saturating_add(row.len() as u64);
    log.insert(first.revision, row.as_ref()).map_err(storage)?;
    Ok(())
}

/// Removes the oldest rows while the log is over one of its bounds.
fn trim(log: &mut Table<'_, u64, &'static [u8]>, inner: &Inner, state: &mut State) -> Result<(), StoreError> {
    for _ in 0..TRIM_ROWS {
        let over = state.log_bytes > inner.options.log_bytes
            || state.revision.saturating_sub(state.oldest) > inner.options.log_revisions;
        if !over {
            return Ok(());
        }
        let Some((first, row)) = log.pop_first().map_err(storage)? else { return Ok(()) };
        state.oldest = first.value() + group_len(row.value())?.saturating_sub(1);
        state.log_bytes = state.log_bytes.saturating_sub(row.value().len() as u64);
    }
    Ok(())
}

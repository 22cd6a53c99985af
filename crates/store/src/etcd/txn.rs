//! Transactions: ours in etcd's words, sent until their outcome is known.

use etcd_client::{Compare, CompareOp, Error, GetOptions, KeyValue, TxnOp, TxnOpResponse, TxnResponse};
use tokio::time::Instant;

use super::connection;
use super::marker::Slot;
use super::{Inner, key_of};
use crate::{Condition, Limits, Op, Revision, StoreError, Txn, TxnResult};

/// What a cluster takes whose servers take `ops` operations in a transaction or part of one. Comparisons may fill three
/// quarters of that (one is the marker's); operations go into nested transactions, for which the server leaves what
/// the outer one does not use.
pub(super) fn limits(ops: usize, bytes: usize) -> Limits {
    let parts = ops * 3 / 4 - 1;
    Limits { max_ops: parts * (ops / 4), max_compares: parts, max_bytes: bytes, max_key: 4096 }
}

/// What one attempt came to.
enum Attempt {
    Done(TxnResult),
    /// Certainly not committed; may be sent again.
    Again,
}

impl Inner {
    /// Commits `txn`, which has operations; waits for leaders and members as long as patience allows.
    pub(super) async fn commit(&self, txn: &Txn) -> Result<TxnResult, StoreError> {
        let end = Instant::now() + self.connection.options.patience;
        let mut slot = self.slots.take().await?;
        loop {
            // Deleting what is not there takes no revision, but writing the marker would.
            let mut found = None;
            if txn.ops.iter().all(|op| op.value().is_none()) {
                match self.deletes_nothing(txn).await? {
                    Deletes::Nothing(result) => return Ok(result),
                    Deletes::Something(key) => found = Some(key),
                }
            }
            slot.settle(&self.connection).await?;
            match self.attempt(txn, found.as_deref(), &mut slot).await? {
                Attempt::Done(result) => return Ok(result),
                Attempt::Again if Instant::now() >= end => {
                    return Err(StoreError::Refused(
                        "etcd took no transaction in time, nothing was done".into(),
                    ));
                }
                Attempt::Again => {}
            }
        }
    }

    async fn attempt(
        &self,
        txn: &Txn,
        found: Option<&str>,
        slot: &mut Slot<'_>,
    ) -> Result<Attempt, StoreError> {
        let Some((marker, value)) = slot.begin() else { return Ok(Attempt::Again) };
        let mut compares = vec![marker];
        compares.extend(txn.compare.iter().map(|c| self.compare(&c.key, c.condition)));
        compares.extend(found.map(|key| self.compare(key, Condition::Present)));
        let success = self.success(&txn.ops, TxnOp::put(slot.key(), value.as_str(), None), compares.len());
        let request =
            etcd_client::Txn::new().when(compares).and_then(success).or_else(self.failure(txn, slot.key()));
        match self.connection.once(async |mut kv| kv.txn(request).await).await {
            Ok(response) => self.answered(txn, &response, slot),
            Err(error) if connection::refused(&error) => {
                Err(connection::refusal(&error, txn.ops.len(), size(txn), &self.connection.options))
            }
            Err(error) => {
                tracing::debug!(error = %connection::message(&error), "answer to a transaction lost, looking");
                let committed = slot.resolve(&self.connection, &value).await?;
                Ok(committed.map_or(Attempt::Again, |revision| Attempt::Done(TxnResult::Committed(revision))))
            }
        }
    }

    fn answered(
        &self,
        txn: &Txn,
        response: &TxnResponse,
        slot: &mut Slot<'_>,
    ) -> Result<Attempt, StoreError> {
        let revision = self.connection.note(response.header())?;
        if response.succeeded() {
            slot.written(revision);
            return Ok(Attempt::Done(TxnResult::Committed(revision)));
        }
        let mut rows = response.op_responses().into_iter().map(first_row);
        let marker = rows.next().flatten().and_then(|kv| u64::try_from(kv.mod_revision()).ok());
        slot.untouched(marker);
        Ok(match conflict(txn, rows) {
            Some(result) => Attempt::Done(result),
            // Ours hold: the marker was swept, or what was to be deleted went. Both are known now.
            None => Attempt::Again,
        })
    }

    /// The operations, in nested transactions if they are more than fit in one. `compares` are in the outer one.
    fn success(&self, ops: &[Op], marker: TxnOp, compares: usize) -> Vec<TxnOp> {
        let most = self.connection.options.max_ops;
        let mut out: Vec<TxnOp> = Vec::new();
        if ops.len() < most {
            out.extend(ops.iter().map(|op| self.op(op)));
        } else {
            // The server leaves to each part what the outer transaction does not use.
            let room = |parts: usize| most.saturating_sub(compares.max(parts + 1)).max(1);
            let parts = (1..most).find(|parts| parts * room(*parts) >= ops.len()).unwrap_or(most);
            for part in ops.chunks(room(parts)) {
                let part: Vec<TxnOp> = part.iter().map(|op| self.op(op)).collect();
                out.push(TxnOp::txn(etcd_client::Txn::new().and_then(part)));
            }
        }
        out.push(marker);
        out
    }

    /// Reads what was compared, to say which comparison did not hold: the marker first.
    fn failure(&self, txn: &Txn, marker: &str) -> Vec<TxnOp> {
        let keys = || Some(GetOptions::new().with_keys_only());
        let marker = TxnOp::get(marker, keys());
        let ours = txn.compare.iter().map(|c| TxnOp::get(self.data_key(&c.key), keys()));
        std::iter::once(marker).chain(ours).collect()
    }

    fn compare(&self, key: &str, condition: Condition) -> Compare {
        let key = self.data_key(key);
        match condition {
            Condition::Absent => Compare::version(key, CompareOp::Equal, 0),
            Condition::Present => Compare::version(key, CompareOp::Greater, 0),
            // What no revision can be is never equal.
            Condition::ModRevision(revision) => {
                Compare::mod_revision(key, CompareOp::Equal, i64::try_from(revision).unwrap_or(i64::MAX))
            }
        }
    }

    fn op(&self, op: &Op) -> TxnOp {
        match op {
            Op::Put { key, value } => TxnOp::put(self.data_key(key), value.to_vec(), None),
            Op::Delete { key } => TxnOp::delete(self.data_key(key), None),
        }
    }

    /// For a transaction of deletes alone: whether there is anything to delete.
    async fn deletes_nothing(&self, txn: &Txn) -> Result<Deletes, StoreError> {
        let keys = || Some(GetOptions::new().with_keys_only());
        for part in txn.ops.chunks(self.connection.options.max_ops) {
            let compares: Vec<Compare> =
                txn.compare.iter().map(|c| self.compare(&c.key, c.condition)).collect();
            let reads: Vec<TxnOp> =
                part.iter().map(|op| TxnOp::get(self.data_key(op.key()), keys())).collect();
            let compared: Vec<TxnOp> =
                txn.compare.iter().map(|c| TxnOp::get(self.data_key(&c.key), keys())).collect();
            let read = etcd_client::Txn::new().when(compares).and_then(reads).or_else(compared);
            let response = self.read_txn(read).await?;
            let revision = self.connection.note(response.header())?;
            let mut rows = response.op_responses().into_iter().map(first_row);
            if !response.succeeded() {
                return match conflict(txn, rows) {
                    Some(result) => Ok(Deletes::Nothing(result)),
                    None => Err(StoreError::Corrupt("etcd contradicts itself".into())),
                };
            }
            if let Some(row) = rows.find_map(|row| row) {
                return Ok(Deletes::Something(key_of(row.key(), &self.data)?.to_owned()));
            }
            if txn.ops.len() <= self.connection.options.max_ops {
                return Ok(Deletes::Nothing(TxnResult::Committed(revision)));
            }
        }
        // Absent part by part; not at one revision, but each was absent at some time during this call.
        Ok(Deletes::Nothing(TxnResult::Committed(self.newest().await?)))
    }

    /// A transaction that only reads.
    pub(super) async fn read_txn(&self, txn: etcd_client::Txn) -> Result<TxnResponse, StoreError> {
        let call = |mut kv: etcd_client::KvClient| {
            let txn = txn.clone();
            async move { kv.txn(txn).await }
        };
        let outcome = self.connection.repeat(call).await;
        outcome.map_err(|failure| failure.into_error(&self.connection.options))
    }

    /// Comparisons without operations.
    pub(super) async fn check(&self, txn: &Txn) -> Result<TxnResult, StoreError> {
        let keys = || Some(GetOptions::new().with_keys_only());
        let compares: Vec<Compare> = txn.compare.iter().map(|c| self.compare(&c.key, c.condition)).collect();
        let reads: Vec<TxnOp> =
            txn.compare.iter().map(|c| TxnOp::get(self.data_key(&c.key), keys())).collect();
        let response = self.read_txn(etcd_client::Txn::new().when(compares).or_else(reads)).await?;
        let revision = self.connection.note(response.header())?;
        if response.succeeded() {
            return Ok(TxnResult::Committed(revision));
        }
        let rows = response.op_responses().into_iter().map(first_row);
        conflict(txn, rows).ok_or_else(|| StoreError::Corrupt("etcd contradicts itself".into()))
    }
}

/// Whether a transaction of deletes has anything to do.
enum Deletes {
    Nothing(TxnResult),
    /// This key is there.
    Something(String),
}

/// The first comparison that does not hold for the rows read in its order.
fn conflict(txn: &Txn, rows: impl Iterator<Item = Option<KeyValue>>) -> Option<TxnResult> {
    let failed = txn.compare.iter().zip(rows).find(|(compare, row)| {
        let revision = row.as_ref().and_then(|kv| Revision::try_from(kv.mod_revision()).ok());
        match compare.condition {
            Condition::Absent => revision.is_some(),
            Condition::Present => revision.is_none(),
            Condition::ModRevision(wanted) => revision != Some(wanted),
        }
    });
    failed.map(|(compare, _)| TxnResult::Conflict { key: compare.key.clone() })
}

fn first_row(response: TxnOpResponse) -> Option<KeyValue> {
    match response {
        TxnOpResponse::Get(get) => get.kvs().first().cloned(),
        _ => None,
    }
}

fn size(txn: &Txn) -> usize {
    txn.ops.iter().map(|op| op.key().len() + op.value().map_or(0, bytes::Bytes::len)).sum()
}

/// For errors of requests that are sent once.
pub(super) fn lost(error: &Error) -> StoreError {
    StoreError::Unavailable(connection::message(error))
}

//! Transactions: ours in etcd's words, sent until their outcome is known.

use etcd_client::{Compare, CompareOp, Error, GetOptions, KeyValue, TxnOp, TxnOpResponse, TxnResponse};
use tokio::time::Instant;

use super::connection;
use super::marker::Slot;
use super::{Inner, key_of};
use crate::{Compare as OurCompare, Condition, Limits, Op, Revision, StoreError, Txn, TxnResult};

/// What a cluster takes whose servers take `ops` operations in a transaction or part of one. Operations go into nested
/// transactions, for which the server leaves what the outer one does not use; more comparisons than [`direct`] are
/// condensed ([`Guard`]).
pub(super) fn limits(ops: usize, bytes: usize) -> Limits {
    let most = direct(ops) * (ops / 4);
    Limits { max_ops: most, max_compares: most, max_bytes: bytes, max_key: 4096 }
}

/// Comparisons sent as they are: three quarters of what the server takes, less the marker's.
fn direct(ops: usize) -> usize {
    ops * 3 / 4 - 1
}

/// What a transaction is compared with at the server.
enum Guard<'a> {
    /// Its comparisons as they are.
    Direct(&'a [OurCompare]),
    /// More than the server takes: that keys exist or are unchanged as they are, and for keys that are to be absent, which
    /// were so at some revision, that nothing between neighbours was written since.
    Condensed { direct: Vec<&'a OurCompare>, groups: Vec<Compare> },
    /// One does not hold.
    Fails(TxnResult),
}

impl Guard<'_> {
    /// The comparisons sent as they are.
    fn direct(&self) -> Vec<&OurCompare> {
        match self {
            Self::Direct(all) => all.iter().collect(),
            Self::Condensed { direct, .. } => direct.clone(),
            Self::Fails(_) => Vec::new(),
        }
    }
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
            let guard = match self.guard(txn).await? {
                Guard::Fails(result) => return Ok(result),
                guard => guard,
            };
            slot.settle(&self.connection).await?;
            match self.attempt(txn, &guard, found.as_deref(), &mut slot).await? {
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
        guard: &Guard<'_>,
        found: Option<&str>,
        slot: &mut Slot<'_>,
    ) -> Result<Attempt, StoreError> {
        let Some((marker, value)) = slot.begin() else { return Ok(Attempt::Again) };
        let mut compares = vec![marker];
        let direct = guard.direct();
        compares.extend(direct.iter().map(|c| self.compare(&c.key, c.condition)));
        if let Guard::Condensed { groups, .. } = guard {
            compares.extend(groups.iter().cloned());
        }
        compares.extend(found.map(|key| self.compare(key, Condition::Present)));
        let success = self.success(&txn.ops, TxnOp::put(slot.key(), value.as_str(), None), compares.len());
        let request = etcd_client::Txn::new()
            .when(compares)
            .and_then(success)
            .or_else(self.failure(&direct, slot.key()));
        match self.connection.once(async |mut kv| kv.txn(request).await).await {
            Ok(response) => self.answered(&direct, &response, slot),
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
        direct: &[&OurCompare],
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
        Ok(match conflict(direct.iter().copied(), rows) {
            Some(result) => Attempt::Done(result),
            // These hold: the marker was swept, what was to be deleted went, or a group was written to. Look again.
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
    fn failure(&self, direct: &[&OurCompare], marker: &str) -> Vec<TxnOp> {
        let keys = || Some(GetOptions::new().with_keys_only());
        let marker = TxnOp::get(marker, keys());
        let ours = direct.iter().map(|c| TxnOp::get(self.data_key(&c.key), keys()));
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
        if txn.compare.len() > self.connection.options.max_ops {
            let (size, limit) = (txn.compare.len(), self.connection.options.max_ops);
            return Err(StoreError::TooLarge { what: "comparisons", size, limit });
        }
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
                return match conflict(&txn.compare, rows) {
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

    /// How `txn` is to be compared; looks at the store if there is more than fits.
    async fn guard<'a>(&self, txn: &'a Txn) -> Result<Guard<'a>, StoreError> {
        let most = direct(self.connection.options.max_ops);
        if txn.compare.len() <= most {
            return Ok(Guard::Direct(&txn.compare));
        }
        let (revision, failed) = self.evaluate(txn).await?;
        if let Some(result) = failed {
            return Ok(Guard::Fails(result));
        }
        let is_absent = |compare: &&OurCompare| compare.condition == Condition::Absent;
        let (mut absent, direct): (Vec<&OurCompare>, Vec<&OurCompare>) =
            txn.compare.iter().partition(is_absent);
        let room = most / 3;
        if direct.len() + room > most {
            return Err(StoreError::TooLarge { what: "comparisons", size: txn.compare.len(), limit: most });
        }
        absent.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let before = i64::try_from(revision + 1).unwrap_or(i64::MAX);
        let groups = absent.chunks(absent.len().div_ceil(room).max(1)).filter_map(|group| {
            let (first, last) = (group.first()?, group.last()?);
            let end = [self.data_key(&last.key).as_slice(), b"\0"].concat();
            Some(Compare::mod_revision(self.data_key(&first.key), CompareOp::Less, before).with_range(end))
        });
        Ok(Guard::Condensed { direct, groups: groups.collect() })
    }

    /// The newest revision, and the first comparison that does not hold there.
    async fn evaluate(&self, txn: &Txn) -> Result<(Revision, Option<TxnResult>), StoreError> {
        let revision = self.newest().await?;
        let at = i64::try_from(revision).unwrap_or(i64::MAX);
        for part in txn.compare.chunks(self.connection.options.max_ops) {
            let options = || Some(GetOptions::new().with_keys_only().with_revision(at));
            let reads: Vec<TxnOp> =
                part.iter().map(|c| TxnOp::get(self.data_key(&c.key), options())).collect();
            let response = self.read_txn(etcd_client::Txn::new().and_then(reads)).await?;
            self.connection.note(response.header())?;
            let failed = conflict(part, response.op_responses().into_iter().map(first_row));
            if failed.is_some() {
                return Ok((revision, failed));
            }
        }
        Ok((revision, None))
    }

    /// Comparisons without operations.
    pub(super) async fn check(&self, txn: &Txn) -> Result<TxnResult, StoreError> {
        if txn.compare.len() > self.connection.options.max_ops {
            let (revision, failed) = self.evaluate(txn).await?;
            return Ok(failed.unwrap_or(TxnResult::Committed(revision)));
        }
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
        conflict(&txn.compare, rows).ok_or_else(|| StoreError::Corrupt("etcd contradicts itself".into()))
    }
}

/// Whether a transaction of deletes has anything to do.
enum Deletes {
    Nothing(TxnResult),
    /// This key is there.
    Something(String),
}

/// The first comparison that does not hold for the rows read in its order.
fn conflict<'a>(
    compares: impl IntoIterator<Item = &'a OurCompare>,
    rows: impl Iterator<Item = Option<KeyValue>>,
) -> Option<TxnResult> {
    let failed = compares.into_iter().zip(rows).find(|(compare, row)| {
        let revision = row.as_ref().and_then(|kv| Revision::try_from(kv.mod_revision()).ok());
        match compare.condition {
            Condition::Absent => revision.is_some(),
            Condition::Present => revision.is_none(),
            Condition::ModRevision(wanted) => revision != Some(wanted),
        }
    });
    failed.map(|(compare, _)| TxnResult::Conflict { key: compare.key.clone() })
}

/// The row that a read of one key found.
pub(super) fn first_row(response: TxnOpResponse) -> Option<KeyValue> {
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

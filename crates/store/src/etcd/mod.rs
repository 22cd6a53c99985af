//! The store over an etcd cluster (3.4 and newer), for any number of processes at once.
//!
//! Below the prefix, `data/<key>` holds our keys and `txn/...` the markers of transactions (marker.rs). A revision is
//! etcd's own. Every transaction writes a marker, so a watch of the whole prefix sees each of our revisions, whatever
//! keys it is for: that is how watchers of one part learn of progress elsewhere (watch.rs).

mod connection;
mod feed;
mod marker;
mod options;
mod reads;
mod txn;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use etcd_client::{GetOptions, KeyValue};

use crate::{
    BoxFuture, Entry, EntryStream, Limits, Range, Revision, Store, StoreError, Txn, TxnResult, WatchStream,
};
use connection::{Connection, Failure};
pub use options::EtcdOptions;

/// Entries a range returns at most, whatever the caller asks for.
const MAX_PAGE: usize = 10_000;
/// Bytes of values after which a page of a range ends.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// Entries asked for in one request; several at one revision make a page.
const CHUNK: usize = 512;

/// A [`Store`] in an etcd cluster.
///
/// Reads are linearisable. Operations wait for members that restart and for elections as long as
/// [`EtcdOptions::patience`] says. History is for the servers to compact (`--auto-compaction-retention`).
pub struct EtcdStore {
    inner: Arc<Inner>,
}

/// What the store and its watchers share.
struct Inner {
    connection: Connection,
    /// Prefix of everything, of our keys, and of markers.
    root: String,
    data: String,
    markers: String,
    limits: Limits,
    slots: marker::Slots,
    reads: reads::Reads,
    pulse: watch::Pulse,
    feed: feed::Feed,
}

impl EtcdStore {
    /// Connects to a cluster.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no member answers or a file can not be read, [`StoreError::Refused`] if they do
    /// not let us in.
    pub async fn open(options: EtcdOptions) -> Result<Self, StoreError> {
        let root = options.prefix.clone();
        let (data, markers) = (format!("{root}data/"), format!("{root}txn/"));
        let limits = txn::limits(options.max_ops, options.max_bytes);
        let connection = Connection::new(options)?;
        let removed = marker::sweep(&connection, &markers).await?;
        if removed > 0 {
            tracing::info!(removed, "markers of processes that ended long ago removed");
        }
        let slots = marker::Slots::new(&markers);
        let (reads, pulse, feed) = Default::default();
        let inner = Inner { connection, root, data, markers, limits, slots, reads, pulse, feed };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Our key in one of etcd's.
fn key_of<'a>(key: &'a [u8], data: &str) -> Result<&'a str, StoreError> {
    let key = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(data));
    key.ok_or_else(|| StoreError::Corrupt("a key that is not ours".into()))
}

/// The end of the range of keys that start with `prefix`.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![0]
}

impl Inner {
    fn data_key(&self, key: &str) -> Vec<u8> {
        [self.data.as_bytes(), key.as_bytes()].concat()
    }

    fn entry(&self, kv: &KeyValue) -> Result<Entry, StoreError> {
        let key = key_of(kv.key(), &self.data)?.to_owned();
        let mod_revision = u64::try_from(kv.mod_revision()).unwrap_or(0);
        Ok(Entry { key, value: Bytes::copy_from_slice(kv.value()), mod_revision })
    }

    async fn newest(&self) -> Result<Revision, StoreError> {
        let options = GetOptions::new().with_count_only();
        let response = self.connection.get(self.markers.as_bytes(), options).await?;
        self.connection.note(response.header())
    }

    /// Pages of everything at the revision of the first; the server may compact it meanwhile.
    async fn snapshot(self: Arc<Self>) -> Result<(Revision, EntryStream), StoreError> {
        let revision = self.newest().await?;
        let (start, inner) = (self.data_key(""), Arc::clone(&self));
        let pages = futures::stream::try_unfold(Some(start), move |start| {
            let inner = Arc::clone(&inner);
            async move {
                let Some(start) = start else { return Ok(None) };
                let options = GetOptions::new()
                    .with_range(end_of(&inner.data))
                    .with_limit(CHUNK as i64)
                    .with_revision(i64::try_from(revision).unwrap_or(i64::MAX));
                let response = match inner.connection.try_get(&start, options).await {
                    Ok(response) => response,
                    Err(Failure::Refused(error)) if connection::message(&error).contains("compacted") => {
                        return Err(StoreError::Compacted { requested: revision, oldest: revision + 1 });
                    }
                    Err(failure) => return Err(failure.into_error(&inner.connection.options)),
                };
                let page = response.kvs().iter().map(|kv| inner.entry(kv)).collect::<Result<Vec<_>, _>>()?;
                let last = response.kvs().last().filter(|_| response.more());
                let next = last.map(|kv| [kv.key(), b"\0"].concat());
                Ok(Some((page, next)))
            }
        });
        Ok((revision, Box::pin(pages)))
    }

    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Range, StoreError> {
        let end = end_of(&format!("{}{prefix}", self.data));
        let mut start = self.data_key(prefix);
        if let Some(after) = after.filter(|after| *after >= prefix) {
            start = [self.data_key(after).as_slice(), b"\0"].concat();
        }
        let limit = limit.min(MAX_PAGE);
        let mut page = Range { entries: Vec::new(), revision: 0, more: true };
        let mut bytes = 0;
        while page.more && page.entries.len() < limit.max(1) && bytes < MAX_PAGE_BYTES {
            let wanted = (limit - page.entries.len().min(limit)).clamp(1, CHUNK);
            let mut options = GetOptions::new()
                .with_range(end.clone())
                .with_limit(i64::try_from(wanted).unwrap_or(i64::MAX));
            if page.revision > 0 {
                options = options.with_revision(i64::try_from(page.revision).unwrap_or(i64::MAX));
            }
            let response = match self.connection.try_get(&start, options).await {
                Ok(response) => response,
                // Compacted meanwhile: what was read is of one revision, and the rest is for the next page.
                Err(Failure::Refused(_)) if !page.entries.is_empty() => return Ok(page),
                Err(failure) => return Err(failure.into_error(&self.connection.options)),
            };
            let revision = self.connection.note(response.header())?;
            if page.revision == 0 {
                page.revision = revision;
            }
            page.more = response.more();
            if limit == 0 {
                page.more = !response.kvs().is_empty();
                break;
            }
            for kv in response.kvs() {
                bytes += kv.value().len();
                page.entries.push(self.entry(kv)?);
            }
            if let Some(last) = response.kvs().last() {
                start = [last.key(), b"\0"].concat();
            }
        }
        Ok(page)
    }
}

impl Store for EtcdStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(self.inner.get(key))
    }

    fn get_many<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Entry>>, StoreError>> {
        Box::pin(self.inner.get_many(keys))
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Range, StoreError>> {
        Box::pin(self.inner.range(prefix, after, limit))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<(Revision, EntryStream), StoreError>> {
        Box::pin(Arc::clone(&self.inner).snapshot())
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResult, StoreError>> {
        Box::pin(async move {
            self.inner.limits.check(&txn)?;
            if txn.ops.is_empty() { self.inner.check(&txn).await } else { self.inner.commit(&txn).await }
        })
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        from: Revision,
    ) -> BoxFuture<'a, Result<WatchStream, StoreError>> {
        Box::pin(watch::stream(Arc::clone(&self.inner), prefix.to_owned(), from))
    }

    fn revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(self.inner.newest())
    }

    fn limits(&self) -> Limits {
        self.inner.limits
    }
}

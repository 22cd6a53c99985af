//! Watching: an etcd watch of the whole prefix, resumed at the next member when one fails. Watchers that are abreast of
//! each other share one (feed.rs); who is behind has its own until it has caught up.
//!
//! Every transaction of ours changes a marker, so each of our revisions arrives here, and those without events for the
//! watcher are progress. Servers can announce progress themselves, but before 3.4.25 and 3.5.8 they may do so ahead of
//! events; so only what arrived counts. When the store moves on without us (other programs write to the same cluster, or
//! our member is cut off), a *tick*, a write of ours, shows which: if it does not arrive either, another member is asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{EventType, GetOptions, KeyValue, TxnOp, WatchOptions, WatchResponse, WatchResponseStream};
use tokio::time::Instant;

use super::connection::{self, Failure};
use super::feed::{Live, Next};
use super::{Inner, end_of, key_of, txn};
use crate::{Event, EventKind, Revision, StoreError, WatchBatch, WatchStream};

/// Silence after which a watcher looks whether it misses anything.
const SILENCE: Duration = Duration::from_secs(1);
/// The newest revision is asked for at most this often, by all watchers of a process together.
const POLL: Duration = Duration::from_secs(2);
/// Pause before a lost watch is resumed, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Bytes of the largest answer taken: a thousand revisions may come in one.
const MAX_MESSAGE: usize = 1 << 30;

/// What the watchers of a process share.
#[derive(Default)]
pub(super) struct Pulse {
    /// The revision of the last tick.
    ticked: tokio::sync::Mutex<Revision>,
    polled: Mutex<Option<Instant>>,
}

impl Inner {
    /// Whether changes after `from` are kept, and `from` has been reached.
    async fn can_watch(&self, from: Revision) -> Result<(), StoreError> {
        let future = |current| StoreError::FutureRevision { requested: from, current };
        let Ok(revision) = i64::try_from(from.max(1)) else { return Err(future(self.newest().await?)) };
        let options = GetOptions::new().with_count_only().with_revision(revision);
        match self.connection.try_get(self.markers.as_bytes(), options).await {
            Ok(response) => self.connection.note(response.header()).map(|_| ()),
            Err(Failure::Refused(error)) if connection::message(&error).contains("compacted") => {
                Err(StoreError::Compacted { requested: from, oldest: self.oldest(from).await })
            }
            Err(Failure::Refused(error)) if connection::message(&error).contains("future") => {
                Err(future(self.newest().await?))
            }
            Err(failure) => Err(failure.into_error(&self.connection.options)),
        }
    }

    /// The smallest revision to watch from, as a cancelled watch tells it; more than `from`.
    async fn oldest(&self, from: Revision) -> Revision {
        let ask = async {
            let (_, mut responses) = self.open_watch(0).await.ok()?;
            while let Ok(Some(response)) = responses.message().await {
                if response.compact_revision() > 0 {
                    return u64::try_from(response.compact_revision()).ok();
                }
            }
            None
        };
        let told = tokio::time::timeout(self.connection.options.request_timeout, ask).await;
        told.ok().flatten().unwrap_or(0).max(from + 1)
    }

    /// A watch of everything after `from` at the member in use, and that member's number.
    async fn open_watch(&self, from: Revision) -> Result<(usize, Responses), StoreError> {
        let start = i64::try_from(from + 1).unwrap_or(i64::MAX);
        let options = WatchOptions::new().with_range(end_of(&self.root)).with_start_revision(start);
        let (index, client) = self.connection.client().await.map_err(|e| txn::lost(&e))?;
        let mut watch = client.watch_client().max_decoding_message_size(MAX_MESSAGE);
        let opening = watch.watch(self.root.as_bytes(), Some(options));
        let opened = tokio::time::timeout(self.connection.options.request_timeout, opening).await;
        match opened {
            Ok(Ok(stream)) => {
                let (requests, responses) = stream.split();
                Ok((index, Responses { responses, _requests: requests }))
            }
            Ok(Err(error)) => {
                self.connection.leave(index);
                Err(txn::lost(&error))
            }
            Err(_) => {
                self.connection.leave(index);
                Err(StoreError::Unavailable("no watch in time".into()))
            }
        }
    }

    /// Asks for the newest revision, unless that was done just now.
    async fn poll(&self) {
        {
            let mut polled = self.pulse.polled.lock().unwrap_or_else(PoisonError::into_inner);
            if polled.is_some_and(|at| at.elapsed() < POLL) {
                return;
            }
            *polled = Some(Instant::now());
        }
        if let Err(error) = self.newest().await {
            tracing::debug!(%error, "newest revision unknown");
        }
    }

    /// Writes something of ours at a revision of at least `revision`, unless that was done.
    async fn tick(&self, revision: Revision) {
        let mut ticked = self.pulse.ticked.lock().await;
        if *ticked >= revision {
            return;
        }
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        let (key, value) = (format!("{}tick", self.markers), format!("{now} tick"));
        match self.connection.once(async |mut kv| kv.put(key, value, None).await).await {
            Ok(response) => *ticked = self.connection.note(response.header()).unwrap_or(*ticked),
            Err(error) => tracing::debug!(error = %connection::message(&error), "no tick"),
        }
    }
}

/// Answers of a watch, which lasts as long as its requests may.
struct Responses {
    responses: WatchResponseStream,
    _requests: etcd_client::WatchRequestSender,
}

impl Responses {
    async fn message(&mut self) -> Result<Option<WatchResponse>, etcd_client::Error> {
        self.responses.message().await
    }
}

/// Whether a watcher reads from the shared watch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// It is the shared watch.
    Never,
    /// That was lost: not before it has seen something by itself.
    Later,
    /// As soon as it is abreast of it.
    Soon,
}

/// A watcher's position.
pub(super) struct Watcher {
    inner: Arc<Inner>,
    prefix: String,
    /// Everything up to here arrived.
    seen: Revision,
    stream: Option<(usize, Responses)>,
    /// The shared watch, while it is read from that.
    live: Option<Arc<Live>>,
    sharing: Sharing,
    pause: Duration,
    /// A revision that should have arrived at the last look.
    missed: Option<Revision>,
    ready: VecDeque<WatchBatch>,
}

/// The stream for [`crate::Store::watch`].
pub(super) async fn stream(
    inner: Arc<Inner>,
    prefix: String,
    from: Revision,
) -> Result<WatchStream, StoreError> {
    inner.can_watch(from).await?;
    let watcher = Watcher { prefix, sharing: Sharing::Soon, ..Watcher::of_everything(inner, from) };
    Ok(Box::pin(futures::stream::unfold(Some(watcher), |watcher| async move {
        let mut watcher = watcher?;
        match watcher.next().await {
            Ok(batch) => Some((Ok(batch), Some(watcher))),
            Err(error) => Some((Err(error), None)),
        }
    })))
}

impl Watcher {
    /// The watcher that others share.
    pub(super) fn of_everything(inner: Arc<Inner>, from: Revision) -> Self {
        Self {
            inner,
            prefix: String::new(),
            seen: from,
            stream: None,
            live: None,
            sharing: Sharing::Never,
            pause: PAUSES.0,
            missed: None,
            ready: VecDeque::new(),
        }
    }

    /// The next transaction, or how far it is without one.
    pub(super) async fn next(&mut self) -> Result<WatchBatch, StoreError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(batch);
            }
            if let Some(live) = self.live.take() {
                self.follow(live).await;
                continue;
            }
            if self.sharing == Sharing::Soon
                && let Some(live) = self.inner.feed.join(&self.inner, self.seen)
            {
                (self.stream, self.missed, self.live) = (None, None, Some(live));
                continue;
            }
            let Some((_, stream)) = self.stream.as_mut() else {
                self.resume().await?;
                continue;
            };
            match tokio::time::timeout(SILENCE, stream.message()).await {
                Ok(Ok(Some(response))) => self.accept(&response).await?,
                Ok(Ok(None)) => self.lose("it ended"),
                Ok(Err(error)) => self.lose(&connection::message(&error)),
                Err(_) => self.silent().await,
            }
        }
    }

    /// Takes what the shared watch has; leaves it when it ends or is too far ahead.
    async fn follow(&mut self, live: Arc<Live>) {
        let Next::Steps(steps, upto) = live.after(self.seen).await else {
            self.sharing = Sharing::Later;
            return;
        };
        self.live = Some(live);
        for step in steps {
            let ours = step.events.iter().filter(|event| event.key.starts_with(&self.prefix));
            let events: Vec<Event> = ours.cloned().collect();
            if !events.is_empty() || step.revision == upto {
                self.ready.push_back(WatchBatch { revision: step.revision, events });
            }
        }
        if self.ready.back().is_none_or(|last| last.revision < upto) {
            self.ready.push_back(WatchBatch { revision: upto, events: Vec::new() });
        }
        self.seen = upto;
    }

    /// Opens the watch after what was seen; without success after a pause, the next time.
    async fn resume(&mut self) -> Result<(), StoreError> {
        let opened = match self.inner.can_watch(self.seen).await {
            Err(StoreError::Compacted { requested, oldest }) => {
                return Err(StoreError::Lagged { at: requested, oldest });
            }
            Err(error @ StoreError::Unavailable(_)) => Err(error),
            Err(error) => return Err(error),
            Ok(()) => self.inner.open_watch(self.seen).await,
        };
        match opened {
            Ok(opened) => self.stream = Some(opened),
            Err(error) => {
                tracing::debug!(%error, "watch not resumed yet");
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(PAUSES.1);
            }
        }
        Ok(())
    }

    fn lose(&mut self, why: &str) {
        tracing::info!(why, revision = self.seen, "watch of etcd lost, resuming at the next member");
        if let Some((index, _)) = self.stream.take() {
            self.inner.connection.leave(index);
        }
        self.missed = None;
    }

    /// Nothing arrived for a while: is there something that should have?
    async fn silent(&mut self) {
        if self.missed.is_some_and(|missed| self.seen < missed) {
            return self.lose("the member is behind");
        }
        self.inner.poll().await;
        let known = self.inner.connection.known();
        self.missed = (known > self.seen).then_some(known);
        if let Some(missed) = self.missed {
            self.inner.tick(missed).await;
        }
    }

    async fn accept(&mut self, response: &WatchResponse) -> Result<(), StoreError> {
        if response.compact_revision() > 0 {
            let oldest = u64::try_from(response.compact_revision()).unwrap_or(0);
            return Err(StoreError::Lagged { at: self.seen, oldest });
        }
        if response.canceled() {
            if response.cancel_reason().contains("permission denied") {
                return Err(StoreError::Refused(response.cancel_reason().to_owned()));
            }
            self.lose(response.cancel_reason());
            return Ok(());
        }
        let mut deleted = match self.deleted(response.events()).await {
            Ok(deleted) => deleted.into_iter(),
            Err(StoreError::Unavailable(why)) => {
                self.lose(&why);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.pause = PAUSES.0;
        if self.sharing == Sharing::Later {
            self.sharing = Sharing::Soon;
        }
        let mut batch = WatchBatch { revision: self.seen, events: Vec::new() };
        for event in response.events() {
            let Some(kv) = event.kv() else { continue };
            let revision = revision_of(kv);
            if revision <= self.seen {
                continue;
            }
            if revision > batch.revision {
                if !batch.events.is_empty() {
                    self.ready
                        .push_back(std::mem::replace(&mut batch, WatchBatch { revision, events: vec![] }));
                }
                batch.revision = revision;
            }
            let Some(key) = self.key(kv)? else { continue };
            let kind = match event.event_type() {
                EventType::Put => EventKind::Put(Bytes::copy_from_slice(kv.value())),
                EventType::Delete => EventKind::Delete { previous: deleted.next().unwrap_or_default() },
            };
            batch.events.push(Event { key: key.to_owned(), kind });
        }
        if batch.revision > self.seen {
            self.seen = batch.revision;
            self.ready.push_back(batch);
        }
        Ok(())
    }

    /// What was deleted by new events of the watcher's keys, in their order. The server could say so itself, but it would
    /// look up the values before every other change, too.
    async fn deleted(&self, events: &[etcd_client::Event]) -> Result<Vec<Bytes>, StoreError> {
        let mut reads = Vec::new();
        for event in events.iter().filter(|event| event.event_type() == EventType::Delete) {
            let Some(kv) = event.kv().filter(|kv| revision_of(kv) > self.seen) else { continue };
            if self.key(kv)?.is_some() {
                let before = GetOptions::new().with_revision(kv.mod_revision() - 1);
                reads.push(TxnOp::get(kv.key(), Some(before)));
            }
        }
        let mut values = Vec::with_capacity(reads.len());
        for part in reads.chunks(self.inner.connection.options.max_ops.max(1)) {
            let response = match self.inner.read_txn(etcd_client::Txn::new().and_then(part)).await {
                Ok(response) => response,
                // They were compacted before they were read.
                Err(StoreError::Refused(why)) if why.contains("compacted") => {
                    let oldest = self.inner.oldest(self.seen).await;
                    return Err(StoreError::Lagged { at: self.seen, oldest });
                }
                Err(error) => return Err(error),
            };
            let rows = response.op_responses().into_iter().map(txn::first_row);
            values
                .extend(rows.map(|row| row.map_or_else(Bytes::new, |kv| Bytes::copy_from_slice(kv.value()))));
        }
        Ok(values)
    }

    /// The key as the watcher knows it; `None` if it is none of its keys.
    fn key<'a>(&self, kv: &'a KeyValue) -> Result<Option<&'a str>, StoreError> {
        if !kv.key().starts_with(self.inner.data.as_bytes()) {
            return Ok(None);
        }
        Ok(Some(key_of(kv.key(), &self.inner.data)?).filter(|key| key.starts_with(&self.prefix)))
    }
}

fn revision_of(kv: &KeyValue) -> Revision {
    u64::try_from(kv.mod_revision()).unwrap_or(0)
}

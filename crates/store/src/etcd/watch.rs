//! Watching: one etcd watch of the whole prefix per watcher, resumed at the next member when one fails.
//!
//! Every transaction of ours changes a marker, so each of our revisions arrives here, and those without events for the
//! watcher are progress. Servers can announce progress themselves, but before 3.4.25 and 3.5.8 they may do so ahead of
//! events; so only what arrived counts. When the store moves on without us (other programs write to the same cluster, or
//! our member is cut off), a *tick*, a write of ours, shows which: if it does not arrive either, another member is asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{EventType, GetOptions, WatchOptions, WatchResponse, WatchResponseStream};
use tokio::time::Instant;

use super::connection::{self, Failure};
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
        let options =
            WatchOptions::new().with_range(end_of(&self.root)).with_prev_key().with_start_revision(start);
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

/// A watcher's position.
struct Watcher {
    inner: Arc<Inner>,
    prefix: String,
    /// Everything up to here arrived.
    seen: Revision,
    stream: Option<(usize, Responses)>,
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
    let pause = PAUSES.0;
    let watcher =
        Watcher { inner, prefix, seen: from, stream: None, pause, missed: None, ready: VecDeque::new() };
    Ok(Box::pin(futures::stream::unfold(Some(watcher), |watcher| async move {
        let mut watcher = watcher?;
        match watcher.next().await {
            Ok(batch) => Some((Ok(batch), Some(watcher))),
            Err(error) => Some((Err(error), None)),
        }
    })))
}

impl Watcher {
    async fn next(&mut self) -> Result<WatchBatch, StoreError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(batch);
            }
            let Some((_, stream)) = self.stream.as_mut() else {
                self.resume().await?;
                continue;
            };
            match tokio::time::timeout(SILENCE, stream.message()).await {
                Ok(Ok(Some(response))) => self.accept(&response)?,
                Ok(Ok(None)) => self.lose("it ended"),
                Ok(Err(error)) => self.lose(&connection::message(&error)),
                Err(_) => self.silent().await,
            }
        }
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

    fn accept(&mut self, response: &WatchResponse) -> Result<(), StoreError> {
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
        self.pause = PAUSES.0;
        let mut batch = WatchBatch { revision: self.seen, events: Vec::new() };
        for event in response.events() {
            let Some(kv) = event.kv() else { continue };
            let revision = u64::try_from(kv.mod_revision()).unwrap_or(0);
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
            batch.events.extend(self.event(event, revision)?);
        }
        if batch.revision > self.seen {
            self.seen = batch.revision;
            self.ready.push_back(batch);
        }
        Ok(())
    }

    /// The event as the watcher wants it; `None` if it is none of its keys.
    fn event(&self, event: &etcd_client::Event, revision: Revision) -> Result<Option<Event>, StoreError> {
        let Some(kv) = event.kv().filter(|kv| kv.key().starts_with(self.inner.data.as_bytes())) else {
            return Ok(None);
        };
        let key = key_of(kv.key(), &self.inner.data)?;
        if !key.starts_with(&self.prefix) {
            return Ok(None);
        }
        let kind = match (event.event_type(), event.prev_kv()) {
            (EventType::Put, _) => EventKind::Put(Bytes::copy_from_slice(kv.value())),
            (EventType::Delete, Some(previous)) => {
                EventKind::Delete { previous: Bytes::copy_from_slice(previous.value()) }
            }
            // The value it had was compacted before the event was sent.
            (EventType::Delete, None) => return Err(StoreError::Lagged { at: self.seen, oldest: revision }),
        };
        Ok(Some(Event { key: key.to_owned(), kind }))
    }
}

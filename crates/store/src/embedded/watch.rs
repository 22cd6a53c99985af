//! Watching: recent changes from memory, older ones from the log on disk.
//!
//! A watcher holds only its position. The writer keeps a bounded tail of recent groups in memory for the watchers
//! that keep up; one that falls behind reads the log on disk, so however slow it is it costs no memory, and only when
//! the log has been trimmed past its position does it get [`StoreError::Lagged`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::Inner;
use super::log::Place;
use crate::{Event, EventKind, Revision, StoreError, WatchBatch, WatchStream};

/// Groups kept in memory, at most.
const RECENT_GROUPS: usize = 1024;
/// Bytes of keys and values kept in memory, at most (one group may exceed it alone).
const RECENT_BYTES: usize = 8 << 20;

/// Transactions that became durable together, revisions ascending by one; never empty.
type Group = Arc<Vec<WatchBatch>>;

/// The tail of the log, in memory.
#[derive(Default)]
pub(super) struct Recent {
    groups: Mutex<Tail>,
}

#[derive(Default)]
struct Tail {
    groups: VecDeque<(Group, usize)>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&self, group: Group) {
        let size = group.iter().flat_map(|batch| &batch.events).map(event_size).sum();
        let mut tail = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        tail.groups.push_back((group, size));
        tail.bytes += size;
        while tail.groups.len() > RECENT_GROUPS || (tail.bytes > RECENT_BYTES && tail.groups.len() > 1) {
            let Some((_, size)) = tail.groups.pop_front() else { break };
            tail.bytes -= size;
        }
    }

    /// The group that holds `revision`, if it is still in memory.
    fn find(&self, revision: Revision) -> Option<Group> {
        let tail = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let ends_before = |(group, _): &(Group, usize)| group.last().is_some_and(|b| b.revision < revision);
        let (group, _) = tail.groups.get(tail.groups.partition_point(ends_before))?;
        group.first().is_some_and(|b| b.revision <= revision).then(|| Arc::clone(group))
    }
}

fn event_size(event: &Event) -> usize {
    let (EventKind::Put(value) | EventKind::Delete { previous: value }) = &event.kind;
    event.key.len() + value.len()
}

/// A watcher's position.
struct Watcher {
    inner: Arc<Inner>,
    prefix: String,
    /// Everything up to here was fetched.
    seen: Revision,
    /// The revision of the last batch handed out: `seen`, or less while batches are ready.
    told: Revision,
    newest: watch::Receiver<Revision>,
    /// Where it reads on in the log on disk.
    place: Place,
    /// Batches ready to be handed out.
    ready: VecDeque<WatchBatch>,
}

/// The stream for [`crate::Store::watch`], after its starting point was checked.
pub(super) fn stream(
    inner: Arc<Inner>,
    prefix: String,
    from: Revision,
    newest: watch::Receiver<Revision>,
) -> WatchStream {
    let (place, ready) = (Place::default(), VecDeque::new());
    let watcher = Watcher { inner, prefix, seen: from, told: from, newest, place, ready };
    Box::pin(futures::stream::unfold(Some(watcher), |watcher| async move {
        let mut watcher = watcher?;
        match watcher.next().await {
            Ok(batch) => Some((Ok(batch), Some(watcher))),
            // Dropping the watcher here lets a closed store really close.
            Err(error) => Some((Err(error), None)),
        }
    }))
}

impl Watcher {
    async fn next(&mut self) -> Result<WatchBatch, StoreError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.told = batch.revision;
                return Ok(batch);
            }
            if self.told < self.seen {
                self.told = self.seen;
                return Ok(WatchBatch { revision: self.seen, events: Vec::new() });
            }
            let seen = self.seen;
            let closed = |_| StoreError::Unavailable("store closed".into());
            let newest = *self.newest.wait_for(|newest| *newest > seen).await.map_err(closed)?;
            self.fetch(newest).await?;
        }
    }

    /// Reads on from `seen`, at least one group, as far as `newest` if it is all in memory.
    async fn fetch(&mut self, newest: Revision) -> Result<(), StoreError> {
        let Some(group) = self.inner.recent.find(self.seen + 1) else {
            return self.fetch_from_log(newest).await;
        };
        self.accept(&group);
        while self.seen < newest && self.ready.is_empty() {
            let Some(group) = self.inner.recent.find(self.seen + 1) else { break };
            self.accept(&group);
        }
        Ok(())
    }

    async fn fetch_from_log(&mut self, newest: Revision) -> Result<(), StoreError> {
        let (inner, seen, mut place) = (Arc::clone(&self.inner), self.seen, self.place);
        let read = tokio::task::spawn_blocking(move || {
            let groups = inner.log.read(seen, newest, &mut place);
            groups.map(|groups| (groups, place))
        });
        let (groups, place) = read.await.map_err(|e| StoreError::Unavailable(e.to_string()))??;
        self.place = place;
        for group in groups {
            self.accept(&group);
        }
        Ok(())
    }

    fn accept(&mut self, group: &[WatchBatch]) {
        for batch in group.iter().filter(|batch| batch.revision > self.seen) {
            let ours = |event: &&Event| event.key.starts_with(&self.prefix);
            let events: Vec<Event> = batch.events.iter().filter(ours).cloned().collect();
            if !events.is_empty() {
                self.ready.push_back(WatchBatch { revision: batch.revision, events });
            }
        }
        if let Some(last) = group.last() {
            self.seen = self.seen.max(last.revision);
        }
    }
}

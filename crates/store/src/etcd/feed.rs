//! What the watchers of a process share: one watch at the server, whose changes are kept in memory for a while.
//!
//! A server sends every watcher every change, and several of ours want different parts of the same. So one watch of
//! everything feeds a ring, and watchers read from it. Who starts before the ring, or falls out of it, has a watch of its
//! own at the server (watch.rs) until the ring reaches it. The watch ends with the last watcher that reads from the ring.
//!
//! What always holds: the ring has every change after `from` up to `upto`, once and in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::Inner;
use super::watch::Watcher;
use crate::{Event, EventKind, Revision, WatchBatch};

/// Transactions kept in memory, at most.
const MAX_STEPS: usize = 4096;
/// Bytes of keys and values kept in memory, at most (one transaction may exceed it alone).
const MAX_BYTES: usize = 8 << 20;

/// The shared watch, as long as somebody reads from it.
#[derive(Default)]
pub(super) struct Feed(Mutex<Weak<Live>>);

/// A shared watch under way; ended when dropped.
pub(super) struct Live {
    ring: Arc<Mutex<Ring>>,
    /// How far the ring is; closed when the watch has ended.
    newest: watch::Receiver<Revision>,
    task: tokio::task::JoinHandle<()>,
}

/// Recent changes.
struct Ring {
    steps: VecDeque<Arc<WatchBatch>>,
    bytes: usize,
    from: Revision,
    upto: Revision,
}

/// What the ring has for a watcher.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Transactions after its position, and the position they lead to.
    Steps(Vec<Arc<WatchBatch>>, Revision),
    /// The ring does not reach back that far, or does not move any more.
    Lost,
}

impl Feed {
    /// The shared watch, if its ring reaches back to `from`. If there is none it starts there, unless that is so long ago
    /// that others would wait for it.
    pub(super) fn join(&self, inner: &Arc<Inner>, from: Revision) -> Option<Arc<Live>> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live = match current.upgrade().filter(|live| !live.task.is_finished()) {
            Some(live) => live,
            None if inner.connection.known().saturating_sub(from) > MAX_STEPS as u64 => return None,
            None => {
                let live = Arc::new(Live::start(inner, from));
                *current = Arc::downgrade(&live);
                live
            }
        };
        let reaches = lock(&live.ring).from <= from;
        reaches.then_some(live)
    }
}

impl Live {
    fn start(inner: &Arc<Inner>, from: Revision) -> Self {
        let ring = Arc::new(Mutex::new(Ring::new(from)));
        let (progress, newest) = watch::channel(from);
        let watcher = Watcher::of_everything(Arc::clone(inner), from);
        let task = tokio::spawn(follow(watcher, Arc::clone(&ring), progress));
        Self { ring, newest, task }
    }

    /// Waits until the ring has something after `seen`.
    pub(super) async fn after(&self, seen: Revision) -> Next {
        let reached = self.newest.clone().wait_for(|newest| *newest > seen).await.is_ok();
        if reached { lock(&self.ring).after(seen) } else { Next::Lost }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Fills the ring until the watch fails.
async fn follow(mut watcher: Watcher, ring: Arc<Mutex<Ring>>, progress: watch::Sender<Revision>) {
    loop {
        match watcher.next().await {
            Ok(batch) => {
                let revision = batch.revision;
                lock(&ring).push(batch);
                progress.send_replace(revision);
            }
            Err(error) => return tracing::info!(%error, "shared watch of etcd ended"),
        }
    }
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ring {
    fn new(from: Revision) -> Self {
        Self { steps: VecDeque::new(), bytes: 0, from, upto: from }
    }

    fn push(&mut self, batch: WatchBatch) {
        self.upto = batch.revision;
        if !batch.events.is_empty() {
            self.bytes += size(&batch);
            self.steps.push_back(Arc::new(batch));
        }
        while self.steps.len() > 1 && (self.steps.len() > MAX_STEPS || self.bytes > MAX_BYTES) {
            let Some(old) = self.steps.pop_front() else { break };
            self.from = old.revision;
            self.bytes -= size(&old);
        }
    }

    fn after(&self, seen: Revision) -> Next {
        if seen < self.from {
            return Next::Lost;
        }
        let first = self.steps.partition_point(|step| step.revision <= seen);
        Next::Steps(self.steps.range(first..).cloned().collect(), self.upto)
    }
}

fn size(batch: &WatchBatch) -> usize {
    let size = |event: &Event| match &event.kind {
        EventKind::Put(value) | EventKind::Delete { previous: value } => event.key.len() + value.len(),
    };
    batch.events.iter().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(revision: Revision, bytes: usize) -> WatchBatch {
        let event = Event { key: "k".into(), kind: EventKind::Put(vec![0; bytes - 1].into()) };
        WatchBatch { revision, events: vec![event] }
    }

    #[test]
    fn what_falls_out_of_the_ring_is_known_to_be_missing() {
        let mut ring = Ring::new(10);
        assert_eq!(ring.after(9), Next::Lost);
        ring.push(batch(12, 1));
        ring.push(WatchBatch { revision: 15, events: Vec::new() });
        assert_eq!(ring.after(10), Next::Steps(vec![Arc::new(batch(12, 1))], 15));
        assert_eq!(ring.after(12), Next::Steps(Vec::new(), 15));
        for revision in 16..16 + MAX_STEPS as u64 {
            ring.push(batch(revision, 1));
        }
        assert_eq!((ring.steps.len(), ring.bytes, ring.from), (MAX_STEPS, MAX_STEPS, 12));
        assert_eq!(ring.after(11), Next::Lost);
        ring.push(batch(100_000, MAX_BYTES + 1));
        assert_eq!((ring.steps.len(), ring.bytes), (1, MAX_BYTES + 1));
        assert_eq!(
            ring.after(ring.from),
            Next::Steps(vec![Arc::new(batch(100_000, MAX_BYTES + 1))], 100_000)
        );
    }
}

//! The account of all probes: which requests were seen where, which answers came back, and when.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::record::Record;

/// What is known of one probe or stream.
#[derive(Debug, Default)]
pub(crate) struct Track {
    /// When each request was sent.
    pub(crate) sent: BTreeMap<u64, Instant>,
    /// When each request was first seen at its target.
    pub(crate) seen: BTreeMap<u64, Instant>,
    /// When each answer came back.
    pub(crate) answered: BTreeMap<u64, Instant>,
    /// Everybody who saw a request.
    pub(crate) seen_by: BTreeSet<String>,
    answer: Arc<Notify>,
}

/// All open probes. Bounded by closing each probe when its step ends.
#[derive(Debug)]
pub(crate) struct Ledger {
    tracks: Mutex<HashMap<u64, Track>>,
    next: AtomicU64,
}

impl Ledger {
    pub(crate) fn new() -> Arc<Self> {
        // Labs running side by side must not take each other's packets for their own.
        let base = u64::from(std::process::id()) << 32;
        Arc::new(Self { tracks: Mutex::default(), next: AtomicU64::new(base) })
    }

    fn tracks(&self) -> MutexGuard<'_, HashMap<u64, Track>> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an account and returns its identifier.
    pub(crate) fn open(&self) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.tracks().insert(id, Track::default());
        id
    }

    /// Closes an account.
    pub(crate) fn close(&self, id: u64) -> Track {
        self.tracks().remove(&id).unwrap_or_default()
    }

    pub(crate) fn sent(&self, record: Record) {
        if let Some(track) = self.tracks().get_mut(&record.id) {
            track.sent.insert(record.sequence, Instant::now());
        }
    }

    /// A request arrived at a workload.
    pub(crate) fn seen(&self, record: Record, by: &str) {
        if let Some(track) = self.tracks().get_mut(&record.id) {
            track.seen.entry(record.sequence).or_insert_with(Instant::now);
            if !track.seen_by.contains(by) {
                track.seen_by.insert(by.to_owned());
            }
        }
    }

    /// An answer arrived at the asking workload.
    pub(crate) fn answered(&self, record: Record) {
        if let Some(track) = self.tracks().get_mut(&record.id) {
            track.answered.entry(record.sequence).or_insert_with(Instant::now);
            track.answer.notify_waiters();
        }
    }

    /// Looks at an account.
    pub(crate) fn look<T>(&self, id: u64, f: impl FnOnce(&Track) -> T) -> Option<T> {
        self.tracks().get(&id).map(f)
    }

    /// Returns once any answer has come; forever pending for a closed account.
    pub(crate) async fn any_answer(&self, id: u64) {
        loop {
            let Some((done, notify)) = self.look(id, |t| (!t.answered.is_empty(), t.answer.clone())) else {
                return std::future::pending().await;
            };
            if done {
                return;
            }
            let notified = notify.notified();
            if self.look(id, |t| t.answered.is_empty()) == Some(true) {
                notified.await;
            }
        }
    }
}

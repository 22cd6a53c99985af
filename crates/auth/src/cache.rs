//! A bounded cache whose entries expire.

use crate::credential::Hash;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

struct Entry<V> {
    value: V,
    until: Instant,
    /// Which insertion this is: an older one's place in the queue means nothing.
    number: u64,
}

struct Inner<V> {
    entries: HashMap<Hash, Entry<V>>,
    order: VecDeque<(Hash, u64)>,
    inserted: u64,
}

/// Values by hash of a credential. When it is full, the oldest goes.
pub(crate) struct Cache<V> {
    inner: Mutex<Inner<V>>,
    capacity: usize,
}

impl<V: Clone> Cache<V> {
    /// At most `capacity` (at least 1) entries.
    pub(crate) fn new(capacity: usize) -> Self {
        let inner = Inner { entries: HashMap::new(), order: VecDeque::new(), inserted: 0 };
        Self { inner: Mutex::new(inner), capacity: capacity.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, if it has not expired.
    pub(crate) fn get(&self, key: &Hash) -> Option<V> {
        let now = Instant::now();
        self.lock().entries.get(key).filter(|entry| entry.until > now).map(|entry| entry.value.clone())
    }

    /// Keeps a value for that long.
    pub(crate) fn insert(&self, key: Hash, value: V, lifetime: Duration) {
        let mut inner = self.lock();
        inner.inserted += 1;
        let number = inner.inserted;
        inner.entries.insert(key, Entry { value, until: Instant::now() + lifetime, number });
        inner.order.push_back((key, number));
        // The queue may hold places of entries that were replaced or removed: they are bounded too.
        while inner.entries.len() > self.capacity || inner.order.len() > 2 * self.capacity {
            let Some((oldest, number)) = inner.order.pop_front() else { break };
            if inner.entries.get(&oldest).is_some_and(|entry| entry.number == number) {
                inner.entries.remove(&oldest);
            }
        }
    }

    /// Forgets a value.
    pub(crate) fn remove(&self, key: &Hash) {
        self.lock().entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(100);

    fn key(n: u8) -> Hash {
        [n; 32]
    }

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let cache = Cache::new(3);
        for n in 0..4 {
            cache.insert(key(n), n, LONG);
        }
        assert_eq!((0..4).map(|n| cache.get(&key(n))).collect::<Vec<_>>(), [None, Some(1), Some(2), Some(3)]);
        // Written again, it is the youngest, and its old place in the queue does not throw it out.
        cache.insert(key(1), 11, LONG);
        cache.insert(key(5), 5, LONG);
        assert_eq!((cache.get(&key(1)), cache.get(&key(2))), (Some(11), None));
    }

    #[test]
    fn expired_and_removed_entries_are_gone() {
        let cache = Cache::new(3);
        cache.insert(key(1), 1, Duration::ZERO);
        cache.insert(key(2), 2, LONG);
        cache.remove(&key(2));
        assert_eq!((cache.get(&key(1)), cache.get(&key(2))), (None, None));
    }

    #[test]
    fn rewriting_one_entry_does_not_grow_it() {
        let cache = Cache::new(2);
        for n in 0..100 {
            cache.insert(key(1), n, LONG);
        }
        assert_eq!(cache.get(&key(1)), Some(99));
        assert!(cache.lock().order.len() <= 4);
    }
}

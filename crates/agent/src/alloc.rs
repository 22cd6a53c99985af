//! Numbers that stay the same for as long as what they stand for exists, across restarts of the agent.
//!
//! Always holds: no two keys have the same number; a number that was released is not given out again before the
//! range has been gone through (so that a stale table entry never comes to mean something else at once).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A range has no free number left.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no {what} left: all {capacity} are in use")]
pub struct Exhausted {
    /// What the numbers are for.
    pub what: &'static str,
    /// Size of the range.
    pub capacity: u32,
}

/// Numbers `first..end` for keys of type `K`.
#[derive(Clone, Debug)]
pub struct Allocator<K: Ord> {
    what: &'static str,
    first: u32,
    end: u32,
    next: u32,
    by_key: BTreeMap<K, u32>,
    taken: BTreeSet<u32>,
    used: BTreeSet<u32>,
    changed: bool,
}

impl<K: Ord + Clone> Allocator<K> {
    /// An empty allocator of the numbers `first..end`, named `what` in errors.
    pub fn new(what: &'static str, first: u32, end: u32) -> Self {
        Self {
            what,
            first,
            end,
            next: first,
            by_key: BTreeMap::new(),
            taken: BTreeSet::new(),
            used: BTreeSet::new(),
            changed: false,
        }
    }

    /// Take over numbers from a previous run. Numbers out of range or given twice are ignored.
    pub fn restore(&mut self, entries: impl IntoIterator<Item = (K, u32)>) {
        for (key, number) in entries {
            let fits = (self.first..self.end).contains(&number) && !self.by_key.contains_key(&key);
            if fits && self.taken.insert(number) {
                self.next = self.next.max(number.saturating_add(1));
                self.by_key.insert(key, number);
            }
        }
    }

    /// Keep `number` from being given out: something found in the tables uses it.
    pub fn reserve(&mut self, number: u32) {
        self.taken.insert(number);
    }

    /// The number of `key`, allotted now if it has none.
    ///
    /// # Errors
    /// [`Exhausted`] when the range is used up.
    pub fn get(&mut self, key: &K) -> Result<u32, Exhausted> {
        if let Some(number) = self.by_key.get(key) {
            self.used.insert(*number);
            return Ok(*number);
        }
        let number =
            self.free_number().ok_or(Exhausted { what: self.what, capacity: self.end - self.first })?;
        self.next = number + 1;
        self.taken.insert(number);
        self.used.insert(number);
        self.by_key.insert(key.clone(), number);
        self.changed = true;
        Ok(number)
    }

    fn free_number(&self) -> Option<u32> {
        let from = if self.next >= self.end { self.first } else { self.next };
        (from..self.end).chain(self.first..from).find(|n| !self.taken.contains(n))
    }

    /// The number of `key`, if it has one.
    pub fn peek(&self, key: &K) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// Begin a round: nothing has been asked for yet.
    pub fn begin(&mut self) {
        self.used.clear();
    }

    /// Give back the numbers not asked for since [`Self::begin`]. Returns them.
    pub fn release_unused(&mut self) -> Vec<u32> {
        let mut released = Vec::new();
        self.by_key.retain(|_, number| {
            let keep = self.used.contains(number);
            if !keep {
                released.push(*number);
            }
            keep
        });
        // Reserved numbers whose table entries are gone by now go too.
        self.taken = self.by_key.values().copied().collect();
        self.changed |= !released.is_empty();
        released
    }

    /// Keys and numbers, for the state file.
    pub fn entries(&self) -> impl Iterator<Item = (&K, u32)> {
        self.by_key.iter().map(|(key, number)| (key, *number))
    }

    /// Whether anything was allotted or released since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

/// An allocator's contents in the state file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Serialize", deserialize = "K: Deserialize<'de>"))]
pub struct Saved<K>(pub Vec<(K, u32)>);

impl<K> Default for Saved<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Clone> From<&Allocator<K>> for Saved<K> {
    fn from(allocator: &Allocator<K>) -> Self {
        Self(allocator.entries().map(|(k, n)| (k.clone(), n)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn released_numbers_rest_before_they_return() {
        let mut a = Allocator::new("label", 16, 19);
        assert_eq!((a.get(&"x"), a.get(&"y")), (Ok(16), Ok(17)));
        a.begin();
        a.get(&"y").unwrap();
        assert_eq!(a.release_unused(), vec![16]);
        assert_eq!(a.get(&"z"), Ok(18));
        assert_eq!(a.get(&"w"), Ok(16));
        assert!(a.get(&"v").is_err());
    }

    proptest! {
        #[test]
        fn numbers_are_unique_and_survive_a_restart(keys in proptest::collection::vec(0u32..50, 1..80)) {
            let mut a = Allocator::new("n", 1, 100);
            let given: Vec<_> = keys.iter().map(|k| (*k, a.get(k).unwrap())).collect();
            let mut b = Allocator::new("n", 1, 100);
            b.restore(Saved::from(&a).0);
            for (key, number) in &given {
                prop_assert_eq!(b.get(key), Ok(*number));
            }
            let distinct: BTreeSet<_> = given.iter().map(|(_, n)| n).collect();
            let names: BTreeSet<_> = keys.iter().collect();
            prop_assert_eq!(distinct.len(), names.len());
        }
    }
}

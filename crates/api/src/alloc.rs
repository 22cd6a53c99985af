//! Finding free numbers and addresses. What is taken is in the store (`alloc/<pool>/<id>`), and a number is claimed by the
//! transaction that writes its owner; the cursors here only say where to look first, and are worth nothing after a restart.

use crate::{ApiError, ApiState};
use std::collections::HashMap;
use std::sync::Mutex;
use weft_store::layout;

/// Candidates tried one by one before the whole pool is read.
const PROBES: usize = 16;

/// Inclusive ranges, ascending and disjoint.
pub(crate) type Ranges = Vec<(u128, u128)>;

/// Last candidate handed out per pool.
#[derive(Default)]
pub(crate) struct Cursors(Mutex<HashMap<String, u128>>);

impl Cursors {
    fn get(&self, pool: &str) -> Option<u128> {
        self.lock().get(pool).copied()
    }

    fn set(&self, pool: &str, value: u128) {
        self.lock().insert(pool.to_owned(), value);
    }

    /// Takes the candidate after the last one, for this caller alone.
    fn advance(&self, pool: &Pool) -> Option<u128> {
        let mut cursors = self.lock();
        let last = *cursors.get(&pool.name)?;
        let next = next_candidate(&pool.ranges, last, pool.descending)?;
        cursors.insert(pool.name.clone(), next);
        Some(next)
    }

    /// Forgets a pool that is gone.
    pub(crate) fn forget(&self, pool: &str) {
        self.lock().remove(pool);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u128>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A pool of numbers or addresses.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// Name below `alloc/`.
    pub(crate) name: String,
    /// What may be handed out.
    pub(crate) ranges: Ranges,
    /// Whether to hand out the highest first.
    pub(crate) descending: bool,
    /// Whether ids are written in hexadecimal (addresses) instead of decimal (numbers).
    pub(crate) hexadecimal: bool,
}

impl Pool {
    /// A pool of numbers, lowest first.
    pub(crate) fn numbers(name: &str, first: u64, last: u64) -> Self {
        let ranges = vec![(u128::from(first), u128::from(last))];
        Self { name: name.to_owned(), ranges, descending: false, hexadecimal: false }
    }

    /// Whether the pool hands out this id.
    pub(crate) fn contains(&self, id: u128) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&id))
    }

    /// The row of one id.
    pub(crate) fn key(&self, id: u128) -> String {
        if self.hexadecimal {
            return layout::alloc_key(&self.name, format!("{id:032x}"));
        }
        layout::alloc_number_key(&self.name, u64::try_from(id).unwrap_or(u64::MAX))
    }

    fn parse(&self, key: &str) -> Option<u128> {
        let id = key.rsplit('/').next()?;
        u128::from_str_radix(id, if self.hexadecimal { 16 } else { 10 }).ok()
    }

    /// A number that is free at the moment; `None` when all are taken. Concurrent callers get different ones.
    pub(crate) async fn free(&self, state: &ApiState) -> Result<Option<u128>, ApiError> {
        for _ in 0..PROBES {
            let Some(candidate) = state.cursors().advance(self) else { break };
            if state.store().get(&self.key(candidate)).await?.is_none() {
                return Ok(Some(candidate));
            }
        }
        let mut used = Vec::new();
        state
            .scan(&layout::alloc_prefix(&self.name), |entry| {
                used.extend(self.parse(&entry.key));
                Ok(())
            })
            .await?;
        let found = first_free(&self.ranges, &used, self.descending);
        if let Some(found) = found {
            // Another caller may have found the same one: the cursor then leads the retry on.
            match state.cursors().get(&self.name) {
                Some(cursor) if cursor == found => return Ok(state.cursors().advance(self)),
                _ => state.cursors().set(&self.name, found),
            }
        }
        Ok(found)
    }
}

/// The candidate after `last` in the pool's direction, wrapping around.
fn next_candidate(ranges: &[(u128, u128)], last: u128, descending: bool) -> Option<u128> {
    if descending {
        let below = ranges.iter().rev().find(|(first, _)| *first < last);
        return match below {
            Some((_, end)) => Some((*end).min(last.checked_sub(1)?)),
            None => ranges.last().map(|(_, end)| *end),
        };
    }
    let above = ranges.iter().find(|(_, end)| *end > last);
    match above {
        Some((first, _)) => Some((*first).max(last.checked_add(1)?)),
        None => ranges.first().map(|(first, _)| *first),
    }
}

/// The first id of the ranges, in the given direction, that is not in `used` (ascending).
fn first_free(ranges: &[(u128, u128)], used: &[u128], descending: bool) -> Option<u128> {
    let taken = |id: u128| used.binary_search(&id).is_ok();
    if descending {
        ranges.iter().rev().find_map(|(first, end)| {
            let mut id = *end;
            while taken(id) {
                id = id.checked_sub(1).filter(|id| id >= first)?;
            }
            Some(id)
        })
    } else {
        ranges.iter().find_map(|(first, end)| {
            let mut id = *first;
            while taken(id) {
                id = id.checked_add(1).filter(|id| id <= end)?;
            }
            Some(id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = Ranges> {
        proptest::collection::btree_set(0u128..60, 2..8).prop_map(|points| {
            let points: Vec<u128> = points.into_iter().collect();
            points.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
        })
    }

    proptest! {
        #[test]
        fn first_free_agrees_with_trying_all(
            ranges in ranges(), used in proptest::collection::btree_set(0u128..60, 0..50), descending: bool
        ) {
            let used: Vec<u128> = used.into_iter().collect();
            let all: Vec<u128> = ranges.iter().flat_map(|(a, b)| *a..=*b).filter(|id| !used.contains(id)).collect();
            let expected = if descending { all.last() } else { all.first() };
            prop_assert_eq!(first_free(&ranges, &used, descending), expected.copied());
        }

        #[test]
        fn candidates_visit_every_id(ranges in ranges(), start in 0u128..60, descending: bool) {
            let all: std::collections::BTreeSet<u128> = ranges.iter().flat_map(|(a, b)| *a..=*b).collect();
            let mut seen = std::collections::BTreeSet::new();
            let mut last = start;
            for _ in 0..all.len() {
                last = next_candidate(&ranges, last, descending).unwrap();
                seen.insert(last);
            }
            prop_assert_eq!(seen, all);
        }
    }
}

//! How much one client may ask: rates by token bucket, and the depth of JSON.

use crate::ApiError;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Deepest nesting of a JSON body (400 beyond). Objects of the interface nest below 12.
pub const MAX_JSON_DEPTH: usize = 64;

/// Refuses a JSON text that nests too deep. What is no JSON is the parser's to refuse.
pub(crate) fn check_depth(bytes: &[u8]) -> Result<(), ApiError> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_JSON_DEPTH {
            return Err(ApiError::bad_request(format!(
                "Malformed JSON body: more than {MAX_JSON_DEPTH} levels deep"
            )));
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

struct Table<K> {
    buckets: HashMap<K, Bucket>,
    /// For those the table has no room for, together.
    others: Bucket,
    swept: Instant,
}

/// Token buckets by key, in a bounded table.
pub(crate) struct Buckets<K> {
    rate: f64,
    burst: f64,
    capacity: usize,
    table: Mutex<Table<K>>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// `rate` per second, and `burst` at once.
    pub(crate) fn new(rate: u32, burst: u32, capacity: usize) -> Self {
        let now = Instant::now();
        let others = Bucket { left: f64::from(burst), at: now };
        let table = Mutex::new(Table { buckets: HashMap::new(), others, swept: now });
        Self { rate: f64::from(rate), burst: f64::from(burst), capacity, table }
    }

    fn refilled(&self, bucket: Bucket, now: Instant) -> Bucket {
        let seconds = now.saturating_duration_since(bucket.at).as_secs_f64();
        Bucket { left: (bucket.left + seconds * self.rate).min(self.burst), at: now }
    }

    /// Takes one; `false` if there is none.
    pub(crate) fn take(&self, key: &K) -> bool {
        self.with(key, Instant::now(), |left| {
            let there = *left >= 1.0;
            if there {
                *left -= 1.0;
            }
            there
        })
    }

    /// Whether there is one.
    pub(crate) fn has(&self, key: &K) -> bool {
        let now = Instant::now();
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = match table.buckets.get(key) {
            Some(bucket) => *bucket,
            None if table.buckets.len() >= self.capacity => table.others,
            None => return true,
        };
        self.refilled(bucket, now).left >= 1.0
    }

    fn with<R>(&self, key: &K, now: Instant, use_it: impl FnOnce(&mut f64) -> R) -> R {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let table = &mut *table;
        if table.buckets.len() >= self.capacity
            && !table.buckets.contains_key(key)
            && now.saturating_duration_since(table.swept).as_secs() >= 1
        {
            // Who has not asked for a while is as good as new.
            table.swept = now;
            table.buckets.retain(|_, bucket| self.refilled(*bucket, now).left < self.burst);
        }
        let full = table.buckets.len() >= self.capacity;
        let bucket = match table.buckets.get_mut(key) {
            Some(bucket) => bucket,
            None if full => &mut table.others,
            None => table.buckets.entry(key.clone()).or_insert(Bucket { left: self.burst, at: now }),
        };
        *bucket = self.refilled(*bucket, now);
        use_it(&mut bucket.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn take(buckets: &Buckets<u32>, key: u32, now: Instant) -> bool {
        buckets.with(&key, now, |left| {
            let there = *left >= 1.0;
            *left -= if there { 1.0 } else { 0.0 };
            there
        })
    }

    #[test]
    fn a_bucket_runs_empty_and_fills_again() {
        let (buckets, now) = (Buckets::new(10, 3, 8), Instant::now());
        assert_eq!((0..5).filter(|_| take(&buckets, 1, now)).count(), 3);
        assert!(take(&buckets, 2, now), "others are not affected");
        let later = now + Duration::from_millis(210);
        assert_eq!((0..5).filter(|_| take(&buckets, 1, later)).count(), 2);
        assert!(!buckets.has(&1) && buckets.has(&3));
    }

    #[test]
    fn the_table_is_bounded_and_strangers_share_what_is_left() {
        let (buckets, now) = (Buckets::new(1, 2, 4), Instant::now());
        let let_through = (0..1000).filter(|key| take(&buckets, *key, now)).count();
        assert_eq!(let_through, 4 + 2);
        assert_eq!(buckets.table.lock().unwrap().buckets.len(), 4);
        // Those in the table are forgotten once their buckets are full again.
        assert!(take(&buckets, 2000, now + Duration::from_secs(3)));
        assert_eq!(buckets.table.lock().unwrap().buckets.len(), 1);
    }

    #[test]
    fn depth_is_that_of_brackets_outside_strings() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(check_depth(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert!(check_depth(nested(MAX_JSON_DEPTH + 1).as_bytes()).is_err());
        assert!(check_depth(format!("\"\\\"{}\"", nested(100)).as_bytes()).is_ok());
        assert!(check_depth("{}".repeat(1000).as_bytes()).is_ok());
    }
}

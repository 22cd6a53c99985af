//! When a client connects again after a failure: growing delays with jitter that the caller draws.

use std::time::Duration;

/// Time a transport connection has to come up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest part of a delay that jitter adds or takes away.
pub const JITTER: f64 = 0.1;
/// First delay.
const FIRST: Duration = Duration::from_secs(1);
/// Longest delay before jitter.
const LONGEST: Duration = Duration::from_secs(30);

/// Delays between attempts to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectRetry {
    failures: u32,
}

impl ConnectRetry {
    /// The delay before the next attempt: 1 s after the first failure, doubled after each further one
    /// up to 30 s, changed by at most [`JITTER`]. `random` is drawn evenly from -1 to 1.
    pub fn failed(&mut self, random: f64) -> Duration {
        let base = FIRST.saturating_mul(1 << self.failures.min(5)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let random = if random.is_finite() { random.clamp(-1.0, 1.0) } else { 0.0 };
        base.mul_f64(1.0 + JITTER * random)
    }

    /// A session was established: the next failure begins at the shortest delay.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_limit_and_start_over() {
        let mut retry = ConnectRetry::default();
        let delays: Vec<_> = (0..7).map(|_| retry.failed(0.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(retry.failed(5.0), Duration::from_secs(33));
        assert_eq!(retry.failed(f64::NAN), Duration::from_secs(30));
        retry.succeeded();
        assert_eq!(retry.failed(-1.0), Duration::from_millis(900));
    }
}

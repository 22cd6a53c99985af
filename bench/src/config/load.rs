//! Closed loops: each client sends its next request when it has the answer to the last.

use anyhow::Result;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What one measurement gave.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Operations per second.
    pub(super) rate: f64,
    /// Microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Rate and percentiles of operations that took these times.
pub(super) fn sample(mut times: Vec<Duration>, elapsed: Duration) -> Sample {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |t| t.as_secs_f64() * 1e6)
    };
    Sample { rate: times.len() as f64 / elapsed.as_secs_f64(), p50: at(0.5), p99: at(0.99) }
}

/// Runs `clients` threads for `duration`; each calls `make` once and then what it made, with 0, 1, 2, ...
pub(super) fn run<F>(
    clients: usize,
    duration: Duration,
    make: impl Fn(usize) -> Result<F> + Sync,
) -> Result<Sample>
where
    F: FnMut(usize) -> Result<()>,
{
    let (stop, times, failed) = (AtomicBool::new(false), Mutex::new(Vec::new()), Mutex::new(None));
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (stop, times, failed, make) = (&stop, &times, &failed, &make);
            scope.spawn(move || {
                let outcome = one(client, stop, duration, begin, make);
                match outcome {
                    Ok(own) => times.lock().unwrap_or_else(|e| e.into_inner()).extend(own),
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                    }
                }
            });
        }
    });
    let elapsed = begin.elapsed();
    if let Some(error) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        return Err(error);
    }
    Ok(sample(times.into_inner().unwrap_or_else(|e| e.into_inner()), elapsed))
}

fn one<F: FnMut(usize) -> Result<()>>(
    client: usize,
    stop: &AtomicBool,
    duration: Duration,
    begin: Instant,
    make: &(impl Fn(usize) -> Result<F> + Sync),
) -> Result<Vec<Duration>> {
    let mut operation = make(client)?;
    let mut times = Vec::new();
    while begin.elapsed() < duration && !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        operation(times.len())?;
        times.push(start.elapsed());
    }
    Ok(times)
}

//! Closed loops: each client sends its next request when it has the answer to the last.

use super::http::Connection;
use anyhow::Result;
use std::path::Path;
use std::time::{Duration, Instant};

/// Threads that serve the clients.
pub(super) const THREADS: usize = 2;

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

/// Runs `clients` clients, each on a connection of its own, for `duration`; each calls `operation` with its number and 0,
/// 1, 2, ... As many threads as those of the clients of etcd serve all of them.
pub(super) fn run(
    socket: &Path,
    clients: usize,
    duration: Duration,
    operation: impl AsyncFn(&mut Connection, usize, usize) -> Result<()> + Sync,
) -> Result<Sample> {
    let (operation, begin) = (&operation, Instant::now());
    let outcome: Result<Vec<Vec<Duration>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    let own = (thread..clients).step_by(THREADS);
                    let clients = own.map(|client| one(socket, client, duration, begin, operation));
                    runtime.block_on(futures::future::try_join_all(clients)).map(|times| times.concat())
                })
            })
            .collect();
        let done = threads.into_iter().map(|t| t.join().map_err(|_| anyhow::anyhow!("a client panicked"))?);
        done.collect()
    });
    Ok(sample(outcome?.concat(), begin.elapsed()))
}

async fn one(
    socket: &Path,
    client: usize,
    duration: Duration,
    begin: Instant,
    operation: &impl AsyncFn(&mut Connection, usize, usize) -> Result<()>,
) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(socket).await?;
    let mut times = Vec::new();
    while begin.elapsed() < duration {
        let start = Instant::now();
        operation(&mut connection, client, times.len()).await?;
        times.push(start.elapsed());
    }
    Ok(times)
}

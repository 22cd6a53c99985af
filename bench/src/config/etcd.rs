//! Raw puts into etcd, each client on a connection of its own.

use super::load::{self, Sample, sample};
use super::server::Etcd;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// How long a put may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Puts of `size` bytes under new keys for `duration`.
pub(super) fn puts(etcd: &Etcd, clients: usize, size: usize, duration: Duration) -> Result<Sample> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(load::THREADS).enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        let begin = Instant::now();
        for client in 0..clients {
            let endpoint = etcd.endpoint.clone();
            tasks.spawn(async move { one(&endpoint, client, size, begin, duration).await });
        }
        let mut times = Vec::new();
        while let Some(own) = tasks.join_next().await {
            times.extend(own??);
        }
        Ok(sample(times, begin.elapsed()))
    })
}

async fn one(
    endpoint: &str,
    client: usize,
    size: usize,
    begin: Instant,
    duration: Duration,
) -> Result<Vec<Duration>> {
    let options = etcd_client::ConnectOptions::new().with_timeout(PATIENCE).with_connect_timeout(PATIENCE);
    let mut etcd = etcd_client::Client::connect([endpoint], Some(options)).await.context("etcd")?;
    let value = vec![b'x'; size];
    let run = begin.elapsed().as_nanos();
    let mut times = Vec::new();
    while begin.elapsed() < duration {
        let key = format!("bench/{}/{run}/{client}/{}", std::process::id(), times.len());
        let start = Instant::now();
        etcd.put(key, value.clone(), None).await.context("put")?;
        times.push(start.elapsed());
    }
    Ok(times)
}

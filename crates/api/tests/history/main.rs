//! Random histories: clients make and delete names, take and give back addresses, and change references, through one
//! or more api processes that are killed meanwhile, as are the leaders of the etcd cluster below them. What the clients
//! saw is then checked to be linearisable, and the store to agree with itself.
//!
//! `WEFT_HISTORY_SEED` repeats the clients' choices (not the machine's timing), `WEFT_HISTORY_SECONDS` makes it longer.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../../store/tests/common/cluster.rs"]
mod cluster;

mod clients;
mod failover;
mod judge;
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clients::{Log, World};
use cluster::Cluster;
use server::{Api, free_port};

/// Clients at once.
const CLIENTS: u64 = 8;
/// Seconds of each history unless the environment says otherwise.
const SECONDS: u64 = 12;

/// A small generator (splitmix64): the same seed, the same choices.
#[derive(Clone)]
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn uuid(&mut self) -> String {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
    }
}

pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("WEFT_HISTORY_SEED", now);
    println!("WEFT_HISTORY_SEED={seed}");
    seed
}

/// Not a test of its own: what the tests start as api processes.
#[test]
fn child_process() {
    server::child();
}

/// Lets clients work while `disturb` does its worst, and judges what they saw.
async fn run(seed: u64, location: &str, urls: Vec<String>, mut disturb: impl FnMut(&mut Choices)) {
    let mut choices = Choices(seed);
    let log = Arc::new(Log::default());
    let world = Arc::new(World::make(urls, Arc::clone(&log)).await);
    let end = Instant::now() + Duration::from_secs(number("WEFT_HISTORY_SECONDS", SECONDS));
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(clients::work(Arc::clone(&world), Choices(seed ^ (client + 1) << 32), end))
        })
        .collect();
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(800 + choices.below(1500))).await;
        tokio::task::block_in_place(|| disturb(&mut choices));
    }
    for task in tasks {
        task.await.unwrap();
    }
    world.settle().await;
    judge::judge(&log);
    let capacity = world.fill().await;
    assert_eq!(capacity, clients::ADDRESSES, "addresses were lost or made");
    drop(world);
    println!("{location}: {}", judge::summary(&log));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded_store_with_kills_is_linearisable() {
    let seed = seed();
    let directory = tempfile::tempdir().unwrap();
    let location = directory.path().join("store").to_string_lossy().into_owned();
    let port = free_port();
    let mut api = Api::start(&location, port);
    let url = api.url();
    api.wait().await;
    run(seed, "embedded", vec![url], |_| {
        api.kill();
        api = Api::start(&location, port);
    })
    .await;
    drop(api);
    server::agrees(&location).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn etcd_with_kills_is_linearisable() {
    let seed = seed();
    let mut cluster = tokio::task::spawn_blocking(|| Cluster::start(3)).await.unwrap();
    let location = cluster.location("history");
    let mut apis = vec![Api::start(&location, free_port()), Api::start(&location, free_port())];
    for api in &apis {
        api.wait().await;
    }
    let urls = apis.iter().map(Api::url).collect();
    let (mut down, mut turn) = (None, 0);
    run(seed, "etcd", urls, |choices| {
        turn += 1;
        match turn % 3 {
            1 => {
                down = cluster.leader();
                down.into_iter().for_each(|index| cluster.kill_member(index));
            }
            2 => {
                let index = choices.below(2) as usize;
                let port = apis[index].port;
                apis[index].kill();
                apis[index] = Api::start(&location, port);
            }
            _ => down.take().into_iter().for_each(|index| cluster.start_member(index)),
        }
    })
    .await;
    if let Some(index) = down {
        cluster.start_member(index);
    }
    drop(apis);
    server::agrees(&location).await;
}

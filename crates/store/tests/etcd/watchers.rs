//! Watchers of one process share what the server sends: each must see all of its own changes, once and in order.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use weft_store::{EtcdStore, Event, EventKind, Op, Revision, Store, Txn, WatchStream};

use super::cluster::Cluster;
use super::common::{commit, put};
use super::open;

const FOREVER: Duration = Duration::from_secs(60);
/// Keys written over and over, a few deletions among them.
const KEYS: u64 = 7;

type History = Vec<(Revision, Vec<Event>)>;

/// Writes rounds `from` to `upto`; each changes a key of `a/` and, in the same transaction, one of `b/`.
async fn write(store: &EtcdStore, from: u64, upto: u64, history: &mut History) {
    for round in from..upto {
        let (key, other) = (format!("a/{}", round % KEYS), format!("b/{}", round % 3));
        let value = |round: u64| bytes::Bytes::from(round.to_string());
        // Each key is deleted every second time.
        let deletes = (round / KEYS) % 2 == 1;
        let op = if deletes { Op::delete(key.clone()) } else { put(&key, &round.to_string()) };
        let revision = commit(store, Txn::new().then(op).then(put(&other, &round.to_string()))).await;
        let kind = match deletes {
            true => EventKind::Delete { previous: value(round - KEYS) },
            false => EventKind::Put(value(round)),
        };
        let events = [(key, kind), (other, EventKind::Put(value(round)))];
        history.push((revision, events.map(|(key, kind)| Event { key, kind }).into()));
    }
}

/// What a watcher sees up to a revision.
async fn seen(watch: &mut WatchStream, upto: Revision) -> History {
    let mut seen = History::new();
    loop {
        let batch = tokio::time::timeout(FOREVER, watch.next()).await.unwrap().unwrap().unwrap();
        assert!(seen.last().is_none_or(|(last, _)| *last < batch.revision));
        if !batch.events.is_empty() {
            seen.push((batch.revision, batch.events));
        }
        if batch.revision >= upto {
            return seen;
        }
    }
}

fn expected(history: &History, prefix: &str, from: Revision) -> History {
    let part = |events: &Vec<Event>| events.iter().filter(|e| e.key.starts_with(prefix)).cloned().collect();
    let after = history.iter().filter(|(revision, _)| *revision > from);
    let parts = after.map(|(revision, events)| (*revision, part(events)));
    parts.filter(|(_, events): &(Revision, Vec<Event>)| !events.is_empty()).collect()
}

/// Watches at the server, as it counts them itself.
fn watches(cluster: &Cluster) -> u64 {
    let mut connection = std::net::TcpStream::connect(&cluster.endpoints()[0]).unwrap();
    connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut metrics = String::new();
    connection.read_to_string(&mut metrics).unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("etcd_debugging_mvcc_watcher_total "));
    line.unwrap().parse().unwrap()
}

async fn wait_for_watches(cluster: &Cluster, wanted: u64) {
    let start = std::time::Instant::now();
    while watches(cluster) != wanted {
        assert!(start.elapsed() < FOREVER, "{} watches, not {wanted}", watches(cluster));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn watchers_from_anywhere_see_their_changes_and_share_one_watch() {
    const ROUNDS: u64 = 300;
    let cluster = Cluster::start(1);
    let (writer, store) = (open(&cluster, "w").await, open(&cluster, "w").await);
    let mut history = History::new();
    write(&writer, 0, ROUNDS, &mut history).await;
    let from = |round: u64| history[usize::try_from(round).unwrap()].0;
    // The shared watch begins with this one; most of the others are behind it.
    let mut first = store.watch("", store.revision().await.unwrap()).await.unwrap();
    let reached = commit(&*writer, Txn::new().then(put("d", "x"))).await;
    seen(&mut first, reached).await;
    // From the start, from the middle, from now; of one part, of the other, of all.
    let starts = [0, from(0), from(ROUNDS / 2), from(ROUNDS - 1)];
    let mut watchers = Vec::new();
    for (start, prefix) in starts.iter().flat_map(|start| ["a/", "b/", "", "c/"].map(|p| (*start, p))) {
        watchers.push((start, prefix, store.watch(prefix, start).await.unwrap()));
    }
    let writing = tokio::spawn(async move {
        write(&writer, ROUNDS, 2 * ROUNDS, &mut history).await;
        (writer, history)
    });
    let mut readers = Vec::new();
    for (start, prefix, mut watch) in watchers {
        let store = Arc::clone(&store);
        readers.push(tokio::spawn(async move {
            let upto = loop {
                // Some progress, while it is written.
                let reached = store.revision().await.unwrap();
                if reached > start {
                    break reached;
                }
            };
            let first = seen(&mut watch, upto).await;
            (start, prefix, watch, first)
        }));
    }
    let (writer, history) = writing.await.unwrap();
    let mut streams = vec![first];
    for reader in readers {
        let (start, prefix, mut watch, mut all) = reader.await.unwrap();
        // A write more, so that there is something to wait for.
        let reached = commit(&*writer, Txn::new().then(put("d", "x"))).await;
        all.extend(seen(&mut watch, reached).await);
        all.iter_mut().for_each(|(_, events)| events.retain(|event| event.key != "d"));
        all.retain(|(_, events)| !events.is_empty());
        assert_eq!(all, expected(&history, prefix, start), "{prefix:?} from {start}");
        streams.push(watch);
    }
    // Each is abreast of the others after another change, whatever it watches.
    let reached = commit(&*writer, Txn::new().then(put("d", "y"))).await;
    for watch in &mut streams {
        seen(watch, reached).await;
    }
    wait_for_watches(&cluster, 1).await;
    drop(streams);
    wait_for_watches(&cluster, 0).await;
}

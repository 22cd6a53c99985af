//! Reads that share round trips: each must be answered as if it had gone alone.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use weft_store::{EtcdOptions, EtcdStore, Store, StoreError, Txn};

use super::cluster::Cluster;
use super::common::{commit, put};
use super::open;

/// Longer than any wait here may last.
const FOREVER: Duration = Duration::from_secs(60);

async fn open_with(cluster: &Cluster, settings: &str) -> Arc<EtcdStore> {
    let location = format!("{}?{settings}", cluster.location("r"));
    Arc::new(EtcdStore::open(EtcdOptions::parse(&location).unwrap()).await.unwrap())
}

fn number(entry: Option<weft_store::Entry>) -> u64 {
    entry.map_or(0, |entry| std::str::from_utf8(&entry.value).unwrap().parse().unwrap())
}

/// Whatever was acknowledged before a read was asked, by another process too, is seen by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_read_sees_what_was_written_before_it_was_asked() {
    const WRITERS: usize = 24;
    const ROUNDS: u64 = 40;
    let cluster = Cluster::start(1);
    let (writer, reader) = (open(&cluster, "r").await, open(&cluster, "r").await);
    let tasks = (0..WRITERS).map(|task| {
        let (writer, reader) = (Arc::clone(&writer), Arc::clone(&reader));
        tokio::spawn(async move {
            let own = format!("own/{task}");
            let neighbours: Vec<String> =
                [task, task, (task + 1) % WRITERS, WRITERS].map(|n| format!("own/{n}")).into();
            let mut seen = 0;
            for round in 1..=ROUNDS {
                let revision = commit(&*writer, Txn::new().then(put(&own, &round.to_string()))).await;
                let (one, many) = futures::join!(reader.get(&own), reader.get_many(&neighbours));
                let (one, mut many) = (one.unwrap().unwrap(), many.unwrap());
                assert_eq!((one.mod_revision, one.key.as_str()), (revision, own.as_str()));
                assert_eq!(number(Some(one.clone())), round);
                assert_eq!((many[0].as_ref(), many[1].as_ref()), (Some(&one), Some(&one)));
                assert_eq!(many.pop().unwrap(), None);
                let theirs = number(many.pop().unwrap());
                assert!(theirs >= seen, "{theirs} after {seen}");
                seen = theirs;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// More keys than the servers take at once, one by one and together, in their order, repetitions included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_keys_than_fit_one_request_are_all_read() {
    const KEYS: usize = 500;
    let cluster = Cluster::start_with(1, "http", &["--max-txn-ops".into(), "16".into()]);
    let store = open_with(&cluster, "max-ops=16").await;
    for key in 0..KEYS / 2 {
        commit(&*store, Txn::new().then(put(&format!("k/{key}"), &key.to_string()))).await;
    }
    let keys: Vec<String> = (0..KEYS).chain(0..KEYS).map(|key| format!("k/{key}")).collect();
    let (single, (many, again)) = futures::join!(
        join_all(keys.iter().map(|key| store.get(key))),
        futures::future::join(store.get_many(&keys), store.get_many(&keys)),
    );
    let (many, again) = (many.unwrap(), again.unwrap());
    assert_eq!(single.into_iter().map(Result::unwrap).collect::<Vec<_>>(), many);
    assert_eq!(many, again);
    for (key, entry) in keys.iter().zip(many) {
        let wanted: usize = key.trim_start_matches("k/").parse().unwrap();
        let found = entry.map(|entry| (entry.key, entry.value));
        assert_eq!(found, (wanted < KEYS / 2).then(|| (key.clone(), wanted.to_string().into())));
    }
}

/// Nothing can be stored under a key that is too long; asking for one does no harm to who asks for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_keys_are_of_nothing() {
    let cluster = Cluster::start(1);
    let store = open(&cluster, "r").await;
    commit(&*store, Txn::new().then(put("a", "1"))).await;
    let long = "x".repeat(3 << 20);
    let keys = ["a".to_owned(), long.clone()];
    let (first, endless, both) = futures::join!(store.get("a"), store.get(&long), store.get_many(&keys));
    assert_eq!(endless.unwrap(), None);
    assert_eq!(both.unwrap(), [first.unwrap(), None]);
}

/// Callers that go away at any moment take nothing from those who stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_reads_harm_nobody() {
    let cluster = Cluster::start(1);
    let store = open(&cluster, "r").await;
    for round in 1..=200u64 {
        let key = format!("k/{}", round % 7);
        commit(&*store, Txn::new().then(put(&key, &round.to_string()))).await;
        let dropped = (0..30).map(|n| {
            let (store, key) = (Arc::clone(&store), key.clone());
            tokio::spawn(async move {
                let patience = Duration::from_micros(n * 40);
                let _ = tokio::time::timeout(patience, store.get_many(&[key, format!("none/{n}")])).await;
            })
        });
        let dropped: Vec<_> = dropped.collect();
        dropped.iter().step_by(3).for_each(tokio::task::JoinHandle::abort);
        let kept = join_all((0..5).map(|_| store.get(&key)));
        for entry in tokio::time::timeout(FOREVER, kept).await.unwrap() {
            assert_eq!(number(entry.unwrap()), round);
        }
    }
}

/// A server that is killed leaves nobody without an answer, and reads work again when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_leaves_nobody_waiting() {
    let mut cluster = Cluster::start(1);
    let store = open_with(&cluster, "patience=2&timeout=1").await;
    commit(&*store, Txn::new().then(put("a", "1"))).await;
    let readers = (0..100).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let keys = [format!("none/{n}"), "a".to_owned()];
            loop {
                match store.get_many(&keys).await {
                    Ok(rows) => assert_eq!((rows[0].is_none(), number(rows[1].clone())), (true, 1)),
                    Err(error) => return error,
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.kill_member(0);
    for error in tokio::time::timeout(FOREVER, join_all(readers)).await.unwrap() {
        assert!(matches!(error.unwrap(), StoreError::Unavailable(_)));
    }
    // Who asks now and is patient for long enough sees the server come back.
    let patient = open_later(&cluster);
    cluster.start_member(0);
    let entry = tokio::time::timeout(FOREVER, patient).await.unwrap();
    assert_eq!(number(entry), 1);
    assert_eq!(number(store.get("a").await.unwrap()), 1);
}

/// Reads with the patience of a second store.
fn open_later(cluster: &Cluster) -> impl Future<Output = Option<weft_store::Entry>> + use<> {
    let location = format!("{}?patience=30&timeout=1", cluster.location("r"));
    async move {
        let store = weft_store::open(&location).await.unwrap();
        store.get("a").await.unwrap()
    }
}

//! The store over a real etcd: what every store must do, and what only a cluster can do to it.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/cluster.rs"]
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod reads;
mod watchers;

use std::sync::Arc;

use cluster::Cluster;
use common::{commit, conformance, put};
use weft_store::{EtcdOptions, EtcdStore, Store, StoreError, Txn};

async fn open(cluster: &Cluster, prefix: &str) -> Arc<EtcdStore> {
    Arc::new(EtcdStore::open(EtcdOptions::parse(&cluster.location(prefix)).unwrap()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let cluster = Cluster::start(1);
    conformance(open(&cluster, "one").await).await;
    // Another prefix of the same cluster is another store.
    let other = open(&cluster, "two").await;
    assert!(other.range("", None, 10).await.unwrap().entries.is_empty());
    conformance(other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_is_told() {
    let cluster = Cluster::start(1);
    let store = open(&cluster, "c").await;
    let first = commit(&*store, Txn::new().then(put("a", "1"))).await;
    let second = commit(&*store, Txn::new().then(put("a", "2"))).await;
    let third = commit(&*store, Txn::new().then(put("a", "3"))).await;
    let endpoint = &cluster.endpoints()[0];
    cluster::etcdctl(endpoint, &["compact", &second.to_string()], &[]).unwrap();
    match store.watch("", first).await {
        Err(StoreError::Compacted { requested, oldest }) => assert_eq!((requested, oldest), (first, second)),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("watched from a compacted revision"),
    }
    let mut watch = store.watch("", second).await.unwrap();
    assert_eq!(common::next_events(&mut watch).await.revision, third);
}

/// Numbers each value of one key counts through, so that a gap or a repetition shows.
async fn count(store: Arc<EtcdStore>, upto: u64) {
    for number in 1..=upto {
        let txn = Txn::new().then(put("count", &number.to_string())).then(put("other", "x"));
        commit(&*store, txn).await;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn watches_and_writes_outlive_leaders() {
    const NUMBERS: u64 = 400;
    let mut cluster = Cluster::start(3);
    let (writer, watcher) = (open(&cluster, "w").await, open(&cluster, "w").await);
    let mut watch = watcher.watch("count", watcher.revision().await.unwrap()).await.unwrap();
    let writing = tokio::spawn(count(writer, NUMBERS));
    let reading = tokio::spawn(async move {
        let mut last = 0;
        for number in 1..=NUMBERS {
            let batch = common::next_events(&mut watch).await;
            assert!(batch.revision > last);
            last = batch.revision;
            let wanted = weft_store::EventKind::Put(number.to_string().into());
            assert_eq!(batch.events.iter().map(|e| &e.kind).collect::<Vec<_>>(), [&wanted]);
        }
    });
    for _ in 0..2 {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        tokio::task::block_in_place(|| {
            let leader = cluster.leader().unwrap();
            cluster.kill_member(leader);
            std::thread::sleep(std::time::Duration::from_millis(2500));
            cluster.start_member(leader);
            cluster.wait();
        });
    }
    writing.await.unwrap();
    reading.await.unwrap();
}

/// Clients that disappear in the middle of a transaction leave it decided: either whole or never.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned_transactions_do_not_come_late() {
    let cluster = Cluster::start(1);
    let store = open(&cluster, "a").await;
    for round in 0..100u64 {
        let key = format!("k{round}");
        let txn = Txn::new().when(weft_store::Compare::absent(key.clone())).then(put(&key, "x"));
        let _ = tokio::time::timeout(std::time::Duration::from_micros(round * 20), store.txn(txn)).await;
    }
    // More than there are slots: each slot of an abandoned transaction was decided before this returns.
    for round in 0..100 {
        commit(&*store, Txn::new().then(put("after", &round.to_string()))).await;
    }
    let before = store.range("k", None, 1000).await.unwrap().entries;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(store.range("k", None, 1000).await.unwrap().entries, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_programs_writes_are_progress() {
    let cluster = Cluster::start(1);
    let store = open(&cluster, "p").await;
    let mut watch = store.watch("", store.revision().await.unwrap()).await.unwrap();
    for number in 0..3 {
        cluster::etcdctl(&cluster.endpoints()[0], &["put", "/foreign", &number.to_string()], &[]).unwrap();
    }
    let reached = store.revision().await.unwrap();
    while common::next(&mut watch).await.unwrap().revision < reached {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_passwords_are_asked_for() {
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).to_string_lossy().into_owned();
    certificates(files.path());
    let mut arguments = Vec::new();
    for (flag, name) in
        [("--cert-file", "node.pem"), ("--key-file", "node.key"), ("--trusted-ca-file", "ca.pem")]
    {
        arguments.extend([flag.to_owned(), path(name)]);
    }
    arguments.push("--client-cert-auth".into());
    let cluster = Cluster::start_with(1, "https", &arguments);
    let endpoint = format!("https://{}", cluster.endpoints()[0]);
    let (ca, cert, key) = (path("ca.pem"), path("node.pem"), path("node.key"));
    let tls = ["--cacert", &ca, "--cert", &cert, "--key", &key];
    let start = std::time::Instant::now();
    while cluster::etcdctl(&endpoint, &["get", "x"], &tls).is_none() {
        assert!(start.elapsed().as_secs() < 20, "{}", cluster.log());
    }
    let root = ["--user", "root:top"];
    let admin: Vec<&str> = tls.iter().chain(&root).copied().collect();
    for (arguments, access) in [
        (vec!["user", "add", "root:top"], &tls[..]),
        (vec!["user", "grant-role", "root", "root"], &tls[..]),
        (vec!["user", "add", "weft:secret"], &tls[..]),
        (vec!["role", "add", "weft"], &tls[..]),
        (vec!["role", "grant-permission", "--prefix=true", "weft", "readwrite", "/weft/"], &tls[..]),
        (vec!["user", "grant-role", "weft", "weft"], &tls[..]),
        (vec!["auth", "enable"], &admin[..]),
    ] {
        let done = cluster::etcdctl(&endpoint, &arguments, access);
        // The role root may be there already, and is made with authentication otherwise.
        assert!(done.is_some() || arguments.contains(&"root"), "{arguments:?}");
    }
    std::fs::write(path("password"), "secret\n").unwrap();
    std::fs::write(path("wrong"), "guess\n").unwrap();
    let base = cluster.location("weft");
    let secure = format!("{base}?ca={ca}&cert={cert}&key={key}&patience=3");
    let with = |user: &str, file: &str| format!("{secure}&user={user}&password-file={}", path(file));
    conformance(weft_store::open(&with("weft", "password")).await.unwrap()).await;
    for location in [
        base.clone() + "?patience=2",
        format!("{base}?ca={ca}&patience=2"),
        secure.clone(),
        with("weft", "wrong"),
    ] {
        let refused = weft_store::open(&location).await;
        assert!(refused.is_err(), "{location} lets us in");
    }
    let elsewhere = with("weft", "password").replacen("/weft?", "/elsewhere?", 1);
    assert!(matches!(weft_store::open(&elsewhere).await, Err(StoreError::Refused(_))));
}

/// An authority and a certificate for 127.0.0.1, for both sides, by openssl.
fn certificates(dir: &std::path::Path) {
    std::fs::write(dir.join("ext"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        .unwrap();
    for command in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout node.key -out node.csr -subj /CN=weft-node",
        "x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out node.pem",
    ] {
        let output = std::process::Command::new("openssl")
            .args(command.split(' '))
            .current_dir(dir)
            .output()
            .expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

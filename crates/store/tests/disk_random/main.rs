//! Random transactions over a disk that fails at random calls, again and again over one store, and what is left of them.
//!
//! A child process (this binary again) writes and says of each transaction what it was told; calls to the store's files fail,
//! are done by half, or are the last thing the process does. The parent opens what is left and compares. A seed decides about
//! the faults and the writes, not about the order of threads: it does not repeat a run call by call.
//!
//! A binary of its own: between fork and exec a child holds the locks of all stores that its parent has open.

#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../disk/disk.rs"]
mod disk;
#[path = "../disk/sys.rs"]
mod sys;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::libc::{EIO, EMFILE, ENOSPC};
use weft_store::{EmbeddedOptions, EmbeddedStore, Op, Store, StoreError, Txn, TxnResult};

use disk::{Disk, mounted};
use sys::{Call, Kind, Verdict};

/// Make this binary a child: directory of the store, seed.
const DIRECTORY: &str = "WEFT_STORE_DISK_DIRECTORY";
const SEED: &str = "WEFT_STORE_DISK_SEED";
/// Stores, and children over each.
const STORES: u64 = 30;
const CHILDREN: u64 = 4;
/// Writers of a child, and transactions of each at most.
const CLIENTS: u64 = 4;
const TXNS: u64 = 60;
/// Bytes of the disk.
const DISK: usize = 6 << 20;

/// A small generator (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // Near seeds are far apart after a few.
        for _ in 0..8 {
            random.below(2);
        }
        random
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// Segments and memory so small that all that a store does happens often.
fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        log_revisions: 160,
        log_bytes: 512 << 10,
        memory_bytes: 16 << 10,
        cache_bytes: 64 << 10,
    }
}

/// What transaction `seq` of a client leaves: the keys of it, all or none, with its number in each.
fn keys(client: u64, seq: u64) -> BTreeMap<String, Vec<u8>> {
    let value = |index: u64| -> Vec<u8> {
        let length = 4 + (seq * 131 + index * 977) as usize % 2000;
        format!("{seq}:").bytes().cycle().take(length).collect()
    };
    let count = 1 + (seq * 7 + client) % 6;
    let mut keys: BTreeMap<_, _> =
        (0..count).map(|index| (format!("c/{client}/{index}"), value(index))).collect();
    keys.insert(format!("c/{client}/head"), seq.to_string().into_bytes());
    keys
}

fn transaction(client: u64, seq: u64) -> Txn {
    let new = keys(client, seq);
    let old = (0..6).map(|index| format!("c/{client}/{index}")).filter(|key| !new.contains_key(key));
    let mut txn = Txn::new();
    txn.ops.extend(old.map(Op::delete));
    txn.ops.extend(new.iter().map(|(key, value)| Op::put(key.clone(), value.clone())));
    txn
}

/// What goes wrong in a child.
struct Trouble {
    random: Random,
    /// One call of so many fails.
    odds: u64,
    /// Calls until the process ends.
    life: u64,
    /// Calls for which there is no room yet.
    full: u64,
}

impl Trouble {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let odds = [20, 100, 500][random.below(3) as usize];
        // Some live until they have done everything.
        let life = if random.one_in(3) { u64::MAX } else { 1 + random.below(600) };
        Self { random, odds, life, full: 0 }
    }

    fn judge(&mut self, call: &Call) -> Verdict {
        self.life -= 1;
        if self.life == 0 {
            std::process::exit(0);
        }
        if self.full > 0 {
            self.full -= 1;
            if matches!(call.kind, Kind::Append | Kind::Write | Kind::Create) {
                return Verdict::Fails(ENOSPC);
            }
        }
        // Segments are begun seldom enough.
        let begins = call.kind == Kind::Create || call.path.ends_with("log");
        if !self.random.one_in(if begins { 3 } else { self.odds }) {
            return Verdict::Done;
        }
        if self.random.one_in(4) {
            self.full = self.random.below(40);
        }
        match (call.kind, self.random.below(3)) {
            (Kind::Append | Kind::Write, 0) => Verdict::Half,
            (Kind::Append | Kind::Write | Kind::Create, 1) => Verdict::Fails(ENOSPC),
            (Kind::Create, _) => Verdict::Fails(EMFILE),
            _ => Verdict::Fails(EIO),
        }
    }
}

fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// Not a test of its own: what the parent below starts.
#[test]
fn child_process() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let run = std::thread::spawn(move || {
        let (mut trouble, store) = (Trouble::new(seed), PathBuf::from(&dir));
        let of = store.clone();
        sys::supervise(move |call| match call.path.starts_with(&of) {
            true => trouble.judge(call),
            false => Verdict::Done,
        })
        .unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(write(&store, seed));
    });
    if run.join().is_err() {
        say("panicked");
    }
    std::process::exit(0);
}

async fn write(dir: &Path, seed: u64) {
    let store = match EmbeddedStore::open_with(dir, options()) {
        Ok(store) => Arc::new(store),
        Err(error) => {
            assert!(error.to_string().contains(&*dir.to_string_lossy()), "{error}");
            return say("closed");
        }
    };
    let clients = (0..CLIENTS).map(|client| tokio::spawn(client_writes(Arc::clone(&store), client, seed)));
    for client in futures::future::join_all(clients).await {
        client.unwrap();
    }
    if !Random::new(seed).one_in(2) {
        return say("left open");
    }
    let store = Arc::try_unwrap(store).map_err(drop).unwrap();
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
    say("closed");
}

async fn head(store: &EmbeddedStore, client: u64) -> u64 {
    let head = store.get(&format!("c/{client}/head")).await.unwrap();
    head.map_or(0, |entry| std::str::from_utf8(&entry.value).unwrap().parse().unwrap())
}

async fn client_writes(store: Arc<EmbeddedStore>, client: u64, seed: u64) {
    let mut last = head(&store, client).await;
    // Numbers that were refused before are not used again.
    let first = (seed % 1_000_000) * TXNS + 1;
    for seq in first..first + TXNS {
        // Said before: a process may end before it can say what it was told.
        say(&format!("begin {client} {seq}"));
        match store.txn(transaction(client, seq)).await {
            Ok(TxnResult::Committed(revision)) => {
                last = seq;
                say(&format!("done {client} {seq} {revision}"));
            }
            Ok(TxnResult::Conflict { key }) => panic!("conflict on {key}"),
            Err(error @ (StoreError::Refused(_) | StoreError::Unavailable(_))) => {
                assert!(error.to_string().contains("os error"), "{error}");
                if matches!(error, StoreError::Refused(_)) {
                    say(&format!("refused {client} {seq}"));
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(error) => panic!("{error}"),
        }
        // Readers go on, whatever happened.
        assert_eq!(head(&store, client).await, last);
        let range = store.range(&format!("c/{client}/"), None, 100).await.unwrap();
        assert!(last == 0 || range.entries.len() == keys(client, last).len());
    }
}

/// What a client may find: its last acknowledged transaction, and those after it of which nobody knows.
#[derive(Default)]
struct Expected {
    acknowledged: u64,
    revision: u64,
    unknown: Vec<u64>,
}

#[derive(Default)]
struct Counts {
    done: u64,
    refused: u64,
    unknown: u64,
}

fn run(disk: &Disk, seed: u64, expected: &mut BTreeMap<u64, Expected>, counts: &mut Counts) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, disk.store())
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        assert!(!line.ends_with("panicked"), "seed {seed}: a client saw what must not be (above)");
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(at) = words.iter().position(|word| ["begin", "done", "refused"].contains(word)) else {
            continue;
        };
        let number = |index: usize| words.get(at + index).map_or(0, |word| word.parse().unwrap());
        let (client, seq) = (expected.entry(number(1)).or_default(), number(2));
        match words[at] {
            "begin" => {
                client.unknown.push(seq);
                counts.unknown += 1;
                continue;
            }
            "done" => {
                (client.acknowledged, client.revision) = (seq, number(3));
                client.unknown.clear();
                counts.done += 1;
            }
            _ => {
                client.unknown.retain(|unknown| *unknown != seq);
                counts.refused += 1;
            }
        }
        counts.unknown -= 1;
    }
    child.wait().unwrap();
}

/// Opens what is left, without faults, and compares.
fn check(disk: &Disk, seed: u64, expected: &mut BTreeMap<u64, Expected>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = EmbeddedStore::open_with(disk.store(), options());
        let store = store.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let revision = store.revision().await.unwrap();
        for (client, expected) in expected {
            let range = store.range(&format!("c/{client}/"), None, 100).await.unwrap();
            let found: BTreeMap<_, _> =
                range.entries.iter().map(|e| (e.key.clone(), e.value.to_vec())).collect();
            let head = head(&store, *client).await;
            let (last, unknown) = (expected.acknowledged, &expected.unknown);
            let known = head == last || unknown.contains(&head);
            assert!(
                known,
                "seed {seed}: client {client} at {head}, acknowledged {last}, unknown {unknown:?}"
            );
            let whole = if head == 0 { BTreeMap::new() } else { keys(*client, head) };
            assert!(found == whole, "seed {seed}: transaction {head} of client {client} in part");
            assert!(revision >= expected.revision, "seed {seed}: revision {revision} went back");
            *expected = Expected { acknowledged: head, revision, unknown: Vec::new() };
        }
    });
}

#[test]
fn random_faults_lose_nothing_that_was_acknowledged() {
    let (begun, mut counts) = (Instant::now(), Counts::default());
    let given = std::env::var("WEFT_DISK_SEED").ok().map(|seed| seed.parse().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let stores = if given.is_some() { 1 } else { STORES };
    for store in 0..stores {
        let first = given.unwrap_or((now + store * CHILDREN) % 1_000_000);
        counts = mounted(DISK, move |disk| {
            let mut expected = BTreeMap::new();
            for seed in first..first + CHILDREN {
                run(disk, seed, &mut expected, &mut counts);
                // Every third is followed by the next over what it left.
                if seed % 3 != 2 {
                    check(disk, seed, &mut expected);
                }
            }
            check(disk, first + CHILDREN - 1, &mut expected);
            counts
        });
    }
    let (Counts { done, refused, unknown }, seconds) = (counts, begun.elapsed().as_secs_f32());
    println!(
        "{stores} stores, {CHILDREN} children each: {done} done, {refused} refused, {unknown} unknown; {seconds:.1} s"
    );
    assert!(given.is_some() || (done > 1000 && refused > 100), "hardly anything happened");
}

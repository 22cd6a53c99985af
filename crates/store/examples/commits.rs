//! Durable commits per second of the embedded store, and how long it takes to open a large one.
//!
//! `cargo run --release -p weft-store --example commits -- [DIR [OBJECTS]]`

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_store::{Compare, EmbeddedStore, Op, Store, StoreError, Txn};

/// How long each measurement of commits runs.
const RUN: Duration = Duration::from_secs(4);
/// Bytes of one object: a typical interface with its references.
const OBJECT: usize = 1024;

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    let mut arguments = std::env::args().skip(1);
    let base = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let objects = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(500_000);
    let dir = base.join(format!("weft-store-commits-{}", std::process::id()));
    println!("the disk does {:.0} synchronous writes/s", disk(&dir)?);
    for clients in [1, 32] {
        commits(&dir, clients).await?;
    }
    large(&dir, objects).await
}

/// Writes of 4 KiB, each made durable, per second: what the figures below are to be compared with.
fn disk(dir: &Path) -> Result<f64, StoreError> {
    let fail = |e: std::io::Error| StoreError::Unavailable(e.to_string());
    std::fs::create_dir_all(dir).map_err(fail)?;
    let file = std::fs::File::create(dir.join("raw")).map_err(fail)?;
    let (start, mut writes) = (Instant::now(), 0u64);
    while start.elapsed() < RUN / 2 {
        file.write_all_at(&[7; 4096], writes % 1000 * 4096).and_then(|()| file.sync_data()).map_err(fail)?;
        writes += 1;
    }
    Ok(writes as f64 / start.elapsed().as_secs_f64())
}

/// One object as the api creates it: the object, its name and its id, all of which must be new.
fn create(client: usize, number: u64) -> Txn {
    let id = format!("{client:08x}-0000-4000-8000-{number:012x}");
    let (object, name) =
        (format!("obj/virtual-network/{id}"), format!("fq/virtual-network/default-domain:p:{id}"));
    Txn::new()
        .when(Compare::absent(object.clone()))
        .when(Compare::absent(name.clone()))
        .then(Op::put(object, vec![b'x'; OBJECT]))
        .then(Op::put(name, id.clone()))
        .then(Op::put(format!("id/{id}"), "virtual-network"))
}

async fn commits(dir: &Path, clients: usize) -> Result<(), StoreError> {
    let store = Arc::new(EmbeddedStore::open(dir)?);
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < RUN {
                    let begin = Instant::now();
                    store.txn(create(client, latencies.len() as u64)).await?;
                    latencies.push(begin.elapsed());
                }
                Ok::<_, StoreError>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.map_err(|e| StoreError::Unavailable(e.to_string()))??);
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let percentile = |p: usize| latencies.get(latencies.len() * p / 100).copied().unwrap_or_default();
    println!(
        "  {clients:4} clients: {:8.0} creates/s (3 rows, {OBJECT} B), median {:?}, 99% {:?}",
        latencies.len() as f64 / seconds,
        percentile(50),
        percentile(99)
    );
    drop(store);
    remove(dir)
}

async fn large(dir: &Path, objects: usize) -> Result<(), StoreError> {
    let store = EmbeddedStore::open(dir)?;
    let start = Instant::now();
    let mut number = 0;
    while number < objects as u64 {
        let mut txn = Txn::new();
        for _ in 0..1000 {
            txn.ops.extend(create(0, number).ops);
            number += 1;
        }
        store.txn(txn).await?;
    }
    println!("  {number} objects written in {:.1?}", start.elapsed());
    drop(store);
    let size = std::fs::metadata(dir.join("weft.redb")).map_or(0, |m| m.len());
    println!(
        "  {} bytes on disk for each object of {OBJECT} B with its rows, without the log",
        size / number.max(1)
    );
    let start = Instant::now();
    let store = EmbeddedStore::open(dir)?;
    println!("  opened after a clean end in {:.3?}", start.elapsed());
    let start = Instant::now();
    let (mut after, mut read) = (None::<String>, 0);
    loop {
        let page = store.range("obj/", after.as_deref(), 2048).await?;
        read += page.entries.len();
        after = page.entries.last().map(|e| e.key.clone());
        if !page.more {
            break;
        }
    }
    println!("  {read} objects read in {:.3?}", start.elapsed());
    // What a crash leaves: the file as it is while open.
    store.txn(create(1, 0)).await?;
    let copy = dir.with_extension("crashed");
    copy_files(dir, &copy).map_err(|e| StoreError::Unavailable(e.to_string()))?;
    drop(store);
    let start = Instant::now();
    let store = EmbeddedStore::open(&copy)?;
    println!("  opened after a crash in {:.3?}", start.elapsed());
    drop(store);
    remove(&copy)?;
    remove(dir)
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy_files(&file.path(), &target)?;
        } else {
            std::fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<(), StoreError> {
    std::fs::remove_dir_all(dir).map_err(|e| StoreError::Unavailable(e.to_string()))
}

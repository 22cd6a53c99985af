//! The child: clients that write for ever, and what each of their transactions looks like.
//!
//! Transaction `s` of client `c` writes `w/c/head` = s and the slot `w/c/<s mod SLOTS>/0..n` with values that follow
//! from (c, s, index), deletes what an earlier transaction left in that slot, and moves an amount between two accounts
//! under comparison of their revisions. So the state after any number of whole transactions is known exactly.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use weft_store::{Compare, EmbeddedOptions, EmbeddedStore, Op, Store, Txn, TxnResult};

/// Environment variable that makes this binary a child, and the directory to work on.
pub(crate) const DIRECTORY: &str = "WEFT_STORE_KILL_DIRECTORY";
/// Writers at once.
pub(crate) const CLIENTS: u64 = 8;
/// Transactions of a client that are still visible.
pub(crate) const SLOTS: u64 = 4;
/// Accounts money moves between.
pub(crate) const ACCOUNTS: u64 = 6;
/// What all accounts hold together.
pub(crate) const MONEY: u64 = 6000;

/// Keys that transaction `seq` writes into its slot.
pub(crate) fn width(client: u64, seq: u64) -> u64 {
    match seq % 50 {
        49 => 300,
        _ => 1 + (seq * 7 + client * 3) % 12,
    }
}

/// The value under index `index` of that slot.
pub(crate) fn value(client: u64, seq: u64, index: u64) -> Vec<u8> {
    let size = if seq % 23 == 5 && index == 0 { 150_000 } else { 20 + (seq * 131 + index * 17) % 700 };
    let tag = format!("{client}:{seq}:{index}:");
    tag.bytes().cycle().take(size as usize).collect()
}

pub(crate) fn options() -> EmbeddedOptions {
    EmbeddedOptions { log_revisions: 20_000, log_bytes: 64 << 20, ..EmbeddedOptions::default() }
}

pub(crate) fn run(dir: &Path) {
    // The parent holds the other end: without it there is nothing to do here.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(EmbeddedStore::open_with(dir, options()).unwrap());
        open_accounts(&*store).await;
        let clients = (0..CLIENTS).map(|client| tokio::spawn(write(Arc::clone(&store), client)));
        futures::future::join_all(clients).await;
    });
}

async fn open_accounts(store: &dyn Store) {
    let mut txn = Txn::new().when(Compare::absent("account/0"));
    txn.ops.extend(
        (0..ACCOUNTS).map(|i| Op::put(format!("account/{i}"), (MONEY / ACCOUNTS).to_string().into_bytes())),
    );
    store.txn(txn).await.unwrap();
}

async fn number(store: &dyn Store, key: &str) -> (u64, u64) {
    let entry = store.get(key).await.unwrap();
    entry.map_or((0, 0), |e| (std::str::from_utf8(&e.value).unwrap().parse().unwrap(), e.mod_revision))
}

async fn write(store: Arc<EmbeddedStore>, client: u64) {
    let (mut seq, _) = number(&*store, &format!("w/{client}/head")).await;
    loop {
        seq += 1;
        let revision = loop {
            match store.txn(transaction(&*store, client, seq).await).await.unwrap() {
                TxnResult::Committed(revision) => break revision,
                TxnResult::Conflict { key } => assert!(key.starts_with("account/"), "conflict on {key}"),
            }
        };
        let line = format!("ack {client} {seq} {revision}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush()).unwrap();
    }
}

async fn transaction(store: &dyn Store, client: u64, seq: u64) -> Txn {
    let mut txn = Txn::new().then(Op::put(format!("w/{client}/head"), seq.to_string()));
    let slot = format!("w/{client}/{}", seq % SLOTS);
    let new = width(client, seq);
    txn.ops.extend((0..new).map(|i| Op::put(format!("{slot}/{i:03}"), value(client, seq, i))));
    let old = seq.checked_sub(SLOTS).filter(|old| *old > 0).map_or(0, |old| width(client, old));
    txn.ops.extend((new..old).map(|i| Op::delete(format!("{slot}/{i:03}"))));

    let (from, to) = (seq % ACCOUNTS, (seq + 1 + client % (ACCOUNTS - 1)) % ACCOUNTS);
    let (from, to) = (format!("account/{from}"), format!("account/{to}"));
    let ((rich, rich_revision), (poor, poor_revision)) =
        (number(store, &from).await, number(store, &to).await);
    let amount = rich / 3;
    if from != to && amount > 0 {
        txn.compare = vec![Compare::unchanged(&from, rich_revision), Compare::unchanged(&to, poor_revision)];
        txn.ops.push(Op::put(from, (rich - amount).to_string()));
        txn.ops.push(Op::put(to, (poor + amount).to_string()));
    }
    txn
}

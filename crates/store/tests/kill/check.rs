//! What must be in the store after a kill, given what was acknowledged before.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use weft_store::{EmbeddedStore, Entry, EventKind, Revision, Store, StoreError};

use crate::child::{CLIENTS, MONEY, SLOTS, options, value, width};

/// Acknowledgements so far, and what the store held when last looked at.
#[derive(Default)]
pub(crate) struct Expected {
    /// Per client: its last acknowledged transaction.
    last: HashMap<u64, u64>,
    /// The revision of each acknowledged transaction that can still be visible.
    revisions: HashMap<(u64, u64), Revision>,
    newest: Revision,
    count: u64,
    /// The contents at `mirrored`, which the change log must lead on from.
    mirror: BTreeMap<String, (Revision, Bytes)>,
    mirrored: Revision,
}

impl Expected {
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Notes a line of the child; other lines are the test harness's.
    pub(crate) fn acknowledged(&mut self, line: &str) {
        let Some(at) = line.find("ack ") else { return };
        let numbers: Vec<u64> = line[at + 4..].split_whitespace().map(|n| n.parse().unwrap()).collect();
        let [client, seq, revision] = numbers[..] else { panic!("bad line {line:?}") };
        let before = self.last.insert(client, seq);
        // One acknowledgement may be lost with the process, after the transaction was made durable.
        assert!(before.is_none_or(|before| seq > before), "client {client} went back to {seq}");
        let earlier = before.and_then(|before| self.revisions.get(&(client, before)));
        assert!(earlier.is_none_or(|earlier| revision > *earlier), "revisions went back: {line}");
        self.revisions.insert((client, seq), revision);
        self.revisions.remove(&(client, seq.saturating_sub(2 * SLOTS)));
        self.newest = self.newest.max(revision);
        self.count += 1;
    }

    /// Opens the store in `dir` and compares.
    pub(crate) fn check(&mut self, dir: &Path) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = EmbeddedStore::open_with(dir, options()).unwrap();
            let (entries, revision) = read_all(&store).await;
            assert!(revision >= self.newest, "revision {revision} after {} was acknowledged", self.newest);
            assert!(entries.values().all(|e| e.mod_revision <= revision));
            for client in 0..CLIENTS {
                self.check_client(client, &entries);
            }
            check_money(&entries);
            self.check_log(&store, entries, revision).await;
        });
    }

    fn check_client(&self, client: u64, entries: &BTreeMap<String, Entry>) {
        let acknowledged = self.last.get(&client).copied().unwrap_or(0);
        let head = entries.get(&format!("w/{client}/head")).map_or(0, |e| number(&e.value));
        assert!(head >= acknowledged, "client {client}: {acknowledged} acknowledged, {head} found");
        for slot in 0..SLOTS {
            let prefix = format!("w/{client}/{slot}/");
            let found: Vec<&Entry> = entries.values().filter(|e| e.key.starts_with(&prefix)).collect();
            let Some(seq) = (1..=head).rev().take(SLOTS as usize).find(|seq| seq % SLOTS == slot) else {
                assert!(found.is_empty(), "{prefix} of no transaction");
                continue;
            };
            assert_eq!(found.len() as u64, width(client, seq), "transaction {client}:{seq} in part");
            for (index, entry) in found.iter().enumerate() {
                assert_eq!(entry.key, format!("{prefix}{index:03}"));
                assert!(entry.value == value(client, seq, index as u64), "{} half-written", entry.key);
                assert_eq!(entry.mod_revision, found[0].mod_revision);
                let acknowledged = self.revisions.get(&(client, seq));
                assert!(
                    acknowledged.is_none_or(|r| *r == entry.mod_revision),
                    "{} at another revision",
                    entry.key
                );
            }
        }
    }

    /// The change log leads from the last contents seen to these.
    async fn check_log(
        &mut self,
        store: &EmbeddedStore,
        entries: BTreeMap<String, Entry>,
        revision: Revision,
    ) {
        let now: BTreeMap<_, _> = entries.into_iter().map(|(k, e)| (k, (e.mod_revision, e.value))).collect();
        let watch = store.watch("", self.mirrored).await;
        if let Err(StoreError::Compacted { .. }) = watch {
            assert!(revision - self.mirrored > 1000, "compacted too early");
        } else {
            let mut watch = watch.unwrap();
            while self.mirrored < revision {
                let batch = watch.next().await.unwrap().unwrap();
                assert_eq!(batch.revision, self.mirrored + 1, "a gap in the log");
                self.mirrored = batch.revision;
                for event in batch.events {
                    match event.kind {
                        EventKind::Put(value) => drop(self.mirror.insert(event.key, (batch.revision, value))),
                        EventKind::Delete { .. } => drop(self.mirror.remove(&event.key)),
                    }
                }
            }
            assert!(self.mirror == now, "log and contents differ");
        }
        (self.mirror, self.mirrored) = (now, revision);
    }
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

fn check_money(entries: &BTreeMap<String, Entry>) {
    let accounts: Vec<u64> =
        entries.values().filter(|e| e.key.starts_with("account/")).map(|e| number(&e.value)).collect();
    assert!(accounts.is_empty() || accounts.iter().sum::<u64>() == MONEY, "money lost or made: {accounts:?}");
}

async fn read_all(store: &dyn Store) -> (BTreeMap<String, Entry>, Revision) {
    let (mut entries, mut after) = (BTreeMap::new(), None::<String>);
    loop {
        let page = store.range("", after.as_deref(), 5000).await.unwrap();
        after = page.entries.last().map(|e| e.key.clone());
        entries.extend(page.entries.into_iter().map(|e| (e.key.clone(), e)));
        if !page.more {
            return (entries, page.revision);
        }
    }
}

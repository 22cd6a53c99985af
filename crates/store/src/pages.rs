//! The configuration in pieces: for readers that keep less of an object than an [`weft_model::Object`] takes.
//!
//! [`crate::config::follow`] hands out all objects at once, which for a large installation is a gigabyte for a moment.
//! Here they come page by page. Pages are of different revisions when others write meanwhile; the changes since the
//! first page come before the end, so that what was put and deleted until [`Piece::End`] is the state at its revision.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use weft_model::Change;

use crate::{Revision, Store, StoreError, config, layout};

/// Objects per page.
const PAGE: usize = 512;
/// Pause after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// What [`follow`] yields: `Begin`, some `Part`s, `End`, then `Changes` until the next `Begin`.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Everything comes anew. What was known before and does not come again until the end is gone.
    Begin,
    /// Objects, and changes since the beginning.
    Part(Vec<Change>),
    /// That was everything as of this revision.
    End(Revision),
    /// What one transaction changed. May be empty: then only the revision moved.
    Changes {
        /// The revision of the transaction.
        revision: Revision,
        /// In the order of the transaction.
        changes: Vec<Change>,
    },
}

/// Where a follower is.
enum Phase {
    Begin,
    Pages {
        after: Option<String>,
        first: Option<Revision>,
    },
    /// Changes since the first page, up to the revision of the last.
    Replay {
        tail: config::ChangeStream,
        last: Revision,
    },
    /// Everything is told; the end is not.
    End {
        tail: config::ChangeStream,
        revision: Revision,
    },
    Tail(config::ChangeStream),
}

/// Everything, then every change, without an end: after any error everything comes again.
pub fn follow(store: Arc<dyn Store>) -> Pin<Box<dyn Stream<Item = Piece> + Send>> {
    Box::pin(futures::stream::unfold((store, Phase::Begin), |(store, mut phase)| async move {
        loop {
            match step(&store, phase).await {
                Ok((Some(piece), next)) => return Some((piece, (store, next))),
                Ok((None, next)) => phase = next,
                Err(error) => {
                    tracing::warn!(%error, "configuration cannot be followed, reading anew");
                    if !error.must_resync() {
                        tokio::time::sleep(RETRY).await;
                    }
                    phase = Phase::Begin;
                }
            }
        }
    }))
}

async fn step(store: &Arc<dyn Store>, phase: Phase) -> Result<(Option<Piece>, Phase), StoreError> {
    match phase {
        Phase::Begin => Ok((Some(Piece::Begin), Phase::Pages { after: None, first: None })),
        Phase::Pages { after, first } => {
            let page = store.range(layout::OBJECTS, after.as_deref(), PAGE).await?;
            let first = first.unwrap_or(page.revision);
            let after = page.entries.last().map(|entry| entry.key.clone()).or(after);
            let objects =
                page.entries.iter().filter_map(|entry| config::decode_logged(&entry.key, &entry.value));
            let part = Piece::Part(objects.map(Change::Put).collect());
            if page.more {
                return Ok((Some(part), Phase::Pages { after, first: Some(first) }));
            }
            let tail = config::changes(Arc::clone(store), first);
            let next = if page.revision > first {
                Phase::Replay { tail, last: page.revision }
            } else {
                Phase::End { tail, revision: first }
            };
            Ok((Some(part), next))
        }
        Phase::Replay { mut tail, last } => {
            let (revision, changes) = next(&mut tail).await?;
            if revision < last {
                return Ok((Some(Piece::Part(changes)), Phase::Replay { tail, last }));
            }
            Ok((Some(Piece::Part(changes)), Phase::End { tail, revision }))
        }
        Phase::End { tail, revision } => Ok((Some(Piece::End(revision)), Phase::Tail(tail))),
        Phase::Tail(mut tail) => {
            let (revision, changes) = next(&mut tail).await?;
            Ok((Some(Piece::Changes { revision, changes }), Phase::Tail(tail)))
        }
    }
}

async fn next(tail: &mut config::ChangeStream) -> Result<(Revision, Vec<Change>), StoreError> {
    tail.next().await.unwrap_or_else(|| Err(StoreError::Unavailable("the watch ended".into())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;
    use weft_model::{FqName, Object, ObjectType};

    use super::*;
    use crate::{EmbeddedStore, Txn};

    async fn put(store: &dyn Store, number: u128, name: &str) {
        let mut object =
            Object::new(ObjectType::VirtualMachine, Uuid::from_u128(number), FqName::new(["vm"]));
        object.props.insert("display_name".into(), name.into());
        let ops = layout::put_ops(&object, Some(&object)).unwrap();
        store.txn(ops.into_iter().fold(Txn::new(), Txn::then)).await.unwrap();
    }

    /// Follows until the end of a snapshot or the next changes; what is known then, and the revision.
    async fn until_told(
        follower: &mut (impl Stream<Item = Piece> + Unpin),
        known: &mut BTreeMap<Uuid, String>,
    ) -> Revision {
        loop {
            let (changes, told) = match follower.next().await.unwrap() {
                Piece::Begin => {
                    known.clear();
                    continue;
                }
                Piece::Part(changes) => (changes, None),
                Piece::End(revision) => (Vec::new(), Some(revision)),
                Piece::Changes { revision, changes } => (changes, Some(revision)),
            };
            for change in changes {
                match change {
                    Change::Put(object) => {
                        let name = object.props["display_name"].as_str().unwrap();
                        known.insert(object.uuid, name.to_owned());
                    }
                    Change::Delete { uuid, .. } => {
                        known.remove(&uuid);
                    }
                }
            }
            if let Some(revision) = told {
                return revision;
            }
        }
    }

    #[tokio::test]
    async fn the_end_is_a_state_of_the_store_whoever_writes_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
        let mut truth = BTreeMap::new();
        for number in 0..PAGE as u128 * 2 {
            put(&*store, number, "old").await;
            truth.insert(Uuid::from_u128(number), "old".to_owned());
        }
        let mut follower = follow(Arc::clone(&store));
        let mut known = BTreeMap::new();
        // Begin and the first page; then writes to what was read and to what was not.
        assert!(matches!(follower.next().await, Some(Piece::Begin)));
        let Some(Piece::Part(first)) = follower.next().await else { panic!("no page") };
        assert_eq!(first.len(), PAGE);
        for change in first {
            let Change::Put(object) = change else { panic!("a page holds objects") };
            known.insert(object.uuid, "old".to_owned());
        }
        for number in [1, 700, 5000] {
            put(&*store, number, "new").await;
            truth.insert(Uuid::from_u128(number), "new".to_owned());
        }
        let key = layout::object_key(ObjectType::VirtualMachine, Uuid::from_u128(2));
        store.txn(Txn::new().then(crate::Op::delete(key))).await.unwrap();
        truth.remove(&Uuid::from_u128(2));
        let revision = until_told(&mut follower, &mut known).await;
        assert_eq!(revision, store.revision().await.unwrap());
        assert_eq!(known, truth);
        put(&*store, 3, "later").await;
        truth.insert(Uuid::from_u128(3), "later".to_owned());
        assert_eq!(until_told(&mut follower, &mut known).await, store.revision().await.unwrap());
        assert_eq!(known, truth);
    }
}

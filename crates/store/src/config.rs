//! The configuration as its readers want it: all objects at one revision, then every change after it.
//!
//! Works over any [`Store`]. An object that does not decode (written by a newer version, say) is left out with an
//! error in the log; it does not keep the others from being read.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use uuid::Uuid;
use weft_model::{Change, Object, ObjectType};

use crate::{EventKind, Revision, Store, StoreError, WatchBatch, WatchStream, layout};

/// Entries read per page of a snapshot.
const PAGE: usize = 2048;
/// How often a snapshot is begun anew because changes since its first page were compacted meanwhile.
const SNAPSHOT_ATTEMPTS: usize = 8;
/// How long [`follow`] waits after a failure before it tries again.
const RETRY: Duration = Duration::from_millis(500);

/// A stream of the changes of each transaction; see [`changes`].
pub type ChangeStream = Pin<Box<dyn Stream<Item = Result<(Revision, Vec<Change>), StoreError>> + Send>>;

/// What [`follow`] yields.
#[derive(Clone, Debug)]
pub enum Update {
    /// Forget what you know; this is everything.
    Snapshot {
        /// The revision it was taken at.
        revision: Revision,
        /// All objects, by type, then uuid.
        objects: Vec<Arc<Object>>,
    },
    /// What one transaction changed. May be empty: then only the revision moved.
    Changes {
        /// The revision of the transaction.
        revision: Revision,
        /// In the order of the transaction.
        changes: Vec<Change>,
    },
}

/// All objects as of one revision, ordered by type, then uuid.
///
/// # Errors
/// Those of [`Store::range`] and [`Store::watch`].
pub async fn snapshot(store: &dyn Store) -> Result<(Vec<Arc<Object>>, Revision), StoreError> {
    let mut attempt = 1;
    loop {
        match try_snapshot(store).await {
            Err(e) if e.must_resync() && attempt < SNAPSHOT_ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

/// Reads page by page, then replays what was committed between the first page and the last.
async fn try_snapshot(store: &dyn Store) -> Result<(Vec<Arc<Object>>, Revision), StoreError> {
    let mut objects: BTreeMap<(ObjectType, Uuid), Arc<Object>> = BTreeMap::new();
    let mut after: Option<String> = None;
    let mut first = None;
    let revision = loop {
        let page = store.range(layout::OBJECTS, after.as_deref(), PAGE).await?;
        first.get_or_insert(page.revision);
        for entry in &page.entries {
            if let Some(object) = decode_logged(&entry.key, &entry.value) {
                objects.insert((object.object_type, object.uuid), object);
            }
        }
        after = page.entries.last().map(|entry| entry.key.clone()).or(after);
        if !page.more {
            break page.revision;
        }
    };
    let first = first.unwrap_or(revision);
    if first < revision {
        replay(store, first, revision, &mut objects).await?;
    }
    Ok((objects.into_values().collect(), revision))
}

async fn replay(
    store: &dyn Store,
    first: Revision,
    last: Revision,
    objects: &mut BTreeMap<(ObjectType, Uuid), Arc<Object>>,
) -> Result<(), StoreError> {
    let mut watch = store.watch(layout::OBJECTS, first).await?;
    while let Some(batch) = watch.next().await {
        let batch = batch?;
        if batch.revision <= last {
            for change in batch_changes(&batch) {
                match change {
                    Change::Put(object) => {
                        objects.insert((object.object_type, object.uuid), object);
                    }
                    Change::Delete { object_type, uuid, .. } => {
                        objects.remove(&(object_type, uuid));
                    }
                }
            }
        }
        if batch.revision >= last {
            return Ok(());
        }
    }
    Err(StoreError::Unavailable("the watch ended".into()))
}

/// The changes after revision `from`, one item per transaction that changed objects; an item without changes says
/// that nothing else changed up to its revision. Ends with the first error (see [`Store::watch`]).
pub fn changes(store: Arc<dyn Store>, from: Revision) -> ChangeStream {
    let watch = async move {
        match store.watch(layout::OBJECTS, from).await {
            Ok(stream) => stream,
            Err(e) => Box::pin(futures::stream::once(async { Err(e) })) as WatchStream,
        }
    };
    let batches = futures::stream::once(watch).flatten();
    Box::pin(batches.map(|batch| batch.map(|batch| (batch.revision, batch_changes(&batch)))))
}

/// Snapshot and changes without an end: after any error everything is read again, and a new snapshot follows.
pub fn follow(store: Arc<dyn Store>) -> Pin<Box<dyn Stream<Item = Update> + Send>> {
    Box::pin(futures::stream::unfold((store, None::<ChangeStream>), |(store, mut tail)| async move {
        loop {
            if let Some(stream) = tail.as_mut() {
                match stream.next().await {
                    Some(Ok((revision, changes))) => {
                        return Some((Update::Changes { revision, changes }, (store, tail)));
                    }
                    Some(Err(error)) => tracing::warn!(%error, "configuration watch failed, reading anew"),
                    None => tracing::warn!("configuration watch ended, reading anew"),
                }
                tail = None;
            }
            match snapshot(store.as_ref()).await {
                Ok((objects, revision)) => {
                    let stream = changes(Arc::clone(&store), revision);
                    return Some((Update::Snapshot { revision, objects }, (store, Some(stream))));
                }
                Err(error) => tracing::warn!(%error, "configuration cannot be read, trying again"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }))
}

fn batch_changes(batch: &WatchBatch) -> Vec<Change> {
    let mut changes = Vec::with_capacity(batch.events.len());
    for event in &batch.events {
        match &event.kind {
            EventKind::Put(value) => changes.extend(decode_logged(&event.key, value).map(Change::Put)),
            EventKind::Delete { previous } => {
                changes.extend(decode_logged(&event.key, previous).map(|object| Change::Delete {
                    object_type: object.object_type,
                    uuid: object.uuid,
                    fq_name: object.fq_name.clone(),
                }))
            }
        }
    }
    changes
}

pub(crate) fn decode_logged(key: &str, value: &[u8]) -> Option<Arc<Object>> {
    match layout::decode(value) {
        Ok(object) => Some(Arc::new(object)),
        Err(error) => {
            tracing::error!(key, %error, "stored object left out");
            None
        }
    }
}

//! The fan-out of one store watch: recent changes in memory, each decoded once and rendered once per distinct view.

use super::Views;
use crate::render::{self, View};
use crate::{ApiError, ApiState};
use bytes::Bytes;
use futures::StreamExt;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, watch};
use uuid::Uuid;
use weft_model::{Object, ObjectType};
use weft_store::{EventKind, Revision, Store, StoreError, WatchBatch, layout};

/// Transactions kept in memory for clients that keep up, at most; slower ones read the store's log.
const MAX_STEPS: usize = 4096;
/// Bytes of stored and rendered objects kept in memory, at most (one transaction may exceed it alone).
const MAX_BYTES: usize = 8 << 20;
/// Distinct views of one change that are kept; further ones are rendered for each client.
const MAX_VIEWS: usize = 8;
/// Transactions handed to a client at a time.
const STEPS_AT_ONCE: usize = 64;
/// Wait after a failure of the store.
const RETRY: Duration = Duration::from_millis(200);

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Update,
    Delete,
}

impl Kind {
    /// The event's name on the wire.
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// What clients with one view are sent; rendered by the first of them.
type Shown = (Arc<View>, Arc<OnceCell<Bytes>>);

/// A change of one object, shared by all clients.
pub(super) struct Event {
    pub(super) kind: Kind,
    pub(super) object_type: ObjectType,
    pub(super) uuid: Uuid,
    /// The stored form: as it is now, or as it was last.
    value: Bytes,
    object: OnceLock<Option<Arc<Object>>>,
    shown: Mutex<Vec<Shown>>,
}

impl Event {
    /// The object; for a deletion as it was last. `None` if it does not decode (the store's readers leave it out too).
    pub(super) fn object(&self) -> Option<&Arc<Object>> {
        let decode = || match layout::decode(&self.value) {
            Ok(object) => Some(Arc::new(object)),
            Err(error) => {
                tracing::error!(object_type = %self.object_type, uuid = %self.uuid, %error, "change left out");
                None
            }
        };
        self.object.get_or_init(decode).as_ref()
    }

    /// The lines `event:` and `data:` for a client with this view.
    pub(super) async fn rendered(
        &self,
        state: &ApiState,
        view: &Arc<View>,
        revision: Revision,
    ) -> Result<Bytes, ApiError> {
        let kind = self.kind;
        let Some(cell) = self.cell(view) else { return self.render(state, kind, view, revision).await };
        let bytes = cell
            .get_or_try_init(|| async {
                let bytes = self.render(state, kind, view, revision).await?;
                state.hub().shared.rendered.fetch_add(bytes.len(), Ordering::Relaxed);
                Ok::<_, ApiError>(bytes)
            })
            .await?;
        Ok(bytes.clone())
    }

    fn cell(&self, view: &Arc<View>) -> Option<Arc<OnceCell<Bytes>>> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = shown.iter().find(|(v, _)| Arc::ptr_eq(v, view) || v == view) {
            return Some(Arc::clone(cell));
        }
        if shown.len() >= MAX_VIEWS {
            return None;
        }
        let cell = Arc::new(OnceCell::new());
        shown.push((Arc::clone(view), Arc::clone(&cell)));
        Some(cell)
    }

    /// The same for one client alone, to whom something else may have happened: what it may see has changed.
    pub(super) async fn render(
        &self,
        state: &ApiState,
        kind: Kind,
        view: &View,
        revision: Revision,
    ) -> Result<Bytes, ApiError> {
        let mut out = format!("event: {}\ndata: ", kind.name()).into_bytes();
        if let Some(object) = self.object() {
            if kind == Kind::Delete {
                render::gone(object, &mut out);
            } else {
                // References the compiler adds must be those of this change, not of an earlier one.
                if render::has_derived_refs(object.object_type) {
                    state.derived().wait(revision).await?;
                }
                view.wrapped(state, object, &mut out).await?;
            }
        }
        out.push(b'\n');
        Ok(Bytes::from(out))
    }

    fn size(&self) -> usize {
        let rendered = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        rendered.iter().filter_map(|(_, cell)| cell.get()).map(Bytes::len).sum()
    }
}

/// The changes of one transaction.
pub(super) struct Step {
    pub(super) revision: Revision,
    pub(super) events: Vec<Event>,
}

impl Step {
    /// The objects a transaction changed; `None` if there are none.
    pub(super) fn read(batch: &WatchBatch) -> Option<Self> {
        // The row of a new identity is written when the object is, and never again.
        let puts = batch.events.iter().filter(|event| matches!(event.kind, EventKind::Put(_)));
        let written: HashSet<&str> = puts.map(|event| event.key.as_str()).collect();
        let events = batch.events.iter().filter_map(|event| {
            let (object_type, uuid) = layout::parse_object_key(&event.key)?;
            let new = written.contains(layout::id_key(uuid).as_str());
            let (kind, value) = match &event.kind {
                EventKind::Put(value) if new => (Kind::Create, value),
                EventKind::Put(value) => (Kind::Update, value),
                EventKind::Delete { previous } => (Kind::Delete, previous),
            };
            let (object, shown) = (OnceLock::new(), Mutex::default());
            Some(Event { kind, object_type, uuid, value: value.clone(), object, shown })
        });
        let events: Vec<Event> = events.collect();
        (!events.is_empty()).then_some(Self { revision: batch.revision, events })
    }

    fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.value.len()).sum()
    }

    /// Whether a client with these views is told anything.
    pub(super) fn concerns(&self, views: &Views) -> bool {
        self.events.iter().any(|event| views.contains_key(&event.object_type))
    }
}

/// What a client at some position gets.
pub(super) enum Next {
    /// The changes that follow; the revision up to which there is nothing else.
    Steps(Vec<Arc<Step>>, Revision),
    /// It is behind what is in memory.
    Behind,
}

#[derive(Default)]
struct Ring {
    steps: VecDeque<Arc<Step>>,
    /// Stored bytes of all steps.
    bytes: usize,
    /// Everything after this revision is here.
    from: Revision,
    /// Up to this revision.
    upto: Revision,
}

struct Shared {
    ring: Mutex<Ring>,
    /// Bytes rendered and kept.
    rendered: AtomicUsize,
    newest: watch::Sender<Revision>,
}

/// The hub. Its task starts with the first client and ends with the hub.
pub(crate) struct Hub {
    shared: Arc<Shared>,
    task: OnceCell<tokio::task::JoinHandle<()>>,
}

impl Default for Hub {
    fn default() -> Self {
        let shared =
            Shared { ring: Mutex::default(), rendered: AtomicUsize::new(0), newest: watch::channel(0).0 };
        Self { shared: Arc::new(shared), task: OnceCell::new() }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Hub {
    /// Makes sure the hub follows the store; from here on a client finds the changes after the store's revision.
    pub(super) async fn start(&self, store: &Arc<dyn Store>) -> Result<(), ApiError> {
        let start = || async {
            let revision = store.revision().await?;
            self.shared.restart(revision);
            let (shared, store) = (Arc::clone(&self.shared), Arc::clone(store));
            Ok::<_, ApiError>(tokio::spawn(follow(shared, store)))
        };
        self.task.get_or_try_init(start).await?;
        Ok(())
    }

    /// A handle that resolves when there is something new.
    pub(super) fn newest(&self) -> watch::Receiver<Revision> {
        self.shared.newest.subscribe()
    }

    /// What follows revision `position`.
    pub(super) fn after(&self, position: Revision) -> Next {
        let ring = self.shared.ring();
        if position < ring.from {
            return Next::Behind;
        }
        let start = ring.steps.partition_point(|step| step.revision <= position);
        let steps: Vec<Arc<Step>> = ring.steps.range(start..).take(STEPS_AT_ONCE).cloned().collect();
        let all = start + steps.len() == ring.steps.len();
        let upto = if all { ring.upto } else { steps.last().map_or(position, |step| step.revision) };
        Next::Steps(steps, upto.max(position))
    }

    /// Bytes held for clients that keep up.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let ring = self.shared.ring();
        ring.steps.iter().map(|step| step.bytes() + step.events.iter().map(Event::size).sum::<usize>()).sum()
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restart(&self, revision: Revision) {
        *self.ring() = Ring { from: revision, upto: revision, ..Ring::default() };
        self.rendered.store(0, Ordering::Relaxed);
        self.newest.send_replace(revision);
    }

    fn push(&self, batch: &WatchBatch) {
        let mut ring = self.ring();
        if let Some(step) = Step::read(batch) {
            ring.bytes += step.bytes();
            ring.steps.push_back(Arc::new(step));
        }
        ring.upto = batch.revision;
        while ring.steps.len() > 1
            && (ring.steps.len() > MAX_STEPS
                || ring.bytes + self.rendered.load(Ordering::Relaxed) > MAX_BYTES)
        {
            let Some(old) = ring.steps.pop_front() else { break };
            ring.from = old.revision;
            ring.bytes -= old.bytes();
            let rendered = old.events.iter().map(Event::size).sum::<usize>();
            // A client may be rendering one of these just now: the count may end up too low by that, never below zero.
            let subtract = |n: usize| Some(n.saturating_sub(rendered));
            let _ = self.rendered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
        }
        drop(ring);
        self.newest.send_replace(batch.revision);
    }
}

/// Follows the store for ever.
async fn follow(shared: Arc<Shared>, store: Arc<dyn Store>) {
    loop {
        let upto = shared.ring().upto;
        // Everything: the rows beside an object's say whether it is new.
        let error = match store.watch("", upto).await {
            Ok(mut changes) => loop {
                match changes.next().await {
                    Some(Ok(batch)) => shared.push(&batch),
                    Some(Err(error)) => break error,
                    None => break StoreError::Unavailable("the watch ended".into()),
                }
            },
            Err(error) => error,
        };
        tracing::warn!(%error, "watch of the store failed, watching anew");
        if error.must_resync()
            && let Ok(revision) = store.revision().await
        {
            // Clients find themselves behind and read the log, or everything.
            shared.restart(revision);
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(revision: Revision) -> WatchBatch {
        let uuid = Uuid::from_u128(u128::from(revision / 2));
        let mut object =
            Object::new(ObjectType::VirtualMachine, uuid, weft_model::FqName::new([uuid.to_string()]));
        object.props.insert("display_name".into(), "x".repeat(1000).into());
        let ops = layout::put_ops(&object, (revision % 2 == 1).then_some(&object)).unwrap();
        let events = ops.iter().map(|op| weft_store::Event {
            key: op.key().to_owned(),
            kind: EventKind::Put(op.value().cloned().unwrap_or_default()),
        });
        WatchBatch { revision, events: events.collect() }
    }

    #[test]
    fn memory_is_bounded_and_who_falls_out_of_it_is_told_so() {
        let hub = Hub::default();
        for revision in 1..=20_000 {
            hub.shared.push(&batch(revision));
            if revision % 7 == 0 {
                // As if rendered for a client.
                let ring = hub.shared.ring();
                let event = &ring.steps.back().unwrap().events[0];
                let cell = event.cell(&Arc::new(View::default())).unwrap();
                cell.set(Bytes::from(vec![0; 2000])).unwrap();
                hub.shared.rendered.fetch_add(2000, Ordering::Relaxed);
            }
        }
        assert!(hub.held() <= MAX_BYTES, "{}", hub.held());
        assert!(hub.shared.ring().steps.len() > 1000);
        assert!(matches!(hub.after(1), Next::Behind));
        let Next::Steps(steps, upto) = hub.after(19_990) else { panic!("behind") };
        assert_eq!((steps.len(), upto), (10, 20_000));
        let kinds: Vec<Kind> = steps.iter().map(|step| step.events[0].kind).collect();
        assert_eq!(kinds, [Kind::Update, Kind::Create].repeat(5));
        let Next::Steps(steps, upto) = hub.after(19_000) else { panic!("behind") };
        assert_eq!((steps.len(), upto), (STEPS_AT_ONCE, 19_000 + STEPS_AT_ONCE as u64));
    }
}

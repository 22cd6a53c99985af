//! `GET /watch?resource_type=a,b&<a>_fields=..`: server-sent events. First one `init` event per type with all its objects,
//! then `CREATE`, `UPDATE` and `DELETE` as they happen. A watcher that falls behind is cut off and connects anew.

use crate::http::{Base, Query};
use crate::render::View;
use crate::{ApiError, ApiState};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;
use weft_model::{Change, Object, ObjectType};
use weft_store::{Revision, config};

/// Time between keepalives.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Events waiting for a slow client; the store keeps what comes after.
const QUEUE: usize = 256;
/// Bytes of events waiting for a slow client; one event may be longer.
const QUEUE_BYTES: u32 = 1 << 20;
/// How long a client may leave the queue full; its place is for others then.
const PATIENCE: Duration = Duration::from_secs(30);

struct Watcher {
    state: ApiState,
    views: BTreeMap<ObjectType, View>,
    known: BTreeSet<Uuid>,
    out: mpsc::Sender<(Event, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

/// The stream of events.
pub(crate) async fn watch(
    State(state): State<ApiState>,
    base: Base,
    query: Query,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let views = views(&base, &query)?;
    let place = state.watcher()?;
    let (out, events) = mpsc::channel(QUEUE);
    let (objects, revision) = config::snapshot(state.store().as_ref()).await?;
    let room = Arc::new(Semaphore::new(QUEUE_BYTES as usize));
    let watcher = Watcher { state, views, known: BTreeSet::new(), out, room, _place: place };
    tokio::spawn(watcher.run(objects, revision));
    let events = tokio_stream::wrappers::ReceiverStream::new(events).map(|(event, _room)| Ok(event));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEPALIVE).text("")))
}

fn views(base: &Base, query: &Query) -> Result<BTreeMap<ObjectType, View>, ApiError> {
    let names =
        query.list("resource_type").ok_or_else(|| ApiError::bad_request("resource_type is missing"))?;
    let mut views = BTreeMap::new();
    for name in names {
        let object_type: ObjectType =
            name.parse().map_err(|e: weft_model::ModelError| ApiError::bad_request(e.to_string()))?;
        if object_type.info().derived {
            let message = format!(
                "{object_type} objects are derived and can not be watched, watch what they are made of"
            );
            return Err(ApiError::bad_request(message));
        }
        let fields = query.list(&format!("{name}_fields"));
        let fields = fields.or_else(|| query.list(&format!("{}_fields", object_type.json_name())));
        let fields = fields.map(|list| list.into_iter().collect());
        views.insert(object_type, View { base: base.0.clone(), hrefs: true, fields, ..View::default() });
    }
    Ok(views)
}

impl Watcher {
    /// Ends when the client is gone or the store cuts the watch.
    async fn run(mut self, objects: Vec<Arc<Object>>, revision: Revision) {
        if self.initial(objects, revision).await.is_none() {
            return;
        }
        let mut changes = config::changes(Arc::clone(self.state.store()), revision);
        loop {
            let next = tokio::select! {
                next = changes.next() => next,
                () = self.out.closed() => return,
            };
            let Some(Ok((revision, changes))) = next else { return };
            for change in changes {
                if self.change(change, revision).await.is_none() {
                    return;
                }
            }
        }
    }

    async fn initial(&mut self, objects: Vec<Arc<Object>>, revision: Revision) -> Option<()> {
        let types: Vec<ObjectType> = self.views.keys().copied().collect();
        for object_type in types {
            let mut items = Vec::new();
            for object in objects.iter().filter(|o| o.object_type == object_type) {
                self.known.insert(object.uuid);
                items.push(self.shown(object).await?);
            }
            self.send("init", revision, &json!({"type": object_type.name(), "objects": items})).await?;
        }
        Some(())
    }

    async fn shown(&self, object: &Object) -> Option<Value> {
        let view = self.views.get(&object.object_type)?;
        let inner = view.object(&self.state, object).await.ok()?;
        Some(json!({object.object_type.name(): inner}))
    }

    async fn change(&mut self, change: Change, revision: Revision) -> Option<()> {
        match change {
            Change::Put(object) if self.views.contains_key(&object.object_type) => {
                let name = if self.known.insert(object.uuid) { "CREATE" } else { "UPDATE" };
                let shown = self.shown(&object).await?;
                self.send(name, revision, &shown).await
            }
            Change::Delete { object_type, uuid, fq_name } if self.views.contains_key(&object_type) => {
                self.known.remove(&uuid);
                let gone = json!({object_type.name(): {"uuid": uuid, "fq_name": fq_name}});
                self.send("DELETE", revision, &gone).await
            }
            _ => Some(()),
        }
    }

    /// Waits for room in the queue, but not for long.
    async fn send(&self, name: &str, revision: Revision, data: &Value) -> Option<()> {
        let data = data.to_string();
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX).min(QUEUE_BYTES);
        let event = Event::default().event(name).id(revision.to_string()).data(data);
        let sending = async {
            let room = Arc::clone(&self.room).acquire_many_owned(size).await.ok()?;
            self.out.send((event, room)).await.ok()
        };
        tokio::time::timeout(PATIENCE, sending).await.ok()?
    }
}

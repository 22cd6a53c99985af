//! One client of a watch: where it is, and what it is sent next.

use super::Views;
use super::hub::{Next, Step};
use super::sight::Watcher;
use super::snapshot::{Progress, Snapshot};
use super::standing::Standing;
use crate::authz::Caller;
use crate::identity::Shown;
use crate::{ApiError, ApiState};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, watch};
use weft_model::Object;
use weft_store::{Revision, WatchStream};

/// Time between keepalives.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Bytes handed to the connection at a time, about.
const CHUNK: usize = 32 << 10;

/// What the client is being told.
enum Phase {
    /// That it has to forget everything, and why; then everything.
    Resync(&'static str),
    /// Everything there is.
    Snapshot(Box<Snapshot>),
    /// Changes from the store's log: it is behind what the hub has in memory.
    Log(WatchStream),
    /// Changes from the hub.
    Live,
    /// Nothing more.
    Over,
}

/// One client.
pub(super) struct Client {
    state: ApiState,
    watcher: Watcher,
    standing: Standing,
    /// When the client was last told something.
    said: Instant,
    views: Views,
    newest: watch::Receiver<Revision>,
    phase: Phase,
    /// All changes up to here were told.
    position: Revision,
    /// What a snapshot showed that was made while changes went on; until they are passed.
    shown: Option<Progress>,
    _place: OwnedSemaphorePermit,
}

impl Client {
    /// A client that has seen revision `from`, or nothing.
    pub(super) async fn new(
        state: ApiState,
        (caller, shown): (Caller, Shown),
        views: Views,
        from: Option<Revision>,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, ApiError> {
        state.hub().start(state.store()).await?;
        let newest = state.hub().newest();
        let standing = Standing::new(&state, shown, caller.shared_identity());
        let watcher = Watcher::new(&state, caller);
        let phase = match from {
            None => Phase::Snapshot(Box::new(Snapshot::new(&views))),
            Some(from) if from > state.store().revision().await? => {
                Phase::Resync("the revision is ahead of the store: it is of another one, or of a lost one")
            }
            Some(_) if watcher.is_limited() => Phase::Resync("what was shown before is not known any more"),
            Some(_) => Phase::Live,
        };
        let position = from.unwrap_or_default();
        let said = Instant::now();
        Ok(Self {
            state,
            watcher,
            standing,
            said,
            views,
            newest,
            phase,
            position,
            shown: None,
            _place: place,
        })
    }

    /// The bytes of the response.
    pub(super) fn events(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures::stream::unfold(self, |mut client| async move {
            let bytes = client.next().await?;
            Some((Ok(bytes), client))
        })
    }

    /// The next bytes; `None` ends the stream, and the client comes again.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if matches!(self.phase, Phase::Over) {
                return None;
            }
            if let Some(reason) = self.standing.ended().await {
                self.phase = Phase::Over;
                return Some(event("END", &reason));
            }
            match self.watcher.still_holds(&self.state).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    tracing::warn!(error = %error.message, "a watch is cut off");
                    return None;
                }
            }
            let told = match &mut self.phase {
                Phase::Resync(reason) => {
                    let event = event("RESYNC", reason);
                    self.watcher.forget();
                    self.phase = Phase::Snapshot(Box::new(Snapshot::new(&self.views)));
                    Ok(Some(event))
                }
                Phase::Snapshot(_) => self.everything().await,
                Phase::Log(_) => self.log().await,
                Phase::Live => self.live().await,
                Phase::Over => return None,
            };
            match told {
                Ok(Some(bytes)) => {
                    self.said = Instant::now();
                    return Some(bytes);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = %error.message, "a watch is cut off");
                    self.phase = Phase::Over;
                }
            }
        }
    }

    async fn everything(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Phase::Snapshot(snapshot) = &mut self.phase else { return Ok(None) };
        let sees = |object: &Arc<Object>| self.watcher.sees(object);
        let bytes = snapshot.next(&self.state, &self.views, &sees).await?;
        if bytes.is_none() {
            let progress = snapshot.progress();
            self.position = progress.first();
            self.shown = (progress.last() > progress.first()).then_some(progress);
            self.phase = Phase::Live;
        }
        Ok(bytes)
    }

    async fn live(&mut self) -> Result<Option<Bytes>, ApiError> {
        let (steps, upto) = match self.state.hub().after(self.position) {
            Next::Steps(steps, upto) => (steps, upto),
            Next::Behind => {
                self.phase = match self.state.store().watch("", self.position).await {
                    Ok(stream) => Phase::Log(stream),
                    Err(error) if error.must_resync() => Phase::Resync(TOO_OLD),
                    Err(error) => return Err(error.into()),
                };
                return Ok(None);
            }
        };
        let mut out = Vec::new();
        for step in &steps {
            self.tell(step, &mut out).await?;
            self.position = step.revision;
            if out.len() >= CHUNK {
                return Ok(Some(out.into()));
            }
        }
        self.position = upto;
        if !out.is_empty() {
            return Ok(Some(out.into()));
        }
        if !steps.is_empty() {
            return Ok(None);
        }
        let position = self.position;
        let silence = KEEPALIVE.saturating_sub(self.said.elapsed());
        let patience = silence.min(self.standing.due());
        match tokio::time::timeout(patience, self.newest.wait_for(|newest| *newest > position)).await {
            Ok(Ok(_)) => Ok(None),
            Ok(Err(_)) => {
                self.phase = Phase::Over;
                Ok(None)
            }
            Err(_) if self.said.elapsed() >= KEEPALIVE => Ok(Some(Bytes::from_static(b":\n\n"))),
            Err(_) => Ok(None),
        }
    }

    /// Reads on in the store's log, until the hub has what follows.
    async fn log(&mut self) -> Result<Option<Bytes>, ApiError> {
        if let Next::Steps(..) = self.state.hub().after(self.position) {
            self.phase = Phase::Live;
            return Ok(None);
        }
        let Phase::Log(stream) = &mut self.phase else { return Ok(None) };
        let batch = match stream.next().await {
            Some(Ok(batch)) => batch,
            Some(Err(error)) if error.must_resync() => {
                self.phase = Phase::Resync(TOO_OLD);
                return Ok(None);
            }
            Some(Err(error)) => return Err(error.into()),
            None => return Err(ApiError::unavailable("the watch ended")),
        };
        let mut out = Vec::new();
        if let Some(step) = Step::read(&batch) {
            self.tell(&step, &mut out).await?;
        }
        self.position = batch.revision;
        Ok((!out.is_empty()).then(|| out.into()))
    }

    /// Tells the client what a transaction changed of what it may see.
    async fn tell(&mut self, step: &Step, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if let Some(shown) = self.shown.take_if(|shown| shown.last() < step.revision) {
            drop(shown);
        }
        if !step.concerns(&self.views) {
            return Ok(());
        }
        let before = out.len();
        for event in &step.events {
            let Some(view) = self.views.get(&event.object_type) else { continue };
            let known = |shown: &Progress| shown.covers((event.object_type, event.uuid), step.revision);
            if self.shown.as_ref().is_some_and(known) {
                continue;
            }
            let Some(kind) = self.watcher.kind(event) else { continue };
            if out.len() > before {
                // The event before was not the last of its transaction: it has no id.
                out.push(b'\n');
            }
            let told = match self.watcher.is_limited() {
                true => event.render(&self.state, kind, &view.renewed(), step.revision).await?,
                false => event.rendered(&self.state, view, step.revision).await?,
            };
            out.extend_from_slice(&told);
        }
        if out.len() > before {
            // While a snapshot is being caught up with, coming back to an id would show changes again.
            if self.shown.is_none() {
                out.extend_from_slice(format!("id: {}\n", step.revision).as_bytes());
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

/// Why a client has to start over.
const TOO_OLD: &str = "the changes since then are no longer kept";

/// An event about the stream itself.
fn event(name: &str, reason: &str) -> Bytes {
    let data = serde_json::json!({"reason": reason});
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

//! What a client may see of what it watches, and when the stream ends because that is to be decided anew.

use super::hub::{Event, Kind};
use crate::authz::{self, Caller};
use crate::{ApiError, ApiState};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;
use weft_model::Object;

/// Who watches. For one who may not see everything it keeps which objects were shown (16 bytes each), because what is
/// shared with it or taken from it shall look to it as made or gone.
pub(super) struct Watcher {
    caller: Caller,
    /// Mode and rules under which the caller was let in.
    generation: u64,
    shown: Mutex<HashSet<Uuid>>,
}

impl Watcher {
    pub(super) fn new(state: &ApiState, caller: Caller) -> Self {
        Self { caller, generation: state.policy().generation(), shown: Mutex::default() }
    }

    /// Whether what it sees depends on who it is. What such a client saw before is not known when it comes back.
    pub(super) fn is_limited(&self) -> bool {
        !self.caller.is_admin()
    }

    /// Whether the stream may go on. Under another mode, or for limited callers under other rules, the client has to come
    /// again.
    ///
    /// # Errors
    /// If the store can not be read.
    pub(super) async fn still_holds(&mut self, state: &ApiState) -> Result<bool, ApiError> {
        let generation = state.policy().generation();
        if generation == self.generation {
            return Ok(true);
        }
        self.generation = generation;
        let caller = Caller::of(state, &self.caller.shared_identity()).await?;
        Ok(caller.is_admin() && self.caller.is_admin())
    }

    /// Whether an object of a snapshot is shown.
    pub(super) fn sees(&self, object: &Arc<Object>) -> bool {
        if !self.is_limited() {
            return true;
        }
        let sees = authz::sees(&self.caller, object);
        if sees {
            self.shown().insert(object.uuid);
        }
        sees
    }

    /// Forgets what was shown: a snapshot follows.
    pub(super) fn forget(&self) {
        self.shown().clear();
    }

    /// What a change is to this client; `None` if it is not its business. The object of a deletion is as it was last.
    pub(super) fn kind(&self, event: &Event) -> Option<Kind> {
        let object = event.object()?;
        if !self.is_limited() {
            return Some(event.kind);
        }
        let sees = event.kind != Kind::Delete && authz::sees(&self.caller, object);
        let mut shown = self.shown();
        let saw = if sees { !shown.insert(event.uuid) } else { shown.remove(&event.uuid) };
        match (saw, sees) {
            (false, true) => Some(Kind::Create),
            (true, true) => Some(Kind::Update),
            (true, false) => Some(Kind::Delete),
            (false, false) => None,
        }
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

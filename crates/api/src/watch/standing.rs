//! Whether somebody who watches is still who they were: tokens expire and are revoked while streams go on.

use crate::identity::Shown;
use crate::{Access, ApiState};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_auth::{AuthError, Identity};

/// Time between two questions. What answers has caches of its own: a store is asked every 5 s, Keystone every 60 s.
const ASK: Duration = Duration::from_secs(5);
/// How long a stream goes on while nobody can say whose credential it is.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a watcher showed when it was let in, and when that last held.
pub(super) struct Standing {
    access: Arc<Access>,
    shown: Shown,
    identity: Arc<Identity>,
    asked: Instant,
    held: Instant,
}

impl Standing {
    pub(super) fn new(state: &ApiState, shown: Shown, identity: Arc<Identity>) -> Self {
        let now = Instant::now();
        Self { access: Arc::clone(state.access()), shown, identity, asked: now, held: now }
    }

    /// Time until it is to be asked again.
    pub(super) fn due(&self) -> Duration {
        match self.shown.credential() {
            Some(_) => ASK.saturating_sub(self.asked.elapsed()),
            None => Duration::MAX,
        }
    }

    /// Why the stream has to end, if it has to.
    pub(super) async fn ended(&mut self) -> Option<String> {
        let credential = self.shown.credential().filter(|_| self.due().is_zero())?;
        self.asked = Instant::now();
        match self.access.identify(credential).await {
            Ok(now) if *now == *self.identity => {
                self.held = self.asked;
                None
            }
            Ok(_) => Some("roles or project of the token have changed".to_owned()),
            Err(AuthError::Denied(why)) => Some(why),
            Err(other) if self.held.elapsed() > PATIENCE => Some(other.to_string()),
            Err(other) => {
                tracing::debug!(error = %other, "whether a watcher may stay can not be asked");
                None
            }
        }
    }
}

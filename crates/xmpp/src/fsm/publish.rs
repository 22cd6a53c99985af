//! The two-stanza publish: the first stanza carries the route and is held; the second names the routing
//! instance and makes it act.

use std::collections::VecDeque;

use super::types::Warning;
use crate::items::RouteItem;

/// Most first stanzas held for a peer. The peer sends both in a row, so one is the normal number.
pub const MAX_PENDING_PUBLISHES: usize = 16;

/// What a first stanza carries: a route, or nothing for an end-of-RIB.
pub(super) type Payload = Option<Box<RouteItem>>;

/// First stanzas waiting for their second.
#[derive(Debug, Default)]
pub(super) struct PendingPublishes {
    /// Oldest first; node strings are distinct.
    held: VecDeque<(String, Payload)>,
}

impl PendingPublishes {
    /// Holds a first stanza. Returns the one it pushes out: an older one of the same node, or the oldest
    /// when the table is full.
    pub(super) fn hold(&mut self, node: String, payload: Payload) -> Option<Warning> {
        let same = self.held.iter().position(|(held, _)| *held == node);
        let full = self.held.len() >= MAX_PENDING_PUBLISHES;
        let out = same.or(full.then_some(0)).and_then(|index| self.held.remove(index));
        self.held.push_back((node, payload));
        out.map(|(node, _)| Warning::OrphanPublish { node })
    }

    /// The first stanza that belongs to a second one.
    pub(super) fn take(&mut self, node: &str) -> Option<Payload> {
        let index = self.held.iter().position(|(held, _)| held == node)?;
        self.held.remove(index).map(|(_, payload)| payload)
    }

    /// Drops everything held: after a mismatch nothing here can be trusted to belong to what follows.
    pub(super) fn drop_all(&mut self) -> impl Iterator<Item = Warning> + use<> {
        std::mem::take(&mut self.held).into_iter().map(|(node, _)| Warning::OrphanPublish { node })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_a_bounded_number_and_reports_what_it_drops() {
        let mut pending = PendingPublishes::default();
        for i in 0..MAX_PENDING_PUBLISHES {
            assert_eq!(pending.hold(format!("n{i}"), None), None);
        }
        assert_eq!(pending.hold("n3".into(), None), Some(Warning::OrphanPublish { node: "n3".into() }));
        assert_eq!(pending.hold("new".into(), None), Some(Warning::OrphanPublish { node: "n0".into() }));
        assert_eq!(pending.take("n0"), None);
        assert_eq!(pending.take("n1"), Some(None));
        assert_eq!(pending.drop_all().count(), MAX_PENDING_PUBLISHES - 1);
        assert_eq!(pending.drop_all().count(), 0);
    }
}

//! What happens by the passing of time: stale paths go, end-of-RIB is sent.

use std::time::Instant;

use weft_xmpp::stanza::Stanza;

use super::{Node, Session, SessionId, WINDOW};

impl Node {
    /// Does what is due. To be called a few times per quiet time.
    pub fn tick(&mut self, now: Instant) {
        self.sweep(now);
        self.converge(now);
        if self.converged {
            let due: Vec<SessionId> = self
                .sessions
                .iter()
                .filter(|(_, s)| self.end_of_rib_due(s, now))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                self.send(id, Stanza::EndOfRib);
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.end_of_rib_sent = true;
                }
            }
        }
    }

    fn sweep(&mut self, now: Instant) {
        let mut swept = false;
        for (name, agent) in &mut self.agents {
            if agent.sweep_at.is_some_and(|at| at <= now) {
                agent.sweep_at = None;
                swept = true;
                let removed = self.rib.sweep_stale(agent.peer).removed;
                tracing::info!(
                    agent = name,
                    removed,
                    "stale paths removed: the agent did not announce them again"
                );
            }
        }
        if swept {
            self.forget_unused_agents();
        }
    }

    /// After a start, nobody is told "this is all" before all agents that are configured are back and have announced what
    /// they have, or the time for that is over.
    fn converge(&mut self, now: Instant) {
        if self.converged || self.revision.is_none() {
            return;
        }
        let expired = now.duration_since(self.started) >= self.effective.end_of_rib;
        let back = |name: &String| {
            let session = self.agents.get(name).and_then(|agent| agent.session);
            session.and_then(|id| self.sessions.get(&id)).is_some_and(|s| self.has_announced(s, now))
        };
        let all_back = self.routers.values().all(back);
        if expired || all_back {
            tracing::info!(expired, "all expected agents are back, or the time for it is over");
            self.converged = true;
        }
    }

    /// Whether an agent seems to have announced all it has.
    fn has_announced(&self, session: &Session, now: Instant) -> bool {
        session.end_of_rib_received || now.duration_since(session.last_activity) >= self.timers.quiet
    }

    fn end_of_rib_due(&self, session: &Session, now: Instant) -> bool {
        let drained = session.carry.is_none()
            && session.config.is_empty()
            && session.in_flight < WINDOW
            && !self.rib.is_ready(session.peer);
        let settled = self.has_announced(session, now)
            || now.duration_since(session.since) >= self.effective.end_of_rib;
        !session.end_of_rib_sent && drained && settled
    }
}

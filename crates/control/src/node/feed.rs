//! Configuration into the compiler, and what the compiler makes of it into the routing tables, the agents' queues and the
//! view of derived objects.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use uuid::Uuid;
use weft_compiler::{Delta, RiChange, RoutingInstance};
use weft_model::types::{FastConvergenceParametersType, GracefulRestartParametersType};
use weft_model::{Change, Object, ObjectType};
use weft_rib::RiConfig;
use weft_store::Revision;
use weft_store::config::Update;
use weft_store::pages::Piece;

use super::{Effective, Loading, MAX_WAITING_CONFIG, Node, SessionId};
use crate::config::Timers;

impl Node {
    /// Takes in configuration as the store's follower reports it.
    pub fn configure(&mut self, update: Update, now: Instant) {
        match update {
            Update::Changes { revision, changes } => self.apply(revision, &changes, now),
            Update::Snapshot { revision, objects } => {
                self.piece(Piece::Begin, now);
                self.piece(Piece::Part(objects.into_iter().map(Change::Put).collect()), now);
                self.piece(Piece::End(revision), now);
            }
        }
    }

    /// Takes in configuration that comes in pieces. Nothing is computed before the end of a snapshot.
    pub fn piece(&mut self, piece: Piece, now: Instant) {
        match piece {
            Piece::Begin => self.loading = Loading::default(),
            Piece::Part(changes) => {
                for change in &changes {
                    self.note(change);
                    match change {
                        Change::Put(object) => self.loading.seen.insert((object.object_type, object.uuid)),
                        Change::Delete { object_type, uuid, .. } => {
                            self.loading.seen.remove(&(*object_type, *uuid))
                        }
                    };
                }
                self.compiler.absorb(&changes, &mut self.loading.delta);
            }
            Piece::End(revision) => {
                let Loading { seen, mut delta } = std::mem::take(&mut self.loading);
                let gone = self.gone(&seen);
                gone.iter().for_each(|change| self.note(change));
                self.compiler.absorb(&gone, &mut delta);
                self.compiler.finish(&mut delta);
                self.compiler.compact();
                self.took_in(revision, &delta, now);
                self.compiled.compact();
            }
            Piece::Changes { revision, changes } => self.apply(revision, &changes, now),
        }
    }

    /// The deletes of what is known and was not seen.
    fn gone(&self, seen: &BTreeSet<(ObjectType, Uuid)>) -> Vec<Change> {
        if self.revision.is_none() {
            return Vec::new();
        }
        let known = self.compiler.known().into_iter();
        let gone = known.filter(|(key, _)| !seen.contains(key));
        gone.map(|((object_type, uuid), fq_name)| Change::Delete { object_type, uuid, fq_name }).collect()
    }

    fn apply(&mut self, revision: Revision, changes: &[Change], now: Instant) {
        for change in changes {
            self.note(change);
        }
        let delta = if changes.is_empty() { Delta::default() } else { self.compiler.apply(changes) };
        self.took_in(revision, &delta, now);
    }

    fn took_in(&mut self, revision: Revision, delta: &Delta, now: Instant) {
        self.take_in(delta, now);
        self.compiled.publish(revision, delta);
        self.revision = Some(revision);
        self.forget_unused_agents();
    }

    /// What the control node itself reads from the configuration.
    fn note(&mut self, change: &Change) {
        match change {
            Change::Put(object) => match object.object_type {
                ObjectType::VirtualRouter => {
                    self.routers.insert(object.uuid, object.fq_name.last().to_owned());
                }
                ObjectType::GlobalSystemConfig => self.effective = effective(&self.timers, object),
                _ => {}
            },
            Change::Delete { object_type, uuid, .. } => {
                if *object_type == ObjectType::VirtualRouter {
                    self.routers.remove(uuid);
                }
            }
        }
    }

    fn take_in(&mut self, delta: &Delta, now: Instant) {
        for change in &delta.routing_instances {
            match change {
                RiChange::Put(instance) => self.rib.configure(rib_config(instance)),
                RiChange::Delete(name) => self.rib.remove(&name.to_string()),
            }
        }
        if delta.agents.is_empty() {
            return;
        }
        let mut slow: Vec<SessionId> = Vec::new();
        for (id, session) in &mut self.sessions {
            let ops = session.router.as_ref().and_then(|router| delta.agents.get(router));
            let Some(ops) = ops.filter(|ops| !ops.is_empty()) else { continue };
            if session.config.len() > MAX_WAITING_CONFIG {
                slow.push(*id);
                continue;
            }
            session.config.extend(ops.iter().cloned());
            self.config_waiting.insert(*id);
        }
        for id in slow {
            self.close_at(id, "too slow in taking configuration".to_owned(), now);
        }
    }

    /// The compiler's intent without any configuration is not empty (the master instance), and no delta reports it.
    pub(super) fn take_in_standing_intent(&mut self) {
        let intent = self.compiler.intent();
        let delta = Delta {
            routing_instances: intent.routing_instances.values().cloned().map(RiChange::Put).collect(),
            derived: intent.derived.values().cloned().map(Change::Put).collect(),
            ..Delta::default()
        };
        self.take_in(&delta, self.started);
        self.compiled.publish(0, &delta);
    }
}

fn rib_config(instance: &RoutingInstance) -> RiConfig {
    RiConfig {
        name: instance.fq_name.to_string(),
        virtual_network: instance.virtual_network.to_string(),
        import: instance.import.clone(),
        export: instance.export.clone(),
    }
}

fn seconds(value: Option<i64>, otherwise: Duration) -> Duration {
    value.and_then(|v| u64::try_from(v).ok()).map_or(otherwise, Duration::from_secs)
}

/// The times in force under a global-system-config. Where graceful restart is enabled but not for agents
/// (`xmpp_helper_enable`), paths go with the session.
fn effective(timers: &Timers, object: &Object) -> Effective {
    let mut times = Effective { hold: timers.hold, end_of_rib: timers.end_of_rib, stale: timers.stale };
    let graceful = object.property::<GracefulRestartParametersType>("graceful_restart_parameters");
    if let Ok(Some(graceful)) = graceful
        && graceful.enable == Some(true)
    {
        let helps = graceful.xmpp_helper_enable == Some(true);
        times.stale = if helps { seconds(graceful.restart_time, timers.stale) } else { Duration::ZERO };
        times.end_of_rib = seconds(graceful.end_of_rib_timeout, timers.end_of_rib);
    }
    let fast = object.property::<FastConvergenceParametersType>("fast_convergence_parameters");
    if let Ok(Some(fast)) = fast
        && fast.enable == Some(true)
    {
        times.hold = seconds(fast.xmpp_hold_time, timers.hold);
    }
    times
}

//! The compiler as its users see it: the nodes of the graph run in order, the intent, and the agents.

use crate::agent::{Agents, Batch, Touched, View};
use crate::engine::{Dirty, State, mark_all, run};
use crate::nodes::{Connections, Groups, Instances, Interfaces, Networks, Policies, Rules, Targets, master};
use crate::objects::{Key, ObjectIndex};
use crate::output::Output;
use crate::{Delta, Intent, Problem, edges};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{Change, FqName, Object, ObjectType, defaults};
use weft_xmpp::config::ConfigOp;

/// Calls `$action!(Node)` for every node, in the order they depend on each other.
macro_rules! for_each_node {
    ($action:ident, $($argument:expr),*) => {
        $action::<Policies>($($argument),*);
        $action::<Networks>($($argument),*);
        $action::<Rules>($($argument),*);
        $action::<Connections>($($argument),*);
        $action::<Instances>($($argument),*);
        $action::<Targets>($($argument),*);
        $action::<Groups>($($argument),*);
        $action::<Interfaces>($($argument),*);
    };
}

/// The incremental compiler. Its size is bounded by that of the configuration it was given and the number of agents.
#[derive(Debug)]
pub struct Compiler {
    state: State,
    dirty: Dirty,
    /// What the objects looked like before the step that is being taken in.
    batch: Batch,
    intent: Intent,
    /// The derived objects of the intent, indexed.
    derived: ObjectIndex,
    /// Problems of objects that were not taken in.
    refused: BTreeSet<Problem>,
    agents: Agents,
}

impl Default for Compiler {
    fn default() -> Self {
        Self::new()
    }
}

impl Compiler {
    /// A compiler without configuration. Its intent holds the master routing instance only.
    #[must_use]
    pub fn new() -> Self {
        let mut intent = Intent::default();
        intent.routing_instances.insert(master().fq_name, master());
        Self {
            state: State::default(),
            dirty: Dirty::default(),
            batch: Batch::default(),
            intent,
            derived: ObjectIndex::default(),
            refused: BTreeSet::new(),
            agents: Agents::default(),
        }
    }

    /// Everything derived from the configuration taken in so far.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Takes changes in as one step and says what follows from them. Changes that say nothing new are no harm.
    pub fn apply(&mut self, changes: &[Change]) -> Delta {
        let mut delta = Delta::default();
        self.absorb(changes, &mut delta);
        self.finish(&mut delta);
        delta
    }

    /// Takes changes in without computing anything yet: for what comes in parts. Until [`Self::finish`], the intent is
    /// that of before.
    pub fn absorb(&mut self, changes: &[Change], delta: &mut Delta) {
        for change in changes {
            if let Change::Put(object) = change {
                self.part_with_old_name(object, delta);
            }
            self.take_in(change);
        }
    }

    /// Computes what follows from what was absorbed, as one step.
    pub fn finish(&mut self, delta: &mut Delta) {
        self.step(delta);
    }

    /// Gives back memory after very much was taken in at once.
    pub fn compact(&mut self) {
        self.state.objects.compact();
        self.intent.derived_refs = std::mem::take(&mut self.intent.derived_refs).into_iter().collect();
    }

    /// Everything that was put and not deleted, with its name.
    #[must_use]
    pub fn known(&self) -> BTreeMap<(ObjectType, Uuid), FqName> {
        self.state.objects.known()
    }

    /// Number of configured objects and bytes they take in packed form, indexes not counted.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.state.objects.size()
    }

    /// Computes everything anew from the configured objects. What was computed incrementally is right, so the delta is
    /// empty; this is here to prove it, and as a way out should it ever not be.
    pub fn recompute(&mut self) -> Delta {
        let mut delta = Delta::default();
        for_each_node!(mark_all, &mut self.state, &mut self.dirty);
        self.step(&mut delta);
        let view = view(&self.state, &self.derived, &self.intent);
        self.agents.recompute(&view, &mut delta.agents);
        delta
    }

    /// An agent appears; returns all it has to know. `vr_name` is the name of its virtual-router
    /// (`default-global-system-config:host1`); a name of one part is taken to be under the default configuration. An
    /// agent that has subscribed already gets nothing.
    pub fn subscribe_agent(&mut self, vr_name: &str) -> Vec<ConfigOp> {
        let mut router = FqName::from(vr_name);
        if router.len() == 1 {
            router = defaults::global_system_config().child(vr_name);
        }
        let view = view(&self.state, &self.derived, &self.intent);
        self.agents.subscribe(&view, vr_name, router)
    }

    /// An agent is gone, and its subscriptions to virtual machines with it.
    pub fn unsubscribe_agent(&mut self, vr_name: &str) {
        self.agents.unsubscribe(vr_name);
    }

    /// An agent wants to know about a virtual machine; returns what it has to know in addition. Nothing if the agent has
    /// not subscribed itself, or to that machine already.
    pub fn subscribe_vm(&mut self, vr_name: &str, vm: Uuid) -> Vec<ConfigOp> {
        let view = view(&self.state, &self.derived, &self.intent);
        self.agents.subscribe_machine(&view, vr_name, vm)
    }

    /// An agent has done with a virtual machine; returns what it has to forget.
    pub fn unsubscribe_vm(&mut self, vr_name: &str, vm: Uuid) -> Vec<ConfigOp> {
        let view = view(&self.state, &self.derived, &self.intent);
        self.agents.unsubscribe_machine(&view, vr_name, vm)
    }

    /// Names never change; should one do nevertheless, the object is taken for another one: the old goes in a step of
    /// its own, so that agents are told under the name they know.
    fn part_with_old_name(&mut self, object: &Arc<Object>, delta: &mut Delta) {
        let key = (object.object_type, object.uuid);
        let known = match self.batch.name_before(key) {
            Some(before) => before.cloned(),
            None => self.state.objects.name(key),
        };
        let Some(old) = known.filter(|name| *name != object.fq_name) else { return };
        let (object_type, uuid) = key;
        self.take_in(&Change::Delete { object_type, uuid, fq_name: old });
        self.step(delta);
    }

    /// Updates the objects and marks what depends on them.
    fn take_in(&mut self, change: &Change) {
        for change in self.state.objects.apply(change) {
            if !self.agents.is_empty() {
                let overlay = self.intent.derived_refs.get(&change.key).cloned();
                self.batch.note(change.key, change.old.clone(), overlay);
            }
            for edge in edges::OBJECTS.iter().filter(|edge| edge.from == change.key.0) {
                (edge.affected)(&self.state, &change, self.dirty.of(edge.to));
            }
        }
    }

    /// Runs the nodes over what is marked, then updates intent and agents.
    fn step(&mut self, delta: &mut Delta) {
        let mut output = Output::default();
        for_each_node!(run, &mut self.state, &mut self.dirty, &mut output);
        let (derived_from, refs_from) = (delta.derived.len(), delta.derived_refs.len());
        // Nobody is told what has changed while there is nobody.
        let old_refs =
            if self.agents.is_empty() { BTreeMap::new() } else { output.refs_before(&self.intent) };
        output.apply(&mut self.intent, delta);
        self.update_problems();
        for change in delta.derived.get(derived_from..).unwrap_or_default() {
            self.update_derived(change);
        }
        if self.agents.is_empty() {
            return;
        }
        for (key, _) in delta.derived_refs.get(refs_from..).unwrap_or_default() {
            self.batch.note(*key, self.state.objects.get(*key), old_refs.get(key).cloned());
        }
        let view = view(&self.state, &self.derived, &self.intent);
        let touched: Touched = std::mem::take(&mut self.batch).touched(&view);
        self.agents.changed(&view, &touched, &mut delta.agents);
    }

    fn update_derived(&mut self, change: &Change) {
        let (key, old): (Key, _) = match change {
            Change::Put(object) => {
                let key = (object.object_type, object.uuid);
                (key, self.derived.insert(object))
            }
            Change::Delete { object_type, uuid, .. } => {
                let key: (ObjectType, Uuid) = (*object_type, *uuid);
                (key, self.derived.remove(key))
            }
        };
        if !self.agents.is_empty() {
            self.batch.note(key, old, None);
        }
    }

    fn update_problems(&mut self) {
        let refused: BTreeSet<Problem> = self.state.objects.problems().cloned().collect();
        if refused != self.refused {
            self.intent.problems.retain(|problem| !self.refused.contains(problem));
            self.intent.problems.extend(refused.iter().cloned());
            self.refused = refused;
        }
    }
}

/// The configuration graph as it is now.
fn view<'a>(state: &'a State, derived: &'a ObjectIndex, intent: &'a Intent) -> View<'a> {
    View { objects: &state.objects, derived, overlay: &intent.derived_refs }
}

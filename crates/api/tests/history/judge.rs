//! Whether what was seen could have been seen if every operation had happened at one instant between call and answer.

use std::collections::BTreeMap;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

use crate::clients::{Log, Op, Record};

/// Each thing is a register: of the holder of a name, the owner of an address, or whether a reference is there.
struct Thing;

/// An operation, and whether its outcome is known.
type Seen = (Op, bool);

impl Specification for Thing {
    type State = Option<String>;
    type Operation = Seen;

    fn init() -> Self::State {
        None
    }

    fn apply((op, known): &Seen, state: &Self::State) -> (bool, Self::State) {
        let same = || state.clone();
        let (possible, next) = match op {
            Op::Create { uuid, made: true } => (state.is_none(), Some(uuid.clone())),
            Op::Create { made: false, .. } => (state.is_some(), same()),
            Op::Delete { uuid, gone: true } => (state.as_ref() == Some(uuid), None),
            Op::Delete { uuid, gone: false } => (state.as_ref() != Some(uuid), same()),
            Op::Lookup(holder) => (state == holder, same()),
            Op::Take(owner) => (state.is_none(), Some(owner.clone())),
            Op::Give(owner) => (state.as_ref() == Some(owner), None),
            Op::Set(there) => (true, there.then(String::new)),
            Op::Is(there) => (state.is_some() == *there, same()),
        };
        match (possible, known) {
            // Nobody saw what became of it: it may have done nothing.
            (false, false) => (true, same()),
            _ => (possible, next),
        }
    }
}

/// Whether the operations on one thing are linearisable.
fn linearisable(records: &[Record]) -> bool {
    let mut actions = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let seen = (record.op.clone(), record.answered.is_some());
        // What has no answer may happen at any time, or never: as if it ended last.
        let answered = record.answered.map_or((1, index as u64), |at| (0, at));
        actions.push(((0, record.called), (index, Action::Call(seen.clone()))));
        actions.push((answered, (index, Action::Response(seen))));
    }
    actions.sort_by_key(|(at, _)| *at);
    WGLChecker::<Thing>::is_linearizable(History::from_actions(actions.into_iter().map(|(_, a)| a).collect()))
}

fn by_thing(log: &Log) -> BTreeMap<String, Vec<Record>> {
    let mut things: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in log.records() {
        things.entry(record.thing.clone()).or_default().push(record);
    }
    things
}

/// Fails if anything was seen that cannot be.
pub(crate) fn judge(log: &Log) {
    for (thing, mut records) in by_thing(log) {
        if !linearisable(&records) {
            records.sort_by_key(|record| record.called);
            let lines: Vec<String> = records
                .iter()
                .map(|r| format!("{:>6} {:>6?} {:?}", r.called, r.answered.unwrap_or(u64::MAX), r.op))
                .collect();
            panic!("{thing} is not linearisable:\n{}", lines.join("\n"));
        }
    }
}

/// What there was to judge.
pub(crate) fn summary(log: &Log) -> String {
    let records = log.records();
    let lost = records.iter().filter(|r| r.answered.is_none()).count();
    let count = |test: fn(&Op) -> bool| records.iter().filter(|r| test(&r.op)).count();
    let made = count(|op| matches!(op, Op::Create { made: true, .. }));
    let taken = count(|op| matches!(op, Op::Take(_)));
    assert!(made > 10 && taken > 10, "hardly anything happened: {made} names, {taken} addresses");
    format!(
        "{} operations on {} things, {made} names made, {taken} addresses taken, {lost} answers lost: linearisable",
        records.len(),
        by_thing(log).len()
    )
}

mod tests {
    use super::*;

    fn record(op: Op, called: u64, answered: Option<u64>) -> Record {
        Record { thing: String::new(), op, called, answered }
    }

    #[test]
    fn an_address_given_twice_is_noticed() {
        let take = |owner: &str, called, answered| record(Op::Take(owner.into()), called, answered);
        let give = |owner: &str, called, answered| record(Op::Give(owner.into()), called, answered);
        assert!(linearisable(&[take("a", 0, Some(1)), give("a", 2, Some(3)), take("b", 4, Some(5))]));
        assert!(!linearisable(&[take("a", 0, Some(1)), take("b", 4, Some(5))]));
        assert!(linearisable(&[take("a", 0, Some(1)), give("a", 2, None), take("b", 4, Some(5))]));
    }

    #[test]
    fn a_lost_acknowledged_write_is_noticed() {
        let set = |there, called, answered| record(Op::Set(there), called, answered);
        let is = |there, called| record(Op::Is(there), called, Some(called + 1));
        assert!(!linearisable(&[set(true, 0, Some(1)), is(false, 2)]));
        assert!(linearisable(&[set(true, 0, None), is(false, 2), is(true, 4)]));
        assert!(!linearisable(&[set(true, 0, None), is(true, 2), is(false, 4)]));
    }
}

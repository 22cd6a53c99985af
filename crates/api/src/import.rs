//! Writing objects made elsewhere, with the identities, numbers and addresses they have.
//!
//! Each object goes through the hooks of its type, which claim its numbers and addresses as for any other object, so an
//! import cannot hand out what is taken. What the hooks refuse is left out and listed.

use crate::hooks::{self, Context};
use crate::plan::Plan;
use crate::write::{Outcome, commit, pause, writable};
use crate::{ApiError, ApiState};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;
use weft_model::{Object, ObjectType, Reference};

/// How often an object is tried when others write beside the import.
const ATTEMPTS: usize = 16;
/// Longest chain of parents that is climbed; the model has none as long.
const MAX_DEPTH: usize = 16;

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Objects written.
    pub objects: usize,
    /// What was not, a line each.
    pub left: Vec<String>,
}

type Key = (ObjectType, Uuid);

/// Writes `objects`: parents before children, targets before those who refer to them. References that go in circles are
/// added when both ends are there.
///
/// # Errors
/// If the store fails; what was written until then stays.
pub async fn import(state: &ApiState, objects: Vec<Object>) -> Result<Imported, ApiError> {
    let mut report = Imported::default();
    let (mut written, mut later) = (BTreeSet::new(), Vec::new());
    for mut object in in_order(objects) {
        let key = (object.object_type, object.uuid);
        let waiting = take_missing(&mut object, &written);
        // A reference to something below itself is to what comes with such an object.
        let alone = waiting.iter().any(|(_, r)| r.fq_name.parent().as_ref() == Some(&object.fq_name));
        match write(state, &object, alone).await {
            Ok(()) => {
                written.insert(key);
                report.objects += 1;
                later.extend(waiting.into_iter().map(|(to, reference)| (key, to, reference)));
            }
            Err(error) if error.status.is_server_error() => return Err(error),
            Err(error) => {
                report.left.push(format!("{} {}: {}", object.object_type, object.fq_name, error.message));
            }
        }
    }
    for ((object_type, uuid), to, reference) in later {
        let target = reference.fq_name.clone();
        let outcome = if written.contains(&(to, reference.uuid)) {
            let add = |object: &mut Object| {
                object.refs.entry(to).or_default().push(reference.clone());
                Ok(())
            };
            crate::write::mutate(state, object_type, uuid, &add).await.map(|_| ())
        } else {
            Err(ApiError::bad_request("it was left out"))
        };
        match outcome {
            Ok(()) => {}
            Err(error) if error.status.is_server_error() => return Err(error),
            Err(error) => {
                report
                    .left
                    .push(format!("{object_type} {uuid}: reference to {to} {target}: {}", error.message));
            }
        }
    }
    Ok(report)
}

/// The references of `object` to what is not `written` yet, taken out.
fn take_missing(object: &mut Object, written: &BTreeSet<Key>) -> Vec<(ObjectType, Reference)> {
    let mut missing = Vec::new();
    for (to, list) in &mut object.refs {
        let all = std::mem::take(list);
        for reference in all {
            if to.info().derived || written.contains(&(*to, reference.uuid)) {
                list.push(reference);
            } else {
                missing.push((*to, reference));
            }
        }
    }
    object.refs.retain(|_, list| !list.is_empty());
    missing
}

/// Each object behind its parent and, where there are no circles, behind what it refers to.
fn in_order(objects: Vec<Object>) -> Vec<Object> {
    let mut open: BTreeMap<Key, Object> = objects.into_iter().map(|o| ((o.object_type, o.uuid), o)).collect();
    let keys: Vec<Key> = open.keys().copied().collect();
    let (mut out, mut entered) = (Vec::with_capacity(keys.len()), BTreeSet::new());
    for root in keys {
        let mut stack = vec![root];
        while let Some(key) = stack.last().copied() {
            let Some(object) = open.get(&key) else {
                stack.pop();
                continue;
            };
            if entered.insert(key) {
                let refs = object.refs.iter().flat_map(|(to, list)| list.iter().map(|r| (*to, r.uuid)));
                // What is below the object must wait for it, whatever refers to what.
                stack.extend(refs.filter(|k| !entered.contains(k) && !below(&open, *k, key)));
                // Last in, first out: the parent goes before everything.
                stack.extend(object.parent.filter(|k| !entered.contains(k)));
            } else {
                stack.pop();
                out.extend(open.remove(&key));
            }
        }
    }
    out
}

/// Whether `key` is a child of `ancestor`, or a child's child.
fn below(objects: &BTreeMap<Key, Object>, key: Key, ancestor: Key) -> bool {
    let parent = |key: &Key| objects.get(key).and_then(|object| object.parent);
    std::iter::successors(parent(&key), parent).take(MAX_DEPTH).any(|parent| parent == ancestor)
}

async fn write(state: &ApiState, object: &Object, alone: bool) -> Result<(), ApiError> {
    writable(object.object_type)?;
    for attempt in 0..ATTEMPTS {
        pause(attempt, object.uuid).await;
        if let Some(holder) = state.by_name(object.object_type, &object.fq_name).await? {
            return Err(ApiError::conflict(format!("it exists already, with uuid {holder}")));
        }
        if let Some(holder) = state.stored_type_of(object.uuid).await? {
            return Err(ApiError::conflict(format!(
                "its uuid {} exists already, of a {holder}",
                object.uuid
            )));
        }
        let mut object = object.clone();
        // The objects were the system's before: what only it sets comes with them.
        let mut plan = Plan::new(true);
        plan.alone = alone;
        plan.will_create(object.uuid);
        hooks::put(&mut Context { state, plan: &mut plan }, &mut object, None).await?;
        plan.put_object(&object, None)?;
        if let Outcome::Done = commit(state, plan, None).await? {
            return Ok(());
        }
    }
    Err(ApiError::unavailable("too many concurrent writes to the same objects, try again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_model::FqName;

    #[test]
    fn parents_and_targets_come_first_and_circles_end() {
        let make =
            |object_type, n: u128| Object::new(object_type, Uuid::from_u128(n), FqName::new([n.to_string()]));
        let refer = |object: &mut Object, to: &Object| {
            let reference = Reference { uuid: to.uuid, fq_name: to.fq_name.clone(), attr: None };
            object.refs.entry(to.object_type).or_default().push(reference);
        };
        let domain = make(ObjectType::Domain, 9);
        let mut project = make(ObjectType::Project, 8);
        project.parent = Some((domain.object_type, domain.uuid));
        let mut a = make(ObjectType::VirtualNetwork, 1);
        let mut b = make(ObjectType::VirtualNetwork, 2);
        a.parent = Some((project.object_type, project.uuid));
        b.parent = a.parent;
        refer(&mut a, &b);
        refer(&mut b, &a.clone());
        let mut port = make(ObjectType::VirtualMachineInterface, 0);
        refer(&mut port, &a);
        let order: Vec<Uuid> = in_order(vec![port.clone(), a, b, project.clone(), domain.clone()])
            .iter()
            .map(|o| o.uuid)
            .collect();
        let place = |uuid| order.iter().position(|o| *o == uuid).unwrap();
        assert_eq!(order.len(), 5);
        assert!(place(domain.uuid) < place(project.uuid));
        assert!(place(project.uuid) < place(Uuid::from_u128(1)).min(place(Uuid::from_u128(2))));
        assert!(place(Uuid::from_u128(1)) < place(port.uuid));
    }
}

//! The members of a set on the server, and how to take those away that are not wanted any more.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use weft_model::ObjectType;

use crate::order::{self, Links};
use crate::plan::{Step, Verb, set_of};
use crate::{Api, ClientError, api};

/// A member of a set as the server has it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) kind: ObjectType,
    pub(crate) fq_name: Vec<String>,
    pub(crate) uuid: String,
    pub(crate) object: Map<String, Value>,
}

/// All objects that were made by the set, of all types.
pub(crate) async fn members(api: &Api, set: &str) -> Result<Vec<Member>, ClientError> {
    let mut members = Vec::new();
    for kind in ObjectType::ALL.iter().copied().filter(|k| !k.info().derived) {
        let mut uuids = Vec::new();
        for object in api.list_fields(kind, "annotations").await? {
            if set_of(&object) == Some(set) {
                uuids.extend(object["uuid"].as_str().map(str::to_owned));
            }
        }
        for object in api.by_uuids(kind, &uuids).await? {
            let (fq_name, uuid) = (api::fq_name_of(&object), object["uuid"].as_str().unwrap_or_default());
            let uuid = uuid.to_owned();
            // It may have changed since it was listed.
            let member = set_of(&object) == Some(set);
            if let (true, Value::Object(object)) = (member, object) {
                members.push(Member { kind, fq_name, uuid, object });
            }
        }
    }
    Ok(members)
}

/// Steps that delete objects: children before their parents, those that refer before those referred to. `first` is the
/// index of the first step.
pub(crate) fn steps(members: Vec<Member>, first: usize) -> Vec<Step> {
    let links = order::links(members.iter().map(|m| (m.kind, m.fq_name.as_slice(), &m.object)));
    let mut sequence = order::sequence(&links);
    sequence.reverse();
    let mut place = vec![0; members.len()];
    sequence.iter().enumerate().for_each(|(at, member)| place[*member] = at);
    let mut needed_by: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); members.len()];
    for (other, Links { parent, refs }) in links.iter().enumerate() {
        for needed in refs.iter().chain(parent).filter(|n| **n != other) {
            needed_by[*needed].insert(other);
        }
    }
    let step = |own: usize| {
        let (before, after): (Vec<usize>, Vec<usize>) =
            needed_by[own].iter().copied().partition(|other| place[*other] < place[own]);
        let needs = before.into_iter().map(|other| first + place[other]).collect();
        let release = after.into_iter().map(|other| (members[other].kind, members[other].uuid.clone()));
        delete(&members[own], needs, release.collect())
    };
    sequence.iter().map(|member| step(*member)).collect()
}

fn delete(member: &Member, needs: Vec<usize>, release: Vec<(ObjectType, String)>) -> Step {
    Step {
        verb: Verb::Delete,
        kind: member.kind,
        fq_name: member.fq_name.clone(),
        uuid: Some(member.uuid.clone()),
        fields: Map::new(),
        later: Map::new(),
        release,
        before: Some(json!(member.object)),
        changes: Vec::new(),
        needs,
        document: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(kind: ObjectType, name: &str, mut object: Value) -> Member {
        let fq_name: Vec<String> = name.split(':').map(str::to_owned).collect();
        object["uuid"] = name.into();
        let Value::Object(object) = object else { panic!("an object") };
        Member { kind, fq_name, uuid: name.to_owned(), object }
    }

    #[test]
    fn children_and_referrers_go_first() {
        let found = steps(
            vec![
                member(ObjectType::Project, "d:p", json!({"parent_type": "domain"})),
                member(ObjectType::NetworkPolicy, "d:p:x", json!({"parent_type": "project"})),
                member(
                    ObjectType::VirtualNetwork,
                    "d:p:n",
                    json!({"parent_type": "project", "network_policy_refs": [{"to": ["d", "p", "x"]}]}),
                ),
            ],
            4,
        );
        let names: Vec<String> = found.iter().map(|s| s.fq_name.join(":")).collect();
        assert_eq!(names, ["d:p:n", "d:p:x", "d:p"]);
        let mut needs = found[2].needs.clone();
        needs.sort_unstable();
        assert_eq!(
            (found[0].needs.as_slice(), found[1].needs.as_slice(), needs),
            ([].as_slice(), [4].as_slice(), vec![4, 5])
        );
        assert!(found.iter().all(|s| s.release.is_empty() && s.verb == Verb::Delete));
    }

    #[test]
    fn circles_are_opened() {
        let refers = |to: &str| json!({"virtual_network_refs": [{"to": to.split(':').collect::<Vec<_>>()}]});
        let found = steps(
            vec![
                member(ObjectType::VirtualNetwork, "d:p:a", refers("d:p:b")),
                member(ObjectType::VirtualNetwork, "d:p:b", refers("d:p:a")),
            ],
            0,
        );
        assert_eq!(found[0].fq_name.join(":"), "d:p:b");
        assert_eq!(found[0].release, [(ObjectType::VirtualNetwork, "d:p:a".to_owned())]);
        assert!(found[1].release.is_empty());
    }
}

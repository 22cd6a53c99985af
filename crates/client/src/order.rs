//! Which object comes before which: parents and referenced objects first when creating, last when deleting.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use serde_json::{Map, Value};
use weft_model::ObjectType;

use crate::check;
use crate::documents::Document;

/// What names an object: its type and full name.
pub type Key = (ObjectType, Vec<String>);

/// Puts parents and referenced objects of the same set before those that need them, keeping the given order otherwise.
/// Where objects refer to each other in a circle, one of them comes before what it refers to.
pub fn order(documents: Vec<Document>) -> Vec<Document> {
    let links = links(documents.iter().map(|d| (d.kind, d.fq_name.as_slice(), &d.fields)));
    let sequence = sequence(&links);
    let mut slots: Vec<Option<Document>> = documents.into_iter().map(Some).collect();
    sequence.into_iter().filter_map(|i| slots[i].take()).collect()
}

/// What one object of a list needs of the others, by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// Its parent.
    pub(crate) parent: Option<usize>,
    /// The objects it refers to.
    pub(crate) refs: BTreeSet<usize>,
}

/// The links between the objects of a list, each given as type, name and fields.
pub(crate) fn links<'a>(
    objects: impl Iterator<Item = (ObjectType, &'a [String], &'a Map<String, Value>)> + Clone,
) -> Vec<Links> {
    let index = objects.clone().enumerate().map(|(i, (kind, name, _))| ((kind, name.to_vec()), i));
    let index: BTreeMap<Key, usize> = index.collect();
    objects
        .map(|(kind, name, fields)| {
            let parent = parent(fields, name).and_then(|key| index.get(&key).copied());
            let refs = references(kind, fields).filter_map(|(key, _)| index.get(&key).copied()).collect();
            Links { parent, refs }
        })
        .collect()
}

/// The parent that the fields name.
pub(crate) fn parent(fields: &Map<String, Value>, fq_name: &[String]) -> Option<Key> {
    let kind = fields.get("parent_type")?.as_str()?.parse::<ObjectType>().ok()?;
    let (_, rest) = fq_name.split_last()?;
    (kind != ObjectType::ConfigRoot).then(|| (kind, rest.to_vec()))
}

/// All objects that the fields refer to by name, with the path of the reference.
pub(crate) fn references(
    kind: ObjectType,
    fields: &Map<String, Value>,
) -> impl Iterator<Item = (Key, String)> {
    fields
        .iter()
        .filter_map(move |(field, value)| Some((field, check::target(kind, field)?, value)))
        .flat_map(|(field, to, value)| {
            let items = value.as_array().into_iter().flatten().enumerate();
            items.filter_map(move |(i, item)| Some(((to, target(item)?), format!("{field}[{i}]"))))
        })
}

/// The name that a reference gives.
pub(crate) fn target(reference: &Value) -> Option<Vec<String>> {
    let parts = reference.get("to")?.as_array()?;
    Some(parts.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// An order in which what is needed comes first, and otherwise the lower index. In a circle the references of one object
/// are passed over; parents always come first.
pub(crate) fn sequence(links: &[Links]) -> Vec<usize> {
    let needs = |i: usize| {
        links[i].refs.iter().copied().chain(links[i].parent).filter(move |n| *n != i).collect::<BTreeSet<_>>()
    };
    let mut missing: Vec<usize> = (0..links.len()).map(|i| needs(i).len()).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); links.len()];
    (0..links.len()).for_each(|i| needs(i).into_iter().for_each(|n| needed_by[n].push(i)));
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..links.len()).filter(|i| missing[*i] == 0).map(Reverse).collect();
    let mut waiting: BTreeSet<usize> = (0..links.len()).filter(|i| missing[*i] > 0).collect();
    let mut sequence = Vec::with_capacity(links.len());
    loop {
        let next = match ready.pop() {
            Some(Reverse(next)) => next,
            None => {
                let orphan = |i: &&usize| links[**i].parent.is_none_or(|p| !waiting.contains(&p) || p == **i);
                let Some(next) = waiting.iter().find(orphan).or(waiting.first()).copied() else { break };
                waiting.remove(&next);
                next
            }
        };
        sequence.push(next);
        for other in &needed_by[next] {
            missing[*other] -= 1;
            if missing[*other] == 0 && waiting.remove(other) {
                ready.push(Reverse(*other));
            }
        }
    }
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::parse;

    fn names(text: &str) -> Vec<String> {
        order(parse(text, "t").unwrap()).iter().map(Document::name).collect()
    }

    #[test]
    fn parents_and_references_come_first() {
        let text = "- virtual-network: {fq_name: d:p:n, network_policy_refs: [d:p:x]}\n- network-policy: {fq_name: d:p:x}\n- project: {fq_name: d:p}\n- project: {fq_name: d:q}\n";
        assert_eq!(names(text), ["d:p", "d:p:x", "d:p:n", "d:q"]);
    }

    #[test]
    fn circles_are_broken_but_never_between_parent_and_child() {
        let both = "- virtual-network: {fq_name: d:p:a, virtual_network_refs: [d:p:b]}\n- virtual-network: {fq_name: d:p:b, virtual_network_refs: [d:p:a]}\n- project: {fq_name: d:p}\n";
        assert_eq!(names(both), ["d:p", "d:p:a", "d:p:b"]);
        let own = "virtual-network: {fq_name: d:p:a, virtual_network_refs: [d:p:a]}";
        assert_eq!(names(own), ["d:p:a"]);
        let links = [
            Links { parent: Some(1), refs: BTreeSet::new() },
            Links { parent: None, refs: [2].into() },
            Links { parent: None, refs: [0].into() },
        ];
        assert_eq!(sequence(&links), [1, 0, 2]);
    }
}

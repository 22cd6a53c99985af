//! Bringing objects to a wanted state: create what is absent, change what differs, leave the rest alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};
use weft_model::{FqName, ObjectType};

use crate::diff::{Difference, compare, compare_refs};
use crate::documents::Document;
use crate::{Api, ClientError};

/// Fields that name an object rather than describe it: never sent in an update.
const IDENTITY: [&str; 7] = ["fq_name", "uuid", "parent_type", "parent_uuid", "parent_href", "href", "name"];

/// What was done, or in a dry run would be done, with one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It did not exist.
    Created,
    /// Some fields differed.
    Updated,
    /// Nothing to do.
    Unchanged,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        })
    }
}

/// The outcome for one object.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Type of the object.
    pub kind: ObjectType,
    /// Its full name.
    pub fq_name: Vec<String>,
    /// Its uuid; none in a dry run that would create it.
    pub uuid: Option<String>,
    /// What was done.
    pub action: Action,
    /// The difference, one line each: `+ path: value`, `- path: value`, `~ path: old -> new`.
    pub changes: Vec<String>,
}

/// Applies objects in an order in which parents and references come first (see [`order`]).
///
/// # Errors
/// At the first object the server refuses; earlier ones stay applied.
pub async fn apply(api: &Api, documents: Vec<Document>, dry_run: bool) -> Result<Vec<Applied>, ClientError> {
    let mut done = Vec::new();
    for document in order(documents) {
        done.push(apply_one(api, &document, dry_run).await?);
    }
    Ok(done)
}

/// Applies one object.
///
/// # Errors
/// As the server answers.
pub async fn apply_one(api: &Api, document: &Document, dry_run: bool) -> Result<Applied, ClientError> {
    let kind = document.kind;
    let done =
        |uuid, action, changes| Applied { kind, fq_name: document.fq_name.clone(), uuid, action, changes };
    let Some(uuid) = api.find(kind, &FqName(document.fq_name.clone())).await? else {
        let changes = wanted_fields(document).map(|(k, v)| format!("+ {k}: {v}")).collect();
        if dry_run {
            return Ok(done(None, Action::Created, changes));
        }
        let answer = api.create(kind, &document.fields).await?;
        let uuid = answer.get("uuid").and_then(Value::as_str).map(str::to_owned);
        return Ok(done(uuid, Action::Created, changes));
    };
    let present = api.read(kind, &uuid).await?;
    let (fields, differences) = changed_fields(&present, document);
    let changes = differences.iter().map(render).collect();
    if fields.is_empty() {
        return Ok(done(Some(uuid), Action::Unchanged, changes));
    }
    if !dry_run {
        api.update(kind, &uuid, &fields).await?;
    }
    Ok(done(Some(uuid), Action::Updated, changes))
}

fn wanted_fields(document: &Document) -> impl Iterator<Item = (&String, &Value)> {
    document.fields.iter().filter(|(name, _)| !IDENTITY.contains(&name.as_str()))
}

fn changed_fields(present: &Value, document: &Document) -> (Map<String, Value>, Vec<Difference>) {
    let mut fields = Map::new();
    let mut all = Vec::new();
    for (name, wanted) in wanted_fields(document) {
        let before = all.len();
        let have = present.get(name);
        if name.ends_with("_refs") {
            compare_refs(name, have, wanted, &mut all);
        } else {
            compare(name, have, wanted, &mut all);
        }
        if all.len() > before {
            let value = if wanted.is_null() && name.ends_with("_refs") { json!([]) } else { wanted.clone() };
            fields.insert(name.clone(), value);
        }
    }
    (fields, all)
}

fn render(difference: &Difference) -> String {
    let Difference { path, old, new } = difference;
    match (old, new) {
        (Some(old), Some(new)) => format!("~ {path}: {old} -> {new}"),
        (Some(old), None) => format!("- {path}: {old}"),
        (None, Some(new)) => format!("+ {path}: {new}"),
        (None, None) => format!("~ {path}"),
    }
}

/// Puts parents and referenced objects of the same set before those that need them, keeping the given order otherwise.
/// Objects that need each other stay in the given order.
pub fn order(documents: Vec<Document>) -> Vec<Document> {
    let index: BTreeMap<(ObjectType, Vec<String>), usize> =
        documents.iter().enumerate().map(|(i, d)| ((d.kind, d.fq_name.clone()), i)).collect();
    let needs: Vec<BTreeSet<usize>> = documents.iter().map(|d| needed(d, &index)).collect();
    let mut placed = vec![false; documents.len()];
    let mut sequence = Vec::with_capacity(documents.len());
    while sequence.len() < documents.len() {
        let free = |i: &usize| !placed[*i];
        let ready =
            (0..documents.len()).filter(free).find(|i| needs[*i].iter().all(|n| placed[*n] || n == i));
        let Some(next) = ready.or_else(|| (0..documents.len()).find(free)) else { break };
        placed[next] = true;
        sequence.push(next);
    }
    let mut slots: Vec<Option<Document>> = documents.into_iter().map(Some).collect();
    sequence.into_iter().filter_map(|i| slots[i].take()).collect()
}

fn needed(document: &Document, index: &BTreeMap<(ObjectType, Vec<String>), usize>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let parent =
        document.fields.get("parent_type").and_then(Value::as_str).and_then(|t| t.parse::<ObjectType>().ok());
    if let (Some(parent), Some((_, rest))) = (parent, document.fq_name.split_last()) {
        found.extend(index.get(&(parent, rest.to_vec())));
    }
    for (field, value) in &document.fields {
        let Some(kind) = field.strip_suffix("_refs").and_then(|t| t.parse::<ObjectType>().ok()) else {
            continue;
        };
        for item in value.as_array().into_iter().flatten() {
            let to = item.get("to").and_then(Value::as_array).into_iter().flatten();
            let name: Vec<String> = to.filter_map(Value::as_str).map(str::to_owned).collect();
            found.extend(index.get(&(kind, name)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::parse;

    #[test]
    fn parents_and_references_come_first() {
        let text = "- virtual-network: {fq_name: d:p:n, network_policy_refs: [d:p:x]}\n- network-policy: {fq_name: d:p:x}\n- project: {fq_name: d:p}\n- project: {fq_name: d:q}\n";
        let names: Vec<String> = order(parse(text, "t").unwrap()).iter().map(Document::name).collect();
        assert_eq!(names, ["d:p", "d:p:x", "d:p:n", "d:q"]);
    }

    #[test]
    fn objects_that_need_each_other_are_all_kept() {
        let text = "- virtual-network: {fq_name: d:p:a, virtual_network_refs: [d:p:b]}\n- virtual-network: {fq_name: d:p:b, virtual_network_refs: [d:p:a]}\n";
        assert_eq!(order(parse(text, "t").unwrap()).len(), 2);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let document =
            &parse("virtual-network: {fq_name: d:p:n, is_shared: true, network_policy_refs: []}", "t")
                .unwrap()[0];
        let present =
            json!({"is_shared": true, "network_policy_refs": [{"to": ["d", "p", "x"], "uuid": "1"}]});
        let (fields, differences) = changed_fields(&present, document);
        assert_eq!(Value::Object(fields), json!({"network_policy_refs": []}));
        assert_eq!(render(&differences[0]).split('{').next(), Some("- network_policy_refs[d:p:x]: "));
    }
}

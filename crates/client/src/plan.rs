//! From objects in files and objects of a server to what has to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};
use weft_model::{FqName, ObjectType};

use crate::diff::{Difference, compare, compare_refs, merge, merge_refs};
use crate::documents::Document;
use crate::order::{self, Key, Links};
use crate::source::Mistake;
use crate::{Api, ClientError, api, check, prune};

/// The annotation that says which set of files made an object.
pub const SET_ANNOTATION: &str = "weft.io/set";
/// Parts of `id_perms` that the server keeps itself.
const SERVER_KEPT: [&str; 3] = ["uuid", "created", "last_modified"];

/// What is to be done besides creating and changing.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of the set that the objects are members of.
    pub set: Option<String>,
    /// Delete the members of the set that are not among the objects.
    pub prune: bool,
    /// Existing objects become members of the set, also those of other sets.
    pub adopt: bool,
}

/// What is to be done with one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It does not exist.
    Create,
    /// Some fields differ.
    Update,
    /// Nothing.
    Keep,
    /// It was made by the set and is not in it any more.
    Delete,
}

impl Verb {
    /// The word for what was done.
    pub fn done(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Update => "updated",
            Self::Keep => "unchanged",
            Self::Delete => "deleted",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Keep => "keep",
            Self::Delete => "delete",
        })
    }
}

/// What is to be done with one object, in full.
#[derive(Debug, Clone)]
pub struct Step {
    /// What.
    pub verb: Verb,
    /// Type of the object.
    pub kind: ObjectType,
    /// Its full name.
    pub fq_name: Vec<String>,
    /// Its uuid, if it exists.
    pub uuid: Option<String>,
    /// What the server is sent.
    pub fields: Map<String, Value>,
    /// References to objects that come later: sent when all are there.
    pub later: Map<String, Value>,
    /// Objects (type and uuid) whose reference to this one is to be taken away before it can be deleted.
    pub release: Vec<(ObjectType, String)>,
    /// The object as the server has it.
    pub before: Option<Value>,
    /// The difference, one line each: `+ path: value`, `- path: value`, `~ path: old -> new`.
    pub changes: Vec<String>,
    /// Earlier steps that must have succeeded.
    pub needs: Vec<usize>,
    /// The description in a file; none for objects that are deleted.
    pub document: Option<Document>,
}

impl Step {
    /// Type and name, for messages.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.fq_name.join(":"))
    }

    /// The object as it will be; none when it is deleted.
    pub fn after(&self) -> Option<Value> {
        let mut object = match (self.verb, &self.before) {
            (Verb::Delete, _) => return None,
            (_, Some(before)) => before.clone(),
            (_, None) => json!({}),
        };
        for (name, value) in self.fields.iter().chain(&self.later) {
            object[name] = value.clone();
        }
        Some(object)
    }
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// One step for each object.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether anything is to be done.
    pub fn is_change(&self) -> bool {
        self.steps.iter().any(|s| s.verb != Verb::Keep)
    }
}

/// Compares objects with those of the server. Nothing is written.
///
/// # Errors
/// [`ClientError::Mistakes`] for parents and references that are neither among the objects nor on the server and for
/// members of other sets; what the server answers.
pub async fn plan(api: &Api, documents: Vec<Document>, options: &Options) -> Result<Plan, ClientError> {
    let documents = order::order(documents);
    let present = objects(api, &documents).await?;
    let mut mistakes = missing(api, &documents).await?;
    let links = order::links(documents.iter().map(|d| (d.kind, d.fq_name.as_slice(), &d.fields)));
    let wanted: BTreeSet<Key> = documents.iter().map(|d| (d.kind, d.fq_name.clone())).collect();
    let mut steps: Vec<Step> = Vec::with_capacity(documents.len());
    for document in documents {
        let found = present.get(&(document.kind, document.fq_name.clone()));
        match decide(document, found, options) {
            Ok(step) => steps.push(step),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if !mistakes.is_empty() {
        return Err(ClientError::Mistakes(mistakes));
    }
    link(&mut steps, &links);
    if let (true, Some(set)) = (options.prune, &options.set) {
        let members = prune::members(api, set).await?;
        let gone = members.into_iter().filter(|m| !wanted.contains(&(m.kind, m.fq_name.clone())));
        let first = steps.len();
        steps.extend(prune::steps(gone.collect(), first));
    }
    Ok(Plan { steps })
}

/// What is to be done with one object that the server may have.
pub(crate) fn decide(
    document: Document,
    present: Option<&Value>,
    options: &Options,
) -> Result<Step, Mistake> {
    let uuid = present.and_then(|p| p["uuid"].as_str()).map(str::to_owned);
    let annotations = annotations(&document, present, options)?;
    let (verb, fields, changes) = match present {
        None => {
            let mut fields = document.fields.clone();
            fields.retain(|name, _| !check::belongs_to_others(document.kind, name));
            fields.extend(annotations.map(|a| ("annotations".to_owned(), a)));
            let shown = fields.iter().filter(|(name, _)| !check::IDENTITY.contains(&name.as_str()));
            let changes = shown.map(|(name, value)| format!("+ {name}: {value}")).collect();
            (Verb::Create, fields, changes)
        }
        Some(present) => {
            let (fields, differences) = changed_fields(present, &document, annotations);
            let verb = if fields.is_empty() { Verb::Keep } else { Verb::Update };
            (verb, fields, differences.iter().map(render).collect())
        }
    };
    let (kind, fq_name, before) = (document.kind, document.fq_name.clone(), present.cloned());
    let (later, release, needs, document) = (Map::new(), Vec::new(), Vec::new(), Some(document));
    Ok(Step { verb, kind, fq_name, uuid, fields, later, release, before, changes, needs, document })
}

/// Notes which steps need which, and puts references to objects that come later off.
fn link(steps: &mut [Step], links: &[Links]) {
    let absent: Vec<bool> = steps.iter().map(|s| s.verb == Verb::Create).collect();
    let names: Vec<Key> = steps.iter().map(|s| (s.kind, s.fq_name.clone())).collect();
    for (own, step) in steps.iter_mut().enumerate() {
        let all = links[own].refs.iter().chain(&links[own].parent).copied();
        step.needs = all.filter(|n| absent[*n] && *n < own).collect();
        let later: Vec<&Key> =
            links[own].refs.iter().filter(|n| absent[**n] && **n >= own).map(|n| &names[*n]).collect();
        for (to, name) in later {
            let Some(all) = step.fields.get(to.refs_field()).cloned() else { continue };
            if let Some(now) = step.fields.get_mut(to.refs_field()).and_then(Value::as_array_mut) {
                now.retain(|item| order::target(item).as_ref() != Some(name));
            }
            step.later.entry(to.refs_field()).or_insert(all);
        }
    }
}

/// The annotations that the object is to have, where that is not left alone: those of the file, and the set's.
fn annotations(
    document: &Document,
    present: Option<&Value>,
    options: &Options,
) -> Result<Option<Value>, Mistake> {
    let before = present.and_then(set_of);
    if let (Some(before), Some(set), Some(origin)) = (before, &options.set, &document.origin)
        && before != set
        && !options.adopt
    {
        let title = format!("{} {}", document.kind, document.name());
        let text = format!(
            "{title} belongs to the set {before}, not to {set}: apply it with --set {before}, or move it here with --adopt"
        );
        return Err(origin.mistake("", text));
    }
    let joins = present.is_none() || options.adopt;
    let set = options.set.as_deref().filter(|_| joins).or(before);
    let own = document.fields.get("annotations");
    if own.is_none() && set == before {
        return Ok(None);
    }
    let shown = if own.is_some() { own } else { present.and_then(|p| p.get("annotations")) };
    let mut pairs: Vec<Value> = pairs(shown).filter(|p| p["key"] != SET_ANNOTATION).cloned().collect();
    pairs.extend(set.map(|set| json!({"key": SET_ANNOTATION, "value": set})));
    Ok(Some(json!({ "key_value_pair": pairs })))
}

fn pairs(annotations: Option<&Value>) -> impl Iterator<Item = &Value> {
    annotations.and_then(|a| a.get("key_value_pair")).and_then(Value::as_array).into_iter().flatten()
}

/// The set that an object is a member of.
pub fn set_of(object: &Value) -> Option<&str> {
    pairs(object.get("annotations")).find(|p| p["key"] == SET_ANNOTATION).and_then(|p| p["value"].as_str())
}

/// The fields to send, and what is different in them.
pub(crate) fn changed_fields(
    present: &Value,
    document: &Document,
    annotations: Option<Value>,
) -> (Map<String, Value>, Vec<Difference>) {
    let (mut fields, mut all) = (Map::new(), Vec::new());
    let kind = document.kind;
    for (name, wanted) in &document.fields {
        let (before, have) = (all.len(), present.get(name));
        if name == "annotations" || !is_written(kind, name) || is_default(document, name, wanted, have) {
            continue;
        }
        let merged = if check::target(kind, name).is_some() {
            compare_refs(name, have, wanted, &mut all);
            merge_refs(have, wanted)
        } else {
            let wanted = &without_kept(name, wanted);
            compare(name, have, wanted, &mut all);
            merge(have, wanted)
        };
        if all.len() > before {
            fields.insert(name.clone(), merged);
        }
    }
    if let Some(wanted) = annotations {
        let before = all.len();
        let as_map = |annotations: Option<&Value>| -> Value {
            pairs(annotations)
                .filter_map(|p| Some((p["key"].as_str()?.to_owned(), p["value"].clone())))
                .collect::<Map<_, _>>()
                .into()
        };
        let (have, want) = (as_map(present.get("annotations")), as_map(Some(&wanted)));
        compare_maps("annotations", &have, &want, &mut all);
        if all.len() > before {
            fields.insert("annotations".into(), wanted);
        }
    }
    (fields, all)
}

/// Compares in both directions: what is not wanted is a difference as well.
fn compare_maps(path: &str, have: &Value, want: &Value, into: &mut Vec<Difference>) {
    compare(path, Some(have), want, into);
    let gone = have.as_object().into_iter().flatten().filter(|(key, _)| want.get(key.as_str()).is_none());
    into.extend(gone.map(|(key, value)| Difference {
        path: format!("{path}.{key}"),
        old: Some(value.clone()),
        new: None,
    }));
}

/// Fields that a client may set: neither names, nor what other objects say, nor what the system writes.
pub(crate) fn is_written(kind: ObjectType, name: &str) -> bool {
    if check::IDENTITY.contains(&name) || check::belongs_to_others(kind, name) {
        return false;
    }
    match check::target(kind, name) {
        Some(to) => kind.info().reference(to).is_some_and(|r| !r.system),
        None => kind.info().prop(name).is_some_and(|p| !p.system),
    }
}

/// Whether nothing is wanted of a field and the server shows what nothing stands for.
fn is_default(document: &Document, name: &str, wanted: &Value, have: Option<&Value>) -> bool {
    let Some(have) = have.filter(|_| wanted.is_null()) else { return false };
    let default = document.kind.info().prop(name).and_then(|p| p.default_value());
    let own_name = name == "display_name" && have.as_str() == document.fq_name.last().map(String::as_str);
    own_name || default.as_ref() == Some(have)
}

fn without_kept(name: &str, wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    if let ("id_perms", Some(map)) = (name, wanted.as_object_mut()) {
        map.retain(|key, _| !SERVER_KEPT.contains(&key.as_str()));
    }
    wanted
}

pub(crate) fn render(difference: &Difference) -> String {
    let Difference { path, old, new } = difference;
    match (old, new) {
        (Some(old), Some(new)) => format!("~ {path}: {old} -> {new}"),
        (Some(old), None) => format!("- {path}: {old}"),
        (None, Some(new)) => format!("+ {path}: {new}"),
        (None, None) => format!("~ {path}"),
    }
}

/// The objects of these names that the server has, whole.
async fn objects(api: &Api, documents: &[Document]) -> Result<BTreeMap<Key, Value>, ClientError> {
    let mut names: BTreeMap<ObjectType, Vec<Vec<String>>> = BTreeMap::new();
    for document in documents {
        names.entry(document.kind).or_default().push(document.fq_name.clone());
    }
    let mut found = BTreeMap::new();
    for (kind, names) in names {
        for object in api.by_names(kind, &names, true).await? {
            found.insert((kind, api::fq_name_of(&object)), object);
        }
    }
    Ok(found)
}

/// Parents and references that are nowhere: the places that name them.
async fn missing(api: &Api, documents: &[Document]) -> Result<Vec<Mistake>, ClientError> {
    let own: BTreeSet<Key> = documents.iter().map(|d| (d.kind, d.fq_name.clone())).collect();
    let mut asked: BTreeMap<ObjectType, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (key, ..) in documents.iter().flat_map(needs).filter(|(key, ..)| !own.contains(key)) {
        asked.entry(key.0).or_default().insert(key.1);
    }
    let mut there: BTreeSet<Key> = own;
    for (kind, names) in asked {
        let names: Vec<Vec<String>> = names.into_iter().collect();
        let found = api.by_names(kind, &names, false).await?;
        there.extend(found.iter().map(|o| (kind, api::fq_name_of(o))));
    }
    let absent = documents.iter().flat_map(|d| needs(d).map(move |need| (d, need)));
    let absent = absent.filter(|(_, (key, ..))| !there.contains(key));
    Ok(absent.filter_map(|(document, (key, path, what))| nowhere(document, &key, &path, what)).collect())
}

/// What a document needs of others: by key, with the path that names it and what it is.
fn needs(document: &Document) -> impl Iterator<Item = (Key, String, &'static str)> {
    let parent = order::parent(&document.fields, &document.fq_name);
    let parent = parent.map(|key| (key, "fq_name".to_owned(), "parent"));
    let refs = order::references(document.kind, &document.fields).map(|(key, path)| (key, path, "reference"));
    // Derived objects appear by themselves when what they are made of is there.
    parent.into_iter().chain(refs).filter(|((kind, _), ..)| !kind.info().derived)
}

fn nowhere(document: &Document, key: &Key, path: &str, what: &str) -> Option<Mistake> {
    let (kind, name) = (key.0, FqName(key.1.clone()));
    let title = format!("{} {}", document.kind, document.name());
    let text =
        format!("{title}: {what} {kind} {name} does not exist, neither in the files nor on the server");
    Some(document.origin.as_ref()?.mistake(path, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::parse;

    fn step(text: &str, present: Option<Value>, options: &Options) -> Result<Step, Mistake> {
        decide(parse(text, "t").unwrap().remove(0), present.as_ref(), options)
    }

    fn in_set(set: &str) -> Options {
        Options { set: Some(set.to_owned()), ..Options::default() }
    }

    fn annotated(set: &str) -> Value {
        json!({"uuid": "1", "annotations": {"key_value_pair": [{"key": "a", "value": "b"}, {"key": SET_ANNOTATION, "value": set}]}})
    }

    const NETWORK: &str = "virtual-network: {fq_name: d:p:n}";

    #[test]
    fn only_what_differs_is_sent() {
        let text = "virtual-network: {fq_name: d:p:n, is_shared: true, network_policy_refs: [], mac_aging_time: null, id_perms: {created: x, enable: true}, display_name: null}";
        let present = json!({"uuid": "u", "is_shared": true, "network_policy_refs": [{"to": ["d", "p", "x"], "uuid": "1"}],
            "mac_aging_time": 300, "id_perms": {"created": "y", "enable": true}, "display_name": "n"});
        let step = step(text, Some(present), &Options::default()).unwrap();
        assert_eq!(
            (step.verb, Value::Object(step.fields)),
            (Verb::Update, json!({"network_policy_refs": []}))
        );
        assert_eq!(step.changes[0].split('{').next(), Some("- network_policy_refs[d:p:x]: "));
    }

    #[test]
    fn made_objects_are_members_and_those_of_others_are_not() {
        let made = step(NETWORK, None, &in_set("s")).unwrap();
        assert_eq!(
            made.fields["annotations"],
            json!({"key_value_pair": [{"key": SET_ANNOTATION, "value": "s"}]})
        );
        // Made by others: changed where it differs, but never a member.
        let found = step(NETWORK, Some(json!({"uuid": "1"})), &in_set("s")).unwrap();
        assert_eq!(found.verb, Verb::Keep);
        let adopted =
            step(NETWORK, Some(json!({"uuid": "1"})), &Options { adopt: true, ..in_set("s") }).unwrap();
        assert_eq!(adopted.fields.keys().collect::<Vec<_>>(), ["annotations"]);
        assert_eq!(step(NETWORK, None, &Options::default()).unwrap().fields.get("annotations"), None);
    }

    #[test]
    fn membership_outlives_other_changes_of_the_annotations() {
        for options in [in_set("s"), Options::default()] {
            assert_eq!(step(NETWORK, Some(annotated("s")), &options).unwrap().verb, Verb::Keep);
            let text =
                "virtual-network: {fq_name: d:p:n, annotations: {key_value_pair: [{key: c, value: d}]}}";
            let step = step(text, Some(annotated("s")), &options).unwrap();
            let pairs = json!({"key_value_pair": [{"key": "c", "value": "d"}, {"key": SET_ANNOTATION, "value": "s"}]});
            assert_eq!(step.fields["annotations"], pairs);
            assert_eq!(step.changes, ["+ annotations.c: \"d\"", "- annotations.a: \"b\""]);
        }
    }

    #[test]
    fn members_of_other_sets_are_not_taken() {
        let refused = step(NETWORK, Some(annotated("other")), &in_set("s")).unwrap_err().to_string();
        assert!(refused.starts_with("t:1:1: virtual-network d:p:n belongs to the set other"), "{refused}");
        let taken = step(NETWORK, Some(annotated("other")), &Options { adopt: true, ..in_set("s") }).unwrap();
        assert_eq!(set_of(&taken.after().unwrap()), Some("s"));
    }

    #[test]
    fn references_in_a_circle_are_put_off() {
        let text = "- virtual-network: {fq_name: d:p:a, virtual_network_refs: [d:p:b, d:p:a, d:p:z]}\n- virtual-network: {fq_name: d:p:b, virtual_network_refs: [d:p:a]}\n";
        let documents = order::order(parse(text, "t").unwrap());
        let links = order::links(documents.iter().map(|d| (d.kind, d.fq_name.as_slice(), &d.fields)));
        let decided = documents.into_iter().map(|d| decide(d, None, &Options::default()).unwrap());
        let mut steps: Vec<Step> = decided.collect();
        link(&mut steps, &links);
        assert_eq!(steps[0].fields["virtual_network_refs"], json!([{"to": ["d", "p", "z"]}]));
        assert_eq!(steps[0].later["virtual_network_refs"].as_array().unwrap().len(), 3);
        assert_eq!((steps[1].needs.as_slice(), steps[1].later.len()), ([0].as_slice(), 0));
    }
}

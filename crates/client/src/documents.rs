//! Objects from files: YAML (several documents) or JSON, each document one object, a list of objects, or a map of them.
//!
//! An object is the body of a REST request, `{virtual-network: {fq_name: [...], ...}}`. Names may be written shorter than
//! REST wants them, and are completed here: `fq_name: a:b:c`, references as `a:b:c` or `[a, b, c]`, and the parent's type
//! left out where the length of the name tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_model::ObjectType;

use crate::source::{self, Inner, Mistake, Node, Origin};
use crate::{ClientError, api, check};

/// One object as REST wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its type.
    pub kind: ObjectType,
    /// Its full name.
    pub fq_name: Vec<String>,
    /// Its fields, names completed; without the wrapper.
    pub fields: Map<String, Value>,
    /// Where it stands in a file, when it was read from one.
    pub origin: Option<Arc<Origin>>,
}

impl Document {
    /// The name as one word, `a:b:c`.
    pub fn name(&self) -> String {
        self.fq_name.join(":")
    }

    /// An error of the server about this object, at the place in the file that it talks of.
    pub fn blame(&self, error: ClientError) -> ClientError {
        match (&self.origin, error) {
            (Some(origin), ClientError::Status { status, message, .. }) if status < 500 && status != 401 => {
                let text = format!("{} {}: {message} ({status})", self.kind, self.name());
                let position = Some(origin.locate(&message));
                ClientError::Mistakes(vec![Mistake { file: origin.file().to_owned(), position, text }])
            }
            (_, other) => other,
        }
    }
}

/// Reads and checks all objects of a text; `file` names it in errors.
///
/// # Errors
/// [`ClientError::Mistakes`]: all of them, each with line and column. Syntax errors, unknown types, missing or malformed
/// names, unknown fields, values that the declarations of the model do not allow, objects that are there twice.
pub fn parse(text: &str, file: &str) -> Result<Vec<Document>, ClientError> {
    let mut mistakes = Vec::new();
    let documents = collect(text, file, &mut mistakes);
    mistakes.extend(duplicates(&documents));
    if mistakes.is_empty() { Ok(documents) } else { Err(ClientError::Mistakes(mistakes)) }
}

/// Reads several texts, each given with the name of its file, as one set of objects.
///
/// # Errors
/// As [`parse`], the mistakes of all texts together.
pub fn parse_all(texts: &[(String, String)]) -> Result<Vec<Document>, ClientError> {
    let (mut documents, mut mistakes) = (Vec::new(), Vec::new());
    for (file, text) in texts {
        documents.extend(collect(text, file, &mut mistakes));
    }
    mistakes.extend(duplicates(&documents));
    if mistakes.is_empty() { Ok(documents) } else { Err(ClientError::Mistakes(mistakes)) }
}

fn collect(text: &str, file: &str, mistakes: &mut Vec<Mistake>) -> Vec<Document> {
    let nodes = match source::read(text, file) {
        Ok(nodes) => nodes,
        Err(mistake) => {
            mistakes.push(mistake);
            return Vec::new();
        }
    };
    let (file, mut documents) = (Arc::from(file), Vec::new());
    for node in nodes {
        match node.inner {
            Inner::Scalar(Value::Null) => {}
            Inner::List(items) => {
                items.iter().for_each(|item| objects(item, &file, &mut documents, mistakes))
            }
            _ => objects(&node, &file, &mut documents, mistakes),
        }
    }
    documents
}

/// The objects of one `{type: {...}}` map.
fn objects(node: &Node, file: &Arc<str>, into: &mut Vec<Document>, mistakes: &mut Vec<Mistake>) {
    let mut mistake = |position, text| {
        mistakes.push(Mistake { file: file.to_string(), position: Some(position), text });
    };
    let Inner::Map(entries) = &node.inner else {
        let text =
            format!("{} is no object: write {{virtual-network: {{fq_name: [...]}}}}", shorten(&node.value()));
        return mistake(node.position, text);
    };
    for (type_name, position, body) in entries {
        let kind = match api::object_type(type_name) {
            Ok(kind) => kind,
            Err(e) => {
                mistake(*position, e.to_string());
                continue;
            }
        };
        let Value::Object(fields) = body.value() else {
            mistake(*position, format!("{kind}: the object's fields are missing"));
            continue;
        };
        let origin = Origin::new(file, *position, body);
        match complete(kind, fields) {
            Ok(document) => {
                let place = format!("{kind} {}", document.name());
                for fault in check::object(kind, &document.fields) {
                    let at = if fault.key { origin.key(&fault.path) } else { origin.value(&fault.path) };
                    mistake(at, format!("{place}: {}", fault.text));
                }
                into.push(Document { origin: Some(Arc::new(origin)), ..document });
            }
            Err((path, text)) => mistake(origin.value(&path), text),
        }
    }
}

/// Objects described more than once.
fn duplicates(documents: &[Document]) -> Vec<Mistake> {
    let mut seen: BTreeMap<(ObjectType, &[String]), &Document> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for document in documents {
        let earlier = seen.insert((document.kind, &document.fq_name), document);
        if let (Some(earlier), Some(origin)) = (earlier, &document.origin) {
            let first = earlier.origin.as_ref().map(|o| format!(" at {}:{}", o.file(), o.value("")));
            let text = format!(
                "{} {} is there twice, first{}",
                document.kind,
                document.name(),
                first.unwrap_or_default()
            );
            mistakes.push(origin.mistake("", text));
        }
    }
    mistakes
}

/// The objects of one `{type: {...}}` map.
///
/// # Errors
/// Unknown types, missing or malformed names.
pub fn from_map(map: Map<String, Value>) -> Result<Vec<Document>, ClientError> {
    map.into_iter()
        .map(|(type_name, body)| {
            let kind = api::object_type(&type_name)?;
            let Value::Object(fields) = body else {
                return Err(bad(&type_name, "the object's fields are missing".into()));
            };
            complete(kind, fields)
                .map_err(|(_, text)| ClientError::Document { place: String::new(), reason: text })
        })
        .collect()
}

/// The object with its names completed; the error is the path of the field and what is wrong with it.
fn complete(kind: ObjectType, mut fields: Map<String, Value>) -> Result<Document, (String, String)> {
    let fault = |path: &str, text: String| (path.to_owned(), text);
    let fq_name = match fields.get("fq_name") {
        None => return Err(fault("", format!("{kind}: fq_name is missing: write [a, b, c] or a:b:c"))),
        Some(value) => names(value, kind).ok_or_else(|| {
            let value = shorten(value);
            fault("fq_name", format!("{kind}: invalid value {value} for fq_name: write [a, b, c] or a:b:c"))
        })?,
    };
    let place = format!("{} {}", kind.name(), fq_name.join(":"));
    fields.insert("fq_name".into(), json!(fq_name));
    if !fields.contains_key("parent_type")
        && let Some(parent) = parent_of(kind, fq_name.len())
    {
        fields.insert("parent_type".into(), json!(parent.name()));
    }
    for (field, value) in &mut fields {
        let refs = field.strip_suffix("_refs").filter(|_| !check::belongs_to_others(kind, field));
        if let Some(target) = refs {
            let target = target.parse().unwrap_or(kind);
            complete_refs(value, target).map_err(|index| {
                let path = index.map_or(field.clone(), |i| format!("{field}[{i}]"));
                fault(
                    &path,
                    format!("{place}: {path}: a reference is a:b:c, [a, b, c], {{to: ..}} or {{uuid: ..}}"),
                )
            })?;
        }
    }
    Ok(Document { kind, fq_name, fields, origin: None })
}

/// The one legal parent type whose names are one part shorter; none for root types or when several fit.
fn parent_of(kind: ObjectType, parts: usize) -> Option<ObjectType> {
    let mut fits = kind.info().parents.iter().copied().filter(|p| depth(*p) + 1 == parts && depth(*p) > 0);
    fits.next().filter(|_| fits.next().is_none())
}

/// Number of parts in the names of a type's objects: 0 for the root itself.
fn depth(kind: ObjectType) -> usize {
    if kind == ObjectType::ConfigRoot {
        return 0;
    }
    kind.info().parents.iter().map(|p| depth(*p)).min().unwrap_or(0) + 1
}

/// The parts of a name; a route target's name is one part with colons in it.
fn names(value: &Value, kind: ObjectType) -> Option<Vec<String>> {
    match value {
        Value::String(text) if kind == ObjectType::RouteTarget => Some(vec![text.clone()]),
        Value::String(text) => Some(text.split(':').map(str::to_owned).collect()),
        Value::Array(parts) => parts.iter().map(|p| p.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
    .filter(|parts: &Vec<String>| !parts.is_empty() && parts.iter().all(|p| !p.is_empty()))
}

/// Brings references into the form `{to: [..], ..}`; the error is the index of the one that cannot be.
fn complete_refs(value: &mut Value, kind: ObjectType) -> Result<(), Option<usize>> {
    if let Value::String(_) = value {
        *value = json!([value]);
    }
    if value.is_null() {
        return Ok(());
    }
    for (index, item) in value.as_array_mut().ok_or(None)?.iter_mut().enumerate() {
        let wrong = || Some(index);
        match item {
            Value::Object(map) => match map.get("to").filter(|to| !to.is_null()) {
                Some(to) => {
                    let to = names(to, kind).ok_or_else(wrong)?;
                    map.insert("to".into(), json!(to));
                }
                None if map.get("uuid").is_some_and(Value::is_string) => {}
                None => return Err(wrong()),
            },
            other => *other = json!({"to": names(other, kind).ok_or_else(wrong)?}),
        }
    }
    Ok(())
}

/// A value for an error message.
fn shorten(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn bad(place: &str, reason: String) -> ClientError {
    ClientError::Document { place: place.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed() {
        let text = "virtual-network:\n  fq_name: d:p:n\n  network_ipam_refs: [d:p:i]\n  network_policy_refs: [{to: d:p:x, attr: {}}, [d, p, y]]\n---\n- project: {fq_name: [d, p]}\n";
        let found = parse(text, "t").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].fields["parent_type"], "project");
        assert_eq!(found[0].fields["network_ipam_refs"], json!([{"to": ["d", "p", "i"]}]));
        assert_eq!(
            found[0].fields["network_policy_refs"],
            json!([{"to": ["d", "p", "x"], "attr": {}}, {"to": ["d", "p", "y"]}])
        );
        assert_eq!(found[1].fields["parent_type"], "domain");
    }

    #[test]
    fn json_is_read_too() {
        let found = parse(r#"{"project": {"fq_name": ["d", "p"]}}"#, "t").unwrap();
        assert_eq!(found[0].name(), "d:p");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, words) in [
            (
                "virtual-netwrk: {fq_name: a:b:c}",
                "f:1:1: unknown object type virtual-netwrk; did you mean virtual-network?",
            ),
            ("project: {}", "f:1:1: project: fq_name is missing"),
            ("project: {fq_name: 3}", "f:1:20: project: invalid value 3 for fq_name"),
            (
                "virtual-network:\n  fq_name: a:b:c\n  network_ipam_refs: [a:b:c, 7]",
                "f:3:30: virtual-network a:b:c: network_ipam_refs[1]",
            ),
            ("- just text", "f:1:3: \"just text\" is no object"),
            ("a: [1", "f:1:4: "),
            (
                "project: {fq_name: a:b}\n---\n- project:\n    fq_name: [a, b]\n",
                "f:3:3: project a:b is there twice, first at f:1:1",
            ),
            (
                "virtual-network:\n  fq_name: a:b:c\n  is_sharde: true\n",
                "f:3:3: virtual-network a:b:c: virtual-network has no field is_sharde; did you mean is_shared?",
            ),
        ] {
            let message = parse(text, "f").unwrap_err().to_string();
            assert!(message.starts_with(words), "{text}: {message}");
        }
    }

    #[test]
    fn several_mistakes_in_several_files_are_told_at_once() {
        let texts = [
            ("a.yaml", "virtual-network: {fq_name: a:b:c, mtu: x}\n---\nprojct: {fq_name: a:b}\n"),
            ("b.yaml", "project: {}\n"),
        ];
        let texts = texts.map(|(file, text)| (file.to_owned(), text.to_owned()));
        let ClientError::Mistakes(found) = parse_all(&texts).unwrap_err() else { panic!("no mistakes") };
        let places: Vec<String> =
            found.iter().map(|m| format!("{}:{}", m.file, m.position.unwrap())).collect();
        assert_eq!(places, ["a.yaml:1:40", "a.yaml:3:1", "b.yaml:1:1"]);
    }

    #[test]
    fn what_a_server_says_is_shown_in_the_file() {
        let text = "virtual-network:\n  fq_name: a:b:c\n  virtual_network_properties:\n    vxlan_network_identifier: 7\n";
        let document = parse(text, "f").unwrap().remove(0);
        let message = "virtual_network_properties.vxlan_network_identifier: 7 is in use".to_owned();
        let path = String::new();
        let error = document.blame(ClientError::Status { method: "POST", path, status: 400, message });
        assert!(error.to_string().starts_with("f:4:31: virtual-network a:b:c: "), "{error}");
    }
}

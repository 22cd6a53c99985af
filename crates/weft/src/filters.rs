//! Which objects `weft get` shows: by project, parent, and values of fields.

use anyhow::Context;
use serde_json::Value;
use weft_client::{Api, ClientError, api};
use weft_model::ObjectType;

use crate::kinds;
use crate::object_args::GetArgs;
use crate::output::words;

/// What an object must be to be shown.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    uuid: Option<String>,
    parent: Option<String>,
    project: Option<Vec<String>>,
    conditions: Vec<Condition>,
}

/// One value that must, or must not, be there.
#[derive(Debug, PartialEq, Eq)]
struct Condition {
    field: String,
    value: String,
    equal: bool,
}

impl Filters {
    /// From the command line; names are looked up.
    pub(crate) async fn new(api: &Api, args: &GetArgs, uuid: Option<String>) -> anyhow::Result<Self> {
        let conditions =
            args.filter.iter().map(|text| condition(text)).collect::<anyhow::Result<Vec<_>>>()?;
        let project = match &args.project {
            Some(name) => Some(project(api, name).await?),
            None => None,
        };
        let parent = match &args.parent {
            Some(name) => Some(parent(api, args.kind.kind, name).await?),
            None => None,
        };
        Ok(Self { uuid, parent, project, conditions })
    }

    /// What the server can sort out itself.
    pub(crate) fn query(&self) -> Vec<(&'static str, &str)> {
        self.parent.iter().map(|uuid| ("parent_id", uuid.as_str())).collect()
    }

    /// Whether the object is to be shown.
    pub(crate) fn accept(&self, object: &Value) -> bool {
        let is = |field: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| object[field].as_str() == Some(wanted))
        };
        let name = api::fq_name_of(object);
        is("uuid", &self.uuid)
            && is("parent_uuid", &self.parent)
            && self.project.as_ref().is_none_or(|project| name.starts_with(project))
            && self.conditions.iter().all(|c| c.holds(object))
    }
}

impl Condition {
    fn holds(&self, object: &Value) -> bool {
        let mut found = Vec::new();
        values(object, &self.field, &mut found);
        found.iter().any(|v| fits(v, &self.value)) == self.equal
    }
}

/// Names of references may be shortened, as everywhere.
fn fits(value: &Value, wanted: &str) -> bool {
    let shown = words(value);
    let named = value.get("to").is_some() || value.is_array();
    shown == wanted || (named && shown.replace(", ", ":").ends_with(&format!(":{wanted}")))
}

fn condition(text: &str) -> anyhow::Result<Condition> {
    let (field, value) =
        text.split_once('=').with_context(|| format!("--filter {text}: write FIELD=VALUE"))?;
    let (field, equal) = match field.strip_suffix('!') {
        Some(field) => (field, false),
        None => (field, true),
    };
    anyhow::ensure!(!field.is_empty(), "--filter {text}: the field is missing");
    let value = value.strip_prefix('=').unwrap_or(value);
    Ok(Condition { field: field.to_owned(), value: value.to_owned(), equal })
}

/// The values of a dotted path, through all elements of lists.
fn values<'a>(object: &'a Value, path: &str, into: &mut Vec<&'a Value>) {
    match object {
        Value::Array(items) if path.is_empty() => {
            into.push(object);
            items.iter().for_each(|item| values(item, path, into));
        }
        Value::Array(items) => items.iter().for_each(|item| values(item, path, into)),
        _ if path.is_empty() => into.push(object),
        Value::Object(map) => {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            map.get(first).into_iter().for_each(|value| values(value, rest, into));
        }
        _ => {}
    }
}

/// Sorts numbers as numbers, before texts.
pub(crate) fn sort_key(object: &Value, path: &str) -> (u64, String) {
    let mut found = Vec::new();
    values(object, path, &mut found);
    match found.first() {
        Some(Value::Number(n)) => (n.as_u64().unwrap_or(0), String::new()),
        Some(value) => (u64::MAX, words(value)),
        None => (u64::MAX, String::new()),
    }
}

async fn project(api: &Api, name: &str) -> anyhow::Result<Vec<String>> {
    let kind = ObjectType::Project;
    let uuid = api.resolve(kind, name).await?;
    Ok(api::fq_name_of(&api.read(kind, &uuid).await?))
}

/// The uuid of a parent, looked for among all types that may be.
async fn parent(api: &Api, kind: ObjectType, text: &str) -> anyhow::Result<String> {
    let legal = kind.info().parents;
    let (types, name) = match text.split_once('/') {
        Some((word, name)) if kinds::kind(word).is_ok() => (vec![kinds::kind(word)?], name),
        _ => (legal.to_vec(), text),
    };
    let allowed: Vec<&str> = legal.iter().map(|t| t.name()).collect();
    for parent in types {
        anyhow::ensure!(
            legal.contains(&parent),
            "--parent {text}: {kind} may be under {}, not under {parent}",
            if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(" or ") }
        );
        match api.resolve(parent, name).await {
            Ok(uuid) => return Ok(uuid),
            Err(ClientError::NoSuchObject { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    anyhow::bail!("--parent {text}: no such {}", allowed.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_look_into_lists_and_references() {
        let object = json!({"fq_name": ["d", "p", "n"], "mtu": 1500, "shared": true,
            "virtual_machine_refs": [{"to": ["web1"]}], "network_ipam_refs": [{"to": ["d", "p", "i"], "attr": {"ipam_subnets": [
                {"subnet": {"ip_prefix": "10.0.0.0"}}, {"subnet": {"ip_prefix": "10.1.0.0"}}]}}]});
        for (text, expected) in [
            ("mtu=1500", true),
            ("mtu==1500", true),
            ("mtu!=1500", false),
            ("shared=true", true),
            ("fq_name=p:n", true),
            ("virtual_machine_refs=web1", true),
            ("virtual_machine_refs=eb1", false),
            ("network_ipam_refs=p:i", true),
            ("network_ipam_refs.attr.ipam_subnets.subnet.ip_prefix=10.1.0.0", true),
            ("nothing=x", false),
            ("nothing!=x", true),
        ] {
            assert_eq!(condition(text).unwrap().holds(&object), expected, "{text}");
        }
        assert!(condition("mtu").is_err() && condition("=3").is_err());
    }

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let key = |n: Value| sort_key(&json!({"a": {"b": n}}), "a.b");
        assert!(key(json!(9)) < key(json!(10)));
        assert!(key(json!(10)) < key(json!("x")) && key(json!("x")) < key(json!("y")));
    }
}

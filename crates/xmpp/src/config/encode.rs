//! Configuration operations to XML. The shape of the JSON decides: an object becomes nested elements, a
//! list repeats its element, `null` and what has no valid element name is left out.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::schema::to_kebab;
use super::{ConfigElement, ConfigLink, ConfigNode, ConfigOp};
use crate::writer::{Writer, is_name};

/// Deepest nesting of a property that is written; below the depth a reader accepts.
const MAX_VALUE_DEPTH: usize = 40;
/// The property that carries the UUID.
pub(super) const ID_PERMS: &str = "id_perms";
pub(super) const UUID: &str = "uuid";
pub(super) const MSLONG: &str = "uuid_mslong";
pub(super) const LSLONG: &str = "uuid_lslong";

/// Writes `<config>...</config>`; neighbouring operations of the same kind share one element.
pub(crate) fn encode_ops(ops: &[ConfigOp], w: &mut Writer<'_>) {
    w.start("config");
    for run in ops.chunk_by(|a, b| a.is_update() == b.is_update()) {
        let update = run.first().is_some_and(ConfigOp::is_update);
        let name = if update { "update" } else { "delete" };
        w.start(name);
        for op in run {
            match op.element() {
                ConfigElement::Node(node) => encode_node(node, update, w),
                ConfigElement::Link(link) => encode_link(link, w),
            }
        }
        w.end(name);
    }
    w.end("config");
}

fn encode_node(node: &ConfigNode, with_properties: bool, w: &mut Writer<'_>) {
    w.start("node").attr("type", &node.node_type).leaf("name", &node.name);
    if with_properties {
        let mut id_perms_written = false;
        for (name, value) in &node.properties {
            let value = match node.uuid {
                Some(uuid) if name == ID_PERMS => {
                    id_perms_written = true;
                    Cow::Owned(with_uuid(value, uuid))
                }
                _ => Cow::Borrowed(value),
            };
            property(name, &value, MAX_VALUE_DEPTH, w);
        }
        if let Some(uuid) = node.uuid.filter(|_| !id_perms_written) {
            property(ID_PERMS, &with_uuid(&Value::Null, uuid), MAX_VALUE_DEPTH, w);
        }
    }
    w.end("node");
}

fn encode_link(link: &ConfigLink, w: &mut Writer<'_>) {
    w.start("link");
    for (node_type, name) in [&link.left, &link.right] {
        w.start("node").attr("type", node_type).leaf("name", name).end("node");
    }
    w.start("metadata").attr("type", &link.metadata).end("metadata").end("link");
}

/// `id_perms` with the UUID in the two halves the protocol knows.
pub(super) fn with_uuid(id_perms: &Value, uuid: Uuid) -> Value {
    let mut map = id_perms.as_object().cloned().unwrap_or_else(Map::new);
    let (high, low) = uuid.as_u64_pair();
    map.insert(UUID.to_owned(), json!({ MSLONG: high, LSLONG: low }));
    Value::Object(map)
}

fn property(name: &str, value: &Value, depth: usize, w: &mut Writer<'_>) {
    let element = to_kebab(name);
    if depth == 0 || !is_name(&element) {
        return;
    }
    match value {
        Value::Null => {}
        Value::Bool(flag) => {
            w.plain(&element, flag);
        }
        Value::Number(number) => {
            w.plain(&element, number);
        }
        Value::String(text) => {
            w.leaf(&element, text);
        }
        // A list in a list has no XML form of its own: its elements join the outer list's.
        Value::Array(values) => values.iter().for_each(|v| property(name, v, depth - 1, w)),
        Value::Object(map) => {
            w.start(&element);
            map.iter().for_each(|(name, value)| property(name, value, depth - 1, w));
            w.end(&element);
        }
    }
}

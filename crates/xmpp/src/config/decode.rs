//! XML to configuration operations, the model's schema deciding what is a number, a boolean or a list.
//! Names the schema does not have are kept: text stays text, repeated elements become a list.

use serde_json::{Map, Value};
use uuid::Uuid;
use weft_model::schema::ValueType;

use super::encode::{ID_PERMS, LSLONG, MSLONG, UUID};
use super::schema::{NodeSchema, to_snake};
use super::{ConfigElement, ConfigLink, ConfigNode, ConfigOp, MAX_OBJECTS_ACCEPTED};
use crate::element::Element;
use crate::error::DecodeError;
use crate::items::parse_boolean;

/// Reads a `<config>` element.
pub(crate) fn decode_ops(config: &Element) -> Result<Vec<ConfigOp>, DecodeError> {
    let mut ops = Vec::new();
    for run in &config.children {
        let make: fn(ConfigElement) -> ConfigOp = match run.local_name() {
            "update" => ConfigOp::Update,
            "delete" => ConfigOp::Delete,
            other => return Err(DecodeError::UnexpectedElement(other.to_owned())),
        };
        let update = run.local_name() == "update";
        for child in &run.children {
            if ops.len() >= MAX_OBJECTS_ACCEPTED {
                return Err(DecodeError::TooMany { field: "config", limit: MAX_OBJECTS_ACCEPTED });
            }
            ops.push(make(match child.local_name() {
                "node" => ConfigElement::Node(node(child, update)?),
                "link" => ConfigElement::Link(link(child)?),
                other => return Err(DecodeError::UnexpectedElement(other.to_owned())),
            }));
        }
    }
    Ok(ops)
}

fn identity(node: &Element) -> Result<(String, String), DecodeError> {
    let node_type = node.require_attribute("type")?.to_owned();
    Ok((node_type, node.require("name")?.text.clone()))
}

fn node(element: &Element, with_properties: bool) -> Result<ConfigNode, DecodeError> {
    let (node_type, name) = identity(element)?;
    let mut node = ConfigNode::named(node_type, name);
    if !with_properties {
        return Ok(node);
    }
    let schema = NodeSchema::of(&node.node_type);
    let mut name_seen = false;
    let properties = element.children.iter().filter(|child| {
        let is_name = !name_seen && child.local_name() == "name";
        name_seen |= is_name;
        !is_name
    });
    node.properties = fields(properties, &|name| schema.property(name))?;
    node.uuid = uuid_of(&node.properties);
    Ok(node)
}

fn link(element: &Element) -> Result<ConfigLink, DecodeError> {
    let mut nodes = element.children_named("node");
    let left = nodes.next().ok_or_else(|| DecodeError::missing("link", "node"))?;
    let right = nodes.next().ok_or_else(|| DecodeError::missing("link", "node"))?;
    let metadata = element.require("metadata")?.require_attribute("type")?.to_owned();
    Ok(ConfigLink { left: identity(left)?, right: identity(right)?, metadata })
}

fn uuid_of(properties: &Map<String, Value>) -> Option<Uuid> {
    let uuid = properties.get(ID_PERMS)?.get(UUID)?;
    Some(Uuid::from_u64_pair(uuid.get(MSLONG)?.as_u64()?, uuid.get(LSLONG)?.as_u64()?))
}

/// Elements to fields; `type_of` tells the type of a field by its JSON name.
fn fields<'a>(
    elements: impl Iterator<Item = &'a Element>,
    type_of: &dyn Fn(&str) -> Option<ValueType>,
) -> Result<Map<String, Value>, DecodeError> {
    let mut map = Map::new();
    for element in elements {
        let name = to_snake(element.local_name());
        match type_of(&name) {
            Some(ValueType::List(inner)) => {
                let Some(value) = value(*inner, element)? else { continue };
                match map.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                    Value::Array(values) => values.push(value),
                    other => *other = Value::Array(vec![value]),
                }
            }
            Some(value_type) => {
                if let Some(value) = value(value_type, element)? {
                    map.insert(name, value);
                }
            }
            None => insert_untyped(&mut map, name, untyped(element)),
        }
    }
    Ok(map)
}

/// A value of a known type; `None` for an empty element where the type has no empty value.
fn value(value_type: ValueType, element: &Element) -> Result<Option<Value>, DecodeError> {
    let text = element.text.trim();
    let invalid = || DecodeError::invalid(element.local_name(), text);
    Ok(match value_type {
        ValueType::Bool | ValueType::Int { .. } | ValueType::Unsigned if text.is_empty() => None,
        ValueType::Bool => Some(parse_boolean(element.local_name(), text)?.into()),
        ValueType::Int { .. } => Some(text.parse::<i64>().map_err(|_| invalid())?.into()),
        ValueType::Unsigned => {
            let unsigned = text.parse::<u64>().or_else(|_| text.parse::<i64>().map(i64::cast_unsigned));
            Some(unsigned.map_err(|_| invalid())?.into())
        }
        ValueType::Text | ValueType::Enum(_) | ValueType::Address => Some(element.text.as_str().into()),
        ValueType::Struct(info) => {
            let type_of = |name: &str| info.field(name).map(|f| f.value);
            Some(Value::Object(fields(element.children.iter(), &type_of)?))
        }
        ValueType::List(inner) => value(*inner, element)?,
    })
}

fn untyped(element: &Element) -> Value {
    if element.children.is_empty() {
        return element.text.as_str().into();
    }
    let mut map = Map::new();
    for child in &element.children {
        insert_untyped(&mut map, to_snake(child.local_name()), untyped(child));
    }
    Value::Object(map)
}

fn insert_untyped(map: &mut Map<String, Value>, name: String, value: Value) {
    match map.get_mut(&name) {
        None => {
            map.insert(name, value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

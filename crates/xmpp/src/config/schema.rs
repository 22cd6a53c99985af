//! What the model knows about the names that occur in configuration nodes.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::OnceLock;

use weft_model::ObjectType;
use weft_model::schema::{StructInfo, TypeInfo, ValueType};

/// Link types whose name is not made of the two object types' names.
const LINK_ALIASES: &[(&str, &str)] = &[
    ("bgp-as-a-service-control-node-zone", "bgpaas-control-node-zone"),
    ("routing-instance-route-target", "instance-target"),
    ("bgp-router-bgp-router", "bgp-peering"),
];

/// The property of a link node that holds the link's attribute.
pub(super) const LINK_VALUE: &str = "value";

/// What the properties of a node may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum NodeSchema {
    /// An object type.
    Object(&'static TypeInfo),
    /// An attributed link.
    Link(&'static StructInfo),
    /// A type the model does not have.
    Unknown,
}

impl NodeSchema {
    /// The schema of a node type.
    pub(super) fn of(node_type: &str) -> Self {
        if let Ok(object_type) = ObjectType::from_str(node_type) {
            return Self::Object(object_type.info());
        }
        link_attributes().get(node_type).map_or(Self::Unknown, |info| Self::Link(info))
    }

    /// Type of a property by its JSON name.
    pub(super) fn property(self, name: &str) -> Option<ValueType> {
        match self {
            Self::Object(info) => info.prop(name).map(|p| p.value),
            Self::Link(info) if name == LINK_VALUE => Some(ValueType::Struct(info)),
            Self::Link(_) | Self::Unknown => None,
        }
    }
}

/// Attribute structure of every attributed link type, by the link type's name.
fn link_attributes() -> &'static HashMap<String, &'static StructInfo> {
    static TABLE: OnceLock<HashMap<String, &'static StructInfo>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = HashMap::new();
        for from in ObjectType::ALL {
            for reference in from.info().refs {
                let Some(attr) = reference.attr else { continue };
                let name = format!("{}-{}", from.name(), reference.to.name());
                if let Some((_, alias)) = LINK_ALIASES.iter().find(|(full, _)| *full == name) {
                    table.insert((*alias).to_owned(), attr);
                }
                table.insert(name, attr);
            }
        }
        table
    })
}

/// Wire spelling of a JSON name.
pub(super) fn to_kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// JSON spelling of a wire name.
pub(super) fn to_snake(name: &str) -> String {
    name.replace('-', "_")
}

//! What the model knows about its own types: value types, fields, properties, references and object types.
//! Everything here is constant data made by the declarations in [`crate::objects`] and [`crate::types`]; it is shared, never copied per object.

use crate::ObjectType;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// The type of one JSON value, with the limits it must keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueType {
    /// `true` or `false`.
    Bool,
    /// A whole number within inclusive limits.
    Int {
        /// Smallest legal value.
        min: i64,
        /// Largest legal value.
        max: i64,
    },
    /// An unsigned 64-bit number (halves of an identifier).
    Unsigned,
    /// Any text.
    Text,
    /// One of the listed words.
    Enum(&'static [&'static str]),
    /// An IPv4 or IPv6 address, or the empty string.
    Address,
    /// A structure with named fields.
    Struct(&'static StructInfo),
    /// A list of values of one type.
    List(&'static ValueType),
}

/// Brings the fields of a checked structure into their one stored form; the error says what is wrong.
pub type Normalize = fn(&mut Map<String, Value>) -> Result<(), String>;

/// A structure: its name in error messages and its fields in schema order.
#[derive(Debug)]
pub struct StructInfo {
    /// Name in the existing system's schema, e.g. `VnSubnetsType`.
    pub name: &'static str,
    /// Fields in the order the schema lists them (the order of elements in XML).
    pub fields: &'static [FieldInfo],
    /// Brings a checked value into its one stored form (e.g. host bits of a prefix cleared).
    pub normalize: Option<Normalize>,
}

impl PartialEq for StructInfo {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl StructInfo {
    /// The field of that JSON name.
    pub fn field(&self, name: &str) -> Option<&'static FieldInfo> {
        self.fields.iter().find(|f| f.name == name)
    }
}

/// One field of a structure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldInfo {
    /// JSON name (snake case).
    pub name: &'static str,
    /// Type and limits.
    pub value: ValueType,
}

/// How the elements of a property are addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropKind {
    /// Replaced as a whole.
    Scalar,
    /// A wrapper structure around one list, whose elements are addressed by position.
    List {
        /// The wrapper's one field.
        field: &'static str,
    },
    /// A wrapper structure around one list of structures, addressed by one of their fields.
    Map {
        /// The wrapper's one field.
        field: &'static str,
        /// The field that is the key.
        key: &'static str,
    },
}

/// One property of an object type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PropInfo {
    /// Full JSON name (snake case).
    pub name: &'static str,
    /// Scalar, list or map.
    pub kind: PropKind,
    /// Type and limits of the whole property.
    pub value: ValueType,
    /// The value an absent property stands for, as JSON text.
    pub default: Option<&'static str>,
    /// Written by the system only; hidden from clients unless asked for by name.
    pub system: bool,
}

impl PropInfo {
    /// The default as a value.
    pub fn default_value(&self) -> Option<Value> {
        self.default.and_then(|text| serde_json::from_str(text).ok())
    }
}

/// A kind of reference an object type may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RefInfo {
    /// Type of the target.
    pub to: ObjectType,
    /// Structure of the link attribute, when the link has one.
    pub attr: Option<&'static StructInfo>,
    /// Written by the system only.
    pub system: bool,
}

/// The key of an element of a map property as text: keys are texts or numbers. `None` if it has none.
pub fn element_key(item: &Value, key: &str) -> Option<String> {
    match item.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Everything known about an object type.
#[derive(Debug)]
pub struct TypeInfo {
    /// The type described.
    pub object_type: ObjectType,
    /// Types an object of this type may live under; empty for a root type.
    pub parents: &'static [ObjectType],
    /// References it may hold.
    pub refs: &'static [RefInfo],
    /// Its own properties (without [`COMMON_PROPS`]).
    pub props: &'static [PropInfo],
    /// Made by the compiler and read-only for clients.
    pub derived: bool,
}

impl TypeInfo {
    /// The property of that JSON name, the common ones included.
    pub fn prop(&self, name: &str) -> Option<&'static PropInfo> {
        self.props.iter().chain(COMMON_PROPS).find(|p| p.name == name)
    }

    /// The reference to that type, if objects of this type may hold one.
    pub fn reference(&self, to: ObjectType) -> Option<&'static RefInfo> {
        self.refs.iter().find(|r| r.to == to)
    }

    /// All properties: its own, then the common ones.
    pub fn all_props(&self) -> impl Iterator<Item = &'static PropInfo> + use<> {
        self.props.iter().chain(COMMON_PROPS)
    }

    /// Types that may live under this one.
    pub fn children(&self) -> impl Iterator<Item = ObjectType> + use<> {
        KIN[self.object_type as usize].children.iter().copied()
    }

    /// Types that may refer to this one.
    pub fn referrers(&self) -> impl Iterator<Item = ObjectType> + use<> {
        KIN[self.object_type as usize].referrers.iter().copied()
    }
}

/// What the declarations of other types say about one type.
#[derive(Default)]
struct Kin {
    children: Vec<ObjectType>,
    referrers: Vec<ObjectType>,
}

/// By position in [`ObjectType::ALL`]; looked up with every read of an object, so worked out once.
static KIN: LazyLock<Vec<Kin>> = LazyLock::new(|| {
    let mut kin: Vec<Kin> = ObjectType::ALL.iter().map(|_| Kin::default()).collect();
    for object_type in ObjectType::ALL {
        let info = object_type.info();
        for parent in info.parents {
            kin[*parent as usize].children.push(*object_type);
        }
        for reference in info.refs {
            kin[reference.to as usize].referrers.push(*object_type);
        }
    }
    kin
});

/// The reference to tags that objects of every type may hold.
pub const TAG_REFERENCE: RefInfo = RefInfo { to: ObjectType::Tag, attr: None, system: false };

/// Properties every object has.
pub const COMMON_PROPS: &[PropInfo] = &[
    PropInfo {
        name: "id_perms",
        kind: PropKind::Scalar,
        value: <crate::types::IdPermsType as Schema>::VALUE,
        default: None,
        system: false,
    },
    PropInfo {
        name: "perms2",
        kind: PropKind::Scalar,
        value: <crate::types::PermType2 as Schema>::VALUE,
        default: None,
        system: false,
    },
    PropInfo {
        name: "annotations",
        kind: PropKind::Map { field: "key_value_pair", key: "key" },
        value: <crate::types::KeyValuePairs as Schema>::VALUE,
        default: None,
        system: false,
    },
    PropInfo {
        name: "display_name",
        kind: PropKind::Scalar,
        value: ValueType::Text,
        default: None,
        system: false,
    },
];

/// A name usable as a field's type in a declaration: what it is in JSON and in Rust.
pub trait Schema {
    /// Rust type of a field: `Option<T>`, or `Vec<T>` for lists.
    type Field;
    /// Rust type of one value.
    type Rust;
    /// Type and limits in JSON.
    const VALUE: ValueType;
}

impl Schema for bool {
    type Field = Option<bool>;
    type Rust = bool;
    const VALUE: ValueType = ValueType::Bool;
}

impl Schema for i64 {
    type Field = Option<i64>;
    type Rust = i64;
    const VALUE: ValueType = ValueType::Int { min: i64::MIN, max: i64::MAX };
}

impl Schema for u64 {
    type Field = Option<u64>;
    type Rust = u64;
    const VALUE: ValueType = ValueType::Unsigned;
}

impl Schema for String {
    type Field = Option<String>;
    type Rust = String;
    const VALUE: ValueType = ValueType::Text;
}

impl<T: Schema> Schema for [T] {
    type Field = Vec<T::Rust>;
    type Rust = Vec<T::Rust>;
    const VALUE: ValueType = ValueType::List(&T::VALUE);
}

/// A structure generated from a declaration.
pub trait Complex: Schema {
    /// Its fields.
    const INFO: &'static StructInfo;
}

/// Whether a field holds nothing and is left out of JSON.
pub trait Absent {
    /// True for `None` and for an empty list.
    fn is_absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Absent for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

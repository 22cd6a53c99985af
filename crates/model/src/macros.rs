//! The declaration macros: one entry per scalar type, structure or object type is all the model needs to know about it.

/// Declares scalar types: `Name: String of [..]`, `Name: i64 in a..=b`, `Name: String`, `Name: address`.
macro_rules! scalar_types {
    ($($name:ident: $kind:ident $(of [$($word:literal),* $(,)?])? $(in $min:literal ..= $max:literal)?),* $(,)?) => {
        $(
            #[doc = concat!("Marker for the scalar type `", stringify!($name), "`, used in declarations.")]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;
            scalar_types!(@impl $name $kind $([$($word),*])? $($min, $max)?);
        )*
    };
    (@impl $name:ident String) => { scalar_types!(@schema $name, String, ValueType::Text); };
    (@impl $name:ident address) => { scalar_types!(@schema $name, String, ValueType::Address); };
    (@impl $name:ident String [$($word:literal),*]) => {
        scalar_types!(@schema $name, String, ValueType::Enum(&[$($word),*]));
    };
    (@impl $name:ident i64 $min:literal, $max:literal) => {
        scalar_types!(@schema $name, i64, ValueType::Int { min: $min, max: $max });
    };
    (@schema $name:ident, $rust:ty, $value:expr) => {
        impl Schema for $name {
            type Field = Option<$rust>;
            type Rust = $rust;
            const VALUE: ValueType = $value;
        }
    };
}

/// Declares structures: `Name { field: Type, .. }`, optionally `Name normalized by function { .. }`.
macro_rules! complex_types {
    ($($name:ident $(normalized by $normalize:path)? { $($field:ident: $type:ty),* $(,)? })*) => {
        $(
            #[doc = concat!("`", stringify!($name), "` of the configuration schema.")]
            #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(default)]
            #[allow(missing_docs, non_snake_case)]
            pub struct $name {
                $(
                    #[serde(skip_serializing_if = "crate::schema::Absent::is_absent")]
                    pub $field: <$type as Schema>::Field,
                )*
            }
            impl Schema for $name {
                type Field = Option<$name>;
                type Rust = $name;
                const VALUE: ValueType = ValueType::Struct(<$name as Complex>::INFO);
            }
            impl Complex for $name {
                const INFO: &'static StructInfo = &StructInfo {
                    name: stringify!($name),
                    fields: &[$(FieldInfo { name: stringify!($field), value: <$type as Schema>::VALUE }),*],
                    normalize: complex_types!(@normalize $($normalize)?),
                };
            }
        )*
    };
    (@normalize) => { None };
    (@normalize $f:path) => { Some($f) };
}

/// Declares the names of the object types: in Rust, in URLs, in JSON fields. Their declarations are elsewhere
/// (`object_types!`); one that is missing does not compile.
macro_rules! object_names {
    ($($name:ident $kebab:literal $snake:literal),* $(,)?) => {
        /// The types of configuration objects.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ObjectType {
            $(#[doc = concat!("`", $kebab, "`")] $name,)*
        }

        impl ObjectType {
            /// All types, in declaration order.
            pub const ALL: &'static [ObjectType] = &[$(ObjectType::$name),*];

            /// The name in URLs and bodies, e.g. `virtual-network`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $kebab,)* }
            }

            /// The name in JSON fields, e.g. `virtual_network`.
            pub const fn json_name(self) -> &'static str {
                match self { $(Self::$name => $snake,)* }
            }

            /// The name of the collection in URLs, e.g. `virtual-networks`.
            pub const fn collection(self) -> &'static str {
                match self { $(Self::$name => concat!($kebab, "s"),)* }
            }

            /// The JSON field that holds references to this type, e.g. `virtual_network_refs`.
            pub const fn refs_field(self) -> &'static str {
                match self { $(Self::$name => concat!($snake, "_refs"),)* }
            }

            /// The JSON field that lists referrers of this type, e.g. `virtual_network_back_refs`.
            pub const fn back_refs_field(self) -> &'static str {
                match self { $(Self::$name => concat!($snake, "_back_refs"),)* }
            }

            /// The JSON field that lists children of this type, e.g. `virtual_networks`.
            pub const fn children_field(self) -> &'static str {
                match self { $(Self::$name => concat!($snake, "s"),)* }
            }

            /// Parents, references and properties of the type.
            pub const fn info(self) -> &'static TypeInfo {
                match self { $(Self::$name => <$name as Typed>::INFO,)* }
            }
        }
    };
}

/// Declares object types; see [`crate::objects`] for the form of an entry.
macro_rules! object_types {
    ($(
        $name:ident {
            parents: [$($parent:ident),* $(,)?],
            $(derived: $derived:literal,)?
            refs: [$($ref:ident $(($flag:ident))? $({ $attr:ty })?),* $(,)?],
            props: { $($prop:ident: $(@$kind:ident $($key:literal)?)? $type:ty $(= $default:literal)?),* $(,)? }
        }
    )*) => {
        $(
            #[doc = concat!("Properties of a [`ObjectType::", stringify!($name), "`].")]
            #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(default)]
            #[allow(missing_docs, non_snake_case)]
            pub struct $name {
                $(
                    #[serde(skip_serializing_if = "crate::schema::Absent::is_absent")]
                    pub $prop: <$type as Schema>::Field,
                )*
                #[serde(skip_serializing_if = "crate::schema::Absent::is_absent")]
                pub id_perms: Option<IdPermsType>,
                #[serde(skip_serializing_if = "crate::schema::Absent::is_absent")]
                pub perms2: Option<PermType2>,
                #[serde(skip_serializing_if = "crate::schema::Absent::is_absent")]
                pub annotations: Option<KeyValuePairs>,
                #[serde(skip_serializing_if = "crate::schema::Absent::is_absent")]
                pub display_name: Option<String>,
            }

            impl Typed for $name {
                const TYPE: ObjectType = ObjectType::$name;
                const INFO: &'static TypeInfo = &TypeInfo {
                    object_type: ObjectType::$name,
                    parents: &[$(ObjectType::$parent),*],
                    refs: &[
                        $(RefInfo {
                            to: ObjectType::$ref,
                            attr: object_types!(@attr $($attr)?),
                            system: object_types!(@system $($flag)?),
                        },)*
                        TAG_REFERENCE,
                    ],
                    props: &[$(PropInfo {
                        name: stringify!($prop),
                        kind: object_types!(@kind [$type] $($kind $($key)?)?),
                        value: <$type as Schema>::VALUE,
                        default: object_types!(@default $($default)?),
                        system: object_types!(@hidden $($kind $($key)?)?),
                    }),*],
                    derived: object_types!(@derived $($derived)?),
                };
            }
        )*
    };
    (@attr) => { None };
    (@attr $attr:ty) => { Some(<$attr as Complex>::INFO) };
    (@system) => { false };
    (@system system) => { true };
    (@derived) => { false };
    (@derived $value:literal) => { $value };
    (@default) => { None };
    (@default $value:literal) => { Some(stringify!($value)) };
    (@kind [$type:ty]) => { PropKind::Scalar };
    (@kind [$type:ty] system) => { PropKind::Scalar };
    (@kind [$type:ty] list) => { PropKind::List { field: <$type as Complex>::INFO.fields[0].name } };
    (@kind [$type:ty] map $key:literal) => {
        PropKind::Map { field: <$type as Complex>::INFO.fields[0].name, key: $key }
    };
    (@hidden system) => { true };
    (@hidden $($other:tt)*) => { false };
}

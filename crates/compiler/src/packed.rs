//! Objects as the compiler keeps them: a few hundred bytes each instead of a few thousand.
//!
//! An installation has hundreds of thousands of objects, and a JSON tree of one takes kilobytes. What the walk of the
//! graph needs (parent and references) stands first and is read without the rest; the rest is unpacked when an object is
//! computed from or sent to an agent. Field names are numbers: the model knows them all.

use crate::objects::Key;
use serde_json::{Map, Number, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use uuid::Uuid;
use weft_model::schema::{StructInfo, ValueType};
use weft_model::{FqName, Object, ObjectType, Reference};

/// An object without its type and identity, which are its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed(Box<[u8]>);

/// What an object hangs on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) parent: Option<Key>,
    /// In the order of the object.
    pub(crate) refs: Vec<Key>,
}

mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const UNSIGNED: u8 = 3;
    pub(super) const NEGATIVE: u8 = 4;
    pub(super) const FLOAT: u8 = 5;
    pub(super) const TEXT: u8 = 6;
    pub(super) const LIST: u8 = 7;
    pub(super) const STRUCT: u8 = 8;
    /// No value at all: a reference without attribute.
    pub(super) const ABSENT: u8 = 9;
}

/// What a text begins with: its kind, or else its length and [`form::LENGTH`].
mod form {
    /// An identity with hyphens, in 16 bytes.
    pub(super) const UUID: u64 = 0;
    /// An identity without hyphens (owners), in 16 bytes.
    pub(super) const SIMPLE: u64 = 1;
    /// A time with microseconds, its digits as a number of 9 bytes.
    pub(super) const TIME: u64 = 2;
    /// One of [`super::WORDS`], as a number.
    pub(super) const WORD: u64 = 3;
    pub(super) const LENGTH: u64 = 4;
}

/// Parts of very many names.
const WORDS: &[&str] = &["default-domain", "default-project", "default-global-system-config"];
/// How times are written; digits where this has zeros.
const TIME: &[u8; 26] = b"0000-00-00T00:00:00.000000";
/// Bytes that hold the 20 digits of a time.
const TIME_BYTES: usize = 9;
/// Bytes of an identity.
const UUID: usize = 16;

/// Field names by number and numbers by field name.
struct Names {
    list: Vec<&'static str>,
    numbers: HashMap<&'static str, u64>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut names = Names { list: Vec::new(), numbers: HashMap::new() };
    for object_type in ObjectType::ALL {
        for prop in object_type.info().all_props() {
            names.add(prop.name);
            names.add_value(&prop.value);
        }
        for attr in object_type.info().refs.iter().filter_map(|r| r.attr) {
            names.add_struct(attr);
        }
    }
    names
});

impl Names {
    fn add(&mut self, name: &'static str) -> bool {
        // 0 stands for a name that is not listed.
        let number = self.list.len() as u64 + 1;
        let new = !self.numbers.contains_key(name);
        if new {
            self.numbers.insert(name, number);
            self.list.push(name);
        }
        new
    }

    fn add_value(&mut self, value: &ValueType) {
        match value {
            ValueType::Struct(info) => self.add_struct(info),
            ValueType::List(of) => self.add_value(of),
            _ => {}
        }
    }

    /// Structures may hold themselves: whoever has nothing new to say is not asked again.
    fn add_struct(&mut self, info: &'static StructInfo) {
        let mut new = false;
        for field in info.fields {
            new |= self.add(field.name);
        }
        if new {
            info.fields.iter().for_each(|field| self.add_value(&field.value));
        }
    }
}

impl Packed {
    /// Packs an object. Equal objects give equal bytes.
    pub(crate) fn new(object: &Object) -> Self {
        let mut out = Vec::with_capacity(256);
        match object.parent {
            Some(parent) => key(&mut out, parent),
            None => number(&mut out, 0),
        }
        number(&mut out, object.refs.values().map(Vec::len).sum::<usize>() as u64);
        for (to, list) in &object.refs {
            list.iter().for_each(|reference| key(&mut out, (*to, reference.uuid)));
        }
        name(&mut out, &object.fq_name);
        for reference in object.refs.values().flatten() {
            name(&mut out, &reference.fq_name);
            match &reference.attr {
                Some(attr) => value(&mut out, attr),
                None => out.push(tag::ABSENT),
            }
        }
        fields(&mut out, &object.props);
        Self(out.into_boxed_slice())
    }

    /// Parent and references.
    pub(crate) fn links(&self) -> Links {
        Reader(&self.0).links().unwrap_or_default()
    }

    /// The object's name.
    pub(crate) fn fq_name(&self) -> FqName {
        let mut reader = Reader(&self.0);
        reader.links().and_then(|_| reader.name()).unwrap_or_default()
    }

    /// The whole object.
    pub(crate) fn object(&self, (object_type, uuid): Key) -> Option<Object> {
        let mut reader = Reader(&self.0);
        let links = reader.links()?;
        let fq_name = reader.name()?;
        let mut refs: BTreeMap<ObjectType, Vec<Reference>> = BTreeMap::new();
        for (to, uuid) in links.refs {
            let fq_name = reader.name()?;
            let attr = reader.value()?;
            refs.entry(to).or_default().push(Reference { uuid, fq_name, attr });
        }
        Some(Object { object_type, uuid, fq_name, parent: links.parent, refs, props: reader.fields()? })
    }

    /// Bytes taken.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn key(out: &mut Vec<u8>, (object_type, uuid): Key) {
    number(out, object_type as u64 + 1);
    out.extend_from_slice(uuid.as_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    let mut buffer = Uuid::encode_buffer();
    let identity = matches!(text.len(), 32 | 36).then(|| Uuid::try_parse(text).ok()).flatten();
    let form = identity.and_then(|uuid| match text.len() {
        36 if uuid.as_hyphenated().encode_lower(&mut buffer) == text => Some((form::UUID, uuid)),
        32 if uuid.as_simple().encode_lower(&mut buffer) == text => Some((form::SIMPLE, uuid)),
        _ => None,
    });
    if let Some((form, uuid)) = form {
        number(out, form);
        out.extend_from_slice(uuid.as_bytes());
    } else if let Some(digits) = digits(text) {
        number(out, form::TIME);
        out.extend_from_slice(digits.to_le_bytes().get(..TIME_BYTES).unwrap_or_default());
    } else if let Some(word) = WORDS.iter().position(|word| *word == text) {
        number(out, form::WORD);
        number(out, word as u64);
    } else {
        number(out, text.len() as u64 + form::LENGTH);
        out.extend_from_slice(text.as_bytes());
    }
}

/// The digits of a time as a number; `None` for any other text.
fn digits(text: &str) -> Option<u128> {
    if text.len() != TIME.len() {
        return None;
    }
    text.bytes().zip(TIME).try_fold(0, |number: u128, (byte, pattern)| match (byte, pattern) {
        (b'0'..=b'9', b'0') => Some(number * 10 + u128::from(byte - b'0')),
        (byte, pattern) => (byte == *pattern).then_some(number),
    })
}

/// The reverse of [`digits`].
fn time(mut digits: u128) -> String {
    let mut out = *TIME;
    for (byte, _) in out.iter_mut().zip(TIME).rev().filter(|(_, pattern)| **pattern == b'0') {
        *byte = b'0' + (digits % 10) as u8;
        digits /= 10;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn name(out: &mut Vec<u8>, name: &FqName) {
    number(out, name.0.len() as u64);
    name.0.iter().for_each(|part| text(out, part));
}

fn fields(out: &mut Vec<u8>, fields: &Map<String, Value>) {
    number(out, fields.len() as u64);
    for (name, field) in fields {
        match NAMES.numbers.get(name.as_str()) {
            Some(known) => number(out, *known),
            None => {
                number(out, 0);
                text(out, name);
            }
        }
        value(out, field);
    }
}

fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(tag::NULL),
        Value::Bool(flag) => out.push(if *flag { tag::TRUE } else { tag::FALSE }),
        Value::Number(n) => numeric(out, n),
        Value::String(string) => {
            out.push(tag::TEXT);
            text(out, string);
        }
        Value::Array(items) => {
            out.push(tag::LIST);
            number(out, items.len() as u64);
            items.iter().for_each(|item| self::value(out, item));
        }
        Value::Object(map) => {
            out.push(tag::STRUCT);
            fields(out, map);
        }
    }
}

fn numeric(out: &mut Vec<u8>, n: &Number) {
    if let Some(unsigned) = n.as_u64() {
        out.push(tag::UNSIGNED);
        number(out, unsigned);
    } else if let Some(negative) = n.as_i64() {
        out.push(tag::NEGATIVE);
        number(out, negative.unsigned_abs());
    } else {
        out.push(tag::FLOAT);
        out.extend_from_slice(&n.as_f64().unwrap_or_default().to_le_bytes());
    }
}

/// Reads what was packed; `None` if it is something else.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        let (mut out, mut shift) = (0u64, 0u32);
        loop {
            let byte = self.byte()?;
            out |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(out);
            }
            shift += 7;
        }
    }

    fn uuid(&mut self) -> Option<Uuid> {
        Uuid::from_slice(self.take(UUID)?).ok()
    }

    fn key(&mut self) -> Option<Option<Key>> {
        let Some(index) = self.number()?.checked_sub(1) else { return Some(None) };
        let object_type = *ObjectType::ALL.get(usize::try_from(index).ok()?)?;
        Some(Some((object_type, self.uuid()?)))
    }

    fn links(&mut self) -> Option<Links> {
        let parent = self.key()?;
        let count = self.number()?;
        let refs = (0..count).map(|_| self.key()?).collect::<Option<_>>()?;
        Some(Links { parent, refs })
    }

    fn text(&mut self) -> Option<String> {
        Some(match self.number()? {
            form::UUID => self.uuid()?.to_string(),
            form::SIMPLE => self.uuid()?.as_simple().to_string(),
            form::TIME => {
                let mut digits = [0; 16];
                digits.get_mut(..TIME_BYTES)?.copy_from_slice(self.take(TIME_BYTES)?);
                time(u128::from_le_bytes(digits))
            }
            form::WORD => (*WORDS.get(usize::try_from(self.number()?).ok()?)?).to_owned(),
            length => {
                let length = usize::try_from(length - form::LENGTH).ok()?;
                String::from_utf8(self.take(length)?.to_vec()).ok()?
            }
        })
    }

    fn name(&mut self) -> Option<FqName> {
        let count = self.number()?;
        (0..count).map(|_| self.text()).collect::<Option<_>>().map(FqName)
    }

    fn fields(&mut self) -> Option<Map<String, Value>> {
        let count = self.number()?;
        let mut out = Map::new();
        for _ in 0..count {
            let name = match self.number()?.checked_sub(1) {
                None => self.text()?,
                Some(index) => (*NAMES.list.get(usize::try_from(index).ok()?)?).to_owned(),
            };
            out.insert(name, self.value()??);
        }
        Some(out)
    }

    /// A value, or the mark of an absent one.
    fn value(&mut self) -> Option<Option<Value>> {
        Some(Some(match self.byte()? {
            tag::NULL => Value::Null,
            tag::FALSE => Value::Bool(false),
            tag::TRUE => Value::Bool(true),
            tag::UNSIGNED => self.number()?.into(),
            tag::NEGATIVE => 0i64.checked_sub_unsigned(self.number()?)?.into(),
            tag::FLOAT => f64::from_le_bytes(*self.take(8)?.first_chunk()?).into(),
            tag::TEXT => Value::String(self.text()?),
            tag::LIST => {
                let count = self.number()?;
                Value::Array((0..count).map(|_| self.value()?).collect::<Option<_>>()?)
            }
            tag::STRUCT => Value::Object(self.fields()?),
            tag::ABSENT => return Some(None),
            _ => return None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            ".{0,12}".prop_map(String::from),
            any::<u128>().prop_map(|n| Uuid::from_u128(n).to_string()),
            any::<u128>().prop_map(|n| Uuid::from_u128(n).to_string().to_uppercase()),
            any::<u128>().prop_map(|n| Uuid::from_u128(n).simple().to_string()),
            "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.:][0-9]{5,7}".prop_map(String::from),
            Just("9999-99-99T99:99:99.999999".to_owned()),
            proptest::sample::select(WORDS).prop_map(String::from),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let name = prop_oneof![Just("subnet".to_owned()), "[a-z_]{1,8}".prop_map(String::from)];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(name, inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    fn name() -> impl Strategy<Value = FqName> {
        proptest::collection::vec("[a-z:é0-9-]{0,40}", 0..4).prop_map(FqName)
    }

    fn object() -> impl Strategy<Value = Object> {
        let types = proptest::sample::select(ObjectType::ALL);
        let id = any::<u128>().prop_map(Uuid::from_u128);
        let reference = (id.clone(), name(), proptest::option::of(json()))
            .prop_map(|(uuid, fq_name, attr)| Reference { uuid, fq_name, attr });
        let list = proptest::collection::vec(reference, 1..3);
        (
            (types.clone(), id.clone(), name(), proptest::option::of((types.clone(), id))),
            proptest::collection::btree_map(types, list, 0..3),
            proptest::collection::btree_map("[a-z_]{1,12}", json(), 0..4),
        )
            .prop_map(|((object_type, uuid, fq_name, parent), refs, props)| Object {
                object_type,
                uuid,
                fq_name,
                parent,
                refs,
                props: props.into_iter().collect(),
            })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(object in object()) {
            let packed = Packed::new(&object);
            prop_assert_eq!(packed.object((object.object_type, object.uuid)), Some(object.clone()));
            prop_assert_eq!(packed.fq_name(), object.fq_name.clone());
            let refs = object.refs.iter().flat_map(|(to, list)| list.iter().map(|r| (*to, r.uuid)));
            prop_assert_eq!(packed.links(), Links { parent: object.parent, refs: refs.collect() });
        }

        #[test]
        fn other_bytes_are_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Packed(bytes.into_boxed_slice()).object((ObjectType::Domain, Uuid::nil()));
        }
    }
}

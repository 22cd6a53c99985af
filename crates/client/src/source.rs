//! YAML and JSON text with the place of every key and value, so that mistakes can be shown where they were written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

/// A position in a text: line and column, both counted from 1 (columns in characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Something wrong in a file of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Name of the file.
    pub file: String,
    /// Where in it, if that is known.
    pub position: Option<Position>,
    /// What is wrong; names field and value.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "{}:{position}: {}", self.file, self.text),
            None => write!(f, "{}: {}", self.file, self.text),
        }
    }
}

/// Where the fields of one object stand in a file. Paths are written as in the server's messages: `a.b[0].c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    file: Arc<str>,
    start: Position,
    keys: BTreeMap<String, Position>,
    values: BTreeMap<String, Position>,
    /// Texts that stand in the file (names, values) with their first place.
    texts: BTreeMap<String, Position>,
}

impl Origin {
    pub(crate) fn new(file: &Arc<str>, start: Position, body: &Node) -> Self {
        let (keys, values, texts) = Default::default();
        let mut origin = Self { file: Arc::clone(file), start, keys, values, texts };
        origin.note(String::new(), body);
        origin
    }

    fn note(&mut self, path: String, node: &Node) {
        let place = node.position;
        match &node.inner {
            Inner::Scalar(Value::String(text)) => {
                self.texts.entry(text.clone()).or_insert(place);
            }
            Inner::Scalar(_) => {}
            Inner::List(items) => {
                let words: Option<Vec<&str>> = items.iter().map(|i| i.inner.text()).collect();
                if let Some(words) = words {
                    self.texts.entry(words.join(":")).or_insert(place);
                }
                items.iter().enumerate().for_each(|(i, item)| self.note(format!("{path}[{i}]"), item));
            }
            Inner::Map(entries) => {
                for (key, at, value) in entries {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.keys.insert(below.clone(), *at);
                    self.note(below, value);
                }
            }
        }
        self.values.insert(path, place);
    }

    /// Name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The place of the value of a path, else that of the closest field around it, else of the object.
    pub fn value(&self, path: &str) -> Position {
        lookup(&self.values, path).unwrap_or(self.start)
    }

    /// The place of the key of a path, else as [`Self::value`].
    pub fn key(&self, path: &str) -> Position {
        self.keys.get(path).copied().unwrap_or_else(|| self.value(path))
    }

    /// A mistake at the value of a path.
    pub fn mistake(&self, path: &str, text: impl Into<String>) -> Mistake {
        Mistake { file: self.file.to_string(), position: Some(self.value(path)), text: text.into() }
    }

    /// A mistake at the key of a path.
    pub fn mistake_at_key(&self, path: &str, text: impl Into<String>) -> Mistake {
        Mistake { file: self.file.to_string(), position: Some(self.key(path)), text: text.into() }
    }

    /// The place a server's message talks of: the longest path of this object that occurs in it as a word, else a text
    /// of the object that does, else the object itself.
    pub fn locate(&self, message: &str) -> Position {
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | ',' | ';');
        let words = message.split(ends).map(|w| w.trim_end_matches([':', '.'])).filter(|w| !w.is_empty());
        let words: Vec<&str> = words.collect();
        let path = words.iter().filter(|w| self.names_field(w)).max_by_key(|w| w.len());
        if let Some(path) = path {
            return self.field(path);
        }
        let text = words.iter().filter(|w| w.len() > 1).find_map(|w| self.texts.get(*w));
        text.copied().unwrap_or(self.start)
    }

    fn names_field(&self, word: &str) -> bool {
        let top = word.split(['.', '[']).next().unwrap_or_default();
        top.len() > 1 && self.keys.contains_key(top)
    }

    /// The server does not number references in its paths: `x_refs.attr_field` is looked for in all of them.
    fn field(&self, path: &str) -> Position {
        if let Some(exact) = self.values.get(path) {
            return *exact;
        }
        if let Some((refs, rest)) = path.split_once("_refs.") {
            let (start, end) = (format!("{refs}_refs["), format!(".attr.{rest}"));
            let mut below = self.values.range(start.clone()..).take_while(|(p, _)| p.starts_with(&start));
            if let Some((_, found)) = below.find(|(p, _)| p.ends_with(&end)) {
                return *found;
            }
        }
        self.value(path)
    }
}

fn lookup(places: &BTreeMap<String, Position>, path: &str) -> Option<Position> {
    let mut path = path;
    loop {
        match places.get(path) {
            Some(found) if !path.is_empty() => return Some(*found),
            _ => path = &path[..path.rfind(['.', '['])?],
        }
    }
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) inner: Inner,
}

#[derive(Debug, Clone)]
pub(crate) enum Inner {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Position, Node)>),
}

impl Inner {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(value) => value.as_str(),
            _ => None,
        }
    }
}

impl Node {
    /// The value alone.
    pub(crate) fn value(&self) -> Value {
        match &self.inner {
            Inner::Scalar(value) => value.clone(),
            Inner::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Inner::Map(entries) => {
                Value::Object(entries.iter().map(|(k, _, v)| (k.clone(), v.value())).collect::<Map<_, _>>())
            }
        }
    }
}

/// Reads all documents of a text.
///
/// # Errors
/// The first place where it is not YAML.
pub(crate) fn read(text: &str, file: &str) -> Result<Vec<Node>, Mistake> {
    // Only `true` and `false` are booleans: `y`, `no` and `on` are fine names.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|e| {
        let location = e.location();
        let position = location.map(|l| Position { line: l.line(), column: l.column() });
        // The place is said already, and the advice is for programmers.
        let text = e.to_string();
        let text = text.split(" at line ").next().unwrap_or(&text);
        let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(text).to_owned();
        Mistake { file: file.to_owned(), position, text }
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Inner>::deserialize(deserializer)?;
        Ok(Self { position: position(&spanned.referenced), inner: spanned.value })
    }
}

fn position(location: &serde_saphyr::Location) -> Position {
    Position { line: location.line(), column: location.column() }
}

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InnerVisitor)
    }
}

struct InnerVisitor;

impl<'de> Visitor<'de> for InnerVisitor {
    type Value = Inner;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Inner, E> {
        Ok(Inner::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inner, D::Error> {
        Inner::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Inner, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Inner::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Inner, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Node>()? {
            map.push((key.value, position(&key.referenced), value));
        }
        Ok(Inner::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        let node = read(text, "f").unwrap().remove(0);
        Origin::new(&"f".into(), node.position, &node)
    }

    fn at(position: Position) -> (u64, u64) {
        (position.line, position.column)
    }

    #[test]
    fn paths_have_their_places() {
        let origin = origin("a:\n  b: 1\n  list: [x, {d: y}]\nr: &A {z: 5}\ns: *A\n");
        assert_eq!(at(origin.value("a.b")), (2, 6));
        assert_eq!(at(origin.key("a.b")), (2, 3));
        assert_eq!(at(origin.value("a.list[1].d")), (3, 17));
        // What is not there is at the closest field around it.
        assert_eq!(at(origin.value("a.list[7].d")), (3, 9));
        assert_eq!(at(origin.value("nothing")), (1, 1));
        // An alias is at the place that uses it.
        assert_eq!(at(origin.value("s.z")), (5, 4));
    }

    #[test]
    fn messages_are_located() {
        let origin = origin(
            "fq_name: [d, p, n]\nx_refs:\n- to: [d, p, y]\n- {to: [d, p, z], attr: {sequence: {major: q}}}\nprops: {rpf: off}\n",
        );
        for (message, line, column) in [
            ("invalid value \"off\" for props.rpf: expected one of enable, disable", 5, 14),
            ("invalid value \"q\" for x_refs.sequence.major: expected a whole number", 4, 44),
            ("x d:p:z does not exist", 4, 8),
            ("class C does not have field more (at props)", 5, 8),
            ("something else", 1, 1),
        ] {
            assert_eq!(at(origin.locate(message)), (line, column), "{message}");
        }
    }

    #[test]
    fn syntax_errors_name_the_place() {
        assert_eq!(read("a: [1", "f").unwrap_err().to_string(), "f:1:4: unclosed bracket '['");
        assert_eq!(read("a: 1\na: 2", "f").unwrap_err().to_string(), "f:2:1: duplicate mapping key: a");
    }
}

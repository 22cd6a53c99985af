//! Following changes: server-sent events, and a copy of what was seen that makes up for what a broken connection missed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weft_model::ObjectType;

use crate::{ClientError, api};

/// Longest event that is read, bytes: the first ones hold all objects of a type.
const MAX_EVENT: usize = 256 << 20;
/// Fields that change with every change and say nothing.
const SILENT: [&str; 4] = ["id_perms", "href", "parent_href", "uuid"];

/// One server-sent event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its kind: `init`, `CREATE`, `UPDATE`, `DELETE`.
    pub name: String,
    /// Its data, JSON.
    pub data: String,
}

/// Takes a stream of server-sent events apart, as it arrives.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    event: Event,
}

impl Parser {
    /// The events that these bytes complete.
    ///
    /// # Errors
    /// When an event is longer than what is kept of one (256 MiB).
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, ClientError> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() + self.event.data.len() > MAX_EVENT {
                return Err(ClientError::Answer {
                    path: "/watch".into(),
                    reason: "an event is too long".into(),
                });
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                events.extend(self.line(&line));
            }
        }
        Ok(events)
    }

    fn line(&mut self, line: &[u8]) -> Option<Event> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happened {
    /// It was there when watching began.
    Present,
    /// It is new.
    Created,
    /// It changed.
    Updated,
    /// It is gone.
    Deleted,
}

impl Happened {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// One change of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What happened.
    pub happened: Happened,
    /// Type of the object.
    pub kind: ObjectType,
    /// Its full name.
    pub fq_name: Vec<String>,
    /// Its uuid.
    pub uuid: String,
    /// The object; what it was last when it is gone.
    pub object: Value,
    /// Names of the fields that changed.
    pub fields: Vec<String>,
}

/// What was seen of the objects of some types. After a new connection the server tells everything anew: what differs from
/// what was seen are the changes that were missed, and nothing is told twice.
#[derive(Debug, Default)]
pub struct Mirror {
    known: BTreeMap<ObjectType, BTreeMap<String, Value>>,
    begun: BTreeSet<ObjectType>,
}

impl Mirror {
    /// The changes that an event makes.
    ///
    /// # Errors
    /// Events that are none of ours.
    pub fn take(&mut self, event: &Event) -> Result<Vec<Change>, ClientError> {
        let bad = |reason: String| ClientError::Answer { path: "/watch".into(), reason };
        if !["init", "CREATE", "UPDATE", "DELETE"].contains(&event.name.as_str()) {
            // `RESYNC` announces a new snapshot, which says it all; newer servers may tell more.
            return Ok(Vec::new());
        }
        let data: Value = serde_json::from_str(&event.data).map_err(|e| bad(e.to_string()))?;
        if event.name == "init" {
            let kind = data["type"].as_str().unwrap_or_default().parse::<ObjectType>();
            let kind = kind.map_err(|e| bad(e.to_string()))?;
            let items = data["objects"].as_array().into_iter().flatten();
            return Ok(self.snapshot(kind, items.map(|item| item[kind.name()].clone())));
        }
        let found = data.as_object().and_then(|map| map.iter().next());
        let (name, object) = found.ok_or_else(|| bad(format!("{} without an object", event.name)))?;
        let kind = name.parse::<ObjectType>().map_err(|e| bad(e.to_string()))?;
        Ok(match event.name.as_str() {
            "CREATE" | "UPDATE" => self.put(kind, object.clone()).into_iter().collect(),
            _ => self.gone(kind, object["uuid"].as_str().unwrap_or_default()).into_iter().collect(),
        })
    }

    /// All objects of a type.
    fn snapshot(&mut self, kind: ObjectType, objects: impl Iterator<Item = Value>) -> Vec<Change> {
        let first = self.begun.insert(kind);
        let (mut changes, mut there) = (Vec::new(), BTreeSet::new());
        for object in objects {
            there.insert(object["uuid"].as_str().unwrap_or_default().to_owned());
            changes.extend(self.put(kind, object));
        }
        if first {
            changes.iter_mut().for_each(|c| c.happened = Happened::Present);
        }
        let known = self.known.get(&kind).into_iter().flat_map(BTreeMap::keys);
        let lost: Vec<String> = known.filter(|uuid| !there.contains(*uuid)).cloned().collect();
        changes.extend(lost.iter().filter_map(|uuid| self.gone(kind, uuid)));
        changes
    }

    fn put(&mut self, kind: ObjectType, object: Value) -> Option<Change> {
        let uuid = object["uuid"].as_str()?.to_owned();
        let before = self.known.entry(kind).or_default().insert(uuid.clone(), object.clone());
        let (happened, fields) = match before {
            None => (Happened::Created, Vec::new()),
            Some(before) if before == object => return None,
            Some(before) => (Happened::Updated, differing(&before, &object)),
        };
        Some(Change { happened, kind, fq_name: api::fq_name_of(&object), uuid, object, fields })
    }

    fn gone(&mut self, kind: ObjectType, uuid: &str) -> Option<Change> {
        let object = self.known.get_mut(&kind)?.remove(uuid)?;
        let (uuid, fq_name) = (uuid.to_owned(), api::fq_name_of(&object));
        Some(Change { happened: Happened::Deleted, kind, fq_name, uuid, object, fields: Vec::new() })
    }
}

fn differing(before: &Value, after: &Value) -> Vec<String> {
    let names = |value: &Value| value.as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect();
    let all: BTreeSet<String> =
        [before, after].into_iter().flat_map(|v| -> Vec<String> { names(v) }).collect();
    let differs = |name: &String| before.get(name) != after.get(name) && !SILENT.contains(&name.as_str());
    all.into_iter().filter(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(name: &str, data: Value) -> Event {
        Event { name: name.into(), data: data.to_string() }
    }

    fn project(uuid: &str, field: i64) -> Value {
        json!({"project": {"uuid": uuid, "fq_name": ["d", uuid], "field": field, "id_perms": field}})
    }

    fn told(changes: Vec<Change>) -> Vec<String> {
        changes.iter().map(|c| format!("{} {} {}", c.happened.word(), c.uuid, c.fields.join(","))).collect()
    }

    #[test]
    fn events_are_taken_apart_wherever_the_stream_is_cut() {
        let text = b":\n\nevent: init\nid: 7\ndata: {\ndata: }\n\n:\r\n\r\nevent:DELETE\r\ndata:x\r\n\r\nevent: no data\n\n";
        for cut in 0..text.len() {
            let mut parser = Parser::default();
            let mut events = parser.feed(&text[..cut]).unwrap();
            events.extend(parser.feed(&text[cut..]).unwrap());
            let found: Vec<(&str, &str)> =
                events.iter().map(|e| (e.name.as_str(), e.data.as_str())).collect();
            assert_eq!(found, [("init", "{\n}"), ("DELETE", "x")], "{cut}");
        }
    }

    #[test]
    fn a_new_snapshot_tells_only_what_was_missed() {
        let mut mirror = Mirror::default();
        let init = |objects: Vec<Value>| event("init", json!({"type": "project", "objects": objects}));
        assert_eq!(
            told(mirror.take(&init(vec![project("a", 1), project("b", 1)])).unwrap()),
            ["present a ", "present b "]
        );
        assert_eq!(told(mirror.take(&event("CREATE", project("c", 1))).unwrap()), ["created c "]);
        assert_eq!(told(mirror.take(&event("UPDATE", project("c", 2))).unwrap()), ["updated c field"]);
        let again = init(vec![project("a", 1), project("c", 3), project("d", 1)]);
        assert_eq!(told(mirror.take(&again).unwrap()), ["updated c field", "created d ", "deleted b "]);
        assert_eq!(told(mirror.take(&event("DELETE", project("a", 0))).unwrap()), ["deleted a "]);
        assert!(mirror.take(&event("DELETE", project("a", 0))).unwrap().is_empty());
        assert!(mirror.take(&event("RESYNC", json!("too old"))).unwrap().is_empty());
        assert!(mirror.take(&event("CREATE", json!(7))).is_err());
    }
}

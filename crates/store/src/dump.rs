//! The existing system's database dump, as its `db_json_exim` writes it, turned into objects (wire-facts 2.4).
//!
//! `{"cassandra": {keyspace: {table: {row: {column: [value, time]}}}}, "zookeeper": "[[path, [value, ..]], ..]"}`. Objects
//! are the rows of `config_db_uuid.obj_uuid_table`, one per uuid; values are JSON in text. Names, children, back references
//! and the other keyspaces follow from these rows or from running the system, and are not read.
//!
//! What the compiler makes (routing instances, automatic route targets, access lists) is made anew; of it only the
//! numbers of the networks' automatic route targets are taken, so that routes stay the same. What cannot be taken over is
//! listed by name in [`Dump::left`].

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use uuid::Uuid;
use weft_model::{
    FqName, Object, ObjectType, PropKind, Reference, RouteTarget, defaults, derived_uuid, validate,
};

/// Rows by uuid, each with its columns.
type Table = BTreeMap<Uuid, Row>;

/// What a dump holds.
#[derive(Debug, Default, PartialEq)]
pub struct Dump {
    /// Objects as stored, in no particular order. Parents and targets of references are among them.
    pub objects: Vec<Object>,
    /// What was left out, a line each: what, and why.
    pub left: Vec<String>,
    /// Objects the compiler makes anew, by type.
    pub derived: BTreeMap<String, usize>,
}

/// The file is no dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a database dump: {0}")]
pub struct DumpError(String);

/// One row: an object of the existing system.
struct Row {
    type_name: String,
    fq_name: FqName,
    columns: BTreeMap<String, Value>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.type_name, self.fq_name)
    }
}

impl Row {
    fn object_type(&self) -> Option<ObjectType> {
        self.type_name.parse().ok()
    }

    /// Columns `<kind>:<rest>` as (rest, value).
    fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.columns.iter().filter_map(move |(name, value)| {
            let (found, rest) = name.split_once(':')?;
            (found == kind).then_some((rest, value))
        })
    }

    /// Columns `<kind>:<type>:<uuid>`.
    fn links<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (String, Uuid, &'a Value)> {
        self.all(kind).filter_map(|(rest, value)| {
            let (to, uuid) = rest.split_once(':')?;
            Some((kebab(to), Uuid::parse_str(uuid).ok()?, value))
        })
    }

    fn prop(&self, name: &str) -> Option<&Value> {
        self.columns.get(&format!("prop:{name}"))
    }
}

fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// Reads a dump. Never panics, whatever the bytes.
///
/// # Errors
/// [`DumpError`] if the text is not JSON or lacks the table of objects; single rows that are wrong are left out instead.
pub fn parse(text: &[u8]) -> Result<Dump, DumpError> {
    let json: Value = serde_json::from_slice(text).map_err(|e| DumpError(e.to_string()))?;
    from_json(&json)
}

/// [`parse`] for JSON already read.
///
/// # Errors
/// As there.
pub fn from_json(json: &Value) -> Result<Dump, DumpError> {
    let missing = |what: &str| DumpError(format!("{what} is missing"));
    let keyspaces = json.get("cassandra").and_then(Value::as_object).ok_or_else(|| missing("cassandra"))?;
    let config = keyspaces.get("config_db_uuid").ok_or_else(|| missing("cassandra.config_db_uuid"))?;
    let rows = config.get("obj_uuid_table").and_then(Value::as_object);
    let rows = rows.ok_or_else(|| missing("cassandra.config_db_uuid.obj_uuid_table"))?;
    let mut dump = Dump::default();
    let mut table = Table::new();
    for (id, columns) in rows {
        match row(id, columns) {
            Ok((uuid, row)) => drop(table.insert(uuid, row)),
            Err(why) => dump.left.push(format!("row {id}: {why}")),
        }
    }
    let numbers = route_target_numbers(&table);
    for (uuid, row) in &table {
        match row.object_type() {
            None => dump.left.push(format!("{row} ({uuid}): there is no such type here")),
            Some(object_type) if object_type.info().derived => derived(&table, row, &mut dump),
            Some(object_type) => {
                let number = numbers.get(uuid).copied();
                dump.objects.extend(object(&table, *uuid, row, object_type, number, &mut dump.left));
            }
        }
    }
    prune(&mut dump);
    other_keyspaces(keyspaces, &mut dump.left);
    unowned_addresses(json, &dump.objects, &mut dump.left);
    Ok(dump)
}

fn row(id: &str, columns: &Value) -> Result<(Uuid, Row), String> {
    let uuid = Uuid::parse_str(id).map_err(|_| "its key is not a uuid".to_owned())?;
    let columns = columns.as_object().ok_or("it is not a map of columns")?;
    let columns: BTreeMap<String, Value> =
        columns.iter().map(|(name, value)| (name.clone(), column(value))).collect();
    let text = columns.get("type").and_then(Value::as_str).ok_or("it has no type")?;
    let fq_name = columns.get("fq_name").and_then(Value::as_array).ok_or("it has no fq_name")?;
    let parts: Option<Vec<&str>> = fq_name.iter().map(Value::as_str).collect();
    let fq_name = FqName::new(parts.ok_or("its fq_name is not a list of texts")?);
    let type_name = kebab(text);
    fq_name.check(type_name == "route-target").map_err(|e| e.to_string())?;
    Ok((uuid, Row { type_name, fq_name, columns }))
}

/// A column's value: JSON in text, alone or in a list with its time.
fn column(stored: &Value) -> Value {
    let value = match stored {
        Value::Array(pair) => pair.first().unwrap_or(&Value::Null),
        other => other,
    };
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    }
}

/// The number of each network's automatic route target, found at its own routing instance.
fn route_target_numbers(table: &Table) -> BTreeMap<Uuid, u32> {
    let asn = table.values().filter(|row| row.type_name == "global-system-config").find_map(|row| {
        row.prop("autonomous_system").and_then(Value::as_u64).and_then(|asn| u32::try_from(asn).ok())
    });
    let asn = asn.unwrap_or(defaults::AUTONOMOUS_SYSTEM);
    let mut numbers = BTreeMap::new();
    for row in table.values().filter(|row| row.type_name == "routing-instance") {
        let network = row.links("parent").next().map(|(_, uuid, _)| uuid);
        let Some(network) = network.filter(|uuid| own_instance(table, row, *uuid)) else { continue };
        let target = row.links("ref").filter(|(to, ..)| to == "route-target").find_map(|(_, uuid, _)| {
            let target: RouteTarget = table.get(&uuid)?.fq_name.to_string().parse().ok()?;
            target.is_automatic(asn).then_some(target)
        });
        if let Some(target) = target {
            let short = asn > u32::from(u16::MAX);
            let offset = defaults::FIRST_ROUTE_TARGET_NUMBER - defaults::FIRST_SHORT_ROUTE_TARGET_NUMBER;
            numbers.insert(network, if short { target.number + offset } else { target.number });
        }
    }
    numbers
}

/// Whether a routing instance is the one every network has: named like it.
fn own_instance(table: &Table, instance: &Row, network: Uuid) -> bool {
    table.get(&network).is_some_and(|network| network.fq_name.last() == instance.fq_name.last())
}

/// Counts what the compiler makes; names what it will not make again.
fn derived(table: &Table, row: &Row, dump: &mut Dump) {
    let parent = row.links("parent").next().map(|(_, uuid, _)| uuid);
    if row.type_name == "routing-instance"
        && !parent.is_some_and(|network| own_instance(table, row, network))
        && !row.fq_name.last().starts_with("service-")
    {
        dump.left.push(format!("{row}: routing instances are made from networks, this one is none's"));
        return;
    }
    *dump.derived.entry(row.type_name.clone()).or_default() += 1;
}

fn object(
    table: &Table,
    uuid: Uuid,
    row: &Row,
    object_type: ObjectType,
    number: Option<u32>,
    left: &mut Vec<String>,
) -> Option<Object> {
    let mut object = Object::new(object_type, uuid, row.fq_name.clone());
    if let Some((parent, uuid, _)) = row.links("parent").next() {
        let known = parent.parse::<ObjectType>().ok().filter(|p| object_type.info().parents.contains(p));
        let Some(parent) = known else {
            left.push(format!("{row}: it may not live under a {parent}"));
            return None;
        };
        // The root of everything is not an object's parent here.
        object.parent = (parent != ObjectType::ConfigRoot).then(|| (parent, identity(table, parent, uuid)));
    }
    properties(row, &mut object, left);
    references(table, row, &mut object, left);
    if let Some(number) = number.filter(|_| object_type == ObjectType::VirtualNetwork) {
        object.props.insert(defaults::ROUTE_TARGET_NUMBER_PROPERTY.into(), number.into());
    }
    Some(object)
}

/// What an object is called here: what the compiler makes has an identity that follows from its name.
fn identity(table: &Table, object_type: ObjectType, uuid: Uuid) -> Uuid {
    match table.get(&uuid) {
        Some(row) if object_type.info().derived => derived_uuid(object_type, &row.fq_name),
        _ => uuid,
    }
}

fn properties(row: &Row, object: &mut Object, left: &mut Vec<String>) {
    let mut values: Map<String, Value> = Map::new();
    for (name, value) in row.all("prop") {
        values.insert(name.to_owned(), value.clone());
    }
    let mut elements: BTreeMap<&str, Vec<(&str, &Value)>> = BTreeMap::new();
    for (rest, value) in row.all("propl").chain(row.all("propm")) {
        if let Some((name, position)) = rest.split_once(':') {
            elements.entry(name).or_default().push((position, value));
        }
    }
    for (name, mut list) in elements {
        let field = match object.object_type.info().prop(name).map(|prop| prop.kind) {
            Some(PropKind::List { field } | PropKind::Map { field, .. }) => field,
            _ => {
                left.push(format!("{row}: property {name} is no list here"));
                continue;
            }
        };
        // Positions are numbers for lists, keys for maps.
        list.sort_by_key(|(position, _)| (position.parse::<u64>().unwrap_or(u64::MAX), *position));
        let list: Vec<Value> = list.into_iter().map(|(_, value)| value.clone()).collect();
        let mut wrapper = Map::new();
        wrapper.insert(field.to_owned(), Value::Array(list));
        values.insert(name.to_owned(), Value::Object(wrapper));
    }
    for (name, value) in values {
        match validate::property(object.object_type, &name, &value) {
            Ok(Some(value)) => drop(object.props.insert(name, value)),
            Ok(None) => {}
            Err(why) => left.push(format!("{row}: property {name}: {why}")),
        }
    }
}

fn references(table: &Table, row: &Row, object: &mut Object, left: &mut Vec<String>) {
    let from = object.object_type;
    for (to, uuid, value) in row.links("ref") {
        let Some(target) = to.parse::<ObjectType>().ok() else {
            left.push(format!("{row}: reference to {to} {uuid}: there is no such type here"));
            continue;
        };
        if from.info().reference(target).is_some_and(|r| r.system) {
            continue;
        }
        let attr = value.get("attr").unwrap_or(&Value::Null);
        let attr = match validate::attribute(from, target, attr) {
            Ok(attr) => attr,
            Err(why) => {
                left.push(format!("{row}: reference to {to} {uuid}: {why}"));
                continue;
            }
        };
        match table.get(&uuid).filter(|found| found.type_name == to) {
            Some(found) => {
                let uuid = identity(table, target, uuid);
                let reference = Reference { uuid, fq_name: found.fq_name.clone(), attr };
                object.refs.entry(target).or_default().push(reference);
            }
            None => left.push(format!("{row}: reference to {to} {uuid}: it is not in the dump")),
        }
    }
}

/// Takes out objects whose parent was left out, and references to what was left out, until all that is left agrees.
fn prune(dump: &mut Dump) {
    loop {
        let known: std::collections::BTreeSet<(ObjectType, Uuid)> =
            dump.objects.iter().map(|o| (o.object_type, o.uuid)).collect();
        let before = dump.objects.len();
        let left = &mut dump.left;
        dump.objects.retain(|object| match object.parent {
            Some(parent) if !parent.0.info().derived && !known.contains(&parent) => {
                let (parent_type, uuid) = parent;
                left.push(format!(
                    "{} {}: its parent {parent_type} {uuid} is not there",
                    object.object_type, object.fq_name
                ));
                false
            }
            _ => true,
        });
        for object in &mut dump.objects {
            let (object_type, fq_name) = (object.object_type, object.fq_name.clone());
            for (to, list) in &mut object.refs {
                list.retain(|reference| {
                    let there = to.info().derived || known.contains(&(*to, reference.uuid));
                    if !there {
                        let target = &reference.fq_name;
                        left.push(format!(
                            "{object_type} {fq_name}: reference to {to} {target}: it was left out"
                        ));
                    }
                    there
                });
            }
            object.refs.retain(|_, list| !list.is_empty());
        }
        if dump.objects.len() == before {
            return;
        }
    }
}

/// Tables beside the configuration: what is running state is said to be left.
fn other_keyspaces(keyspaces: &Map<String, Value>, left: &mut Vec<String>) {
    for (keyspace, tables) in keyspaces.iter().filter(|(name, _)| *name != "config_db_uuid") {
        let rows: usize = tables
            .as_object()
            .into_iter()
            .flat_map(|tables| tables.values())
            .filter_map(Value::as_object)
            .map(Map::len)
            .sum();
        if rows > 0 {
            left.push(format!("keyspace {keyspace}: {rows} rows are not configuration"));
        }
    }
}

/// Addresses taken in ZooKeeper (`/api-server/subnets/<network>:<prefix>/<length>/<number>`) that no object names.
fn unowned_addresses(json: &Value, objects: &[Object], left: &mut Vec<String>) {
    let nodes: Vec<Value> = match json.get("zookeeper") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(Value::Array(nodes)) => nodes.clone(),
        _ => Vec::new(),
    };
    let mut known = std::collections::BTreeSet::new();
    for object in objects {
        collect_addresses(&Value::Object(object.props.clone()), &mut known);
        for reference in object.refs.values().flatten() {
            collect_addresses(reference.attr.as_ref().unwrap_or(&Value::Null), &mut known);
        }
    }
    for path in nodes.iter().filter_map(|node| node.get(0).and_then(Value::as_str)) {
        let Some((_, rest)) = path.trim_end_matches('/').split_once("/api-server/subnets/") else { continue };
        let Some((subnet, number)) = rest.rsplit_once('/') else { continue };
        let address = number.parse::<u128>().ok().map(|number| match u32::try_from(number) {
            Ok(number) => std::net::IpAddr::V4(number.into()),
            Err(_) => std::net::IpAddr::V6(number.into()),
        });
        if let Some(address) = address.filter(|address| !known.contains(address)) {
            left.push(format!("address {address} of {subnet}: it is taken, but no object has it"));
        }
    }
}

fn collect_addresses(value: &Value, out: &mut std::collections::BTreeSet<std::net::IpAddr>) {
    match value {
        Value::String(text) => out.extend(text.parse::<std::net::IpAddr>().ok()),
        Value::Array(list) => list.iter().for_each(|value| collect_addresses(value, out)),
        Value::Object(map) => map.values().for_each(|value| collect_addresses(value, out)),
        _ => {}
    }
}

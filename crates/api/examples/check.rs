//! Checks that the rows of a store agree with one another: `check --data DIR`, while nobody else has it open.
//! Prints what is wrong, a line each, and fails if anything is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use weft_model::Object;
use weft_store::{EmbeddedStore, Store, layout};

type AnyError = Box<dyn std::error::Error>;

async fn rows(store: &dyn Store) -> Result<BTreeMap<String, Vec<u8>>, AnyError> {
    let (mut rows, mut after) = (BTreeMap::new(), None::<String>);
    loop {
        let page = store.range("", after.as_deref(), 4096).await?;
        after = page.entries.last().map(|entry| entry.key.clone()).or(after);
        rows.extend(page.entries.into_iter().map(|entry| (entry.key, entry.value.to_vec())));
        if !page.more {
            return Ok(rows);
        }
    }
}

/// The rows an object has to have beside its own, and what must exist because of it.
fn wanted(object: &Object) -> Result<(BTreeSet<String>, Vec<String>), AnyError> {
    let own = layout::object_key(object.object_type, object.uuid);
    let ops = layout::put_ops(object, None)?;
    let keys = ops.iter().map(|op| op.key().to_owned()).filter(|key| *key != own).collect();
    let linked = object.refs.iter().flat_map(|(to, list)| list.iter().map(move |r| (*to, r.uuid)));
    // Derived objects have no rows.
    let linked = linked.chain(object.parent).filter(|(to, _)| !to.info().derived);
    let linked = linked.map(|(to, uuid)| layout::object_key(to, uuid)).collect();
    Ok((keys, linked))
}

/// Whom an allotted number or address belongs to; `None` if what it says exists.
fn orphan(rows: &BTreeMap<String, Vec<u8>>, key: &str, owner: &str) -> Option<String> {
    match uuid::Uuid::parse_str(owner) {
        Ok(uuid) if !rows.contains_key(&layout::id_key(uuid)) => {
            Some(format!("{key}: owner {owner} is gone"))
        }
        Ok(_) => None,
        Err(_) => {
            let mut subnets = key.split('/').filter_map(|part| uuid::Uuid::parse_str(part).ok());
            let subnet = subnets.next()?;
            let row = layout::alloc_key("subnet", subnet);
            (!rows.contains_key(&row)).then(|| format!("{key}: subnet {subnet} is gone"))
        }
    }
}

fn findings(rows: &BTreeMap<String, Vec<u8>>) -> Result<Vec<String>, AnyError> {
    let (mut out, mut accounted) = (Vec::new(), BTreeSet::new());
    for (key, value) in rows.range(layout::OBJECTS.to_owned()..) {
        let Some(identity) = layout::parse_object_key(key) else { break };
        let object = layout::decode(value)?;
        if (object.object_type, object.uuid) != identity {
            out.push(format!("{key}: holds {} {}", object.object_type, object.uuid));
        }
        let (keys, linked) = wanted(&object)?;
        out.extend(keys.iter().filter(|k| !rows.contains_key(*k)).map(|k| format!("{key}: {k} is missing")));
        out.extend(linked.iter().filter(|k| !rows.contains_key(*k)).map(|k| format!("{key}: {k} is gone")));
        accounted.extend(keys);
    }
    for (key, value) in rows {
        let index = ["fq/", "id/", "child/", "ref/"].iter().any(|prefix| key.starts_with(prefix));
        if index && !accounted.contains(key) {
            out.push(format!("{key}: belongs to no object"));
        }
        if key.starts_with("alloc/") {
            out.extend(orphan(rows, key, &String::from_utf8_lossy(value)));
        }
    }
    Ok(out)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let mut args = std::env::args().skip(1);
    let (Some("--data"), Some(data)) = (args.next().as_deref(), args.next()) else {
        return Err("usage: check --data DIR".into());
    };
    let store = EmbeddedStore::open(PathBuf::from(data))?;
    let rows = rows(&store).await?;
    let findings = findings(&rows)?;
    findings.iter().for_each(|finding| println!("{finding}"));
    println!("{} rows, {} findings", rows.len(), findings.len());
    if findings.is_empty() { Ok(()) } else { Err("the store is not consistent".into()) }
}

//! A database dump of the existing system becomes objects with their identities, numbers and addresses.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;
use weft_api::{ApiState, DerivedView};
use weft_model::{Object, ObjectType, defaults};
use weft_store::{EmbeddedStore, Store, backup, check, dump, layout};

/// Written by hand from the documented format.
const DUMP: &[u8] = include_bytes!("dump.json");

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x4000_8000_0000_0000_0000 | number)
}

async fn import(objects: Vec<Object>) -> (Arc<dyn Store>, ApiState, weft_api::Imported, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(dir.path()).unwrap());
    let state = ApiState::new(Arc::clone(&store), DerivedView::start(Arc::clone(&store)));
    let imported = weft_api::import(&state, objects).await.unwrap();
    (store, state, imported, dir)
}

async fn read(store: &dyn Store, object_type: ObjectType, uuid: Uuid) -> Object {
    let entry = store.get(&layout::object_key(object_type, uuid)).await.unwrap();
    layout::decode(&entry.unwrap_or_else(|| panic!("no {object_type} {uuid}")).value).unwrap()
}

#[tokio::test]
async fn a_dump_is_taken_over() {
    let found = dump::parse(DUMP).unwrap();
    let expected = [
        "shop:front: property unheard_of",
        "reference to virtual-machine",
        "quantum-thing default-domain:shop:odd",
        "shop:front:extra: routing instances are made from networks",
        "keyspace useragent: 1 rows",
        "address 10.9.0.99",
    ];
    for part in expected {
        let fitting = found.left.iter().filter(|line| line.contains(part)).count();
        assert_eq!(fitting, 1, "{part}: {:#?}", found.left);
    }
    assert_eq!(found.left.len(), expected.len(), "{:#?}", found.left);
    let derived = BTreeMap::from([("route-target".to_owned(), 2), ("routing-instance".to_owned(), 1)]);
    assert_eq!(found.derived, derived);

    let (store, state, imported, _dir) = import(found.objects).await;
    assert_eq!((imported.objects, imported.left), (8, vec![]));
    let network = read(&*store, ObjectType::VirtualNetwork, uuid(4)).await;
    assert_eq!(network.props["virtual_network_network_id"], 17);
    assert_eq!(network.props[defaults::ROUTE_TARGET_NUMBER_PROPERTY], 8_000_123);
    assert_eq!(network.props["route_target_list"], json!({"route_target": ["target:64512:77"]}));
    assert_eq!(network.props["id_perms"]["created"], "2020-01-02T03:04:05.000006");
    let port = read(&*store, ObjectType::VirtualMachineInterface, uuid(9)).await;
    let bindings = json!({"key_value_pair": [
        {"key": "host_id", "value": "c1"}, {"key": "vnic_type", "value": "normal"}]});
    assert_eq!(port.props["virtual_machine_interface_bindings"], bindings);
    let ports = &port.props["virtual_machine_interface_fat_flow_protocols"]["fat_flow_protocol"];
    assert_eq!((&ports[0]["port"], &ports[1]["port"]), (&json!(80), &json!(53)));
    let group = read(&*store, ObjectType::SecurityGroup, uuid(10)).await;
    assert_eq!(group.props["security_group_id"], 8_000_042);
    let address = read(&*store, ObjectType::InstanceIp, uuid(11)).await;
    assert_eq!(address.props["instance_ip_address"], "10.9.0.77");

    // The first start adds what is missing, uses nothing twice, and all rows agree.
    state.bootstrap().await.unwrap();
    let rows = check::rows(&*store).await.unwrap();
    assert_eq!(check::check(&rows), vec![]);
    for row in ["network-id/00000000000000000017", "route-target/00000000000008000123"] {
        assert_eq!(rows[&format!("alloc/{row}")], uuid(4).to_string(), "{row}");
    }
    let taken = format!("alloc/ip/{}/{:032x}", uuid(40), 0x0a09_004d);
    assert_eq!(rows[&taken], uuid(11).to_string());
}

/// A row as compared: a project and its set of policies refer to each other, so the project is written twice, which shows
/// in when it was last modified.
fn unstamped(key: &str, value: &bytes::Bytes) -> bytes::Bytes {
    if !key.starts_with("obj/project/") {
        return value.clone();
    }
    let mut project: serde_json::Value = serde_json::from_slice(value).unwrap();
    project["props"]["id_perms"].as_object_mut().unwrap().remove("last_modified");
    project.to_string().into()
}

#[tokio::test]
async fn objects_survive_export_and_import() {
    let (store, state, ..) = import(dump::parse(DUMP).unwrap().objects).await;
    state.bootstrap().await.unwrap();
    let rows = check::rows(&*store).await.unwrap();
    let objects: Vec<Object> = rows
        .iter()
        .filter(|(key, _)| layout::parse_object_key(key).is_some())
        .map(|(_, value)| layout::decode(value).unwrap())
        .collect();
    let (other, _, imported, _dir) = import(objects).await;
    assert_eq!(imported.left, Vec::<String>::new());
    let same = |rows: &check::Rows| -> check::Rows {
        // Link rows and cursors are only hints.
        let kept = |key: &str| !key.starts_with("link/") && !key.starts_with("seq/");
        rows.iter().filter(|(key, _)| kept(key)).map(|(k, v)| (k.clone(), unstamped(k, v))).collect()
    };
    let (there, here) = (same(&check::rows(&*other).await.unwrap()), same(&rows));
    let differ = there.iter().filter(|(k, v)| here.get(*k) != Some(v));
    assert_eq!(differ.collect::<Vec<_>>(), vec![]);
    let lost = here.iter().filter(|(k, v)| there.get(*k) != Some(v));
    assert_eq!(lost.collect::<Vec<_>>(), vec![]);
    assert!(backup::first_key(&*other).await.unwrap().is_some());
}

#[test]
fn what_is_no_dump_is_refused() {
    for text in ["", "{", "[]", "{\"cassandra\": 3}", "{\"cassandra\": {\"config_db_uuid\": {}}}"] {
        assert!(dump::parse(text.as_bytes()).is_err(), "{text}");
    }
}

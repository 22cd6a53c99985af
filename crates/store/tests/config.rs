//! Keys and encoding of objects; snapshot and changes of the configuration, also while it is being written.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::commit;
use futures::StreamExt;
use uuid::Uuid;
use weft_model::{Change, FqName, Object, ObjectType, Reference};
use weft_store::config::{self, Update};
use weft_store::{EmbeddedOptions, EmbeddedStore, Op, Store, Txn, layout};

fn network(number: u128, text: &str) -> Object {
    let name = FqName(vec!["default-domain".into(), "p".into(), format!("net{number}")]);
    let mut object = Object::new(ObjectType::VirtualNetwork, Uuid::from_u128(number), name);
    object.parent = Some((ObjectType::Project, Uuid::from_u128(9)));
    object.props.insert("display_name".into(), text.into());
    object
}

fn put_all(objects: &[Object]) -> Txn {
    let ops = objects.iter().flat_map(|object| layout::put_ops(object, None).unwrap()).collect();
    Txn { compare: Vec::new(), ops }
}

fn keys(ops: &[Op]) -> Vec<String> {
    let sign = |op: &Op| format!("{}{}", if op.value().is_some() { '+' } else { '-' }, op.key());
    let mut keys: Vec<String> = ops.iter().map(sign).collect();
    keys.sort();
    keys
}

#[test]
fn objects_come_back_as_they_went_in() {
    let object = network(7, "seven");
    assert_eq!(layout::decode(&layout::encode(&object).unwrap()).unwrap(), object);
    assert!(layout::decode(b"{}").is_err());
    assert!(layout::decode(b"\xff").is_err());
}

#[test]
fn keys_are_parsed_back() {
    let (object_type, uuid) = (ObjectType::VirtualNetwork, Uuid::from_u128(7));
    let key = layout::object_key(object_type, uuid);
    assert_eq!(key, "obj/virtual-network/00000000-0000-0000-0000-000000000007");
    assert_eq!(layout::parse_object_key(&key), Some((object_type, uuid)));
    assert_eq!(layout::parse_object_key("obj/nonsense/7"), None);
    let child = layout::child_key((ObjectType::Project, Uuid::from_u128(1)), (object_type, uuid));
    assert!(child.starts_with(&layout::children_prefix(ObjectType::Project, Uuid::from_u128(1))));
    assert_eq!(layout::parse_member_key(&child), Some((object_type, uuid)));
    let (small, large) = (layout::alloc_number_key("vn", 9), layout::alloc_number_key("vn", 10));
    assert!(small < large);
}

#[test]
fn index_rows_follow_references() {
    let id = |n: u128| Uuid::from_u128(n).as_hyphenated().to_string();
    let mut object = network(7, "x");
    let created = layout::put_ops(&object, None).unwrap();
    assert_eq!(
        keys(&created),
        [
            format!("+child/project/{}/virtual-network/{}", id(9), id(7)),
            "+fq/virtual-network/default-domain:p:net7".to_owned(),
            format!("+id/{}", id(7)),
            format!("+obj/virtual-network/{}", id(7)),
        ]
    );
    let before = object.clone();
    let ipam = |n| Reference { uuid: Uuid::from_u128(n), fq_name: FqName(vec![]), attr: None };
    object.refs.insert(ObjectType::NetworkIpam, vec![ipam(3)]);
    let linked = layout::put_ops(&object, Some(&before)).unwrap();
    let link = format!("ref/network-ipam/{}/virtual-network/{}", id(3), id(7));
    assert_eq!(keys(&linked), [format!("+obj/virtual-network/{}", id(7)), format!("+{link}")]);
    assert!(keys(&layout::put_ops(&before, Some(&object)).unwrap()).contains(&format!("-{link}")));
    assert_eq!(layout::delete_ops(&object).len(), 5);
}

#[tokio::test]
async fn changes_follow_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(dir.path()).unwrap());
    let (one, two) = (network(1, "one"), network(2, "two"));
    let first = commit(&*store, put_all(&[one.clone(), two.clone()])).await;
    let (objects, revision) = config::snapshot(&*store).await.unwrap();
    assert_eq!(revision, first);
    assert_eq!(objects.iter().map(|o| o.uuid).collect::<Vec<_>>(), [one.uuid, two.uuid]);

    let mut changes = config::changes(Arc::clone(&store), revision);
    let changed = network(2, "changed");
    let mut ops = layout::delete_ops(&one);
    ops.extend(layout::put_ops(&changed, Some(&two)).unwrap());
    let second = commit(&*store, Txn { compare: Vec::new(), ops }).await;
    let gone = Change::Delete { object_type: one.object_type, uuid: one.uuid, fq_name: one.fq_name };
    assert_eq!(changes.next().await.unwrap().unwrap(), (second, vec![gone, Change::Put(Arc::new(changed))]));

    // A transaction that touches no object still moves the revision.
    let third = commit(&*store, Txn::new().then(Op::put("alloc/x/1", "y"))).await;
    assert_eq!(changes.next().await.unwrap().unwrap(), (third, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_taken_under_writes_is_of_one_revision() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(dir.path()).unwrap());
    let objects: Vec<Object> = (0..6000).map(|n| network(n, "0")).collect();
    commit(&*store, put_all(&objects)).await;
    // The first and the last object always change together; several pages lie between them.
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for round in 1..400 {
                let text = round.to_string();
                let (first, last) = (network(0, &text), network(5999, &text));
                let put = |o: &Object| {
                    Op::put(layout::object_key(o.object_type, o.uuid), layout::encode(o).unwrap())
                };
                commit(&*store, Txn::new().then(put(&first)).then(put(&last))).await;
            }
        }
    });
    let mut seen = Vec::new();
    while !writer.is_finished() {
        let (objects, revision) = config::snapshot(&*store).await.unwrap();
        assert_eq!(objects.len(), 6000);
        assert_eq!(objects[0].props["display_name"], objects[5999].props["display_name"]);
        seen.push(revision);
    }
    writer.await.unwrap();
    assert!(seen.is_sorted() && seen.first() != seen.last());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_resynchronises_and_ends_up_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { log_revisions: 20, ..EmbeddedOptions::default() };
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open_with(dir.path(), options).unwrap());
    let mut follower = config::follow(Arc::clone(&store));
    let padding = "x".repeat(200_000);
    let (mut known, mut snapshots, mut last) = (BTreeMap::new(), 0, 0);
    for round in 0..3 {
        // So much that neither the log nor memory holds it for a follower that does not read meanwhile.
        for n in 0..80 {
            let object = network(n, &format!("{round} {padding}"));
            let key = layout::object_key(object.object_type, object.uuid);
            last = commit(&*store, Txn::new().then(Op::put(key, layout::encode(&object).unwrap()))).await;
        }
        let mut at = 0;
        while at < last {
            match follower.next().await.unwrap() {
                Update::Snapshot { revision, objects } => {
                    (known, at, snapshots) = (BTreeMap::new(), revision, snapshots + 1);
                    known.extend(objects.into_iter().map(|o| (o.uuid, o)));
                }
                Update::Changes { revision, changes } => {
                    at = revision;
                    for change in changes {
                        let Change::Put(object) = change else { panic!("nothing was deleted") };
                        known.insert(object.uuid, object);
                    }
                }
            }
        }
        let current =
            |o: &Arc<Object>| o.props["display_name"].as_str().unwrap().starts_with(&round.to_string());
        assert!(known.len() == 80 && known.values().all(current));
    }
    assert_eq!(snapshots, 3);
}

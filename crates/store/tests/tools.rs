//! Backups, checks and repairs, over the embedded store.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Cursor;

use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, Reference};
use weft_store::backup::{self, BackupError};
use weft_store::{EmbeddedStore, Op, Store, Txn, TxnResult, check, layout};

fn open() -> (EmbeddedStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (EmbeddedStore::open(dir.path()).unwrap(), dir)
}

async fn write(store: &dyn Store, ops: Vec<Op>) {
    assert!(matches!(store.txn(Txn { compare: vec![], ops }).await.unwrap(), TxnResult::Committed(_)));
}

fn object(object_type: ObjectType, number: u128, parent: Option<&Object>) -> Object {
    let name = parent.map_or_else(FqName::default, |p| p.fq_name.clone()).child(format!("o{number}"));
    let mut object = Object::new(object_type, Uuid::from_u128(number), name);
    object.parent = parent.map(|p| (p.object_type, p.uuid));
    object
}

/// A domain, a project, a policy and two networks that refer to it, with a network id each.
async fn fill(store: &dyn Store) -> Vec<Object> {
    let domain = object(ObjectType::Domain, 1, None);
    let project = object(ObjectType::Project, 2, Some(&domain));
    let policy = object(ObjectType::NetworkPolicy, 3, Some(&project));
    let mut objects = vec![domain, project.clone(), policy.clone()];
    for number in [4, 5] {
        let mut network = object(ObjectType::VirtualNetwork, number, Some(&project));
        let reference = Reference { uuid: policy.uuid, fq_name: policy.fq_name.clone(), attr: None };
        network.refs.insert(ObjectType::NetworkPolicy, vec![reference]);
        let key = layout::alloc_number_key("network-id", number as u64);
        write(store, vec![Op::put(key, network.uuid.to_string())]).await;
        objects.push(network);
    }
    for object in &objects {
        write(store, layout::put_ops(object, None).unwrap()).await;
    }
    objects
}

#[tokio::test]
async fn a_backup_brings_back_what_was_there() {
    let (store, _dir) = open();
    fill(&store).await;
    // More than a page of anything.
    for part in 0..40 {
        let value = vec![part; 100_000];
        write(&store, vec![Op::put(format!("seq/big{part:02}"), value)]).await;
    }
    let mut file = Vec::new();
    let written = backup::write(&store, &mut file).await.unwrap();
    assert_eq!(written.revision, store.revision().await.unwrap());
    let (other, _other_dir) = open();
    let restored = backup::restore(&other, Cursor::new(file.clone()), false).await.unwrap();
    assert_eq!(restored, written);
    assert_eq!(check::rows(&other).await.unwrap(), check::rows(&store).await.unwrap());
    assert!(check::check(&check::rows(&other).await.unwrap()).is_empty());
    // Not over something, unless told to.
    write(&other, vec![Op::put("seq/stray", "x")]).await;
    let refused = backup::restore(&other, Cursor::new(file.clone()), false).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty(_))));
    backup::restore(&other, Cursor::new(file), true).await.unwrap();
    assert_eq!(check::rows(&other).await.unwrap(), check::rows(&store).await.unwrap());
}

#[tokio::test]
async fn a_store_that_was_not_filled_to_the_end_says_so() {
    let (store, _dir) = open();
    fill(&store).await;
    let mut file = Vec::new();
    backup::write(&store, &mut file).await.unwrap();
    let sound = check::rows(&store).await.unwrap();
    // The file ends in the middle, as a process that is killed does.
    let half = file[..file.len() / 2].to_vec();
    assert!(matches!(backup::restore(&store, Cursor::new(half), true).await, Err(BackupError::Damaged(_))));
    assert!(matches!(backup::whole(&store).await, Err(BackupError::Unfinished(what)) if what == "a restore"));
    let findings = check::check(&check::rows(&store).await.unwrap());
    assert_eq!((findings[0].key.as_str(), &findings[0].repair), (backup::UNFINISHED, &None));
    assert!(matches!(backup::write(&store, Vec::new()).await, Err(BackupError::Unfinished(_))));
    let again = backup::restore(&store, Cursor::new(file.clone()), false).await;
    assert!(matches!(again, Err(BackupError::Unfinished(_))));
    backup::restore(&store, Cursor::new(file), true).await.unwrap();
    backup::whole(&store).await.unwrap();
    assert_eq!(check::rows(&store).await.unwrap(), sound);
}

#[tokio::test]
async fn a_backup_is_of_one_revision() {
    let (store, _dir) = open();
    for key in 0..200 {
        write(&store, vec![Op::put(format!("k{key:03}"), vec![0; 20_000])]).await;
    }
    let (revision, mut pages) = store.snapshot().await.unwrap();
    write(&store, vec![Op::put("k199", vec![1; 20_000]), Op::put("k9", "new")]).await;
    let mut entries = Vec::new();
    while let Some(page) = futures::StreamExt::next(&mut pages).await {
        entries.extend(page.unwrap());
    }
    assert_eq!(entries.len(), 200);
    assert!(entries.iter().all(|e| e.mod_revision <= revision && e.value.iter().all(|b| *b == 0)));
}

#[tokio::test]
async fn any_damage_to_a_backup_is_noticed() {
    let (store, _dir) = open();
    fill(&store).await;
    let mut file = Vec::new();
    backup::write(&store, &mut file).await.unwrap();
    let whole = |bytes: &[u8]| backup::read(bytes, |_, _| Ok(())).is_ok();
    assert!(whole(&file));
    for at in 0..file.len() {
        assert!(!whole(&file[..at]), "cut at {at}");
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        assert!(!whole(&changed), "changed at {at}");
    }
    file.push(0);
    assert!(!whole(&file), "something follows");
}

#[tokio::test]
async fn every_kind_of_disagreement_is_found_and_mended() {
    let (store, _dir) = open();
    let objects = fill(&store).await;
    let sound = check::rows(&store).await.unwrap();
    assert!(check::check(&sound).is_empty());
    let [_, project, policy, network, other] = &objects[..] else { panic!() };
    let child = layout::child_key((project.object_type, project.uuid), (network.object_type, network.uuid));
    let back = layout::back_ref_key((policy.object_type, policy.uuid), (network.object_type, network.uuid));
    let name = layout::fq_key(network.object_type, &network.fq_name);
    let id = layout::id_key(network.uuid);
    let broken = [
        vec![Op::delete(child)],
        vec![Op::delete(back)],
        vec![Op::delete(name.clone())],
        vec![Op::delete(id)],
        vec![Op::put("fq/virtual-network/a:b:stray", other.uuid.to_string())],
        vec![Op::put(format!("id/{}", Uuid::from_u128(99)), "virtual-network")],
        vec![Op::put("alloc/network-id/00000000000000000099", Uuid::from_u128(99).to_string())],
        vec![Op::put(format!("alloc/ip/{}/0a", Uuid::from_u128(98)), "gateway")],
    ];
    for ops in broken {
        write(&store, ops.clone()).await;
        let findings = check::check(&check::rows(&store).await.unwrap());
        assert!(!findings.is_empty(), "{ops:?} is not noticed");
        let (writes, left) = check::repair(&store).await.unwrap();
        assert!(writes > 0 && left.is_empty(), "{left:?}");
        assert_eq!(check::rows(&store).await.unwrap(), sound, "after {ops:?}");
    }
    // A target that is gone: the references to it go too.
    write(&store, layout::delete_ops(policy)).await;
    let (_, left) = check::repair(&store).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    let key = layout::object_key(network.object_type, network.uuid);
    let mended = layout::decode(&store.get(&key).await.unwrap().unwrap().value).unwrap();
    assert!(mended.refs_to(ObjectType::NetworkPolicy).is_empty());
    // What only a person can decide stays, and nothing is deleted on a guess.
    write(&store, vec![Op::put(key, "{"), Op::put(name, other.uuid.to_string())]).await;
    let (writes, left) = check::repair(&store).await.unwrap();
    assert_eq!(writes, 0);
    assert!(!left.is_empty() && left.iter().all(|finding| finding.repair.is_none()));
}

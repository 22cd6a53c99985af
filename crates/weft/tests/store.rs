//! `weft store`: secrets are sealed on their way in, whoever wrote the file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use weft_auth::SealedStore;
use weft_model::{Object, ObjectType};
use weft_store::{Op, Store, Txn, layout};

/// Runs `weft store`; what it says when it fails.
fn weft(words: &[&str]) -> Result<(), String> {
    let done = Command::new(env!("CARGO_BIN_EXE_weft")).arg("store").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() { Ok(()) } else { Err(said) }
}

/// All that lies in the directory, as text.
fn on_disk(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| match path.is_dir() {
            true => on_disk(&path),
            false => String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned(),
        })
        .collect()
}

/// A machine with a password in its annotations.
fn machine() -> Object {
    let mut object = Object::new(ObjectType::VirtualMachine, uuid::Uuid::from_u128(1), "m".into());
    let pair = json!({"key_value_pair": [{"key": "root-password", "value": "hunter2"}]});
    object.props.insert("annotations".into(), pair);
    object
}

#[tokio::test]
async fn secrets_are_sealed_on_their_way_in_and_read_with_the_same_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let object = machine();
    let row = layout::object_key(object.object_type, object.uuid);
    std::fs::write(at("plain.json"), json!({"weft-export": 1, "objects": [object.to_json()]}).to_string())
        .unwrap();
    for place in ["a", "b", "c", "d"] {
        std::fs::create_dir(at(place)).unwrap();
    }
    weft(&["import", "--store", &at("a"), &at("plain.json")]).unwrap();
    let stored = on_disk(&directory.path().join("a"));
    assert!(stored.contains("root-password") && !stored.contains("hunter2"));
    // What leaves is sealed, and is taken in where the key is.
    weft(&["export", "--store", &at("a"), &at("sealed.json")]).unwrap();
    assert!(!std::fs::read_to_string(at("sealed.json")).unwrap().contains("hunter2"));
    let strange = weft(&["import", "--store", &at("b"), &at("sealed.json")]).unwrap_err();
    assert!(strange.contains("another key") && strange.contains("--seal-key"), "{strange}");
    let key = at("a/seal.key");
    weft(&["import", "--store", &at("c"), "--seal-key", &key, &at("sealed.json")]).unwrap();
    let raw = weft_store::open(&at("c/weft.redb")).await.unwrap();
    let store = SealedStore::open(raw, Path::new(&key)).await.unwrap();
    let read = store.get(&row).await.unwrap().unwrap();
    assert_eq!(layout::decode(&read.value).unwrap().props["annotations"], object.props["annotations"]);
}

#[tokio::test]
async fn a_backup_from_before_there_was_a_key_is_sealed_when_it_is_restored() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let object = machine();
    let row = layout::object_key(object.object_type, object.uuid);
    let plain: Arc<dyn Store> = weft_store::open(&at("old/weft.redb")).await.unwrap();
    plain.txn(Txn::new().then(Op::put(row.clone(), object.to_json().to_string()))).await.unwrap();
    drop(plain);
    weft(&["backup", "--store", &at("old"), &at("backup")]).unwrap();
    weft(&["restore", "--store", &at("new"), &at("backup")]).unwrap();
    let raw = weft_store::open(&at("new/weft.redb")).await.unwrap();
    let stored = raw.get(&row).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&stored.value).contains("hunter2"));
    let store = SealedStore::open(raw, Path::new(&at("new/seal.key"))).await.unwrap();
    let read = store.get(&row).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&read.value).contains("hunter2"));
}

//! `weft store` as an operator uses it: backups, exports, imports, what was interrupted, and what is not what it should be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::PermissionsExt;

use common::{Ran, World};

mod common;

const SECRET: &str = "hunter2";

/// A controller that was up, with a project and a device whose password is a secret; and its store, now that it is down.
fn world() -> (World, String) {
    let mut world = World::new();
    let file = world.file(
        "objects.yaml",
        "project: {fq_name: default-domain:shop}\n---\nphysical-router:\n  fq_name: default-global-system-config:r1\n  \
         physical_router_user_credentials: {username: root, password: hunter2}\n",
    );
    world.weft(&["apply", "-f", &file]).ok();
    let data = world.path("data").display().to_string();
    world
        .weft(&["store", "check", "--store", &data])
        .code(1)
        .says("in use by process")
        .says("stop the controller");
    world.stop();
    (world, data)
}

/// `weft store COMMAND --store STORE MORE...`
fn store(world: &World, command: &str, store: &str, more: &[&str]) -> Ran {
    world.weft(&[&["store", command, "--store", store], more].concat())
}

fn path(world: &World, name: &str) -> String {
    world.path(name).display().to_string()
}

#[test]
fn a_backup_brings_an_installation_back() {
    let (mut world, data) = world();
    let file = path(&world, "monday");
    store(&world, "backup", &data, &[&file]).ok().says("written to");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains(SECRET));
    store(&world, "backup", &data, &[&file]).code(1).says("is there already");
    store(&world, "restore", &data, &[&file]).code(1).says("not empty").says("--force");
    store(&world, "restore", &data, &["--force", &file]).ok();
    store(&world, "check", &data, &[]).ok().says("0 findings");
    world.start_again();
    world.weft(&["get", "project", "shop"]).ok();
    world.weft(&["get", "physical-router", "r1", "-o", "yaml"]).ok().says(SECRET);
}

#[test]
fn what_did_not_finish_is_not_taken_for_whole() {
    let (world, data) = world();
    let file = path(&world, "whole");
    store(&world, "backup", &data, &[&file]).ok();
    let bytes = std::fs::read(&file).unwrap();
    let damaged = path(&world, "damaged");
    for (bytes, words) in
        [(&bytes[..bytes.len() - 1], "ends early"), (&bytes[4..], "does not begin"), (&[][..], "ends early")]
    {
        std::fs::write(&damaged, bytes).unwrap();
        store(&world, "restore", &data, &["--force", &damaged]).code(1).says(words);
        // Nothing was touched.
        store(&world, "check", &data, &[]).ok();
    }
    // As a restore leaves it that was killed.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let inner = format!("{data}/weft.redb");
        let opened = weft_store::open(&inner).await.unwrap();
        weft_store::backup::begin(&*opened, "a restore", true).await.unwrap();
    });
    for command in ["backup", "export"] {
        store(&world, command, &data, &[&path(&world, "x")])
            .code(1)
            .says("a restore into the store did not finish");
    }
    assert!(!world.path("x").exists());
    store(&world, "check", &data, &[]).code(1).says("did not finish");
    let arguments = ["controller", "--plain-xmpp", "--data-dir", &data, "--listen-api", "127.0.0.1:0"];
    let rest =
        ["--listen-xmpp", "127.0.0.1:0", "--listen-dns", "127.0.0.1:0", "--listen-introspect", "127.0.0.1:0"];
    world.weft(&[&arguments[..], &rest[..]].concat()).code(1).says("did not finish").says("--force");
    store(&world, "restore", &data, &[&file]).code(1).says("did not finish").says("--force");
    store(&world, "restore", &data, &["--force", &file]).ok();
    store(&world, "check", &data, &[]).ok();
}

#[test]
fn an_export_moves_to_another_installation_with_its_key() {
    let (mut world, data) = world();
    let (file, key) = (path(&world, "all.json"), path(&world, "key"));
    store(&world, "export", &data, &[&file]).ok();
    assert!(!std::fs::read_to_string(&file).unwrap().contains(SECRET));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    store(&world, "import", &data, &[&file]).code(1).says("not empty").says("--force");
    std::fs::rename(world.path("data/seal.key"), &key).unwrap();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    std::fs::create_dir(world.path("data")).unwrap();
    store(&world, "import", &data, &[&file]).code(1).says("--seal-key");
    // What that began is not taken for whole, and done again.
    store(&world, "import", &data, &["--seal-key", &key, &file])
        .code(1)
        .says("an import into the store did not finish");
    store(&world, "import", &data, &["--seal-key", &key, "--force", &file]).ok().says("0 things left out");
    store(&world, "check", &data, &[]).ok();
    std::fs::rename(&key, world.path("data/seal.key")).unwrap();
    world.start_again();
    world.weft(&["get", "physical-router", "r1", "-o", "yaml"]).ok().says(SECRET);
    world.weft(&["get", "project", "shop"]).ok();
}

#[test]
fn mistakes_are_named_with_what_to_do() {
    let (world, data) = world();
    let made = |name: &str, bytes: &[u8]| {
        std::fs::write(world.path(name), bytes).unwrap();
        path(&world, name)
    };
    let none = path(&world, "none");
    for (command, at, file, words) in [
        ("check", &none, None, "give the controller's data directory"),
        ("check", &"http://127.0.0.1:1".to_owned(), None, "etcd://"),
        ("check", &"etcd://127.0.0.1:1/x?patience=1".to_owned(), None, "127.0.0.1:1"),
        ("backup", &data, Some("/nowhere/at/all".to_owned()), "cannot make"),
        ("restore", &data, Some(none.clone()), "cannot read"),
        ("restore", &data, Some(path(&world, "")), "directory"),
        ("import", &none, Some(made("text", b"hello")), "not JSON"),
        ("import", &none, Some(made("d.gz", &[0x1f, 0x8b, 8, 0])), "gunzip"),
        ("import", &none, Some(made("list", b"[]")), "neither an export"),
        ("import", &none, Some(made("object", br#"{"objects": [{"x": 1}]}"#)), "object 0"),
    ] {
        let file: Vec<&str> = file.as_deref().into_iter().collect();
        store(&world, command, at, &file).code(1).says(words);
    }
    assert!(!world.path("none").exists(), "no store is made for what cannot be read");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let (world, data) = world();
    let inner = format!("{data}/weft.redb");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let opened = weft_store::open(&inner).await.unwrap();
        let mut txn = weft_store::Txn::new();
        for number in 0..2000 {
            txn = txn.then(weft_store::Op::put(format!("fq/project/nobody:{number}"), "x"));
        }
        opened.txn(txn).await.unwrap();
    });
    let mut command = world.command(&["store", "check", "--store", &data]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && !said.contains("panicked") && said.contains("2000 findings"),
        "{said}"
    );
}

//! The controller and `weft store` on a disk that is full: what is asked of them is refused with the reason, nothing is lost,
//! and all goes on when there is room.
//!
//! The disk is a small tmpfs in a mount namespace of the test's own, so it is gone with the test, however that ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::World;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

mod common;

/// A file system of its own.
struct Disk(TempDir);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

impl Disk {
    /// Only for a thread of [`alone`].
    fn new(bytes: usize) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let size = format!("size={bytes}");
        mount(Some("tmpfs"), disk.path(), Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).unwrap();
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    fn fill(&self) {
        let mut file = std::fs::File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 16, 4096] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

/// Runs `test` on a thread whose mounts, and those of the processes it starts, nobody else sees.
fn alone(test: impl FnOnce() + Send + 'static) {
    let run = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        test();
    });
    if let Err(panic) = run.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A controller whose data is on `disk`.
fn controller(disk: &Disk, audit: &str) -> World {
    let directory = TempDir::new_in(disk.path()).unwrap();
    let controller = common::start_with(directory.path(), &["--audit-log", audit]);
    World { directory, controller }
}

/// Status and body of the answer.
fn ask(world: &World, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(world.path("api.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}, {}", log(world))), answer)
}

/// What the controller said last.
fn log(world: &World) -> String {
    let text = std::fs::read_to_string(world.path("controller.log")).unwrap();
    text.lines().rev().take(20).collect::<Vec<_>>().join("\n")
}

fn make(world: &World, number: usize) -> (u16, String) {
    let name = format!("m{number:05}");
    ask(world, "POST", "/virtual-machines", &format!(r#"{{"virtual-machine": {{"fq_name": ["{name}"]}}}}"#))
}

/// The names of the machines there are.
fn machines(world: &World) -> Vec<usize> {
    let (status, body) = ask(world, "GET", "/virtual-machines", "");
    assert_eq!(status, 200, "{body}");
    let mut found: Vec<usize> = body.split("[\"m").skip(1).map(|rest| rest[..5].parse().unwrap()).collect();
    found.sort_unstable();
    found
}

/// Makes machines until one is refused; the numbers of those made, and what was said.
fn until_refused(world: &World, from: usize) -> (Vec<usize>, String) {
    let mut made = Vec::new();
    for number in from..from + 2000 {
        match make(world, number) {
            (200, _) => made.push(number),
            (503, said) => return (made, said),
            (status, said) => panic!("{status}: {said}"),
        }
    }
    panic!("a full disk takes everything");
}

/// Makes one, as soon as that is possible again.
fn goes_on(world: &World, number: usize) {
    let begun = Instant::now();
    while make(world, number).0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20), "writing does not go on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_controller_refuses_writes_while_its_disk_is_full_and_loses_nothing() {
    alone(|| {
        let disk = Disk::new(24 << 20);
        let mut world = controller(&disk, "none");
        let mut made = Vec::new();
        for round in 0..2 {
            disk.fill();
            let (more, said) = until_refused(&world, 1 + round * 10_000);
            made.extend(more);
            assert!(said.contains("No space left") && said.contains("data"), "{said}");
            // It is refused, not undecided, and reading goes on.
            assert!(said.contains("refused"), "{said}");
            assert_eq!(machines(&world), made);
            assert_eq!(make(&world, 5000).0, 503);
            assert_eq!(machines(&world), made);
            disk.empty();
            goes_on(&world, 9000 + round * 10_000);
            made.push(9000 + round * 10_000);
        }
        world.stop();
        world.start_again();
        assert_eq!(machines(&world), made);
    });
}

#[test]
fn nothing_is_written_while_the_audit_log_has_no_room_and_no_line_is_lost() {
    alone(|| {
        let (disk, small) = (Disk::new(64 << 20), Disk::new(1 << 20));
        let audit = small.at("audit.jsonl");
        let world = controller(&disk, &audit);
        let mut made = Vec::new();
        for round in 0..2 {
            small.fill();
            let (more, said) = until_refused(&world, 1 + round * 10_000);
            made.extend(more);
            assert!(said.contains("nothing was changed") && said.contains(&audit), "{said}");
            assert_eq!(machines(&world), made);
            small.empty();
            goes_on(&world, 9000 + round * 10_000);
            made.push(9000 + round * 10_000);
        }
        assert_eq!(machines(&world), made);
        std::thread::sleep(Duration::from_millis(500));
        let text = std::fs::read_to_string(&audit).unwrap();
        assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "a line in part");
        for number in made {
            let name = format!("\"m{number:05}\"");
            assert!(text.contains(&name), "no line for {name} in {text}");
        }
    });
}

#[test]
fn backups_and_exports_to_a_full_disk_say_so_and_leave_no_file() {
    alone(|| {
        let (disk, small) = (Disk::new(64 << 20), Disk::new(1 << 20));
        let mut world = controller(&disk, "none");
        for number in 0..300 {
            assert_eq!(make(&world, number).0, 200);
        }
        world.stop();
        let data = world.path("data").display().to_string();
        let (good, there) = (disk.at("good"), small.at("file"));
        world.weft(&["store", "backup", "--store", &data, &good]).ok();
        small.fill();
        for command in ["backup", "export"] {
            let ran = world.weft(&["store", command, "--store", &data, &there]);
            ran.code(1).says("No space left").says(&there);
            let names = std::fs::read_dir(small.path()).unwrap().map(|file| file.unwrap().file_name());
            assert_eq!(names.collect::<Vec<_>>(), ["ballast"]);
        }
        // Nor is a store taken for whole that a restore could not fill.
        small.empty();
        let store = small.at("store");
        std::fs::create_dir(&store).unwrap();
        small.fill();
        let file = std::fs::File::options().write(true).open(small.ballast()).unwrap();
        file.set_len(file.metadata().unwrap().len() - 60_000).unwrap();
        let ran = world.weft(&["store", "restore", "--store", &store, &good]);
        ran.code(1).says("No space left").says(&store);
        small.empty();
        let said = world.weft(&["store", "restore", "--store", &store, &good]).err();
        assert!(said.is_empty() || said.contains("did not finish") || said.contains("restored"), "{said}");
    });
}

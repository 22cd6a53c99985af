//! The store survives SIGKILL at any instant: no acknowledged transaction is lost, none is there in part.
//!
//! A child process (this binary again) runs concurrent transactions over the real store and reports each
//! acknowledgement on a pipe. The parent kills it at a random instant, opens what is left and checks it against the
//! acknowledgements; every third time the next child runs on the crashed files as they are, so that recovery itself
//! is killed too.

#![allow(clippy::unwrap_used, clippy::panic)]

mod check;
mod child;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use check::Expected;

/// Children killed over one store.
const KILLS: usize = 200;
/// Children killed while they create a store, each in a directory of its own.
const CREATION_KILLS: usize = 40;
/// The longest a child of the first kind lives, milliseconds.
const LIFE: u64 = 220;
/// The same for the second kind: long enough to have just begun.
const CREATION_LIFE: u64 = 25;

/// A small generator, for instants only (xorshift).
struct Instants(u64);

impl Instants {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self(now.as_nanos() as u64 | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Kills the child whatever happens to the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a child on `dir` for `life` and kills it; the lines it got out, up to the last whole one.
fn run_and_kill(dir: &Path, life: Duration) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture", "--test-threads=1"])
        .env(child::DIRECTORY, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut guard = Guard(child);
    let stdout = guard.0.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut lines, mut reader) = (Vec::new(), BufReader::new(stdout));
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                return lines;
            }
            lines.push(line);
        }
    });
    std::thread::sleep(life);
    let ended = guard.0.try_wait().unwrap();
    assert!(ended.is_none(), "the child ended by itself: {ended:?}");
    drop(guard);
    reader.join().unwrap()
}

/// Not a test of its own: what the parents below start.
#[test]
fn child_process() {
    if let Some(dir) = std::env::var_os(child::DIRECTORY) {
        child::run(Path::new(&dir));
    }
}

#[test]
fn survives_kill_at_any_instant() {
    let dir = tempfile::tempdir().unwrap();
    let (mut instants, mut expected) = (Instants::new(), Expected::default());
    for kill in 0..KILLS {
        let life = Duration::from_micros(instants.below(LIFE * 1000));
        for line in run_and_kill(dir.path(), life) {
            expected.acknowledged(&line);
        }
        if kill % 3 != 2 {
            expected.check(dir.path());
        }
    }
    expected.check(dir.path());
    println!("{KILLS} kills, {} acknowledged transactions, all whole", expected.count());
    assert!(expected.count() > KILLS as u64, "hardly anything was written: {}", expected.count());
}

#[test]
fn survives_kill_while_it_is_created() {
    let mut instants = Instants::new();
    for _ in 0..CREATION_KILLS {
        let (dir, mut expected) = (tempfile::tempdir().unwrap(), Expected::default());
        let life = Duration::from_micros(instants.below(CREATION_LIFE * 1000));
        for line in run_and_kill(dir.path(), life) {
            expected.acknowledged(&line);
        }
        expected.check(dir.path());
    }
}

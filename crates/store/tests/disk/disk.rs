//! A small file system of a test's own, and what goes wrong with it.
//!
//! It is mounted where no other process sees it (a private mount namespace), so it is gone with the test, however that ends.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::sys::{self, Call, Verdict};

/// Whether a call is to a file of the log.
pub(crate) fn to_log(call: &Call) -> bool {
    call.path.components().any(|part| part.as_os_str() == "log")
}

/// Whether a call is to the file of the tables.
pub(crate) fn to_tables(call: &Call) -> bool {
    call.path.extension().is_some_and(|extension| extension == "redb")
}

type Judge = Box<dyn FnMut(&Call) -> Verdict + Send>;

/// What is to go wrong, which a test changes as it goes.
#[derive(Clone)]
pub(crate) struct Faults(Arc<Mutex<Judge>>);

impl Faults {
    /// From here on `judge` decides about each call to a file of the disk.
    pub(crate) fn set(&self, judge: impl FnMut(&Call) -> Verdict + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(judge);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn clear(&self) {
        self.set(|_| Verdict::Done);
    }
}

/// A mounted file system.
pub(crate) struct Disk {
    root: tempfile::TempDir,
    pub(crate) faults: Faults,
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(self.root.path(), MntFlags::MNT_DETACH);
    }
}

impl Disk {
    fn new(bytes: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let size = format!("size={bytes}");
        mount(Some("tmpfs"), root.path(), Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).unwrap();
        Self { root, faults: Faults(Arc::new(Mutex::new(Box::new(|_| Verdict::Done)))) }
    }

    /// Calls to files of this disk are judged, on this thread and those it starts.
    fn supervise(&self) {
        let (judge, of) = (Arc::clone(&self.faults.0), self.root.path().to_owned());
        sys::supervise(move |call| {
            if !call.path.starts_with(&of) {
                return Verdict::Done;
            }
            (judge.lock().unwrap_or_else(PoisonError::into_inner))(call)
        })
        .unwrap();
    }

    /// Where the store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    /// The files of the store as a crash now would leave them, on another disk.
    pub(crate) fn crashed(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir(copy.path().join("log")).unwrap();
        std::fs::copy(self.store().join("weft.redb"), copy.path().join("weft.redb")).unwrap();
        for file in std::fs::read_dir(self.store().join("log")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join("log").join(file.file_name())).unwrap();
        }
        copy
    }

    fn ballast(&self) -> PathBuf {
        self.root.path().join("ballast")
    }

    /// Makes the file system larger.
    pub(crate) fn grow(&self, bytes: usize) {
        let (none, size) = (None::<&str>, format!("size={bytes}"));
        mount(none, self.root.path(), none, MsFlags::MS_REMOUNT, Some(size.as_str())).unwrap();
    }

    /// Takes all the room there is.
    pub(crate) fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 16, 4096] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

/// Runs `test` over a file system of `bytes` whose calls can fail, on threads of its own.
pub(crate) fn on_disk(bytes: usize, test: impl AsyncFnOnce(&Disk) + Send + 'static) {
    mounted(bytes, move |disk| {
        disk.supervise();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(test(disk));
    });
}

/// Runs `test` over a file system of `bytes`, which it and the processes it starts see.
pub(crate) fn mounted<T: Send + 'static>(bytes: usize, test: impl FnOnce(&Disk) -> T + Send + 'static) -> T {
    let run = std::thread::spawn(move || test(&Disk::new(bytes)));
    run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

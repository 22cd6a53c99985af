//! Named network namespaces: running code, opening sockets and starting processes inside them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

use crate::LabError;
use crate::sys::{self, OwnView};

/// Where `ip netns` keeps names.
const DIRECTORY: &str = "/run/netns";

/// A network namespace by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// The namespace of that name; it need not exist yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(DIRECTORY).join(&self.name)
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.path().exists()
    }

    fn open(&self) -> Result<OwnedFd, LabError> {
        let file = File::open(self.path());
        file.map(OwnedFd::from)
            .map_err(|e| LabError::Namespace { name: self.name.clone(), reason: e.to_string() })
    }

    /// Runs a function inside, on a thread of its own. Sockets it makes stay in the namespace wherever they are used later.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or as the function says.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> std::io::Result<T> + Send) -> Result<T, LabError> {
        let namespace = self.open()?;
        let failed = |reason: String| LabError::Namespace { name: self.name.clone(), reason };
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(&namespace, CloneFlags::CLONE_NEWNET)?;
                f()
            });
            thread
                .join()
                .map_err(|_| failed("a thread inside it panicked".into()))?
                .map_err(|e| failed(e.to_string()))
        })
    }

    /// Makes `command` start inside.
    ///
    /// # Errors
    /// When the namespace does not exist.
    pub(crate) fn enter(&self, command: &mut Command, view: Option<OwnView<'_>>) -> Result<(), LabError> {
        let failed =
            |e: std::io::Error| LabError::Namespace { name: self.name.clone(), reason: e.to_string() };
        sys::enter(command, self.open()?, view).map_err(failed)
    }

    /// Sets sysctls inside, by path below `/proc/sys`.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<(), LabError> {
        self.run(|| {
            settings.iter().try_for_each(|(path, value)| {
                std::fs::write(format!("/proc/sys/{path}"), value)
                    .map_err(|e| std::io::Error::new(e.kind(), format!("/proc/sys/{path}: {e}")))
            })
        })
    }
}

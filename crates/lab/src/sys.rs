//! The two things that need `unsafe`: preparing a child process between fork and exec (it enters namespaces there), and giving
//! a descriptor to the runtime.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use tokio::io::unix::AsyncFd;

/// Files a child in a workload sees in place of the host's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnView<'a> {
    /// Shown as `/etc/resolv.conf`.
    pub(crate) resolv_conf: &'a Path,
    /// Host name inside.
    pub(crate) hostname: &'a str,
}

/// Makes `command` start inside a network namespace, and with a view of its own if one is given. The file descriptor is closed
/// in the child by exec.
pub(crate) fn enter(
    command: &mut Command,
    namespace: OwnedFd,
    view: Option<OwnView<'_>>,
) -> std::io::Result<()> {
    let view = match view {
        Some(view) => {
            Some((CString::new(view.resolv_conf.as_os_str().as_bytes())?, view.hostname.to_owned()))
        }
        None => None,
    };
    let prepare = move || -> std::io::Result<()> {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        if let Some((resolv_conf, hostname)) = &view {
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)?;
            nix::unistd::sethostname(hostname)?;
            mount(None::<&str>, c"/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
            mount(
                Some(resolv_conf.as_c_str()),
                c"/etc/resolv.conf",
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )?;
        }
        Ok(())
    };
    // SAFETY: the closure runs in the child between fork and exec and makes only system calls on data prepared before the
    // fork: it allocates nothing, takes no lock and touches no state of other threads.
    unsafe { command.pre_exec(prepare) };
    Ok(())
}

/// Registers a descriptor with the runtime of the calling task.
pub(crate) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open, and stays the same one, for as long as the `AsyncFd` owns it.
    unsafe { AsyncFd::register(fd) }.map_err(io::Error::from)
}

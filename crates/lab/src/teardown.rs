//! Ending a lab, running or crashed: processes by pid, mounts, namespaces, files. Safe to repeat.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use nix::mount::{MntFlags, umount2};

use crate::LabError;
use crate::ip;
use crate::netns::Netns;
use crate::process::{self, Process};
use crate::state::State;

/// How long roles may take to end in good order.
const GRACE: Duration = Duration::from_secs(2);

/// Removes everything a lab has made. Goes on after a failure and reports the first one.
///
/// # Errors
/// When something could not be removed; the rest is removed nevertheless.
pub(crate) async fn remove(state: &State) -> Result<(), LabError> {
    end_roles(state).await;
    let namespaces: Vec<Netns> = state.namespaces.iter().map(Netns::new).collect();
    join_all(process::inside(&namespaces).into_iter().map(Process::kill)).await;
    let mut result = unmount(state);
    let lines: Vec<String> =
        namespaces.iter().filter(|n| n.exists()).map(|n| format!("netns delete {}", n.name())).collect();
    if !lines.is_empty() {
        result = result.and(ip::batch(None, &lines));
    }
    // With something left its description must stay, for `weft lab down` to try again.
    result?;
    match std::fs::remove_dir_all(&state.directory) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(LabError::io(&state.directory)(e)),
        _ => Ok(()),
    }
}

async fn end_roles(state: &State) {
    let roles = state.hosts.iter().map(|h| h.process).chain([state.controller.process]).flatten();
    join_all(roles.map(|role| async move {
        role.signal(nix::sys::signal::Signal::SIGTERM);
        if !role.gone_within(GRACE).await {
            role.kill().await;
        }
    }))
    .await;
}

/// Unmounts whatever is mounted below the lab's directory, the last mounted first.
fn unmount(state: &State) -> Result<(), LabError> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let targets = mounts.lines().filter_map(|l| l.split_whitespace().nth(1)).map(PathBuf::from);
    let mut below: Vec<PathBuf> = targets.filter(|t| t.starts_with(&state.directory)).collect();
    below.reverse();
    below.into_iter().try_for_each(|target| match umount2(&target, MntFlags::MNT_DETACH) {
        Err(errno) if !process::is_absent(errno) => Err(LabError::io(&target)(errno.into())),
        _ => Ok(()),
    })
}

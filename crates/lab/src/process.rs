//! Child processes of a lab: started in a namespace, logged, remembered by pid and start time, ended by pid.

use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::netns::Netns;

/// How long a role may take to end in good order before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How often an ending process is looked at.
const POLL: Duration = Duration::from_millis(10);
/// Lines of a log shown with an error.
const LOG_LINES: usize = 12;

/// A process, named so that a later process with the same pid is not mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot.
    pub started: u64,
}

impl Process {
    /// The process with that pid now.
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|(_, started)| Self { pid, started })
    }

    /// Whether it still runs. A child of ours that ended is reaped here.
    pub fn alive(self) -> bool {
        // Not our child after `lab up`: then init reaps it, and this fails harmlessly.
        let _ = waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG));
        matches!(stat(self.pid), Some((state, started)) if started == self.started && state != 'Z')
    }

    /// Sends a signal if it still runs.
    pub fn signal(self, signal: Signal) {
        if self.alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Waits until it is gone; false when time is over.
    pub async fn gone_within(self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.alive() {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    /// Ends it: first asks, then kills.
    pub async fn stop(self) {
        self.signal(Signal::SIGTERM);
        if !self.gone_within(GRACE).await {
            self.kill().await;
        }
    }

    /// Kills it at once and waits until it is gone.
    pub async fn kill(self) {
        self.signal(Signal::SIGKILL);
        self.gone_within(GRACE).await;
    }
}

/// State letter and start time from `/proc/<pid>/stat`.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name is in parentheses and may hold anything: fields are counted from its end.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

/// Starts a role in a namespace, in a process group of its own (a Ctrl-C at the terminal is for the lab), output to a log.
///
/// # Errors
/// When the program or the namespace does not exist, or the log cannot be written.
pub(crate) fn spawn(mut command: Command, namespace: &Netns, log: &Path) -> Result<Process, LabError> {
    let file = OpenOptions::new().create(true).append(true).open(log).map_err(LabError::io(log))?;
    let copy = file.try_clone().map_err(LabError::io(log))?;
    command.stdin(Stdio::null()).stdout(file).stderr(copy).process_group(0);
    namespace.enter(&mut command, None)?;
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().map_err(|e| LabError::role(&program, e.to_string()))?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    Process::of(pid).ok_or_else(|| LabError::role(&program, "ended at once"))
}

/// The last lines of a log.
pub(crate) fn log_end(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines[from..].iter().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

/// All processes whose network namespace is one of those: DHCP clients, commands, whatever was left.
pub(crate) fn inside(namespaces: &[Netns]) -> Vec<Process> {
    let inode = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let wanted: Vec<_> = namespaces.iter().filter_map(|n| inode(&n.path())).collect();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str().and_then(|n| n.parse::<i32>().ok()));
    pids.filter(|pid| *pid != Pid::this().as_raw())
        .filter(|pid| inode(Path::new(&format!("/proc/{pid}/ns/net"))).is_some_and(|i| wanted.contains(&i)))
        .filter_map(Process::of)
        .collect()
}

/// Whether the caller may make namespaces.
pub(crate) fn require_root() -> Result<(), LabError> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(LabError::NotRoot) }
}

/// True when a system call failed because there was nothing to do.
pub(crate) fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_known_until_it_ends() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(process.alive());
        assert!(!Process { started: process.started + 1, ..process }.alive());
        process.stop().await;
        assert!(!process.alive());
        assert!(child.wait().is_err(), "it was reaped before");
    }
}

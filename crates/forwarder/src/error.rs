//! What can go wrong between user space and the kernel's side of the forwarder.

use std::path::PathBuf;

/// An operation on the forwarder failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwarderError {
    /// A table has no room for another entry.
    #[error("table {table} is full")]
    TableFull {
        /// The table's name.
        table: &'static str,
    },
    /// An index is beyond the table's size.
    #[error("index {index} is beyond the size of table {table}")]
    OutOfRange {
        /// The table's name.
        table: &'static str,
        /// The index asked for.
        index: u32,
    },
    /// A system call on a table failed.
    #[error("table {table}: {source}")]
    Table {
        /// The table's name.
        table: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The programs could not be loaded; with the verifier's last lines.
    #[error("loading the eBPF programs: {0}")]
    Load(String),
    /// A program could not be attached to an interface.
    #[error("attaching {program} to interface {ifindex}: {reason}")]
    Attach {
        /// The program.
        program: &'static str,
        /// The interface.
        ifindex: u32,
        /// What the kernel or the library said.
        reason: String,
    },
    /// The bpf file system, or a pin in it, could not be used.
    #[error("{path}: {source}")]
    Pin {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The object embedded in this binary lacks something: a build of two versions.
    #[error("the eBPF object has no {0}")]
    Missing(String),
    /// A program could not be run on a test packet.
    #[error("test run: {0}")]
    TestRun(std::io::Error),
}

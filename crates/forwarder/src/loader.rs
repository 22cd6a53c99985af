//! Bringing the programs and tables into the kernel, or adopting those that a process before us left there.
//!
//! Everything is pinned under one directory of a bpf file system: the tables by name, the links as
//! `<program>-<ifindex>`. Tables of another schema are thrown away with their links; tables of ours are adopted with
//! all they hold, and the programs of the links are replaced in place, so no packet sees a moment without a program.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use aya::programs::SchedClassifier;
use aya::{Ebpf, EbpfLoader};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use weft_dataplane::config::stage;
use weft_dataplane::{Config, Limits, SCHEMA_VERSION};

use crate::ForwarderError;
use crate::sys;
use crate::table::Table;

type Result<T> = std::result::Result<T, ForwarderError>;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/weft-ebpf"));

/// Tables whose sizes come from [`Limits`].
fn sizes(limits: &Limits) -> [(&'static str, u32); 17] {
    [
        ("CONFIG", 1),
        ("INTERFACES", limits.interfaces),
        ("NEXT_HOPS", limits.next_hops),
        ("ROUTES4", limits.routes4),
        ("ROUTES6", limits.routes6),
        ("BRIDGE", limits.bridge),
        ("LABELS", limits.labels),
        ("VNIS", limits.vnis),
        ("VRFS", limits.vrfs),
        ("VERDICTS", limits.verdicts),
        ("RULE_LISTS", limits.rule_lists),
        ("FLOWS4", limits.flows4),
        ("FLOWS6", limits.flows6),
        ("FRAGMENTS", limits.fragments),
        ("COUNTERS", limits.slots),
        ("EVENTS", limits.event_bytes),
        ("DROPS", limits.slots.saturating_mul(16)),
    ]
}

/// Programs that are attached to interfaces; the others are stages.
pub(crate) const ENTRIES: [&str; 3] = ["workload", "fabric", "pkt0"];

fn pin_error(path: &Path, source: io::Error) -> ForwarderError {
    ForwarderError::Pin { path: path.to_path_buf(), source }
}

/// Makes `directory` and mounts a bpf file system there, unless it is in one already.
pub(crate) fn prepare(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(|e| pin_error(directory, e))?;
    let kind = statfs(directory).map_err(|e| pin_error(directory, e.into()))?.filesystem_type();
    if kind != BPF_FS_MAGIC {
        let none: Option<&str> = None;
        mount(Some("bpf"), directory, Some("bpf"), MsFlags::empty(), none)
            .map_err(|e| pin_error(directory, e.into()))?;
    }
    for folder in [links_directory(directory), tables_directory(directory)] {
        fs::create_dir_all(&folder).map_err(|e| pin_error(&folder, e))?;
    }
    Ok(())
}

/// Where the tables are pinned.
pub(crate) fn tables_directory(directory: &Path) -> PathBuf {
    directory.join("tables")
}

/// Where the links are pinned.
pub(crate) fn links_directory(directory: &Path) -> PathBuf {
    directory.join("links")
}

/// Loads the programs around the tables in `directory`, adopting or making those.
pub(crate) fn load(directory: &Path, limits: &Limits) -> Result<Ebpf> {
    if !adoptable(directory) {
        discard(directory)?;
    }
    let tables = tables_directory(directory);
    let mut loader = EbpfLoader::new();
    for (name, size) in sizes(limits) {
        loader.map_max_entries(name, size);
        loader.map_pin_path(name, tables.join(name));
    }
    loader.map_pin_path("STAGES", tables.join("STAGES"));
    let mut ebpf = loader.load(OBJECT).map_err(|e| ForwarderError::Load(chain(&e)))?;
    for name in ENTRIES.into_iter().chain(stage::ALL.map(|(_, name)| name)) {
        classifier(&mut ebpf, name)?
            .load()
            .map_err(|e| ForwarderError::Load(format!("{name}: {}", chain(&e).replace("\\n", "\n"))))?;
    }
    let stages = Table::<u32, u32>::open(&tables, "STAGES")?;
    for (slot, name) in stage::ALL {
        let program = classifier(&mut ebpf, name)?;
        let fd = program.fd().map_err(|e| ForwarderError::Load(chain(&e)))?;
        stages.put(&slot, &fd.as_fd().as_raw_fd().unsigned_abs())?;
    }
    Ok(ebpf)
}

/// A program of the object.
pub(crate) fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier> {
    let program = ebpf.program_mut(name).ok_or_else(|| ForwarderError::Missing(format!("program {name}")))?;
    program.try_into().map_err(|_| ForwarderError::Missing(format!("classifier {name}")))
}

/// An error with its causes, one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    shortened(text)
}

/// Verifier logs run to megabytes, and only their end says what was wrong.
fn shortened(text: String) -> String {
    const HEAD: usize = 200;
    const TAIL: usize = 1500;
    if text.len() <= HEAD + TAIL {
        return text;
    }
    let characters: Vec<char> = text.chars().collect();
    let head: String = characters.iter().take(HEAD).collect();
    let tail: String = characters.iter().skip(characters.len().saturating_sub(TAIL)).collect();
    format!("{head} [...] {tail}")
}

/// Whether the pinned tables, if any, are of this schema.
fn adoptable(directory: &Path) -> bool {
    let tables = tables_directory(directory);
    let Ok(fd) = sys::open_pinned(&tables.join("CONFIG")) else { return false };
    let shape = sys::map_shape(fd.as_fd());
    if !matches!(shape, Ok((4, size, _)) if size as usize == size_of::<Config>()) {
        return false;
    }
    let config = Table::<u32, Config>::open(&tables, "CONFIG").and_then(|table| table.get(&0));
    matches!(config, Ok(Some(config)) if config.schema == SCHEMA_VERSION)
}

/// Removes every pin: the programs leave their interfaces.
pub(crate) fn discard(directory: &Path) -> Result<()> {
    for folder in [links_directory(directory), tables_directory(directory)] {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if !path.is_dir() {
                fs::remove_file(&path).map_err(|e| pin_error(&path, e))?;
            }
        }
    }
    Ok(())
}

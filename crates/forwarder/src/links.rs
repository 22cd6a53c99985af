//! The programs' links to interfaces, pinned so that they outlive this process.

use std::fs;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::{LinkOrder, TcAttachType};

use crate::loader::{chain, classifier, links_directory};
use crate::{ForwarderError, sys};

type Result<T> = std::result::Result<T, ForwarderError>;

fn pin_path(directory: &Path, program: &str, ifindex: u32) -> PathBuf {
    links_directory(directory).join(format!("{program}-{ifindex}"))
}

/// Puts a program on an interface, in place of an older version of itself if that is there.
pub(crate) fn attach(ebpf: &mut Ebpf, directory: &Path, program: &'static str, ifindex: u32) -> Result<()> {
    let path = pin_path(directory, program, ifindex);
    if replace(ebpf, &path, program)? {
        return Ok(());
    }
    let failed = |reason: String| ForwarderError::Attach { program, ifindex, reason };
    let name = sys::interface_name(ifindex).map_err(|e| failed(e.to_string()))?;
    let classifier = classifier(ebpf, program)?;
    let options = TcAttachOptions::TcxOrder(LinkOrder::default());
    let id = classifier
        .attach_with_options(&name, TcAttachType::Ingress, options)
        .map_err(|e| failed(chain(&e)))?;
    let link = classifier.take_link(id).map_err(|e| failed(chain(&e)))?;
    let link = FdLink::try_from(link).map_err(|e| failed(chain(&e)))?;
    link.pin(&path).map_err(|e| failed(chain(&e)))?;
    Ok(())
}

/// Gives the pinned link of a program its new version. False: there is none, or its interface is gone.
fn replace(ebpf: &mut Ebpf, path: &Path, program: &str) -> Result<bool> {
    let Ok(pinned) = PinnedLink::from_pin(path) else { return Ok(false) };
    let classifier = classifier(ebpf, program)?;
    let link = SchedClassifierLink::try_from(FdLink::from(pinned)).ok();
    let updated = link.and_then(|link| classifier.attach_to_link(link).ok());
    match updated {
        Some(id) => {
            // Only our descriptor is closed here: the pin keeps the link.
            drop(classifier.take_link(id));
            Ok(true)
        }
        None => {
            fs::remove_file(path)
                .map_err(|source| ForwarderError::Pin { path: path.to_path_buf(), source })?;
            Ok(false)
        }
    }
}

/// Takes a program off an interface.
pub(crate) fn detach(directory: &Path, program: &str, ifindex: u32) -> Result<()> {
    let path = pin_path(directory, program, ifindex);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ForwarderError::Pin { path, source })
        }
        _ => Ok(()),
    }
}

/// The interfaces with a pinned link of a program.
pub(crate) fn attached(directory: &Path, program: &str) -> Result<Vec<u32>> {
    let folder = links_directory(directory);
    let entries =
        fs::read_dir(&folder).map_err(|source| ForwarderError::Pin { path: folder.clone(), source })?;
    let prefix = format!("{program}-");
    let mut found: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(&prefix)?.parse().ok())
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// Gives every pinned link the new version of its program.
pub(crate) fn replace_all(ebpf: &mut Ebpf, directory: &Path) -> Result<()> {
    for program in crate::loader::ENTRIES {
        for ifindex in attached(directory, program)? {
            replace(ebpf, &pin_path(directory, program, ifindex), program)?;
        }
    }
    Ok(())
}

//! Files of `weft store`: what is written is there whole or not at all, and what is read is told apart from what it is not.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// First bytes of a file packed by gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Where a backup or an export goes: standard output, or a file that gets its name when it is whole. It holds an
/// installation's secrets, so it is its owner's alone.
pub(crate) struct Output {
    writer: Box<dyn Write>,
    /// Where it is written, and what it is called then.
    names: Option<(PathBuf, PathBuf)>,
}

impl Output {
    /// `-` is standard output.
    pub(crate) fn new(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { writer: Box::new(std::io::stdout()), names: None });
        }
        let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
        ensure!(!path.exists(), "{} is there already: name another file, or delete it", path.display());
        let mut partial = std::ffi::OsString::from(".");
        partial.push(name);
        partial.push(".partial");
        let partial = path.with_file_name(partial);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let file = file.with_context(|| format!("cannot make {}", partial.display()))?;
        Ok(Self { writer: Box::new(BufWriter::new(file)), names: Some((partial, path.to_owned())) })
    }

    /// What was written is whole.
    pub(crate) fn done(mut self) -> anyhow::Result<()> {
        self.flush()?;
        let Some((partial, path)) = &self.names else { return Ok(()) };
        let made = || -> std::io::Result<()> {
            File::open(partial)?.sync_all()?;
            std::fs::rename(partial, path)?;
            // Its name is to last, too.
            let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        };
        made().with_context(|| format!("cannot make {}", path.display()))?;
        self.names = None;
        Ok(())
    }

    /// An error says of which file it is.
    fn named(&self, error: std::io::Error) -> std::io::Error {
        let Some((_, path)) = &self.names else { return error };
        std::io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.write(bytes).map_err(|error| self.named(error))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush().map_err(|error| self.named(error))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((partial, _)) = &self.names {
            let _ = std::fs::remove_file(partial);
        }
    }
}

/// Reads a file, or standard input for `-`.
pub(crate) fn input(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let failed = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(failed)?;
    if file.metadata().with_context(failed)?.is_dir() {
        bail!("{} is a directory: name a file", path.display());
    }
    Ok(Box::new(BufReader::new(file)))
}

/// All of it, which must not be packed.
pub(crate) fn text(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    input(path)?.read_to_end(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(!text.starts_with(&GZIP), "{} is packed by gzip: unpack it first (gunzip)", path.display());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b");
        let names = || std::fs::read_dir(directory.path()).unwrap().count();
        let mut output = Output::new(&path).unwrap();
        output.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(output);
        assert_eq!(names(), 0);
        let mut output = Output::new(&path).unwrap();
        output.write_all(b"whole").unwrap();
        output.done().unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), names()), (b"whole".to_vec(), 1));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let taken = Output::new(&path).err().unwrap().to_string();
        assert!(taken.contains("there already"), "{taken}");
        assert!(Output::new(Path::new("/")).is_err());
    }

    #[test]
    fn what_is_no_text_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let packed = directory.path().join("d.gz");
        std::fs::write(&packed, [0x1f, 0x8b, 8]).unwrap();
        assert!(text(&packed).unwrap_err().to_string().contains("gunzip"));
        assert!(text(directory.path()).unwrap_err().to_string().contains("directory"));
        assert!(text(&directory.path().join("none")).unwrap_err().to_string().contains("cannot read"));
    }
}

//! The thread that writes the audit log.

use super::{Change, Record, Rotation};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use weft_model::Object;

/// Lines written at a time.
const BATCH: usize = 256;
/// Pause after lines were written: the next collect meanwhile.
const PAUSE: Duration = Duration::from_millis(2);
/// Time between attempts while the file cannot be written.
const RETRY: Duration = Duration::from_millis(500);
/// Longest message of a refusal that is kept, characters.
const MAX_MESSAGE: usize = 1000;

pub(super) struct Writer {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    /// Length of the file up to the last whole batch.
    length: u64,
    failing: Arc<AtomicBool>,
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

impl Writer {
    pub(super) fn open(path: &Path, rotation: Rotation, failing: Arc<AtomicBool>) -> io::Result<Self> {
        let (file, length) = open(path)?;
        Ok(Self { path: path.to_owned(), rotation, file, length, failing })
    }

    /// Ends when the last sender is gone and everything is written.
    pub(super) fn run(mut self, mut records: mpsc::Receiver<Record>) {
        let mut batch = Vec::with_capacity(BATCH);
        while records.blocking_recv_many(&mut batch, BATCH) > 0 {
            let mut text = String::new();
            for record in batch.drain(..) {
                text.push_str(&line(&record).to_string());
                text.push('\n');
            }
            while let Err(error) = self.write(&text) {
                self.failing.store(true, Ordering::Relaxed);
                let path = self.path.display();
                tracing::error!(%path, %error, "the audit log cannot be written: writes are refused");
                if records.is_closed() {
                    tracing::error!(lines = text.lines().count(), "lines of the audit log are lost");
                    return;
                }
                std::thread::sleep(RETRY);
            }
            std::thread::sleep(PAUSE);
            if self.failing.swap(false, Ordering::Relaxed) {
                tracing::warn!(path = %self.path.display(), "the audit log is written again");
            }
        }
    }

    /// Writes whole lines, or none that stay.
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.length > 0 && self.length + text.len() as u64 > self.rotation.bytes {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            // Half a line must not stay in front of the next one.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += text.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u32| PathBuf::from(format!("{}.{n}", self.path.display()));
        for n in (1..self.rotation.files).rev() {
            rename(&numbered(n), &numbered(n + 1))?;
        }
        match self.rotation.files {
            0 => std::fs::remove_file(&self.path)?,
            _ => rename(&self.path, &numbered(1))?,
        }
        (self.file, self.length) = open(&self.path)?;
        Ok(())
    }
}

/// Renames a file if it is there.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn line(record: &Record) -> Value {
    let identity = &record.identity;
    let mut line = json!({
        "time": record.time,
        "request_id": record.request_id,
        "user": identity.user,
        "user_id": identity.user_id,
        "project": identity.project_id,
        "kind": identity.kind.as_str(),
        "from": record.peer.to_string(),
        "method": record.method.as_str(),
        "path": record.path,
        "status": record.status.map(|status| status.as_u16()),
        "outcome": match record.status {
            None => "unknown",
            Some(status) if status.is_success() => "done",
            Some(status) if status.is_server_error() => "failed",
            Some(_) => "refused",
        },
        "changes": record.changes.iter().map(change).collect::<Vec<_>>(),
    });
    if let Some(message) = &record.message {
        line["message"] = message.chars().take(MAX_MESSAGE).collect::<String>().into();
    }
    line
}

/// An object before and after; of an update, the fields that differ.
fn change(change: &Change) -> Value {
    let (mut before, mut after) = (fields(&change.before), fields(&change.after));
    let operation = match (&change.before, &change.after) {
        (None, _) => "create",
        (_, None) => "delete",
        _ => "update",
    };
    if let (Some(before), Some(after)) = (&mut before, &mut after) {
        let same: Vec<String> = before
            .iter()
            .filter(|(name, value)| after.get(*name) == Some(value))
            .map(|(n, _)| n.clone())
            .collect();
        for name in same {
            before.remove(&name);
            after.remove(&name);
        }
    }
    let object = change.after.as_ref().or(change.before.as_ref());
    // Masked only now: of a changed password it is to be seen that it changed.
    let masked = |fields: Option<Map<String, Value>>| {
        let mut value = fields.map_or(Value::Null, Value::Object);
        weft_model::secrets::mask(&mut value);
        value
    };
    json!({
        "operation": operation,
        "type": object.map(|o| o.object_type.name()),
        "uuid": object.map(|o| o.uuid),
        "fq_name": object.map(|o| o.fq_name.to_string()),
        "before": masked(before),
        "after": masked(after),
    })
}

/// Properties, and references under the names they have in the interface.
fn fields(object: &Option<Object>) -> Option<Map<String, Value>> {
    let object = object.as_ref()?;
    let mut fields = object.props.clone();
    for (to, list) in &object.refs {
        // References always have a JSON form.
        fields.insert(to.refs_field().to_owned(), serde_json::to_value(list).unwrap_or_default());
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(directory: &Path, bytes: u64, files: u32) -> Writer {
        let failing = Arc::new(AtomicBool::new(false));
        Writer::open(&directory.join("audit"), Rotation { bytes, files }, failing).unwrap()
    }

    #[test]
    fn files_are_put_aside_by_size_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = writer(directory.path(), 10, 2);
        for line in ["one 1234\n", "two 1234\n", "three 12\n", "four 123\n"] {
            log.write(line).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!((read("audit"), read("audit.1")), ("four 123\n".into(), "three 12\n".into()));
        assert_eq!(read("audit.2"), "two 1234\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    #[test]
    fn an_existing_file_is_continued() {
        let directory = tempfile::tempdir().unwrap();
        writer(directory.path(), 100, 1).write("a\n").unwrap();
        writer(directory.path(), 100, 1).write("b\n").unwrap();
        assert_eq!(std::fs::read_to_string(directory.path().join("audit")).unwrap(), "a\nb\n");
    }
}

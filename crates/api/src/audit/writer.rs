//! The thread that writes the audit log.

use super::{Change, Record, Rotation};
use axum::http::StatusCode;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;
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
    /// Whether something that does not belong there may follow.
    torn: bool,
    failing: Arc<AtomicBool>,
}

/// Opens the file at its end, with its length. A line that a crash left in part is ended there.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let before = file.metadata()?;
    if before.is_file() && before.len() > 0 {
        let mut last = [0];
        File::open(path)?.read_exact_at(&mut last, before.len() - 1)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    let length = file.metadata()?.len();
    Ok((file, length))
}

impl Writer {
    pub(super) fn open(path: &Path, rotation: Rotation, failing: Arc<AtomicBool>) -> io::Result<Self> {
        let (file, length) = open(path)?;
        Ok(Self { path: path.to_owned(), rotation, file, length, torn: false, failing })
    }

    /// Ends when the last sender is gone and everything is written.
    pub(super) fn run(mut self, mut records: mpsc::Receiver<Record>) {
        let mut batch = Vec::with_capacity(BATCH);
        while records.blocking_recv_many(&mut batch, BATCH) > 0 {
            let mut text = String::new();
            for record in batch.drain(..) {
                text.push_str(&line(&record));
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
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        if self.length > 0 && self.length + text.len() as u64 > self.rotation.bytes {
            self.rotate()?;
        }
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            // Half a line must not stay in front of the next one. What is no file has no length.
            let is_file = self.file.metadata().is_ok_and(|metadata| metadata.is_file());
            self.torn = is_file && self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += text.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u32| PathBuf::from(format!("{}.{n}", self.path.display()));
        // It may have been put aside by an attempt that then could not make the next: trying again must not push out another.
        if self.path.try_exists()? {
            for n in (1..self.rotation.files).rev() {
                rename(&numbered(n), &numbered(n + 1))?;
            }
            match self.rotation.files {
                0 => std::fs::remove_file(&self.path)?,
                _ => rename(&self.path, &numbered(1))?,
            }
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

/// A record as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    request_id: &'a str,
    user: &'a str,
    user_id: Option<&'a str>,
    project: Option<Uuid>,
    kind: &'a str,
    from: String,
    method: &'a str,
    path: &'a str,
    status: Option<u16>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    changes: Vec<Changed<'a>>,
}

/// One object of a record: before and after; of an update, the fields that differ.
#[derive(Serialize)]
struct Changed<'a> {
    operation: &'a str,
    #[serde(rename = "type")]
    object_type: Option<&'a str>,
    uuid: Option<Uuid>,
    fq_name: Option<String>,
    before: Option<Fields<'a>>,
    after: Option<Fields<'a>>,
}

/// Properties, and references under the names they have in the interface; without those that are the same in `other`.
struct Fields<'a> {
    object: &'a Object,
    other: Option<&'a Object>,
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.object.props {
            if self.other.is_none_or(|other| other.props.get(name) != Some(value)) {
                map.serialize_entry(name, value)?;
            }
        }
        for (to, list) in &self.object.refs {
            if self.other.is_none_or(|other| other.refs.get(to) != Some(list)) {
                map.serialize_entry(to.refs_field(), list)?;
            }
        }
        map.end()
    }
}

/// The line of a record, without its end. Secrets are masked: of a changed password it is seen that it changed.
fn line(record: &Record) -> String {
    let identity = &record.identity;
    let line = Line {
        time: &record.time,
        request_id: &record.request_id,
        user: &identity.user,
        user_id: identity.user_id.as_deref(),
        project: identity.project_id,
        kind: identity.kind.as_str(),
        from: record.peer.to_string(),
        method: record.method.as_str(),
        path: &record.path,
        status: record.status.map(|status| status.as_u16()),
        outcome: outcome(record.status),
        message: record.message.as_deref().map(beginning),
        changes: record.changes.iter().map(changed).collect(),
    };
    // Everything in a line has a JSON form.
    let text = serde_json::to_string(&line).unwrap_or_default();
    if weft_model::secrets::may_have_secrets(&text) { masked(text) } else { text }
}

fn outcome(status: Option<StatusCode>) -> &'static str {
    match status {
        None => "unknown",
        Some(status) if status.is_success() => "done",
        Some(status) if status.is_server_error() => "failed",
        Some(_) => "refused",
    }
}

fn beginning(message: &str) -> &str {
    message.char_indices().nth(MAX_MESSAGE).map_or(message, |(end, _)| &message[..end])
}

fn changed(change: &Change) -> Changed<'_> {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let object = after.or(before);
    Changed {
        operation: match (before, after) {
            (None, _) => "create",
            (_, None) => "delete",
            _ => "update",
        },
        object_type: object.map(|o| o.object_type.name()),
        uuid: object.map(|o| o.uuid),
        fq_name: object.map(|o| o.fq_name.to_string()),
        before: before.map(|object| Fields { object, other: after }),
        after: after.map(|object| Fields { object, other: before }),
    }
}

/// A line with the secrets of its objects masked.
fn masked(line: String) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(&line) else { return String::new() };
    for change in value["changes"].as_array_mut().into_iter().flatten() {
        for side in ["before", "after"] {
            weft_model::secrets::mask(&mut change[side]);
        }
    }
    value.to_string()
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
    fn an_attempt_to_begin_a_file_that_failed_pushes_no_file_out() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mut log = writer(directory.path(), 10, 2);
        log.write("one 1234\n").unwrap();
        log.write("two 1234\n").unwrap();
        // The state in which such an attempt leaves the files.
        std::fs::rename(at("audit.1"), at("audit.2")).unwrap();
        std::fs::rename(at("audit"), at("audit.1")).unwrap();
        log.write("three 12\n").unwrap();
        let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        assert_eq!(
            [read("audit"), read("audit.1"), read("audit.2")],
            ["three 12\n", "two 1234\n", "one 1234\n"]
        );
    }

    #[test]
    fn half_a_line_does_not_stay_before_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let mut log = writer(directory.path(), 100, 1);
        log.write("a\n").unwrap();
        // It could not be taken back at once.
        log.file.write_all(b"hal").unwrap();
        log.torn = true;
        log.write("b\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\n");
        // Nor at all: the process ended.
        log.file.write_all(b"hal").unwrap();
        writer(directory.path(), 100, 1).write("c\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\nhal\nc\n");
    }

    #[test]
    fn an_existing_file_is_continued() {
        let directory = tempfile::tempdir().unwrap();
        writer(directory.path(), 100, 1).write("a\n").unwrap();
        writer(directory.path(), 100, 1).write("b\n").unwrap();
        assert_eq!(std::fs::read_to_string(directory.path().join("audit")).unwrap(), "a\nb\n");
    }
}

//! The change log: files of [records](super::record). It is written first: a transaction is durable when its record is, and
//! the tables follow. What the tables lack after a crash is taken from here, and watchers that are behind read here.
//!
//! A segment is named by the first revision it holds. When the newest is full another is begun; the oldest go when the log is
//! beyond its bounds and the tables have what they hold.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::record::{self, HEAD};
use super::{EmbeddedOptions, path_error, sync_directory};
use crate::{Revision, StoreError, WatchBatch};

/// Directory of the log in that of the store.
const DIRECTORY: &str = "log";
/// Share of the log's bounds that one segment may take.
const SEGMENTS: u64 = 8;
/// Bytes of a segment, at most (a record may exceed it alone): what an opening after a crash reads and applies.
const SEGMENT_BYTES: u64 = 8 << 20;
/// Records read at a time by a watcher that is behind.
const READ_RECORDS: usize = 16;
/// Bytes after which a watcher takes what it has read so far.
const READ_BYTES: u64 = 1 << 20;

/// A file of the log.
#[derive(Debug, Clone, Copy)]
struct Segment {
    first: Revision,
    bytes: u64,
}

/// The files there are.
pub(super) struct Log {
    dir: PathBuf,
    /// Ascending; the last is the one written to. Never empty.
    segments: Mutex<VecDeque<Segment>>,
}

/// A place in the log, where a reader goes on without looking for it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    segment: Revision,
    offset: u64,
}

impl Log {
    /// Opens the log of the store in `dir`, whose tables are at revision `durable`. Returns what they lack, in order.
    pub(super) fn open(
        dir: &Path,
        durable: Revision,
    ) -> Result<(Self, Appender, Vec<WatchBatch>), StoreError> {
        let parent = dir;
        let dir = parent.join(DIRECTORY);
        std::fs::create_dir_all(&dir).map_err(|e| path_error(&dir, &e))?;
        sync_directory(parent)?;
        let mut segments = list(&dir)?;
        discard_empty(&dir, &mut segments)?;
        let (missing, reached) = recover(&dir, &segments, durable)?;
        if segments.is_empty() || reached < durable {
            // Not the log of these tables any more: there is nothing after them in it.
            segments.drain(..).try_for_each(|segment| remove(&dir, segment.first))?;
            create(&dir, durable + 1)?;
            segments.push_back(Segment { first: durable + 1, bytes: 0 });
        }
        let appender = Appender::open(path(&dir, segments.back().map_or(durable + 1, |s| s.first)))?;
        if let Some(segment) = segments.back_mut() {
            segment.bytes = appender.end;
        }
        Ok((Self { dir, segments: Mutex::new(segments) }, appender, missing))
    }

    fn segments(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The smallest revision a watch may start from.
    pub(super) fn oldest(&self) -> Revision {
        self.segments().front().map_or(0, |segment| segment.first.saturating_sub(1))
    }

    /// Removes the oldest segments beyond the bounds; the tables are at `durable`.
    pub(super) fn trim(&self, options: &EmbeddedOptions, durable: Revision) -> Result<(), StoreError> {
        let mut gone = trim(&mut self.segments(), options, durable).into_iter();
        while let Some(segment) = gone.next() {
            if let Err(error) = remove(&self.dir, segment.first) {
                // They stay known, so that no later ones go before them: a log with a gap could not be read.
                let mut segments = self.segments();
                gone.rev().chain([segment]).for_each(|segment| segments.push_front(segment));
                return Err(error);
            }
        }
        Ok(())
    }

    /// The next few groups after `seen`, which was passed to readers; `newest` was, too, and is greater.
    pub(super) fn read(
        &self,
        seen: Revision,
        newest: Revision,
        place: &mut Place,
    ) -> Result<Vec<Vec<WatchBatch>>, StoreError> {
        let lagged = || StoreError::Lagged { at: seen, oldest: self.oldest() };
        let segment = {
            let segments = self.segments();
            let after = segments.partition_point(|segment| segment.first <= seen + 1);
            after.checked_sub(1).and_then(|index| segments.get(index)).map(|segment| segment.first)
        };
        let segment = segment.ok_or_else(lagged)?;
        if place.segment != segment {
            *place = Place { segment, offset: 0 };
        }
        let path = path(&self.dir, segment);
        match File::open(&path) {
            Ok(file) => read_on(&file, seen, newest, place).map_err(|e| path_error(&path, &e))?,
            // Trimmed just now.
            Err(e) if e.kind() == ErrorKind::NotFound && self.oldest() > seen => Err(lagged()),
            Err(e) => Err(path_error(&path, &e)),
        }
    }
}

/// Reads records of one segment from a place on, those after `seen`.
fn read_on(
    file: &File,
    seen: Revision,
    newest: Revision,
    place: &mut Place,
) -> std::io::Result<Result<Vec<Vec<WatchBatch>>, StoreError>> {
    let (mut groups, mut bytes, mut reached) = (Vec::new(), 0, seen);
    while reached < newest && groups.len() < READ_RECORDS && bytes < READ_BYTES {
        let mut head = [0; HEAD];
        match file.read_exact_at(&mut head, place.offset) {
            Ok(()) => {}
            // The rest is in the next segment.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof && !groups.is_empty() => break,
            Err(e) => return Err(e),
        }
        let head = record::peek(&head);
        if head.last > seen {
            let mut whole = vec![0; usize::try_from(head.bytes).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut whole, place.offset)?;
            match record::take(&mut Bytes::from(whole)) {
                Ok(Some(group)) => groups.push(group),
                Ok(None) => return Ok(Err(StoreError::Corrupt(format!("log after revision {reached}")))),
                Err(error) => return Ok(Err(error)),
            }
            bytes += head.bytes;
            reached = head.last;
        }
        place.offset += head.bytes;
    }
    Ok(Ok(groups))
}

fn path(dir: &Path, first: Revision) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

fn create(dir: &Path, first: Revision) -> Result<(), StoreError> {
    let path = path(dir, first);
    File::create(&path).and_then(|file| file.sync_all()).map_err(|e| path_error(&path, &e))?;
    sync_directory(dir)
}

fn remove(dir: &Path, first: Revision) -> Result<(), StoreError> {
    let path = path(dir, first);
    std::fs::remove_file(&path).map_err(|e| path_error(&path, &e))
}

fn list(dir: &Path) -> Result<VecDeque<Segment>, StoreError> {
    let fail = |e: std::io::Error| path_error(dir, &e);
    let mut segments = Vec::new();
    for file in std::fs::read_dir(dir).map_err(fail)? {
        let file = file.map_err(fail)?;
        let name = file.file_name();
        let first = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|n| n.parse().ok());
        if let Some(first) = first {
            segments.push(Segment { first, bytes: file.metadata().map_err(fail)?.len() });
        }
    }
    segments.sort_unstable_by_key(|segment| segment.first);
    Ok(segments.into())
}

/// Removes segments that hold nothing, unless there is no other. The newest may be empty because it was just begun, any other
/// because it could not be: the log went on before it, and it would seem to be its end.
fn discard_empty(dir: &Path, segments: &mut VecDeque<Segment>) -> Result<(), StoreError> {
    let newest = segments.back().copied();
    let (empty, held) = segments.drain(..).partition::<VecDeque<_>, _>(|segment| segment.bytes == 0);
    let kept = newest.filter(|_| held.is_empty());
    *segments = held;
    segments.extend(kept);
    let mut gone = empty.iter().filter(|segment| kept.is_none_or(|kept| kept.first != segment.first));
    gone.try_for_each(|segment| remove(dir, segment.first))
}

/// What the log holds after a revision, and the revision it reaches. A record at its very end that is not whole was never
/// acknowledged: it is cut off.
fn recover(
    dir: &Path,
    segments: &VecDeque<Segment>,
    durable: Revision,
) -> Result<(Vec<WatchBatch>, Revision), StoreError> {
    let (mut missing, mut reached) = (Vec::new(), 0);
    for (index, segment) in segments.iter().enumerate() {
        let next = segments.get(index + 1);
        if next.is_some_and(|next| next.first <= durable + 1) {
            continue;
        }
        let path = path(dir, segment.first);
        let whole = Bytes::from(std::fs::read(&path).map_err(|e| path_error(&path, &e))?);
        let mut rest = whole.clone();
        reached = segment.first.saturating_sub(1);
        let (mut lacking, mut at) = (None, 0);
        while let Some(group) = record::take(&mut rest)? {
            if group.last().is_some_and(|batch| batch.revision > durable) {
                lacking = lacking.or(Some(at));
            }
            at = whole.len() - rest.len();
            for batch in group {
                if batch.revision != reached + 1 {
                    let what = format!("{}: revision {} after {reached}", path.display(), batch.revision);
                    return Err(StoreError::Corrupt(what));
                }
                reached = batch.revision;
                if reached > durable {
                    missing.push(batch);
                }
            }
        }
        if !rest.is_empty() {
            let offset = at as u64;
            if next.is_some() || followed(rest)? {
                return Err(StoreError::Corrupt(format!("{}: record at byte {offset}", path.display())));
            }
            tracing::warn!(file = %path.display(), offset, "the last record of the log is not whole: cut off");
            cut(&path, offset)?;
        }
        if let Some(lacking) = lacking.filter(|_| next.is_none()) {
            write_again(&path, &whole[lacking..at], lacking as u64)?;
        }
    }
    match missing.first() {
        Some(WatchBatch { revision, .. }) if *revision != durable + 1 => {
            let what = format!("{}: revision {revision} after {durable} of the tables", dir.display());
            Err(StoreError::Corrupt(what))
        }
        _ => Ok((missing, reached)),
    }
}

/// Whether a damaged record is followed by a good one: then it was not the last that was written.
fn followed(mut rest: Bytes) -> Result<bool, StoreError> {
    let Some(head) = rest.first_chunk::<HEAD>() else { return Ok(false) };
    let bytes = usize::try_from(record::peek(head).bytes).unwrap_or(usize::MAX);
    if bytes >= rest.len() {
        return Ok(false);
    }
    bytes::Buf::advance(&mut rest, bytes);
    Ok(record::take(&mut rest)?.is_some())
}

fn cut(path: &Path, length: u64) -> Result<(), StoreError> {
    let file = OpenOptions::new().write(true).open(path);
    let cut = file.and_then(|file| file.set_len(length).and_then(|()| file.sync_all()));
    cut.map_err(|e| path_error(path, &e))
}

/// Writes to disk what was read from a file: after an fsync that failed it may be in the kernel's memory only, and no later
/// fsync would write it.
fn write_again(path: &Path, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
    let file = OpenOptions::new().write(true).open(path);
    let written = file.and_then(|file| file.write_all_at(bytes, offset).and_then(|()| file.sync_data()));
    written.map_err(|e| path_error(path, &e))
}

/// The writer's end of the newest segment.
pub(super) struct Appender {
    file: File,
    path: PathBuf,
    end: u64,
}

/// Why a record was not appended.
pub(super) enum AppendError {
    /// It is not in the log, which is as it was.
    Refused(StoreError),
    /// It may be in the log: nothing more can be written until the store is opened anew.
    Broken(StoreError),
}

impl Appender {
    fn open(path: PathBuf) -> Result<Self, StoreError> {
        let file = OpenOptions::new().append(true).open(&path).map_err(|e| path_error(&path, &e))?;
        let end = file.metadata().map_err(|e| path_error(&path, &e))?.len();
        Ok(Self { file, path, end })
    }

    /// Appends a record and makes it durable.
    pub(super) fn append(&mut self, log: &Log, record: &[u8]) -> Result<(), AppendError> {
        if let Err(error) = self.file.write_all(record) {
            let error = path_error(&self.path, &error);
            return Err(match self.file.set_len(self.end) {
                Ok(()) => AppendError::Refused(error),
                Err(_) => AppendError::Broken(error),
            });
        }
        // After an fsync that failed nobody knows what is on disk.
        self.file.sync_data().map_err(|e| AppendError::Broken(path_error(&self.path, &e)))?;
        self.end += record.len() as u64;
        if let Some(segment) = log.segments().back_mut() {
            segment.bytes = self.end;
        }
        Ok(())
    }

    /// Whether the segment, which now reaches `revision`, has its size.
    pub(super) fn full(&self, log: &Log, options: &EmbeddedOptions, revision: Revision) -> bool {
        let first = log.segments().back().map_or(0, |segment| segment.first);
        let held = (revision + 1).saturating_sub(first);
        held > 0
            && (self.end >= (options.log_bytes / SEGMENTS).min(SEGMENT_BYTES)
                || held >= options.log_revisions / SEGMENTS)
    }

    /// Begins another segment after `revision`.
    pub(super) fn rotate(&mut self, log: &Log, revision: Revision) -> Result<(), StoreError> {
        let first = revision + 1;
        match create(&log.dir, first).and_then(|()| Self::open(path(&log.dir, first))) {
            Ok(begun) => *self = begun,
            Err(error) => {
                // The log goes on before it. If it stays, the next opening removes it.
                let _ = remove(&log.dir, first);
                return Err(error);
            }
        }
        log.segments().push_back(Segment { first, bytes: 0 });
        Ok(())
    }
}

/// Takes out the oldest segments until the rest, with a full newest one, is within the bounds. What the tables, which are
/// at `durable`, do not have yet stays.
fn trim(segments: &mut VecDeque<Segment>, options: &EmbeddedOptions, durable: Revision) -> Vec<Segment> {
    let bytes = options.log_bytes - (options.log_bytes / SEGMENTS).min(SEGMENT_BYTES);
    let revisions = options.log_revisions - options.log_revisions / SEGMENTS;
    let mut gone = Vec::new();
    while segments.get(1).is_some_and(|next| next.first <= durable + 1) {
        let total: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let held = segments.front().map_or(0, |segment| (durable + 1).saturating_sub(segment.first));
        if total <= bytes && held <= revisions {
            break;
        }
        gone.extend(segments.pop_front());
    }
    gone
}

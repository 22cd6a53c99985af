//! Backups: all entries of a store at one revision, in a file that shows when it is not whole.
//!
//! Format, numbers little-endian: the line [`MAGIC`], version (4 bytes), revision (8), time of writing (8, seconds since
//! 1970); then per entry the lengths of key and value (4 each), key, value; then [`END`] (4), the number of entries (8)
//! and a CRC-32 of all before (4). Nothing follows.

use std::io::{Read, Write};

use bytes::Bytes;
use futures::StreamExt;

use crate::{Op, Revision, Store, StoreError, Txn, TxnResult};

/// First bytes of a backup.
pub const MAGIC: &[u8; 12] = b"weft backup\n";
/// The version this code writes.
const VERSION: u32 = 1;
/// In place of a key's length: there are no more entries.
const END: u32 = u32::MAX;
/// Longest key and value taken from a file.
const MAX_KEY: u32 = 4096;
const MAX_VALUE: u32 = 64 << 20;
/// Pages of entries read ahead by a restore, and bytes after which one ends.
const AHEAD: usize = 2;
const PAGE_BYTES: usize = 1 << 20;
/// The row that is there while a restore or an import is under way, and what is said of it.
pub const UNFINISHED: &str = "meta/unfinished";
/// Share of a transaction's limits that one transaction of a restore uses.
const FILL: usize = 2;

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The revision of the store it was taken from.
    pub revision: Revision,
    /// Entries.
    pub entries: u64,
    /// When it was taken, seconds since 1970.
    pub taken: u64,
}

/// Why a backup cannot be written, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is no backup, or not a whole one.
    #[error("not a whole backup: {0}")]
    Damaged(String),
    /// The store to restore into holds something.
    #[error("the store is not empty ({0} is there)")]
    NotEmpty(String),
    /// What was to fill the store did not come to its end.
    #[error(
        "{0} into the store did not finish, it is not whole: run `weft store restore` or `weft store import` again, with --force"
    )]
    Unfinished(String),
}

/// Counts and sums what passes.
struct Summed<T> {
    inner: T,
    crc: crc32fast::Hasher,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Self { inner, crc: crc32fast::Hasher::new() }
    }
}

impl<T: Write> Summed<T> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.crc.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<T: Read> Summed<T> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        self.inner.read_exact(bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => BackupError::Damaged("it ends early".into()),
            _ => BackupError::Io(e),
        })?;
        self.crc.update(bytes);
        Ok(())
    }

    /// Reads `length` bytes, in steps: a damaged length must not take memory it has no bytes for.
    fn bytes(&mut self, length: u32) -> Result<Vec<u8>, BackupError> {
        const STEP: usize = 1 << 16;
        let length = length as usize;
        let mut out = Vec::new();
        while out.len() < length {
            let at = out.len();
            out.resize(length.min(at + STEP), 0);
            self.fill(&mut out[at..])?;
        }
        Ok(out)
    }
}

/// Writes all entries of `store` at one revision to `out`, as they come.
///
/// # Errors
/// [`BackupError::Io`], [`BackupError::Store`]; [`BackupError::Unfinished`] for a store that is not whole.
pub async fn write(store: &dyn Store, out: impl Write) -> Result<Summary, BackupError> {
    whole(store).await?;
    let (revision, mut entries) = store.snapshot().await?;
    let taken = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let mut out = Summed::new(out);
    out.put(MAGIC)?;
    out.put(&VERSION.to_le_bytes())?;
    out.put(&revision.to_le_bytes())?;
    out.put(&taken.to_le_bytes())?;
    let mut count = 0u64;
    while let Some(page) = entries.next().await {
        for entry in page? {
            for length in [entry.key.len(), entry.value.len()] {
                let length = u32::try_from(length).map_err(|e| BackupError::Damaged(e.to_string()))?;
                out.put(&length.to_le_bytes())?;
            }
            out.put(entry.key.as_bytes())?;
            out.put(&entry.value)?;
            count += 1;
        }
    }
    out.put(&END.to_le_bytes())?;
    out.put(&count.to_le_bytes())?;
    let crc = out.crc.clone().finalize();
    out.inner.write_all(&crc.to_le_bytes())?;
    out.inner.flush()?;
    Ok(Summary { revision, entries: count, taken })
}

/// Reads a backup and hands each entry to `each`. Only a return without error says that the file was whole.
///
/// # Errors
/// [`BackupError::Damaged`] with what is wrong, [`BackupError::Io`], and what `each` returns.
pub fn read(
    input: impl Read,
    mut each: impl FnMut(String, Bytes) -> Result<(), BackupError>,
) -> Result<Summary, BackupError> {
    let damaged = |what: &str| BackupError::Damaged(what.to_owned());
    let mut input = Summed::new(input);
    if input.take::<{ MAGIC.len() }>()? != *MAGIC {
        return Err(damaged("it does not begin like one"));
    }
    let version = u32::from_le_bytes(input.take()?);
    if version != VERSION {
        return Err(damaged(&format!("version {version}, this program reads {VERSION}")));
    }
    let (revision, taken) = (u64::from_le_bytes(input.take()?), u64::from_le_bytes(input.take()?));
    let mut entries = 0u64;
    loop {
        let key = u32::from_le_bytes(input.take()?);
        if key == END {
            break;
        }
        let value = u32::from_le_bytes(input.take()?);
        if key == 0 || key > MAX_KEY || value > MAX_VALUE {
            return Err(damaged(&format!("entry {entries} has lengths {key} and {value}")));
        }
        let key = String::from_utf8(input.bytes(key)?).map_err(|_| damaged("a key is not text"))?;
        each(key, input.bytes(value)?.into())?;
        entries += 1;
    }
    if u64::from_le_bytes(input.take()?) != entries {
        return Err(damaged("the number of entries is another"));
    }
    let crc = input.crc.clone().finalize();
    if u32::from_le_bytes(input.take()?) != crc {
        return Err(damaged("the check sum is another"));
    }
    if input.inner.read(&mut [0])? != 0 {
        return Err(damaged("something follows its end"));
    }
    Ok(Summary { revision, entries, taken })
}

/// The first key of a store that holds anything.
///
/// # Errors
/// Those of [`Store::range`].
pub async fn first_key(store: &dyn Store) -> Result<Option<String>, StoreError> {
    Ok(store.range("", None, 1).await?.entries.into_iter().next().map(|entry| entry.key))
}

/// Whether the store holds all that it was filled with.
///
/// # Errors
/// [`BackupError::Unfinished`] if it does not, and those of [`Store::get`].
pub async fn whole(store: &dyn Store) -> Result<(), BackupError> {
    match store.get(UNFINISHED).await? {
        None => Ok(()),
        Some(entry) => Err(BackupError::Unfinished(String::from_utf8_lossy(&entry.value).into_owned())),
    }
}

/// Prepares an empty store to be filled by `what` ("a restore"); with `force` any store, whose contents are deleted. Until
/// [`finish`] nobody takes the store for whole, even if this process ends before.
///
/// # Errors
/// [`BackupError::NotEmpty`], and those of [`Store::range`] and [`Store::txn`].
pub async fn begin(store: &dyn Store, what: &'static str, force: bool) -> Result<(), BackupError> {
    match first_key(store).await? {
        Some(key) if !force => {
            whole(store).await?;
            return Err(BackupError::NotEmpty(key));
        }
        _ => put(store, vec![Op::put(UNFINISHED, what)]).await?,
    }
    loop {
        let page = store.range("", None, 1000).await?;
        let keys = page.entries.into_iter().map(|entry| entry.key).filter(|key| key != UNFINISHED);
        let ops: Vec<Op> = keys.map(Op::delete).collect();
        if ops.is_empty() {
            return Ok(());
        }
        put(store, ops).await?;
    }
}

/// The store holds everything it was to be filled with.
///
/// # Errors
/// Those of [`Store::txn`].
pub async fn finish(store: &dyn Store) -> Result<(), StoreError> {
    put(store, vec![Op::delete(UNFINISHED)]).await
}

/// Writes a backup's entries, as they are read, into `store`, which must be empty, or is emptied with `force`. Read the
/// file with [`read`] first: this learns only at its end that a file is damaged.
///
/// # Errors
/// [`BackupError::NotEmpty`], and those of [`read`] and [`Store::txn`]: then the store holds a part, and says so ([`whole`]).
pub async fn restore(
    store: &dyn Store,
    input: impl Read + Send + 'static,
    force: bool,
) -> Result<Summary, BackupError> {
    begin(store, "a restore", force).await?;
    let (pages, mut receiver) = tokio::sync::mpsc::channel(AHEAD);
    let reader = tokio::task::spawn_blocking(move || {
        let gone = |_| BackupError::Store(StoreError::Unavailable("the restore was given up".into()));
        let (mut page, mut bytes) = (Vec::new(), 0);
        let summary = read(input, |key, value| {
            bytes += key.len() + value.len();
            page.push(Op::put(key, value));
            if bytes < PAGE_BYTES {
                return Ok(());
            }
            bytes = 0;
            pages.blocking_send(std::mem::take(&mut page)).map_err(gone)
        })?;
        pages.blocking_send(page).map_err(gone)?;
        Ok::<_, BackupError>(summary)
    });
    while let Some(page) = receiver.recv().await {
        put(store, page).await?;
    }
    let summary = reader.await.map_err(|e| BackupError::Store(StoreError::Unavailable(e.to_string())))??;
    finish(store).await?;
    Ok(summary)
}

/// Writes `ops` in transactions that fit the store.
pub(crate) async fn put(store: &dyn Store, ops: Vec<Op>) -> Result<(), StoreError> {
    let limits = store.limits();
    let (mut txn, mut bytes) = (Txn::new(), 0);
    for op in ops {
        let size = op.key().len() + op.value().map_or(0, Bytes::len);
        let full = txn.ops.len() + 1 > limits.max_ops / FILL || bytes + size > limits.max_bytes / FILL;
        if full && !txn.ops.is_empty() {
            commit(store, std::mem::take(&mut txn)).await?;
            bytes = 0;
        }
        bytes += size;
        txn.ops.push(op);
    }
    if txn.ops.is_empty() { Ok(()) } else { commit(store, txn).await }
}

async fn commit(store: &dyn Store, txn: Txn) -> Result<(), StoreError> {
    match store.txn(txn).await? {
        TxnResult::Committed(_) => Ok(()),
        TxnResult::Conflict { key } => {
            Err(StoreError::Corrupt(format!("conflict on {key} without comparison")))
        }
    }
}

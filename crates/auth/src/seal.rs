//! Secrets are encrypted on their way into the store, and decrypted on their way out (ADR 0031).
//!
//! AES-256-GCM with a key from a file, a random nonce per value, bound to the key of the row it is in: a value moved to
//! another object does not open. Only secrets ([`weft_model::secrets`]) are encrypted, so that everything else can be
//! inspected, compared and repaired as it is.

use crate::AuthError;
use crate::credential::hex;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use weft_model::Object;
use weft_model::secrets::{each_secret, may_have_secrets};
use weft_store::{
    BoxFuture, Compare, Entry, EntryStream, Event, EventKind, Limits, Op, Range, Revision, Store, StoreError,
    Txn, TxnResult, WatchBatch, WatchStream,
};

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a nonce.
const NONCE: usize = 12;
/// How a sealed value begins.
const MARK: &str = "weft-sealed:1:";
/// Rows that may hold secrets.
const OBJECTS: &str = weft_store::layout::OBJECTS;
/// The row that shows whether the key at hand is the installation's.
const CHECK: &str = "auth/seal-check";
const CHECK_TEXT: &str = "weft";
/// Rows read at a time.
const PAGE: usize = 1024;

/// The key that seals secrets.
pub struct SealKey(RandomizedNonceKey);

impl SealKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, AuthError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        key.map(Self).map_err(|_| AuthError::Config("the sealing key cannot be used".into()))
    }

    /// Reads the key file; `None` if there is none.
    ///
    /// # Errors
    /// [`AuthError::Config`] if it is not 64 hexadecimal digits, or others than its owner may read it.
    pub fn load(path: &Path) -> Result<Option<Self>, AuthError> {
        let failed = |e: &dyn std::fmt::Display| AuthError::Config(format!("{}: {e}", path.display()));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&e)),
        };
        let mode = std::fs::metadata(path).map_err(|e| failed(&e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(failed(&format!("mode is {:o}, others may read the key: chmod 600", mode & 0o777)));
        }
        let bytes = unhex(text.trim()).filter(|b| b.len() == KEY);
        let bytes = bytes.ok_or_else(|| failed(&"is not a key of 64 hexadecimal digits"))?;
        Self::from_bytes(&bytes).map(Some)
    }

    /// Makes a key file with mode 0600; there must be none.
    ///
    /// # Errors
    /// [`AuthError::Config`] if it cannot be written.
    pub fn make(path: &Path) -> Result<Self, AuthError> {
        let failed = |e: &dyn std::fmt::Display| AuthError::Config(format!("{}: {e}", path.display()));
        let mut bytes = [0; KEY];
        rand::fill(&mut bytes).map_err(|_| failed(&"no random numbers from the system"))?;
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = opened.map_err(|e| failed(&e))?;
        file.write_all(format!("{}\n", hex(&bytes)).as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|e| failed(&e))?;
        Self::from_bytes(&bytes)
    }

    fn seal(&self, row: &str, text: &str) -> Result<String, StoreError> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(row.as_bytes()), &mut bytes);
        let nonce = nonce.map_err(|_| StoreError::InvalidTxn("a secret cannot be sealed".into()))?;
        Ok(format!("{MARK}{}{}", hex(nonce.as_ref()), hex(&bytes)))
    }

    /// The text; what was never sealed (written before there was a key) as it is.
    fn open(&self, row: &str, text: &str) -> Result<String, StoreError> {
        let Some(sealed) = text.strip_prefix(MARK) else { return Ok(text.to_owned()) };
        let corrupt = || StoreError::Corrupt(format!("{row}: a secret does not open with this key"));
        let mut bytes = unhex(sealed).filter(|b| b.len() > NONCE).ok_or_else(corrupt)?;
        let mut text = bytes.split_off(NONCE);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| corrupt())?;
        let opened =
            self.0.open_in_place(nonce, Aad::from(row.as_bytes()), &mut text).map_err(|_| corrupt())?;
        String::from_utf8(opened.to_vec()).map_err(|_| corrupt())
    }

    /// Applies `how` to every secret of a row's JSON; the same bytes if it has none.
    fn each(
        &self,
        row: &str,
        bytes: &Bytes,
        how: fn(&Self, &str, &str) -> Result<String, StoreError>,
    ) -> Result<Bytes, StoreError> {
        let mut value: Value =
            serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let mut failure = None;
        each_secret(&mut value, &mut |text| match how(self, row, text) {
            Ok(new) => *text = new,
            Err(e) => failure = Some(e),
        });
        match failure {
            Some(e) => Err(e),
            None => {
                serde_json::to_vec(&value).map(Bytes::from).map_err(|e| StoreError::Corrupt(e.to_string()))
            }
        }
    }

    /// Seals what is a secret in a row and not sealed yet; `None` if there is nothing to do.
    fn seal_rest(&self, row: &str, bytes: &Bytes) -> Result<Option<Bytes>, StoreError> {
        if !has_plain_secrets(bytes) {
            return Ok(None);
        }
        let seal = |key: &Self, row: &str, text: &str| match text.starts_with(MARK) {
            true => Ok(text.to_owned()),
            false => key.seal(row, text),
        };
        self.each(row, bytes, seal).map(Some)
    }

    fn seal_row(&self, row: &str, bytes: Bytes) -> Result<Bytes, StoreError> {
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        if row.starts_with(OBJECTS) && may_have_secrets(text) {
            return self.each(row, &bytes, Self::seal);
        }
        Ok(bytes)
    }

    fn open_row(&self, row: &str, bytes: Bytes) -> Result<Bytes, StoreError> {
        let sealed = || std::str::from_utf8(&bytes).is_ok_and(|text| text.contains(MARK));
        if row.starts_with(OBJECTS) && sealed() {
            return self.each(row, &bytes, Self::open);
        }
        Ok(bytes)
    }

    fn open_entry(&self, entry: Entry) -> Result<Entry, StoreError> {
        let value = self.open_row(&entry.key, entry.value)?;
        Ok(Entry { value, ..entry })
    }

    fn open_event(&self, event: Event) -> Result<Event, StoreError> {
        let kind = match event.kind {
            EventKind::Put(value) => EventKind::Put(self.open_row(&event.key, value)?),
            EventKind::Delete { previous } => {
                EventKind::Delete { previous: self.open_row(&event.key, previous)? }
            }
        };
        Ok(Event { kind, ..event })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}

/// A store whose secrets are sealed in the one below.
pub struct SealedStore {
    inner: Arc<dyn Store>,
    key: Arc<SealKey>,
}

impl SealedStore {
    /// Opens the store with the key in `path`, which is made if nothing was ever sealed in the store.
    ///
    /// # Errors
    /// [`AuthError::Config`] if the key is missing or another one, [`AuthError::Unavailable`] if the store fails.
    pub async fn open(inner: Arc<dyn Store>, path: &Path) -> Result<Self, AuthError> {
        let check = inner.get(CHECK).await?;
        let key = match (SealKey::load(path)?, &check) {
            (Some(key), _) => key,
            (None, None) => SealKey::make(path)?,
            (None, Some(_)) => {
                let path = path.display();
                let message = format!(
                    "{path}: the key that secrets in the store are sealed with is missing; copy it from another controller or from a backup"
                );
                return Err(AuthError::Config(message));
            }
        };
        let check = match check {
            Some(entry) => entry.value,
            None => first_check(inner.as_ref(), &key).await?,
        };
        let opened = std::str::from_utf8(&check).ok().and_then(|text| key.open(CHECK, text).ok());
        if opened.as_deref() != Some(CHECK_TEXT) {
            let path = path.display();
            let message = format!(
                "{path}: is not the key that secrets in the store are sealed with; copy it from another controller or from a backup"
            );
            return Err(AuthError::Config(message));
        }
        Ok(Self { inner, key: Arc::new(key) })
    }
}

/// How many rows hold secrets that are not sealed.
///
/// # Errors
/// If the store fails.
pub async fn plain_secrets(store: &dyn Store) -> Result<usize, StoreError> {
    let (mut found, mut after) = (0, None::<String>);
    loop {
        let page = store.range(OBJECTS, after.as_deref(), PAGE).await?;
        found += page.entries.iter().filter(|entry| has_plain_secrets(&entry.value)).count();
        after = page.entries.last().map(|entry| entry.key.clone()).or(after);
        if !page.more {
            return Ok(found);
        }
    }
}

/// Whether the JSON of an object holds secrets that are not sealed.
pub fn has_plain_secrets(json: &[u8]) -> bool {
    let mut found = false;
    if may_have_secrets(std::str::from_utf8(json).unwrap_or_default())
        && let Ok(mut value) = serde_json::from_slice::<Value>(json)
    {
        each_secret(&mut value, &mut |text| found |= !text.starts_with(MARK));
    }
    found
}

impl SealedStore {
    /// Seals secrets that were written without this layer (a backup from before, say); how many rows had any.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn seal_what_is_plain(&self) -> Result<usize, StoreError> {
        let (mut sealed, mut after) = (0, None::<String>);
        loop {
            let page = self.inner.range(OBJECTS, after.as_deref(), PAGE).await?;
            for entry in &page.entries {
                let Some(value) = self.key.seal_rest(&entry.key, &entry.value)? else { continue };
                let same = Compare::unchanged(entry.key.clone(), entry.mod_revision);
                let txn = Txn::new().when(same).then(Op::put(entry.key.clone(), value));
                // Who wrote it meanwhile did so through this layer.
                sealed += usize::from(matches!(self.inner.txn(txn).await?, TxnResult::Committed(_)));
            }
            after = page.entries.last().map(|entry| entry.key.clone()).or(after);
            if !page.more {
                return Ok(sealed);
            }
        }
    }

    /// The properties and attributes of an object as they were before this store, with this key, sealed them (an export).
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if they were sealed with another key.
    pub fn opened(&self, object: Object) -> Result<Object, StoreError> {
        let row = weft_store::layout::object_key(object.object_type, object.uuid);
        let bytes = weft_store::layout::encode(&object)?;
        weft_store::layout::decode(&self.key.open_row(&row, bytes)?)
    }
}

/// Says in the store which key it is; what another controller said first counts.
async fn first_check(store: &dyn Store, key: &SealKey) -> Result<Bytes, AuthError> {
    let sealed = Bytes::from(key.seal(CHECK, CHECK_TEXT)?);
    let txn = Txn::new().when(Compare::absent(CHECK)).then(Op::put(CHECK, sealed.clone()));
    match store.txn(txn).await? {
        TxnResult::Committed(_) => Ok(sealed),
        TxnResult::Conflict { .. } => Ok(store.get(CHECK).await?.map(|e| e.value).unwrap_or_default()),
    }
}

impl Store for SealedStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move { self.inner.get(key).await?.map(|e| self.key.open_entry(e)).transpose() })
    }

    fn get_many<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Entry>>, StoreError>> {
        Box::pin(async move {
            let entries = self.inner.get_many(keys).await?.into_iter();
            entries.map(|entry| entry.map(|e| self.key.open_entry(e)).transpose()).collect()
        })
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Range, StoreError>> {
        Box::pin(async move {
            let Range { entries, revision, more } = self.inner.range(prefix, after, limit).await?;
            let entries = entries.into_iter().map(|e| self.key.open_entry(e)).collect::<Result<_, _>>()?;
            Ok(Range { entries, revision, more })
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<(Revision, EntryStream), StoreError>> {
        Box::pin(async move {
            let ((revision, stream), key) = (self.inner.snapshot().await?, Arc::clone(&self.key));
            let opened = stream.map(move |page| page?.into_iter().map(|e| key.open_entry(e)).collect());
            Ok((revision, Box::pin(opened) as EntryStream))
        })
    }

    fn txn(&self, mut txn: Txn) -> BoxFuture<'_, Result<TxnResult, StoreError>> {
        Box::pin(async move {
            for op in &mut txn.ops {
                if let Op::Put { key, value } = op {
                    *value = self.key.seal_row(key, std::mem::take(value))?;
                }
            }
            self.inner.txn(txn).await
        })
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        from: Revision,
    ) -> BoxFuture<'a, Result<WatchStream, StoreError>> {
        Box::pin(async move {
            let (stream, key) = (self.inner.watch(prefix, from).await?, Arc::clone(&self.key));
            let opened = stream.map(move |batch| {
                let WatchBatch { revision, events } = batch?;
                let events = events.into_iter().map(|e| key.open_event(e)).collect::<Result<_, _>>()?;
                Ok(WatchBatch { revision, events })
            });
            Ok(Box::pin(opened) as WatchStream)
        })
    }

    fn revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        self.inner.revision()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_store::EmbeddedStore;

    const ROW: &str = "obj/physical-router/1";
    const OBJECT: &str =
        r#"{"display_name":"r1","user_credentials":{"username":"root","password":"hunter2"}}"#;

    async fn sealed(directory: &Path) -> (Arc<dyn Store>, SealedStore) {
        let raw: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.join("s")).unwrap());
        let store = SealedStore::open(Arc::clone(&raw), &directory.join("key")).await.unwrap();
        (raw, store)
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn what_is_stored_is_sealed_and_what_is_read_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (raw, store) = sealed(directory.path()).await;
        let mut watch = store.watch("obj/", 0).await.unwrap();
        store.txn(Txn::new().then(Op::put(ROW, OBJECT)).then(Op::put("fq/a", "x"))).await.unwrap();
        store.txn(Txn::new().then(Op::delete(ROW))).await.unwrap();
        store.txn(Txn::new().then(Op::put(ROW, OBJECT))).await.unwrap();
        let below = raw.get(ROW).await.unwrap().unwrap();
        assert!(!text(&below.value).contains("hunter2") && text(&below.value).contains("root"));
        assert!(text(&store.get(ROW).await.unwrap().unwrap().value).contains("hunter2"));
        let range = store.range("obj/", None, 10).await.unwrap();
        assert!(text(&range.entries[0].value).contains("hunter2"));
        let mut seen = Vec::new();
        while seen.len() < 3 {
            for event in watch.next().await.unwrap().unwrap().events {
                seen.push(match event.kind {
                    EventKind::Put(value) | EventKind::Delete { previous: value } => text(&value).to_owned(),
                });
            }
        }
        assert!(seen.iter().all(|value| value.contains("hunter2")), "{seen:?}");
    }

    #[tokio::test]
    async fn what_was_written_before_there_was_a_key_is_sealed_once() {
        let directory = tempfile::tempdir().unwrap();
        let (raw, store) = sealed(directory.path()).await;
        let other = ROW.replace('1', "2");
        let plain =
            r#"{"display_name":"password","annotations":{"key_value_pair":[{"key":"a","value":"b"}]}}"#;
        raw.txn(Txn::new().then(Op::put(ROW, OBJECT)).then(Op::put("obj/project/3", plain))).await.unwrap();
        store.txn(Txn::new().then(Op::put(other.clone(), OBJECT))).await.unwrap();
        assert_eq!(store.seal_what_is_plain().await.unwrap(), 1);
        assert_eq!(store.seal_what_is_plain().await.unwrap(), 0);
        for row in [ROW, &other] {
            assert!(!text(&raw.get(row).await.unwrap().unwrap().value).contains("hunter2"));
            assert!(text(&store.get(row).await.unwrap().unwrap().value).contains("hunter2"));
        }
        assert_eq!(text(&raw.get("obj/project/3").await.unwrap().unwrap().value), plain);
    }

    #[tokio::test]
    async fn a_value_moved_or_changed_does_not_open() {
        let directory = tempfile::tempdir().unwrap();
        let (raw, store) = sealed(directory.path()).await;
        store.txn(Txn::new().then(Op::put(ROW, OBJECT))).await.unwrap();
        let value = raw.get(ROW).await.unwrap().unwrap().value;
        raw.txn(Txn::new().then(Op::put("obj/physical-router/2", value))).await.unwrap();
        assert!(matches!(store.get("obj/physical-router/2").await, Err(StoreError::Corrupt(_))));
    }

    #[tokio::test]
    async fn another_or_no_key_is_noticed_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        let (raw, _) = sealed(directory.path()).await;
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let open = || SealedStore::open(Arc::clone(&raw), &key);
        assert!(open().await.is_ok());
        std::fs::remove_file(&key).unwrap();
        assert!(open().await.err().unwrap().to_string().contains("missing"));
        SealKey::make(&key).unwrap();
        assert!(open().await.err().unwrap().to_string().contains("is not the key"));
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open().await.err().unwrap().to_string().contains("chmod 600"));
    }
}

//! What readers see: the newest rows, in memory, over the tables.
//!
//! A group of transactions is in the log and in memory when it is answered; the tables follow (flush.rs). Until the rows
//! that are being written to the tables are there, they stay in memory, frozen.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use redb::{AccessGuard, ReadOnlyTable};

use super::tables::{self, row_revision, storage};
use crate::{Entry, Revision, StoreError};

/// The newest state of a key.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) revision: Revision,
    /// `None`: it is deleted.
    pub(super) value: Option<Bytes>,
}

/// Rows in memory.
pub(super) type Rows = BTreeMap<Arc<str>, Row>;
/// The table of keys and values, as it was at some time.
pub(super) type Table = ReadOnlyTable<&'static str, &'static [u8]>;

/// Bytes a row counts for beside its key and value.
const ROW: usize = 64;

/// The state of the store at a revision.
pub(super) struct Layers {
    pub(super) revision: Revision,
    active: Rows,
    /// Bytes of `active`.
    bytes: usize,
    /// On their way to the tables, which do not have them yet, and the revision that they reach.
    frozen: Option<(Arc<Rows>, Revision)>,
    table: Arc<Table>,
}

impl Layers {
    pub(super) fn new(revision: Revision, table: Table) -> Self {
        Self { revision, active: Rows::new(), bytes: 0, frozen: None, table: Arc::new(table) }
    }

    /// Bytes of the rows that are not on their way to the tables yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in what transactions up to `revision` wrote.
    pub(super) fn extend(&mut self, rows: Rows, revision: Revision) {
        self.revision = revision;
        for (key, row) in rows {
            self.bytes += ROW + key.len() + row.value.as_ref().map_or(0, Bytes::len);
            self.active.insert(key, row);
        }
    }

    /// The rows to be written to the tables next, and the revision that the tables are at then. The same again until they
    /// are settled.
    pub(super) fn freeze(&mut self) -> (Arc<Rows>, Revision) {
        if self.frozen.is_none() {
            self.bytes = 0;
            self.frozen = Some((Arc::new(std::mem::take(&mut self.active)), self.revision));
        }
        match &self.frozen {
            Some((rows, revision)) => (Arc::clone(rows), *revision),
            None => (Arc::default(), self.revision),
        }
    }

    /// The frozen rows are in this table.
    pub(super) fn settle(&mut self, table: Table) {
        self.table = Arc::new(table);
        self.frozen = None;
    }

    /// The row of a key, if it is in memory.
    pub(super) fn newest(&self, key: &str) -> Option<&Row> {
        self.active.get(key).or_else(|| self.frozen.as_ref()?.0.get(key))
    }

    pub(super) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table)
    }

    /// The rows whose keys begin with `prefix` and come after `after`. At most `limit` of those in memory are
    /// considered, so that no more than `limit` may be taken.
    pub(super) fn walk(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Walk, StoreError> {
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let bounds = (start, Bound::Unbounded);
        let empty = Rows::new();
        let frozen = self.frozen.as_ref().map_or(&empty, |(rows, _)| rows);
        let merged = Merged {
            newer: self.active.range::<str, _>(bounds).peekable(),
            older: frozen.range::<str, _>(bounds).peekable(),
        };
        let (mut memory, mut live) = (Vec::new(), 0);
        for (key, row) in merged.take_while(|(key, _)| key.starts_with(prefix)) {
            memory.push((Arc::clone(key), row.clone()));
            live += usize::from(row.value.is_some());
            if live >= limit {
                break;
            }
        }
        let rows = self.table.range::<&str>(bounds).map_err(storage)?;
        Ok(Walk {
            memory: memory.into_iter().peekable(),
            next: None,
            rows,
            prefix: prefix.to_owned(),
            done: false,
            _table: self.table(),
        })
    }
}

/// Two maps of rows as one; of a key in both the newer row counts.
struct Merged<'a> {
    newer: Peekable<btree_map::Range<'a, Arc<str>, Row>>,
    older: Peekable<btree_map::Range<'a, Arc<str>, Row>>,
}

impl<'a> Iterator for Merged<'a> {
    type Item = (&'a Arc<str>, &'a Row);

    fn next(&mut self) -> Option<Self::Item> {
        match (self.newer.peek(), self.older.peek()) {
            (Some((newer, _)), Some((older, _))) if older < newer => self.older.next(),
            (Some((newer, _)), Some((older, _))) => {
                if newer == older {
                    self.older.next();
                }
                self.newer.next()
            }
            (Some(_), None) => self.newer.next(),
            (None, _) => self.older.next(),
        }
    }
}

type TableRow = (AccessGuard<'static, &'static str>, AccessGuard<'static, &'static [u8]>);

/// Entries in ascending order of their keys.
pub(super) struct Walk {
    memory: Peekable<std::vec::IntoIter<(Arc<str>, Row)>>,
    /// The next row of the table.
    next: Option<TableRow>,
    rows: redb::Range<'static, &'static str, &'static [u8]>,
    prefix: String,
    /// Whether the table has no more.
    done: bool,
    /// Its rows must not outlive it: fields drop in order.
    _table: Arc<Table>,
}

impl Walk {
    /// Makes sure that the next row of the table is at hand.
    fn look(&mut self) -> Result<(), StoreError> {
        if self.next.is_none() && !self.done {
            let row = self.rows.next().transpose().map_err(storage)?;
            self.next = row.filter(|(key, _)| key.value().starts_with(&self.prefix));
            self.done = self.next.is_none();
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            self.look()?;
            let from_memory = match (self.memory.peek(), &self.next) {
                (None, None) => return Ok(None),
                (Some((memory, _)), Some((table, _))) => &**memory <= table.value(),
                (memory, _) => memory.is_some(),
            };
            if !from_memory {
                let Some((key, row)) = self.next.take() else { return Ok(None) };
                return tables::entry(key.value(), row.value()).map(Some);
            }
            let Some((key, row)) = self.memory.next() else { return Ok(None) };
            if self.next.as_ref().is_some_and(|(table, _)| table.value() == &*key) {
                self.next = None;
            }
            if let Some(value) = row.value {
                return Ok(Some(Entry { key: key.to_string(), value, mod_revision: row.revision }));
            }
        }
    }
}

impl Iterator for Walk {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// The row of a key that is not in memory.
pub(super) fn stored(table: &Table, key: &str) -> Result<Option<Row>, StoreError> {
    let Some(row) = table.get(key).map_err(storage)? else { return Ok(None) };
    let value = row.value().get(tables::DATA_HEADER..).unwrap_or_default();
    Ok(Some(Row { revision: row_revision(row.value())?, value: Some(Bytes::copy_from_slice(value)) }))
}

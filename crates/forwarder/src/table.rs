//! One table of the forwarder: a pinned map with typed keys and values.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use weft_dataplane::Pod;

use crate::ForwarderError;
use crate::sys::{self, BatchBuffer, Cursor};

/// Elements read by one system call.
const BATCH: usize = 4096;

/// A typed map.
pub(crate) struct Table<K, V> {
    name: &'static str,
    fd: OwnedFd,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Pod, V: Pod> Table<K, V> {
    /// Opens the map pinned as `name` under `directory`.
    pub(crate) fn open(directory: &Path, name: &'static str) -> Result<Self, ForwarderError> {
        let path = directory.join(name);
        let fd = sys::open_pinned(&path).map_err(|source| ForwarderError::Pin { path, source })?;
        Ok(Table { name, fd, types: PhantomData })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        sys::borrow(&self.fd)
    }

    fn failed(&self, source: io::Error) -> ForwarderError {
        match source.raw_os_error() {
            Some(libc::E2BIG | libc::ENOSPC) => ForwarderError::TableFull { table: self.name },
            _ => ForwarderError::Table { table: self.name, source },
        }
    }

    pub(crate) fn get(&self, key: &K) -> Result<Option<V>, ForwarderError> {
        let mut bytes = vec![0u8; size_of::<V>()];
        let found = sys::lookup(self.fd(), key.as_bytes(), &mut bytes).map_err(|e| self.failed(e))?;
        Ok(if found { V::from_bytes(&bytes) } else { None })
    }

    pub(crate) fn put(&self, key: &K, value: &V) -> Result<(), ForwarderError> {
        sys::update(self.fd(), key.as_bytes(), value.as_bytes()).map_err(|e| self.failed(e))
    }

    /// Removes an entry; fine if there is none.
    pub(crate) fn delete(&self, key: &K) -> Result<bool, ForwarderError> {
        sys::delete(self.fd(), key.as_bytes()).map_err(|e| self.failed(e))
    }

    /// Reads one batch after `cursor`; true when the end was reached.
    pub(crate) fn batch(&self, cursor: &mut Cursor, into: &mut Vec<(K, V)>) -> Result<bool, ForwarderError> {
        let (key_size, value_size) = (size_of::<K>(), size_of::<V>());
        let end = self.raw_batch(cursor, value_size, |key, value| {
            if let (Some(key), Some(value)) = (K::from_bytes(key), V::from_bytes(value)) {
                into.push((key, value));
            }
        });
        debug_assert!(key_size > 0);
        end
    }

    /// Every entry.
    pub(crate) fn list(&self) -> Result<Vec<(K, V)>, ForwarderError> {
        let mut entries = Vec::new();
        let mut cursor = None;
        while !self.batch(&mut cursor, &mut entries)? {}
        Ok(entries)
    }

    fn raw_batch(
        &self,
        cursor: &mut Cursor,
        value_size: usize,
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<bool, ForwarderError> {
        let key_size = size_of::<K>();
        let mut keys = vec![0u8; BATCH * key_size];
        let mut values = vec![0u8; BATCH * value_size];
        let mut buffer = BatchBuffer {
            keys: &mut keys,
            values: &mut values,
            count: u32::try_from(BATCH).unwrap_or(0),
            key_size,
        };
        let (count, end) = sys::lookup_batch(self.fd(), cursor, &mut buffer).map_err(|e| self.failed(e))?;
        let pairs = keys.chunks_exact(key_size).zip(values.chunks_exact(value_size));
        for (key, value) in pairs.take(count) {
            each(key, value);
        }
        Ok(end)
    }
}

/// A typed map with one value per CPU.
pub(crate) struct PerCpuTable<K, V> {
    inner: Table<K, V>,
    cpus: usize,
}

impl<K: Pod, V: Pod> PerCpuTable<K, V> {
    /// Opens the map pinned as `name` under `directory`.
    pub(crate) fn open(directory: &Path, name: &'static str) -> Result<Self, ForwarderError> {
        let cpus =
            aya::util::nr_cpus().map_err(|(_, source)| ForwarderError::Table { table: name, source })?;
        Ok(PerCpuTable { inner: Table::open(directory, name)?, cpus })
    }

    /// Bytes between two CPUs' values: the kernel aligns each to 8.
    const fn stride() -> usize {
        size_of::<V>().div_ceil(8) * 8
    }

    /// Every entry, with the values of all CPUs combined by `add`.
    pub(crate) fn sums(&self, add: impl Fn(V, V) -> V) -> Result<Vec<(K, V)>, ForwarderError> {
        let stride = Self::stride();
        let mut entries = Vec::new();
        let mut cursor = None;
        loop {
            let end = self.inner.raw_batch(&mut cursor, stride * self.cpus, |key, values| {
                let values = values.chunks_exact(stride).filter_map(V::from_bytes);
                if let (Some(key), Some(sum)) = (K::from_bytes(key), values.reduce(&add)) {
                    entries.push((key, sum));
                }
            })?;
            if end {
                return Ok(entries);
            }
        }
    }

    /// Sets every CPU's value of an entry to zero.
    pub(crate) fn clear(&self, key: &K) -> Result<(), ForwarderError> {
        let zeroes = vec![0u8; Self::stride() * self.cpus];
        sys::update(self.inner.fd(), key.as_bytes(), &zeroes).map_err(|e| self.inner.failed(e))
    }

    /// Removes an entry.
    pub(crate) fn delete(&self, key: &K) -> Result<bool, ForwarderError> {
        self.inner.delete(key)
    }
}

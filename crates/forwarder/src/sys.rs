//! The bpf() system call, for what aya does not offer: batch reads, test runs, and tables of plain old data.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAP_LOOKUP: libc::c_int = 1;
const MAP_UPDATE: libc::c_int = 2;
const MAP_DELETE: libc::c_int = 3;
const OBJ_GET: libc::c_int = 7;
const PROG_TEST_RUN: libc::c_int = 10;
const OBJ_GET_INFO: libc::c_int = 15;
const MAP_LOOKUP_BATCH: libc::c_int = 24;

/// The parts of `union bpf_attr` that are used here, each padded to the same size.
#[repr(C)]
#[derive(Clone, Copy)]
union Attr {
    element: Element,
    object: Object,
    batch: Batch,
    run: Run,
    info: Info,
    bytes: [u8; 128],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Element {
    fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    fd: u32,
    elem_flags: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Run {
    fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    fd: u32,
    len: u32,
    info: u64,
}

fn call(command: libc::c_int, attr: &mut Attr) -> io::Result<i64> {
    // SAFETY: every pointer in `attr` is to memory that outlives the call, of the size the kernel expects.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<Attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn empty() -> Attr {
    Attr { bytes: [0; 128] }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr() as u64
}

fn address_mut(bytes: &mut [u8]) -> u64 {
    bytes.as_mut_ptr() as u64
}

/// Opens a pinned object.
pub(crate) fn open_pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = empty();
    attr.object = Object { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    let fd = call(OBJ_GET, &mut attr)?;
    let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Key size, value size and number of entries of a map.
pub(crate) fn map_shape(fd: BorrowedFd<'_>) -> io::Result<(u32, u32, u32)> {
    let mut info = [0u8; 128];
    let mut attr = empty();
    attr.info = Info { fd: number(fd), len: 128, info: address_mut(&mut info) };
    call(OBJ_GET_INFO, &mut attr)?;
    let field =
        |at: usize| info.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes);
    Ok((field(8), field(12), field(16)))
}

/// Reads an element; false when there is none. `value` has the size the kernel writes.
pub(crate) fn lookup(fd: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
    let mut attr = empty();
    attr.element = Element { fd: number(fd), pad: 0, key: address(key), value: address_mut(value), flags: 0 };
    found(call(MAP_LOOKUP, &mut attr))
}

/// Writes an element.
pub(crate) fn update(fd: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let mut attr = empty();
    attr.element = Element { fd: number(fd), pad: 0, key: address(key), value: address(value), flags: 0 };
    call(MAP_UPDATE, &mut attr).map(|_| ())
}

/// Removes an element; false when there was none.
pub(crate) fn delete(fd: BorrowedFd<'_>, key: &[u8]) -> io::Result<bool> {
    let mut attr = empty();
    attr.element = Element { fd: number(fd), pad: 0, key: address(key), value: 0, flags: 0 };
    found(call(MAP_DELETE, &mut attr))
}

fn found(result: io::Result<i64>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where a walk of a table goes on.
pub(crate) type Cursor = Option<Vec<u8>>;

/// Room for a batch of elements.
pub(crate) struct BatchBuffer<'a> {
    /// Room for the keys.
    pub(crate) keys: &'a mut [u8],
    /// Room for the values.
    pub(crate) values: &'a mut [u8],
    /// How many of each fit.
    pub(crate) count: u32,
    /// Bytes of a key (the kernel keeps its place in a buffer of at least that).
    pub(crate) key_size: usize,
}

/// Reads a batch of elements after `cursor`; returns how many, and whether the table's end was reached.
pub(crate) fn lookup_batch(
    fd: BorrowedFd<'_>,
    cursor: &mut Cursor,
    buffer: &mut BatchBuffer<'_>,
) -> io::Result<(usize, bool)> {
    let mut next = vec![0u8; buffer.key_size.max(8)];
    let mut attr = empty();
    attr.batch = Batch {
        in_batch: cursor.as_deref().map_or(0, address),
        out_batch: address_mut(&mut next),
        keys: address_mut(buffer.keys),
        values: address_mut(buffer.values),
        count: buffer.count,
        fd: number(fd),
        elem_flags: 0,
        flags: 0,
    };
    let result = call(MAP_LOOKUP_BATCH, &mut attr);
    // SAFETY: the kernel wrote `count` in this variant.
    let count = unsafe { attr.batch.count } as usize;
    match result {
        Ok(_) => {
            *cursor = Some(next);
            Ok((count, false))
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            *cursor = None;
            Ok((count, true))
        }
        Err(error) => Err(error),
    }
}

/// Runs a program once on a packet; returns its verdict and the packet's length afterwards.
pub(crate) fn test_run(
    fd: BorrowedFd<'_>,
    packet: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> io::Result<(u32, usize)> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
    let mut attr = empty();
    attr.run = Run {
        fd: number(fd),
        retval: 0,
        data_size_in: size(packet)?,
        data_size_out: size(out)?,
        data_in: address(packet),
        data_out: address_mut(out),
        repeat: 1,
        duration: 0,
        ctx_size_in: size(context)?,
        ctx_size_out: 0,
        ctx_in: address(context),
        ctx_out: 0,
        flags: 0,
        cpu: 0,
        batch_size: 0,
        pad: 0,
    };
    call(PROG_TEST_RUN, &mut attr)?;
    // SAFETY: the kernel wrote this variant.
    let run = unsafe { attr.run };
    Ok((run.retval, run.data_size_out as usize))
}

/// The name of an interface of this thread's network namespace.
pub(crate) fn interface_name(ifindex: u32) -> io::Result<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the size that the call requires.
    let result = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr().cast()) };
    if result.is_null() {
        return Err(io::Error::last_os_error());
    }
    let length = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    Ok(String::from_utf8_lossy(name.get(..length).unwrap_or(&[])).into_owned())
}

/// Nanoseconds of the coarse monotonic clock: the clock of `Flow::last_seen`.
pub(crate) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// A pinned map, borrowed.
pub(crate) fn borrow(fd: &OwnedFd) -> BorrowedFd<'_> {
    fd.as_fd()
}

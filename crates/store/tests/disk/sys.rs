//! A filter that lets a thread of this process decide what becomes of the other threads' calls to files: the kernel hands each
//! one over (seccomp's user notification) and does it, or answers with an error, as it is told.
//!
//! It holds for the thread that asks for it and those it starts, until they end; no other thread notices.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc;

use nix::libc;

/// A call that was stopped.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    /// The file, as far as known.
    pub(crate) path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file is opened, and made if it is not there.
    Create,
    /// At the end of a file.
    Append,
    /// At a place of a file.
    Write,
    /// A length is set.
    Length,
    /// A file or directory is made durable.
    Sync,
    /// A file is removed.
    Remove,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// Nothing is done.
    Fails(i32),
    /// Of a write only the first half is done.
    Half,
}

/// The call that removes a file, and which of its arguments is the path.
#[cfg(target_arch = "x86_64")]
const UNLINK: (libc::c_long, usize) = (libc::SYS_unlink, 0);
#[cfg(not(target_arch = "x86_64"))]
const UNLINK: (libc::c_long, usize) = (libc::SYS_unlinkat, 1);

const CALLS: [(libc::c_long, Kind); 7] = [
    (libc::SYS_openat, Kind::Create),
    (libc::SYS_write, Kind::Append),
    (libc::SYS_pwrite64, Kind::Write),
    (libc::SYS_ftruncate, Kind::Length),
    (libc::SYS_fsync, Kind::Sync),
    (libc::SYS_fdatasync, Kind::Sync),
    (UNLINK.0, Kind::Remove),
];

/// From here on `judge` decides about the calls of this thread and of those it will start.
pub(crate) fn supervise(judge: impl FnMut(&Call) -> Verdict + Send + 'static) -> io::Result<()> {
    let (sender, listener) = mpsc::channel();
    // It exists before the filter does, so that it is not under it.
    std::thread::spawn(move || {
        if let Ok(listener) = listener.recv() {
            serve(&listener, judge);
        }
    });
    let listener = install()?;
    sender.send(listener).map_err(io::Error::other)
}

fn install() -> io::Result<OwnedFd> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // Of `openat` the flags are the third argument; the others end at the last step.
    let (number, flags) = (0, 16 + 2 * 8);
    let others = CALLS.len() as u8 - 1;
    let mut program = vec![
        step(LOAD, 0, 0, number),
        step(EQUAL, 0, 2, libc::SYS_openat as u32),
        step(LOAD, 0, 0, flags),
        step(ANY_BIT, others + 1, others, libc::O_CREAT as u32),
    ];
    for (index, (number, _)) in CALLS[1..].iter().enumerate() {
        program.push(step(EQUAL, others - index as u8, 0, *number as u32));
    }
    program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: both calls only read `program`, which outlives them; the descriptor that comes back is nobody else's.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        let fd = libc::syscall(libc::SYS_seccomp, mode, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd as i32)) }
    }
}

/// Answers until the last thread under the filter has ended.
fn serve(listener: &OwnedFd, mut judge: impl FnMut(&Call) -> Verdict) {
    loop {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one element, which outlives the call.
        unsafe { libc::poll(&raw mut poll, 1, -1) };
        if poll.revents & libc::POLLIN == 0 {
            if poll.revents & (libc::POLLHUP | libc::POLLERR) != 0 {
                return;
            }
            continue;
        }
        // SAFETY: all zeros is a value of these structures, which outlive the calls; the kernel fills and reads them whole.
        unsafe {
            let mut stopped: libc::seccomp_notif = std::mem::zeroed();
            if libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &raw mut stopped) != 0 {
                continue;
            }
            let mut answer: libc::seccomp_notif_resp = std::mem::zeroed();
            answer.id = stopped.id;
            decide(&stopped.data, &mut answer, &mut judge);
            libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &raw mut answer);
        }
    }
}

/// `_IOWR('!', 0, struct seccomp_notif)` and `_IOWR('!', 1, struct seccomp_notif_resp)`.
const NOTIF_RECV: libc::Ioctl = 0xc050_2100;
const NOTIF_SEND: libc::Ioctl = 0xc018_2101;

/// # Safety
/// `data` is of a call of this process that is stopped: its pointers are good.
unsafe fn decide(
    data: &libc::seccomp_data,
    answer: &mut libc::seccomp_notif_resp,
    judge: &mut impl FnMut(&Call) -> Verdict,
) {
    answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    let number = libc::c_long::from(data.nr);
    let Some((_, kind)) = CALLS.iter().find(|(call, _)| *call == number) else { return };
    // SAFETY: a path that a stopped call was given.
    let text = |at: usize| unsafe { CStr::from_ptr(data.args[at] as *const libc::c_char) };
    let path = match kind {
        Kind::Create => text(1).to_str().map(PathBuf::from).unwrap_or_default(),
        Kind::Remove => text(UNLINK.1).to_str().map(PathBuf::from).unwrap_or_default(),
        _ => std::fs::read_link(format!("/proc/self/fd/{}", data.args[0])).unwrap_or_default(),
    };
    match judge(&Call { kind: *kind, path }) {
        Verdict::Done => {}
        Verdict::Fails(errno) => (answer.flags, answer.error) = (0, -errno),
        Verdict::Half => {
            let [fd, bytes, count, offset, ..] = data.args;
            let (fd, bytes, count) = (fd as i32, bytes as *const libc::c_void, count as usize / 2);
            // SAFETY: the buffer of a stopped write is whole.
            let done = unsafe {
                match kind {
                    Kind::Append => libc::write(fd, bytes, count),
                    Kind::Write => libc::pwrite(fd, bytes, count, offset as libc::off_t),
                    _ => return,
                }
            };
            if done > 0 {
                (answer.flags, answer.val) = (0, done as i64);
            }
        }
    }
}

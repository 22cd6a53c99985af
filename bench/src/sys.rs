//! Batched sends and receives of datagrams: a system call for each packet would be what is measured otherwise.
//! And processes that do not outlive this one.
#![allow(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Datagrams handed to the kernel in one call.
pub(crate) const BATCH: usize = 64;

/// Room for one batch of small datagrams and the kernel's view of it.
pub(crate) struct Batch {
    payload: Box<[[u8; 64]; BATCH]>,
    length: usize,
}

impl Batch {
    /// A batch of datagrams of `length` bytes (at most 64).
    pub(crate) fn new(length: usize) -> Self {
        Self { payload: Box::new([[0; 64]; BATCH]), length: length.min(64) }
    }

    fn with_headers<R>(&mut self, call: impl FnOnce(*mut libc::mmsghdr) -> R) -> R {
        let length = self.length;
        let mut iovecs: Vec<libc::iovec> = self
            .payload
            .iter_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: length })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = iovecs
            .iter_mut()
            .map(|iovec| {
                // SAFETY: mmsghdr is plain data for which all zeroes is a valid value.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = iovec;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        call(headers.as_mut_ptr())
    }

    /// Sends the batch on a connected socket; returns how many datagrams the kernel took.
    pub(crate) fn send(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        // SAFETY: the headers point at BATCH live buffers for the whole call.
        let sent = self.with_headers(|headers| unsafe {
            libc::sendmmsg(socket.as_raw_fd(), headers, BATCH as libc::c_uint, 0)
        });
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Receives up to a batch, waiting for the first datagram within the socket's time-out.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        // SAFETY: the headers point at BATCH live buffers for the whole call.
        let received = self.with_headers(|headers| unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers,
                BATCH as libc::c_uint,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        });
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }
}

/// Makes a process end when this one does, however that happens.
pub(crate) fn end_with_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: prctl is a system call without effect on memory; nothing else runs between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

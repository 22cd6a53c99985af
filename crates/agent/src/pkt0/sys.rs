//! Opening a TAP: the one system call for which there is no safe wrapper.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Longest interface name, with its terminating zero.
const NAME_BYTES: usize = 16;

/// What TUNSETIFF reads: the head of `struct ifreq`, padded to its full size.
#[repr(C)]
struct Request {
    name: [u8; NAME_BYTES],
    flags: libc::c_short,
    padding: [u8; 22],
}

nix::ioctl_write_ptr_bad!(tun_set_iff, libc::TUNSETIFF, Request);

/// A TAP interface that lives as long as this value.
#[derive(Debug)]
pub struct Tap {
    file: AsyncFd<File>,
}

impl Tap {
    /// Make the interface `name`. It is down at first.
    ///
    /// # Errors
    /// The device cannot be opened, or the name is taken.
    pub fn open(name: &str) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")?;
        let flags = libc::IFF_TAP | libc::IFF_NO_PI;
        let mut request = Request { name: [0; NAME_BYTES], flags: flags as libc::c_short, padding: [0; 22] };
        let fits = name.len() < NAME_BYTES && !name.is_empty();
        if !fits {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "interface name"));
        }
        for (to, from) in request.name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        // SAFETY: the descriptor is open, and the request has the size and layout of struct ifreq (40 bytes on
        // 64-bit Linux: 16 of name, then a union of 24 whose first member used here is the flags).
        unsafe { tun_set_iff(file.as_raw_fd(), &request) }.map_err(std::io::Error::from)?;
        // SAFETY: the AsyncFd owns the file and gives out only shared references, so that the descriptor stays the
        // same and open for as long as it is registered.
        let file = unsafe { AsyncFd::register(file) }?;
        Ok(Self { file })
    }

    /// The next packet; returns its length.
    ///
    /// # Errors
    /// The interface is gone.
    pub async fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file.async_io(Interest::READABLE, |mut file: &File| file.read(buffer)).await
    }

    /// Write one packet. Never waits: a packet that does not fit is an error.
    ///
    /// # Errors
    /// The interface is gone, down, or full.
    pub fn write(&self, packet: &[u8]) -> std::io::Result<usize> {
        let mut file = self.file.get_ref();
        file.write(packet)
    }
}

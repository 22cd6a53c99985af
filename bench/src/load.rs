//! The two ends of a measurement, each run inside a workload's namespace. The end that counts prints one number.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::sys::Batch;

/// First port of the servers; CRR_PORTS in a row.
const PORT: u16 = 5201;
/// Ports that short connections are spread over, so that none runs into its own recently closed ones.
const CRR_PORTS: u16 = 8;
/// Payload that makes a 64-byte Ethernet frame (without its checksum): 14 + 20 + 8 + 22.
const SMALL_PAYLOAD: usize = 22;

/// What one end does.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    StreamServer,
    StreamClient,
    UdpServer,
    UdpClient,
    CrrServer,
    CrrClient,
}

/// Arguments of the hidden `load` subcommand.
#[derive(Args)]
pub(crate) struct Load {
    #[arg(value_enum)]
    role: Role,
    /// The server's address.
    #[arg(long, default_value = "0.0.0.0")]
    to: IpAddr,
    /// How long to send.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
}

impl Load {
    /// Plays the role; servers run until they are killed or their measurement is over.
    pub(crate) fn run(&self) -> Result<()> {
        let duration = Duration::from_secs(self.seconds);
        match self.role {
            Role::StreamServer => stream_server(),
            Role::StreamClient => stream_client(self.to, duration),
            Role::UdpServer => udp_server(duration),
            Role::UdpClient => udp_client(self.to, duration),
            Role::CrrServer => crr_server(),
            Role::CrrClient => crr_client(self.to, duration),
        }
    }
}

/// Tells the parent that this end is ready.
fn ready() {
    println!("ready");
}

/// Receives one stream and prints Gbit/s between its first and last byte.
fn stream_server() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    ready();
    let (mut stream, _) = listener.accept()?;
    let (mut buffer, mut bytes, start) = (vec![0; 1 << 18], 0_u64, Instant::now());
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            n => bytes += n as u64,
        }
    }
    println!("{}", bytes as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9);
    Ok(())
}

fn stream_client(to: IpAddr, duration: Duration) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&(to, PORT).into(), Duration::from_secs(5))?;
    let (buffer, start) = (vec![0; 1 << 18], Instant::now());
    while start.elapsed() < duration {
        stream.write_all(&buffer)?;
    }
    Ok(())
}

/// Counts small datagrams and prints thousands per second between the first and the last one.
fn udp_server(duration: Duration) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    ready();
    let mut batch = Batch::new(SMALL_PAYLOAD);
    socket.set_read_timeout(Some(duration + Duration::from_secs(5)))?;
    batch.receive(&socket).context("no datagram arrived")?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    let (start, mut last, mut packets) = (Instant::now(), Instant::now(), 0_u64);
    loop {
        match batch.receive(&socket) {
            Ok(n) => (packets, last) = (packets + n as u64, Instant::now()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    println!("{}", packets as f64 / (last - start).as_secs_f64() / 1e3);
    Ok(())
}

fn udp_client(to: IpAddr, duration: Duration) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((to, PORT))?;
    let (mut batch, start) = (Batch::new(SMALL_PAYLOAD), Instant::now());
    while start.elapsed() < duration {
        match batch.send(&socket) {
            Ok(_) => {}
            // A queue was full, or the far end was not yet listening: that packet is lost, go on.
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::OutOfMemory) => {}
            Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Answers one byte with one byte and closes first, so that the client's ports are free again at once.
fn crr_server() -> Result<()> {
    let listeners: Result<Vec<_>, _> =
        (0..CRR_PORTS).map(|i| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT + i))).collect();
    let threads: Vec<_> = listeners?
        .into_iter()
        .map(|listener| {
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let _ = answer(stream);
                }
            })
        })
        .collect();
    ready();
    for thread in threads {
        let _ = thread.join();
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    stream.write_all(&byte)
}

/// One connection after the other; prints connections per second.
fn crr_client(to: IpAddr, duration: Duration) -> Result<()> {
    let (start, mut done, mut byte) = (Instant::now(), 0_u64, [1]);
    while start.elapsed() < duration {
        let port = PORT + (done % u64::from(CRR_PORTS)) as u16;
        let mut stream = TcpStream::connect_timeout(&(to, port).into(), Duration::from_secs(5))?;
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        // Wait for the server's FIN: its end then holds TIME_WAIT, not ours.
        let _ = stream.read(&mut byte)?;
        done += 1;
    }
    println!("{}", done as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

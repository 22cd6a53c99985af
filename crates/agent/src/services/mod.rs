//! What a workload asks of its host: addresses, router advertisements, names, and the ICMP errors of the overlay.
//!
//! Every service here is a pure function from a received frame and the description of the interface to the frame to
//! send back; `pkt0` owns the socket. A frame that cannot be understood is an error that the caller counts: nothing
//! here panics, and nothing here needs the controller, so services go on while it is away.

pub mod dhcp4;
mod dhcp4_screen;
pub mod dhcp6;
mod dhcp6_screen;
pub mod dns;
pub mod icmp;
pub mod packet;
pub mod ra;
pub mod view;

pub use packet::PacketError;
pub use view::{Lease4, Lease6, PortServices, RawOption};

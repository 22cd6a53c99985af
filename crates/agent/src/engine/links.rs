//! The host's ends of workload interfaces: set up, and with room for what the workload may send.

use super::Engine;
use crate::kernel::LinkChange;

impl Engine {
    /// Brings the interfaces of ports to what they need to be. Asked again with every picture of the kernel and every
    /// new configuration, so what fails now is tried again.
    pub(super) async fn prepare_links(&self) {
        let services = &self.core.desired().services;
        let mtu = |ifindex| services.get(&ifindex).map(|s| s.mtu.into());
        for change in self.kernel.link_changes(self.ports.iter(), mtu) {
            let (ifindex, done) = match change {
                LinkChange::Up(ifindex) => (ifindex, self.netlink.set_up(ifindex).await),
                LinkChange::Mtu(ifindex, mtu) => (ifindex, self.netlink.set_mtu(ifindex, mtu).await),
            };
            if let Err(error) = done {
                tracing::warn!(ifindex, %error, "port");
            }
        }
    }
}

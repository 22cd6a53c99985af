//! The underlay: a bridge in a namespace of its own, with a veth to the controller and to every host.

use crate::LabError;
use crate::file::plan::Underlay;
use crate::ip;
use crate::netns::Netns;
use crate::state::State;

/// A host's interface on the underlay.
pub(crate) const FABRIC_INTERFACE: &str = "fabric0";
/// Settings of every workload's namespace: addresses are usable at once, router solicitations are sent at once.
const WORKLOAD_SYSCTLS: [(&str, &str); 4] = [
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    ("net/ipv6/conf/default/router_solicitation_delay", "0"),
    ("net/ipv6/conf/default/optimistic_dad", "0"),
];

/// Makes all namespaces of a lab, then the bridge and everybody's veth to it.
pub(crate) fn build(state: &State, underlay: &Underlay) -> Result<(), LabError> {
    let names: Vec<String> = state.namespaces.iter().map(|n| format!("netns add {n}")).collect();
    ip::batch(None, &names)?;
    for namespace in &state.namespaces {
        ip::batch(Some(namespace), &["link set lo up".to_owned()])?;
    }
    let bridge = &state.namespaces[0];
    let mut plugs =
        vec![format!("link add br0 mtu {} type bridge", underlay.mtu), "link set br0 up".to_owned()];
    let controller = (&state.controller.namespace, state.controller.address);
    let hosts = state.hosts.iter().map(|h| (&h.namespace, h.address));
    for (index, (namespace, _)) in std::iter::once(controller).chain(hosts.clone()).enumerate() {
        let mtu = underlay.mtu;
        plugs.push(format!(
            "link add p{index} mtu {mtu} type veth peer name {FABRIC_INTERFACE} mtu {mtu} netns {namespace}"
        ));
        plugs.push(format!("link set p{index} master br0 up"));
    }
    ip::batch(Some(bridge), &plugs)?;
    for (namespace, address) in std::iter::once(controller).chain(hosts) {
        let prefix = underlay.subnet.prefix_len();
        let lines = [
            format!("address add {address}/{prefix} dev {FABRIC_INTERFACE}"),
            format!("link set {FABRIC_INTERFACE} up"),
        ];
        ip::batch(Some(namespace), &lines)?;
    }
    state.workloads.iter().try_for_each(|w| Netns::new(&w.namespace).sysctl(&WORKLOAD_SYSCTLS))
}

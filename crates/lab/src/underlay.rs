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

/// A host's interface towards the controller, where the hosts are joined by a cable.
const MANAGEMENT_INTERFACE: &str = "mgmt0";

/// Makes all namespaces of a lab and joins them.
pub(crate) fn build(state: &State, underlay: &Underlay) -> Result<(), LabError> {
    let names: Vec<String> = state.namespaces.iter().map(|n| format!("netns add {n}")).collect();
    ip::batch(None, &names)?;
    for namespace in &state.namespaces {
        ip::batch(Some(namespace), &["link set lo up".to_owned()])?;
    }
    switch(state, underlay)?;
    if underlay.cable {
        cable(state, underlay)?;
    }
    state.workloads.iter().try_for_each(|w| Netns::new(&w.namespace).sysctl(&WORKLOAD_SYSCTLS))
}

/// The bridge, and a veth to it from the controller and every host.
fn switch(state: &State, underlay: &Underlay) -> Result<(), LabError> {
    let (mtu, prefix) = (underlay.mtu, underlay.subnet.prefix_len());
    let hosts_plug = if underlay.cable { MANAGEMENT_INTERFACE } else { FABRIC_INTERFACE };
    let controller = (&state.controller.namespace, state.controller.address, FABRIC_INTERFACE);
    let hosts = state.hosts.iter().map(|h| (&h.namespace, h.address, hosts_plug));
    let everybody: Vec<_> = std::iter::once(controller).chain(hosts).collect();
    let mut plugs = vec![format!("link add br0 mtu {mtu} type bridge"), "link set br0 up".to_owned()];
    for (index, (namespace, _, plug)) in everybody.iter().enumerate() {
        plugs.push(format!(
            "link add p{index} mtu {mtu} type veth peer name {plug} mtu {mtu} netns {namespace}"
        ));
        plugs.push(format!("link set p{index} master br0 up"));
    }
    ip::batch(Some(&state.namespaces[0]), &plugs)?;
    for (namespace, address, plug) in everybody {
        let lines = [format!("address add {address}/{prefix} dev {plug}"), format!("link set {plug} up")];
        ip::batch(Some(namespace), &lines)?;
    }
    Ok(())
}

/// The cable between two hosts: each reaches the other over it, and everybody else over the bridge.
fn cable(state: &State, underlay: &Underlay) -> Result<(), LabError> {
    let [one, other] = state.hosts.as_slice() else { return Ok(()) };
    let (mtu, far) = (underlay.mtu, &other.namespace);
    let make = format!(
        "link add {FABRIC_INTERFACE} mtu {mtu} type veth peer name {FABRIC_INTERFACE} mtu {mtu} netns {far}"
    );
    ip::batch(Some(&one.namespace), &[make])?;
    for (own, far) in [(one, other), (other, one)] {
        let lines = [
            format!("address add {}/32 dev {FABRIC_INTERFACE}", own.address),
            format!("link set {FABRIC_INTERFACE} up"),
            format!("route add {}/32 dev {FABRIC_INTERFACE}", far.address),
        ];
        ip::batch(Some(&own.namespace), &lines)?;
    }
    Ok(())
}

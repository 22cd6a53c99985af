//! Hosts in network namespaces, with a forwarder each and tables written by hand.
#![allow(unreachable_pub, reason = "a module shared by test binaries")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use ipnet::IpNet;
use weft_forwarder::dataplane::tables::*;
use weft_forwarder::dataplane::verdict::{ACTION_ALLOW, ACTION_DENY};
use weft_forwarder::dataplane::*;
use weft_forwarder::{Datapath, Forwarder, Options};

pub const GATEWAY_MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 0];
pub const VRF: u16 = 1;
pub const FABRIC_SLOT: u32 = 1;
/// Identity of every workload of the tests.
pub const IDENTITY: u32 = 7;
static NEXT: AtomicU32 = AtomicU32::new(0);

pub fn run(command: &str) -> Output {
    let output = Command::new("sh").args(["-c", command]).output().expect("sh runs");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

pub fn try_run(command: &str) -> bool {
    Command::new("sh").args(["-c", command]).output().expect("sh runs").status.success()
}

/// A network namespace; gone when dropped.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    pub fn new(label: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("weft-t-{}-{number}-{label}", std::process::id());
        run(&format!("ip netns add {name} && ip -n {name} link set lo up"));
        Namespace { name }
    }

    /// Runs a closure on a thread inside the namespace.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = std::fs::File::open(format!("/run/netns/{}", self.name)).expect("namespace exists");
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                nix::sched::setns(file.as_fd(), nix::sched::CloneFlags::CLONE_NEWNET).expect("setns");
                work()
            });
            match thread.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A shell command inside the namespace that must succeed.
    pub fn sh(&self, command: &str) -> String {
        let output = run(&format!("ip netns exec {} sh -c '{command}'", self.name));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether a shell command inside the namespace succeeds.
    pub fn ok(&self, command: &str) -> bool {
        try_run(&format!("ip netns exec {} sh -c '{command}'", self.name))
    }

    pub fn ifindex(&self, interface: &str) -> u32 {
        let text = run(&format!("ip -n {} -o link show dev {interface}", self.name)).stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split(':').next().and_then(|n| n.trim().parse().ok()).expect("ifindex")
    }

    pub fn mac(&self, interface: &str) -> [u8; 6] {
        let text = run(&format!("ip -n {} -o link show dev {interface}", self.name)).stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        let mac = text.split("link/ether ").nth(1).expect("ethernet").split(' ').next().expect("mac");
        parse_mac(mac)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = try_run(&format!("ip netns del {}", self.name));
    }
}

pub fn parse_mac(text: &str) -> [u8; 6] {
    let bytes: Vec<u8> = text.split(':').map(|b| u8::from_str_radix(b, 16).expect("hex")).collect();
    bytes.try_into().expect("six bytes")
}

pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}

/// A host: a namespace with a forwarder.
pub struct Host {
    pub ns: Namespace,
    pub bpf_dir: PathBuf,
    pub forwarder: Option<Forwarder>,
    pub underlay: [u8; 4],
    pub fabric: u32,
}

impl Host {
    pub fn new(label: &str, underlay: [u8; 4]) -> Self {
        let ns = Namespace::new(label);
        let bpf_dir = std::env::temp_dir().join(&ns.name);
        Host { ns, bpf_dir, forwarder: None, underlay, fabric: 0 }
    }

    pub fn limits() -> Limits {
        Limits { flows4: 16_384, flows6: 8192, ..Limits::default() }
    }

    /// Opens (or reopens) the forwarder in the namespace.
    pub fn open(&mut self) {
        let options = Options { limits: Self::limits(), ..Options::new(&self.bpf_dir) };
        let fabric = self.fabric;
        let forwarder = self.ns.enter(|| {
            let forwarder = Forwarder::open(&options).expect("forwarder opens");
            if fabric != 0 {
                forwarder.attach_fabric(fabric).expect("fabric attaches");
            }
            forwarder
        });
        self.forwarder = Some(forwarder);
    }

    pub fn dp(&self) -> &Forwarder {
        self.forwarder.as_ref().expect("forwarder is open")
    }

    pub fn config(&self) -> Config {
        Config {
            schema: 0,
            flags: 0,
            fabric_ifindex: self.fabric,
            pkt0_ifindex: 0,
            tunnel_ip: self.underlay,
            fabric_mtu: 1500,
            hash_seed: 42,
            fabric_slot: FABRIC_SLOT,
            mpls_port: 0,
            vxlan_port: 0,
            fabric_mac: [0; 6],
            gateway_mac: GATEWAY_MAC,
            events_per_second: 1000,
            reserved2: [0; 3],
        }
    }

    pub fn drops(&self, reason: DropReason) -> u64 {
        let drops = self.dp().drops().expect("drops");
        drops.iter().filter(|d| d.reason == reason).map(|d| d.packets).sum()
    }

    pub fn drop_slots(&self, reason: DropReason) -> BTreeSet<u32> {
        self.dp().drops().expect("drops").iter().filter(|d| d.reason == reason).map(|d| d.slot).collect()
    }

    /// Attaches a workload: interface, next hop 100 + slot, label 1000 + slot (L3) and 2000 + slot (L2), routes.
    pub fn add_workload(&self, w: &Workload, flags: u32) {
        let ifindex = self.ns.ifindex(&w.host_if);
        let dp = self.dp();
        dp.put_interface(
            ifindex,
            &Interface {
                kind: INTERFACE_WORKLOAD,
                reserved: 0,
                vrf: w.vrf,
                flags: flags | IF_VETH,
                identity: w.identity,
                slot: w.slot,
                mac: w.mac,
                gateway_mac: GATEWAY_MAC,
                reserved2: 0,
            },
        )
        .expect("interface");
        let policy = if flags & IF_POLICY != 0 { NH_POLICY } else { 0 };
        dp.put_next_hop(
            100 + w.slot,
            &NextHop {
                kind: NEXT_HOP_INTERFACE,
                flags: policy | NH_VETH,
                vrf: w.vrf,
                ifindex,
                slot: w.slot,
                identity: w.identity,
                dmac: w.mac,
                smac: GATEWAY_MAC,
                ..NextHop::zeroed()
            },
        )
        .expect("next hop");
        for (base, kind) in [(1000, LABEL_L3), (2000, LABEL_L2)] {
            let label = Label { next_hop: 100 + w.slot, vrf: w.vrf, kind, reserved: 0 };
            dp.put_label(base + w.slot, &label).expect("label");
        }
        self.ns.enter(|| dp.attach_workload(ifindex)).expect("attach");
    }

    /// Routes a workload's addresses, and its MAC when `bridged`, to a next hop.
    pub fn route(&self, vrf: u16, w: &Workload, next_hop: u32, bridged: bool) {
        self.route_as(vrf, w, next_hop, bridged, w.identity);
    }

    pub fn route_as(&self, vrf: u16, w: &Workload, next_hop: u32, bridged: bool, identity: u32) {
        let mac = if bridged { w.mac } else { [0; 6] };
        let route = Route { next_hop, identity, mac, flags: ROUTE_PROXY };
        for address in [&w.ip4, &w.ip6] {
            let address: std::net::IpAddr = address.parse().expect("address");
            self.dp().put_route(vrf, IpNet::from(address), &route).expect("route");
        }
        if bridged {
            self.dp().put_bridge(vrf, w.mac, &BridgeEntry { next_hop, identity }).expect("bridge");
        }
    }

    /// The gateway's addresses, 10.0.0.1 and fd00::1, at next hop 1.
    pub fn gateway(&self, vrf: u16) {
        let dp = self.dp();
        dp.put_next_hop(1, &NextHop { kind: NEXT_HOP_RECEIVE, ..NextHop::zeroed() }).expect("next hop");
        let route = Route { next_hop: 1, identity: 0, mac: [0; 6], flags: ROUTE_PROXY };
        for prefix in ["10.0.0.1/32", "fd00::1/128", "fe80::1/128"] {
            dp.put_route(vrf, prefix.parse().expect("prefix"), &route).expect("route");
        }
    }

    /// A tunnel to another host.
    pub fn tunnel(&self, index: u32, kind: u8, label: u32, other: &Host) {
        let next_hop = NextHop {
            kind,
            ifindex: self.fabric,
            label,
            src: self.underlay,
            dst: other.underlay,
            ..NextHop::zeroed()
        };
        self.dp().put_next_hop(index, &next_hop).expect("tunnel");
    }

    /// Lets everything between identities of the tests through.
    pub fn allow(&self, near: u32, far: u32) {
        for direction in [Direction::Egress, Direction::Ingress] {
            let verdict = Verdict { action: ACTION_ALLOW, rule: 1, list: 0 };
            self.dp().put_verdict(&VerdictKey::pair(near, far, direction), &verdict).expect("verdict");
        }
    }

    pub fn deny(&self, near: u32, far: u32, rule: u32) {
        for direction in [Direction::Egress, Direction::Ingress] {
            let verdict = Verdict { action: ACTION_DENY, rule, list: 0 };
            self.dp().put_verdict(&VerdictKey::pair(near, far, direction), &verdict).expect("verdict");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.forwarder = None;
        let _ = Forwarder::remove_pins(&self.bpf_dir);
        let _ = try_run(&format!("umount {0} && rmdir {0}", self.bpf_dir.display()));
    }
}

/// A workload: a namespace with eth0, whose other end is in a host.
pub struct Workload {
    pub ns: Namespace,
    pub host_if: String,
    pub vrf: u16,
    pub slot: u32,
    pub identity: u32,
    pub mac: [u8; 6],
    pub ip4: String,
    pub ip6: String,
}

impl Workload {
    /// Number `n` (also its slot and the last byte of its addresses and MAC), connected to `host`.
    pub fn new(host: &Host, n: u8) -> Self {
        let ns = Namespace::new(&format!("w{n}"));
        let (mac, host_if) = ([2, 0, 0, 0, 0, n], format!("tap{n}"));
        let (ip4, ip6) = (format!("10.0.0.{n}"), format!("fd00::{n:x}"));
        run(&format!(
            "ip link add {host_if} netns {} type veth peer name eth0 netns {}",
            host.ns.name, ns.name
        ));
        run(&format!("ip -n {} link set {host_if} up", host.ns.name));
        let name = &ns.name;
        run(&format!(
            "ip netns exec {name} sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
             net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.router_solicitations=0"
        ));
        run(&format!(
            "ip -n {name} link set eth0 address {} mtu 1400 up && ip -n {name} addr add {ip4}/24 dev eth0 && \
             ip -n {name} addr add {ip6}/64 dev eth0 nodad && ip -n {name} route add default via 10.0.0.1 && \
             ip -n {name} -6 route add default via fd00::1",
            mac_text(mac)
        ));
        Workload { ns, host_if, vrf: VRF, slot: u32::from(n), identity: IDENTITY, mac, ip4, ip6 }
    }

    pub fn ping(&self, to: &str) -> bool {
        self.ns.ok(&format!("ping -c 1 -W 1 {to}"))
    }
}

/// Two hosts joined by an underlay.
pub fn two_hosts() -> (Host, Host) {
    let mut a = Host::new("h1", Ipv4Addr::new(192, 0, 2, 1).octets());
    let mut b = Host::new("h2", Ipv4Addr::new(192, 0, 2, 2).octets());
    let (an, bn) = (a.ns.name.clone(), b.ns.name.clone());
    run(&format!("ip link add fab0 netns {an} type veth peer name fab0 netns {bn}"));
    for (ns, ip) in [(&an, "192.0.2.1"), (&bn, "192.0.2.2")] {
        run(&format!("ip -n {ns} addr add {ip}/24 dev fab0 && ip -n {ns} link set fab0 up"));
    }
    for host in [&mut a, &mut b] {
        host.fabric = host.ns.ifindex("fab0");
        host.open();
        host.dp().set_config(&host.config()).expect("config");
        host.gateway(VRF);
    }
    (a, b)
}

/// How packets cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    MplsL3,
    MplsL2,
    VxlanL2,
    VxlanL3,
}

/// VXLAN identifier of the tests' network.
pub const VNI: u32 = 4097;

/// Tells `local` how to reach workload `w` of `remote`, through next hop 200 + slot.
pub fn reach(local: &Host, remote: &Host, w: &Workload, mode: Mode) {
    let index = 200 + w.slot;
    match mode {
        Mode::MplsL3 => local.tunnel(index, NEXT_HOP_MPLS_L3, 1000 + w.slot, remote),
        Mode::MplsL2 => local.tunnel(index, NEXT_HOP_MPLS_L2, 2000 + w.slot, remote),
        Mode::VxlanL2 | Mode::VxlanL3 => local.tunnel(index, NEXT_HOP_VXLAN, VNI, remote),
    }
    local.dp().put_vni(VNI, &Vni { vrf: VRF, reserved: 0, reserved2: 0 }).expect("vni");
    local.route(VRF, w, index, matches!(mode, Mode::MplsL2 | Mode::VxlanL2));
    if mode == Mode::VxlanL3 {
        let route = Route { next_hop: index, identity: w.identity, mac: w.mac, flags: 0 };
        for address in [&w.ip4, &w.ip6] {
            let address: std::net::IpAddr = address.parse().expect("address");
            local.dp().put_route(VRF, IpNet::from(address), &route).expect("route");
        }
    }
}

pub const FLAGS: u32 = IF_POLICY | IF_L2 | IF_L3 | IF_RPF | IF_DHCP | IF_DNS;

/// Two hosts with a workload each (numbers 11 and 12), all allowed.
pub struct Pair {
    pub w1: Workload,
    pub w2: Workload,
    pub a: Host,
    pub b: Host,
}

pub fn pair(mode: Mode) -> Pair {
    let (a, b) = two_hosts();
    let (w1, w2) = (Workload::new(&a, 11), Workload::new(&b, 12));
    for (host, own, other, peer) in [(&a, &w1, &w2, &b), (&b, &w2, &w1, &a)] {
        host.add_workload(own, FLAGS);
        host.route(VRF, own, 100 + own.slot, true);
        reach(host, peer, other, mode);
        host.allow(IDENTITY, IDENTITY);
    }
    if mode == Mode::VxlanL3 {
        // Without proxy ARP for the neighbour the workloads would ask in vain: send everything to the gateway.
        for w in [&w1, &w2] {
            let (name, ip4, ip6) = (&w.ns.name, &w.ip4, &w.ip6);
            run(&format!("ip -n {name} addr flush dev eth0 scope global"));
            run(&format!(
                "ip -n {name} addr add {ip4}/32 dev eth0 && ip -n {name} addr add {ip6}/128 dev eth0 nodad && \
                 ip -n {name} route replace 10.0.0.1 dev eth0 && ip -n {name} route replace default via 10.0.0.1 && \
                 ip -n {name} -6 route replace fd00::1 dev eth0 && ip -n {name} -6 route replace default via fd00::1"
            ));
        }
    }
    Pair { w1, w2, a, b }
}

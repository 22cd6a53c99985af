//! Why a packet was dropped: one enum for the forwarder, the CLI, metrics and documentation.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $value:literal, $name:literal, $describe:literal;)*) => {
        /// Why the forwarder dropped a packet. The numbers are a map format: never reused, only added to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $(#[doc = $describe] $variant = $value,)*
        }

        impl DropReason {
            /// Every reason, in numeric order.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant,)*];

            /// The name used in metrics and on the command line, in kebab case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self { $(DropReason::$variant => $describe,)* }
            }

            /// The reason with this number, if there is one.
            #[must_use]
            pub const fn from_u8(value: u8) -> Option<DropReason> {
                match value { $($value => Some(DropReason::$variant),)* _ => None }
            }

            /// The reason with this name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<DropReason> {
                match name { $($name => Some(DropReason::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    UnknownInterface = 1, "unknown-interface", "The packet came from an interface the forwarder has not been told of.";
    InterfaceDown = 2, "interface-down", "The packet goes to an interface that is gone or of the wrong kind.";
    TruncatedEthernet = 3, "truncated-ethernet", "The frame ends inside its Ethernet header.";
    TruncatedArp = 4, "truncated-arp", "The frame ends inside its ARP packet, or the ARP packet is not IPv4 over Ethernet.";
    TruncatedIp = 5, "truncated-ip", "The packet ends inside its IP header, or is shorter than that header says.";
    TruncatedTransport = 6, "truncated-transport", "The packet ends inside its TCP, UDP or ICMP header.";
    TruncatedTunnel = 7, "truncated-tunnel", "A packet from the fabric ends inside its MPLS or VXLAN header.";
    BadIpHeader = 8, "bad-ip-header", "The IP header's version or header length is impossible.";
    BadExtensionHeaders = 9, "bad-extension-headers", "The IPv6 extension headers are too many, truncated or unknown.";
    NotIp = 10, "not-ip", "The frame carries neither IP nor ARP.";
    Multicast = 11, "multicast", "Broadcast and multicast are not flooded.";
    BadTunnelHeader = 12, "bad-tunnel-header", "The VXLAN header has no valid VNI, or the MPLS stack is too deep.";
    OuterFragment = 13, "outer-fragment", "A tunnelled packet arrived as fragments of its outer IP packet.";
    OuterEcn = 14, "outer-ecn", "The outer header says congestion experienced and the inner transport does not speak ECN.";
    UnknownLabel = 15, "unknown-label", "No interface or network has this MPLS label.";
    UnknownVni = 16, "unknown-vni", "No network on this host has this VXLAN identifier.";
    NoRoute = 17, "no-route", "The network has no route to the destination address.";
    NoSourceRoute = 18, "no-source-route", "The network has no route back to the source address.";
    UnknownUnicast = 19, "unknown-unicast", "The destination MAC is not in the network's bridge table.";
    Discard = 20, "discard", "The route or next hop says discard.";
    SpoofedSource = 21, "spoofed-source", "The source address is not one of the sending interface's own.";
    SpoofedMac = 22, "spoofed-mac", "The source MAC is not the sending interface's own.";
    Policy = 23, "policy", "A rule of a network policy or security group denies the flow.";
    NoVerdict = 24, "no-verdict", "No rule speaks of this pair of endpoints, so the flow is denied.";
    FlowTableFull = 25, "flow-table-full", "The flow table has no room for another flow.";
    FragmentWithoutHead = 26, "fragment-without-head", "A fragment arrived whose first fragment was never seen.";
    IcmpErrorNoFlow = 27, "icmp-error-no-flow", "An ICMP error quotes a packet that belongs to no flow.";
    TtlExceeded = 28, "ttl-exceeded", "The time to live ran out here.";
    ArpUnanswered = 29, "arp-unanswered", "ARP asked for an address that nobody in the network has.";
    ArpOwnAddress = 30, "arp-own-address", "ARP asked for the asker's own address: silence says that it is free to use.";
    NeighbourUnanswered = 31, "neighbour-unanswered", "A neighbour solicitation asked for an address that nobody has, or for the asker's own.";
    NeighbourUnwanted = 32, "neighbour-unwanted", "An ARP reply or neighbour advertisement: bindings come from the controller only.";
    GatewayNotServed = 33, "gateway-not-served", "The packet is for the gateway address, which serves only echo and DNS.";
    NoTunnel = 34, "no-tunnel", "The next hop cannot carry this kind of packet.";
    Encapsulation = 35, "encapsulation", "The kernel refused to add the tunnel header.";
    Decapsulation = 36, "decapsulation", "The kernel refused to remove the tunnel header.";
    TrapFailed = 37, "trap-failed", "The packet should have gone to the agent, but could not be sent there.";
    InjectInvalid = 38, "inject-invalid", "The agent injected a packet with a header the forwarder does not understand.";
    NotConfigured = 39, "not-configured", "The forwarder has not been configured yet.";
    RuleListMissing = 40, "rule-list-missing", "A verdict names a rule list that does not exist.";
    Redirect = 41, "redirect", "The kernel refused to hand the packet to its next interface.";
    Internal = 42, "internal", "A table that must exist was not found: a defect.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for reason in DropReason::ALL {
            assert_eq!(DropReason::from_u8(*reason as u8), Some(*reason));
            assert_eq!(DropReason::from_name(reason.name()), Some(*reason));
            assert!(reason.describe().ends_with('.'));
        }
        assert_eq!(DropReason::from_u8(0), None);
    }
}

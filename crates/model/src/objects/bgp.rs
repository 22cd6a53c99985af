//! BGP routers and BGP as a service.

use super::*;

object_types! {
    BgpRouter {
        parents: [RoutingInstance],
        refs: [BgpRouter { BgpPeeringAttributes }, ControlNodeZone, SubCluster],
        props: {
            bgp_router_parameters: BgpRouterParams,
        }
    }
    BgpAsAService {
        parents: [Project],
        refs: [
            BgpRouter(system), ControlNodeZone { BGPaaSControlNodeZoneAttributes },
            ServiceHealthCheck, VirtualMachineInterface,
        ],
        props: {
            autonomous_system: AutonomousSystemType,
            bgpaas_ip_address: IpAddressType,
            bgpaas_ipv4_mapped_ipv6_nexthop: bool,
            bgpaas_session_attributes: BgpSessionAttributes,
            bgpaas_shared: bool = false,
            bgpaas_suppress_route_advertisement: bool,
        }
    }
}

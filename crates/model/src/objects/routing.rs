//! Routing: instances, route tables, policies, logical routers.

use super::*;

object_types! {
    RoutingInstance {
        parents: [VirtualNetwork],
        derived: true,
        refs: [RouteTarget { InstanceTargetType }, RoutingInstance { ConnectionType }],
        props: {
            default_ce_protocol: DefaultProtocolType,
            evpn_ipv6_service_chain_information: ServiceChainInfo,
            evpn_service_chain_information: ServiceChainInfo,
            ipv6_service_chain_information: ServiceChainInfo,
            routing_instance_fabric_snat: bool = false,
            routing_instance_has_pnf: bool = false,
            routing_instance_is_default: bool = false,
            service_chain_information: ServiceChainInfo,
            static_route_entries: StaticRouteEntriesType,
        }
    }
    RouteTarget {
        parents: [],
        derived: true,
        refs: [],
        props: {}
    }
    RouteTable {
        parents: [Project],
        refs: [],
        props: {
            routes: RouteTableType,
        }
    }
    InterfaceRouteTable {
        parents: [Project],
        refs: [ServiceInstance { ServiceInterfaceTag }],
        props: {
            interface_route_table_routes: RouteTableType,
        }
    }
    RoutingPolicy {
        parents: [Project],
        refs: [
            InterfaceRouteTable, RoutingInstance { RoutingPolicyType },
            ServiceInstance { RoutingPolicyServiceInstanceType },
        ],
        props: {
            routing_policy_entries: PolicyStatementType,
            term_type: TermType,
        }
    }
    RouteAggregate {
        parents: [Project],
        refs: [RoutingInstance(system), ServiceInstance { ServiceInterfaceTag }],
        props: {
            aggregate_route_entries: RouteListType,
            aggregate_route_nexthop: String,
        }
    }
    LogicalRouter {
        parents: [Project],
        refs: [
            Bgpvpn, Fabric, PhysicalRouter, RouteTable, RouteTarget(system),
            ServiceInstance(system), VirtualMachineInterface,
            VirtualNetwork { LogicalRouterVirtualNetworkType },
        ],
        props: {
            configured_route_target_list: RouteTargetList,
            logical_router_dhcp_relay_server: IpAddressesType,
            logical_router_gateway_external: bool,
            logical_router_type: LogicalRouterType = "snat-routing",
            vxlan_network_identifier: String,
        }
    }
    Bgpvpn {
        parents: [Project],
        refs: [],
        props: {
            bgpvpn_type: VpnType = "l3",
            export_route_target_list: RouteTargetList,
            import_route_target_list: RouteTargetList,
            route_target_list: RouteTargetList,
        }
    }
}

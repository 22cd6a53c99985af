//! BGP routers and their sessions.

use super::*;

complex_types! {
    BgpRouterParams {
        admin_down: bool,
        vendor: String,
        cluster_id: i64,
        autonomous_system: i64,
        identifier: IpAddress,
        address: IpAddress,
        port: i64,
        source_port: i64,
        hold_time: BgpHoldTime,
        address_families: AddressFamilies,
        auth_data: AuthenticationData,
        local_autonomous_system: i64,
        router_type: BgpRouterType,
        gateway_address: IpAddress,
        ipv6_gateway_address: IpAddress,
    }
    AddressFamilies {
        family: [AddressFamily],
    }
    BgpPeeringAttributes {
        session: [BgpSession],
    }
    BgpSession {
        uuid: String,
        attributes: [BgpSessionAttributes],
    }
    BgpSessionAttributes {
        bgp_router: String,
        admin_down: bool,
        passive: bool,
        as_override: bool,
        hold_time: BgpHoldTime,
        loop_count: BgpAsPathLoopCount,
        local_autonomous_system: i64,
        address_families: AddressFamilies,
        auth_data: AuthenticationData,
        family_attributes: [BgpFamilyAttributes],
        private_as_action: BgpPrivateAsAction,
        route_origin_override: RouteOriginOverride,
    }
    BgpFamilyAttributes {
        address_family: AddressFamily,
        loop_count: BgpAsPathLoopCount,
        prefix_limit: BgpPrefixLimit,
        default_tunnel_encap: [BgpTunnelEncapsulationType],
    }
    BgpPrefixLimit {
        maximum: i64,
        idle_timeout: BgpPrefixLimitIdleTimeout,
    }
    RouteOriginOverride {
        origin_override: bool,
        origin: RouteOriginAttributeType,
    }
    BGPaaSControlNodeZoneAttributes {
        bgpaas_control_node_zone_type: BGPaaSControlNodeZoneType,
    }
}

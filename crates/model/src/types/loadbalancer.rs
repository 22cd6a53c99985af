//! Load balancers.

use super::*;

complex_types! {
    LoadbalancerType {
        status: String,
        provisioning_status: String,
        operating_status: String,
        vip_subnet_id: UuidStringType,
        vip_address: IpAddressType,
        admin_state: bool,
    }
    LoadbalancerListenerType {
        protocol: LoadbalancerProtocolType,
        protocol_port: i64,
        admin_state: bool,
        connection_limit: i64,
        default_tls_container: String,
        sni_containers: [String],
    }
    LoadbalancerPoolType {
        status: String,
        status_description: String,
        admin_state: bool,
        protocol: LoadbalancerProtocolType,
        loadbalancer_method: LoadbalancerMethodType,
        subnet_id: UuidStringType,
        session_persistence: SessionPersistenceType,
        persistence_cookie_name: String,
    }
    LoadbalancerMemberType {
        admin_state: bool,
        status: String,
        status_description: String,
        protocol_port: i64,
        weight: i64,
        address: IpAddressType,
        subnet_id: UuidStringType,
    }
    LoadbalancerHealthmonitorType {
        admin_state: bool,
        monitor_type: HealthmonitorType,
        delay: i64,
        timeout: i64,
        max_retries: i64,
        http_method: String,
        url_path: String,
        expected_codes: String,
    }
    VirtualIpType {
        address: IpAddressType,
        status: String,
        status_description: String,
        admin_state: bool,
        protocol: LoadbalancerProtocolType,
        protocol_port: i64,
        connection_limit: i64,
        subnet_id: UuidStringType,
        persistence_cookie_name: String,
        persistence_type: SessionPersistenceType,
    }
}

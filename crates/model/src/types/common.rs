//! What every object carries: permissions, annotations, quotas.

use super::*;

complex_types! {
    DomainLimitsType {
        project_limit: i64,
        virtual_network_limit: i64,
        security_group_limit: i64,
    }
    QuotaType {
        defaults: i64,
        floating_ip: i64,
        instance_ip: i64,
        virtual_machine_interface: i64,
        virtual_network: i64,
        virtual_router: i64,
        virtual_DNS: i64,
        virtual_DNS_record: i64,
        bgp_router: i64,
        network_ipam: i64,
        access_control_list: i64,
        network_policy: i64,
        floating_ip_pool: i64,
        service_template: i64,
        service_instance: i64,
        logical_router: i64,
        security_group: i64,
        security_group_rule: i64,
        subnet: i64,
        global_vrouter_config: i64,
        loadbalancer: i64,
        loadbalancer_listener: i64,
        loadbalancer_pool: i64,
        loadbalancer_member: i64,
        loadbalancer_healthmonitor: i64,
        virtual_ip: i64,
        security_logging_object: i64,
        route_table: i64,
        firewall_group: i64,
        firewall_policy: i64,
        firewall_rule: i64,
        host_based_service: UniqueQuotaType,
    }
    KeyValuePairs {
        key_value_pair: [KeyValuePair],
    }
    KeyValuePair {
        key: String,
        value: String,
    }
    IdPermsType {
        permissions: PermType,
        uuid: UuidType,
        enable: bool,
        created: String,
        last_modified: String,
        description: String,
        user_visible: bool,
        creator: String,
    }
    PermType {
        owner: String,
        owner_access: AccessType,
        group: String,
        group_access: AccessType,
        other_access: AccessType,
    }
    UuidType {
        uuid_mslong: u64,
        uuid_lslong: u64,
    }
    PermType2 {
        owner: String,
        owner_access: AccessType,
        global_access: AccessType,
        share: [ShareType],
    }
    ShareType {
        tenant: String,
        tenant_access: AccessType,
    }
}

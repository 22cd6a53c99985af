//! The nodes of an installation.

use super::*;

object_types! {
    AnalyticsNode {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            analytics_node_ip_address: IpAddressType,
        }
    }
    AnalyticsAlarmNode {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            analytics_alarm_node_ip_address: IpAddressType,
        }
    }
    AnalyticsSnmpNode {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            analytics_snmp_node_ip_address: IpAddressType,
        }
    }
    ConfigNode {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            config_node_ip_address: IpAddressType,
        }
    }
    ConfigDatabaseNode {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            config_database_node_ip_address: IpAddressType,
        }
    }
    DatabaseNode {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            database_node_ip_address: IpAddressType,
        }
    }
    DevicemgrNode {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            devicemgr_node_ip_address: IpAddressType,
        }
    }
    WebuiNode {
        parents: [GlobalSystemConfig],
        refs: [],
        props: {
            webui_node_ip_address: IpAddressType,
        }
    }
    FlowNode {
        parents: [GlobalSystemConfig],
        refs: [VirtualNetwork],
        props: {
            flow_node_inband_interface: String,
            flow_node_ip_address: IpAddressType,
            flow_node_load_balancer_ip: IpAddressType,
        }
    }
    DiscoveryServiceAssignment {
        parents: [],
        refs: [],
        props: {}
    }
    DsaRule {
        parents: [DiscoveryServiceAssignment],
        refs: [],
        props: {
            dsa_rule_entry: DiscoveryServiceAssignmentType,
        }
    }
}

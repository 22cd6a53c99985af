//! Network policies, security groups and access lists.

use super::*;

object_types! {
    NetworkPolicy {
        parents: [Project],
        refs: [],
        props: {
            network_policy_entries: PolicyEntriesType,
        }
    }
    SecurityGroup {
        parents: [Project],
        refs: [],
        props: {
            configured_security_group_id: ConfiguredSecurityGroupIdType = 0,
            security_group_entries: PolicyEntriesType,
            security_group_id: SecurityGroupIdType,
        }
    }
    AccessControlList {
        parents: [SecurityGroup, VirtualNetwork],
        derived: true,
        refs: [],
        props: {
            access_control_list_entries: AclEntriesType,
            access_control_list_hash: i64,
        }
    }
    SecurityLoggingObject {
        parents: [GlobalVrouterConfig, Project],
        refs: [
            NetworkPolicy { SecurityLoggingObjectRuleListType },
            SecurityGroup { SecurityLoggingObjectRuleListType },
        ],
        props: {
            security_logging_object_rate: i64 = 100,
            security_logging_object_rules: SecurityLoggingObjectRuleListType,
        }
    }
}

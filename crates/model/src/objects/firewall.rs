//! Tags and application policies.

use super::*;

object_types! {
    TagType {
        parents: [],
        refs: [],
        props: {
            tag_type_id: U16BitHexInt,
        }
    }
    Tag {
        parents: [ConfigRoot, Project],
        refs: [TagType],
        props: {
            tag_id: U32BitHexInt,
            tag_predefined: bool = false,
            tag_type_name: String,
            tag_value: String,
        }
    }
    ApplicationPolicySet {
        parents: [PolicyManagement, Project],
        refs: [FirewallPolicy { FirewallSequence }, GlobalVrouterConfig(system)],
        props: {
            all_applications: bool = false,
            draft_mode_state: DraftModeState,
        }
    }
    FirewallPolicy {
        parents: [PolicyManagement, Project],
        refs: [FirewallRule { FirewallSequence }, SecurityLoggingObject { SloRateType }],
        props: {
            draft_mode_state: DraftModeState,
        }
    }
    FirewallRule {
        parents: [PolicyManagement, Project],
        refs: [AddressGroup, SecurityLoggingObject { SloRateType }, ServiceGroup, VirtualNetwork],
        props: {
            action_list: ActionListType,
            direction: FirewallRuleDirectionType,
            draft_mode_state: DraftModeState,
            endpoint_1: FirewallRuleEndpointType,
            endpoint_2: FirewallRuleEndpointType,
            match_tag_types: FirewallRuleMatchTagsTypeIdList,
            match_tags: @list FirewallRuleMatchTagsType,
            service: FirewallServiceType,
        }
    }
    ServiceGroup {
        parents: [PolicyManagement, Project],
        refs: [],
        props: {
            draft_mode_state: DraftModeState,
            service_group_firewall_service_list: @list FirewallServiceGroupType,
        }
    }
    AddressGroup {
        parents: [PolicyManagement, Project],
        refs: [],
        props: {
            address_group_prefix: @list SubnetListType,
            draft_mode_state: DraftModeState,
        }
    }
}

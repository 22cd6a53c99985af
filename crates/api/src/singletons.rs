//! The objects every installation has (wire-facts 1.3), created at start and left alone when they exist.

use crate::authz::standard;
use crate::parse::Input;
use crate::{ApiError, ApiState, hooks, write};
use serde_json::{Value, json};
use weft_model::{FqName, Object, ObjectType, defaults};

/// One of the objects.
struct Singleton {
    object_type: ObjectType,
    fq_name: FqName,
    props: Vec<(&'static str, Value)>,
}

fn singleton(object_type: ObjectType, fq_name: FqName, props: &[(&'static str, Value)]) -> Singleton {
    Singleton { object_type, fq_name, props: props.to_vec() }
}

/// All of them, parents first.
fn all() -> Vec<Singleton> {
    use ObjectType as T;
    let in_project = defaults::in_default_project;
    let everyone_reads = json!({"owner": defaults::OWNER, "owner_access": 7, "global_access": 5});
    let flat = json!({"subnets": [
        {"subnet": {"ip_prefix": "0.0.0.0", "ip_prefix_len": 8}},
        {"subnet": {"ip_prefix": "::ffff:0:0", "ip_prefix_len": 104}},
    ]});
    let encapsulations = json!({"encapsulation": ["MPLSoUDP", "MPLSoGRE", "VXLAN"]});
    let singletons = vec![
        singleton(T::ConfigRoot, FqName::new(["config-root"]), &[]),
        singleton(
            T::GlobalSystemConfig,
            defaults::global_system_config(),
            &[("autonomous_system", defaults::AUTONOMOUS_SYSTEM.into())],
        ),
        singleton(
            T::GlobalVrouterConfig,
            defaults::global_vrouter_config(),
            &[
                ("encapsulation_priorities", encapsulations),
                ("vxlan_network_identifier_mode", "automatic".into()),
            ],
        ),
        singleton(T::Domain, defaults::domain(), &[]),
        singleton(T::Project, defaults::project(), &[]),
        singleton(T::NetworkIpam, in_project(defaults::NETWORK_IPAM), &[("perms2", everyone_reads.clone())]),
        singleton(
            T::NetworkIpam,
            in_project(defaults::SERVICE_CHAIN_IPAM),
            &[("ipam_subnet_method", "flat-subnet".into()), ("ipam_subnets", flat)],
        ),
        singleton(T::VirtualNetwork, in_project(defaults::IP_FABRIC), &[]),
        singleton(T::VirtualNetwork, in_project(defaults::LINK_LOCAL), &[]),
        singleton(T::VirtualNetwork, in_project(defaults::DCI_NETWORK), &[]),
        singleton(
            T::SecurityGroup,
            in_project(defaults::NO_RULE_SECURITY_GROUP),
            &[("perms2", everyone_reads)],
        ),
        singleton(T::GlobalQosConfig, hooks::global_qos_config(), &[]),
        singleton(T::Fabric, defaults::global_system_config().child("default-fabric"), &[]),
        singleton(T::PolicyManagement, FqName::new([hooks::DEFAULT_MANAGEMENT]), &[]),
        singleton(T::ApplicationPolicySet, hooks::default_policy_set(), &[("all_applications", true.into())]),
    ];
    let tag_types = hooks::TAG_TYPES.iter().map(|(name, _)| singleton(T::TagType, FqName::new([*name]), &[]));
    singletons.into_iter().chain(tag_types).collect()
}

/// The rules every role has.
fn rules() -> Singleton {
    singleton(standard::TYPE, standard::name(), &[(standard::ENTRIES, standard::entries())])
}

/// Creates those that do not exist.
pub(crate) async fn create_all(state: &ApiState) -> Result<(), ApiError> {
    for Singleton { object_type, fq_name, props } in all().into_iter().chain([rules()]) {
        let props = props.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect();
        let parent_type = match object_type {
            ObjectType::ApplicationPolicySet => Some(ObjectType::PolicyManagement),
            ObjectType::ApiAccessList => Some(ObjectType::GlobalSystemConfig),
            // Where else there is a choice, a name of one part is at the root.
            _ => None,
        };
        let input = Input { fq_name: Some(fq_name.clone()), parent_type, props, ..Input::default() };
        if write::create_singleton(state, object_type, input).await? {
            tracing::info!(%object_type, %fq_name, "created");
        }
    }
    Ok(())
}

/// Whether an object must not be deleted.
pub(crate) fn is_permanent(object: &Object) -> bool {
    use ObjectType as T;
    let name = &object.fq_name;
    match object.object_type {
        T::VirtualNetwork => [defaults::IP_FABRIC, defaults::LINK_LOCAL, defaults::DCI_NETWORK]
            .iter()
            .any(|last| *name == defaults::in_default_project(last)),
        T::GlobalSystemConfig => *name == defaults::global_system_config(),
        T::GlobalVrouterConfig => *name == defaults::global_vrouter_config(),
        T::Domain => *name == defaults::domain(),
        T::Project => *name == defaults::project(),
        T::ConfigRoot => true,
        T::GlobalQosConfig => *name == hooks::global_qos_config(),
        T::PolicyManagement => *name == FqName::new([hooks::DEFAULT_MANAGEMENT]),
        T::TagType => hooks::TAG_TYPES.iter().any(|(predefined, _)| *name == FqName::new([*predefined])),
        _ => false,
    }
}

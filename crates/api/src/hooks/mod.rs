//! What is particular to single object types: checks beyond the declaration, computed properties, and the numbers and
//! addresses an object owns. One file per type, or per family of small ones. A hook works on a plan: what it claims is claimed by the very transaction
//! that writes the object, and it runs again, from fresh reads, when that transaction conflicts.

mod alarm;
mod api_access_list;
mod application_policy_set;
mod bgp;
pub(crate) mod commit;
mod device;
mod draft;
mod firewall_policy;
mod firewall_rule;
mod floating_ip;
mod global_system_config;
mod instance_ip;
mod logical_router;
mod network_ipam;
mod policy_management;
mod project;
mod protocols;
mod qos;
mod quota;
pub(crate) mod reserve;
mod routing;
mod rules;
mod security_group;
mod service;
mod service_group;
mod sight;
mod tag;
mod tag_type;
mod values;
mod virtual_dns;
mod virtual_machine_interface;
mod virtual_network;
mod virtual_port_group;

use crate::alloc::Pool;
use crate::plan::Plan;
use crate::{ApiError, ApiState, write};
use serde_json::Value;
use weft_model::{FqName, Object, ObjectType, defaults};

pub(crate) use application_policy_set::global_default as default_policy_set;
pub(crate) use draft::{
    DEFAULT_MANAGEMENT, Editable, became_draft, delete as draft_delete, editable, is_pending,
};
pub(crate) use instance_ip::{Request, find_subnets, pick_address};
pub(crate) use tag::{SEVERAL_PER_OBJECT, type_of as tag_type_of};
pub(crate) use tag_type::PREDEFINED as TAG_TYPES;

/// What a hook works with.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a ApiState,
    pub(crate) plan: &'a mut Plan,
}

/// Name of the one global-qos-config.
pub(crate) fn global_qos_config() -> FqName {
    defaults::global_system_config().child("default-global-qos-config")
}

/// Creates another object in the same transaction.
fn companion(ctx: &mut Context<'_>, mut object: Object) -> Result<(), ApiError> {
    write::stamp(&mut object, None);
    ctx.plan.put_object(&object, None)
}

/// Completes and checks a new or changed object, and claims what it needs. `old` is `None` when it is created.
pub(crate) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    if draft::TYPES.contains(&new.object_type) {
        draft::read_only(ctx, new, old, draft::STATE)?;
        if old.is_none() {
            draft::create(ctx, new).await?;
        }
    }
    tag::references(new, old)?;
    put_network(ctx, new, old).await?;
    put_policy(ctx, new, old).await?;
    put_system(ctx, new, old).await?;
    put_device(ctx, new, old).await?;
    quota::account(ctx, Some(new), old).await
}

/// Networks, interfaces, addresses and names.
async fn put_network(ctx: &mut Context<'_>, new: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    use ObjectType as T;
    match new.object_type {
        T::VirtualNetwork => virtual_network::put(ctx, new, old).await,
        T::NetworkIpam => network_ipam::put(ctx, new, old).await,
        T::VirtualMachineInterface => virtual_machine_interface::put(ctx, new, old).await,
        T::InstanceIp => instance_ip::put(ctx, new, old).await,
        T::FloatingIpPool => floating_ip::put_pool(ctx, new).await,
        T::FloatingIp | T::AliasIp => floating_ip::put(ctx, new, old).await,
        T::LogicalRouter => logical_router::put(ctx, new, old).await,
        T::VirtualDns => virtual_dns::put_server(ctx, new, old).await,
        T::VirtualDnsRecord => virtual_dns::put_record(new),
        T::RouteTable => routing::route_table(new, "routes"),
        T::InterfaceRouteTable => routing::route_table(new, "interface_route_table_routes"),
        T::RouteAggregate => routing::aggregate(new),
        T::RoutingPolicy => routing::policy(ctx, new, old).await,
        T::Bgpvpn => {
            let lists = ["route_target_list", "import_route_target_list", "export_route_target_list"];
            values::fixed(new, old, &["bgpvpn_type"])?;
            routing::route_targets(ctx, new, old, &lists).await
        }
        _ => Ok(()),
    }
}

/// Policies, security groups and tags.
async fn put_policy(ctx: &mut Context<'_>, new: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    use ObjectType as T;
    match new.object_type {
        T::NetworkPolicy => rules::put(new, "network_policy_entries", rules::Kind::Policy),
        T::SecurityGroup => security_group::put(ctx, new, old).await,
        T::Tag => tag::put(ctx, new, old).await,
        T::TagType => tag_type::put(ctx, new, old).await,
        T::ApplicationPolicySet => application_policy_set::put(ctx, new, old).await,
        T::FirewallPolicy => firewall_policy::put(new),
        T::FirewallRule => firewall_rule::put(ctx, new, old).await,
        T::ServiceGroup => service_group::put(new),
        T::ApiAccessList => api_access_list::put(new),
        T::Project => project::put(ctx, new, old).await,
        _ => Ok(()),
    }
}

/// What there is one of, BGP, qualities of service, alarms.
async fn put_system(ctx: &mut Context<'_>, new: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    use ObjectType as T;
    let only_one = global_system_config::only_one;
    match new.object_type {
        T::GlobalSystemConfig => global_system_config::put(ctx, new, old).await,
        T::GlobalVrouterConfig => only_one(new, defaults::global_vrouter_config()),
        T::GlobalQosConfig => only_one(new, global_qos_config()),
        T::BgpRouter => bgp::router(ctx, new).await,
        T::BgpAsAService => bgp::service(ctx, new, old).await,
        T::SubCluster => bgp::sub_cluster(ctx, new, old).await,
        T::ForwardingClass => qos::forwarding_class(ctx, new, old).await,
        T::QosConfig => qos::config(ctx, new).await,
        T::Alarm => alarm::put(new),
        _ => Ok(()),
    }
}

/// Devices, services and loadbalancers.
async fn put_device(ctx: &mut Context<'_>, new: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
    use ObjectType as T;
    match new.object_type {
        T::PhysicalRouter => device::router(new, old),
        T::PhysicalInterface => device::physical_interface(ctx, new, old).await,
        T::LogicalInterface => device::logical_interface(ctx, new, old).await,
        T::VirtualPortGroup => virtual_port_group::put(ctx, new, old).await,
        T::TelemetryProfile => {
            let profiles = [T::SflowProfile, T::GrpcProfile, T::SnmpProfile, T::NetconfProfile];
            profiles.into_iter().try_for_each(|to| values::at_most_one(new, to))
        }
        T::ServiceTemplate => service::template(new),
        T::ServiceInstance => service::instance(new),
        T::ServiceHealthCheck => service::health_check(new, old),
        T::ServiceApplianceSet => service::appliance_set(ctx, new, old).await,
        T::LoadbalancerListener
        | T::LoadbalancerMember
        | T::LoadbalancerPool
        | T::LoadbalancerHealthmonitor
        | T::VirtualIp => service::loadbalancer(new),
        _ => Ok(()),
    }
}

/// Gives back what an object owns; refuses when it must stay.
pub(crate) async fn delete(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    use ObjectType as T;
    if crate::singletons::is_permanent(object) {
        return Err(ApiError::conflict(format!(
            "{} {} can not be deleted",
            object.object_type, object.fq_name
        )));
    }
    match object.object_type {
        T::VirtualNetwork => virtual_network::delete(ctx, object).await,
        T::NetworkIpam => network_ipam::delete(ctx, object).await,
        T::InstanceIp => instance_ip::delete(ctx, object).await,
        T::FloatingIp | T::AliasIp => floating_ip::delete(ctx, object).await,
        T::VirtualMachineInterface => virtual_machine_interface::delete(ctx, object).await,
        T::LogicalRouter => logical_router::delete(ctx, object).await,
        T::SecurityGroup => security_group::delete(ctx, object),
        T::Tag => tag::delete(ctx, object).await,
        T::TagType => tag_type::delete(ctx, object),
        T::ApplicationPolicySet => application_policy_set::delete(ctx, object),
        T::PolicyManagement => policy_management::delete(ctx, object).await,
        T::Project => {
            project::delete(ctx, object);
            Ok(())
        }
        T::SubCluster => {
            bgp::delete_sub_cluster(ctx, object);
            Ok(())
        }
        T::ForwardingClass => {
            qos::delete_forwarding_class(ctx, object);
            Ok(())
        }
        T::PhysicalInterface | T::LogicalInterface => device::delete(ctx, object).await,
        T::VirtualPortGroup => {
            virtual_port_group::delete(ctx, object);
            Ok(())
        }
        _ => Ok(()),
    }?;
    quota::account(ctx, None, Some(object)).await
}

/// Children that go with their parent instead of keeping it: `default-<type>`, and the place of drafts.
pub(crate) fn goes_with_parent(child: &Object) -> bool {
    let name = child.fq_name.last();
    name == format!("default-{}", child.object_type)
        || (child.object_type == ObjectType::PolicyManagement && name == draft::MANAGEMENT)
}

/// A property as its Rust type.
pub(crate) fn property<T: serde::de::DeserializeOwned>(
    object: &Object,
    name: &str,
) -> Result<Option<T>, ApiError> {
    Ok(object.property(name)?)
}

/// Writes a property back from its Rust type.
pub(crate) fn set<T: serde::Serialize>(object: &mut Object, name: &str, value: &T) -> Result<(), ApiError> {
    let value = serde_json::to_value(value).map_err(|e| ApiError::internal(e.to_string()))?;
    object.props.insert(name.to_owned(), value);
    Ok(())
}

/// A number property that only the system sets. Returns the number the object keeps, or one of the pool that the client
/// asks for at creation (an object written back from an export); an attempt to change it is refused.
pub(crate) fn fixed_number(
    new: &Object,
    old: Option<&Object>,
    name: &str,
    pool: &Pool,
) -> Result<Option<u64>, ApiError> {
    let given = new.props.get(name).filter(|value| !value.is_null());
    let kept = old.and_then(|o| o.props.get(name)).and_then(Value::as_u64);
    match (given, kept) {
        (Some(given), Some(kept)) if given.as_u64() != Some(kept) => Err(ApiError::bad_request(format!(
            "{name} {kept} of {} can not be changed to {given}",
            new.fq_name
        ))),
        (Some(given), None) => match given.as_u64().filter(|id| pool.contains((*id).into())) {
            Some(id) => Ok(Some(id)),
            None => {
                let message = format!("{name} {given} of {} is not one the system gives out", new.fq_name);
                Err(ApiError::bad_request(message))
            }
        },
        (_, kept) => Ok(kept),
    }
}

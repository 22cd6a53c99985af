//! Whatever a client reads it may write back whole, for every type that can be written.

use crate::harness::Server;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use weft_model::schema::{StructInfo, ValueType};
use weft_model::{FqName, ObjectType, defaults};

/// A value of the type, as full as can be; `name` is the field or property it is for.
fn sample(expected: &ValueType, name: &str) -> Value {
    match expected {
        ValueType::Bool => true.into(),
        ValueType::Int { min, max } => number(name).clamp(*min, *max).into(),
        ValueType::Unsigned => 7.into(),
        ValueType::Text => text(name).into(),
        ValueType::Enum(words) => words[words.len() - 1].into(),
        ValueType::Address => "10.7.0.9".into(),
        ValueType::Struct(info) => structure(info),
        ValueType::List(item) => json!([sample(item, name)]),
    }
}

fn structure(info: &'static StructInfo) -> Value {
    match info.name {
        "AllocationPoolType" => return json!({"start": "10.7.0.20", "end": "10.7.0.99"}),
        "AddressType" => return json!({"security_group": "local"}),
        "VirtualDnsRecordType" => {
            return json!({"record_name": "www", "record_type": "MX", "record_class": "IN",
                "record_data": "mail.example.test", "record_ttl_seconds": 60, "record_mx_preference": 10});
        }
        "AlarmOperand2" => return json!({"json_value": "7"}),
        "ServiceTemplateInterfaceType" => return json!({"service_interface_type": "left"}),
        _ => {}
    }
    let fields = info.fields.iter().map(|f| (f.name.to_owned(), sample(&f.value, f.name)));
    Value::Object(fields.collect())
}

fn number(name: &str) -> i64 {
    match name {
        "ip_prefix_len" => 24,
        "version" => 2,
        _ => 7,
    }
}

/// Texts that have to be of some form.
fn text(name: &str) -> &'static str {
    match name {
        "ip_prefix" => "10.7.0.0",
        "route_target" => "target:64512:77",
        "mac" | "mac_address" => "02:00:00:00:00:07",
        "protocol" => "tcp",
        "domain_name" => "example.test",
        "next_virtual_DNS" | "virtual_dns_server_name" => "",
        "subnet_uuid" | "rule_uuid" => "6d7d9a3c-0e59-4a3b-9d0a-3c9e14f5f1c7",
        "owner" => "cloud-admin",
        "sequence" => "1.0",
        "tag_type_name" => "label",
        "role_crud" => "CRUD",
        "rule_object" => "*",
        "prefix" | "route" => "10.7.0.0/24",
        "next_hop" | "aggregate_route_nexthop" => "10.7.0.9",
        _ => "text, \"quoted\" & <marked> ü",
    }
}

/// Properties a client can not choose freely, or that exclude one another.
fn left_out(object_type: ObjectType, name: &str) -> bool {
    use ObjectType as T;
    matches!(
        (object_type, name),
        (_, "id_perms" | "perms2")
            | (T::VirtualNetwork, "virtual_network_network_id" | "multi_policy_service_chains_enabled")
            | (T::Tag, "tag_id" | "display_name")
            | (T::TagType, "tag_type_id" | "display_name")
            | (_, "draft_mode_state" | "all_applications" | "floating_ip_pool_subnets")
            | (T::FirewallRule, "endpoint_1" | "endpoint_2" | "match_tags" | "match_tag_types")
            | (T::FloatingIp, "floating_ip_address" | "floating_ip_address_family")
            | (T::AliasIp, "alias_ip_address" | "alias_ip_address_family")
            | (T::LogicalRouter, "vxlan_network_identifier")
            | (
                T::PhysicalInterface,
                "physical_interface_type"
                    | "physical_interface_lacp_force_up"
                    | "ethernet_segment_identifier"
            )
            | (T::RoutingPolicy, "routing_policy_entries")
            | (T::ServiceInstance, "service_instance_properties")
            | (T::SecurityGroup, "security_group_id")
            | (T::InstanceIp, "instance_ip_address" | "instance_ip_family" | "subnet_uuid")
    )
}

fn properties(object_type: ObjectType) -> Map<String, Value> {
    let wanted = object_type.info().all_props().filter(|p| !p.system && !left_out(object_type, p.name));
    wanted.map(|p| (p.name.to_owned(), sample(&p.value, p.name))).collect()
}

/// The object's references, one to an object of each type there is already.
fn references(object_type: ObjectType, made: &BTreeMap<ObjectType, String>) -> Map<String, Value> {
    use ObjectType as T;
    // Those that exclude others, or follow from properties.
    let excluded = |to: T| {
        matches!(
            (object_type, to),
            (T::Tag, T::TagType)
                | (T::FirewallRule, T::ServiceGroup | T::AddressGroup | T::Tag)
                | (T::LogicalRouter, T::VirtualNetwork | T::Bgpvpn)
                | (T::BgpRouter, T::ControlNodeZone)
                | (T::InstanceIp, T::VirtualRouter)
        )
    };
    let possible = object_type.info().refs.iter().filter(|r| !r.system && !excluded(r.to));
    let known = possible.filter_map(|r| Some((r, made.get(&r.to)?)));
    known
        .map(|(r, uuid)| {
            let attr = r.attr.map_or(Value::Null, structure);
            (r.to.refs_field().to_owned(), json!([{"uuid": uuid, "attr": attr}]))
        })
        .collect()
}

/// Singletons are changed, everything else is made under the default objects.
async fn make(server: &Server, object_type: ObjectType, made: &BTreeMap<ObjectType, String>) -> String {
    let mut fields = properties(object_type);
    if object_type == ObjectType::NetworkIpam {
        fields.insert("ipam_subnet_method".into(), "flat-subnet".into());
        // The identity of a subnet is the network's already, and a virtual DNS server must exist before it can be
        // named.
        fields["ipam_subnets"]["subnets"][0]["subnet_uuid"] = Value::Null;
        fields["network_ipam_mgmt"]["ipam_dns_method"] = "default-dns-server".into();
    }
    fields.extend(references(object_type, made));
    if object_type == ObjectType::VirtualNetwork {
        let info = object_type.info().reference(ObjectType::NetworkIpam).unwrap();
        let ipam = defaults::in_default_project(defaults::NETWORK_IPAM);
        let reference = json!([{"to": ipam, "attr": info.attr.map(structure)}]);
        fields.insert(ObjectType::NetworkIpam.refs_field().into(), reference);
    }
    if SINGLETONS.contains(&object_type) {
        let listed = server.get(&format!("/{}", object_type.collection())).await;
        let uuid = listed[object_type.collection()][0]["uuid"].as_str().unwrap().to_owned();
        server.put(object_type.name(), &uuid, Value::Object(fields)).await;
        return uuid;
    }
    let (parent_type, fq_name) = place(object_type);
    fields.insert("fq_name".into(), json!(fq_name));
    if let Some(parent_type) = parent_type {
        fields.insert("parent_type".into(), parent_type.name().into());
    }
    server.create(object_type.name(), Value::Object(fields)).await
}

/// Types of which there is one object from the start.
const SINGLETONS: &[ObjectType] = &[
    ObjectType::ConfigRoot,
    ObjectType::GlobalSystemConfig,
    ObjectType::GlobalVrouterConfig,
    ObjectType::GlobalQosConfig,
];

/// Parent and name of the sample of a type: under the default objects where they exist, else under another sample.
fn place(object_type: ObjectType) -> (Option<ObjectType>, FqName) {
    use ObjectType as T;
    let last = format!("sample-{object_type}");
    let parent = parent_type(object_type);
    let name = match parent {
        None | Some(T::ConfigRoot) => return (None, last.as_str().into()),
        Some(T::Domain) => defaults::domain(),
        Some(T::Project) => defaults::project(),
        Some(T::GlobalSystemConfig) => defaults::global_system_config(),
        Some(T::GlobalVrouterConfig) => defaults::global_vrouter_config(),
        Some(T::GlobalQosConfig) => defaults::global_system_config().child("default-global-qos-config"),
        Some(T::RoutingInstance) => FqName::from(defaults::MASTER_ROUTING_INSTANCE),
        Some(other) => place(other).1,
    };
    (parent, name.child(&last))
}

/// The parent of the sample: the project where that is possible.
fn parent_type(object_type: ObjectType) -> Option<ObjectType> {
    let parents = object_type.info().parents;
    parents.iter().find(|p| **p == ObjectType::Project).or(parents.first()).copied()
}

/// All types that can be written, so that parents come first and as much as possible of what is referred to.
fn order() -> Vec<ObjectType> {
    use ObjectType as T;
    let mut left: Vec<T> = T::ALL.iter().copied().filter(|t| !t.info().derived).collect();
    let mut out: Vec<T> = Vec::new();
    while !left.is_empty() {
        // The sample network has subnets of its own and goes first.
        let wants = |t: T, to: T| (t, to) != (T::VirtualNetwork, T::NetworkIpam);
        let missing =
            |t: &T| t.info().refs.iter().filter(|r| left.contains(&r.to) && wants(*t, r.to)).count();
        let free = |t: &&T| parent_type(**t).is_none_or(|p| !left.contains(&p));
        let free = |t: &&T| free(t) && (**t != T::NetworkIpam || !left.contains(&T::VirtualNetwork));
        let next = *left.iter().filter(free).min_by_key(|t| missing(t)).unwrap();
        left.retain(|t| *t != next);
        out.push(next);
    }
    out
}

fn without_time(mut object: Value) -> Value {
    object["id_perms"]["last_modified"] = Value::Null;
    object
}

#[tokio::test]
async fn every_type_is_written_back_as_it_is_read() {
    let server = Server::start().await;
    let mut made = BTreeMap::new();
    for object_type in order() {
        let uuid = make(&server, object_type, &made).await;
        made.insert(object_type, uuid);
    }
    for (object_type, uuid) in &made {
        let path = format!("/{object_type}/{uuid}");
        let first = server.get(&path).await;
        let (status, text) = server.send(Method::PUT, &path, Some(first.clone())).await;
        assert_eq!(status, 200, "{object_type}: {text}\n{first:#}");
        let second = server.get(&path).await;
        let name = object_type.name();
        assert_eq!(without_time(second[name].clone()), without_time(first[name].clone()), "{object_type}");
        let (status, _) = server.send(Method::PUT, &path, Some(second.clone())).await;
        assert_eq!(status, 200);
        assert_eq!(server.get(&path).await, second, "{object_type}: nothing changed, yet it is said to have");
    }
}

#[tokio::test]
async fn objects_that_always_exist_are_written_back_as_they_are_read() {
    let server = Server::start().await;
    for object_type in ObjectType::ALL.iter().filter(|t| !t.info().derived) {
        let listed = server.get(&format!("/{}?detail=true", object_type.collection())).await;
        for object in listed[object_type.collection()].as_array().unwrap() {
            let path = format!("/{object_type}/{}", object[object_type.name()]["uuid"].as_str().unwrap());
            let (status, text) = server.send(Method::PUT, &path, Some(object.clone())).await;
            assert_eq!(status, 200, "{object_type}: {text}\n{object:#}");
        }
    }
}

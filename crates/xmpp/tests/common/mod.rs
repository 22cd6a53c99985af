//! Generators shared by the property tests.
#![allow(dead_code)]

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};
use weft_model::schema::{StructInfo, ValueType};
use weft_model::{MacAddress, ObjectType};
use weft_xmpp::config::{ConfigElement, ConfigLink, ConfigNode, ConfigOp};
use weft_xmpp::items::{
    Encap, EvpnItem, LoadBalance, LoadBalanceField, Mobility, NextHop, RouteItem, UnicastItem,
};

/// Text XML can carry, with the characters that need escaping well represented.
pub(crate) fn text() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![4 => select("abz019:-_ /.".chars().collect::<Vec<_>>()),
                    2 => select("<>&\"'\r\n\té€\u{200}\u{fffd}😀".chars().collect::<Vec<_>>())],
        0..12,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

/// A word without white space at its ends.
pub(crate) fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9:&<-]{0,10}"
}

fn mac() -> impl Strategy<Value = MacAddress> {
    any::<[u8; 6]>().prop_map(MacAddress)
}

fn v4_net() -> impl Strategy<Value = IpNet> {
    (any::<u32>(), 0..=32u8).prop_map(|(a, l)| IpNet::V4(Ipv4Net::new(a.into(), l).unwrap()))
}

fn any_net() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        v4_net(),
        (any::<u128>(), 0..=128u8).prop_map(|(a, l)| IpNet::V6(Ipv6Net::new(a.into(), l).unwrap()))
    ]
}

fn next_hop() -> impl Strategy<Value = NextHop> {
    (
        (any::<IpAddr>(), option::of(mac()), any::<u32>(), any::<u32>(), any::<u32>()),
        (btree_set(select(Encap::ALL.to_vec()), 0..4), text(), vec(any::<u32>(), 0..4), any::<u32>()),
    )
        .prop_map(
            |((address, mac, label, l3_label, vni), (encaps, virtual_network, tags, local_sequence))| {
                NextHop { address, mac, label, l3_label, vni, encaps, virtual_network, tags, local_sequence }
            },
        )
}

fn mobility() -> impl Strategy<Value = Option<Mobility>> {
    option::of((any::<u32>(), any::<bool>()).prop_map(|(seqno, sticky)| Mobility { seqno, sticky }))
}

fn load_balance() -> impl Strategy<Value = Option<LoadBalance>> {
    let fields = btree_set(select(LoadBalanceField::ALL.to_vec()), 0..5);
    option::of((fields, any::<bool>()).prop_map(|(fields, source_bias)| LoadBalance { fields, source_bias }))
}

fn unicast() -> impl Strategy<Value = RouteItem> {
    (
        (any_net(), vec(next_hop(), 0..4), text(), vec(any::<u32>(), 0..4), vec(word(), 0..3)),
        (any::<u32>(), any::<u32>(), mobility(), load_balance(), option::of(word()), any::<u32>()),
    )
        .prop_map(|((prefix, next_hops, virtual_network, security_groups, communities), rest)| {
            let (local_preference, med, mobility, load_balance, sub_protocol, version) = rest;
            RouteItem::Unicast(UnicastItem {
                prefix,
                next_hops,
                virtual_network,
                security_groups,
                communities,
                local_preference,
                med,
                mobility,
                load_balance,
                sub_protocol,
                version,
            })
        })
}

fn specified() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_filter("specified", |a| !a.is_unspecified())
}

fn evpn() -> impl Strategy<Value = RouteItem> {
    let hops = || vec(next_hop(), 0..3);
    (
        (any::<u32>(), mac(), any_net(), option::of((specified(), any::<IpAddr>())), any::<u32>()),
        (hops(), hops(), hops(), text(), vec(any::<u32>(), 0..4)),
        (any::<u32>(), any::<u32>(), mobility(), any::<[bool; 3]>(), option::of(specified())),
    )
        .prop_map(|((tag, mac, address, multicast, flags), lists, rest)| {
            let (next_hops, olist, leaf_olist, virtual_network, security_groups) = lists;
            let (local_preference, med, mobility, flags3, replicator_address) = rest;
            RouteItem::Evpn(EvpnItem {
                group: multicast.map(|m| m.0),
                source: multicast.map(|m| m.1),
                flags,
                next_hops,
                olist,
                leaf_olist,
                virtual_network,
                security_groups,
                local_preference,
                med,
                mobility,
                edge_replication_not_supported: flags3[0],
                assisted_replication_supported: flags3[1],
                etree_leaf: flags3[2],
                replicator_address,
                ..EvpnItem::new(tag, mac, address)
            })
        })
}

/// A route item in normal form.
pub(crate) fn item() -> impl Strategy<Value = RouteItem> {
    prop_oneof![unicast(), evpn()].prop_map(|mut item| {
        item.normalize();
        item
    })
}

/// A value of a schema type. Lists are not empty: XML cannot tell an empty list from none.
pub(crate) fn value(value_type: ValueType) -> BoxedStrategy<Value> {
    match value_type {
        ValueType::Bool => any::<bool>().prop_map(Value::from).boxed(),
        ValueType::Int { min, max } => (min..=max).prop_map(Value::from).boxed(),
        ValueType::Unsigned => any::<u64>().prop_map(Value::from).boxed(),
        ValueType::Text => text().prop_map(Value::from).boxed(),
        ValueType::Enum(words) => select(words.to_vec()).prop_map(Value::from).boxed(),
        ValueType::Address => prop_oneof![any::<IpAddr>().prop_map(|a| a.to_string()), Just(String::new())]
            .prop_map(Value::from)
            .boxed(),
        ValueType::Struct(info) => structure(info),
        ValueType::List(inner) => vec(value(*inner), 1..3).prop_map(Value::from).boxed(),
    }
}

fn structure(info: &'static StructInfo) -> BoxedStrategy<Value> {
    let fields: Vec<_> = info.fields.iter().map(|f| option::weighted(0.4, value(f.value))).collect();
    fields
        .prop_map(|values| {
            let named = info.fields.iter().zip(values);
            Value::Object(named.filter_map(|(f, v)| Some((f.name.to_owned(), v?))).collect())
        })
        .boxed()
}

fn object_node() -> impl Strategy<Value = ConfigNode> {
    select(ObjectType::ALL.to_vec()).prop_flat_map(|object_type| {
        let props: Vec<_> = object_type.info().all_props().collect();
        let values: Vec<_> = props.iter().map(|p| option::weighted(0.3, value(p.value))).collect();
        (values, text(), option::of(any::<u128>())).prop_map(move |(values, name, uuid)| {
            let mut properties: Map<String, Value> =
                props.iter().zip(values).filter_map(|(p, v)| Some((p.name.to_owned(), v?))).collect();
            properties.remove("id_perms");
            let uuid = uuid.map(uuid::Uuid::from_u128);
            if let Some((high, low)) = uuid.map(|u| u.as_u64_pair()) {
                let perms =
                    serde_json::json!({"enable": true, "uuid": {"uuid_mslong": high, "uuid_lslong": low}});
                properties.insert("id_perms".into(), perms);
            }
            ConfigNode { uuid, properties, ..ConfigNode::named(object_type.name(), name) }
        })
    })
}

fn link_node() -> impl Strategy<Value = ConfigNode> {
    let attributed: Vec<_> = ObjectType::ALL
        .iter()
        .flat_map(|from| from.info().refs.iter().filter_map(|r| Some((from.name(), r.to.name(), r.attr?))))
        .collect();
    select(attributed).prop_flat_map(|(from, to, info)| {
        (structure(info), text()).prop_map(move |(value, name)| {
            let mut node = ConfigNode::named(format!("{from}-{to}"), name);
            node.properties.insert("value".into(), value);
            node
        })
    })
}

fn link() -> impl Strategy<Value = ConfigLink> {
    ((word(), text()), (word(), text()), word()).prop_map(|(left, right, metadata)| ConfigLink {
        left,
        right,
        metadata,
    })
}

/// A configuration operation over the model's types.
pub(crate) fn op() -> impl Strategy<Value = ConfigOp> {
    prop_oneof![
        4 => object_node().prop_map(|n| ConfigOp::Update(ConfigElement::Node(n))),
        2 => link_node().prop_map(|n| ConfigOp::Update(ConfigElement::Node(n))),
        2 => link().prop_map(|l| ConfigOp::Update(ConfigElement::Link(l))),
        1 => link().prop_map(|l| ConfigOp::Delete(ConfigElement::Link(l))),
        1 => (word(), text()).prop_map(|(t, n)| ConfigOp::Delete(ConfigElement::Node(ConfigNode::named(t, n)))),
    ]
}

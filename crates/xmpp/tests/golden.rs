//! Golden bytes: every stanza kind in the exact form this implementation sends, and forms of the
//! existing system (pretty-printed, other quotes, other element order) that it must read.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use serde_json::json;
use weft_xmpp::config::{ConfigElement, ConfigLink, ConfigNode, ConfigOp};
use weft_xmpp::items::{Encap, EvpnItem, Mobility, NextHop, RouteItem, RouteTable, UnicastItem};
use weft_xmpp::stanza::{ConfigSubject, Stanza, decode_bytes};
use weft_xmpp::{CONTROL_JID, MASTER_ROUTING_INSTANCE};

const HOST: &str = "host1";
const VN: &str = "default-domain:acme:web:web";

#[track_caller]
fn golden(stanza: &Stanza, from: &str, to: &str, expected: &str) {
    let expected: String = expected.lines().map(str::trim).collect();
    assert_eq!(stanza.encode(from, to), expected);
    assert_eq!(decode_bytes(expected.as_bytes()).as_ref(), Ok(stanza));
}

fn hop() -> NextHop {
    NextHop {
        label: 17,
        encaps: BTreeSet::from([Encap::Gre, Encap::Udp]),
        virtual_network: "default-domain:acme:web".into(),
        tags: vec![0x0001_0002],
        ..NextHop::new("192.168.0.1".parse().unwrap())
    }
}

fn unicast() -> RouteItem {
    RouteItem::Unicast(UnicastItem {
        next_hops: vec![hop()],
        virtual_network: "default-domain:acme:web".into(),
        security_groups: vec![8_000_001],
        local_preference: 200,
        mobility: Some(Mobility { seqno: 3, sticky: false }),
        sub_protocol: Some("interface".into()),
        ..UnicastItem::new("10.1.1.3/32".parse().unwrap())
    })
}

fn evpn() -> RouteItem {
    let hop = NextHop {
        label: 5001,
        l3_label: 20,
        mac: Some("02:00:00:00:00:aa".parse().unwrap()),
        encaps: BTreeSet::from([Encap::Vxlan]),
        ..NextHop::new("192.168.0.1".parse().unwrap())
    };
    RouteItem::Evpn(EvpnItem {
        next_hops: vec![hop],
        ..EvpnItem::new(5001, "02:00:00:00:00:01".parse().unwrap(), "10.1.1.3/32".parse().unwrap())
    })
}

#[test]
fn subscriptions() {
    golden(
        &Stanza::SubscribeVrf {
            ri: MASTER_ROUTING_INSTANCE.into(),
            instance_id: 0,
            no_ribout: true,
            id: Some("subscribe1".into()),
        },
        HOST,
        CONTROL_JID,
        r#"<iq type="set" from="host1" to="network-control@contrailsystems.com/bgp-peer" id="subscribe1">
        <pubsub xmlns="http://jabber.org/protocol/pubsub">
        <subscribe node="default-domain:default-project:ip-fabric:__default__"><options>
        <instance-id>0</instance-id><no-ribout>true</no-ribout></options></subscribe></pubsub></iq>"#,
    );
    golden(
        &Stanza::UnsubscribeVrf { ri: VN.into(), instance_id: 4, id: None },
        HOST,
        CONTROL_JID,
        r#"<iq type="set" from="host1" to="network-control@contrailsystems.com/bgp-peer">
        <pubsub xmlns="http://jabber.org/protocol/pubsub"><unsubscribe node="default-domain:acme:web:web">
        <options><instance-id>4</instance-id></options></unsubscribe></pubsub></iq>"#,
    );
    golden(
        &Stanza::SubscribeConfig {
            node: ConfigSubject::VirtualRouter("default-global-system-config:host1".into()),
            id: None,
        },
        HOST,
        CONTROL_JID,
        r#"<iq type="set" from="host1" to="network-control@contrailsystems.com/config">
        <pubsub xmlns="http://jabber.org/protocol/pubsub">
        <subscribe node="virtual-router:default-global-system-config:host1"/></pubsub></iq>"#,
    );
    golden(
        &Stanza::UnsubscribeConfig {
            node: ConfigSubject::parse("virtual-machine:2d308482-c7b3-4e05-af14-e732b7b50117"),
            id: None,
        },
        HOST,
        CONTROL_JID,
        r#"<iq type="set" from="host1" to="network-control@contrailsystems.com/config">
        <pubsub xmlns="http://jabber.org/protocol/pubsub">
        <unsubscribe node="virtual-machine:2d308482-c7b3-4e05-af14-e732b7b50117"/></pubsub></iq>"#,
    );
}

const UNICAST_ENTRY: &str = "<entry>\
<nlri><af>1</af><safi>1</safi><address>10.1.1.3/32</address></nlri>\
<next-hops><next-hop><af>1</af><address>192.168.0.1</address><label>17</label>\
<tunnel-encapsulation-list><tunnel-encapsulation>gre</tunnel-encapsulation>\
<tunnel-encapsulation>udp</tunnel-encapsulation></tunnel-encapsulation-list>\
<virtual-network>default-domain:acme:web</virtual-network><tag-list><tag>65538</tag></tag-list>\
</next-hop></next-hops><version>1</version><virtual-network>default-domain:acme:web</virtual-network>\
<mobility seqno=\"3\" sticky=\"false\"/><sequence-number>3</sequence-number>\
<security-group-list><security-group>8000001</security-group></security-group-list>\
<local-preference>200</local-preference><med>0</med><sub-protocol>interface</sub-protocol></entry>";

const EVPN_ENTRY: &str = "<entry>\
<nlri><af>25</af><safi>242</safi><ethernet-tag>5001</ethernet-tag><mac>02:00:00:00:00:01</mac>\
<address>10.1.1.3/32</address></nlri>\
<next-hops><next-hop><af>1</af><address>192.168.0.1</address><mac>02:00:00:00:00:aa</mac>\
<label>5001</label><l3-label>20</l3-label><tunnel-encapsulation-list>\
<tunnel-encapsulation>vxlan</tunnel-encapsulation></tunnel-encapsulation-list></next-hop></next-hops>\
<local-preference>100</local-preference><med>0</med></entry>";

#[test]
fn publish_is_two_stanzas_with_the_same_node() {
    let node = unicast().node(VN);
    assert_eq!(node, "1/1/default-domain:acme:web:web/10.1.1.3/32");
    golden(
        &Stanza::PublishItem {
            node: node.clone(),
            item: Some(Box::new(unicast())),
            id: Some("pubsub1".into()),
        },
        HOST,
        CONTROL_JID,
        &format!(
            r#"<iq type="set" from="host1" to="network-control@contrailsystems.com/bgp-peer" id="pubsub1">
            <pubsub xmlns="http://jabber.org/protocol/pubsub"><publish node="{node}"><item>{UNICAST_ENTRY}</item>
            </publish></pubsub></iq>"#
        ),
    );
    golden(
        &Stanza::Associate { ri: VN.into(), node: node.clone(), id: Some("collection2".into()) },
        HOST,
        CONTROL_JID,
        &format!(
            r#"<iq type="set" from="host1" to="network-control@contrailsystems.com/bgp-peer" id="collection2">
            <pubsub xmlns="http://jabber.org/protocol/pubsub"><collection node="{VN}"><associate node="{node}"/>
            </collection></pubsub></iq>"#
        ),
    );
    let node = evpn().node(VN);
    assert_eq!(node, "25/242/02:00:00:00:00:01,10.1.1.3/32");
    golden(
        &Stanza::Dissociate { ri: VN.into(), node: node.clone(), id: None },
        HOST,
        CONTROL_JID,
        &format!(
            r#"<iq type="set" from="host1" to="network-control@contrailsystems.com/bgp-peer">
            <pubsub xmlns="http://jabber.org/protocol/pubsub"><collection node="{VN}"><dissociate node="{node}"/>
            </collection></pubsub></iq>"#
        ),
    );
}

#[test]
fn route_messages() {
    let message = |table, items: Vec<RouteItem>, retracts: Vec<String>| Stanza::RouteMessage {
        table,
        ri: VN.into(),
        items: items.into_iter().map(|i| (i.id(), i)).collect(),
        retracts,
    };
    let head = r#"<message from="network-control@contrailsystems.com" to="host1/bgp-peer">
        <event xmlns="http://jabber.org/protocol/pubsub">"#;
    let tail = "</items></event></message>";
    golden(
        &message(RouteTable::Inet, vec![unicast()], vec![]),
        CONTROL_JID,
        HOST,
        &format!(r#"{head}<items node="1/1/{VN}"><item id="10.1.1.3/32">{UNICAST_ENTRY}</item>{tail}"#),
    );
    golden(
        &message(RouteTable::Evpn, vec![evpn()], vec![]),
        CONTROL_JID,
        HOST,
        &format!(
            r#"{head}<items node="25/242/{VN}"><item id="5001-02:00:00:00:00:01,10.1.1.3/32">{EVPN_ENTRY}</item>{tail}"#
        ),
    );
    golden(
        &message(RouteTable::Inet6, vec![], vec!["fd00::1/128".into()]),
        CONTROL_JID,
        HOST,
        &format!(r#"{head}<items node="2/1/{VN}"><retract id="fd00::1/128"/>{tail}"#),
    );
    golden(
        &Stanza::EndOfRib,
        CONTROL_JID,
        HOST,
        r#"<message from="network-control@contrailsystems.com" to="host1/bgp-peer">
        <event xmlns="http://jabber.org/protocol/pubsub"><items node="0/0/EndOfRib"/></event></message>"#,
    );
}

#[test]
fn configuration() {
    let uuid = uuid::Uuid::from_u64_pair(2_904_240_995_427_634_571, 11_262_735_921_732_439_366);
    let node = ConfigNode {
        uuid: Some(uuid),
        properties: json!({
            "id_perms": {"enable": true, "description": "a<b",
                "uuid": {"uuid_mslong": 2_904_240_995_427_634_571_u64, "uuid_lslong": 11_262_735_921_732_439_366_u64}},
            "virtual_network_network_id": 7,
            "virtual_network_properties": {"forwarding_mode": "l2_l3"},
        })
        .as_object()
        .unwrap()
        .clone(),
        ..ConfigNode::named("virtual-network", "default-domain:demo:vn27")
    };
    let ipam = ConfigNode {
        properties: json!({"value": {"ipam_subnets": [
            {"subnet": {"ip_prefix": "27.1.1.0", "ip_prefix_len": 24}, "default_gateway": "27.1.1.254",
             "enable_dhcp": true}]}})
        .as_object()
        .unwrap()
        .clone(),
        ..ConfigNode::named("virtual-network-network-ipam", "attr(a,b)")
    };
    let link = ConfigLink {
        left: ("virtual-network".into(), "default-domain:demo:vn27".into()),
        right: ("virtual-network-network-ipam".into(), "attr(a,b)".into()),
        metadata: "virtual-network-network-ipam".into(),
    };
    let gone = ConfigNode::named("virtual-machine", "vm1");
    golden(
        &Stanza::Config(vec![
            ConfigOp::Update(ConfigElement::Node(node)),
            ConfigOp::Update(ConfigElement::Node(ipam)),
            ConfigOp::Update(ConfigElement::Link(link)),
            ConfigOp::Delete(ConfigElement::Node(gone)),
        ]),
        CONTROL_JID,
        HOST,
        r#"<iq type="set" from="network-control@contrailsystems.com" to="host1/config"><config><update>
        <node type="virtual-network"><name>default-domain:demo:vn27</name>
        <id-perms><description>a&lt;b</description><enable>true</enable>
        <uuid><uuid-lslong>11262735921732439366</uuid-lslong><uuid-mslong>2904240995427634571</uuid-mslong></uuid>
        </id-perms><virtual-network-network-id>7</virtual-network-network-id>
        <virtual-network-properties><forwarding-mode>l2_l3</forwarding-mode></virtual-network-properties></node>
        <node type="virtual-network-network-ipam"><name>attr(a,b)</name><value><ipam-subnets>
        <default-gateway>27.1.1.254</default-gateway><enable-dhcp>true</enable-dhcp>
        <subnet><ip-prefix>27.1.1.0</ip-prefix><ip-prefix-len>24</ip-prefix-len></subnet>
        </ipam-subnets></value></node>
        <link><node type="virtual-network"><name>default-domain:demo:vn27</name></node>
        <node type="virtual-network-network-ipam"><name>attr(a,b)</name></node>
        <metadata type="virtual-network-network-ipam"/></link></update>
        <delete><node type="virtual-machine"><name>vm1</name></node></delete></config></iq>"#,
    );
}

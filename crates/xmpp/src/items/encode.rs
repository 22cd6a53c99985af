//! Items to XML.

use std::fmt::Display;

use super::{Encap, EvpnItem, LoadBalance, Mobility, NextHop, RouteItem, RouteTable, UnicastItem};
use crate::writer::Writer;

/// Address family numbers of next hops.
const AF_IPV4: u32 = 1;
const AF_IPV6: u32 = 2;

impl RouteItem {
    /// Writes `<item><entry>...</entry></item>`, with the id if one is given (route messages have one,
    /// publishes none).
    pub fn encode(&self, id: Option<&str>, w: &mut Writer<'_>) {
        w.start("item");
        if let Some(id) = id {
            w.attr("id", id);
        }
        w.start("entry");
        match self {
            Self::Unicast(item) => unicast(item, self.table(), w),
            Self::Evpn(item) => evpn(item, w),
        }
        w.end("entry").end("item");
    }
}

fn unicast(item: &UnicastItem, table: RouteTable, w: &mut Writer<'_>) {
    w.start("nlri").plain("af", table.afi()).plain("safi", table.safi());
    w.plain("address", item.prefix.trunc()).end("nlri");
    next_hops("next-hops", &item.next_hops, table, w);
    w.plain("version", item.version);
    w.nonempty("virtual-network", &item.virtual_network);
    mobility(item.mobility, w);
    plain_list("security-group-list", "security-group", &item.security_groups, w);
    if !item.communities.is_empty() {
        w.start("community-tag-list");
        for community in &item.communities {
            w.leaf("community-tag", community);
        }
        w.end("community-tag-list");
    }
    w.plain("local-preference", item.local_preference).plain("med", item.med);
    if let Some(load_balance) = &item.load_balance {
        encode_load_balance(load_balance, w);
    }
    if let Some(sub_protocol) = &item.sub_protocol {
        w.leaf("sub-protocol", sub_protocol);
    }
}

fn evpn(item: &EvpnItem, w: &mut Writer<'_>) {
    let table = RouteTable::Evpn;
    w.start("nlri").plain("af", table.afi()).plain("safi", table.safi());
    w.plain("ethernet-tag", item.ethernet_tag).plain("mac", item.mac).plain("address", item.address);
    if let Some(group) = item.group {
        w.plain("group", group);
    }
    if let Some(source) = item.source {
        w.plain("source", source);
    }
    w.nonzero("flags", item.flags).end("nlri");
    next_hops("next-hops", &item.next_hops, table, w);
    if !item.olist.is_empty() {
        next_hops("olist", &item.olist, table, w);
    }
    if !item.leaf_olist.is_empty() {
        next_hops("leaf-olist", &item.leaf_olist, table, w);
    }
    w.nonempty("virtual-network", &item.virtual_network);
    mobility(item.mobility, w);
    plain_list("security-group-list", "security-group", &item.security_groups, w);
    w.plain("local-preference", item.local_preference).plain("med", item.med);
    flag("edge-replication-not-supported", item.edge_replication_not_supported, w);
    flag("assisted-replication-supported", item.assisted_replication_supported, w);
    if let Some(address) = item.replicator_address {
        w.plain("replicator-address", address);
    }
    flag("etree-leaf", item.etree_leaf, w);
}

fn flag(name: &str, value: bool, w: &mut Writer<'_>) {
    if value {
        w.plain(name, true);
    }
}

fn next_hops(wrapper: &str, hops: &[NextHop], table: RouteTable, w: &mut Writer<'_>) {
    w.start(wrapper);
    for hop in hops {
        next_hop(hop, table, w);
    }
    w.end(wrapper);
}

fn next_hop(hop: &NextHop, table: RouteTable, w: &mut Writer<'_>) {
    let evpn = table == RouteTable::Evpn;
    w.start("next-hop").plain("af", if hop.address.is_ipv4() { AF_IPV4 } else { AF_IPV6 });
    w.plain("address", hop.address);
    if let Some(mac) = hop.mac {
        w.plain("mac", mac);
    }
    w.plain("label", hop.label);
    if evpn {
        w.nonzero("l3-label", hop.l3_label);
    } else {
        w.nonzero("vni", hop.vni);
    }
    encaps(hop, w);
    if !evpn {
        w.nonempty("virtual-network", &hop.virtual_network);
    }
    plain_list("tag-list", "tag", &hop.tags, w);
    w.nonzero("local-sequence-number", hop.local_sequence).end("next-hop");
}

/// A label without encapsulation means MPLS over GRE; it is said rather than left to be assumed.
fn encaps(hop: &NextHop, w: &mut Writer<'_>) {
    let assumed = hop.label != 0 && hop.encaps.is_empty();
    if hop.encaps.is_empty() && !assumed {
        return;
    }
    w.start("tunnel-encapsulation-list");
    for encap in hop.encaps.iter().copied().chain(assumed.then_some(Encap::Gre)) {
        w.plain("tunnel-encapsulation", encap.name());
    }
    w.end("tunnel-encapsulation-list");
}

fn plain_list<T: Display>(wrapper: &str, name: &str, values: &[T], w: &mut Writer<'_>) {
    if values.is_empty() {
        return;
    }
    w.start(wrapper);
    for value in values {
        w.plain(name, value);
    }
    w.end(wrapper);
}

/// The `mobility` element and its older twin, which readers before `mobility` look for.
fn mobility(mobility: Option<Mobility>, w: &mut Writer<'_>) {
    let Some(Mobility { seqno, sticky }) = mobility else { return };
    w.start("mobility").attr("seqno", &seqno.to_string());
    w.attr("sticky", if sticky { "true" } else { "false" }).end("mobility");
    w.plain("sequence-number", seqno);
}

fn encode_load_balance(load_balance: &LoadBalance, w: &mut Writer<'_>) {
    w.start("load-balance");
    if !load_balance.fields.is_empty() {
        w.start("load-balance-fields");
        for field in &load_balance.fields {
            w.plain("load-balance-field-list", field.name());
        }
        w.end("load-balance-fields");
    }
    w.plain("load-balance-decision", if load_balance.source_bias { "source-bias" } else { "field-hash" });
    w.end("load-balance");
}

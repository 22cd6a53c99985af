//! The picture made from a delivered graph: what is missing or contradictory costs only its own part.

use serde_json::{Value, json};
use weft_xmpp::config::{ConfigElement, ConfigLink, ConfigOp};

use super::*;

fn put(db: &mut Database, node_type: &str, name: &str, properties: Value) {
    let node = ConfigNode {
        node_type: node_type.into(),
        name: name.into(),
        uuid: Some(Uuid::from_u128(name.len() as u128)),
        properties: properties.as_object().unwrap().clone(),
    };
    db.apply(&ConfigOp::Update(ConfigElement::Node(node)));
}

fn join(db: &mut Database, a: (&str, &str), b: (&str, &str)) {
    let link =
        ConfigLink { left: (a.0.into(), a.1.into()), right: (b.0.into(), b.1.into()), metadata: "m".into() };
    db.apply(&ConfigOp::Update(ConfigElement::Link(link)));
}

#[test]
fn an_interface_appears_once_its_network_is_compiled() {
    let mut db = Database::default();
    put(&mut db, VMI, "port", json!({"port_security_enabled": "not a boolean"}));
    put(&mut db, VN, "d:p:net", json!({"virtual_network_network_id": 5}));
    join(&mut db, (VMI, "port"), (VN, "d:p:net"));
    assert!(View::build(&db).interfaces.is_empty());
    put(&mut db, RI, "d:p:net:net", json!({}));
    join(&mut db, (VN, "d:p:net"), (RI, "d:p:net:net"));
    put(&mut db, "instance-ip", "ip", json!({"instance_ip_address": "10.0.0.3"}));
    put(
        &mut db,
        "instance-ip",
        "ip2",
        json!({"instance_ip_address": "10.0.0.2", "instance_ip_secondary": true}),
    );
    join(&mut db, ("instance-ip", "ip"), (VMI, "port"));
    join(&mut db, ("instance-ip", "ip2"), (VMI, "port"));
    put(&mut db, "virtual-machine", "web-1", json!({}));
    join(&mut db, (VMI, "port"), ("virtual-machine", "web-1"));
    let view = View::build(&db);
    let interface = view.interfaces.values().next().unwrap();
    assert_eq!(interface.routing_instances, ["d:p:net:net"]);
    assert_eq!(interface.addresses, ["10.0.0.3".parse::<IpAddr>().unwrap(), "10.0.0.2".parse().unwrap()]);
    assert_eq!(interface.hostname.as_deref(), Some("web-1"));
    assert!(interface.port_security, "the default stands for what is not understood");
    assert_eq!(view.problems.len(), 1);
    assert_eq!(view.networks["d:p:net"].vxlan_id, 5);
}

#[test]
fn global_settings_leave_out_what_is_not_supported() {
    let mut db = Database::default();
    put(
        &mut db,
        "global-vrouter-config",
        "g",
        json!({
            "encapsulation_priorities": {"encapsulation": ["MPLSoGRE", "VXLAN"]},
            "flow_aging_timeout_list": {"flow_aging_timeout": [
                {"protocol": "udp", "port": 53, "timeout_in_seconds": 10}, {"protocol": "tcp", "timeout_in_seconds": 600}
            ]}
        }),
    );
    let global = View::build(&db).global;
    assert_eq!(global.encapsulations, [Encapsulation::Vxlan]);
    assert_eq!(global.flow_aging, [(17, Some(53), 10), (6, None, 600)]);
}

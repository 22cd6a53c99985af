//! The declarations hold together, and validation is total, idempotent and agrees with the generated structs.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use weft_model::*;

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_]{1,12}", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// A value of a declared type, chosen by `seed`; some fields null or absent.
fn sample(value: &ValueType, seed: &mut u64) -> Value {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let pick = *seed >> 33;
    match value {
        ValueType::Bool => (pick.is_multiple_of(2)).into(),
        ValueType::Int { min, max } => {
            let number = if pick.is_multiple_of(2) { *min } else { *max };
            if pick.is_multiple_of(3) { number.to_string().into() } else { number.into() }
        }
        ValueType::Unsigned => u64::MAX.into(),
        ValueType::Text => format!("t{pick}").into(),
        ValueType::Enum(words) => words[pick as usize % words.len()].into(),
        ValueType::Address => ["10.1.2.3", "fd00::1", ""][pick as usize % 3].into(),
        ValueType::List(item) => (0..pick % 3).map(|_| sample(item, seed)).collect(),
        ValueType::Struct(info) if info.name == "SubnetType" => {
            json!({"ip_prefix": "10.1.2.3", "ip_prefix_len": 16})
        }
        ValueType::Struct(info) => {
            let mut fields = Map::new();
            for field in info.fields {
                *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                match *seed >> 62 {
                    0 => {}
                    1 => drop(fields.insert(field.name.into(), Value::Null)),
                    _ => drop(fields.insert(field.name.into(), sample(&field.value, seed))),
                }
            }
            Value::Object(fields)
        }
    }
}

/// An object of a type with every property sampled, those validation refuses (map keys missing) left out.
fn sample_object(object_type: ObjectType, mut seed: u64) -> Object {
    let mut object = Object::new(object_type, uuid::Uuid::from_u128(7), FqName::new(["a", "b", "c"]));
    for prop in object_type.info().all_props() {
        if let Ok(Some(value)) = validate::property(object_type, prop.name, &sample(&prop.value, &mut seed)) {
            object.props.insert(prop.name.into(), value);
        }
    }
    object
}

fn typed_round_trip<T: Typed + serde::Serialize>(object: &Object) {
    if object.object_type != T::TYPE {
        return;
    }
    let typed: T = object.typed().unwrap();
    let back = serde_json::to_value(&typed).unwrap();
    for (name, value) in &object.props {
        let empty = value.as_array().is_some_and(Vec::is_empty);
        assert!(
            empty || without_empty(value) == without_empty(&back[name]),
            "{name}: {value} {}",
            back[name]
        );
    }
}

/// The structs leave out empty lists.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, v)| !v.as_array().is_some_and(Vec::is_empty));
            Value::Object(kept.map(|(k, v)| (k.clone(), without_empty(v))).collect())
        }
        Value::Array(items) => items.iter().map(without_empty).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn any_json_is_judged_without_panic(value in any_json()) {
        for object_type in ObjectType::ALL {
            for prop in object_type.info().all_props() {
                let _ = validate::property(*object_type, prop.name, &value);
            }
            for reference in object_type.info().refs {
                let _ = validate::attribute(*object_type, reference.to, &value);
            }
            let _ = Object::from_json(&value);
        }
    }

    #[test]
    fn what_is_accepted_stays_as_it_is(seed: u64) {
        for object_type in ObjectType::ALL {
            let object = sample_object(*object_type, seed);
            for (name, value) in &object.props {
                prop_assert!(!value.is_null());
                let again = validate::property(*object_type, name, value).unwrap().unwrap();
                prop_assert_eq!(&again, value);
            }
            prop_assert_eq!(&Object::from_json(&object.to_json()).unwrap(), &object);
            typed_round_trip::<VirtualNetwork>(&object);
            typed_round_trip::<VirtualMachineInterface>(&object);
            typed_round_trip::<NetworkPolicy>(&object);
            typed_round_trip::<SecurityGroup>(&object);
            typed_round_trip::<AccessControlList>(&object);
            typed_round_trip::<RoutingInstance>(&object);
            typed_round_trip::<NetworkIpam>(&object);
            typed_round_trip::<InstanceIp>(&object);
            typed_round_trip::<GlobalSystemConfig>(&object);
            typed_round_trip::<GlobalVrouterConfig>(&object);
            typed_round_trip::<VirtualDns>(&object);
            typed_round_trip::<VirtualRouter>(&object);
        }
    }

    #[test]
    fn route_targets_survive_text_and_bytes(asn: u32, number: u32) {
        let target = RouteTarget::new(asn, number);
        prop_assert_eq!(target.is_some(), asn <= 65_535 || number <= 65_535);
        if let Some(target) = target {
            prop_assert_eq!(target.to_string().parse::<RouteTarget>().unwrap(), target);
            prop_assert_eq!(RouteTarget::from_bytes(target.to_bytes()), Some(target));
        }
    }

    #[test]
    fn texts_are_parsed_without_panic(text in ".{0,40}") {
        let _ = text.parse::<RouteTarget>();
        let _ = text.parse::<MacAddress>();
        let _ = text.parse::<ObjectType>();
        let _ = FqName::from(text.as_str()).check(false);
    }

    #[test]
    fn mac_addresses_survive_text(bytes: [u8; 6]) {
        let mac = MacAddress(bytes);
        prop_assert_eq!(mac.to_string().parse::<MacAddress>().unwrap(), mac);
    }
}

#[test]
fn names_are_unique_and_parse_back() {
    let mut seen = BTreeSet::new();
    for object_type in ObjectType::ALL {
        assert!(seen.insert(object_type.name()), "{object_type}");
        assert_eq!(object_type.name().replace('-', "_"), object_type.json_name());
        assert_eq!(object_type.name().parse(), Ok(*object_type));
        assert_eq!(object_type.json_name().parse(), Ok(*object_type));
        assert_eq!(object_type.info().object_type, *object_type);
    }
}

#[test]
fn defaults_are_legal_values() {
    for object_type in ObjectType::ALL {
        for prop in object_type.info().all_props().filter(|p| p.default.is_some()) {
            let default = prop.default_value().unwrap();
            assert_eq!(
                validate::property(*object_type, prop.name, &default),
                Ok(Some(default)),
                "{}",
                prop.name
            );
        }
    }
}

#[test]
fn collections_wrap_one_list() {
    for prop in ObjectType::ALL.iter().flat_map(|t| t.info().all_props()) {
        let field = match prop.kind {
            PropKind::Scalar => continue,
            PropKind::List { field } | PropKind::Map { field, .. } => field,
        };
        let ValueType::Struct(wrapper) = prop.value else { panic!("{}", prop.name) };
        let ValueType::List(item) = wrapper.field(field).unwrap().value else { panic!("{}", prop.name) };
        if let (PropKind::Map { key, .. }, ValueType::Struct(item)) = (prop.kind, item) {
            assert!(item.field(key).is_some(), "{}", prop.name);
        }
    }
}

#[test]
fn errors_name_field_and_value() {
    let vn = ObjectType::VirtualNetwork;
    let message = |name: &str, value: Value| validate::property(vn, name, &value).unwrap_err().to_string();
    let text = message("virtual_network_properties", json!({"rpf": "sideways"}));
    assert_eq!(
        text,
        "invalid value \"sideways\" for virtual_network_properties.rpf: expected one of enable, disable"
    );
    let text = message("virtual_network_properties", json!({"colour": 1}));
    assert!(text.starts_with("class VirtualNetworkType does not have field colour"), "{text}");
    assert!(message("mtu", json!(9217)).contains("9217"));
    assert!(message("is_shared", json!(7)).contains("is_shared"));
    assert!(message("display_name", json!("a\u{1}b")).contains("control character"));
}

#[test]
fn nulls_vanish_and_prefixes_lose_their_host_bits() {
    let attr = json!({"host_routes": null, "ipam_subnets": [
        {"subnet": {"ip_prefix": "10.1.1.9", "ip_prefix_len": "24"}, "enable_dhcp": "True", "vlan_tag": null}]});
    let checked = validate::attribute(ObjectType::VirtualNetwork, ObjectType::NetworkIpam, &attr).unwrap();
    let expected = json!({"ipam_subnets": [
        {"subnet": {"ip_prefix": "10.1.1.0", "ip_prefix_len": 24}, "enable_dhcp": true}]});
    assert_eq!(checked, Some(expected));
}

#[test]
fn map_keys_are_unique() {
    let pairs = json!({"key_value_pair": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]});
    assert!(validate::property(ObjectType::Project, "annotations", &pairs).is_err());
}

#[test]
fn derived_identities_are_stable() {
    let name = FqName::from("default-domain:p:v:v");
    let uuid = derived_uuid(ObjectType::RoutingInstance, &name);
    assert_eq!(uuid, derived_uuid(ObjectType::RoutingInstance, &name));
    assert_ne!(uuid, derived_uuid(ObjectType::AccessControlList, &name));
}

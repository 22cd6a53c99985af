//! Every declaration, walked through: a value made from it with every field set passes validation, survives the stored
//! form and the generated structs; what is wrong is refused by a message that names field and value.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_model::*;

/// Numbers that are different for every field of one sample, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// A legal value of a declared type in stored form: every field set, every list with one or two elements.
fn full(value: &ValueType, dice: &mut Dice) -> Value {
    let pick = dice.roll();
    match value {
        ValueType::Bool => pick.is_multiple_of(2).into(),
        ValueType::Int { min, max } => [*min, *max, (*min).max(0).min(*max)][pick as usize % 3].into(),
        ValueType::Unsigned => [0, u64::MAX][pick as usize % 2].into(),
        ValueType::Text => format!("text {pick} é").into(),
        ValueType::Enum(words) => words[pick as usize % words.len()].into(),
        ValueType::Address => ["10.1.2.3", "fd00::1", ""][pick as usize % 3].into(),
        ValueType::List(item) => (0..=pick % 2).map(|_| full(item, dice)).collect(),
        ValueType::Struct(info) if info.name == "SubnetType" => [
            json!({"ip_prefix": "10.1.0.0", "ip_prefix_len": 16}),
            json!({"ip_prefix": "fd00::", "ip_prefix_len": 64}),
        ][pick as usize % 2]
            .clone(),
        ValueType::Struct(info) => info
            .fields
            .iter()
            .map(|f| (f.name.to_owned(), full(&f.value, dice)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// A legal value of a property: as [`full`], keys of maps made different from one another.
fn full_property(prop: &PropInfo, dice: &mut Dice) -> Value {
    let mut value = full(&prop.value, dice);
    if let PropKind::Map { field, key } = prop.kind {
        for (index, item) in value[field].as_array_mut().unwrap().iter_mut().enumerate() {
            item[key] = match &item[key] {
                Value::Number(_) => index.into(),
                _ => format!("key {index}").into(),
            };
        }
    }
    value
}

/// An object with everything its declaration allows, except that it is not under a parent that exists.
fn full_object(object_type: ObjectType, seed: u64) -> Object {
    let mut dice = Dice(seed);
    let info = object_type.info();
    let mut object = Object::new(object_type, Uuid::from_u128(7), FqName::new(["a", "b"]));
    object.parent = info.parents.first().map(|p| (*p, Uuid::from_u128(8)));
    for prop in info.all_props() {
        object.props.insert(prop.name.into(), full_property(prop, &mut dice));
    }
    for reference in info.refs {
        let attr = reference.attr.map(|a| full(&ValueType::Struct(a), &mut dice));
        let held = Reference { uuid: Uuid::from_u128(9), fq_name: FqName::new(["t"]), attr };
        object.refs.insert(reference.to, vec![held]);
    }
    object
}

/// What a struct generated from the declaration makes of a value.
type Reread = fn(&Object) -> Result<Value, ModelError>;

fn reread<T: Typed + serde::Serialize>(object: &Object) -> Result<Value, ModelError> {
    let typed: T = object.typed()?;
    serde_json::to_value(&typed).map_err(|e| ModelError::Malformed(e.to_string()))
}

/// The generated structs of a handful of types, small and large; that the others are made alike is the macro's doing.
fn structs() -> BTreeMap<ObjectType, Reread> {
    BTreeMap::from([
        (ObjectType::PhysicalRouter, reread::<PhysicalRouter> as Reread),
        (ObjectType::FirewallRule, reread::<FirewallRule>),
        (ObjectType::BgpRouter, reread::<BgpRouter>),
        (ObjectType::RoutingPolicy, reread::<RoutingPolicy>),
        (ObjectType::ServiceInstance, reread::<ServiceInstance>),
        (ObjectType::Node, reread::<Node>),
        (ObjectType::QosConfig, reread::<QosConfig>),
        (ObjectType::VirtualNetwork, reread::<VirtualNetwork>),
        (ObjectType::GlobalSystemConfig, reread::<GlobalSystemConfig>),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_a_declaration_allows_is_accepted_and_kept(seed: u64) {
        let structs = structs();
        for object_type in ObjectType::ALL {
            let object = full_object(*object_type, seed);
            for (name, value) in &object.props {
                let checked = validate::property(*object_type, name, value);
                prop_assert_eq!(checked.as_ref().map(Option::as_ref), Ok(Some(value)), "{} {}", object_type, name);
            }
            for (to, list) in &object.refs {
                let attr = list[0].attr.clone();
                let checked = validate::attribute(*object_type, *to, &json!(attr));
                prop_assert_eq!(checked, Ok(attr), "{} {}", object_type, to);
            }
            prop_assert_eq!(&Object::from_json(&object.to_json()).unwrap(), &object);
            let text = object.to_json().to_string();
            prop_assert_eq!(&Object::from_json(&serde_json::from_str(&text).unwrap()).unwrap(), &object);
            if let Some(reread) = structs.get(object_type) {
                prop_assert_eq!(reread(&object).unwrap(), Value::Object(object.props.clone()));
            }
        }
    }
}

/// Every place of every declaration that has limits, with one value on each side of them.
#[test]
fn limits_hold_everywhere_and_messages_name_field_and_value() {
    let (mut judged, mut masked) = (0, 0);
    for object_type in ObjectType::ALL {
        for prop in object_type.info().props {
            let mut paths = Vec::new();
            bad_values(&prop.value, &mut Vec::new(), &mut paths);
            for (path, bad) in paths {
                let input = nest(&path, &bad);
                let error = validate::property(*object_type, prop.name, &input).unwrap_err().to_string();
                let last = path.iter().rev().find(|p| *p != "[]").map_or(prop.name, String::as_str);
                assert!(error.contains(last), "{object_type} {error}");
                // Of a secret the value is not said (tests/secrets.rs says of which).
                let secret = error.contains(weft_model::secrets::MASK);
                masked += usize::from(secret);
                assert!(secret != error.contains(&format!(" {bad} ")), "{object_type} {error}");
                assert!(error.contains(prop.name), "{object_type} {error}");
                judged += 1;
            }
        }
    }
    assert!(judged > 1000, "only {judged} values judged");
    assert!(masked > 0 && masked < judged / 20, "{masked} of {judged} values are not said");
}

/// Paths to the leaves of a type, each with values it must refuse.
fn bad_values(value: &ValueType, path: &mut Vec<String>, out: &mut Vec<(Vec<String>, Value)>) {
    let mut bad = |value: Value| out.push((path.clone(), value));
    match value {
        ValueType::Bool => bad(json!("maybe")),
        ValueType::Unsigned => bad(json!(-1)),
        ValueType::Int { min, max } => {
            bad(json!("many"));
            bad(json!(0.5));
            min.checked_sub(1).into_iter().chain(max.checked_add(1)).for_each(|n| bad(json!(n)));
        }
        ValueType::Text => bad(json!(17)),
        ValueType::Enum(_) => bad(json!("none of these")),
        ValueType::Address => bad(json!("10.1.2.256")),
        ValueType::List(item) => {
            path.push("[]".into());
            bad_values(item, path, out);
            path.pop();
        }
        ValueType::Struct(info) => {
            for field in info.fields {
                path.push(field.name.into());
                bad_values(&field.value, path, out);
                path.pop();
            }
        }
    }
}

/// A value with nothing in it but what is at the end of the path.
fn nest(path: &[String], inner: &Value) -> Value {
    path.iter().rev().fold(inner.clone(), |inner, step| match step.as_str() {
        "[]" => json!([inner]),
        name => json!({name: inner}),
    })
}

#[test]
fn unknown_fields_properties_references_and_types_are_named() {
    for object_type in ObjectType::ALL {
        let error = validate::property(*object_type, "colour", &json!(1)).unwrap_err().to_string();
        assert_eq!(error, format!("{object_type} has no property colour"));
        for prop in object_type.info().props {
            if let ValueType::Struct(info) = prop.value {
                let error = validate::property(*object_type, prop.name, &json!({"colour": 1})).unwrap_err();
                let expected = format!("class {} does not have field colour (at {})", info.name, prop.name);
                assert_eq!(error.to_string(), expected);
            }
        }
        for to in ObjectType::ALL {
            let judged = validate::attribute(*object_type, *to, &Value::Null);
            match object_type.info().reference(*to) {
                Some(_) => assert_eq!(judged, Ok(None)),
                None => {
                    let expected = format!("{object_type} may not refer to {to}");
                    assert_eq!(judged.unwrap_err().to_string(), expected);
                }
            }
        }
    }
    let error = "spam".parse::<ObjectType>().unwrap_err().to_string();
    assert_eq!(error, "object type \"spam\" not found");
}

#[test]
fn keys_of_maps_are_needed_and_unique() {
    let mut maps = 0;
    for object_type in ObjectType::ALL {
        for prop in object_type.info().all_props() {
            let PropKind::Map { field, key } = prop.kind else { continue };
            let mut item = full_property(prop, &mut Dice(1))[field][0].clone();
            let twice = json!({field: [item, item]});
            let error = validate::property(*object_type, prop.name, &twice).unwrap_err().to_string();
            assert!(error.contains(prop.name) && error.contains(&format!("{key} occurs twice")), "{error}");
            item.as_object_mut().unwrap().remove(key);
            let error = validate::property(*object_type, prop.name, &json!({field: [item]})).unwrap_err();
            assert!(error.to_string().contains(&format!("{key} is missing")), "{error}");
            maps += 1;
        }
    }
    assert!(maps > ObjectType::ALL.len(), "annotations of every type and some more, not {maps}");
}

#[test]
fn every_type_may_be_tagged_and_kin_agree() {
    assert_eq!(ObjectType::ALL.len(), 126);
    for object_type in ObjectType::ALL {
        let info = object_type.info();
        assert!(
            info.reference(ObjectType::Tag).is_some_and(|r| !r.system && r.attr.is_none()),
            "{object_type}"
        );
        for parent in info.parents {
            assert!(parent.info().children().any(|c| c == *object_type), "{object_type} under {parent}");
        }
        for (index, reference) in info.refs.iter().enumerate() {
            assert!(reference.to.info().referrers().any(|r| r == *object_type), "{object_type}");
            assert!(
                info.refs[..index].iter().all(|r| r.to != reference.to),
                "{object_type} twice to {}",
                reference.to
            );
        }
        for (index, prop) in info.all_props().enumerate() {
            assert!(
                info.all_props().take(index).all(|p| p.name != prop.name),
                "{object_type} twice {}",
                prop.name
            );
        }
        assert_eq!(ObjectType::from_collection(object_type.collection()), Some(*object_type));
    }
    assert_eq!(ObjectType::from_collection("virtual-network"), None);
    assert_eq!(ObjectType::Tag.info().referrers().count(), 126);
    assert!(ObjectType::Project.info().children().count() > 40);
}

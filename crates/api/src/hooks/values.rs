//! Reading properties without their Rust types: fields of complex values by name.

use crate::ApiError;
use serde_json::Value;
use std::fmt::Display;
use uuid::Uuid;
use weft_model::{Object, ObjectType};

/// A nested field; `Null` when any part of the path is absent.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// A property; `Null` when absent.
pub(crate) fn prop<'a>(object: &'a Object, name: &str) -> &'a Value {
    object.props.get(name).unwrap_or(&Value::Null)
}

/// The list in a nested field of a property; empty when absent.
pub(crate) fn items<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

/// A text that is not empty.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A property that is a text and not empty.
pub(crate) fn prop_text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    prop(object, name).as_str().filter(|text| !text.is_empty())
}

/// A boolean property; `false` when absent.
pub(crate) fn flag(object: &Object, name: &str) -> bool {
    prop(object, name).as_bool().unwrap_or(false)
}

/// The value of a key of a map of keys and values.
pub(crate) fn key_value<'a>(object: &'a Object, name: &str, key: &str) -> Option<&'a str> {
    let pairs = items(prop(object, name), &["key_value_pair"]);
    pairs.iter().find(|pair| text(pair, "key") == Some(key)).and_then(|pair| text(pair, "value"))
}

/// A property, or what its absence stands for.
pub(crate) fn meant(object: &Object, name: &str) -> Value {
    let held = object.props.get(name).cloned();
    let default = || object.object_type.info().prop(name).and_then(|prop| prop.default_value());
    held.or_else(default).unwrap_or(Value::Null)
}

/// Whether two objects have different values of a property.
pub(crate) fn changed(new: &Object, old: &Object, name: &str) -> bool {
    new.props.get(name) != old.props.get(name) && meant(new, name) != meant(old, name)
}

/// Refuses to change a property of an object that exists.
pub(crate) fn fixed(new: &Object, old: Option<&Object>, names: &[&str]) -> Result<(), ApiError> {
    let Some(old) = old else { return Ok(()) };
    match names.iter().find(|name| changed(new, old, name)) {
        None => Ok(()),
        Some(name) => Err(ApiError::bad_request(format!(
            "{name} of {} {} can not be changed from {} to {}",
            new.object_type,
            new.fq_name,
            prop(old, name),
            crate::parse::shorten(prop(new, name))
        ))),
    }
}

/// Refuses more than one reference to a type.
pub(crate) fn at_most_one(object: &Object, to: ObjectType) -> Result<(), ApiError> {
    match object.refs_to(to) {
        [] | [_] => Ok(()),
        [first, second, ..] => Err(ApiError::bad_request(format!(
            "{} of {} {} may hold one only, not {} and {}",
            to.refs_field(),
            object.object_type,
            object.fq_name,
            first.fq_name,
            second.fq_name
        ))),
    }
}

/// The one object of a type that is referred to.
pub(crate) fn first_ref(object: &Object, to: ObjectType) -> Option<Uuid> {
    object.refs_to(to).first().map(|reference| reference.uuid)
}

/// Refuses a number outside of an inclusive range.
pub(crate) fn in_range<N: PartialOrd + Display>(
    what: &str,
    number: N,
    first: N,
    last: N,
) -> Result<(), ApiError> {
    if number < first || number > last {
        return Err(ApiError::bad_request(format!("{what} {number} is not {first} to {last}")));
    }
    Ok(())
}

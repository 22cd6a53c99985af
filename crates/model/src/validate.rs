//! Checking JSON against declarations, and bringing it into the stored form: nulls dropped, numbers given as text
//! turned into numbers, unknown keys refused.

use crate::schema::{PropInfo, PropKind, StructInfo, ValueType, element_key};
use crate::{ModelError, ObjectType, secrets};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// Longest piece of an offending value shown in an error.
const SHOWN_VALUE_CHARS: usize = 80;

/// Checks the value of a property and returns its stored form; `None` when it is null (absent).
pub fn property(object_type: ObjectType, name: &str, input: &Value) -> Result<Option<Value>, ModelError> {
    let prop = object_type
        .info()
        .prop(name)
        .ok_or_else(|| ModelError::UnknownProperty { object_type, name: name.chars().take(80).collect() })?;
    let checked = value(&prop.value, input, name)?;
    if let Some(checked) = &checked {
        unique_keys(prop, checked)?;
    }
    Ok(checked)
}

/// Checks the attribute of a reference; `None` when it is null or the link carries none.
pub fn attribute(from: ObjectType, to: ObjectType, input: &Value) -> Result<Option<Value>, ModelError> {
    let info = from.info().reference(to).ok_or(ModelError::UnknownReference { from, to })?;
    match info.attr {
        Some(structure) => value(&ValueType::Struct(structure), input, to.refs_field()),
        // Clients of the existing system send empty attributes where there is nothing to say.
        None => Ok(None),
    }
}

/// Checks one value of any type; `path` names it in errors. `None` when it is null.
pub fn value(expected: &ValueType, input: &Value, path: &str) -> Result<Option<Value>, ModelError> {
    if input.is_null() {
        return Ok(None);
    }
    let checked = match expected {
        ValueType::Bool => boolean(input, path)?,
        ValueType::Int { min, max } => integer(input, *min, *max, path)?,
        ValueType::Unsigned => unsigned(input, path)?,
        ValueType::Text => Value::String(text(input, path)?.to_owned()),
        ValueType::Enum(words) => word(input, words, path)?,
        ValueType::Address => address(input, path)?,
        ValueType::Struct(info) => structure(info, input, path)?,
        ValueType::List(item) => list(item, input, path)?,
    };
    Ok(Some(checked))
}

/// Whether XML 1.0 can carry the character (the configuration reaches agents as XML).
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn error(input: &Value, path: &str, reason: impl Into<String>) -> ModelError {
    let shown = match secrets::is_secret_path(path) {
        true => secrets::MASK.to_owned(),
        false => {
            let mut input = input.clone();
            secrets::mask(&mut input);
            input.to_string()
        }
    };
    let value = match shown.char_indices().nth(SHOWN_VALUE_CHARS) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    };
    ModelError::Value { path: path.to_owned(), value, reason: reason.into() }
}

/// The same error without the value.
fn hidden(error: ModelError) -> ModelError {
    match error {
        ModelError::Value { path, reason, .. } => {
            ModelError::Value { path, value: secrets::MASK.to_owned(), reason }
        }
        other => other,
    }
}

fn boolean(input: &Value, path: &str) -> Result<Value, ModelError> {
    match input {
        Value::Bool(b) => Ok(Value::Bool(*b)),
        Value::String(s) if s.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Value::String(s) if s.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        _ => Err(error(input, path, "expected true or false")),
    }
}

fn integer(input: &Value, min: i64, max: i64, path: &str) -> Result<Value, ModelError> {
    let number = match input {
        Value::Number(n) => n.as_i64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| error(input, path, "expected a whole number"))?;
    if number < min || number > max {
        return Err(error(input, path, format!("expected {min} to {max}")));
    }
    Ok(number.into())
}

fn unsigned(input: &Value, path: &str) -> Result<Value, ModelError> {
    let number: Option<u64> = match input {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    };
    number.map(Value::from).ok_or_else(|| error(input, path, "expected an unsigned 64-bit number"))
}

fn text<'a>(input: &'a Value, path: &str) -> Result<&'a str, ModelError> {
    let text = input.as_str().ok_or_else(|| error(input, path, "expected a string"))?;
    if text.chars().all(is_xml_char) { Ok(text) } else { Err(error(input, path, "control character")) }
}

fn word(input: &Value, words: &[&str], path: &str) -> Result<Value, ModelError> {
    let given = text(input, path)?;
    if words.contains(&given) {
        return Ok(input.clone());
    }
    Err(error(input, path, format!("expected one of {}", words.join(", "))))
}

fn address(input: &Value, path: &str) -> Result<Value, ModelError> {
    let given = text(input, path)?.trim();
    if given.is_empty() {
        return Ok(Value::String(String::new()));
    }
    let parsed: IpAddr = given.parse().map_err(|_| error(input, path, "expected an IP address"))?;
    Ok(Value::String(parsed.to_string()))
}

fn structure(info: &StructInfo, input: &Value, path: &str) -> Result<Value, ModelError> {
    let fields = input.as_object().ok_or_else(|| error(input, path, format!("expected a {}", info.name)))?;
    let mut out = Map::new();
    for (name, field_value) in fields {
        let Some(field) = info.field(name) else {
            let field = name.chars().take(SHOWN_VALUE_CHARS).collect();
            return Err(ModelError::UnknownField { class: info.name, field, path: path.to_owned() });
        };
        if field_value.is_null() {
            continue;
        }
        let checked = value(&field.value, field_value, &format!("{path}.{name}"));
        let checked = if secrets::is_secret_pair(fields) { checked.map_err(hidden)? } else { checked? };
        if let Some(checked) = checked {
            out.insert(field.name.to_owned(), checked);
        }
    }
    if let Some(normalize) = info.normalize {
        normalize(&mut out).map_err(|reason| error(input, path, reason))?;
    }
    Ok(Value::Object(out))
}

fn list(item: &ValueType, input: &Value, path: &str) -> Result<Value, ModelError> {
    // The existing system takes a single value for a list of one.
    let single = std::slice::from_ref(input);
    let items = input.as_array().map_or(single, Vec::as_slice);
    let mut out = Vec::with_capacity(items.len());
    for (index, element) in items.iter().enumerate() {
        if element.is_null() {
            continue;
        }
        out.extend(value(item, element, &format!("{path}[{index}]"))?);
    }
    Ok(Value::Array(out))
}

/// Elements of a map property must have their key, each its own.
fn unique_keys(prop: &PropInfo, checked: &Value) -> Result<(), ModelError> {
    let PropKind::Map { field, key } = prop.kind else { return Ok(()) };
    let Some(items) = checked.get(field).and_then(Value::as_array) else { return Ok(()) };
    let mut seen = std::collections::BTreeSet::new();
    for item in items {
        let Some(name) = element_key(item, key) else {
            return Err(error(item, prop.name, format!("{key} is missing")));
        };
        if !seen.insert(name) {
            return Err(error(item, prop.name, format!("{key} occurs twice")));
        }
    }
    Ok(())
}

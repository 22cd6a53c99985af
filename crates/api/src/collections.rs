//! `POST /prop-collection-update` and `GET /prop-collection-get`: single elements of list and map properties.

use crate::http::Query;
use crate::names::text;
use crate::parse::{json_object, shorten, uuid};
use crate::{ApiError, ApiState, write};
use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use weft_model::{Object, ObjectType, PropInfo, PropKind, validate};

/// Applies element updates, all or none.
pub(crate) async fn update(State(state): State<ApiState>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let body = json_object(&body)?;
    let id = uuid(body.get("uuid").unwrap_or(&Value::Null), "uuid")?;
    let updates = body.get("updates").and_then(Value::as_array);
    let updates = updates.ok_or_else(|| ApiError::bad_request("Bad Request, no 'updates' in POST body"))?;
    let object_type = state.type_of(id).await?;
    let object_type = object_type.ok_or_else(|| ApiError::not_found(format!("UUID {id} not found")))?;
    write::mutate(&state, object_type, id, &|object| updates.iter().try_for_each(|u| apply(object, u)))
        .await?;
    Ok(Json(json!({"uuid": id})))
}

/// The declaration of a list or map property.
fn collection(
    object_type: ObjectType,
    name: &str,
) -> Result<(&'static PropInfo, &'static str, Option<&'static str>), ApiError> {
    let prop = object_type.info().prop(name);
    match prop.map(|p| (p, p.kind)) {
        Some((prop, PropKind::List { field })) => Ok((prop, field, None)),
        Some((prop, PropKind::Map { field, key })) => Ok((prop, field, Some(key))),
        _ => Err(ApiError::bad_request(format!("{name:?} is not a collection property of {object_type}"))),
    }
}

fn apply(object: &mut Object, update: &Value) -> Result<(), ApiError> {
    let update =
        update.as_object().ok_or_else(|| ApiError::bad_request("updates must be a list of objects"))?;
    let (prop, field, key) = collection(object.object_type, text(update, "field")?)?;
    let value = update.get("value").unwrap_or(&Value::Null);
    let position = update.get("position").unwrap_or(&Value::Null);
    let held = object.props.get(prop.name).and_then(|w| w.get(field)).and_then(Value::as_array);
    let mut items = held.cloned().unwrap_or_default();
    let operation = text(update, "operation")?;
    match key {
        Some(key) => map_operation(&mut items, key, operation, value, position)?,
        None => list_operation(&mut items, operation, value, position)?,
    }
    match validate::property(object.object_type, prop.name, &json!({field: items}))? {
        Some(checked) => object.props.insert(prop.name.to_owned(), checked),
        None => object.props.remove(prop.name),
    };
    Ok(())
}

fn list_operation(
    items: &mut Vec<Value>,
    operation: &str,
    value: &Value,
    position: &Value,
) -> Result<(), ApiError> {
    let index = match position {
        Value::String(text) => text.parse::<usize>().ok(),
        other => other.as_u64().and_then(|n| usize::try_from(n).ok()),
    };
    let existing = || {
        let index = index.filter(|index| *index < items.len());
        index.ok_or_else(|| {
            ApiError::bad_request(format!("{operation}: no element at position {}", shorten(position)))
        })
    };
    match operation {
        "add" if value.is_null() => Err(ApiError::bad_request("add: no value")),
        "add" => {
            items.insert(index.unwrap_or(items.len()).min(items.len()), value.clone());
            Ok(())
        }
        "modify" if value.is_null() => Err(ApiError::bad_request("modify: no value")),
        "modify" => {
            let index = existing()?;
            items[index] = value.clone();
            Ok(())
        }
        "delete" => {
            let index = existing()?;
            items.remove(index);
            Ok(())
        }
        _ => Err(bad_operation(operation)),
    }
}

fn bad_operation(operation: &str) -> ApiError {
    ApiError::bad_request(format!(
        "Unsupported operation {:?}",
        operation.chars().take(40).collect::<String>()
    ))
}

fn map_operation(
    items: &mut Vec<Value>,
    key: &str,
    operation: &str,
    value: &Value,
    position: &Value,
) -> Result<(), ApiError> {
    let of_value = value.get(key).and_then(Value::as_str);
    let named = position.as_str().or(of_value);
    let named =
        named.ok_or_else(|| ApiError::bad_request(format!("{operation}: no position (the {key})")))?;
    let at = items.iter().position(|item| item.get(key).and_then(Value::as_str) == Some(named));
    match operation {
        "set" => {
            if of_value != Some(named) {
                return Err(ApiError::bad_request(format!(
                    "set: {key} of the value is not position {named:?}"
                )));
            }
            match at {
                Some(at) => items[at] = value.clone(),
                None => items.push(value.clone()),
            }
            Ok(())
        }
        "delete" => {
            if let Some(at) = at {
                items.remove(at);
            }
            Ok(())
        }
        _ => Err(bad_operation(operation)),
    }
}

/// `?uuid=&fields=a,b&position=`: the elements of collection properties.
pub(crate) async fn get(State(state): State<ApiState>, query: Query) -> Result<Json<Value>, ApiError> {
    let id = uuid(&query.get("uuid").map_or(Value::Null, Value::from), "uuid")?;
    let fields =
        query.list("fields").ok_or_else(|| ApiError::bad_request("Bad Request, no 'fields' in query"))?;
    let missing = || ApiError::not_found(format!("UUID {id} not found"));
    let object_type = state.type_of(id).await?.ok_or_else(missing)?;
    let object = state.find(object_type, id).await?.ok_or_else(missing)?;
    let mut out = Map::new();
    for name in fields {
        let (prop, field, key) = collection(object_type, &name)?;
        let items = object.props.get(prop.name).and_then(|w| w.get(field)).and_then(Value::as_array);
        out.insert(name, elements(items.map_or(&[], Vec::as_slice), key, query.get("position"))?);
    }
    Ok(Json(Value::Object(out)))
}

/// Elements with their positions: `[[value, position], ...]`.
fn elements(items: &[Value], key: Option<&str>, position: Option<&str>) -> Result<Value, ApiError> {
    let place = |(index, item): (usize, &Value)| match key {
        Some(key) => item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned(),
        None => index.to_string(),
    };
    let all = items.iter().enumerate().map(|(index, item)| (place((index, item)), item));
    let chosen = all.filter(|(at, _)| position.is_none_or(|p| p == at));
    Ok(chosen.map(|(at, item)| json!([item, at])).collect())
}

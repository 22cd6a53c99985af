//! `POST /prop-collection-update` and `GET /prop-collection-get`: single elements of list and map properties.

use crate::authz::{self, Access, Caller, Operation};
use crate::http::Query;
use crate::names::text;
use crate::objects::drafted_status;
use crate::parse::{json_object, shorten, uuid};
use crate::{ApiError, ApiState, hooks, write};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use weft_model::schema::element_key;
use weft_model::{Object, ObjectType, PropInfo, PropKind, validate};

/// Applies element updates, all or none.
pub(crate) async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let body = json_object(&body)?;
    let id = uuid(body.get("uuid").unwrap_or(&Value::Null), "uuid")?;
    let updates = body.get("updates").and_then(Value::as_array);
    let updates = updates.ok_or_else(|| ApiError::bad_request("Bad Request, no 'updates' in POST body"))?;
    let object_type = state.type_for(&caller, id).await?;
    let object_type = object_type.ok_or_else(|| ApiError::not_found(format!("UUID {id} not found")))?;
    let fields = updates.iter().filter_map(|update| update.get("field").and_then(Value::as_str));
    caller.allowed(Operation::Update, object_type.name(), fields)?;
    write::writable(object_type)?;
    let read = state.require(object_type, id).await?;
    let edit = |object: &mut Object| apply_all(object, updates);
    let changed = write::mutate_as(&state, &caller, read, &edit).await?;
    Ok((drafted_status(hooks::is_pending(&changed, id)), Json(json!({"uuid": id}))))
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

/// Applies the updates to an object. Each property is taken out, changed and checked once, however many updates it gets.
fn apply_all(object: &mut Object, updates: &[Value]) -> Result<(), ApiError> {
    let mut open: BTreeMap<&'static str, (&'static str, Elements)> = BTreeMap::new();
    for update in updates {
        let update =
            update.as_object().ok_or_else(|| ApiError::bad_request("updates must be a list of objects"))?;
        let (prop, field, key) = collection(object.object_type, text(update, "field")?)?;
        let (_, elements) = open.entry(prop.name).or_insert_with(|| {
            let held = object.props.get(prop.name).and_then(|w| w.get(field)).and_then(Value::as_array);
            (field, Elements::new(held.cloned().unwrap_or_default(), key))
        });
        let value = update.get("value").unwrap_or(&Value::Null);
        let position = update.get("position").unwrap_or(&Value::Null);
        let operation = text(update, "operation")?;
        match elements {
            Elements::List(items) => list_operation(items, operation, value, position)?,
            Elements::Map(map) => map.apply(operation, value, position)?,
        }
    }
    for (name, (field, elements)) in open {
        let items = elements.into_items();
        match validate::property(object.object_type, name, &json!({field: items}))? {
            Some(checked) => object.props.insert(name.to_owned(), checked),
            None => object.props.remove(name),
        };
    }
    Ok(())
}

/// The elements of a property while updates are applied.
enum Elements {
    List(Vec<Value>),
    Map(Keyed),
}

impl Elements {
    fn new(items: Vec<Value>, key: Option<&'static str>) -> Self {
        let Some(key) = key else { return Self::List(items) };
        let index =
            items.iter().enumerate().filter_map(|(at, item)| Some((element_key(item, key)?, at))).collect();
        Self::Map(Keyed { key, items: items.into_iter().map(Some).collect(), index })
    }

    fn into_items(self) -> Vec<Value> {
        match self {
            Self::List(items) => items,
            Self::Map(map) => map.items.into_iter().flatten().collect(),
        }
    }
}

/// Elements found by one of their fields; those deleted leave a gap.
struct Keyed {
    key: &'static str,
    items: Vec<Option<Value>>,
    index: HashMap<String, usize>,
}

impl Keyed {
    fn apply(&mut self, operation: &str, value: &Value, position: &Value) -> Result<(), ApiError> {
        let key = self.key;
        let of_value = element_key(value, key);
        let named = match position {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => of_value.clone(),
        };
        let named =
            named.ok_or_else(|| ApiError::bad_request(format!("{operation}: no position (the {key})")))?;
        match operation {
            "set" if of_value.as_ref() != Some(&named) => {
                let message = format!("set: {key} of the value is not position {}", shorten(&named.into()));
                Err(ApiError::bad_request(message))
            }
            "set" => {
                let end = self.items.len();
                let at = *self.index.entry(named).or_insert(end);
                self.items.resize(end.max(at + 1), None);
                self.items[at] = Some(value.clone());
                Ok(())
            }
            "delete" => {
                if let Some(gap) = self.index.remove(&named).and_then(|at| self.items.get_mut(at)) {
                    *gap = None;
                }
                Ok(())
            }
            _ => Err(bad_operation(operation)),
        }
    }
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

/// `?uuid=&fields=a,b&position=`: the elements of collection properties.
pub(crate) async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let id = uuid(&query.get("uuid").map_or(Value::Null, Value::from), "uuid")?;
    let fields =
        query.list("fields").ok_or_else(|| ApiError::bad_request("Bad Request, no 'fields' in query"))?;
    let missing = || ApiError::not_found(format!("UUID {id} not found"));
    let object_type = state.type_of(id).await?.ok_or_else(missing)?;
    caller.allowed(Operation::Read, object_type.name(), [])?;
    let object = state.find(object_type, id).await?.ok_or_else(missing)?;
    if object_type.info().derived && !authz::may(&state, &caller, &object, Access::READ).await? {
        return Err(missing());
    }
    authz::require(&state, &caller, &object, Access::READ).await?;
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
        Some(key) => element_key(item, key).unwrap_or_default(),
        None => index.to_string(),
    };
    let all = items.iter().enumerate().map(|(index, item)| (place((index, item)), item));
    let chosen = all.filter(|(at, _)| position.is_none_or(|p| p == at));
    Ok(chosen.map(|(at, item)| json!([item, at])).collect())
}

//! `POST /ref-update` and `POST /ref-relax-for-delete`.

use crate::authz::{self, Access, Caller, Operation};
use crate::http::Base;
use crate::names::{text, type_field};
use crate::objects::drafted_status;
use crate::parse::{RefInput, fq_name, json_object, optional, shorten, uuid};
use crate::{ApiError, ApiState, hooks, resolve, write};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Value, json};
use weft_model::{ModelError, ObjectType, validate};
use weft_store::{Compare, Op, Txn, TxnResult, layout};

/// The value of a back-reference row whose reference does not keep its target from being deleted.
const RELAXED: &str = "relaxed";

/// The target type: `virtual-network`, `virtual_network`, `virtual_network_refs` or `virtual-network-refs`.
fn ref_type(name: &str) -> Result<ObjectType, ApiError> {
    let name = name.strip_suffix("_refs").or_else(|| name.strip_suffix("-refs")).unwrap_or(name);
    Ok(name.parse()?)
}

/// Adds, changes or removes one reference.
pub(crate) async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let body = json_object(&body)?;
    let get = |name: &str| body.get(name).unwrap_or(&Value::Null);
    let from = type_field(&body, "type")?;
    let id = uuid(get("uuid"), "uuid")?;
    let to = ref_type(text(&body, "ref-type")?)?;
    let info = from.info().reference(to).ok_or(ModelError::UnknownReference { from, to })?;
    write::writable(from)?;
    if info.system {
        return Err(ApiError::bad_request(format!("{} are written by the system", to.refs_field())));
    }
    let input = RefInput {
        uuid: optional(get("ref-uuid"), |v| uuid(v, "ref-uuid"))?,
        to: optional(get("ref-fq-name"), fq_name)?,
        attr: validate::attribute(from, to, get("attr"))?,
    };
    caller.allowed(Operation::Update, from.name(), [to.refs_field()])?;
    let read = state.require(from, id).await?;
    authz::require(&state, &caller, &read.object, Access::WRITE).await?;
    let changed = match text(&body, "operation")? {
        "ADD" => {
            let missing = |e: ApiError| match e.status {
                StatusCode::BAD_REQUEST => ApiError::not_found(e.message),
                _ => e,
            };
            let reference =
                resolve::resolve_new(&state, &caller, &read.object, to, &input).await.map_err(missing)?;
            let changed = write::mutate_as(&state, &caller, read, &|object| {
                let list = object.refs.entry(to).or_default();
                match list.iter_mut().find(|r| r.uuid == reference.uuid) {
                    Some(held) => *held = reference.clone(),
                    None => list.push(reference.clone()),
                }
                Ok(())
            })
            .await?;
            if get("relax_ref_for_delete") == &Value::Bool(true) {
                relax_one(&state, (from, changed.uuid), (to, reference.uuid)).await?;
            }
            changed
        }
        "DELETE" => {
            if input.uuid.is_none() && input.to.is_none() {
                return Err(ApiError::bad_request("ref-uuid or ref-fq-name must be given"));
            }
            write::mutate_as(&state, &caller, read, &|object| {
                let same = |r: &weft_model::Reference| match input.uuid {
                    Some(uuid) => r.uuid == uuid,
                    None => Some(&r.fq_name) == input.to.as_ref(),
                };
                if let Some(list) = object.refs.get_mut(&to) {
                    list.retain(|r| !same(r));
                }
                Ok(())
            })
            .await?
        }
        _ => return Err(ApiError::bad_request(format!("Bad operation {}", shorten(get("operation"))))),
    };
    Ok((drafted_status(hooks::is_pending(&changed, id)), Json(json!({"uuid": id}))))
}

/// Lets the target of a reference be deleted in spite of it.
pub(crate) async fn relax(
    State(state): State<ApiState>,
    caller: Caller,
    _: Base,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = json_object(&body)?;
    let get = |name: &str| body.get(name).unwrap_or(&Value::Null);
    let (id, target) = (uuid(get("uuid"), "uuid")?, uuid(get("ref-uuid"), "ref-uuid")?);
    let missing = |id| ApiError::not_found(format!("UUID {id} not found"));
    let from = state.type_for(&caller, id).await?.ok_or_else(|| missing(id))?;
    caller.allowed(Operation::Update, from.name(), [])?;
    let object = state.find(from, id).await?.ok_or_else(|| missing(id))?;
    authz::require(&state, &caller, &object, Access::WRITE).await?;
    if !caller.is_admin() && !object.refs.values().flatten().any(|r| r.uuid == target) {
        // Whether there is anything of that uuid is not the caller's to know.
        return Err(missing(target));
    }
    let to = state.type_of(target).await?.ok_or_else(|| missing(target))?;
    relax_one(&state, (from, id), (to, target)).await?;
    Ok(Json(json!({"uuid": id})))
}

async fn relax_one(
    state: &ApiState,
    from: (ObjectType, uuid::Uuid),
    to: (ObjectType, uuid::Uuid),
) -> Result<(), ApiError> {
    let key = layout::back_ref_key(to, from);
    let txn = Txn::new().when(Compare::present(key.clone())).then(Op::put(key, RELAXED));
    match state.store().txn(txn).await? {
        TxnResult::Committed(_) => Ok(()),
        TxnResult::Conflict { .. } => {
            Err(ApiError::not_found(format!("{} does not refer to {}", from.1, to.1)))
        }
    }
}

//! Creating, changing and deleting objects: resolve, check, plan, commit, and again from the start on conflict.

use crate::authz::{self, Access, Caller, Policy};
use crate::hooks::{self, Context, Editable};
use crate::parse::Input;
use crate::plan::Plan;
use crate::render::View;
use crate::state::{Loaded, Member};
use crate::{ApiError, ApiState, audit, resolve, time};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, defaults};
use weft_store::{TxnResult, layout};

/// How often a write is tried anew when others write the same objects.
pub(crate) const ATTEMPTS: usize = 64;
/// Most blocking hrefs named in a refusal.
const SHOWN_BLOCKERS: usize = 20;

/// Whether a transaction went through.
pub(crate) enum Outcome {
    Done,
    Again,
}

/// Commits a plan for an object. A conflict that says what is wrong becomes an error, any other one a new attempt.
pub(crate) async fn commit(state: &ApiState, mut plan: Plan, own: Option<Uuid>) -> Result<Outcome, ApiError> {
    let governs = plan.writes(Policy::concerns);
    let changes = plan.take_changes();
    let key = match state.store().txn(plan.into_txn()).await? {
        TxnResult::Committed(revision) => {
            state.wrote(revision);
            audit::committed(changes);
            if governs {
                state.policy().refresh(state.store()).await?;
            }
            return Ok(Outcome::Done);
        }
        TxnResult::Conflict { key } => key,
    };
    if let Some((object_type, uuid)) = layout::parse_object_key(&key)
        && Some(uuid) != own
        && state.load(object_type, uuid).await?.is_none()
    {
        return Err(ApiError::bad_request(format!("{object_type} {uuid} does not exist any more")));
    }
    Ok(Outcome::Again)
}

/// Lets other writers of the same objects finish first: nothing at first, then longer and not the same for everybody.
pub(crate) async fn pause(attempt: usize, own: Uuid) {
    const FREE_ATTEMPTS: usize = 3;
    const MAX_MILLIS: u64 = 40;
    if attempt < FREE_ATTEMPTS {
        return;
    }
    let limit = u64::try_from(attempt).unwrap_or(MAX_MILLIS).min(MAX_MILLIS);
    let entropy = u64::from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos());
    let millis = 1 + (entropy ^ own.as_u64_pair().1) % limit;
    tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
}

pub(crate) fn too_busy() -> ApiError {
    ApiError::unavailable("too many concurrent writes to the same objects, try again")
}

/// Refuses writes to types the compiler makes.
pub(crate) fn writable(object_type: ObjectType) -> Result<(), ApiError> {
    if object_type.info().derived {
        let message =
            format!("{object_type} objects are derived from the configuration and can not be written");
        return Err(ApiError::forbidden(message));
    }
    Ok(())
}

/// Creates an object.
pub(crate) async fn create(
    state: &ApiState,
    caller: &Caller,
    object_type: ObjectType,
    input: &Input,
) -> Result<Object, ApiError> {
    writable(object_type)?;
    let uuid = input.uuid.unwrap_or_else(Uuid::new_v4);
    for attempt in 0..ATTEMPTS {
        pause(attempt, uuid).await;
        let (mut object, parent) = prepare(state, caller, object_type, uuid, input).await?;
        let mut plan = Plan::new(input.system);
        plan.caller = Some(caller.clone());
        plan.parent = parent.map(Arc::new);
        plan.will_create(uuid);
        hooks::put(&mut Context { state, plan: &mut plan }, &mut object, None).await?;
        stamp(&mut object, None);
        plan.put_object(&object, None)?;
        if let Outcome::Done = commit(state, plan, None).await? {
            return Ok(object);
        }
    }
    Err(too_busy())
}

/// The new object with its parent and references resolved, checked to be new, and the parent. What is to be read for the
/// one does not depend on the other, so it is asked for at once; of several errors the parent's is told first.
async fn prepare(
    state: &ApiState,
    caller: &Caller,
    object_type: ObjectType,
    uuid: Uuid,
    input: &Input,
) -> Result<(Object, Option<Loaded>), ApiError> {
    let fq_name = input.fq_name.clone().ok_or_else(|| ApiError::bad_request("fq_name is missing"))?;
    fq_name.check(object_type == ObjectType::RouteTarget)?;
    let mut object = Object::new(object_type, uuid, fq_name);
    let (parent, unused, refs) = futures::join!(
        resolve::parent(state, caller, &object, input),
        resolve::unused(state, caller, &object, input.uuid),
        resolve::resolve(state, caller, object_type, &input.refs, None),
    );
    let parent = parent?;
    unused?;
    object.refs = refs?;
    object.refs.retain(|_, list| !list.is_empty());
    object.parent = parent.as_ref().map(|parent| (parent.object.object_type, parent.object.uuid));
    apply_props(&mut object, input)?;
    authz::complete(caller, &mut object, parent.as_ref().map(|parent| &parent.object), input)?;
    Ok((object, parent))
}

/// Puts the properties of a body into an object, except who may do what with it.
fn apply_props(object: &mut Object, input: &Input) -> Result<(), ApiError> {
    for (name, value) in &input.props {
        let system = object.object_type.info().prop(name).is_some_and(|p| p.system);
        match (name.as_str(), value) {
            ("id_perms", value) => merge_id_perms(object, value.as_ref()),
            ("perms2", _) => {}
            (name, value) if system && object.props.get(name) != value.as_ref() => {
                return Err(ApiError::bad_request(format!("{name} is written by the system")));
            }
            (name, Some(value)) => {
                object.props.insert(name.to_owned(), value.clone());
            }
            (name, None) => {
                object.props.remove(name);
            }
        }
    }
    if object.props.get("display_name").and_then(Value::as_str) == Some(object.fq_name.last()) {
        object.props.remove("display_name");
    }
    Ok(())
}

/// Of `id_perms` a client may set what is not kept by the system itself.
fn merge_id_perms(object: &mut Object, value: Option<&Value>) {
    const OWN: &[&str] = &["uuid", "created", "last_modified"];
    let given = value.and_then(Value::as_object).cloned().unwrap_or_default();
    let kept = object.props.get("id_perms").and_then(Value::as_object).cloned().unwrap_or_default();
    let kept = kept.into_iter().filter(|(name, _)| OWN.contains(&name.as_str()));
    let ordinary = crate::render::id_perms(&Object::new(object.object_type, object.uuid, FqName::default()));
    let given =
        given.into_iter().filter(|(name, value)| !OWN.contains(&name.as_str()) && ordinary[name] != *value);
    let merged: Map<String, Value> = kept.chain(given).collect();
    object.props.insert("id_perms".into(), Value::Object(merged));
}

/// Notes when the object was made and changed.
pub(crate) fn stamp(object: &mut Object, old: Option<&Object>) {
    let mut now = time::now();
    let before = old.map_or("", crate::render::last_modified);
    if now.as_str() <= before {
        // Entity tags must differ even when the clock stands still or is set back.
        now = time::after(before);
    }
    let perms = object.props.entry("id_perms").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(perms) = perms {
        perms.entry("created").or_insert_with(|| now.clone().into());
        perms.insert("last_modified".into(), now.into());
    }
}

/// Changes an object by `edit`, which may run several times. Returns the object as it is then.
pub(crate) async fn mutate(
    state: &ApiState,
    object_type: ObjectType,
    uuid: Uuid,
    edit: &(dyn Fn(&mut Object) -> Result<(), ApiError> + Sync),
) -> Result<Object, ApiError> {
    writable(object_type)?;
    let loaded = state.require(object_type, uuid).await?;
    mutate_by(state, None, loaded, edit).await
}

/// Changes an object that was just read; when the write conflicts it is read again.
async fn mutate_by(
    state: &ApiState,
    caller: Option<&Caller>,
    read: Loaded,
    edit: &(dyn Fn(&mut Object) -> Result<(), ApiError> + Sync),
) -> Result<Object, ApiError> {
    let (object_type, uuid) = (read.object.object_type, read.object.uuid);
    let mut read = Some(read);
    writable(object_type)?;
    for attempt in 0..ATTEMPTS {
        pause(attempt, uuid).await;
        let loaded = match read.take() {
            Some(read) => read,
            None => state.require(object_type, uuid).await?,
        };
        let mut plan = Plan::of(caller);
        let mut ctx = Context { state, plan: &mut plan };
        // Where policies are drafted, the draft of the object is changed instead.
        let Editable { object: old, stored } = hooks::editable(&mut ctx, loaded).await?;
        let mut new = old.clone();
        edit(&mut new)?;
        new.refs.retain(|_, list| !list.is_empty());
        if new == old {
            return Ok(state.require(object_type, uuid).await?.object);
        }
        hooks::put(&mut ctx, &mut new, Some(&old)).await?;
        let held = stored.then_some(&old);
        stamp(&mut new, held);
        plan.put_object(&new, held)?;
        if let Outcome::Done = commit(state, plan, Some(uuid)).await? {
            return Ok(new);
        }
    }
    Err(too_busy())
}

/// As [`mutate`], an object that was just read, by a caller who must be allowed to write the very object that is changed.
pub(crate) async fn mutate_as(
    state: &ApiState,
    caller: &Caller,
    read: Loaded,
    edit: &(dyn Fn(&mut Object) -> Result<(), ApiError> + Sync),
) -> Result<Object, ApiError> {
    let edit = |object: &mut Object| {
        authz::writes(caller, object)?;
        edit(object)
    };
    mutate_by(state, Some(caller), read, &edit).await
}

/// Changes an object as the body of a PUT says.
pub(crate) async fn update(
    state: &ApiState,
    caller: &Caller,
    object_type: ObjectType,
    uuid: Uuid,
    input: &Input,
) -> Result<Object, ApiError> {
    writable(object_type)?;
    let read = state.require(object_type, uuid).await?;
    let object = &read.object;
    authz::require(state, caller, object, Access::WRITE).await?;
    if input.uuid.is_some_and(|given| given != uuid) {
        return Err(ApiError::bad_request("uuid can not be changed"));
    }
    if input.fq_name.as_ref().is_some_and(|name| *name != object.fq_name) {
        return Err(ApiError::bad_request("fq_name can not be changed"));
    }
    if input.parent_uuid.is_some_and(|given| object.parent.map(|(_, p)| p) != Some(given)) {
        return Err(ApiError::bad_request("parent can not be changed"));
    }
    resolve::system_refs_unchanged(state, object, input).await?;
    let refs = resolve::resolve(state, caller, object_type, &input.refs, Some(object)).await?;
    mutate_as(state, caller, read, &|object| {
        let old = object.clone();
        for (to, list) in &refs {
            object.refs.insert(*to, list.clone());
        }
        apply_props(object, input)?;
        authz::update(caller, &old, object, input)
    })
    .await
}

/// Deletes an object; children and referrers refuse it. Returns whether that is only drafted yet.
pub(crate) async fn delete(
    state: &ApiState,
    caller: &Caller,
    object_type: ObjectType,
    uuid: Uuid,
    view: &View,
) -> Result<bool, ApiError> {
    writable(object_type)?;
    for attempt in 0..ATTEMPTS {
        pause(attempt, uuid).await;
        let mut plan = Plan::default();
        let loaded = state.require(object_type, uuid).await?;
        authz::deletes(caller, &loaded.object)?;
        plan.caller = Some(caller.clone());
        let drafted = hooks::draft_delete(&mut Context { state, plan: &mut plan }, &loaded).await?;
        if !drafted {
            plan_delete(state, caller, &mut plan, (object_type, uuid), view).await?;
        }
        if let Outcome::Done = commit(state, plan, Some(uuid)).await? {
            return Ok(drafted);
        }
    }
    Err(too_busy())
}

/// Plans the deletion of an object and of its default children.
async fn plan_delete(
    state: &ApiState,
    caller: &Caller,
    plan: &mut Plan,
    root: (ObjectType, Uuid),
    view: &View,
) -> Result<(), ApiError> {
    let mut open = vec![root];
    while let Some((object_type, uuid)) = open.pop() {
        // Read first: whoever links to the object after this makes the transaction conflict.
        let link_key = layout::link_key(uuid);
        let (link, loaded) = futures::join!(state.store().get(&link_key), state.require(object_type, uuid));
        let (link, loaded) = (link?, loaded?);
        if (object_type, uuid) == root {
            authz::deletes(caller, &loaded.object)?;
        }
        plan.not_linked_since(uuid, link.map(|entry| entry.mod_revision));
        open.extend(default_children(state, (object_type, uuid), view).await?);
        release_referrers(state, plan, (object_type, uuid), root, view).await?;
        derived_unused(state, plan, (object_type, uuid), view).await?;
        hooks::delete(&mut Context { state, plan }, &loaded.object).await?;
        plan.delete_object(&loaded.object, loaded.revision);
    }
    Ok(())
}

/// Objects that are derived from this one go with it: nobody may be under them or refer to them.
async fn derived_unused(
    state: &ApiState,
    plan: &mut Plan,
    owner: (ObjectType, Uuid),
    view: &View,
) -> Result<(), ApiError> {
    if !owner.0.info().children().any(|child| child.info().derived) {
        return Ok(());
    }
    for derived in state.derived_current().await?.children(owner.1) {
        let link = state.store().get(&layout::link_key(derived.uuid)).await?;
        plan.not_linked_since(derived.uuid, link.map(|entry| entry.mod_revision));
        let mut users = state.children(derived.object_type, derived.uuid).await?;
        users.extend(state.back_refs(derived.object_type, derived.uuid).await?);
        users.retain(|user| user.uuid != owner.1);
        if !users.is_empty() {
            let what = format!("{} {} is still in use", derived.object_type, derived.fq_name);
            return Err(blocked(state, &what, &users, view).await?);
        }
    }
    Ok(())
}

/// Why something stays: hrefs of some of the objects that keep it, of those the caller may know of.
async fn blocked(
    state: &ApiState,
    what: &str,
    blockers: &[Member],
    view: &View,
) -> Result<ApiError, ApiError> {
    let mut shown = Vec::new();
    for member in blockers.iter().take(SHOWN_BLOCKERS) {
        if view.names(state, member.object_type, member.uuid).await? {
            shown.push(view.href(member.object_type, member.uuid));
        }
    }
    let more = match blockers.len() - shown.len() {
        0 => String::new(),
        more if shown.is_empty() => format!("{more} of other projects"),
        more => format!(" and {more} more"),
    };
    Ok(ApiError::conflict(format!("{what}: {}{more}", shown.join(", "))))
}

/// Children named `default-<type>`, and the place of drafts, go with their parent; any other child refuses.
async fn default_children(
    state: &ApiState,
    parent: (ObjectType, Uuid),
    view: &View,
) -> Result<Vec<(ObjectType, Uuid)>, ApiError> {
    let (mut defaults, mut blockers) = (Vec::new(), Vec::new());
    for child in state.children(parent.0, parent.1).await? {
        let loaded = state.load(child.object_type, child.uuid).await?;
        let Some(loaded) = loaded else { continue };
        if hooks::goes_with_parent(&loaded.object) {
            defaults.push((child.object_type, child.uuid));
        } else {
            blockers.push(child);
        }
    }
    if blockers.is_empty() {
        return Ok(defaults);
    }
    Err(blocked(state, "Children still exist", &blockers, view).await?)
}

/// Referrers refuse, unless they said that their reference does not count: then it is taken out.
async fn release_referrers(
    state: &ApiState,
    plan: &mut Plan,
    target: (ObjectType, Uuid),
    root: (ObjectType, Uuid),
    view: &View,
) -> Result<(), ApiError> {
    let referrers = state.back_refs(target.0, target.1).await?;
    let own = |m: &Member| m.uuid == target.1 || m.uuid == root.1;
    let blockers: Vec<Member> = referrers.iter().filter(|m| !m.relaxed && !own(m)).cloned().collect();
    if !blockers.is_empty() {
        return Err(blocked(state, "Back-References still exist", &blockers, view).await?);
    }
    for referrer in referrers.iter().filter(|m| !own(m)) {
        let Some(loaded) = state.load(referrer.object_type, referrer.uuid).await? else { continue };
        let mut object = loaded.object.clone();
        if let Some(list) = object.refs.get_mut(&target.0) {
            list.retain(|r| r.uuid != target.1);
        }
        hooks::put(&mut Context { state, plan: &mut *plan }, &mut object, Some(&loaded.object)).await?;
        stamp(&mut object, Some(&loaded.object));
        plan.unchanged((object.object_type, object.uuid), loaded.revision);
        plan.put_object(&object, Some(&loaded.object))?;
    }
    Ok(())
}

/// Writes an object that exists from the start, with the identity it always has. Returns whether it was new.
pub(crate) async fn create_singleton(
    state: &ApiState,
    object_type: ObjectType,
    mut input: Input,
) -> Result<bool, ApiError> {
    let name = input.fq_name.clone().unwrap_or_default();
    if state.by_name(object_type, &name).await?.is_some() {
        return Ok(false);
    }
    input.uuid = Some(defaults::singleton_uuid(object_type, &name));
    input.system = true;
    match create(state, &Caller::internal(), object_type, &input).await {
        Ok(_) => Ok(true),
        // Another controller was faster.
        Err(error) if error.status == axum::http::StatusCode::CONFLICT => Ok(false),
        Err(error) => Err(error),
    }
}

//! Drafts of application policies: in a scope (all, or one project) with draft mode on, what clients do to the five types
//! is done to copies under the scope's `draft-policy-management`, until it is committed or discarded (wire-facts 7).

use super::values::{changed, flag, meant, prop_text};
use super::{Context, companion};
use crate::state::Loaded;
use crate::{ApiError, write};
use serde_json::Value;
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, defaults};
use weft_store::layout;

/// Name of the policy-management that holds drafts.
pub(crate) const MANAGEMENT: &str = "draft-policy-management";
/// Name of the policy-management of everything global.
pub(crate) const DEFAULT_MANAGEMENT: &str = "default-policy-management";
/// The property that switches a scope's draft mode.
pub(super) const SWITCH: &str = "enable_security_policy_draft";
/// The property that says what a draft is to become.
pub(super) const STATE: &str = "draft_mode_state";
/// What can be drafted, referred to before referring.
pub(crate) const TYPES: [ObjectType; 5] = [
    ObjectType::AddressGroup,
    ObjectType::ServiceGroup,
    ObjectType::FirewallRule,
    ObjectType::FirewallPolicy,
    ObjectType::ApplicationPolicySet,
];

/// The policy-management of a scope's drafts.
struct Management {
    fq_name: FqName,
    uuid: Uuid,
}

/// What a change is made to.
pub(crate) struct Editable {
    pub(crate) object: Object,
    /// Whether it is in the store; a new draft is not.
    pub(crate) stored: bool,
}

/// Whether an object is a draft.
pub(super) fn is_draft(object: &Object) -> bool {
    TYPES.contains(&object.object_type)
        && object.fq_name.parent().is_some_and(|parent| parent.last() == MANAGEMENT)
}

fn is_state(object: &Object, state: &str) -> bool {
    prop_text(object, STATE) == Some(state)
}

/// The scope an object belongs to: the parts of its project's name, or none.
pub(super) fn scope(object: &Object) -> Vec<String> {
    let above = match object.parent {
        Some((ObjectType::PolicyManagement, _)) => 2,
        _ => 1,
    };
    object.fq_name.0.iter().take(object.fq_name.len().saturating_sub(above)).cloned().collect()
}

/// What is global refers to global objects only.
pub(super) fn same_scope(object: &Object, to: &[ObjectType]) -> Result<(), ApiError> {
    if object.fq_name.len() != 2 {
        return Ok(());
    }
    let references = to.iter().flat_map(|to| object.refs_to(*to).iter().map(move |r| (to, r)));
    match references.clone().find(|(_, reference)| reference.fq_name.len() != 2) {
        None => Ok(()),
        Some((to, reference)) => Err(ApiError::bad_request(format!(
            "Global {} {} cannot reference a scoped {to} {}",
            object.object_type, object.fq_name, reference.fq_name
        ))),
    }
}

/// Clients do not write the state of a draft.
pub(super) fn read_only(
    ctx: &Context<'_>,
    new: &Object,
    old: Option<&Object>,
    name: &str,
) -> Result<(), ApiError> {
    let held = old.is_some_and(|old| !changed(new, old, name));
    if ctx.plan.system
        || held
        || (old.is_none() && matches!(meant(new, name), Value::Null | Value::Bool(false)))
    {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("'{name}' of {} {} is read-only", new.object_type, new.fq_name)))
}

/// The place of drafts of an object's scope; `None` if draft mode is off there, or for a draft itself.
async fn management(ctx: &mut Context<'_>, object: &Object) -> Result<Option<Management>, ApiError> {
    if ctx.plan.system || !TYPES.contains(&object.object_type) || is_draft(object) {
        return Ok(None);
    }
    let global = FqName::new([DEFAULT_MANAGEMENT]);
    let scope = match object.parent {
        Some((ObjectType::Project, uuid)) => Some((ObjectType::Project, uuid)),
        Some(_) if object.fq_name.parent() == Some(global) => {
            let name = defaults::global_system_config();
            let uuid = ctx.state.by_name(ObjectType::GlobalSystemConfig, &name).await?;
            uuid.map(|uuid| (ObjectType::GlobalSystemConfig, uuid))
        }
        _ => None,
    };
    let Some(scope) = scope else { return Ok(None) };
    let Some(loaded) = ctx.state.load(scope.0, scope.1).await? else { return Ok(None) };
    // The mode may not change meanwhile.
    ctx.plan.unchanged(scope, loaded.revision);
    if !flag(&loaded.object, SWITCH) {
        return Ok(None);
    }
    locate(ctx, &loaded.object).await.map(Some)
}

/// Name and parent of the policy-management of a scope's drafts.
pub(crate) fn management_of(scope: &Object) -> (FqName, Option<(ObjectType, Uuid)>) {
    match scope.object_type {
        ObjectType::Project => (scope.fq_name.child(MANAGEMENT), Some((ObjectType::Project, scope.uuid))),
        _ => (FqName::new([MANAGEMENT]), None),
    }
}

/// The policy-management of a scope's drafts, made if there is none.
async fn locate(ctx: &mut Context<'_>, scope: &Object) -> Result<Management, ApiError> {
    let (fq_name, parent) = management_of(scope);
    if let Some(uuid) = ctx.state.by_name(ObjectType::PolicyManagement, &fq_name).await? {
        return Ok(Management { fq_name, uuid });
    }
    let uuid = Uuid::new_v4();
    let mut made = Object::new(ObjectType::PolicyManagement, uuid, fq_name.clone());
    made.parent = parent;
    companion(ctx, made)?;
    Ok(Management { fq_name, uuid })
}

/// A new object becomes a draft where draft mode is on.
pub(super) async fn create(ctx: &mut Context<'_>, new: &mut Object) -> Result<(), ApiError> {
    if is_draft(new) {
        new.props.insert(STATE.into(), "created".into());
        return Ok(());
    }
    let Some(place) = management(ctx, new).await? else { return Ok(()) };
    let fq_name = place.fq_name.child(new.fq_name.last());
    if ctx.state.by_name(new.object_type, &fq_name).await?.is_some() {
        return Err(ApiError::bad_request(format!(
            "{} named {} was already created and it is pending to be committed or discarded. You cannot create it again",
            new.object_type, new.fq_name
        )));
    }
    new.fq_name = fq_name;
    new.parent = Some((ObjectType::PolicyManagement, place.uuid));
    new.props.insert(STATE.into(), "created".into());
    Ok(())
}

/// What a change of an object is made to: the object, or its draft.
pub(crate) async fn editable(ctx: &mut Context<'_>, stored: Loaded) -> Result<Editable, ApiError> {
    let Loaded { object, revision } = stored;
    ctx.plan.unchanged((object.object_type, object.uuid), revision);
    if is_draft(&object) {
        not_deleted(&object)?;
    }
    let Some(place) = management(ctx, &object).await? else { return Ok(Editable { object, stored: true }) };
    if let Some(held) = find(ctx, &place, &object).await? {
        not_deleted(&held.object)?;
        ctx.plan.unchanged((object.object_type, held.object.uuid), held.revision);
        return Ok(Editable { object: held.object, stored: true });
    }
    Ok(Editable { object: copy(ctx, &place, object, "updated"), stored: false })
}

fn not_deleted(draft: &Object) -> Result<(), ApiError> {
    if is_state(draft, "deleted") && is_draft(draft) {
        return Err(ApiError::bad_request(format!(
            "{} {} is in pending delete, cannot be updated",
            draft.object_type, draft.fq_name
        )));
    }
    Ok(())
}

/// The draft of an object.
async fn find(ctx: &Context<'_>, place: &Management, of: &Object) -> Result<Option<Loaded>, ApiError> {
    let fq_name = place.fq_name.child(of.fq_name.last());
    match ctx.state.by_name(of.object_type, &fq_name).await? {
        Some(uuid) => ctx.state.load(of.object_type, uuid).await,
        None => Ok(None),
    }
}

fn copy(ctx: &mut Context<'_>, place: &Management, of: Object, state: &str) -> Object {
    let uuid = Uuid::new_v4();
    ctx.plan.will_create(uuid);
    let fq_name = place.fq_name.child(of.fq_name.last());
    let mut copy = Object { uuid, fq_name, parent: Some((ObjectType::PolicyManagement, place.uuid)), ..of };
    copy.props.insert(STATE.into(), state.into());
    copy
}

/// Notes that an object is to be deleted. `false`: draft mode is off, delete it now.
pub(crate) async fn delete(ctx: &mut Context<'_>, stored: &Loaded) -> Result<bool, ApiError> {
    let object = &stored.object;
    let Some(place) = management(ctx, object).await? else { return Ok(false) };
    super::application_policy_set::delete(ctx, object)?;
    let link = ctx.state.store().get(&layout::link_key(object.uuid)).await?;
    ctx.plan.not_linked_since(object.uuid, link.map(|entry| entry.mod_revision));
    ctx.plan.unchanged((object.object_type, object.uuid), stored.revision);
    not_referred_to(ctx, object).await?;
    let mut draft = match find(ctx, &place, object).await? {
        Some(held) if is_state(&held.object, "deleted") => return Ok(true),
        Some(held) => {
            ctx.plan.unchanged((object.object_type, held.object.uuid), held.revision);
            let mut draft = held.object.clone();
            draft.props.insert(STATE.into(), "deleted".into());
            draft.refs.clear();
            write::stamp(&mut draft, Some(&held.object));
            ctx.plan.put_object(&draft, Some(&held.object))?;
            return Ok(true);
        }
        None => copy(ctx, &place, object.clone(), "deleted"),
    };
    draft.refs.clear();
    write::stamp(&mut draft, None);
    ctx.plan.put_object(&draft, None)?;
    Ok(true)
}

/// Whoever refers to an object must be about to stop doing so.
async fn not_referred_to(ctx: &mut Context<'_>, object: &Object) -> Result<(), ApiError> {
    let mut blockers = Vec::new();
    for member in ctx.state.back_refs(object.object_type, object.uuid).await? {
        if member.relaxed {
            continue;
        }
        let Some(referrer) = ctx.state.load(member.object_type, member.uuid).await? else { continue };
        let drafted = match management(ctx, &referrer.object).await? {
            Some(place) => find(ctx, &place, &referrer.object).await?,
            None => None,
        };
        let last = drafted.map_or(referrer.object, |draft| draft.object);
        let refers = last.refs_to(object.object_type).iter().any(|r| r.uuid == object.uuid);
        if refers && !(is_draft(&last) && is_state(&last, "deleted")) {
            blockers.push(ctx.called(&last));
        }
    }
    if blockers.is_empty() {
        return Ok(());
    }
    Err(ApiError::conflict(format!("Back-References still exist: {}", blockers.join(", "))))
}

/// A scope's draft mode is switched.
pub(super) async fn switched(
    ctx: &mut Context<'_>,
    new: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let (on, was) = (flag(new, SWITCH), old.is_some_and(|old| flag(old, SWITCH)));
    if on && !was {
        return locate(ctx, new).await.map(drop);
    }
    if on || !was {
        return Ok(());
    }
    let (fq_name, _) = management_of(new);
    let Some(uuid) = ctx.state.by_name(ObjectType::PolicyManagement, &fq_name).await? else { return Ok(()) };
    let link = ctx.state.store().get(&layout::link_key(uuid)).await?;
    let pending = ctx.state.children(ObjectType::PolicyManagement, uuid).await?;
    if !pending.is_empty() {
        let shown: Vec<String> =
            pending.iter().take(20).map(|member| format!("{} {}", member.object_type, member.uuid)).collect();
        return Err(ApiError::conflict(format!(
            "{SWITCH} of {} {} cannot be switched off: {} pending security resource(s) need to be committed or discarded: {}",
            new.object_type,
            new.fq_name,
            pending.len(),
            shown.join(", ")
        )));
    }
    let held = ctx.state.require(ObjectType::PolicyManagement, uuid).await?;
    ctx.plan.not_linked_since(uuid, link.map(|entry| entry.mod_revision));
    ctx.plan.delete_object(&held.object, held.revision);
    Ok(())
}

/// Whether an object in the answer to a change is a draft of what was named.
pub(crate) fn is_pending(object: &Object, named: Uuid) -> bool {
    is_draft(object) && object.uuid != named
}

/// Whether a new object became a draft, though it was not created as one.
pub(crate) fn became_draft(object: &Object, asked: Option<&FqName>) -> bool {
    is_draft(object) && asked.is_some_and(|asked| *asked != object.fq_name)
}

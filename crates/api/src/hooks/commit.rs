//! Committing and discarding the drafts of a scope: all of them in one transaction, or none.

use super::draft::{self, STATE, TYPES};
use super::values::prop_text;
use super::{Context, quota};
use crate::state::Loaded;
use crate::{ApiError, write};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, Reference};
use weft_store::layout;

/// The drafts of a scope, and where they go.
pub(crate) struct Drafts {
    management: Loaded,
    drafts: Vec<Loaded>,
    parent: (ObjectType, Uuid),
    parent_name: FqName,
}

/// What drafts become: references to a draft become references to its original.
type Moves = BTreeMap<Uuid, (Uuid, FqName)>;

/// Reads the drafts of a scope; whatever changes among them meanwhile makes the transaction conflict.
pub(crate) async fn read(ctx: &mut Context<'_>, scope: &Loaded) -> Result<Drafts, ApiError> {
    let state = ctx.state;
    let (name, _) = draft::management_of(&scope.object);
    let missing = || {
        ApiError::bad_request(format!(
            "Security draft mode is not enabled on the {} {} ({})",
            scope.object.object_type, scope.object.fq_name, scope.object.uuid
        ))
    };
    let management = state.by_name(ObjectType::PolicyManagement, &name).await?.ok_or_else(missing)?;
    let link = state.store().get(&layout::link_key(management)).await?;
    ctx.plan.not_linked_since(management, link.map(|entry| entry.mod_revision));
    let held = state.load(ObjectType::PolicyManagement, management).await?.ok_or_else(missing)?;
    let mut drafts = Vec::new();
    for object_type in TYPES {
        for member in state.children_of_type((ObjectType::PolicyManagement, management), object_type).await? {
            drafts.extend(state.load(object_type, member.uuid).await?);
        }
    }
    for draft in &drafts {
        ctx.plan.unchanged((draft.object.object_type, draft.object.uuid), draft.revision);
    }
    let (parent, parent_name) = match scope.object.object_type {
        ObjectType::Project => ((ObjectType::Project, scope.object.uuid), scope.object.fq_name.clone()),
        _ => {
            let name = FqName::new([draft::DEFAULT_MANAGEMENT]);
            let uuid = state.by_name(ObjectType::PolicyManagement, &name).await?;
            let uuid = uuid.ok_or_else(|| ApiError::internal(format!("{name} is missing")))?;
            ((ObjectType::PolicyManagement, uuid), name)
        }
    };
    Ok(Drafts { management: held, drafts, parent, parent_name })
}

/// Plans to make the drafts real.
pub(crate) async fn commit(ctx: &mut Context<'_>, drafts: &Drafts) -> Result<(), ApiError> {
    let mut originals = Vec::with_capacity(drafts.drafts.len());
    let mut moves = Moves::new();
    let mut gone = BTreeSet::new();
    for draft in &drafts.drafts {
        let original = original(ctx, drafts, &draft.object).await?;
        let name = drafts.parent_name.child(draft.object.fq_name.last());
        match &original {
            Some(original) if prop_text(&draft.object, STATE) == Some("deleted") => {
                gone.insert(original.object.uuid);
                gone.insert(draft.object.uuid);
            }
            Some(original) => {
                moves.insert(draft.object.uuid, (original.object.uuid, name));
            }
            None => {
                moves.insert(draft.object.uuid, (draft.object.uuid, name));
            }
        }
        originals.push(original);
    }
    let mut written = BTreeSet::new();
    for (draft, original) in drafts.drafts.iter().zip(&originals) {
        let last = apply(ctx, drafts, draft, original.as_ref(), &moves).await?;
        if let Some(last) = last {
            still_there(&last, &gone)?;
            written.insert(last.uuid);
        }
    }
    let settled: BTreeSet<Uuid> =
        drafts.drafts.iter().map(|d| d.object.uuid).chain(gone.iter().copied()).chain(written).collect();
    for (draft, original) in drafts.drafts.iter().zip(&originals) {
        let deleted = gone.contains(&draft.object.uuid);
        let targets = [Some(draft), original.as_ref().filter(|_| deleted)];
        for target in targets.into_iter().flatten() {
            others(ctx, drafts, &target.object, &settled, &moves, deleted).await?;
        }
    }
    Ok(())
}

/// The object a draft is a draft of; what it is to become must still be possible.
async fn original(
    ctx: &mut Context<'_>,
    drafts: &Drafts,
    draft: &Object,
) -> Result<Option<Loaded>, ApiError> {
    let name = drafts.parent_name.child(draft.fq_name.last());
    let found = match ctx.state.by_name(draft.object_type, &name).await? {
        Some(uuid) => ctx.state.load(draft.object_type, uuid).await?,
        None => None,
    };
    let (of, state) = (draft.object_type, prop_text(draft, STATE).unwrap_or_default());
    match (&found, state) {
        (Some(held), "created") => {
            Err(ApiError::bad_request(format!("{of} {name} ({}) was created meanwhile", held.object.uuid)))
        }
        (None, "updated") => Err(ApiError::bad_request(format!("{of} {name} was deleted meanwhile"))),
        _ => {
            if let Some(held) = &found {
                ctx.plan.unchanged((of, held.object.uuid), held.revision);
            }
            Ok(found)
        }
    }
}

/// Writes one draft to its place. Returns the object there is then.
async fn apply(
    ctx: &mut Context<'_>,
    drafts: &Drafts,
    draft: &Loaded,
    original: Option<&Loaded>,
    moves: &Moves,
) -> Result<Option<Object>, ApiError> {
    if prop_text(&draft.object, STATE) == Some("deleted") {
        ctx.plan.delete_object(&draft.object, draft.revision);
        if let Some(original) = original {
            let link = ctx.state.store().get(&layout::link_key(original.object.uuid)).await?;
            ctx.plan.not_linked_since(original.object.uuid, link.map(|entry| entry.mod_revision));
            quota::account(ctx, None, Some(&original.object)).await?;
            ctx.plan.delete_object(&original.object, original.revision);
        }
        return Ok(None);
    }
    let mut last = draft.object.clone();
    last.fq_name = drafts.parent_name.child(draft.object.fq_name.last());
    last.parent = Some(drafts.parent);
    last.props.remove(STATE);
    rewrite(&mut last, drafts, moves);
    match original {
        Some(original) => {
            last.uuid = original.object.uuid;
            quota::account(ctx, Some(&last), Some(&original.object)).await?;
            write::stamp(&mut last, Some(&original.object));
            ctx.plan.delete_object(&draft.object, draft.revision);
            ctx.plan.put_object(&last, Some(&original.object))?;
        }
        None => {
            quota::account(ctx, Some(&last), None).await?;
            write::stamp(&mut last, Some(&draft.object));
            ctx.plan.touch(drafts.parent.1);
            ctx.plan.put_object(&last, Some(&draft.object))?;
        }
    }
    Ok(Some(last))
}

/// References to drafts become references to what they become, also those by name in a rule's ends.
fn rewrite(object: &mut Object, drafts: &Drafts, moves: &Moves) {
    for to in TYPES {
        let Some(list) = object.refs.get_mut(&to) else { continue };
        let mut seen = BTreeSet::new();
        let moved = |reference: &mut Reference| {
            if let Some((uuid, fq_name)) = moves.get(&reference.uuid) {
                (reference.uuid, reference.fq_name) = (*uuid, fq_name.clone());
            }
        };
        list.iter_mut().for_each(moved);
        list.retain(|reference| seen.insert(reference.uuid));
    }
    for end in ["endpoint_1", "endpoint_2"] {
        let Some(Value::Object(end)) = object.props.get_mut(end) else { continue };
        let named = end.get("address_group").and_then(Value::as_str).map(FqName::from);
        if let Some(named) = named.filter(|n| n.parent().as_ref() == Some(&drafts.management.object.fq_name))
        {
            end.insert("address_group".into(), drafts.parent_name.child(named.last()).to_string().into());
        }
    }
}

fn still_there(object: &Object, gone: &BTreeSet<Uuid>) -> Result<(), ApiError> {
    let mut references = object.refs.iter().flat_map(|(to, list)| list.iter().map(move |r| (to, r)));
    match references.find(|(_, reference)| gone.contains(&reference.uuid)) {
        None => Ok(()),
        Some((to, reference)) => Err(ApiError::conflict(format!(
            "{to} {} is pending delete and {} {} still refers to it",
            reference.fq_name, object.object_type, object.fq_name
        ))),
    }
}

/// Objects outside of the scope's drafts that refer to one of them follow it; of what is deleted they refuse.
async fn others(
    ctx: &mut Context<'_>,
    drafts: &Drafts,
    target: &Object,
    settled: &BTreeSet<Uuid>,
    moves: &Moves,
    deleted: bool,
) -> Result<(), ApiError> {
    for member in ctx.state.back_refs(target.object_type, target.uuid).await? {
        if settled.contains(&member.uuid) {
            continue;
        }
        let Some(loaded) = ctx.state.load(member.object_type, member.uuid).await? else { continue };
        if deleted {
            return Err(ApiError::conflict(format!(
                "Back-References still exist: {} {} refers to {} {}",
                member.object_type, loaded.object.fq_name, target.object_type, target.fq_name
            )));
        }
        let mut object = loaded.object.clone();
        rewrite(&mut object, drafts, moves);
        write::stamp(&mut object, Some(&loaded.object));
        ctx.plan.unchanged((object.object_type, object.uuid), loaded.revision);
        ctx.plan.put_object(&object, Some(&loaded.object))?;
    }
    Ok(())
}

/// Plans to forget the drafts.
pub(crate) async fn discard(ctx: &mut Context<'_>, drafts: &Drafts) -> Result<(), ApiError> {
    let settled: BTreeSet<Uuid> = drafts.drafts.iter().map(|d| d.object.uuid).collect();
    for draft in &drafts.drafts {
        let link = ctx.state.store().get(&layout::link_key(draft.object.uuid)).await?;
        ctx.plan.not_linked_since(draft.object.uuid, link.map(|entry| entry.mod_revision));
        others(ctx, drafts, &draft.object, &settled, &Moves::new(), true).await?;
        ctx.plan.delete_object(&draft.object, draft.revision);
    }
    Ok(())
}

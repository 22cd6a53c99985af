//! Quotas of a project: how many objects of a type it may hold. The number in use is a row of its own, kept while there is
//! a limit, and written by the transaction that adds or removes an object: no two of them can both take the last place.
//! Every such transaction also holds that the project, and so the limit, is as it was read.

use super::values::{at, items, prop};
use super::{Context, virtual_network};
use crate::ApiError;
use crate::state::Loaded;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use weft_model::schema::ValueType;
use weft_model::{Object, ObjectType};
use weft_store::{Compare, Op, layout};

/// What objects use of the quotas of projects.
type Uses = BTreeMap<(Uuid, &'static str), i64>;

/// Resources that can be limited: the fields of a project's quota.
fn resources() -> impl Iterator<Item = &'static str> {
    let prop = ObjectType::Project.info().prop("quota");
    let fields = match prop.map(|p| p.value) {
        Some(ValueType::Struct(info)) => info.fields,
        _ => &[],
    };
    fields.iter().map(|field| field.name).filter(|name| *name != "defaults")
}

/// The limit of a resource; `None`: unlimited. What the project does not say itself its `defaults` say.
fn limit(project: &Object, resource: &str) -> Option<i64> {
    let quota = prop(project, "quota");
    let number = |name: &str| at(quota, &[name]).as_i64();
    number(resource).or_else(|| number("defaults")).filter(|limit| *limit >= 0)
}

fn counter_key(project: Uuid, resource: &str) -> String {
    layout::sequence_key(&format!("quota/{}/{resource}", project.as_hyphenated()))
}

/// Counts a new, changed or removed object.
pub(super) async fn account(
    ctx: &mut Context<'_>,
    new: Option<&Object>,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let mut delta = Uses::new();
    for (object, sign) in new.iter().map(|o| (o, 1)).chain(old.iter().map(|o| (o, -1))) {
        for (key, amount) in uses(ctx, object).await? {
            *delta.entry(key).or_default() += sign * amount;
        }
    }
    delta.retain(|_, amount| *amount != 0);
    for ((project, resource), amount) in delta {
        change(ctx, project, resource, amount).await?;
    }
    Ok(())
}

/// What one object uses; nothing if users do not see it.
async fn uses(ctx: &Context<'_>, object: &Object) -> Result<Uses, ApiError> {
    let mut out = Uses::new();
    if at(prop(object, "id_perms"), &["user_visible"]) == &Value::Bool(false) {
        return Ok(out);
    }
    let Some(resource) = resources().find(|name| *name == object.object_type.json_name()) else {
        return Ok(out);
    };
    if object.object_type == ObjectType::FloatingIp {
        let projects = object.refs_to(ObjectType::Project).iter();
        out.extend(projects.map(|project| ((project.uuid, resource), 1)));
        return Ok(out);
    }
    let Some(project) = owner(ctx, object).await? else { return Ok(out) };
    out.insert((project, resource), 1);
    if let Some((part, amount)) = parts(object)? {
        out.insert((project, part), amount);
    }
    Ok(out)
}

/// What is counted inside an object.
fn parts(object: &Object) -> Result<Option<(&'static str, i64)>, ApiError> {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Ok(match object.object_type {
        ObjectType::VirtualNetwork => {
            let subnets = virtual_network::specs(object)?.iter().filter(|s| s.subnet.is_some()).count();
            Some(("subnet", count(subnets)))
        }
        ObjectType::SecurityGroup => {
            let rules = items(prop(object, "security_group_entries"), &["policy_rule"]);
            Some(("security_group_rule", count(rules.len())))
        }
        _ => None,
    })
}

/// The project an object is counted for: its parent, or its parent's parent.
async fn owner(ctx: &Context<'_>, object: &Object) -> Result<Option<Uuid>, ApiError> {
    match object.parent {
        Some((ObjectType::Project, uuid)) => Ok(Some(uuid)),
        Some((parent_type @ (ObjectType::VirtualNetwork | ObjectType::LoadbalancerPool), uuid)) => {
            let parent = read(ctx, (parent_type, uuid)).await?;
            let above = parent.and_then(|parent| parent.object.parent);
            Ok(above.filter(|above| above.0 == ObjectType::Project).map(|above| above.1))
        }
        _ => Ok(None),
    }
}

/// An object above; the parent of a new one was read already.
async fn read(
    ctx: &Context<'_>,
    (object_type, uuid): (ObjectType, Uuid),
) -> Result<Option<Arc<Loaded>>, ApiError> {
    match &ctx.plan.parent {
        Some(parent) if parent.object.uuid == uuid => Ok(Some(Arc::clone(parent))),
        _ => Ok(ctx.state.load(object_type, uuid).await?.map(Arc::new)),
    }
}

async fn change(
    ctx: &mut Context<'_>,
    project: Uuid,
    resource: &'static str,
    amount: i64,
) -> Result<(), ApiError> {
    let Some(loaded) = read(ctx, (ObjectType::Project, project)).await? else { return Ok(()) };
    ctx.plan.unchanged((ObjectType::Project, project), loaded.revision);
    let Some(limit) = limit(&loaded.object, resource) else { return Ok(()) };
    let key = counter_key(project, resource);
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<i64>().ok());
    let used = match ctx.plan.pending(&key) {
        Some(value) => value.and_then(|bytes| number(bytes)).unwrap_or(0),
        None => match ctx.state.store().get(&key).await? {
            Some(entry) => {
                ctx.plan.require(Compare::unchanged(key.clone(), entry.mod_revision));
                number(&entry.value)
                    .ok_or_else(|| ApiError::internal(format!("the row {key} is not a number")))?
            }
            None => {
                ctx.plan.require(Compare::absent(key.clone()));
                count(ctx, project, resource).await?
            }
        },
    };
    if amount > 0 && used + amount > limit {
        return Err(ApiError::over_quota(format!(
            "quota limit ({limit}) exceeded for resource {resource} of project {}: {used} in use",
            loaded.object.fq_name
        )));
    }
    ctx.plan.op(Op::put(key, (used + amount).max(0).to_string()));
    Ok(())
}

/// Counts what is in the store; once, when a limit is first used.
async fn count(ctx: &Context<'_>, project: Uuid, resource: &str) -> Result<i64, ApiError> {
    let state = ctx.state;
    let under = |of| (ObjectType::Project, of);
    let (parents, object_type) = match resource {
        "subnet" => (vec![under(project)], ObjectType::VirtualNetwork),
        "security_group_rule" => (vec![under(project)], ObjectType::SecurityGroup),
        "floating_ip_pool" => {
            (members(ctx, project, ObjectType::VirtualNetwork).await?, ObjectType::FloatingIpPool)
        }
        "loadbalancer_member" => {
            (members(ctx, project, ObjectType::LoadbalancerPool).await?, ObjectType::LoadbalancerMember)
        }
        other => (vec![under(project)], other.parse()?),
    };
    let mut found = Vec::new();
    if object_type == ObjectType::FloatingIp {
        found = state.back_refs_of_type(under(project), object_type).await?;
    } else {
        for parent in parents {
            found.extend(state.children_of_type(parent, object_type).await?);
        }
    }
    let mut total = 0;
    for member in found {
        let Some(loaded) = state.load(object_type, member.uuid).await? else { continue };
        let uses = uses(ctx, &loaded.object).await?;
        let own = uses.iter().filter(|((of, name), _)| *of == project && *name == resource);
        total += own.map(|(_, amount)| amount).sum::<i64>();
    }
    Ok(total)
}

async fn members(
    ctx: &Context<'_>,
    project: Uuid,
    object_type: ObjectType,
) -> Result<Vec<(ObjectType, Uuid)>, ApiError> {
    let children = ctx.state.children_of_type((ObjectType::Project, project), object_type).await?;
    Ok(children.into_iter().map(|member| (member.object_type, member.uuid)).collect())
}

/// Of a project whose limits change, or that goes: counters that have no limit any more go too.
pub(super) fn limits_changed(ctx: &mut Context<'_>, new: Option<&Object>, old: &Object) {
    for resource in resources() {
        if limit(old, resource).is_some() && new.is_none_or(|new| limit(new, resource).is_none()) {
            ctx.plan.release(counter_key(old.uuid, resource));
        }
    }
}

/// Limits are numbers from -1 (unlimited) up.
pub(super) fn check(project: &Object) -> Result<(), ApiError> {
    let quota = prop(project, "quota");
    for (name, value) in quota.as_object().into_iter().flatten() {
        if value.as_i64().is_some_and(|limit| limit < -1) {
            return Err(ApiError::bad_request(format!("quota.{name} {value} is below -1 (unlimited)")));
        }
    }
    Ok(())
}

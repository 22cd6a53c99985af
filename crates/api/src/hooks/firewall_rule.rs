//! firewall-rule: what its ends and its service name becomes numbers and references (wire-facts 7).

use super::values::{at, items, prop, text};
use super::{Context, draft, protocols, tag, tag_type};
use crate::ApiError;
use crate::authz::Access;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use weft_model::{FqName, Object, ObjectType, Reference};

const ENDPOINTS: [&str; 2] = ["endpoint_1", "endpoint_2"];
/// Of these an end has one.
const KINDS: &[&str] = &["tags", "address_group", "virtual_network", "subnet", "any"];
/// The type both ends must agree on unless the rule says otherwise: application.
const DEFAULT_MATCH: i64 = 1;

pub(super) async fn put(
    ctx: &mut Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    draft::same_scope(
        new,
        &[ObjectType::AddressGroup, ObjectType::ServiceGroup, ObjectType::VirtualNetwork],
    )?;
    service(new)?;
    match_tags(ctx, new).await?;
    let (mut tags, mut groups) = (Refs::new(), Refs::new());
    for name in ENDPOINTS {
        endpoint(ctx, (new, old), name, &mut tags, &mut groups).await?;
    }
    system_references(ctx, new, old, ObjectType::Tag, tags, "tags")?;
    system_references(ctx, new, old, ObjectType::AddressGroup, groups, "address_group")
}

fn service(new: &mut Object) -> Result<(), ApiError> {
    let own = prop(new, "service").as_object().is_some_and(|service| !service.is_empty());
    match (own, new.refs_to(ObjectType::ServiceGroup).len()) {
        (true, 0) | (false, 1..) => {}
        (true, _) => {
            return Err(ApiError::bad_request(format!(
                "Firewall Rule {} cannot have both 'service' and service_group_refs",
                new.fq_name
            )));
        }
        (false, _) => {
            return Err(ApiError::bad_request(format!(
                "Firewall Rule {} requires 'service' or service_group_refs",
                new.fq_name
            )));
        }
    }
    match new.props.get_mut("service") {
        Some(service) => protocols::complete_service(service, "service"),
        None => Ok(()),
    }
}

/// The numbers of the types both ends must agree on.
async fn match_tags(ctx: &Context<'_>, new: &mut Object) -> Result<(), ApiError> {
    let mut ids = Vec::new();
    if prop(new, "match_tags").is_null() {
        ids.push(DEFAULT_MATCH);
    }
    for name in items(prop(new, "match_tags"), &["tag_list"]) {
        let name = name.as_str().unwrap_or_default().to_lowercase();
        if name == "label" {
            return Err(ApiError::bad_request("match_tags: labels not allowed as match-tags"));
        }
        let id = match tag_type::predefined(&name) {
            Some(id) => id,
            None => {
                let fq_name = FqName::new([name.clone()]);
                let missing = || ApiError::not_found(format!("match_tags: tag-type {name:?} does not exist"));
                let uuid = ctx.state.by_name(ObjectType::TagType, &fq_name).await?.ok_or_else(missing)?;
                tag_type::number(&ctx.state.require(ObjectType::TagType, uuid).await?.object)?
            }
        };
        ids.push(i64::try_from(id).unwrap_or(i64::MAX));
    }
    new.props.insert("match_tag_types".into(), json!({"tag_type": ids}));
    Ok(())
}

type Refs = BTreeMap<FqName, Reference>;

/// Checks one end; notes what it refers to.
async fn endpoint(
    ctx: &Context<'_>,
    (new, old): (&mut Object, Option<&Object>),
    name: &str,
    tags: &mut Refs,
    groups: &mut Refs,
) -> Result<(), ApiError> {
    let end = prop(new, name).clone();
    if !end.is_object() {
        return Ok(());
    }
    let given: Vec<&str> = KINDS.iter().copied().filter(|kind| is_given(at(&end, &[kind]))).collect();
    if given.len() > 1 {
        return Err(ApiError::bad_request(format!(
            "{name}: Endpoint is limited to only one endpoint type at a time, not {}",
            given.join(" and ")
        )));
    }
    let mut ids = Vec::new();
    for tag_name in items(&end, &["tags"]) {
        let (reference, id) = find_tag(ctx, (new, old), name, tag_name.as_str().unwrap_or_default()).await?;
        ids.push(id);
        tags.insert(reference.fq_name.clone(), reference);
    }
    ids.sort_unstable();
    ids.dedup();
    if let Some(Value::Object(end)) = new.props.get_mut(name) {
        if ids.is_empty() {
            end.remove("tag_ids");
        } else {
            end.insert("tag_ids".into(), json!(ids));
        }
    }
    if let Some(group) = text(&end, "address_group") {
        let fq_name = FqName::from(group);
        let missing = || {
            ApiError::not_found(format!("{name}.address_group: No Address Group object found for {group}"))
        };
        let uuid = ctx.target(ObjectType::AddressGroup, &fq_name, old).await?.ok_or_else(missing)?;
        groups.insert(fq_name.clone(), Reference { uuid, fq_name, attr: None });
    }
    if let Some(network) = text(&end, "virtual_network").filter(|network| *network != "any") {
        let fq_name = FqName::from(network);
        let held = old.and_then(|old| text(prop(old, name), "virtual_network")) == Some(network);
        if !held && ctx.named(ObjectType::VirtualNetwork, &fq_name, Access::READ).await?.is_none() {
            return Err(ApiError::bad_request(format!(
                "{name}.virtual_network: No Virtual Network object found for {network}"
            )));
        }
    }
    Ok(())
}

fn is_given(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// The tag an end names: `global:type=value` is a global one, `type=value` one of the rule's own scope.
async fn find_tag(
    ctx: &Context<'_>,
    (new, old): (&Object, Option<&Object>),
    end: &str,
    name: &str,
) -> Result<(Reference, u64), ApiError> {
    if !name.contains('=') {
        return Err(ApiError::not_found(format!("{end}.tags: Invalid tag name {name:?}")));
    }
    let fq_name = match name.strip_prefix("global:") {
        Some(global) => FqName::new([global]),
        None => {
            let mut parts = draft::scope(new);
            parts.push(name.to_owned());
            FqName(parts)
        }
    };
    let missing = || ApiError::not_found(format!("{end}.tags: tag {fq_name} does not exist"));
    let uuid = ctx.target(ObjectType::Tag, &fq_name, old).await?.ok_or_else(missing)?;
    let found = ctx.state.load(ObjectType::Tag, uuid).await?.ok_or_else(missing)?;
    let id = tag::number(&found.object)?;
    Ok((Reference { uuid, fq_name, attr: None }, id))
}

/// References that follow from the ends. A client may send them back as they are, and not set others.
fn system_references(
    ctx: &Context<'_>,
    new: &mut Object,
    old: Option<&Object>,
    to: ObjectType,
    wanted: Refs,
    field: &str,
) -> Result<(), ApiError> {
    let given: Refs = new.refs_to(to).iter().map(|r| (r.fq_name.clone(), r.clone())).collect();
    let held = old.is_some_and(|old| old.refs_to(to) == new.refs_to(to));
    let same = given.keys().eq(wanted.keys());
    if !(ctx.plan.system || held || same || old.is_none() && given.is_empty()) {
        return Err(ApiError::bad_request(format!(
            "Cannot directly define {} of Firewall Rule {}: use '{field}' of its endpoints",
            to.refs_field(),
            new.fq_name
        )));
    }
    if !same {
        new.refs.insert(to, wanted.into_values().collect());
        new.refs.retain(|_, list| !list.is_empty());
    }
    Ok(())
}

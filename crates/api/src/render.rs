//! From objects to the JSON clients read: computed fields, defaults, references with hrefs, children and back references.

use crate::authz::{self, Sight};
use crate::{ApiError, ApiState};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{Object, ObjectType, Reference, defaults};

/// What of an object is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// URL of the service, without trailing `/`.
    pub(crate) base: String,
    /// Whether hrefs are shown.
    pub(crate) hrefs: bool,
    /// Only these fields (and what is always there).
    pub(crate) fields: Option<BTreeSet<String>>,
    /// Whether children are shown (without `fields`).
    pub(crate) children: bool,
    /// Whether back references are shown (without `fields`).
    pub(crate) back_refs: bool,
    /// What may be named; everything without it.
    pub(crate) sight: Option<Arc<Sight>>,
}

impl View {
    /// This view for the next of several answers: what may be named is found out anew.
    pub(crate) fn renewed(&self) -> Self {
        Self { sight: self.sight.as_ref().map(|sight| sight.fresh()), ..self.clone() }
    }

    /// Whether an object may be named.
    pub(crate) async fn names(
        &self,
        state: &ApiState,
        object_type: ObjectType,
        uuid: Uuid,
    ) -> Result<bool, ApiError> {
        match &self.sight {
            Some(sight) => sight.sees_id(state, object_type, uuid).await,
            None => Ok(true),
        }
    }

    /// Whether an object at hand may be named.
    async fn shows(&self, state: &ApiState, object: &Object) -> Result<bool, ApiError> {
        match &self.sight {
            Some(sight) => sight.sees(state, object).await,
            None => Ok(true),
        }
    }

    /// The URL of an object.
    pub(crate) fn href(&self, object_type: ObjectType, uuid: Uuid) -> String {
        format!("{}/{}/{uuid}", self.base, object_type.name())
    }

    fn wants(&self, field: &str, without_fields: bool) -> bool {
        self.fields.as_ref().map_or(without_fields, |fields| fields.contains(field))
    }

    /// The few fields a list shows.
    pub(crate) fn summary(
        &self,
        object_type: ObjectType,
        uuid: Uuid,
        fq_name: &weft_model::FqName,
    ) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("uuid".into(), uuid.to_string().into());
        out.insert("fq_name".into(), json!(fq_name));
        if self.hrefs {
            out.insert("href".into(), self.href(object_type, uuid).into());
        }
        out
    }

    /// Identity, name and parent.
    pub(crate) fn head(&self, object: &Object) -> Map<String, Value> {
        let mut out = self.summary(object.object_type, object.uuid, &object.fq_name);
        out.insert("name".into(), object.fq_name.last().into());
        if let Some((parent_type, parent)) = object.parent {
            out.insert("parent_type".into(), parent_type.name().into());
            out.insert("parent_uuid".into(), parent.to_string().into());
            if self.hrefs {
                out.insert("parent_href".into(), self.href(parent_type, parent).into());
            }
        } else if object.object_type.info().parents.contains(&ObjectType::ConfigRoot) {
            out.insert("parent_type".into(), ObjectType::ConfigRoot.name().into());
        }
        out
    }

    /// One entry of `<type>_refs`, of a list of children or of back references.
    fn link(&self, to: ObjectType, reference: &Reference, with_attr: bool) -> Value {
        let mut out = json!({"to": reference.fq_name, "uuid": reference.uuid});
        if self.hrefs {
            out["href"] = self.href(to, reference.uuid).into();
        }
        if with_attr {
            out["attr"] = reference.attr.clone().unwrap_or(Value::Null);
        }
        out
    }

    /// The whole object as this view wants it.
    pub(crate) async fn object(
        &self,
        state: &ApiState,
        object: &Object,
    ) -> Result<Map<String, Value>, ApiError> {
        let mut out = self.head(object);
        self.properties(object, &mut out);
        self.references(state, object, &mut out).await?;
        let own = object.object_type.info();
        // Of the many types that could be there, only those that are cost a look.
        let children = self.present(state, object, Side::Children).await?;
        for child in own.children().filter(|t| t.info().derived || children.contains(t)) {
            if self.wants(child.children_field(), self.children) {
                self.add_children(state, object, child, &mut out).await?;
            }
        }
        let referrers = self.present(state, object, Side::BackRefs).await?;
        for from in own.referrers().filter(|t| t.info().derived || own.derived || referrers.contains(t)) {
            if self.wants(from.back_refs_field(), self.back_refs) {
                self.add_back_refs(state, object, from, &mut out).await?;
            }
        }
        Ok(out)
    }

    /// Types of the stored children or referrers an object has; none when none is wanted.
    async fn present(
        &self,
        state: &ApiState,
        object: &Object,
        side: Side,
    ) -> Result<BTreeSet<ObjectType>, ApiError> {
        let info = object.object_type.info();
        let wanted = match side {
            Side::Children => info.children().any(|t| self.wants(t.children_field(), self.children)),
            Side::BackRefs => info.referrers().any(|t| self.wants(t.back_refs_field(), self.back_refs)),
        };
        if !wanted {
            return Ok(BTreeSet::new());
        }
        let members = match side {
            Side::Children => state.children(object.object_type, object.uuid).await?,
            Side::BackRefs => state.back_refs(object.object_type, object.uuid).await?,
        };
        Ok(members.into_iter().map(|member| member.object_type).collect())
    }

    /// Appends `{"<type>": {..}}` with the object as this view wants it.
    pub(crate) async fn wrapped(
        &self,
        state: &ApiState,
        object: &Object,
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        let inner = self.object(state, object).await?;
        let outer = json!({object.object_type.name(): inner});
        serde_json::to_writer(out, &outer).map_err(|e| ApiError::internal(e.to_string()))
    }

    /// Properties, with defaults for absent ones.
    pub(crate) fn properties(&self, object: &Object, out: &mut Map<String, Value>) {
        out.insert("id_perms".into(), id_perms(object));
        out.insert("perms2".into(), perms2(object));
        if self.wants("display_name", true) {
            out.insert("display_name".into(), display_name(object));
        }
        for prop in object.object_type.info().all_props() {
            if out.contains_key(prop.name) || !self.wants(prop.name, !prop.system) {
                continue;
            }
            if let Some(value) = object.props.get(prop.name).cloned().or_else(|| prop.default_value()) {
                out.insert(prop.name.into(), value);
            }
        }
    }

    async fn references(
        &self,
        state: &ApiState,
        object: &Object,
        out: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        for (to, list) in &object.refs {
            if !self.wants(to.refs_field(), true) {
                continue;
            }
            for reference in list {
                if self.names(state, *to, reference.uuid).await? {
                    push(out, to.refs_field(), self.link(*to, reference, true));
                }
            }
        }
        let info = object.object_type.info();
        if !info.derived && info.refs.iter().any(|r| r.system && self.wants(r.to.refs_field(), true)) {
            let derived = state.derived_current().await?;
            for (to, reference) in derived.refs(object.object_type, object.uuid) {
                if self.wants(to.refs_field(), true) && self.names(state, to, reference.uuid).await? {
                    push(out, to.refs_field(), self.link(to, &reference, true));
                }
            }
        }
        Ok(())
    }

    async fn add_children(
        &self,
        state: &ApiState,
        object: &Object,
        child: ObjectType,
        out: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        if child.info().derived {
            let derived = state.derived_current().await?;
            for item in derived.children(object.uuid).iter().filter(|c| c.object_type == child) {
                let reference = Reference { uuid: item.uuid, fq_name: item.fq_name.clone(), attr: None };
                push(out, child.children_field(), self.link(child, &reference, false));
            }
            return Ok(());
        }
        for member in state.children_of_type((object.object_type, object.uuid), child).await? {
            if let Some(loaded) = state.load(child, member.uuid).await?
                && self.shows(state, &loaded.object).await?
            {
                let reference = Reference { uuid: member.uuid, fq_name: loaded.object.fq_name, attr: None };
                push(out, child.children_field(), self.link(child, &reference, false));
            }
        }
        Ok(())
    }

    async fn add_back_refs(
        &self,
        state: &ApiState,
        object: &Object,
        from: ObjectType,
        out: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let to = (object.object_type, object.uuid);
        for (item, attr) in back_references(state, to, from).await? {
            if !self.shows(state, &item).await? {
                continue;
            }
            let reference = Reference { uuid: item.uuid, fq_name: item.fq_name, attr };
            push(out, from.back_refs_field(), self.link(from, &reference, true));
        }
        Ok(())
    }
}

/// Which of the objects beside an object.
#[derive(Debug, Clone, Copy)]
enum Side {
    Children,
    BackRefs,
}

/// Objects of a type that refer to an object, with the attribute of the reference.
async fn back_references(
    state: &ApiState,
    to: (ObjectType, Uuid),
    from: ObjectType,
) -> Result<Vec<(Object, Option<Value>)>, ApiError> {
    let mut out = Vec::new();
    let attr_of =
        |object: &Object| object.refs_to(to.0).iter().find(|r| r.uuid == to.1).and_then(|r| r.attr.clone());
    if from.info().derived {
        let derived = state.derived_current().await?;
        let referrers = derived.derived_referrers(to.1).into_iter().filter(|(o, _)| o.object_type == from);
        return Ok(referrers.map(|(object, attr)| (object.as_ref().clone(), attr)).collect());
    }
    if to.0.info().derived {
        let referrers = state.derived_current().await?.stored_referrers(to.1);
        for (object_type, uuid, attr) in referrers.into_iter().filter(|r| r.0 == from) {
            out.extend(state.load(object_type, uuid).await?.map(|loaded| (loaded.object, attr)));
        }
    }
    for member in state.back_refs_of_type(to, from).await? {
        if let Some(loaded) = state.load(from, member.uuid).await? {
            let attr = attr_of(&loaded.object);
            out.push((loaded.object, attr));
        }
    }
    Ok(out)
}

/// Whether the compiler adds references to objects of this type.
pub(crate) fn has_derived_refs(object_type: ObjectType) -> bool {
    let info = object_type.info();
    !info.derived && info.refs.iter().any(|r| r.system)
}

/// Appends what is said of an object that is gone.
pub(crate) fn gone(object: &Object, out: &mut Vec<u8>) {
    let gone = json!({object.object_type.name(): {"uuid": object.uuid, "fq_name": object.fq_name}});
    out.extend_from_slice(gone.to_string().as_bytes());
}

fn push(out: &mut Map<String, Value>, field: &str, item: Value) {
    let list = out.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.push(item);
    }
}

/// The display name; the last part of the name unless another was given.
pub(crate) fn display_name(object: &Object) -> Value {
    object.props.get("display_name").cloned().unwrap_or_else(|| object.fq_name.last().into())
}

/// `id_perms` in full: only what differs from the ordinary is stored.
pub(crate) fn id_perms(object: &Object) -> Value {
    let (high, low) = object.uuid.as_u64_pair();
    let mut out = json!({
        "enable": true, "user_visible": true, "description": null, "creator": null, "created": null, "last_modified": null,
        "uuid": {"uuid_mslong": high, "uuid_lslong": low},
        "permissions": {"owner": defaults::OWNER, "owner_access": 7, "group": defaults::OWNER_GROUP,
                        "group_access": 7, "other_access": 7},
    });
    overlay(&mut out, object.props.get("id_perms"));
    out
}

/// `perms2` in full.
pub(crate) fn perms2(object: &Object) -> Value {
    authz::rendered(object)
}

fn overlay(base: &mut Value, stored: Option<&Value>) {
    if let (Value::Object(base), Some(Value::Object(stored))) = (base, stored) {
        base.extend(stored.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// When the object last changed: the entity tag.
pub(crate) fn last_modified(object: &Object) -> &str {
    let time = object.props.get("id_perms").and_then(|p| p.get("last_modified"));
    time.and_then(Value::as_str).unwrap_or_default()
}

//! From objects to the JSON clients read: computed fields, defaults, references with hrefs, children and back references.

use crate::authz::{self, Sight};
use crate::members::Members;
use crate::{ApiError, ApiState};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType, Reference, defaults};

/// Fields that are written before the properties of the type.
const WRITTEN_BEFORE: &[&str] = &[
    "uuid",
    "fq_name",
    "href",
    "name",
    "parent_type",
    "parent_uuid",
    "parent_href",
    "id_perms",
    "perms2",
    "display_name",
];
/// `id_perms.permissions`, which nobody looks at any more.
static PERMISSIONS: LazyLock<String> = LazyLock::new(|| {
    json!({"owner": defaults::OWNER, "owner_access": 7, "group": defaults::OWNER_GROUP,
           "group_access": 7, "other_access": 7})
    .to_string()
});

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

    /// Begins an object with the few fields a list shows.
    fn summary<'a>(
        &self,
        (object_type, uuid): (ObjectType, Uuid),
        fq_name: &FqName,
        out: &'a mut Vec<u8>,
    ) -> Members<'a> {
        let mut members = Members::new(out);
        members.field("uuid", &uuid);
        members.field("fq_name", fq_name);
        if self.hrefs {
            self.write_href("href", (object_type, uuid), &mut members);
        }
        members
    }

    /// Appends the few fields a list shows.
    pub(crate) fn brief(&self, target: (ObjectType, Uuid), fq_name: &FqName, out: &mut Vec<u8>) {
        self.summary(target, fq_name, out).end();
    }

    /// Begins an object with identity, name and parent.
    pub(crate) fn head<'a>(&self, object: &Object, out: &'a mut Vec<u8>) -> Members<'a> {
        let mut members = self.summary((object.object_type, object.uuid), &object.fq_name, out);
        members.field("name", object.fq_name.last());
        if let Some((parent_type, parent)) = object.parent {
            members.field("parent_type", parent_type.name());
            members.field("parent_uuid", &parent);
            if self.hrefs {
                self.write_href("parent_href", (parent_type, parent), &mut members);
            }
        } else if object.object_type.info().parents.contains(&ObjectType::ConfigRoot) {
            members.field("parent_type", ObjectType::ConfigRoot.name());
        }
        members
    }

    fn write_href(&self, name: &str, target: (ObjectType, Uuid), members: &mut Members<'_>) {
        members.field(name, &format_args!("{}/{}/{}", self.base, target.0.name(), target.1));
    }

    /// One entry of `<type>_refs`, of a list of children or of back references; those of back references and references
    /// have an attribute, `null` or not.
    fn link(&self, to: ObjectType, link: &Link<'_>, out: &mut Vec<u8>) {
        let mut members = Members::new(out);
        members.field("to", link.fq_name);
        members.field("uuid", &link.uuid);
        if self.hrefs {
            self.write_href("href", (to, link.uuid), &mut members);
        }
        if let Some(attr) = link.attr {
            members.field("attr", &attr);
        }
        members.end();
    }

    /// Writes a list of links, unless it is empty.
    fn links<'l>(
        &self,
        field: &str,
        to: ObjectType,
        links: impl Iterator<Item = Link<'l>>,
        members: &mut Members<'_>,
    ) {
        let mut links = links.peekable();
        if links.peek().is_none() {
            return;
        }
        let out = members.name(field);
        let mut before = b'[';
        for link in links {
            out.push(before);
            before = b',';
            self.link(to, &link, out);
        }
        out.push(b']');
    }

    /// Appends the whole object as this view wants it.
    pub(crate) async fn object(
        &self,
        state: &ApiState,
        object: &Object,
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        let mut members = self.head(object, out);
        self.properties(object, &mut members);
        self.references(state, object, &mut members).await?;
        let own = object.object_type.info();
        // Of the many types that could be there, only those that are cost a look.
        let children = self.present(state, object, Side::Children).await?;
        for child in own.children().filter(|t| t.info().derived || children.contains(t)) {
            if self.wants(child.children_field(), self.children) {
                self.add_children(state, object, child, &mut members).await?;
            }
        }
        let referrers = self.present(state, object, Side::BackRefs).await?;
        for from in own.referrers().filter(|t| t.info().derived || own.derived || referrers.contains(t)) {
            if self.wants(from.back_refs_field(), self.back_refs) {
                self.add_back_refs(state, object, from, &mut members).await?;
            }
        }
        members.end();
        Ok(())
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
        let mut outer = Members::new(out);
        self.object(state, object, outer.name(object.object_type.name())).await?;
        outer.end();
        Ok(())
    }

    /// Properties, with defaults for absent ones.
    fn properties(&self, object: &Object, members: &mut Members<'_>) {
        write_id_perms(object, members.name("id_perms"));
        authz::write_perms2(object, members.name("perms2"));
        if self.wants("display_name", true) {
            match object.props.get("display_name") {
                Some(name) => members.field("display_name", name),
                None => members.field("display_name", object.fq_name.last()),
            }
        }
        for prop in object.object_type.info().all_props() {
            if WRITTEN_BEFORE.contains(&prop.name) || !self.wants(prop.name, !prop.system) {
                continue;
            }
            match (object.props.get(prop.name), prop.default) {
                (Some(value), _) => members.field(prop.name, value),
                (None, Some(text)) => members.raw(prop.name, text),
                (None, None) => {}
            }
        }
    }

    async fn references(
        &self,
        state: &ApiState,
        object: &Object,
        members: &mut Members<'_>,
    ) -> Result<(), ApiError> {
        let mut derived: Vec<(ObjectType, Reference)> = Vec::new();
        let info = object.object_type.info();
        if !info.derived && info.refs.iter().any(|r| r.system && self.wants(r.to.refs_field(), true)) {
            let current = state.derived_current().await?;
            derived = current.refs(object.object_type, object.uuid);
        }
        let types: BTreeSet<ObjectType> =
            object.refs.keys().copied().chain(derived.iter().map(|(to, _)| *to)).collect();
        for to in types {
            if !self.wants(to.refs_field(), true) {
                continue;
            }
            let added = derived.iter().filter(|(t, _)| *t == to).map(|(_, reference)| reference);
            let mut shown = Vec::new();
            for reference in object.refs_to(to).iter().chain(added) {
                if self.names(state, to, reference.uuid).await? {
                    shown.push(Link::with_attr(reference));
                }
            }
            self.links(to.refs_field(), to, shown.into_iter(), members);
        }
        Ok(())
    }

    async fn add_children(
        &self,
        state: &ApiState,
        object: &Object,
        child: ObjectType,
        members: &mut Members<'_>,
    ) -> Result<(), ApiError> {
        let mut shown: Vec<(Uuid, FqName)> = Vec::new();
        if child.info().derived {
            let derived = state.derived_current().await?.children(object.uuid);
            let derived = derived.iter().filter(|c| c.object_type == child);
            shown.extend(derived.map(|c| (c.uuid, c.fq_name.clone())));
        } else {
            for member in state.children_of_type((object.object_type, object.uuid), child).await? {
                if let Some(loaded) = state.load(child, member.uuid).await?
                    && self.shows(state, &loaded.object).await?
                {
                    shown.push((member.uuid, loaded.object.fq_name));
                }
            }
        }
        let links = shown.iter().map(|(uuid, fq_name)| Link { uuid: *uuid, fq_name, attr: None });
        self.links(child.children_field(), child, links, members);
        Ok(())
    }

    async fn add_back_refs(
        &self,
        state: &ApiState,
        object: &Object,
        from: ObjectType,
        members: &mut Members<'_>,
    ) -> Result<(), ApiError> {
        let to = (object.object_type, object.uuid);
        let mut shown = Vec::new();
        for (item, attr) in back_references(state, to, from).await? {
            if self.shows(state, &item).await? {
                shown.push((item.uuid, item.fq_name, attr));
            }
        }
        let links = shown.iter().map(|(uuid, fq_name, attr)| Link {
            uuid: *uuid,
            fq_name,
            attr: Some(attr.as_ref()),
        });
        self.links(from.back_refs_field(), from, links, members);
        Ok(())
    }
}

/// Another object, as it is named by one that is shown.
struct Link<'a> {
    uuid: Uuid,
    fq_name: &'a FqName,
    /// `None`: links of this kind have no attribute.
    attr: Option<Option<&'a Value>>,
}

impl<'a> Link<'a> {
    fn with_attr(reference: &'a Reference) -> Self {
        Self { uuid: reference.uuid, fq_name: &reference.fq_name, attr: Some(reference.attr.as_ref()) }
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

/// The display name; the last part of the name unless another was given.
pub(crate) fn display_name(object: &Object) -> Value {
    object.props.get("display_name").cloned().unwrap_or_else(|| object.fq_name.last().into())
}

/// `id_perms` in full: only what differs from the ordinary is stored.
pub(crate) fn id_perms(object: &Object) -> Value {
    let mut out = Vec::new();
    write_id_perms(object, &mut out);
    serde_json::from_slice(&out).unwrap_or_default()
}

fn write_id_perms(object: &Object, out: &mut Vec<u8>) {
    let (high, low) = object.uuid.as_u64_pair();
    let uuid = format!("{{\"uuid_mslong\":{high},\"uuid_lslong\":{low}}}");
    let ordinary = [
        ("created", "null"),
        ("creator", "null"),
        ("description", "null"),
        ("enable", "true"),
        ("last_modified", "null"),
        ("permissions", PERMISSIONS.as_str()),
        ("user_visible", "true"),
        ("uuid", uuid.as_str()),
    ];
    Members::new(out).overlaid(&ordinary, object.props.get("id_perms").and_then(Value::as_object));
}

/// `perms2` in full.
pub(crate) fn perms2(object: &Object) -> Value {
    authz::rendered(object)
}

/// When the object last changed: the entity tag.
pub(crate) fn last_modified(object: &Object) -> &str {
    let time = object.props.get("id_perms").and_then(|p| p.get("last_modified"));
    time.and_then(Value::as_str).unwrap_or_default()
}

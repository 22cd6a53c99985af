//! `perms2`: what the owner, those it is shared with, and everybody may do with an object (wire-facts 1.2, 2.3). Pure.

use crate::members::Members;
use serde_json::{Value, json};
use uuid::Uuid;
use weft_model::{Object, ObjectType, defaults};

/// What may be done with an object, as bits: 4 read, 2 write, 1 link (be referred to).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Access(u8);

impl Access {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const LINK: Self = Self(1);
    pub(crate) const WRITE: Self = Self(2);
    pub(crate) const READ: Self = Self(4);
    pub(crate) const READ_WRITE: Self = Self(6);
    pub(crate) const ALL: Self = Self(7);

    /// The bits of a stored number; what is not a number of 0 to 7 allows nothing.
    pub(crate) fn from_value(value: &Value) -> Self {
        let bits = value.as_u64().and_then(|bits| u8::try_from(bits).ok());
        Self(bits.filter(|bits| *bits <= Self::ALL.0).unwrap_or(0))
    }

    /// Whether all of `wanted` is allowed.
    pub(crate) fn allows(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `RWX` and the like, as `obj-perms` answers.
    pub(crate) fn letters(self) -> String {
        [(Self::READ, 'R'), (Self::WRITE, 'W'), (Self::LINK, 'X')]
            .into_iter()
            .filter_map(|(bit, letter)| self.allows(bit).then_some(letter))
            .collect()
    }

    /// For messages.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::READ => "read",
            Self::WRITE => "write",
            Self::LINK => "link to",
            _ => "change the permissions of",
        }
    }
}

/// Where somebody acts: what owners and shares are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Scope {
    pub(crate) project: Option<Uuid>,
    pub(crate) domain: Option<Uuid>,
}

/// Whom a share is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tenant {
    Project(Uuid),
    Domain(Uuid),
}

impl Tenant {
    /// `<uuid>`, `tenant:<uuid>` or `domain:<uuid>`, the uuid with or without dashes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => project_id(text).map(Self::Project),
            Some(("tenant", id)) => project_id(id).map(Self::Project),
            Some(("domain", id)) => project_id(id).map(Self::Domain),
            Some(_) => None,
        }
    }

    fn holds(self, scope: Scope) -> bool {
        match self {
            Self::Project(id) => scope.project == Some(id),
            Self::Domain(id) => scope.domain == Some(id),
        }
    }
}

/// A project's or domain's id as 32 hex digits, or with dashes; nothing else (no braces, no URN).
pub(crate) fn project_id(text: &str) -> Option<Uuid> {
    matches!(text.len(), 32 | 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// The owner of an object; `None` if no project owns it.
pub(crate) fn owner(object: &Object) -> Option<Uuid> {
    match stored(object, "owner").and_then(Value::as_str) {
        Some(text) => project_id(text),
        None => (object.object_type == ObjectType::Project).then_some(object.uuid),
    }
}

/// What somebody in `scope` may do by owning the object or being one it is shared with.
pub(crate) fn personal(object: &Object, scope: Scope) -> Access {
    let mut access = Access::NONE;
    if scope.project.is_some() && owner(object) == scope.project {
        access = stored(object, "owner_access").map_or(Access::ALL, Access::from_value);
    }
    match stored(object, "share").and_then(Value::as_array) {
        Some(share) => {
            for item in share {
                let tenant = item.get("tenant").and_then(Value::as_str).and_then(Tenant::parse);
                if tenant.is_some_and(|tenant| tenant.holds(scope)) {
                    access = access.and(item.get("tenant_access").map_or(Access::NONE, Access::from_value));
                }
            }
        }
        // Members of a domain may see it and make projects in it, unless it says otherwise.
        None if object.object_type == ObjectType::Domain && scope.domain == Some(object.uuid) => {
            access = access.and(Access::READ_WRITE);
        }
        None => {}
    }
    access
}

/// What everybody may do.
pub(crate) fn global(object: &Object) -> Access {
    stored(object, "global_access").map_or_else(|| implied_global(object), Access::from_value)
}

/// What somebody in `scope` may do with an object that has permissions of its own (not a derived one).
pub(crate) fn granted(object: &Object, scope: Scope) -> Access {
    personal(object, scope).and(global(object))
}

/// Whether ordinary users may know of the object (`id_perms.user_visible`).
pub(crate) fn user_visible(object: &Object) -> bool {
    let perms = object.props.get("id_perms");
    perms.and_then(|p| p.get("user_visible")) != Some(&Value::Bool(false))
}

/// `perms2` in full: what is not stored has its ordinary value.
pub(crate) fn rendered(object: &Object) -> Value {
    let mut out = Vec::new();
    write(object, &mut out);
    serde_json::from_slice(&out).unwrap_or_default()
}

/// Appends `perms2` in full.
pub(crate) fn write(object: &Object, out: &mut Vec<u8>) {
    let owner = match object.object_type {
        ObjectType::Project => format!("\"{}\"", object.uuid.as_simple()),
        _ => format!("\"{}\"", defaults::OWNER),
    };
    let share = match object.object_type {
        ObjectType::Domain => json!([{
            "tenant": format!("domain:{}", object.uuid), "tenant_access": Access::READ_WRITE.0,
        }])
        .to_string(),
        _ => "[]".to_owned(),
    };
    let global = implied_global(object).0.to_string();
    let ordinary = [
        ("global_access", global.as_str()),
        ("owner", owner.as_str()),
        ("owner_access", "7"),
        ("share", share.as_str()),
    ];
    Members::new(out).overlaid(&ordinary, object.props.get("perms2").and_then(Value::as_object));
}

/// Access for all of objects written before they said so themselves: a shared network is open, an external one may be
/// seen and linked to.
fn implied_global(object: &Object) -> Access {
    let set = |name: &str| object.props.get(name) == Some(&Value::Bool(true));
    match (set("is_shared"), set("router_external")) {
        (true, _) => Access::ALL,
        (false, true) => Access::READ.and(Access::LINK),
        (false, false) => Access::NONE,
    }
}

fn stored<'a>(object: &'a Object, field: &str) -> Option<&'a Value> {
    object.props.get("perms2")?.get(field).filter(|value| !value.is_null())
}

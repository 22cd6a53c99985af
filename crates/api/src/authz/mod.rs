//! Who may do what (wire-facts 2.3; docs/adr/0040-authorisation.md).
//!
//! Three questions, in this order:
//! 1. **May this caller ask at all?** By mode ([`AaaMode`]): nobody is asked; only administrators; or the rules of
//!    api-access-lists by role and type (`rbac`). `guard` asks it before a handler runs. An action it does not know is
//!    for administrators: a new one is closed until it checks the objects it touches.
//! 2. **May the caller do this with this object?** By `perms2` of the object (`perms`, `visibility`): handlers ask, with
//!    the [`Caller`] they extract, about the very revision they show or write.
//! 3. **What else would the answer tell?** References to, children of and referrers from objects the caller may not read
//!    are left out, and a refusal never says more about an object than the caller said itself.
//!
//! Administrators are recognised before any of this and cost nothing.

pub(crate) mod actions;
mod caller;
mod guard;
mod ownership;
mod perms;
mod policy;
mod rbac;
pub(crate) mod standard;
#[cfg(test)]
mod tests;
mod visibility;

pub(crate) use caller::Caller;
pub(crate) use guard::admit;
pub(crate) use ownership::{complete, update};
pub(crate) use perms::{Access, rendered, write as write_perms2};
pub(crate) use policy::Policy;
pub(crate) use rbac::Operation;
pub(crate) use visibility::{Sight, by_name, deletes, may, require, sees, target, writes};

use std::fmt;
use std::str::FromStr;

/// How it is decided who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AaaMode {
    /// Everybody may do everything.
    NoAuth,
    /// Only holders of the administrator's role may do anything.
    CloudAdmin,
    /// By the rules of api-access-lists and the permissions of objects.
    #[default]
    Rbac,
}

impl AaaMode {
    /// The name in requests, options and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoAuth => "no-auth",
            Self::CloudAdmin => "cloud-admin",
            Self::Rbac => "rbac",
        }
    }
}

impl fmt::Display for AaaMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AaaMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::NoAuth, Self::CloudAdmin, Self::Rbac];
        let found = all.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!("aaa-mode {text:?} is not no-auth, cloud-admin or rbac")
        })
    }
}

/// What an installation is configured with. A mode set by `PUT /aaa-mode` is kept in the store and goes before `mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authz {
    /// The mode until another is set.
    pub mode: AaaMode,
    /// Holders of this role may do everything.
    pub cloud_admin_role: String,
    /// Holders of this role may read everything.
    pub global_read_only_role: Option<String>,
}

impl Default for Authz {
    fn default() -> Self {
        Self {
            mode: AaaMode::default(),
            cloud_admin_role: weft_auth::DEFAULT_ADMIN_ROLE.into(),
            global_read_only_role: None,
        }
    }
}

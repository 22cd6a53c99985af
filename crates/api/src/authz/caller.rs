//! Who makes the request, as far as decisions go.

use super::perms::{Access, Scope};
use super::rbac::{Operation, RuleSet};
use super::{AaaMode, perms};
use crate::{ApiError, ApiState};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::sync::{Arc, LazyLock};
use weft_auth::Identity;
use weft_model::{Object, ObjectType};

/// Who makes a request. Put into it by the guard; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None`: may do everything.
    limits: Option<Limits>,
    scope: Scope,
    identity: Arc<Identity>,
}

#[derive(Debug)]
struct Limits {
    /// Whether everything may be read.
    reads_all: bool,
    /// `None`: nothing may be done at all, whatever the rules.
    rules: Option<Arc<RuleSet>>,
}

static INTERNAL: LazyLock<Caller> = LazyLock::new(|| {
    let identity = Arc::new(Identity::internal());
    Caller(Arc::new(Inner { limits: None, scope: Scope::default(), identity }))
});

impl Caller {
    /// The service itself: may do everything.
    pub(crate) fn internal() -> Self {
        INTERNAL.clone()
    }

    /// The caller an identity is under the policy in force.
    ///
    /// # Errors
    /// If the store can not be read.
    pub(crate) async fn of(state: &ApiState, identity: &Arc<Identity>) -> Result<Self, ApiError> {
        let authz = state.policy().configured();
        let mut scope = Scope { project: identity.project_id, domain: identity.domain_id };
        let all = |scope| Self(Arc::new(Inner { limits: None, scope, identity: Arc::clone(identity) }));
        if identity.is_admin(&authz.cloud_admin_role) {
            return Ok(all(scope));
        }
        let mode = state.aaa_mode().await?;
        if mode == AaaMode::NoAuth {
            return Ok(all(scope));
        }
        if let (Some(project), None) = (scope.project, scope.domain) {
            let project = state.load(ObjectType::Project, project).await?;
            scope.domain = project.and_then(|loaded| loaded.object.parent).map(|(_, domain)| domain);
        }
        let reads = |role: &String| identity.has_role(role);
        let reads_all = mode == AaaMode::Rbac && authz.global_read_only_role.as_ref().is_some_and(reads);
        let rules = match mode {
            AaaMode::Rbac => Some(state.policy().rules(state.store(), scope.domain, scope.project).await?),
            AaaMode::NoAuth | AaaMode::CloudAdmin => None,
        };
        let limits = Some(Limits { reads_all, rules });
        Ok(Self(Arc::new(Inner { limits, scope, identity: Arc::clone(identity) })))
    }

    /// Whether everything is allowed.
    pub(crate) fn is_admin(&self) -> bool {
        self.0.limits.is_none()
    }

    /// Whether everything may be read.
    pub(crate) fn reads_all(&self) -> bool {
        self.0.limits.as_ref().is_none_or(|limits| limits.reads_all)
    }

    pub(crate) fn scope(&self) -> Scope {
        self.0.scope
    }

    /// The identity, to decide anew later.
    pub(crate) fn shared_identity(&self) -> Arc<Identity> {
        Arc::clone(&self.0.identity)
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// What the caller may do with an object that has permissions of its own.
    pub(crate) fn granted(&self, object: &Object) -> Access {
        if self.is_admin() {
            return Access::ALL;
        }
        let read = if self.reads_all() { Access::READ } else { Access::NONE };
        perms::granted(object, self.scope()).and(read)
    }

    /// Whether the caller may change who may do what with an object: not by what everybody may do, or the whole world
    /// could take over a shared network.
    pub(crate) fn governs(&self, object: &Object) -> bool {
        self.is_admin() || perms::personal(object, self.scope()).allows(Access::READ_WRITE)
    }

    /// Whether the caller owns the object, or may do everything.
    pub(crate) fn owns(&self, object: &Object) -> bool {
        let project = self.scope().project;
        self.is_admin() || project.is_some() && perms::owner(object) == project
    }

    /// Whether single fields of the object, a type or action, have rules for the caller.
    pub(crate) fn has_field_rules(&self, object: &str) -> bool {
        let rules = self.0.limits.as_ref().and_then(|limits| limits.rules.as_ref());
        rules.is_some_and(|rules| rules.has_field_rules(object))
    }

    /// Refuses what the mode or the rules do not allow. `object` is a type or an action, `fields` what is written of it.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn allowed<'a>(
        &self,
        operation: Operation,
        object: &str,
        fields: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), ApiError> {
        let Some(limits) = &self.0.limits else { return Ok(()) };
        let Some(rules) = &limits.rules else {
            return Err(ApiError::forbidden("Permission denied: only administrators may do anything here"));
        };
        let roles = &self.0.identity.roles;
        let reads = limits.reads_all && operation == Operation::Read;
        if reads || rules.allows(roles, operation, object, fields) {
            return Ok(());
        }
        let message = format!(
            "Permission denied: no rule lets {} with roles {roles:?} {} {object}",
            self.0.identity.user,
            operation.verb()
        );
        Err(ApiError::forbidden(message))
    }

    /// Refuses everybody but administrators.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn admin_only(&self) -> Result<(), ApiError> {
        if self.is_admin() {
            return Ok(());
        }
        Err(ApiError::forbidden("Permission denied: only administrators may do this"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::internal("a request has passed no guard"))
    }
}

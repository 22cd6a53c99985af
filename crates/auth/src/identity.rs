//! Somebody who makes requests.

use uuid::Uuid;

/// The role whose holders may do everything, unless configured otherwise (wire-facts 2.3).
pub const DEFAULT_ADMIN_ROLE: &str = "admin";

/// How somebody showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityKind {
    /// Over a unix socket of this machine, or nobody is asked (`--auth none`).
    Local,
    /// By a token that this installation issued.
    Token,
    /// By a Keystone token.
    Keystone,
    /// By a token of an OpenID Connect issuer.
    Oidc,
    /// Weft itself.
    Internal,
}

impl IdentityKind {
    /// The name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Token => "token",
            Self::Keystone => "keystone",
            Self::Oidc => "oidc",
            Self::Internal => "internal",
        }
    }
}

/// Who makes a request, as established by authentication. Never built from what a client says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the user or token.
    pub user: String,
    /// The user's id where it came from; Keystone's are 32 hex digits.
    pub user_id: Option<String>,
    /// The project the request is made in; it owns what is created.
    pub project_id: Option<Uuid>,
    /// That project's name.
    pub project_name: Option<String>,
    /// The domain of the project, else of the user.
    pub domain_id: Option<Uuid>,
    /// Role names, as given.
    pub roles: Vec<String>,
    /// How this was established.
    pub kind: IdentityKind,
}

impl Identity {
    /// Weft itself: may do everything.
    pub fn internal() -> Self {
        Self::powerful("weft", IdentityKind::Internal)
    }

    /// Somebody on this machine with the rights of the process, or anybody where nobody is asked: may do everything.
    pub fn local(user: impl Into<String>) -> Self {
        Self::powerful(user, IdentityKind::Local)
    }

    /// Somebody who showed nothing: may read what is open to all.
    pub fn anonymous() -> Self {
        let powerless = Self::powerful("anonymous", IdentityKind::Token);
        Self { roles: Vec::new(), ..powerless }
    }

    fn powerful(user: impl Into<String>, kind: IdentityKind) -> Self {
        Self {
            user: user.into(),
            user_id: None,
            project_id: None,
            project_name: None,
            domain_id: None,
            roles: vec![DEFAULT_ADMIN_ROLE.to_owned()],
            kind,
        }
    }

    /// Whether everything is allowed: weft itself, somebody local, or a holder of the role. Role names are compared
    /// without regard to case, as Keystone does.
    pub fn is_admin(&self, cloud_admin_role: &str) -> bool {
        matches!(self.kind, IdentityKind::Internal | IdentityKind::Local) || self.has_role(cloud_admin_role)
    }

    /// Whether the identity holds a role, without regard to case.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r.eq_ignore_ascii_case(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_do_everything() {
        let member = |kind| Identity { roles: vec!["Member".into()], kind, ..Identity::internal() };
        assert!(member(IdentityKind::Internal).is_admin("admin"));
        assert!(member(IdentityKind::Local).is_admin("admin"));
        for kind in [IdentityKind::Token, IdentityKind::Keystone, IdentityKind::Oidc] {
            assert!(!member(kind).is_admin("admin"));
            assert!(member(kind).is_admin("member"));
        }
    }
}

//! Getting a token, and finding out whether a server takes it.

use serde_json::{Value, json};

use crate::config::{Context, Secret};
use crate::{Access, ClientError, Endpoint, HttpClient};

/// What a user is known by to Keystone. All names, no ids.
#[derive(Debug, Clone)]
pub struct Keystone {
    /// Where Keystone is, with or without `/v3` at the end.
    pub url: String,
    /// User.
    pub user: String,
    /// Project that the token is for.
    pub project: String,
    /// Domain of both.
    pub domain: String,
    /// The user's password.
    pub password: Secret,
}

/// A token with what is known of it.
#[derive(Debug, Clone)]
pub struct Login {
    /// The token.
    pub token: Secret,
    /// Who it is, for the user to read.
    pub user: Option<String>,
    /// When it ends (ISO 8601), if that was said.
    pub expires: Option<String>,
}

/// Asks Keystone (v3) for a token; `access` says how its certificate is judged.
///
/// # Errors
/// When it cannot be reached, refuses, or answers without a token.
pub async fn keystone(login: &Keystone, access: &Access) -> Result<Login, ClientError> {
    let base = login.url.trim_end_matches('/');
    let base = base.strip_suffix("/v3").unwrap_or(base);
    let endpoint: Endpoint = base.parse()?;
    let http = HttpClient::with_access(endpoint, &Access { token: None, ..access.clone() })?;
    let answer = http.post_for_header("/v3/auth/tokens", &question(login), "x-subject-token").await;
    let (answer, token) = answer.map_err(|e| refused(login, e))?;
    let token = token.as_deref().and_then(Secret::new);
    let token = token.ok_or_else(|| ClientError::Login(format!("{}: Keystone gave no token", login.url)))?;
    let expires = answer.pointer("/token/expires_at").and_then(Value::as_str).map(str::to_owned);
    Ok(Login { token, user: Some(format!("{} in project {}", login.user, login.project)), expires })
}

fn question(login: &Keystone) -> Value {
    let domain = json!({"name": login.domain});
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": login.user, "domain": domain, "password": login.password.reveal()}}},
        "scope": {"project": {"name": login.project, "domain": domain}},
    }})
}

/// Keystone's errors are JSON; only the message in them is for people.
fn refused(login: &Keystone, error: ClientError) -> ClientError {
    match error {
        ClientError::Status { status, message, .. } => {
            let parsed: Option<Value> = serde_json::from_str(&message).ok();
            let inner = parsed.as_ref().and_then(|v| v.pointer("/error/message")).and_then(Value::as_str);
            let reason = inner.unwrap_or(&message);
            let Keystone { user, project, domain, url, .. } = login;
            ClientError::Login(format!(
                "Keystone at {url} refuses user {user}, project {project}, domain {domain}: {reason} ({status})"
            ))
        }
        other => other,
    }
}

/// What a server thinks of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is known and may list objects.
    Welcome,
    /// It is known, but may not even list objects.
    Powerless,
    /// The server asks nobody who they are: any token would do.
    AnyToken,
}

/// Asks the server of a context what it thinks of its token.
///
/// # Errors
/// [`ClientError::Login`] when the token is refused; when the server cannot be reached.
pub async fn verify(context: &Context) -> Result<Verdict, ClientError> {
    let ask = |http: HttpClient| async move { http.get("/domains", &[("count", "true")]).await };
    match ask(context.client()?).await {
        Ok(_) => {}
        Err(ClientError::Status { status: 401, message, .. }) => {
            let server = &context.server;
            return Err(ClientError::Login(format!("{server} refuses the token: {message}")));
        }
        Err(ClientError::Status { status: 403, .. }) => return Ok(Verdict::Powerless),
        Err(other) => return Err(other),
    }
    let anybody = Access { token: None, ..context.access() };
    match ask(HttpClient::with_access(context.server.clone(), &anybody)?).await {
        Ok(_) => Ok(Verdict::AnyToken),
        Err(_) => Ok(Verdict::Welcome),
    }
}

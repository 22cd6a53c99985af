//! The authentication file of a controller (`--auth-config FILE`, YAML; docs/authentication.md has an example).

use crate::AuthError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Who is believed beside the tokens of this installation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Tokens of a Keystone.
    #[serde(default)]
    pub keystone: Option<KeystoneConfig>,
    /// JWTs of OpenID Connect issuers.
    #[serde(default)]
    pub oidc: Vec<OidcConfig>,
}

/// How to ask a Keystone.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeystoneConfig {
    /// Identity API, `https://HOST:5000/v3`; several are tried in order.
    pub endpoints: Vec<String>,
    /// A user who may validate tokens (role `service` or `admin`).
    pub username: String,
    /// Domain of that user.
    #[serde(default = "default_domain")]
    pub user_domain: String,
    /// File with the password, without the line end.
    pub password_file: PathBuf,
    /// Project of that user.
    #[serde(default = "service")]
    pub project: String,
    /// Domain of that project.
    #[serde(default = "default_domain")]
    pub project_domain: String,
    /// Certificates to trust in addition to the system's (PEM).
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Longest wait for one answer, seconds.
    #[serde(default = "five")]
    pub timeout: u64,
    /// How long a good token is believed without asking again, seconds: a revocation takes effect within this time.
    #[serde(default = "sixty")]
    pub cache: u64,
}

impl std::fmt::Debug for KeystoneConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeystoneConfig").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// An issuer of JWTs, and what its claims mean.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The issuer's URL, exactly as in its tokens (`iss`); https unless on loopback.
    pub issuer: String,
    /// What tokens must be made for (`aud`).
    pub audience: String,
    /// Claim with the user's name; `a.b` goes into objects, here and below.
    #[serde(default = "preferred_username")]
    pub user_claim: String,
    /// Claim with roles: a list, or a text with spaces between.
    #[serde(default = "roles")]
    pub roles_claim: String,
    /// What roles (groups) of the issuer mean here; if given, others mean nothing.
    #[serde(default)]
    pub role_map: BTreeMap<String, String>,
    /// Claim with the project's uuid.
    #[serde(default = "project_id")]
    pub project_claim: String,
    /// Claim with the project's name.
    #[serde(default = "project_name")]
    pub project_name_claim: String,
    /// Claim with the domain's uuid.
    #[serde(default = "domain_id")]
    pub domain_claim: String,
    /// Certificates to trust in addition to the system's (PEM).
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Longest wait for one answer, seconds.
    #[serde(default = "five")]
    pub timeout: u64,
}

fn default_domain() -> String {
    "Default".into()
}
fn service() -> String {
    "service".into()
}
fn preferred_username() -> String {
    "preferred_username".into()
}
fn roles() -> String {
    "roles".into()
}
fn project_id() -> String {
    "project_id".into()
}
fn project_name() -> String {
    "project_name".into()
}
fn domain_id() -> String {
    "domain_id".into()
}
fn five() -> u64 {
    5
}
fn sixty() -> u64 {
    60
}

impl AuthConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// [`AuthError::Config`] naming file, line and field.
    pub fn load(path: &Path) -> Result<Self, AuthError> {
        let failed = |e: String| AuthError::Config(format!("{}: {e}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
        Self::parse(&text).map_err(failed)
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// What is wrong, with its line or field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        if let Some(keystone) = &config.keystone {
            if keystone.endpoints.is_empty() {
                return Err("keystone.endpoints: at least one is needed".into());
            }
            for endpoint in &keystone.endpoints {
                // Existing installations run Keystone without TLS inside: allowed, and said at the start.
                url(endpoint, true).map_err(|e| format!("keystone.endpoints: {e}"))?;
            }
        }
        for oidc in &config.oidc {
            url(&oidc.issuer, false).map_err(|e| format!("oidc.issuer: {e}"))?;
            if oidc.audience.is_empty() {
                return Err("oidc.audience: must not be empty".into());
            }
        }
        Ok(config)
    }
}

/// Whether a URL is one we may send secrets to, or take keys from.
pub(crate) fn url(text: &str, plain: bool) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|e| format!("{text}: {e}"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|a| a.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain || loopback => Ok(url),
        _ => Err(format!("{text}: must begin with https://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_mistakes_are_named() {
        let config = AuthConfig::parse(
            "keystone:\n  endpoints: [http://192.0.2.1:5000/v3]\n  username: weft\n  password_file: /p\n\
             oidc:\n- issuer: https://id.example\n  audience: weft\n  role_map: {net-admins: admin}\n",
        )
        .unwrap();
        let keystone = config.keystone.unwrap();
        assert_eq!((keystone.project.as_str(), keystone.timeout, keystone.cache), ("service", 5, 60));
        assert_eq!(config.oidc[0].roles_claim, "roles");
        let bad = |text: &str| AuthConfig::parse(text).unwrap_err();
        assert!(bad("keystne: 1").contains("keystne"));
        assert!(bad("oidc:\n- issuer: http://id.example\n  audience: weft\n").contains("https://"));
        assert!(bad("keystone: {endpoints: [], username: a, password_file: /p}").contains("endpoints"));
        assert!(AuthConfig::parse("oidc:\n- issuer: http://127.0.0.1:1\n  audience: weft\n").is_ok());
    }
}

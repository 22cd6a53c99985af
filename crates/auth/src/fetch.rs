//! Bounded HTTP requests to those who know.

use crate::AuthError;
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Longest answer read, bytes.
const MAX_ANSWER: usize = 1 << 20;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// An answer: status, header, body (`null` if it is no JSON).
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A client that follows no redirect; with `ca`, it trusts that file's certificates in addition to the system's.
pub(crate) fn client(timeout: Duration, ca: Option<&Path>) -> Result<Client, AuthError> {
    let none = reqwest::redirect::Policy::none();
    let mut builder =
        Client::builder().timeout(timeout).connect_timeout(CONNECT.min(timeout)).redirect(none).no_proxy();
    if let Some(path) = ca {
        let failed = |e: &dyn std::fmt::Display| AuthError::Config(format!("ca {}: {e}", path.display()));
        let pem = std::fs::read(path).map_err(|e| failed(&e))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| failed(&e))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|e| AuthError::Config(format!("HTTP client: {e}")))
}

/// Sends a request and reads the answer.
///
/// # Errors
/// Why there is none, for people.
pub(crate) async fn fetch(request: RequestBuilder) -> Result<Answer, String> {
    let mut response = request.send().await.map_err(|e| innermost(&e))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| innermost(&e))? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}

/// The outer errors of the HTTP library only repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

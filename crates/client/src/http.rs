//! HTTP with JSON bodies over TCP or a unix socket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ClientError;
use crate::config::Secret;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read, bytes. Listings with `detail` of a large system stay below.
const MAX_ANSWER: usize = 256 << 20;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoint {
    /// A unix socket, written `unix:/path`.
    Unix(PathBuf),
    /// `http://host:port` or `https://host:port`, without a trailing slash.
    Http(String),
}

impl FromStr for Endpoint {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        if let Some(path) = text.strip_prefix("unix:").filter(|p| p.starts_with('/')) {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Http(text.trim_end_matches('/').to_owned()));
        }
        Err(ClientError::Endpoint(text.to_owned()))
    }
}

impl Endpoint {
    /// Whether requests are encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Http(url) if url.starts_with("https://"))
    }

    /// Whether requests stay on this machine.
    pub fn is_local(&self) -> bool {
        let Self::Http(url) = self else { return true };
        let host = url.split("://").nth(1).unwrap_or_default();
        ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = ClientError;

    fn try_from(text: String) -> Result<Self, ClientError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(url) => f.write_str(url),
        }
    }
}

/// Who the user is to a server, and how the server proves who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Sent as `X-Auth-Token`.
    pub token: Option<Secret>,
    /// Authorities (PEM) that may have signed the server's certificate, instead of those of the system.
    pub ca: Option<PathBuf>,
    /// The client's certificate (PEM) ..
    pub cert: Option<PathBuf>,
    /// .. and its key (PEM).
    pub key: Option<PathBuf>,
    /// Whoever answers is taken for the server.
    pub insecure: bool,
}

/// A client of one server. Cheap to clone; keeps its connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    endpoint: Endpoint,
    inner: reqwest::Client,
}

/// The body of an answer as it arrives.
#[derive(Debug)]
pub struct Streaming {
    endpoint: String,
    response: reqwest::Response,
}

impl Streaming {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// When the connection breaks, or stays silent for longer than `patience`.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, ClientError> {
        let unreachable =
            |reason: String| ClientError::Unreachable { endpoint: self.endpoint.clone(), reason };
        match tokio::time::timeout(patience, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk.map(|c| c.to_vec())),
            Ok(Err(e)) => Err(unreachable(root_cause(&e))),
            Err(_) => Err(unreachable(format!("silent for {patience:?}"))),
        }
    }
}

impl HttpClient {
    /// A client of that endpoint that says nothing of who it is. Connects at the first request.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub fn new(endpoint: Endpoint) -> Result<Self, ClientError> {
        Self::with_access(endpoint, &Access::default())
    }

    /// A client of that endpoint.
    ///
    /// # Errors
    /// Certificate and key files that are unreadable or not PEM, tokens that cannot be in a header.
    pub fn with_access(endpoint: Endpoint, access: &Access) -> Result<Self, ClientError> {
        // Redirects would carry the token to whoever is named in them.
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let builder = builder.connect_timeout(CONNECT_TIMEOUT).default_headers(headers(access)?);
        let builder = match &endpoint {
            Endpoint::Unix(path) => builder.unix_socket(path.clone()).tls_certs_only([]),
            Endpoint::Http(_) if endpoint.is_tls() => tls(builder, access)?,
            // Without this the authorities of the system are loaded, and have to be there.
            Endpoint::Http(_) => builder.tls_certs_only([]),
        };
        let inner = builder.build().map_err(|e| ClientError::Unreachable {
            endpoint: endpoint.to_string(),
            reason: root_cause(&e),
        })?;
        Ok(Self { endpoint, inner })
    }

    /// Where this client's requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// `GET path` with query parameters; an empty body is `null`.
    ///
    /// # Errors
    /// Transport failures and error statuses.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ClientError> {
        self.call("GET", path, self.inner.get(self.url(path)).query(query)).await
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// Transport failures and error statuses.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call("POST", path, self.inner.post(self.url(path)).json(body)).await
    }

    /// The same, with a header of the answer.
    ///
    /// # Errors
    /// Transport failures and error statuses.
    pub async fn post_for_header(
        &self,
        path: &str,
        body: &Value,
        header: &str,
    ) -> Result<(Value, Option<String>), ClientError> {
        let request = self.inner.post(self.url(path)).json(body).timeout(TIMEOUT);
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let value = response.headers().get(header).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Ok((self.answer("POST", path, response).await?, value))
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// Transport failures and error statuses.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call("PUT", path, self.inner.put(self.url(path)).json(body)).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// Transport failures and error statuses.
    pub async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.call("DELETE", path, self.inner.delete(self.url(path))).await
    }

    /// `GET path` for an answer that goes on and on.
    ///
    /// # Errors
    /// Transport failures and error statuses.
    pub async fn stream(&self, path: &str, query: &[(&str, &str)]) -> Result<Streaming, ClientError> {
        let request = self.inner.get(self.url(path)).query(query).header("accept", "text/event-stream");
        let response = tokio::time::timeout(TIMEOUT, request.send());
        let unreachable =
            |reason: String| ClientError::Unreachable { endpoint: self.endpoint.to_string(), reason };
        let response = match response.await {
            Ok(Ok(response)) => response,
            Ok(Err(e)) => return Err(unreachable(root_cause(&e))),
            Err(_) => return Err(unreachable(format!("no answer for {TIMEOUT:?}"))),
        };
        if response.status().is_success() {
            return Ok(Streaming { endpoint: self.endpoint.to_string(), response });
        }
        self.answer("GET", path, response).await.map(|_| ()).and(Err(ClientError::Answer {
            path: path.to_owned(),
            reason: "neither a stream nor an error".into(),
        }))
    }

    fn url(&self, path: &str) -> String {
        match &self.endpoint {
            Endpoint::Unix(_) => format!("http://localhost{path}"),
            Endpoint::Http(base) => format!("{base}{path}"),
        }
    }

    async fn call(
        &self,
        method: &'static str,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<Value, ClientError> {
        let response = request.timeout(TIMEOUT).send().await.map_err(|e| self.unreachable(&e))?;
        self.answer(method, path, response).await
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { endpoint: self.endpoint.to_string(), reason: root_cause(error) }
    }

    async fn answer(
        &self,
        method: &'static str,
        path: &str,
        mut response: reqwest::Response,
    ) -> Result<Value, ClientError> {
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(ClientError::Answer { path: path.to_owned(), reason: "too long".into() });
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let message = String::from_utf8_lossy(&body).trim().to_owned();
            return Err(ClientError::Status {
                method,
                path: path.to_owned(),
                status: status.as_u16(),
                message,
            });
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|e| ClientError::Answer { path: path.to_owned(), reason: e.to_string() })
    }
}

fn headers(access: &Access) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &access.token {
        let wrong = |_| ClientError::Login("the token has characters that no token has".into());
        let mut value = HeaderValue::from_str(token.reveal()).map_err(wrong)?;
        value.set_sensitive(true);
        headers.insert("x-auth-token", value);
    }
    Ok(headers)
}

fn tls(mut builder: reqwest::ClientBuilder, access: &Access) -> Result<reqwest::ClientBuilder, ClientError> {
    let read = |path: &Path| {
        let failed = |e: std::io::Error| ClientError::Tls { path: path.to_owned(), reason: e.to_string() };
        std::fs::read(path).map_err(failed)
    };
    let wrong =
        |path: &Path, e: &reqwest::Error| ClientError::Tls { path: path.to_owned(), reason: root_cause(e) };
    if let Some(path) = &access.ca {
        let certificates =
            reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(|e| wrong(path, &e))?;
        if certificates.is_empty() {
            return Err(ClientError::Tls { path: path.clone(), reason: "no PEM certificate in it".into() });
        }
        builder = builder.tls_certs_only(certificates);
    }
    match (&access.cert, &access.key) {
        (Some(cert), Some(key)) => {
            let mut pem = read(key)?;
            pem.push(b'\n');
            pem.extend(read(cert)?);
            builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(|e| wrong(cert, &e))?);
        }
        (None, None) => {}
        (Some(path), None) | (None, Some(path)) => {
            let reason = "a client's certificate needs both `cert` and `key`".into();
            return Err(ClientError::Tls { path: path.clone(), reason });
        }
    }
    Ok(builder.tls_danger_accept_invalid_certs(access.insecure))
}

/// The innermost error: the HTTP library's outer layers only repeat the address.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written_alike() {
        for text in ["unix:/run/weft/lab/x/api.sock", "http://127.0.0.1:8082"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("http://h:1/".parse::<Endpoint>().unwrap(), Endpoint::Http("http://h:1".into()));
        for text in ["unix:relative", "127.0.0.1:8082", ""] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}

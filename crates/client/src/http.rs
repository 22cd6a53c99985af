//! HTTP with JSON bodies over TCP or a unix socket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ClientError;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read, bytes. Listings with `detail` of a large system stay below.
const MAX_ANSWER: usize = 256 << 20;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoint {
    /// A unix socket, written `unix:/path`.
    Unix(PathBuf),
    /// `http://host:port`, without a trailing slash.
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

/// A client of one server. Cheap to clone; keeps its connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    endpoint: Endpoint,
    inner: reqwest::Client,
}

impl HttpClient {
    /// A client of that endpoint. Connects at the first request.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub fn new(endpoint: Endpoint) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder().timeout(TIMEOUT).no_proxy();
        let builder = match &endpoint {
            Endpoint::Unix(path) => builder.unix_socket(path.clone()),
            Endpoint::Http(_) => builder,
        };
        let inner = builder.build().map_err(|e| ClientError::Unreachable {
            endpoint: endpoint.to_string(),
            reason: e.to_string(),
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
        let unreachable = |e: reqwest::Error| ClientError::Unreachable {
            endpoint: self.endpoint.to_string(),
            reason: root_cause(&e),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
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

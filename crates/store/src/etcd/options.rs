//! Where an etcd cluster is and how to speak with it: [`EtcdOptions`], also as a URL.

use std::path::PathBuf;
use std::time::Duration;

use crate::StoreError;

/// Operations the server takes in one transaction unless it was told otherwise (`--max-txn-ops`).
const SERVER_OPS: usize = 128;
/// Bytes the server takes in one request unless it was told otherwise (`--max-request-bytes`, 1.5 MiB), less what the
/// frame around a transaction takes.
const SERVER_BYTES: usize = (1 << 20) + (384 << 10);
/// Smallest `max-ops` that leaves room for a transaction and its marker.
const MIN_SERVER_OPS: usize = 16;

/// How to reach an etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdOptions {
    /// `host:port` of each member (or of a proxy), at least one. Tried in turn.
    pub endpoints: Vec<String>,
    /// Everything is kept below this key, which starts and ends with `/`.
    pub prefix: String,
    /// Certificate authority of the servers; with it connections are TLS.
    pub ca: Option<PathBuf>,
    /// Client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Name in the servers' certificates, if it is not the host's.
    pub server_name: Option<String>,
    /// User and the file that holds the password.
    pub user: Option<(String, PathBuf)>,
    /// How long one request may take before another member is asked.
    pub request_timeout: Duration,
    /// How long an operation may take in all, members without a leader and elections included.
    pub patience: Duration,
    /// The servers' `--max-txn-ops`.
    pub max_ops: usize,
    /// Somewhat less than the servers' `--max-request-bytes`.
    pub max_bytes: usize,
}

impl EtcdOptions {
    /// Plain connections, without a user, to these members.
    pub fn new(endpoints: Vec<String>, prefix: impl Into<String>) -> Self {
        Self {
            endpoints,
            prefix: prefix.into(),
            ca: None,
            identity: None,
            server_name: None,
            user: None,
            request_timeout: Duration::from_secs(2),
            patience: Duration::from_secs(20),
            max_ops: SERVER_OPS,
            max_bytes: SERVER_BYTES,
        }
    }

    /// Reads `etcd://host:port[,host:port...][/prefix][?name=value&...]`. Names: `ca`, `cert`, `key` (files, PEM),
    /// `server-name`, `user`, `password-file`, `timeout` and `patience` (seconds), `max-ops`, `max-bytes`.
    ///
    /// # Errors
    /// [`StoreError::Location`] that names the part that is wrong.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let wrong = |what: String| StoreError::Location { location: url.to_owned(), what };
        let rest =
            url.strip_prefix("etcd://").ok_or_else(|| wrong("it does not start with etcd://".into()))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let endpoints: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        for endpoint in &endpoints {
            let port = endpoint.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                return Err(wrong(format!("endpoint {endpoint:?} is not host:port")));
            }
        }
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { "weft" } else { prefix };
        let mut options = Self::new(endpoints, format!("/{prefix}/"));
        let mut parts = Parts::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(name, value, &mut parts).map_err(|what| wrong(format!("{name}={value}: {what}")))?;
        }
        match (parts.cert, parts.key) {
            (Some(cert), Some(key)) => options.identity = Some((cert, key)),
            (None, None) => {}
            _ => return Err(wrong("cert and key go together".into())),
        }
        match (parts.user, parts.password_file) {
            (Some(user), Some(file)) => options.user = Some((user, file)),
            (None, None) => {}
            _ => return Err(wrong("user and password-file go together".into())),
        }
        if options.ca.is_none() && (options.identity.is_some() || options.server_name.is_some()) {
            return Err(wrong("a certificate needs the servers' authority too: ca=FILE".into()));
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str, parts: &mut Parts) -> Result<(), String> {
        let seconds = || match value.parse::<u64>() {
            Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
            _ => Err("seconds from 1 to 3600 are expected".to_owned()),
        };
        let number = |least: usize| match value.parse::<usize>() {
            Ok(number) if number >= least => Ok(number),
            _ => Err(format!("a number of at least {least} is expected")),
        };
        match name {
            "ca" => self.ca = Some(value.into()),
            "cert" => parts.cert = Some(value.into()),
            "key" => parts.key = Some(value.into()),
            "server-name" => self.server_name = Some(value.into()),
            "user" => parts.user = Some(value.into()),
            "password-file" => parts.password_file = Some(value.into()),
            "timeout" => self.request_timeout = seconds()?,
            "patience" => self.patience = seconds()?,
            "max-ops" => self.max_ops = number(MIN_SERVER_OPS)?,
            "max-bytes" => self.max_bytes = number(1 << 16)?,
            _ => return Err("there is no such setting".into()),
        }
        Ok(())
    }
}

/// Settings that come in pairs.
#[derive(Default)]
struct Parts {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_it_all() {
        let plain = EtcdOptions::parse("etcd://a:2379").unwrap();
        assert_eq!(plain, EtcdOptions::new(vec!["a:2379".into()], "/weft/"));
        let url =
            "etcd://a:1,[::1]:2/x/y/?ca=/ca.pem&cert=/c.pem&key=/k.pem&user=u&password-file=/p&timeout=7";
        let full = EtcdOptions::parse(url).unwrap();
        assert_eq!(full.endpoints, ["a:1", "[::1]:2"]);
        assert_eq!(full.prefix, "/x/y/");
        assert_eq!(full.identity, Some(("/c.pem".into(), "/k.pem".into())));
        assert_eq!(full.user, Some(("u".into(), "/p".into())));
        assert_eq!(full.request_timeout, Duration::from_secs(7));
    }

    #[test]
    fn errors_name_the_part() {
        for (url, part) in [
            ("http://a:1", "etcd://"),
            ("etcd://a", "\"a\""),
            ("etcd://a:1,:2", "\":2\""),
            ("etcd://a:70000", "a:70000"),
            ("etcd://a:1?cert=/c", "cert and key"),
            ("etcd://a:1?user=u", "password-file"),
            ("etcd://a:1?cert=/c&key=/k", "ca=FILE"),
            ("etcd://a:1?timeout=0", "timeout=0"),
            ("etcd://a:1?max-ops=3", "at least 16"),
            ("etcd://a:1?colour=red", "colour"),
        ] {
            let error = EtcdOptions::parse(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }
}

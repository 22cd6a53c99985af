//! TLS of a role's HTTP listeners: flags, and what follows from them for an address.
//!
//! | | loopback | beyond |
//! |---|---|---|
//! | controller | as `--tls-cert` says, else plain | TLS, of `--tls-cert` or `--certs`; tokens say who it is |
//! | vrouter | plain: plug-ins know nothing else | TLS, of `--tls-cert` or `--certs`; certificates say who it is |

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use weft_api::ServerTls;

/// TLS of REST interfaces and introspection. Without flags: from `--certs` where they listen beyond loopback.
#[derive(Debug, Default, Args)]
pub(crate) struct TlsArgs {
    /// Certificate (PEM) of the REST interface and introspection; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Clients must also show a certificate of this authority (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// HTTP without TLS even beyond loopback: what is sent can be read on the way
    #[arg(long, conflicts_with = "tls_cert")]
    pub(crate) plain_http: bool,
}

type Tls = Option<Arc<ServerTls>>;

impl TlsArgs {
    /// What a controller's listener at that address speaks; `None`: plain HTTP.
    pub(crate) fn controller(&self, address: SocketAddr, certs: Option<&Path>) -> anyhow::Result<Tls> {
        match self.given()? {
            Some(tls) => Ok(Some(tls)),
            None if is_loopback(address) => Ok(None),
            None => self.beyond(address, certs, false),
        }
    }

    /// What an agent's listener at that address speaks; `None`: plain HTTP. Nobody shows a token there, so that with
    /// `--certs` clients must show a certificate of its authority.
    pub(crate) fn vrouter(&self, address: SocketAddr, certs: Option<&Path>) -> anyhow::Result<Tls> {
        if is_loopback(address) {
            return Ok(None);
        }
        let given = self.given()?;
        if given.is_some() && self.tls_client_ca.is_none() {
            tracing::warn!(%address, "WHOEVER REACHES IT may attach ports and read flows: no --tls-client-ca");
        }
        given.map_or_else(|| self.beyond(address, certs, true), |tls| Ok(Some(tls)))
    }

    fn given(&self) -> anyhow::Result<Tls> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let tls = ServerTls::http(cert, key, self.tls_client_ca.as_deref()).context("--tls-cert")?;
        Ok(Some(Arc::new(tls)))
    }

    fn beyond(&self, address: SocketAddr, certs: Option<&Path>, mutual: bool) -> anyhow::Result<Tls> {
        if self.plain_http {
            tracing::warn!(%address, "HTTP WITHOUT TLS: what is sent can be read and changed on the way");
            return Ok(None);
        }
        let certs = certs.with_context(|| {
            format!("{address} is beyond loopback: give --tls-cert and --tls-key, --certs, or --plain-http")
        })?;
        let (cert, key) = (certs.join(weft_tls::CERTIFICATE), certs.join(weft_tls::KEY));
        let ca = certs.join(weft_tls::CA_CERTIFICATE);
        let tls = ServerTls::http(&cert, &key, mutual.then_some(ca.as_path())).context("--certs")?;
        Ok(Some(Arc::new(tls)))
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(directory: &Path) -> PathBuf {
        weft_tls::make_ca(directory).unwrap();
        let node = directory.join("n");
        weft_tls::make_node_cert(directory, "n", &[], &node).unwrap();
        node
    }

    #[test]
    fn beyond_loopback_there_is_tls_unless_told_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let node = node(directory.path());
        let (default, plain) = (TlsArgs::default(), TlsArgs { plain_http: true, ..TlsArgs::default() });
        for role in [TlsArgs::controller, TlsArgs::vrouter] {
            for beyond in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
                let beyond = beyond.parse().unwrap();
                assert!(role(&default, beyond, Some(&node)).unwrap().is_some());
                assert!(role(&plain, beyond, Some(&node)).unwrap().is_none());
                let error = role(&default, beyond, None).unwrap_err().to_string();
                assert!(error.contains("--plain-http"), "{error}");
            }
            for inside in ["127.0.0.1:1", "[::1]:1"] {
                assert!(role(&default, inside.parse().unwrap(), Some(&node)).unwrap().is_none());
            }
        }
    }

    #[test]
    fn a_given_certificate_is_for_all_of_a_controller_but_for_an_agent_only_beyond_loopback() {
        let directory = tempfile::tempdir().unwrap();
        let node = node(directory.path());
        let (tls_cert, tls_key) = (Some(node.join("cert.pem")), Some(node.join("key.pem")));
        let given = TlsArgs { tls_cert, tls_key, ..TlsArgs::default() };
        let (inside, beyond) = ("127.0.0.1:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
        assert!(given.controller(inside, None).unwrap().is_some());
        assert!(given.vrouter(inside, None).unwrap().is_none());
        assert!(given.vrouter(beyond, None).unwrap().is_some());
    }
}

//! Who may talk to the controller: flags, and what is made of them at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use weft_api::{AaaMode, Access, Audit, Authz, Rotation};
use weft_auth::{AuthConfig, Authenticator, SealedStore, Tokens};
use weft_store::Store;

use crate::store_cmd::SEAL_FILE;

/// File of the audit log in the data directory.
const AUDIT_FILE: &str = "audit.jsonl";
/// `--audit-log` for none.
const NO_AUDIT: &str = "none";

/// How requests are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthMode {
    /// A token on TCP; root and this user on the unix socket
    Token,
    /// Nobody is asked: whoever reaches the port may do everything
    None,
}

/// Who is let in, how, and where that is written down.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// How requests are authenticated
    #[arg(long, value_enum, default_value_t = AuthMode::Token)]
    pub(crate) auth: AuthMode,
    /// File with Keystone and OpenID Connect issuers whose tokens count, too (docs/authentication.md)
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_config: Option<PathBuf>,
    /// Who may do what, until an administrator sets another mode: no-auth, cloud-admin or rbac
    #[arg(long, value_name = "MODE", default_value_t = AaaMode::Rbac)]
    pub(crate) aaa_mode: AaaMode,
    /// Holders of this role may read everything
    #[arg(long, value_name = "ROLE")]
    pub(crate) read_only_role: Option<String>,
    /// File of the key that secrets in the store are sealed with; made at first start [default: DATA_DIR/seal.key]
    #[arg(long, value_name = "FILE")]
    pub(crate) seal_key: Option<PathBuf>,
    /// Audit log of every write, or `none` [default: DATA_DIR/audit.jsonl]
    #[arg(long, value_name = "PATH")]
    pub(crate) audit_log: Option<PathBuf>,
    /// Size after which the audit log is put aside, MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) audit_log_size: u64,
    /// Audit logs kept aside
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    pub(crate) audit_log_files: u32,
    /// Requests per second of one user who is no administrator; 0: no limit
    #[arg(long, value_name = "RATE", default_value_t = 1000)]
    pub(crate) rate_limit: u32,
    #[command(flatten)]
    pub(crate) tls: crate::listen::TlsArgs,
}

impl AccessArgs {
    /// The store with its secrets sealed.
    pub(crate) async fn seal(&self, store: Arc<dyn Store>, data: &Path) -> anyhow::Result<Arc<dyn Store>> {
        let path = self.seal_key.clone().unwrap_or_else(|| data.join(SEAL_FILE));
        let sealed = SealedStore::open(store, &path).await.context("sealing secrets in the store")?;
        Ok(Arc::new(sealed))
    }

    /// What those who are let in may do.
    pub(crate) fn authz(&self) -> Authz {
        Authz { mode: self.aaa_mode, global_read_only_role: self.read_only_role.clone(), ..Authz::default() }
    }

    /// Who is let in. Makes the first token, and shows it.
    pub(crate) async fn access(&self, store: &Arc<dyn Store>, data: &Path) -> anyhow::Result<Access> {
        let mut access = Access::open().with_rate(self.rate_limit);
        match self.auth {
            AuthMode::None => {
                anyhow::ensure!(self.auth_config.is_none(), "--auth-config has no meaning with --auth none");
                tracing::warn!(
                    "NO AUTHENTICATION: whoever reaches the REST interface may do everything (--auth none)"
                );
            }
            AuthMode::Token => {
                let tokens = Arc::new(Tokens::new(Arc::clone(store)));
                if let Some(secret) = tokens.first().await.context("the administrator's token")? {
                    show_first(secret.reveal());
                }
                let config = self.auth_config.as_deref().map(AuthConfig::load).transpose();
                let config = config.context("--auth-config")?.unwrap_or_default();
                let authenticator = Authenticator::new(tokens, config).context("--auth-config")?;
                access = access.with_authenticator(authenticator);
            }
        }
        let path = self.audit_log.clone().unwrap_or_else(|| data.join(AUDIT_FILE));
        if path == Path::new(NO_AUDIT) {
            return Ok(access);
        }
        let rotation = Rotation { bytes: self.audit_log_size << 20, files: self.audit_log_files };
        let audit = Audit::open(&path, rotation).with_context(|| format!("audit log {}", path.display()))?;
        Ok(access.with_audit(audit))
    }
}

/// The only time that the token is to be seen. Not through the log: that may be kept, or not be shown at all.
fn show_first(token: &str) {
    eprintln!(
        "\nThe administrator's token of this new installation. It is shown this once and kept nowhere:\n\n  {token}\n\n\
         Send it as X-Auth-Token. `weft token create` on the api socket makes more, `weft token revoke administrator` \
         ends it.\n"
    );
}

//! The server and the agents that a command talks to.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;
use weft_client::config::{Config, Secret};
use weft_client::{Access, Api, Endpoint, HttpClient, config};
use weft_model::{ObjectType, defaults};

use crate::cli::TargetArgs;
use crate::output::Paint;

/// Clients for one installation.
pub(crate) struct Target {
    pub(crate) api: Api,
    agents: BTreeMap<String, Endpoint>,
    /// For agents: certificates, and never the token, which is the controller's.
    access: Access,
}

/// The context that a command line, the environment and the configuration file choose.
fn context(args: &TargetArgs) -> anyhow::Result<config::Context> {
    let path = Config::path();
    let mut context = match &args.server {
        // Tokens of contexts are for the servers of those contexts alone.
        Some(server) => config::Context::new(server.parse()?),
        None => Config::load(&path)?.context(args.context.as_deref(), &path)?,
    };
    if let Some(token) = std::env::var("WEFT_TOKEN").ok().as_deref().and_then(Secret::new) {
        context.token = Some(token);
    }
    context.insecure |= args.insecure;
    Ok(context)
}

/// Says loudly what is not safe about a context.
pub(crate) fn warn(context: &config::Context) {
    let paint = Paint::stderr();
    if context.insecure && context.server.is_tls() {
        let text = format!(
            "weft: WARNING: the certificate of {} is NOT CHECKED (insecure): whoever answers gets your token and may answer anything",
            context.server
        );
        eprintln!("{}", paint.red(&text));
    }
    if context.token.is_some() && !context.server.is_tls() && !context.server.is_local() {
        let text = format!("weft: warning: the token goes to {} unencrypted; use https://", context.server);
        eprintln!("{}", paint.yellow(&text));
    }
}

impl Target {
    /// From the command line, the environment and the configuration file.
    pub(crate) fn new(args: &TargetArgs) -> anyhow::Result<Self> {
        let context = context(args)?;
        warn(&context);
        let access = Access { token: None, ..context.access() };
        Ok(Self { api: Api::new(context.client()?), agents: context.agents, access })
    }

    /// Clients of the agents, all or one: those of the context, the others at their virtual-router's address.
    pub(crate) async fn agents(&self, only: Option<&str>) -> anyhow::Result<BTreeMap<String, HttpClient>> {
        let mut endpoints = self.agents.clone();
        // Beyond loopback agents want TLS and a certificate; who has none can only mean those started with --plain-http.
        let scheme = if self.access.cert.is_some() { "https" } else { "http" };
        if only.is_none_or(|host| !endpoints.contains_key(host)) {
            for router in self.api.list(ObjectType::VirtualRouter, true).await? {
                let name = router["fq_name"].as_array().and_then(|n| n.last()).and_then(Value::as_str);
                let address = router["virtual_router_ip_address"].as_str();
                if let (Some(name), Some(address)) = (name, address) {
                    let url = format!("{scheme}://{address}:{}", defaults::AGENT_INTROSPECT_PORT);
                    endpoints.entry(name.to_owned()).or_insert(Endpoint::Http(url));
                }
            }
        }
        if let Some(host) = only {
            let known = endpoints.keys().cloned().collect::<Vec<_>>().join(", ");
            let found =
                endpoints.remove(host).with_context(|| format!("no host named {host}; known: {known}"))?;
            endpoints = [(host.to_owned(), found)].into();
        }
        endpoints
            .into_iter()
            .map(|(name, endpoint)| Ok((name, HttpClient::with_access(endpoint, &self.access)?)))
            .collect()
    }
}

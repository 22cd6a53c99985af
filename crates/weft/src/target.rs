//! The server and the agents that a command talks to.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;
use weft_client::config::Config;
use weft_client::{Api, Endpoint, HttpClient, config};
use weft_model::{ObjectType, defaults};

use crate::cli::TargetArgs;

/// Clients for one installation.
pub(crate) struct Target {
    pub(crate) api: Api,
    agents: BTreeMap<String, Endpoint>,
}

impl Target {
    /// From the command line and the configuration file.
    pub(crate) fn new(args: &TargetArgs) -> anyhow::Result<Self> {
        let path = Config::path();
        let context = match &args.server {
            Some(server) => config::Context { server: server.parse()?, agents: BTreeMap::new() },
            None => Config::load(&path)?.context(args.context.as_deref(), &path)?,
        };
        Ok(Self { api: Api::new(HttpClient::new(context.server)?), agents: context.agents })
    }

    /// Clients of the agents, all or one: those of the context, the others at their virtual-router's address.
    pub(crate) async fn agents(&self, only: Option<&str>) -> anyhow::Result<BTreeMap<String, HttpClient>> {
        let mut endpoints = self.agents.clone();
        if only.is_none_or(|host| !endpoints.contains_key(host)) {
            for router in self.api.list(ObjectType::VirtualRouter, true).await? {
                let name = router["fq_name"].as_array().and_then(|n| n.last()).and_then(Value::as_str);
                let address = router["virtual_router_ip_address"].as_str();
                if let (Some(name), Some(address)) = (name, address) {
                    let url = format!("http://{address}:{}", defaults::AGENT_INTROSPECT_PORT);
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
        endpoints.into_iter().map(|(name, endpoint)| Ok((name, HttpClient::new(endpoint)?))).collect()
    }
}

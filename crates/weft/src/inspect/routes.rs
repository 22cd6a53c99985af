//! `weft routes`: routing instances and routes, from the control node or from a host's agent.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use crate::cli::{Format, RoutesArgs, TargetArgs};
use crate::output::{self, column, wide};
use crate::target::Target;

pub(crate) async fn run(target: &TargetArgs, args: &RoutesArgs, format: Format) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let http = target.api.http();
    if let Some(host) = &args.host {
        return of_host(&target, host, args.vrf.as_deref(), format).await;
    }
    let instances = http.get("/introspect/routing-instances", &[]).await?;
    let instances = instances.as_array().cloned().unwrap_or_default();
    let Some(wanted) = &args.vrf else {
        let columns = [
            column("ROUTING INSTANCE", &["/name"]),
            column("IMPORT", &["/import"]),
            column("EXPORT", &["/export"]),
            column("SUBSCRIBERS", &["/subscribers"]),
            wide("ROUTES", &["/routes", "/sizes"]),
        ];
        output::list(format, &columns, &instances)?;
        return Ok(ExitCode::SUCCESS);
    };
    let name = instance(&instances, wanted)?;
    let mut query = vec![("ri", name.as_str())];
    query.extend(args.table.iter().map(|t| ("table", t.as_str())));
    let answer = http.get("/introspect/routes", &query).await?;
    if matches!(format, Format::Json | Format::Yaml) {
        output::value(format, &answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::list(format, &path_columns(), &paths(&answer))?;
    if answer["truncated"].as_bool() == Some(true) {
        eprintln!("more routes exist; --table narrows the list");
    }
    Ok(ExitCode::SUCCESS)
}

/// The routes of a host's agent, of one of its VRFs or of all.
async fn of_host(target: &Target, host: &str, vrf: Option<&str>, format: Format) -> anyhow::Result<ExitCode> {
    let agents = target.agents(Some(host)).await?;
    let agent = agents.get(host).with_context(|| format!("no host named {host}"))?;
    let tables = agent.get("/introspect/tables", &[]).await?;
    let names = tables["vrfs"].as_object().into_iter().flatten().map(|(_, name)| json!({"name": name}));
    let vrf = vrf.map(|v| instance(&names.collect::<Vec<_>>(), v)).transpose()?;
    let query: Vec<(&str, &str)> = vrf.iter().map(|v| ("vrf", v.as_str())).collect();
    let answer = agent.get("/introspect/routes", &query).await?;
    crate::inspect::agents::show_routes(host, &answer, format)
}

fn path_columns() -> [output::Column; 9] {
    [
        column("", &["/used"]),
        column("PREFIX", &["/prefix"]),
        column("NEXT HOP", &["/path/next_hop"]),
        column("LABEL", &["/path/label"]),
        column("ENCAPSULATIONS", &["/path/encapsulations"]),
        column("FROM", &["/path/peer"]),
        column("NETWORK", &["/path/origin_virtual_network"]),
        wide("PREFERENCE", &["/path/local_preference"]),
        wide("WHY", &["/path/why"]),
    ]
}

/// One row for each path of each route.
fn paths(answer: &Value) -> Vec<Value> {
    let row = |route: &Value, path: &Value| {
        let used = if path["selected"] == true { "*" } else { "" };
        json!({"prefix": route["prefix"], "path": path, "used": used})
    };
    let routes = answer["routes"].as_array().into_iter().flatten();
    routes.flat_map(|r| r["paths"].as_array().into_iter().flatten().map(move |p| row(r, p))).collect()
}

/// The routing instance of that name, or the one of the network whose name ends so.
fn instance(instances: &[Value], wanted: &str) -> anyhow::Result<String> {
    let names: Vec<&str> = instances.iter().filter_map(|i| i["name"].as_str()).collect();
    if names.contains(&wanted) {
        return Ok(wanted.to_owned());
    }
    // A network's own instance is named after it: a:b:c:c.
    let parts: Vec<&str> = wanted.split([':', '/']).collect();
    let fits = |name: &&&str| {
        let all: Vec<&str> = name.split(':').collect();
        all.ends_with(&parts) || all[..all.len().saturating_sub(1)].ends_with(&parts)
    };
    let found: Vec<&&str> = names.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok((**one).to_owned()),
        [] => anyhow::bail!("no routing instance for {wanted}; `weft routes` lists them"),
        several => anyhow::bail!(
            "{wanted} fits several: {}",
            several.iter().map(|n| **n).collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_found_by_their_network() {
        let list = [
            json!({"name": "d:acme:web:web"}),
            json!({"name": "d:globex:web:web"}),
            json!({"name": "d:acme:db:db"}),
        ];
        assert_eq!(instance(&list, "acme:web").unwrap(), "d:acme:web:web");
        assert_eq!(instance(&list, "db").unwrap(), "d:acme:db:db");
        assert_eq!(instance(&list, "d:acme:db:db").unwrap(), "d:acme:db:db");
        assert!(instance(&list, "web").unwrap_err().to_string().contains("several"));
        assert!(instance(&list, "mail").is_err());
    }
}

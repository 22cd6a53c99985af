//! `weft status`: every role, peer and host, with what is wrong.

use std::process::ExitCode;

use futures::future::join_all;
use serde_json::{Value, json};
use weft_client::ClientError;

use crate::cli::{Format, TargetArgs};
use crate::output;
use crate::target::Target;

/// One line of the status.
struct Row {
    role: &'static str,
    name: String,
    ok: bool,
    state: String,
    problems: Vec<String>,
    detail: Value,
}

pub(crate) async fn run(target: &TargetArgs, format: Format) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let mut rows = vec![controller(&target).await];
    if rows[0].ok || !rows[0].detail.is_null() {
        rows.extend(peers(&target).await);
    }
    match target.agents(None).await {
        Ok(agents) => {
            let asked = agents
                .iter()
                .map(|(host, http)| async move { agent(host, http.get("/introspect/status", &[]).await) });
            rows.extend(join_all(asked).await);
        }
        Err(e) => rows[0].problems.push(format!("hosts unknown: {e:#}")),
    }
    let ok = rows.iter().all(|r| r.ok && r.problems.is_empty());
    show(format, &rows, ok)?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(format: Format, rows: &[Row], ok: bool) -> anyhow::Result<()> {
    if matches!(format, Format::Json | Format::Yaml) {
        let list: Vec<Value> = rows
            .iter()
            .map(|r| json!({"role": r.role, "name": r.name, "ok": r.ok, "state": r.state, "problems": r.problems, "detail": r.detail}))
            .collect();
        return output::value(format, &json!({"ok": ok, "roles": list}));
    }
    let lines = rows.iter().map(|r| {
        let mark = if r.ok && r.problems.is_empty() { "ok" } else { "WRONG" };
        vec![mark.to_owned(), r.role.to_owned(), r.name.clone(), r.state.clone()]
    });
    output::table(&["", "ROLE", "NAME", "STATE"], lines.collect());
    for row in rows.iter().filter(|r| !r.problems.is_empty()) {
        output::print(&format!("\n{} {}:\n", row.role, row.name));
        row.problems.iter().for_each(|p| output::print(&format!("  {p}\n")));
    }
    Ok(())
}

async fn controller(target: &Target) -> Row {
    let endpoint = target.api.http().endpoint().to_string();
    let base = Row {
        role: "controller",
        name: endpoint,
        ok: false,
        state: String::new(),
        problems: Vec::new(),
        detail: Value::Null,
    };
    match target.api.http().get("/introspect/status", &[]).await {
        Ok(status) => {
            let state = format!(
                "up {} s, {} of {} agents connected, {} routing instances",
                status["uptime_seconds"],
                status["agents"]["connected"],
                status["agents"]["configured"],
                status["routing_instances"]
            );
            Row {
                ok: status["ok"].as_bool().unwrap_or(false),
                state,
                problems: problems(&status),
                detail: status,
                ..base
            }
        }
        // A server reached over TCP has its introspection elsewhere.
        Err(ClientError::Status { status: 404, .. }) => match target.api.http().get("/", &[]).await {
            Ok(_) => {
                Row { ok: true, state: "answers; its introspection is not at this endpoint".into(), ..base }
            }
            Err(e) => Row { state: "does not answer".into(), problems: vec![e.to_string()], ..base },
        },
        Err(e) => Row { state: "does not answer".into(), problems: vec![e.to_string()], ..base },
    }
}

async fn peers(target: &Target) -> Vec<Row> {
    let Ok(peers) = target.api.http().get("/introspect/peers", &[]).await else { return Vec::new() };
    let row = |peer: &Value| {
        let state = peer["state"].as_str().unwrap_or("unknown").to_owned();
        let up = state == "up";
        let problems = match peer.pointer("/last_close/reason").and_then(Value::as_str) {
            Some(reason) if !up => vec![format!("last session ended: {reason}")],
            _ => Vec::new(),
        };
        let routes =
            format!("{state}, {} routes announced, {} held", peer["routes_announced"], peer["routes_held"]);
        let state = if up { routes } else { state };
        Row {
            role: "peer",
            name: peer["name"].as_str().unwrap_or("?").to_owned(),
            ok: up,
            state,
            problems,
            detail: peer.clone(),
        }
    };
    peers.as_array().into_iter().flatten().map(row).collect()
}

fn agent(host: &str, answer: Result<Value, ClientError>) -> Row {
    let base = Row {
        role: "agent",
        name: host.to_owned(),
        ok: false,
        state: String::new(),
        problems: Vec::new(),
        detail: Value::Null,
    };
    match answer {
        Ok(status) => {
            let ok = status["ok"].as_bool().unwrap_or(true);
            let shown = ["interfaces", "routes", "flows"]
                .iter()
                .filter_map(|k| status.get(*k).map(|v| format!("{} {k}", output::words(v))));
            let state = std::iter::once("answers".to_owned()).chain(shown).collect::<Vec<_>>().join(", ");
            Row { ok, state, problems: problems(&status), detail: status, ..base }
        }
        Err(e) => Row { state: "does not answer".into(), problems: vec![e.to_string()], ..base },
    }
}

fn problems(status: &Value) -> Vec<String> {
    status["problems"].as_array().into_iter().flatten().map(output::words).collect()
}

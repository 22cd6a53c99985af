//! `weft token`: tokens of an installation.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::{Format, TargetArgs};
use crate::output;
use crate::target::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it: it is shown this once
    Create(CreateArgs),
    /// List tokens: names, roles, projects, ends
    List,
    /// End a token
    Revoke {
        /// Name or id
        token: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
  weft token create ci --role member --project 5a1c9f0e-6d5f-4f0f-8f53-a4f2b6a1d3c7 --expires 90d
  weft token create second-admin --role admin")]
pub(crate) struct CreateArgs {
    /// Unique name: letters, digits, '.', '_' and '-'
    name: String,
    /// Role; several may be given
    #[arg(long, value_name = "ROLE", required = true)]
    role: Vec<String>,
    /// Project that its requests are made in
    #[arg(long, value_name = "UUID")]
    project: Option<Uuid>,
    /// Domain of the project
    #[arg(long, value_name = "UUID")]
    domain: Option<Uuid>,
    /// Lifetime: NUMBER and s, m, h or d; for ever without
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<u64>,
}

/// `90d` and the like, in seconds.
fn lifetime(text: &str) -> Result<u64, String> {
    let bad = || format!("{text}: write a number and s, m, h or d, e.g. 90d");
    let unit = text.chars().last().ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
    number.checked_mul(seconds).filter(|s| *s > 0).ok_or_else(bad)
}

pub(crate) async fn run(target: &TargetArgs, command: TokenCommand, format: Format) -> anyhow::Result<()> {
    let target = Target::new(target)?;
    let http = target.api.http();
    match command {
        TokenCommand::Create(args) => {
            let token = json!({
                "name": args.name, "roles": args.role, "project_id": args.project, "domain_id": args.domain,
                "expires_in": args.expires,
            });
            let answer = http.post("/weft/tokens", &json!({"token": token})).await?;
            if matches!(format, Format::Json | Format::Yaml) {
                return output::value(format, &answer);
            }
            let secret = answer["secret"].as_str().context("the server answered without a token")?;
            output::print(&format!("{secret}\n"));
        }
        TokenCommand::List => {
            let answer = http.get("/weft/tokens", &[]).await?;
            if matches!(format, Format::Json | Format::Yaml) {
                return output::value(format, &answer["tokens"]);
            }
            let rows = answer["tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
            let header = ["NAME", "ROLES", "PROJECT", "EXPIRES", "ID"];
            output::table(&header, rows.iter().map(row).collect());
        }
        TokenCommand::Revoke { token } => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            anyhow::ensure!(token.bytes().all(plain), "{token} is no name or id of a token");
            http.delete(&format!("/weft/tokens/{token}")).await?;
        }
    }
    Ok(())
}

fn row(token: &Value) -> Vec<String> {
    let text = |name: &str| token[name].as_str().unwrap_or("-").to_owned();
    let roles = token["roles"].as_array().map(Vec::as_slice).unwrap_or_default();
    let roles = roles.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let expires = match token["expires"].as_u64() {
        None => "never".to_owned(),
        Some(end) if end <= now => "expired".to_owned(),
        Some(end) => format!("in {} h", (end - now).div_ceil(3600)),
    };
    vec![text("name"), roles, text("project_id"), expires, text("id")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read() {
        assert_eq!((lifetime("90d"), lifetime("5s")), (Ok(7_776_000), Ok(5)));
        for bad in ["", "d", "9", "0h", "-1d", "1y", "99999999999999999999d", "1\u{e4}"] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }
}

//! `weft context` and `weft login`: servers, and who the user is there.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};
use weft_client::config::{Config, Context, Secret};
use weft_client::login::{self, Keystone, Login, Verdict};

use crate::cli::{Format, TargetArgs};
use crate::object_args::{ContextCommand, LoginArgs, TlsArgs};
use crate::output::{self, column, wide};
use crate::target;

/// Name of the context that is made where there is none.
const DEFAULT_NAME: &str = "default";

pub(crate) fn run(target: &TargetArgs, command: &ContextCommand, format: Format) -> anyhow::Result<ExitCode> {
    let path = Config::path();
    let mut config = Config::load(&path)?;
    match command {
        ContextCommand::List => return list(&config, format),
        ContextCommand::Use { name } => {
            config.context(Some(name), &path)?;
            config.current = Some(name.clone());
            eprintln!("{name} is the current context");
        }
        ContextCommand::Set { name, tls, agent, forget_token } => {
            let before = config.contexts.get(name).cloned();
            let mut context = changed(before, target)?;
            set_tls(&mut context, tls)?;
            for entry in agent {
                let (host, endpoint) =
                    entry.split_once('=').with_context(|| format!("--agent {entry}: write HOST=ENDPOINT"))?;
                context.agents.insert(host.to_owned(), endpoint.parse()?);
            }
            if *forget_token {
                (context.token, context.user, context.expires) = (None, None, None);
            }
            // A mistake in the files is better told now.
            context.client()?;
            config.contexts.insert(name.clone(), context);
            if config.current.is_none() {
                config.current = Some(name.clone());
            }
        }
        ContextCommand::Remove { name } => {
            config.context(Some(name), &path)?;
            config.remove(name);
            eprintln!("context {name} removed");
        }
    }
    config.save(&path)?;
    Ok(ExitCode::SUCCESS)
}

/// A context, that of before or a new one, with the server of the command line. Another server is another context: it must
/// not be sent the token.
fn changed(before: Option<Context>, target: &TargetArgs) -> anyhow::Result<Context> {
    let server = target.server.as_deref().map(str::parse).transpose()?;
    let mut context = match (before, server) {
        (Some(before), None) => before,
        (Some(before), Some(server)) if before.server == server => before,
        (_, Some(server)) => Context::new(server),
        (None, None) => Context::default(),
    };
    context.insecure |= target.insecure;
    Ok(context)
}

fn set_tls(context: &mut Context, tls: &TlsArgs) -> anyhow::Result<()> {
    // The file is used from anywhere.
    let absolute = |path: &PathBuf| std::path::absolute(path).with_context(|| path.display().to_string());
    for (given, kept) in
        [(&tls.ca, &mut context.ca), (&tls.cert, &mut context.cert), (&tls.key, &mut context.key)]
    {
        if let Some(path) = given {
            *kept = Some(absolute(path)?);
        }
    }
    Ok(())
}

fn list(config: &Config, format: Format) -> anyhow::Result<ExitCode> {
    let row = |(name, context): (&String, &Context)| -> Value {
        let current = config.current.as_ref() == Some(name);
        let tls = match (context.server.is_tls(), context.insecure) {
            (false, _) => "",
            (true, true) => "insecure",
            (true, false) => "yes",
        };
        let token = if context.token.is_some() { "yes" } else { "no" };
        json!({"current": current, "mark": if current { "*" } else { "" }, "name": name, "server": context.server,
            "tls": tls, "token": token, "user": context.user, "expires": context.expires, "ca": context.ca,
            "agents": context.agents.len()})
    };
    let rows: Vec<Value> = config.contexts.iter().map(row).collect();
    if format == Format::Name {
        config.contexts.keys().for_each(|name| output::print(&format!("{name}\n")));
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [
        column("", &["/mark"]),
        column("NAME", &["/name"]),
        column("SERVER", &["/server"]),
        column("TLS", &["/tls"]),
        column("TOKEN", &["/token"]),
        column("USER", &["/user"]),
        column("EXPIRES", &["/expires"]),
        wide("CA", &["/ca"]),
        wide("AGENTS", &["/agents"]),
    ];
    output::list(format, &columns, &rows)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn login(target: &TargetArgs, args: &LoginArgs) -> anyhow::Result<ExitCode> {
    let path = Config::path();
    let mut config = Config::load(&path)?;
    let name = target.context.clone().or_else(|| config.current.clone());
    let name = name.unwrap_or_else(|| DEFAULT_NAME.to_owned());
    let mut context = changed(config.contexts.get(&name).cloned(), target)?;
    set_tls(&mut context, &args.tls)?;
    target::warn(&context);
    let login = get_token(args, &context).await?;
    (context.token, context.user, context.expires) = (Some(login.token), login.user, login.expires);
    let verdict = login::verify(&context).await?;
    let server = context.server.clone();
    config.set_current(&name, context);
    config.save(&path)?;
    match verdict {
        Verdict::Welcome => eprintln!("logged in to {server}; context {name} is the current one"),
        Verdict::Powerless => eprintln!(
            "logged in to {server}; context {name} is the current one\nweft: warning: the user may not list objects there, an administrator has to give it a role"
        ),
        Verdict::AnyToken => eprintln!(
            "context {name} is the current one; {server} asks nobody for a token, so whether this one is right is not known"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

async fn get_token(args: &LoginArgs, context: &Context) -> anyhow::Result<Login> {
    if let Some(url) = &args.keystone {
        let user = args.user.clone().context("--user is missing")?;
        let password = password(&user)?;
        let (project, domain) = (args.project.clone(), args.domain.clone());
        let keystone = Keystone { url: url.clone(), user, project, domain, password };
        return Ok(login::keystone(&keystone, &context.access()).await?);
    }
    let text = match (&args.token, &args.oidc_token) {
        (_, Some(file)) => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
        (Some(token), _) if token != "-" => token.clone(),
        (Some(_), _) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
            text
        }
        (None, None) => match std::env::var("WEFT_TOKEN") {
            Ok(token) => token,
            Err(_) => ask("token: ", "give --token -, --keystone, --oidc-token or $WEFT_TOKEN")?,
        },
    };
    let token = Secret::new(&text).context("the token is empty")?;
    Ok(Login { token, user: None, expires: None })
}

fn password(user: &str) -> anyhow::Result<Secret> {
    let named = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let text = match named("WEFT_PASSWORD").or_else(|| named("OS_PASSWORD")) {
        Some(text) => text,
        None => ask(&format!("password of {user}: "), "$WEFT_PASSWORD and $OS_PASSWORD are not set")?,
    };
    Secret::exact(&text).context("the password is empty")
}

/// Asks the user at the terminal without showing the answer.
fn ask(prompt: &str, otherwise: &str) -> anyhow::Result<String> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "there is no terminal to ask at: {otherwise}");
    rpassword::prompt_password(prompt).context("terminal")
}

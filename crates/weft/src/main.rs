//! The one binary: every role as a subcommand, and the command line that works with them.

mod access;
mod apply_cmd;
mod certs;
mod cli;
mod context_cmd;
mod controller;
mod edit_cmd;
mod filters;
mod inspect;
mod kinds;
mod labs;
mod listen;
mod object_args;
mod objects;
mod output;
mod sockets;
mod store_cmd;
mod store_files;
mod target;
mod token_cmd;
mod vrouter;
mod watch_cmd;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use cli::{Cli, Command};
use weft_client::ClientError;

/// Objects of configuration are many small pieces: this allocator costs half of the C library's time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("weft: cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let failed = error_status(&cli);
    let result = runtime.block_on(run(cli));
    // Blocking helpers (DNS look-ups, files) must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(e) => {
            tell(&e);
            failed
        }
    }
}

/// Where 1 says that there are differences, errors have a status of their own.
fn error_status(cli: &Cli) -> ExitCode {
    const TROUBLE: u8 = 2;
    match &cli.command {
        Command::Diff(_) => ExitCode::from(TROUBLE),
        Command::Apply(args) if args.exit_code => ExitCode::from(TROUBLE),
        _ => ExitCode::FAILURE,
    }
}

/// Mistakes in files stand alone on their lines, the place in front, as editors and terminals understand it.
fn tell(error: &anyhow::Error) {
    match error.downcast_ref() {
        Some(ClientError::Mistakes(mistakes)) => {
            mistakes.iter().for_each(|m| eprintln!("{m}"));
            let plural = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
            eprintln!("weft: {} {plural}, nothing was written", mistakes.len());
        }
        _ => eprintln!("weft: {error:#}"),
    }
}

/// Roles say what they do; commands only what goes wrong. `WEFT_LOG` overrides both.
fn log_to_stderr(cli: &Cli) {
    let default = match cli.command {
        Command::Controller(_) | Command::Vrouter(_) => "info",
        _ => "warn",
    };
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // What cannot be logged (to a file on a full disk) would be said on standard error, and end the thread that cannot say it.
    let log = log.log_internal_errors(false);
    log.with_ansi(std::io::stderr().is_terminal()).init();
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let (target, format) = (&cli.target, cli.output);
    match cli.command {
        Command::Controller(args) => controller::run(*args).await.map(|()| ExitCode::SUCCESS),
        Command::Vrouter(args) => vrouter::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Lab { command } => labs::run(command, format).await,
        Command::Store { command } => store_cmd::run(command).await,
        Command::Certs(args) => certs::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Apply(args) => apply_cmd::apply(target, &args, format).await,
        Command::Diff(args) => apply_cmd::diff(target, &args, format).await,
        Command::Edit(args) => edit_cmd::run(target, &args).await,
        Command::Watch(args) => watch_cmd::run(target, &args, format).await,
        Command::Login(args) => context_cmd::login(target, &args).await,
        Command::Context { command } => context_cmd::run(target, &command, format),
        Command::Token { command } => {
            token_cmd::run(target, command, format).await.map(|()| ExitCode::SUCCESS)
        }
        Command::Get(args) => objects::get(target, &args, format).await,
        Command::Describe(args) => objects::describe(target, &args, format).await,
        Command::Delete(args) => objects::delete(target, &args, format).await,
        Command::Routes(args) => inspect::routes::run(target, &args, format).await,
        Command::Flows(args) => inspect::agents::flows(target, &args, format).await,
        Command::Drops(args) => inspect::agents::drops(target, &args, format).await,
        Command::Interfaces(args) => inspect::agents::interfaces(target, &args, format).await,
        Command::Status => inspect::status::run(target, format).await,
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "weft", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

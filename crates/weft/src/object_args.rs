//! Arguments of the commands that work with objects, and of contexts and logging in.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use crate::kinds::{KindArg, KindParser};

/// Where wanted objects come from, and which set they are.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// File, directory (all *.yaml, *.yml and *.json below it) or - for standard input; may be given several times
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) file: Vec<PathBuf>,
    /// Name of the set that the objects are members of; that of the directory, if only one is given
    #[arg(long, value_name = "NAME")]
    pub(crate) set: Option<String>,
    /// Delete what was made for this set before and is not in the files any more; never what others made
    #[arg(long)]
    pub(crate) prune: bool,
    /// Objects that exist already become members of the set, also those of other sets
    #[arg(long)]
    pub(crate) adopt: bool,
}

/// `weft apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: exit with 1 if there is anything to do, with 2 on errors
    #[arg(long, requires = "dry_run")]
    pub(crate) exit_code: bool,
}

/// `weft get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Object type, e.g. virtual-network (short: vn), or TYPE/NAME
    #[arg(value_name = "TYPE", value_parser = KindParser, hide_possible_values = true)]
    pub(crate) kind: KindArg,
    /// Name, end of a name, or uuid
    pub(crate) name: Option<String>,
    /// Only objects of that project
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// Only children of that object: NAME, or TYPE/NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) parent: Option<String>,
    /// Only objects with that value: FIELD=VALUE or FIELD!=VALUE; fields below fields with dots; all must hold
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(crate) filter: Vec<String>,
    /// Sort by that field instead of the name
    #[arg(long, value_name = "FIELD", default_value = "fq_name")]
    pub(crate) sort_by: String,
    /// Go on and show changes as they happen
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// One object.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Object type, e.g. virtual-network (short: vn), or TYPE/NAME
    #[arg(value_name = "TYPE", value_parser = KindParser, hide_possible_values = true)]
    pub(crate) kind: KindArg,
    /// Name, end of a name, or uuid
    pub(crate) name: Option<String>,
}

/// `weft watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Object types, e.g. virtual-network (short: vn); all by default
    #[arg(value_name = "TYPE", value_parser = KindParser, hide_possible_values = true)]
    pub(crate) kinds: Vec<KindArg>,
    /// Show also what is there already
    #[arg(long)]
    pub(crate) present: bool,
}

/// `weft login`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("way").args(["token", "keystone", "oidc_token"])))]
pub(crate) struct LoginArgs {
    /// A token; - reads it from standard input (others on this machine can see arguments)
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Ask this Keystone (v3) for a token
    #[arg(long, value_name = "URL", requires = "user")]
    pub(crate) keystone: Option<String>,
    /// User of Keystone; the password is asked for, or taken from $WEFT_PASSWORD or $OS_PASSWORD
    #[arg(long, value_name = "NAME", env = "OS_USERNAME")]
    pub(crate) user: Option<String>,
    /// Project of Keystone that the token is for
    #[arg(long, value_name = "NAME", env = "OS_PROJECT_NAME", default_value = "admin")]
    pub(crate) project: String,
    /// Domain of user and project
    #[arg(long, value_name = "NAME", env = "OS_USER_DOMAIN_NAME", default_value = "Default")]
    pub(crate) domain: String,
    /// File with a token of an OpenID Connect provider
    #[arg(long, value_name = "FILE")]
    pub(crate) oidc_token: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// How an https server proves who it is, and the client to it.
#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// Authorities that may have signed the server's certificate, instead of those of the system (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The client's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The client's key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// `weft context`.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List contexts; the current one is marked
    List,
    /// Make a context the current one
    Use {
        /// Name of the context
        name: String,
    },
    /// Add or change a context; what is not given stays
    #[command(
        after_help = "  weft context set prod --server https://weft.example:8082 --ca /etc/weft/ca.pem"
    )]
    Set {
        /// Name of the context
        name: String,
        #[command(flatten)]
        tls: TlsArgs,
        /// Endpoint of a host's agent: HOST=ENDPOINT; may be given several times
        #[arg(long, value_name = "HOST=ENDPOINT")]
        agent: Vec<String>,
        /// Forget token and user
        #[arg(long)]
        forget_token: bool,
    },
    /// Forget a context
    Remove {
        /// Name of the context
        name: String,
    },
}

//! The command line: every command, argument and example.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::object_args::{ApplyArgs, ContextCommand, GetArgs, LoginArgs, NameArgs, SourceArgs, WatchArgs};

/// Network virtualisation: virtual networks, policies, and the roles that make them.
#[derive(Debug, Parser)]
#[command(
    name = "weft",
    version,
    propagate_version = true,
    after_help = "\
Try it:
  weft lab up examples/two-tenants.yaml      three hosts and two tenants on this machine
  weft status                                every role, peer and host, with what is wrong
  weft get virtual-network                   objects, as a table
  weft lab down two-tenants                  and nothing is left"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// How results are shown.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which server a command talks to.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Context of the configuration file ($WEFT_CONFIG or ~/.config/weft/config.yaml).
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Server instead of a context's: https://HOST:PORT, http://HOST:PORT or unix:/PATH. The token is then $WEFT_TOKEN's.
    #[arg(long, global = true, value_name = "ENDPOINT", env = "WEFT_SERVER")]
    pub(crate) server: Option<String>,
    /// Do not check the certificate of an https server. Anybody may answer in its place: for trying things out only.
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
}

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns.
    Table,
    /// More columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Names alone, a line each.
    Name,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the controller: REST API, store, compiler, control node, DNS
    Controller(Box<ControllerArgs>),
    /// Run the agent and forwarder of this host
    Vrouter(VrouterArgs),
    /// Make and test whole installations in network namespaces of this machine
    Lab {
        #[command(subcommand)]
        command: LabCommand,
    },
    /// Back up, restore, check, export or fill a controller's store
    #[command(after_help = "\
  weft store backup --store /var/lib/weft /backup/weft-monday
  weft store check --store etcd://10.0.0.1:2379,10.0.0.2:2379
  weft store import --store /var/lib/weft db-dump.json     (of the existing system: db_json_exim --export-to)")]
    Store {
        #[command(subcommand)]
        command: crate::store_cmd::StoreCommand,
    },
    /// Make a certificate authority and the certificates of nodes
    Certs(CertsArgs),
    /// Make, list and revoke tokens of the REST interface
    #[command(after_help = "\
  weft token create ci --role member --project UUID --expires 90d     prints the token, this once
  weft token list
  weft token revoke ci
On the controller itself, `--server unix:PATH` of its --api-socket needs no token.")]
    Token {
        #[command(subcommand)]
        command: crate::token_cmd::TokenCommand,
    },
    /// Create, update and delete objects so that they are as files say
    #[command(after_help = "\
Files are YAML (several documents) or JSON: {virtual-network: {fq_name: a:b:c, ...}}, or a list of such.
References may be names (a:b:c); parents are found from the name. All files are checked before anything is written;
objects are written parents and references first, deleted in the opposite order.
  weft apply -f network.yaml --dry-run       only say what would be done
  weft apply -f prod/                        all files of a directory; what is made becomes a member of the set `prod`
  weft apply -f prod/ --prune                and what was made for `prod` and is not there any more is deleted
  weft apply -f a.yaml -f b.yaml --set shop --prune
  weft get virtual-network web -o yaml | weft apply -f -
Exit status: 0 when everything was done (a dry run: always, but see --exit-code), 1 when something failed; the rest is done, and
the same command again finishes the work.")]
    Apply(ApplyArgs),
    /// Show what apply would change; exits with 0 for nothing, 1 for differences, 2 for errors
    #[command(after_help = "\
  weft diff -f prod/ --prune                 also what would be deleted
  weft diff -f - < network.yaml")]
    Diff(SourceArgs),
    /// Change an object in an editor ($VISUAL, $EDITOR or vi)
    #[command(after_help = "\
  weft edit vn acme:web                      mistakes are shown on top of the text, which comes up again
If somebody else changes the object meanwhile nothing is written. Your text is kept in a file whenever something goes wrong.")]
    Edit(NameArgs),
    /// List the objects of a type, or show one
    #[command(after_help = "\
  weft get virtual-network                   all, as a table
  weft get virtual-network web -o yaml       one, whole; a name may be shortened as long as only one fits
  weft get vmi -o wide                       with uuid, addresses and references
  weft get vmi --project acme --filter virtual_machine_refs=web1
  weft get vn --filter virtual_network_properties.forwarding_mode!=l2 --sort-by virtual_network_network_id
  weft get floating-ip-pool --parent virtual-network/acme:public
  weft get vn -o name | xargs -n 1 weft describe
  weft get vn --watch                        and changes as they happen")]
    Get(GetArgs),
    /// Show an object with everything around it: references, children, back references
    Describe(NameArgs),
    /// Delete an object
    #[command(
        after_help = "  weft delete vn acme:web\n  weft delete virtual-network/default-domain:acme:web"
    )]
    Delete(NameArgs),
    /// Show changes of objects as they happen; goes on when the server comes back after a restart
    #[command(after_help = "\
  weft watch                                 all types
  weft watch vn vmi --present                also what is there already
  weft watch vn -o json                      one line for each change: {event, type, uuid, fq_name, fields, object}")]
    Watch(WatchArgs),
    /// Store who you are in a context, after asking the server
    #[command(after_help = "\
  weft login --server https://weft.example:8082 --ca ca.pem --token -  < token
  weft --context prod login --keystone https://keystone.example:5000 --user ada --project acme
  weft login --oidc-token /run/secrets/token
The context is --context's, else the current one, else `default`; it becomes the current one. Only you can read the file.")]
    Login(LoginArgs),
    /// Servers that commands talk to, in the configuration file
    Context {
        #[command(subcommand)]
        command: ContextCommand,
    },
    /// Show routes of a routing instance (by its network's name), or list routing instances
    #[command(after_help = "\
  weft routes                                all routing instances
  weft routes acme:web                       the routes the control node has for that network
  weft routes acme:web --host host1          the routes host1's agent has")]
    Routes(RoutesArgs),
    /// Show flows in the forwarders' tables
    Flows(HostArgs),
    /// Show dropped packets: counters by reason, and the last ones with their place
    Drops(HostArgs),
    /// Show workloads' interfaces with their state and counters
    Interfaces(HostArgs),
    /// Show every role, peer and host, with what is wrong; fails if anything is
    Status,
    /// Print the completion script of a shell
    #[command(
        after_help = "  weft completion bash >/etc/bash_completion.d/weft      commands, options and object types"
    )]
    Completion {
        /// Shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ControllerArgs {
    /// Directory of the store
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Store shared by several controllers instead of the one in the data directory:
    /// etcd://HOST:PORT,.../PREFIX?ca=FILE&cert=FILE&key=FILE&user=NAME&password-file=FILE
    #[arg(long, value_name = "LOCATION", env = "WEFT_STORE")]
    pub(crate) store: Option<String>,
    /// REST API
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    pub(crate) listen_api: SocketAddr,
    /// Unix socket with REST API and introspection
    #[arg(long, value_name = "PATH")]
    pub(crate) api_socket: Option<PathBuf>,
    /// Agents' sessions
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:5269")]
    pub(crate) listen_xmpp: SocketAddr,
    /// DNS for agents
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:53")]
    pub(crate) listen_dns: SocketAddr,
    /// Name servers for names that are not ours, in order of preference
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) dns_forwarder: Vec<SocketAddr>,
    /// Introspection of the control node
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8083")]
    pub(crate) listen_introspect: SocketAddr,
    /// Directory with ca.pem, cert.pem and key.pem (`weft certs` makes them)
    #[arg(long, value_name = "DIR", required_unless_present = "plain_xmpp")]
    pub(crate) certs: Option<PathBuf>,
    /// Agents' sessions without TLS: anybody who reaches the port may be any agent
    #[arg(long)]
    pub(crate) plain_xmpp: bool,
    #[command(flatten)]
    pub(crate) access: crate::access::AccessArgs,
    #[command(flatten)]
    pub(crate) timers: TimerArgs,
}

/// Times of the control node; the defaults suit production.
#[derive(Debug, Args)]
pub(crate) struct TimerArgs {
    /// Silence after which a session is given up, seconds
    #[arg(long, value_name = "SECONDS", hide = true)]
    pub(crate) hold: Option<u64>,
    /// Time without changes after which a session counts as settled, seconds
    #[arg(long, value_name = "SECONDS", hide = true)]
    pub(crate) quiet: Option<u64>,
    /// How long the routes of a lost session stay in use, seconds
    #[arg(long, value_name = "SECONDS", hide = true)]
    pub(crate) stale: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct VrouterArgs {
    /// Name of this host: that of its virtual-router object
    #[arg(long)]
    pub(crate) name: String,
    /// Controllers, ADDRESS[:5269]; two at most are used
    #[arg(long, value_name = "ADDRESS", required = true, num_args = 1..)]
    pub(crate) controller: Vec<String>,
    /// DNS services of the controllers, ADDRESS[:53]
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
    pub(crate) dns: Vec<String>,
    /// Interface towards the other hosts
    #[arg(long, value_name = "INTERFACE")]
    pub(crate) fabric_interface: String,
    /// Source address of tunnels; the fabric interface's first by default
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tunnel_address: Option<Ipv4Addr>,
    /// Directory of ports and other state that outlives a restart
    #[arg(long, value_name = "DIR", default_value = "/var/lib/weft/vrouter")]
    pub(crate) state_dir: PathBuf,
    /// Directory of the forwarder's pinned maps, a bpf file system
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/weft")]
    pub(crate) bpf_dir: PathBuf,
    /// Directory with ca.pem, cert.pem and key.pem (`weft certs` makes them)
    #[arg(long, value_name = "DIR", required_unless_present = "plain_xmpp")]
    pub(crate) certs: Option<PathBuf>,
    /// Sessions without TLS
    #[arg(long)]
    pub(crate) plain_xmpp: bool,
    /// REST interface for plug-ins that attach ports
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9091")]
    pub(crate) listen_port_ipc: SocketAddr,
    /// Introspection
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8085")]
    pub(crate) listen_introspect: SocketAddr,
    /// Unix socket with both
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: crate::listen::TlsArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
  weft certs --dir /etc/weft/certs controller=192.0.2.1 host1=192.0.2.11
makes the authority in DIR (kept if it is there) and DIR/NAME/{ca,cert,key}.pem for each node.")]
pub(crate) struct CertsArgs {
    /// Directory of the authority; each node's files go into a directory below
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Nodes: NAME or NAME=ADDRESS[,ADDRESS]
    #[arg(required = true, value_parser = node)]
    pub(crate) nodes: Vec<NodeArg>,
}

/// A node with its addresses.
#[derive(Debug, Clone)]
pub(crate) struct NodeArg {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
}

fn node(text: &str) -> Result<NodeArg, String> {
    let (name, addresses) = text.split_once('=').unwrap_or((text, ""));
    let parse = |a: &str| a.parse::<IpAddr>().map_err(|_| format!("{a} is no address"));
    let addresses = addresses.split(',').filter(|a| !a.is_empty()).map(parse).collect::<Result<_, _>>()?;
    Ok(NodeArg { name: name.to_owned(), addresses })
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Make the lab of a file, run its steps, remove it; succeeds only if every step held
    #[command(after_help = "\
  weft lab test examples/two-tenants.yaml
  weft lab test FILE -o json                 {\"steps\":[{name,kind,expected,observed,ok,millis}],\"ok\":bool}
  weft lab test FILE --keep                  leave it up to look at")]
    Test {
        /// Lab file (docs/lab.md)
        file: PathBuf,
        /// Name of the lab instead of the file's
        #[arg(long)]
        name: Option<String>,
        /// Leave the lab up afterwards
        #[arg(long)]
        keep: bool,
    },
    /// Make the lab of a file and leave it up
    Up {
        /// Lab file (docs/lab.md)
        file: PathBuf,
        /// Name of the lab instead of the file's
        #[arg(long)]
        name: Option<String>,
    },
    /// End a lab, running or crashed
    Down {
        /// Name of the lab
        name: String,
    },
    /// Run a command in a lab: in a workload, on a host, or beside the controller
    #[command(after_help = "  weft lab exec two-tenants acme-web1 -- ping -c 3 10.1.0.4")]
    Exec {
        /// Name of the lab
        name: String,
        /// Workload, host or `controller`
        place: String,
        /// Command with its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// List labs with their hosts, workloads and addresses
    List,
}

#[derive(Debug, Args)]
pub(crate) struct RoutesArgs {
    /// Network or routing instance; all are listed without
    #[arg(value_name = "VRF")]
    pub(crate) vrf: Option<String>,
    /// Only one table: inet, inet6 or evpn
    #[arg(long)]
    pub(crate) table: Option<String>,
    /// Routes of that host's agent instead of the control node's
    #[arg(long)]
    pub(crate) host: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// Only that host; all by default
    #[arg(value_name = "HOST")]
    pub(crate) host: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nodes_are_read() {
        let found = node("host1=192.0.2.1,2001:db8::1").unwrap();
        assert_eq!((found.name.as_str(), found.addresses.len()), ("host1", 2));
        assert!(node("h=x").is_err());
    }
}

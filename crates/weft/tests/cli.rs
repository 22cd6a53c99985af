//! The command line against a controller on loopback, run by the built binary as a user would. Needs no privileges.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use serde_json::Value;

use common::{PATIENCE, Ran, WEFT, World};

mod common;

const POLICY: &str = "network-policy: {fq_name: default-domain:shop:web}\n";

/// A project with a policy and two networks that refer to each other.
fn shop(world: &World) -> String {
    world.file("shop/10-project.yaml", "project: {fq_name: default-domain:shop}\n");
    world.file("shop/20-policy.yml", POLICY);
    networks(
        world,
        "network_policy_refs: [{to: default-domain:shop:web, attr: {sequence: {major: 1, minor: 0}}}],",
    );
    world.path("shop").display().to_string()
}

fn networks(world: &World, more: &str) {
    let a =
        format!("{{fq_name: default-domain:shop:a, {more} virtual_network_refs: [default-domain:shop:b]}}");
    let b = "{fq_name: default-domain:shop:b, is_provider_network: true, virtual_network_refs: [default-domain:shop:a]}";
    world.file("shop/below/30-networks.yaml", &format!("- virtual-network: {a}\n- virtual-network: {b}\n"));
}

#[test]
fn a_directory_is_applied_once_and_pruned_of_its_own_only() {
    let world = World::new();
    let shop = shop(&world);
    world
        .weft(&["apply", "-f", &shop, "--dry-run"])
        .ok()
        .says("virtual-network default-domain:shop:a created (dry run)");
    world.weft(&["apply", "-f", &shop, "--dry-run", "--exit-code"]).code(1);
    world.weft(&["get", "project", "shop"]).code(1).says("no project named shop");
    let diff = world.weft(&["diff", "-f", &shop]);
    diff.code(1).says("+++ network-policy default-domain:shop:web (files)").says("\n+  - shop\n");

    world.weft(&["apply", "-f", &shop]).ok().says("4 created, 0 updated, 0 unchanged, 0 deleted");
    world.weft(&["apply", "-f", &shop]).ok().says("0 created, 0 updated, 4 unchanged, 0 deleted");
    assert_eq!(world.weft(&["diff", "-f", &shop]).ok().out(), "");
    world.weft(&["diff", "-f", "/nothing/here.yaml"]).code(2);

    // Made by others, beside ours and below our project.
    let theirs = world.file("theirs.yaml", "network-policy: {fq_name: default-domain:shop:theirs}\n");
    world.weft(&["apply", "-f", &theirs]).ok();
    let before = world.weft(&["get", "vn", "shop:a", "-o", "json"]).ok().out();
    std::fs::remove_file(world.path("shop/20-policy.yml")).unwrap();
    networks(&world, "network_policy_refs: [], mtu: 1400,");
    let dry = world.weft(&["apply", "-f", &shop, "--prune", "--dry-run"]);
    dry.ok().says("network-policy default-domain:shop:web deleted (dry run)").says("- network_policy_refs[");
    assert_eq!(
        world.weft(&["get", "vn", "shop:a", "-o", "json"]).ok().out(),
        before,
        "a dry run changes nothing"
    );
    world.weft(&["apply", "-f", &shop, "--prune"]).ok().says("0 created, 1 updated, 2 unchanged, 1 deleted");
    world
        .weft(&["get", "network-policy", "-o", "name"])
        .ok()
        .says("network-policy/default-domain:shop:theirs");
    world.weft(&["get", "network-policy", "shop:web"]).code(1);

    // Another directory is another set, and takes nothing from this one.
    let rival = world.file("rival/a.yaml", "project: {fq_name: default-domain:shop}\n");
    let refused = world.weft(&["apply", "-f", &world.path("rival").display().to_string()]);
    refused.code(1).says(&format!("{rival}:1:1: project default-domain:shop belongs to the set shop"));
    prune_everything(&world);
}

/// Deletes the set whole, first in part because something of others is in the way.
fn prune_everything(world: &World) {
    let nothing = world.file("empty.yaml", "");
    world.weft(&["apply", "-f", &nothing, "--prune"]).code(1).says("need the name of a set");
    let partly = world.weft(&["apply", "-f", &nothing, "--set", "shop", "--prune"]);
    partly
        .code(1)
        .says("0 created, 0 updated, 0 unchanged, 2 deleted, 1 failed")
        .says("project default-domain:shop failed");
    world.weft(&["delete", "network-policy/default-domain:shop:theirs"]).ok();
    world.weft(&["apply", "-f", &nothing, "--set", "shop", "--prune"]).ok().says("1 deleted");
    world.weft(&["get", "vn", "--filter", "fq_name=shop:a", "-o", "name"]).ok();
    world.weft(&["get", "project", "shop"]).code(1);
}

#[test]
fn mistakes_are_told_at_once_and_in_their_place() {
    let world = World::new();
    let bad = world.file(
        "bad.yaml",
        "project: {fq_name: default-domain:one}\n---\nvirtual-network:\n  fq_name: default-domain:one:n\n  mtuu: 9000\n  mac_aging_time: soon\n",
    );
    let worse = world.file("worse.yaml", "virtual-netwrok: {fq_name: a:b:c}\n");
    let ran = world.weft(&["apply", "-f", &bad, "-f", &worse]);
    ran.code(1)
        .says(&format!("{bad}:5:3: virtual-network default-domain:one:n: virtual-network has no field mtuu; did you mean mtu?"))
        .says(&format!("{bad}:6:19: virtual-network default-domain:one:n: invalid value \"soon\" for mac_aging_time"))
        .says(&format!("{worse}:1:1: unknown object type virtual-netwrok; did you mean virtual-network?"))
        .says("3 mistakes, nothing was written");
    world.weft(&["get", "project", "one"]).code(1);

    // What only the server knows is shown in the file as well, and the rest is done.
    let text = "project: {fq_name: default-domain:two}\n---\nvirtual-network:\n  fq_name: default-domain:two:n\n  network_ipam_refs:\n  - to: default-domain:default-project:default-network-ipam\n    attr:\n      ipam_subnets:\n      - subnet: {ip_prefix: 10.0.0.0, ip_prefix_len: 24}\n        default_gateway: GATEWAY\n---\nfloating-ip-pool: {fq_name: default-domain:two:n:pool}\n---\nnetwork-policy: {fq_name: default-domain:two:p}\n";
    let text = text.replace("---\nfloating-ip-pool: {fq_name: default-domain:two:n:pool}\n", "");
    let partly = world.file("partly.yaml", &text.replace("GATEWAY", "10.9.0.1"));
    let ran = world.weft(&["apply", "-f", &partly]);
    ran.code(1)
        .says(&format!("{partly}:10:26: virtual-network default-domain:two:n: "))
        .says("10.9.0.1")
        .says("2 created");
    world.file("partly.yaml", &text.replace("GATEWAY", "10.0.0.1"));
    world.weft(&["apply", "-f", &partly]).ok().says("1 created, 0 updated, 2 unchanged");
    let nowhere = world.file(
        "nowhere.yaml",
        "virtual-network: {fq_name: default-domain:two:m, network_policy_refs: [default-domain:two:q]}\n",
    );
    world
        .weft(&["apply", "-f", &nowhere])
        .code(1)
        .says(&format!("{nowhere}:1:72: "))
        .says("network-policy default-domain:two:q does not exist");
}

#[test]
fn an_object_is_edited_and_what_goes_wrong_loses_nothing() {
    let world = World::new();
    let network = world.file("n.yaml", "project: {fq_name: default-domain:p}\n---\nvirtual-network: {fq_name: default-domain:p:n, mtu: 1400}\n");
    world.weft(&["apply", "-f", &network]).ok();
    let mtu = || {
        let text = world.weft(&["get", "vn", "p:n", "-o", "json"]).ok().out();
        serde_json::from_str::<Value>(&text).unwrap()["virtual-network"]["mtu"].clone()
    };
    let edit = |script: &str| {
        let script = world.file("editor.sh", script);
        let mut command = world.command(&["edit", "vn", "p:n"]);
        command.env("EDITOR", format!("sh {script}")).env("TMPDIR", world.directory.path());
        Ran("edit".into(), command.stdin(Stdio::null()).output().unwrap())
    };
    edit("sed -i 's/mtu: 1400/mtu: 1500/' \"$1\"").ok().says("virtual-network default-domain:p:n edited");
    assert_eq!(mtu(), 1500);
    edit("true").ok().says("nothing was changed");
    edit(": > \"$1\"").ok().says("the file is empty");
    edit("exit 3").code(1).says("the editor sh");

    // A mistake comes up on top of the text; the second time it is mended.
    let first = world.path("first");
    let seen = world.path("seen");
    let script = format!(
        "if [ -e {0} ]; then cp \"$1\" {1}; sed -i 's/mtuu: 1600/mtu: 1600/' \"$1\"; else touch {0}; sed -i 's/mtu: 1500/mtuu: 1600/' \"$1\"; fi",
        first.display(),
        seen.display()
    );
    edit(&script).ok();
    assert_eq!(mtu(), 1600);
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.starts_with("# This is not right yet") && seen.contains("did you mean mtu?"), "{seen}");

    // Not mended: the text is kept. Changed by others meanwhile: nothing is written, and the text is kept.
    let ran = edit("sed -i 's/mtu: 1600/mtu: 99999/' \"$1\"");
    ran.code(1).says("invalid value 99999 for mtu");
    let kept = kept_file(&ran);
    assert!(std::fs::read_to_string(&kept).unwrap().contains("mtu: 99999\n"));
    let theirs = world.file("theirs.yaml", "virtual-network: {fq_name: default-domain:p:n, mtu: 1700}\n");
    let config = world.path("config/config.yaml").display().to_string();
    let ran = edit(&format!(
        "WEFT_CONFIG={config} {WEFT} apply -f {theirs} && sed -i 's/mtu: 1600/mtu: 1800/' \"$1\""
    ));
    ran.code(1).says("somebody else changed the object meanwhile (mtu)");
    assert_eq!(mtu(), 1700);
    assert!(std::fs::read_to_string(kept_file(&ran)).unwrap().contains("mtu: 1800"));
    world.weft(&["apply", "-f", &kept_file(&ran)]).ok().says("updated");
    assert_eq!(mtu(), 1800);
}

fn kept_file(ran: &Ran) -> String {
    let err = ran.err();
    let (_, rest) = err.split_once("your text is kept in ").unwrap_or_else(|| panic!("{err}"));
    rest.split(';').next().unwrap().to_owned()
}

/// The lines that a command prints, as they come.
struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (send, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|l| send.send(l)));
        Self { child, lines }
    }

    /// The next change, as `event type name`.
    fn next(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        let name: Vec<&str> = value["fq_name"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        format!("{} {} {}", value["event"].as_str().unwrap(), value["type"].as_str().unwrap(), name.join(":"))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn changes_are_followed_over_a_restart_of_the_server() {
    let mut world = World::new();
    let apply = |world: &World, name: &str, more: &str| {
        let file = world.file("one.yaml", &format!("project: {{fq_name: default-domain:{name}{more}}}\n"));
        world.weft(&["apply", "-f", &file]).ok();
    };
    apply(&world, "first", "");
    let watch = Lines::of(world.command(&["watch", "project", "--present", "-o", "json"]));
    let mut present: Vec<String> = vec![watch.next(), watch.next()];
    present.sort();
    assert_eq!(present[1], "present project default-domain:first");
    let table = Lines::of(world.command(&["get", "project", "--watch", "--filter", "display_name=second"]));
    apply(&world, "second", "");
    assert_eq!(watch.next(), "created project default-domain:second");
    apply(&world, "second", ", vxlan_routing: true");
    assert_eq!(watch.next(), "updated project default-domain:second");

    world.stop();
    world.start_again();
    // Whether this is before or after the watcher is back: it is told once.
    world.weft(&["delete", "project", "first"]).ok();
    apply(&world, "third", "");
    let mut told = vec![watch.next(), watch.next()];
    told.sort();
    assert_eq!(told, ["created project default-domain:third", "deleted project default-domain:first"]);
    apply(&world, "fourth", "");
    assert_eq!(watch.next(), "created project default-domain:fourth");
    let row = table.lines.recv_timeout(PATIENCE).unwrap();
    assert!(row.ends_with(" project default-domain:second") && !row.contains('\x1b'), "{row}");
}

#[test]
fn filters_formats_and_contexts() {
    let world = World::new();
    let shop = shop(&world);
    world.weft(&["apply", "-f", &shop]).ok();
    let names = |arguments: &[&str]| world.weft(&[arguments, &["-o", "name"]].concat()).ok().out();
    let both = "virtual-network/default-domain:shop:a\nvirtual-network/default-domain:shop:b\n";
    assert_eq!(names(&["get", "vn", "--project", "shop"]), both);
    assert_eq!(names(&["get", "vn", "--parent", "project/default-domain:shop"]), both);
    let one = "virtual-network/default-domain:shop:a\n";
    assert_eq!(names(&["get", "vn", "--filter", "network_policy_refs=shop:web"]), one);
    assert_eq!(names(&["get", "vn/shop:a"]), one);
    world
        .weft(&["get", "vn", "--parent", "domain/default-domain"])
        .code(1)
        .says("may be under project, not under domain");
    world.weft(&["get", "virtual-netwrok"]).code(2).says("did you mean virtual-network?");
    world
        .weft(&["describe", "vn", "shop:a"])
        .ok()
        .says("referred to by:\n  virtual-network default-domain:shop:b");
    world.weft(&["get", "vn", "shop:a", "-o", "yaml"]).ok().says("key: weft.io/set");
    world.weft(&["completion", "bash"]).ok().says("virtual-machine-interface");

    world.weft(&["context", "set", "other", "--server", "http://127.0.0.1:9"]).ok();
    assert_eq!(names(&["context", "list"]), "here\nother\n");
    world.weft(&["context", "use", "other"]).ok();
    world.weft(&["get", "vn"]).code(1).says("cannot reach http://127.0.0.1:9");
    world.weft(&["--context", "here", "get", "vn"]).ok();
    world.weft(&["context", "use", "nothing"]).code(1).says("known: here, other");
    world.weft(&["context", "remove", "other"]).ok();
}

/// Answers every request: `GET` with 200 only for the right token, `POST` (Keystone's) with a token. Ends with the test.
fn token_server(secret: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, secret)));
    url
}

/// The same over TLS, for clients with a certificate of the authority in a directory.
fn tls_token_server(secret: &'static str, certs: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let config = weft_tls::server_config(&certs.join("server")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(std::sync::Arc::clone(&config)).unwrap();
            answer(rustls::StreamOwned::new(session, stream), secret);
        }
    });
    url
}

fn answer(mut stream: impl std::io::Read + Write, secret: &str) {
    let head = read_request(&mut stream).to_ascii_lowercase();
    let token = format!("x-auth-token: {secret}");
    let (status, header, body) = match (head.starts_with("post "), head.contains(&token)) {
        (true, _) if head.contains("\"password\":\"wrong\"") => {
            ("401 Unauthorized", String::new(), "{\"error\":{\"message\":\"no such password\"}}")
        }
        (true, _) => {
            let body = "{\"token\":{\"expires_at\":\"2030-01-01T00:00:00Z\"}}";
            ("201 Created", format!("x-subject-token: {secret}\r\n"), body)
        }
        (false, true) => ("200 OK", String::new(), "{\"domains\":{\"count\":1}}"),
        (false, false) => ("401 Unauthorized", String::new(), "Authentication required"),
    };
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

/// Header and body of a request.
fn read_request(stream: &mut impl std::io::Read) -> String {
    let (mut reader, mut text) = (BufReader::new(stream), String::new());
    while reader.read_line(&mut text).unwrap_or(0) > 2 {}
    let length = text
        .to_ascii_lowercase()
        .split("content-length: ")
        .nth(1)
        .map(|rest| rest.lines().next().unwrap_or("0").trim().parse().unwrap_or(0));
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = std::io::Read::read_exact(&mut reader, &mut body);
    text + &String::from_utf8_lossy(&body)
}

#[test]
fn logging_in_stores_a_token_that_nobody_else_sees() {
    let world = World::new();
    let url = token_server("t0p-secret");
    let with_input = |arguments: &[&str], input: &str| {
        let mut command = world.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran(arguments.join(" "), child.wait_with_output().unwrap())
    };
    let config = world.path("config/config.yaml");
    let login = ["--context", "there", "--server", &url, "login", "--token", "-"];
    with_input(&login, "guess\n").code(1).says("refuses the token: Authentication required");
    assert!(!std::fs::read_to_string(&config).unwrap().contains("guess"), "a refused token is not stored");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = with_input(&login, "t0p-secret\n");
    ran.ok().says("logged in to");
    assert_eq!(std::fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    for arguments in
        [&["context", "list"][..], &["context", "list", "-o", "json"], &["context", "list", "-o", "wide"]]
    {
        let shown = world.weft(arguments);
        shown.ok().says(&url);
        assert!(!(shown.out() + &shown.err()).contains("t0p-secret"));
    }

    // Who is not logged in is told what to do; $WEFT_TOKEN is enough for one command.
    world.weft(&["--server", &url, "get", "domain"]).code(1).says("weft login");
    let file = world.file("token", "t0p-secret\n");
    world.weft(&["--server", &url, "login", "--oidc-token", &file]).ok();
    let keystone = |password: &str| {
        let mut command = world.command(&[
            "--server",
            &url,
            "login",
            "--keystone",
            &url,
            "--user",
            "ada",
            "--project",
            "acme",
        ]);
        command.env("WEFT_PASSWORD", password).stdin(Stdio::null());
        Ran("login --keystone".into(), command.output().unwrap())
    };
    keystone("wrong").code(1).says("refuses user ada, project acme").says("no such password (401)");
    keystone("right").ok();
    world.weft(&["context", "list"]).ok().says("ada in project acme").says("2030-01-01");
}

#[test]
fn https_servers_prove_who_they_are_and_so_do_clients() {
    let world = World::new();
    let certs = world.path("certs");
    let nodes = ["--dir", &certs.display().to_string(), "server=127.0.0.1", "ada"];
    world.weft(&[&["certs"], &nodes[..]].concat()).ok();
    let url = tls_token_server("t0p-secret", &certs);
    let token = world.file("token", "t0p-secret");
    let file = |name: &str| certs.join(name).display().to_string();
    let login = ["--context", "tls", "--server", &url, "login", "--oidc-token", &token];
    let client = ["--cert", &file("ada/cert.pem"), "--key", &file("ada/key.pem")];
    let ca = ["--ca", &file("ada/ca.pem")];

    // Not signed by an authority of the system, or no certificate of the client's: nothing is stored.
    world.weft(&[&login[..], &client[..]].concat()).code(1).says("cannot reach https://");
    world.weft(&[&login[..], &ca[..]].concat()).code(1).says("cannot reach https://");
    assert!(!std::fs::read_to_string(world.path("config/config.yaml")).unwrap().contains("t0p"));
    world.weft(&[&login[..], &ca[..], &client[..]].concat()).ok().says("logged in to https://");
    world.weft(&["context", "list"]).ok().says("tls");
    let loud = world.weft(&[&["--insecure"], &login[..], &client[..]].concat());
    loud.ok().says("is NOT CHECKED (insecure)");
    let wrong = ["--ca", &file("ada/key.pem")];
    world.weft(&[&login[..], &wrong[..]].concat()).code(1).says("ada/key.pem: no PEM certificate in it");
}

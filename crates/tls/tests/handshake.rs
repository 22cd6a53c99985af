//! Certificates made here carry a handshake, and only those of the same authority do.

#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use weft_tls::{ClientTls, ServerTls, client_config, make_ca, make_node_cert, peer_names, server_config};

/// Passes bytes until both sides are done or one refuses.
fn handshake(server_dir: &Path, client_dir: &Path, to: &str) -> Result<Vec<String>, rustls::Error> {
    let name = ServerName::from(to.parse::<IpAddr>().unwrap());
    let mut client = ClientConnection::new(client_config(client_dir).unwrap(), name).unwrap();
    let mut server = ServerConnection::new(server_config(server_dir).unwrap()).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    client.writer().write_all(b"x").unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    server.read_tls(&mut bytes.as_slice()).unwrap();
    server.process_new_packets()?;
    let mut got = [0; 8];
    match server.reader().read(&mut got) {
        Ok(1) => {}
        other => return Err(rustls::Error::General(format!("{:?}", other.map_err(|e: io::Error| e.kind())))),
    }
    Ok(peer_names(&server.peer_certificates().unwrap()[0]).unwrap())
}

#[test]
fn mutual_handshake_tells_names_and_refuses_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    for ca in ["ca", "other-ca"] {
        make_ca(&at(ca)).unwrap();
    }
    make_node_cert(&at("ca"), "controller", &[ip], &at("controller")).unwrap();
    make_node_cert(&at("ca"), "host_1", &[], &at("odd")).unwrap();
    make_node_cert(&at("ca"), "host1.example", &["2001:db8::1".parse().unwrap()], &at("agent")).unwrap();
    make_node_cert(&at("other-ca"), "host1.example", &[], &at("stranger")).unwrap();

    let names = handshake(&at("controller"), &at("agent"), "192.0.2.1").unwrap();
    assert_eq!(names, ["host1.example", "host1.example"]);
    assert_eq!(handshake(&at("controller"), &at("odd"), "192.0.2.1").unwrap(), ["host_1"]);
    assert!(handshake(&at("controller"), &at("agent"), "192.0.2.2").is_err(), "another address");
    assert!(handshake(&at("controller"), &at("stranger"), "192.0.2.1").is_err(), "another authority");
}

#[test]
fn keys_are_private_and_an_authority_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    make_ca(dir.path()).unwrap();
    let before = std::fs::read(dir.path().join("ca.pem")).unwrap();
    make_ca(dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("ca.pem")).unwrap(), before);
    make_node_cert(dir.path(), "n", &[], dir.path()).unwrap();
    for key in ["ca-key.pem", "key.pem"] {
        let mode = std::fs::metadata(dir.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    std::fs::remove_file(dir.path().join("ca-key.pem")).unwrap();
    assert!(make_ca(dir.path()).is_err(), "half an authority is not silently replaced");
}

#[test]
fn broken_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    make_ca(dir.path()).unwrap();
    make_node_cert(dir.path(), "n", &[], dir.path()).unwrap();
    std::fs::write(dir.path().join("cert.pem"), "nonsense").unwrap();
    let error = server_config(dir.path()).unwrap_err().to_string();
    assert!(error.contains("cert.pem"), "{error}");
    assert!(peer_names(&b"nonsense".as_slice().into()).is_err());
}

#[test]
fn a_listener_takes_up_a_new_authority_for_its_clients() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for ca in ["ca", "new-ca"] {
        make_ca(&at(ca)).unwrap();
        make_node_cert(&at(ca), "n", &[], &at(ca).join("n")).unwrap();
    }
    let node = at("node");
    make_node_cert(&at("ca"), "n", &[], &node).unwrap();
    let tls = ServerTls::of_directory(&node).unwrap().every(Duration::ZERO);
    let patient = ServerTls::of_directory(&node).unwrap();
    let first = tls.current();
    assert!(Arc::ptr_eq(&first, &tls.current()), "what has not changed is not read again");
    std::fs::write(node.join("ca.pem"), "nonsense").unwrap();
    assert!(Arc::ptr_eq(&first, &tls.current()), "what cannot be used does not count");
    std::fs::remove_file(node.join("ca.pem")).unwrap();
    assert!(Arc::ptr_eq(&first, &tls.current()), "nor does nothing at all");
    make_node_cert(&at("new-ca"), "n", &[], &node).unwrap();
    let second = tls.current();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(!Arc::ptr_eq(&first, &patient.current()) && !Arc::ptr_eq(&second, &patient.current()));
    let old_client = ClientTls::of_directory(&at("ca/n")).unwrap().current();
    let new_client = ClientTls::of_directory(&at("new-ca/n")).unwrap().current();
    assert!(meet(&second, &new_client) && !meet(&second, &old_client) && meet(&first, &old_client));
}

/// Whether a server and a client shake hands: both check the other's certificate.
fn meet(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> bool {
    let name = ServerName::try_from("n").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        let _ = server.read_tls(&mut bytes.as_slice()).unwrap();
        if server.process_new_packets().is_err() {
            return false;
        }
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        let _ = client.read_tls(&mut bytes.as_slice()).unwrap();
        if client.process_new_packets().is_err() {
            return false;
        }
    }
    !server.is_handshaking() && !client.is_handshaking()
}

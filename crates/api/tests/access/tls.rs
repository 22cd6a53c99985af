//! TLS of the REST interface.

use crate::harness::Server;
use reqwest::{Certificate, Client};
use std::path::Path;
use weft_api::{Serving, serve_with};

async fn listen(server: &Server, tls: weft_api::ServerTls) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Serving { tls: Some(std::sync::Arc::new(tls)), ..Serving::default() };
    let task = tokio::spawn(serve_with(listener, server.router.clone(), serving, std::future::pending()));
    (address.to_string(), task)
}

fn certificates(directory: &Path) -> std::path::PathBuf {
    weft_tls::make_ca(directory).unwrap();
    let node = directory.join("node");
    weft_tls::make_node_cert(directory, "node", &["127.0.0.1".parse().unwrap()], &node).unwrap();
    node
}

fn client(node: &Path, own: bool) -> Client {
    let read = |name: &str| std::fs::read(node.join(name)).unwrap();
    let ca = Certificate::from_pem(&read("ca.pem")).unwrap();
    let mut builder = Client::builder().tls_certs_only([ca]);
    if own {
        let pem = [read("cert.pem"), read("key.pem")].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&pem).unwrap());
    }
    builder.build().unwrap()
}

#[tokio::test]
async fn links_are_https_and_strangers_to_tls_get_nothing() {
    let server = Server::start(|access, _| access).await;
    let node = certificates(server.directory.path());
    let config = weft_tls::ServerTls::http(&node.join("cert.pem"), &node.join("key.pem"), None).unwrap();
    let (address, task) = listen(&server, config).await;
    let text =
        client(&node, false).get(format!("https://{address}/")).send().await.unwrap().text().await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["href"], format!("https://{address}"));
    assert!(Client::new().get(format!("http://{address}/")).send().await.is_err());
    assert!(
        Client::new().get(format!("https://{address}/")).send().await.is_err(),
        "of an unknown authority"
    );
    // Somebody who connects and says nothing keeps nobody else out.
    let _mute = tokio::net::TcpStream::connect(&address).await.unwrap();
    assert!(client(&node, false).get(format!("https://{address}/")).send().await.is_ok());
    task.abort();
}

#[tokio::test]
async fn with_a_client_authority_a_certificate_and_a_token_are_needed() {
    let server = Server::start(|access, _| access).await;
    let node = certificates(server.directory.path());
    let (cert, key, ca) = (node.join("cert.pem"), node.join("key.pem"), node.join("ca.pem"));
    let (address, task) = listen(&server, weft_tls::ServerTls::http(&cert, &key, Some(&ca)).unwrap()).await;
    assert!(client(&node, false).get(format!("https://{address}/")).send().await.is_err());
    let with = |path: &str| client(&node, true).get(format!("https://{address}{path}")).send();
    assert_eq!(with("/").await.unwrap().status().as_u16(), 200);
    assert_eq!(with("/projects").await.unwrap().status().as_u16(), 401);
    task.abort();
}

#[tokio::test]
async fn renewed_certificates_count_without_a_restart_and_broken_ones_do_not() {
    let server = Server::start(|access, _| access).await;
    let node = certificates(server.directory.path());
    let tls = weft_tls::ServerTls::http(&node.join("cert.pem"), &node.join("key.pem"), None).unwrap();
    let (address, task) = listen(&server, tls.every(std::time::Duration::ZERO)).await;
    let answers = async |client: Client| {
        let answer = client.get(format!("https://{address}/")).send().await;
        // Read to its end, so that the connection is kept.
        match answer {
            Ok(answer) => answer.text().await.is_ok(),
            Err(_) => false,
        }
    };
    let before = client(&node, false);
    assert!(answers(before.clone()).await);
    // Half of a new pair: the connection is made with what there was.
    let cert = std::fs::read(node.join("cert.pem")).unwrap();
    std::fs::write(node.join("cert.pem"), "nonsense").unwrap();
    assert!(answers(client_of(&std::fs::read(node.join("ca.pem")).unwrap())).await);
    std::fs::write(node.join("cert.pem"), cert).unwrap();
    // Another authority altogether.
    let other = server.directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let renewed = certificates(&other);
    for name in ["ca.pem", "key.pem", "cert.pem"] {
        std::fs::copy(renewed.join(name), node.join(name)).unwrap();
    }
    assert!(answers(client(&renewed, false)).await, "the new authority's clients get in");
    assert!(answers(before).await, "connections that are there go on");
    task.abort();
}

fn client_of(ca: &[u8]) -> Client {
    Client::builder().tls_certs_only([Certificate::from_pem(ca).unwrap()]).build().unwrap()
}

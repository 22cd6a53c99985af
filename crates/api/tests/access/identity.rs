//! 401, 403 and who gets past them.

use crate::harness::{Server, machine};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn nobody_gets_in_without_a_good_token() {
    let server = Server::start(|access, _| access).await;
    let admin = server.token("a", "admin").await;
    let bad = format!("weft_{}", "0".repeat(64));
    let paths = [
        "/virtual-networks",
        "/project/x",
        "/aaa-mode",
        "/watch?resource_type=project",
        "/nothing",
        "/weft/tokens",
    ];
    for path in paths {
        for headers in [
            &[][..],
            &[("x-auth-token", bad.as_str())],
            &[("x-auth-token", "gAAAA")],
            &[("x-api-role", "admin")],
        ] {
            let response = server.send(Method::GET, path, headers, None).await;
            assert_eq!(response.status().as_u16(), 401, "{path} {headers:?}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
        }
    }
    assert_eq!(server.get("/virtual-networks", &[("x-auth-token", &admin)]).await.0, 200);
    assert_eq!(
        server.get("/virtual-networks", &[("authorization", &format!("Bearer {admin}"))]).await.0,
        200
    );
    // What the client must be able to read to find its way.
    let (status, text) = server.get("/", &[]).await;
    assert!(status == 200 && text.contains("virtual-network"));
    assert_eq!(server.send(Method::POST, "/", &[], None).await.status().as_u16(), 401);
    let create = server.send(Method::POST, "/virtual-machines", &[], Some(machine("m"))).await;
    assert_eq!(create.status().as_u16(), 401);
    let list = server.get("/virtual-machines", &[("x-auth-token", &admin)]).await.1;
    assert_eq!(serde_json::from_str::<Value>(&list).unwrap(), json!({"virtual-machines": []}));
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_by_administrators_alone() {
    let server = Server::start(|access, _| access).await;
    let (admin, member) = (server.token("a", "admin").await, server.token("m", "member").await);
    let as_admin = [("x-auth-token", admin.as_str())];
    let new = json!({"token": {"name": "ci", "roles": ["member"], "expires_in": 3600}});
    for (method, path) in [(Method::GET, ""), (Method::POST, ""), (Method::DELETE, "/a")] {
        let path = format!("/weft/tokens{path}");
        let refused = server.send(method, &path, &[("x-auth-token", &member)], Some(new.clone())).await;
        assert_eq!(refused.status().as_u16(), 403);
    }
    let made = server.send(Method::POST, "/weft/tokens", &as_admin, Some(new.clone())).await;
    assert_eq!(made.status().as_u16(), 200);
    let made: Value = made.json().await.unwrap();
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(server.get("/obj-perms", &[("x-auth-token", secret)]).await.0, 200);
    let listed = server.get("/weft/tokens", &as_admin).await.1;
    assert!(listed.contains("\"ci\"") && !listed.contains(&secret[5..]) && !listed.contains("secret"));
    for (body, status, what) in [
        (new, 409, "ci"),
        (json!({"token": {"name": "a/b"}}), 400, "name"),
        (json!({"token": {"name": "x", "rolse": []}}), 400, "rolse"),
        (json!([]), 400, "token"),
    ] {
        let refused = server.send(Method::POST, "/weft/tokens", &as_admin, Some(body)).await;
        assert_eq!(refused.status().as_u16(), status);
        assert!(refused.text().await.unwrap().contains(what));
    }
    let revoke = || server.send(Method::DELETE, "/weft/tokens/ci", &as_admin, None);
    assert_eq!(revoke().await.status().as_u16(), 200);
    assert_eq!(server.get("/projects", &[("x-auth-token", secret)]).await.0, 401);
    assert_eq!(revoke().await.status().as_u16(), 404);
}

#[tokio::test]
async fn the_unix_socket_is_the_administrators() {
    let server = Server::start(|access, _| access).await;
    let path = server.directory.path().join("api.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = weft_api::serve_with(
        listener,
        server.router.clone(),
        weft_api::Serving::default(),
        std::future::pending(),
    );
    let task = tokio::spawn(serving);
    let client = reqwest::Client::builder().unix_socket(path).build().unwrap();
    assert_eq!(client.get("http://localhost/weft/tokens").send().await.unwrap().status().as_u16(), 200);
    task.abort();
}

#[tokio::test]
async fn requests_have_names() {
    let server = Server::start(|access, _| access).await;
    let named = server.send(Method::GET, "/", &[("x-request-id", "req-7")], None).await;
    assert_eq!(named.headers()["x-request-id"], "req-7");
    let unnamed = server.send(Method::GET, "/projects", &[], None).await;
    assert!(unnamed.headers()["x-request-id"].to_str().unwrap().starts_with("req-"));
}

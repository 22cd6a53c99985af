//! JWTs of a small issuer on the loopback interface, with keys made here.
#![allow(clippy::unwrap_used, clippy::panic)]

use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use uuid::Uuid;
use weft_auth::{AuthConfig, AuthError, IdentityKind, Oidc};

struct Key {
    id: String,
    algorithm: Algorithm,
    signing: EncodingKey,
    public: Jwk,
}

/// A random Ed25519 key in PKCS #8 version 1 (RFC 8410 7), the only form that the JWT library takes.
fn ed25519_der() -> Vec<u8> {
    const HEADER: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).unwrap();
    [HEADER.as_slice(), &seed].concat()
}

fn key(id: &str, algorithm: Algorithm) -> Key {
    let pem = |kind| rcgen::KeyPair::generate_for(kind).unwrap().serialize_pem();
    let signing = match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(pem(&rcgen::PKCS_RSA_SHA256).as_bytes()),
        Algorithm::ES256 => EncodingKey::from_ec_pem(pem(&rcgen::PKCS_ECDSA_P256_SHA256).as_bytes()),
        _ => Ok(EncodingKey::from_ed_der(&ed25519_der())),
    };
    let signing = signing.unwrap();
    let mut public = Jwk::from_encoding_key(&signing, algorithm).unwrap();
    public.common.key_id = Some(id.to_owned());
    public.common.public_key_use = Some(PublicKeyUse::Signature);
    Key { id: id.to_owned(), algorithm, signing, public }
}

struct Issuer {
    url: String,
    published: Arc<Mutex<Vec<Value>>>,
    fetched: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(keys: &[&Key]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let published = Arc::new(Mutex::new(Vec::new()));
        let fetched = Arc::new(AtomicUsize::new(0));
        let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let (keys_shown, count) = (Arc::clone(&published), Arc::clone(&fetched));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { Json(document) }))
            .route(
                "/keys",
                get(move || async move {
                    count.fetch_add(1, Ordering::Relaxed);
                    Json(json!({"keys": *keys_shown.lock().unwrap()}))
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let issuer = Self { url, published, fetched };
        issuer.publish(keys);
        issuer
    }

    fn publish(&self, keys: &[&Key]) {
        let set = JwkSet { keys: keys.iter().map(|key| key.public.clone()).collect() };
        let mut list: Vec<Value> = set.keys.iter().map(|key| serde_json::to_value(key).unwrap()).collect();
        // A key of a kind nobody here knows is passed over.
        list.push(json!({"kty": "future", "kid": "x"}));
        *self.published.lock().unwrap() = list;
    }

    fn client(&self) -> Oidc {
        let text = format!(
            "oidc:\n- issuer: {}\n  audience: weft\n  role_map: {{net-admins: admin}}\n  roles_claim: realm.groups\n",
            self.url
        );
        let config = AuthConfig::parse(&text).unwrap().oidc.remove(0);
        Oidc::new(config).unwrap().with_pause(Duration::ZERO)
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": ["weft", "other"], "exp": now() + 600, "sub": "0815", "preferred_username": "alice",
            "realm": {"groups": ["net-admins", "others"]}, "project_id": "5a1c9f0e6d5f4f0f8f53a4f2b6a1d3c7",
        })
    }
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

fn sign(key: &Key, claims: &Value) -> String {
    let header = Header { kid: Some(key.id.clone()), ..Header::new(key.algorithm) };
    encode(&header, claims, &key.signing).unwrap()
}

fn refusal(result: Result<Arc<weft_auth::Identity>, AuthError>) -> String {
    match result {
        Err(AuthError::Denied(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn all_three_algorithms_and_the_claims() {
    let keys = [key("r", Algorithm::RS256), key("e", Algorithm::ES256), key("d", Algorithm::EdDSA)];
    let issuer = Issuer::start(&keys.iter().collect::<Vec<_>>()).await;
    let client = issuer.client();
    for key in &keys {
        let alice = client.identify(&sign(key, &issuer.claims())).await.unwrap();
        assert_eq!((alice.user.as_str(), alice.user_id.as_deref()), ("alice", Some("0815")));
        assert_eq!((&alice.roles[..], alice.kind), (&["admin".to_owned()][..], IdentityKind::Oidc));
        assert_eq!(alice.project_id, Uuid::parse_str("5a1c9f0e6d5f4f0f8f53a4f2b6a1d3c7").ok());
    }
    assert_eq!(issuer.fetched.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn claims_that_are_not_right_are_refused() {
    let key = key("d", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&key]).await;
    let client = issuer.client();
    for (name, value, why) in [
        ("aud", json!("other"), "audience"),
        ("aud", Value::Null, "iss, aud or exp"),
        ("exp", json!(now() - 60), "expired"),
        ("exp", Value::Null, "iss, aud or exp"),
        ("nbf", json!(now() + 600), "not valid yet"),
        ("iss", json!("http://127.0.0.1:1"), "issuer"),
        ("project_id", json!("red"), "project_id"),
    ] {
        let mut claims = issuer.claims();
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
        };
        let said = refusal(client.identify(&sign(&key, &claims)).await);
        assert!(said.contains(why), "{name}: {said}");
    }
    let mut claims = issuer.claims();
    claims["exp"] = json!(now() - 10);
    assert!(client.identify(&sign(&key, &claims)).await.is_ok(), "clocks may differ by a little");
}

/// Base64url without padding.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    out
}

#[tokio::test]
async fn signatures_that_are_not_right_are_refused() {
    let (own, foreign) = (key("d", Algorithm::EdDSA), key("d", Algorithm::EdDSA));
    let issuer = Issuer::start(&[&own]).await;
    let (client, claims) = (issuer.client(), issuer.claims());
    assert!(refusal(client.identify(&sign(&foreign, &claims)).await).contains("signature"));
    let unknown = Key { id: "unknown".into(), ..key("d", Algorithm::EdDSA) };
    assert!(refusal(client.identify(&sign(&unknown, &claims)).await).contains("no such key"));
    // The right key for another algorithm.
    let ec = key("d", Algorithm::ES256);
    assert!(refusal(client.identify(&sign(&ec, &claims)).await).contains("no such key"));
    // None at all.
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"none","kid":"d"}"#, r#"{"alg":"EdDSA","kid":"d"}"#] {
        let token = format!("{}.{}.{}", base64(header), base64(&claims.to_string()), base64("x"));
        refusal(client.identify(&token).await);
    }
    // The public key taken for a shared secret.
    let secret = serde_json::to_vec(&own.public).unwrap();
    let header = Header { kid: Some("d".into()), ..Header::new(Algorithm::HS256) };
    let token = encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
    assert!(refusal(client.identify(&token).await).contains("HS256"));
    // Something changed afterwards.
    let token = sign(&own, &claims);
    let parts: Vec<&str> = token.split('.').collect();
    let mut more = claims.clone();
    more["realm"] = json!({"groups": ["net-admins", "root"]});
    let forged = format!("{}.{}.{}", parts[0], base64(&more.to_string()), parts[2]);
    assert!(refusal(client.identify(&forged).await).contains("signature"));
}

#[tokio::test]
async fn keys_may_be_rotated() {
    let (old, new) = (key("old", Algorithm::ES256), key("new", Algorithm::ES256));
    let issuer = Issuer::start(&[&old]).await;
    let client = issuer.client();
    assert!(client.identify(&sign(&old, &issuer.claims())).await.is_ok());
    issuer.publish(&[&new]);
    assert!(client.identify(&sign(&new, &issuer.claims())).await.is_ok());
    assert!(refusal(client.identify(&sign(&old, &issuer.claims())).await).contains("no such key"));
}

#[tokio::test]
async fn invented_key_ids_cause_no_flood_of_questions() {
    let key = key("d", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&key]).await;
    let client = issuer.client().with_pause(Duration::from_secs(60));
    assert!(client.identify(&sign(&key, &issuer.claims())).await.is_ok());
    for number in 0..50 {
        let invented = Key { id: number.to_string(), ..self::key("d", Algorithm::EdDSA) };
        refusal(client.identify(&sign(&invented, &issuer.claims())).await);
    }
    assert_eq!(issuer.fetched.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn without_keys_nobody_is_let_in_and_it_is_not_the_clients_fault() {
    let key = key("d", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&key]).await;
    let text = "oidc:\n- issuer: http://127.0.0.1:9\n  audience: weft\n";
    let client = Oidc::new(AuthConfig::parse(text).unwrap().oidc.remove(0)).unwrap();
    let result = client.identify(&sign(&key, &issuer.claims())).await;
    assert!(matches!(result, Err(AuthError::Unavailable(_))), "{result:?}");
}

//! `GET /`: what there is and where; clients learn all URLs from it.

use crate::http::Base;
use axum::Json;
use serde_json::{Value, json};
use weft_model::ObjectType;

/// Actions: name, method, path.
pub(crate) const ACTIONS: &[(&str, &str, &str)] = &[
    ("name-to-id", "POST", "/fqname-to-id"),
    ("id-to-name", "POST", "/id-to-fqname"),
    ("ref-update", "POST", "/ref-update"),
    ("ref-relax-for-delete", "POST", "/ref-relax-for-delete"),
    ("prop-collection-update", "POST", "/prop-collection-update"),
    ("prop-collection-get", "GET", "/prop-collection-get"),
    ("list-bulk-collection", "POST", "/list-bulk-collection"),
    ("useragent-keyvalue", "POST", "/useragent-kv"),
    ("watch", "GET", "/watch"),
    ("virtual-network-ip-alloc", "POST", "/virtual-network/%s/ip-alloc"),
    ("virtual-network-ip-free", "POST", "/virtual-network/%s/ip-free"),
    ("virtual-network-subnet-ip-count", "POST", "/virtual-network/%s/subnet-ip-count"),
    ("aaa-mode", "GET", "/aaa-mode"),
    ("set-tag", "POST", "/set-tag"),
    ("security-policy-draft", "POST", "/security-policy-draft"),
    ("execute-job", "POST", "/execute-job"),
    ("abort-job", "POST", "/abort-job"),
    ("obj-cache", "POST", "/obj-cache"),
    ("database-check", "POST", "/db-check"),
    ("fetch-records", "POST", "/fetch-records"),
    ("amqp-publish", "POST", "/amqp-publish"),
    ("amqp-request", "POST", "/amqp-request"),
    ("hbs-get", "POST", "/hbs-get"),
    ("obj-perms", "GET", "/obj-perms"),
    ("chown", "POST", "/chown"),
    ("chmod", "POST", "/chmod"),
];

/// The discovery document.
pub(crate) async fn document(base: Base) -> Json<Value> {
    let base = base.0;
    let link = |name: &str, rel: &str, path: &str| json!({"href": format!("{base}{path}"), "name": name, "rel": rel});
    let mut links = vec![json!({"link": link("config-root", "root", "/config-root")})];
    for object_type in ObjectType::ALL {
        let name = object_type.name();
        links.push(json!({"link": link(name, "collection", &format!("/{}", object_type.collection()))}));
        links.push(json!({"link": link(name, "resource-base", &format!("/{name}"))}));
    }
    for (name, method, path) in ACTIONS {
        let mut action = link(name, "action", path);
        action["method"] = (*method).into();
        links.push(json!({"link": action}));
    }
    Json(json!({"href": base, "links": links}))
}

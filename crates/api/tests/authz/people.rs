//! The people of the tests, and a service that believes the test's word for who makes a request.

use axum::extract::Request;
use axum::middleware::Next;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;
use weft_api::{ApiState, DerivedView, routes};
use weft_auth::{Identify, Identifying, Identity, IdentityKind, Unidentified};
use weft_store::{EmbeddedStore, Store};

/// The header by which the layer of this test, and nothing else, knows people.
const WHO: &str = "x-test-person";

/// Projects of the tests: name, domain.
pub(crate) const PROJECTS: &[(&str, &str)] = &[
    ("mine", "default-domain"),
    ("other", "default-domain"),
    ("friend", "default-domain"),
    ("abroad", "elsewhere"),
];
/// People: name, project, roles.
const PEOPLE: &[(&str, &str, &[&str])] = &[
    ("owner", "mine", &["member"]),
    ("other", "other", &["member"]),
    ("friend", "friend", &["member"]),
    ("abroad", "abroad", &["member"]),
    ("nobody", "other", &[]),
    ("auditor", "other", &["auditor"]),
];

pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) state: ApiState,
    client: reqwest::Client,
    task: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Tokens(Arc<HashMap<String, Arc<Identity>>>);

impl Identify for Tokens {
    fn whose<'a>(&'a self, credential: &'a str) -> Identifying<'a> {
        let found = self.0.get(credential).cloned();
        Box::pin(async move { found.ok_or_else(|| Unidentified::Denied("no such person".into())) })
    }
}

/// The uuid of a project or domain of the tests.
pub(crate) fn id(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

fn people(domain: impl Fn(&str) -> Uuid) -> HashMap<String, Arc<Identity>> {
    let mut all = HashMap::from([("admin".to_owned(), person("admin", None, None, &["admin"]))]);
    for (name, project, roles) in PEOPLE {
        let in_domain = PROJECTS.iter().find(|(p, _)| p == project).unwrap().1;
        all.insert((*name).to_owned(), person(name, Some(id(project)), Some(domain(in_domain)), roles));
    }
    all
}

fn person(name: &str, project: Option<Uuid>, domain: Option<Uuid>, roles: &[&str]) -> Arc<Identity> {
    Arc::new(Identity {
        user: name.to_owned(),
        user_id: None,
        project_id: project,
        project_name: None,
        domain_id: domain,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        kind: IdentityKind::Token,
    })
}

impl World {
    /// A service in mode `rbac` where members may do everything with what the permissions of objects let them.
    pub(crate) async fn new() -> Self {
        let world = Self::bare().await;
        world.rules("members", json!([rule("*", "", "member", "CRUD")])).await;
        world
    }

    /// The same without a rule for members.
    pub(crate) async fn bare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).unwrap());
        let state = ApiState::new(Arc::clone(&store), DerivedView::start(Arc::clone(&store)));
        state.set_authz(weft_api::Authz { global_read_only_role: Some("auditor".into()), ..state.authz() });
        state.bootstrap().await.unwrap();
        let default =
            weft_model::derived_uuid(weft_model::ObjectType::Domain, &weft_model::defaults::domain());
        let domain = move |name: &str| if name == "default-domain" { default } else { id(name) };
        let people = Arc::new(people(domain));
        state.set_identify(Arc::new(Tokens(Arc::clone(&people))));
        let believe = move |mut request: Request, next: Next| {
            let name = request.headers().get(WHO).and_then(|name| name.to_str().ok()).unwrap_or_default();
            if let Some(identity) = people.get(name).cloned() {
                request.extensions_mut().insert(identity);
            }
            async move { next.run(request).await }
        };
        let app = routes(state.clone()).layer(axum::middleware::from_fn(believe));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let world = Self { url, state, client: reqwest::Client::new(), task, _directory: directory };
        world.make("admin", "domain", json!({"fq_name": ["elsewhere"], "uuid": id("elsewhere")})).await;
        for (name, domain) in PROJECTS {
            world.make("admin", "project", json!({"fq_name": [domain, name], "uuid": id(name)})).await;
        }
        world
    }

    /// Adds a list of rules for everybody.
    pub(crate) async fn rules(&self, name: &str, rules: Value) -> String {
        let fq_name = json!(["default-global-system-config", name]);
        self.make(
            "admin",
            "api-access-list",
            json!({"fq_name": fq_name, "parent_type": "global-system-config",
                   "api_access_list_entries": {"rbac_rule": rules}}),
        )
        .await
    }

    pub(crate) fn request(&self, who: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).header(WHO, who)
    }

    /// Status and body of what somebody asks.
    pub(crate) async fn ask(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, String) {
        let mut request = self.request(who, method, path);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn get(&self, who: &str, path: &str) -> (u16, String) {
        self.ask(who, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, who: &str, path: &str, body: Value) -> (u16, String) {
        self.ask(who, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, who: &str, object_type: &str, uuid: &str, fields: Value) -> (u16, String) {
        self.ask(who, Method::PUT, &format!("/{object_type}/{uuid}"), Some(json!({object_type: fields})))
            .await
    }

    pub(crate) async fn delete(&self, who: &str, object_type: &str, uuid: &str) -> (u16, String) {
        self.ask(who, Method::DELETE, &format!("/{object_type}/{uuid}"), None).await
    }

    /// Tries to create something.
    pub(crate) async fn create(&self, who: &str, object_type: &str, fields: Value) -> (u16, String) {
        self.post(who, &format!("/{object_type}s"), json!({object_type: fields})).await
    }

    /// Creates what must be possible, and returns its uuid.
    pub(crate) async fn make(&self, who: &str, object_type: &str, fields: Value) -> String {
        let (status, text) = self.create(who, object_type, fields.clone()).await;
        assert_eq!(status, 200, "{who} creates {object_type} {fields}: {text}");
        json_of(&text)[object_type]["uuid"].as_str().unwrap().to_owned()
    }

    /// A network of a project, made by somebody.
    pub(crate) async fn network(&self, who: &str, project: &str, name: &str, more: Value) -> String {
        let mut fields = json!({"fq_name": fq(project, name), "parent_type": "project"});
        fields.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.make(who, "virtual-network", fields).await
    }

    /// Reads what must be readable.
    pub(crate) async fn read(&self, who: &str, object_type: &str, uuid: &str) -> Value {
        let (status, text) = self.get(who, &format!("/{object_type}/{uuid}")).await;
        assert_eq!(status, 200, "{who} reads {object_type} {uuid}: {text}");
        json_of(&text)[object_type].clone()
    }

    /// The uuids in a list somebody gets.
    pub(crate) async fn listed(&self, who: &str, query: &str) -> Vec<String> {
        let (status, text) = self.get(who, query).await;
        assert_eq!(status, 200, "{who} lists {query}: {text}");
        let body = json_of(&text);
        let list = body.as_object().unwrap().values().find_map(Value::as_array).unwrap();
        list.iter().map(|item| item["uuid"].as_str().unwrap().to_owned()).collect()
    }
}

/// The name of something in a project.
pub(crate) fn fq(project: &str, name: &str) -> Value {
    let domain = PROJECTS.iter().find(|(p, _)| *p == project).unwrap().1;
    json!([domain, project, name])
}

/// A rule for one role.
pub(crate) fn rule(object: &str, field: &str, role: &str, crud: &str) -> Value {
    json!({"rule_object": object, "rule_field": field,
           "rule_perms": [{"role_name": role, "role_crud": crud}]})
}

/// Permissions shared with a project and a domain, and with everybody.
pub(crate) fn perms(share: u64, global: u64) -> Value {
    json!({"perms2": {
        "owner": id("mine").as_simple().to_string(), "owner_access": 7, "global_access": global,
        "share": [
            {"tenant": format!("tenant:{}", id("friend")), "tenant_access": share},
            {"tenant": format!("domain:{}", id("elsewhere").as_simple()), "tenant_access": share},
        ],
    }})
}

pub(crate) fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

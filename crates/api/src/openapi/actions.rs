//! What is not an object or a list of objects: names, single references and elements, watching, addresses, permissions.
//! Only what clients can discover ([`crate::discovery::ACTIONS`]) gets into the document.

use super::paths::{answers, query, with_errors};
use super::{component, json_content, schema};
use serde_json::{Map, Value, json};

/// Tag of the operations.
pub(super) const TAG: &str = "actions";

/// One operation: the bodies are schemas; `None` where there is no body.
struct Action {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    request: Option<Value>,
    answer: Value,
}

/// Actions that change an object, or its draft.
const DRAFTED: &[&str] = &["/ref-update", "/prop-collection-update", "/set-tag"];

/// Operations on a path by method, for all actions.
pub(super) fn paths() -> Map<String, Value> {
    let mut out = Map::new();
    let actions =
        names().into_iter().chain(elements()).chain(addresses()).chain(permissions()).chain(policy());
    for action in actions.chain(unavailable()).filter(discoverable) {
        let operation = operation(&action);
        add(&mut out, action.path, action.method, operation);
    }
    add(&mut out, "/watch", "get", watch());
    add(&mut out, "/list-bulk-collection", "post", bulk());
    add(&mut out, "/prop-collection-get", "get", element_get());
    add(&mut out, "/", "get", discovery());
    add(&mut out, "/openapi.json", "get", document());
    out
}

/// A path clients find in `GET /`; of a path that is there, all methods.
fn discoverable(action: &Action) -> bool {
    crate::discovery::ACTIONS.iter().any(|(_, _, path)| path.replace("%s", "{uuid}") == action.path)
}

fn add(out: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = out.entry(path).or_insert_with(|| match path.contains("{uuid}") {
        true => json!({"parameters": [component("parameters", "uuid")]}),
        false => json!({}),
    });
    item[method] = operation;
}

fn operation(action: &Action) -> Value {
    let name = action.path.replace("{uuid}", "").replace(['/', '-', '.'], "_");
    let mut out = json!({"tags": [TAG], "operationId": format!("{}{name}", action.method),
        "summary": action.summary, "responses": answers("Done.", action.answer.clone())});
    if DRAFTED.contains(&action.path) {
        out["responses"]["202"] = json!({
            "description": "Kept as a draft until the drafts of its scope are committed.",
            "content": json_content(action.answer.clone()),
        });
    }
    if let Some(request) = &action.request {
        out["requestBody"] = json!({"required": true, "content": json_content(request.clone())});
    }
    out
}

fn post(path: &'static str, summary: &'static str, request: Value, answer: Value) -> Action {
    Action { method: "post", path, summary, request: Some(request), answer }
}

/// An object with these properties, the `required` ones (space-separated) among them.
fn body(required: &str, properties: Value) -> Value {
    let required: Vec<&str> = required.split_whitespace().collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn words(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn empty() -> Value {
    json!({"type": "object"})
}

fn access() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 7, "description": "4 read, 2 write, 1 refer to; added up."})
}

/// Names, references, texts under keys.
fn names() -> Vec<Action> {
    let uuid = || body("uuid", json!({"uuid": schema("Uuid")}));
    let reference = json!({"type": text(), "uuid": schema("Uuid"), "ref-type": text(), "ref-uuid": schema("Uuid"),
        "ref-fq-name": schema("FqName"), "operation": words(&["ADD", "DELETE"]),
        "attr": {"type": ["object", "null"]}, "relax_ref_for_delete": {"type": "boolean"}});
    vec![
        post(
            "/fqname-to-id",
            "The uuid of a name.",
            body("type fq_name", json!({"type": text(), "fq_name": schema("FqName")})),
            uuid(),
        ),
        post(
            "/id-to-fqname",
            "Name and type of a uuid.",
            uuid(),
            body("type fq_name", json!({"type": text(), "fq_name": schema("FqName")})),
        ),
        post(
            "/ref-update",
            "Add, change or remove one reference.",
            body("type uuid ref-type operation", reference),
            uuid(),
        ),
        post(
            "/ref-relax-for-delete",
            "Let the target of a reference be deleted in spite of it.",
            body("uuid ref-uuid", json!({"uuid": schema("Uuid"), "ref-uuid": schema("Uuid")})),
            uuid(),
        ),
        post(
            "/useragent-kv",
            "Keep, read or forget a text under a key of the client's choice.",
            body(
                "operation",
                json!({"operation": words(&["STORE", "RETRIEVE", "DELETE"]), "key": text(), "value": {}}),
            ),
            json!({"type": "object", "properties": {"value": {}}}),
        ),
    ]
}

/// Single elements of list and map properties.
fn elements() -> Vec<Action> {
    let update = body(
        "field operation",
        json!({"field": text(),
        "operation": words(&["add", "modify", "set", "delete"]), "value": {"type": ["object", "null"]},
        "position": {"type": ["string", "integer", "null"], "description": "Index in a list, key in a map."}}),
    );
    vec![post(
        "/prop-collection-update",
        "Change single elements of list and map properties, all or none.",
        body("uuid updates", json!({"uuid": schema("Uuid"), "updates": list(update)})),
        body("uuid", json!({"uuid": schema("Uuid")})),
    )]
}

fn element_get() -> Value {
    let mut uuid = query("uuid", "The object.", schema("Uuid"));
    let mut fields = query("fields", "List and map properties, comma-separated.", text());
    uuid["required"] = true.into();
    fields["required"] = true.into();
    let pairs = json!({"type": "object", "additionalProperties": list(list(json!({})))});
    json!({"tags": [TAG], "operationId": "get_prop_collection", "summary": "Elements with their positions.",
        "parameters": [uuid, fields, query("position", "Only this index or key.", text())],
        "responses": answers("`[value, position]` pairs by property.", pairs)})
}

/// Addresses of networks.
fn addresses() -> Vec<Action> {
    let addresses = || body("ip_addr", json!({"ip_addr": list(text())}));
    let request = json!({"count": {"type": "integer", "minimum": 1, "maximum": 256}, "family": words(&["v4", "v6"]),
        "subnet": schema("Uuid")});
    vec![
        post(
            "/virtual-network/{uuid}/ip-alloc",
            "Take addresses, all or none.",
            body("", request),
            addresses(),
        ),
        post(
            "/virtual-network/{uuid}/ip-free",
            "Give addresses back that were taken so.",
            addresses(),
            empty(),
        ),
        post(
            "/virtual-network/{uuid}/subnet-ip-count",
            "How many addresses of subnets are in use.",
            body("subnet_list", json!({"subnet_list": list(schema("Uuid"))})),
            body("ip_count_list", json!({"ip_count_list": list(json!({"type": "integer", "minimum": 0}))})),
        ),
    ]
}

/// Who may.
fn permissions() -> Vec<Action> {
    let mode = || body("aaa-mode", json!({"aaa-mode": words(&["no-auth", "cloud-admin", "rbac"])}));
    let get = |path, summary, answer| Action { method: "get", path, summary, request: None, answer };
    let share = list(body("tenant tenant_access", json!({"tenant": text(), "tenant_access": access()})));
    vec![
        get("/aaa-mode", "How it is decided who may do what.", mode()),
        Action {
            method: "put",
            path: "/aaa-mode",
            summary: "Set it.",
            request: Some(mode()),
            answer: mode(),
        },
        get("/obj-perms", "What the user of the token in `X-User-Token`, else the caller, may do.", empty()),
        post(
            "/chown",
            "Give an object to another owner.",
            body("uuid owner", json!({"uuid": schema("Uuid"), "owner": text()})),
            empty(),
        ),
        post(
            "/chmod",
            "Change who may do what with an object.",
            body(
                "uuid",
                json!({"uuid": schema("Uuid"), "owner": text(), "owner_access": access(),
                "global_access": access(), "share": share}),
            ),
            empty(),
        ),
    ]
}

/// Tags and drafts of security policy.
fn policy() -> Vec<Action> {
    let change = json!({"type": ["object", "null"], "description": "By tag type; null takes the tags of the type away.",
        "properties": {"is_global": {"type": "boolean"}, "value": {"type": ["string", "null"]},
            "add_values": list(text()), "delete_values": list(text())}});
    let tags = json!({"type": "object", "required": ["obj_type", "obj_uuid"],
        "properties": {"obj_type": text(), "obj_uuid": schema("Uuid")}, "additionalProperties": change});
    vec![
        post("/set-tag", "Attach tags to an object and detach them, by tag type and value.", tags, empty()),
        post(
            "/security-policy-draft",
            "Commit or discard the drafts of a scope.",
            body(
                "scope_uuid action",
                json!({"scope_uuid": schema("Uuid"), "action": words(&["commit", "discard"])}),
            ),
            empty(),
        ),
    ]
}

/// Actions of the existing system that answer why they do nothing here.
fn unavailable() -> Vec<Action> {
    const PATHS: &[(&str, &str)] = &[
        ("/execute-job", "Run a job on devices."),
        ("/abort-job", "Stop a job."),
        ("/obj-cache", "What is kept in memory."),
        ("/db-check", "Check the store."),
        ("/fetch-records", "Read the store."),
        ("/amqp-publish", "Tell others by message bus."),
        ("/amqp-request", "Ask others by message bus."),
        ("/hbs-get", "Host based services of a project."),
    ];
    let action = |(path, summary): &(&'static str, &'static str)| post(path, summary, empty(), empty());
    PATHS.iter().map(action).collect()
}

fn watch() -> Value {
    let stream = json!({"description": "Server-sent events: `init` with all objects of a type, then `CREATE`, `UPDATE` and \
        `DELETE`; `RESYNC`: forget everything, `init` follows; `END`: the token does not count any more. `id` is the revision to resume from.",
        "content": {"text/event-stream": {"schema": text()}}});
    let mut responses = Map::new();
    responses.insert("200".into(), stream);
    let mut types = query("resource_type", "Types to watch, comma-separated.", text());
    types["required"] = true.into();
    let last = json!({"name": "Last-Event-ID", "in": "header", "schema": text(),
        "description": "Go on after this event."});
    json!({"tags": [TAG], "operationId": "watch", "summary": "Changes as they happen.",
        "description": "`<type>_fields` (comma-separated) chooses what is shown of the objects of a type.",
        "parameters": [types, query("revision", "As `Last-Event-ID`.", json!({"type": "integer", "minimum": 0})), last],
        "responses": with_errors(responses)})
}

fn bulk() -> Value {
    let texts = [
        "parent_id",
        "parent_fq_name_str",
        "parent_type",
        "back_ref_id",
        "obj_uuids",
        "fq_names",
        "filters",
        "fields",
        "page_marker",
    ];
    let flags = ["detail", "count", "shared", "exclude_hrefs"];
    let mut properties: Map<String, Value> = texts.iter().map(|name| ((*name).to_owned(), text())).collect();
    properties.extend(flags.iter().map(|name| ((*name).to_owned(), json!({"type": "boolean"}))));
    properties.insert("type".into(), text());
    properties.insert("page_limit".into(), json!({"type": "integer", "minimum": 1}));
    let request = body("type", Value::Object(properties));
    operation(&post(
        "/list-bulk-collection",
        "List objects; for long lists of uuids and names.",
        request,
        empty(),
    ))
}

fn discovery() -> Value {
    let link = body(
        "link",
        json!({"link": body("href name rel", json!({"href": text(), "name": text(), "rel": text(),
        "method": text()}))}),
    );
    let mut out = json!({"tags": [TAG], "operationId": "discover", "summary": "What there is and where.",
        "responses": answers("Links.", body("href links", json!({"href": text(), "links": list(link)})))});
    out["security"] = json!([]);
    out
}

fn document() -> Value {
    json!({"tags": [TAG], "operationId": "describe", "summary": "This document.", "security": [],
        "responses": answers("An OpenAPI document.", empty())})
}

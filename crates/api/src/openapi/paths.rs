//! Collections and resources of every type, with the parameters and errors they share.

use super::{component, json_content, only, schema, schemas};
use serde_json::{Map, Value, json};
use weft_model::ObjectType;

/// Parameters of a listing: name, type of the value, description.
const LIST_PARAMETERS: &[(&str, &str, &str)] = &[
    ("parent_id", "string", "Only children of these objects: uuids, comma-separated."),
    ("parent_fq_name_str", "string", "Only children of the object of this name (parts joined by `:`)."),
    ("parent_type", "string", "The type of that parent, where several are possible."),
    ("back_ref_id", "string", "Only objects that refer to these: uuids, comma-separated."),
    ("obj_uuids", "string", "Only these objects: uuids, comma-separated."),
    ("fq_names", "string", "Only objects of these names (parts joined by `:`), comma-separated."),
    (
        "filters",
        "string",
        "Only objects with these values: `name==json`, comma-separated; a name given twice: either.",
    ),
    ("fields", "string", "Properties, references, children and back references to show, comma-separated."),
    ("detail", "boolean", "Whole objects."),
    ("count", "boolean", "Only how many there are."),
    ("shared", "boolean", "Also objects that are shared with everybody."),
    ("page_limit", "integer", "At most so many; the answer has a `marker` while there are more."),
    ("page_marker", "string", "Go on after the page that ended with this marker; empty: from the start."),
];

/// Parameters that count when they are there, whatever their value: name, description.
const EXCLUDES: &[(&str, &str)] = &[
    ("exclude_hrefs", "No URLs in the answer."),
    ("exclude_children", "No lists of children."),
    ("exclude_back_refs", "No lists of what refers to the object."),
];

/// Errors: status, name of the response, description.
const ERRORS: &[(&str, &str, &str)] = &[
    ("400", "BadRequest", "Something in the request is wrong; the text names field and value."),
    ("401", "Unauthorized", "No token, or not a valid one."),
    ("403", "Forbidden", "The caller may not do this, or nobody may."),
    ("404", "NotFound", "No such type, object or name."),
    ("409", "Conflict", "Name or uuid taken, still in use, or nothing left to give out."),
    ("412", "OverQuota", "The project's quota is used up."),
    ("413", "TooLarge", "The body, or what would have to be changed at once, is too large."),
    ("429", "TooMany", "Too many requests or connections; try again later."),
    ("500", "Internal", "A fault of the service."),
    ("503", "Unavailable", "Not possible just now; try again."),
];

/// The answers every operation may give beside its own.
pub(super) fn with_errors(mut responses: Map<String, Value>) -> Value {
    for (status, name, _) in ERRORS {
        responses.entry(*status).or_insert_with(|| component("responses", name));
    }
    Value::Object(responses)
}

/// Answers of an operation whose success is a JSON body.
pub(super) fn answers(description: &str, body: Value) -> Value {
    let mut responses = Map::new();
    responses.insert("200".into(), json!({"description": description, "content": json_content(body)}));
    with_errors(responses)
}

/// Parameters, responses, security.
pub(super) fn components() -> Map<String, Value> {
    let mut parameters = Map::new();
    for (name, kind, description) in LIST_PARAMETERS {
        let schema = match *kind {
            "integer" => json!({"type": "integer", "minimum": 1}),
            other => json!({"type": other}),
        };
        parameters.insert((*name).into(), query(name, description, schema));
    }
    for (name, description) in EXCLUDES {
        let mut parameter = query(name, description, json!({"type": "string"}));
        parameter["allowEmptyValue"] = true.into();
        parameters.insert((*name).into(), parameter);
    }
    parameters.insert(
        "uuid".into(),
        json!({"name": "uuid", "in": "path", "required": true, "schema": schema("Uuid")}),
    );
    parameters.insert(
        "if_none_match".into(),
        json!({"name": "If-None-Match", "in": "header", "schema": {"type": "string"},
               "description": "The `ETag` of an earlier answer: 304 if the object is still the same."}),
    );
    let text = json!({"text/plain": {"schema": schema("Error")}});
    let responses: Map<String, Value> = ERRORS
        .iter()
        .map(|(_, name, description)| {
            ((*name).to_owned(), json!({"description": description, "content": text}))
        })
        .collect();
    let token = json!({"type": "apiKey", "in": "header", "name": "X-Auth-Token",
                       "description": "A token of the service itself or of the identity service it trusts."});
    let entries = [
        ("parameters", Value::Object(parameters)),
        ("responses", Value::Object(responses)),
        ("securitySchemes", json!({"token": token})),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A query parameter.
pub(super) fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn parameters(names: &[&str]) -> Value {
    names.iter().map(|name| component("parameters", name)).collect()
}

/// Paths of all types.
pub(super) fn all() -> Map<String, Value> {
    let mut out = Map::new();
    for object_type in schemas::types() {
        out.insert(format!("/{}", object_type.collection()), collection(object_type));
        out.insert(format!("/{object_type}/{{uuid}}"), resource(object_type));
    }
    out
}

fn collection(object_type: ObjectType) -> Value {
    let mut out = json!({"get": list(object_type)});
    if !object_type.info().derived {
        out["post"] = create(object_type);
    }
    out
}

fn operation(object_type: ObjectType, verb: &str, summary: &str, responses: Value) -> Value {
    json!({"tags": [object_type.name()], "operationId": format!("{verb}_{}", object_type.json_name()),
           "summary": summary, "responses": responses})
}

fn list(object_type: ObjectType) -> Value {
    let entry = json!({"anyOf": [schema("Summary"), only(object_type.name(), schema(object_type.name())),
                                 schema(object_type.name())]});
    let inner = json!({"anyOf": [
        {"type": "array", "items": entry},
        {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer", "minimum": 0}}},
    ]});
    let mut body = only(object_type.collection(), inner);
    body["properties"]["marker"] =
        json!({"type": ["string", "null"], "description": "Where the next page starts."});
    let mut out = operation(object_type, "list", "List", answers("The objects, or their number.", body));
    let names: Vec<&str> = LIST_PARAMETERS.iter().map(|(name, ..)| *name).chain(["exclude_hrefs"]).collect();
    out["parameters"] = parameters(&names);
    out
}

/// The body of a request about one object.
fn body(object_type: ObjectType, required: bool, inner: Value) -> Value {
    json!({"required": required, "content": json_content(only(object_type.name(), inner))})
}

/// What a write answers.
fn written(object_type: ObjectType, description: &str) -> Value {
    let accepted = json!({"description": "Kept as a draft until the drafts of its scope are committed.",
        "content": json_content(only(object_type.name(), schema(object_type.name())))});
    let mut out = answers(description, only(object_type.name(), schema(object_type.name())));
    out["202"] = accepted;
    out
}

fn create(object_type: ObjectType) -> Value {
    let inner = json!({"allOf": [schema(object_type.name())], "required": ["fq_name"]});
    let mut out = operation(object_type, "create", "Create", written(object_type, "Name and identity."));
    out["requestBody"] = body(object_type, true, inner);
    out
}

fn resource(object_type: ObjectType) -> Value {
    let mut out = json!({"parameters": parameters(&["uuid"]), "get": read(object_type)});
    if object_type.info().derived {
        return out;
    }
    let mut update = operation(object_type, "update", "Update", written(object_type, "Done."));
    update["description"] = "What the body does not mention stays as it is.".into();
    update["requestBody"] = body(object_type, false, schema(object_type.name()));
    let mut gone = Map::new();
    gone.insert("200".into(), json!({"description": "Gone."}));
    gone.insert(
        "202".into(),
        json!({"description": "Marked as deleted until the drafts of its scope are committed."}),
    );
    let mut delete = operation(object_type, "delete", "Delete", with_errors(gone));
    delete["description"] = "409 while it has children or something refers to it.".into();
    out["put"] = update;
    out["delete"] = delete;
    out
}

fn read(object_type: ObjectType) -> Value {
    let mut responses = answers("The object.", only(object_type.name(), schema(object_type.name())));
    responses["200"]["headers"] = json!({"ETag": {"description": "Changes with every change of the object.", "schema": {"type": "string"}}});
    responses["304"] = json!({"description": "Still as it was when it had that `ETag`."});
    let mut out = operation(object_type, "read", "Read", responses);
    let names = ["fields", "exclude_hrefs", "exclude_children", "exclude_back_refs", "if_none_match"];
    out["parameters"] = parameters(&names);
    out
}

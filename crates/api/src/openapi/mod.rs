//! The interface described by itself: an OpenAPI 3.1 document made from the declarations, at `GET /openapi.json`, and a
//! page to browse it at `GET /documentation` that needs nothing from elsewhere.
//!
//! The document is the same for everybody and for as long as the process runs: it is made when first asked for and kept
//! as bytes, shared by all answers.

mod actions;
mod paths;
mod schemas;

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The page; it reads the document from where it is served.
const PAGE: &str = include_str!("page.html");

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));

/// `GET /openapi.json`.
pub(crate) async fn json() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

/// `GET /documentation`.
pub(crate) async fn page() -> Html<&'static str> {
    Html(PAGE)
}

/// The whole document (<https://spec.openapis.org/oas/v3.1.0>).
pub fn document() -> Value {
    let mut paths = paths::all();
    paths.append(&mut actions::paths());
    let mut components = paths::components();
    components.insert("schemas".into(), Value::Object(schemas::all()));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weft configuration",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Create, read, update, delete, list and watch the objects of the network.",
            "description": DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": tags(),
        "paths": paths,
        "components": components,
    })
}

const DESCRIPTION: &str = "\
Objects have a type, a uuid and a fully qualified name, live under a parent, hold properties and refer to other objects. \
Null means the same as absent. What an update does not mention stays as it is; a list of references that is mentioned \
replaces the one before. Errors are plain text that names what is wrong. \
Numbers and booleans may also be given as text (\"24\", \"true\").";

fn tags() -> Value {
    let types = schemas::types().map(|t| json!({"name": t.name()}));
    let actions = json!({"name": actions::TAG, "description": "What is not an object or a list of objects."});
    std::iter::once(actions).chain(types).collect()
}

/// A reference inside the document.
fn component(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// A reference to a schema.
fn schema(name: &str) -> Value {
    component("schemas", name)
}

/// A JSON body of a request or an answer.
fn json_content(schema: Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

/// An object schema with one required property of that name.
fn only(name: &str, inner: Value) -> Value {
    let mut properties = Map::new();
    properties.insert(name.to_owned(), inner);
    json!({"type": "object", "required": [name], "properties": properties})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use weft_model::ObjectType;

    /// Every `$ref` of the document.
    fn references<'a>(value: &'a Value, out: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(map) => {
                out.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|v| references(v, out));
            }
            Value::Array(items) => items.iter().for_each(|v| references(v, out)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 300, "{}", found.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_type_property_and_reference_is_described() {
        let document = document();
        for object_type in ObjectType::ALL {
            let info = object_type.info();
            let properties = &document["components"]["schemas"][object_type.name()]["properties"];
            for prop in info.all_props().filter(|p| !p.system) {
                assert!(properties[prop.name].is_object(), "{object_type} {}", prop.name);
            }
            for reference in info.refs {
                assert!(properties[reference.to.refs_field()].is_object(), "{object_type} {}", reference.to);
            }
            let collection = &document["paths"][format!("/{}", object_type.collection())];
            assert_eq!(collection["post"].is_null(), info.derived, "{object_type}");
            assert!(collection["get"].is_object(), "{object_type}");
        }
    }

    #[test]
    fn every_action_a_client_can_discover_is_described() {
        let document = document();
        for (name, method, path) in crate::discovery::ACTIONS {
            let path = path.replace("%s", "{uuid}");
            let described = &document["paths"][&path][method.to_lowercase()];
            assert!(described.is_object(), "{name}: {method} {path}");
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = document();
        let mut seen = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap().iter().filter(|(m, _)| *m != "parameters") {
                let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
                assert!(seen.insert(id), "{id}");
            }
        }
    }
}

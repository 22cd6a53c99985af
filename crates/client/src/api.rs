//! Operations on objects: create, read, update, delete, list, and finding one by any kind of name.

use serde_json::{Map, Value, json};
use weft_model::{FqName, ObjectType};

use crate::{ClientError, HttpClient};

/// Names or uuids asked for at once.
const BULK: usize = 200;
/// Objects of one page, as text for a query.
const PAGE: &str = "5000";

/// The object API of one server.
#[derive(Debug, Clone)]
pub struct Api {
    http: HttpClient,
}

impl Api {
    /// Uses that HTTP client.
    pub fn new(http: HttpClient) -> Self {
        Self { http }
    }

    /// The HTTP client underneath, for introspection paths.
    pub fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Creates an object from its JSON form (without the wrapper) and returns what the server says of it (uuid, fq_name, ..).
    ///
    /// # Errors
    /// As the server answers: bad object, name taken, no such parent or reference.
    pub async fn create(&self, kind: ObjectType, object: &Map<String, Value>) -> Result<Value, ClientError> {
        let answer =
            self.http.post(&format!("/{}", kind.collection()), &json!({ kind.name(): object })).await?;
        unwrap(answer, kind, "create")
    }

    /// Replaces the given fields of an object.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn update(
        &self,
        kind: ObjectType,
        uuid: &str,
        fields: &Map<String, Value>,
    ) -> Result<(), ClientError> {
        self.http.put(&format!("/{}/{uuid}", kind.name()), &json!({ kind.name(): fields })).await.map(drop)
    }

    /// Reads an object, back references and children included.
    ///
    /// # Errors
    /// As the server answers: 404 when there is none.
    pub async fn read(&self, kind: ObjectType, uuid: &str) -> Result<Value, ClientError> {
        let path = format!("/{}/{uuid}", kind.name());
        unwrap(self.http.get(&path, &[]).await?, kind, &path)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As the server answers: 409 when others still need it.
    pub async fn delete(&self, kind: ObjectType, uuid: &str) -> Result<(), ClientError> {
        self.http.delete(&format!("/{}/{uuid}", kind.name())).await.map(drop)
    }

    /// All objects of a type: names only, or whole with `detail`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn list(&self, kind: ObjectType, detail: bool) -> Result<Vec<Value>, ClientError> {
        if detail {
            return self.select(kind, &[]).await;
        }
        let path = format!("/{}", kind.collection());
        items(self.http.get(&path, &[]).await?, kind, &path)
    }

    /// The objects of these names that exist: names and uuids, or whole with `detail` (without children and back
    /// references).
    ///
    /// # Errors
    /// As the server answers.
    pub async fn by_names(
        &self,
        kind: ObjectType,
        names: &[Vec<String>],
        detail: bool,
    ) -> Result<Vec<Value>, ClientError> {
        let mut found = Vec::new();
        // Lists of names are separated by commas, and colons in a name cannot be told from those between its parts.
        let odd = |name: &&Vec<String>| name.iter().any(|part| part.contains([',', ':']));
        for name in names.iter().filter(odd) {
            if let Some(uuid) = self.find(kind, &FqName(name.clone())).await? {
                found.push(match detail {
                    true => self.read(kind, &uuid).await?,
                    false => json!({"uuid": uuid, "fq_name": name}),
                });
            }
        }
        let plain: Vec<String> = names.iter().filter(|name| !odd(name)).map(|name| name.join(":")).collect();
        for chunk in plain.chunks(BULK) {
            found.extend(self.bulk(kind, "fq_names", chunk, detail).await?);
        }
        Ok(found)
    }

    /// The objects of these uuids that exist, whole (without children and back references).
    ///
    /// # Errors
    /// As the server answers.
    pub async fn by_uuids(&self, kind: ObjectType, uuids: &[String]) -> Result<Vec<Value>, ClientError> {
        let mut found = Vec::new();
        for chunk in uuids.chunks(BULK) {
            found.extend(self.bulk(kind, "obj_uuids", chunk, true).await?);
        }
        Ok(found)
    }

    async fn bulk(
        &self,
        kind: ObjectType,
        key: &str,
        values: &[String],
        detail: bool,
    ) -> Result<Vec<Value>, ClientError> {
        let path = "/list-bulk-collection";
        let body = json!({"type": kind.name(), key: values.join(","), "detail": detail});
        let items = items(self.http.post(path, &body).await?, kind, path)?;
        if detail { items.into_iter().map(|item| unwrap(item, kind, path)).collect() } else { Ok(items) }
    }

    /// One field of all objects of a type, page by page; nothing if the server does not know the type.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn list_fields(&self, kind: ObjectType, field: &str) -> Result<Vec<Value>, ClientError> {
        let path = format!("/{}", kind.collection());
        let (mut all, mut marker) = (Vec::new(), String::new());
        loop {
            let query = [("fields", field), ("page_limit", PAGE), ("page_marker", marker.as_str())];
            let answer = match self.http.get(&path, &query).await {
                Err(ClientError::Status { status: 404, .. }) if all.is_empty() => return Ok(all),
                other => other?,
            };
            let next = answer.get("marker").and_then(Value::as_str).map(str::to_owned);
            all.extend(items(answer, kind, &path)?);
            match next {
                Some(next) if next != marker => marker = next,
                _ => return Ok(all),
            }
        }
    }

    /// Objects of a type, whole, that a query selects (`parent_id`, `filters`).
    ///
    /// # Errors
    /// As the server answers.
    pub async fn select(&self, kind: ObjectType, query: &[(&str, &str)]) -> Result<Vec<Value>, ClientError> {
        let path = format!("/{}", kind.collection());
        let query: Vec<(&str, &str)> = query.iter().copied().chain([("detail", "true")]).collect();
        let items = items(self.http.get(&path, &query).await?, kind, &path)?;
        items.into_iter().map(|item| unwrap(item, kind, &path)).collect()
    }

    /// The uuid of the object with exactly that name, if there is one.
    ///
    /// # Errors
    /// As the server answers, except for 404.
    pub async fn find(&self, kind: ObjectType, name: &FqName) -> Result<Option<String>, ClientError> {
        let body = json!({"type": kind.name(), "fq_name": name});
        match self.http.post("/fqname-to-id", &body).await {
            Ok(answer) => Ok(answer.get("uuid").and_then(Value::as_str).map(str::to_owned)),
            Err(ClientError::Status { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The uuid of an object named by uuid, by full name (`a:b:c`), or by the end of its name (`c`, `b:c`) when that fits only one.
    ///
    /// # Errors
    /// When none or several fit.
    pub async fn resolve(&self, kind: ObjectType, name: &str) -> Result<String, ClientError> {
        if let Ok(uuid) = name.parse::<uuid::Uuid>() {
            return Ok(uuid.to_string());
        }
        let parts: Vec<&str> = name.split([':', '/']).collect();
        let mut fits = Vec::new();
        for item in self.list(kind, false).await? {
            let full = fq_name_of(&item);
            let uuid = item.get("uuid").and_then(Value::as_str).unwrap_or_default().to_owned();
            if full == parts {
                return Ok(uuid);
            }
            if full.ends_with(&parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()) {
                fits.push((full.join(":"), uuid));
            }
        }
        match fits.len() {
            0 => Err(ClientError::NoSuchObject { object_type: kind.name().into(), name: name.into() }),
            1 => Ok(fits.swap_remove(0).1),
            _ => Err(ClientError::Ambiguous {
                object_type: kind.name().into(),
                name: name.into(),
                candidates: fits.into_iter().map(|(full, _)| full).collect(),
            }),
        }
    }

    /// Adds or removes one reference of an object (`ADD`, `DELETE`).
    ///
    /// # Errors
    /// As the server answers.
    pub async fn ref_update(
        &self,
        operation: &str,
        (kind, uuid): (ObjectType, &str),
        (ref_kind, ref_uuid): (ObjectType, &str),
    ) -> Result<(), ClientError> {
        let body = json!({"operation": operation, "type": kind.name(), "uuid": uuid,
            "ref-type": ref_kind.name(), "ref-uuid": ref_uuid, "attr": null});
        self.http.post("/ref-update", &body).await.map(drop)
    }
}

/// The type of that name (kebab or snake case).
///
/// # Errors
/// When no type has that name.
pub fn object_type(name: &str) -> Result<ObjectType, ClientError> {
    let singular = name.strip_suffix('s').filter(|_| name.parse::<ObjectType>().is_err()).unwrap_or(name);
    singular.parse().map_err(|_| ClientError::UnknownType(name.to_owned()))
}

/// The `fq_name` of an object's JSON form; empty when it has none.
pub fn fq_name_of(object: &Value) -> Vec<String> {
    let parts = object.get("fq_name").and_then(Value::as_array);
    parts.map(|p| p.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
}

fn items(mut answer: Value, kind: ObjectType, path: &str) -> Result<Vec<Value>, ClientError> {
    match answer.get_mut(kind.collection()).map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(ClientError::Answer {
            path: path.to_owned(),
            reason: format!("no list {}", kind.collection()),
        }),
    }
}

fn unwrap(mut answer: Value, kind: ObjectType, path: &str) -> Result<Value, ClientError> {
    match answer.get_mut(kind.name()).map(Value::take) {
        Some(object) => Ok(object),
        None => {
            Err(ClientError::Answer { path: path.to_owned(), reason: format!("no {} in it", kind.name()) })
        }
    }
}

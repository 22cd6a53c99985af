//! `GET /<type>s` and `POST /list-bulk-collection`: which objects, how much of each, page by page.

use crate::authz::{Caller, Operation, Sight};
use crate::filter::Filters;
use crate::http::{Base, Query, collection_of, json_text};
use crate::members::Members;
use crate::render::{View, perms2};
use crate::{ApiError, ApiState, parse};
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use uuid::Uuid;
use weft_model::{FqName, Object, ObjectType};
use weft_store::layout;

/// Entries of a list made at a time by one processor, at most and at least.
const PART: usize = 128;
const MIN_PART: usize = 16;

/// What a listing asks for.
struct Request {
    object_type: ObjectType,
    parents: Option<Vec<Uuid>>,
    parent_name: Option<FqName>,
    parent_type: Option<ObjectType>,
    back_refs: Option<Vec<Uuid>>,
    uuids: Option<Vec<Uuid>>,
    names: Option<BTreeSet<FqName>>,
    filters: Filters,
    detail: bool,
    count: bool,
    shared: bool,
    marker: Option<Uuid>,
    limit: Option<usize>,
    paged: bool,
    view: View,
}

/// `GET /<type>s`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    base: Base,
    Path(collection): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    let object_type = collection_of(&collection)?;
    Request::read(object_type, &caller, base, &query)?.answer(&state).await
}

/// `POST /list-bulk-collection`: the same as a query, in a body, with `type`.
pub(crate) async fn bulk(
    State(state): State<ApiState>,
    caller: Caller,
    base: Base,
    body: Bytes,
) -> Result<Response, ApiError> {
    let body = parse::json_object(&body)?;
    let name = body.get("type").and_then(Value::as_str);
    let name = name.ok_or_else(|| ApiError::bad_request("Bad Request, no 'type' in POST body"))?;
    let object_type: ObjectType = name.parse()?;
    caller.allowed(Operation::Read, object_type.name(), [])?;
    Request::read(object_type, &caller, base, &query_of(&body))?.answer(&state).await
}

/// A body as a query: texts, booleans and numbers as they are, lists comma-joined, null absent. A false `exclude_*` is
/// absent too: in JSON the client can say what it means.
fn query_of(body: &Map<String, Value>) -> Query {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let pairs = body.iter().filter_map(|(key, value)| {
        let value = match value {
            Value::Null => return None,
            Value::Bool(false) if key.starts_with("exclude_") => return None,
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
            other => text(other),
        };
        Some((key.clone(), value))
    });
    Query(pairs.collect())
}

impl Request {
    fn read(object_type: ObjectType, caller: &Caller, base: Base, query: &Query) -> Result<Self, ApiError> {
        let detail = query.flag("detail");
        let uuids = |key: &str| uuid_list(query, key);
        let limit = query.get("page_limit").map(|text| {
            let limit = text.parse::<usize>().ok().filter(|n| *n > 0);
            limit.ok_or_else(|| ApiError::bad_request(format!("Invalid page_limit {text:?}")))
        });
        let marker =
            query.get("page_marker").filter(|m| *m != "None").map(|text| parse_uuid("page_marker", text));
        let view = View {
            base: base.0,
            hrefs: !query.present("exclude_hrefs"),
            fields: query.fields(),
            children: false,
            back_refs: false,
            sight: Sight::of(caller),
        };
        Ok(Self {
            object_type,
            parents: uuids("parent_id")?,
            parent_name: query.get("parent_fq_name_str").map(FqName::from),
            parent_type: query.get("parent_type").map(str::parse).transpose()?,
            back_refs: uuids("back_ref_id")?,
            uuids: uuids("obj_uuids")?,
            names: query.list("fq_names").map(|l| l.iter().map(|n| FqName::from(n.as_str())).collect()),
            filters: Filters::parse(object_type, query)?,
            detail,
            count: query.flag("count"),
            shared: query.flag("shared"),
            marker: marker.transpose()?,
            limit: limit.transpose()?,
            paged: query.present("page_limit") || query.present("page_marker"),
            view,
        })
    }

    async fn answer(self, state: &ApiState) -> Result<Response, ApiError> {
        let request = Arc::new(self);
        let candidates = request.candidates(state).await?;
        let (mut items, mut count, mut last) = (Vec::new(), 0usize, None);
        let mut parts = std::pin::pin!(request.parts(state, candidates));
        'all: while let Some(part) = parts.next().await {
            let part = part?;
            let mut start = 0;
            for (uuid, end) in part.ends {
                if request.limit.is_some_and(|limit| count >= limit) {
                    break 'all;
                }
                (count, last) = (count + 1, Some(uuid));
                items.push(if count == 1 { b'[' } else { b',' });
                items.extend_from_slice(part.text.get(start..end).unwrap_or_default());
                start = end;
            }
        }
        items.extend_from_slice(if count == 0 { b"[]" } else { b"]" });
        let full = request.limit.is_some_and(|limit| count >= limit);
        let mut out = Vec::with_capacity(items.len() + 64);
        let mut members = Members::new(&mut out);
        match request.count {
            true => members.field(request.object_type.collection(), &json!({"count": count})),
            false => members.name(request.object_type.collection()).append(&mut items),
        }
        if request.paged {
            members.field("marker", &last.filter(|_| full));
        }
        members.end();
        Ok(json_text(out))
    }

    /// The entries of the list, in order, a part at a time. A long list is made by all processors.
    fn parts(
        self: &Arc<Self>,
        state: &ApiState,
        candidates: Candidates,
    ) -> impl Stream<Item = Result<Part, ApiError>> {
        let size = self.limit.unwrap_or(PART).clamp(MIN_PART, PART);
        let pages = match candidates {
            Candidates::Chosen(chosen) => self.chosen(chosen, size).left_stream(),
            Candidates::All => self.all(state, size).right_stream(),
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let (request, state) = (Arc::clone(self), state.clone());
        pages
            .map(move |page| {
                let (request, state) = (Arc::clone(&request), state.clone());
                async move {
                    let (page, only) = page?;
                    if only {
                        return request.part(&state, page).await;
                    }
                    let part = tokio::spawn(async move { request.part(&state, page).await });
                    part.await.map_err(|e| ApiError::internal(e.to_string()))?
                }
            })
            .buffered(workers)
    }

    /// Candidates after the marker, in pages; with each whether it is the only one.
    fn chosen(&self, chosen: BTreeMap<Uuid, Known>, size: usize) -> impl Stream<Item = Page> + use<> {
        let marker = self.marker.map_or(Bound::Unbounded, Bound::Excluded);
        let mut pages: Vec<Vec<(Uuid, Known)>> = Vec::new();
        for entry in chosen.into_iter().filter(|(uuid, _)| (marker, Bound::Unbounded).contains(uuid)) {
            match pages.last_mut().filter(|page| page.len() < size) {
                Some(page) => page.push(entry),
                None => pages.push(vec![entry]),
            }
        }
        let only = pages.len() == 1;
        stream::iter(pages).map(move |page| Ok((page, only)))
    }

    /// All stored objects of the type after the marker, in pages, as they are read.
    fn all(&self, state: &ApiState, size: usize) -> impl Stream<Item = Page> + use<> {
        let (state, object_type) = (state.clone(), self.object_type);
        let after = self.marker.map(|marker| layout::object_key(object_type, marker));
        stream::try_unfold(Some(after), move |position| {
            let state = state.clone();
            async move {
                let Some(after) = position else { return Ok(None) };
                let prefix = layout::object_prefix(object_type);
                let range = state.store().range(&prefix, after.as_deref(), size).await?;
                let only = after.is_none() && !range.more;
                let next = range.entries.last().map(|entry| entry.key.clone()).filter(|_| range.more);
                let entries = range.entries.into_iter().filter_map(|entry| {
                    let (_, uuid) = layout::parse_object_key(&entry.key)?;
                    Some((uuid, Known::Stored(entry.value)))
                });
                Ok(Some(((entries.collect(), only), next.map(Some))))
            }
        })
    }

    async fn part(&self, state: &ApiState, mut candidates: Vec<(Uuid, Known)>) -> Result<Part, ApiError> {
        self.read_together(state, &mut candidates).await?;
        let mut part = Part::default();
        for (uuid, known) in &candidates {
            if self.item(state, *uuid, known, &mut part.text).await? {
                part.ends.push((*uuid, part.text.len()));
            }
        }
        Ok(part)
    }

    /// Reads those of which only the identity is known, with one request to the store.
    async fn read_together(
        &self,
        state: &ApiState,
        candidates: &mut Vec<(Uuid, Known)>,
    ) -> Result<(), ApiError> {
        let unread = candidates.iter().filter(|(_, known)| matches!(known, Known::Id));
        let keys: Vec<String> = unread.map(|(uuid, _)| layout::object_key(self.object_type, *uuid)).collect();
        let mut found = state.store().get_many(&keys).await?.into_iter();
        candidates.retain_mut(|(_, known)| {
            if !matches!(known, Known::Id) {
                return true;
            }
            let entry = found.next().flatten();
            entry.is_some_and(|entry| {
                *known = Known::Stored(entry.value);
                true
            })
        });
        Ok(())
    }

    fn needs_object(&self) -> bool {
        self.detail || self.view.fields.is_some() || !self.filters.is_empty()
    }

    /// Appends one entry of the list; false if the object is filtered out, not the caller's to see, or gone.
    async fn item(
        &self,
        state: &ApiState,
        uuid: Uuid,
        known: &Known,
        out: &mut Vec<u8>,
    ) -> Result<bool, ApiError> {
        let target = (self.object_type, uuid);
        let object = match known {
            Known::Stored(bytes) if !self.needs_object() && self.view.sight.is_none() => {
                let name = weft_model::stored_name(bytes);
                let name =
                    name.map_err(|e| ApiError::internal(format!("{} {uuid}: {e}", self.object_type)))?;
                self.view.brief(target, &name, out);
                return Ok(true);
            }
            Known::Object(object) => Some(Arc::clone(object)),
            Known::Stored(bytes) => {
                let object = layout::decode(bytes)?;
                self.sees(state, &object).await?.then(|| Arc::new(object))
            }
            Known::Id => None,
        };
        let Some(object) = object.filter(|o| self.filters.accept(o)) else { return Ok(false) };
        if self.count || !self.detail && self.view.fields.is_none() {
            self.view.brief(target, &object.fq_name, out);
        } else if self.detail {
            self.view.wrapped(state, &object, out).await?;
        } else {
            self.view.object(state, &object, out).await?;
        }
        Ok(true)
    }

    async fn sees(&self, state: &ApiState, object: &Object) -> Result<bool, ApiError> {
        match &self.view.sight {
            Some(sight) => sight.sees(state, object).await,
            None => Ok(true),
        }
    }

    /// The objects selected by parent, reference, identity or name; all of the type when nothing selects.
    async fn candidates(&self, state: &ApiState) -> Result<Candidates, ApiError> {
        let mut sets = Vec::new();
        if let Some(parents) = self.parent_uuids(state).await? {
            let mut set = self.children(state, &parents).await?;
            if self.shared {
                set.extend(self.shared(state).await?);
            }
            sets.push(set);
        }
        if let Some(targets) = &self.back_refs {
            sets.push(self.referrers(state, targets).await?);
        }
        if let Some(uuids) = &self.uuids {
            sets.push(self.objects(state, uuids.iter().copied()).await?);
        }
        if let Some(names) = &self.names {
            let mut uuids = Vec::new();
            for name in names {
                uuids.extend(state.by_name(self.object_type, name).await?);
            }
            sets.push(self.objects(state, uuids.into_iter()).await?);
        }
        let mut sets = sets.into_iter();
        let Some(mut chosen) = sets.next() else {
            if !self.object_type.info().derived {
                return Ok(Candidates::All);
            }
            let all = state.derived_current().await?.list(self.object_type);
            return Ok(Candidates::Chosen(self.visible(state, all).await?));
        };
        for other in sets {
            chosen.retain(|uuid, _| other.contains_key(uuid));
        }
        Ok(Candidates::Chosen(chosen))
    }

    async fn parent_uuids(&self, state: &ApiState) -> Result<Option<Vec<(ObjectType, Uuid)>>, ApiError> {
        let legal = self.object_type.info().parents.iter().copied();
        let legal: Vec<ObjectType> = legal.filter(|p| self.parent_type.is_none_or(|t| t == *p)).collect();
        let mut out = Vec::new();
        if let Some(name) = &self.parent_name {
            for parent in legal {
                out.extend(state.by_name(parent, name).await?.map(|uuid| (parent, uuid)));
            }
            return Ok(Some(out));
        }
        let Some(uuids) = &self.parents else { return Ok(None) };
        Ok(Some(legal.iter().flat_map(|parent| uuids.iter().map(move |uuid| (*parent, *uuid))).collect()))
    }

    async fn children(
        &self,
        state: &ApiState,
        parents: &[(ObjectType, Uuid)],
    ) -> Result<BTreeMap<Uuid, Known>, ApiError> {
        if self.object_type.info().derived {
            let derived = state.derived_current().await?;
            let all = parents.iter().flat_map(|(_, uuid)| derived.children(*uuid));
            let own: Vec<_> = all.filter(|o| o.object_type == self.object_type).collect();
            return self.visible(state, own).await;
        }
        let mut uuids = Vec::new();
        for parent in parents {
            let members = state.children_of_type(*parent, self.object_type).await?;
            uuids.extend(members.into_iter().map(|m| m.uuid));
        }
        self.objects(state, uuids.into_iter()).await
    }

    async fn referrers(&self, state: &ApiState, targets: &[Uuid]) -> Result<BTreeMap<Uuid, Known>, ApiError> {
        let mut uuids = Vec::new();
        for target in targets {
            for reference in self.object_type.info().refs {
                let members = state.back_refs_of_type((reference.to, *target), self.object_type).await?;
                uuids.extend(members.into_iter().map(|m| m.uuid));
            }
            let derived = state.derived_current().await?.stored_referrers(*target);
            uuids.extend(derived.into_iter().filter(|r| r.0 == self.object_type).map(|r| r.1));
            let derived = state.derived().derived_referrers(*target).into_iter();
            uuids.extend(derived.filter(|(o, _)| o.object_type == self.object_type).map(|(o, _)| o.uuid));
        }
        self.objects(state, uuids.into_iter()).await
    }

    /// Objects by identity: stored ones are looked at when their entries are made.
    async fn objects(
        &self,
        state: &ApiState,
        uuids: impl Iterator<Item = Uuid>,
    ) -> Result<BTreeMap<Uuid, Known>, ApiError> {
        if !self.object_type.info().derived {
            return Ok(uuids.map(|uuid| (uuid, Known::Id)).collect());
        }
        let mut found = Vec::new();
        for uuid in uuids {
            found.extend(state.find(self.object_type, uuid).await?);
        }
        self.visible(state, found).await
    }

    /// Of these objects those the caller may read.
    async fn visible(
        &self,
        state: &ApiState,
        objects: Vec<Arc<Object>>,
    ) -> Result<BTreeMap<Uuid, Known>, ApiError> {
        let mut out = BTreeMap::new();
        for object in objects {
            if self.sees(state, &object).await? {
                out.insert(object.uuid, Known::Object(object));
            }
        }
        Ok(out)
    }

    /// Objects everybody may read, of those that the caller may read.
    async fn shared(&self, state: &ApiState) -> Result<BTreeMap<Uuid, Known>, ApiError> {
        if self.object_type.info().derived {
            let all = state.derived_current().await?.list(self.object_type);
            return self.visible(state, all.into_iter().filter(|o| is_shared(o)).collect()).await;
        }
        let mut found = Vec::new();
        state
            .scan(&layout::object_prefix(self.object_type), |entry| {
                found.extend(Some(layout::decode(&entry.value)?).filter(is_shared).map(Arc::new));
                Ok(())
            })
            .await?;
        self.visible(state, found).await
    }
}

/// Whether an object is shared with anybody.
fn is_shared(object: &Object) -> bool {
    let perms = perms2(object);
    let open = perms.get("global_access").and_then(Value::as_u64).unwrap_or(0) > 0;
    open || perms.get("share").and_then(Value::as_array).is_some_and(|s| !s.is_empty())
}

/// Entries of a list.
#[derive(Default)]
struct Part {
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<(Uuid, usize)>,
}

/// What a list is made of.
enum Candidates {
    /// All stored objects of the type.
    All,
    Chosen(BTreeMap<Uuid, Known>),
}

/// Some candidates, and whether there are no others.
type Page = Result<(Vec<(Uuid, Known)>, bool), ApiError>;

/// What was read of a candidate.
enum Known {
    Id,
    Stored(Bytes),
    Object(Arc<Object>),
}

fn parse_uuid(key: &str, text: &str) -> Result<Uuid, ApiError> {
    Uuid::parse_str(text).map_err(|_| {
        let text: String = text.chars().take(80).collect();
        ApiError::bad_request(format!("Invalid UUID format {text:?} in {key}"))
    })
}

/// Identities of a comma-separated list, each once: repeating one must not repeat the work.
fn uuid_list(query: &Query, key: &str) -> Result<Option<Vec<Uuid>>, ApiError> {
    let Some(list) = query.list(key) else { return Ok(None) };
    let uuids: BTreeSet<Uuid> = list.iter().map(|text| parse_uuid(key, text)).collect::<Result<_, _>>()?;
    Ok(Some(uuids.into_iter().collect()))
}

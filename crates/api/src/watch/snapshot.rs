//! Everything a client watches, page by page: the `init` events.
//!
//! Pages are of different revisions when writes go on meanwhile. What each page showed is remembered as its last key and
//! its revision, so that of the changes that follow each is told exactly if the page did not have it.

use super::Views;
use crate::{ApiError, ApiState};
use bytes::Bytes;
use std::collections::VecDeque;
use uuid::Uuid;
use weft_model::{Object, ObjectType};
use weft_store::{Revision, layout};

/// Objects rendered at a time.
const PAGE: usize = 128;

/// A part of the keys and the revision it was shown at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    object_type: ObjectType,
    /// Its last object; the last page of a type has none and covers the rest.
    last: Option<Uuid>,
    revision: Revision,
}

/// What was shown, in the order of types and keys.
#[derive(Debug, Default)]
pub(super) struct Progress(Vec<Page>);

impl Progress {
    /// Nothing is missing that was changed up to here.
    pub(super) fn first(&self) -> Revision {
        self.0.iter().map(|page| page.revision).min().unwrap_or_default()
    }

    /// Nothing was shown that was changed after this.
    pub(super) fn last(&self) -> Revision {
        self.0.iter().map(|page| page.revision).max().unwrap_or_default()
    }

    /// Whether what was shown of an object has its change at `revision`.
    pub(super) fn covers(&self, (object_type, uuid): (ObjectType, Uuid), revision: Revision) -> bool {
        let holds = |page: &&Page| page.object_type == object_type && page.last.is_none_or(|l| uuid <= l);
        self.0.iter().find(holds).is_some_and(|page| revision <= page.revision)
    }

    fn add(&mut self, page: Page) {
        match self.0.last_mut() {
            Some(last) if last.object_type == page.object_type && last.revision == page.revision => {
                last.last = page.last;
            }
            _ => self.0.push(page),
        }
    }
}

/// A snapshot in the making.
pub(super) struct Snapshot {
    types: VecDeque<ObjectType>,
    /// The last key of the page before; `None` at the start of a type.
    after: Option<String>,
    /// Whether an object of this type was shown already.
    some: bool,
    progress: Progress,
}

impl Snapshot {
    pub(super) fn new(views: &Views) -> Self {
        let types = views.keys().copied().collect();
        Self { types, after: None, some: false, progress: Progress::default() }
    }

    /// What was shown.
    pub(super) fn progress(&mut self) -> Progress {
        std::mem::take(&mut self.progress)
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(
        &mut self,
        state: &ApiState,
        views: &Views,
        sees: &(dyn Fn(&std::sync::Arc<Object>) -> bool + Sync),
    ) -> Result<Option<Bytes>, ApiError> {
        let Some(object_type) = self.types.front().copied() else { return Ok(None) };
        let Some(view) = views.get(&object_type) else { return Ok(None) };
        let view = view.renewed();
        let prefix = layout::object_prefix(object_type);
        let page = state.store().range(&prefix, self.after.as_deref(), PAGE).await?;
        let mut out = Vec::new();
        if self.after.is_none() {
            out.extend_from_slice(b"event: init\ndata: {\"type\":\"");
            out.extend_from_slice(object_type.name().as_bytes());
            out.extend_from_slice(b"\",\"objects\":[");
        }
        for entry in &page.entries {
            let Some(object) = decode(&entry.key, &entry.value) else { continue };
            if !sees(&object) {
                continue;
            }
            if self.some {
                out.push(b',');
            }
            self.some = true;
            view.wrapped(state, &object, &mut out).await?;
        }
        let last = page.entries.last().map(|entry| entry.key.clone());
        let uuid = last.as_deref().and_then(layout::parse_object_key).map(|(_, uuid)| uuid);
        let last_of_page = if page.more { uuid } else { None };
        self.progress.add(Page { object_type, last: last_of_page, revision: page.revision });
        self.after = last.or(self.after.take());
        if !page.more {
            self.end_of_type(&mut out);
        }
        Ok(Some(out.into()))
    }

    fn end_of_type(&mut self, out: &mut Vec<u8>) {
        self.types.pop_front();
        (self.after, self.some) = (None, false);
        out.extend_from_slice(b"]}\n");
        let (first, last) = (self.progress.first(), self.progress.last());
        if self.types.is_empty() && first == last {
            out.extend_from_slice(format!("id: {last}\n").as_bytes());
        }
        out.push(b'\n');
    }
}

fn decode(key: &str, value: &[u8]) -> Option<std::sync::Arc<Object>> {
    match layout::decode(value) {
        Ok(object) => Some(std::sync::Arc::new(object)),
        Err(error) => {
            tracing::error!(key, %error, "stored object left out");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_exactly_if_its_page_did_not_have_it() {
        let (vm, vn) = (ObjectType::VirtualMachine, ObjectType::VirtualNetwork);
        let id = Uuid::from_u128;
        let mut shown = Progress::default();
        shown.add(Page { object_type: vn, last: Some(id(10)), revision: 5 });
        shown.add(Page { object_type: vn, last: Some(id(20)), revision: 5 });
        shown.add(Page { object_type: vn, last: None, revision: 7 });
        shown.add(Page { object_type: vm, last: None, revision: 9 });
        assert_eq!((shown.0.len(), shown.first(), shown.last()), (3, 5, 9));
        assert!(shown.covers((vn, id(15)), 5) && !shown.covers((vn, id(15)), 6));
        assert!(shown.covers((vn, id(21)), 7) && !shown.covers((vn, id(21)), 8));
        assert!(shown.covers((vm, id(1)), 9) && !shown.covers((vm, id(1)), 10));
        assert!(!shown.covers((ObjectType::Project, id(1)), 1));
    }
}

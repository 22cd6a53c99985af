//! Writing JSON objects member by member, without a tree in between.

use serde::Serialize;
use serde_json::{Map, Value};

/// A JSON object being written. Ends with [`Self::end`].
pub(crate) struct Members<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Members<'a> {
    /// Begins an object.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Writes the name of a member; its value is to follow.
    pub(crate) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        json(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// Writes a member.
    pub(crate) fn field(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        json(self.name(name), value);
    }

    /// Writes a member whose value is JSON text.
    pub(crate) fn raw(&mut self, name: &str, text: &str) {
        self.name(name).extend_from_slice(text.as_bytes());
    }

    /// Writes what is ordinary of an object (JSON texts by name), overlaid by what is stored of it.
    pub(crate) fn overlaid(mut self, ordinary: &[(&str, &str)], stored: Option<&Map<String, Value>>) {
        for (name, text) in ordinary {
            match stored.and_then(|stored| stored.get(*name)) {
                Some(value) => self.field(name, value),
                None => self.raw(name, text),
            }
        }
        for (name, value) in stored.into_iter().flatten() {
            if !ordinary.iter().any(|(known, _)| known == name) {
                self.field(name, value);
            }
        }
        self.end();
    }

    /// Ends the object.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// Appends a value. Names, numbers and values that come from JSON always have a JSON form.
pub(crate) fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

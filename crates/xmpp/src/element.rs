//! A small owned XML tree, enough for this protocol: elements with attributes, children and text.
//!
//! The protocol has no mixed content, so the text of an element is one string: everything written
//! directly inside it, joined. Whitespace between child elements is dropped by the parser.

use crate::error::DecodeError;

/// One element with everything inside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Name as written, prefix included.
    pub name: String,
    /// Attributes in the order written; namespace declarations are attributes like any other.
    pub attributes: Vec<(String, String)>,
    /// Child elements in order.
    pub children: Vec<Element>,
    /// Text directly inside the element, unescaped.
    pub text: String,
}

impl Element {
    /// An empty element.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The name without its prefix.
    #[must_use]
    pub fn local_name(&self) -> &str {
        self.name.rsplit_once(':').map_or(self.name.as_str(), |(_, local)| local)
    }

    /// Whether the name, without its prefix, is `name`.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        match self.name.strip_suffix(name) {
            Some(prefix) => prefix.is_empty() || prefix.ends_with(':'),
            None => false,
        }
    }

    /// Value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// First child of that local name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.is_named(name))
    }

    /// All children of that local name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.is_named(name))
    }

    /// Text of the first child of that name, without surrounding whitespace; `None` if absent or empty.
    #[must_use]
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|c| c.text.trim()).filter(|t| !t.is_empty())
    }

    /// The child of that name, or an error naming what is missing.
    pub(crate) fn require(&self, name: &'static str) -> Result<&Element, DecodeError> {
        self.child(name).ok_or_else(|| DecodeError::missing(&self.name, name))
    }

    /// The attribute of that name, or an error naming what is missing.
    pub(crate) fn require_attribute(&self, name: &'static str) -> Result<&str, DecodeError> {
        self.attribute(name).ok_or_else(|| DecodeError::MissingAttribute {
            element: self.name.chars().take(64).collect(),
            attribute: name,
        })
    }
}

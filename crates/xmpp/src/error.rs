//! Errors of the decoders in this crate: one type, so that a session can close with one typed reason.

use thiserror::Error;

/// Why a well-formed XML stanza could not be read as one of the protocol's stanzas.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// An element that must be there is not.
    #[error("<{parent}> lacks <{child}>")]
    MissingElement {
        /// The element that was read.
        parent: String,
        /// The child it should have.
        child: &'static str,
    },
    /// An attribute that must be there is not.
    #[error("<{element}> lacks attribute {attribute}")]
    MissingAttribute {
        /// The element that was read.
        element: String,
        /// The attribute it should have.
        attribute: &'static str,
    },
    /// A value does not have the form its field requires.
    #[error("{field}: invalid value {value:?}")]
    InvalidValue {
        /// The field, in the wire's spelling.
        field: String,
        /// The text found, cut to 64 characters.
        value: String,
    },
    /// A list is longer than this implementation accepts.
    #[error("{field}: more than {limit} entries")]
    TooMany {
        /// The list, in the wire's spelling.
        field: &'static str,
        /// The limit passed.
        limit: usize,
    },
    /// The top-level element is none of the protocol's.
    #[error("unexpected element <{0}>")]
    UnexpectedElement(String),
}

/// Longest piece of an offending value kept in an error.
const VALUE_IN_ERROR: usize = 64;

impl DecodeError {
    /// An [`DecodeError::InvalidValue`] with the value cut to a printable length.
    pub(crate) fn invalid(field: impl Into<String>, value: &str) -> Self {
        Self::InvalidValue { field: field.into(), value: value.chars().take(VALUE_IN_ERROR).collect() }
    }

    /// A [`DecodeError::MissingElement`].
    pub(crate) fn missing(parent: &str, child: &'static str) -> Self {
        Self::MissingElement { parent: parent.to_owned(), child }
    }
}

//! Incremental parser of the stream: chunks of bytes in, stream headers and whole stanzas out.
//!
//! Two steps. The *framer* walks the bytes once, finds tags (aware of quotes) and follows the depth, so
//! it knows where a stanza ends without building anything. A whole stanza then goes through `tree`,
//! which builds the [`Element`] over quick-xml.
//!
//! Always holds: how the bytes are split into chunks never changes the events or the error; a stanza
//! never costs more memory than [`Limits::stanza_bytes`] times a small constant; after an error the
//! parser stays in that error. Refused: document types, comments, CDATA, processing instructions,
//! entities other than the five predefined and character references, characters XML cannot carry,
//! invalid UTF-8, mismatched tags, duplicate attributes, text between stanzas.

mod framer;
mod tree;

use thiserror::Error;

use crate::element::Element;
pub use tree::parse_stanza;

/// Limits of what a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest stanza or stream header, in bytes.
    pub stanza_bytes: usize,
    /// Deepest nesting inside a stanza, the stanza itself being 1.
    pub depth: usize,
    /// Most attributes of one element.
    pub attributes: usize,
    /// Most elements in one stanza.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stanza_bytes: 1 << 20, depth: 64, attributes: 32, elements: 1 << 17 }
    }
}

/// Something complete on the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// The stream header, as an element without children.
    Open(Element),
    /// A whole stanza.
    Stanza(Element),
    /// The stream's end tag.
    Close,
}

/// Why the bytes cannot be this protocol's stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// A stanza or header is longer than [`Limits::stanza_bytes`].
    #[error("stanza longer than {0} bytes")]
    TooLong(usize),
    /// Elements nested deeper than [`Limits::depth`].
    #[error("elements nested deeper than {0}")]
    TooDeep(usize),
    /// An element with more attributes than [`Limits::attributes`].
    #[error("more than {0} attributes")]
    TooManyAttributes(usize),
    /// A stanza with more elements than [`Limits::elements`].
    #[error("more than {0} elements")]
    TooManyElements(usize),
    /// A document type, comment, CDATA section or processing instruction.
    #[error("forbidden markup")]
    ForbiddenMarkup,
    /// An entity other than the five predefined ones.
    #[error("unknown entity")]
    UnknownEntity,
    /// A character XML 1.0 does not allow.
    #[error("illegal character")]
    IllegalCharacter,
    /// Bytes that are not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// An end tag that does not match, or a tag out of place.
    #[error("mismatched or misplaced tag")]
    MismatchedTag,
    /// The same attribute twice in one element.
    #[error("duplicate attribute")]
    DuplicateAttribute,
    /// Anything else that is not well-formed.
    #[error("malformed XML")]
    Malformed,
    /// Text between stanzas.
    #[error("text between stanzas")]
    StrayText,
    /// The stream does not begin with a stream header.
    #[error("no stream header")]
    NoStreamHeader,
}

/// The incremental parser of one stream (make a new one when the stream restarts after TLS).
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    framer: framer::Framer,
    error: Option<ParseError>,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Parser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, framer: framer::Framer::new(limits), error: None }
    }

    /// Takes bytes received. Call [`Parser::next_event`] until it returns `None` before the next push:
    /// what is not yet taken stays buffered.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.framer.push(bytes);
        }
    }

    /// The next complete event, `None` if more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with the stream; the same error is returned ever after.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, ParseError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let result = self.advance();
        if let Err(error) = &result {
            self.error = Some(error.clone());
            self.framer.clear();
        }
        result
    }

    fn advance(&mut self) -> Result<Option<StreamEvent>, ParseError> {
        let Some(frame) = self.framer.next_frame()? else { return Ok(None) };
        let limits = self.limits;
        let bytes = self.framer.bytes(&frame);
        Ok(Some(match frame.kind {
            framer::FrameKind::Open => StreamEvent::Open(tree::parse_header(bytes, limits)?),
            framer::FrameKind::Stanza => StreamEvent::Stanza(tree::parse_stanza(bytes, limits)?),
            framer::FrameKind::Close => StreamEvent::Close,
        }))
    }

    /// Whether bytes are buffered that have not become an event yet.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        self.framer.has_buffered()
    }
}

/// Runs a whole byte string through a parser: the events up to its end or the first error.
/// For tests and fuzzing.
#[must_use]
pub fn parse_all(bytes: &[u8], limits: Limits) -> (Vec<StreamEvent>, Option<ParseError>) {
    let mut parser = Parser::new(limits);
    parser.push(bytes);
    let mut events = Vec::new();
    loop {
        match parser.next_event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

//! Finds where stanzas begin and end in the byte stream, without building anything.
//!
//! Passes every byte once, whatever the chunks: the position is kept between pushes.

use std::ops::Range;

use super::{Limits, ParseError};

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// The stream's start tag.
    Open,
    /// A whole stanza.
    Stanza,
    /// The stream's end tag.
    Close,
}

/// A complete piece of the stream.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    range: Range<usize>,
}

/// Where the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between tags.
    Text,
    /// After the first byte of U+0200, the existing system's keepalive.
    Keepalive,
    /// Just after `<`.
    TagStart,
    /// Inside a tag; the quote that is open, if any.
    Tag(Option<u8>),
    /// Inside the XML declaration.
    Declaration,
}

/// First and second byte of U+0200 in UTF-8.
const KEEPALIVE: [u8; 2] = [0xc8, 0x80];
/// How the XML declaration begins and ends.
const DECLARATION_START: &[u8] = b"<?xml";
const DECLARATION_END: &[u8] = b"?>";

#[derive(Debug)]
pub(super) struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// First byte not looked at.
    position: usize,
    /// First byte of the frame under way; before it everything is done with.
    frame_start: usize,
    /// First byte of the tag under way.
    tag_start: usize,
    state: State,
    /// Whether the stream header has been seen.
    opened: bool,
    /// Whether the XML declaration has been seen or can no longer come.
    declared: bool,
    /// Where the names of the open elements of the stanza under way stand, outermost first, counted from
    /// the frame's start.
    open: Vec<Range<usize>>,
}

impl Framer {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            position: 0,
            frame_start: 0,
            tag_start: 0,
            state: State::Text,
            opened: false,
            declared: false,
            open: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.frame_start > 0 {
            self.buffer.drain(..self.frame_start);
            self.position -= self.frame_start;
            self.tag_start = self.tag_start.saturating_sub(self.frame_start);
            self.frame_start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    pub(super) fn has_buffered(&self) -> bool {
        self.frame_start < self.buffer.len()
    }

    pub(super) fn bytes(&self, frame: &Frame) -> &[u8] {
        self.buffer.get(frame.range.clone()).unwrap_or_default()
    }

    /// The next complete frame, if the buffer holds one.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, ParseError> {
        while let Some(&byte) = self.buffer.get(self.position) {
            if self.position - self.frame_start >= self.limits.stanza_bytes {
                return Err(ParseError::TooLong(self.limits.stanza_bytes));
            }
            if self.skip_plain() {
                continue;
            }
            self.position += 1;
            if let Some(frame) = self.step(byte)? {
                self.frame_start = self.position;
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Passes over a run of bytes that change nothing: text inside a stanza up to the next tag, a quoted
    /// value up to its end. Never passes the length limit. Returns whether it moved.
    fn skip_plain(&mut self) -> bool {
        let rest = self.buffer.get(self.position..).unwrap_or_default();
        let run = match self.state {
            State::Text if !self.outside() => memchr::memchr(b'<', rest),
            State::Tag(Some(quote)) => memchr::memchr2(quote, b'<', rest),
            State::Tag(None) => rest.iter().position(|b| matches!(b, b'"' | b'\'' | b'<' | b'>')),
            _ => return false,
        };
        let allowed = self.limits.stanza_bytes - (self.position - self.frame_start);
        let run = run.unwrap_or(rest.len()).min(allowed);
        self.position += run;
        run > 0
    }

    /// Whether the walk is between stanzas (or before the header).
    fn outside(&self) -> bool {
        self.open.is_empty()
    }

    fn step(&mut self, byte: u8) -> Result<Option<Frame>, ParseError> {
        match self.state {
            State::Text => self.text(byte)?,
            State::Keepalive if byte == KEEPALIVE[1] => {
                self.state = State::Text;
                self.frame_start = self.position;
            }
            State::Keepalive => return Err(ParseError::StrayText),
            State::TagStart => self.tag_begins(byte)?,
            State::Tag(Some(quote)) => match byte {
                b'<' => return Err(ParseError::Malformed),
                _ if byte == quote => self.state = State::Tag(None),
                _ => {}
            },
            State::Tag(None) => match byte {
                b'"' | b'\'' => self.state = State::Tag(Some(byte)),
                b'<' => return Err(ParseError::Malformed),
                b'>' => {
                    self.state = State::Text;
                    return self.tag_ends();
                }
                _ => {}
            },
            State::Declaration => self.declaration(byte)?,
        }
        Ok(None)
    }

    fn text(&mut self, byte: u8) -> Result<(), ParseError> {
        if byte == b'<' {
            self.state = State::TagStart;
            self.tag_start = self.position - 1;
        } else if self.outside() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.frame_start = self.position,
                _ if byte == KEEPALIVE[0] => self.state = State::Keepalive,
                _ if self.opened => return Err(ParseError::StrayText),
                _ => return Err(ParseError::NoStreamHeader),
            }
        }
        Ok(())
    }

    fn tag_begins(&mut self, byte: u8) -> Result<(), ParseError> {
        match byte {
            b'?' if !self.declared && !self.opened => self.state = State::Declaration,
            b'!' | b'?' => return Err(ParseError::ForbiddenMarkup),
            b'>' | b'<' | b'"' | b'\'' => return Err(ParseError::Malformed),
            _ => self.state = State::Tag(None),
        }
        self.declared = true;
        Ok(())
    }

    /// `<?xml ... ?>`, accepted once before the stream header. What it says is not used: the protocol is
    /// UTF-8 only, and anything else fails there.
    fn declaration(&mut self, byte: u8) -> Result<(), ParseError> {
        let seen = self.buffer.get(self.tag_start..self.position).unwrap_or_default();
        match DECLARATION_START.get(seen.len() - 1) {
            Some(expected) if *expected != byte => return Err(ParseError::ForbiddenMarkup),
            Some(_) => {}
            None if byte == b'<' => return Err(ParseError::Malformed),
            None if byte == b'>' => {
                if !seen.ends_with(DECLARATION_END) {
                    return Err(ParseError::Malformed);
                }
                self.state = State::Text;
                self.frame_start = self.position;
            }
            None => {}
        }
        Ok(())
    }

    fn tag_ends(&mut self) -> Result<Option<Frame>, ParseError> {
        let tag = self.buffer.get(self.tag_start..self.position).unwrap_or_default();
        let end_tag = tag.starts_with(b"</");
        let empty = tag.ends_with(b"/>");
        if end_tag && empty {
            return Err(ParseError::Malformed);
        }
        if !self.opened {
            if end_tag || empty || !is_stream(tag, 1) {
                return Err(ParseError::NoStreamHeader);
            }
            self.opened = true;
            return Ok(Some(self.frame(FrameKind::Open)));
        }
        if self.outside() {
            if end_tag {
                let close = is_stream(tag, 2);
                return if close {
                    Ok(Some(self.frame(FrameKind::Close)))
                } else {
                    Err(ParseError::MismatchedTag)
                };
            }
            if is_stream(tag, 1) {
                return Err(ParseError::MismatchedTag);
            }
        }
        self.follow_depth(end_tag, empty)
    }

    /// Follows the nesting. End tags are compared at once, so that a stanza with a tag missing is refused
    /// where it goes wrong and cannot swallow what follows it.
    fn follow_depth(&mut self, end_tag: bool, empty: bool) -> Result<Option<Frame>, ParseError> {
        if end_tag {
            let open = self.open.pop().ok_or(ParseError::MismatchedTag)?;
            let open = open.start + self.frame_start..open.end + self.frame_start;
            let close = self.tag_start + 2..self.position - 1;
            let name = |range| self.buffer.get(range).unwrap_or_default();
            if name(open) != name(close).trim_ascii_end() {
                return Err(ParseError::MismatchedTag);
            }
        } else if self.open.len() >= self.limits.depth {
            return Err(ParseError::TooDeep(self.limits.depth));
        } else if !empty {
            let start = self.tag_start + 1;
            let length = tag_name(self.buffer.get(start..self.position).unwrap_or_default()).len();
            let start = start - self.frame_start;
            self.open.push(start..start + length);
        }
        Ok(self.outside().then(|| self.frame(FrameKind::Stanza)))
    }

    fn frame(&self, kind: FrameKind) -> Frame {
        Frame { kind, range: self.frame_start..self.position }
    }
}

/// Whether the tag, from `skip` on, names the stream element (`stream:stream`, or any prefix).
fn is_stream(tag: &[u8], skip: usize) -> bool {
    tag_name(tag.get(skip..).unwrap_or_default()).ends_with(b":stream")
}

/// The name at the beginning of what follows `<` or `</`.
fn tag_name(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/'));
    rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
}

//! Builds the element tree of one whole stanza over quick-xml, with this protocol's restrictions.

use quick_xml::events::{BytesRef, BytesStart, BytesText, Event};
use quick_xml::reader::Reader;

use super::{Limits, ParseError};
use crate::element::Element;
use crate::writer::{is_name, is_xml_char};

/// Reads one whole stanza.
///
/// # Errors
/// What is not well-formed or passes a limit.
pub fn parse_stanza(bytes: &[u8], limits: Limits) -> Result<Element, ParseError> {
    if bytes.len() > limits.stanza_bytes {
        return Err(ParseError::TooLong(limits.stanza_bytes));
    }
    Builder::new(checked_text(bytes)?, limits).run(false)
}

/// Reads a start tag that is not closed, as the stream header is.
pub(super) fn parse_header(bytes: &[u8], limits: Limits) -> Result<Element, ParseError> {
    Builder::new(checked_text(bytes)?, limits).run(true)
}

fn checked_text(bytes: &[u8]) -> Result<&str, ParseError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ParseError::InvalidUtf8)?;
    // Nearly all text has none of these bytes. Looking at every one, without stopping early, is what the
    // compiler can vectorise.
    let suspicious = |b: u8| (b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) || b == 0xef;
    if bytes.iter().fold(false, |found, b| found | suspicious(*b)) && !text.chars().all(is_xml_char) {
        return Err(ParseError::IllegalCharacter);
    }
    Ok(text)
}

struct Builder<'a> {
    reader: Reader<&'a [u8]>,
    limits: Limits,
    elements: usize,
    /// Open elements, outermost first.
    stack: Vec<Element>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, limits: Limits) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        Self { reader, limits, elements: 0, stack: Vec::new() }
    }

    /// Reads the one root element the text holds; with `header`, its start tag only.
    fn run(mut self, header: bool) -> Result<Element, ParseError> {
        let root = loop {
            match self.next()? {
                Event::Start(tag) if header => break self.element(&tag)?,
                Event::Start(tag) => {
                    let element = self.element(&tag)?;
                    self.stack.push(element);
                }
                Event::Empty(tag) => {
                    let element = self.element(&tag)?;
                    if let Some(root) = self.attach(element) {
                        break root;
                    }
                }
                Event::End(_) => {
                    let element = self.stack.pop().ok_or(ParseError::MismatchedTag)?;
                    if let Some(root) = self.attach(element) {
                        break root;
                    }
                }
                Event::Text(text) => self.text(&text)?,
                Event::GeneralRef(reference) => self.reference(&reference)?,
                Event::Eof => return Err(ParseError::Malformed),
                _ => return Err(ParseError::ForbiddenMarkup),
            }
        };
        match self.next()? {
            Event::Eof => Ok(root),
            _ => Err(ParseError::Malformed),
        }
    }

    fn next(&mut self) -> Result<Event<'a>, ParseError> {
        self.reader.read_event().map_err(|error| match error {
            quick_xml::Error::IllFormed(quick_xml::errors::IllFormedError::MismatchedEndTag { .. }) => {
                ParseError::MismatchedTag
            }
            _ => ParseError::Malformed,
        })
    }

    fn element(&mut self, tag: &BytesStart<'_>) -> Result<Element, ParseError> {
        if self.stack.len() >= self.limits.depth {
            return Err(ParseError::TooDeep(self.limits.depth));
        }
        if self.elements >= self.limits.elements {
            return Err(ParseError::TooManyElements(self.limits.elements));
        }
        self.elements += 1;
        let name = tag.name().into_inner();
        if !is_name(name) || !attributes_separated(tag.attributes_raw()) {
            return Err(ParseError::Malformed);
        }
        let mut element = Element::new(name);
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| match error {
                quick_xml::events::attributes::AttrError::Duplicated(..) => ParseError::DuplicateAttribute,
                _ => ParseError::Malformed,
            })?;
            if element.attributes.len() >= self.limits.attributes {
                return Err(ParseError::TooManyAttributes(self.limits.attributes));
            }
            let key = attribute.key.into_inner();
            if !is_name(key) {
                return Err(ParseError::Malformed);
            }
            element.attributes.push((key.to_owned(), attribute_value(&attribute.value)?));
        }
        Ok(element)
    }

    /// Puts a finished element into its parent; the root comes back.
    fn attach(&mut self, mut element: Element) -> Option<Element> {
        if !element.children.is_empty() && element.text.bytes().all(|b| b.is_ascii_whitespace()) {
            element.text.clear();
        }
        match self.stack.last_mut() {
            Some(parent) => {
                parent.children.push(element);
                None
            }
            None => Some(element),
        }
    }

    fn text(&mut self, text: &BytesText<'_>) -> Result<(), ParseError> {
        let parent = self.stack.last_mut().ok_or(ParseError::StrayText)?;
        parent.text.push_str(&text.xml10_content());
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), ParseError> {
        let parent = self.stack.last_mut().ok_or(ParseError::StrayText)?;
        parent.text.push(resolve(&reference.xml10_content())?);
        Ok(())
    }
}

/// The character a reference (without `&` and `;`) stands for.
fn resolve(name: &str) -> Result<char, ParseError> {
    let Some(number) = name.strip_prefix('#') else {
        return match name {
            "amp" => Ok('&'),
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "quot" => Ok('"'),
            "apos" => Ok('\''),
            _ => Err(ParseError::UnknownEntity),
        };
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(ParseError::Malformed);
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|c| is_xml_char(*c))
        .ok_or(ParseError::IllegalCharacter)
}

/// Whether white space follows every attribute value that something follows.
fn attributes_separated(raw: &str) -> bool {
    let mut quote = None;
    let mut after_value = false;
    raw.bytes().all(|b| {
        let separated = !after_value || b.is_ascii_whitespace();
        after_value = quote == Some(b);
        quote = match quote {
            None if matches!(b, b'"' | b'\'') => Some(b),
            Some(open) if open == b => None,
            other => other,
        };
        separated
    })
}

/// An attribute value as XML defines it: references resolved, literal white space turned into spaces.
fn attribute_value(raw: &str) -> Result<String, ParseError> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r', '<']) {
        let (before, tail) = rest.split_at(at);
        value.push_str(before);
        rest = if let Some(reference) = tail.strip_prefix('&') {
            let (name, after) = reference.split_once(';').ok_or(ParseError::Malformed)?;
            value.push(resolve(name)?);
            after
        } else if let Some(after) = tail.strip_prefix("\r\n") {
            value.push(' ');
            after
        } else if tail.starts_with('<') {
            return Err(ParseError::Malformed);
        } else {
            value.push(' ');
            tail.get(1..).unwrap_or_default()
        };
    }
    value.push_str(rest);
    Ok(value)
}

//! XML output: elements, attributes and text with correct escaping, appended to one string.
//!
//! Always holds: whatever text is given, the output is well-formed. Characters that XML 1.0 cannot carry
//! (most control characters) become U+FFFD.

use std::fmt::Write as _;

/// Appends XML to a string. The caller closes what it opens, naming the element again.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut String,
    /// A start tag has been begun and not yet closed by `>`.
    in_tag: bool,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut String) -> Self {
        Self { out, in_tag: false }
    }

    fn finish_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }

    /// Begins an element; attributes may follow. `name` must be a valid XML name (see [`is_name`]).
    pub fn start(&mut self, name: &str) -> &mut Self {
        self.finish_tag();
        self.out.push('<');
        self.out.push_str(name);
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element just begun.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape_into(self.out, value, true);
        self.out.push('"');
        self
    }

    /// Ends the element of that name, as `<name/>` if nothing was put inside.
    pub fn end(&mut self, name: &str) -> &mut Self {
        if self.in_tag {
            self.out.push_str("/>");
            self.in_tag = false;
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
        self
    }

    /// Adds text inside the current element.
    pub fn text(&mut self, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.finish_tag();
            escape_into(self.out, text, false);
        }
        self
    }

    /// An element that holds only text.
    pub fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.start(name).text(text).end(name)
    }

    /// An element that holds a value whose text needs no escaping (numbers, addresses, booleans).
    pub fn plain(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        self.start(name).finish_tag();
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{value}");
        self.end(name)
    }

    /// An element with a number, left out when it is zero.
    pub fn nonzero(&mut self, name: &str, value: u32) -> &mut Self {
        if value != 0 {
            self.plain(name, value);
        }
        self
    }

    /// An element with text, left out when empty.
    pub fn nonempty(&mut self, name: &str, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.leaf(name, text);
        }
        self
    }
}

/// Whether XML 1.0 can carry the character.
#[must_use]
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether the text can stand as an element or attribute name, with or without a prefix (ASCII names, and
/// any non-ASCII letter).
#[must_use]
pub fn is_name(name: &str) -> bool {
    match name.split_once(':') {
        Some((prefix, local)) => is_local_name(prefix) && is_local_name(local),
        None => is_local_name(name),
    }
}

fn is_local_name(name: &str) -> bool {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let rest = |b: u8| first(b) || b.is_ascii_digit() || b == b'-' || b == b'.';
    match name.as_bytes() {
        [head, tail @ ..] if name.is_ascii() => first(*head) && tail.iter().all(|b| rest(*b)),
        [] => false,
        _ => {
            let letter = |c: char| if c.is_ascii() { first(c as u8) } else { c.is_alphabetic() };
            name.starts_with(letter) && name.chars().all(|c| letter(c) || (c.is_ascii() && rest(c as u8)))
        }
    }
}

/// Appends `text` escaped: `&`, `<`, `>` and carriage returns always, quotes, tabs and line feeds in
/// attributes (where a reader would turn them into spaces).
fn escape_into(out: &mut String, text: &str, attribute: bool) {
    let plain = |b: &u8| match *b {
        b'&' | b'<' | b'>' => false,
        b'"' => !attribute,
        b'\t' | b'\n' => !attribute,
        0..=0x1f => false,
        // U+FFFE and U+FFFF begin with 0xEF.
        0xef => false,
        _ => true,
    };
    if text.as_bytes().iter().all(plain) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '"' if attribute => out.push_str("&quot;"),
            '\t' if attribute => out.push_str("&#9;"),
            '\n' if attribute => out.push_str("&#10;"),
            c if is_xml_char(c) => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_text_and_attributes() {
        let mut out = String::new();
        Writer::new(&mut out).start("a").attr("k", "1\"<&\n\t'").text("x<y>&\"\r\u{1}\u{ffff}").end("a");
        assert_eq!(out, "<a k=\"1&quot;&lt;&amp;&#10;&#9;'\">x&lt;y&gt;&amp;\"&#13;\u{fffd}\u{fffd}</a>");
    }

    #[test]
    fn empty_elements_are_self_closed() {
        let mut out = String::new();
        let mut w = Writer::new(&mut out);
        w.start("a").leaf("b", "").plain("c", 7).nonzero("d", 0).nonempty("e", "").end("a");
        assert_eq!(out, "<a><b/><c>7</c></a>");
    }

    #[test]
    fn names() {
        assert!(is_name("virtual-DNS") && is_name("stream:features"));
        assert!(
            !is_name("")
                && !is_name("1a")
                && !is_name("a b")
                && !is_name(":a")
                && !is_name("a:b:c")
                && !is_name("a>")
        );
    }
}

//! The checks on one file. Pure: path and text in, findings out.

use std::path::Path;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The longest function that still fits on a screen or two, in lines.
const MAX_FUNCTION_LINES: usize = 70;
/// The longest file, in lines.
const MAX_FILE_LINES: usize = 600;
/// Modules that may hold `unsafe`: system calls and raw memory, one file of each crate.
const UNSAFE_MODULES: [&str; 2] = ["sys.rs", "raw.rs"];

/// Something to mend.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// 1-based line.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) message: String,
}

/// Checks one file; `path` is relative to the project's root and decides which rules apply.
pub(crate) fn file(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_FILE_LINES {
        findings
            .push(Finding { line: 1, message: format!("file of {lines} lines (at most {MAX_FILE_LINES})") });
    }
    if !has_header(text) {
        findings.push(Finding { line: 1, message: "no `//!` header saying what the module is for".into() });
    }
    match syn::parse_file(text) {
        Ok(syntax) => {
            let mut walk = Walk { findings: &mut findings, rules: Rules::of(path), in_test: false };
            walk.visit_file(&syntax);
        }
        Err(e) => {
            findings.push(Finding { line: e.span().start().line, message: format!("does not parse: {e}") })
        }
    }
    findings
}

/// Inner attributes and blank lines may stand before the header, nothing else may.
fn has_header(text: &str) -> bool {
    text.lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!"))
        .is_none_or(|line| line.starts_with("//!"))
}

/// Which rules a path is held to.
#[derive(Clone, Copy)]
struct Rules {
    unwrap: bool,
    unsafe_code: bool,
}

impl Rules {
    fn of(path: &Path) -> Self {
        let has = |name: &str| path.components().any(|part| part.as_os_str() == name);
        let test =
            has("tests") || has("benches") || has("examples") || has("fuzz") || path.ends_with("tests.rs");
        let named = path.file_name().is_some_and(|file| UNSAFE_MODULES.iter().any(|name| file == *name));
        Self { unwrap: !test, unsafe_code: !named && !has("ebpf") }
    }
}

struct Walk<'a> {
    findings: &'a mut Vec<Finding>,
    rules: Rules,
    in_test: bool,
}

impl Walk<'_> {
    fn say(&mut self, line: usize, message: String) {
        self.findings.push(Finding { line, message });
    }

    fn function(&mut self, name: &syn::Ident, block: &syn::Block) {
        let (start, end) = (name.span().start().line, block.span().end().line);
        let lines = end.saturating_sub(start) + 1;
        if lines > MAX_FUNCTION_LINES {
            self.say(start, format!("function `{name}` of {lines} lines (at most {MAX_FUNCTION_LINES})"));
        }
    }

    /// Runs `walk` with the knowledge of whether these attributes make what follows a test.
    fn within(&mut self, attributes: &[syn::Attribute], walk: impl FnOnce(&mut Self)) {
        let outer = self.in_test;
        self.in_test |= attributes.iter().any(is_test);
        walk(self);
        self.in_test = outer;
    }

    fn unsafe_at(&mut self, line: usize) {
        if self.rules.unsafe_code {
            self.say(line, "`unsafe` outside a module named for it (sys.rs, raw.rs)".into());
        }
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]` and the like.
fn is_test(attribute: &syn::Attribute) -> bool {
    let named_test = attribute.path().segments.last().is_some_and(|segment| segment.ident == "test");
    let cfg_test = attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|argument| argument.is_ident("test"));
    named_test || cfg_test
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, &item.block);
        self.within(&item.attrs, |walk| visit::visit_item_fn(walk, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, &item.block);
        self.within(&item.attrs, |walk| visit::visit_impl_item_fn(walk, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(&item.attrs, |walk| visit::visit_item_mod(walk, item));
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.unsafe_at(block.unsafe_token.span.start().line);
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(token) = item.unsafety {
            self.unsafe_at(token.span.start().line);
        }
        self.within(&item.attrs, |walk| visit::visit_item_impl(walk, item));
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let unwraps = call.method == "unwrap" || call.method == "expect";
        if unwraps && self.rules.unwrap && !self.in_test {
            let line = call.method.span().start().line;
            self.say(line, format!("`{}` outside tests: return a typed error", call.method));
        }
        visit::visit_expr_method_call(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        file(Path::new(path), text).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_clean_file_has_no_findings() {
        assert!(messages("crates/a/src/lib.rs", "#![no_std]\n//! Header.\nfn f() {}\n").is_empty());
    }

    #[test]
    fn header_unwrap_and_unsafe_are_found() {
        let found = messages("crates/a/src/lib.rs", "fn f(x: Option<u8>) { x.unwrap(); unsafe { g() } }\n");
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn tests_may_unwrap_and_sys_may_be_unsafe() {
        let test = "//! H.\n#[cfg(test)]\nmod tests { fn f(x: Option<u8>) { x.unwrap(); } }\n";
        assert!(messages("crates/a/src/lib.rs", test).is_empty());
        assert!(messages("crates/a/src/sys.rs", "//! H.\nfn f() { unsafe { g() } }\n").is_empty());
    }

    #[test]
    fn long_functions_and_files_are_found() {
        let body = "    g();\n".repeat(MAX_FUNCTION_LINES);
        let found = messages("crates/a/src/lib.rs", &format!("//! H.\nfn f() {{\n{body}}}\n"));
        assert_eq!(found, ["function `f` of 72 lines (at most 70)"]);
        let found = messages("crates/a/src/lib.rs", &format!("//! H.\n{}", "\n".repeat(MAX_FILE_LINES)));
        assert_eq!(found.len(), 1);
    }
}

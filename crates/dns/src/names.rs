//! Domain names made from configuration. All are lower-case and absolute in form, so that they compare as keys; a
//! host's name without its domain is kept as if its last label were a top-level domain.

use hickory_proto::rr::Name;

/// Longest label, bytes (RFC 1035).
const MAX_LABEL: usize = 63;
/// Longest host name without its domain, bytes: leaves room for one.
const MAX_HOST: usize = 128;

/// A host name from any text an object may be named with: lower-cased, characters that DNS hosts cannot have replaced
/// by `-`, over-long labels cut. `None` if nothing is left.
pub(crate) fn host(text: &str) -> Option<Name> {
    let labels: Vec<String> = text.trim().split('.').map(label).filter(|label| !label.is_empty()).collect();
    let length: usize = labels.iter().map(|label| label.len() + 1).sum();
    if labels.is_empty() || length > MAX_HOST {
        return None;
    }
    Name::from_labels(labels.iter().map(String::as_bytes)).ok()
}

fn label(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let label: String = text.chars().take(MAX_LABEL).map(fit).collect();
    label.trim_matches('-').to_owned()
}

/// A domain as written in configuration, with or without the final dot. `None` if it is empty or not a domain name.
pub(crate) fn domain(text: &str) -> Option<Name> {
    let text = text.trim().trim_matches('.');
    if text.is_empty() {
        return None;
    }
    let mut name = Name::from_ascii(text).ok()?.to_lowercase();
    name.set_fqdn(true);
    Some(name)
}

/// A name in a record: absolute if it ends with a dot or lies in `origin` already, else relative to it.
pub(crate) fn owner(text: &str, origin: &Name) -> Option<Name> {
    let text = text.trim();
    if text == "@" {
        return Some(origin.clone());
    }
    let name = domain(text)?;
    if text.ends_with('.') || origin.zone_of(&name) { Some(name) } else { join(&name, origin) }
}

/// A name a record points to: as [`owner`], but a name of several labels is absolute.
pub(crate) fn target(text: &str, origin: &Name) -> Option<Name> {
    let name = domain(text)?;
    let relative = label_count(&name) == 1 && !text.trim().ends_with('.');
    if relative { join(&name, origin) } else { Some(name) }
}

/// `host` in `origin`; `None` if that is too long.
pub(crate) fn join(host: &Name, origin: &Name) -> Option<Name> {
    host.clone().append_domain(origin).ok()
}

/// What is left of `name` without `origin`; `None` if it is not below it.
pub(crate) fn strip(name: &Name, origin: &Name) -> Option<Name> {
    let rest = label_count(name).checked_sub(label_count(origin))?;
    if rest == 0 || !origin.zone_of(name) {
        return None;
    }
    Name::from_labels(name.iter().take(rest)).ok()
}

/// Labels of a name, wildcards included.
pub(crate) fn label_count(name: &Name) -> usize {
    name.iter().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: Option<Name>) -> String {
        name.map_or("-".into(), |n| n.to_ascii())
    }

    #[test]
    fn hosts_are_made_fit() {
        assert_eq!(shown(host("Web-1")), "web-1.");
        assert_eq!(shown(host("my vm (2)")), "my-vm--2.");
        assert_eq!(shown(host("a.b.")), "a.b.");
        assert_eq!(shown(host("größe")), "gr--e.");
        assert_eq!(shown(host("...")), "-");
        assert_eq!(shown(host("--")), "-");
        assert_eq!(shown(host(&"x".repeat(100))), format!("{}.", "x".repeat(63)));
        assert_eq!(shown(host(&"x.".repeat(100))), "-");
    }

    #[test]
    fn record_names_are_relative_or_absolute() {
        let origin = domain("acme.example").unwrap();
        assert_eq!(shown(owner("www", &origin)), "www.acme.example.");
        assert_eq!(shown(owner("a.b", &origin)), "a.b.acme.example.");
        assert_eq!(shown(owner("www.acme.example", &origin)), "www.acme.example.");
        assert_eq!(shown(owner("other.org.", &origin)), "other.org.");
        assert_eq!(shown(owner("@", &origin)), "acme.example.");
        assert_eq!(shown(target("www", &origin)), "www.acme.example.");
        assert_eq!(shown(target("other.org", &origin)), "other.org.");
        assert_eq!(shown(target("", &origin)), "-");
    }

    #[test]
    fn stripping_needs_the_whole_domain() {
        let origin = domain("acme.example").unwrap();
        let strip = |text| strip(&domain(text).unwrap(), &origin);
        assert_eq!(shown(strip("web.acme.example")), "web.");
        assert_eq!(shown(strip("acme.example")), "-");
        assert_eq!(shown(strip("web.xacme.example")), "-");
    }
}

//! Object types on the command line: short names, plurals, suggestions, and what shells complete.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use weft_client::api;
use weft_model::ObjectType;

/// Short names of common types.
const SHORT: [(&str, ObjectType); 12] = [
    ("vn", ObjectType::VirtualNetwork),
    ("network", ObjectType::VirtualNetwork),
    ("vm", ObjectType::VirtualMachine),
    ("vmi", ObjectType::VirtualMachineInterface),
    ("iip", ObjectType::InstanceIp),
    ("vr", ObjectType::VirtualRouter),
    ("np", ObjectType::NetworkPolicy),
    ("policy", ObjectType::NetworkPolicy),
    ("sg", ObjectType::SecurityGroup),
    ("ri", ObjectType::RoutingInstance),
    ("rt", ObjectType::RouteTarget),
    ("acl", ObjectType::AccessControlList),
];

/// A type, or a type with a name: `virtual-network`, `vn`, `vn/web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KindArg {
    pub(crate) kind: ObjectType,
    pub(crate) name: Option<String>,
}

/// The type of that name, short name or plural.
pub(crate) fn kind(name: &str) -> Result<ObjectType, weft_client::ClientError> {
    let singular = name.strip_suffix('s').unwrap_or(name);
    match SHORT.iter().find(|(s, _)| *s == name || *s == singular) {
        Some((_, kind)) => Ok(*kind),
        None => api::object_type(name),
    }
}

/// Reads a [`KindArg`]; knows all types for completion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KindParser;

impl TypedValueParser for KindParser {
    type Value = KindArg;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<KindArg, clap::Error> {
        let text = value.to_string_lossy();
        let (word, name) = match text.split_once('/') {
            Some((word, name)) => (word, Some(name.to_owned())),
            None => (text.as_ref(), None),
        };
        let wrong = |e| clap::Error::raw(ErrorKind::InvalidValue, format!("{e}\n")).with_cmd(command);
        kind(word).map(|kind| KindArg { kind, name }).map_err(wrong)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let short = SHORT.iter().map(|(name, _)| PossibleValue::new(*name));
        Some(Box::new(ObjectType::ALL.iter().map(|t| PossibleValue::new(t.name())).chain(short)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_short_names_plurals_and_suggestions() {
        for (text, expected) in [
            ("vn", ObjectType::VirtualNetwork),
            ("vmis", ObjectType::VirtualMachineInterface),
            ("virtual-networks", ObjectType::VirtualNetwork),
            ("policy", ObjectType::NetworkPolicy),
        ] {
            assert_eq!(kind(text).unwrap(), expected, "{text}");
        }
        let command = clap::Command::new("weft");
        let read = |text: &str| KindParser.parse_ref(&command, None, OsStr::new(text));
        let named = KindArg { kind: ObjectType::VirtualNetwork, name: Some("d:p:n".to_owned()) };
        assert_eq!(read("vn/d:p:n").unwrap(), named);
        let message = read("virtual-netwrok").unwrap_err().to_string();
        assert!(message.contains("did you mean virtual-network?"), "{message}");
    }
}

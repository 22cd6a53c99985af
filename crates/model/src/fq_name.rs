//! Fully qualified names: the path of names from the domain down to the object.

use crate::ModelError;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A fully qualified name, displayed with `:` between its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FqName(pub Vec<String>);

impl FqName {
    /// A name from its parts.
    pub fn new<S: Into<String>>(parts: impl IntoIterator<Item = S>) -> Self {
        Self(parts.into_iter().map(Into::into).collect())
    }

    /// The last part, the object's own name.
    pub fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// All parts but the last; `None` for a name of one part.
    pub fn parent(&self) -> Option<FqName> {
        match self.0.split_last() {
            Some((_, rest)) if !rest.is_empty() => Some(Self(rest.to_vec())),
            _ => None,
        }
    }

    /// The name of a child of this object.
    pub fn child(&self, name: impl Into<String>) -> FqName {
        let mut parts = self.0.clone();
        parts.push(name.into());
        Self(parts)
    }

    /// Number of parts.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no parts at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the parts: none empty, no `:` (unless `colon_allowed`, which route targets need), nothing XML cannot carry.
    pub fn check(&self, colon_allowed: bool) -> Result<(), ModelError> {
        let fail = |reason| Err(ModelError::Name { name: self.clone(), reason });
        if self.0.is_empty() {
            return fail("it has no parts");
        }
        for part in &self.0 {
            if part.is_empty() {
                return fail("a part is empty");
            }
            if part.len() > crate::defaults::MAX_NAME_BYTES {
                return fail("a part is too long");
            }
            if !colon_allowed && part.contains(':') {
                return fail("a part contains ':'");
            }
            if part.chars().any(char::is_control) || !part.chars().all(crate::validate::is_xml_char) {
                return fail("a part contains a control character");
            }
        }
        Ok(())
    }
}

impl fmt::Display for FqName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

impl FromStr for FqName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl From<&str> for FqName {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::default() } else { Self::new(text.split(':')) }
    }
}

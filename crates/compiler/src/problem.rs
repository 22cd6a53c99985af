//! What is wrong with the configuration, object by object.

use uuid::Uuid;
use weft_model::{FqName, ObjectType};

/// The part of the compiler that found the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Taking the object in.
    Objects,
    /// Reading a network policy.
    Policies,
    /// Reading a virtual network.
    Networks,
    /// Expanding the policies of a network.
    Rules,
    /// Finding the networks a network is connected to.
    Connections,
    /// Compiling a security group.
    SecurityGroups,
    /// Placing an interface into a routing instance.
    Interfaces,
}

/// A defect of one object. The part concerned has no effect until it is mended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("{object_type} {fq_name}{}: {kind}", rule.map(|r| format!(", rule {r}")).unwrap_or_default())]
pub struct Problem {
    /// Type of the object.
    pub object_type: ObjectType,
    /// The object.
    pub uuid: Uuid,
    /// Its name.
    pub fq_name: FqName,
    /// Who found it.
    pub stage: Stage,
    /// The rule concerned, counted from 0, of objects that have rules.
    pub rule: Option<usize>,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum ProblemKind {
    /// Another object of the type has the name; this one is ignored.
    #[error("the name is taken by {0}")]
    DuplicateName(Uuid),
    /// Objects of the type are made by the compiler only; this one is ignored.
    #[error("objects of this type are derived and cannot be configured")]
    Derived,
    /// A property does not have the form of its type; it is ignored.
    #[error("{property} cannot be read: {reason}")]
    Malformed {
        /// Name of the property.
        property: String,
        /// What the reader said.
        reason: String,
    },
    /// A reference leads nowhere.
    #[error("refers to {to} {name}, which does not exist")]
    Dangling {
        /// Type of the missing object.
        to: ObjectType,
        /// Its name.
        name: String,
    },
    /// A number the system allots is missing.
    #[error("has no {0}")]
    MissingNumber(&'static str),
    /// Not a route target.
    #[error("{0:?} is not a route target")]
    RouteTarget(String),
    /// Not a protocol name or number.
    #[error("unknown protocol {0:?}")]
    Protocol(String),
    /// An empty or reversed range of ports.
    #[error("bad port range {start}-{end}")]
    Ports {
        /// First port.
        start: i64,
        /// Last port.
        end: i64,
    },
    /// An address that says nothing, or not a prefix.
    #[error("bad address: {0}")]
    Address(String),
    /// The rule names no side or no action.
    #[error("the rule has no {0}")]
    Incomplete(&'static str),
    /// A security-group rule without a `local` side.
    #[error("neither source nor destination is local")]
    NoLocalSide,
    /// Something this version does not do.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// The rules expand to more entries than one list may hold; the rest is left out.
    #[error("the rules expand to more than {0} entries")]
    TooManyRules(usize),
}

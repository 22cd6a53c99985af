//! Route targets: `target:<asn>:<number>` or `target:<ipv4>:<number>` (RFC 4360, RFC 5668).

use crate::{ModelError, defaults};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Who gave the number out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Administrator {
    /// An autonomous system; above 65535 the number has 16 bits only.
    As(u32),
    /// An IPv4 address; the number has 16 bits only.
    Address(Ipv4Addr),
}

/// A route target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTarget {
    /// Who gave the number out.
    pub administrator: Administrator,
    /// The number given out.
    pub number: u32,
}

impl RouteTarget {
    /// The target of an autonomous system; `None` if the number does not fit.
    pub fn new(asn: u32, number: u32) -> Option<Self> {
        let fits = asn <= u32::from(u16::MAX) || number <= u32::from(u16::MAX);
        fits.then_some(Self { administrator: Administrator::As(asn), number })
    }

    /// The automatic target for a number allotted from [`defaults::FIRST_ROUTE_TARGET_NUMBER`] on. Under an autonomous
    /// system above 65535 the numbers are counted from [`defaults::FIRST_SHORT_ROUTE_TARGET_NUMBER`] instead; `None` if
    /// there are more than fit.
    pub fn automatic(asn: u32, number: u32) -> Option<Self> {
        if asn <= u32::from(u16::MAX) {
            return Self::new(asn, number);
        }
        let offset = number.checked_sub(defaults::FIRST_ROUTE_TARGET_NUMBER)?;
        let short = defaults::FIRST_SHORT_ROUTE_TARGET_NUMBER.checked_add(offset)?;
        (short <= defaults::LAST_SHORT_ROUTE_TARGET_NUMBER).then(|| Self::new(asn, short)).flatten()
    }

    /// Whether the target is in the range the system allots when `asn` is its own.
    pub fn is_automatic(self, asn: u32) -> bool {
        let short = asn > u32::from(u16::MAX);
        let first = if short {
            defaults::FIRST_SHORT_ROUTE_TARGET_NUMBER
        } else {
            defaults::FIRST_ROUTE_TARGET_NUMBER
        };
        self.administrator == Administrator::As(asn) && self.number >= first
    }

    /// The eight bytes of the extended community.
    pub fn to_bytes(self) -> [u8; 8] {
        let [n0, n1, n2, n3] = self.number.to_be_bytes();
        match self.administrator {
            Administrator::As(asn) => {
                let [a0, a1, a2, a3] = asn.to_be_bytes();
                if asn <= u32::from(u16::MAX) {
                    [0x00, 0x02, a2, a3, n0, n1, n2, n3]
                } else {
                    [0x02, 0x02, a0, a1, a2, a3, n2, n3]
                }
            }
            Administrator::Address(address) => {
                let [a, b, c, d] = address.octets();
                [0x01, 0x02, a, b, c, d, n2, n3]
            }
        }
    }

    /// The route target in an extended community, if it is one.
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        let [kind, 0x02, a, b, c, d, e, f] = bytes else { return None };
        let short = u32::from(u16::from_be_bytes([e, f]));
        match kind {
            0x00 => Some(Self {
                administrator: Administrator::As(u32::from(u16::from_be_bytes([a, b]))),
                number: u32::from_be_bytes([c, d, e, f]),
            }),
            0x01 => {
                Some(Self { administrator: Administrator::Address(Ipv4Addr::new(a, b, c, d)), number: short })
            }
            0x02 => Some(Self {
                administrator: Administrator::As(u32::from_be_bytes([a, b, c, d])),
                number: short,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.administrator {
            Administrator::As(asn) => write!(f, "target:{asn}:{}", self.number),
            Administrator::Address(address) => write!(f, "target:{address}:{}", self.number),
        }
    }
}

impl FromStr for RouteTarget {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        parse(text).ok_or_else(|| ModelError::RouteTarget(text.chars().take(64).collect()))
    }
}

fn parse(text: &str) -> Option<RouteTarget> {
    let (administrator, number) = text.strip_prefix("target:")?.split_once(':')?;
    let number: u32 = number.parse().ok()?;
    if let Ok(asn) = administrator.parse::<u32>() {
        return RouteTarget::new(asn, number);
    }
    let address = administrator.parse().ok()?;
    (number <= u32::from(u16::MAX))
        .then_some(RouteTarget { administrator: Administrator::Address(address), number })
}

impl Serialize for RouteTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RouteTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_targets_fit_every_autonomous_system() {
        let shown = |asn, number| RouteTarget::automatic(asn, number).map(|t| t.to_string());
        assert_eq!(shown(64512, 8_000_001).as_deref(), Some("target:64512:8000001"));
        assert_eq!(shown(65536, 8_000_001).as_deref(), Some("target:65536:8001"));
        assert_eq!(shown(u32::MAX, 8_024_767).as_deref(), Some("target:4294967295:32767"));
        assert_eq!(shown(65536, 8_024_768), None);
        assert_eq!(shown(65536, 7), None);
        for asn in [1, 65535, 65536, u32::MAX] {
            let target = RouteTarget::automatic(asn, 8_000_005).unwrap();
            assert!(target.is_automatic(asn) && !target.is_automatic(asn - 1));
            assert_eq!(RouteTarget::from_bytes(target.to_bytes()), Some(target));
            assert_eq!(target.to_string().parse::<RouteTarget>().ok(), Some(target));
        }
    }
}

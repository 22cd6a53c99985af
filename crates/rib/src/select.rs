//! Path selection, in the order of the existing system (wire facts 4.4), as far as paths from agents go:
//! feasible, higher local preference, sticky, higher mobility sequence, lower MED. Paths equal up to there are used
//! together (ECMP); beyond that the order only makes the result independent of arrival.
//!
//! A stale path (its announcer's session is gone) stays in use beside the paths it was used with, so that an agent's
//! restart moves no flow. But it yields to an equally preferred path that appeared after the session was lost: a workload
//! that came back elsewhere is reached there at once.

use std::cmp::Ordering;

use crate::instance::Entry;
use crate::prefix::Prefix;

/// Most paths of one prefix used together.
pub const MAX_ECMP_PATHS: usize = 64;
/// Most members of the flood list of an Ethernet segment.
pub const MAX_FLOOD_PATHS: usize = 4096;

/// What decided between two paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// One of them has no usable encapsulation.
    Feasible,
    /// Local preference.
    LocalPreference,
    /// Sticky MAC address.
    Sticky,
    /// Mobility sequence number.
    Mobility,
    /// Multi-exit discriminator.
    Med,
    /// The path is stale and an equal one appeared since.
    Superseded,
    /// Nothing that matters: both are used, up to the limit.
    Equal,
}

impl Criterion {
    /// A short phrase for the losing path.
    pub fn why_lost(self) -> &'static str {
        match self {
            Criterion::Feasible => "no usable encapsulation",
            Criterion::LocalPreference => "lower local preference",
            Criterion::Sticky => "not sticky",
            Criterion::Mobility => "lower mobility sequence",
            Criterion::Med => "higher MED",
            Criterion::Superseded => "stale, and announced elsewhere since",
            Criterion::Equal => "beyond the limit of paths used together",
        }
    }
}

/// Compares up to the point where ECMP stops; `Less` means `a` is better.
pub(crate) fn compare_preference(a: &Entry, b: &Entry) -> (Ordering, Criterion) {
    let (x, y) = (&a.path.attributes, &b.path.attributes);
    let steps = [
        (y.feasible().cmp(&x.feasible()), Criterion::Feasible),
        (y.local_pref.cmp(&x.local_pref), Criterion::LocalPreference),
        (y.sticky.cmp(&x.sticky), Criterion::Sticky),
        (y.mobility_seq.cmp(&x.mobility_seq), Criterion::Mobility),
        (x.med.cmp(&y.med), Criterion::Med),
    ];
    steps.into_iter().find(|(order, _)| order.is_ne()).unwrap_or((Ordering::Equal, Criterion::Equal))
}

/// The total order of the paths of one route: preference, then what merely makes the order definite. What agents are told
/// comes before what they are not (distinguisher, announcer, instance), so that paths that say the same stand in the same
/// order, and a change of the latter alone is no update.
pub(crate) fn compare(a: &Entry, b: &Entry) -> (Ordering, Criterion) {
    let (order, criterion) = compare_preference(a, b);
    let order = order
        .then_with(|| a.path.compare_to_agents(&b.path))
        .then_with(|| a.path.rd.cmp(&b.path.rd))
        .then_with(|| a.peer.cmp(&b.peer))
        .then_with(|| a.origin.cmp(&b.origin));
    (order, criterion)
}

/// The paths in use, given all of them best first.
pub(crate) fn choose<'a>(prefix: &Prefix, sorted: &'a [Entry]) -> Vec<&'a Entry> {
    let feasible = sorted.iter().take_while(|entry| entry.path.attributes.feasible());
    if prefix.is_flood() {
        return feasible.take(MAX_FLOOD_PATHS).collect();
    }
    let Some(best) = sorted.first() else { return Vec::new() };
    let equal: Vec<&Entry> = feasible.take_while(|entry| compare_preference(best, entry).0.is_eq()).collect();
    let newest = equal.iter().map(|entry| entry.appeared).max().unwrap_or(0);
    // The newest path is never superseded, so something is left.
    equal.into_iter().filter(|entry| !entry.superseded_by(newest)).take(MAX_ECMP_PATHS).collect()
}

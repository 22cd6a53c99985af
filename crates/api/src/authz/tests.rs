//! The bits of `perms2` against an oracle that works with texts and sets instead of bits and uuids.

use super::perms::{self, Access, Scope, Tenant};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_model::{Object, ObjectType};

/// Few, so that they meet.
fn ident() -> impl Strategy<Value = Uuid> {
    (0u128..3).prop_map(Uuid::from_u128)
}

fn tenant() -> impl Strategy<Value = String> {
    (ident(), 0..6).prop_map(|(id, form)| match form {
        0 => id.to_string(),
        1 => id.as_simple().to_string().to_uppercase(),
        2 => format!("tenant:{id}"),
        3 => format!("domain:{}", id.as_simple()),
        4 => format!("domain:{id}"),
        _ => format!("role:{id}"),
    })
}

fn stored() -> impl Strategy<Value = Value> {
    let share = proptest::collection::vec((tenant(), 0u64..9), 0..4);
    let owner =
        prop_oneof![ident().prop_map(|id| id.as_simple().to_string()), Just("cloud-admin".to_owned())];
    (owner, 0u64..8, 0u64..8, share).prop_map(|(owner, own, global, share)| {
        let share: Vec<Value> = share.iter().map(|(t, a)| json!({"tenant": t, "tenant_access": a})).collect();
        json!({"owner": owner, "owner_access": own, "global_access": global, "share": share})
    })
}

fn object(perms: &Value) -> Object {
    let mut object = Object::new(ObjectType::NetworkPolicy, Uuid::from_u128(99), "d:p:x".into());
    object.props.insert("perms2".into(), perms.clone());
    object
}

/// The letters somebody has, by the words of wire-facts 1.2 and 2.3.
fn oracle(stored: &Value, scope: Scope) -> BTreeSet<char> {
    let letters = |n: &Value| -> &'static str {
        ["", "X", "W", "WX", "R", "RX", "RW", "RWX"]
            .get(usize::try_from(n.as_u64().unwrap()).unwrap())
            .copied()
            .unwrap_or("")
    };
    let plain = |text: &str| text.replace('-', "").to_lowercase();
    let project = scope.project.map(|id| plain(&id.to_string()));
    let domain = scope.domain.map(|id| plain(&id.to_string()));
    let mut out: BTreeSet<char> = letters(&stored["global_access"]).chars().collect();
    if project == Some(plain(stored["owner"].as_str().unwrap())) {
        out.extend(letters(&stored["owner_access"]).chars());
    }
    for item in stored["share"].as_array().unwrap() {
        let tenant = item["tenant"].as_str().unwrap();
        let (kind, id) = tenant.split_once(':').unwrap_or(("tenant", tenant));
        let of = match kind {
            "tenant" => &project,
            "domain" => &domain,
            _ => &None,
        };
        if of.as_deref() == Some(&plain(id)) {
            out.extend(letters(&item["tenant_access"]).chars());
        }
    }
    out
}

proptest! {
    #[test]
    fn access_is_what_the_oracle_says(
        stored in stored(), project in proptest::option::of(ident()), domain in proptest::option::of(ident())
    ) {
        let scope = Scope { project, domain };
        let granted = perms::granted(&object(&stored), scope);
        let wanted = oracle(&stored, scope);
        let letters: BTreeSet<char> = granted.letters().chars().collect();
        prop_assert_eq!(&letters, &wanted);
        for (access, letter) in [(Access::READ, 'R'), (Access::WRITE, 'W'), (Access::LINK, 'X')] {
            prop_assert_eq!(granted.allows(access), wanted.contains(&letter));
        }
        prop_assert_eq!(granted.allows(Access::READ_WRITE), wanted.contains(&'R') && wanted.contains(&'W'));
    }

    #[test]
    fn a_share_more_never_allows_less(stored in stored(), more in (tenant(), 0u64..8), scope in (ident(), ident())) {
        let scope = Scope { project: Some(scope.0), domain: Some(scope.1) };
        let mut extended = stored.clone();
        let item = json!({"tenant": more.0, "tenant_access": more.1});
        extended["share"].as_array_mut().unwrap().push(item);
        let (before, after) = (perms::granted(&object(&stored), scope), perms::granted(&object(&extended), scope));
        prop_assert!(after.allows(before));
    }

    /// Whatever somebody managed to store: no panic, and nothing for somebody without a project beyond what all have.
    #[test]
    fn nonsense_grants_nothing_personal(text in "[\\[\\]{}\":,a-z0-9]{0,60}", owner in ".{0,40}") {
        let stored = serde_json::from_str(&text).unwrap_or_else(|_| json!({"owner": owner, "share": owner}));
        prop_assert_eq!(perms::personal(&object(&stored), Scope::default()), Access::NONE);
        let _ = Tenant::parse(&owner);
        let _ = perms::rendered(&object(&stored));
    }
}

#[test]
fn objects_without_permissions_have_those_of_their_type() {
    let id = Uuid::from_u128(1);
    let mine = Scope { project: Some(id), domain: None };
    let inside = Scope { project: None, domain: Some(id) };
    let project = Object::new(ObjectType::Project, id, "d:p".into());
    assert_eq!(perms::granted(&project, mine), Access::ALL);
    let domain = Object::new(ObjectType::Domain, id, "d".into());
    assert_eq!(perms::granted(&domain, inside), Access::READ_WRITE);
    assert_eq!(perms::granted(&domain, mine), Access::NONE);
    let mut network = Object::new(ObjectType::VirtualNetwork, id, "d:p:n".into());
    assert_eq!(perms::granted(&network, mine), Access::NONE);
    network.props.insert("router_external".into(), true.into());
    assert_eq!(perms::granted(&network, mine).letters(), "RX");
    network.props.insert("is_shared".into(), true.into());
    assert_eq!(perms::granted(&network, mine).letters(), "RWX");
}

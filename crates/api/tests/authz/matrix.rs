//! Everybody tries everything with objects shared in every way. What must come out is in [`expected`], written from
//! wire-facts 2.1 to 2.3, not from the code.

use crate::people::{World, fq, id, json_of, perms};
use reqwest::Method;
use serde_json::json;

/// Who tries.
const WHO: &[&str] = &["admin", "owner", "other", "friend", "abroad", "nobody"];
/// Permission bits tried, for shares and for all: read 4, write 2, link 1.
const BITS: &[u64] = &[0, 1, 2, 4, 5, 6, 7];
const READ: u64 = 4;
const WRITE: u64 = 2;
const LINK: u64 = 1;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Read,
    Update,
    CreateBelow,
    Refer,
    Delete,
    Name,
    Id,
    PropGet,
    Chmod,
    IpAlloc,
    RefUpdateFrom,
}

const DEEDS: &[Deed] = &[
    Deed::Read,
    Deed::Update,
    Deed::CreateBelow,
    Deed::Refer,
    Deed::Name,
    Deed::Id,
    Deed::PropGet,
    Deed::Chmod,
    Deed::IpAlloc,
    Deed::RefUpdateFrom,
    // Last: it may succeed.
    Deed::Delete,
];

/// Bits somebody has through ownership or a share, and in all.
fn bits(who: &str, share: u64, global: u64) -> (u64, u64) {
    let personal = match who {
        "admin" | "owner" => 7,
        "friend" | "abroad" => share,
        _ => 0,
    };
    (personal, personal | global)
}

/// The status, from the facts:
/// - without a role no rule allows anything: 403 (2.3);
/// - read needs read, update write, a new child write on its parent, a reference link on its target: else 403 (2.2, 2.3);
/// - only the owner deletes (2.3, as the existing system does);
/// - names of what may not be read are not found: 404 (2.1);
/// - permissions are changed by those who may read and write, not counting what everybody may (docs/adr/0040).
fn expected(who: &str, deed: Deed, share: u64, global: u64) -> u16 {
    let (personal, all) = bits(who, share, global);
    let yes = |allowed: bool, no: u16| if allowed { 200 } else { no };
    let named = matches!(deed, Deed::Name | Deed::Id);
    if who == "nobody" && !named {
        return 403;
    }
    match deed {
        Deed::Read | Deed::PropGet => yes(all & READ != 0, 403),
        Deed::Update | Deed::RefUpdateFrom => yes(all & WRITE != 0, 403),
        // A parent that may not be read either is answered as a missing one: in a project that may not be read, 403.
        Deed::CreateBelow => yes(all & WRITE != 0, 403),
        Deed::Refer | Deed::IpAlloc => yes(all & LINK != 0, 403),
        Deed::Delete => yes(matches!(who, "admin" | "owner"), 403),
        Deed::Name | Deed::Id => yes(all & READ != 0, 404),
        Deed::Chmod => yes(personal & (READ | WRITE) == READ | WRITE, 403),
    }
}

/// The project in which somebody makes things.
fn home(who: &str) -> &str {
    match who {
        "admin" | "owner" => "mine",
        "nobody" => "other",
        who => who,
    }
}

async fn attempt(world: &World, who: &str, deed: Deed, uuid: &str, name: &str) -> (u16, String) {
    let at = format!("/virtual-network/{uuid}");
    let policy = json!({"uuid": uuid, "type": "virtual-network", "ref-type": "network-policy", "operation": "DELETE",
        "ref-uuid": id("no policy")});
    match deed {
        Deed::Read => world.get(who, &at).await,
        Deed::Update => {
            let display = json!({"display_name": format!("by {who}")});
            world.put(who, "virtual-network", uuid, display).await
        }
        Deed::CreateBelow => {
            let below = json!(["default-domain", "mine", name, format!("pool of {who}")]);
            world.create(who, "floating-ip-pool", json!({"fq_name": below})).await
        }
        Deed::Refer => {
            let port = json!({"fq_name": fq(home(who), &format!("port to {name} of {who}")),
                "parent_type": "project", "virtual_network_refs": [{"uuid": uuid}]});
            world.create(who, "virtual-machine-interface", port).await
        }
        Deed::Delete => world.delete(who, "virtual-network", uuid).await,
        Deed::Name => {
            let body = json!({"type": "virtual-network", "fq_name": fq("mine", name)});
            world.post(who, "/fqname-to-id", body).await
        }
        Deed::Id => world.post(who, "/id-to-fqname", json!({"uuid": uuid})).await,
        Deed::PropGet => {
            world.get(who, &format!("/prop-collection-get?uuid={uuid}&fields=annotations")).await
        }
        Deed::Chmod => world.post(who, "/chmod", json!({"uuid": uuid, "owner_access": 7})).await,
        Deed::IpAlloc => {
            let answer = world.post(who, &format!("{at}/ip-alloc"), json!({"count": 1})).await;
            if answer.0 == 200 {
                let back = world.post(who, &format!("{at}/ip-free"), json_of(&answer.1)).await;
                assert_eq!(back.0, 200, "{}", back.1);
            }
            answer
        }
        Deed::RefUpdateFrom => world.post(who, "/ref-update", policy).await,
    }
}

/// Statuses of everything for one way of sharing. Objects that stand in the way of later deeds are made anew.
async fn one_way(world: &World, share: u64, global: u64) {
    for who in WHO {
        let name = format!("net {share} {global} {who}");
        let mut fields = perms(share, global);
        fields["network_ipam_refs"] = json!([{
            "to": ["default-domain", "default-project", "default-network-ipam"],
            "attr": {"ipam_subnets": [{"subnet": {"ip_prefix": "10.0.0.0", "ip_prefix_len": 24}}]},
        }]);
        let uuid = world.network("owner", "mine", &name, fields).await;
        for deed in DEEDS {
            let (status, text) = attempt(world, who, *deed, &uuid, &name).await;
            let wanted = expected(who, *deed, share, global);
            assert_eq!(status, wanted, "{who} {deed:?} with share {share} and global {global}: {text}");
            if status != 200 {
                assert!(
                    !text.contains(&name) || said_the_name(*deed),
                    "{who} {deed:?} learns the name: {text}"
                );
            }
            tidy_up(world, &uuid).await;
        }
    }
}

/// Whether the request itself had the name.
fn said_the_name(deed: Deed) -> bool {
    matches!(deed, Deed::CreateBelow | Deed::Name | Deed::Refer)
}

/// Takes away children and referrers, so that a deletion is a question of permission only.
async fn tidy_up(world: &World, uuid: &str) {
    for (collection, object_type, query) in [
        ("floating-ip-pools", "floating-ip-pool", "parent_id"),
        ("virtual-machine-interfaces", "virtual-machine-interface", "back_ref_id"),
    ] {
        for child in world.listed("admin", &format!("/{collection}?{query}={uuid}")).await {
            assert_eq!(world.delete("admin", object_type, &child).await.0, 200);
        }
    }
}

#[tokio::test]
async fn everybody_gets_what_shares_allow() {
    let world = World::new().await;
    for share in BITS {
        one_way(&world, *share, 0).await;
    }
}

#[tokio::test]
async fn everybody_gets_what_all_may_do() {
    let world = World::new().await;
    for global in BITS {
        one_way(&world, 0, *global).await;
    }
    // Both add up.
    one_way(&world, WRITE, READ).await;
    one_way(&world, LINK, WRITE).await;
}

#[tokio::test]
async fn lists_counts_pages_and_bulk_lists_hold_what_may_be_read() {
    let world = World::new().await;
    let mut made = Vec::new();
    for share in BITS {
        for global in [0, READ, WRITE] {
            let name = format!("net {share} {global}");
            let uuid = world.network("owner", "mine", &name, perms(*share, global)).await;
            made.push((uuid, *share, global));
        }
    }
    for who in WHO.iter().filter(|who| **who != "nobody") {
        let readable = |(_, share, global): &&(String, u64, u64)| bits(who, *share, *global).1 & READ != 0;
        let mut wanted: Vec<&str> = made.iter().filter(readable).map(|m| m.0.as_str()).collect();
        wanted.sort_unstable();
        let ours = |mut list: Vec<String>| {
            list.retain(|uuid| made.iter().any(|m| m.0 == *uuid));
            list.sort_unstable();
            list
        };
        let project = id("mine");
        let all: Vec<&str> = made.iter().map(|m| m.0.as_str()).collect();
        for query in [
            "/virtual-networks".to_owned(),
            "/virtual-networks?fields=display_name".to_owned(),
            format!("/virtual-networks?parent_id={project}"),
            format!("/virtual-networks?obj_uuids={}", all.join(",")),
            format!("/virtual-networks?parent_id={project}&shared=true"),
        ] {
            assert_eq!(ours(world.listed(who, &query).await), wanted, "{who} {query}");
        }
        let body = json!({"type": "virtual-network", "obj_uuids": all, "count": true});
        let (_, text) = world.post(who, "/list-bulk-collection", body).await;
        assert_eq!(json_of(&text)["virtual-networks"]["count"], wanted.len(), "{who}");
        let (_, text) = world.get(who, &format!("/virtual-networks?count=true&parent_id={project}")).await;
        assert_eq!(json_of(&text)["virtual-networks"]["count"], wanted.len(), "{who}");
        assert_eq!(ours(pages(&world, who, 2).await), wanted, "{who} by pages");
    }
    let (status, _) = world.get("nobody", "/virtual-networks").await;
    assert_eq!(status, 403);
}

/// All pages of networks. Each but the last is full, and each marker is a network of its page.
async fn pages(world: &World, who: &str, limit: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut marker = String::new();
    loop {
        let query = format!("/virtual-networks?page_limit={limit}&page_marker={marker}");
        let (status, text) = world.get(who, &query).await;
        assert_eq!(status, 200, "{text}");
        let body = json_of(&text);
        let page = body["virtual-networks"].as_array().unwrap();
        let page: Vec<String> = page.iter().map(|n| n["uuid"].as_str().unwrap().to_owned()).collect();
        let next = body["marker"].as_str().map(str::to_owned);
        let Some(next) = next else {
            all.extend(page);
            return all;
        };
        assert_eq!(page.len(), limit, "{who}: a page that is not the last is full");
        assert_eq!(page.last(), Some(&next), "{who}: a marker is something that was shown");
        all.extend(page);
        marker = next;
    }
}

#[tokio::test]
async fn there_is_no_creating_in_projects_of_others() {
    let world = World::new().await;
    for who in WHO {
        for project in ["mine", "other", "friend", "abroad"] {
            let fields = json!({"fq_name": fq(project, &format!("by {who}")), "parent_type": "project"});
            let (status, text) = world.create(who, "network-policy", fields).await;
            let may = *who == "admin" || (*who != "nobody" && home(who) == project);
            assert_eq!(status, if may { 200 } else { 403 }, "{who} in {project}: {text}");
        }
    }
    let (_, text) = world
        .post("owner", "/fqname-to-id", json!({"type": "network-policy", "fq_name": fq("mine", "by owner")}))
        .await;
    let policy = world.read("owner", "network-policy", json_of(&text)["uuid"].as_str().unwrap()).await;
    assert_eq!(policy["perms2"]["owner"], id("mine").as_simple().to_string());
    // What an administrator makes for a project belongs to the project.
    let (status, text) =
        world.get("owner", "/network-policys?detail=true&fq_names=default-domain:mine:by admin").await;
    assert_eq!(status, 200, "{text}");
    let policys = json_of(&text);
    assert_eq!(
        policys["network-policys"][0]["network-policy"]["perms2"]["owner"],
        id("mine").as_simple().to_string()
    );
}

#[tokio::test]
async fn who_makes_what_for_whom() {
    let world = World::new().await;
    let given = |owner: &str| json!({"perms2": {"owner": owner, "owner_access": 7}});
    let fields = |name: &str, owner: &str| {
        let mut fields = given(owner);
        fields["fq_name"] = fq("mine", name);
        fields
    };
    let (mine, other) = (id("mine").to_string(), id("other").to_string());
    assert_eq!(world.create("owner", "network-policy", fields("a", &mine)).await.0, 200);
    assert_eq!(world.create("owner", "network-policy", fields("b", &other)).await.0, 403);
    let uuid = world.make("admin", "network-policy", fields("c", &other)).await;
    assert_eq!(world.get("owner", &format!("/network-policy/{uuid}")).await.0, 403);
    assert_eq!(
        world.read("other", "network-policy", &uuid).await["perms2"]["owner"],
        id("other").as_simple().to_string()
    );
    let (status, text) =
        world.put("other", "network-policy", &uuid, json!({"perms2": {"owner_access": 7}})).await;
    assert_eq!((status, text.as_str()), (400, "perms2 must have an owner"));
    assert_eq!(world.ask("other", Method::PUT, &format!("/network-policy/{uuid}"), None).await.0, 200);
    assert_eq!(world.ask("owner", Method::PUT, &format!("/network-policy/{uuid}"), None).await.0, 403);
}

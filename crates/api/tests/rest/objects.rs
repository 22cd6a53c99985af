//! Discovery, create, read, delete, names, bad input.

use crate::harness::{Server, network};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn discovery_lists_types_and_actions_under_the_request_url() {
    let server = Server::start().await;
    let document = server.get("/").await;
    assert_eq!(document["href"], server.url);
    let links: Vec<&Value> = document["links"].as_array().unwrap().iter().map(|l| &l["link"]).collect();
    let has = |name: &str, rel: &str, path: &str| {
        let href = format!("{}{path}", server.url);
        links.iter().any(|l| l["name"] == name && l["rel"] == rel && l["href"] == href)
    };
    assert!(has("virtual-network", "collection", "/virtual-networks"));
    assert!(has("network-policy", "collection", "/network-policys"));
    assert!(has("virtual-DNS-record", "resource-base", "/virtual-DNS-record"));
    assert!(has("config-root", "root", "/config-root"));
    assert!(has("virtual-network-ip-alloc", "action", "/virtual-network/%s/ip-alloc"));
    assert!(has("name-to-id", "action", "/fqname-to-id"));
}

#[tokio::test]
async fn a_network_is_created_completed_read_and_deleted() {
    let server = Server::start().await;
    let body = json!({"virtual-network": network("blue", &[("10.1.1.77", 24), ("fd00:1::", 64)])});
    let created = server.post("/virtual-networks", body).await["virtual-network"].clone();
    let uuid = created["uuid"].as_str().unwrap();
    assert_eq!(created["href"], format!("{}/virtual-network/{uuid}", server.url));
    assert_eq!(created["name"], "blue");
    assert_eq!(created["parent_type"], "project");
    let read = server.read("virtual-network", uuid).await;
    let subnets = &read["network_ipam_refs"][0]["attr"]["ipam_subnets"];
    assert_eq!(subnets[0]["subnet"], json!({"ip_prefix": "10.1.1.0", "ip_prefix_len": 24}));
    assert_eq!(subnets[0]["default_gateway"], "10.1.1.254");
    assert_eq!(subnets[0]["dns_server_address"], "10.1.1.253");
    assert!(subnets[1]["subnet_uuid"].is_string());
    assert!(read["virtual_network_network_id"].as_u64().unwrap() >= 1);
    assert_eq!(read["display_name"], "blue");
    assert_eq!(read["port_security_enabled"], true);
    assert_eq!(read["id_perms"]["enable"], true);
    assert_eq!(read["perms2"]["owner_access"], 7);
    assert!(read.get("weft_route_target_number").is_none());
    let asked = server.get(&format!("/virtual-network/{uuid}?fields=weft_route_target_number")).await;
    assert!(asked["virtual-network"]["weft_route_target_number"].as_u64().unwrap() >= 8_000_000);
    assert!(asked["virtual-network"].get("network_ipam_refs").is_none());
    assert!(asked["virtual-network"]["id_perms"].is_object());
    let bare = server.get(&format!("/virtual-network/{uuid}?exclude_hrefs=False&exclude_children")).await;
    assert!(bare["virtual-network"].get("href").is_none());
    assert!(bare["virtual-network"]["network_ipam_refs"][0].get("href").is_none());
    server.delete("virtual-network", uuid).await;
    server.refused(404, Method::GET, &format!("/virtual-network/{uuid}"), None).await;
    server.refused(404, Method::DELETE, &format!("/virtual-network/{uuid}"), None).await;
}

#[tokio::test]
async fn names_and_ids_lead_to_each_other() {
    let server = Server::start().await;
    let uuid = server.network("blue", "10.1.1.0", 24).await;
    let name = json!(["default-domain", "default-project", "blue"]);
    let found = server.post("/fqname-to-id", json!({"type": "virtual-network", "fq_name": name})).await;
    assert_eq!(found["uuid"], uuid);
    let back = server.post("/id-to-fqname", json!({"uuid": uuid})).await;
    assert_eq!(back, json!({"fq_name": name, "type": "virtual-network"}));
    let miss = json!({"type": "virtual_network", "fq_name": ["a", "b", "c"]});
    server.refused(404, Method::POST, "/fqname-to-id", Some(miss)).await;
    let unknown = json!({"type": "nonsense", "fq_name": ["a"]});
    server.refused(404, Method::POST, "/fqname-to-id", Some(unknown)).await;
    server.refused(404, Method::POST, "/id-to-fqname", Some(json!({"uuid": uuid::Uuid::nil()}))).await;
    server.refused(400, Method::POST, "/id-to-fqname", Some(json!({"uuid": "x"}))).await;
}

#[tokio::test]
async fn duplicates_are_refused() {
    let server = Server::start().await;
    let uuid = server.network("blue", "10.1.1.0", 24).await;
    let again = json!({"virtual-network": network("blue", &[])});
    let text = server.refused(409, Method::POST, "/virtual-networks", Some(again)).await;
    assert!(text.contains(&uuid), "{text}");
    let taken = json!({"virtual-machine": {"fq_name": ["vm"], "uuid": uuid}});
    server.refused(409, Method::POST, "/virtual-machines", Some(taken)).await;
}

#[tokio::test]
async fn bad_bodies_are_refused_with_a_reason() {
    let server = Server::start().await;
    let path = "/virtual-networks";
    let name = json!(["default-domain", "default-project", "x"]);
    let cases = [
        (json!({"virtual-network": {"parent_type": "project"}}), "fq_name"),
        (json!({"virtual-network": {"fq_name": ["default-domain", "nowhere", "x"]}}), "does not exist"),
        (json!({"virtual-network": {"fq_name": ["default-domain", "default-project", "a:b"]}}), "':'"),
        (json!({"virtual-network": {"fq_name": name, "parent_type": "domain"}}), "parent type"),
        (json!({"virtual-network": {"fq_name": ["x"]}}), "does not exist"),
        (json!({"virtual-network": {"fq_name": name, "uuid": "12"}}), "UUID"),
        (json!({"virtual-network": {"fq_name": name, "nonsense": 1}}), "nonsense"),
        (json!({"virtual-network": {"fq_name": name, "is_shared": "maybe"}}), "is_shared"),
        (json!({"virtual-network": {"fq_name": name, "mtu": 99999}}), "99999"),
        (
            json!({"virtual-network": {"fq_name": name, "virtual_network_properties": {"colour": 1}}}),
            "class VirtualNetworkType does not have field colour",
        ),
        (
            json!({"virtual-network": {"fq_name": name, "network_policy_refs": [{"to": ["a", "b", "c"]}]}}),
            "does not exist",
        ),
        (
            json!({"virtual-network": {"fq_name": name, "virtual_machine_refs": [{"to": ["a"]}]}}),
            "virtual_machine_refs",
        ),
        (
            json!({"virtual-network": {"fq_name": name, "weft_route_target_number": 5}}),
            "weft_route_target_number",
        ),
        (json!({"virtual-network": []}), "Malformed"),
        (json!([]), "Malformed"),
    ];
    for (body, part) in cases {
        let text = server.refused(400, Method::POST, path, Some(body.clone())).await;
        assert!(text.contains(part), "{body}: {text}");
    }
    let send = async |body: Vec<u8>| {
        let sent = server.client.post(format!("{}{path}", server.url)).body(body).send().await.unwrap();
        (sent.status().as_u16(), sent.text().await.unwrap())
    };
    let (status, text) = send(b"{\"virtual-network\": {]".to_vec()).await;
    assert!(status == 400 && text.contains("line 1 column"), "{text}");
    assert_eq!(send(b"[".repeat(100_000)).await.0, 400);
    assert_eq!(send(vec![b' '; weft_api::MAX_BODY_BYTES + 1]).await.0, 413);
    assert_eq!(send(b"\xff\xfe".to_vec()).await.0, 400);
    server.refused(404, Method::POST, "/nonsenses", Some(json!({}))).await;
    server.refused(404, Method::GET, "/virtual-network/12", None).await;
}

#[tokio::test]
async fn children_and_referrers_keep_an_object() {
    let server = Server::start().await;
    let project = server.create("project", json!({"fq_name": ["default-domain", "p"]})).await;
    let policy = json!({"fq_name": ["default-domain", "p", "pol"], "parent_type": "project"});
    let policy = server.create("network-policy", policy).await;
    let attr = json!({"sequence": {"major": 0, "minor": 0}});
    let vn = json!({"fq_name": ["default-domain", "p", "vn"],
                    "network_policy_refs": [{"uuid": policy, "attr": attr}]});
    let vn = server.create("virtual-network", vn).await;
    let text = server.refused(409, Method::DELETE, &format!("/project/{project}"), None).await;
    assert!(text.contains(&format!("/network-policy/{policy}")), "{text}");
    let text = server.refused(409, Method::DELETE, &format!("/network-policy/{policy}"), None).await;
    assert!(text.contains(&format!("{}/virtual-network/{vn}", server.url)), "{text}");
    let back = server.read("network-policy", &policy).await;
    assert_eq!(back["virtual_network_back_refs"][0]["attr"], attr);
    let children = server.read("project", &project).await;
    assert_eq!(children["virtual_networks"][0]["to"][2], "vn");
    // A reference that is relaxed does not count, and is gone with its target.
    server.post("/ref-relax-for-delete", json!({"uuid": vn, "ref-uuid": policy})).await;
    server.delete("network-policy", &policy).await;
    assert!(server.read("virtual-network", &vn).await.get("network_policy_refs").is_none());
    server.delete("virtual-network", &vn).await;
    server.delete("project", &project).await;
}

#[tokio::test]
async fn default_children_go_with_their_parent_and_relaxed_subnets_are_given_back() {
    let server = Server::start().await;
    let project = server.create("project", json!({"fq_name": ["default-domain", "p"]})).await;
    let ipam = json!({"fq_name": ["default-domain", "p", "default-network-ipam"], "parent_type": "project"});
    let ipam = server.create("network-ipam", ipam).await;
    let mut fields = network("blue", &[("10.0.0.0", 24)]);
    fields["network_ipam_refs"][0]["to"] = json!(["default-domain", "p", "default-network-ipam"]);
    let vn = server.create("virtual-network", fields).await;
    let iip = json!({"fq_name": ["i"], "virtual_network_refs": [{"uuid": vn}]});
    let iip = server.create("instance-ip", iip).await;
    let path = format!("/project/{project}");
    let text = server.refused(409, Method::DELETE, &path, None).await;
    assert!(text.contains(&vn), "{text}");
    server.post("/ref-relax-for-delete", json!({"uuid": vn, "ref-uuid": ipam})).await;
    let text = server.refused(409, Method::DELETE, &path, None).await;
    assert!(text.contains("in use"), "{text}");
    server.delete("instance-ip", &iip).await;
    server.delete("project", &project).await;
    server.refused(404, Method::GET, &format!("/network-ipam/{ipam}"), None).await;
    let taken = server.store.range("alloc/ip/", None, 4096).await.unwrap();
    assert_eq!(taken.entries.len(), 4, "gateway and service addresses of the singletons' two subnets");
    server.delete("virtual-network", &vn).await;
}

#[tokio::test]
async fn singletons_exist_and_stay() {
    let server = Server::start().await;
    for (object_type, name) in [
        ("global-system-config", json!(["default-global-system-config"])),
        ("global-vrouter-config", json!(["default-global-system-config", "default-global-vrouter-config"])),
        ("network-ipam", json!(["default-domain", "default-project", "service-chain-flat-ipam"])),
        ("virtual-network", json!(["default-domain", "default-project", "ip-fabric"])),
        ("virtual-network", json!(["default-domain", "default-project", "__link_local__"])),
        ("security-group", json!(["default-domain", "default-project", "__no_rule__"])),
    ] {
        let found = server.post("/fqname-to-id", json!({"type": object_type, "fq_name": name})).await;
        let uuid = found["uuid"].as_str().unwrap();
        if object_type == "virtual-network" {
            server.refused(409, Method::DELETE, &format!("/virtual-network/{uuid}"), None).await;
        }
        server.read(object_type, uuid).await;
    }
    let found = server.post("/fqname-to-id", json!({"type": "domain", "fq_name": ["default-domain"]})).await;
    let domain = server.read("domain", found["uuid"].as_str().unwrap()).await;
    assert_eq!(domain["parent_type"], "config-root");
}

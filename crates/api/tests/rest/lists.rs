//! Collections: selection, filters, detail, count, pages.

use crate::harness::{Server, network};
use reqwest::Method;
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<String> {
    let items = list.as_array().unwrap();
    let mut out: Vec<String> = items
        .iter()
        .map(|i| i["fq_name"].as_array().unwrap().last().unwrap().as_str().unwrap().into())
        .collect();
    out.sort();
    out
}

#[tokio::test]
async fn selection_by_parent_name_id_and_reference() {
    let server = Server::start().await;
    let project = server.create("project", json!({"fq_name": ["default-domain", "p"]})).await;
    let mut uuids = Vec::new();
    for name in ["a", "b", "c"] {
        let vn = json!({"fq_name": ["default-domain", "p", name], "parent_type": "project"});
        uuids.push(server.create("virtual-network", vn).await);
    }
    let vmi = json!({"fq_name": ["default-domain", "p", "port"], "parent_type": "project",
                     "virtual_network_refs": [{"uuid": uuids[0]}]});
    server.create("virtual-machine-interface", vmi).await;
    let list = async |query: &str| {
        server.get(&format!("/virtual-networks?{query}")).await["virtual-networks"].clone()
    };
    assert_eq!(names(&list(&format!("parent_id={project}")).await), ["a", "b", "c"]);
    assert_eq!(names(&list("parent_fq_name_str=default-domain:p").await), ["a", "b", "c"]);
    assert_eq!(list("parent_fq_name_str=default-domain:nowhere").await, json!([]));
    assert_eq!(names(&list(&format!("obj_uuids={},{}", uuids[0], uuids[2])).await), ["a", "c"]);
    assert_eq!(names(&list("fq_names=default-domain:p:b,default-domain:p:zz").await), ["b"]);
    assert_eq!(names(&list(&format!("parent_id={project}&obj_uuids={}", uuids[1])).await), ["b"]);
    assert_eq!(list("").await.as_array().unwrap().len(), 6);
    let ports = server.get(&format!("/virtual-machine-interfaces?back_ref_id={}", uuids[0])).await;
    assert_eq!(names(&ports["virtual-machine-interfaces"]), ["port"]);
    server.refused(400, Method::GET, "/virtual-networks?parent_id=12", None).await;
    let item = &list(&format!("obj_uuids={}&exclude_hrefs=False", uuids[0])).await[0];
    assert_eq!(item, &json!({"uuid": uuids[0], "fq_name": ["default-domain", "p", "a"]}));
    let body = json!({"type": "virtual-network", "parent_id": project, "detail": true, "count": false, "fields": null,
                      "obj_uuids": uuids.join(",")});
    let bulk = server.post("/list-bulk-collection", body).await;
    assert_eq!(bulk["virtual-networks"].as_array().unwrap().len(), 3);
    assert!(bulk["virtual-networks"][0]["virtual-network"]["id_perms"].is_object());
    server.refused(404, Method::POST, "/list-bulk-collection", Some(json!({"type": "x"}))).await;
}

#[tokio::test]
async fn filters_fields_detail_and_count() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        let mut fields = network(name, &[]);
        fields["display_name"] = json!(format!("net,{name}"));
        fields["is_shared"] = json!(name == "c");
        server.create("virtual-network", fields).await;
    }
    let list = async |query: &str| {
        server.get(&format!("/virtual-networks?{query}")).await["virtual-networks"].clone()
    };
    assert_eq!(names(&list("filters=display_name==%22net,a%22,display_name==%22net,b%22").await), ["a", "b"]);
    assert_eq!(names(&list("filters=is_shared==true").await), ["c"]);
    assert_eq!(names(&list("filters=port_security_enabled==true").await).len(), 6);
    assert_eq!(list("filters=is_shared==true,display_name==%22net,a%22").await, json!([]));
    let counted = server.get("/virtual-networks?count=True&detail=False&shared=False").await;
    assert_eq!(counted, json!({"virtual-networks": {"count": 6}}));
    let fields = list("filters=is_shared==true&fields=display_name,network_ipam_refs").await;
    assert_eq!(fields[0]["display_name"], "net,c");
    assert!(fields[0]["network_ipam_refs"].is_array() && fields[0].get("is_shared").is_none());
    let detail = list("filters=is_shared==true&detail=True&fields=network_ipam_back_refs").await;
    assert!(detail[0]["virtual-network"]["uuid"].is_string());
    server.refused(400, Method::GET, "/virtual-networks?filters=nonsense", None).await;
    let shared = list(&format!("parent_id={}&shared=True", uuid::Uuid::nil())).await;
    assert_eq!(names(&shared), ["c"]);
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let server = Server::start().await;
    for index in 0..7 {
        server.create("virtual-machine", json!({"fq_name": [format!("vm{index}")]})).await;
    }
    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/virtual-machines?page_limit=3&page_marker={marker}")).await;
        seen.extend(names(&page["virtual-machines"]));
        match page["marker"].as_str() {
            Some(next) => marker = next.to_owned(),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, (0..7).map(|i| format!("vm{i}")).collect::<Vec<_>>());
    server.refused(400, Method::GET, "/virtual-machines?page_limit=0", None).await;
}

#[tokio::test]
async fn texts_under_keys() {
    let server = Server::start().await;
    let kv = async |body: Value| server.post("/useragent-kv", body).await;
    kv(json!({"operation": "STORE", "key": "k", "value": "v"})).await;
    assert_eq!(kv(json!({"operation": "RETRIEVE", "key": "k"})).await["value"], "v");
    assert_eq!(kv(json!({"operation": "RETRIEVE", "key": null})).await["value"][0]["key"], "k");
    kv(json!({"operation": "DELETE", "key": "k"})).await;
    let gone = json!({"operation": "RETRIEVE", "key": "k"});
    server.refused(404, Method::POST, "/useragent-kv", Some(gone)).await;
}

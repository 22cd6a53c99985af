//! Three members, two api processes, sixteen clients that write: the leader is killed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::server::{self, Api, free_port};

const CLIENTS: usize = 16;
/// Before and after the kill.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(15);

/// An acknowledged network: when it was asked for and acknowledged, its uuid.
type Written = (Instant, Instant, String);

async fn write(urls: Vec<String>, client: usize, end: Instant, out: Arc<Mutex<Vec<Written>>>) -> usize {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
    let (mut errors, mut index) = (0, 0);
    while Instant::now() < end {
        index += 1;
        let name = json!(["default-domain", "default-project", format!("c{client}-{index}")]);
        let body = json!({"virtual-network": {"fq_name": name, "parent_type": "project"}});
        let begin = Instant::now();
        let url = format!("{}/virtual-networks", urls[client % urls.len()]);
        let request = http.post(url).header("content-type", "application/json").body(body.to_string());
        match request.send().await {
            Ok(response) if response.status() == 200 => {
                let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
                let uuid = body["virtual-network"]["uuid"].as_str().unwrap().to_owned();
                out.lock().unwrap().push((begin, Instant::now(), uuid));
            }
            Ok(response) => {
                eprintln!("{} {}", response.status(), response.text().await.unwrap());
                errors += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    errors
}

/// Longest time between two acknowledgements of anybody.
fn longest_silence(written: &[Written]) -> Duration {
    let mut times: Vec<Instant> = written.iter().map(|(_, at, _)| *at).collect();
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes half a minute; prints figures: cargo test -p weft-api --test history -- --ignored --nocapture"]
async fn leader_killed_under_sixteen_writers() {
    let mut cluster = tokio::task::spawn_blocking(|| Cluster::start(3)).await.unwrap();
    let location = cluster.location("failover");
    let apis = [Api::start(&location, free_port()), Api::start(&location, free_port())];
    for api in &apis {
        api.wait().await;
    }
    let urls: Vec<String> = apis.iter().map(Api::url).collect();
    let written = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(write(urls.clone(), client, start + BEFORE + AFTER, Arc::clone(&written))))
        .collect();
    tokio::time::sleep(BEFORE).await;
    let leader = tokio::task::block_in_place(|| {
        let leader = cluster.leader().unwrap();
        cluster.kill_member(leader);
        leader
    });
    let killed = Instant::now();
    let mut errors = 0;
    for task in tasks {
        errors += task.await.unwrap();
    }
    let written = std::mem::take(&mut *written.lock().unwrap());
    let http = reqwest::Client::new();
    let (mut ids, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for (index, (_, _, uuid)) in written.iter().enumerate() {
        let fields = "?fields=virtual_network_network_id,weft_route_target_number";
        let url = format!("{}/virtual-network/{uuid}{fields}", urls[index % 2]);
        let response = http.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200, "acknowledged network {uuid} is lost");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let network = &body["virtual-network"];
        let id = network["virtual_network_network_id"].as_u64().unwrap();
        assert!(ids.insert(id), "network id {id} twice");
        let target = network["weft_route_target_number"].as_u64().unwrap();
        assert!(targets.insert(target), "route target {target} twice");
    }
    let slowest = written.iter().map(|(begin, end, _)| *end - *begin).max().unwrap();
    let rate = written.iter().filter(|(_, at, _)| *at < killed).count() as f64 / BEFORE.as_secs_f64();
    let later = written.iter().filter(|(_, at, _)| *at > killed).count();
    println!(
        "leader m{leader} killed under {CLIENTS} writers through 2 api processes: {} networks acknowledged ({rate:.0}/s \
         before, {later} after), none lost, no id twice, {errors} refused; longest time without any acknowledgement \
         {:.2?}, slowest write {slowest:.2?}",
        written.len(),
        longest_silence(&written),
    );
    assert!(later > CLIENTS, "nothing was written after the kill");
    assert!(slowest < Duration::from_secs(20), "writes stalled for {slowest:?}");
    drop(apis);
    server::agrees(&location).await;
}

//! A hundred nodes and ten thousand guests: homeroom asks no more than of three nodes, and reads nothing twice.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use homeroom::{
    backend::proxmox::{Connection, Credentials, Limits, Proxmox, Trust, parse_fingerprint},
    domain::SiteName,
    monitor::{Pace, Seen, Watch, watch_site},
    port::{Clock, Cluster},
    sim::{self, Options, Scenario},
};
use secrecy::SecretString;
use tokio::sync::{Notify, mpsc, watch};

use super::support::{big, lab::Lab};

const NODES: u32 = 100;
const GUESTS: u32 = 10_000;

fn calls(cluster: &sim::Cluster) -> BTreeMap<String, u64> {
    cluster.world(|world| world.tally.calls().clone())
}

/// What was asked since.
fn since(cluster: &sim::Cluster, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut now = calls(cluster);
    for (call, count) in &mut now {
        *count -= before.get(call).copied().unwrap_or(0);
    }
    now.retain(|_, count| *count > 0);
    now
}

/// A clock on which waiting takes no time.
struct Instantly;

#[async_trait::async_trait]
impl Clock for Instantly {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _modelled: Duration) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_monitor_asks_twice_a_tick_whatever_the_size_and_reads_an_unchanged_answer_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("big.toml");
    std::fs::write(&file, big::scenario(NODES, GUESTS)).unwrap();
    let scenario = Scenario::load(&file).unwrap();
    let guests = scenario.guests.len();
    let listen = "127.0.0.1:0".parse().unwrap();
    // Time stands still: the cluster has nothing new to say until it is told to.
    let cluster = sim::start(Options { scenario, speed: 0.0, listen, seed: 3 }).await.unwrap();
    cluster.handle().skip(11_000);
    let (id, secret) = cluster.monitor_token();
    let connection = Connection {
        site: "sim".to_owned(),
        endpoints: vec![cluster.api().to_owned()],
        node_api: Default::default(),
        trust: Trust::Fingerprints(vec![parse_fingerprint(cluster.fingerprint()).unwrap()]),
        credentials: Credentials::Token { id: id.to_owned(), secret: SecretString::from(secret) },
        limits: Limits::default(),
    };
    let client = Arc::new(Proxmox::new(connection, Arc::new(Instantly)).unwrap());
    // One look without the monitor, which also learns the version.
    assert_eq!(client.view().await.unwrap().guests.len(), guests);

    let before = calls(&cluster);
    let (tell, mut seen) = mpsc::channel(1);
    let (_busy, busy) = watch::channel(false);
    let pace = Pace { idle: Duration::from_secs(10), busy: Duration::from_secs(2) };
    let task = watch_site(Watch {
        site: SiteName::new("sim").unwrap(),
        cluster: Arc::clone(&client) as Arc<dyn Cluster>,
        clock: Arc::new(Instantly),
        pace,
        busy,
        now: Arc::new(Notify::new()),
        tell,
    });
    for _ in 0..3 {
        let Some(Seen::View { view, .. }) = seen.recv().await else { panic!("the site answers") };
        assert_eq!((view.guests.len(), view.nodes.len()), (guests, NODES as usize + 3));
    }
    drop(seen);
    task.await.unwrap();
    let asked = since(&cluster, &before);
    let ticks = asked["GET /cluster/resources"];
    assert_eq!(asked, BTreeMap::from(["resources", "status"].map(|of| (format!("GET /cluster/{of}"), ticks))));
    assert_eq!(client.listings_read(), 1, "nothing had changed");

    cluster.handle().skip(11_000);
    client.view().await.unwrap();
    assert_eq!(client.listings_read(), 2, "the statistics had");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_on_the_command_line_ask_as_much_of_a_hundred_nodes_as_of_three() {
    let (small, large) = (Lab::at(1.0).await, Lab::on(Some(&big::scenario(NODES, GUESTS)), 1.0).await);
    for command in ["nodes", "machines", "status"] {
        let mut asked = Vec::new();
        for lab in [&small, &large] {
            let before = calls(&lab.cluster);
            let ran = lab.run(&[command, "--json"]).await;
            assert!(ran.code == 0 || command == "status", "{command}: {}", ran.err);
            asked.push(since(&lab.cluster, &before));
        }
        let [few, many] = [0, 1].map(|of| asked[of].values().sum::<u64>());
        assert!(many <= few.max(3), "{command}: {asked:#?}");
    }
}

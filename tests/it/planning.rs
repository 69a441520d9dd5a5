//! Plans made from what the client really reads of the simulated cluster's default world.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    backend::proxmox::{Connection, Credentials, Limits, Proxmox, Trust, parse_fingerprint},
    config::definition::parse,
    domain::{
        Definition, Plan, Progress,
        cluster::{ClusterView, TemplateView},
        plan::Verb,
        planning::{PlanInput, Problem, SiteRules, plan_deploy, templates_to_read},
    },
    port::{Clock, Cluster},
    sim::{self, Options, Scenario},
};
use secrecy::SecretString;

struct WallClock;

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, modelled: Duration) {
        tokio::time::sleep(modelled).await;
    }
}

/// Plans a class, given as TOML, against the default world.
async fn plan(toml: &str) -> Result<Plan, Vec<Problem>> {
    let scenario = Scenario::default_world().unwrap();
    let options = Options { scenario, speed: 100.0, listen: "127.0.0.1:0".parse().unwrap(), seed: 7 };
    let cluster = sim::start(options).await.unwrap();
    let (id, secret) = cluster.token();
    let connection = Connection {
        site: "sim".to_owned(),
        endpoints: cluster.nodes().iter().map(|node| node.api.clone()).collect(),
        node_api: Default::default(),
        trust: Trust::Fingerprints(vec![parse_fingerprint(cluster.fingerprint()).unwrap()]),
        credentials: Credentials::Token { id: id.to_owned(), secret: SecretString::from(secret) },
        limits: Limits::default(),
    };
    let client = Proxmox::new(connection, Arc::new(WallClock)).unwrap();
    let view: ClusterView = client.view().await.unwrap();
    let definition = parse(toml, "class.toml", std::path::Path::new("/"), None).unwrap();
    let Definition::Class(class) = definition else { panic!("not a class") };
    let mut templates: Vec<TemplateView> = Vec::new();
    for (node, vmid) in templates_to_read(&class.template, &view) {
        templates.push(client.template(&node, vmid).await.unwrap());
    }
    let site = SiteRules {
        vmids: "9100-9999".parse().unwrap(),
        max_seats: 50,
        memory_overcommit: 1.0,
        proof_max_age: Duration::from_secs(43_200),
    };
    plan_deploy(&PlanInput {
        class: &class,
        view: &view,
        templates: &templates,
        progress: &Progress::new(class.name.clone()),
        observed: &BTreeMap::new(),
        applied: &BTreeMap::new(),
        reserved: &BTreeSet::new(),
        unseen: &BTreeSet::new(),
        silent: &[],
        commitments: &[],
        site: &site,
        now: view.at,
        paces: &Default::default(),
        lab_key: None,
        other_keys: &[],
        fix_drift: false,
        shown: None,
        rebuild: homeroom::domain::planning::Rebuild::default(),
    })
}

fn class(name: &str, template: &str, rest: &str) -> String {
    format!("kind = \"class\"\nname = \"{name}\"\nsite = \"sim\"\ntemplate = \"{template}\"\n{rest}\n")
}

#[tokio::test]
async fn a_class_on_the_default_world_is_linked_on_fast_and_spread_over_its_nodes() {
    let plan = plan(&class("history", "ubuntu-22.04", "count = 10\nteacher = true")).await.unwrap();
    assert_eq!(plan.count(Verb::Create), 11);
    for seat in &plan.seats {
        let source = seat.source.as_ref().unwrap();
        assert!(source.linked && source.storage_shared && source.limit_storage == "fast", "{source:?}");
        assert!(seat.why.starts_with(&format!("{} scores ", seat.node)), "{}", seat.why);
    }
    let nodes: BTreeSet<_> = plan.seats.iter().map(|seat| seat.node.as_str()).collect();
    assert_eq!(nodes.len(), 3, "eleven machines on three idle nodes leave none empty");
    let ids: BTreeSet<u32> = plan.seats.iter().map(|seat| seat.vmid.unwrap().get()).collect();
    assert_eq!((ids.len(), ids.last().unwrap() - ids.first().unwrap()), (11, 10), "one unbroken block");
    assert!(plan.notes.is_empty(), "{:?}", plan.notes);
}

#[tokio::test]
async fn a_template_on_thick_storage_is_copied_whole_and_the_plan_says_why() {
    let plan = plan(&class("history", "debian-12", "count = 4")).await.unwrap();
    let seat = &plan.seats[0];
    let source = seat.source.as_ref().unwrap();
    assert_eq!((source.linked, source.limit_storage.as_str(), &source.storage), (false, "bulk", &None));
    assert!(seat.why.ends_with("full clone: bulk cannot make linked clones"), "{}", seat.why);
    assert_eq!(plan.room, [("bulk".to_owned(), 4 * source.bytes)]);
}

#[tokio::test]
async fn a_misspelt_template_is_answered_with_what_there_is() {
    let problems = plan(&class("history", "ubuntu-22.4", "count = 4")).await.unwrap_err();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "site sim has no template ubuntu-22.4; did you mean ubuntu-22.04? it has debian-12 (9001), ubuntu-22.04 (9000)"
        ]
    );
}

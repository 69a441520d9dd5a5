//! homeroom on the stage: one simulated site, one store, as many lives as a test wants.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use homeroom::{
    config::definition::parse,
    deploy::Tuning,
    domain::{Definition, LabName, NodeName, SiteName},
    monitor::Pace,
    port::{
        KeyRing, Store,
        shell::{HostKey, ShellTarget},
    },
    service::{EngineSite, GuestVia, Homeroom, Price, Site, SiteRules, site::NodeTable},
    sim::{Scenario, World},
};

use super::{
    agent::Qm,
    cloud::{Cloud, CloudHabit},
    cluster::{Api, Habit},
    engine::{Docker, Hall},
    shell::{Doors, Keys},
    stage::{EPOCH, Stage},
    store::{Disk, Memory},
};

/// The one site.
pub const SITE: &str = "sim";
/// The container engine's site.
pub const HALL: &str = "hall";
/// The class most tests deploy.
pub const LAB: &str = "cs101";

/// What survives a process: the world, the disk, the keys.
pub struct House {
    pub stage: Arc<Stage>,
    pub disk: Arc<Disk>,
    /// A container engine beside the cluster, on the site `hall`.
    pub hall: Arc<Hall>,
    /// A Compute Engine project beside them, on the site `cloud`, where there is one.
    pub cloud: Option<Arc<Cloud>>,
    keys: Arc<Keys>,
    token: String,
    pub habit: Habit,
    pub vmids: &'static str,
    pub tuning: Tuning,
}

impl House {
    pub fn new(scenario: &Scenario, seed: u64, habit: Habit, disk: Arc<Disk>) -> Self {
        let world = World::build(scenario, seed, EPOCH).unwrap();
        let id = scenario.token.clone().unwrap();
        let (user, name) = id.split_once('!').unwrap();
        let secret = world.access.users[user].tokens[name].secret.clone();
        let token = format!("{id}={secret}");
        let (stage, keys) = (Stage::new(world), Arc::default());
        Self {
            stage,
            disk,
            hall: Arc::default(),
            cloud: None,
            keys,
            token,
            habit,
            vmids: "9100-9499",
            tuning: Tuning::default(),
        }
    }

    /// Puts a project beside the cluster.
    pub fn with_cloud(mut self, habit: CloudHabit) -> Self {
        let network = [127, 9, 9];
        self.stage.put_project(homeroom::sim::gce::World::new("lab-1", EPOCH, network));
        self.cloud = Some(Cloud::new(habit));
        self
    }

    /// Writes a definition down, as `apply` does.
    pub fn define(&self, toml: &str) {
        let definition = parse(toml, "class.toml", std::path::Path::new("/"), None).unwrap();
        self.put(&definition);
    }

    pub fn put(&self, definition: &Definition) {
        let store = Memory { stage: self.stage.clone(), disk: self.disk.clone() };
        let at = jiff::Timestamp::from_second(EPOCH).unwrap();
        self.stage.live(None, store.put_definition(definition, at)).unwrap().unwrap();
    }

    /// The public half of a lab's key.
    pub fn lab_key(&self, lab: &LabName) -> String {
        self.keys.key_of(lab).public
    }

    /// A process of homeroom's: everything it is made of, anew.
    pub fn homeroom(&self) -> Arc<Homeroom> {
        let stage = self.stage.clone();
        let api = Arc::new(Api {
            stage: stage.clone(),
            token: self.token.clone(),
            habit: self.habit,
            asked: Default::default(),
        });
        let nowhere = ShellTarget {
            host: String::new(),
            port: 22,
            user: "root".to_owned(),
            keys: Vec::new(),
            ask_agent: false,
            host_key: HostKey::Known,
            via: None,
        };
        let site = Site {
            name: site(),
            rules: SiteRules {
                environment: "dev".to_owned(),
                vmids: self.vmids.parse().unwrap(),
                max_seats: 50,
                memory_overcommit: 1.0,
                user: "root".to_owned(),
                key: None,
                port: 22,
                guest_via: GuestVia::Direct,
            },
            cluster: api.clone(),
            inspect: api.clone(),
            agent_by_api: api,
            agent_by_node: Arc::new(Qm { stage: stage.clone() }),
            mend: Arc::new(Qm { stage: stage.clone() }),
            shell: Arc::new(Doors { stage: stage.clone(), keys: self.keys.clone() }),
            nodes: Arc::new(NodeTable::new(BTreeMap::<NodeName, _>::new(), nowhere)),
        };
        let engine = EngineSite {
            clock: None,
            login: None,
            name: SiteName::new(HALL).unwrap(),
            environment: "dev".to_owned(),
            max_seats: 50,
            address: None,
            price: Price { per_hour: 0.5, currency: "EUR".to_owned() },
            containers: Arc::new(Docker { stage: stage.clone(), hall: self.hall.clone() }),
        };
        Arc::new(Homeroom {
            store: Arc::new(Memory { stage: stage.clone(), disk: self.disk.clone() }),
            sites: BTreeMap::from([(site.name.clone(), Arc::new(site))]),
            engines: BTreeMap::from([(engine.name.clone(), Arc::new(engine))]),
            clouds: self
                .cloud
                .iter()
                .map(|cloud| cloud.site(&stage, &self.keys))
                .map(|it| (it.name.clone(), Arc::new(it)))
                .collect(),
            clock: stage,
            keys: self.keys.clone(),
            tuning: self.tuning.clone(),
            pace: Pace { idle: Duration::from_secs(10), busy: Duration::from_secs(2) },
            proof_max_age: Duration::from_secs(12 * 3600),
            owner: "mara@stage".to_owned(),
        })
    }
}

pub fn site() -> SiteName {
    SiteName::new(SITE).unwrap()
}

/// The lab most tests are about.
pub fn lab() -> LabName {
    LabName::new(LAB).unwrap()
}

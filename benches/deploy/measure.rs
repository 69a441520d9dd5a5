//! Clusters to deploy on, and a deploy on each measured in modelled time.

use std::time::Duration;

use homeroom::{
    domain::{Definition, LabName, class::ClassDefinition, event::RunState},
    service::deploy::{Outcome, Request, deploy},
    sim::{Scenario, scenario::GuestSpec},
};

use crate::hand::{Calls, Disk, Habit, House};

/// A cluster and a way of cloning on it.
pub struct Case {
    pub name: &'static str,
    pub template: &'static str,
    pub clone: &'static str,
    /// The storage the clones are written to.
    pub storage: &'static str,
    /// A template on every node.
    pub local: bool,
    /// Nodes of the cluster.
    pub nodes: u32,
}

/// What `cargo bench --bench deploy` prints, and a test holds to its bounds.
pub const CASES: [Case; 5] = [
    Case { name: "linked, shared", template: "ubuntu-22.04", clone: "linked", storage: "fast", local: false, nodes: 3 },
    Case { name: "full, shared", template: "debian-12", clone: "full", storage: "bulk", local: false, nodes: 3 },
    Case { name: "linked, local", template: "here", clone: "linked", storage: "local", local: true, nodes: 3 },
    Case { name: "full, local", template: "here", clone: "full", storage: "local", local: true, nodes: 3 },
    Case {
        name: "linked, 12 nodes",
        template: "ubuntu-22.04",
        clone: "linked",
        storage: "fast",
        local: false,
        nodes: 12,
    },
];

/// One class has at most so many seats: more machines are more classes, deployed at once.
const MOST: u32 = 50;

/// What a deploy came to.
pub struct Measured {
    /// Modelled seconds from the request to the end of the last run.
    pub seconds: f64,
    pub calls: Calls,
    /// What was left behind, for a look at where the time went.
    pub house: House,
}

impl Case {
    /// The cluster, with nothing on it but templates.
    pub fn scenario(&self) -> Scenario {
        let mut scenario = Scenario::default_world().unwrap();
        scenario.guests.retain(|guest| guest.template);
        let pattern = scenario.nodes.first().unwrap().clone();
        for at in scenario.nodes.len() as u32..self.nodes {
            let (name, ip) = (format!("pve{}", at + 1), Some(format!("192.0.2.{}", 11 + at)));
            scenario.nodes.push(homeroom::sim::scenario::NodeSpec { name, ip, ..pattern.clone() });
        }
        // Two hundred machines of 2 GiB fit.
        scenario.nodes.iter_mut().for_each(|node| node.memory_gib = 256);
        if self.local {
            let pattern = scenario.guests.first().unwrap().clone();
            for (at, node) in scenario.nodes.iter().enumerate() {
                scenario.guests.push(GuestSpec {
                    vmid: 9010 + at as u32,
                    name: self.template.to_owned(),
                    node: node.name.clone(),
                    storage: Some("local".to_owned()),
                    ..pattern.clone()
                });
            }
        }
        scenario
    }

    fn class(&self, name: &str, seats: u32) -> ClassDefinition {
        let toml = format!(
            "kind = \"class\"\nname = \"{name}\"\nsite = \"sim\"\ntemplate = \"{}\"\nclone = \"{}\"\ncount = {seats}\n\
             teacher = false\n[cloud_init]\nuser = \"student\"\n",
            self.template, self.clone
        );
        let parsed = homeroom::config::definition::parse(&toml, "bench", std::path::Path::new("/"), None).unwrap();
        let Definition::Class(class) = parsed else { panic!("no class") };
        class
    }

    /// Deploys so many machines on a cluster that has never seen a deploy, with settling or without.
    pub fn measure(&self, scenario: &Scenario, machines: u32, settle: bool) -> Measured {
        let house = House::new(scenario, 7, Habit::Good, Disk::new(false));
        let mut labs = Vec::new();
        let mut left = machines;
        while left > 0 {
            let name = format!("c{}", labs.len());
            let mut class = self.class(&name, left.min(MOST));
            if !settle {
                class.rollcall.settle = Duration::ZERO;
            }
            // Classes deployed at once take their numbers from ranges of their own.
            let first = 9100 + 60 * labs.len();
            class.placement.vmids = format!("{first}-{}", first + 59).parse().ok();
            house.put(&Definition::Class(class));
            labs.push(LabName::new(name).unwrap());
            left -= left.min(MOST);
        }
        let home = house.homeroom();
        let began = house.stage.now_ms();
        let ends = house.stage.live(None, async {
            let mut runs = Vec::new();
            for lab in &labs {
                match deploy(&home, lab, &Request::default()).await.unwrap() {
                    Outcome::Begun(handle) => runs.push(handle.ended),
                    Outcome::NothingToDo(_) => panic!("nothing to do"),
                }
            }
            let mut ends = Vec::new();
            for run in runs {
                ends.push(run.await.unwrap().unwrap());
            }
            ends
        });
        let ends = ends.unwrap();
        assert!(ends.iter().all(|end| *end == RunState::Done), "{} of {machines}: {ends:?}", self.name);
        let seconds = (house.stage.now_ms() - began) as f64 / 1000.0;
        Measured { seconds, calls: house.stage.calls(), house }
    }
}

//! A small class on a cluster that serves many lives of the program, and the promises each life is held to.

use homeroom::domain::LabName;
use tokio::process::Child;

use crate::support::{
    lab::{Lab, Ran},
    seen,
};

/// How many times faster than real these clusters run.
const SPEED: f64 = 100.0;
/// The class.
pub const CLASS: &str = "duo";
/// Lives that a patient admin gives one wish in calm weather.
const PATIENCE: u32 = 5;

/// A class of one kind or another.
pub struct Kind {
    pub template: &'static str,
    pub seats: &'static [&'static str],
    pub more: &'static str,
}

pub const KINDS: [Kind; 4] = [
    Kind { template: "ubuntu-22.04", seats: &["ada", "grace"], more: "[cloud_init]\nuser = \"student\"" },
    Kind {
        template: "debian-12",
        seats: &["ada", "grace"],
        more: "clone = \"full\"\n[cloud_init]\nuser = \"student\"\npassword = \"generate\"",
    },
    Kind {
        template: "ubuntu-22.04",
        seats: &["teacher", "ada"],
        more: "[machine]\ndisk = \"12G\"\n[cloud_init]\nuser = \"student\"\nip = \"10.99.0.20-10.99.0.29/16,gw=10.99.0.1\"",
    },
    Kind {
        template: "ubuntu-22.04",
        seats: &["ada"],
        more: "[cloud_init]\nuser = \"student\"\n[rollout]\norder = \"sequential\"",
    },
];

/// A cluster and a class on it.
pub struct Ground {
    pub lab: Lab,
    pub kind: &'static Kind,
}

impl Ground {
    pub async fn of(kind: &'static Kind) -> Self {
        let mut lab = Lab::at(SPEED).await;
        // What stands there already is off, so that a node that goes changes nothing of it.
        lab.cluster.world(|world| {
            for node in ["pve1", "pve2", "pve3"] {
                world.set_node_online(node, false);
                world.set_node_online(node, true);
            }
        });
        lab.before = seen::guests(&lab.cluster);
        let students: Vec<_> =
            kind.seats.iter().filter(|seat| **seat != "teacher").map(|seat| format!("{seat:?}")).collect();
        lab.apply(&format!(
            "kind = \"class\"\nname = \"{CLASS}\"\nsite = \"sim\"\ntemplate = \"{}\"\nstudents = [{}]\nteacher = {}\n{}\n\
             [rollcall]\naddress_within = \"120s\"\n",
            kind.template,
            students.join(", "),
            kind.seats.contains(&"teacher"),
            kind.more
        ))
        .await;
        Self { lab, kind }
    }

    /// Requests the cluster has had so far.
    pub fn asked(&self) -> u64 {
        self.lab.cluster.world(|world| world.tally.all())
    }

    /// Lines in the class's journal so far.
    pub async fn written(&self) -> u64 {
        self.lab.journal(CLASS).await.len() as u64
    }

    /// Begins a life that is to end early.
    pub fn begin(&self, words: &[&str]) -> Child {
        self.lab.spawn(words)
    }

    /// Asks until it is done, as a patient admin would; everything that was said.
    pub async fn settle(&self, verb: &str) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..PATIENCE {
            let ran = self.lab.run(&[verb, CLASS, "--yes", "--json"]).await;
            let Ran { code, out, err } = &ran;
            said.extend(out.lines().chain(err.lines()).map(str::to_owned));
            if *code == 0 {
                return said;
            }
            assert_eq!(*code, 3, "{verb}: {ran:#?}");
        }
        panic!("{verb} is not done after {PATIENCE} lives:\n{}", told(&said).join("\n"));
    }

    /// One proven machine per seat, and nothing else.
    pub async fn stands(&self) {
        self.stands_but_for(&[]).await;
    }

    /// The same, but for disks of which it was told that they could not be removed.
    pub async fn stands_but_for(&self, told: &[String]) {
        self.lab.holds_but_for(CLASS, self.kind.seats, told);
        let lab = LabName::new(CLASS).unwrap();
        let (progress, _) = self.lab.home.store.progress(&lab).await.unwrap();
        for seat in self.kind.seats {
            let row = progress.seats.iter().find(|row| row.seat.as_str() == *seat);
            let state = row.map(|row| row.state.as_str());
            assert_eq!(state, Some("ready"), "{seat}: {row:#?}");
        }
    }

    /// All is gone.
    pub fn is_empty(&self) {
        self.is_empty_but_for(&[]);
    }

    /// The same, but for disks of which it was told that they could not be removed.
    pub fn is_empty_but_for(&self, told: &[String]) {
        assert_eq!(self.lab.made(), []);
        self.lab.is_tidy_but_for(told);
    }
}

/// Warnings and errors among lines of JSON.
pub fn told(said: &[String]) -> Vec<String> {
    let loud = |line: &&String| !line.starts_with('{') || line.contains("\"warning\"") || line.contains("\"error\"");
    said.iter().filter(loud).cloned().collect()
}

/// Nobody had to be told a command to run on a node: where node SSH is open, homeroom clears up by itself.
pub fn needed_no_hands(said: &[String]) {
    let advice: Vec<_> = said.iter().filter(|line| line.contains("qm unlock")).collect();
    assert!(advice.is_empty(), "{advice:#?}");
}

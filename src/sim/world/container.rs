//! LXC containers: they stand beside the virtual machines, run or not, and are entered through their node.

use std::collections::BTreeMap;

use super::{Ms, World, fault::digest};
use crate::sim::{
    guest::{self, Inside, Missing, Output, Session},
    scenario::ContainerSpec,
};

/// A container of the cluster.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its number, of the same row of numbers as the machines'.
    pub vmid: u32,
    /// The node it lies on.
    pub node: String,
    /// The configuration as in the file, without a digest.
    pub config: BTreeMap<String, String>,
    /// When it was started, if it runs.
    pub since: Option<Ms>,
    /// What lives on its disk.
    pub inside: Inside,
}

impl Container {
    /// As a scenario describes it; one that runs was started long ago.
    pub(super) fn new(spec: &ContainerSpec, seed: u64) -> Self {
        let vmid = spec.vmid.to_string();
        let made = |what: &str| digest(seed, &[what, &vmid, "container"]);
        let mut inside = Inside::new(&spec.image, made("machine-id"), made("host-key"));
        inside.hostname.clone_from(&spec.name);
        (inside.cores, inside.memory) = (spec.cores, spec.memory_mib << 20);
        let mut config = spec.config.clone();
        let mut set = |key: &str, value: String| {
            config.entry(key.to_owned()).or_insert(value);
        };
        set("hostname", spec.name.clone());
        set("arch", "amd64".into());
        set("ostype", inside.system().id.into());
        set("cores", spec.cores.to_string());
        set("memory", spec.memory_mib.to_string());
        set("swap", "512".into());
        set("rootfs", format!("local:{vmid}/vm-{vmid}-disk-0.raw,size=8G"));
        set("unprivileged", "1".into());
        let (node, since) = (spec.node.clone(), spec.running.then_some(0));
        Self { vmid: spec.vmid, node, config, since, inside }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.config.get("hostname").map_or("", String::as_str)
    }

    /// Does it run?
    pub fn runs(&self) -> bool {
        self.since.is_some()
    }

    /// A number of its configuration.
    pub fn number(&self, key: &str) -> u64 {
        self.config.get(key).and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

impl World {
    /// The container of this number on this node.
    pub fn container(&self, node: &str, vmid: u32) -> Option<&Container> {
        self.containers.get(&vmid).filter(|container| container.node == node)
    }

    /// Is the number taken, by a machine or a container?
    pub fn taken(&self, vmid: u32) -> bool {
        self.guests.contains_key(&vmid) || self.containers.contains_key(&vmid)
    }

    /// Runs a line in a container that runs; `None` in one that does not.
    pub fn container_line(&mut self, vmid: u32, session: &mut Session, line: &str, stdin: &[u8]) -> Option<Output> {
        let (now, unix) = (self.now(), self.unix());
        let container = self.containers.get_mut(&vmid)?;
        let since = container.since?;
        (session.unix, session.uptime) = (unix, now.saturating_sub(since));
        Some(guest::line(&mut container.inside, session, line, stdin))
    }

    /// The same for a program and its words, without a shell.
    pub fn container_exec(
        &mut self,
        vmid: u32,
        session: &mut Session,
        words: &[String],
        stdin: &[u8],
    ) -> Option<Result<Output, Missing>> {
        let (now, unix) = (self.now(), self.unix());
        let container = self.containers.get_mut(&vmid)?;
        let since = container.since?;
        (session.unix, session.uptime) = (unix, now.saturating_sub(since));
        Some(guest::exec(&mut container.inside, session, words, stdin))
    }
}

//! A small site for tests: three nodes, a shared and a local storage, one template, a class of three.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{Applied, GuestFacts, PlanInput, Removal, SiteRules};
use crate::domain::{
    Clean, MachineState, NodeName, Plan, Progress, Role, RunId, SeatName, StepName, StepState, StoreId, Vmid,
    class::{ClassDefinition, CloneMode, CloudInit, MachineSpec, Placement, RollCall, Rollout, Students, TemplateRef},
    cluster::{ClusterView, DiskView, GuestView, NodeView, Power, StorageView, TemplateView},
    lent::Lent,
    machine::machine_name,
    mark::{Mark, Ownership},
    placement::Want,
    plan::SeatPlan,
    progress::{SeatProgress, StepProgress},
};

pub fn node(name: &str) -> NodeView {
    NodeView {
        node: NodeName::new(name),
        online: true,
        cpu: 0.0,
        cpus: 8,
        memory_used: 0,
        memory: 64 << 30,
        uptime: 1_000_000,
    }
}

pub fn storage(name: &str, node: &str, shared: bool) -> StorageView {
    StorageView {
        storage: Clean::new(name),
        node: NodeName::new(node),
        available: true,
        shared,
        kind: "dir".into(),
        images: true,
        used: 0,
        total: 1 << 40,
    }
}

pub fn view(nodes: Vec<NodeView>) -> ClusterView {
    ClusterView {
        at: now(),
        version: "9.2.11".into(),
        quorate: Some(true),
        nodes,
        storages: Vec::new(),
        guests: Vec::new().into(),
    }
}

/// A running VM.
pub fn guest(vmid: u64, node: &str) -> GuestView {
    GuestView {
        vmid: Vmid::new(vmid).unwrap(),
        node: NodeName::new(node),
        name: Some(format!("vm-{vmid}").into()),
        power: Power::Running,
        template: false,
        lock: None,
        tags: Vec::new(),
        pool: None,
        uptime: 10_000,
        cpus: 2,
        cpu: 0.0,
        memory_used: 1 << 30,
        memory: 4 << 30,
        disk: 0,
        container: false,
    }
}

pub fn template(vmid: u64, node: &str, storage: &str) -> TemplateView {
    TemplateView {
        vmid: Vmid::new(vmid).unwrap(),
        node: NodeName::new(node),
        name: "ubuntu-22.04".into(),
        cores: 2,
        sockets: 1,
        memory_mib: 2048,
        disks: vec![DiskView {
            slot: "scsi0".into(),
            storage: Clean::new(storage),
            format: Some("qcow2".into()),
            size: 8 << 30,
        }],
        agent: true,
        cloud_init: true,
        linked: true,
        enrolled: None,
    }
}

pub fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// Everything a plan is made from, owned.
pub struct World {
    pub class: ClassDefinition,
    pub view: ClusterView,
    pub templates: Vec<TemplateView>,
    pub progress: Progress,
    pub observed: BTreeMap<Vmid, GuestFacts>,
    /// Beside the lab's own, while it is renewed.
    pub other_keys: Vec<String>,
    pub applied: BTreeMap<SeatName, Applied>,
    pub reserved: BTreeSet<Vmid>,
    pub unseen: BTreeSet<Vmid>,
    pub silent: Vec<GuestView>,
    pub commitments: Vec<(NodeName, Want)>,
    pub site: SiteRules,
    pub fix_drift: bool,
    pub paces: crate::domain::paces::Paces,
}

impl World {
    /// `teacher`, `ada` and `grace` on three nodes, nothing deployed.
    pub fn new() -> Self {
        let mut view = view(vec![node("pve1"), node("pve2"), node("pve3")]);
        for host in ["pve1", "pve2", "pve3"] {
            view.storages.push(storage("fast", host, true));
            view.storages.push(storage("local", host, false));
        }
        let class = ClassDefinition {
            name: "cs101".parse().unwrap(),
            site: "campus".parse().unwrap(),
            template: TemplateRef::Name("ubuntu-22.04".into()),
            clone: CloneMode::Auto,
            students: Students::Named(["ada", "grace"].map(|s| s.parse().unwrap()).to_vec()),
            teacher: true,
            pool: None,
            machine: MachineSpec::default(),
            cloud_init: CloudInit::default(),
            machines: BTreeMap::new(),
            placement: Placement::default(),
            rollout: Rollout::default(),
            rollcall: RollCall::default(),
        };
        let mut world = Self {
            progress: Progress::new(class.name.clone()),
            class,
            view,
            templates: Vec::new(),
            observed: BTreeMap::new(),
            other_keys: Vec::new(),
            applied: BTreeMap::new(),
            reserved: BTreeSet::new(),
            unseen: BTreeSet::new(),
            silent: Vec::new(),
            commitments: Vec::new(),
            site: SiteRules {
                vmids: "9100-9999".parse().unwrap(),
                max_seats: 50,
                memory_overcommit: 1.0,
                proof_max_age: Duration::from_secs(12 * 3600),
            },
            fix_drift: false,
            paces: Default::default(),
        };
        world.add_template(template(9000, "pve1", "fast"));
        world
    }

    pub fn add_template(&mut self, template: TemplateView) {
        let mut row = guest(u64::from(template.vmid.get()), template.node.as_str());
        row.name = Some(template.name.clone());
        row.template = true;
        row.power = Power::Stopped;
        self.view.guests.push(row);
        self.templates.push(template);
    }

    pub fn with<T>(&self, f: impl FnOnce(&PlanInput<'_>) -> T) -> T {
        f(&PlanInput {
            class: &self.class,
            view: &self.view,
            templates: &self.templates,
            progress: &self.progress,
            observed: &self.observed,
            applied: &self.applied,
            reserved: &self.reserved,
            unseen: &self.unseen,
            silent: &self.silent,
            commitments: &self.commitments,
            site: &self.site,
            now: now(),
            paces: &self.paces,
            lab_key: Some("ssh-ed25519 AAAAlab homeroom"),
            other_keys: &self.other_keys,
            fix_drift: self.fix_drift,
            shown: None,
            rebuild: super::Rebuild::default(),
        })
    }

    pub fn deploy(&self) -> Plan {
        self.with(super::plan_deploy).unwrap()
    }

    /// The problems of a deploy, a line each.
    pub fn refusal(&self) -> Vec<String> {
        self.with(super::plan_deploy).unwrap_err().iter().map(ToString::to_string).collect()
    }

    /// The whole class stands, ready, proven an hour ago, as `deploy` would have made it.
    pub fn stand(&mut self) {
        let plan = self.deploy();
        for seat in &plan.seats {
            let vmid = seat.vmid.unwrap().get();
            self.stand_seat(seat.seat.as_str(), vmid.into(), seat.node.as_str());
        }
        self.applied = super::applied(&self.progress, &self.observed, &[(RunId(1), plan)].into());
    }

    /// What the journal and the marks say of the machines, where these were the plans of runs 1, 2 …
    pub fn journal(&mut self, plans: &[&Plan]) {
        let plans = (1..).map(RunId).zip(plans.iter().map(|plan| (*plan).clone())).collect();
        self.applied = super::applied(&self.progress, &self.observed, &plans);
    }

    pub fn stand_seat(&mut self, seat: &str, vmid: u64, node: &str) {
        let seat: SeatName = seat.parse().unwrap();
        let name = machine_name(&self.class.name, &seat);
        let mut row = guest(vmid, node);
        row.name = Some(name.as_str().into());
        row.tags = vec!["homeroom".into()];
        let id = row.vmid;
        self.view.guests.retain(|g| g.vmid != id);
        self.view.guests.push(row);
        let mark = Mark { store: store(), lab: self.class.name.clone(), seat: seat.clone(), run: RunId(1), vmid: id };
        let mut config: BTreeMap<String, String> = [
            ("agent", "1"),
            ("boot", "order=scsi0"),
            ("cores", "2"),
            ("description", mark.text().as_str()),
            ("ide2", "fast:vm-cloudinit,media=cdrom"),
            ("memory", "2048"),
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
            ("scsi0", "fast:vm-disk-0,size=8G"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        let lent = Lent::of(&config);
        let spec = self.class.resolve().into_iter().find(|spec| spec.seat == seat);
        if let Some(spec) = spec {
            let key = Some("ssh-ed25519 AAAAlab homeroom");
            let wanted = crate::domain::verify::Wanted {
                spec: &spec,
                name: &name,
                lab_key: key,
                mark: None,
                agent: true,
                lent: None,
            };
            config.extend(crate::domain::verify::config_wanted(&wanted, &config.clone()));
        }
        let facts =
            GuestFacts { node: NodeName::new(node), config, ownership: Ownership::Ours(mark), removal: Removal::None };
        self.observed.insert(id, facts);
        self.progress.seats.retain(|row| row.seat != seat);
        self.progress.seats.push(SeatProgress { lent, ..ready_row(&self.class, seat, id, node) });
    }

    pub fn row(&mut self, seat: &str) -> &mut SeatProgress {
        self.progress.seats.iter_mut().find(|row| row.seat.as_str() == seat).unwrap()
    }

    pub fn vmid(&self, seat: &str) -> Vmid {
        self.progress.seats.iter().find(|row| row.seat.as_str() == seat).unwrap().vmid.unwrap()
    }

    pub fn guest_of(&mut self, seat: &str) -> &mut GuestView {
        let vmid = self.vmid(seat);
        self.view.guests.iter_mut().find(|g| g.vmid == vmid).unwrap()
    }

    pub fn facts_of(&mut self, seat: &str) -> &mut GuestFacts {
        let vmid = self.vmid(seat);
        self.observed.get_mut(&vmid).unwrap()
    }

    /// The seat's machine vanishes from the site.
    pub fn vanish(&mut self, seat: &str) {
        let vmid = self.vmid(seat);
        self.view.guests.retain(|g| g.vmid != vmid);
        self.observed.remove(&vmid);
    }

    pub fn take_offline(&mut self, node: &str) {
        self.view.nodes.iter_mut().find(|n| n.node.as_str() == node).unwrap().online = false;
        for guest in self.view.guests.iter_mut().filter(|g| g.node.as_str() == node) {
            guest.power = Power::Unknown;
        }
        self.observed.retain(|_, facts| facts.node.as_str() != node);
    }
}

/// The same plan with its seats changed.
pub fn plan_of(plan: &Plan, change: impl FnMut(&mut SeatPlan)) -> Plan {
    let mut plan = plan.clone();
    plan.seats.iter_mut().for_each(change);
    plan
}

pub fn store() -> StoreId {
    StoreId::from_bytes([7; 8])
}

fn ready_row(class: &ClassDefinition, seat: SeatName, vmid: Vmid, node: &str) -> SeatProgress {
    let proven: Timestamp = "2026-03-01T11:00:00Z".parse().unwrap();
    let steps = StepName::CLASS.into_iter().filter(|step| *step != StepName::Resize).map(|step| StepProgress {
        step,
        state: StepState::Ok,
        attempts: 1,
        began_at: Some(proven),
        at: Some(proven),
        took: Some(Duration::from_secs(1)),
        upid: None,
        again: None,
        run: RunId(1),
    });
    let role = if seat.as_str() == "teacher" { Role::Teacher } else { Role::Student };
    let name = machine_name(&class.name, &seat);
    SeatProgress {
        node: Some(NodeName::new(node)),
        vmid: Some(vmid),
        state: MachineState::Ready,
        ip: "10.1.0.20".parse().ok(),
        proven_at: Some(proven),
        brought: Some(RunId(1)),
        pool: class.pool.clone(),
        steps: steps.collect(),
        ..SeatProgress::planned(seat, role, name, class.site.clone(), RunId(1))
    }
}

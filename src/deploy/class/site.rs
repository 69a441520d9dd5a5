//! What the steps of a class reach: the cluster, its guests' agents, their logins.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::{boots::Boots, identities::Identities, signs::Signs};
use crate::{
    deploy::{
        Tuning,
        limits::{LimitKey, Limits, Permit},
        tasks::Tasks,
    },
    domain::{
        LabName, NodeName, SeatName, StoreId, Vmid,
        class::SeatSpec,
        cluster::ClusterView,
        paces::{Paces, Stretches, clone_key},
        plan::CloneSource,
    },
    port::{
        Clock, Cluster, GuestAgent, Mend, RemoteShell, SiteError,
        agent::{AgentError, ExecOutput, Interface},
        shell::ShellTarget,
    },
};

/// How people and proofs log in to the seats of a lab.
pub trait Logins: Send + Sync {
    /// The lab's own public key, one line, given to every seat by cloud-init. While it is renewed, a machine with these
    /// settings keeps the one it has.
    fn public_key(&self, config: &BTreeMap<String, String>) -> &str;
    /// The file of its private half; while it is renewed, of each of those that a machine may let in.
    fn private_keys(&self) -> Vec<PathBuf>;
    /// The seat's password, where the definition asks for one.
    fn password(&self, spec: &SeatSpec) -> Option<SecretString>;
    /// Where to log in to a seat's machine; its host key must be one of `host_keys`. An error says
    /// what is still missing on the way there.
    fn target(&self, spec: &SeatSpec, node: &NodeName, ip: IpAddr, host_keys: &[String])
    -> Result<ShellTarget, String>;
    /// A login worked: this machine may be the way to others.
    fn proven(&self, spec: &SeatSpec, target: &ShellTarget);
}

/// The outside of a class's run, shared by its steps.
pub struct Site {
    pub cluster: Arc<dyn Cluster>,
    pub agent: Arc<dyn GuestAgent>,
    pub shell: Arc<dyn RemoteShell>,
    pub mend: Arc<dyn Mend>,
    pub clock: Arc<dyn Clock>,
    pub logins: Arc<dyn Logins>,
    pub store: StoreId,
    pub lab: LabName,
    pub tuning: Tuning,
    pub tasks: Tasks,
    pub limits: Arc<Limits>,
    look: Mutex<Option<(Duration, Arc<ClusterView>)>>,
    /// VMIDs of the plan's block nobody has taken, for machines whose own was taken by others.
    spares: StdMutex<Vec<Vmid>>,
    pub(super) boots: Boots,
    /// What earlier runs took.
    paces: Paces,
    /// When clones were at work.
    clones: StdMutex<Stretches>,
    pub identities: Identities,
    /// Every answer of an agent counts towards its proof.
    pub(super) signs: Arc<Signs>,
    /// When the lab was last given a new key.
    rekeyed_at: Option<Timestamp>,
    /// When somebody last said that a seat's host key may be another, by seat.
    new_host_keys: HashMap<String, Timestamp>,
}

/// After so much modelled time without an answer to a request that begins a task (Proxmox takes some 50 ms, half a
/// second under load), it is looked whether it was carried out all the same.
pub const OVERDUE: Duration = Duration::from_secs(5);
/// CPUs that one boot keeps busy.
const CPUS_OF_A_BOOT: f64 = 2.0;
/// Boots let through for each spare CPU: enough that none idles while an agent's answer is still awaited, few
/// enough that no guest's own time-outs strike.
const BOOTS_OF_A_CPU: f64 = 2.5;
/// A node is never taken for busier than this: its machines have to start some time.
const MOSTLY_BUSY: f64 = 0.9;

/// What a site is built from.
pub struct SiteParts {
    pub cluster: Arc<dyn Cluster>,
    pub agent: Arc<dyn GuestAgent>,
    pub shell: Arc<dyn RemoteShell>,
    pub mend: Arc<dyn Mend>,
    pub clock: Arc<dyn Clock>,
    pub logins: Arc<dyn Logins>,
    pub store: StoreId,
    pub lab: LabName,
    pub tuning: Tuning,
    pub spares: Vec<Vmid>,
    /// What earlier runs on the site learned about its limits.
    pub learned: HashMap<String, f64>,
}

/// Under which name it is kept when a lab was last given a new key, in seconds since 1970.
pub fn rekeyed(lab: &LabName) -> String {
    format!("rekeyed/{lab}")
}

/// Under which name it is kept when somebody last said that a seat's host key may be another, in seconds since 1970.
pub fn new_host_key(lab: &LabName, seat: &SeatName) -> String {
    format!("host-key/{lab}/{seat}")
}

impl Site {
    pub fn new(parts: SiteParts) -> Self {
        let when = |at: &f64| Timestamp::from_duration(SignedDuration::try_from_secs_f64(*at).ok()?).ok();
        let rekeyed_at = parts.learned.get(&rekeyed(&parts.lab)).and_then(when);
        let of_seat = |name: &str| name.strip_prefix(&format!("host-key/{}/", parts.lab)).map(str::to_owned);
        let new_host_keys = parts.learned.iter().filter_map(|(name, at)| Some((of_seat(name)?, when(at)?))).collect();
        let paces = Paces::of(parts.learned.clone());
        let boots = Boots::new(parts.tuning.first_ask, parts.tuning.agent_poll, paces.clone());
        let limits = Arc::new(Limits::new(parts.tuning.clone(), parts.learned));
        let signs = Arc::new(Signs::default());
        let (clock, noted) = (parts.clock.clone(), signs.clone());
        let agent = Arc::new(Asks { agent: parts.agent, limits: limits.clone(), clock, signs: noted });
        Self {
            tasks: Tasks::new(parts.cluster.clone(), parts.clock.clone(), parts.tuning.clone()),
            cluster: parts.cluster,
            agent,
            shell: parts.shell,
            mend: parts.mend,
            clock: parts.clock,
            logins: parts.logins,
            store: parts.store,
            lab: parts.lab,
            tuning: parts.tuning,
            limits,
            look: Mutex::new(None),
            spares: StdMutex::new(parts.spares),
            boots,
            paces,
            clones: StdMutex::default(),
            identities: Identities::default(),
            signs,
            rekeyed_at,
            new_host_keys,
        }
    }

    /// The cluster as it is now: seats that ask at the same time share one look.
    pub async fn look(&self) -> Result<Arc<ClusterView>, SiteError> {
        let asked = self.clock.monotonic();
        let mut look = self.look.lock().await;
        if let Some((seen_at, view)) = look.as_ref()
            && *seen_at >= asked
        {
            return Ok(view.clone());
        }
        let seen_at = self.clock.monotonic();
        let view = Arc::new(self.cluster.view().await?);
        *look = Some((seen_at, view.clone()));
        Ok(view)
    }

    /// Sizes the nodes' gates for boots by the CPUs they have to spare. Without an answer they keep their first sizes.
    pub async fn size_boots(&self) {
        let Ok(view) = self.look().await else { return };
        for node in view.nodes.iter().filter(|node| node.online && node.cpus > 0) {
            let spare = f64::from(node.cpus) * (1.0 - node.cpu.clamp(0.0, MOSTLY_BUSY));
            self.boots.bears(&node.node, spare / CPUS_OF_A_BOOT);
            if self.tuning.boots_per_node.is_none() {
                self.limits.begin_at(LimitKey::Boots(node.node.clone()), (spare * BOOTS_OF_A_CPU).max(2.0));
            }
        }
    }

    /// A VMID for a machine whose own was taken: free on the cluster now.
    pub async fn spare_vmid(&self) -> Result<Option<Vmid>, SiteError> {
        let view = self.look().await?;
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::iter::from_fn(|| spares.pop()).find(|id| view.guest(*id).is_none()))
    }

    /// Whether a seat's host key may be another than it was then: the lab was given a new key since, or somebody said
    /// so of the seat. What its agent tells is trusted anew.
    pub fn may_have_changed_since(&self, seat: &SeatName, proven: Option<Timestamp>) -> bool {
        let said = [self.rekeyed_at, self.new_host_keys.get(seat.as_str()).copied()];
        said.into_iter().flatten().any(|at| proven.is_none_or(|proven| at > proven))
    }

    /// A clone was at work from then until now.
    pub(super) fn cloned(&self, source: &CloneSource, began: Duration) {
        let mut clones = self.clones.lock().unwrap_or_else(PoisonError::into_inner);
        clones.add(clone_key(source), began, self.clock.monotonic());
    }

    /// What the run has found out, worth keeping for the next.
    pub fn learned(&self) -> Vec<(String, f64)> {
        let mut learned = self.limits.learned();
        learned.extend(self.boots.learned());
        let clones = self.clones.lock().unwrap_or_else(PoisonError::into_inner).each();
        learned.extend(clones.into_iter().map(|(key, new)| {
            let blended = self.paces.blended(&key, new);
            (key, blended)
        }));
        learned
    }
}

/// An agent that is asked only so many questions at once through one node, and whose answers are counted.
struct Asks {
    agent: Arc<dyn GuestAgent>,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    signs: Arc<Signs>,
}

impl Asks {
    async fn turn(&self, node: &NodeName) -> Vec<Permit> {
        self.limits.acquire(&[LimitKey::Asks(node.clone())]).await
    }

    /// Counts an answer, or the lack of one.
    fn noted<T>(&self, vmid: Vmid, answer: Result<T, AgentError>) -> Result<T, AgentError> {
        match &answer {
            Ok(_) => self.signs.heard(vmid, self.clock.monotonic()),
            Err(_) => self.signs.broken(vmid),
        }
        answer
    }
}

#[async_trait]
impl GuestAgent for Asks {
    async fn ping(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError> {
        let _turn = self.turn(node).await;
        let put = self.clock.monotonic();
        let answer = self.noted(vmid, self.agent.ping(node, vmid).await);
        if answer.is_ok() {
            self.signs.took(self.clock.monotonic().saturating_sub(put));
        }
        answer
    }

    async fn interfaces(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<Interface>, AgentError> {
        let _turn = self.turn(node).await;
        self.noted(vmid, self.agent.interfaces(node, vmid).await)
    }

    async fn exec(
        &self,
        node: &NodeName,
        vmid: Vmid,
        command: &[String],
        within: Duration,
    ) -> Result<ExecOutput, AgentError> {
        self.signs.asked(vmid);
        let turn = self.turn(node).await;
        let answer = self.noted(vmid, self.agent.exec(node, vmid, command, within).await);
        drop(turn);
        self.signs.settled(vmid);
        answer
    }
}

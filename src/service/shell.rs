//! Logins on seats' machines.

mod off;
mod serial;

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::sync::OnceCell;

use super::{
    GuestVia, Homeroom, ServiceError, Site,
    exec::barred,
    inside::Inside,
    instance::{Serial, Way},
    logins::LabLogins,
    meet::{Stranger, Untold, told_address},
    own_key::{self, is_not_mistaken},
    run::agent_for,
};
use crate::{
    deploy::class::Logins,
    domain::{
        Clean, LabName, NodeName, Progress, SeatName, SiteName, StoreId, Vmid,
        answers::End,
        class::{ClassDefinition, SeatSpec, Via},
        cluster::ClusterView,
        progress::SeatProgress,
        readiness::OFF,
    },
    port::{
        keys::LabKey,
        shell::{ShellError, ShellSession, ShellTarget, Tty},
    },
};

/// How long the site may take to tell what is only nice to know before a way is gone: wall time.
const LOOK: Duration = Duration::from_secs(4);

/// The ways to the seats of one lab, as far as their roll call has found out.
pub struct Ways {
    pub site: Arc<Site>,
    pub class: ClassDefinition,
    pub specs: Vec<SeatSpec>,
    progress: Progress,
    logins: LabLogins,
    store: StoreId,
    /// The teacher's machine is looked for once, where the way is through it.
    teacher: OnceCell<()>,
    /// What the site shows, asked for once.
    view: OnceCell<ClusterView>,
}

/// Why there is no way to a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWay {
    NoMachine,
    NoNode,
    NoAddress(Clean),
    /// Its machine is off.
    Off,
    /// Its machine is on the site no more.
    Gone(Clean),
    /// Nobody sees its machine, and why.
    Unseen(Clean),
    /// The definition says so.
    NoSsh,
    NoHostKey(Clean),
    /// The node that would tell the way lets nobody ask; a person may be able to do away with it.
    Shut(ShellError),
    Closed(Clean),
}

impl NoWay {
    fn untold(why: Untold, said: fn(Clean) -> Self) -> Self {
        match why {
            Untold::Shut(error) => Self::Shut(error),
            Untold::Said(words) => said(words),
        }
    }

    /// What a seat without a way answers, so that seats with the same trouble fold.
    pub(super) fn end(&self, lab: &LabName) -> End {
        let bar = if let Self::Shut(error) = self { error.bar() } else { None };
        barred(self.folded(lab), bar)
    }

    /// In words that are the same for every seat of a lab with the same trouble.
    pub fn folded(&self, lab: &LabName) -> Clean {
        Clean::new(self.words("it", lab.as_str(), lab))
    }

    fn of(self, lab: &LabName, seat: &SeatName) -> ServiceError {
        if let Self::Shut(error) = self {
            return error.clone().into();
        }
        let name = format!("{lab}/{seat}");
        ServiceError::NotNow(self.words(&name, &name, lab))
    }

    /// `what` is what commands name to mend it.
    fn words(&self, it: &str, what: &str, lab: &LabName) -> String {
        match self {
            Self::NoMachine => format!("{it} has no machine; `homeroom deploy {lab}` makes it"),
            Self::NoNode => format!("{it} is on no known node; `homeroom check {what}` looks for it"),
            Self::NoAddress(why) => {
                format!("{it} has no known address: {why}; `homeroom check {what}` waits for one")
            }
            Self::Off => format!("{it} {OFF}; `homeroom start {what}` starts it"),
            Self::Gone(why) => format!("{it} has lost its machine: {why}; `homeroom deploy {lab}` makes another"),
            Self::Unseen(why) => format!("{it} cannot be reached: {why}"),
            Self::NoSsh => format!(
                "{it} has no SSH, as its definition says (rollcall.ssh = false); `homeroom exec {what} -- COMMAND` asks \
                 its guest agent"
            ),
            Self::NoHostKey(why) => format!(
                "{it} has no host key on record, and its guest agent told none: {why}; `homeroom check {what}` waits \
                 for it"
            ),
            Self::Shut(error) => error.to_string(),
            Self::Closed(why) => format!("{it} cannot be reached: {why}"),
        }
    }
}

impl Ways {
    pub async fn of(home: &Homeroom, lab: &LabName) -> Result<Self, ServiceError> {
        let (_, site) = home.class(lab).await?;
        let (progress, _) = home.store.progress(lab).await?;
        let key = own_key::known(home, lab, &progress).await?;
        is_not_mistaken(lab, &key, &*site.shell)?;
        Self::with(home, lab, progress, Some(key)).await
    }

    /// The same for what asks guest agents and logs in to nobody: a key that is lost stands in nobody's way.
    pub async fn by_agent(home: &Homeroom, lab: &LabName) -> Result<Self, ServiceError> {
        let (progress, _) = home.store.progress(lab).await?;
        Self::with(home, lab, progress, None).await
    }

    async fn with(
        home: &Homeroom,
        lab: &LabName,
        progress: Progress,
        key: Option<LabKey>,
    ) -> Result<Self, ServiceError> {
        let (class, site) = home.class(lab).await?;
        let logins = LabLogins::new(home, &site, lab, key, Vec::new()).await?;
        let (specs, store) = (class.resolve(), home.store.id().clone());
        Ok(Self { site, specs, class, progress, logins, store, teacher: OnceCell::new(), view: OnceCell::new() })
    }

    /// The definition of a seat.
    pub fn spec(&self, seat: &SeatName) -> Result<&SeatSpec, ServiceError> {
        self.specs.iter().find(|spec| &spec.seat == seat).ok_or_else(|| ServiceError::NoSeat {
            lab: self.class.name.clone(),
            seat: seat.clone(),
            known: self.specs.iter().map(|spec| spec.seat.to_string()).collect(),
        })
    }

    /// Those named, each once, or all of them.
    pub fn seats(&self, named: &[SeatName]) -> Result<Vec<SeatName>, ServiceError> {
        if named.is_empty() {
            return Ok(self.specs.iter().map(|spec| spec.seat.clone()).collect());
        }
        let mut seats: Vec<SeatName> = Vec::new();
        for seat in named {
            self.spec(seat)?;
            if !seats.contains(seat) {
                seats.push(seat.clone());
            }
        }
        Ok(seats)
    }

    /// Whether any seat has a machine.
    pub fn has_machines(&self) -> bool {
        self.progress.seats.iter().any(|row| row.vmid.is_some())
    }

    /// The machine of a seat and the node it was last seen on.
    pub fn machine(&self, seat: &SeatName) -> Result<(NodeName, Vmid), NoWay> {
        let row = self.row(seat)?;
        row.node.clone().zip(row.vmid).ok_or(NoWay::NoNode)
    }

    /// Makes sure that a seat's agent can be asked on its node, and that it is this seat's: the machine has to show its
    /// mark before anything is asked of it.
    pub(super) async fn agents_own(&self, seat: &SeatName, (node, vmid): (&NodeName, Vmid)) -> Result<(), Clean> {
        let lab = &self.class.name;
        if self.class.rollcall.via == Via::Ssh {
            self.know(node).await.map_err(|why| why.folded(lab))?;
        }
        let stranger = Stranger { node, vmid, lab, seat };
        stranger.ours(&self.site, &self.store).await.map(drop)
    }

    /// Where to log in to a seat. Of a machine that was not proven yet, its guest agent is asked for what is missing.
    pub async fn target(&self, seat: &SeatName) -> Result<ShellTarget, NoWay> {
        let spec = self.specs.iter().find(|spec| &spec.seat == seat).ok_or(NoWay::NoMachine)?;
        let teacher = SeatName::teacher();
        if self.site.rules.guest_via == GuestVia::Teacher
            && seat != &teacher
            && let Some(spec) = self.specs.iter().find(|spec| spec.seat == teacher)
        {
            let found = async {
                self.logins.proven(spec, &self.login(spec).await?);
                Ok(())
            };
            let of_teacher = |why: NoWay| match why {
                NoWay::Shut(error) => NoWay::Shut(error),
                why => NoWay::Closed(Clean::new(why.words("the teacher's machine", "it", &self.class.name))),
            };
            self.teacher.get_or_try_init(|| found).await.map_err(of_teacher)?;
        }
        self.login(spec).await
    }

    fn row(&self, seat: &SeatName) -> Result<&SeatProgress, NoWay> {
        self.progress.seat(seat).filter(|row| row.vmid.is_some()).ok_or(NoWay::NoMachine)
    }

    async fn login(&self, spec: &SeatSpec) -> Result<ShellTarget, NoWay> {
        let row = self.row(&spec.seat)?;
        if row.host_keys.is_empty() && !self.class.rollcall.ssh {
            return Err(NoWay::NoSsh);
        }
        let (node, vmid) = self.machine(&spec.seat)?;
        let (ip, host_keys) = match row.ip.filter(|_| !row.host_keys.is_empty()) {
            Some(ip) => (ip, row.host_keys.clone()),
            None => self.met(row, &node, vmid).await?,
        };
        if self.site.rules.guest_via == GuestVia::Node {
            self.know(&node).await?;
        }
        self.logins.target(spec, &node, ip, &host_keys).map_err(|why| NoWay::Closed(Clean::new(why)))
    }

    /// Makes sure that it is known where a node is.
    async fn know(&self, node: &NodeName) -> Result<(), NoWay> {
        self.site.know_node(node).await.map_err(|error| NoWay::Closed(Clean::new(error.to_string())))
    }

    /// Address and host keys of a machine that its roll call has not come to yet, as its agent tells them.
    async fn met(&self, row: &SeatProgress, node: &NodeName, vmid: Vmid) -> Result<(IpAddr, Vec<String>), NoWay> {
        let via = self.class.rollcall.via;
        if via == Via::Ssh {
            self.know(node).await?;
        }
        let agent = agent_for(&self.site, via);
        let stranger = Stranger { node, vmid, lab: &self.class.name, seat: &row.seat };
        let config = stranger.ours(&self.site, &self.store).await.map_err(NoWay::Closed)?;
        let ip = match row.ip {
            Some(ip) => ip,
            None => told_address(&*agent, node, vmid, &config)
                .await
                .and_then(|told| told.ok_or_else(|| "its guest agent tells of none".into()))
                .map_err(|why| NoWay::untold(why, NoWay::NoAddress))?,
        };
        if !row.host_keys.is_empty() {
            return Ok((ip, row.host_keys.clone()));
        }
        let keys = stranger.host_keys(&*agent).await.map_err(|why| NoWay::untold(why, NoWay::NoHostKey))?;
        tracing::debug!(lab = %self.class.name, seat = %row.seat, "host keys read through the agent before a login");
        Ok((ip, keys))
    }
}

/// A command without a terminal on a seat's machine, and the address it was logged in to.
pub async fn start(
    home: &Homeroom,
    lab: &LabName,
    seat: &SeatName,
    line: &str,
) -> Result<(String, ShellSession), ServiceError> {
    let ways = Ways::of(home, lab).await?;
    let shell = ways.site.shell.clone();
    ways.enter(seat, async |target| Ok((target.host.clone(), shell.start(&target, line).await?))).await
}

/// Opens a terminal on a seat: by SSH on its machine, by the engine in its container.
pub async fn open(home: &Homeroom, lab: &LabName, seat: &SeatName, tty: &Tty) -> Result<ShellSession, ServiceError> {
    if let Some(inside) = Inside::of(home, lab).await? {
        return inside.open(seat, tty, None).await;
    }
    if let Some(way) = Way::of(home, lab, seat).await? {
        return Ok(way.shell.open_as(&way.target, tty, way.terminal().as_deref()).await?);
    }
    let ways = Ways::of(home, lab).await?;
    let shell = ways.site.shell.clone();
    ways.enter(seat, async |target| shell.open_as(&target, tty, None).await).await
}

/// Opens a terminal on a node of a site, by the login that is configured for it.
pub async fn open_node(
    home: &Homeroom,
    site: &SiteName,
    node: &NodeName,
    tty: &Tty,
) -> Result<ShellSession, ServiceError> {
    let site = home.site(site)?;
    site.know_node(node).await?;
    let target = site.nodes.target(node);
    match site.shell.open_as(&target, tty, None).await {
        Err(ShellError::Denied { host, user, why, locked: None }) => {
            let why = Clean::new(format!(
                "{why}; `ssh = {{ user = …, key = … }}` under [sites.{}] names the login of nodes, \
                 `homeroom doctor` looks it over",
                site.name
            ));
            Err(ShellError::Denied { host, user, why, locked: None }.into())
        }
        opened => Ok(opened?),
    }
}

/// Opens the serial port of a seat's machine in a terminal: through its node, by `qm terminal`. A cloud's can only be
/// watched.
pub async fn console(home: &Homeroom, lab: &LabName, seat: &SeatName, tty: &Tty) -> Result<ShellSession, ServiceError> {
    if let Some(serial) = Serial::of(home, lab, seat).await? {
        return serial.follow(u32::from(tty.size.1)).await;
    }
    let ways = Ways::of(home, lab).await?;
    ways.spec(seat)?;
    let vmid = ways.row(seat).map_err(|why| why.of(lab, seat))?.vmid;
    let vmid = vmid.ok_or_else(|| NoWay::NoMachine.of(lab, seat))?;
    // Where it is now; where it was last seen, if nobody can tell.
    let known = ways.machine(seat);
    let node = match tokio::time::timeout(LOOK, ways.looked_at()).await.ok().flatten().and_then(|view| view.guest(vmid))
    {
        Some(guest) => guest.node.clone(),
        None => known.map_err(|why| why.of(lab, seat))?.0,
    };
    tokio::time::timeout(LOOK, ways.has_serial(seat, &node, vmid)).await.unwrap_or(Ok(()))?;
    ways.site.know_node(&node).await?;
    let target = ways.site.nodes.target(&node);
    Ok(ways.site.shell.open_as(&target, tty, Some(&format!("qm terminal {vmid}"))).await?)
}

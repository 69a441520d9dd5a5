//! Logins on seats' machines.

use std::sync::Arc;

use super::{
    GuestVia, Homeroom, ServiceError, Site,
    inside::Inside,
    instance::{Serial, Way},
    logins::LabLogins,
};
use crate::{
    deploy::class::Logins,
    domain::{
        Clean, LabName, NodeName, Progress, SeatName, SiteName, Vmid,
        class::{ClassDefinition, SeatSpec},
        progress::SeatProgress,
    },
    port::shell::{ShellError, ShellSession, ShellTarget, Tty},
};

/// The ways to the seats of one lab, as far as their roll call has found out.
pub struct Ways {
    pub site: Arc<Site>,
    pub class: ClassDefinition,
    pub specs: Vec<SeatSpec>,
    progress: Progress,
    logins: LabLogins,
}

impl Ways {
    pub async fn of(home: &Homeroom, lab: &LabName) -> Result<Self, ServiceError> {
        let (class, site) = home.class(lab).await?;
        let (progress, _) = home.store.progress(lab).await?;
        if site.rules.guest_via == GuestVia::Node {
            site.know_nodes().await?;
        }
        let logins = LabLogins::new(home, &site, lab, Vec::new()).await?;
        Ok(Self { site, specs: class.resolve(), class, progress, logins })
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
    pub fn machine(&self, seat: &SeatName) -> Result<(NodeName, Vmid), ServiceError> {
        let row = self.row(seat)?;
        let lab = &self.class.name;
        row.node.clone().zip(row.vmid).ok_or_else(|| {
            ServiceError::NotNow(format!(
                "{lab}/{seat} is on no known node; `homeroom check {lab}/{seat}` looks for it"
            ))
        })
    }

    /// Where to log in to a seat.
    pub fn target(&self, seat: &SeatName) -> Result<ShellTarget, ServiceError> {
        let teacher = SeatName::teacher();
        if self.site.rules.guest_via == GuestVia::Teacher
            && seat != &teacher
            && let Ok(spec) = self.spec(&teacher)
        {
            self.logins.proven(spec, &self.login(spec)?);
        }
        self.login(self.spec(seat)?)
    }

    fn row(&self, seat: &SeatName) -> Result<&SeatProgress, ServiceError> {
        let lab = &self.class.name;
        let row = self.progress.seat(seat).filter(|row| row.vmid.is_some());
        row.ok_or_else(|| self.missing(seat, "no machine", &format!("`homeroom deploy {lab}` makes it")))
    }

    fn missing(&self, seat: &SeatName, what: &str, next: &str) -> ServiceError {
        ServiceError::NotNow(format!("{}/{seat} has {what}; {next}", self.class.name))
    }

    fn login(&self, spec: &SeatSpec) -> Result<ShellTarget, ServiceError> {
        let (lab, seat) = (&self.class.name, &spec.seat);
        let row = self.row(seat)?;
        let (Some(ip), Some(node)) = (row.ip, &row.node) else {
            return Err(self.missing(seat, "no known address", &format!("`homeroom check {lab}/{seat}` looks for it")));
        };
        if row.host_keys.is_empty() && !self.class.rollcall.ssh {
            let next = format!("`homeroom exec {lab}/{seat} -- COMMAND` asks its guest agent");
            return Err(self.missing(seat, "no SSH, as its definition says (rollcall.ssh = false)", &next));
        }
        if row.host_keys.is_empty() {
            let next = format!("`homeroom check {lab}/{seat}` reads it through the guest agent");
            return Err(self.missing(seat, "no host key on record", &next));
        }
        self.logins
            .target(spec, node, ip, &row.host_keys)
            .map_err(|why| ServiceError::NotNow(format!("{lab}/{seat} cannot be reached: {why}")))
    }
}

/// Where to log in to one seat.
pub async fn target(home: &Homeroom, lab: &LabName, seat: &SeatName) -> Result<(Arc<Site>, ShellTarget), ServiceError> {
    let ways = Ways::of(home, lab).await?;
    let target = ways.target(seat)?;
    Ok((ways.site, target))
}

/// Opens a terminal on a seat: by SSH on its machine, by the engine in its container.
pub async fn open(home: &Homeroom, lab: &LabName, seat: &SeatName, tty: &Tty) -> Result<ShellSession, ServiceError> {
    if let Some(inside) = Inside::of(home, lab).await? {
        return inside.open(seat, tty, None).await;
    }
    if let Some(way) = Way::of(home, lab, seat).await? {
        return Ok(way.shell.open_as(&way.target, tty, way.terminal().as_deref()).await?);
    }
    let (site, target) = target(home, lab, seat).await?;
    Ok(site.shell.open_as(&target, tty, None).await?)
}

/// Opens a terminal on a node of a site, by the login that is configured for it.
pub async fn open_node(
    home: &Homeroom,
    site: &SiteName,
    node: &NodeName,
    tty: &Tty,
) -> Result<ShellSession, ServiceError> {
    let site = home.site(site)?;
    site.know_nodes().await?;
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
    let vmid = ways.row(seat)?.vmid.ok_or_else(|| ways.missing(seat, "no machine", "deploy makes it"))?;
    ways.site.know_nodes().await?;
    // Where it is now; where it was last seen, if nobody can tell.
    let seen = ways.site.cluster.view().await.ok();
    let now = seen.and_then(|view| view.guests.into_iter().find(|guest| guest.vmid == vmid)).map(|guest| guest.node);
    let node = match now {
        Some(node) => node,
        None => ways.machine(seat)?.0,
    };
    let target = ways.site.nodes.target(&node);
    Ok(ways.site.shell.open_as(&target, tty, Some(&format!("qm terminal {vmid}"))).await?)
}

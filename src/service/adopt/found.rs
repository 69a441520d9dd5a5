//! What an adopt finds on a site: every machine with a mark or our tag, and whose it is.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};

use crate::{
    domain::{
        LabName, SeatName, Vmid,
        cluster::{ClusterView, GuestView},
        mark::{Mark, Ownership, ownership},
    },
    port::{SiteError, cluster::GuestConfig},
    service::{Homeroom, ServiceError, Site},
};

/// Machines read at once: a node answers with three workers.
const AT_ONCE: usize = 8;

/// A machine that may be one of ours.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub guest: GuestView,
    pub config: GuestConfig,
    pub owner: Ownership,
}

impl Candidate {
    /// `cs101-ada (9101 on pve2)`
    pub fn label(&self) -> String {
        let name = self.config.get("name").unwrap_or("a machine");
        format!("{name} ({} on {})", self.guest.vmid, self.guest.node)
    }
}

/// A machine taken in by name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub lab: LabName,
    pub seat: SeatName,
    /// A machine's name, or its VMID.
    pub machine: String,
}

/// Reads every machine that carries our tag, lies in the site's range, or is wished for.
pub async fn look(
    home: &Homeroom,
    site: &Site,
    view: &ClusterView,
    wishes: &[Wish],
) -> Result<Vec<Candidate>, ServiceError> {
    let wished: BTreeSet<Vmid> =
        wishes.iter().map(|wish| named(view, &wish.machine).map(|guest| guest.vmid)).collect::<Result<_, _>>()?;
    let online = |guest: &&GuestView| view.node(&guest.node).is_some_and(|node| node.online);
    let worth = |guest: &&GuestView| {
        let ours = guest.is_tagged() || site.rules.vmids.contains(guest.vmid) || wished.contains(&guest.vmid);
        ours && !guest.template && !guest.container
    };
    read(home, site, view.guests.iter().filter(online).filter(worth).cloned().collect()).await
}

/// Reads those of a site's machines that are worth it.
pub async fn look_for(
    home: &Homeroom,
    site: &Site,
    view: &ClusterView,
    worth: impl Fn(&GuestView) -> bool,
) -> Result<Vec<Candidate>, ServiceError> {
    let online = |guest: &&GuestView| view.node(&guest.node).is_some_and(|node| node.online);
    let own = |guest: &&GuestView| !guest.template && !guest.container && worth(guest);
    read(home, site, view.guests.iter().filter(online).filter(own).cloned().collect()).await
}

/// Reads machines, and whose they are.
async fn read(home: &Homeroom, site: &Site, guests: Vec<GuestView>) -> Result<Vec<Candidate>, ServiceError> {
    let read = |guest: GuestView| async move {
        let config = site.cluster.config(&guest.node, guest.vmid).await;
        (guest, config)
    };
    let mut answers = stream::iter(guests).map(read).buffered(AT_ONCE);
    let mut found = Vec::new();
    while let Some((guest, config)) = answers.next().await {
        match config {
            Ok(config) => {
                let owner = ownership(home.store.id(), guest.vmid, guest.template, &config.description);
                found.push(Candidate { guest, config, owner });
            }
            // It went between the two reads.
            Err(SiteError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// The one machine of a name or number.
fn named<'a>(view: &'a ClusterView, text: &str) -> Result<&'a GuestView, ServiceError> {
    let is_meant = |guest: &&GuestView| match text.parse::<u32>() {
        Ok(number) => guest.vmid.get() == number,
        Err(_) => guest.name.as_ref().is_some_and(|name| name.as_str() == text),
    };
    let found: Vec<&GuestView> = view.guests.iter().filter(is_meant).collect();
    match found.as_slice() {
        [guest] if guest.template => Err(ServiceError::Refused(format!("{text} is a template"))),
        [guest] if guest.container => Err(ServiceError::Refused(format!("{text} is a container, not a VM"))),
        [guest] => Ok(guest),
        [] => Err(ServiceError::NotNow(format!("no machine of the site is called {text} or has that number"))),
        several => {
            let numbers: Vec<String> = several.iter().map(|guest| guest.vmid.to_string()).collect();
            Err(ServiceError::NotNow(format!(
                "several machines are called {text}; name one by its number: {}",
                numbers.join(", ")
            )))
        }
    }
}

/// The seat a wish gives a machine, if one does.
pub fn wish_for<'a>(wishes: &'a [Wish], candidate: &Candidate) -> Option<&'a Wish> {
    let number = candidate.guest.vmid.to_string();
    let name = candidate.guest.name.as_ref().map(|name| name.as_str());
    wishes.iter().find(|wish| wish.machine == number || Some(wish.machine.as_str()) == name)
}

/// Whose a mark says a machine is.
pub fn mark_of(owner: &Ownership) -> Option<&Mark> {
    match owner {
        Ownership::Ours(mark) | Ownership::OtherStore(mark) => Some(mark),
        Ownership::Foreign => None,
    }
}

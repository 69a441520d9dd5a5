//! One look at a site, as far as it concerns one machine.

use jiff::Timestamp;

use crate::domain::{
    Clean, MachineState, NodeName,
    cluster::{ClusterView, GuestView},
    progress::SeatProgress,
};

/// What one look at the site showed of one machine.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// `None`: not on the site.
    pub guest: Option<&'a GuestView>,
    /// Whether it carries this seat's mark, where somebody has read it: a listing shows none.
    pub ours: Option<bool>,
    pub node_online: bool,
    /// Since when the node has not answered, where somebody watched.
    pub offline_since: Option<Timestamp>,
    /// When the look was taken.
    pub at: Timestamp,
}

impl<'a> Look<'a> {
    /// The machine of a seat in a view; `None` where the seat has none, or the view proves nothing about it.
    pub fn of(view: &'a ClusterView, row: &SeatProgress) -> Option<Self> {
        let guest = view.guest(row.vmid?);
        let node = guest.map(|g| &g.node).or(row.node.as_ref())?;
        let node_online = view.node(node).is_some_and(|node| node.online);
        // Without quorum a guest that is not listed may still be there.
        (guest.is_some() || view.quorate != Some(false)).then_some(Self {
            guest,
            ours: None,
            node_online,
            offline_since: None,
            at: view.at,
        })
    }

    /// What the machine is called on the site, where that is not what it was made as. Proxmox shows a new one's name late.
    pub fn other_name(&self, row: &SeatProgress) -> Option<&'a Clean> {
        self.guest?.name.as_ref().filter(|name| name.as_str() != row.name)
    }

    /// Where the machine is: where it was seen, else where it was put. A clone is made on its template's node.
    pub fn node<'b>(&self, row: &'b SeatProgress) -> Option<&'b NodeName>
    where
        'a: 'b,
    {
        self.guest.map(|guest| &guest.node).or(row.node.as_ref())
    }
}

/// The node of a seat's machine, which stands as told. What has another's number by now is somewhere else.
pub fn seen_on<'a>(row: &'a SeatProgress, look: Option<Look<'a>>, state: MachineState) -> Option<&'a NodeName> {
    match look.filter(|_| state != MachineState::Gone) {
        Some(look) => look.node(row),
        None => row.node.as_ref(),
    }
}

//! Closer looks: one node with what lives on it, one machine with what was wanted and what is.

use tui_input::Input;

use super::{
    Screen, State, closer::Past, cursor::Cursor, fuzzy, log_view::LogView, marks::Marks, output::Output, sites::NodeRow,
};
use crate::domain::{
    LabName, NodeName, SeatName, SiteName,
    class::SeatSpec,
    cluster::{GuestView, StorageView},
};

/// One node.
#[derive(Debug)]
pub struct NodeBoard {
    pub site: SiteName,
    pub node: NodeName,
    /// On a guest, by its VMID.
    pub cursor: Cursor,
    pub filter: Input,
    pub marks: Marks,
    pub past: Past,
}

/// The machine of one seat.
#[derive(Debug)]
pub struct MachineBoard {
    pub lab: LabName,
    pub seat: SeatName,
    pub log: LogView,
    pub past: Past,
    /// Of a workshop's seat: what its container printed.
    pub output: Output,
}

impl State {
    /// The guests of a node in the latest look that the filter lets through: templates last, by VMID, or as ordered.
    pub fn guests_of(&self, board: &NodeBoard) -> Vec<&GuestView> {
        let mut guests = self.all_guests_of(board);
        guests.retain(|guest| {
            let name = guest.name.as_ref().map_or("", |name| name.as_str());
            fuzzy::narrows(board.filter.value(), &[name], &[&guest.vmid.to_string()])
        });
        guests
    }

    /// The same whatever the filter: it takes no mark away.
    pub(super) fn all_guests_of(&self, board: &NodeBoard) -> Vec<&GuestView> {
        let view = self.sites.get(&board.site).and_then(|site| site.view.as_deref());
        let mut guests: Vec<_> =
            view.into_iter().flat_map(|view| &view.guests).filter(|guest| guest.node == board.node).collect();
        guests.sort_by_key(|guest| (guest.template, guest.vmid));
        self.arrange_guests(&board.site, &mut guests);
        guests
    }

    /// The storages a node reaches that can hold disks, by name.
    pub fn storages_of(&self, board: &NodeBoard) -> Vec<&StorageView> {
        let view = self.sites.get(&board.site).and_then(|site| site.view.as_deref());
        let mut storages: Vec<_> =
            view.into_iter().flat_map(|view| &view.storages).filter(|s| s.images && s.node == board.node).collect();
        storages.sort_by(|a, b| a.storage.cmp(&b.storage));
        storages
    }

    /// The seat a guest is the machine of, as far as the store knows.
    pub fn seat_of(&self, site: &SiteName, guest: &GuestView) -> Option<(&LabName, &SeatName)> {
        self.progress.values().find_map(|progress| {
            let row = progress.seats.iter().find(|row| row.vmid == Some(guest.vmid) && row.site == *site)?;
            Some((&progress.lab, &row.seat))
        })
    }

    /// What the definition asks of a seat's machine.
    pub fn wanted_of(&self, board: &MachineBoard) -> Option<SeatSpec> {
        let class = self.class(&board.lab)?.definition?;
        class.resolve().into_iter().find(|spec| spec.seat == board.seat)
    }

    pub(super) fn guest_keys(&self, board: &NodeBoard) -> Vec<String> {
        self.guests_of(board).iter().map(|guest| guest.vmid.to_string()).collect()
    }

    /// The node under the cursor of the nodes pane.
    pub(super) fn chosen_node(&self) -> Option<NodeBoard> {
        let rows = self.shown_nodes();
        let keys: Vec<_> = rows.iter().map(NodeRow::key).collect();
        match rows.get(self.nodes.cursor.position(&keys)?)? {
            NodeRow::Node { site, node, .. } => Some(NodeBoard {
                site: (*site).clone(),
                node: node.node.clone(),
                cursor: Cursor::default(),
                filter: Input::default(),
                marks: Marks::default(),
                past: Past::default(),
            }),
            NodeRow::Storage { .. } => None,
        }
    }

    /// The seat of the guest under the cursor of a node's board.
    pub(super) fn chosen_guest(&self) -> Option<(LabName, SeatName)> {
        let Screen::Node(board) = self.screen() else { return None };
        let guests = self.guests_of(board);
        let keys = self.guest_keys(board);
        let guest = guests.get(board.cursor.position(&keys)?)?;
        self.seat_of(&board.site, guest).map(|(lab, seat)| (lab.clone(), seat.clone()))
    }
}

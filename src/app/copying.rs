//! What can be given to the terminal's clipboard: of the row under the cursor, or of all that are marked.

use super::{Context, Screen, State, sites::NodeRow};
use crate::domain::{Definition, LabName, progress::SeatProgress};

/// A text on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What it is, in a word or two.
    pub what: &'static str,
    /// Lines, where several rows are marked.
    pub text: String,
}

/// What is on offer, and which is chosen.
#[derive(Debug)]
pub struct CopyPopup {
    /// Never empty.
    pub offers: Vec<Offer>,
    pub at: usize,
}

impl State {
    /// What the list in front offers to copy.
    pub(super) fn copies(&self) -> Vec<Offer> {
        let mut offers = Vec::new();
        let mut offer = |what, text: String| {
            if !text.is_empty() {
                offers.push(Offer { what, text });
            }
        };
        match self.base_context() {
            Context::Log | Context::LogScreen => {
                if let Some(line) = self.log_in_front().current(&self.log) {
                    offer("message", line.message.to_string());
                    offer("line", line.plain());
                }
            }
            Context::Nodes => {
                let rows = self.shown_nodes();
                let keys: Vec<_> = rows.iter().map(NodeRow::key).collect();
                let row = self.nodes.cursor.position(&keys).and_then(|at| rows.get(at));
                offer("name", row.map_or(String::new(), |row| row.name().to_owned()));
            }
            Context::Runs => {
                if let Screen::Runs(list) = self.screen() {
                    let keys = self.run_keys(list);
                    let run = list.cursor.position(&keys).and_then(|at| keys.get(at));
                    offer("run", run.cloned().unwrap_or_default());
                    offer("command", run.map_or(String::new(), |run| format!("homeroom runs show {run}")));
                }
            }
            Context::Node => {
                self.offer_seats(&mut offer);
                if let Screen::Node(board) = self.screen() {
                    let guests = self.guests_of(board);
                    let guest = board.cursor.position(&self.guest_keys(board)).and_then(|at| guests.get(at));
                    if let Some(guest) = guest.filter(|_| board.marks.is_empty()) {
                        offer("machine", guest.name.as_ref().map_or(String::new(), ToString::to_string));
                        offer("vmid", guest.vmid.to_string());
                    }
                }
            }
            Context::Classes | Context::Workshops => {
                let labs: Vec<_> = self.targets().iter().map(|target| target.lab.to_string()).collect();
                offer("name", labs.join("\n"));
                self.offer_seats(&mut offer);
            }
            Context::Board | Context::Machine => self.offer_seats(&mut offer),
            _ => {}
        }
        offers
    }

    /// What is known of the seats in question, a line each.
    fn offer_seats(&self, offer: &mut impl FnMut(&'static str, String)) {
        let seats = self.target_seats();
        let known: Vec<(&LabName, &SeatProgress)> =
            seats.iter().filter_map(|(lab, seat)| Some((lab, self.progress.get(lab)?.seat(seat)?))).collect();
        let lines = |told: &dyn Fn(&LabName, &SeatProgress) -> Option<String>| -> String {
            known.iter().filter_map(|(lab, seat)| told(lab, seat)).collect::<Vec<_>>().join("\n")
        };
        offer("address", lines(&|_, seat| seat.ip.map(|ip| ip.to_string())));
        offer(
            "ssh command",
            lines(&|lab, seat| {
                seat.ip.map(|ip| match self.login(lab) {
                    Some(user) => format!("ssh {user}@{ip}"),
                    None => format!("ssh {ip}"),
                })
            }),
        );
        offer("through homeroom", lines(&|lab, seat| seat.ip.map(|_| format!("homeroom ssh {lab}/{}", seat.seat))));
        offer("machine", lines(&|_, seat| Some(seat.name.clone())));
        offer("vmid", lines(&|_, seat| seat.vmid.map(|vmid| vmid.to_string())));
        offer("reason", lines(&|_, seat| seat.reason.as_ref().map(ToString::to_string)));
    }

    /// Who logs in to the machines of a class.
    fn login(&self, lab: &LabName) -> Option<String> {
        self.definitions.iter().find_map(|definition| match definition {
            Definition::Class(class) if class.name == *lab => class.cloud_init.user.clone(),
            _ => None,
        })
    }
}

//! Ways in: what a shell asked for at the screen would be opened on, or why nothing can be.
//!
//! Knows what is on the screens and nothing else: whether a way is open, whoever goes it finds out.

use std::fmt;

use super::{
    Context, Screen, State, bars::At, log_view::Scope, machines::NodeBoard, rows::Target, seats::SeatRow,
    sites::NodeRow,
};
use crate::domain::{
    LabName, MachineState, NodeName, SeatName, SiteName, Vmid,
    cluster::{GuestView, Power},
    readiness::OFF,
};

/// What a terminal is opened on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// A seat: by SSH on its machine, by the engine in its container.
    Seat { lab: LabName, seat: SeatName },
    /// The serial port of a seat's machine, through its node.
    Console { lab: LabName, seat: SeatName },
    /// An LXC container, by `pct` on its node.
    Container { site: SiteName, vmid: Vmid },
    /// A node, by the site's node SSH.
    Node { site: SiteName, node: NodeName },
}

impl Door {
    /// The lab or the site it is a part of.
    pub fn whose(&self) -> &str {
        match self {
            Self::Seat { lab, .. } | Self::Console { lab, .. } => lab.as_str(),
            Self::Container { site, .. } | Self::Node { site, .. } => site.as_str(),
        }
    }

    /// What it is called there.
    pub fn name(&self) -> String {
        match self {
            Self::Seat { seat, .. } => seat.to_string(),
            Self::Console { seat, .. } => format!("{seat} console"),
            Self::Container { vmid, .. } => vmid.to_string(),
            Self::Node { node, .. } => node.to_string(),
        }
    }

    /// The lab it is a part of, if it is one's.
    pub fn lab(&self) -> Option<&LabName> {
        match self {
            Self::Seat { lab, .. } | Self::Console { lab, .. } => Some(lab),
            Self::Container { .. } | Self::Node { .. } => None,
        }
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Console { .. } => "the serial console",
            _ => "a shell",
        }
    }

    /// How it is left where it has the whole terminal.
    pub fn leaving(&self) -> &'static str {
        match self {
            Self::Console { .. } => "to leave: Enter ~ .",
            _ => "exit leaves; if it hangs: Enter ~ .",
        }
    }

    /// On whose behalf is logged in.
    pub fn at(&self) -> At {
        match self {
            Self::Seat { lab, .. } | Self::Console { lab, .. } => At::Lab(lab.clone()),
            Self::Container { site, .. } | Self::Node { site, .. } => At::Site(site.clone()),
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.whose(), self.name())
    }
}

impl State {
    /// What a shell asked for here is opened on, or why there is none.
    pub(super) fn door_here(&self) -> Result<Door, String> {
        match self.base_context() {
            Context::Board | Context::Machine => {
                let seat = self.target_seat().ok_or("no seat here to open a shell on")?;
                self.door_of(seat)
            }
            Context::Run => self.door_of(self.timed_seat().ok_or("no seat here to open a shell on")?),
            Context::Nodes => self.door_of_row(),
            Context::Node => self.door_of_guest(),
            Context::Shells => {
                let front = self.shells.front().ok_or("no shell is open in here; S on a board opens one")?;
                Ok(front.door.clone())
            }
            Context::Log | Context::LogScreen => match self.log_in_front().scope() {
                Scope::Seat(lab, seat) => self.door_of((lab.clone(), seat.clone())),
                _ => Err("a line of the log is no machine; S on a board opens a shell on the seat".to_owned()),
            },
            Context::Runs => Err("a run is no machine; enter shows its seats, and s there opens a shell".to_owned()),
            Context::Answers => Err("equal answers stand together here; s on a board opens a shell".to_owned()),
            _ => Err("no machine here to open a shell on".to_owned()),
        }
    }

    /// The serial port that is meant here, or why there is none.
    pub(super) fn console_here(&self) -> Result<Door, String> {
        let seat = match self.base_context() {
            Context::Node => self.chosen_guest(),
            Context::Run => self.timed_seat(),
            _ => self.target_seat(),
        };
        let (lab, seat) = seat.ok_or("no seat here; a serial console belongs to the machine of one")?;
        let Some(row) = self.class(&lab) else { return Err(format!("{lab} is not known any more")) };
        let in_cloud = row.site().and_then(|site| self.engines.get(site)).is_some_and(|engine| engine.is_cloud);
        if row.workshop.is_some() && !(in_cloud && seat == SeatName::host()) {
            return Err(format!("{lab}/{seat} is a container and has no serial port; s opens a shell in it"));
        }
        let known = row.seats.iter().find(|known| known.seat == seat);
        match known.filter(|known| known.is_made()) {
            None => Err(format!("{lab}/{seat} is not made yet, so it has no serial port; d makes it")),
            Some(known) if known.state == MachineState::Stopped => Err(off(&lab, &seat)),
            Some(_) => Ok(Door::Console { lab, seat }),
        }
    }

    /// The seats a command asked for here goes to, or why there are none.
    pub(super) fn asked_here(&self) -> Result<Target, String> {
        let one = |(lab, seat)| Target { lab, seats: vec![seat] };
        match self.base_context() {
            Context::Answers => {
                let asked = self.asking.newest.as_ref().map(|asked| asked.target.clone());
                return asked.ok_or_else(|| "no command was asked yet; ! on a board asks one".to_owned());
            }
            Context::Nodes => {
                return Err("a command goes to seats of labs; s opens a shell on the node itself".to_owned());
            }
            Context::Runs => {
                return Err("a run is no seat; enter shows its seats, and ! there runs a command".to_owned());
            }
            Context::Run => return self.timed_seat().map(one).ok_or_else(|| NO_SEAT.to_owned()),
            Context::Shells => {
                return match self.shells.front().map(|tab| &tab.door) {
                    Some(Door::Seat { lab, seat }) => Ok(one((lab.clone(), seat.clone()))),
                    Some(door) => Err(format!("{door} is no seat of a lab: type the command into its shell")),
                    None => Err(NO_SEAT.to_owned()),
                };
            }
            Context::Log | Context::LogScreen => {
                return match self.log_in_front().scope() {
                    Scope::Seat(lab, seat) => Ok(one((lab.clone(), seat.clone()))),
                    _ => Err("a line of the log is no seat; ! on a board runs a command".to_owned()),
                };
            }
            _ => {}
        }
        match self.targets().as_slice() {
            [target] => Ok(target.clone()),
            [] if matches!(self.screen(), Screen::Node(_)) => Err(match self.door_of_guest() {
                Ok(Door::Container { site, vmid }) => format!(
                    "{vmid} is no seat of a lab: s opens a shell in it, `homeroom exec {site}/{vmid}` runs a command"
                ),
                Ok(door) => format!("{door} is no seat of a lab; s opens a shell on it"),
                Err(why) => why,
            }),
            [] => Err(NO_SEAT.to_owned()),
            several => {
                let labs = several.iter().map(|target| target.lab.as_str()).collect::<Vec<_>>().join(", ");
                Err(format!("marked are {labs}: one command is for the seats of one lab at a time"))
            }
        }
    }

    /// A seat, if it can be entered.
    pub(super) fn door_of(&self, (lab, seat): (LabName, SeatName)) -> Result<Door, String> {
        match self.why_not_entered(&lab, &seat) {
            Some(why) => Err(why),
            None => Ok(Door::Seat { lab, seat }),
        }
    }

    /// Why no shell can be opened on a seat; none if one can.
    fn why_not_entered(&self, lab: &LabName, seat: &SeatName) -> Option<String> {
        let row = self.class(lab)?;
        let known = row.seats.iter().find(|known| known.seat == *seat);
        match known {
            Some(known) if known.state == MachineState::Stopped && row.workshop.is_none() => Some(off(lab, seat)),
            Some(known) if SeatRow::can_be_entered(known) => None,
            _ if row.workshop.is_some() => {
                Some(format!("{lab}/{seat} has no container that runs, so there is nothing to open a shell in"))
            }
            _ => Some(format!("{lab}/{seat} has no address yet, so there is nothing to log in to")),
        }
    }

    /// The node under the cursor of the nodes pane.
    fn door_of_row(&self) -> Result<Door, String> {
        let rows = self.shown_nodes();
        let keys: Vec<_> = rows.iter().map(NodeRow::key).collect();
        let row = self.nodes.cursor.position(&keys).and_then(|at| rows.get(at)).ok_or("no node here")?;
        match row {
            NodeRow::Node { node, .. } if !node.online => {
                Err(format!("{} does not answer, so nobody can log in", node.node))
            }
            NodeRow::Node { site, node, .. } => Ok(Door::Node { site: (*site).clone(), node: node.node.clone() }),
            NodeRow::Storage { .. } => Err("a storage has no shell; s on a node opens one there".to_owned()),
        }
    }

    /// The guest under the cursor of a node's board; of an empty one, the node.
    fn door_of_guest(&self) -> Result<Door, String> {
        let Screen::Node(board) = self.screen() else { return Err("no machine here".to_owned()) };
        let guests = self.guests_of(board);
        let keys: Vec<_> = guests.iter().map(|guest| guest.vmid.to_string()).collect();
        let Some(guest) = board.cursor.position(&keys).and_then(|at| guests.get(at)) else {
            return Ok(Door::Node { site: board.site.clone(), node: board.node.clone() });
        };
        self.door_of_one(board, guest)
    }

    /// One guest of a node's board.
    pub(super) fn door_of_one(&self, board: &NodeBoard, guest: &GuestView) -> Result<Door, String> {
        match self.seat_of(&board.site, guest) {
            Some((lab, seat)) => self.door_of((lab.clone(), seat.clone())),
            None => stranger(&board.site, guest),
        }
    }

    /// The seat under the cursor of a run's board.
    fn timed_seat(&self) -> Option<(LabName, SeatName)> {
        let Screen::Run(board) = self.screen() else { return None };
        let at = board.cursor.position(&self.timed_keys(board))?;
        self.timed_of(board).get(at).map(|seat| (board.lab.clone(), seat.seat.clone()))
    }
}

const NO_SEAT: &str = "no seat here to run a command on";

fn off(lab: &LabName, seat: &SeatName) -> String {
    format!("{lab}/{seat} {OFF}; p starts it")
}

/// The way into what no lab of this store knows: a container's leads through its node; a machine's nobody has.
fn stranger(site: &SiteName, guest: &GuestView) -> Result<Door, String> {
    let GuestView { vmid, node, .. } = guest;
    let called = guest.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
    if guest.template {
        return Err(format!("{vmid}{called} is a template: nothing runs in it; machines made of it have shells"));
    }
    if !guest.container {
        return Err(format!(
            "{vmid}{called} is no seat of a lab, so no key for it is here; `homeroom adopt {site} LAB/SEAT={vmid}` makes it one"
        ));
    }
    if guest.power != Power::Running {
        return Err(format!("container {vmid}{called} does not run; on {node}: pct start {vmid}"));
    }
    Ok(Door::Container { site: site.clone(), vmid: *vmid })
}

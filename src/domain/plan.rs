//! Plans: what a deploy or destroy would do, seat by seat, and why. Made and shown before anything changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Clean, LabName, NodeName, Role, SeatName, SiteName, StepName, Vmid,
    class::{Order, RollCall, SeatSpec},
    event::RunKind,
    person::Person,
    workshop::WorkshopDefinition,
};

/// Definition against reality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub kind: RunKind,
    pub lab: LabName,
    pub site: SiteName,
    /// Every seat of the definition, then what is to be removed.
    pub seats: Vec<SeatPlan>,
    /// Nodes that take no machine, with the reason ("offline", "not among placement.nodes").
    pub skipped_nodes: Vec<(NodeName, String)>,
    /// What each node's memory comes to afterwards: committed share, 0–1 and above.
    pub memory_after: Vec<(NodeName, f64)>,
    /// About how long it takes, from what is known.
    pub estimate: Option<Duration>,
    /// Room the new disks take at once, by storage, in bytes.
    pub room: Vec<(String, u64)>,
    pub rollcall: RollCall,
    pub order: Order,
    pub stagger: Duration,
    pub pool: Option<String>,
    /// What somebody else changed is put right too.
    #[serde(default)]
    pub fixes_drift: bool,
    /// Machines that were asked to be made anew, whatever the definition says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilds: Option<Rebuilds>,
    /// What the containers of a workshop are made of; absent in a class's plan. It says which catalogue of
    /// steps carries the plan out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workshop: Option<WorkshopDefinition>,
    /// What the reader should know before saying yes.
    pub notes: Vec<String>,
}

/// Seats whose machines are made anew, as asked: it stays with the run, which may be broken off and go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuilds {
    pub seats: Vec<SeatName>,
    /// A machine on a node that does not answer is given up: its seat gets another, with a number of its own.
    pub abandon: bool,
}

/// What happens to one seat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeatPlan {
    pub seat: SeatName,
    pub role: Role,
    /// The machine's name.
    pub name: String,
    pub verb: Verb,
    /// The host its machine is or will be on: a node, or the host of a container engine.
    pub node: NodeName,
    /// The machine's number on a site that numbers its guests.
    #[serde(default)]
    pub vmid: Option<Vmid>,
    /// What a clone is made of; absent where nothing is cloned.
    pub source: Option<CloneSource>,
    pub spec: SeatSpec,
    /// Field by field, for updates: what it is, what it shall be. On a kept or proven machine: what
    /// somebody else changed, left as it is unless drift is to be put right.
    pub changes: Vec<FieldChange>,
    /// Steps in the order they are done (a restart begins with `stop`); none for a kept seat.
    pub steps: Vec<StepName>,
    /// Why this node, why this verb.
    pub why: String,
    /// The site lists nothing of it: what a removal does is to look once more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
    /// Who sits there and loses what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
}

impl SeatPlan {
    /// What is done to it, in a word: a machine that is off is started before it is proven, a seat that loses a part is
    /// there afterwards, and where nothing of ours is seen on the site, a seat is only forgotten.
    pub fn word(&self) -> &'static str {
        match self.verb {
            Verb::Prove if self.steps.contains(&StepName::Start) => "start",
            Verb::Remove if self.stays() => "reduce",
            Verb::Remove if self.role != Role::Seat && (self.unlisted || self.steps.is_empty()) => "forget",
            verb => verb.as_str(),
        }
    }

    /// Whether an update starts the machine, which is off.
    pub fn is_started_too(&self) -> bool {
        self.verb == Verb::Update && self.steps.contains(&StepName::Start)
    }

    /// Whose work goes, in words.
    pub fn loss(&self) -> Option<String> {
        self.person.as_ref().map(|person| format!("{person} sits there and loses what is in it"))
    }

    /// Why, and whose work goes.
    pub fn reason(&self) -> String {
        let parts = [Some(self.why.clone()), self.loss()];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// Whether the seat is there afterwards: what is removed may be a part of it, where it is made of containers.
    pub fn stays(&self) -> bool {
        let has_parts = self.role == Role::Seat;
        self.verb != Verb::Remove || has_parts && self.steps.iter().any(|step| step.is_proof())
    }
}

/// What a clone is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneSource {
    pub template: Vmid,
    pub template_name: Clean,
    /// The node the template lies on; the clone is asked for there.
    pub node: NodeName,
    pub linked: bool,
    /// Should the site refuse the linked clone, a full copy is made: the definition leaves it open, and there
    /// is room and time for full copies of every machine of the plan.
    #[serde(default)]
    pub full_fallback: bool,
    /// Storage of the new disks, sent only for full clones.
    pub storage: Option<String>,
    pub format: Option<String>,
    /// The storage whose lock and bandwidth the clone takes.
    pub limit_storage: String,
    pub storage_shared: bool,
    /// Bytes a full copy moves; for a linked clone, what it takes at once.
    pub bytes: u64,
    /// Sent with the clone: the token may make machines in this pool alone.
    #[serde(default)]
    pub pool: Option<String>,
}

/// The field of a change of pool: a membership of the machine's, no setting of its own.
pub const POOL: &str = "pool";

/// What is done to a seat's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Not there: clone it.
    Create,
    /// A run made or began it: go on from what is there.
    Resume,
    /// There and proven: nothing to do.
    Keep,
    /// There, not proven: repeat the roll call (and start it if it is off).
    Prove,
    /// Settings change that need no stop.
    Update,
    /// Settings change that need a stop; needs `--allow-restart`.
    Restart,
    /// Shut down, as asked.
    Halt,
    /// Cannot be changed in place; needs `--allow-replace`.
    Replace,
    /// Not in the definition any more, or a destroy; in a deploy needs `--allow-remove`. Without steps
    /// nothing of ours is left on the site: the seat is only forgotten, and nobody need agree to it.
    Remove,
    /// Left alone: its node does not answer, it is protected, or whose it is cannot be told.
    Leave,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Resume => "resume",
            Self::Keep => "keep",
            Self::Prove => "prove",
            Self::Update => "update",
            Self::Restart => "restart",
            Self::Halt => "stop",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Leave => "leave",
        }
    }

    /// The sign before a seat it is done to, the same on every screen.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Resume | Self::Prove => ">",
            Self::Update => "~",
            Self::Restart | Self::Halt | Self::Replace => "!",
            Self::Remove => "-",
            Self::Keep => "=",
            Self::Leave => "?",
        }
    }

    /// Whether it changes anything on the site.
    pub fn acts(self) -> bool {
        !matches!(self, Self::Keep | Self::Leave)
    }
}

/// One setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub from: String,
    pub to: String,
    /// The machine had been brought to what is wanted, and somebody else changed it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drift: bool,
    /// What the machine had been brought to before somebody else changed it, where the definition asks for something
    /// else than that now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
}

impl FieldChange {
    /// Both sides as they are shown: what is empty is `none`.
    pub fn shown(&self) -> (&str, &str) {
        let or_none = |text| if str::is_empty(text) { "none" } else { text };
        (or_none(&self.from), or_none(&self.to))
    }

    /// One that the definition asks for.
    pub fn new(field: impl Into<String>, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { field: field.into(), from: from.into(), to: to.into(), drift: false, was: None }
    }
}

/// What the person has agreed to beyond creating and updating.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    pub restart: bool,
    pub replace: bool,
    pub remove: bool,
    pub fix_drift: bool,
    /// Machines on silent nodes that may be those of seats the store knows nothing of are given up.
    #[serde(default)]
    pub abandon_old: bool,
}

impl Plan {
    /// Whether a deploy would change or prove anything.
    pub fn is_empty(&self) -> bool {
        !self.seats.iter().any(|seat| seat.verb.acts())
    }

    /// Seats whose machines somebody else changed, and what; whether or not that is put right.
    pub fn drifted(&self) -> impl Iterator<Item = &SeatPlan> {
        self.seats.iter().filter(|seat| seat.changes.iter().any(|change| change.drift))
    }

    /// How many machines go.
    pub fn removals(&self) -> usize {
        self.seats.iter().filter(|seat| seat.word() == Verb::Remove.as_str()).count()
    }

    /// How many seats there are of each word, in the order of their weight.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        const WORDS: [&str; 11] = [
            "create", "resume", "start", "prove", "update", "restart", "stop", "reduce", "replace", "remove", "forget",
        ];
        let count = |word: &str| self.seats.iter().filter(|seat| seat.word() == word).count();
        WORDS.into_iter().map(|word| (word, count(word))).filter(|(_, count)| *count > 0).collect()
    }

    /// How many seats lose a part and stay.
    pub fn reduced(&self) -> usize {
        self.seats.iter().filter(|seat| seat.verb == Verb::Remove && seat.stays()).count()
    }

    pub fn count(&self, verb: Verb) -> usize {
        self.seats.iter().filter(|seat| seat.verb == verb).count()
    }

    /// The seats that need a yes that was not given.
    pub fn refused(&self, consent: Consent) -> Vec<&SeatPlan> {
        self.seats
            .iter()
            .filter(|seat| match seat.verb {
                Verb::Restart => self.kind.makes() && !consent.restart,
                Verb::Replace => !consent.replace,
                Verb::Remove => self.kind.makes() && !consent.remove && !seat.steps.is_empty(),
                _ => false,
            })
            .collect()
    }
}

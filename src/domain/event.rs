//! Events: the only source of progress.
//!
//! An event is written before an effect (its intent) and after it (its outcome). Dashboard, `status`,
//! `logs --follow` and a resume all fold the same events (`progress::fold`).

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Clean, LabName, NodeName, Role, SeatName, SiteName, StepName, Vmid,
    code::JoinCode,
    lent::Lent,
    price::{Stood, Used},
};

/// The number of a run, unique in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How loud a line is. `Success` ranks with `Info` but is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Debug,
    #[default]
    Info,
    Success,
    Warning,
    Error,
}

impl Level {
    pub const ALL: [Level; 5] = [Self::Debug, Self::Info, Self::Success, Self::Warning, Self::Error];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text.to_ascii_lowercase())
            .ok_or_else(|| format!("level {text:?} is none of debug, info, success, warning, error"))
    }
}

/// What a run sets out to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    Deploy,
    Destroy,
    Check,
    Start,
    Stop,
    Restart,
    /// Takes machines back that carry our mark.
    Adopt,
    /// Removes seats' machines and makes them anew, as asked.
    Rebuild,
    /// Removes what a deploy made.
    Rollback,
}

impl RunKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Destroy => "destroy",
            Self::Check => "check",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Adopt => "adopt",
            Self::Rebuild => "rebuild",
            Self::Rollback => "rollback",
        }
    }

    /// Whether it only removes machines.
    pub fn removes(self) -> bool {
        matches!(self, Self::Destroy | Self::Rollback)
    }

    /// Whether it brings machines to what a definition says, and may make some.
    pub fn makes(self) -> bool {
        matches!(self, Self::Deploy | Self::Rebuild)
    }

    /// What is being done, as a noun: `shutdown interrupted at stop`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Destroy => "destroy",
            Self::Check => "roll call",
            Self::Start => "start",
            Self::Stop => "shutdown",
            Self::Restart => "restart",
            Self::Adopt => "adoption",
            Self::Rebuild => "rebuild",
            Self::Rollback => "rollback",
        }
    }

    /// The same with its article: `run 3 is an adoption`.
    pub fn a_noun(self) -> String {
        let noun = self.noun();
        format!("{} {noun}", if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" })
    }

    /// What a lab is at meanwhile.
    pub fn doing(self) -> &'static str {
        match self {
            Self::Deploy => "deploying",
            Self::Destroy => "destroying",
            Self::Check => "checking",
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Restart => "restarting",
            Self::Adopt => "adopting",
            Self::Rebuild => "rebuilding",
            Self::Rollback => "rolling back",
        }
    }

    /// What is done next where a run of this kind was given up.
    pub fn anew(self) -> &'static str {
        match self {
            Self::Deploy | Self::Rebuild => "the next deploy plans anew",
            Self::Destroy => "the next destroy plans anew",
            Self::Rollback => "the next rollback plans anew",
            Self::Check | Self::Start | Self::Stop | Self::Restart | Self::Adopt => "nothing more of it is done",
        }
    }

    /// What goes on where a run of this kind ended in the middle.
    pub fn goes_on(self) -> &'static str {
        match self {
            Self::Deploy | Self::Rebuild => "deploy goes on from there",
            Self::Destroy => "destroy goes on from there",
            Self::Check | Self::Adopt => "check proves what is left",
            Self::Start | Self::Stop | Self::Restart | Self::Rollback => "resume goes on from there",
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Under way, or broken off and resumable: who holds the lab's lock tells which.
    Running,
    /// Everything it set out to do was done.
    Done,
    /// It ended, and some machines failed.
    Failed,
    /// It was stopped on request; the next deploy goes on from here.
    Interrupted,
    /// It was given up on request; the next deploy plans anew.
    Cancelled,
}

impl RunState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One line of what happened, as the recorder wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    /// Position within the run, from 1, without gaps.
    pub seq: u64,
    pub run: RunId,
    pub lab: LabName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<SeatName>,
    /// Name of the seat's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Clean>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    pub level: Level,
    pub message: Clean,
    /// What it changes; `Note` for a mere line.
    pub change: Change,
}

/// What an event changes. `progress::fold` is its only reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Change {
    /// Nothing but the line itself.
    Note,
    /// The run began.
    RunStarted {
        kind: RunKind,
        site: SiteName,
        owner: Clean,
    },
    /// A workshop comes to life: by this code it is joined, and this is its end.
    Opened {
        code: JoinCode,
        ends_at: Timestamp,
    },
    /// Its end was put off.
    EndsAt {
        ends_at: Timestamp,
    },
    /// People were told that the end is so near.
    EndWarned {
        left: Duration,
    },
    /// Its end has come and could not be brought about.
    EndHindered {
        why: Clean,
    },
    /// Nothing of it is left.
    Closed,
    /// A seat takes part in the run, with the steps before it.
    SeatPlanned {
        role: Role,
        site: SiteName,
        steps: Vec<StepName>,
    },
    /// A node and VMID are set aside for the seat: from here on that VMID is ours to look for.
    Reserved {
        node: NodeName,
        vmid: Vmid,
    },
    /// What is left of the seat's machine is about to be removed as root on its node.
    RemovalOnNode,
    /// A machine went, and this volume of its own stayed: somebody was told how to remove it by hand.
    LeftBehind {
        vmid: Vmid,
        node: NodeName,
        volume: Clean,
    },
    /// An instance is about to be asked for there, under this request id: until that is settled, whatever comes of
    /// the request is ours to look for.
    Requested {
        node: NodeName,
        request: Clean,
    },
    /// What came of the request is known; where an instance stands, it is there.
    RequestSettled {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<NodeName>,
    },
    /// The same of a firewall rule.
    RuleRequested {
        request: Clean,
    },
    /// What came of that request is known.
    RuleSettled,
    /// An instance stands, of this kind: once it is gone, what it has cost is reckoned by that.
    InstanceSeen {
        stood: Stood,
    },
    /// An instance is gone, of which this was used: it is part of what the workshop has cost.
    Used {
        used: Used,
    },
    /// The proxy on an instance shows this from here on: the name it has and what proves it.
    ProxyShows {
        made_of: String,
    },
    /// The intent: about to act. Committed before the effect.
    StepStarted {
        attempt: u32,
    },
    /// The site answered with a task to watch.
    TaskStarted {
        upid: Clean,
    },
    /// The attempt failed in a way worth repeating.
    StepRetry {
        /// Modelled time until the next attempt.
        wait: Duration,
        /// How many attempts there are at most; 0 where it was not told.
        #[serde(default)]
        of: u32,
    },
    StepDone {
        took: Duration,
    },
    /// Nothing to do: already so, or not asked for.
    StepSkipped,
    StepFailed {
        took: Duration,
    },
    /// The guest's address was seen.
    AddressSeen {
        ip: IpAddr,
    },
    /// The guest's SSH host keys, read through the agent, each `TYPE BASE64`.
    HostKeysSeen {
        keys: Vec<String>,
    },
    /// The machine was seen in this pool, or was put into it.
    PoolJoined {
        pool: String,
    },
    /// What the machine had before anything was written to it: the definition's open settings go by it.
    Lent {
        lent: Lent,
    },
    /// Every proof was seen.
    SeatReady,
    /// The seat will not become ready in this run; the message says why.
    SeatFailed,
    /// A machine that was ready is no longer proven; the message says why.
    SeatStale,
    /// A container of the seat ended, or a program in it did for want of memory, and nobody had asked for it.
    ContainerEnded {
        /// By the engine's clock.
        ended_at: Timestamp,
    },
    /// The machine was seen stopped, as asked.
    SeatStopped,
    /// The machine is no longer on the site.
    SeatGone,
    RunEnded {
        state: RunState,
    },
}

//! What stands in for logins, agents and keys in a program that only looks: it holds no key, and refuses.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{
    domain::{Clean, LabName, NodeName, SeatName, Vmid, class::Password, code::JoinCode},
    port::{
        GuestAgent, KeyRing, Mend, RemoteShell,
        agent::{AgentError, ExecOutput, Interface},
        copy::{Copied, CopyError, Transfer},
        keys::{Kept, KeyError, LabKey, Renewing},
        shell::{ShellError, ShellSession, ShellTarget, Tty},
    },
};

/// Does nothing for anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

const WHY: &str = "this program only looks and holds no key";

fn agent<T>() -> Result<T, AgentError> {
    Err(AgentError::Refused(Clean::new(WHY)))
}

fn shell<T>(target: &ShellTarget) -> Result<T, ShellError> {
    Err(ShellError::Broken { host: target.host.clone(), why: Clean::new(WHY) })
}

fn key<T>() -> Result<T, KeyError> {
    Err(KeyError { doing: "no key is read from", path: PathBuf::from("anywhere"), why: WHY.to_owned() })
}

#[async_trait]
impl GuestAgent for Nobody {
    async fn ping(&self, _: &NodeName, _: Vmid) -> Result<(), AgentError> {
        agent()
    }

    async fn interfaces(&self, _: &NodeName, _: Vmid) -> Result<Vec<Interface>, AgentError> {
        agent()
    }

    async fn exec(&self, _: &NodeName, _: Vmid, _: &[String], _: Duration) -> Result<ExecOutput, AgentError> {
        agent()
    }
}

#[async_trait]
impl Mend for Nobody {
    async fn is_copying(&self, _: &NodeName, _: Vmid) -> Result<bool, AgentError> {
        agent()
    }

    async fn remove_locked(&self, _: &NodeName, _: Vmid) -> Result<(), AgentError> {
        agent()
    }
}

#[async_trait]
impl RemoteShell for Nobody {
    fn unlock(&self, _: &Path, _: SecretString) {}

    fn trust(&self, host: &str, _: &str) -> Result<(), Clean> {
        Err(Clean::new(format!("{host}: {WHY}")))
    }

    async fn run(&self, target: &ShellTarget, _: &str, _: Duration) -> Result<ExecOutput, ShellError> {
        shell(target)
    }

    async fn start(&self, target: &ShellTarget, _: &str) -> Result<ShellSession, ShellError> {
        shell(target)
    }

    async fn copy(&self, target: &ShellTarget, _: &Transfer) -> Result<Copied, CopyError> {
        Ok(shell(target)?)
    }

    async fn open_as(&self, target: &ShellTarget, _: &Tty, _: Option<&str>) -> Result<ShellSession, ShellError> {
        shell(target)
    }
}

#[async_trait]
impl KeyRing for Nobody {
    async fn lab_key(&self, _: &LabName) -> Result<LabKey, KeyError> {
        key()
    }

    async fn kept_key(&self, _: &LabName) -> Result<Kept, KeyError> {
        key()
    }

    async fn begin_renewal(&self, _: &LabName, _: &[SeatName]) -> Result<Renewing, KeyError> {
        key()
    }

    async fn owe(&self, _: &LabName, _: &[SeatName]) -> Result<(), KeyError> {
        key()
    }

    async fn put_in_place(&self, _: &LabName) -> Result<(), KeyError> {
        key()
    }

    async fn end_renewal(&self, _: &LabName) -> Result<(), KeyError> {
        key()
    }

    async fn password(&self, _: &LabName, _: &SeatName, _: &Password) -> Result<SecretString, KeyError> {
        key()
    }

    async fn has_made_passwords(&self, _: &LabName) -> bool {
        false
    }

    async fn token(&self, _: &LabName, _: &SeatName, _: &JoinCode, _: u32) -> Result<SecretString, KeyError> {
        key()
    }

    async fn forget(&self, _: &LabName) -> Result<(), KeyError> {
        key()
    }
}

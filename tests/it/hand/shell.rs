//! Logins to guests: proven against what the world knows of the guest, key by key.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    domain::{Clean, LabName, SeatName, class::Password, code::JoinCode},
    port::{
        KeyRing, RemoteShell,
        agent::ExecOutput,
        copy::{Copied, CopyError, Transfer},
        keys::{Kept, KeyError, LabKey, Renewing},
        shell::{HostKey, ShellError, ShellSession, ShellTarget, Tty},
    },
    sim::{
        guest::{Exit, Session},
        ssh::pair,
    },
};
use secrecy::SecretString;

use super::stage::Stage;

/// What a handshake and a login take, in modelled milliseconds.
const LOGIN: u64 = 150;
/// Until an address nobody has is given up.
const NOBODY: u64 = 5000;

/// Keys of labs, made from their names.
#[derive(Default)]
pub struct Keys {
    made: Mutex<BTreeMap<PathBuf, String>>,
}

impl Keys {
    pub fn key_of(&self, lab: &LabName) -> LabKey {
        let private = PathBuf::from(format!("/keys/{lab}"));
        let mut made = self.made.lock().unwrap();
        let public = made.entry(private.clone()).or_insert_with(|| {
            let mut seed = [0; 32];
            lab.as_str().bytes().zip(&mut seed).for_each(|(byte, place)| *place = byte);
            pair(&seed, lab.as_str()).public
        });
        LabKey { private, public: public.clone(), locked: None, renewal: None }
    }
}

impl Keys {
    /// The public halves of these files.
    pub fn offered(&self, files: &[PathBuf]) -> Vec<String> {
        let made = self.made.lock().unwrap();
        files.iter().filter_map(|file| made.get(file).cloned()).collect()
    }
}

#[async_trait]
impl KeyRing for Keys {
    async fn lab_key(&self, lab: &LabName) -> Result<LabKey, KeyError> {
        Ok(self.key_of(lab))
    }

    async fn kept_key(&self, lab: &LabName) -> Result<Kept, KeyError> {
        Ok(Kept::Pair(self.key_of(lab)))
    }

    async fn begin_renewal(&self, lab: &LabName, _: &[SeatName]) -> Result<Renewing, KeyError> {
        Ok(Renewing { new: self.key_of(lab).public, old: None })
    }

    async fn owe(&self, _: &LabName, _: &[SeatName]) -> Result<(), KeyError> {
        Ok(())
    }

    async fn put_in_place(&self, _: &LabName) -> Result<(), KeyError> {
        Ok(())
    }

    async fn end_renewal(&self, _: &LabName) -> Result<(), KeyError> {
        Ok(())
    }

    async fn password(&self, _: &LabName, seat: &SeatName, _: &Password) -> Result<SecretString, KeyError> {
        Ok(SecretString::from(format!("secret-of-{seat}")))
    }

    async fn has_made_passwords(&self, _: &LabName) -> bool {
        true
    }

    async fn token(&self, _: &LabName, seat: &SeatName, code: &JoinCode, round: u32) -> Result<SecretString, KeyError> {
        Ok(SecretString::from(format!("secret-of-{seat}-{code}-{round}")))
    }

    async fn forget(&self, _: &LabName) -> Result<(), KeyError> {
        Ok(())
    }
}

/// The way to the guests' SSH servers.
pub struct Doors {
    pub stage: Arc<Stage>,
    pub keys: Arc<Keys>,
}

#[async_trait]
impl RemoteShell for Doors {
    async fn run(&self, target: &ShellTarget, command: &str, _: Duration) -> Result<ExecOutput, ShellError> {
        let host = target.host.clone();
        self.stage.point().await;
        self.stage.note_ask(format!("ssh {}@{host} {command}", target.user));
        self.stage.wait(LOGIN).await;
        let unreachable = |why: &str| ShellError::Unreachable { host: host.clone(), why: Clean::new(why) };
        let Some(guest) = host.parse().ok().and_then(|ip| self.stage.handle().guest_at(ip)) else {
            self.stage.wait(NOBODY).await;
            return Err(unreachable("no route to host"));
        };
        let path = format!("/nodes/{}/qemu/{}/ssh", guest.node, guest.vmid);
        let subjects = [guest.vmid.to_string()];
        if !self.stage.world(|world| world.faults.strike(world.seed, "SSH", &path, &subjects)).is_empty() {
            return Err(ShellError::Broken { host: host.clone(), why: Clean::new("the connection broke") });
        }
        if !guest.listening {
            return Err(unreachable("connection refused"));
        }
        let shown = pair(&guest.host_key_seed, "").public;
        let known = match &target.host_key {
            HostKey::Exactly(keys) => keys.iter().any(|key| shown.starts_with(key.as_str())),
            HostKey::Known => false,
        };
        if !known {
            let known = "another".to_owned();
            return Err(ShellError::WrongHost {
                host: host.clone(),
                fingerprint: shown.clone(),
                known,
                key: shown,
                guest: true,
            });
        }
        let offered = self.keys.offered(&target.keys);
        let user = guest.users.iter().find(|user| user.name == target.user);
        if !user.is_some_and(|user| user.keys.iter().any(|key| offered.iter().any(|o| o.trim() == key.trim()))) {
            let why = Clean::new("permission denied (publickey)");
            return Err(ShellError::Denied { host: host.clone(), user: target.user.clone(), why, locked: None });
        }
        let mut session = Session::new(&target.user);
        let Some(output) = self.stage.handle().shell(guest.vmid, &mut session, command, b"") else {
            self.stage.wait(20_000).await;
            return Err(ShellError::TimedOut { host: host.clone(), within: Duration::from_secs(20) });
        };
        self.stage.wait(output.takes).await;
        self.stage.point().await;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = match output.exit {
            Exit::Code(code) => Some(code),
            Exit::Signal(_) => None,
        };
        Ok(ExecOutput { code, stdout: text(output.out), stderr: text(output.err), timed_out: false })
    }

    fn trust(&self, _: &str, _: &str) -> Result<(), Clean> {
        Ok(())
    }

    fn unlock(&self, _: &std::path::Path, _: SecretString) {}

    async fn copy(&self, target: &ShellTarget, _: &Transfer) -> Result<Copied, CopyError> {
        Err(ShellError::Broken { host: target.host.clone(), why: Clean::new("no files on this stage") }.into())
    }

    async fn start(&self, target: &ShellTarget, _: &str) -> Result<ShellSession, ShellError> {
        Err(ShellError::Broken { host: target.host.clone(), why: Clean::new("no streams on this stage") })
    }

    async fn open_as(&self, target: &ShellTarget, _: &Tty, _: Option<&str>) -> Result<ShellSession, ShellError> {
        Err(ShellError::Broken { host: target.host.clone(), why: Clean::new("no terminals on this stage") })
    }
}

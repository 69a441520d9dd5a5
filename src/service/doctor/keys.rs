//! Rules: whether the labs' own SSH keys are there, whole, and open to whoever works with them.

use std::path::Path;

use super::{Findings, look::Lab};
use crate::{
    domain::{LabName, MachineState, Progress},
    port::keys::{Kept, Lock},
    service::own_key::unfinished,
};

/// What is wrong with a lab's key.
pub fn findings(lab: &Lab, out: &mut Findings) {
    let name = &lab.class.name;
    match &lab.key {
        Ok(Kept::Nothing) if !stands(&lab.progress) => {}
        Ok(Kept::Nothing) => lost(name, "it is not there", out),
        Ok(Kept::Damaged(error)) => lost(name, &error.to_string(), out),
        Err(why) => out.error(
            "key",
            format!("{name}: {why}"),
            "nobody logs in to its machines with it",
            "make the file readable for whoever works with the store",
        ),
        Ok(Kept::Pair(key)) => {
            if key.locked == Some(Lock::WrongPassphrase) {
                out.error(
                    "key",
                    format!("{name}: {} is not opened by the configured passphrase", key.private.display()),
                    "nobody logs in to its machines with it, and no run is begun",
                    "correct `key_passphrase` under `[store]`",
                );
            }
            if let Some(words) = unfinished(name, key) {
                let what = words.split_once(": ").map_or(words.as_str(), |(what, _)| what);
                out.warning(
                    "key",
                    what,
                    "the old key and the new one both log in",
                    format!("`homeroom key {name} --renew` goes on with it"),
                );
            }
        }
    }
}

fn lost(name: &LabName, what: &str, out: &mut Findings) {
    out.error(
        "key",
        format!("{name}: its own SSH key is lost: {what}"),
        "nobody logs in to its machines with it, and no plan gives them another",
        format!("bring the file back, or `homeroom key {name} --renew`"),
    );
}

fn stands(progress: &Progress) -> bool {
    progress.seats.iter().any(|row| row.vmid.is_some() && row.state != MachineState::Gone)
}

/// A team's folder that its group may not write in.
pub fn closed(folder: &Path, out: &mut Findings) {
    let path = folder.display();
    out.warning(
        "key",
        format!("{path} is not open to its group, and the store is a team's"),
        "others of the team can make, renew and remove no key: their first deploy of a lab fails",
        format!("as its owner: chmod 2770 {path}"),
    );
}

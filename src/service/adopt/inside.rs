//! A lab's keys in one guest: the new one is put beside the old one, and later the old one taken out, through its agent.
//!
//! The file is never without a key that opens it: what is added is added at its end, what is taken out is written aside
//! first.

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{
        LabName, NodeName, SeatName, Vmid,
        class::SeatSpec,
        machine::machine_name,
        mark::{Ownership, ownership},
        sh::quoted,
        verify::{Wanted, config_wanted, keep_only_changes, key_it_has},
    },
    port::{GuestAgent, agent::ExecOutput, cluster::ConfigChange},
    service::{Homeroom, Site},
};

/// For one command in a guest.
const WITHIN: Duration = Duration::from_secs(30);

/// A machine of the lab, by way of its agent.
pub(super) struct Guest<'a> {
    pub(super) home: &'a Homeroom,
    pub(super) site: &'a Site,
    pub(super) lab: &'a LabName,
    pub(super) seat: SeatName,
    /// None of one that the definition does not ask for any more.
    pub(super) spec: Option<SeatSpec>,
    pub(super) user: String,
    pub(super) agent: Arc<dyn GuestAgent>,
    pub(super) node: NodeName,
    pub(super) vmid: Vmid,
}

/// Where a guest keeps the keys it lets in.
pub(super) struct Account {
    folder: String,
    /// `uid:gid`.
    ids: String,
}

impl Account {
    fn file(&self) -> String {
        format!("{}/authorized_keys", self.folder)
    }
}

impl Guest<'_> {
    async fn exec(&self, words: &[&str]) -> Result<ExecOutput, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let said = self.agent.exec(&self.node, self.vmid, &words, WITHIN).await;
        said.map_err(|error| error.to_string())
    }

    /// Makes sure that it is this seat's, and that its agent answers. Changes nothing.
    pub(super) async fn look(&self) -> Result<Account, String> {
        let (node, vmid) = (&self.node, self.vmid);
        let config = self.site.cluster.config(node, vmid).await.map_err(|error| error.to_string())?;
        let owner = ownership(self.home.store.id(), vmid, false, &config.description);
        if !matches!(&owner, Ownership::Ours(mark) if mark.lab == *self.lab && mark.seat == self.seat) {
            return Err(format!("VM {vmid} on {node} does not carry this seat's mark and is left alone"));
        }
        let passwd = said(self.exec(&["cat", "/etc/passwd"]).await?)?;
        let user = &self.user;
        let (home, ids) = account(&passwd, user).ok_or_else(|| format!("the guest has no user {user}"))?;
        Ok(Account { folder: format!("{home}/.ssh"), ids })
    }

    /// Whether its settings let one of these keys in. Nothing is claimed where they cannot be read.
    pub(super) async fn has_one_of(&self, keys: &[String]) -> bool {
        let config = self.site.cluster.config(&self.node, self.vmid).await;
        config.is_ok_and(|config| key_it_has(&config.plain(), keys.iter().map(String::as_str)).is_some())
    }

    /// Lets the new key in beside what it lets in already.
    pub(super) async fn give(&self, account: &Account, new: &str) -> Result<(), String> {
        let file = account.file();
        let known = self.exec(&["cat", &file]).await?;
        let is_new = known.code != Some(0);
        let text = if is_new { "" } else { known.stdout.as_str() };
        if is_new {
            said(self.exec(&["mkdir", "-p", &account.folder]).await?)?;
        }
        if !text.lines().any(|line| blob(line) == blob(new)) {
            // Not onto a line that somebody left open.
            let open = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            let added = quoted(&format!("{open}{}\n", new.trim()));
            said(self.exec(&["sh", "-c", &format!("printf '%s' {added} >> {file}")]).await?)?;
        }
        if is_new {
            said(self.exec(&["chmod", "700", &account.folder]).await?)?;
            said(self.exec(&["chmod", "600", &file]).await?)?;
            said(self.exec(&["chown", "-R", &account.ids, &account.folder]).await?)?;
        }
        self.write_down(new).await
    }

    /// What cloud-init would write at the next boot of a new instance: no drift is left behind.
    async fn write_down(&self, new: &str) -> Result<(), String> {
        let Some(spec) = &self.spec else { return Ok(()) };
        let (node, vmid) = (&self.node, self.vmid);
        let config = self.site.cluster.config(node, vmid).await.map_err(|error| error.to_string())?;
        let name = machine_name(self.lab, &self.seat);
        let wanted = Wanted { spec, name: &name, lab_key: Some(new), mark: None, agent: false, lent: None };
        let current = config.plain();
        let keys = config_wanted(&wanted, &current).into_iter().filter(|(key, _)| key == "sshkeys").collect();
        let set = keep_only_changes(keys, &current);
        if set.is_empty() {
            return Ok(());
        }
        let change = ConfigChange { set, unset: Vec::new(), digest: config.digest.clone() };
        self.site.cluster.configure(node, vmid, &change).await.map_err(|error| error.to_string())
    }

    /// Lets the old key in no more. The new one has to be there.
    pub(super) async fn take_out(&self, account: &Account, old: Option<&str>, new: &str) -> Result<(), String> {
        let file = account.file();
        let known = said(self.exec(&["cat", &file]).await?)?;
        if !known.lines().any(|line| blob(line) == blob(new)) {
            return Err("the new key is gone from it again".to_owned());
        }
        let lines = keys_with(&known, old.unwrap_or_default(), new);
        if lines == known {
            return Ok(());
        }
        // A full disk leaves the file as it was.
        let (lines, aside) = (quoted(&lines), format!("{file}.homeroom"));
        let line = format!("cp -p {file} {aside} && printf '%s' {lines} > {aside} && mv -f {aside} {file}");
        said(self.exec(&["sh", "-c", &line]).await?).map(drop)
    }
}

fn blob(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
}

/// What a command printed, if it went well.
fn said(output: ExecOutput) -> Result<String, String> {
    match output.code {
        Some(0) => Ok(output.stdout),
        code => Err(format!("ended with {code:?}: {}", output.stderr.trim())),
    }
}

/// A user's home folder, and `uid:gid`. Only folders that need no quoting are taken.
fn account(passwd: &str, user: &str) -> Option<(String, String)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
    let fields: Vec<&str> = line.split(':').collect();
    let (uid, gid, home) = (fields.get(2)?, fields.get(3)?, fields.get(5)?);
    let plain = home.starts_with('/') && home.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    plain.then(|| ((*home).to_owned(), format!("{uid}:{gid}")))
}

/// The lines of `authorized_keys` with the new key and without the old one.
fn keys_with(known: &str, old: &str, new: &str) -> String {
    let stays = |line: &&str| {
        let line = line.trim();
        let comment = |line: &str| line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        // Also one of a lab's earlier keys, which a machine kept that was off when the last one came.
        let earlier = !comment(new).is_empty() && comment(line) == comment(new);
        !line.is_empty() && !earlier && blob(line) != blob(old) && blob(line) != blob(new)
    };
    known.lines().filter(stays).chain([new.trim()]).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_key_takes_the_old_ones_place_and_others_stay() {
        let known = "ssh-ed25519 OWN mara\nssh-ed25519 OLD homeroom cs101\n\n";
        let lines = keys_with(known, "ssh-ed25519 OLD homeroom cs101", "ssh-ed25519 NEW homeroom cs101");
        assert_eq!(lines, "ssh-ed25519 OWN mara\nssh-ed25519 NEW homeroom cs101\n");
        assert_eq!(keys_with(&lines, "ssh-ed25519 OLD x", "ssh-ed25519 NEW homeroom cs101"), lines, "twice is once");
        let known = "ssh-ed25519 OWN mara\nssh-ed25519 FIRST homeroom cs101\n";
        let lines = keys_with(known, "ssh-ed25519 OLD homeroom cs101", "ssh-ed25519 NEW homeroom cs101");
        assert_eq!(lines, "ssh-ed25519 OWN mara\nssh-ed25519 NEW homeroom cs101\n", "a key before the last");
    }

    #[test]
    fn an_account_is_read_and_an_odd_home_is_not_trusted() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1001::/home/ada:/bin/sh\nx:x:1:1::/tmp/$(id):/bin/sh\n";
        assert_eq!(account(passwd, "ada"), Some(("/home/ada".into(), "1000:1001".into())));
        assert_eq!(account(passwd, "x"), None);
        assert_eq!(account(passwd, "eve"), None);
    }
}

//! A new key for a lab whose old one is lost or known to others: made, and given to each machine through its agent.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use tokio_util::sync::CancellationToken;

use crate::{
    deploy::class::rekeyed,
    domain::{
        LabName, NodeName, SeatName, Vmid,
        class::SeatSpec,
        event::RunKind,
        machine::machine_name,
        verify::{Wanted, config_wanted, keep_only_changes},
    },
    port::{GuestAgent, agent::ExecOutput, cluster::ConfigChange},
    service::{
        Homeroom, ServiceError, Site,
        run::{agent_for, lock},
    },
};

/// Machines given their key at once.
const AT_ONCE: usize = 4;
/// For one command in a guest.
const WITHIN: Duration = Duration::from_secs(30);

/// How it went for one seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rekeyed {
    pub seat: SeatName,
    /// Why it has not got the key.
    pub outcome: Result<(), String>,
}

/// Makes a new key for the lab and gives it to every machine, in place of the old one. A machine that could not be
/// given it now (off, its agent silent, `stop` called before its turn) is named. The old key is kept and logs in there
/// until asking again has given the new one to the last of them.
pub async fn rekey(home: &Homeroom, lab: &LabName, stop: &CancellationToken) -> Result<Vec<Rekeyed>, ServiceError> {
    let (mut class, site) = home.class(lab).await?;
    class.cloud_init.user.get_or_insert_with(|| site.rules.user.clone());
    let _held = lock(home, lab, RunKind::Adopt).await?;
    let (progress, _) = home.store.progress(lab).await?;
    let view = site.cluster.view().await?;
    if class.rollcall.via == crate::domain::class::Via::Ssh {
        site.know_nodes().await?;
    }
    // Nothing is renewed at a site that does not answer.
    let key = home.keys.renew(lab).await?;
    let (old, new) = (key.old.map(|old| old.public).unwrap_or_default(), key.public);
    // A new instance of cloud-init, which this makes of each machine, makes host keys anew at its next boot.
    let now = home.clock.now();
    home.store.learn(&site.name, &[(rekeyed(lab), now.as_duration().as_secs_f64())], now).await?;
    let machines: Vec<(SeatSpec, NodeName, Vmid)> = class
        .resolve()
        .into_iter()
        .filter_map(|spec| {
            let vmid = progress.seat(&spec.seat)?.vmid?;
            let node = view.guest(vmid)?.node.clone();
            Some((spec, node, vmid))
        })
        .collect();
    let agent = agent_for(&site, class.rollcall.via);
    let mut all: Vec<BoxFuture<'_, Rekeyed>> = Vec::new();
    for (spec, node, vmid) in machines {
        let (site, old, new) = (&site, &old, &new);
        let inside = Inside { agent: agent.clone(), node, vmid };
        let one = async move {
            let outcome = match stop.is_cancelled() {
                true => Err("it was called off before its turn".to_owned()),
                false => give(home, site, lab, &spec, (old, new), &inside).await,
            };
            Rekeyed { seat: spec.seat, outcome }
        };
        all.push(one.boxed());
    }
    let given: Vec<Rekeyed> = stream::iter(all).buffered(AT_ONCE).collect().await;
    if given.iter().all(|seat| seat.outcome.is_ok()) {
        home.keys.renewed(lab).await?;
    }
    Ok(given)
}

/// A machine, by way of its agent.
struct Inside {
    agent: Arc<dyn GuestAgent>,
    node: NodeName,
    vmid: Vmid,
}

impl Inside {
    async fn exec(&self, words: &[&str]) -> Result<ExecOutput, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let said = self.agent.exec(&self.node, self.vmid, &words, WITHIN).await;
        said.map_err(|error| error.to_string())
    }
}

async fn give(
    home: &Homeroom,
    site: &Site,
    lab: &LabName,
    spec: &SeatSpec,
    (old, new): (&str, &str),
    inside: &Inside,
) -> Result<(), String> {
    let Inside { node, vmid, .. } = inside;
    let vmid = *vmid;
    let config = site.cluster.config(node, vmid).await.map_err(|error| error.to_string())?;
    let owner = crate::domain::mark::ownership(home.store.id(), vmid, false, &config.description);
    if !matches!(&owner, crate::domain::mark::Ownership::Ours(mark) if mark.lab == *lab && mark.seat == spec.seat) {
        return Err(format!("VM {vmid} on {node} does not carry this seat's mark and is left alone"));
    }
    // What cloud-init would write at the next boot of a new instance: no drift is left behind.
    let name = machine_name(lab, &spec.seat);
    let wanted = Wanted { spec, name: &name, lab_key: Some(new), mark: None, agent: false, lent: None };
    let current = config.plain();
    let keys = config_wanted(&wanted, &current).into_iter().filter(|(key, _)| key == "sshkeys").collect();
    let set = keep_only_changes(keys, &current);
    if !set.is_empty() {
        let change = ConfigChange { set, unset: Vec::new(), digest: config.digest.clone() };
        site.cluster.configure(node, vmid, &change).await.map_err(|error| error.to_string())?;
    }
    let user = spec.cloud_init.user.as_deref().unwrap_or("root");
    let passwd = said(inside.exec(&["cat", "/etc/passwd"]).await?)?;
    let (home_folder, ids) = account(&passwd, user).ok_or_else(|| format!("the guest has no user {user}"))?;
    let (folder, file) = (format!("{home_folder}/.ssh"), format!("{home_folder}/.ssh/authorized_keys"));
    let known = inside.exec(&["cat", &file]).await?;
    let is_new = known.code != Some(0);
    let lines = keys_with(if is_new { "" } else { &known.stdout }, old, new);
    if is_new {
        said(inside.exec(&["mkdir", "-p", &folder]).await?)?;
    }
    let quoted = lines.replace('\'', r"'\''");
    said(inside.exec(&["sh", "-c", &format!("printf '%s' '{quoted}' > {file}")]).await?)?;
    if is_new {
        said(inside.exec(&["chmod", "700", &folder]).await?)?;
        said(inside.exec(&["chmod", "600", &file]).await?)?;
        said(inside.exec(&["chown", "-R", &ids, &folder]).await?)?;
    }
    Ok(())
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
    let blob = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
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

//! Rules: logging in to nodes, `qm` there, and machines of ours that the store does not know.

use super::{
    Findings, Grade, Trustable, listed,
    look::{Look, NodeLogin},
};
use crate::{
    domain::mark::Ownership,
    port::shell::{ShellError, ShellTarget},
};

pub fn findings(look: &Look, out: &mut Findings) {
    let mut good = Vec::new();
    for login in &look.logins {
        match &login.outcome {
            Ok(output) if output.code == Some(0) => good.push(label(login)),
            Ok(output) => qm_failed(look, login, output.code, &output.stderr, out),
            Err(error) => no_login(look, login, error, out),
        }
    }
    if !good.is_empty() {
        out.ok("ssh", format!("{}: login and `qm` work", listed(good)));
    }
    strays(look, out);
}

fn label(login: &NodeLogin) -> String {
    match &login.node {
        Some(node) => node.to_string(),
        None => format!("jump host {}", login.target.host),
    }
}

/// What is lost without it.
fn why(look: &Look) -> (Grade, &'static str) {
    if look.needs_node_login {
        (Grade::Error, "the roll call asks guests through the node (`qm guest …`), and nothing is proven without")
    } else {
        (Grade::Warning, "no lab needs it now; leftovers of dead clones cannot be cleared without")
    }
}

/// The command that lets a key in.
fn copy_id(key: &str, login: &NodeLogin) -> String {
    let ShellTarget { host, port, user, .. } = &login.target;
    let port = if *port == 22 { String::new() } else { format!("-p {port} ") };
    format!("ssh-copy-id {port}-i {key}.pub {user}@{host}")
}

fn no_login(look: &Look, login: &NodeLogin, error: &ShellError, out: &mut Findings) {
    let (grade, why) = why(look);
    let (name, site) = (label(login), &look.site);
    let host = &login.target.host;
    let compare =
        "compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on it (or the key of the type shown)";
    match error {
        ShellError::UnknownHost { host, fingerprint, key } => {
            let kind = key.split(' ').next().unwrap_or_default();
            out.add(
                "ssh",
                grade,
                format!("{name} ({host}): nobody trusts its SSH host key yet\n{fingerprint} ({kind})"),
                why,
                format!("{compare};\nif it is the same: homeroom doctor {site} --trust"),
            );
            out.trustable(Trustable::HostKey {
                host: host.clone(),
                key: key.clone(),
                fingerprint: fingerprint.clone(),
                changed: false,
            });
        }
        ShellError::WrongHost { host, fingerprint, known, key, .. } => {
            out.add(
                "ssh",
                Grade::Error,
                format!("{name} ({host}): shows another host key than the trusted one\nshown   {fingerprint}\ntrusted {known}"),
                "it was installed anew, or something sits between you and it",
                format!("{compare};\nif it was installed anew: homeroom doctor {site} --trust {fingerprint}"),
            );
            out.trustable(Trustable::HostKey {
                host: host.clone(),
                key: key.clone(),
                fingerprint: fingerprint.clone(),
                changed: true,
            });
        }
        ShellError::Denied { locked: Some(key), .. } => {
            let mend = format!(
                "`ssh-add {}`, or name a key without a passphrase under ssh in the configuration",
                key.display()
            );
            out.add("ssh", grade, error.to_string(), why, mend);
        }
        ShellError::Denied { .. } => {
            let key = login.target.keys.first().map(|key| key.display().to_string()).unwrap_or_default();
            out.add(
                "ssh",
                grade,
                error.to_string(),
                why,
                format!("`{}`, or name another key under ssh in the configuration", copy_id(&key, login)),
            );
        }
        ShellError::NoKey { .. } => {
            let key = login.target.keys.first().map(|key| key.display().to_string()).unwrap_or_default();
            out.add(
                "ssh",
                grade,
                format!("{name}: {error}"),
                why,
                format!(
                    "`ssh-keygen -t ed25519 -f {key}` and then `{}`, or name another key: ssh = {{ key = \"FILE\" }} \
                     under [sites.{site}]",
                    copy_id(&key, login)
                ),
            );
        }
        ShellError::Unreachable { .. } | ShellError::TimedOut { .. } | ShellError::Broken { .. } => {
            let mend = match &login.node {
                Some(node) => format!(
                    "check that {host} is reached from here and sshd runs there; elsewhere: nodes.{node} = {{ ssh = \"ADDRESS\" }}"
                ),
                None => format!("check that {host} is reached from here and sshd runs there"),
            };
            out.add("ssh", grade, format!("{name}: {error}"), why, mend);
        }
    }
}

fn qm_failed(look: &Look, login: &NodeLogin, code: Option<i32>, stderr: &str, out: &mut Findings) {
    let (grade, why) = why(look);
    let said = crate::domain::Clean::new(stderr.lines().last().unwrap_or_default());
    let code = code.map_or("a signal".to_owned(), |code| format!("code {code}"));
    let mend = if login.target.user == "root" {
        "run `qm list` there by hand: pve-cluster or qemu-server may be broken".to_owned()
    } else {
        format!("qm runs as root alone: log in as root, not as {}", look.user)
    };
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    out.add("qm", grade, format!("{}: `qm list` ended with {code}{said}", label(login)), why, mend);
}

fn strays(look: &Look, out: &mut Findings) {
    for stray in &look.strays {
        let guest = &stray.guest;
        let name = guest.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let label = format!("{}{name} on {}", guest.vmid, guest.node);
        match &stray.owner {
            Ownership::Ours(mark) => out.warning(
                "marks",
                format!("{label} is this store's ({}/{}), and the store does not know it", mark.lab, mark.seat),
                "it runs unseen: no lab shows it and no destroy removes it",
                format!("`homeroom adopt {}` takes it back", look.site),
            ),
            Ownership::OtherStore(mark) => out.warning(
                "marks",
                format!("{label} was made from another homeroom store, for {}/{}", mark.lab, mark.seat),
                "two stores on one site may choose the same names and numbers",
                format!(
                    "work from one store, or give each its own vmids; if that store is lost: \
                     homeroom adopt {} --take-over",
                    look.site
                ),
            ),
            Ownership::Foreign => out.warning(
                "marks",
                format!("{label} has homeroom's tag and no mark of its own: a copy made by hand, or its mark is gone"),
                "homeroom never touches it; whoever looks for the tag takes it for homeroom's",
                format!(
                    "`homeroom adopt {} LAB/SEAT={}` if it is a seat's; `qm set {} --tags ''` on {} if the tag should go",
                    look.site, guest.vmid, guest.vmid, guest.node
                ),
            ),
        }
    }
    if look.strays.is_empty() {
        out.ok("marks", "no machine of ours is unknown to the store");
    }
}

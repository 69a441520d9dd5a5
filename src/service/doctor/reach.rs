//! Rules: addresses, certificates, clocks, version, quorum.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{
    Findings, Trustable, listed,
    look::{Endpoint, Look},
};
use crate::port::{
    SiteError,
    inspect::{Certificate, TrustedBy, Verdict},
};

/// Clocks further apart than this are told of.
const APART: SignedDuration = SignedDuration::from_secs(5);
/// Further than this, certificates and tickets are judged wrongly.
const FAR_APART: SignedDuration = SignedDuration::from_secs(300);

pub fn findings(look: &Look, out: &mut Findings) {
    for endpoint in &look.endpoints {
        reachable(look, endpoint, out);
    }
    let mut answering: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for endpoint in &look.endpoints {
        if let Some(Ok(version)) = &endpoint.version {
            answering.entry(version.as_str()).or_default().push(&endpoint.address);
        }
    }
    for (version, addresses) in answering {
        out.ok("reachable", format!("{}: Proxmox VE {version}", listed(addresses)));
    }
    // Addresses that show the same certificate are one question.
    let mut shown: Vec<(&Certificate, Vec<&str>)> = Vec::new();
    for endpoint in &look.endpoints {
        let Ok(certificate) = &endpoint.certificate else { continue };
        match shown.iter_mut().find(|(known, _)| same_case(known, certificate)) {
            Some((_, addresses)) => addresses.push(&endpoint.address),
            None => shown.push((certificate, vec![&endpoint.address])),
        }
    }
    for (shown, addresses) in shown {
        certificate(look, shown, &addresses, out);
    }
    match &look.view {
        Err(error) => {
            if !out.has_error() {
                unanswered(error, out);
            }
        }
        Ok(_) => {
            version(look, out);
            quorum(look, out);
            clocks(look, out);
        }
    }
}

fn reachable(look: &Look, endpoint: &Endpoint, out: &mut Findings) {
    let address = &endpoint.address;
    match (&endpoint.certificate, &endpoint.version) {
        (Err(why), _) => {
            let others = look.endpoints.iter().any(|other| matches!(other.version, Some(Ok(_))));
            let what = format!("{address} cannot be reached: {why}");
            let mend = "check address, port and firewall, and that pveproxy runs there (`systemctl status pveproxy`)";
            if others {
                out.warning("reachable", what, "with one address fewer the site is sooner out of reach", mend);
            } else {
                out.error("reachable", what, "nothing can be done on the site", mend);
            }
        }
        (Ok(_), Some(Err(error))) => unanswered(error, out),
        (Ok(_), Some(Ok(_)) | None) => {}
    }
}

/// A site that can be reached and gives no answer to work with.
fn unanswered(error: &SiteError, out: &mut Findings) {
    let why = "nothing can be done on the site";
    match error {
        SiteError::Unauthorized { .. } => out.error(
            "credentials",
            error.to_string(),
            why,
            "make the token anew (`pveum user token add USER NAME`) or correct `token` in the configuration",
        ),
        SiteError::LoginRefused { .. } => {
            out.error("credentials", error.to_string(), why, "correct `login` in the configuration, or use a `token`");
        }
        error => {
            out.error("reachable", error.to_string(), why, "look at pveproxy on that node (`journalctl -u pveproxy`)")
        }
    }
}

/// Trusted by the same, or showing the same for the same reason.
fn same_case(a: &Certificate, b: &Certificate) -> bool {
    a.verdict == b.verdict && (a.fingerprint == b.fingerprint || matches!(a.verdict, Verdict::Trusted(_)))
}

fn certificate(look: &Look, shown: &Certificate, addresses: &[&str], out: &mut Findings) {
    let Certificate { fingerprint, verdict } = shown;
    let address = listed(addresses);
    let compare = "compare with `pvenode cert info` on that node, or Node > Certificates in the web interface";
    match verdict {
        Verdict::Trusted(by) => {
            let by = match by {
                TrustedBy::Configuration => "pinned in the configuration",
                TrustedBy::Doctor => "trusted by `doctor --trust`",
                TrustedBy::Authority => "signed by a trusted authority",
            };
            out.ok("certificate", format!("{address}: {by}"));
        }
        Verdict::Unknown(why) => {
            out.error(
                "certificate",
                format!("{address}: nobody trusts the certificate yet ({why})\n{fingerprint}"),
                "nothing is sent to a server that cannot prove who it is",
                format!("{compare};\nif it is the same: homeroom doctor {} --trust", look.site),
            );
        }
        Verdict::Changed { trusted, by } => {
            let mend = match by {
                TrustedBy::Doctor => {
                    format!("{compare};\nif it was renewed: homeroom doctor {} --trust {fingerprint}", look.site)
                }
                _ => format!("{compare};\nif it was renewed: put it under `fingerprints` in the configuration"),
            };
            out.error(
                "certificate",
                format!(
                    "{address}: not the certificate that is trusted\nshown   {fingerprint}\n{}",
                    trusted.iter().map(|t| format!("trusted {t}")).collect::<Vec<_>>().join("\n")
                ),
                "it was renewed, or something sits between you and the cluster; nothing is sent to it",
                mend,
            );
        }
    }
    let changed = match verdict {
        Verdict::Unknown(_) => false,
        Verdict::Changed { by: TrustedBy::Doctor, .. } => true,
        _ => return,
    };
    for address in addresses {
        out.trustable(Trustable::Certificate {
            site: look.site.clone(),
            endpoint: (*address).to_owned(),
            fingerprint: fingerprint.clone(),
            changed,
        });
    }
}

fn version(look: &Look, out: &mut Findings) {
    let Ok(view) = &look.view else { return };
    let versions: BTreeSet<&str> =
        look.endpoints.iter().filter_map(|e| e.version.as_ref()?.as_ref().ok()).map(|v| v.as_str()).collect();
    match look.major() {
        Some(8 | 9) => out.ok("version", format!("Proxmox VE {}", view.version)),
        Some(old @ ..8) => out.error(
            "version",
            format!("Proxmox VE {} is older than homeroom knows", view.version),
            format!("version {old} lacks calls and privileges that homeroom stands on"),
            "upgrade the cluster to 8 or 9",
        ),
        _ => out.warning(
            "version",
            format!("Proxmox VE {} is newer than homeroom knows", view.version),
            "privileges and messages may have changed",
            "look for a newer homeroom; try a small class first",
        ),
    }
    if versions.len() > 1 {
        out.warning(
            "version",
            format!("the nodes run different versions: {}", listed(versions)),
            "privileges differ between 8 and 9, and machines may not move between the nodes",
            "finish the upgrade of the cluster",
        );
    }
}

fn quorum(look: &Look, out: &mut Findings) {
    let Ok(view) = &look.view else { return };
    let offline: Vec<_> = view.nodes.iter().filter(|node| !node.online).map(|node| node.node.to_string()).collect();
    match view.quorate {
        Some(false) => out.error(
            "quorum",
            "the cluster has no quorum",
            "nothing can be created or changed: the cluster's files are read-only",
            "bring nodes back (`pvecm status` on one of them says which are missing)",
        ),
        Some(true) => out.ok("quorum", format!("{} of {} nodes", view.nodes.len() - offline.len(), view.nodes.len())),
        // Named among the privileges.
        None => {}
    }
    if !offline.is_empty() {
        out.warning(
            "quorum",
            format!("offline: {}", listed(offline)),
            "machines there cannot be seen, and none are placed there",
            "bring them back, or leave them out with placement.nodes",
        );
    }
}

fn clocks(look: &Look, out: &mut Findings) {
    if look.scaled {
        return;
    }
    let (mut good, mut unread) = (Vec::new(), None);
    for (node, ahead) in &look.clocks {
        match ahead {
            Ok(ahead) if ahead.abs() <= APART => good.push(node),
            Ok(ahead) => {
                let way = if ahead.is_negative() { "behind" } else { "ahead of" };
                let what = format!("{node} is {} s {way} this computer", ahead.abs().as_secs());
                let why = "logins, certificates and the ages of proofs are judged by the clock";
                let mend = format!("`chronyc tracking` on {node} and here; start chrony where it does not run");
                if ahead.abs() > FAR_APART {
                    out.error("clock", what, why, mend);
                } else {
                    out.warning("clock", what, why, mend);
                }
            }
            Err(SiteError::Forbidden { .. }) => {}
            Err(error) => unread = Some(error),
        }
    }
    if !good.is_empty() {
        out.ok("clock", format!("{} within {} s of this computer", listed(good), APART.as_secs()));
    }
    if let Some(error) = unread {
        out.warning("clock", error.to_string(), "how far the clocks are apart is not known", "run doctor again later");
    }
}

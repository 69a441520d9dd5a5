//! What `doctor` asks of a site: certificates, clocks, privileges, bridges. Only reads.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Url;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    Proxmox,
    ask::Ask,
    decode,
    encode::{Form, path},
    fields::{Fields, rows},
    trust::{self, Trust, Witness, show_fingerprint},
};
use crate::{
    domain::{Clean, NodeName, Vmid},
    port::{
        Inspect, SiteError,
        inspect::{Bridge, Caller, Certificate, RoleRow, TrustedBy, Verdict},
    },
};

#[async_trait]
impl Inspect for Proxmox {
    fn endpoints(&self) -> Vec<String> {
        self.transport.endpoints()
    }

    fn caller(&self) -> Caller {
        match self.transport.badge.id().split_once('!') {
            Some((user, token)) => Caller { user: user.to_owned(), token: Some(token.to_owned()) },
            None => Caller { user: self.transport.badge.id().to_owned(), token: None },
        }
    }

    async fn certificate(&self, endpoint: &str) -> Result<Certificate, Clean> {
        let within = self.transport.limits().connect;
        let trust = &self.transport.trust;
        let witness = Arc::new(Witness::new(trust).map_err(|e| Clean::new(e.to_string()))?);
        let outcome = match timeout(within, shake_hands(endpoint, witness.clone())).await {
            Ok(outcome) => outcome,
            Err(_) => return Err(Clean::new(format!("no connection within {} s", within.as_secs_f32()))),
        };
        let (Some(seen), refused) = (witness.seen(), outcome.err()) else {
            return Err(Clean::new("it did not show a certificate"));
        };
        // Refused for what it showed is a verdict; anything else is a connection that failed.
        let verdict = match (refused, trust) {
            (None, _) => Verdict::Trusted(by(trust)),
            (Some(Trouble { why, untrusted: false }), _) => return Err(why),
            (Some(Trouble { why, .. }), Trust::SystemRoots | Trust::CaFile(_)) => Verdict::Unknown(why),
            (Some(_), Trust::Fingerprints(pins)) => {
                Verdict::Changed { trusted: pins.iter().map(show_fingerprint).collect(), by: by(trust) }
            }
            (Some(_), Trust::Learned(pins)) => match pins.get(endpoint) {
                Some(pin) => Verdict::Changed { trusted: vec![show_fingerprint(pin)], by: by(trust) },
                None => Verdict::Unknown(Clean::new("others of the site are trusted, this one was never seen")),
            },
        };
        Ok(Certificate { fingerprint: show_fingerprint(&seen), verdict })
    }

    async fn version_at(&self, endpoint: &str) -> Result<Clean, SiteError> {
        let what = format!("ask {endpoint} for its version");
        let data = self.transport.send_to(endpoint, Ask::get(what.clone(), path(&["version"]))).await?;
        decode::version(&data).map_err(|why| SiteError::Malformed { what, why: Clean::new(why) })
    }

    async fn time(&self, node: &NodeName) -> Result<Timestamp, SiteError> {
        let ask = Ask::get(format!("read the time of {node}"), path(&["nodes", node.as_str(), "time"]));
        self.read(ask.at(node), time).await
    }

    async fn privileges(&self, on: &str) -> Result<BTreeSet<String>, SiteError> {
        let ask = Ask::get(format!("ask what may be done on {on}"), path(&["access", "permissions"]));
        self.read(ask.form(Form::new().with("path", on)), |data| privileges(on, data)).await
    }

    async fn is_free(&self, vmid: Vmid) -> Result<bool, SiteError> {
        let ask = Ask::get(format!("ask whether {vmid} is free"), path(&["cluster", "nextid"]));
        match self.read(ask.form(Form::new().with("vmid", vmid)), |_| Ok(())).await {
            Ok(()) => Ok(true),
            Err(SiteError::Invalid { errors, .. }) if errors.contains_key("vmid") => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn roles(&self) -> Result<Vec<RoleRow>, SiteError> {
        self.read(Ask::get("list the roles", path(&["access", "roles"])), roles).await
    }

    async fn bridges(&self, node: &NodeName) -> Result<Vec<Bridge>, SiteError> {
        let ask = Ask::get(format!("list the bridges of {node}"), path(&["nodes", node.as_str(), "network"]));
        self.read(ask.at(node).form(Form::new().with("type", "any_bridge")), bridges).await
    }
}

fn by(trust: &Trust) -> TrustedBy {
    match trust {
        Trust::SystemRoots | Trust::CaFile(_) => TrustedBy::Authority,
        Trust::Fingerprints(_) => TrustedBy::Configuration,
        Trust::Learned(_) => TrustedBy::Doctor,
    }
}

/// Why there is no connection.
struct Trouble {
    why: Clean,
    /// It showed a certificate that was not believed.
    untrusted: bool,
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        if let Some(why) = trust::verdict(&error).or_else(|| trust::refusal(&error)) {
            return Self { why: Clean::new(why), untrusted: true };
        }
        let words = error.to_string();
        Self { why: Clean::new(words.split(" (os error").next().unwrap_or(&words)), untrusted: false }
    }
}

async fn shake_hands(endpoint: &str, witness: Arc<Witness>) -> Result<(), Trouble> {
    let trouble = |why: String| Trouble { why: Clean::new(why), untrusted: false };
    let url = Url::parse(endpoint).map_err(|e| trouble(e.to_string()))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let name = ServerName::try_from(host.clone()).map_err(|e| trouble(e.to_string()))?;
    let settings = trust::settings(witness).map_err(|e| trouble(e.to_string()))?;
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    TlsConnector::from(Arc::new(settings)).connect(name, stream).await?;
    Ok(())
}

fn time(data: &Value) -> Result<Timestamp, String> {
    let seconds = Fields::of(data)?.number("time").and_then(|time| i64::try_from(time).ok());
    seconds.and_then(|time| Timestamp::from_second(time).ok()).ok_or_else(|| "it tells no time".to_owned())
}

/// `{"/vms/100": {"VM.Audit": 1}}`; without the path: nothing.
fn privileges(on: &str, data: &Value) -> Result<BTreeSet<String>, String> {
    let paths = Fields::of(data)?;
    let Some(held) = paths.get(on) else { return Ok(BTreeSet::new()) };
    Ok(Fields::of(held)?.iter().map(|(name, _)| Clean::new(name).to_string()).collect())
}

fn roles(data: &Value) -> Result<Vec<RoleRow>, String> {
    let read = |row: Fields<'_>| {
        let list = row.raw("privs").unwrap_or_default();
        let privileges = list.split([',', ' ', ';']).filter(|name| !name.is_empty()).map(|p| Clean::new(p).to_string());
        Some(RoleRow { name: row.text("roleid")?, privileges: privileges.collect() })
    };
    Ok(rows(data)?.into_iter().filter_map(read).collect())
}

fn bridges(data: &Value) -> Result<Vec<Bridge>, String> {
    let read = |row: Fields<'_>| {
        // A virtual network of the cluster's own has no ports to name.
        let has_ports = row.raw("bridge_ports").is_some() || row.raw("ovs_ports").is_some();
        Some(Bridge {
            name: row.text("iface")?,
            vlan_aware: row.flag("bridge_vlan_aware") || row.raw("type").is_none_or(|kind| kind != "bridge"),
            has_ports,
            is_vnet: row.raw("type").is_some_and(|kind| kind == "vnet"),
        })
    };
    Ok(rows(data)?.into_iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn privileges_are_those_of_exactly_the_path_asked_for() {
        let data = json!({"/vms": {"VM.Audit": 1}, "/vms/100": {"VM.Clone": 1, "VM.Audit": 0}});
        let held: Vec<_> = privileges("/vms/100", &data).unwrap().into_iter().collect();
        assert_eq!(held, ["VM.Audit", "VM.Clone"]);
        assert!(privileges("/storage/fast", &data).unwrap().is_empty());
    }

    #[test]
    fn bridges_tell_whether_tags_get_through() {
        let data = json!([
            {"iface": "vmbr0", "type": "bridge", "bridge_ports": "eno1"},
            {"iface": "vmbr1", "type": "bridge", "bridge_ports": "", "bridge_vlan_aware": 1},
            {"iface": "vmbr2", "type": "OVSBridge", "ovs_ports": "eno2"},
        ]);
        let seen: Vec<_> = bridges(&data).unwrap().iter().map(|b| (b.vlan_aware, b.has_ports)).collect();
        assert_eq!(seen, [(false, true), (true, false), (true, true)]);
    }
}

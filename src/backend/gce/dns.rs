//! The calls on Cloud DNS.

use std::{net::Ipv4Addr, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{compute::Gce, http::Call};
use crate::{
    domain::Clean,
    port::{CloudError, Dns, dns::Published},
};

/// Short, so that a machine that comes back at another address is soon found.
const TTL: u32 = 60;
/// What managed zones, their records and changes take.
const DNS_ROLE: &str = "dns.managedZones.list, dns.resourceRecordSets.* and dns.changes.*, such as roles/dns.admin";
/// Between looks at a change, and how many: wall time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS: usize = 120;

impl Gce {
    fn dns_url(&self, path: &str) -> String {
        format!("{}/projects/{}/{path}", self.http.dns, self.project)
    }

    /// A call of Cloud DNS. Its refusals name no permission: the role that has them all is named instead.
    async fn ask_dns(&self, call: Call<'_>) -> Result<Value, CloudError> {
        self.http.call(call).await.map_err(|error| match error {
            CloudError::Forbidden { what, needs: None, words } => {
                CloudError::Forbidden { what, needs: Some(DNS_ROLE.to_owned()), words }
            }
            error => error,
        })
    }

    /// Every page of a list; its items lie under `key`.
    async fn all(&self, what: &str, path: &str, key: &str) -> Result<Vec<Value>, CloudError> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut call = Call::get(what, self.dns_url(path));
            call.query.extend(token.take().map(|token| ("pageToken", token)));
            let page = self.ask_dns(call).await?;
            all.extend(page[key].as_array().cloned().unwrap_or_default());
            match page["nextPageToken"].as_str().filter(|token| !token.is_empty()) {
                Some(next) => token = Some(next.to_owned()),
                None => return Ok(all),
            }
        }
    }

    /// The managed zone a name lies in: the one with the longest name of its own.
    async fn managed(&self, what: &str, name: &str) -> Result<String, CloudError> {
        let zones = self.all(what, "managedZones", "managedZones").await?;
        let fits = |zone: &&Value| {
            let domain = zone["dnsName"].as_str().unwrap_or_default();
            zone["visibility"] != "private" && (name == domain || name.ends_with(&format!(".{domain}")))
        };
        let best = zones.iter().filter(fits).max_by_key(|zone| zone["dnsName"].as_str().map_or(0, str::len));
        best.and_then(|zone| zone["name"].as_str()).map(str::to_owned).ok_or_else(|| CloudError::Refused {
            what: what.to_owned(),
            words: Clean::new(format!(
                "no managed zone of {} holds {}; make one, or change gce.dns in the definition",
                self.project,
                name.trim_end_matches('.')
            )),
        })
    }

    /// All records of a name, of whatever kind, but for those every zone has of itself.
    async fn sets(&self, what: &str, zone: &str, name: &str) -> Result<Vec<Value>, CloudError> {
        let call = Call::get(what, self.dns_url(&format!("managedZones/{zone}/rrsets"))).with("name", name);
        let shown = self.ask_dns(call).await?;
        let sets = shown["rrsets"].as_array().cloned().unwrap_or_default();
        Ok(sets.into_iter().filter(|set| set["type"] != "NS" && set["type"] != "SOA").collect())
    }

    /// Those that are of the two kinds we write.
    async fn records(&self, what: &str, zone: &str, name: &str) -> Result<Vec<Value>, CloudError> {
        let sets = self.sets(what, zone, name).await?;
        Ok(sets.into_iter().filter(|set| set["type"] == "A" || set["type"] == "TXT").collect())
    }

    async fn change(&self, what: &str, zone: &str, body: Value) -> Result<(), CloudError> {
        let url = self.dns_url(&format!("managedZones/{zone}/changes"));
        let mut change = self.ask_dns(Call::post(what, url.clone(), body)).await?;
        for _ in 0..LOOKS {
            if change["status"] == "done" {
                return Ok(());
            }
            self.http.pause(LOOK_EVERY).await;
            let id = change["id"].as_str().unwrap_or_default().to_owned();
            change = self.ask_dns(Call::get(what, format!("{url}/{id}"))).await?;
        }
        Err(CloudError::Busy { what: what.to_owned(), words: Clean::new("the change is still pending") })
    }
}

/// With the dot at its end.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.').to_ascii_lowercase())
}

#[async_trait]
impl Dns for Gce {
    async fn find(&self, name: &str) -> Result<Option<Published>, CloudError> {
        let (name, what) = (absolute(name), format!("looking for {name} in DNS"));
        let zone = self.managed(&what, &name).await?;
        // Also what we never write: an alias or an address of IPv6 that leads elsewhere is somebody's.
        let records = self.sets(&what, &zone, &name).await?;
        let data = |kind: &str| -> Vec<String> {
            let sets = records.iter().filter(|set| set["type"] == kind);
            let texts = sets.flat_map(|set| set["rrdatas"].as_array().cloned().unwrap_or_default());
            texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let addresses = data("A").iter().filter_map(|text| text.parse().ok()).collect();
        let mark = data("TXT").first().map(|text| text.trim_matches('"').to_owned());
        Ok((!records.is_empty()).then_some(Published { addresses, mark }))
    }

    async fn marked(&self, mark: &str) -> Result<Vec<String>, CloudError> {
        let (what, text) = ("looking for names of ours in DNS", format!("\"{mark}\""));
        let mut names = Vec::new();
        for zone in self.all(what, "managedZones", "managedZones").await? {
            let Some(zone) = zone["name"].as_str().filter(|_| zone["visibility"] != "private") else { continue };
            let sets = self.all(what, &format!("managedZones/{zone}/rrsets"), "rrsets").await?;
            let ours = |set: &&Value| {
                let data = set["rrdatas"].as_array().into_iter().flatten();
                set["type"] == "TXT" && data.into_iter().any(|it| it.as_str() == Some(text.as_str()))
            };
            let found = sets.iter().filter(ours).filter_map(|set| set["name"].as_str());
            names.extend(found.map(|name| name.trim_end_matches('.').to_owned()));
        }
        Ok(names)
    }

    async fn publish(&self, name: &str, address: Ipv4Addr, mark: &str) -> Result<(), CloudError> {
        let (name, what) = (absolute(name), format!("publishing {name} as {address}"));
        let zone = self.managed(&what, &name).await?;
        let old = self.records(&what, &zone, &name).await?;
        let set = |kind: &str, data: String| json!({"name": name, "type": kind, "ttl": TTL, "rrdatas": [data]});
        let new = [set("A", address.to_string()), set("TXT", format!("\"{mark}\""))];
        self.change(&what, &zone, json!({"additions": new, "deletions": old})).await
    }

    async fn withdraw(&self, name: &str) -> Result<(), CloudError> {
        let (name, what) = (absolute(name), format!("taking {name} out of DNS"));
        let zone = self.managed(&what, &name).await?;
        let old = self.records(&what, &zone, &name).await?;
        match old.is_empty() {
            true => Ok(()),
            false => self.change(&what, &zone, json!({ "deletions": old })).await,
        }
    }
}

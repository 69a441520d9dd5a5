//! The calls on Compute Engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    error,
    http::{Call, Http, Line, TEST_PERMISSIONS},
    tokens::Tokens,
    view,
};
use crate::{
    domain::{
        Clean, NodeName,
        cloud::{CloudView, InstanceSpec, InstanceState, InstanceView, Past, RuleSpec, carried_by},
    },
    port::{
        Cloud, CloudError,
        cloud::{Ended, Offer, OperationId, Serial},
    },
};

/// Times a lost race is run again; the number Terraform takes.
const RACES: usize = 10;
/// A wait that comes back early is not asked for again at once: wall time.
const FLOOR: Duration = Duration::from_millis(500);
/// Everything we make carries it.
const OURS: &str = "labels.homeroom:*";
/// What the startup script tells under, and under which key it tells that the machine is about to be taken away, as
/// seconds of Unix's clock.
const NAMESPACE: &str = "homeroom";
const PREEMPTED: &str = "preempted";
/// Which operations make something.
const INSERTS: &str = "operationType = insert";

/// A Compute Engine project.
pub struct Gce {
    pub(super) http: Http,
    pub(super) project: String,
}

impl Gce {
    /// `endpoint` takes the place of Google's own; only a simulated project on this host has one.
    pub fn new(project: &str, tokens: Tokens, endpoint: Option<&str>) -> Result<Self, String> {
        Ok(Self { http: Http::new(tokens, endpoint)?, project: project.to_owned() })
    }

    /// The same over a line of another kind.
    pub fn over(project: &str, tokens: Tokens, line: Arc<dyn Line>) -> Self {
        Self { http: Http::over(line, tokens, None), project: project.to_owned() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/projects/{}/{path}", self.http.compute, self.project)
    }

    fn machine(&self, zone: &NodeName, name: &str, deed: &str) -> String {
        self.url(&format!("zones/{zone}/instances/{name}{deed}"))
    }

    /// What carries our labels in all zones. Those that could not be listed are named in `unseen`: what is missing
    /// from the list may well be there.
    async fn scopes(&self, what: &str, kind: &str, unseen: &mut BTreeSet<String>) -> Result<Vec<Value>, CloudError> {
        let take = |page: &Value| {
            unseen.extend(view::unseen(page));
            scoped(page, kind)
        };
        self.pages(what, &format!("aggregated/{kind}"), Some(OURS), take).await
    }

    /// Every page of a list; `take` picks the items out of one.
    async fn pages(
        &self,
        what: &str,
        path: &str,
        filter: Option<&str>,
        mut take: impl FnMut(&Value) -> Vec<Value> + Send,
    ) -> Result<Vec<Value>, CloudError> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut call = Call::get(what, self.url(path));
            call.query.extend(filter.map(|filter| ("filter", filter.to_owned())));
            call.query.extend(token.take().map(|token| ("pageToken", token)));
            let page = self.http.call(call).await?;
            all.extend(take(&page));
            // The token says whether there is more; a page may be empty in between.
            match page["nextPageToken"].as_str().filter(|token| !token.is_empty()) {
                Some(next) => token = Some(next.to_owned()),
                None => return Ok(all),
            }
        }
    }

    /// The operation that a request began, in a zone or in none.
    async fn came_of(&self, zone: Option<&NodeName>, request: &str) -> Result<Option<OperationId>, CloudError> {
        let place = zone.map_or_else(|| "global".to_owned(), |zone| format!("zones/{zone}"));
        let what = format!("looking for what came of a request in {}", zone.map_or("the project", NodeName::as_str));
        let all = self.pages(&what, &format!("{place}/operations"), Some(INSERTS), items).await?;
        let found = all.iter().find(|operation| operation["clientOperationId"] == request);
        let name = found.and_then(|operation| operation["name"].as_str());
        Ok(name.map(|name| OperationId { zone: zone.cloned(), name: name.to_owned() }))
    }

    /// Adds to an instance of ours what it does not show of itself: when it stood still before its newest start, and
    /// whether it was told that it is taken away since then. While it runs its guest tells that; afterwards, and of all
    /// that was before, the cloud's own list of what it did.
    async fn remember(&self, instance: &mut InstanceView) -> Result<(), CloudError> {
        let (zone, name) = (instance.zone.clone(), instance.name.clone());
        let mut preempted = None;
        if instance.stopped.is_some() || instance.state != InstanceState::Running {
            let past = self.past(&zone, &instance.id).await?;
            // What is older than the list goes back is as the instance itself shows it.
            if past.rests.len() > instance.rests.len() {
                instance.rests = past.rests;
            }
            preempted = past.preempted;
        }
        if instance.spot && instance.state == InstanceState::Running {
            let told = self.attributes(&zone, &name, NAMESPACE).await?;
            let seconds = told.get(PREEMPTED).and_then(|text| text.as_str().trim().parse().ok());
            preempted = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        }
        let since = instance.started;
        instance.preempted = preempted.filter(|at| since.is_none_or(|started| started <= *at));
        Ok(())
    }

    /// Waits until an operation is over.
    async fn end(&self, operation: &OperationId) -> Result<Ended, CloudError> {
        loop {
            if let Some(ended) = self.wait(operation).await? {
                return Ok(ended);
            }
            self.http.pause(FLOOR).await;
        }
    }

    async fn operation(&self, call: Call<'_>, zone: Option<&NodeName>) -> Result<OperationId, CloudError> {
        let what = call.what.to_owned();
        // It may be over already, and badly: whoever waits for it is told.
        let made = self.http.call(call).await?;
        match made["name"].as_str() {
            Some(name) => Ok(OperationId { zone: zone.cloned(), name: name.to_owned() }),
            None => Err(CloudError::Lost { what, why: Clean::new("the answer names no operation") }),
        }
    }
}

fn scoped(page: &Value, key: &str) -> Vec<Value> {
    let scopes = page["items"].as_object().into_iter().flatten();
    scopes.flat_map(|(_, scope)| scope[key].as_array().cloned().unwrap_or_default()).collect()
}

fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().cloned().unwrap_or_default()
}

/// The body of an insert.
fn asked_for(zone: &NodeName, spec: &InstanceSpec, request: &str) -> Value {
    // One that was kept has its name still: each request's has its own, the same however often it is sent.
    let disk = format!("{}-{}", spec.name, request.split('-').next().unwrap_or_default());
    let metadata: Vec<Value> = spec.metadata.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let mut scheduling = json!({
        "provisioningModel": if spec.spot { "SPOT" } else { "STANDARD" },
        "onHostMaintenance": if spec.spot { "TERMINATE" } else { "MIGRATE" },
        "automaticRestart": !spec.spot,
        "instanceTerminationAction": "DELETE",
        "maxRunDuration": {"seconds": spec.max_life.as_secs().to_string()},
    });
    if spec.spot {
        // What is preempted can be started again, with what its seats have written; only the end of its time
        // would delete it, and that is ours to do as well.
        scheduling["instanceTerminationAction"] = json!("STOP");
    }
    let accounts: Vec<Value> =
        spec.service_account.iter().map(|account| json!({"email": account.email, "scopes": [account.scope]})).collect();
    json!({
        "name": spec.name,
        "machineType": format!("zones/{zone}/machineTypes/{}", spec.machine_type),
        "labels": spec.labels,
        "tags": {"items": [spec.tag]},
        "disks": [{
            "boot": true,
            "autoDelete": !spec.keep_disk,
            "initializeParams": {
                "diskName": disk,
                "sourceImage": "projects/cos-cloud/global/images/family/cos-stable",
                "diskSizeGb": spec.disk_gb.to_string(),
                "diskType": format!("zones/{zone}/diskTypes/pd-balanced"),
                "labels": carried_by(&disk, &spec.labels),
            },
        }],
        "networkInterfaces": [{
            "network": "global/networks/default",
            "accessConfigs": [{"type": "ONE_TO_ONE_NAT", "name": "External NAT"}],
        }],
        "metadata": {"items": metadata},
        "serviceAccounts": accounts,
        "scheduling": scheduling,
    })
}

fn rule_body(rule: &RuleSpec) -> Value {
    let ports: Vec<String> = rule.ports.iter().map(u16::to_string).collect();
    json!({
        "name": rule.name,
        "description": rule.description,
        "network": "global/networks/default",
        "direction": "INGRESS",
        "sourceRanges": rule.ranges,
        "targetTags": [rule.tag],
        "allowed": [{"IPProtocol": "tcp", "ports": ports}],
    })
}

#[async_trait]
impl Cloud for Gce {
    fn project(&self) -> &str {
        &self.project
    }

    async fn view(&self) -> Result<CloudView, CloudError> {
        let at = Timestamp::now();
        let what = format!("listing what homeroom made in {}", self.project);
        let mut unseen = BTreeSet::new();
        let instances = self.scopes(&what, "instances", &mut unseen).await?;
        let disks = self.scopes(&what, "disks", &mut unseen).await?;
        // Rules have no labels; their description says whose they are.
        let rules = self.pages(&what, "global/firewalls", None, items).await?;
        let mut instances: Vec<InstanceView> = instances.iter().map(view::instance).collect();
        for instance in instances.iter_mut().filter(|it| !matches!(it.state, InstanceState::Coming)) {
            // A look is worth having also where nobody tells this.
            if let Err(error) = self.remember(instance).await {
                tracing::debug!(%error, "what was with an instance before is not known");
            }
        }
        Ok(CloudView {
            at,
            instances,
            disks: disks.iter().map(view::disk).collect(),
            rules: rules.iter().map(view::rule).filter(|rule| rule.description.starts_with("homeroom/")).collect(),
            unseen,
        })
    }

    async fn instance(&self, zone: &NodeName, name: &str) -> Result<InstanceView, CloudError> {
        let what = format!("looking at {name} in {zone}");
        Ok(view::instance(&self.http.call(Call::get(&what, self.machine(zone, name, ""))).await?))
    }

    async fn past(&self, zone: &NodeName, id: &str) -> Result<Past, CloudError> {
        let what = format!("looking in {zone} when an instance was stopped, started and removed");
        // Read as it is known to be taken.
        let filter = format!("targetId eq {id}");
        let all = self.pages(&what, &format!("zones/{zone}/operations"), Some(&filter), items).await?;
        Ok(view::past(&all))
    }

    async fn held(&self, permissions: &[&str]) -> Result<BTreeSet<String>, CloudError> {
        let what = format!("asking what the credentials may do in {}", self.project);
        let url = format!("{}/projects/{}{TEST_PERMISSIONS}", self.http.projects, self.project);
        let shown = self.http.call(Call::post(&what, url, json!({ "permissions": permissions }))).await?;
        let held = shown["permissions"].as_array().into_iter().flatten();
        Ok(held.filter_map(|it| it.as_str().map(str::to_owned)).collect())
    }

    async fn offers(&self, zone: &NodeName, machine_type: &str) -> Result<Offer, CloudError> {
        let what = format!("looking for {machine_type} in {zone}");
        let there = async |path: &str| match self.http.call(Call::get(&what, self.url(path))).await {
            Ok(_) => Ok(true),
            Err(CloudError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        Ok(match there(&format!("zones/{zone}/machineTypes/{machine_type}")).await? {
            true => Offer::Has,
            false if there(&format!("zones/{zone}")).await? => Offer::NoSuchType,
            false => Offer::NoSuchZone,
        })
    }

    async fn insert(&self, zone: &NodeName, spec: &InstanceSpec, request: &str) -> Result<OperationId, CloudError> {
        let what = format!("making {} in {zone}", spec.name);
        let call = Call::post(&what, self.url(&format!("zones/{zone}/instances")), asked_for(zone, spec, request));
        self.operation(call.with("requestId", request), Some(zone)).await
    }

    async fn begun(&self, zone: &NodeName, request: &str) -> Result<Option<OperationId>, CloudError> {
        self.came_of(Some(zone), request).await
    }

    async fn start(&self, zone: &NodeName, name: &str, request: &str) -> Result<OperationId, CloudError> {
        let what = format!("starting {name} in {zone}");
        let mut call = Call::post(&what, self.machine(zone, name, "/start"), Value::Null);
        call.body = None;
        self.operation(call.with("requestId", request), Some(zone)).await
    }

    async fn remove(&self, zone: &NodeName, name: &str, request: &str) -> Result<OperationId, CloudError> {
        let what = format!("removing {name} in {zone}");
        let call = Call::delete(&what, self.machine(zone, name, "")).with("requestId", request);
        self.operation(call, Some(zone)).await
    }

    async fn remove_disk(&self, zone: &NodeName, name: &str, request: &str) -> Result<OperationId, CloudError> {
        let what = format!("removing the disk {name} in {zone}");
        let call = Call::delete(&what, self.url(&format!("zones/{zone}/disks/{name}"))).with("requestId", request);
        self.operation(call, Some(zone)).await
    }

    async fn keep_disk(
        &self,
        zone: &NodeName,
        name: &str,
        keep: bool,
        request: &str,
    ) -> Result<OperationId, CloudError> {
        let what = format!("settling whether the disk of {name} stays without it");
        let shown = self.http.call(Call::get(&what, self.machine(zone, name, ""))).await?;
        let device = shown["disks"][0]["deviceName"].as_str().unwrap_or_default().to_owned();
        let mut call = Call::post(&what, self.machine(zone, name, "/setDiskAutoDelete"), Value::Null);
        call.body = None;
        let call = call.with("autoDelete", (!keep).to_string()).with("deviceName", device);
        self.operation(call.with("requestId", request), Some(zone)).await
    }

    async fn relabel(&self, zone: &NodeName, name: &str, labels: &BTreeMap<String, String>) -> Result<(), CloudError> {
        let what = format!("labelling {name} in {zone}");
        let mut raced = None;
        for _ in 0..RACES {
            let shown = self.http.call(Call::get(&what, self.machine(zone, name, ""))).await?;
            let mut all: Map<String, Value> = shown["labels"].as_object().cloned().unwrap_or_default();
            all.extend(labels.iter().map(|(key, value)| (key.clone(), json!(value))));
            let body = json!({"labels": all, "labelFingerprint": shown["labelFingerprint"]});
            let call = Call::post(&what, self.machine(zone, name, "/setLabels"), body);
            // Whether the race is lost is told by the answer, or by the operation's end.
            let ended = match self.operation(call, Some(zone)).await {
                Ok(operation) => self.end(&operation).await?,
                Err(error) => Err(error),
            };
            match ended {
                Err(error @ CloudError::Raced { .. }) => raced = Some(error),
                other => return other,
            }
        }
        Err(raced.unwrap_or(CloudError::Raced { what, words: Clean::new("again and again") }))
    }

    async fn begun_rule(&self, request: &str) -> Result<Option<OperationId>, CloudError> {
        self.came_of(None, request).await
    }

    async fn insert_rule(&self, rule: &RuleSpec, request: &str) -> Result<OperationId, CloudError> {
        let what = format!("making the firewall rule {}", rule.name);
        let call = Call::post(&what, self.url("global/firewalls"), rule_body(rule)).with("requestId", request);
        self.operation(call, None).await
    }

    async fn update_rule(&self, rule: &RuleSpec, request: &str) -> Result<OperationId, CloudError> {
        let what = format!("changing the firewall rule {}", rule.name);
        let mut call = Call::post(&what, self.url(&format!("global/firewalls/{}", rule.name)), rule_body(rule));
        call.method = Method::PATCH;
        self.operation(call.with("requestId", request), None).await
    }

    async fn remove_rule(&self, name: &str, request: &str) -> Result<OperationId, CloudError> {
        let what = format!("removing the firewall rule {name}");
        let call = Call::delete(&what, self.url(&format!("global/firewalls/{name}"))).with("requestId", request);
        self.operation(call, None).await
    }

    async fn wait(&self, operation: &OperationId) -> Result<Option<Ended>, CloudError> {
        let place = operation.zone.as_ref().map_or("global".to_owned(), |zone| format!("zones/{zone}"));
        let what = "waiting for what was asked for".to_owned();
        let mut call = Call::post(&what, self.url(&format!("{place}/operations/{}/wait", operation.name)), Value::Null);
        call.body = None;
        let shown = self.http.call(call).await.map_err(|error| match error {
            CloudError::Missing { what, words } => CloudError::Lost { what, why: words },
            error => error,
        })?;
        let target = shown["targetLink"].as_str().and_then(|link| link.rsplit('/').next()).unwrap_or_default();
        let kind = shown["operationType"].as_str().unwrap_or("operation");
        // Done is not success.
        let ended = || error::ended(&format!("{kind} of {target}"), &shown).map_or(Ok(()), Err);
        Ok((shown["status"] == "DONE").then(ended))
    }

    async fn attributes(
        &self,
        zone: &NodeName,
        name: &str,
        namespace: &str,
    ) -> Result<BTreeMap<String, Clean>, CloudError> {
        let what = format!("asking what {name} tells of itself");
        let call = Call::get(&what, self.machine(zone, name, "/getGuestAttributes"));
        match self.http.call(call.with("queryPath", format!("{namespace}/"))).await {
            Ok(shown) => {
                let items = shown["queryValue"]["items"].as_array().cloned().unwrap_or_default();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                Ok(items.iter().map(|item| (text(&item["key"]), Clean::new(text(&item["value"])))).collect())
            }
            // It has told nothing yet.
            Err(CloudError::Missing { .. }) => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    async fn serial(&self, zone: &NodeName, name: &str, from: i64) -> Result<Serial, CloudError> {
        let what = format!("reading the serial port of {name}");
        let call = Call::get(&what, self.machine(zone, name, "/serialPort"));
        let shown = self.http.call(call.with("port", "1").with("start", from.to_string())).await?;
        let contents = shown["contents"].as_str().unwrap_or_default();
        let next = shown["next"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Serial { lines: contents.lines().map(Clean::new).collect(), next })
    }

    async fn ask(&self, address: IpAddr, port: u16, path: &str, within: Duration) -> Result<u16, Clean> {
        let at = std::net::SocketAddr::new(address, port);
        self.http.status(&format!("http://{at}{path}"), within).await
    }
}

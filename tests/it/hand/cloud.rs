//! A Compute Engine project on the stage: the program's own client over a line that leads straight to the world,
//! logins through its firewall, and engines that are broken on purpose.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    backend::gce::{Gce, Line, Sent, Silence, Tokens},
    domain::{Clean, NodeName, SiteName},
    port::{
        RemoteShell,
        agent::ExecOutput,
        copy::{Copied, CopyError, Transfer},
        shell::{HostKey, ShellError, ShellInput, ShellOutput, ShellSession, ShellTarget, Tty},
    },
    service::CloudSite,
    sim::gce::{Body, Fate, Outcome, Request, Shut, World},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{shell::Keys, stage::Stage};

/// The project's site.
pub const CLOUD: &str = "cloud";
/// In order of preference.
pub const ZONES: [&str; 3] = ["europe-west3-a", "europe-west3-b", "europe-west3-c"];
const SSH: u16 = 22;
/// What a request takes there and back, in modelled milliseconds.
const WAY: u64 = 40;
/// What a login takes, and what it takes to see that nobody answers.
const LOGIN: u64 = 300;
const NOBODY: u64 = 5000;

/// How the client treats the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudHabit {
    Good,
    /// Sends no request ids.
    DropsTheRequestId,
    /// Takes whatever has its instance's name already for the one it asked for.
    TrustsAlreadyExists,
    /// Takes whatever has its instance's name for its own, whatever its labels.
    SkipsTheLabels,
}

/// What outlives a process: requests that are on their way for longer than their sender lives.
pub struct Cloud {
    pub habit: CloudHabit,
    /// After so many inserts the next one is so late.
    pub late: Mutex<Vec<(u32, Duration)>>,
    /// The labels the last insert asked for.
    labels: Mutex<Value>,
}

impl Cloud {
    pub fn new(habit: CloudHabit) -> Arc<Self> {
        Arc::new(Self { habit, late: Mutex::default(), labels: Mutex::default() })
    }

    fn is_late(&self) -> Option<Duration> {
        let mut late = self.late.lock().unwrap();
        let (left, _) = late.first_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        Some(late.remove(0).1)
    }

    /// The site as a process has it.
    pub fn site(self: &Arc<Self>, stage: &Arc<Stage>, keys: &Arc<Keys>) -> CloudSite {
        // One that outlives the story: nobody fetches another over this line.
        let token = stage.project(|world| {
            world.token_life = u64::MAX / 2;
            world.token()
        });
        let wire = Wire { stage: stage.clone(), cloud: self.clone() };
        let gce = Arc::new(Gce::over("lab-1", Tokens::Fixed(SecretString::from(token)), Arc::new(wire)));
        CloudSite {
            name: SiteName::new(CLOUD).unwrap(),
            environment: "dev".to_owned(),
            max_seats: 50,
            cloud: gce.clone(),
            dns: gce,
            shell: Arc::new(CloudDoors { stage: stage.clone(), keys: keys.clone() }),
            zones: ZONES.iter().map(NodeName::new).collect(),
            spot: false,
            registry: None,
            service_account: None,
            ssh_port: SSH,
            prices: None,
        }
    }
}

struct Wire {
    stage: Arc<Stage>,
    cloud: Arc<Cloud>,
}

#[async_trait]
impl Line for Wire {
    async fn send(&self, sent: Sent) -> Result<(u16, String), Silence> {
        self.stage.point().await;
        let path = sent.url.split_once("://").map_or(sent.url.as_str(), |(_, rest)| rest);
        let path = path.split_once('/').map_or("", |(_, path)| path).to_owned();
        let mut request = Request {
            method: sent.method.to_string(),
            path,
            query: sent.query,
            body: sent.body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default(),
            authorization: Some(format!("Bearer {}", sent.bearer.expose_secret())),
            pays: sent.pays,
            ..Request::default()
        };
        let inserts = request.method == "POST" && request.path.ends_with("/instances");
        if inserts {
            *self.cloud.labels.lock().unwrap() =
                sent.body.as_ref().map(|body| body["labels"].clone()).unwrap_or_default();
        }
        match self.cloud.habit {
            CloudHabit::DropsTheRequestId => request.query.retain(|(key, _)| key != "requestId"),
            CloudHabit::SkipsTheLabels => request.query.retain(|(key, _)| key != "filter"),
            _ => {}
        }
        self.stage.note_ask(format!("{} {}", request.method, request.path));
        self.stage.wait(WAY).await;
        let rule = request.method == "POST" && request.path.ends_with("global/firewalls");
        if (inserts || rule)
            && let Some(late) = self.cloud.is_late()
        {
            // It is on its way; who sent it hears nothing of it.
            self.stage.at_project(late, move |world| drop(world.submit(&request)));
            self.stage.point().await;
            return Err(Silence::Lost("the connection broke".to_owned()));
        }
        let outcome = match self.stage.project(|world| world.submit(&request)) {
            Fate::Broken => {
                self.stage.point().await;
                return Err(Silence::Lost("the connection broke".to_owned()));
            }
            Fate::Answered(outcome) => outcome,
        };
        let answer = match outcome {
            Outcome::Now(answer) => (answer.status, answer.body),
            Outcome::WhenDone { operation, latest } => (200, Body::Json(self.done(&operation, latest).await)),
        };
        self.stage.wait(WAY).await;
        self.stage.point().await;
        let (status, body) = match answer {
            (status, Body::Json(body)) => self.believed(&request, inserts, status, body),
            (status, Body::Text(text)) => (status, json!(text)),
        };
        Ok((status, body.to_string()))
    }

    async fn status(&self, url: &str, _: Duration) -> Result<u16, Clean> {
        self.stage.point().await;
        self.stage.wait(WAY).await;
        let at = url.trim_start_matches("http://").split_once('/').and_then(|(at, path)| {
            let (address, port) = at.split_once(':')?;
            Some((address.parse::<Ipv4Addr>().ok()?, port.parse::<u16>().ok()?, format!("/{path}")))
        });
        let (address, port, path) = at.ok_or_else(|| Clean::new("no address"))?;
        match self.stage.project(|world| world.knock(address, port, &path)) {
            Some(status) => Ok(status),
            None => {
                self.stage.wait(NOBODY).await;
                Err(Clean::new("no answer"))
            }
        }
    }

    async fn pause(&self, time: Duration) {
        self.stage.wait(u64::try_from(time.as_millis()).unwrap()).await;
    }
}

impl Wire {
    /// An operation as it stands when it is done, or at `latest`.
    async fn done(&self, name: &str, latest: u64) -> Value {
        loop {
            let (body, over, next) = self.stage.project(|world| {
                let operation = &world.operations[name];
                let over = operation.done || world.now() >= latest;
                (operation.body.clone(), over, world.next_wake().unwrap_or(latest).min(latest))
            });
            if over {
                return body;
            }
            let now = self.stage.now_ms();
            self.stage.wait(next.saturating_sub(now).max(1)).await;
        }
    }

    /// What an engine of this habit takes the answer for.
    fn believed(&self, request: &Request, inserts: bool, status: u16, mut body: Value) -> (u16, Value) {
        let ours = self.cloud.labels.lock().unwrap().clone();
        let name = "intro-host";
        match self.cloud.habit {
            CloudHabit::TrustsAlreadyExists if inserts && status == 409 => {
                // It goes on with whatever is there.
                let zone = request.path.split('/').rev().nth(1).unwrap_or_default().to_owned();
                self.stage.project(|world| {
                    for instance in world.instances.values_mut().filter(|it| it.zone == zone && it.name == name) {
                        instance.body["labels"] = ours.clone();
                    }
                });
                (200, json!({"name": "operation-0", "status": "DONE", "operationType": "insert"}))
            }
            CloudHabit::SkipsTheLabels if request.path.ends_with("/aggregated/instances") && ours.is_object() => {
                let scopes = body["items"].as_object_mut().into_iter().flatten();
                let all = scopes.flat_map(|(_, scope)| scope["instances"].as_array_mut().into_iter().flatten());
                for instance in all.filter(|it| it["name"] == name) {
                    instance["labels"] = ours.clone();
                }
                (status, body)
            }
            _ => (status, body),
        }
    }
}

/// The way to the instances' SSH servers.
struct CloudDoors {
    stage: Arc<Stage>,
    keys: Arc<Keys>,
}

impl CloudDoors {
    async fn said(&self, target: &ShellTarget, line: &str, stdin: &[u8]) -> Result<ExecOutput, ShellError> {
        let host = target.host.clone();
        self.stage.point().await;
        self.stage.note_ask(format!("ssh {}@{host} {line}", target.user));
        self.stage.wait(LOGIN).await;
        let known = match &target.host_key {
            HostKey::Exactly(keys) => keys.clone(),
            HostKey::Known => Vec::new(),
        };
        let offered = self.keys.offered(&target.keys);
        let Ok(IpAddr::V4(address)) = host.parse() else { panic!("{host} is no address") };
        let at = (address, target.port);
        let said = self.stage.project(|world| world.login(at, &target.user, &known, &offered, (line, stdin)));
        self.stage.point().await;
        match said {
            Ok(said) => {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                let code = i32::try_from(said.code).ok();
                Ok(ExecOutput { code, stdout: text(said.out), stderr: text(said.err), timed_out: false })
            }
            Err(Shut::Silent) => {
                self.stage.wait(NOBODY).await;
                Err(ShellError::Unreachable { host, why: Clean::new("no route to host") })
            }
            Err(Shut::Stranger(key)) => {
                let known = known.join(", ");
                Err(ShellError::WrongHost { host, fingerprint: key.clone(), known, key, guest: true })
            }
            Err(Shut::Denied) => {
                let why = Clean::new("permission denied (publickey)");
                Err(ShellError::Denied { host, user: target.user.clone(), why, locked: None })
            }
        }
    }
}

#[async_trait]
impl RemoteShell for CloudDoors {
    async fn run(&self, target: &ShellTarget, command: &str, _: Duration) -> Result<ExecOutput, ShellError> {
        self.said(target, command, b"").await
    }

    fn trust(&self, _: &str, _: &str) -> Result<(), Clean> {
        Ok(())
    }

    fn unlock(&self, _: &Path, _: SecretString) {}

    async fn copy(&self, target: &ShellTarget, _: &Transfer) -> Result<Copied, CopyError> {
        Err(ShellError::Broken { host: target.host.clone(), why: Clean::new("no files on this stage") }.into())
    }

    async fn start(&self, target: &ShellTarget, command: &str) -> Result<ShellSession, ShellError> {
        let (input, mut typed) = mpsc::channel(8);
        let (shown, output) = mpsc::channel(8);
        let doors = Self { stage: self.stage.clone(), keys: self.keys.clone() };
        let (target, command) = (target.clone(), command.to_owned());
        tokio::spawn(async move {
            let mut given = Vec::new();
            while let Some(ShellInput::Bytes(bytes)) = typed.recv().await {
                given.extend(bytes);
            }
            let end = match doors.said(&target, &command, &given).await {
                Ok(said) => ShellOutput::Exit(said.code.unwrap_or(255)),
                Err(error) => ShellOutput::Lost(Clean::new(error.to_string())),
            };
            let _ = shown.send(end).await;
        });
        Ok(ShellSession { input, output })
    }

    async fn open_as(&self, target: &ShellTarget, _: &Tty, _: Option<&str>) -> Result<ShellSession, ShellError> {
        Err(ShellError::Broken { host: target.host.clone(), why: Clean::new("no terminals on this stage") })
    }
}

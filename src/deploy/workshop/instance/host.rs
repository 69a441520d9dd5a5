//! What the steps share: the cloud, the definition, the way in, and how what is ours is known.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::sync::OnceCell;

use super::{
    super::engine::ProxyCertificate,
    known::{Known, Wait},
};
use crate::{
    deploy::{
        Tuning,
        limits::Limits,
        step::{StepContext, StepError},
    },
    domain::{
        Change, Clean, LabName, Level, MachineState, NodeName, SeatName, StoreId,
        cloud::{
            CloudView, InstanceSpec, InstanceState, InstanceView, RuleSpec, ServiceAccount, doubled, labels, mark,
            request_id,
        },
        hosting::Hosting,
        life::plain,
        machine::machine_name,
        planning::{InstanceShape, MADE_OF, Names, ranges},
        price::Stood,
        readiness::Hand,
        workshop::{SeatsOn, WorkshopDefinition},
    },
    port::{
        Clock, Cloud, Dns, RemoteShell,
        agent::ExecOutput,
        cloud::OperationId,
        keys::LabKey,
        shell::{HostKey, ShellError, ShellInput, ShellOutput, ShellTarget},
    },
};

/// Who logs in to instances.
pub const USER: &str = "homeroom";
/// The label that says when the workshop is to end, in seconds of Unix's clock.
pub const ENDS: &str = "homeroom-ends";
/// Between two looks at something that comes by itself: modelled time.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two looks at the project meanwhile: modelled time.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// A wait that comes back early is not asked for again at once: modelled time.
const FLOOR: Duration = Duration::from_secs(1);

/// The outside of a workshop's run in a cloud.
pub struct Host {
    pub parts: HostParts,
    /// Set once its instance was seen to be gone: no seat looks again.
    pub gone: OnceCell<()>,
    pub limits: Arc<Limits>,
}

/// What it is built from.
pub struct HostParts {
    pub cloud: Arc<dyn Cloud>,
    pub dns: Arc<dyn Dns>,
    pub shell: Arc<dyn RemoteShell>,
    pub clock: Arc<dyn Clock>,
    pub store: StoreId,
    pub workshop: WorkshopDefinition,
    /// What opens each seat's links.
    pub tokens: BTreeMap<SeatName, SecretString>,
    /// The workshop's own.
    pub key: LabKey,
    /// In order of preference.
    pub zones: Vec<NodeName>,
    pub spot: bool,
    /// Goes before the name of an image that names no registry.
    pub registry: Option<String>,
    pub service_account: Option<String>,
    pub ssh_port: u16,
    /// What the instance runs at each start.
    pub script: String,
    /// What proves the proxy's name, where this run makes it and files are given for it.
    pub certificate: Option<ProxyCertificate>,
    pub tuning: Tuning,
}

impl std::ops::Deref for Host {
    type Target = HostParts;
    fn deref(&self) -> &HostParts {
        &self.parts
    }
}

impl Host {
    pub fn new(parts: HostParts) -> Self {
        let limits = Arc::new(Limits::new(parts.tuning.clone(), Default::default()));
        Self { parts, limits, gone: OnceCell::new() }
    }

    pub fn lab(&self) -> &LabName {
        &self.workshop.name
    }

    /// The name of the instance, its disk, its tag and its firewall rule.
    pub fn machine(&self) -> String {
        machine_name(self.lab(), &SeatName::host())
    }

    /// Everything ours in the cloud.
    pub async fn view(&self) -> Result<CloudView, StepError> {
        Ok(self.cloud.view().await?)
    }

    /// The workshop's instances in a look; there is one.
    pub fn own<'v>(&'v self, view: &'v CloudView) -> Vec<&'v InstanceView> {
        view.own(&self.store, self.lab()).collect()
    }

    /// The workshop's instance, where there is one. Of several none is taken for it.
    pub fn only(&self, view: &CloudView) -> Result<Option<InstanceView>, StepError> {
        let own = self.own(view);
        match doubled(self.lab(), &own) {
            Some(why) => Err(StepError::fatal(why)),
            None => Ok(own.first().map(|it| (*it).clone())),
        }
    }

    /// That nothing is seen proves nothing where not everything could be looked at.
    pub fn sees(&self, view: &CloudView) -> Result<(), StepError> {
        match view.blind() {
            Some(why) => Err(StepError::Unreachable(Clean::new(format!(
                "{why}: what {} has there is not known; try again later",
                self.lab()
            )))),
            None => Ok(()),
        }
    }

    /// The workshop's instance; an error without one.
    pub async fn instance(&self) -> Result<InstanceView, StepError> {
        let view = self.view().await?;
        let Some(own) = self.only(&view)? else {
            self.sees(&view)?;
            return Err(StepError::fatal(format!("{} has no instance any more; deploy makes another", self.lab())));
        };
        Ok(own)
    }

    /// A request id of this moment of the run: what is to be sent again with the same one is written down first.
    pub fn request(&self, context: &StepContext, words: &[&str]) -> String {
        // A run that goes on after a death counts its attempts anew; the journal goes on, and is what makes an id its own.
        let run = context.recorder.progress().run;
        let seq = run.map(|run| run.seq).unwrap_or_default().to_string();
        let (run, attempt) = (context.recorder.run().to_string(), context.attempt.to_string());
        let (step, lab, store) = (context.step.as_str(), self.lab().as_str(), self.store.as_str());
        request_id(&[&[store, lab, &run, step, &attempt, &seq], words].concat())
    }

    /// The instance as it is asked for.
    pub fn spec(&self, context: &StepContext) -> InstanceSpec {
        let shape = InstanceShape::of(&self.workshop, self.spot);
        let name = self.machine();
        let mut labels = labels(&self.store, self.lab(), context.recorder.run(), &name);
        let life = context.recorder.progress().life;
        labels.extend(life.map(|life| (ENDS.to_owned(), life.ends_at.as_second().to_string())));
        InstanceSpec {
            labels,
            tag: name.clone(),
            metadata: self.metadata(&shape),
            name,
            machine_type: shape.machine_type,
            disk_gb: shape.disk_gb,
            keep_disk: self.workshop.gce.keep_disk,
            spot: shape.spot,
            service_account: self.identity(),
            max_life: self.workshop.max_life,
        }
    }

    /// What the instance acts as: the account the site names, whose roles say what it may. Without one it is nobody, as
    /// it carries people with root in containers; unless it has to pull images, and then it may read and no more.
    fn identity(&self) -> Option<ServiceAccount> {
        let (email, scope) = match (&self.service_account, &self.registry) {
            (Some(email), _) => (email.as_str(), "https://www.googleapis.com/auth/cloud-platform"),
            (None, Some(_)) => ("default", "https://www.googleapis.com/auth/devstorage.read_only"),
            (None, None) => return None,
        };
        Some(ServiceAccount { email: email.to_owned(), scope: scope.to_owned() })
    }

    /// What the instance is told. No token is among it: whoever may look at the project may read metadata.
    fn metadata(&self, shape: &InstanceShape) -> BTreeMap<String, String> {
        let workshop = &self.workshop;
        let mut out: BTreeMap<String, String> = [
            ("startup-script", self.script.clone()),
            ("ssh-keys", format!("{USER}:{}", self.key.public.trim())),
            ("block-project-ssh-keys", "TRUE".to_owned()),
            ("enable-oslogin", "FALSE".to_owned()),
            ("enable-guest-attributes", "TRUE".to_owned()),
            (MADE_OF, shape.made_of(workshop).text()),
            ("homeroom-lab", self.lab().to_string()),
            ("homeroom-store", self.store.to_string()),
            ("homeroom-seats", workshop.seats.to_string()),
            ("homeroom-seats-on", if workshop.seats_on == SeatsOn::Join { "join" } else { "start" }.to_owned()),
            ("homeroom-image", self.image(&workshop.image)),
            ("homeroom-terminal-port", workshop.ports.terminal.to_string()),
            ("homeroom-files-port", workshop.ports.files.to_string()),
            ("homeroom-proxy-image", self.image(&workshop.proxy.image)),
            ("homeroom-proxy-port", workshop.proxy.port.to_string()),
            ("homeroom-memory", workshop.seat.memory.0.to_string()),
            ("homeroom-cpus", workshop.seat.cpus.to_string()),
            ("homeroom-pids", workshop.seat.pids.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        if let Some(browser) = &workshop.browser {
            out.insert("homeroom-browser-image".to_owned(), self.image(&browser.image));
            out.insert("homeroom-browser-port".to_owned(), browser.port.to_string());
        }
        if let Some(registry) = &self.registry {
            out.insert("homeroom-registry".to_owned(), registry.split('/').next().unwrap_or_default().to_owned());
        }
        out
    }

    /// An image with the site's registry before it, unless it names one itself.
    fn image(&self, image: &str) -> String {
        let first = image.split('/').next().unwrap_or_default();
        let names_one = image.contains('/') && (first.contains('.') || first.contains(':') || first == "localhost");
        match &self.registry {
            Some(registry) if !names_one => format!("{}/{image}", registry.trim_end_matches('/')),
            _ => image.to_owned(),
        }
    }

    /// The firewall rule as it should be: logins for us, the proxy for those who may connect.
    pub fn rule(&self) -> RuleSpec {
        RuleSpec {
            name: self.machine(),
            description: self.mark(),
            tag: self.machine(),
            ranges: ranges(&self.workshop),
            ports: vec![self.ssh_port, self.workshop.proxy.port],
        }
    }

    /// The name to publish, where there is one.
    pub fn name(&self, context: &StepContext) -> Option<String> {
        let code = context.recorder.progress().life.map(|life| life.code.as_str().to_ascii_lowercase());
        self.workshop.published_name(code.as_deref())
    }

    /// Whether a name is asked for, or one was published before.
    pub fn may_be_named(&self, context: &StepContext) -> bool {
        Names::may_be(&self.workshop, &context.recorder.progress())
    }

    /// How long something on an instance may keep us waiting that comes by itself: modelled time.
    pub fn patience(&self) -> Duration {
        self.tuning.ssh_within
    }

    /// Writes down which instance it is that stands: what it has cost is reckoned by that once it is gone, whoever
    /// removes it. One that stood before and was removed by the server, or by somebody else, is reckoned now.
    pub async fn seen(&self, context: &StepContext, instance: &InstanceView) -> Result<(), StepError> {
        let (progress, now) = (context.recorder.progress(), self.clock.now());
        let row = progress.seat(&SeatName::host());
        let before = row.and_then(|row| row.stood.as_ref());
        let stood = Stood::of(instance, progress.life.as_ref().map_or(now, |life| life.born_at));
        if before == Some(&stood) {
            return Ok(());
        }
        if let Some(before) = before.filter(|before| before.id != stood.id) {
            let past = self.cloud.past(&before.zone, &before.id).await;
            if let Err(error) = &past {
                context.note(Level::Debug, format!("what was with the instance before is not known: {error}")).await?;
            }
            let used = before.used(&past.unwrap_or_default(), now);
            let words = format!("an instance before it, in {}, ran for {}", before.zone, plain(used.ran));
            context.record(Level::Debug, words, Change::Used { used }).await?;
        }
        let words = format!("{} in {} is {}", instance.name, instance.zone, instance.machine_type);
        context.record(Level::Debug, words, Change::InstanceSeen { stood }).await
    }

    /// What stands on what has no labels.
    pub fn mark(&self) -> String {
        mark(&self.store, self.lab())
    }

    /// Waits until an operation is done well.
    pub async fn done(&self, context: &StepContext, operation: &OperationId) -> Result<(), Wait> {
        loop {
            match self.cloud.wait(operation).await.map_err(Wait::Cloud)? {
                Some(ended) => return ended.map_err(Wait::Ended),
                None => context.sleep(FLOOR).await.map_err(Wait::Step)?,
            }
        }
    }

    /// Asks for the instance and waits for the end of that. The same request may have been sent before: then a
    /// refusal proves nothing about the earlier one, and the cloud is asked what it knows of it.
    pub async fn insert(
        &self,
        context: &StepContext,
        spec: &InstanceSpec,
        (zone, request): (&NodeName, &str),
        is_first: bool,
    ) -> Result<(), Wait> {
        let operation = match self.cloud.insert(zone, spec, request).await {
            Ok(operation) => operation,
            Err(error) if is_first || !error.refuses() => return Err(Wait::refused(error, is_first)),
            Err(error) => match self.cloud.begun(zone, request).await {
                Ok(Some(operation)) => operation,
                Ok(None) => return Err(Wait::refused(error, false)),
                Err(_) => return Err(Wait::Cloud(error)),
            },
        };
        self.done(context, &operation).await
    }

    /// Has the disk stay, or go, with its instance as the definition says.
    pub async fn settle_disk(&self, context: &StepContext, instance: &InstanceView) -> Result<(), StepError> {
        let keep = self.workshop.gce.keep_disk;
        if instance.keeps_disk == keep {
            return Ok(());
        }
        context.go_on()?;
        let request = self.request(context, &["disk", &instance.id, &keep.to_string()]);
        let operation = self.cloud.keep_disk(&instance.zone, &instance.name, keep, &request).await?;
        self.done(context, &operation).await?;
        Ok(())
    }

    /// What the row of the host has come to in the journal.
    pub fn known(&self, context: &StepContext) -> Known {
        let progress = context.recorder.progress();
        let row = progress.seat(&SeatName::host());
        Known {
            zone: row.and_then(|row| row.node.clone()),
            request: row.and_then(|row| row.request.as_ref().map(Clean::to_string)),
            rule: row.and_then(|row| row.rule_request.as_ref().map(Clean::to_string)),
            address: row.and_then(|row| row.ip),
            host_keys: row.map(|row| row.host_keys.clone()).unwrap_or_default(),
            proxy: row.and_then(|row| row.proxy.clone()),
        }
    }

    /// Where to log in.
    pub fn target(&self, context: &StepContext) -> Result<ShellTarget, StepError> {
        let known = self.known(context);
        let Some(address) = known.address.filter(|_| !known.host_keys.is_empty()) else {
            let lab = self.lab();
            let words =
                format!("its address or host key is not known yet; `homeroom deploy {lab} --yes` looks for both");
            return Err(StepError::fatal(words));
        };
        Ok(ShellTarget {
            host: address.to_string(),
            port: self.ssh_port,
            user: USER.to_owned(),
            keys: vec![self.key.private.clone()],
            ask_agent: false,
            host_key: HostKey::Exactly(known.host_keys),
            via: None,
        })
    }

    /// What the project shows against an instance that does not answer: it is stopped, taken away, elsewhere or gone. That
    /// it cannot be seen is no word against it.
    pub async fn against(&self, context: &StepContext) -> Option<StepError> {
        let view = self.cloud.view().await.ok()?;
        let progress = context.recorder.progress();
        let hosting = Hosting {
            workshop: &self.workshop,
            store: &self.store,
            view: Some(&view),
            address: self.known(context).address,
            hand: Hand::nobodys(&progress),
            now: self.clock.now(),
            max_age: Duration::MAX,
        };
        let runs = hosting.instance().is_some_and(|instance| instance.state == InstanceState::Running);
        match hosting.against()? {
            (MachineState::Gone | MachineState::Stopped, why) => Some(StepError::fatal(why)),
            (MachineState::Stale, why) if runs => Some(StepError::fatal(why)),
            _ => None,
        }
    }

    /// The same while it is waited for, now and then: an error once the wait is in vain.
    pub async fn worth_waiting(&self, context: &StepContext, looked: &mut Duration) -> Result<(), StepError> {
        let now = self.clock.monotonic();
        if now.saturating_sub(*looked) < ASK_EVERY {
            return Ok(());
        }
        *looked = now;
        self.against(context).await.map_or(Ok(()), Err)
    }

    /// Runs a command on the instance.
    pub async fn run(&self, context: &StepContext, command: &str) -> Result<ExecOutput, StepError> {
        self.run_within(context, command, self.tuning.login_within).await
    }

    /// The same with another limit: wall time.
    pub async fn run_within(
        &self,
        context: &StepContext,
        command: &str,
        within: Duration,
    ) -> Result<ExecOutput, StepError> {
        let target = self.target(context)?;
        let error = match self.shell.run(&target, command, within).await {
            Ok(ran) => return Ok(ran),
            Err(error) => error,
        };
        // An address that was given back may be somebody else's by now.
        let is_passing = error.is_passing();
        if (is_passing || matches!(error, ShellError::WrongHost { .. }))
            && let Some(why) = self.against(context).await
        {
            return Err(why);
        }
        Err(match is_passing {
            true => StepError::Unreachable(Clean::new(error.to_string())),
            false => StepError::Fatal(Clean::new(error.to_string())),
        })
    }

    /// Runs a command on the instance with this as its input; its exit status.
    pub async fn pour(&self, context: &StepContext, command: &str, input: Vec<u8>) -> Result<i32, StepError> {
        let target = self.target(context)?;
        let broken = |why: String| StepError::Unreachable(Clean::new(why));
        let mut session = self.shell.start(&target, command).await.map_err(|error| broken(error.to_string()))?;
        for sent in [ShellInput::Bytes(input), ShellInput::Eof] {
            session.input.send(sent).await.map_err(|_| broken(format!("{command}: the connection broke")))?;
        }
        while let Some(said) = session.output.recv().await {
            match said {
                ShellOutput::Exit(code) => return Ok(code),
                ShellOutput::Lost(why) => return Err(broken(format!("{command}: {why}"))),
                ShellOutput::Bytes(_) | ShellOutput::Stderr(_) => {}
            }
        }
        Err(broken(format!("{command}: the connection broke")))
    }
}

//! What the steps of a workshop share: the engine, the definition, and how what is ours is known.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::SecretString;

use crate::{
    deploy::{
        Tuning,
        limits::Limits,
        step::{StepContext, StepError},
    },
    domain::{
        Clean, LabName, Role, SeatName, StoreId,
        engine::{Attached, ContainerSpec, ContainerView, EngineView},
        label::{Label, Owner, owner},
        machine::machine_name,
        planning::MadeOf,
        workshop::{Service, WorkshopDefinition, browser_name, mark},
    },
    port::{Clock, Containers, EngineError},
};

/// The outside of a workshop's run.
pub struct Engine {
    pub containers: Arc<dyn Containers>,
    pub clock: Arc<dyn Clock>,
    pub store: StoreId,
    pub workshop: WorkshopDefinition,
    /// What opens each seat's links.
    pub tokens: BTreeMap<SeatName, SecretString>,
    /// How often each seat went before: its tokens go by that.
    pub rounds: BTreeMap<SeatName, u32>,
    /// What proves the proxy's name, where it is not to make that itself.
    pub certificate: Option<ProxyCertificate>,
    pub tuning: Tuning,
    pub limits: Arc<Limits>,
}

/// A certificate with those that vouch for it, and its key, in PEM.
pub struct ProxyCertificate {
    pub cert: String,
    pub key: SecretString,
}

/// What an engine is built from.
pub struct EngineParts {
    pub containers: Arc<dyn Containers>,
    pub clock: Arc<dyn Clock>,
    pub store: StoreId,
    pub workshop: WorkshopDefinition,
    pub tokens: BTreeMap<SeatName, SecretString>,
    pub rounds: BTreeMap<SeatName, u32>,
    /// What proves the proxy's name, where it is not to make that itself.
    pub certificate: Option<ProxyCertificate>,
    pub tuning: Tuning,
}

/// A container of a seat, as it should be.
pub struct Part {
    pub name: String,
    pub image: String,
    pub made_of: MadeOf,
    pub services: Vec<(Service, u16, u16)>,
}

impl Engine {
    pub fn new(parts: EngineParts) -> Self {
        let EngineParts { containers, clock, store, workshop, tokens, rounds, certificate, tuning } = parts;
        let limits = Arc::new(Limits::new(tuning.clone(), Default::default()));
        Self { containers, clock, store, workshop, tokens, rounds, certificate, tuning, limits }
    }

    pub fn lab(&self) -> &LabName {
        &self.workshop.name
    }

    /// What the proxy is to be made of.
    pub fn proxy(&self) -> MadeOf {
        let mark = self.certificate.as_ref().map(|certificate| mark(&certificate.cert));
        MadeOf::proxy(&self.workshop, mark.as_deref(), &self.rounds)
    }

    /// The name of the proxy and of the network.
    pub fn host_name(&self) -> String {
        machine_name(self.lab(), &SeatName::host())
    }

    /// The names of a row's containers.
    pub fn containers_of(&self, seat: &SeatName) -> Vec<String> {
        match *seat == SeatName::host() {
            true => vec![self.host_name()],
            false => self.parts(seat).into_iter().map(|part| part.name).collect(),
        }
    }

    /// The network a row's containers belong to.
    pub fn attached(&self, seat: &SeatName) -> Attached {
        self.workshop.attached(if *seat == SeatName::host() { Role::Host } else { Role::Seat })
    }

    /// A seat's containers.
    pub fn parts(&self, seat: &SeatName) -> Vec<Part> {
        let number = seat.number().unwrap_or_default();
        let (browser, own): (Vec<_>, Vec<_>) =
            self.workshop.published(number).into_iter().partition(|(what, ..)| *what == Service::Browser);
        let mut parts = vec![Part {
            name: machine_name(self.lab(), seat),
            image: self.workshop.image.clone(),
            made_of: MadeOf::seat(&self.workshop, number),
            services: own,
        }];
        if let (Some(spec), Some(made_of)) = (&self.workshop.browser, MadeOf::browser(&self.workshop)) {
            let name = browser_name(self.lab(), seat);
            parts.push(Part { name, image: spec.image.clone(), made_of, services: browser });
        }
        parts
    }

    /// What goes on something that is made now for a seat, or for the host.
    pub fn label(
        &self,
        context: &StepContext,
        seat: &SeatName,
        name: &str,
        made_of: &MadeOf,
    ) -> BTreeMap<String, String> {
        Label {
            store: self.store.clone(),
            lab: self.lab().clone(),
            seat: seat.clone(),
            run: context.recorder.run(),
            name: name.to_owned(),
            made_of: made_of.text(),
        }
        .to_labels()
    }

    /// A seat's container as it is asked for.
    pub fn spec(&self, context: &StepContext, seat: &SeatName, part: &Part) -> ContainerSpec {
        let limits = &self.workshop.seat;
        ContainerSpec {
            name: part.name.clone(),
            image: part.image.clone(),
            hostname: Some(seat.to_string()),
            command: None,
            labels: self.label(context, seat, &part.name, &part.made_of),
            network: self.attached(seat),
            memory: Some(limits.memory),
            cpus: Some(limits.cpus),
            pids: Some(limits.pids),
            ports: part.services.iter().map(|(_, inside, host)| (*inside, *host)).collect(),
        }
    }

    /// Whether labels say that something is this seat's (or the host's) of this workshop.
    pub fn is_own(&self, seat: &SeatName, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let whose = owner(&self.store, name, labels);
        matches!(whose, Owner::Ours(label) if &label.lab == self.lab() && &label.seat == seat)
    }

    /// The container of that name if it is this seat's; an error if somebody else's has the name.
    pub fn own_container<'v>(
        &self,
        view: &'v EngineView,
        seat: &SeatName,
        name: &str,
    ) -> Result<Option<&'v ContainerView>, StepError> {
        match view.container(name) {
            None => Ok(None),
            Some(found) if self.is_own(seat, name, &found.labels) => Ok(Some(found)),
            Some(_) => Err(StepError::fatal(format!(
                "the engine has a container called {name} that is not ours; it is left alone: remove or rename it, then deploy again"
            ))),
        }
    }

    /// A container's last words, for the reason why it ended.
    pub async fn last_words(&self, container: &ContainerView) -> String {
        match self.containers.last_lines(&container.id, 8).await {
            Ok(lines) if !lines.is_empty() => format!("; it said: {}", telling(&lines).join(" / ")),
            _ => "; it printed nothing".to_owned(),
        }
    }
}

/// Of what a program printed last, the line that says what was wrong, where one says so; else the last three.
fn telling(lines: &[Clean]) -> Vec<&str> {
    let said = |line: &&Clean| line.as_str().to_ascii_lowercase().starts_with("error:");
    match lines.iter().rev().find(said) {
        Some(line) => vec![line.as_str()],
        None => lines.iter().skip(lines.len().saturating_sub(3)).map(Clean::as_str).collect(),
    }
}

impl From<EngineError> for StepError {
    fn from(error: EngineError) -> Self {
        let words = Clean::new(error.to_string());
        match error {
            EngineError::Conflict { .. } => Self::Conflict(words),
            error if error.is_passing() => Self::Unreachable(words),
            _ => Self::Fatal(words),
        }
    }
}

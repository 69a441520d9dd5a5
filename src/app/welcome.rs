//! The first run: nothing is configured, so the demo is offered, or a cluster's address and token are asked for,
//! tried out, and written down.

use super::{
    Effect, Screen, State,
    cursor::Cursor,
    form::{Form, Hidden, Kind},
};
use crate::domain::{Clean, Level, SiteName};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Name,
    Api,
    Environment,
    TokenId,
    Secret,
}

/// A site as it was typed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSite {
    pub name: SiteName,
    /// `https://host:port`
    pub api: String,
    pub environment: String,
    /// `user@realm!name`
    pub token_id: String,
    pub secret: Hidden,
    /// Certificates that were looked at and agreed to.
    pub fingerprints: Vec<String>,
}

/// What trying a site out came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub findings: Vec<Found>,
    /// The certificate it shows, where nobody trusts it yet.
    pub stranger: Option<String>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub level: Level,
    pub check: Clean,
    pub what: Clean,
    pub mend: Clean,
}

/// Where the first run stands.
#[derive(Debug)]
pub enum Step {
    Choose,
    /// The form is filled in.
    Fill,
    /// The site is being tried out.
    Trying(NewSite),
    /// Is this its certificate?
    Stranger {
        site: NewSite,
        fingerprint: String,
    },
    /// What was found.
    Tried {
        site: NewSite,
        findings: Vec<Found>,
    },
    /// The configuration is written, to these files.
    Written(Vec<Clean>),
}

/// What can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Demo,
    Connect,
    Leave,
    Pin,
    Back,
    Write,
    Again,
    Begin,
}

impl Choice {
    pub fn text(self) -> &'static str {
        match self {
            Self::Demo => "try it: a demo on a simulated cluster, which leaves nothing behind",
            Self::Connect => "connect to a Proxmox VE cluster",
            Self::Leave => "leave",
            Self::Pin => "it is the same: believe this certificate, and no other",
            Self::Back => "back to what was typed",
            Self::Write => "write the configuration",
            Self::Again => "try again",
            Self::Begin => "open the dashboard",
        }
    }
}

/// The first run.
#[derive(Debug)]
pub struct Welcome {
    pub step: Step,
    pub form: Form<Ask>,
    pub cursor: Cursor,
    /// Where the configuration will be written.
    pub file: Clean,
    fingerprints: Vec<String>,
}

impl Welcome {
    pub fn new(file: Clean) -> Self {
        let environments = ["prod", "staging", "dev"].map(str::to_owned).to_vec();
        let form = Form::new()
            .with(
                Ask::Name,
                "name",
                Kind::Text,
                "campus",
                "yours to choose: a-z, 0-9 and -; the site is called so everywhere",
            )
            .with(Ask::Api, "address", Kind::Text, "", "of any node, as in the browser: https://pve1.example:8006")
            .with(
                Ask::Environment,
                "stakes",
                Kind::Choice { of: environments, free: false, many: false },
                "prod",
                "left and right choose; on prod, destroying asks for the lab's name",
            )
            .with(
                Ask::TokenId,
                "token",
                Kind::Text,
                "",
                "user@realm!name, as in homeroom@pve!lab; the README says how to make one",
            )
            .with(
                Ask::Secret,
                "secret",
                Kind::Secret,
                "",
                "what `pveum user token add` printed once; kept in a file of its own",
            );
        Self { step: Step::Choose, form, cursor: Cursor::default(), file, fingerprints: Vec::new() }
    }

    /// What can be chosen now.
    pub fn choices(&self) -> Vec<Choice> {
        match &self.step {
            Step::Choose => vec![Choice::Demo, Choice::Connect, Choice::Leave],
            Step::Fill => Vec::new(),
            Step::Trying(_) => vec![Choice::Back],
            Step::Stranger { .. } => vec![Choice::Pin, Choice::Back],
            Step::Tried { findings, .. } if findings.iter().any(|found| found.level == Level::Error) => {
                vec![Choice::Back, Choice::Again, Choice::Write]
            }
            Step::Tried { .. } => vec![Choice::Write, Choice::Back, Choice::Again],
            Step::Written(_) => vec![Choice::Begin, Choice::Leave],
        }
    }

    /// What is chosen at this moment.
    pub fn chosen(&self) -> usize {
        self.cursor.position(&self.keys()).unwrap_or(0)
    }

    fn keys(&self) -> Vec<&'static str> {
        self.choices().into_iter().map(Choice::text).collect()
    }

    pub(super) fn step(&mut self, delta: isize) {
        let keys = self.keys();
        self.cursor.step(&keys, delta);
    }

    fn turn(&mut self, step: Step) {
        self.step = step;
        self.cursor = Cursor::default();
    }

    /// What was typed, if it can be tried; else each field says what is wrong.
    fn read(&mut self) -> Option<NewSite> {
        self.form.insisted = true;
        let read = self.judge();
        if self.form.turn_to_wrong() { None } else { read }
    }

    /// A field changed: what was wrong with it may be right now.
    pub(super) fn typed(&mut self) {
        if self.form.insisted {
            self.judge();
        }
    }

    /// Has each field say what is wrong with it; the site, if nothing is.
    fn judge(&mut self) -> Option<NewSite> {
        self.form.forgive();
        let name = match self.form.value(Ask::Name).parse::<SiteName>() {
            Ok(name) => Some(name),
            Err(_) if self.form.value(Ask::Name).is_empty() => {
                self.form.want(Ask::Name);
                None
            }
            Err(error) => {
                self.form.complain(Ask::Name, error.to_string());
                None
            }
        };
        let typed = self.form.value(Ask::Api).trim_end_matches('/').to_owned();
        let api = address(&typed);
        match &api {
            Err(_) if typed.is_empty() => self.form.want(Ask::Api),
            Err(why) => self.form.complain(Ask::Api, *why),
            Ok(_) => {}
        }
        let token_id = self.form.value(Ask::TokenId).to_owned();
        let shaped = token_id.split_once('!').is_some_and(|(user, token)| {
            user.split_once('@').is_some_and(|(user, realm)| !user.is_empty() && !realm.is_empty()) && !token.is_empty()
        });
        if token_id.is_empty() {
            self.form.want(Ask::TokenId);
        } else if !shaped || token_id.contains(char::is_whitespace) {
            self.form.complain(Ask::TokenId, "it reads user@realm!name");
        }
        let secret = self.form.value(Ask::Secret).to_owned();
        if secret.is_empty() {
            self.form.want(Ask::Secret);
        }
        let environment = self.form.value(Ask::Environment).to_owned();
        if self.form.fields.iter().any(|field| field.wrong.is_some()) {
            return None;
        }
        let (fingerprints, secret) = (self.fingerprints.clone(), Hidden(secret));
        Some(NewSite { name: name?, api: api.ok()?, environment, token_id, secret, fingerprints })
    }
}

/// What a person types for an address, as homeroom wants it: the scheme and the port may be left out.
fn address(typed: &str) -> Result<String, &'static str> {
    let rest = typed.strip_prefix("https://").unwrap_or(typed);
    if typed.starts_with("http://") {
        return Err("Proxmox answers by https only");
    }
    if rest.is_empty() {
        return Err("it is empty");
    }
    if rest.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
        return Err("a host and a port, and nothing behind them: https://pve1.example:8006");
    }
    let has_port = rest.rsplit_once(':').is_some_and(|(host, port)| {
        !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()) && (host.ends_with(']') || !host.contains(':'))
    });
    Ok(if has_port { format!("https://{rest}") } else { format!("https://{rest}:8006") })
}

impl State {
    /// The first run, if it is in front.
    pub fn welcome(&self) -> Option<&Welcome> {
        match self.screen() {
            Screen::Welcome(welcome) => Some(welcome),
            _ => None,
        }
    }

    pub(super) fn welcome_mut(&mut self) -> Option<&mut Welcome> {
        match self.screens.last_mut() {
            Some(Screen::Welcome(welcome)) => Some(welcome),
            _ => None,
        }
    }

    /// Begins with the first run in place of the overview.
    pub fn with_welcome(mut self, file: Clean) -> Self {
        self.screens = vec![Screen::Welcome(Welcome::new(file))];
        self
    }
}

/// Enter on a choice.
pub(super) fn choose(state: &mut State) -> Vec<Effect> {
    let Some(welcome) = state.welcome_mut() else { return Vec::new() };
    let Some(choice) = welcome.choices().get(welcome.chosen()).copied() else { return Vec::new() };
    match (choice, std::mem::replace(&mut welcome.step, Step::Fill)) {
        (Choice::Demo, step) => {
            welcome.step = step;
            vec![Effect::TryDemo]
        }
        (Choice::Leave, step) => {
            welcome.step = step;
            vec![Effect::Quit]
        }
        (Choice::Begin, step) => {
            welcome.step = step;
            vec![Effect::OpenDashboard]
        }
        (Choice::Pin, Step::Stranger { mut site, fingerprint }) => {
            // In place of what was agreed to before: the address may be another now.
            welcome.fingerprints = vec![fingerprint.clone()];
            site.fingerprints = vec![fingerprint];
            attempt(welcome, site)
        }
        (Choice::Again, Step::Tried { site, .. }) => attempt(welcome, site),
        (Choice::Write, Step::Tried { site, findings }) => {
            welcome.step = Step::Tried { site: site.clone(), findings };
            vec![Effect::WriteSite(site)]
        }
        (_, _) => {
            welcome.turn(Step::Fill);
            Vec::new()
        }
    }
}

fn attempt(welcome: &mut Welcome, site: NewSite) -> Vec<Effect> {
    welcome.turn(Step::Trying(site.clone()));
    vec![Effect::TrySite(site)]
}

/// Enter in the form.
pub(super) fn submit(state: &mut State) -> Vec<Effect> {
    let Some(welcome) = state.welcome_mut() else { return Vec::new() };
    welcome.read().map_or_else(Vec::new, |site| attempt(welcome, site))
}

/// Esc: one step back. False at the first.
pub(super) fn back(state: &mut State) -> bool {
    let Some(welcome) = state.welcome_mut() else { return false };
    match welcome.step {
        Step::Choose | Step::Written(_) => return false,
        Step::Fill => welcome.turn(Step::Choose),
        Step::Trying(_) | Step::Stranger { .. } | Step::Tried { .. } => welcome.turn(Step::Fill),
    }
    true
}

/// An answer came: one to something that was given up meanwhile is dropped.
pub(super) fn tried(state: &mut State, site: &NewSite, tried: Tried) {
    let Some(welcome) = state.welcome_mut() else { return };
    let Step::Trying(asked) = &welcome.step else { return };
    if asked != site {
        return;
    }
    let site = site.clone();
    welcome.turn(match tried.stranger {
        Some(fingerprint) => Step::Stranger { site, fingerprint },
        None => Step::Tried { site, findings: tried.findings },
    });
}

pub(super) fn written(state: &mut State, files: Vec<Clean>) {
    if let Some(welcome) = state.welcome_mut() {
        welcome.turn(Step::Written(files));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_understood_as_people_type_it() {
        for (typed, meant) in [
            ("pve1", "https://pve1:8006"),
            ("https://pve1.example", "https://pve1.example:8006"),
            ("https://pve1.example:443", "https://pve1.example:443"),
            ("10.0.0.1", "https://10.0.0.1:8006"),
            ("[fd00::1]", "https://[fd00::1]:8006"),
            ("[fd00::1]:8007", "https://[fd00::1]:8007"),
        ] {
            assert_eq!(address(typed).as_deref(), Ok(meant), "{typed}");
        }
        for typed in ["", "http://pve1", "pve1/api2", "a b", "root@pve1"] {
            assert!(address(typed).is_err(), "{typed}");
        }
    }
}

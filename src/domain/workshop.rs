//! Workshops: one machine that carries a container per seat.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{LabName, Role, SeatName, SiteName, engine::Attached, machine::machine_name, size::Size};

/// What a workshop should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkshopDefinition {
    pub name: LabName,
    pub site: SiteName,
    /// 1–50.
    pub seats: u32,
    /// The container image of a seat.
    pub image: String,
    #[serde(default)]
    pub ports: SeatPorts,
    /// A second container per seat that carries a web browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<Browser>,
    /// What leads from outside to the seats.
    #[serde(default)]
    pub proxy: Proxy,
    /// What one seat may use.
    #[serde(default)]
    pub seat: SeatLimits,
    #[serde(default)]
    pub seats_on: SeatsOn,
    /// Ends by itself after this long; may be extended up to `max_life`.
    #[serde(default = "default_ends_after")]
    pub ends_after: Duration,
    /// No extension passes this.
    #[serde(default = "default_max_life")]
    pub max_life: Duration,
    /// What only a Compute Engine site needs.
    #[serde(default)]
    pub gce: GceSpec,
}

impl WorkshopDefinition {
    /// A workshop with everything else as it is when not said.
    pub fn new(name: LabName, site: SiteName, seats: u32, image: impl Into<String>) -> Self {
        Self {
            name,
            site,
            seats,
            image: image.into(),
            ports: SeatPorts::default(),
            browser: None,
            proxy: Proxy::default(),
            seat: SeatLimits::default(),
            seats_on: SeatsOn::default(),
            ends_after: default_ends_after(),
            max_life: default_max_life(),
            gce: GceSpec::default(),
        }
    }

    /// Every row of the workshop: its host, then its seats by number.
    pub fn rows(&self) -> Vec<(SeatName, Role)> {
        let seats = (1..=self.seats).map(|number| (SeatName::numbered(number), Role::Seat));
        std::iter::once((SeatName::host(), Role::Host)).chain(seats).collect()
    }

    /// Which network the containers of a row belong to.
    pub fn attached(&self, role: Role) -> Attached {
        match role {
            // Only from the host's own is the loopback reached that the seats' ports are bound to.
            Role::Host => Attached::Host,
            _ => Attached::To(machine_name(&self.name, &SeatName::host())),
        }
    }

    /// The names of its containers, and of its network, which is called as its host is.
    pub fn names(&self) -> Vec<String> {
        let browser = |seat: &SeatName, role| {
            let has = self.browser.is_some() && role == Role::Seat;
            has.then(|| browser_name(&self.name, seat))
        };
        let of = |(seat, role): (SeatName, Role)| [Some(machine_name(&self.name, &seat)), browser(&seat, role)];
        self.rows().into_iter().flat_map(of).flatten().collect()
    }

    /// The name it is published under in a cloud; none where its definition asks for none, or where that asks for a
    /// code nobody has given yet.
    pub fn published_name(&self, code: Option<&str>) -> Option<String> {
        let name = self.gce.dns.as_ref()?;
        match (name.contains("{code}"), code) {
            (true, Some(code)) => Some(name.replace("{code}", code)),
            (true, None) => None,
            (false, _) => Some(name.clone()),
        }
    }

    /// The workshop as it stands under a code: on the port of HTTPS its proxy has the name it is published under, where
    /// its definition gives it none.
    pub fn as_published(&self, code: Option<&str>) -> Self {
        let mut workshop = self.clone();
        if workshop.proxy.name.is_none() && workshop.proxy.port == 443 {
            workshop.proxy.name = self.published_name(code);
        }
        workshop
    }

    /// Every image its containers are made of, each once.
    pub fn images(&self) -> Vec<&str> {
        let mut images = vec![self.image.as_str()];
        let others = self.browser.iter().map(|browser| browser.image.as_str()).chain([self.proxy.image.as_str()]);
        for image in others {
            if !images.contains(&image) {
                images.push(image);
            }
        }
        images
    }

    /// Where the proxy is reached; `host` is how the engine's host calls itself.
    pub fn address(&self, host: &str) -> String {
        let port = self.proxy.port;
        match (&self.proxy.name, port) {
            (Some(name), 443) => format!("https://{name}"),
            (Some(name), _) => format!("https://{name}:{port}"),
            (None, 80) => format!("http://{host}"),
            (None, _) => format!("http://{host}:{port}"),
        }
    }

    /// The port of the host's loopback where the proxy says by plain HTTP that it is there, where its own speaks TLS.
    pub fn health_port(&self) -> Option<u16> {
        self.proxy.name.as_ref().map(|_| PROXY_HEALTH)
    }

    /// Ports inside a seat's containers, each with the port of the host's loopback that leads there.
    pub fn published(&self, number: u32) -> Vec<(Service, u16, u16)> {
        let browser = self.browser.as_ref().map(|browser| (Service::Browser, browser.port));
        let inside = [(Service::Terminal, self.ports.terminal), (Service::Files, self.ports.files)];
        inside.into_iter().chain(browser).map(|(what, port)| (what, port, what.host_port(number))).collect()
    }
}

/// What a seat offers, as its route is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    Terminal,
    Files,
    Browser,
}

impl Service {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Files => "files",
            Self::Browser => "browser",
        }
    }

    /// Where it is found on the host's loopback: 3000 + 10 × the seat's number + 1, 2 or 3.
    pub fn host_port(self, number: u32) -> u16 {
        let last = match self {
            Self::Terminal => 1,
            Self::Files => 2,
            Self::Browser => 3,
        };
        u16::try_from(3000 + 10 * number + last).unwrap_or(u16::MAX)
    }
}

/// Below every seat's ports: none is called seat 0.
pub const PROXY_HEALTH: u16 = 3009;

/// The name of a seat's second container.
pub fn browser_name(lab: &LabName, seat: &SeatName) -> String {
    format!("{}-browser", machine_name(lab, seat))
}

/// Four hours: a course's half day.
pub const fn default_ends_after() -> Duration {
    Duration::from_secs(4 * 3600)
}

/// Twelve hours.
pub const fn default_max_life() -> Duration {
    Duration::from_secs(12 * 3600)
}

/// What the seat's container listens on, inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeatPorts {
    pub terminal: u16,
    pub files: u16,
}

impl Default for SeatPorts {
    fn default() -> Self {
        Self { terminal: 3001, files: 3002 }
    }
}

/// The browser container of a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Browser {
    pub image: String,
    /// What it listens on, inside.
    pub port: u16,
}

/// What leads from outside to the seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proxy {
    /// An image with Caddy 2 at `caddy` on its path.
    pub image: String,
    /// Where it listens, on every address of the host.
    pub port: u16,
    /// The name people reach it by. With one it speaks TLS, without one plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What proves the name; without, a certificate of the proxy's own making, which browsers warn of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// Files in PEM, where homeroom runs; read when the proxy is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The certificate, then those that vouch for it.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// A short mark of a text, to tell whether it is another one by now: FNV-1a. It proves nothing.
pub fn mark(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

impl Default for Proxy {
    fn default() -> Self {
        Self { image: "caddy:2".to_owned(), port: 8080, name: None, certificate: None }
    }
}

/// Limits of one seat's container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeatLimits {
    pub memory: Size,
    pub cpus: f64,
    /// Processes and threads.
    pub pids: u32,
}

impl Default for SeatLimits {
    fn default() -> Self {
        Self { memory: Size::gib(1), cpus: 1.0, pids: 256 }
    }
}

/// When the containers of the seats start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeatsOn {
    /// With the workshop.
    #[default]
    Start,
    /// When somebody joins.
    Join,
}

/// `[gce]`: the instance that carries the seats.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GceSpec {
    /// By the number of seats when absent.
    pub machine_type: Option<String>,
    /// The site's choice when absent.
    pub spot: Option<bool>,
    pub disk: Option<Size>,
    /// Keep the disk when the workshop ends.
    pub keep_disk: bool,
    /// A name to publish; `{code}` stands for the join code.
    pub dns: Option<String>,
    /// Who may connect, as networks (`203.0.113.0/24`); everybody when empty.
    pub source_ranges: Vec<String>,
}

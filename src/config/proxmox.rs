//! A Proxmox VE site: endpoints, tokens, the ways into nodes and guests.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{
    ConfigError, Folders, Secret, Warning,
    reader::{Node, Table},
};
use crate::domain::{NodeName, name::VmidRange};

/// `kind = "proxmox"`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxmoxSite {
    /// `https://host:port`, without a slash at the end; tried in turn.
    pub api: Vec<String>,
    /// SHA-256 of the certificates to accept; if any is given, nothing else is.
    pub fingerprints: Vec<Fingerprint>,
    /// Roots to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    pub credentials: Credentials,
    /// May only look; all that a kiosk loads.
    pub monitor_token: Option<Token>,
    /// Guests of ours get numbers from here.
    pub vmids: VmidRange,
    pub guest_via: GuestVia,
    pub ssh: SshSettings,
    pub nodes: BTreeMap<NodeName, NodeSettings>,
    /// How many times a node's memory may be promised.
    pub memory_overcommit: f64,
}

/// How homeroom proves who it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Credentials {
    /// `token`
    Token(Token),
    /// `login`
    Login(Login),
}

/// A user with a password, for tickets.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// `name@realm`
    pub user: String,
    pub password: Secret,
}

/// An API token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// `user@realm!name`
    pub id: String,
    pub secret: Secret,
}

/// How an SSH connection reaches a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestVia {
    Direct,
    /// Through the node the guest runs on.
    Node,
    Jump(JumpHost),
    /// Through the class's teacher machine.
    Teacher,
}

/// `[user@]host[:port]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JumpHost {
    /// That of `ssh.user` when absent.
    pub user: Option<String>,
    pub at: HostPort,
}

/// `host`, `host:port` or `[v6]:port`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: Option<u16>,
}

/// How homeroom logs in to nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSettings {
    pub user: String,
    pub key: PathBuf,
    pub port: u16,
}

/// `nodes.NAME`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// Where to log in, when the cluster's own address cannot be reached from here.
    pub ssh: Option<HostPort>,
}

/// The SHA-256 of a certificate, as Proxmox shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

pub(super) const KEYS: &[&str] = &[
    "kind",
    "environment",
    "api",
    "fingerprints",
    "ca_file",
    "token",
    "login",
    "monitor_token",
    "vmids",
    "max_seats",
    "guest_via",
    "ssh",
    "nodes",
    "memory_overcommit",
];
/// How a token could read.
pub(super) const TOKEN: &str = "{ id = \"homeroom@pve!lab\", secret = { env = \"PVE_SECRET\" } }";
pub(super) const TOKEN_KEYS: &[&str] = &["id", "secret"];
pub(super) const LOGIN_KEYS: &[&str] = &["user", "password"];
pub(super) const SSH_KEYS: &[&str] = &["user", "key", "port"];
pub(super) const NODE_KEYS: &[&str] = &["ssh"];

impl ProxmoxSite {
    /// Whether every endpoint is this very host.
    pub fn is_loopback(&self) -> bool {
        self.api.iter().all(|api| is_loopback(api))
    }

    /// Where to log in to `node`, if the configuration says so.
    pub fn node_ssh(&self, node: &NodeName) -> Option<&HostPort> {
        self.nodes.get(node)?.ssh.as_ref()
    }
}

/// Where relative paths lie, and where warnings go.
pub(super) struct Context<'c> {
    pub folders: &'c Folders,
    pub folder: &'c Path,
    pub warnings: &'c mut Vec<Warning>,
}

pub(super) fn read(table: &Table<'_>, context: &mut Context<'_>) -> Result<ProxmoxSite, ConfigError> {
    let path = |n: Node<'_>| Ok(context.folders.locate(n.text()?, context.folder));
    let ca_file = table.optional("ca_file", path)?;
    let ssh = match table.get("ssh") {
        Some(node) => Some(node.table()?),
        None => None,
    };
    let ssh = SshSettings {
        user: ssh.as_ref().map_or(Ok(None), |t| t.optional("user", |n| login(&n)))?.unwrap_or_else(|| "root".into()),
        key: ssh
            .as_ref()
            .map_or(Ok(None), |t| t.optional("key", path))?
            .unwrap_or_else(|| context.folders.home.join(".ssh/id_ed25519")),
        port: ssh.as_ref().map_or(Ok(None), |t| t.optional("port", |n| n.integer(1..=65535)))?.unwrap_or(22),
    };
    let api = read_api(&table.need("api", "[\"https://pve1:8006\"]")?)?;
    let credentials = read_credentials(table, context)?;
    let monitor_token = table.optional("monitor_token", |n| read_token(&n, context))?;
    Ok(ProxmoxSite {
        api,
        fingerprints: table.or("fingerprints", Vec::new(), |n| n.list()?.iter().map(Node::parsed).collect())?,
        ca_file,
        credentials,
        monitor_token,
        vmids: match table.get("vmids") {
            Some(node) => node.parsed()?,
            None => VMIDS.parse().map_err(|e: String| table.node().complain(e))?,
        },
        guest_via: table.or("guest_via", GuestVia::Direct, |n| read_guest_via(&n))?,
        ssh,
        nodes: table.or("nodes", BTreeMap::new(), |n| n.entries()?.iter().map(read_node).collect())?,
        memory_overcommit: table.or("memory_overcommit", 1.0, |n| n.number(0.1..=10.0))?,
    })
}

/// Used where a site names none.
const VMIDS: &str = "9100-9999";

fn read_api(node: &Node<'_>) -> Result<Vec<String>, ConfigError> {
    let items = if node.is_string() { vec![node.clone()] } else { node.list()? };
    if items.is_empty() {
        return Err(node.complain(format!("{} is empty; name at least one node's address", node.path())));
    }
    items.iter().map(read_endpoint).collect()
}

fn read_endpoint(node: &Node<'_>) -> Result<String, ConfigError> {
    const RULE: &str = "an https address, such as \"https://pve1:8006\"";
    let text = node.text()?.trim_end_matches('/');
    if text.contains('@') {
        return Err(
            node.complain(format!("{} must not hold a user or password; the token goes under token", node.path()))
        );
    }
    let url = reqwest::Url::parse(text).map_err(|_| node.refuse(RULE))?;
    if url.scheme() != "https" || url.host_str().is_none_or(str::is_empty) || url.query().is_some() {
        return Err(node.refuse(RULE));
    }
    Ok(text.to_owned())
}

/// Whether a URL leads to this very host.
pub(super) fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read_token(node: &Node<'_>, context: &mut Context<'_>) -> Result<Token, ConfigError> {
    let node = node.clone().hushed();
    if !node.is_table() {
        return Err(node.refuse("{ id = \"user@realm!name\", secret = { env = \"NAME\" } }"));
    }
    let table = node.table()?;
    let id = table.need("id", "\"homeroom@pve!lab\"")?;
    let text = id.text()?;
    let shaped = text.split_once('!').is_some_and(|(user, name)| {
        user.split_once('@').is_some_and(|(user, realm)| !user.is_empty() && !realm.is_empty())
            && !name.is_empty()
            && !text.contains(['=', ' '])
    });
    if !shaped {
        return Err(id.complain(format!(
            "{} must be user@realm!name, such as \"homeroom@pve!lab\"; the secret goes under secret",
            id.path()
        )));
    }
    let secret = table.need("secret", "{ env = \"PVE_SECRET\" }")?;
    let secret = Secret::read(secret, context.folders, context.folder, context.warnings)?;
    Ok(Token { id: text.to_owned(), secret })
}

/// Exactly one of `token` and `login`.
fn read_credentials(table: &Table<'_>, context: &mut Context<'_>) -> Result<Credentials, ConfigError> {
    match (table.get("token"), table.get("login")) {
        (Some(token), None) => read_token(&token, context).map(Credentials::Token),
        (None, Some(login)) => read_login(&login, context).map(Credentials::Login),
        (Some(_), Some(login)) => Err(login.complain(format!(
            "{} stands beside token; keep one of the two: a token where you can make one",
            login.path()
        ))),
        (None, None) => Err(table.node().lacks(
            "token",
            format!(
                "{0}.token is missing; write token = {TOKEN}, \
             or login = {{ user = \"admin@pam\", password = {{ env = \"PVE_PASSWORD\" }} }}",
                table.node().path()
            ),
        )),
    }
}

fn read_login(node: &Node<'_>, context: &mut Context<'_>) -> Result<Login, ConfigError> {
    let node = node.clone().hushed();
    if !node.is_table() {
        return Err(node.refuse("{ user = \"name@realm\", password = { env = \"NAME\" } }"));
    }
    let table = node.table()?;
    let user = table.need("user", "\"admin@pam\"")?;
    let text = user.text()?;
    let shaped = text.rsplit_once('@').is_some_and(|(name, realm)| !name.is_empty() && !realm.is_empty());
    if !shaped || text.contains(['!', '=', ' ']) {
        return Err(user.complain(format!(
            "{} must be name@realm, such as \"admin@pam\" or \"ada@pve\"; the password goes under password",
            user.path()
        )));
    }
    let password = table.need("password", "{ env = \"PVE_PASSWORD\" }")?;
    let password = Secret::read(password, context.folders, context.folder, context.warnings)?;
    Ok(Login { user: text.to_owned(), password })
}

fn read_guest_via(node: &Node<'_>) -> Result<GuestVia, ConfigError> {
    const RULE: &str = "\"direct\", \"node\", \"teacher\" or \"jump:HOST\" with [user@]host[:port]";
    match node.text().map_err(|_| node.refuse(RULE))? {
        "direct" => Ok(GuestVia::Direct),
        "node" => Ok(GuestVia::Node),
        "teacher" => Ok(GuestVia::Teacher),
        other => other
            .strip_prefix("jump:")
            .and_then(|host| host.parse().ok())
            .map(GuestVia::Jump)
            .ok_or_else(|| node.refuse(RULE)),
    }
}

fn read_node((node, name): &(Node<'_>, &str)) -> Result<(NodeName, NodeSettings), ConfigError> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(node.complain(format!("{} does not name a node: letters, digits and - only", node.path())));
    }
    let ssh = node.table()?.optional("ssh", |n| n.parsed())?;
    Ok((NodeName::new(name), NodeSettings { ssh }))
}

/// A Unix user to log in as.
pub(super) fn login(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    let shaped = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.len() <= 32
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if shaped { Ok(text.to_owned()) } else { Err(node.refuse("a user name: up to 32 letters, digits, _, - or .")) }
}

impl FromStr for HostPort {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no host or host:port, such as \"10.0.0.11\" or \"pve1:2222\"");
        let port = |port: &str| port.parse().ok().filter(|port| *port > 0u16).ok_or_else(wrong);
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            match rest.split_once(']').ok_or_else(wrong)? {
                (host, "") => (host, None),
                (host, rest) => (host, Some(port(rest.strip_prefix(':').ok_or_else(wrong)?)?)),
            }
        } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            match text.split_once(':') {
                Some((host, rest)) => (host, Some(port(rest)?)),
                None => (text, None),
            }
        };
        let shaped = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || host.starts_with('-') || !host.chars().all(shaped) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl FromStr for JumpHost {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('@') {
            Some((user, at)) if !user.is_empty() && !user.starts_with('-') && !user.contains(char::is_whitespace) => {
                Ok(Self { user: Some(user.to_owned()), at: at.parse()? })
            }
            Some(_) => Err(format!("{text:?} is no [user@]host[:port]")),
            None => Ok(Self { user: None, at: text.parse()? }),
        }
    }
}

impl FromStr for Fingerprint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no SHA-256 fingerprint: 32 pairs of hex digits, as `pvenode cert info` and the web interface show"
            )
        };
        let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if n == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_with_and_without_a_port() {
        let read = |text: &str| text.parse::<HostPort>().map(|at| (at.host, at.port)).ok();
        assert_eq!(read("10.0.0.11"), Some(("10.0.0.11".into(), None)));
        assert_eq!(read("127.0.0.1:2201"), Some(("127.0.0.1".into(), Some(2201))));
        assert_eq!(read("fe80::1"), Some(("fe80::1".into(), None)));
        assert_eq!(read("[fe80::1]:22"), Some(("fe80::1".into(), Some(22))));
        for bad in ["", ":22", "pve1:", "pve1:0", "pve1:70000", "-oProxyCommand=x", "a b", "[::1]22"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_fingerprint_comes_back_as_proxmox_shows_it() {
        let text = ["AB"; 32].join(":");
        assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text);
        assert_eq!(text.replace(':', "").to_lowercase().parse::<Fingerprint>().unwrap().to_string(), text);
        assert!("AB:CD".parse::<Fingerprint>().is_err());
    }

    #[test]
    fn only_this_host_is_loopback() {
        for url in ["https://127.0.0.1:8006", "https://[::1]:1", "https://localhost:2", "https://127.9.9.9"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["https://pve1:8006", "https://127.0.0.1.example", "https://localhost.example"] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}

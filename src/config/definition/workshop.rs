//! A workshop: its seats, their image and limits, and its end.

use std::{net::Ipv4Addr, time::Duration};

use super::{Context, check_seats, cloud_init::network, machine::size};
use crate::{
    config::{
        ConfigError, SiteKind, duration,
        reader::{Node, Schema, Table},
    },
    domain::{
        LabName, SiteName, image,
        size::Size,
        workshop::{
            Browser, Certificate, GceSpec, PROXY_HEALTH, Proxy, SeatLimits, SeatPorts, SeatsOn, WorkshopDefinition,
            default_ends_after, default_max_life,
        },
    },
};

pub(super) const SCHEMA: Schema = &[
    (
        "",
        &[
            "kind",
            "name",
            "site",
            "seats",
            "image",
            "ports",
            "browser",
            "proxy",
            "seat",
            "seats_on",
            "ends_after",
            "max_life",
            "gce",
        ],
    ),
    ("ports", &["terminal", "files"]),
    ("browser", &["image", "port"]),
    ("proxy", &["image", "port", "name", "cert_file", "key_file"]),
    ("seat", &["memory", "cpus", "pids"]),
    ("gce", &["machine_type", "spot", "disk", "keep_disk", "dns", "source_ranges"]),
];

pub(super) fn read(
    root: &Table<'_>,
    name: LabName,
    site: SiteName,
    context: &Context<'_>,
) -> Result<WorkshopDefinition, ConfigError> {
    let seats = root.need("seats", "10")?;
    if !seats.is_integer() {
        return Err(seats.refuse("a whole number from 1 to 50"));
    }
    let count = seats.integer(0..=u64::MAX).map_err(|_| seats.refuse("a whole number from 1 to 50"))?;
    let (minute, month) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));
    let ends = root.get("ends_after");
    let ends_after = ends.as_ref().map_or(Ok(default_ends_after()), |n| duration::read(n, minute, month))?;
    let max_life = match root.get("max_life") {
        Some(node) => duration::read(&node, minute, month)?,
        None => default_max_life().max(ends_after),
    };
    if ends_after > max_life {
        let node = ends.unwrap_or_else(|| root.node().clone());
        return Err(node.complain(format!(
            "ends_after is {}, later than max_life ({}), which nothing passes",
            duration::print(ends_after),
            duration::print(max_life)
        )));
    }
    let ports = root.or("ports", SeatPorts::default(), |n| read_ports(&n))?;
    Ok(WorkshopDefinition {
        seats: check_seats(&seats, count, "seats", context)?,
        image: image(&root.need("image", "\"workspace:latest\"")?)?,
        browser: root.optional("browser", |n| read_browser(&n, ports))?,
        proxy: root.or("proxy", Proxy::default(), |n| read_proxy(&n, context))?,
        seat: root.or("seat", SeatLimits::default(), |n| read_limits(&n))?,
        seats_on: root
            .or("seats_on", SeatsOn::Start, |n| n.choice(&[("start", SeatsOn::Start), ("join", SeatsOn::Join)]))?,
        ends_after,
        max_life,
        gce: root.or("gce", GceSpec::default(), |n| read_gce(&n, context))?,
        ports,
        name,
        site,
    })
}

fn image(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    match image::check(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(why) => Err(node.refuse(format!("a container image, such as \"workspace:latest\" ({why})"))),
    }
}

fn read_ports(node: &Node<'_>) -> Result<SeatPorts, ConfigError> {
    let table = node.table()?;
    let default = SeatPorts::default();
    let terminal = table.or("terminal", default.terminal, |n| n.integer(1..=65535))?;
    let files = table.or("files", default.files, |n| n.integer(1..=65535))?;
    if terminal == files {
        return Err(node.complain(format!("ports.terminal and ports.files are both {files}; they must differ")));
    }
    Ok(SeatPorts { terminal, files })
}

fn read_browser(node: &Node<'_>, ports: SeatPorts) -> Result<Browser, ConfigError> {
    let table = node.table()?;
    let port = table.or("port", 3003, |n| n.integer(1..=65535))?;
    if port == ports.terminal || port == ports.files {
        return Err(node.complain(format!("browser.port is {port}, which ports has already; they must differ")));
    }
    Ok(Browser { image: image(&table.need("image", "\"neko:latest\"")?)?, port })
}

/// Below the ports of the seats, or above: theirs are 3011 to 3503, and at 3009 a proxy with TLS says that it is there.
fn read_proxy(node: &Node<'_>, context: &Context<'_>) -> Result<Proxy, ConfigError> {
    let table = node.table()?;
    let default = Proxy::default();
    let port = table.or("port", default.port, |n| n.integer(1..=65535))?;
    if port == PROXY_HEALTH {
        return Err(node.complain(format!("proxy.port is {port}, where a proxy with TLS says that it is there")));
    }
    if (3011..=3503).contains(&port) {
        return Err(node.complain(format!("proxy.port is {port}; 3011 to 3503 are the seats' own")));
    }
    let image = table.optional("image", |n| image(&n))?.unwrap_or(default.image);
    let name = table.optional("name", |n| host_name(&n))?;
    let file = |key| table.optional(key, |n: Node<'_>| Ok(context.folders.locate(n.text()?, context.folder)));
    let certificate = match (file("cert_file")?, file("key_file")?) {
        (Some(cert_file), Some(key_file)) => Some(Certificate { cert_file, key_file }),
        (None, None) => None,
        _ => return Err(node.complain("proxy.cert_file and proxy.key_file go together".to_owned())),
    };
    if certificate.is_some() && name.is_none() {
        return Err(node.complain("proxy.cert_file proves a name: set proxy.name too".to_owned()));
    }
    Ok(Proxy { image, port, name, certificate })
}

/// Small letters only, as certificates and browsers compare them.
fn host_name(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    if is_host_name(text) && !text.contains(char::is_uppercase) {
        return Ok(text.to_owned());
    }
    Err(node.refuse("a host name in small letters, such as \"workshop.example.com\""))
}

fn read_limits(node: &Node<'_>) -> Result<SeatLimits, ConfigError> {
    let table = node.table()?;
    let default = SeatLimits::default();
    Ok(SeatLimits {
        memory: table.or("memory", default.memory, |n| size(&n, Size::mib(16)))?,
        cpus: table.or("cpus", default.cpus, |n| n.number(0.05..=256.0))?,
        pids: table.or("pids", default.pids, |n| n.integer(16..=1_000_000))?,
    })
}

fn read_gce(node: &Node<'_>, context: &Context<'_>) -> Result<GceSpec, ConfigError> {
    if let Some(site) = context.site.filter(|site| !matches!(site.kind, SiteKind::Gce(_))) {
        return Err(node.complain(format!("[gce] needs a gce site; {} is a {} site", site.name, site.kind_name())));
    }
    let table = node.table()?;
    let machine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    Ok(GceSpec {
        machine_type: table
            .optional("machine_type", |n| n.word(machine, "a machine type, such as \"e2-standard-4\""))?,
        spot: table.optional("spot", |n| n.boolean())?,
        disk: table.optional("disk", |n| disk(&n))?,
        keep_disk: table.or("keep_disk", false, |n| n.boolean())?,
        dns: table.optional("dns", |n| dns(&n))?,
        source_ranges: table.or("source_ranges", Vec::new(), |n| ranges(&n))?,
    })
}

/// Each once, as a firewall writes it: `10.1.2.3/8` is `10.0.0.0/8`. The instance has an IPv4 address and no other.
fn ranges(node: &Node<'_>) -> Result<Vec<String>, ConfigError> {
    let mut ranges: Vec<String> = Vec::new();
    for node in node.list()? {
        let written = network(&node)?;
        let parts = written.split_once('/').and_then(|(ip, bits)| Some((ip.parse().ok()?, bits.parse::<u32>().ok()?)));
        let Some((ip, bits)) = parts.map(|(ip, bits): (Ipv4Addr, u32)| (u32::from(ip), bits)) else {
            return Err(node.refuse("a network of IPv4, such as \"203.0.113.0/24\": the instance has no other address"));
        };
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        let range = format!("{}/{bits}", Ipv4Addr::from(ip & mask));
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    Ok(ranges)
}

/// As large as a disk of the kind can be.
fn disk(node: &Node<'_>) -> Result<Size, ConfigError> {
    let size = size(node, Size::gib(10))?;
    match size <= Size::gib(64 << 10) {
        true => Ok(size),
        false => Err(node.refuse("at most 64T, which is where balanced disks end")),
    }
}

/// A host name in which `{code}` may stand for the join code.
fn dns(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    if is_host_name(&text.replace("{code}", "abc234")) {
        Ok(text.to_owned())
    } else {
        Err(node.refuse("a host name, such as \"ws-{code}.lab.example.com\""))
    }
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.contains('.') && text.len() <= 253 && text.split('.').all(label)
}

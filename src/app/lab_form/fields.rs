//! What a definition's form asks for: each field with its place in the text, its words, and where its choices come from.

use super::document::Shape;

/// Where the choices of a field come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is typed.
    Nothing,
    /// One of these words, and no other.
    Words(&'static [&'static str]),
    /// Sites that can carry such a lab.
    Sites,
    /// What the site chosen has, as it was last seen.
    Templates,
    Storages,
    Nodes,
    Bridges,
    Pools,
    Images,
    MachineTypes,
}

/// One field of the form.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Where its value stands: `machine.memory`.
    pub path: &'static str,
    /// The heading it stands under.
    pub group: &'static str,
    pub label: &'static str,
    pub shape: Shape,
    pub offer: Offer,
    /// What it means to leave it empty.
    pub empty: &'static str,
    pub hint: &'static str,
}

const fn asked(
    group: &'static str,
    (path, label): (&'static str, &'static str),
    shape: Shape,
    offer: Offer,
    empty: &'static str,
    hint: &'static str,
) -> Asked {
    Asked { path, group, label, shape, offer, empty, hint }
}

const YES_NO: Offer = Offer::Words(&["yes", "no"]);
const THE_TEMPLATES: &str = "as the template";
/// The field of the students, whose value stands under either of two keys.
pub const STUDENTS: &str = "students";

use Offer::{Nothing, Words};
use Shape::{Command, Decimal, NameOrNumber, Students, Text, TextOrTable, Whole, YesNo};

pub static CLASS: &[Asked] = &[
    asked("class", ("name", "name"), Text, Nothing, "", "a-z, 0-9 and -, beginning with a letter; it stays"),
    asked("class", ("site", "site"), Text, Offer::Sites, "", "where its machines live"),
    asked(
        "class",
        ("template", "template"),
        NameOrNumber,
        Offer::Templates,
        "",
        "the VM its machines are cloned from: its name, or its number",
    ),
    asked(
        "class",
        (STUDENTS, "students"),
        Students,
        Nothing,
        "",
        "how many (student-01 and on), or names: ada, grace; Enter opens them a line each",
    ),
    asked("class", ("teacher", "teacher"), YesNo, YES_NO, "no", "a seat for the teacher besides"),
    asked(
        "class",
        ("clone", "clone"),
        Text,
        Words(&["auto", "linked", "full"]),
        "auto",
        "auto: linked where the storage can and nothing asks otherwise",
    ),
    asked("class", ("pool", "pool"), Text, Offer::Pools, "none", "the resource pool its machines go to"),
    asked("machine", ("machine.cores", "cores"), Whole, Nothing, THE_TEMPLATES, "for each socket"),
    asked("machine", ("machine.sockets", "sockets"), Whole, Nothing, THE_TEMPLATES, "1 to 16"),
    asked("machine", ("machine.cpu", "cpu"), Text, Nothing, THE_TEMPLATES, "the CPU type, such as host"),
    asked("machine", ("machine.memory", "memory"), Text, Nothing, THE_TEMPLATES, "with its unit: 4G, 512M"),
    asked(
        "machine",
        ("machine.disk", "disk"),
        Text,
        Nothing,
        THE_TEMPLATES,
        "the first disk grows to this; it never shrinks: 32G",
    ),
    asked("machine", ("machine.storage", "storage"), Text, Offer::Storages, THE_TEMPLATES, "where its disks go"),
    asked(
        "machine",
        ("machine.format", "format"),
        Text,
        Words(&["raw", "qcow2", "vmdk"]),
        THE_TEMPLATES,
        "of its disks, for full clones",
    ),
    asked(
        "machine",
        ("machine.firmware", "firmware"),
        Text,
        Words(&["bios", "uefi"]),
        THE_TEMPLATES,
        "what it starts by",
    ),
    asked("machine", ("machine.secure_boot", "secure boot"), YesNo, YES_NO, THE_TEMPLATES, "needs the firmware uefi"),
    asked("machine", ("machine.onboot", "start on boot"), YesNo, YES_NO, THE_TEMPLATES, "with its node"),
    asked("machine", ("machine.protection", "protection"), YesNo, YES_NO, THE_TEMPLATES, "against removal by hand"),
    asked("machine", ("machine.tags", "tags"), Shape::Words, Nothing, THE_TEMPLATES, "with commas between"),
    asked(
        "machine",
        ("machine.nic.bridge", "bridge"),
        Text,
        Offer::Bridges,
        THE_TEMPLATES,
        "of the first network card",
    ),
    asked("machine", ("machine.nic.vlan", "vlan"), Whole, Nothing, "none", "of the first network card: 1 to 4094"),
    asked("login", ("cloud_init.user", "user"), Text, Nothing, THE_TEMPLATES, "who logs in"),
    asked(
        "login",
        ("cloud_init.password", "password"),
        TextOrTable,
        Words(&["generate"]),
        "none",
        "generate: one per seat, which the roster prints; others in the text",
    ),
    asked(
        "login",
        ("cloud_init.ssh_keys", "ssh keys"),
        Shape::Words,
        Nothing,
        "none",
        "files of public keys: ~/.ssh/id_ed25519.pub; read when it is saved",
    ),
    asked(
        "login",
        ("cloud_init.ip", "address"),
        Text,
        Nothing,
        THE_TEMPLATES,
        "dhcp, or a range: 10.1.0.20-10.1.0.60/24,gw=10.1.0.1",
    ),
    asked("login", ("cloud_init.nameserver", "name server"), Text, Nothing, THE_TEMPLATES, "an address"),
    asked("login", ("cloud_init.search", "search domain"), Text, Nothing, THE_TEMPLATES, "such as lab.example"),
    asked(
        "placement",
        ("placement.nodes", "nodes"),
        Shape::Words,
        Offer::Nodes,
        "every node that answers",
        "those it may be placed on",
    ),
    asked(
        "placement",
        ("placement.policy", "policy"),
        Text,
        Words(&["score", "pin"]),
        "score",
        "score: where most is free; pin: on the nodes above in turn",
    ),
    asked("placement", ("placement.cpu", "weight of CPU"), Decimal, Nothing, "0.6", "in the score"),
    asked("placement", ("placement.memory", "weight of memory"), Decimal, Nothing, "0.4", "in the score"),
    asked(
        "placement",
        ("placement.vmids", "numbers"),
        Text,
        Nothing,
        "the site's",
        "VMIDs within the site's: 9100-9199",
    ),
    asked(
        "rollout",
        ("rollout.order", "order"),
        Text,
        Words(&["parallel", "staggered", "sequential"]),
        "parallel",
        "in which machines are begun",
    ),
    asked("rollout", ("rollout.delay", "delay"), Text, Nothing, "30s", "between machines, when staggered"),
    asked(
        "roll call",
        ("rollcall.profile", "profile"),
        Text,
        Words(&["normal", "strict", "off"]),
        "normal",
        "strict: 30 s to settle, one machine at a time",
    ),
    asked("roll call", ("rollcall.via", "via"), Text, Words(&["ssh", "api"]), "ssh", "how the guest agent is asked"),
    asked(
        "roll call",
        ("rollcall.address_within", "address within"),
        Text,
        Nothing,
        "30m",
        "how long one is waited for",
    ),
    asked(
        "roll call",
        ("rollcall.cidr", "addresses in"),
        Shape::Words,
        Nothing,
        "any network",
        "networks they must lie in: 10.1.0.0/24",
    ),
    asked("roll call", ("rollcall.pings", "pings"), Whole, Nothing, "3", "1 to 20"),
    asked("roll call", ("rollcall.settle", "settle"), Text, Nothing, "5s", "between the last ping and what follows"),
    asked("roll call", ("rollcall.exec", "command"), Command, Nothing, "uname -a", "what is run through the agent"),
    asked("roll call", ("rollcall.ssh", "log in by ssh"), YesNo, YES_NO, "yes", "as the last proof"),
];

pub static WORKSHOP: &[Asked] = &[
    asked("workshop", ("name", "name"), Text, Nothing, "", "a-z, 0-9 and -, beginning with a letter; it stays"),
    asked("workshop", ("site", "site"), Text, Offer::Sites, "", "a container engine, or a cloud"),
    asked("workshop", ("seats", "seats"), Whole, Nothing, "", "1 to 50, a container each"),
    asked(
        "workshop",
        ("image", "image"),
        Text,
        Offer::Images,
        "",
        "the container of a seat: ghcr.io/lab/rust:1.95; answers by HTTP on the ports below",
    ),
    asked(
        "workshop",
        ("seats_on", "seats start"),
        Text,
        Words(&["start", "join"]),
        "start",
        "with the workshop, or when somebody joins",
    ),
    asked("end", ("ends_after", "ends after"), Text, Nothing, "4h", "it ends by itself: 90m, 4h, 2d"),
    asked("end", ("max_life", "at the latest"), Text, Nothing, "12h", "no extension passes this"),
    asked("ports in a seat", ("ports.terminal", "terminal"), Whole, Nothing, "3001", "inside the container"),
    asked("ports in a seat", ("ports.files", "files"), Whole, Nothing, "3002", "inside the container"),
    asked("limits of a seat", ("seat.memory", "memory"), Text, Nothing, "1G", "with its unit: 2G, 512M"),
    asked("limits of a seat", ("seat.cpus", "cpus"), Decimal, Nothing, "1", "a share may be given: 0.5"),
    asked("limits of a seat", ("seat.pids", "processes"), Whole, Nothing, "256", "and threads"),
    asked("browser", ("browser.image", "image"), Text, Offer::Images, "no browser", "a second container for each seat"),
    asked("browser", ("browser.port", "port"), Whole, Nothing, "3003", "inside the container"),
    asked("proxy", ("proxy.port", "port"), Whole, Nothing, "8080", "where people come in"),
    asked(
        "proxy",
        ("proxy.name", "name"),
        Text,
        Nothing,
        "none: plain HTTP",
        "people reach it by: workshop.example.com; then it speaks TLS",
    ),
    asked(
        "proxy",
        ("proxy.cert_file", "certificate"),
        Text,
        Nothing,
        "of its own making",
        "a file in PEM that proves the name",
    ),
    asked(
        "proxy",
        ("proxy.key_file", "key"),
        Text,
        Nothing,
        "of its own making",
        "the certificate's key, a file in PEM",
    ),
    asked("proxy", ("proxy.image", "image"), Text, Offer::Images, "caddy:2", "has Caddy 2"),
    asked(
        CLOUD,
        ("gce.machine_type", "machine type"),
        Text,
        Offer::MachineTypes,
        "by the number of seats",
        "such as e2-standard-4",
    ),
    asked(
        CLOUD,
        ("gce.spot", "spot"),
        YesNo,
        YES_NO,
        "as the site has it",
        "cheaper, and may be taken away at any time",
    ),
    asked(CLOUD, ("gce.disk", "disk"), Text, Nothing, "50G", "with its unit: 100G"),
    asked(CLOUD, ("gce.keep_disk", "keep the disk"), YesNo, YES_NO, "no", "when the workshop ends"),
    asked(
        CLOUD,
        ("gce.dns", "public name"),
        Text,
        Nothing,
        "none",
        "ws-{code}.lab.example.com; {code} is the join code",
    ),
    asked(
        CLOUD,
        ("gce.source_ranges", "open to"),
        Shape::Words,
        Nothing,
        "everybody",
        "networks people may come from: 203.0.113.0/24",
    ),
];

/// The heading of what only a cloud needs.
pub const CLOUD: &str = "compute engine";

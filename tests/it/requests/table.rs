//! Everything the client can send, caught on the wire and judged by Proxmox's schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use homeroom::{
    backend::proxmox::{Connection, Credentials, Limits, Proxmox, Trust},
    config::definition::parse,
    domain::{
        Clean, Definition, LabName, NodeName, RunId, SeatName, StoreId, Vmid,
        mark::Mark,
        verify::{Wanted, config_unwanted, config_wanted},
    },
    port::{
        Cluster, GuestAgent, Inspect,
        cluster::{CloneRequest, ConfigChange, PowerAction, Upid},
    },
};
use secrecy::SecretString;

use super::schema::{Request, Schema};
use crate::proxmox::{
    Instantly,
    server::{Server, answer, ok},
};

/// Every function of the client that builds a request, how many it has the words for, and the calls that
/// come of it. A builder that is not here fails the test.
const BUILDERS: &[(&str, usize, &[&str])] = &[
    ("version", 1, &["GET /version"]),
    ("view", 2, &["GET /version", "GET /cluster/resources", "GET /cluster/status"]),
    ("template", 1, &["GET /nodes/{node}/qemu/{vmid}/feature", "GET /nodes/{node}/qemu/{vmid}/config"]),
    ("config", 1, &["GET /nodes/{node}/qemu/{vmid}/config"]),
    ("pending", 1, &["GET /nodes/{node}/qemu/{vmid}/pending"]),
    ("status", 1, &["GET /nodes/{node}/qemu/{vmid}/status/current"]),
    ("clone_guest", 1, &["POST /nodes/{node}/qemu/{vmid}/clone"]),
    ("configure", 1, &["PUT /nodes/{node}/qemu/{vmid}/config"]),
    ("resize", 1, &["PUT /nodes/{node}/qemu/{vmid}/resize"]),
    (
        "power",
        1,
        &[
            "POST /nodes/{node}/qemu/{vmid}/status/start",
            "POST /nodes/{node}/qemu/{vmid}/status/stop",
            "POST /nodes/{node}/qemu/{vmid}/status/shutdown",
        ],
    ),
    ("remove", 1, &["DELETE /nodes/{node}/qemu/{vmid}"]),
    ("active_tasks", 1, &["GET /nodes/{node}/tasks"]),
    ("ended_tasks", 1, &["GET /nodes/{node}/tasks"]),
    ("task", 1, &["GET /nodes/{node}/tasks/{upid}/status"]),
    ("task_log", 1, &["GET /nodes/{node}/tasks/{upid}/log"]),
    ("add_to_pool", 2, &["PUT /pools", "GET /pools"]),
    ("create_pool", 1, &["POST /pools"]),
    ("pools", 1, &["GET /pools"]),
    ("volumes", 1, &["GET /nodes/{node}/storage/{storage}/content"]),
    (
        "hindsight",
        2,
        &["GET /nodes/{node}/rrddata", "GET /nodes/{node}/qemu/{vmid}/rrddata", "GET /nodes/{node}/tasks"],
    ),
    ("node_addresses", 1, &["GET /cluster/status"]),
    ("start_exec", 1, &["POST /nodes/{node}/qemu/{vmid}/agent/exec"]),
    ("exec_status", 1, &["GET /nodes/{node}/qemu/{vmid}/agent/exec-status"]),
    ("ping", 1, &["POST /nodes/{node}/qemu/{vmid}/agent/ping"]),
    ("interfaces", 1, &["GET /nodes/{node}/qemu/{vmid}/agent/network-get-interfaces"]),
    ("version_at", 1, &["GET /version"]),
    ("time", 1, &["GET /nodes/{node}/time"]),
    ("privileges", 1, &["GET /access/permissions"]),
    ("is_free", 1, &["GET /cluster/nextid"]),
    ("roles", 1, &["GET /access/roles"]),
    ("bridges", 1, &["GET /nodes/{node}/network"]),
    ("log_in", 1, &["POST /access/ticket"]),
];

const UPID: &str = "UPID:pve1:00000162:00036E5F:6B01568A:qmstart:101:homeroom@pve!lab:";

/// Answers so that the client asks on.
async fn server() -> Server {
    let refused = AtomicUsize::new(0);
    Server::start(move |request| {
        let head = request.split("\r\n").next().unwrap();
        if head.contains("/access/ticket") {
            return ok(r#"{"data":{"username":"u@pam","ticket":"PVE:u@pam:1::s","CSRFPreventionToken":"c"}}"#);
        }
        if head.starts_with("PUT /api2/json/pools") && refused.fetch_add(1, Ordering::SeqCst) == 0 {
            return answer("500 x", r#"{"data":null,"message":"VM 101 is already a pool member\n"}"#);
        }
        let data = match head {
            _ if head.contains("/version") => r#"{"version":"9.2.11"}"#.to_owned(),
            _ if head.contains("/exec-status") => r#"{"exited":1,"exitcode":0}"#.to_owned(),
            _ if head.contains("/agent/exec") => r#"{"pid":7}"#.to_owned(),
            _ if head.contains("/agent/") => r#"{"result":{}}"#.to_owned(),
            _ if head.starts_with("GET /api2/json/pools?") => r#"[{"poolid":"p","members":[]}]"#.to_owned(),
            _ if head.starts_with("GET") => "[]".to_owned(),
            _ => format!("{UPID:?}"),
        };
        ok(&format!(r#"{{"data":{data}}}"#))
    })
    .await
}

fn client(server: &Server, credentials: Credentials) -> Arc<Proxmox> {
    let connection = Connection {
        site: "campus".to_owned(),
        endpoints: vec![server.address.clone()],
        node_api: Default::default(),
        trust: Trust::Fingerprints(vec![server.fingerprint()]),
        credentials,
        limits: Limits::default(),
    };
    Arc::new(Proxmox::new(connection, Arc::new(Instantly::default())).unwrap())
}

/// Has every builder build its requests, with plain and with extreme arguments.
async fn send_everything(client: &Proxmox, server: &Server) {
    let longest = "a".repeat(63);
    for (node, vmid) in [("pve1", 100), (longest.as_str(), 999_999_999)] {
        let (node, vmid) = (NodeName::new(node), Vmid::new(vmid).unwrap());
        let _ = client.version().await;
        let _ = client.view().await;
        let _ = client.template(&node, vmid).await;
        let _ = Cluster::config(client, &node, vmid).await;
        let _ = client.pending(&node, vmid).await;
        let _ = Cluster::status(client, &node, vmid).await;
        for full in [true, false] {
            for more in [true, false] {
                let some = |text: &str| more.then(|| text.to_owned());
                let request = CloneRequest {
                    template: vmid,
                    node: node.clone(),
                    vmid,
                    target: more.then(|| NodeName::new("pve2")),
                    name: if more { format!("{}-{}", "l".repeat(31), "s".repeat(31)) } else { "a-b".into() },
                    description: format!("{}\n; = & + % ü {}", mark(vmid).text(), if more { "x" } else { "" }),
                    full,
                    storage: some("local-lvm"),
                    format: some("qcow2"),
                    pool: some("lab/of.one_day-1"),
                };
                let _ = client.clone_guest(&request).await;
            }
        }
        for (disk, bytes) in [("scsi0", 1), ("virtio15", u64::MAX)] {
            let _ = client.resize(&node, vmid, disk, bytes).await;
        }
        let shutdown = |timeout, force| PowerAction::Shutdown { timeout, force };
        for action in [PowerAction::Start, PowerAction::Stop, shutdown(0, false), shutdown(86_400, true)] {
            let _ = client.power(&node, vmid, action).await;
        }
        let _ = client.remove(&node, vmid).await;
        let _ = client.active_tasks(&node).await;
        for since in [0, i64::from(u32::MAX)] {
            let since = jiff::Timestamp::from_second(since).unwrap();
            let _ = client.ended_tasks(&node, "qmclone", since).await;
        }
        let upid = Upid(Clean::new(UPID));
        let _ = client.task(&upid).await;
        for start in [0, u64::from(u32::MAX)] {
            let _ = client.task_log(&upid, start).await;
        }
        for count in [1, 51] {
            let vmids: Vec<Vmid> = (0..count).map(|n| Vmid::new(100 + n).unwrap()).collect();
            let _ = client.add_to_pool("lab", &vmids, count == 1).await;
        }
        let _ = client.create_pool("lab").await;
        let _ = client.pools().await;
        let _ = client.volumes(&node, "local-lvm", vmid).await;
        let _ = client.hindsight(&node, None).await;
        let _ = client.hindsight(&node, Some(vmid)).await;
        let _ = client.node_addresses().await;
        let _ = client.ping(&node, vmid).await;
        let _ = client.interfaces(&node, vmid).await;
        for command in [vec!["true".to_owned()], vec!["sh".into(), "-c".into(), "echo 'ü;&=' \"$(x)\" > /a\n".into()]]
        {
            let _ = client.exec(&node, vmid, &command, Duration::from_secs(1)).await;
        }
        let _ = client.version_at(&server.address).await;
        let _ = client.time(&node).await;
        for path in ["/", "/vms/100", "/sdn/zones/localnetwork/vmbr0/101", "/storage/local-lvm"] {
            let _ = client.privileges(path).await;
        }
        let _ = client.is_free(vmid).await;
        let _ = client.roles().await;
        let _ = client.bridges(&node).await;
        for change in changes(vmid) {
            client.configure(&node, vmid, &change).await.unwrap();
        }
    }
}

fn mark(vmid: Vmid) -> Mark {
    let name = || "a".repeat(31);
    Mark {
        store: StoreId::parse("0f8fad5bd9cb469f").unwrap(),
        lab: LabName::new(name()).unwrap(),
        seat: SeatName::new(name()).unwrap(),
        run: RunId(i64::MAX),
        vmid,
    }
}

/// What definitions of all kinds have written into machines of all kinds.
fn changes(vmid: Vmid) -> Vec<ConfigChange> {
    let head = "kind = \"class\"\nname = \"cs101\"\nsite = \"sim\"\ntemplate = \"t\"\nstudents = [\"ada\"]\n";
    let most = r#"
        [machine]
        cores = 1024
        sockets = 4
        cpu = "x86-64-v2-AES"
        memory = "1T"
        disk = "10T"
        onboot = true
        protection = true
        firmware = "uefi"
        secure_boot = true
        tags = ["a", "cs_2.x+y-z"]
        nic = [{ bridge = "vmbr0", vlan = 1 }, { bridge = "vmbr4094", vlan = 4094 }, { bridge = "vnet1" }]
        [cloud_init]
        user = "student"
        password = "generate"
        ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8d3fGkGmYDxcPGvD1bGEIcGEJBoZ+3LDrQkd8aKkXH me@here"]
        ip = "10.1.0.20-10.1.0.60/24,gw=10.1.0.1"
        nameserver = "10.1.0.1 10.1.0.2"
        search = "lab.example"
    "#;
    let six = "[cloud_init]\nip = \"2001:db8::20-2001:db8::60/64,gw=2001:db8::1\"\nnameserver = \"2001:db8::1\"\n";
    let least = "[machine]\ncores = 1\nmemory = \"16M\"\nonboot = false\nprotection = false\nfirmware = \"bios\"\n\
                 nic = [{ bridge = \"vmbr1\" }]\n[cloud_init]\nip = \"dhcp\"\n";
    let templates: [&[(&str, &str)]; 3] = [
        &[],
        &[
            ("scsi0", "local-lvm:base-9000-disk-0,size=8G"),
            ("net0", "virtio=BC:24:11:32:0C:1B,bridge=vmbr0,firewall=1,tag=7,queues=4,rate=12.5"),
            ("net1", "model=e1000,macaddr=BC:24:11:32:0C:1C,bridge=vmbr0,trunks=1;2"),
            ("net7", "virtio=BC:24:11:32:0C:1D,bridge=vmbr0"),
            ("balloon", "999999999"),
            ("agent", "0"),
            ("boot", "order=scsi0"),
        ],
        &[
            ("virtio0", "fast:vm-1-disk-0.qcow2,size=8G"),
            ("agent", "enabled=1,fstrim_cloned_disks=1"),
            ("balloon", "0"),
        ],
    ];
    let mut all = Vec::new();
    for text in [most, six, least, ""] {
        let definition = parse(&format!("{head}{text}"), "class.toml", Path::new("/"), None).unwrap();
        let Definition::Class(class) = definition else { panic!("no class") };
        for spec in class.resolve() {
            for template in templates {
                let current = template.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
                let mark = mark(vmid);
                let key = "ssh-ed25519 AAAA+/== lab";
                let wanted = Wanted {
                    spec: &spec,
                    name: "cs101-ada",
                    lab_key: Some(key),
                    mark: Some(&mark),
                    agent: true,
                    lent: None,
                };
                let mut set = config_wanted(&wanted, &current);
                set.insert("cipassword".to_owned(), "p;a=s&s +w%rd ü".to_owned());
                let digest = Some("da39a3ee5e6b4b0d3255bfef95601890afd80709".to_owned());
                all.push(ConfigChange { set, unset: config_unwanted(&wanted, &current), digest });
            }
        }
    }
    // what was set and is wanted empty is deleted
    let set = [("tags", ""), ("nameserver", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    all.push(ConfigChange { set, unset: vec!["net1".into(), "net31".into(), "sshkeys".into()], digest: None });
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_the_client_can_build_is_one_proxmox_takes() {
    let server = server().await;
    let token = Credentials::Token { id: "homeroom@pve!lab".into(), secret: SecretString::from("secret") };
    send_everything(&client(&server, token), &server).await;
    let user = format!("{}@pam", "u".repeat(60));
    let login = Credentials::Login { user, password: SecretString::from("p;a=s&s +w%rd ü") };
    let _ = client(&server, login).pools().await;

    let schema = Schema::load();
    let mut calls = BTreeSet::new();
    let mut refused = Vec::new();
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for text in server.asked() {
        let request = Request::read(&text);
        let call = schema.call(&request);
        refused.extend(schema.refuses(&request).into_iter().map(|why| format!("{call}: {why}")));
        keys.entry(call.clone()).or_default().extend(request.params.iter().map(|(name, _)| name.clone()));
        calls.insert(call);
    }
    refused.dedup();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    let promised: BTreeSet<String> =
        BUILDERS.iter().flat_map(|(_, _, calls)| calls.iter()).map(|call| (*call).to_owned()).collect();
    assert_eq!(calls, promised);

    // every key the rules can write was written
    let written = &keys["PUT /nodes/{node}/qemu/{vmid}/config"];
    let known = keys_in_the_source();
    assert!(known.len() > 15, "{known:?}");
    let unwritten: Vec<_> = known.iter().filter(|key| !written.contains(*key)).collect();
    assert!(unwritten.is_empty(), "{unwritten:?} of {written:?}");
}

fn source(file: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

/// The keys of a configuration that the rules name.
fn keys_in_the_source() -> BTreeSet<String> {
    let text = source("domain/verify/wanted.rs") + &source("deploy/class/configure.rs");
    let named = text.split("set(\"").skip(1).chain(text.split("set.insert(\"").skip(1));
    named.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[test]
fn no_builder_of_requests_is_missing_from_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/proxmox");
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // `ask.rs` makes the words; the others are tests
        if ["ask.rs", "fuzz.rs", "recordings.rs"].contains(&name.as_str()) {
            continue;
        }
        let mut function = String::new();
        for line in source(&format!("backend/proxmox/{name}")).lines() {
            if let Some((_, rest)) = line.split_once("fn ") {
                function = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned();
            }
            let made =
                ["get", "post", "put", "delete"].iter().map(|verb| line.matches(&format!("Ask::{verb}(")).count());
            let made: usize = made.sum::<usize>() + line.matches("Ask {").count();
            if made > 0 {
                *found.entry(function.clone()).or_default() += made;
            }
        }
    }
    let table: BTreeMap<String, usize> = BUILDERS.iter().map(|(name, made, _)| ((*name).to_owned(), *made)).collect();
    assert_eq!(found, table, "a request the table does not know: add it there, and its calls");
}

#[test]
fn the_judge_finds_fault() {
    let schema = Schema::load();
    let judge = |body: &str| {
        let head =
            "PUT /api2/json/nodes/pve1/qemu/101/config HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
        schema.refuses(&Request::read(&format!("{head}\r\n\r\n{body}"))).len()
    };
    assert_eq!(judge("cores=2&net0=virtio%2Cbridge%3Dvmbr0&delete=net1%2Ctags"), 0);
    for bad in [
        "cores=many",
        "cores=0",
        "colour=red",
        "onboot=true",
        "name=a_b",
        "tags=a%20%2Bb",
        "net0=virtio%2Cbridge%3Dvmbr0%2Ccolour%3Dred",
        "net0=virtio%2Ctag%3D4095",
        "delete=n%3Bx.y",
        "ipconfig0=ip%3D10.0.0.1",
        "sshkeys=ssh-ed25519%20AAAA",
        "memory=1&memory=2",
        "digest=0123456789012345678901234567890123456789x",
    ] {
        assert!(judge(bad) > 0, "{bad}");
    }
}

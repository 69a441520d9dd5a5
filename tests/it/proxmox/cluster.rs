//! The client against the simulated cluster, which shares no code with it, over real sockets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use homeroom::{
    backend::proxmox::{Connection, Credentials, Limits, Proxmox, Trust, parse_fingerprint},
    domain::{Clean, NodeName, Vmid, class::TemplateRef, cluster::Power},
    port::{
        Clock, Cluster, GuestAgent, SiteError,
        agent::AgentError,
        cluster::{CloneRequest, ConfigChange, PowerAction, TaskState, Upid},
    },
    sim::{self, Fault, FaultKind, Options, Scenario},
};
use secrecy::SecretString;

const SPEED: f64 = 100.0;

/// As fast as the simulated cluster.
struct Fast(Instant, f64);

#[async_trait]
impl Clock for Fast {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed().mul_f64(self.1)
    }

    async fn sleep(&self, modelled: Duration) {
        tokio::time::sleep(modelled.div_f64(self.1)).await;
    }
}

struct Site {
    sim: sim::Cluster,
    clock: Arc<Fast>,
}

impl Site {
    async fn start() -> Self {
        Self::at(SPEED).await
    }

    async fn at(speed: f64) -> Self {
        let options = Options {
            scenario: Scenario::default_world().unwrap(),
            speed,
            listen: "127.0.0.1:0".parse().unwrap(),
            seed: 7,
        };
        Self { sim: sim::start(options).await.unwrap(), clock: Arc::new(Fast(Instant::now(), speed)) }
    }

    fn client_as(&self, (id, secret): (&str, &str)) -> Proxmox {
        let connection = Connection {
            site: "sim".to_owned(),
            endpoints: self.sim.nodes().iter().map(|node| node.api.clone()).collect(),
            node_api: Default::default(),
            trust: Trust::Fingerprints(vec![parse_fingerprint(self.sim.fingerprint()).unwrap()]),
            credentials: Credentials::Token { id: id.to_owned(), secret: SecretString::from(secret) },
            limits: Limits::default(),
        };
        Proxmox::new(connection, Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    fn client(&self) -> Proxmox {
        self.client_as(self.sim.token())
    }

    /// Polls a task until it ended.
    async fn end(&self, client: &Proxmox, upid: &Upid) -> TaskState {
        for _ in 0..1000 {
            match client.task(upid).await.unwrap() {
                TaskState::Running => self.clock.sleep(Duration::from_millis(500)).await,
                ended => return ended,
            }
        }
        panic!("task {} does not end", upid.0);
    }

    async fn well(&self, client: &Proxmox, upid: Result<Upid, SiteError>) {
        let upid = upid.unwrap();
        let ended = self.end(client, &upid).await;
        let log = client.task_log(&upid, 0).await.unwrap();
        assert_eq!(ended, TaskState::Ok { warnings: 0 }, "{log:?}");
        assert!(log.last().is_some_and(|line| line.as_str() == "TASK OK"), "{log:?}");
    }
}

fn vmid(id: u64) -> Vmid {
    Vmid::new(id).unwrap()
}

fn clone_of(template: u64, node: &NodeName, id: u64) -> CloneRequest {
    CloneRequest {
        template: vmid(template),
        node: node.clone(),
        vmid: vmid(id),
        target: None,
        name: format!("test-{id}"),
        description: format!("a note; 100 % = all\nhomeroom/1 vmid={id}"),
        full: false,
        storage: None,
        format: None,
        pool: None,
    }
}

/// Where a template of the default world lies.
async fn home(client: &Proxmox, template: u64) -> NodeName {
    client.view().await.unwrap().guest(vmid(template)).unwrap().node.clone()
}

#[tokio::test]
async fn the_default_world_is_seen_whole() {
    let site = Site::start().await;
    let client = site.client();
    let view = client.view().await.unwrap();
    let nodes: Vec<_> = view.nodes.iter().map(|node| (node.node.as_str(), node.online, node.cpus)).collect();
    assert_eq!(nodes, [("pve1", true, 8), ("pve2", true, 8), ("pve3", true, 8)]);
    assert!(view.nodes.iter().all(|node| node.memory == 64 << 30), "{:?}", view.nodes);
    assert_eq!(view.quorate, Some(true));
    assert!(view.version.as_str().starts_with("9.2"));
    let fast: Vec<_> = view.storages.iter().filter(|s| s.storage.as_str() == "fast").collect();
    assert!(
        fast.len() == 3 && fast.iter().all(|s| s.shared && s.images && s.available && s.total > s.used),
        "{fast:?}"
    );
    let wanted = TemplateRef::Name("ubuntu-22.04".to_owned());
    let [guest] = view.templates(&wanted).collect::<Vec<_>>().try_into().unwrap();
    let template = client.template(&guest.node, guest.vmid).await.unwrap();
    assert!(template.linked && template.agent && template.cloud_init, "{template:?}");
    assert!(template.disks.first().is_some_and(|disk| disk.storage.as_str() == "fast" && disk.size > 0));
    let debian = client.template(&home(&client, 9001).await, vmid(9001)).await.unwrap();
    assert!(!debian.linked, "{debian:?}");
    let addresses = client.node_addresses().await.unwrap();
    assert!(addresses.len() == 3 && addresses.iter().all(|(_, ip)| ip.is_some()), "{addresses:?}");
    site.sim.shutdown().await;
}

#[tokio::test]
async fn a_machine_lives_from_its_clone_to_its_removal() {
    let site = Site::start().await;
    let client = site.client();
    let node = home(&client, 9000).await;
    let id = vmid(9501);

    site.well(&client, client.clone_guest(&clone_of(9000, &node, 9501)).await).await;
    let active = client.active_tasks(&node).await.unwrap();
    assert!(active.iter().all(|row| row.kind.as_str() != "qmclone"), "{active:?}");
    let config = client.config(&node, id).await.unwrap();
    assert_eq!(config.description, "a note; 100 % = all\nhomeroom/1 vmid=9501");

    let keys = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ada@lab";
    let change = ConfigChange {
        set: [("cores", "2"), ("memory", "3072"), ("sshkeys", keys), ("ipconfig0", "ip=dhcp"), ("tags", "homeroom;cs")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        unset: Vec::new(),
        digest: config.digest.clone(),
    };
    client.configure(&node, id, &change).await.unwrap();
    let written = client.config(&node, id).await.unwrap();
    assert_eq!((written.get("cores"), written.get("memory")), (Some("2"), Some("3072")));
    assert_eq!(written.get("sshkeys"), Some(keys));
    let stale = client.configure(&node, id, &change).await.unwrap_err();
    assert!(stale.to_string().contains("checksum"), "{stale}");
    let pending = client.pending(&node, id).await.unwrap();
    assert!(!pending.is_empty() && pending.iter().all(|item| item.pending.is_none() && !item.delete), "{pending:?}");

    let disk = client.template(&node, id).await.unwrap().disks.first().unwrap().clone();
    site.well(&client, client.resize(&node, id, disk.slot.as_str(), disk.size + (1 << 30)).await).await;
    let grown = client.template(&node, id).await.unwrap();
    assert_eq!(grown.disks.first().map(|d| d.size), Some(disk.size + (1 << 30)));
    let volumes = client.volumes(&node, disk.storage.as_str(), id).await.unwrap();
    assert!(!volumes.is_empty() && volumes.iter().all(|v| v.as_str().contains("9501")), "{volumes:?}");

    site.well(&client, client.power(&node, id, PowerAction::Start).await).await;
    assert!(client.status(&node, id).await.unwrap().running);
    for _ in 0..200 {
        match client.ping(&node, id).await {
            Err(AgentError::Silent(_)) => site.clock.sleep(Duration::from_secs(1)).await,
            other => {
                other.unwrap();
                break;
            }
        }
    }
    let mac = written.get("net0").unwrap().to_ascii_lowercase();
    let mut address = None;
    for _ in 0..200 {
        let cards = client.interfaces(&node, id).await.unwrap();
        let card = cards.iter().find(|card| card.mac.as_ref().is_some_and(|m| mac.contains(m.as_str()))).unwrap();
        address = card.addresses.iter().find(|ip| ip.is_ipv4()).copied();
        if address.is_some() {
            break;
        }
        site.clock.sleep(Duration::from_secs(1)).await;
    }
    assert!(address.is_some_and(|ip| ip.to_string().starts_with("10.")), "{address:?}");
    let command = ["uname".to_owned(), "-s".to_owned()];
    let output = client.exec(&node, id, &command, Duration::from_secs(30)).await.unwrap();
    assert_eq!((output.code, output.stdout.trim()), (Some(0), "Linux"));

    let running = client.remove(&node, id).await.unwrap_err();
    assert!(running.to_string().contains("is running"), "{running}");
    let shutdown = PowerAction::Shutdown { timeout: 60, force: true };
    site.well(&client, client.power(&node, id, shutdown).await).await;
    assert_eq!(client.ping(&node, id).await, Err(AgentError::NotRunning));
    site.well(&client, client.remove(&node, id).await).await;
    assert!(client.status(&node, id).await.unwrap_err().is_missing());
    assert_eq!(client.volumes(&node, disk.storage.as_str(), id).await.unwrap(), Vec::<Clean>::new());
    site.sim.shutdown().await;
}

#[tokio::test]
async fn a_clone_in_progress_is_in_the_active_list_under_its_template() {
    // In real time, so that the copy is still going on however slow this computer is.
    let site = Site::at(1.0).await;
    let client = site.client();
    let node = home(&client, 9001).await;
    let request = CloneRequest { full: true, ..clone_of(9001, &node, 9502) };
    let upid = client.clone_guest(&request).await.unwrap();
    let active = client.active_tasks(&node).await.unwrap();
    let row = active.iter().find(|row| row.upid == upid).unwrap();
    assert_eq!((row.kind.as_str(), row.id.as_str()), ("qmclone", "9001"));
    // The worker is a process of its own: the clone's configuration appears a moment after the answer.
    while client.view().await.unwrap().guest(vmid(9502)).is_none() {
        tokio::task::yield_now().await;
    }
    let change = ConfigChange { set: [("cores".to_owned(), "2".to_owned())].into(), ..ConfigChange::default() };
    let busy = client.configure(&node, vmid(9502), &change).await.unwrap_err();
    assert!(matches!(&busy, SiteError::Locked { words, .. } if words.as_str() == "VM is locked (clone)"), "{busy}");
    assert_eq!(client.status(&node, vmid(9502)).await.unwrap().lock, Some(Clean::new("clone")));
    let new = client.view().await.unwrap().guest(vmid(9502)).unwrap().clone();
    assert_eq!((new.power, new.name), (Power::Unknown, None));
    assert_eq!(client.task(&upid).await, Ok(TaskState::Running));
    site.sim.shutdown().await;
}

#[tokio::test]
async fn a_clone_whose_answer_is_lost_was_made_once() {
    let site = Site::start().await;
    let client = site.client();
    let node = home(&client, 9000).await;
    site.sim.inject(Fault::every("POST /nodes/*/qemu/*/clone", FaultKind::Lost));
    let error = client.clone_guest(&clone_of(9000, &node, 9503)).await.unwrap_err();
    assert!(matches!(error, SiteError::Lost { .. }) && error.effect_unknown(), "{error}");
    // A second request would have found the number taken, and told so.
    let view = client.view().await.unwrap();
    assert_eq!(view.guests.iter().filter(|guest| guest.vmid == vmid(9503)).count(), 1);
    site.sim.shutdown().await;
}

#[tokio::test]
async fn refusals_of_the_cluster_keep_their_meaning() {
    let site = Site::start().await;
    let (id, secret) = site.sim.token();
    let wrong = site.client_as((id, "00000000-0000-0000-0000-000000000000")).view().await.unwrap_err();
    assert!(matches!(wrong, SiteError::Unauthorized { .. }), "{wrong}");
    assert!(!wrong.to_string().contains(secret));

    let reader = site.client_as(site.sim.monitor_token());
    let node = home(&reader, 9000).await;
    let forbidden = reader.clone_guest(&clone_of(9000, &node, 9504)).await.unwrap_err();
    assert!(
        matches!(&forbidden, SiteError::Forbidden { words, .. } if words.as_str().contains("VM.Clone")),
        "{forbidden}"
    );

    let client = site.client();
    assert!(client.config(&node, vmid(9999)).await.unwrap_err().is_missing());
    let request = CloneRequest { name: "no_underscore".to_owned(), ..clone_of(9000, &node, 9504) };
    let invalid = client.clone_guest(&request).await.unwrap_err();
    assert!(matches!(&invalid, SiteError::Invalid { errors, .. } if errors.contains_key("name")), "{invalid}");
    let linked = client.clone_guest(&clone_of(9001, &home(&client, 9001).await, 9504)).await.unwrap_err();
    assert!(
        matches!(&linked, SiteError::Refused { words, .. } if words.as_str().starts_with("Linked clone")),
        "{linked}"
    );
    let stopped = client.ping(&node, vmid(9000)).await.unwrap_err();
    assert_eq!(stopped, AgentError::NotRunning);
    site.sim.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_does_not_come_up_is_silent_and_a_killed_task_has_died() {
    let site = Site::start().await;
    let client = site.client();
    let node = home(&client, 9000).await;
    site.well(&client, client.clone_guest(&clone_of(9000, &node, 9507)).await).await;
    site.sim.inject(Fault::every("POST /nodes/*/qemu/*/status/start", FaultKind::AgentNever));
    site.well(&client, client.power(&node, vmid(9507), PowerAction::Start).await).await;
    let silent = client.ping(&node, vmid(9507)).await.unwrap_err();
    assert!(matches!(silent, AgentError::Silent(_)), "{silent}");

    site.sim.inject(Fault::every("POST /nodes/*/qemu/*/clone", FaultKind::Kill { seconds: 0.1 }));
    let node = home(&client, 9001).await;
    let request = CloneRequest { full: true, ..clone_of(9001, &node, 9508) };
    let upid = client.clone_guest(&request).await.unwrap();
    assert_eq!(site.end(&client, &upid).await, TaskState::Died(Clean::new("unexpected status")));
    assert_eq!(client.config(&node, vmid(9508)).await.unwrap().get("lock"), Some("clone"));
    site.sim.shutdown().await;
}

#[tokio::test]
async fn guests_are_put_into_a_pool_in_one_call() {
    let site = Site::start().await;
    let client = site.client();
    let node = home(&client, 9000).await;
    client.create_pool("cs777").await.unwrap();
    assert!(client.pools().await.unwrap().contains(&Clean::new("cs777")));
    for id in [9505, 9506] {
        site.well(&client, client.clone_guest(&clone_of(9000, &node, id)).await).await;
    }
    client.add_to_pool("cs777", &[vmid(9505)], false).await.unwrap();
    client.add_to_pool("cs777", &[vmid(9505), vmid(9506)], false).await.unwrap();
    let view = client.view().await.unwrap();
    for id in [9505, 9506] {
        assert_eq!(view.guest(vmid(id)).unwrap().pool, Some(Clean::new("cs777")));
    }
    site.sim.shutdown().await;
}

#[tokio::test]
async fn a_site_remembers_an_hour_of_a_node_and_of_a_machine_and_their_tasks() {
    let site = Site::start().await;
    let client = site.client();
    let view = client.view().await.unwrap();
    let guest = view.guests.iter().find(|guest| !guest.template).unwrap();
    let node = client.hindsight(&guest.node, None).await.unwrap();
    assert!(!node.samples.is_empty());
    let shares = |share: f64| (0.0..=1.0).contains(&share);
    assert!(node.samples.iter().all(|sample| shares(sample.cpu) && shares(sample.memory)), "{:?}", node.samples);
    assert!(node.samples.is_sorted_by_key(|sample| sample.at));
    let machine = client.hindsight(&guest.node, Some(guest.vmid)).await.unwrap();
    assert!(machine.samples.iter().all(|sample| shares(sample.memory)));
    let stopped = client.power(&guest.node, guest.vmid, PowerAction::Stop).await;
    site.well(&client, stopped).await;
    let machine = client.hindsight(&guest.node, Some(guest.vmid)).await.unwrap();
    let [task, ..] = machine.tasks.as_slice() else { panic!("no task is remembered") };
    assert_eq!((task.kind.as_str(), task.failed()), ("qmstop", false));
    assert_eq!(task.id.as_str(), guest.vmid.to_string());
    site.sim.shutdown().await;
}

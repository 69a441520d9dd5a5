//! The simulated cluster's laws, without clock or network: calls go in, time is turned by hand.

use homeroom::sim::api::{Answer, Caller, Request};
use homeroom::sim::{Fault, FaultKind, Scenario, World};
use serde_json::{Value, json};

/// A world without clock or network: calls go in, time is turned by hand.
struct Bare {
    world: World,
    calls: u64,
}

impl Bare {
    fn new() -> Self {
        let world = World::build(&Scenario::default_world().unwrap(), 7, 1_795_000_000).unwrap();
        Self { world, calls: 0 }
    }

    fn ask(&mut self, method: &str, path: &str, form: Value) -> Value {
        let answer = self.answer(method, path, form);
        answer.value().cloned().unwrap_or_else(|| panic!("{method} {path}: {}", answer.words()))
    }

    /// What a call is refused with.
    fn refused(&mut self, method: &str, path: &str, form: Value) -> String {
        let answer = self.answer(method, path, form);
        assert_ne!(answer.status, 200, "{method} {path} was allowed");
        answer.words()
    }

    /// Starts a task and turns time until it has ended; how it did.
    fn task(&mut self, method: &str, path: &str, form: Value) -> String {
        let upid = self.ask(method, path, form);
        while !self.ended(&upid) {
            self.pass(100);
        }
        self.world.task(upid.as_str().unwrap()).unwrap().end.clone().unwrap().1
    }

    fn pass(&mut self, ms: u64) {
        let now = self.world.now();
        self.world.advance(now + ms);
    }

    fn answer(&mut self, method: &str, path: &str, form: Value) -> Answer {
        self.calls += 1;
        let params = form.as_object().cloned().unwrap_or_default();
        self.world.submit(self.calls, Request::shell("pve1", method, path, params));
        loop {
            if let Some((_, answer)) = self.world.take_answers().into_iter().find(|(id, _)| *id == self.calls) {
                return answer;
            }
            let next = self.world.next_wake().unwrap();
            self.world.advance(next);
        }
    }

    fn ended(&self, upid: &Value) -> bool {
        self.world.task(upid.as_str().unwrap()).is_some_and(|task| task.end.is_some())
    }
}

#[test]
fn a_class_of_eleven_stands_within_a_modelled_minute() {
    let mut bare = Bare::new();
    let nodes = ["pve1", "pve2", "pve3"];
    let mut waiting: Vec<u32> = (9200..9211).collect();
    let mut cloning: Vec<(u32, Value)> = Vec::new();
    let mut starting: Vec<(u32, Value)> = Vec::new();
    let mut ready = 0;
    while ready < 11 {
        while cloning.len() < 2
            && let Some(id) = waiting.pop()
        {
            let target = nodes[id as usize % 3];
            let form = json!({ "newid": id.to_string(), "name": format!("cs101-{id}"), "target": target });
            cloning.push((id, bare.ask("POST", "/nodes/pve1/qemu/9000/clone", form)));
        }
        let (done, rest): (Vec<_>, Vec<_>) = cloning.into_iter().partition(|(_, upid)| bare.ended(upid));
        cloning = rest;
        for (id, _) in done {
            let path = format!("/nodes/{}/qemu/{id}/status/start", nodes[id as usize % 3]);
            starting.push((id, bare.ask("POST", &path, Value::Null)));
        }
        ready =
            starting.iter().filter(|(id, _)| bare.world.guest_facts(*id).is_some_and(|facts| facts.listening)).count();
        bare.pass(100);
    }
    let seconds = bare.world.now() / 1000;
    assert!((20..60).contains(&seconds), "{seconds} modelled seconds");
}

#[test]
fn a_full_clone_alone_takes_ten_seconds_and_two_at_once_share_the_bandwidth() {
    let mut bare = Bare::new();
    let mut took = |ids: &[&str]| {
        let begun = bare.world.now();
        let upids: Vec<Value> = ids
            .iter()
            .map(|id| bare.ask("POST", "/nodes/pve2/qemu/9001/clone", json!({ "newid": id, "full": "1" })))
            .collect();
        while !upids.iter().all(|upid| bare.ended(upid)) {
            bare.pass(100);
        }
        (bare.world.now() - begun) / 1000
    };
    assert!((10..13).contains(&took(&["9200"])));
    assert!((20..24).contains(&took(&["9201", "9202"])));
}

#[test]
fn ten_thousand_guests_on_a_hundred_nodes_are_listed() {
    let mut text = String::from("token = \"root@pam!x\"\n");
    for node in 0..100 {
        text.push_str(&format!("[[nodes]]\nname = \"n{node}\"\n"));
    }
    text.push_str("[[users]]\nid = \"a@pve\"\ntokens = [{ name = \"t\", secret = \"s\" }]\n");
    text.push_str("[[acls]]\npath = \"/\"\nwho = \"a@pve\"\nrole = \"PVEAuditor\"\n");
    text.push_str("[[storages]]\nid = \"s\"\ntype = \"rbd\"\nshared = true\nsize_gib = 900000\n");
    for vmid in 100..10_100 {
        let node = vmid % 100;
        text.push_str(&format!(
            "[[guests]]\nvmid = {vmid}\nname = \"g{vmid}\"\nnode = \"n{node}\"\nstorage = \"s\"\nrunning = true\n"
        ));
    }
    let scenario = Scenario::parse(&text, "big").unwrap();
    let mut world = World::build(&scenario, 1, 1_795_000_000).unwrap();
    world.advance(60_000);
    let caller = Caller::Header("PVEAPIToken=a@pve!t=s".into());
    let request = Request { caller, ..Request::shell("n0", "GET", "/cluster/resources", serde_json::Map::new()) };
    world.submit(1, request);
    let (_, answer) = world.take_answers().remove(0);
    let rows = answer.value().unwrap().as_array().unwrap().len();
    // guests, nodes, a row a node for the storage and for its network
    assert_eq!(rows, 10_000 + 3 * 100);
}

#[test]
fn a_role_with_a_privilege_the_version_lacks_is_refused() {
    let scenario = Scenario { version: "8.4".into(), ..Scenario::default_world().unwrap() };
    let why = World::build(&scenario, 1, 0).err().unwrap().to_string();
    assert!(why.contains("'VM.GuestAgent.Audit'") && why.contains("8.4"), "{why}");
}

#[test]
fn three_calls_to_silent_agents_keep_a_node_busy_for_three_seconds() {
    let mut bare = Bare::new();
    let secret = bare.world.access.users["homeroom@pve"].tokens["lab"].secret.clone();
    let caller = Caller::Header(format!("PVEAPIToken=homeroom@pve!lab={secret}"));
    let ask = |method: &str, path: &str| Request {
        caller: caller.clone(),
        ..Request::shell("pve1", method, path, serde_json::Map::new())
    };
    bare.world.set_agent_silent(9100, true);
    for call in 1..=3 {
        bare.world.submit(call, ask("POST", "/nodes/pve1/qemu/9100/agent/ping"));
    }
    // a write goes through the daemon and waits; a read of the configuration does not
    bare.world.submit(4, ask("PUT", "/nodes/pve1/qemu/9103/cloudinit"));
    bare.world.submit(5, ask("GET", "/nodes/pve1/qemu/9103/config"));
    assert_eq!(bare.world.take_answers().iter().map(|(id, _)| *id).collect::<Vec<_>>(), vec![5]);
    bare.world.advance(2900);
    assert!(bare.world.take_answers().is_empty());
    bare.world.advance(3200);
    let mut answered: Vec<u64> = bare.world.take_answers().iter().map(|(id, _)| *id).collect();
    answered.sort_unstable();
    assert_eq!(answered, vec![1, 2, 3, 4]);
}

#[test]
fn clones_of_an_unsealed_template_share_a_machine_id_but_no_host_key() {
    let mut bare = Bare::new();
    bare.world.unseal(9000);
    for id in ["9200", "9201"] {
        let upid = bare.ask("POST", "/nodes/pve1/qemu/9000/clone", json!({ "newid": id, "name": format!("g{id}") }));
        while !bare.ended(&upid) {
            bare.pass(100);
        }
        bare.ask("POST", &format!("/nodes/pve1/qemu/{id}/status/start"), Value::Null);
    }
    bare.pass(60_000);
    let inside = |id: u32| bare.world.guests[&id].inside.clone().unwrap();
    assert_eq!(inside(9200).machine_id, inside(9201).machine_id);
    assert_ne!(inside(9200).host_key, inside(9201).host_key);
    assert_eq!((inside(9200).hostname, inside(9201).hostname), ("g9200".into(), "g9201".into()));
    let seats = [9100, 9101].map(|id| bare.world.guests[&id].inside.clone().unwrap().machine_id);
    assert_ne!(seats[0], seats[1]);
}

proptest::proptest! {
    #[test]
    fn nothing_that_comes_in_upsets_the_world(
        path in "/(nodes/pve1|cluster|access|pools|storage)?(/[a-z0-9{}:!@%._-]{0,12}){0,5}",
        method in "GET|POST|PUT|DELETE",
        key in "(net0|ipconfig0|scsi0|tags|sshkeys|memory|newid|upid|size|disk|delete|command|[a-z0-9]{0,6})",
        value in "\\PC{0,40}",
    ) {
        let mut bare = Bare::new();
        for path in [path.as_str(), "/nodes/pve1/qemu/9100/config", "/nodes/pve1/qemu/9000/clone", "/nodes/pve1/qemu/9100/agent/exec"] {
            bare.calls += 1;
            let params = json!({ &key: &value });
            let request = Request::shell("pve1", &method, path, params.as_object().cloned().unwrap());
            bare.world.submit(bare.calls, request);
            bare.pass(1000);
        }
    }

    #[test]
    fn no_line_upsets_a_guests_shell(text in "\\PC{0,60}|[a-z'\"$();|&<>{}=\\\\ \n-]{0,60}") {
        let mut inside = homeroom::sim::guest::Inside::new("ubuntu-22.04", [1; 32], [2; 32]);
        let mut session = homeroom::sim::guest::Session::new("student");
        homeroom::sim::guest::line(&mut inside, &mut session, &text, text.as_bytes());
    }
}

/// What the lists show of guests 801 to 803, without what changes by itself.
fn film(bare: &mut Bare) -> Vec<Value> {
    let rows = bare.ask("GET", "/cluster/resources", json!({ "type": "vm" }));
    let ours = |row: &&Value| (801..=803).contains(&row["vmid"].as_u64().unwrap());
    let keys = ["status", "name", "lock", "tags"];
    let pick = |row: &Value| keys.iter().filter_map(|key| Some((key.to_string(), row.get(*key)?.clone()))).collect();
    rows.as_array().unwrap().iter().filter(ours).map(pick).collect()
}

#[test]
fn lists_show_three_clones_come_and_go_as_they_did_on_proxmox() {
    let mut bare = Bare::new();
    let ids = [801, 802, 803];
    for id in ids {
        let form = json!({ "newid": id.to_string(), "name": format!("film-{id}") });
        bare.ask("POST", "/nodes/pve1/qemu/9000/clone", form);
    }
    bare.pass(100);
    assert_eq!(film(&mut bare), vec![json!({ "status": "unknown", "lock": "clone" }); 3]);
    let active = bare.ask("GET", "/nodes/pve1/tasks", json!({ "source": "active" }));
    assert_eq!(active.as_array().unwrap().len(), 3);
    assert!(active.as_array().unwrap().iter().all(|row| row["status"] == "RUNNING" && row["id"] == "9000"));
    while bare.world.guests.values().any(|vm| vm.lock.is_some()) {
        bare.pass(50);
    }
    assert_eq!(film(&mut bare), vec![json!({ "status": "unknown" }); 3]);
    for id in ids {
        bare.ask("PUT", &format!("/nodes/pve1/qemu/{id}/config"), json!({ "tags": "film", "memory": "400" }));
        bare.ask("POST", &format!("/nodes/pve1/qemu/{id}/status/start"), Value::Null);
    }
    // tags come from the configuration and are live; the state has to be broadcast
    assert_eq!(film(&mut bare), vec![json!({ "status": "unknown", "tags": "film" }); 3]);
    bare.pass(12_000);
    let running = |id: u32| json!({ "status": "running", "name": format!("film-{id}"), "tags": "film" });
    assert_eq!(film(&mut bare), ids.map(running));
    for id in ids {
        assert_eq!(bare.task("POST", &format!("/nodes/pve1/qemu/{id}/status/stop"), Value::Null), "OK");
    }
    // stopped, but the lists have not heard
    assert_eq!(film(&mut bare)[0]["status"], "running");
    for id in ids {
        assert_eq!(bare.task("DELETE", &format!("/nodes/pve1/qemu/{id}"), Value::Null), "OK");
    }
    assert!(film(&mut bare).is_empty());
}

#[test]
fn pools_refuse_members_they_have_and_members_of_others() {
    let mut bare = Bare::new();
    bare.ask("PUT", "/pools", json!({ "poolid": "lab", "vms": "9100,9101" }));
    let again = bare.refused("PUT", "/pools", json!({ "poolid": "lab", "vms": "9100" }));
    assert_eq!(again, "update pools failed: VM 9100 is already a pool member");
    bare.ask("POST", "/pools", json!({ "poolid": "other" }));
    let taken = bare.refused("PUT", "/pools", json!({ "poolid": "other", "vms": "9100" }));
    assert_eq!(taken, "update pools failed: VM 9100 belongs already to pool 'lab' and 'allow-move' is not set");
    bare.ask("PUT", "/pools", json!({ "poolid": "other", "vms": "9100", "allow-move": "1" }));
    let full = bare.refused("DELETE", "/pools", json!({ "poolid": "lab" }));
    assert_eq!(full, "delete pool failed: pool 'lab' is not empty (contains VM 9101)");
    let members = bare.ask("GET", "/pools", json!({ "poolid": "other" }));
    assert_eq!(members[0]["members"][0]["vmid"], 9100);
}

#[test]
fn a_killed_clone_stays_locked_until_root_skips_the_lock() {
    let mut bare = Bare::new();
    bare.world.inject(Fault::first("POST /nodes/*/qemu/*/clone", FaultKind::Kill { seconds: 0.3 }));
    let status = bare.task("POST", "/nodes/pve1/qemu/9000/clone", json!({ "newid": "9200" }));
    assert_eq!(status, "unexpected status");
    assert_eq!(bare.task("DELETE", "/nodes/pve1/qemu/9200", Value::Null), "VM is locked (clone)");
    assert!(!bare.world.volumes_of(9200).is_empty());
    assert_eq!(bare.task("DELETE", "/nodes/pve1/qemu/9200", json!({ "skiplock": "1" })), "OK");
    assert!(bare.world.volumes_of(9200).is_empty());
    // nothing of it is in the way of another clone
    assert_eq!(bare.task("POST", "/nodes/pve1/qemu/9000/clone", json!({ "newid": "9200" })), "OK");
}

#[test]
fn what_a_running_guest_cannot_take_waits_for_a_restart() {
    let mut bare = Bare::new();
    let seat = "/nodes/pve1/qemu/9100";
    bare.ask("PUT", &format!("{seat}/config"), json!({ "memory": "4096", "description": "now" }));
    let pending = bare.ask("GET", &format!("{seat}/pending"), Value::Null);
    let of = |key: &str| pending.as_array().unwrap().iter().find(|row| row["key"] == key).cloned().unwrap();
    assert_eq!((&of("memory")["value"], &of("memory")["pending"]), (&json!("2048"), &json!("4096")));
    assert_eq!(of("description"), json!({ "key": "description", "value": "now" }));
    assert_eq!(bare.task("POST", &format!("{seat}/status/reset"), Value::Null), "OK");
    assert!(!bare.world.guests[&9100].pending.is_empty());
    bare.pass(30_000);
    assert_eq!(bare.task("POST", &format!("{seat}/status/reboot"), Value::Null), "OK");
    bare.pass(30_000);
    assert!(bare.world.guests[&9100].pending.is_empty());
    assert_eq!(bare.world.guests[&9100].inside.as_ref().unwrap().memory, 4 << 30);
}

#[test]
fn what_must_not_be_deleted_is_not() {
    let mut bare = Bare::new();
    let base = bare.task("DELETE", "/nodes/pve1/qemu/9000", Value::Null);
    assert_eq!(base, "base volume 'fast:9000/base-9000-disk-0.qcow2' is still in use by linked cloned");
    bare.ask("PUT", "/nodes/pve2/qemu/9001/config", json!({ "protection": "1" }));
    let words = bare.refused("DELETE", "/nodes/pve2/qemu/9001", Value::Null);
    assert_eq!(words, "can't remove VM 9001 - protection mode enabled");
    let words = bare.refused("DELETE", "/nodes/pve1/qemu/9100", Value::Null);
    assert_eq!(words, "VM 9100 is running - destroy failed");
}

#[test]
fn volumes_that_cannot_be_freed_are_left_behind_with_a_warning() {
    let mut bare = Bare::new();
    assert_eq!(bare.task("POST", "/nodes/pve1/qemu/9000/clone", json!({ "newid": "9200" })), "OK");
    bare.world.hold_storage("fast", "pve1", 60_000);
    let upid = bare.ask("DELETE", "/nodes/pve1/qemu/9200", Value::Null);
    while !bare.ended(&upid) {
        bare.pass(100);
    }
    let task = bare.world.task(upid.as_str().unwrap()).unwrap();
    assert_eq!(task.end.as_ref().unwrap().1, "WARNINGS: 2");
    let words = "Could not remove disk 'fast:9200/vm-9200-cloudinit.qcow2', check manually: cfs-lock 'storage-fast' error: got lock request timeout";
    assert!(task.log.iter().any(|line| line == words), "{:?}", task.log);
    assert!(!bare.world.guests.contains_key(&9200));
    assert_eq!(bare.world.volumes_of(9200).len(), 2);
}

#[test]
fn a_guest_moves_to_another_node_and_keeps_running() {
    let mut bare = Bare::new();
    let seat = "/nodes/pve1/qemu/9100";
    let off = bare.refused("POST", &format!("{seat}/migrate"), json!({ "target": "pve2" }));
    assert_eq!(off, "can't migrate running VM without --online");
    let to = json!({ "target": "pve2", "online": "1" });
    assert_eq!(bare.task("POST", &format!("{seat}/migrate"), to), "OK");
    assert_eq!(bare.world.guests[&9100].node, "pve2");
    assert_eq!(bare.ask("GET", "/nodes/pve2/qemu/9100/status/current", Value::Null)["status"], "running");
    let gone = bare.refused("GET", &format!("{seat}/status/current"), Value::Null);
    assert_eq!(gone, "Configuration file 'nodes/pve1/qemu-server/9100.conf' does not exist");
}

#[test]
fn a_token_made_through_the_api_logs_in_with_the_secret_shown_once() {
    let mut bare = Bare::new();
    bare.ask("POST", "/access/roles", json!({ "roleid": "Look", "privs": "VM.Audit Sys.Audit" }));
    bare.ask("POST", "/access/users", json!({ "userid": "new@pve", "password": "long-enough" }));
    let made = bare.ask("POST", "/access/users/new@pve/token/look", json!({ "privsep": "0" }));
    let header = format!("PVEAPIToken={}={}", made["full-tokenid"].as_str().unwrap(), made["value"].as_str().unwrap());
    bare.world.grant("/", "new@pve", "Look");
    let request = Request::shell("pve1", "GET", "/cluster/resources", serde_json::Map::new());
    bare.world.submit(900, Request { caller: Caller::Header(header), ..request });
    let (_, answer) = bare.world.take_answers().remove(0);
    assert!(answer.value().unwrap().as_array().unwrap().iter().any(|row| row["vmid"] == 9100));
    let taken = bare.refused("POST", "/access/roles", json!({ "roleid": "Bad", "privs": "VM.Fly" }));
    assert!(taken.contains("invalid privilege 'VM.Fly'"), "{taken}");
}

#[test]
fn an_image_is_fetched_once() {
    let mut bare = Bare::new();
    let path = "/nodes/pve1/storage/local/download-url";
    let form = json!({ "url": "https://x/y.qcow2", "content": "import", "filename": "y.qcow2" });
    assert_eq!(bare.task("POST", path, form.clone()), "OK");
    assert_eq!(bare.task("POST", path, form), "refusing to override existing file 'y.qcow2'");
    let disk = "fast:0,import-from=local:import/y.qcow2";
    let form = json!({ "vmid": "9300", "name": "imported", "scsi0": disk, "ide2": "fast:cloudinit" });
    assert_eq!(bare.task("POST", "/nodes/pve1/qemu", form), "OK");
    assert_eq!(bare.world.volumes_of(9300).len(), 2);
    assert!(bare.world.guests[&9300].config["scsi0"].ends_with("size=512M"));
}

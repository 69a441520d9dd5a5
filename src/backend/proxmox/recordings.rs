//! Answers recorded from Proxmox VE 9.2 (`tests/recordings/`), read by the code that reads live ones.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path};

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use super::{
    agent, decode,
    error::{Answer, Asked, Failed, read},
    guest, view,
};
use crate::{
    domain::{Clean, NodeName, Vmid},
    port::{SiteError, agent::AgentError, cluster::TaskState},
};

struct Recording {
    name: String,
    method: String,
    path: String,
    answer: Answer,
}

impl Recording {
    fn load(path: &Path) -> Self {
        let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let request = file.get("request").unwrap();
        let response = file.get("response").unwrap();
        let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = match response.get("body") {
            None | Some(Value::Null) => text(response, "body_raw").into_bytes(),
            Some(body) => serde_json::to_vec(body).unwrap(),
        };
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            method: text(request, "method"),
            path: text(request, "url").split("/api2/json").nth(1).unwrap_or_default().to_owned(),
            answer: Answer {
                status: u16::try_from(response.get("status").and_then(Value::as_u64).unwrap()).unwrap(),
                reason: text(response, "reason"),
                body,
            },
        }
    }

    fn read(&self) -> Result<Value, Failed> {
        let asked = Asked { what: &self.name, site: "campus", writes: self.method != "GET" };
        read(asked, &self.answer)
    }

    fn data(&self) -> Value {
        self.read().unwrap_or_else(|failed| panic!("{}: {failed:?}", self.name))
    }

    fn refused(&self) -> SiteError {
        match self.read() {
            Err(Failed::Answered(error)) => error,
            other => panic!("{}: {other:?}", self.name),
        }
    }
}

fn folder() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    paths.iter().map(|path| Recording::load(path)).collect()
}

fn recording(name: &str) -> Recording {
    Recording::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(format!("{name}.json")))
}

fn data(name: &str) -> Value {
    recording(name).data()
}

fn look(name: &str, status: Option<&str>) -> crate::domain::cluster::ClusterView {
    let status = status.map(data);
    let rows = view::Rows::deserialize(&data(name)).unwrap();
    view::cluster_view(Timestamp::UNIX_EPOCH, Clean::new("9.2.11"), &rows, status.as_ref()).unwrap()
}

/// Reads a success as the client would; `None` for what the client never asks.
fn read_success(recording: &Recording) -> Option<Result<(), String>> {
    let data = recording.data();
    let path = recording.path.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let vm = path.contains("/qemu/");
    Some(match (recording.method.as_str(), last) {
        ("GET", "version") => decode::version(&data).map(drop),
        ("GET", "resources") => view::Rows::deserialize(&data).map(drop).map_err(|e| e.to_string()),
        ("GET", "status") if path == "/cluster/status" => decode::node_addresses(&data).map(drop),
        ("GET", "status") if path.contains("/tasks/") => decode::task(&data).map(drop),
        ("GET", "log") if path.contains("/tasks/") => decode::task_log(&data).map(drop),
        ("GET", "tasks") => decode::active_tasks(&data).and_then(|_| decode::tasks(&data)).map(drop),
        ("GET", "rrddata") => decode::samples(&data).map(drop),
        ("GET", "config") if vm => guest::config(&data).map(drop),
        ("GET", "pending") if vm => guest::pending(&data).map(drop),
        ("GET", "current") if vm => guest::status(&data).map(drop),
        ("GET", "feature") if vm => decode::has_feature(&data).map(drop),
        ("GET", "pools") => decode::pools(&data).map(drop),
        ("GET", "content") => decode::volumes(Vmid::new(100).unwrap(), &data).map(drop),
        ("GET", "network-get-interfaces") => agent::interfaces(&data).map(drop).map_err(|e| e.to_string()),
        ("GET", "exec-status") => agent::exec_state(&data).map(drop),
        ("POST", "clone" | "start" | "stop" | "shutdown") if vm => decode::upid(&data).map(drop),
        ("PUT", "resize") if vm => decode::upid(&data).map(drop),
        ("DELETE", _) if vm && path.matches('/').count() == 4 => decode::upid(&data).map(drop),
        _ => return None,
    })
}

#[test]
fn every_recorded_success_is_read() {
    let successes: Vec<_> = folder().into_iter().filter(|r| r.answer.status == 200).collect();
    let mut asked = 0;
    for recording in &successes {
        if let Some(outcome) = read_success(recording) {
            outcome.unwrap_or_else(|why| panic!("{}: {why}", recording.name));
            asked += 1;
        }
    }
    assert!(asked >= 120, "only {asked} of {} recorded successes were read", successes.len());
}

#[test]
fn data_of_any_other_shape_is_passed_over_or_refused_but_never_a_panic() {
    let odd = [r#"null"#, "0", "-1.5", r#""x""#, "[]", "{}", "[null,7]", "[[{}]]", r#"[{"type":"qemu","vmid":"x"}]"#];
    for mut recording in folder().into_iter().filter(|r| r.answer.status == 200) {
        for data in odd {
            recording.answer.body = format!("{{\"data\":{data}}}").into_bytes();
            let _ = read_success(&recording);
        }
    }
}

#[test]
fn every_recorded_refusal_is_sorted_by_its_status_and_keeps_its_words() {
    let mut seen = 0;
    for recording in folder().iter().filter(|r| r.answer.status >= 400) {
        let Recording { name, answer, .. } = recording;
        let failed = recording.read().unwrap_err();
        seen += 1;
        match (&failed, answer.status) {
            (Failed::Answered(SiteError::Unauthorized { words, .. }), 401)
            | (Failed::Answered(SiteError::Forbidden { words, .. }), 403)
            | (
                Failed::Answered(
                    SiteError::Refused { words, .. }
                    | SiteError::Locked { words, .. }
                    | SiteError::NoQuorum { words, .. }
                    | SiteError::Missing { words, .. },
                ),
                403 | 500..,
            )
            | (Failed::Lost(words), 500) => {
                assert!(words.as_str().starts_with(answer.reason.trim_end()), "{name}: {words} for {}", answer.reason);
            }
            (Failed::Answered(SiteError::Invalid { errors, .. }), 400) => assert!(!errors.is_empty(), "{name}"),
            (Failed::Answered(SiteError::Missing { words, .. }), 400) => assert_eq!(words.as_str(), "no such task"),
            (Failed::Lost(words), 595..) => assert!(words.as_str().ends_with(&answer.reason), "{name}: {words}"),
            _ => panic!("{name} ({} {}) became {failed:?}", answer.status, answer.reason),
        }
    }
    assert!(seen >= 40, "only {seen} recorded refusals");
}

#[test]
fn the_words_of_a_500_decide() {
    for name in ["locked_backup_clone", "locked_backup_config", "err_put_config_while_clone_target_locked"] {
        assert!(matches!(recording(name).refused(), SiteError::Locked { .. }), "{name}");
    }
    let locked = recording("put_config_of_template_while_being_cloned").refused();
    assert!(matches!(&locked, SiteError::Locked { words, .. } if words.as_str().ends_with("got timeout")), "{locked}");
    for name in ["noquorum_clone", "noquorum_put_config"] {
        assert!(matches!(recording(name).refused(), SiteError::NoQuorum { .. }), "{name}");
    }
    for name in ["err_no_such_vm_status", "err_clone_no_such_source", "err_task_status_unknown_upid"] {
        assert!(recording(name).refused().is_missing(), "{name}");
    }
    assert!(matches!(recording("err_500_got_no_worker_upid_under_load").read(), Err(Failed::Lost(_))));
    assert!(matches!(recording("cluster2_err_595_offline_node_clone").read(), Err(Failed::Lost(_))));
    let forbidden = recording("err_403_clone").refused().to_string();
    assert!(forbidden.contains("(/vms/9000, VM.Clone)") && forbidden.contains("grant the privilege"), "{forbidden}");
}

#[test]
fn a_look_at_the_cluster_loses_nothing_that_is_used() {
    for name in ["get_cluster_resources", "cluster2_get_cluster_resources_one_offline", "get_cluster_resources_vm"] {
        let view = look(name, None);
        let data = data(name);
        let rows = data.as_array().unwrap();
        let number = |row: &Value, name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
        let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let of = |kind: &str| rows.iter().filter(|r| text(r, "type").as_deref() == Some(kind)).count();
        assert_eq!((view.guests.len(), view.nodes.len(), view.storages.len()), (of("qemu"), of("node"), of("storage")));
        for row in rows.iter().filter(|r| text(r, "type").as_deref() == Some("qemu")) {
            let guest = view.guest(Vmid::new(number(row, "vmid")).unwrap()).unwrap();
            assert_eq!(guest.name.as_ref().map(|n| n.as_str().to_owned()), text(row, "name"));
            assert_eq!(Some(guest.node.as_str().to_owned()), text(row, "node"));
            assert_eq!(guest.lock.as_ref().map(|l| l.as_str().to_owned()), text(row, "lock"));
            assert_eq!((guest.memory, guest.uptime), (number(row, "maxmem"), number(row, "uptime")));
            assert_eq!((guest.template, guest.disk), (number(row, "template") == 1, number(row, "maxdisk")));
            let tags: Vec<_> = guest.tags.iter().map(Clean::as_str).collect();
            assert_eq!(tags.join(";"), text(row, "tags").unwrap_or_default());
        }
    }
    let view = look("cluster2_get_cluster_resources_one_offline", Some("noquorum_get_cluster_status"));
    assert_eq!(view.quorate, Some(false));
    let storage = view.storages.iter().find(|s| s.storage.as_str() == "local").unwrap();
    assert!(storage.images && storage.available && storage.kind.as_str() == "dir");
}

#[test]
fn a_node_alone_needs_no_quorum_and_tells_its_address() {
    assert_eq!(look("get_cluster_resources", Some("get_cluster_status")).quorate, Some(true));
    let addresses = decode::node_addresses(&data("noquorum_get_cluster_status")).unwrap();
    assert_eq!(addresses, [(NodeName::new("pve1"), Some("192.0.2.2".parse().unwrap())), (NodeName::new("pve2"), None)]);
}

#[test]
fn a_template_is_known_by_its_configuration() {
    let config = guest::config(&data("get_config_of_template")).unwrap();
    let linked = decode::has_feature(&data("get_feature_clone_template")).unwrap();
    let view = guest::template(Vmid::new(9000).unwrap(), &NodeName::new("pve1"), &config, linked);
    assert!(view.agent && view.cloud_init && view.linked);
    assert_eq!((view.cores, view.sockets, view.memory_mib), (1, 1, 512));
    let [disk] = view.disks.as_slice() else { panic!("{:?}", view.disks) };
    assert_eq!((disk.slot.as_str(), disk.storage.as_str(), disk.size), ("scsi0", "local", 1536 << 20));
    assert_eq!(disk.format.as_ref().map(Clean::as_str), Some("raw"));
    assert!(!decode::has_feature(&data("get_feature_clone_nontemplate")).unwrap());
}

#[test]
fn a_configuration_keeps_every_value_and_the_lines_of_its_description() {
    let raw = data("get_config_after_put");
    let config = guest::config(&raw).unwrap();
    assert_eq!(config.description, "hello\nworld");
    assert_eq!(config.digest.as_deref(), Some("3ed6ddbc3622687ab4451e4154abe0c853478ac5"));
    assert_eq!(config.values.len() + 1, raw.as_object().unwrap().len());
    assert_eq!(
        (config.get("memory"), config.get("cores"), config.get("tags")),
        (Some("768"), Some("2"), Some("ci;glad"))
    );
    let pending = guest::pending(&data("get_qemu_pending_with_pending")).unwrap();
    let waiting: Vec<_> = pending.iter().filter(|item| item.pending.is_some()).collect();
    let [memory, agent] = waiting.as_slice() else { panic!("{waiting:?}") };
    assert_eq!((agent.key.as_str(), agent.value.as_ref()), ("agent", None));
    assert_eq!((memory.key.as_str(), memory.pending.as_ref().map(Clean::as_str)), ("memory", Some("640")));
}

#[test]
fn tasks_tell_how_they_ended() {
    let task = |name: &str| decode::task(&data(name)).unwrap();
    assert_eq!(task("get_task_status_running"), TaskState::Running);
    assert_eq!(task("qmclone_full_task_status_done"), TaskState::Ok { warnings: 0 });
    assert_eq!(task("qmstart_with_warnings_task_status_done"), TaskState::Ok { warnings: 1 });
    assert_eq!(task("task_status_worker_killed_9"), TaskState::Died(Clean::new("unexpected status")));
    let failed = task("qmstart_already_running_task_status_done");
    assert_eq!(failed, TaskState::Failed(Clean::new("VM 221 already running")));
    let [row] = decode::active_tasks(&data("get_node_tasks_active_running")).unwrap().try_into().unwrap();
    assert_eq!((row.kind.as_str(), row.id.as_str(), row.user.as_str()), ("qmclone", "9000", "root@pam!full"));
    assert_eq!(row.upid.node(), Some(NodeName::new("pve1")));
    assert_eq!(row.started_at.as_second(), 1_795_249_986);
    let log = decode::task_log(&data("qmclone_full_task_log")).unwrap();
    assert_eq!(log.first().map(Clean::as_str), Some("creating a clone of VM 9000 with ID 203"));
    assert_eq!(decode::task_log(&data("get_task_log_start_past_end")).unwrap(), []);
}

#[test]
fn the_agents_silence_has_its_reasons_told_apart() {
    let sort = |name: &str| agent::sort(recording(name).refused());
    assert_eq!(sort("err_agent_not_configured_ping"), AgentError::NotConfigured);
    assert_eq!(sort("err_agent_vm_not_running"), AgentError::NotRunning);
    assert!(matches!(sort("err_agent_not_running_yet"), AgentError::Silent(_)));
    assert!(matches!(sort("err_agent_ping_while_agent_hangs"), AgentError::Silent(_)));
    let AgentError::Refused(words) = sort("err_agent_exec_status_second_read") else { panic!() };
    assert_eq!(words.as_str(), "PID ld does not exist");
    assert!(matches!(sort("err_403_agent_ping"), AgentError::Site(SiteError::Forbidden { .. })));
}

#[test]
fn the_agents_answers_are_read() {
    let cards = agent::interfaces(&data("get_agent_network_get_interfaces")).unwrap();
    let card = cards.iter().find(|card| card.name.as_str() == "ens18").unwrap();
    assert_eq!(card.mac.as_deref(), Some("bc:24:11:32:0c:1b"));
    assert_eq!(card.addresses.first(), Some(&"10.99.0.201".parse().unwrap()));
    let ended = |name: &str| match agent::exec_state(&data(name)).unwrap() {
        agent::ExecState::Ended(output) => output,
        agent::ExecState::Running => panic!("{name} runs"),
    };
    let output = ended("get_agent_exec_status_stdout_stderr_exit3_done");
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(3), "out\n", "err\n"));
    let killed = ended("get_agent_exec_status_killed_by_signal_done");
    assert_eq!((killed.code, killed.stderr.as_str()), (None, "killed by signal 9\n"));
    assert_eq!(agent::exec_state(&data("get_agent_exec_status_sleep3_running")).unwrap(), agent::ExecState::Running);
    let objection = serde_json::json!({"result": {"error": {"class": "CommandNotFound", "desc": "not supported"}}});
    assert_eq!(agent::interfaces(&objection), Err(AgentError::Refused(Clean::new("not supported"))));
}

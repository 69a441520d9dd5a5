//! The guest agent: each call first finds out whether anybody answers.

use serde_json::{Value, json};

use super::qemu::guest;
use super::{Call, Fail, Reply, check};
use crate::sim::guest::{Exit, Process, Session, exec as run_program};
use crate::sim::world::{Op, Vm, World};

/// Milliseconds until a silent agent is given up.
const SILENT: u64 = 3000;
/// Milliseconds until the daemon gives up on an answer it cannot pass on.
const BROKEN: u64 = 5000;
/// Longest command line the agent takes.
const LONGEST: usize = 128 * 1024;

/// Any call below `agent/`.
pub fn run(world: &mut World, command: &str, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let command = if command.is_empty() { call.need("command") } else { command.to_owned() };
    if let Some((why, slow)) = world.agent_trouble(vm) {
        if !slow {
            return Err(why.into());
        }
        return Ok(Reply::Work(vec![Op::Pause(SILENT), Op::run(move |_, _| Err(why.into()))]));
    }
    let call = call.clone();
    let wait = world.physics.agent;
    Ok(Reply::Work(vec![
        Op::Pause(wait),
        Op::run(move |world, job| match answer(world, &command, &call)? {
            Said::Now(value) => {
                world.set_answer(job, value);
                Ok(Vec::new())
            }
            Said::Slow(ms, value) => Ok(vec![
                Op::Pause(ms),
                Op::run(move |world, job| {
                    world.set_answer(job, value);
                    Ok(Vec::new())
                }),
            ]),
            Said::Later(ms, fail) => Ok(vec![Op::Pause(ms), Op::run(move |_, _| Err(fail))]),
        }),
    ]))
}

enum Said {
    Now(Value),
    Slow(u64, Value),
    Later(u64, Fail),
}

fn answer(world: &mut World, command: &str, call: &Call) -> Result<Said, Fail> {
    let vmid = call.vmid();
    let vm = world.guests.get(&vmid).ok_or("VM vanished")?;
    if let Some((why, _)) = world.agent_trouble(vm) {
        return Err(why.into());
    }
    let result = |value: Value| Ok(Said::Now(json!({ "result": value })));
    match command {
        "ping" | "fsfreeze-thaw" | "fstrim" => result(json!({})),
        "fsfreeze-freeze" => result(json!(1)),
        "fsfreeze-status" => result(json!("thawed")),
        "network-get-interfaces" => result(interfaces(world, vm)),
        "get-osinfo" => {
            let system = inside(vm)?.system();
            result(json!({
                "id": system.id, "name": system.name, "pretty-name": system.pretty, "version": system.version,
                "version-id": system.version_id, "kernel-release": system.kernel, "kernel-version": system.build,
                "machine": "x86_64",
            }))
        }
        "get-host-name" => result(json!({ "host-name": inside(vm)?.hostname })),
        "get-time" => result(json!(world.unix() * 1_000_000_000)),
        "get-timezone" => result(json!({ "zone": "UTC", "offset": 0 })),
        "get-users" => result(json!([])),
        "get-vcpus" => {
            let cpus: Vec<Value> = (0..inside(vm)?.cores)
                .map(|n| json!({ "logical-id": n, "online": true, "can-offline": n > 0 }))
                .collect();
            result(Value::Array(cpus))
        }
        "get-fsinfo" => result(json!([{
            "name": "sda1", "mountpoint": "/", "type": "ext4", "total-bytes": inside(vm)?.disk * 93 / 100,
            "total-bytes-privileged": inside(vm)?.disk * 96 / 100, "used-bytes": 1_887_436_800u64,
            "disk": [{
                "bus": 0, "bus-type": "scsi", "dev": "/dev/sda1", "serial": "0QEMU_QEMU_HARDDISK_drive-scsi0",
                "target": 0, "unit": 0, "pci-controller": { "bus": 1, "domain": 0, "function": 0, "slot": 1 },
            }],
        }])),
        "info" => {
            let commands: Vec<Value> =
                ["ping", "exec", "exec-status", "network-get-interfaces", "get-osinfo", "get-host-name"]
                    .iter()
                    .map(|name| json!({ "name": format!("guest-{name}"), "enabled": true, "success-response": true }))
                    .collect();
            result(json!({ "version": "8.2.2", "supported_commands": commands }))
        }
        "set-user-password" => {
            let (user, password) = (call.need("username"), call.need("password"));
            if let Some(inside) = world.guests.get_mut(&vmid).and_then(|vm| vm.inside.as_mut()) {
                inside.add_user(&user).password = Some(password);
            }
            result(json!({}))
        }
        "shutdown" => {
            world.power_off(vmid);
            result(json!({}))
        }
        "exec" => exec(world, call),
        "exec-status" => exec_status(world, call),
        "file-read" => file_read(vm, call).map(Said::Now),
        "file-write" => {
            let (file, content) = (call.need("file"), call.need("content"));
            if let Some(inside) = world.guests.get_mut(&vmid).and_then(|vm| vm.inside.as_mut()) {
                inside.files.insert(file, content.into_bytes());
            }
            Ok(Said::Now(Value::Null))
        }
        other => result(
            json!({ "error": { "class": "CommandNotFound", "desc": format!("The command guest-{other} has not been found") } }),
        ),
    }
}

fn inside(vm: &Vm) -> Result<&crate::sim::guest::Inside, Fail> {
    vm.inside.as_ref().ok_or_else(|| "QEMU guest agent is not running".into())
}

fn interfaces(world: &World, vm: &Vm) -> Value {
    let counters = |bytes: u64| {
        json!({
            "rx-bytes": bytes, "rx-dropped": 0, "rx-errs": 0, "rx-packets": bytes / 90,
            "tx-bytes": bytes * 2, "tx-dropped": 0, "tx-errs": 0, "tx-packets": bytes / 60,
        })
    };
    let Some(inside) = &vm.inside else { return json!([]) };
    let mut rows = vec![json!({
        "name": "lo", "hardware-address": "00:00:00:00:00:00", "statistics": counters(0),
        "ip-addresses": [
            { "ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8 },
            { "ip-address": "::1", "ip-address-type": "ipv6", "prefix": 128 },
        ],
    })];
    if !inside.mac.is_empty() {
        let mut addresses = Vec::new();
        if let Some((address, prefix)) = world.address(vm) {
            addresses.push(json!({ "ip-address": address.to_string(), "ip-address-type": "ipv4", "prefix": prefix }));
        }
        addresses.push(json!({ "ip-address": inside.link_local(), "ip-address-type": "ipv6", "prefix": 64 }));
        let seen = world.since_up(vm).unwrap_or(0) / 10;
        rows.push(json!({
            "name": "ens18", "hardware-address": inside.mac, "statistics": counters(110 + seen),
            "ip-addresses": addresses,
        }));
    }
    Value::Array(rows)
}

fn session(world: &World, vm: &Vm) -> Session {
    let mut session = Session::new("root");
    session.uptime = world.since_up(vm).unwrap_or(0) + 8000;
    session.unix = world.unix();
    session.settled = world.cloud_init_done(vm);
    session
}

fn exec(world: &mut World, call: &Call) -> Result<Said, Fail> {
    let argv: Vec<String> = match call.params.get("command") {
        Some(Value::Array(items)) => items.iter().map(super::plain).collect(),
        Some(other) => vec![super::plain(other)],
        None => return Err(Fail::param("command", check::MISSING)),
    };
    let broken = || Said::Later(BROKEN, Fail::status(596, "Broken pipe"));
    if argv.iter().map(String::len).sum::<usize>() > LONGEST {
        return Ok(broken());
    }
    let (vmid, now) = (call.vmid(), world.now());
    let input = call.text("input-data").unwrap_or_default();
    let vm = world.guests.get(&vmid).ok_or("VM vanished")?;
    let mut session = session(world, vm);
    let Some(inside) = world.guests.get_mut(&vmid).and_then(|vm| vm.inside.as_mut()) else {
        return Err("QEMU guest agent is not running".into());
    };
    // the agent's message about a missing program carries curly quotes, which break the daemon;
    // `qm` in a shell of the node prints it
    let output = match run_program(inside, &mut session, &argv, input.as_bytes()) {
        Ok(output) => output,
        Err(missing) if call.shell => {
            let what =
                format!("Agent error: Failed to execute child process “{}” (No such file or directory)", missing.0);
            return Err(what.into());
        }
        Err(_) => return Ok(broken()),
    };
    let pid = inside.next_pid();
    // big outputs take the agent their time
    let reading = output.out.len() as u64 / 120;
    inside.running.insert(pid, Process { ends: now + output.takes + reading, output });
    Ok(Said::Now(json!({ "pid": pid })))
}

fn exec_status(world: &mut World, call: &Call) -> Result<Said, Fail> {
    let pid = call.number("pid").unwrap_or(0) as u32;
    let now = world.now();
    let gone = || Fail::from("Agent error: PID ld does not exist");
    let inside = world.guests.get_mut(&call.vmid()).and_then(|vm| vm.inside.as_mut()).ok_or_else(gone)?;
    let process = inside.running.get(&pid).ok_or_else(gone)?;
    if process.ends > now {
        return Ok(Said::Now(json!({ "exited": 0 })));
    }
    let Some(process) = inside.running.remove(&pid) else { return Err(gone()) };
    // the daemon decodes a thousand bytes a millisecond
    let size = process.output.out.len() + process.output.err.len();
    let mut data = json!({ "exited": 1 });
    match process.output.exit {
        Exit::Code(code) => data["exitcode"] = json!(code),
        Exit::Signal(signal) => data["signal"] = json!(signal),
    }
    for (name, bytes) in [("out", process.output.out), ("err", process.output.err)] {
        if !bytes.is_empty() {
            data[format!("{name}-data")] = json!(latin1(&bytes));
            data[format!("{name}-truncated")] = json!(0);
        }
    }
    Ok(Said::Slow(size as u64 / 1000, data))
}

/// Output comes as one character for each byte.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn file_read(vm: &Vm, call: &Call) -> Result<Value, Fail> {
    let file = call.need("file");
    let session = Session::new("root");
    let bytes = crate::sim::guest::read_file(inside(vm)?, &session, &file)
        .map_err(|why| Fail::from(format!("Agent error: failed to open file '{file}' (mode: 'r'): {why}")))?;
    Ok(json!({ "content": String::from_utf8_lossy(&bytes), "bytes-read": bytes.len() }))
}

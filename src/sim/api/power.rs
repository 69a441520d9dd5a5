//! Starting and stopping. Nearly everything is refused only in the task.

use super::config::unlocked;
use super::qemu::{disks, guest, missing};
use super::{Call, Fail, Reply};
use crate::sim::world::storage::split_volid;
use crate::sim::world::vm::volid;
use crate::sim::world::{Op, Vm, World};

fn task(world: &mut World, call: &Call, kind: &str, ops: Vec<Op>) -> Result<Reply, Fail> {
    let upid = world.spawn(&call.node(), kind, &call.vmid().to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

/// Only root itself may leave a lock aside.
pub fn skiplock(call: &Call) -> Result<bool, Fail> {
    let skip = call.flag("skiplock") == Some(true);
    if skip && !call.who.is_root() {
        return Err(Fail::param("skiplock", "Only root may use this option."));
    }
    Ok(skip)
}

fn vm(world: &World, vmid: u32, node: &str) -> Result<Vm, Fail> {
    world.guests.get(&vmid).filter(|vm| vm.node == node).cloned().ok_or_else(|| missing(vmid, node))
}

/// POST status/start
pub fn start(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node, skip) = (call.vmid(), call.node(), skiplock(call)?);
    let ops = vec![Op::config_lock(vmid), Op::run(move |world, _| starting(world, vmid, &node, skip))];
    task(world, call, "qmstart", ops)
}

fn starting(world: &mut World, vmid: u32, node: &str, skip: bool) -> Result<Vec<Op>, Fail> {
    let vm = vm(world, vmid, node)?;
    if vm.template() {
        return Err("you can't start a vm if it's a template".into());
    }
    if !skip {
        unlocked(&vm)?;
    }
    if vm.run.is_some() {
        return Err(format!("VM {vmid} already running").into());
    }
    let mut ops = Vec::new();
    if vm.config.values().any(|value| value.contains("cloudinit")) {
        ops.push(Op::Log("generating cloud-init ISO".into()));
    }
    let single = vm.config.get("scsihw").is_some_and(|hw| hw == "virtio-scsi-single");
    let iothread = vm.config.iter().any(|(key, value)| key.starts_with("scsi") && value.contains("iothread=1"));
    let wrong = iothread && !single;
    if let Some(cores) = world.nodes.get(node).map(|node| node.cores)
        && Vm::cpus(&vm.config) > cores
    {
        return Err(format!("MAX {cores} vcpus allowed per VM on this node").into());
    }
    if let Some(gone) = missing_volume(world, &vm) {
        return Err(format!("volume '{gone}' does not exist").into());
    }
    let unbridged = unbridged(world, &vm, node);
    let need = Vm::memory(&vm.config);
    ops.push(Op::Pause(world.physics.start));
    let node = node.to_owned();
    ops.push(Op::run(move |world, job| {
        if wrong {
            let what = "WARN: iothread is only valid with virtio disk or virtio-scsi-single controller, ignoring";
            world.warn(job, what);
        }
        if let Some(bridge) = unbridged {
            world.log(job, format!("bridge '{bridge}' does not exist"));
            return Err("start failed: QEMU exited with code 1".into());
        }
        let used: u64 = world
            .guests
            .values()
            .filter(|vm| vm.node == node)
            .filter_map(|vm| vm.run.as_ref())
            .map(|run| Vm::memory(&run.config))
            .sum();
        // more than twice what the node has is more than sharing and swap can bear
        if world.nodes.get(&node).is_some_and(|node| used + need > node.memory * 2) {
            return Err("start failed: QEMU exited with code 1".into());
        }
        world.power_on(vmid);
        Ok(Vec::new())
    }));
    Ok(ops)
}

/// The first of a machine's disks that is not there any more; its cloud-init drive is made anew at every start.
fn missing_volume(world: &World, vm: &Vm) -> Option<String> {
    disks(vm).into_iter().find_map(|(_, value)| {
        let id = volid(&value);
        let (store, name) = split_volid(id).filter(|(_, name)| !name.contains("cloudinit"))?;
        let there = world.storages.get(store)?.volumes.get(name).is_some();
        (!there).then(|| id.to_owned())
    })
}

/// The first bridge of a machine's cards that its node does not have.
fn unbridged(world: &World, vm: &Vm, node: &str) -> Option<String> {
    let bridges = &world.nodes.get(node)?.bridges;
    let cards = vm.config.iter().filter(|(key, _)| key.strip_prefix("net").is_some_and(|n| n.parse::<u8>().is_ok()));
    let mut wanted = cards.flat_map(|(_, card)| card.split(',').filter_map(|part| part.strip_prefix("bridge=")));
    wanted.find(|bridge| !bridges.iter().any(|known| known == bridge)).map(str::to_owned)
}

/// POST status/stop
pub fn stop(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node, skip) = (call.vmid(), call.node(), skiplock(call)?);
    let ops = vec![
        Op::config_lock(vmid),
        Op::run(move |world, _| {
            let vm = vm(world, vmid, &node)?;
            let Some(run) = &vm.run else { return Ok(Vec::new()) };
            if !skip {
                unlocked(&vm)?;
            }
            let mut ops = Vec::new();
            if run.hung {
                ops.push(Op::Pause(60_000));
                ops.push(Op::Log("VM quit/powerdown failed - terminating now with SIGTERM".into()));
                ops.push(Op::Pause(10_000));
                ops.push(Op::Log("VM still running - terminating now with SIGKILL".into()));
            }
            ops.push(Op::Pause(250));
            ops.push(off(vmid));
            Ok(ops)
        }),
    ];
    task(world, call, "qmstop", ops)
}

fn off(vmid: u32) -> Op {
    Op::run(move |world, _| {
        world.power_off(vmid);
        Ok(Vec::new())
    })
}

/// POST status/shutdown
pub fn shutdown(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node) = (call.vmid(), call.node());
    let paused = world.guests.get(&vmid).and_then(|vm| vm.run.as_ref()).is_some_and(|run| run.paused);
    let force = call.flag("forceStop") == Some(true);
    if paused && !force {
        return Err("VM is paused - cannot shutdown".into());
    }
    let timeout = call.number("timeout").unwrap_or(60) * 1000;
    let ops = vec![Op::config_lock(vmid), Op::run(move |world, _| shutting(world, vmid, &node, timeout, force))];
    let hung = world.guests.get(&vmid).and_then(|vm| vm.run.as_ref()).is_some_and(|run| run.hung);
    let Reply::Late(wait, upid) = task(world, call, "qmshutdown", ops)? else { return Err("no task".into()) };
    // the daemon first asks QEMU whether it is paused, and gives up after five seconds
    Ok(Reply::Late(wait + if hung { 5000 } else { 0 }, upid))
}

fn shutting(world: &mut World, vmid: u32, node: &str, timeout: u64, force: bool) -> Result<Vec<Op>, Fail> {
    let vm = vm(world, vmid, node)?;
    let Some(run) = &vm.run else { return Ok(Vec::new()) };
    unlocked(&vm)?;
    // a system that is still booting or hangs hears neither the agent nor ACPI
    let hears = run.up.is_some() && !run.hung;
    let takes = world.physics.shutdown;
    let mut ops = Vec::new();
    if hears && takes <= timeout {
        ops.push(Op::Pause(takes));
        ops.push(off(vmid));
        return Ok(ops);
    }
    if Vm::agent(&vm.config) == Some(true) && run.hung {
        ops.push(Op::Log(format!(
            "QEMU Guest Agent is not running - VM {vmid} qga command 'guest-ping' failed - unable to connect to VM {vmid} \
             qga socket - timeout after 31 retries"
        )));
    }
    ops.push(Op::Pause(timeout));
    if force {
        ops.push(Op::Log("VM quit/powerdown failed - terminating now with SIGTERM".into()));
        ops.push(off(vmid));
    } else {
        ops.push(Op::run(|_, _| Err("VM quit/powerdown failed".into())));
    }
    Ok(ops)
}

/// POST status/reboot: ends at power-off; the guest comes back by itself, with what was pending.
pub fn reboot(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node) = (call.vmid(), call.node());
    if guest(world, call)?.run.is_none() {
        return Err(format!("VM {vmid} not running").into());
    }
    let timeout = call.number("timeout").unwrap_or(60) * 1000;
    let ops = vec![
        Op::config_lock(vmid),
        Op::run(move |world, _| {
            let mut ops = shutting(world, vmid, &node, timeout, false)?;
            ops.push(Op::run(move |world, _| {
                world.power_on(vmid);
                Ok(Vec::new())
            }));
            Ok(ops)
        }),
    ];
    task(world, call, "qmreboot", ops)
}

/// POST status/reset: the same machine boots anew; nothing pending takes hold.
pub fn reset(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node) = (call.vmid(), call.node());
    let running = guest(world, call)?.run.is_some();
    if !running {
        return Err(format!("VM {vmid} not running").into());
    }
    let ops = vec![
        Op::config_lock(vmid),
        Op::run(move |world, _| {
            unlocked(&vm(world, vmid, &node)?)?;
            world.boot_again(vmid);
            Ok(Vec::new())
        }),
    ];
    task(world, call, "qmreset", ops)
}

/// POST status/suspend
pub fn suspend(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    pause(world, call, true)
}

/// POST status/resume
pub fn resume(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    pause(world, call, false)
}

fn pause(world: &mut World, call: &Call, paused: bool) -> Result<Reply, Fail> {
    let vmid = call.vmid();
    guest(world, call)?;
    let kind = if paused { "qmpause" } else { "qmresume" };
    let ops = vec![
        Op::config_lock(vmid),
        Op::run(move |world, _| {
            let run = world.guests.get_mut(&vmid).and_then(|vm| vm.run.as_mut());
            run.ok_or_else(|| Fail::from(format!("VM {vmid} not running")))?.paused = paused;
            Ok(Vec::new())
        }),
    ];
    task(world, call, kind, ops)
}

"""A machine's whole life through proxmoxer, unchanged, as its documentation says to use it.

Driven by tests/it/foreign.rs, which says by environment where the cluster is and afterwards looks into
the cluster itself. Every call goes through the library's own doors; what is asserted here is what the
library makes of the answers. REQUESTS_CA_BUNDLE names the cluster's certificate.
"""

import os
import sys
import time

from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.core import AuthenticationError
from proxmoxer.tools import Tasks

HOST = os.environ["PVE_HOST"]
PORT = int(os.environ["PVE_PORT"])
USER = os.environ["PVE_USER"]
TOKEN = os.environ["PVE_TOKEN_NAME"]
SECRET = os.environ["PVE_TOKEN_SECRET"]
PASSWORD = os.environ["PVE_PASSWORD"]
# How often a state is asked for; the modelled time runs faster than the wall's.
LOOK = 0.02
PATIENCE = 60


def by_token():
    return ProxmoxAPI(HOST, port=PORT, user=USER, token_name=TOKEN, token_value=SECRET, verify_ssl=True)


def by_ticket():
    return ProxmoxAPI(HOST, port=PORT, user=USER, password=PASSWORD, verify_ssl=True)


def done(pve, upid):
    """Waits for a task as the library's own tools do; its status must be OK."""
    status = Tasks.blocking_status(pve, upid, timeout=PATIENCE, polling_interval=LOOK)
    assert status is not None, f"{upid} does not end"
    assert status["status"] == "stopped" and status["exitstatus"] == "OK", status
    decoded = Tasks.decode_upid(upid)
    assert decoded["node"] == status["node"] and decoded["type"] == status["type"], (decoded, status)
    log = Tasks.decode_log(pve.nodes(status["node"]).tasks(upid).log.get(limit=0))
    assert log.splitlines()[-1] == "TASK OK", log
    return status


def until(what, look):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(LOOK)
    raise AssertionError(f"waited in vain until {what}")


def refused(status, words, call):
    try:
        call()
    except ResourceException as error:
        assert error.status_code == status, error
        text = f"{error.status_message} {error.content} {error.errors}"
        assert words in text, f"{words!r} is not in {text!r}"
        return error
    raise AssertionError(f"not refused: {words}")


def look_around(pve):
    """What tools of this kind read before they do anything."""
    assert pve.version.get()["version"][0] in "89"
    nodes = {node["node"]: node for node in pve.nodes.get()}
    assert all(node["status"] == "online" for node in nodes.values()), nodes
    rows = pve.cluster.status.get()
    cluster = [row for row in rows if row["type"] == "cluster"]
    assert len(cluster) == 1 and cluster[0]["quorate"] == 1 and cluster[0]["nodes"] == len(nodes), rows
    kinds = {row["type"] for row in pve.cluster.resources.get()}
    assert {"node", "qemu", "storage", "pool"} <= kinds, kinds
    assert {row["type"] for row in pve.cluster.resources.get(type="vm")} == {"qemu"}
    assert pve.cluster.options.get() is not None
    assert "/" in pve.access.permissions.get()
    assert int(pve.cluster.nextid.get()) >= 100
    assert [pool["poolid"] for pool in pve.pools.get()]
    shared = {row["storage"] for row in pve.storage.get() if row.get("shared")}
    for name in nodes:
        node = pve.nodes(name)
        assert node.status.get()["memory"]["total"] > 0
        assert node.version.get()["version"]
        assert node.time.get()["localtime"] > 0
        assert node.dns.get() and node.network.get()
        assert shared <= {row["storage"] for row in node.storage.get()}
        assert node.lxc.get() == []
        for guest in node.qemu.get(full=1):
            vm = node.qemu(guest["vmid"])
            assert len(vm.config.get()["digest"]) == 40
            assert {row["key"] for row in vm.pending.get()}
            assert vm.status.current.get()["vmid"] == guest["vmid"]
            assert vm.snapshot.get()[-1]["name"] == "current"
    return nodes


def template(pve, name):
    rows = pve.cluster.resources.get(type="vm")
    return next(row for row in rows if row.get("template") and row.get("name") == name)


def live(pve, source, name, full):
    """From clone to the end of its tests; the machine stays, running."""
    newid = int(pve.cluster.nextid.get())
    assert int(pve.cluster.nextid.get(vmid=newid)) == newid
    wanted = {"newid": newid, "name": name, "full": int(full), "pool": "lab"}
    node = pve.nodes(source["node"])
    status = done(pve, node.qemu(source["vmid"]).clone.post(**wanted))
    assert status["type"] == "qmclone" and status["id"] == str(source["vmid"])
    refused(400, "already exists", lambda: pve.cluster.nextid.get(vmid=newid))

    vm = node.qemu(newid)
    vm.config.put(cores=2, memory=1024, tags="Foreign;a", description="made by proxmoxer\nline two")
    sshkeys = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8d3fGkGmYDxcPGvD1bGEIcGEJBoZ+3LDrQkd8aKkXH me@here"
    from urllib.parse import quote

    upid = vm.config.post(ciuser="student", ipconfig0="ip=dhcp", sshkeys=quote(sshkeys, safe=""))
    if upid:
        done(pve, upid)
    config = vm.config.get()
    assert config["name"] == name and config["tags"] == "a;foreign", config
    assert config["description"].startswith("made by proxmoxer\nline two"), config
    assert str(config["memory"]) == "1024" and config["cores"] == 2, config
    refused(400, "not defined in schema", lambda: vm.config.put(colour="red"))
    refused(400, "type check", lambda: vm.config.put(cores="many"))

    done(pve, vm.resize.put(disk="scsi0", size="+1G"))
    refused(500, "not running", lambda: vm.agent.ping.post())
    done(pve, vm.status.start.post())
    assert vm.status.current.get()["status"] == "running"
    answering(vm)
    assert vm.agent("get-osinfo").get()["result"]["id"] in ("ubuntu", "debian")
    addresses = until("the agent names an address", lambda: lan(vm))
    assert addresses[0].startswith("10."), addresses

    pid = vm.agent.exec.post(command=["echo", "hello there"])["pid"]
    ended = until("the command has ended", lambda: finished(vm, pid))
    assert ended["exitcode"] == 0 and ended["out-data"] == "hello there\n", ended
    vm.agent("file-write").post(file="/tmp/note", content="kept")
    assert vm.agent("file-read").get(file="/tmp/note")["content"] == "kept"

    if full:
        # its storage is thick: the call is taken, the task says no
        status = Tasks.blocking_status(pve, vm.snapshot.post(snapname="before"), polling_interval=LOOK)
        assert status["exitstatus"] == "snapshot feature is not available", status
        assert [row["name"] for row in vm.snapshot.get()] == ["current"]
    else:
        back_and_forth(pve, vm, name)
    done(pve, vm.status.shutdown.post(timeout=60))
    assert vm.status.current.get()["status"] == "stopped"
    done(pve, vm.status.start.post())
    return newid


def back_and_forth(pve, vm, name):
    """A snapshot, the way back to it, and its end."""
    done(pve, vm.snapshot.post(snapname="before", description="as it was"))
    assert [row["name"] for row in vm.snapshot.get()] == ["before", "current"]
    assert vm.snapshot("before").config.get()["name"] == name
    done(pve, vm.snapshot("before").rollback.post(start=1))
    done(pve, vm.snapshot("before").delete())
    until("it runs again", lambda: vm.status.current.get()["status"] == "running")
    answering(vm)


def answering(vm):
    def ping():
        try:
            return vm.agent.ping.post() is not None
        except ResourceException as error:
            assert error.status_code == 500 and "agent is not running" in str(error), error
            return False

    until("the agent answers", ping)


def lan(vm):
    found = vm.agent("network-get-interfaces").get()["result"]
    return [
        address["ip-address"]
        for interface in found
        for address in interface.get("ip-addresses", [])
        if address["ip-address-type"] == "ipv4" and interface["name"] != "lo"
    ]


def finished(vm, pid):
    status = vm.agent("exec-status").get(pid=pid)
    return status if status["exited"] else None


def end(pve, node, vmid):
    vm = pve.nodes(node).qemu(vmid)
    refused(500, "is running - destroy failed", lambda: vm.delete())
    done(pve, vm.status.stop.post())
    done(pve, vm.delete(purge=1))
    refused(500, "does not exist", lambda: vm.config.get())


def main():
    doors = {"token": by_token(), "ticket": by_ticket()}
    made = []
    for how, pve in doors.items():
        look_around(pve)
        linked, thick = template(pve, "ubuntu-22.04"), template(pve, "debian-12")
        refused(
            500, "Linked clone feature is not supported", lambda: pve.nodes(thick["node"]).qemu(thick["vmid"]).clone.post(newid=7777, full=0)
        )
        first = live(pve, linked, f"{how}-linked", full=False)
        second = live(pve, thick, f"{how}-full", full=True)
        end(pve, linked["node"], first)
        made.append(second)
    refused(501, "not implemented", lambda: doors["token"].no.such.path.get())
    refused(403, "not available with API token", lambda: doors["token"].access.ticket.post(username=USER, password=PASSWORD))
    try:
        ProxmoxAPI(HOST, port=PORT, user=USER, password="wrong", verify_ssl=True)
    except AuthenticationError:
        pass
    else:
        raise AssertionError("a wrong password lets one in")
    print("made", *made)


if __name__ == "__main__":
    sys.exit(main())

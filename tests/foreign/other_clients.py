"""Two more clients nobody here wrote, unchanged: proxcli, a command line that speaks HTTP by itself, takes a
machine through its life; the exporter for Prometheus reads everything it knows to read.

Driven by tests/it/foreign.rs as proxmoxer_life.py is. PVE_LOGIN says how proxcli logs in.
"""

import json
import os
import subprocess
import sys
import time

from pve_exporter.collector import CollectorsOptions, collect_pve

ADDRESS = f"{os.environ['PVE_HOST']}:{os.environ['PVE_PORT']}"
USER = os.environ["PVE_USER"]
TOKEN = os.environ["PVE_TOKEN_NAME"]
SECRET = os.environ["PVE_TOKEN_SECRET"]
PASSWORD = os.environ["PVE_PASSWORD"]
PATIENCE = 60
# What this one trusts it is told by another name.
os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"]


def proxcli(*words, code=0):
    command = [os.path.join(os.path.dirname(sys.executable), "proxcli"), "--url", f"https://{ADDRESS}"]
    if os.environ["PVE_LOGIN"] == "ticket":
        command += ["--username", USER, "--password", PASSWORD]
    else:
        command += ["--api-token", f"{USER}!{TOKEN}={SECRET}"]
    ran = subprocess.run(command + [str(word) for word in words], capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == code, (words, ran)
    try:
        return json.loads(ran.stdout)
    except ValueError:
        return ran.stdout


def done(answer):
    """Waits for the task an answer names."""
    upid = answer["data"] if isinstance(answer, dict) else answer
    assert upid.startswith("UPID:"), answer
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        status = proxcli("task", "show", upid)
        if status["status"] == "stopped":
            assert status["exitstatus"] == "OK", status
            return
    raise AssertionError(f"{upid} does not end")


def look_around():
    for words in (
        "node list|vm list|container list|storage list|pool list|task list|acl list|user list|role list|backup list"
        "|network list|cluster status|cluster options|cluster log|cluster firewall options|cluster firewall rules"
        "|cluster firewall aliases|cluster firewall ipsets list|cluster firewall refs|cluster ha status|cluster ha resources"
        "|cluster sdn overview|cluster sdn zones|cluster sdn vnets|cluster sdn controllers|cluster sdn ipams"
        "|cluster sdn dns|node show pve1|node services pve1|node subscription pve1|node dns pve1|node time pve1"
        "|node pci pve1|node netstat pve1|node config pve1|network show vmbr0"
    ).split("|"):
        answer = proxcli(*words.split())
        assert "error" not in answer, (words, answer)
    assert {node["node"] for node in proxcli("node", "list")} == {"pve1", "pve2", "pve3"}


def live(vmid):
    done(proxcli("vm", "clone", 9000, "--newid", vmid, "--name", f"foreign-{vmid}", "--full", 0, "--pool", "lab"))
    proxcli("vm", "set", vmid, "--option", "cores=1", "--ciuser", "student", "--ipconfig0", "ip=dhcp")
    assert proxcli("vm", "config", vmid)["cores"] == 1
    done(proxcli("vm", "start", vmid))
    end = time.monotonic() + PATIENCE
    while "10." not in str(answering(vmid)):
        assert time.monotonic() < end, "no address"
    assert proxcli("vm", "agent", "osinfo", vmid)["result"]["id"] == "ubuntu"
    done(proxcli("vm", "snapshot", "create", vmid, "before"))
    assert "before" in str(proxcli("vm", "snapshot", "list", vmid))
    done(proxcli("vm", "snapshot", "delete", vmid, "before"))
    done(proxcli("vm", "stop", vmid))
    done(proxcli("vm", "delete", vmid, "--purge"))


def answering(vmid):
    """What the guest agent says of its addresses, or that it does not answer yet."""
    try:
        return proxcli("vm", "ip", vmid)
    except AssertionError as error:
        assert "QEMU guest agent is not running" in str(error), error
        return ""


def export():
    options = CollectorsOptions(
        status=True, version=True, node=True, cluster=True, resources=True, backup_info=True, config=True,
        replication=True, subscription=True, qdevice=True,
    )
    config = {"user": USER, "token_name": TOKEN, "token_value": SECRET, "verify_ssl": True}
    text = collect_pve(config, ADDRESS, True, True, options).decode()
    for line in ('pve_up{id="node/pve2"} 1.0', 'pve_up{id="qemu/9000"} 0.0', "pve_version_info{", "pve_subscription_status{"):
        assert line in text, (line, text)


def main():
    look_around()
    live(401)
    export()


if __name__ == "__main__":
    sys.exit(main())

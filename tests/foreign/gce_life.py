"""google-api-python-client, unchanged, takes an instance, a firewall rule and a DNS record through a whole life."""

import json
import os
import urllib.request
import uuid

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

ENDPOINT, PROJECT, ZONE = os.environ["GCE_ENDPOINT"], "lab-1", "europe-west3-a"


def token():
    url = f"{ENDPOINT}/computeMetadata/v1/instance/service-accounts/default/token"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["access_token"]


def service(name):
    options = {"api_endpoint": f"{ENDPOINT}/compute/v1/" if name == "compute" else f"{ENDPOINT}/"}
    return build(name, "v1", credentials=Credentials(token()), client_options=options, static_discovery=True)


compute, dns = service("compute"), service("dns")


def done(operation):
    place = {"project": PROJECT, "operation": operation["name"]}
    while operation["status"] != "DONE":
        if "zone" in operation:
            operation = compute.zoneOperations().wait(zone=ZONE, **place).execute()
        else:
            operation = compute.globalOperations().wait(**place).execute()
    return operation


def refused(request, status):
    try:
        request.execute()
    except HttpError as error:
        assert error.resp.status == status, error
        return error.error_details
    raise AssertionError("it was not refused")


zones = compute.zones().list(project=PROJECT, maxResults=2)
names = []
while zones is not None:
    page = zones.execute()
    names += [zone["name"] for zone in page["items"]]
    zones = compute.zones().list_next(zones, page)
assert ZONE in names and len(names) == len(set(names)) > 2, names

image = compute.images().getFromFamily(project="cos-cloud", family="cos-stable").execute()
rule = {
    "name": "life-in", "network": "global/networks/default", "sourceRanges": ["127.0.0.0/8"],
    "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}], "targetTags": ["life"],
}
done(compute.firewalls().insert(project=PROJECT, body=rule).execute())
done(compute.firewalls().patch(project=PROJECT, firewall="life-in", body={"description": "a life"}).execute())
assert compute.firewalls().get(project=PROJECT, firewall="life-in").execute()["description"] == "a life"

body = {
    "name": "life",
    "machineType": f"zones/{ZONE}/machineTypes/e2-small",
    "labels": {"owner": "foreign"},
    "tags": {"items": ["life"]},
    "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": image["selfLink"]}}],
    "networkInterfaces": [{"network": "global/networks/default", "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
    "metadata": {"items": [{"key": "enable-guest-attributes", "value": "TRUE"}]},
    "scheduling": {"maxRunDuration": {"seconds": "7200"}, "instanceTerminationAction": "DELETE"},
}
instances, own = compute.instances(), {"project": PROJECT, "zone": ZONE, "instance": "life"}
again = str(uuid.uuid4())
insert = instances.insert(project=PROJECT, zone=ZONE, body=body, requestId=again)
first = insert.execute()
assert instances.insert(project=PROJECT, zone=ZONE, body=body, requestId=again).execute()["name"] == first["name"]
assert "error" not in done(first)
refused(instances.insert(project=PROJECT, zone=ZONE, body=body), 409)

shown = instances.get(**own).execute()
assert shown["status"] == "RUNNING" and shown["networkInterfaces"][0]["accessConfigs"][0]["natIP"], shown
found = compute.instances().aggregatedList(project=PROJECT, filter="labels.owner = foreign").execute()
assert [it["name"] for it in found["items"][f"zones/{ZONE}"]["instances"]] == ["life"], found
stale = {"labels": {"owner": "x"}, "labelFingerprint": "AAAAAAAAAAA="}
refused(instances.setLabels(body=stale, **own), 412)
fresh = {"labels": {"owner": "x"}, "labelFingerprint": shown["labelFingerprint"]}
done(instances.setLabels(body=fresh, **own).execute())
metadata = {"fingerprint": shown["metadata"]["fingerprint"], "items": [{"key": "a", "value": "b"}]}
done(instances.setMetadata(body=metadata, **own).execute())
instances.getSerialPortOutput(start=0, **own).execute()
refused(instances.setScheduling(body={"automaticRestart": False}, **own), 400)
done(instances.stop(**own).execute())
assert instances.get(**own).execute()["status"] == "TERMINATED"
done(instances.start(**own).execute())
done(instances.delete(**own).execute())
refused(instances.get(**own), 404)
done(compute.firewalls().delete(project=PROJECT, firewall="life-in").execute())

record = {"name": "life.lab.example.com.", "type": "A", "ttl": 60, "rrdatas": ["203.0.113.7"]}
where = {"project": PROJECT, "managedZone": "lab"}
change = dns.changes().create(body={"additions": [record]}, **where).execute()
while change["status"] != "done":
    change = dns.changes().get(changeId=change["id"], **where).execute()
sets = dns.resourceRecordSets().list(name=record["name"], **where).execute()["rrsets"]
assert [it["rrdatas"] for it in sets] == [["203.0.113.7"]], sets
other = dict(record, rrdatas=["203.0.113.8"])
refused(dns.changes().create(body={"deletions": [other]}, **where), 412)
dns.changes().create(body={"deletions": [record]}, **where).execute()
print("lived")

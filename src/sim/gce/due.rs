//! What happens in a project when its time has come.

use std::net::Ipv4Addr;

use serde_json::json;

use super::world::{Due, Effect, World};

impl Due {
    /// The operation whose end it is.
    fn ends(&self) -> Option<&str> {
        match self {
            Self::End(name)
            | Self::Running(_, name)
            | Self::Stopped(_, _, name)
            | Self::Gone(_, name)
            | Self::Deed(_, name) => Some(name),
            _ => None,
        }
    }
}

impl World {
    pub(super) fn happens(&mut self, due: Due) {
        if let Some(name) = due.ends().map(str::to_owned)
            && let Some(failure) = self.doomed.remove(&name)
        {
            return self.end(&name, Some(failure));
        }
        match due {
            Due::Begin(name) => self.begin(&name),
            Due::End(name) => self.end(&name, None),
            Due::Fails(name, failure) => self.end(&name, Some(failure)),
            Due::Staging(id) => self.set_status(id, "PROVISIONING", "STAGING"),
            Due::Running(id, operation) => self.runs(id, &operation),
            Due::Refused { instance, operation, error, status, message } => {
                self.remove_instance(instance);
                self.end(&operation, Some((status, message, error)));
            }
            Due::Booted(id, run) => self.inside(id, run, super::inside::booted),
            Due::Docker(id, run) => self.inside(id, run, super::inside::docker),
            Due::Pulled(id, run) => self.inside(id, run, super::inside::pulled),
            Due::Seats(id, run) => self.inside(id, run, super::inside::seats),
            Due::Noticed(id, run) => self.inside(id, run, super::inside::noticed),
            Due::Stopped(id, status, operation) => {
                let stamp = self.stamp(self.now);
                if let Some(instance) = self.instances.get_mut(&id) {
                    super::inside::off(instance);
                    instance.status = status;
                    instance.body["lastStopTimestamp"] = json!(stamp);
                    instance.address = None;
                }
                self.end(&operation, None);
            }
            Due::Gone(id, operation) => {
                self.remove_instance(id);
                self.end(&operation, None);
            }
            Due::Preempt(id, run) | Due::Expire(id, run) => self.taken_away(id, run),
            Due::Deed(effect, operation) => {
                match effect {
                    Effect::Firewall(name, rule) => {
                        self.firewalls.insert(name, rule);
                    }
                    Effect::NoFirewall(name) => {
                        self.firewalls.remove(&name);
                    }
                    Effect::NoDisk(id) => {
                        self.disks.remove(&id);
                    }
                }
                self.end(&operation, None);
            }
            Due::Change(zone, id) => {
                if let Some(managed) = self.dns.get_mut(&zone) {
                    managed.done(&id);
                }
            }
        }
    }

    fn set_status(&mut self, id: u64, from: &str, to: &'static str) {
        if let Some(instance) = self.instances.get_mut(&id).filter(|it| it.status == from) {
            instance.status = to;
        }
    }

    /// Something inside an instance, unless it has been stopped or started anew since.
    fn inside(&mut self, id: u64, run: u64, what: fn(&mut World, u64)) {
        if self.instances.get(&id).is_some_and(|it| it.run == run && it.status == "RUNNING") {
            what(self, id);
        }
    }

    fn runs(&mut self, id: u64, operation: &str) {
        let boot = self.physics.boot;
        let (now, stamp) = (self.now, self.stamp(self.now));
        let address = self.free_address();
        let Some(instance) = self.instances.get_mut(&id) else {
            let message = "The resource was removed while it was being made";
            let error = json!({"errors": [{"code": "RESOURCE_NOT_FOUND", "message": message}]});
            return self.end(operation, Some((404, "NOT FOUND".to_owned(), error)));
        };
        instance.status = "RUNNING";
        instance.run += 1;
        instance.address = Some(address);
        instance.body["lastStartTimestamp"] = json!(stamp);
        let limit =
            instance.body["scheduling"]["maxRunDuration"]["seconds"].as_str().and_then(|s| s.parse::<u64>().ok());
        instance.ends_at = limit.map(|seconds| now + seconds * 1000);
        let (run, ends) = (instance.run, limit);
        self.after(boot, Due::Booted(id, run));
        if let Some(seconds) = ends {
            self.after(seconds * 1000, Due::Expire(id, run));
        }
        self.end(operation, None);
    }

    /// The server itself stops or deletes an instance: preemption, or the end of its time.
    fn taken_away(&mut self, id: u64, run: u64) {
        let Some(instance) = self.instances.get(&id).filter(|it| it.run == run && it.status == "RUNNING") else {
            return;
        };
        let deletes = instance.body["scheduling"]["instanceTerminationAction"] == "DELETE";
        let (zone, name) = (instance.zone.clone(), instance.name.clone());
        let kind = match instance.preempted {
            true => "compute.instances.preempted",
            false if deletes => "compute.instances.delete",
            false => "compute.instances.stop",
        };
        let operation = self.operation(kind, &format!("zones/{zone}/instances/{name}"), Some(id), &zone, None);
        self.begin(&operation);
        // Whichever it is, it takes as long as a stop or a removal that somebody asks for.
        if let Some(instance) = self.instances.get_mut(&id) {
            super::inside::off(instance);
            instance.status = "STOPPING";
        }
        let due = match deletes {
            true => Due::Gone(id, operation),
            false => Due::Stopped(id, "TERMINATED", operation),
        };
        self.after(self.physics.remove, due);
    }

    pub(super) fn remove_instance(&mut self, id: u64) {
        self.instances.remove(&id);
        self.disks.retain(|_, disk| disk.user != Some(id) || !disk.auto_delete);
        for disk in self.disks.values_mut().filter(|disk| disk.user == Some(id)) {
            disk.user = None;
            if let Some(body) = disk.body.as_object_mut() {
                body.remove("users");
            }
        }
    }

    fn free_address(&self) -> Ipv4Addr {
        let taken: Vec<Ipv4Addr> = self.instances.values().filter_map(|it| it.address).collect();
        let [a, b, c] = self.network;
        // A machine that starts again mostly gets another address.
        let first = u8::try_from(self.ids / 7_919 % 200).unwrap_or(0);
        let free = |last: u8| Ipv4Addr::new(a, b, c, last);
        (first + 2..=254).chain(2..=first + 1).map(free).find(|address| !taken.contains(address)).unwrap_or(free(254))
    }
}

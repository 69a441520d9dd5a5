//! From a request to the handler of its call.

use serde_json::{Value, json};

use super::schema::{self, Route};
use super::{Call, Caller, Fail, Reply, Request, check, permit};
use super::{
    access, accounts, agent, around, clone, cluster, config, create, destroy, download, login, lxc, migrate, nodes,
    pools, power, qemu, quiet, resize, snapshot, storages, tasks, template,
};
use crate::sim::world::{Who, World};

/// Milliseconds until a failed login is answered.
pub const LOGIN_DELAY: u64 = 3000;
/// Milliseconds until a silent node is given up.
const NO_ROUTE: u64 = 3000;

impl World {
    /// Finds the call and checks it in Proxmox's order: login, permission, node, parameters. A failure
    /// comes with the milliseconds it takes.
    pub(super) fn route(&self, request: &Request) -> Result<(Route, Call), (Fail, u64)> {
        let unknown = || {
            let what = format!("Method '{} {}' not implemented", request.method, request.path);
            (Fail::status(501, what), 0)
        };
        let route = schema::get().find(&request.path, self.is_eight());
        let entry = route.as_ref().and_then(|route| schema::get().entry(route.template, &request.method));
        let who = if entry.is_some_and(|entry| permit::open(&entry.permissions)) {
            if matches!(request.caller, Caller::Header(_)) && request.path == "/access/ticket" {
                let what = "Permission check failed (URI '/access/ticket' not available with API token, need proper ticket.\n)";
                return Err((Fail::status(403, what), 0));
            }
            Who { user: String::new(), token: None }
        } else {
            self.authenticate(request).map_err(|fail| (fail, LOGIN_DELAY))?
        };
        let (Some(route), Some(entry)) = (route, entry) else { return Err(unknown()) };
        let mut params = request.params.clone();
        for (name, value) in &route.values {
            params.insert((*name).to_owned(), Value::String(value.clone()));
        }
        permit::check(self, &who, &entry.permissions, &params).map_err(|fail| (fail, 0))?;
        if entry.proxyto.as_deref() == Some("node") {
            let node = params.get("node").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.reach(&request.entry, &node)?;
        }
        let params = check::params(entry, &params).map_err(|errors| (Fail::params(errors), 0))?;
        let call = Call { who, entry: request.entry.clone(), params, shell: matches!(request.caller, Caller::Shell) };
        Ok((route, call))
    }

    /// Can one node reach another?
    fn reach(&self, from: &str, node: &str) -> Result<(), (Fail, u64)> {
        if node == "localhost" || node == from {
            return Ok(());
        }
        if let Some((status, words, wait)) = self.hosts.get(node) {
            return Err((Fail::status(*status, words.clone()), *wait));
        }
        if !self.nodes.contains_key(node) {
            let what = format!(
                "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
            );
            return Err((what.into(), 0));
        }
        if self.online(node) { Ok(()) } else { Err((Fail::status(595, "No route to host"), NO_ROUTE)) }
    }
}

/// Runs the handler of a call.
pub fn run(world: &mut World, method: &str, template: &str, call: &Call) -> Result<Reply, Fail> {
    let mut call = call.clone();
    if call.text("node").as_deref() == Some("localhost") {
        call.params.insert("node".into(), Value::String(call.entry.clone()));
    }
    let call = &call;
    if method == "GET"
        && let Some(answer) = read(world, template, call)
    {
        return answer;
    }
    if let Some(rest) = template.strip_prefix("/nodes/{node}/qemu/{vmid}") {
        return guest(world, method, rest, call);
    }
    if let Some(rest) = template.strip_prefix("/nodes/{node}") {
        return node(world, method, rest, call);
    }
    match (method, template) {
        ("GET", "/version") => nodes::version(world),
        ("GET", "/access/ticket") => Ok(Reply::Data(Value::Null)),
        ("POST", "/access/ticket") => login::ticket(world, call),
        ("GET", "/access/permissions") => access::permissions(world, call),
        ("GET", "/access/roles") => access::roles(world),
        ("GET", "/access/roles/{roleid}") => access::role(world, call),
        ("GET", "/access/users") => access::users(world, call),
        ("GET", "/access/users/{userid}") => access::user(world, call),
        ("GET", "/access/users/{userid}/token") => access::tokens(world, call),
        ("GET", "/access/users/{userid}/token/{tokenid}") => access::token(world, call),
        ("POST", "/access/users") => accounts::add_user(world, call),
        ("PUT", "/access/users/{userid}") => accounts::change_user(world, call),
        ("DELETE", "/access/users/{userid}") => accounts::remove_user(world, call),
        ("PUT", "/access/password") => accounts::password(world, call),
        ("POST", "/access/users/{userid}/token/{tokenid}") => accounts::add_token(world, call),
        ("DELETE", "/access/users/{userid}/token/{tokenid}") => accounts::remove_token(world, call),
        ("POST", "/access/roles") => accounts::write_role(world, call, true),
        ("PUT", "/access/roles/{roleid}") => accounts::write_role(world, call, false),
        ("DELETE", "/access/roles/{roleid}") => accounts::remove_role(world, call),
        ("GET", "/cluster/status") => cluster::status(world, call),
        ("GET", "/cluster/resources") => cluster::resources(world, call),
        ("GET", "/cluster/tasks") => tasks::cluster(world, call),
        ("GET", "/cluster/nextid") => cluster::nextid(world, call),
        ("GET", "/cluster/options") => cluster::options(world, call),
        ("GET", "/cluster/ha/status/current") => cluster::ha_status(world),
        ("GET", "/cluster/ha/status/manager_status") => cluster::ha_manager(world),
        ("GET", "/nodes") => nodes::list(world, call),
        ("GET", "/pools") => pools::list(world, call),
        ("POST", "/pools") => pools::create(world, call),
        ("PUT", "/pools" | "/pools/{poolid}") => pools::update(world, call),
        ("DELETE", "/pools" | "/pools/{poolid}") => pools::delete(world, call),
        ("GET", "/pools/{poolid}") => pools::one(world, call),
        ("GET", "/storage") => storages::defined(world, call),
        ("GET", "/storage/{storage}") => storages::definition(world, call),
        _ => unmodelled(method, template),
    }
}

/// What is read without touching a guest, a task or a storage: directories, and what stands around.
fn read(world: &World, template: &str, call: &Call) -> Option<Result<Reply, Fail>> {
    if template == "/cluster/ha/groups" && !world.is_eight() {
        return Some(Err("cannot index groups: ha groups have been migrated to rules".into()));
    }
    // of a guest or task that is not there, nothing can be listed
    let of = |start: &str| template.starts_with(start) && !template.contains("/firewall");
    if of("/nodes/{node}/lxc/{vmid}") {
        return None;
    }
    if template == "/nodes/{node}/lxc" {
        return Some(lxc::list(world, call));
    }
    if let Some((key, names)) = schema::get().index(template, world.is_eight()) {
        let there = match () {
            () if of("/nodes/{node}/qemu/{vmid}") => qemu::guest(world, call).map(drop),
            () if of("/nodes/{node}/tasks/{upid}") => tasks::index(world, call),
            () => Ok(()),
        };
        let rows = names.into_iter().map(|name| json!({ key: name })).collect();
        return Some(there.map(|()| Reply::Data(rows)));
    }
    around::answer(world, template, call).or_else(|| quiet::answer(template, call))
}

fn node(world: &mut World, method: &str, rest: &str, call: &Call) -> Result<Reply, Fail> {
    match (method, rest) {
        ("GET", "/status") => nodes::status(world, call),
        ("GET", "/version") => nodes::version(world),
        ("GET", "/time") => nodes::time(world),
        ("GET", "/dns") => Ok(Reply::Data(json!({"dns1": "192.0.2.1", "search": "lab.example"}))),
        ("GET", "/hosts") => nodes::hosts(world),
        ("GET", "/network") => nodes::network(world, call),
        ("GET", "/network/{iface}") => nodes::interface(world, call),
        ("GET", "/rrddata") => nodes::rrddata(world, call),
        ("GET", "/qemu") => qemu::list(world, call),
        ("POST", "/qemu") => create::create(world, call),
        ("GET", "/tasks") => tasks::list(world, call),
        ("GET", "/tasks/{upid}/status") => tasks::status(world, call),
        ("GET", "/tasks/{upid}/log") => tasks::log(world, call),
        ("DELETE", "/tasks/{upid}") => tasks::stop(world, call),
        ("GET", "/storage") => storages::list(world, call),
        ("GET", "/storage/{storage}/status") => storages::status(world, call),
        ("GET", "/storage/{storage}/rrddata") => storages::rrddata(world, call),
        ("GET", "/storage/{storage}/prunebackups") => storages::prunable(world, call),
        ("GET", "/storage/{storage}/content") => storages::content(world, call),
        ("GET", "/storage/{storage}/content/{volume}") => storages::volume(world, call),
        ("POST", "/storage/{storage}/download-url") => download::download(world, call),
        ("DELETE", "/storage/{storage}/content/{volume}") => storages::remove(world, call),
        ("GET", "/lxc/{vmid}/config") => lxc::config(world, call),
        ("GET", "/lxc/{vmid}/status/current") => lxc::current(world, call),
        _ if rest.starts_with("/lxc/{vmid}") => {
            lxc::other(world, call).and_then(|()| unmodelled(method, &format!("/nodes/{{node}}{rest}")))
        }
        _ => unmodelled(method, &format!("/nodes/{{node}}{rest}")),
    }
}

fn guest(world: &mut World, method: &str, rest: &str, call: &Call) -> Result<Reply, Fail> {
    if let Some(command) = rest.strip_prefix("/agent") {
        return agent::run(world, command.trim_start_matches('/'), call);
    }
    match (method, rest) {
        ("DELETE", "") => destroy::destroy(world, call),
        ("GET", "/config") => qemu::config(world, call),
        ("GET", "/pending") => qemu::pending(world, call),
        ("PUT", "/config") => config::put(world, call),
        ("POST", "/config") => config::post(world, call),
        ("POST", "/clone") => clone::clone(world, call),
        ("PUT", "/resize") => resize::resize(world, call),
        ("GET", "/feature") => qemu::feature(world, call),
        ("GET", "/cloudinit") => qemu::cloudinit(world, call),
        ("PUT", "/cloudinit") => qemu::regenerate(world, call),
        ("GET", "/cloudinit/dump") => qemu::dump(world, call),
        ("PUT", "/unlink") => config::unlink(world, call),
        ("GET", "/migrate") => migrate::conditions(world, call),
        ("POST", "/migrate") => migrate::migrate(world, call),
        ("POST", "/template") => template::convert(world, call),
        ("GET", "/rrddata") => qemu::rrddata(world, call),
        ("GET", "/status/current") => qemu::current(world, call),
        ("POST", "/status/start") => power::start(world, call),
        ("POST", "/status/stop") => power::stop(world, call),
        ("POST", "/status/shutdown") => power::shutdown(world, call),
        ("POST", "/status/reboot") => power::reboot(world, call),
        ("POST", "/status/reset") => power::reset(world, call),
        ("POST", "/status/suspend") => power::suspend(world, call),
        ("POST", "/status/resume") => power::resume(world, call),
        ("GET", "/snapshot") => snapshot::list(world, call),
        ("POST", "/snapshot") => snapshot::create(world, call),
        ("GET", "/snapshot/{snapname}/config") => snapshot::config(world, call),
        ("POST", "/snapshot/{snapname}/rollback") => snapshot::rollback(world, call),
        ("DELETE", "/snapshot/{snapname}") => snapshot::delete(world, call),
        _ => unmodelled(method, &format!("/nodes/{{node}}/qemu/{{vmid}}{rest}")),
    }
}

/// A call Proxmox knows and this simulation does not: said openly, never made up.
fn unmodelled(method: &str, template: &str) -> Result<Reply, Fail> {
    Err(Fail::status(501, format!("the simulated cluster does not model '{method} {template}'")))
}

//! Who calls: tokens, tickets, and what is wrong with them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Call, Caller, Fail, Reply, Request};
use crate::sim::world::fault::digest;
use crate::sim::world::{Who, World};

/// Tickets live two hours.
const LIFETIME: i64 = 7200;

impl World {
    /// Who makes this call.
    ///
    /// # Errors
    /// 401 with Proxmox's reason.
    pub(super) fn authenticate(&self, request: &Request) -> Result<Who, Fail> {
        match &request.caller {
            Caller::Shell => Ok(Who::root()),
            Caller::Nobody => Err(Fail::status(401, "No ticket")),
            Caller::Header(value) => self.token(value),
            Caller::Ticket { ticket, csrf } => {
                let user = self.ticket_user(ticket).ok_or_else(|| Fail::status(401, "Authentication failed!"))?;
                let reads = request.method == "GET";
                let proven = csrf.as_deref().is_some_and(|token| self.csrf_fits(token, &user));
                if !reads && !proven {
                    return Err(Fail::status(401, "Permission denied - invalid csrf token"));
                }
                Ok(Who { user, token: None })
            }
        }
    }

    fn token(&self, header: &str) -> Result<Who, Fail> {
        let rest = header
            .strip_prefix("PVEAPIToken")
            .and_then(|rest| rest.strip_prefix(['=', ' ']))
            .ok_or_else(|| Fail::status(401, "No ticket"))?;
        let failed = || Fail::status(401, "Authentication failed!");
        let (id, secret) = rest.split_once('=').ok_or_else(failed)?;
        let who = Who::parse(id);
        let token = who
            .token
            .as_ref()
            .and_then(|name| self.access.users.get(&who.user)?.tokens.get(name))
            .ok_or_else(failed)?;
        if token.secret == secret { Ok(who) } else { Err(failed()) }
    }

    fn signature(&self, kind: &str, user: &str, stamp: &str) -> String {
        digest(self.seed, &[kind, user, stamp, &self.fingerprint]).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn ticket_user(&self, ticket: &str) -> Option<String> {
        let (head, signature) = ticket.split_once("::")?;
        let (user, stamp) = head.strip_prefix("PVE:")?.rsplit_once(':')?;
        let age = self.unix() - i64::from_str_radix(stamp, 16).ok()?;
        let good = signature == self.signature("ticket", user, stamp) && (0..LIFETIME).contains(&age);
        (good && self.access.users.contains_key(user)).then(|| user.to_owned())
    }

    fn csrf_fits(&self, token: &str, user: &str) -> bool {
        token.split_once(':').is_some_and(|(stamp, signature)| signature == self.signature("csrf", user, stamp))
    }
}

/// POST /access/ticket
pub fn ticket(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let mut user = call.need("username");
    if !user.contains('@') {
        user = format!("{user}@{}", call.text("realm").unwrap_or_else(|| "pam".into()));
    }
    let password = call.need("password");
    let known = world.access.users.get(&user).and_then(|user| user.password.as_deref());
    let renewed = world.ticket_user(&password).is_some_and(|owner| owner == user);
    if !renewed && known != Some(password.as_str()) {
        return Err(Fail::status(401, "authentication failure"));
    }
    let stamp = format!("{:08X}", world.unix());
    let ticket = format!("PVE:{user}:{stamp}::{}", world.signature("ticket", &user, &stamp));
    let csrf = format!("{stamp}:{}", world.signature("csrf", &user, &stamp));
    let mut data = json!({
        "username": user,
        "ticket": ticket,
        "CSRFPreventionToken": csrf,
        "cap": capabilities(world, &user),
    });
    if world.nodes.len() > 1
        && let Some(map) = data.as_object_mut()
    {
        map.insert("clustername".into(), Value::String(world.name.clone()));
    }
    Ok(Reply::Data(data))
}

/// The privileges the web interface shows by area.
fn capabilities(world: &World, user: &str) -> Value {
    let who = Who { user: user.into(), token: None };
    let mut cap = json!({});
    let paths: BTreeSet<&str> = world.access.acls.iter().map(|acl| acl.path.as_str()).chain(["/"]).collect();
    let all: BTreeSet<String> = paths.iter().flat_map(|path| world.privileges(&who, path).into_keys()).collect();
    for (area, starts) in [
        ("vms", &["VM.", "Permissions."][..]),
        ("storage", &["Datastore.", "Permissions."]),
        ("access", &["User.", "Group.", "Permissions."]),
        ("nodes", &["Sys.", "Permissions."]),
        ("mapping", &["Mapping.", "Permissions."]),
        ("sdn", &["SDN.", "Permissions."]),
        ("dc", &["Sys.Audit", "Sys.Modify"]),
    ] {
        let found: serde_json::Map<String, Value> = all
            .iter()
            .filter(|name| starts.iter().any(|start| name.starts_with(start)))
            .map(|name| (name.clone(), json!(1)))
            .collect();
        cap[area] = Value::Object(found);
    }
    cap
}

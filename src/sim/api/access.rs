//! Calls about users, tokens, roles and what the caller may do.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Call, Fail, Reply};
use crate::sim::world::access::Privileges;
use crate::sim::world::{Who, World};

fn shown(privileges: &Privileges) -> Value {
    privileges.iter().map(|(name, propagate)| (name.clone(), json!(u8::from(*propagate)))).collect::<Map<_, _>>().into()
}

/// GET /access/permissions
pub fn permissions(world: &World, call: &Call) -> Result<Reply, Fail> {
    let who = call.text("userid").map_or_else(|| call.who.clone(), |id| Who::parse(&id));
    let paths: BTreeSet<String> = match call.text("path") {
        Some(path) => BTreeSet::from([path]),
        None => {
            let fixed = ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
            let mut paths: BTreeSet<String> = world.access.acls.iter().map(|acl| acl.path.clone()).collect();
            if who.user == "root@pam" || world.access.acls.iter().any(|acl| acl.path == "/") {
                paths.extend(fixed.map(str::to_owned));
            }
            paths.extend(world.pools.values().flat_map(|pool| &pool.vms).map(|id| format!("/vms/{id}")));
            paths
        }
    };
    let mut data = Map::new();
    for path in paths {
        let privileges = world.privileges(&who, &path);
        if !privileges.is_empty() {
            data.insert(path, shown(&privileges));
        }
    }
    Ok(Reply::Data(Value::Object(data)))
}

/// GET /access/roles
pub fn roles(world: &World) -> Result<Reply, Fail> {
    let rows = world
        .access
        .roles
        .iter()
        .map(|(role, (privileges, special))| {
            let list: Vec<&str> = privileges.iter().map(String::as_str).collect();
            json!({ "roleid": role, "privs": list.join(","), "special": u8::from(*special) })
        })
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}

/// GET /access/roles/{roleid}
pub fn role(world: &World, call: &Call) -> Result<Reply, Fail> {
    let id = call.need("roleid");
    let (privileges, _) =
        world.access.roles.get(&id).ok_or_else(|| Fail::from(format!("role '{id}' does not exist")))?;
    Ok(Reply::Data(privileges.iter().map(|name| (name.clone(), json!(1))).collect::<Map<_, _>>().into()))
}

/// GET /access/users
pub fn users(world: &World, call: &Call) -> Result<Reply, Fail> {
    let all =
        world.may(&call.who, "/access/groups", "Sys.Audit") || world.may(&call.who, "/access/groups", "User.Modify");
    let full = call.flag("full") == Some(true);
    let rows = world
        .access
        .users
        .iter()
        .filter(|(id, _)| all || **id == call.who.user)
        .map(|(id, user)| {
            let mut row = json!({
                "userid": id, "enable": 1, "expire": 0, "realm-type": id.rsplit('@').next().unwrap_or("pve"),
            });
            if full {
                let tokens: Vec<Value> = user
                    .tokens
                    .iter()
                    .map(|(name, token)| json!({ "tokenid": name, "privsep": u8::from(token.privsep), "expire": 0 }))
                    .collect();
                row["tokens"] = json!(tokens);
                row["groups"] = json!("");
            }
            row
        })
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}

fn find<'a>(world: &'a World, call: &Call) -> Result<&'a crate::sim::world::access::User, Fail> {
    let id = call.need("userid");
    world.access.users.get(&id).ok_or_else(|| format!("no such user ('{id}')").into())
}

/// GET /access/users/{userid}
pub fn user(world: &World, call: &Call) -> Result<Reply, Fail> {
    let user = find(world, call)?;
    let tokens: Map<String, Value> = user
        .tokens
        .iter()
        .map(|(name, token)| (name.clone(), json!({ "privsep": u8::from(token.privsep), "expire": 0 })))
        .collect();
    Ok(Reply::Data(json!({ "enable": 1, "expire": 0, "groups": [], "tokens": tokens })))
}

/// GET /access/users/{userid}/token
pub fn tokens(world: &World, call: &Call) -> Result<Reply, Fail> {
    let rows = find(world, call)?
        .tokens
        .iter()
        .map(|(name, token)| json!({ "tokenid": name, "privsep": u8::from(token.privsep), "expire": 0 }))
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}

/// GET /access/users/{userid}/token/{tokenid}
pub fn token(world: &World, call: &Call) -> Result<Reply, Fail> {
    let (user, name) = (find(world, call)?, call.need("tokenid"));
    let id = call.need("userid");
    let token = user.tokens.get(&name).ok_or_else(|| Fail::from(format!("no such token '{name}' for user '{id}'")))?;
    Ok(Reply::Data(json!({ "privsep": u8::from(token.privsep), "expire": 0 })))
}

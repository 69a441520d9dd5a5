//! Making and changing users, tokens and roles.

use serde_json::{Value, json};

use super::{Call, Fail, Reply, pools};
use crate::sim::world::access::{Token, User};
use crate::sim::world::{World, build};

/// POST /access/users
pub fn add_user(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let id = call.need("userid");
    if world.access.users.contains_key(&id) {
        return Err(format!("create user failed: user '{id}' already exists").into());
    }
    let user = User { password: call.text("password"), comment: call.need("comment"), ..User::default() };
    Ok(pools::locked(move |world| {
        world.access.users.insert(id, user);
        Ok(())
    }))
}

/// PUT /access/users/{userid}
pub fn change_user(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let user = known(world, call)?;
    if let Some(comment) = call.text("comment") {
        user.comment = comment;
    }
    Ok(Reply::Data(Value::Null))
}

/// DELETE /access/users/{userid}
pub fn remove_user(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    known(world, call)?;
    let id = call.need("userid");
    Ok(pools::locked(move |world| {
        world.access.users.remove(&id);
        let tokens = format!("{id}!");
        world.access.acls.retain(|acl| acl.who != id && !acl.who.starts_with(&tokens));
        Ok(())
    }))
}

/// PUT /access/password
pub fn password(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    known(world, call)?.password = Some(call.need("password"));
    Ok(Reply::Late(100, Value::Null))
}

fn known<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut User, Fail> {
    let id = call.need("userid");
    world.access.users.get_mut(&id).ok_or_else(|| format!("no such user ('{id}')").into())
}

/// POST /access/users/{userid}/token/{tokenid}: the only time the secret is shown.
pub fn add_token(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (id, name) = (call.need("userid"), call.need("tokenid"));
    let count = world.fresh().to_string();
    let secret = build::uuid(world.seed, &["token", &id, &name, &count]);
    let token =
        Token { secret: secret.clone(), privsep: call.flag("privsep") != Some(false), comment: call.need("comment") };
    let privsep = u8::from(token.privsep).to_string();
    let user = known(world, call)?;
    if user.tokens.contains_key(&name) {
        return Err(Fail::param("tokenid", "Token already exists."));
    }
    user.tokens.insert(name.clone(), token);
    Ok(Reply::Late(
        50,
        json!({ "full-tokenid": format!("{id}!{name}"), "info": { "privsep": privsep }, "value": secret }),
    ))
}

/// DELETE /access/users/{userid}/token/{tokenid}
pub fn remove_token(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (id, name) = (call.need("userid"), call.need("tokenid"));
    let missing = || Fail::from(format!("no such token '{name}' for user '{id}'"));
    known(world, call)?.tokens.remove(&name).ok_or_else(missing)?;
    let full = format!("{id}!{name}");
    world.access.acls.retain(|acl| acl.who != full);
    Ok(Reply::Late(50, Value::Null))
}

/// POST and PUT /access/roles
pub fn write_role(world: &mut World, call: &Call, fresh: bool) -> Result<Reply, Fail> {
    let id = call.need("roleid");
    let known = world.access.all();
    let mut privileges: std::collections::BTreeSet<String> = call.list("privs").into_iter().collect();
    if let Some(unknown) = privileges.iter().find(|name| !known.contains(*name)) {
        return Err(Fail::param("privs", format!("invalid format - invalid privilege '{unknown}'\n")));
    }
    let old = world.access.roles.get(&id).cloned();
    match old {
        Some(_) if fresh => return Err(format!("create role failed: role '{id}' already exists").into()),
        None if !fresh => return Err(format!("role '{id}' does not exist").into()),
        Some((_, true)) => return Err(format!("auto-generated role '{id}' cannot be modified").into()),
        Some((own, false)) if call.flag("append") == Some(true) => privileges.extend(own),
        _ => {}
    }
    world.access.roles.insert(id, (privileges, false));
    Ok(Reply::Late(50, Value::Null))
}

/// DELETE /access/roles/{roleid}
pub fn remove_role(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let id = call.need("roleid");
    match world.access.roles.get(&id) {
        None => return Err(format!("role '{id}' does not exist").into()),
        Some((_, true)) => return Err(format!("auto-generated role '{id}' cannot be deleted").into()),
        Some((_, false)) => {}
    }
    world.access.roles.remove(&id);
    world.access.acls.retain(|acl| acl.role != id);
    Ok(Reply::Late(50, Value::Null))
}

//! Who may make a call, from the permissions in the schema, refused in Proxmox's words.

use serde_json::Value;

use super::{Fail, Params, plain};
use crate::sim::world::{Who, World};

/// Checks the permissions of a call.
///
/// # Errors
/// 403 naming what is missing.
pub fn check(world: &World, who: &Who, permissions: &Value, params: &Params) -> Result<(), Fail> {
    if who.is_root() || matches!(permissions.get("user").and_then(Value::as_str), Some("all" | "world")) {
        return Ok(());
    }
    match permissions.get("check") {
        Some(rule) => rule_holds(world, who, rule, params),
        None => Err(Fail::forbidden("user != root@pam")),
    }
}

/// May anybody call it, without a login?
pub fn open(permissions: &Value) -> bool {
    permissions.get("user").and_then(Value::as_str) == Some("world")
}

fn rule_holds(world: &World, who: &Who, rule: &Value, params: &Params) -> Result<(), Fail> {
    let Some(parts) = rule.as_array() else { return Ok(()) };
    let text = |at: usize| parts.get(at).and_then(Value::as_str).unwrap_or_default();
    match text(0) {
        "and" => parts[1..].iter().try_for_each(|part| rule_holds(world, who, part, params)),
        "or" => {
            let any = parts[1..].iter().any(|part| rule_holds(world, who, part, params).is_ok());
            if any { Ok(()) } else { Err(Fail::forbidden("")) }
        }
        "perm" => {
            let options = parts.get(3..).unwrap_or_default();
            let option = |name: &str| {
                let at = options.iter().position(|word| word == name)?;
                options.get(at + 1)
            };
            if let Some(needed) = option("require_param").and_then(Value::as_str)
                && !params.contains_key(needed)
            {
                return Err(Fail::forbidden(""));
            }
            let path = filled(text(1), params);
            let wanted: Vec<&str> =
                parts.get(2).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            privileges(world, who, &path, &wanted, option("any").is_some())
        }
        "userid-param" => {
            let user = params.get("userid").map(plain).unwrap_or_default();
            match text(1) {
                "self" if user == who.user => Ok(()),
                "self" => Err(Fail::forbidden("")),
                privilege => {
                    let realm = user.rsplit('@').next().unwrap_or_default();
                    privileges(world, who, &format!("/access/realm/{realm}"), &[privilege], false)
                }
            }
        }
        "userid-group" => {
            let wanted: Vec<&str> =
                parts.get(1).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            privileges(world, who, "/access/groups", &wanted, true)
        }
        _ => Ok(()),
    }
}

/// Checks privileges on a path: all of them, or any.
///
/// # Errors
/// 403 naming the path and the privilege.
pub fn privileges(world: &World, who: &Who, path: &str, wanted: &[&str], any: bool) -> Result<(), Fail> {
    if who.is_root() {
        return Ok(());
    }
    // 8 has one privilege for everything about agents
    let agent = world.is_eight() && wanted.iter().any(|name| name.starts_with("VM.GuestAgent."));
    let (wanted, any) = if agent { (&["VM.Monitor"][..], false) } else { (wanted, any) };
    let valid = path.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c));
    let path = if valid { path } else { "" };
    let have = if valid { world.privileges(who, path) } else { Default::default() };
    if any {
        if wanted.iter().any(|name| have.contains_key(*name)) {
            return Ok(());
        }
        return Err(Fail::forbidden(&format!("{path}, {}", wanted.join("|"))));
    }
    match wanted.iter().find(|name| !have.contains_key(**name)) {
        Some(missing) => Err(Fail::forbidden(&format!("{path}, {missing}"))),
        None => Ok(()),
    }
}

fn filled(template: &str, params: &Params) -> String {
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        path.push_str(&params.get(name).map(plain).unwrap_or_default());
        rest = tail;
    }
    path.push_str(rest);
    path
}

//! The metadata server and the token endpoints.
//!
//! `/computeMetadata/v1/…` is what a program on a machine of the project's sees of its service account;
//! `/vm/ZONE/NAME/computeMetadata/v1/…` is what that instance itself sees. A token ends when it
//! said it would; so does a JWT that a service account signed for itself, reckoned from when it is first shown, as its
//! own times are by the clock on the wall. Its signature is not checked: its shape and its issuer are.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{
    answer::Answer,
    world::{Request, World},
};

/// The project's service account.
fn account(world: &World) -> String {
    format!("lab@{}.iam.gserviceaccount.com", world.project)
}

/// Whether a bearer token opens the API: issued here, or noticed, and not ended.
pub(super) fn is_good(world: &World, token: &str) -> bool {
    world.tokens.get(token).is_some_and(|ends| world.now() < *ends)
}

/// A JWT that a service account of the project signed for itself is good from when it is first shown.
pub(super) fn notice(world: &mut World, request: &Request) {
    let token = request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let Some(token) = token.filter(|token| !world.tokens.contains_key(*token)) else { return };
    let Some(claims) = claims(token).filter(|claims| claims["iss"] == account(world)) else { return };
    // No longer than an hour, as Google has it.
    let lasts = claims["exp"].as_u64().zip(claims["iat"].as_u64()).and_then(|(exp, iat)| exp.checked_sub(iat));
    let lasts = lasts.unwrap_or(0).saturating_mul(1000).min(world.token_life);
    world.tokens.insert(token.to_owned(), world.now() + lasts);
}

fn claims(token: &str) -> Option<Value> {
    let [_, claims, _]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn issued(world: &mut World) -> Value {
    let token = format!("sim-token-{}", world.tokens.len() + 1);
    world.tokens.insert(token.clone(), world.now() + world.token_life);
    json!({"access_token": token, "expires_in": world.token_life / 1000, "token_type": "Bearer"})
}

/// An answer, if the request is for one of these.
pub(super) fn call(world: &mut World, request: &Request, path: &[&str]) -> Option<Answer> {
    match path {
        ["computeMetadata", "v1", rest @ ..] => Some(match request.flavored {
            true => server(world, rest),
            false => no_flavor(),
        }),
        ["vm", zone, name, "computeMetadata", "v1", rest @ ..] => Some(match request.flavored {
            true => own(world, request, (zone, name), rest),
            false => no_flavor(),
        }),
        ["token"] | ["v1", "token"] => Some(token(world, request)),
        ["v1", "projects", "-", "serviceAccounts", which] if which.ends_with(":generateAccessToken") => {
            let (made, ends) = (issued(world), world.now() + world.token_life);
            Some(Answer::json(json!({"accessToken": made["access_token"], "expireTime": world.stamp(ends)})))
        }
        _ => None,
    }
}

fn no_flavor() -> Answer {
    Answer::text(403, "Missing Metadata-Flavor:Google header.\n")
}

fn server(world: &mut World, path: &[&str]) -> Answer {
    match path {
        ["instance", "service-accounts", "default", "token"] => Answer::json(issued(world)),
        ["instance", "service-accounts", "default", "email"] => Answer::text(200, account(world)),
        ["instance", "service-accounts", "default", "scopes"] => {
            Answer::text(200, "https://www.googleapis.com/auth/cloud-platform\n")
        }
        ["project", "project-id"] => Answer::text(200, world.project.clone()),
        ["universe", "universe-domain"] => Answer::text(200, "googleapis.com"),
        _ => Answer::text(404, "Not Found\n"),
    }
}

/// What an instance sees of itself; it writes its guest attributes here too.
fn own(world: &mut World, request: &Request, (zone, name): (&str, &str), path: &[&str]) -> Answer {
    let gone = || Answer::text(404, "Not Found\n");
    let Some(instance) = world.find_mut(zone, name) else { return gone() };
    let items = instance.body["metadata"]["items"].as_array().cloned().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", ["instance", "attributes", key]) => {
            let item = items.iter().find(|item| item["key"] == *key);
            item.map_or_else(gone, |item| Answer::text(200, item["value"].as_str().unwrap_or_default()))
        }
        ("GET", ["instance", "preempted"]) => Answer::text(200, if instance.preempted { "TRUE" } else { "FALSE" }),
        ("GET", ["instance", "scheduling", "preemptible"]) => {
            let spot = instance.body["scheduling"]["provisioningModel"] == "SPOT";
            Answer::text(200, if spot { "TRUE" } else { "FALSE" })
        }
        // As it is on every network that nobody gave another.
        ("GET", ["instance", "network-interfaces", "0", "mtu"]) => Answer::text(200, "1460"),
        ("GET", ["instance", "name"]) => Answer::text(200, name),
        ("PUT", ["instance", "guest-attributes", namespace, key]) => {
            if !items.iter().any(|item| item["key"] == "enable-guest-attributes" && item["value"] == "TRUE") {
                return Answer::text(403, "Guest attributes endpoint access is disabled.\n");
            }
            let value = String::from_utf8_lossy(&request.body).into_owned();
            instance.attributes.insert(format!("{namespace}/{key}"), value);
            Answer::text(200, "")
        }
        (_, rest) => server(world, rest),
    }
}

/// `oauth2/token` and the security token service.
fn token(world: &mut World, request: &Request) -> Answer {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let form = |key: &str| -> Option<String> {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value);
        found
            .map(|value| crate::sim::http::body::decoded(value, true))
            .or_else(|| body[key].as_str().map(str::to_owned))
    };
    let grant = form("grant_type").unwrap_or_default();
    let good = match grant.as_str() {
        "refresh_token" => form("refresh_token").is_some_and(|token| token == "sim-refresh-token"),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            form("assertion").and_then(|jwt| claims(&jwt)).is_some_and(|claims| claims["iss"] == account(world))
        }
        "urn:ietf:params:oauth:grant-type:token-exchange" => {
            form("subject_token").is_some_and(|token| !token.is_empty()) && form("audience").is_some()
        }
        _ => false,
    };
    if !good {
        let mut answer = Answer::json(json!({"error": "invalid_grant", "error_description": "Bad Request"}));
        answer.status = 400;
        return answer;
    }
    let mut made = issued(world);
    if grant == "refresh_token" {
        world.personal.extend(made["access_token"].as_str().map(str::to_owned));
    }
    if grant.ends_with("token-exchange") {
        made["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:access_token");
    }
    Answer::json(made)
}

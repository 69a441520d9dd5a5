//! What went wrong, sorted by what it means for whoever asked. The table of signals is Compute Engine's own:
//! HTTP errors in their two shapes, and the errors an operation ends with.

use serde_json::Value;

use crate::{domain::Clean, port::CloudError};

/// A call was answered with an error.
pub fn refused(what: &str, status: u16, text: &str) -> CloudError {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let error = &body["error"];
    let message = error["message"].as_str().map_or_else(|| plain(status, text), str::to_owned);
    let reason = error["errors"][0]["reason"].as_str().unwrap_or_default();
    let info = info(error["details"].as_array());
    sort(what, status, reason, &message, info, error["details"].as_array())
}

/// An operation has ended badly; none where it ended well. Done is not success.
pub fn ended(what: &str, operation: &Value) -> Option<CloudError> {
    let status = operation["httpErrorStatusCode"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
    let all = operation["error"]["errors"].as_array().map_or(&[][..], Vec::as_slice);
    // Of several the one counts that another zone may mend.
    let is_stockout =
        |error: &&Value| error["code"].as_str().is_some_and(|code| code.starts_with("ZONE_RESOURCE_POOL_EXHAUSTED"));
    let Some(first) = all.iter().find(is_stockout).or(all.first()) else {
        let failed = status >= 400 || operation["error"].is_object();
        let words = operation["httpErrorMessage"].as_str().unwrap_or("it failed, and it is not said why");
        return failed.then(|| match sort(what, status, "", words, None, None) {
            error if error.is_passing() => CloudError::Failed { what: what.to_owned(), words: Clean::new(words) },
            error => error,
        });
    };
    let code = first["code"].as_str().unwrap_or_default();
    let message = first["message"].as_str().unwrap_or_default();
    let details = first["errorDetails"].as_array();
    let words = Clean::new(message);
    let zone = operation["zone"].as_str().and_then(|link| link.rsplit('/').next()).unwrap_or("the zone").to_owned();
    let what = what.to_owned();
    Some(match code {
        "ZONE_RESOURCE_POOL_EXHAUSTED" | "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS" => {
            CloudError::Exhausted { what, zone, elsewhere: available(details), words }
        }
        // Seen when a spot machine is taken away while it is being made.
        "UNSUPPORTED_OPERATION" => CloudError::Exhausted { what, zone, elsewhere: Vec::new(), words },
        "QUOTA_EXCEEDED" => CloudError::Quota { what, which: quota(details, message), words },
        "CONDITION_NOT_MET" if is_policy(message) => CloudError::Refused { what, words: policy(message) },
        "CONDITION_NOT_MET" => CloudError::Raced { what, words },
        "RESOURCE_NOT_FOUND" => CloudError::Missing { what, words },
        "RESOURCE_ALREADY_EXISTS" => CloudError::Taken { what, words },
        "RESOURCE_NOT_READY" | "INTERNAL_ERROR" => CloudError::Failed { what, words },
        _ => match sort(&what, status, "", &format!("{code}: {message}"), None, details) {
            // Its end stands: the same request would only be told of it again.
            error if error.is_passing() => CloudError::Failed { what, words: Clean::new(format!("{code}: {message}")) },
            error => error,
        },
    })
}

fn sort(
    what: &str,
    status: u16,
    reason: &str,
    message: &str,
    info: Option<&str>,
    details: Option<&Vec<Value>>,
) -> CloudError {
    let (what, words) = (what.to_owned(), Clean::new(message));
    let often = message.starts_with("Quota exceeded for quota metric") && message.contains("per minute")
        || matches!(reason, "rateLimitExceeded" | "userRateLimitExceeded")
        || matches!(info, Some("CONCURRENT_OPERATIONS_QUOTA_EXCEEDED" | "RATE_LIMIT_EXCEEDED"));
    match (status, reason) {
        (401, _) => CloudError::Unauthenticated { what, words },
        (403 | 429, _) if often => CloudError::Throttled { what, words },
        (429, _) => CloudError::Throttled { what, words },
        (403, "quotaExceeded") => CloudError::Quota { what, which: quota(details, message), words },
        // A login whose calls count against gcloud's own project, where the API is off: it may well be on in ours.
        (403, _) if message.contains("requires a quota project") => {
            let mend = "`gcloud auth application-default set-quota-project PROJECT` gives the login one";
            CloudError::Refused { what, words: Clean::new(format!("{message}; {mend}")) }
        }
        // Of a machine of Google's whose access scopes were left as they are by themselves, mostly.
        (403, _)
            if info == Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT")
                || message.contains("insufficient authentication scopes") =>
        {
            let mend = "a machine of Compute Engine needs the access scope cloud-platform (stop it, then `gcloud compute \
                        instances set-service-account NAME --scopes cloud-platform`), a login `gcloud auth \
                        application-default login`";
            CloudError::Refused { what, words: Clean::new(format!("{message} {mend}")) }
        }
        (403, _) if info == Some("SERVICE_DISABLED") || reason == "accessNotConfigured" => {
            CloudError::Disabled { what, service: service(details, message), words }
        }
        (403, _) => CloudError::Forbidden { what, needs: permission(message), words },
        (404, _) => CloudError::Missing { what, words },
        (409, "alreadyExists") => CloudError::Taken { what, words },
        (412, _) if is_policy(message) => CloudError::Refused { what, words: policy(message) },
        (412, _) => CloudError::Raced { what, words },
        (400, "resourceNotReady") | (408 | 500..=599, _) => CloudError::Busy { what, words },
        _ => CloudError::Refused { what, words },
    }
}

/// A condition that is not met may also be one the organisation has set: nothing changes by asking again.
fn is_policy(message: &str) -> bool {
    message.contains("constraints/")
}

fn policy(message: &str) -> Clean {
    Clean::new(format!(
        "{message}; a policy of the organisation forbids it: ask whoever administers that for an exception, or for a \
         project without it"
    ))
}

/// An answer that is no JSON of theirs: a proxy's, most likely.
fn plain(status: u16, text: &str) -> String {
    let start: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
    format!("HTTP {status}: {start}")
}

fn info(details: Option<&Vec<Value>>) -> Option<&str> {
    let kind = |detail: &&Value| detail["@type"].as_str().is_some_and(|kind| kind.ends_with(".ErrorInfo"));
    details?.iter().find(kind)?["reason"].as_str()
}

/// The zones that have what this one has not.
fn available(details: Option<&Vec<Value>>) -> Vec<String> {
    let said = |detail: &Value| detail["errorInfo"]["metadatas"]["zonesAvailable"].as_str().map(str::to_owned);
    let said = details.into_iter().flatten().find_map(said).unwrap_or_default();
    said.split(',').map(str::trim).filter(|zone| !zone.is_empty()).map(str::to_owned).collect()
}

/// Which quota, with its limit and its region, as far as it is told.
fn quota(details: Option<&Vec<Value>>, message: &str) -> String {
    let Some(info) = details.into_iter().flatten().map(|detail| &detail["quotaInfo"]).find(|info| info.is_object())
    else {
        return message.split('\'').nth(1).unwrap_or("the quota").to_owned();
    };
    let name = info["metricName"].as_str().unwrap_or("the quota");
    let limit = info["limit"].as_f64().map(|limit| format!(" (limit {limit})")).unwrap_or_default();
    let region = info["dimensions"]["region"].as_str().map(|region| format!(" in {region}")).unwrap_or_default();
    format!("{name}{limit}{region}")
}

fn service(details: Option<&Vec<Value>>, message: &str) -> String {
    let said = |detail: &Value| detail["metadata"]["service"].as_str().map(str::to_owned);
    let told = details.into_iter().flatten().find_map(said);
    let guessed = || if message.contains("DNS") { "dns.googleapis.com" } else { "compute.googleapis.com" }.to_owned();
    told.unwrap_or_else(guessed)
}

/// `Required 'compute.instances.create' permission for …`
fn permission(message: &str) -> Option<String> {
    let quoted = message.split('\'').nth(1)?;
    (quoted.split('.').count() == 3 && message.contains("permission")).then(|| quoted.to_owned())
}

//! Where the tokens come from that open the APIs. No key file is asked for: whoever has one may use it.

use std::{
    path::PathBuf,
    sync::Mutex,
    sync::PoisonError,
    time::{Duration, Instant},
};

use google_cloud_auth::credentials::{AccessTokenCredentials, Builder, CacheableResource, CredentialsProvider as _};
use reqwest::{Client, header::AUTHORIZATION};
use secrecy::SecretString;
use serde_json::Value;

use super::http::chain;

/// For the metadata server's answer: it is on this machine, or next to it.
const WITHIN: Duration = Duration::from_secs(10);
/// A token is fetched anew so long before it ends.
const EARLY: Duration = Duration::from_secs(240);

/// What the calls made here take: what every login was granted, and nothing that it was not. What may be done is a
/// matter of roles.
const SCOPES: [&str; 1] = ["https://www.googleapis.com/auth/cloud-platform"];
/// What only looking takes.
const LOOKING: [&str; 1] = ["https://www.googleapis.com/auth/compute.readonly"];

/// The header that says which project a call counts against.
pub(super) const PAYS: &str = "x-goog-user-project";

/// What goes along with a call.
pub(super) struct Pass {
    pub bearer: SecretString,
    /// The project the call counts against, where the credentials or `GOOGLE_CLOUD_QUOTA_PROJECT` name one. Without it
    /// a login's calls count against that of gcloud itself, where not every API is switched on.
    pub pays: Option<String>,
}

/// Where tokens come from.
pub enum Tokens {
    /// Application default credentials, of whatever kind.
    Default(Found),
    /// The service account of the machine this runs on.
    Machine(MetadataServer),
    /// One that does not change.
    Fixed(SecretString),
}

impl Tokens {
    /// Application default credentials: the file `GOOGLE_APPLICATION_CREDENTIALS` names (a login, a service account,
    /// workload identity federation), else gcloud's own, else the metadata server.
    ///
    /// `looks`: nothing is changed with them, as far as their kind lets that be said.
    pub fn default_credentials(looks: bool) -> Result<Self, String> {
        let made = Mutex::new(found(looks)?);
        Ok(Self::Default(Found { looks, made }))
    }

    /// Those of the metadata server at this address: `http://metadata.google.internal` on a machine of Google's.
    pub fn of_metadata_server(endpoint: &str) -> Result<Self, String> {
        // It is not reached through a proxy.
        let client = Client::builder().no_proxy().build().map_err(|e| chain(&e))?;
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(Self::Machine(MetadataServer { client, endpoint, kept: Mutex::default() }))
    }

    pub(super) async fn pass(&self) -> Result<Pass, String> {
        let plainly = |bearer| Pass { bearer, pays: None };
        match self {
            Self::Default(Found { made, .. }) => {
                let credentials = made.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let headers = credentials.headers(Default::default()).await.map_err(|e| plain(&chain(&e)))?;
                let none = || "the credentials give no token".to_owned();
                let CacheableResource::New { data, .. } = headers else { return Err(none()) };
                let text = |name| data.get(name).and_then(|value| value.to_str().ok());
                let bearer = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
                let bearer = SecretString::from(bearer.ok_or_else(none)?.to_owned());
                Ok(Pass { bearer, pays: text(PAYS).map(str::to_owned) })
            }
            Self::Machine(server) => server.token().await.map(plainly),
            Self::Fixed(token) => Ok(plainly(token.clone())),
        }
    }

    /// Forgets the token it keeps: the API takes it for none. Whether there may be another.
    pub(super) fn forget(&self) -> bool {
        match self {
            Self::Default(Found { looks, made }) => match found(*looks) {
                Ok(anew) => {
                    *made.lock().unwrap_or_else(PoisonError::into_inner) = anew;
                    true
                }
                Err(_) => false,
            },
            Self::Machine(server) => {
                *server.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
                true
            }
            Self::Fixed(_) => false,
        }
    }
}

/// Application default credentials as they were found, with the token they keep.
pub struct Found {
    looks: bool,
    made: Mutex<AccessTokenCredentials>,
}

/// Looks for application default credentials.
fn found(looks: bool) -> Result<AccessTokenCredentials, String> {
    // What signs for a service account is what TLS uses. Whoever was first has set the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // A login is renewed with no other scopes than it was granted.
    let scopes = if looks && !is_login() { LOOKING.as_slice() } else { SCOPES.as_slice() };
    let built = Builder::default().with_scopes(scopes.iter().copied()).build_access_token_credentials();
    built.map_err(|e| match named_file() {
        Some(file) if e.is_parsing() => format!("{}: {}", file.display(), chain(&e)),
        _ => chain(&e),
    })
}

/// The file that is named for credentials.
fn named_file() -> Option<PathBuf> {
    std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from)
}

/// What the client library says beside what is the matter.
const PADDING: [&str; 5] = [
    "Request to fetch the token failed. Subsequent calls with this credential will also fail.",
    "Fetching the token resulted in transient errors. Subsequent calls with this credential might succeed.",
    " and future attempts will not succeed",
    " but future attempts may succeed",
    "cannot create the authentication headers ",
];

/// Whether the credentials are a person's login.
fn is_login() -> bool {
    let own =
        || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config/gcloud/application_default_credentials.json"));
    let text = named_file().or_else(own).and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let told: Value = serde_json::from_str(&text).unwrap_or_default();
    told["type"] == "authorized_user"
}

/// The file that the named credentials take somebody else's token from, where it is not there.
fn missing_source() -> Option<String> {
    let named = named_file()?;
    let text = std::fs::read_to_string(&named).ok()?;
    let told: Value = serde_json::from_str(&text).ok()?;
    let source = told["credential_source"]["file"].as_str()?;
    let missing = !std::path::Path::new(source).exists();
    missing.then(|| format!("{} takes its token from {source}, which is not there", named.display()))
}

/// Why there is no token, in as many words as it takes.
fn plain(words: &str) -> String {
    if let Some(why) = missing_source() {
        return why;
    }
    // The last place where any are looked for; nobody has named another.
    if words.contains("metadata.google.internal") && named_file().is_none() {
        return "there are none here: GOOGLE_APPLICATION_CREDENTIALS names no file, gcloud keeps none, and this is no \
                machine of Google's"
            .to_owned();
    }
    let mut plain = words.to_owned();
    for padding in PADDING {
        plain = plain.replace(padding, "");
    }
    plain.trim_start_matches([' ', ':']).to_owned()
}

/// A metadata server, and the token it gave last.
pub struct MetadataServer {
    client: Client,
    endpoint: String,
    kept: Mutex<Option<(SecretString, Instant)>>,
}

impl MetadataServer {
    async fn token(&self) -> Result<SecretString, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, ends)) = kept
            && Instant::now() + EARLY < ends
        {
            return Ok(token);
        }
        let url = format!("{}/computeMetadata/v1/instance/service-accounts/default/token", self.endpoint);
        let wrong = |why: String| format!("the metadata server at {} gave no token: {why}", self.endpoint);
        let asked = self.client.get(url).header("Metadata-Flavor", "Google").timeout(WITHIN).send().await;
        let answer = asked.map_err(|e| wrong(chain(&e)))?;
        let status = answer.status();
        let body: Value = match status.is_success() {
            true => answer.json().await.map_err(|e| wrong(chain(&e)))?,
            false => return Err(wrong(format!("it answers with status {}", status.as_u16()))),
        };
        let token = body["access_token"].as_str().ok_or_else(|| wrong("its answer holds none".to_owned()))?;
        let token = SecretString::from(token.to_owned());
        let ends = Instant::now() + Duration::from_secs(body["expires_in"].as_u64().unwrap_or(0));
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), ends));
        Ok(token)
    }
}

//! Who the client is to the site: an API token, or a user whose tickets are had by password.
//!
//! A ticket lives two hours and is renewed in time by handing it in. However many requests wait for one,
//! one login is made. A refused password is not sent again for a while: directories lock accounts for less.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    ConnectionError,
    ask::Ask,
    encode::{Form, path, percent},
    fields::Fields,
};
use crate::{domain::Clean, port::SiteError};

/// How the client proves who it is.
#[derive(Clone)]
pub enum Credentials {
    /// `id` is `user@realm!name`.
    Token { id: String, secret: SecretString },
    /// `user` is `user@realm`.
    Login { user: String, password: SecretString },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { id, .. } => f.debug_tuple("Token").field(id).finish(),
            Self::Login { user, .. } => f.debug_tuple("Login").field(user).finish(),
        }
    }
}

/// A ticket older than this is handed in for a new one.
const RENEW_AFTER: Duration = Duration::from_secs(90 * 60);
/// Proxmox takes no ticket older than this.
const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// How long a refused password rests.
const REST: Duration = Duration::from_secs(5 * 60);

/// What goes along with every request, and what is known of it.
pub(super) enum Badge {
    /// The header, and the token's id.
    Token(HeaderMap, String),
    Login(Box<Login>),
}

impl Badge {
    pub fn new(credentials: Credentials) -> Result<Self, ConnectionError> {
        match credentials {
            Credentials::Token { id, secret } => Ok(Self::Token(token_header(&id, secret.expose_secret())?, id)),
            Credentials::Login { user, password } => {
                let shaped = user.rsplit_once('@').is_some_and(|(user, realm)| !user.is_empty() && !realm.is_empty());
                if !shaped || user.contains('!') {
                    return Err(ConnectionError::User(user));
                }
                if password.expose_secret().is_empty() {
                    return Err(ConnectionError::Password);
                }
                let login = Login { user, password, desk: Mutex::default(), tries: AtomicU64::new(0) };
                Ok(Self::Login(Box::new(login)))
            }
        }
    }

    /// `name@realm` or `name@realm!token`.
    pub fn id(&self) -> &str {
        match self {
            Self::Token(_, id) => id,
            Self::Login(login) => &login.user,
        }
    }
}

/// A user with a password, and the ticket in hand.
pub(super) struct Login {
    user: String,
    password: SecretString,
    desk: Mutex<Desk>,
    /// Logins tried so far.
    tries: AtomicU64,
}

#[derive(Default)]
struct Desk {
    ticket: Option<Ticket>,
    /// How the last try ended, if badly.
    failed: Option<SiteError>,
    /// When the password was last refused.
    refused_at: Option<Timestamp>,
}

/// A ticket as it is sent.
#[derive(Clone)]
pub(super) struct Ticket {
    /// Which login it came from.
    pub number: u64,
    cookie: HeaderValue,
    csrf: HeaderValue,
    plain: SecretString,
    at: Timestamp,
}

impl Ticket {
    /// The headers of a request; only writes need proof that no other page made the browser send them.
    pub fn headers(&self, writes: bool) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(COOKIE, self.cookie.clone())]);
        if writes {
            headers.insert(HeaderName::from_static("csrfpreventiontoken"), self.csrf.clone());
        }
        headers
    }

    fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.at)).unwrap_or_default()
    }
}

/// Asks for a ticket on behalf of a login: the answer's data.
pub(super) trait Window {
    fn site(&self) -> &str;
    fn now(&self) -> Timestamp;
    fn ask(&self, ask: Ask) -> impl Future<Output = Result<Value, SiteError>> + Send;
}

impl Login {
    /// A ticket that is good for now; a new one if the site no longer took the one numbered `stale`.
    pub async fn ticket(&self, window: &impl Window, stale: Option<u64>) -> Result<Ticket, SiteError> {
        let before = self.tries.load(Ordering::Acquire);
        let mut desk = self.desk.lock().await;
        let now = window.now();
        let tried_meanwhile = self.tries.load(Ordering::Acquire) != before;
        let resting =
            desk.refused_at.is_some_and(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default() < REST);
        if let Some(error) = desk.failed.as_ref().filter(|_| tried_meanwhile || resting) {
            return Err(error.clone());
        }
        let held = desk.ticket.clone().filter(|ticket| Some(ticket.number) != stale && ticket.age(now) < LIFETIME);
        if let Some(ticket) = held {
            if ticket.age(now) < RENEW_AFTER {
                return Ok(ticket);
            }
            match self.log_in(window, &ticket.plain, now).await {
                Ok(renewed) => {
                    desk.ticket = Some(renewed.clone());
                    return Ok(renewed);
                }
                // The password will do.
                Err(SiteError::LoginRefused { .. }) => {}
                Err(error) => {
                    tracing::debug!(site = window.site(), %error, "the ticket is not renewed yet");
                    return Ok(ticket);
                }
            }
        }
        let outcome = self.log_in(window, &self.password, now).await;
        desk.ticket = outcome.as_ref().ok().cloned();
        desk.failed = outcome.as_ref().err().cloned();
        desk.refused_at = matches!(outcome, Err(SiteError::LoginRefused { .. })).then_some(now);
        outcome
    }

    async fn log_in(&self, window: &impl Window, password: &SecretString, now: Timestamp) -> Result<Ticket, SiteError> {
        let number = self.tries.fetch_add(1, Ordering::AcqRel) + 1;
        let what = format!("log in to {} as {}", window.site(), self.user);
        let form = Form::new().with("username", &self.user).with("password", password.expose_secret());
        let ask = Ask::post(what.clone(), path(&["access", "ticket"])).form(form).harmless();
        let data = match window.ask(ask).await {
            Err(SiteError::Unauthorized { what, words, .. }) => {
                return Err(SiteError::LoginRefused {
                    what,
                    words,
                    next: "check user, realm and password under `login`".to_owned(),
                });
            }
            other => other?,
        };
        self.read(number, now, &data, what)
    }

    fn read(&self, number: u64, now: Timestamp, data: &Value, what: String) -> Result<Ticket, SiteError> {
        let malformed = |why: &str| SiteError::Malformed { what: what.clone(), why: Clean::new(why) };
        let fields = Fields::of(data).map_err(|why| malformed(&why))?;
        let ticket = fields.raw("ticket").unwrap_or_default();
        if fields.flag("NeedTFA") || ticket.starts_with("PVE:!tfa!") {
            return Err(SiteError::LoginRefused {
                what,
                words: Clean::new("the account has a second factor, which a program cannot give"),
                next: format!(
                    "make an API token instead (`pveum user token add {} homeroom --privsep 0`) and set `token`",
                    self.user
                ),
            });
        }
        let csrf = fields.raw("CSRFPreventionToken").unwrap_or_default();
        if ticket.is_empty() || csrf.is_empty() {
            return Err(malformed("it holds no ticket: is this the Proxmox API?"));
        }
        let hidden = |text: &str| {
            let mut value =
                HeaderValue::from_str(text).map_err(|_| malformed("the ticket holds control characters"))?;
            value.set_sensitive(true);
            Ok::<_, SiteError>(value)
        };
        Ok(Ticket {
            number,
            cookie: hidden(&format!("PVEAuthCookie={}", percent(&ticket)))?,
            csrf: hidden(&csrf)?,
            plain: SecretString::from(ticket.to_string()),
            at: now,
        })
    }
}

fn token_header(id: &str, secret: &str) -> Result<HeaderMap, ConnectionError> {
    let shaped = id.split_once('!').is_some_and(|(user, name)| user.contains('@') && !name.is_empty());
    // Proxmox percent-decodes the value.
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic()).then(|| text.replace('%', "%25"));
    let id = plain(id).filter(|_| shaped).ok_or_else(|| ConnectionError::TokenId(id.to_owned()))?;
    let secret = plain(secret).filter(|s| !s.is_empty()).ok_or(ConnectionError::TokenSecret)?;
    let mut token =
        HeaderValue::from_str(&format!("PVEAPIToken={id}={secret}")).map_err(|_| ConnectionError::TokenSecret)?;
    token.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, token)]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_token_is_sent_as_proxmox_decodes_it_and_never_shown() {
        let headers = token_header("homeroom@pve!lab", "50%-off").unwrap();
        let token = headers.get(AUTHORIZATION).unwrap();
        assert_eq!(token.to_str().unwrap(), "PVEAPIToken=homeroom@pve!lab=50%25-off");
        assert!(!format!("{headers:?}").contains("off"));
        assert_eq!(token_header("root@pam", "x").unwrap_err(), ConnectionError::TokenId("root@pam".to_owned()));
        assert_eq!(token_header("a@pve!b", "x\n").unwrap_err(), ConnectionError::TokenSecret);
    }

    #[test]
    fn credentials_never_show_their_secret() {
        let login = Credentials::Login { user: "admin@pam".to_owned(), password: SecretString::from("hunter2") };
        assert_eq!(format!("{login:?}"), "Login(\"admin@pam\")");
    }
}

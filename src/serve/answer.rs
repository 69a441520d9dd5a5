//! From a request to an answer.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{self, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{
    Shared, form, metrics,
    page::{self, Problem},
};
use crate::{
    domain::{MachineState, address::host_of},
    service::join::{JoinError, Joined, Made, is_known, join, make, stands, state},
};

/// Bytes of a request's body.
const BODY: usize = 4 * 1024;
/// Until it is there: wall time.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// A seat made as somebody comes is waited for so long before the page is shown: wall time.
const SEAT_WITHIN: Duration = Duration::from_secs(30);
/// After so long a machine that did not answer may: what programs are told.
const AWAY_FOR: Duration = Duration::from_secs(60);
/// Between looks at it: wall time.
const LOOK_EVERY: Duration = Duration::from_millis(250);

type Answer = Response<Full<Bytes>>;

/// Never an error: what goes wrong is an answer too.
pub async fn answer(shared: Arc<Shared>, who: IpAddr, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let is_head = method == Method::HEAD;
    let reads = is_head || method == Method::GET;
    let mut answer = match path.as_str() {
        "/" | "/join" if reads => {
            let code = request.uri().query().and_then(|query| form::field(query, "code")).unwrap_or_default();
            html(StatusCode::OK, page::form(&code, "", None))
        }
        "/join" if method == Method::POST => from_form(&shared, who, request).await,
        "/api/join" if method == Method::POST => from_program(&shared, who, request).await,
        "/health" if reads => health(&shared).await,
        "/metrics" if reads => match metrics::metrics(&shared).await {
            Ok(text) => respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be told");
                respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", "the store cannot be read\n")
            }
        },
        "/" | "/health" | "/metrics" => refused_method("GET, HEAD"),
        "/join" => refused_method("GET, HEAD, POST"),
        "/api/join" => refused_method("POST"),
        _ => html(StatusCode::NOT_FOUND, page::plain("Not found", "there is no such page")),
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A link that opens a seat is told to nobody.
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_head {
        *answer.body_mut() = Full::default();
    }
    Ok(answer)
}

/// Why there is no seat.
enum Refusal {
    /// Too many wrong codes: one more may be tried after so long.
    Slowed(Duration),
    Join(JoinError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Slowed(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Join(JoinError::Unknown) => StatusCode::NOT_FOUND,
            Self::Join(JoinError::Ended { .. }) => StatusCode::GONE,
            Self::Join(JoinError::Full { .. }) => StatusCode::CONFLICT,
            Self::Join(JoinError::NotAName(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Join(JoinError::Away { .. } | JoinError::Service(_)) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// In one word, for programs.
    fn kind(&self) -> &'static str {
        match self {
            Self::Slowed(_) => "slowed",
            Self::Join(JoinError::Unknown) => "unknown",
            Self::Join(JoinError::Ended { .. }) => "ended",
            Self::Join(JoinError::Full { .. }) => "full",
            Self::Join(JoinError::NotAName(_)) => "name",
            Self::Join(JoinError::Away { .. }) => "away",
            Self::Join(JoinError::Service(_)) => "failed",
        }
    }

    /// In words. What ails us inside is the admin's to read, in the log.
    fn words(&self) -> String {
        match self {
            Self::Slowed(wait) => format!("too many wrong codes came from here; try again in {} s", seconds(*wait)),
            Self::Join(JoinError::Service(_)) => {
                "that did not work just now; try again, or tell your teacher".to_owned()
            }
            Self::Join(error) => error.to_string(),
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Join(JoinError::NotAName(_)) => Problem::Name(self.words()),
            Self::Join(JoinError::Away { .. } | JoinError::Service(_)) => Problem::Neither(self.words()),
            _ => Problem::Code(self.words()),
        }
    }

    fn with_wait(&self, mut answer: Answer) -> Answer {
        let wait = match self {
            Self::Slowed(wait) => Some(*wait),
            Self::Join(JoinError::Away { .. }) => Some(AWAY_FOR),
            Self::Join(_) => None,
        };
        if let Some(wait) = wait {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        answer
    }
}

fn seconds(wait: Duration) -> u64 {
    (wait.as_secs_f64().ceil() as u64).max(1)
}

/// Who asks, and by what name they reached this computer.
struct Asker {
    who: IpAddr,
    at: Option<String>,
}

impl Asker {
    fn of(shared: &Shared, peer: IpAddr, request: &Request<Incoming>) -> Self {
        let headers = request.headers();
        let forwarded: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        // What stands there comes from whoever asks, and is given back to nobody else.
        let at = headers.get(header::HOST).and_then(|value| value.to_str().ok()).and_then(host_of);
        Self { who: shared.asker(peer, &forwarded), at }
    }
}

/// Gives a seat, and counts.
async fn seat(
    shared: &Arc<Shared>,
    Asker { who, at }: &Asker,
    code: &str,
    name: &str,
) -> Result<(Joined, MachineState), Refusal> {
    let (who, asked_at) = (*who, at.as_deref());
    let counts = &shared.counts;
    let refused = |error: JoinError| {
        let count = match &error {
            JoinError::Unknown => {
                shared.guessed_wrong(who);
                &counts.unknown
            }
            JoinError::Service(error) => {
                tracing::error!(%error, "somebody could not join");
                &counts.failed
            }
            JoinError::Away { lab, why } => {
                tracing::error!(%lab, why, "somebody could not join");
                &counts.failed
            }
            _ => &counts.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
        Refusal::Join(error)
    };
    {
        // However many ask at once, no guess is looked at before the one before it is counted.
        let _turn = shared.turn.lock().await;
        if let Err(wait) = shared.may_try(who) {
            counts.slowed.fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::Slowed(wait));
        }
        is_known(&shared.home, code, name).await.map_err(refused)?;
    }
    let joined = join(&shared.home, code, name, asked_at).await.map_err(refused)?;
    let count = if joined.again { &counts.again } else { &counts.joined };
    count.fetch_add(1, Ordering::Relaxed);
    tracing::info!(lab = %joined.lab, seat = %joined.seat, again = joined.again, "somebody joined");
    if joined.made_on_joining {
        prepare(shared, &joined);
    }
    let state = wait_for(shared, &joined).await;
    Ok((joined, state))
}

/// Has a seat made, whether or not whoever asked still waits.
fn prepare(shared: &Arc<Shared>, joined: &Joined) {
    let (lab, seat, own) = (joined.lab.clone(), joined.seat.clone(), shared.clone());
    shared.runs.spawn(async move {
        match make(&own.home, &lab, &seat).await {
            Ok(Made::Ready) => {}
            Ok(Made::Begun(run)) => own.keep(run),
            Ok(Made::Not(why)) => tracing::warn!(%lab, %seat, why, "a seat was not made"),
            Err(error) => tracing::error!(%lab, %seat, %error, "a seat was not made"),
        }
    });
}

/// How the seat stands, after a while where it is about to be made.
async fn wait_for(shared: &Shared, joined: &Joined) -> MachineState {
    let Joined { lab, seat, made_on_joining, .. } = joined;
    let made = async {
        while *made_on_joining && !matches!(state(&shared.home, lab, seat).await, Ok(MachineState::Ready)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // Where it is not made by then, how it stands says so.
    let _ = timeout(SEAT_WITHIN, made).await;
    stands(&shared.home, lab, seat).await.unwrap_or(MachineState::Unknown)
}

async fn from_form(shared: &Arc<Shared>, who: IpAddr, request: Request<Incoming>) -> Answer {
    let asker = Asker::of(shared, who, &request);
    let body = match read(request, "application/x-www-form-urlencoded").await {
        Ok(body) => body,
        Err((status, why)) => return html(status, page::plain("That did not work", why)),
    };
    let text = String::from_utf8_lossy(&body);
    let value = |name| form::field(&text, name).unwrap_or_default();
    let (code, name) = (value("code"), value("name"));
    match seat(shared, &asker, &code, &name).await {
        Ok((joined, state)) => html(StatusCode::OK, page::seat(&joined, state)),
        Err(refusal) => refusal.with_wait(html(refusal.status(), page::form(&code, &name, Some(&refusal.problem())))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    code: String,
    name: String,
}

async fn from_program(shared: &Arc<Shared>, who: IpAddr, request: Request<Incoming>) -> Answer {
    let asker = Asker::of(shared, who, &request);
    let refuse = |status, why: &str| json_answer(status, json!({"error": {"kind": "request", "message": why}}));
    let body = match read(request, "application/json").await {
        Ok(body) => body,
        Err((status, why)) => return refuse(status, why),
    };
    let Ok(wish) = serde_json::from_slice::<Wish>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "send {\"code\": \"…\", \"name\": \"…\"}");
    };
    match seat(shared, &asker, &wish.code, &wish.name).await {
        Ok((joined, state)) => {
            let links: Map<String, Value> =
                joined.links.all().map(|(service, link)| (service.as_str().to_owned(), link.into())).collect();
            let link = joined.links.all().next().map(|(_, link)| link);
            let said = json!({"lab": joined.lab, "seat": joined.seat, "name": joined.person, "again": joined.again,
                              "state": state, "link": link, "links": links});
            json_answer(StatusCode::OK, said)
        }
        Err(refusal) => {
            let said = json!({"error": {"kind": refusal.kind(), "message": refusal.words()}});
            refusal.with_wait(json_answer(refusal.status(), said))
        }
    }
}

/// The body of a request of that type, within its bounds.
async fn read(request: Request<Incoming>, kind: &str) -> Result<Bytes, (StatusCode, &'static str)> {
    let said = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim();
    // What no form of another site can send without being asked first.
    if !said.eq_ignore_ascii_case(kind) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is of another content type"));
    }
    // What says beforehand that it is too large is not read.
    if request.body().size_hint().lower() > BODY as u64 {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"));
    }
    match timeout(BODY_WITHIN, Limited::new(request.into_body(), BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or broke off")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

/// Whether joining works: the store answers.
async fn health(shared: &Shared) -> Answer {
    match shared.home.store.version().await {
        Ok(_) => json_answer(StatusCode::OK, json!({"status": "ok"})),
        Err(error) => {
            tracing::error!(%error, "the store does not answer");
            json_answer(StatusCode::SERVICE_UNAVAILABLE, json!({"status": "the store does not answer"}))
        }
    }
}

fn refused_method(allowed: &'static str) -> Answer {
    let mut answer = html(StatusCode::METHOD_NOT_ALLOWED, page::plain("Not so", "this is asked for in another way"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn html(status: StatusCode, text: String) -> Answer {
    let mut answer = respond(status, "text/html; charset=utf-8", text);
    if let Ok(policy) = HeaderValue::from_str(&page::POLICY) {
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

fn json_answer(status: StatusCode, value: Value) -> Answer {
    let mut object = Map::from_iter([("schema".to_owned(), Value::from(1))]);
    if let Value::Object(fields) = value {
        object.extend(fields);
    }
    respond(status, "application/json", format!("{}\n", Value::Object(object)))
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

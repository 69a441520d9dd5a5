//! `ssh`, `engine` and `proxy`: what is done on the instance itself.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{
    super::proxy::{CERT, KEY, caddyfile},
    host::{Host, LOOK_EVERY},
    seat::SCRIPT as AGAIN,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Change, Clean, Level, planning::MadeOf, workshop::mark},
};

/// The startup script says nothing new for so many times our patience: it is stuck. Images are large.
const STUCK_AFTER: u32 = 8;
/// Where the startup script keeps what it has come to, what it did, and the proxy's routes.
const STATE: &str = "/run/homeroom/state";
const LOG: &str = "/var/lib/homeroom/startup.log";
const ROUTES: &str = "/var/lib/homeroom/Caddyfile";
/// The mark of the routes and the certificate that the proxy was last started with.
const STARTED_WITH: &str = "/var/lib/homeroom/proxy.mark";
/// The folder of the routes, and where the proxy's container sees it.
const FOLDER: &str = "/var/lib/homeroom";
const SEEN_AT: &str = "/etc/homeroom";

/// A login with the workshop's key works.
pub struct Login {
    pub host: Arc<Host>,
}

#[async_trait]
impl Action for Login {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (host, began) = (&self.host, self.host.clock.monotonic());
        let (target, mut looked) = (host.target(context)?, began);
        loop {
            let why = match host.shell.run(&target, "true", host.tuning.login_within).await {
                Ok(_) => return Ok(format!("{} is let in", target.user)),
                Err(error) => error,
            };
            host.worth_waiting(context, &mut looked).await?;
            if host.clock.monotonic().saturating_sub(began) > host.patience() {
                let denied = matches!(why, crate::port::shell::ShellError::Denied { .. });
                let hint = match denied {
                    true => {
                        "; where the organisation demands OS Login, keys in metadata count for nothing: ask for an exception"
                    }
                    false => "; does the firewall rule let this host in, see gce.source_ranges?",
                };
                return Err(StepError::fatal(format!("{why}{hint}")));
            }
            context.sleep(LOOK_EVERY).await?;
        }
    }
}

/// The line that has the instance run its startup script again, in the background: what it said before is forgotten.
pub fn rerun() -> String {
    format!("sudo rm -f {STATE}; ({AGAIN}) >/dev/null 2>&1 </dev/null &")
}

/// Docker answers, and the startup script is through.
pub struct Docker {
    pub host: Arc<Host>,
}

#[async_trait]
impl Action for Docker {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let host = &self.host;
        let (mut last, mut since, mut anew) = (String::new(), host.clock.monotonic(), false);
        loop {
            let said = host.run(context, &format!("cat {STATE}")).await?;
            let state = Clean::new(said.stdout.trim()).to_string();
            if state.starts_with("failed: ") && !anew {
                // It ended before anybody looked, as in an earlier run: what stood in its way may be mended by now.
                let words = format!("the startup script {state}; it is run again, which keeps what is there");
                context.note(Level::Warning, words).await?;
                context.go_on()?;
                host.run(context, &rerun()).await?;
                (anew, last, since) = (true, String::new(), host.clock.monotonic());
                continue;
            }
            anew = true;
            if let Some(why) = state.strip_prefix("failed: ") {
                let log = host.run(context, &format!("tail -n 3 {LOG}")).await?;
                let lines: Vec<String> = log.stdout.lines().map(|line| Clean::new(line).to_string()).collect();
                return Err(StepError::fatal(format!(
                    "the startup script ended: {why}; it said: {}",
                    lines.join(" / ")
                )));
            }
            if state == "ready" {
                let version = host.run(context, "docker version --format '{{.Server.Version}}'").await?;
                return match version.code {
                    Some(0) => Ok(format!(
                        "Docker {} runs, and the startup script is through",
                        Clean::new(version.stdout.trim())
                    )),
                    _ => Err(StepError::Unreachable(Clean::new(version.stderr.trim()))),
                };
            }
            let now = host.clock.monotonic();
            if state != last {
                if !state.is_empty() {
                    context.note(Level::Info, format!("the startup script: {state}")).await?;
                }
                (last, since) = (state, now);
            } else if now.saturating_sub(since) > host.patience() * STUCK_AFTER {
                let words = if last.is_empty() { "has not begun" } else { last.as_str() };
                return Err(StepError::fatal(format!(
                    "the startup script {words}, and nothing more for {} min; `homeroom ssh {}/host -- tail {LOG}` shows \
                     what it did",
                    (host.patience() * STUCK_AFTER).as_secs() / 60,
                    host.lab()
                )));
            }
            context.sleep(LOOK_EVERY).await?;
        }
    }
}

/// The proxy has the routes, with each seat's token.
pub struct Routes {
    pub host: Arc<Host>,
}

impl Routes {
    fn routes(&self) -> String {
        let (host, files) = (&self.host, self.host.certificate.as_ref().map(|_| SEEN_AT));
        caddyfile(&host.workshop, &host.tokens, files)
    }

    /// Tells these routes, with the certificate, from any others. It proves nothing.
    fn mark(&self) -> String {
        let certificate = self.host.certificate.as_ref().map_or("", |certificate| certificate.cert.as_str());
        mark(&format!("{}\n{certificate}", self.routes()))
    }

    /// Writes down what it shows: the next plan goes by that.
    async fn shown(&self, context: &StepContext) -> Result<(), StepError> {
        let host = &self.host;
        let certificate = host.certificate.as_ref().map(|certificate| mark(&certificate.cert));
        let made_of = MadeOf::shown(&host.workshop, certificate.as_deref()).text();
        if host.known(context).proxy.as_ref() == Some(&made_of) {
            return Ok(());
        }
        context.record(Level::Debug, "what its proxy shows is known", Change::ProxyShows { made_of }).await
    }

    /// Writes a file for root alone. What is in it is sent as input, not as words of a command: those are for
    /// everybody on the machine to read.
    async fn write(&self, context: &StepContext, path: &str, content: &[u8]) -> Result<(), StepError> {
        let line = format!("sudo install -m 600 /dev/stdin {path}");
        match self.host.pour(context, &line, content.to_vec()).await? {
            0 => Ok(()),
            code => Err(StepError::Unreachable(Clean::new(format!("writing {path} ended with status {code}")))),
        }
    }
}

#[async_trait]
impl Action for Routes {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let holds = async |path: &str, wanted: &str| -> Result<bool, StepError> {
            Ok(self.host.run(context, &format!("sudo cat {path}")).await?.stdout == wanted)
        };
        // What lies there may not be what it runs with: whoever wrote it may have died before its start.
        let fits = holds(ROUTES, &self.routes()).await? && holds(STARTED_WITH, &self.mark()).await?;
        if fits {
            self.shown(context).await?;
        }
        Ok(if fits { Check::Done("has its routes".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let host = &self.host;
        context.go_on()?;
        if let Some(certificate) = &host.certificate {
            self.write(context, &format!("{FOLDER}{CERT}"), certificate.cert.as_bytes()).await?;
            self.write(context, &format!("{FOLDER}{KEY}"), certificate.key.expose_secret().as_bytes()).await?;
        }
        self.write(context, ROUTES, self.routes().as_bytes()).await?;
        let name = host.machine();
        let said = host.run(context, &format!("docker restart {name}")).await?;
        match said.code {
            Some(0) => {
                self.write(context, STARTED_WITH, self.mark().as_bytes()).await?;
                self.shown(context).await?;
                Ok("the proxy has its routes".to_owned())
            }
            _ => Err(StepError::fatal(format!("the proxy {name} does not start: {}", Clean::new(said.stderr.trim())))),
        }
    }
}

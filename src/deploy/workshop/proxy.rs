//! `proxy`: Caddy in front of the seats. A seat's token opens its own links and nobody else's.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::engine::Engine;
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Role, SeatName,
        engine::{Attached, ContainerSpec, ContainerState},
        label::{Owner, owner},
        workshop::WorkshopDefinition,
    },
};

/// Where its configuration lies inside.
const CONFIG: &str = "/Caddyfile";
pub(super) const CERT: &str = "/cert.pem";
pub(super) const KEY: &str = "/key.pem";

/// The proxy runs with the routes of the definition.
pub struct StartProxy {
    pub engine: Arc<Engine>,
}

#[async_trait]
impl Action for StartProxy {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let name = self.engine.host_name();
        let view = self.engine.containers.view().await?;
        let found = self.engine.own_container(&view, &SeatName::host(), &name)?;
        let runs = found.is_some_and(|found| {
            let label = owner(&self.engine.store, &name, &found.labels);
            let wanted = self.engine.proxy().text();
            found.state == ContainerState::Running && matches!(label, Owner::Ours(label) if label.made_of == wanted)
        });
        Ok(if runs { Check::Done("runs".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (engine, name, host) = (&self.engine, self.engine.host_name(), SeatName::host());
        let containers = &engine.containers;
        // It keeps nothing: one that does not run as it should is made anew.
        let view = containers.view().await?;
        if let Some(old) = engine.own_container(&view, &host, &name)? {
            containers.remove(&old.id).await?;
        }
        let made_of = engine.proxy();
        let spec = ContainerSpec {
            labels: engine.label(context, &host, &name, &made_of),
            name: name.clone(),
            image: engine.workshop.proxy.image.clone(),
            hostname: None,
            command: Some(["caddy", "run", "--adapter", "caddyfile", "--config", CONFIG].map(str::to_owned).to_vec()),
            // Only from there is the loopback reached that the seats' ports are bound to.
            network: Attached::Host,
            memory: None,
            cpus: None,
            pids: None,
            ports: Vec::new(),
        };
        context.go_on()?;
        containers.create(&spec).await?;
        containers
            .put_file(
                &name,
                CONFIG,
                caddyfile(&engine.workshop, &engine.tokens, engine.certificate.as_ref().map(|_| "")).as_bytes(),
            )
            .await?;
        if let Some(certificate) = &engine.certificate {
            containers.put_file(&name, CERT, certificate.cert.as_bytes()).await?;
            containers.put_file(&name, KEY, certificate.key.expose_secret().as_bytes()).await?;
        }
        containers.start(&name).await?;
        // That it listens is seen by whoever asks it next.
        Ok(format!("started the proxy of port {}", engine.workshop.proxy.port))
    }
}

/// The routes: `/health`, and `/vm/N/terminal`, `/files`, `/browser` for whoever has seat N's token, once in
/// the link and from then on as a cookie of that path.
/// With a name it speaks TLS: by the files in this folder, or a certificate of its own making.
pub(super) fn caddyfile(
    workshop: &WorkshopDefinition,
    tokens: &BTreeMap<SeatName, SecretString>,
    files: Option<&str>,
) -> String {
    // Names are proven by what is said here or not at all: nothing is asked of the world outside.
    let https = if workshop.proxy.name.is_some() { "disable_redirects" } else { "off" };
    // No HTTP/3: it would take a UDP port of the host's that nobody asked for.
    let servers = "\tservers {\n\t\tprotocols h1 h2\n\t}\n";
    let mut out = format!("{{\n\tadmin off\n\tskip_install_trust\n\tauto_https {https}\n{servers}}}\n");
    // Writing to a String cannot fail.
    let mut line = |depth: usize, text: String| {
        let _ = writeln!(out, "{}{text}", "\t".repeat(depth));
    };
    if let Some(port) = workshop.health_port() {
        line(0, format!("http://127.0.0.1:{port} {{"));
        line(1, "bind 127.0.0.1".to_owned());
        line(1, "respond /health \"ok\" 200".to_owned());
        line(1, "respond \"not found\" 404".to_owned());
        line(0, "}".to_owned());
    }
    let port = workshop.proxy.port;
    match &workshop.proxy.name {
        Some(name) => {
            line(0, format!("https://{name}:{port} {{"));
            let by_files = |folder: &str| format!("{folder}{CERT} {folder}{KEY}");
            let proof = files.map_or_else(|| "internal".to_owned(), by_files);
            line(1, format!("tls {proof}"));
        }
        None => line(0, format!(":{port} {{")),
    }
    let secure = if workshop.proxy.name.is_some() { "; Secure" } else { "" };
    line(1, "respond /health \"ok\" 200".to_owned());
    for (seat, _) in workshop.rows().iter().filter(|(_, role)| *role == Role::Seat) {
        let (Some(number), Some(token)) = (seat.number(), tokens.get(seat)) else { continue };
        let token = token.expose_secret();
        let path = format!("/vm/{number}/*");
        line(1, format!("@open{number} {{"));
        line(2, format!("path {path}"));
        line(2, format!("query token={token}"));
        line(1, "}".to_owned());
        line(1, format!("handle @open{number} {{"));
        let cookie = format!("homeroom={token}; Path=/vm/{number}/; HttpOnly; SameSite=Lax{secure}");
        line(2, format!("header Set-Cookie \"{cookie}\""));
        line(2, "redir {path} 303".to_owned());
        line(1, "}".to_owned());
        line(1, format!("@in{number} {{"));
        line(2, format!("path {path}"));
        line(2, format!("header_regexp Cookie (^|;\\s*)homeroom={token}(;|$)"));
        line(1, "}".to_owned());
        line(1, format!("handle @in{number} {{"));
        for (service, _, port) in workshop.published(number) {
            let route = format!("/vm/{number}/{}", service.as_str());
            line(2, format!("redir {route} {route}/ 308"));
            line(2, format!("handle_path {route}/* {{"));
            line(3, format!("reverse_proxy 127.0.0.1:{port}"));
            line(2, "}".to_owned());
        }
        line(2, "respond \"no such route\" 404".to_owned());
        line(1, "}".to_owned());
    }
    line(1, "handle /vm/* {".to_owned());
    line(2, "respond \"this link needs the token of its seat\" 403".to_owned());
    line(1, "}".to_owned());
    line(1, "respond \"not found\" 404".to_owned());
    line(0, "}".to_owned());
    out
}

//! Rules for container engines: whether they answer and are fit for workshops, and what of ours nobody looks after.

use std::time::Duration;

use super::{Findings, Trustable};
use crate::{
    domain::{engine::EngineView, size::Size},
    port::shell::ShellError,
    service::{EngineSite, Homeroom, strays},
};

/// How long a login may take: wall time.
const LOGIN_WITHIN: Duration = Duration::from_secs(20);
/// With less than this free, images and seats soon have no room.
const ROOM: u64 = 2 << 30;

pub async fn findings(home: &Homeroom, engine: &EngineSite, out: &mut Findings) {
    if !login(engine, out).await {
        return;
    }
    let address = engine.containers.address();
    let view = match engine.containers.view().await {
        Ok(view) => view,
        Err(error) => {
            let mend = "start it, or correct host in the site's configuration";
            out.error("engine", error.to_string(), "no workshop can be made, seen or ended there", mend);
            return;
        }
    };
    out.ok("engine", format!("{address} answers: Docker {} on {}, {} CPUs", view.version, view.host, view.cpus));
    room(&view, out);
    limits(&view, out);
    match strays::on(home, engine).await {
        Ok(found) if found.is_empty() => out.ok("left behind", "nothing of ours that nobody looks after"),
        Ok(found) => {
            for stray in found {
                out.warning("left behind", stray.what(), stray.meaning(), stray.mend());
            }
        }
        Err(error) => out.warning("left behind", error.to_string(), "it cannot be told what is left", "look again"),
    }
}

/// Whether the engine's host lets us in, where that is the way to it.
async fn login(engine: &EngineSite, out: &mut Findings) -> bool {
    let Some((shell, target)) = &engine.login else { return true };
    let Err(error) = shell.run(target, "true", LOGIN_WITHIN).await else {
        out.ok("login", format!("{} lets {} in by SSH", target.host, target.user));
        return true;
    };
    let why = "the engine is reached through this login";
    match error {
        ShellError::UnknownHost { host, fingerprint, key } => {
            let mend = format!("compare it with the host's own, then `homeroom doctor --trust {fingerprint}`");
            out.error("host key", format!("{host} shows a key nobody trusted yet: {fingerprint}"), why, mend);
            out.trustable(Trustable::HostKey { host, key, fingerprint, changed: false });
        }
        ShellError::WrongHost { host, fingerprint, known, key, .. } => {
            let what = format!("{host} shows another key than the one on record: {fingerprint}, not {known}");
            let mend = format!("find out why; if it was set up anew: `homeroom doctor --trust {fingerprint}`");
            out.error("host key", what, why, mend);
            out.trustable(Trustable::HostKey { host, key, fingerprint, changed: true });
        }
        error @ ShellError::NoKey { .. } => {
            let mend = format!("name a key that is there: ssh_key = \"FILE\" under [sites.{}]", engine.name);
            out.error("login", error.to_string(), why, mend);
        }
        error => out.error("login", error.to_string(), why, "make the login work: user and port in host, and ssh_key"),
    }
    false
}

fn room(view: &EngineView, out: &mut Findings) {
    let Some(free) = view.free else { return };
    let size = Size(free).human();
    if free < ROOM {
        let mend = "make room: `docker system df` shows what takes it";
        out.warning("room", format!("{size} left where the engine keeps its data"), "images and seats need more", mend);
    } else {
        out.ok("room", format!("{size} free where the engine keeps its data"));
    }
}

fn limits(view: &EngineView, out: &mut Findings) {
    if view.unlimited.is_empty() {
        out.ok("limits", "memory, CPUs and processes of a seat can be limited");
        return;
    }
    let what = view.unlimited.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let why = "one seat could take it from all others";
    out.error(
        "limits",
        format!("the engine cannot limit: {what}"),
        why,
        "turn the kernel's cgroup controllers for it on",
    );
}

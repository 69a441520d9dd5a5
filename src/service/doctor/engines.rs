//! Rules for container engines: whether they answer, and what of ours nobody looks after.

use super::Findings;
use crate::service::{EngineSite, Homeroom, strays};

pub async fn findings(home: &Homeroom, engine: &EngineSite, out: &mut Findings) {
    let address = engine.containers.address();
    match engine.containers.view().await {
        Ok(view) => {
            out.ok("engine", format!("{address} answers: Docker {} on {}, {} CPUs", view.version, view.host, view.cpus))
        }
        Err(error) => {
            let mend = "start it, or correct host in the site's configuration";
            out.error("engine", error.to_string(), "no workshop can be made, seen or ended there", mend);
            return;
        }
    }
    match strays::on(home, engine).await {
        Ok(found) if found.is_empty() => out.ok("left behind", "nothing of ours that nobody looks after"),
        Ok(found) => {
            for stray in found {
                out.warning(
                    "left behind",
                    stray.what(),
                    "it takes room and ports, and nobody will miss it",
                    stray.mend(),
                );
            }
        }
        Err(error) => out.warning("left behind", error.to_string(), "it cannot be told what is left", "look again"),
    }
}

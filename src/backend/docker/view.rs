//! From the engine's listings to a view.

use std::collections::{BTreeMap, HashMap, HashSet};

use bollard::{
    Docker,
    errors::Error,
    models::{ContainerSummary, ContainerSummaryStateEnum as Said, HostConfig, ImageInspect, Network},
    query_parameters::{ListContainersOptionsBuilder, LogsOptionsBuilder},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::{follow, known::Known};
use crate::domain::{
    Clean, NodeName,
    engine::{ContainerState, ContainerView, Ending, EngineView, ImageView, NetworkView},
    label::OURS,
    size::Size,
    workshop::SeatLimits,
};

/// One look; `here`: the engine's files are this host's.
pub async fn view(docker: &Docker, here: bool, known: &Known) -> Result<EngineView, Error> {
    let info = docker.info().await?;
    let all = ListContainersOptionsBuilder::new().all(true).build();
    let containers = docker.list_containers(Some(all)).await?;
    let networks = docker.list_networks(None).await?;
    // The engine answers up to its own clock; a moment ahead would make it wait.
    let clock = info.system_time.and_then(|time| time.parse::<Timestamp>().ok());
    let memory = follow::out_of_memory(docker, clock.unwrap_or_else(Timestamp::now)).await;
    let mut containers: Vec<ContainerView> = containers.into_iter().filter_map(container).collect();
    for view in containers.iter_mut().filter(|view| view.labels.contains_key(OURS)) {
        view.out_of_memory = memory.get(view.name.as_str()).copied();
        if matches!(view.state, ContainerState::Ended | ContainerState::Created) {
            view.ending = ending(docker, view).await;
        }
    }
    let networks: Vec<NetworkView> = networks.into_iter().filter_map(network).collect();
    remember(known, &containers, &networks);
    look_closer(docker, &mut containers, known).await;
    Ok(EngineView {
        host: NodeName::new(info.name.unwrap_or_default()),
        version: Clean::new(info.server_version.unwrap_or_default()),
        cpus: info.ncpu.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        unlimited: [(info.memory_limit, "memory"), (info.cpu_cfs_quota, "CPUs"), (info.pids_limit, "processes")]
            .into_iter()
            .filter(|(can, _)| *can == Some(false))
            .map(|(_, what)| Clean::new(what))
            .collect(),
        architecture: Clean::new(info.architecture.unwrap_or_default()),
        free: if here { info.docker_root_dir.as_deref().and_then(free) } else { None },
        memory: info.mem_total.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
        at: Timestamp::now(),
        containers,
        networks,
    })
}

/// Containers looked at one by one at the same time.
const AT_ONCE: usize = 8;

fn remember(known: &Known, containers: &[ContainerView], networks: &[NetworkView]) {
    let ours = networks.iter().filter(|network| network.labels.contains_key(OURS));
    let names = ours.map(|network| network.name.to_string()).collect();
    known.shown(&containers.iter().map(|view| view.id.as_str()).collect::<HashSet<_>>(), names);
}

/// What the list does not carry: the limits of those of ours that are not known.
async fn look_closer(docker: &Docker, containers: &mut [ContainerView], known: &Known) {
    let mut ours: Vec<_> = containers.iter_mut().filter(|view| view.labels.contains_key(OURS)).collect();
    ours.iter_mut().for_each(|view| view.limits = known.limits(&view.id));
    let mark = known.mark();
    let looks: Vec<_> = ours
        .into_iter()
        .filter(|view| view.limits.is_none())
        .map(|view| {
            let (docker, id) = (docker.clone(), view.id.clone());
            async move { (view, docker.inspect_container(&id, None).await) }
        })
        .collect();
    let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
    while let Some((view, seen)) = looks.next().await {
        // One that is just being removed, or an engine that does not tell, is no reason to see nothing.
        view.limits = seen.ok().and_then(|seen| seen.host_config).map(limits);
        view.limits.iter().for_each(|limits| known.keep(&view.id, limits, mark));
    }
}

/// 0 stands for no limit.
fn limits(host: HostConfig) -> SeatLimits {
    let positive = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
    let (quota, period) = (positive(host.cpu_quota), positive(host.cpu_period));
    let nano = match positive(host.nano_cpus) {
        // Somebody else's way to say it.
        0 if quota > 0 && period > 0 => quota.saturating_mul(1_000_000_000) / period,
        nano => nano,
    };
    SeatLimits {
        memory: Size(positive(host.memory)),
        // What is less than a millionth of one is what multiplying lost.
        cpus: (nano as f64 / 1e3).round() / 1e6,
        pids: u32::try_from(positive(host.pids_limit)).unwrap_or_default(),
    }
}

fn container(from: ContainerSummary) -> Option<ContainerView> {
    // A container may have further names as a link of others: those have a second slash.
    let names = from.names.unwrap_or_default();
    let name = names.iter().map(|name| name.trim_start_matches('/')).find(|name| !name.contains('/'))?;
    let mut published: Vec<u16> = from.ports.unwrap_or_default().iter().filter_map(|port| port.public_port).collect();
    let networks = from.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    published.sort_unstable();
    published.dedup();
    Some(ContainerView {
        id: from.id?,
        name: Clean::new(name),
        image: Clean::new(from.image.unwrap_or_default()),
        state: from.state.map_or(ContainerState::Unknown, state),
        status: Clean::new(from.status.unwrap_or_default()),
        labels: sorted(from.labels),
        published,
        networks: networks.into_keys().map(Clean::new).collect(),
        limits: None,
        ending: None,
        out_of_memory: None,
    })
}

/// The exit status after SIGKILL, which is how the kernel ends what wants too much memory.
const KILLED: i64 = 137;
/// Between a kill for want of memory and the container's end.
const SAME_MOMENT: SignedDuration = SignedDuration::from_secs(3);

/// How a container ended; none where it was never started, or is just being removed.
async fn ending(docker: &Docker, view: &ContainerView) -> Option<Ending> {
    let state = docker.inspect_container(&view.id, None).await.ok()?.state?;
    let code = state.exit_code.unwrap_or_default();
    let error = Clean::new(state.error.unwrap_or_default());
    if view.state == ContainerState::Created && error.as_str().is_empty() {
        return None;
    }
    let ended: Option<Timestamp> = state.finished_at.and_then(|at| at.parse().ok());
    let killed = ended.zip(view.out_of_memory).is_some_and(|(end, kill)| end.duration_since(kill).abs() < SAME_MOMENT);
    let out_of_memory = code == KILLED && (killed || state.oom_killed == Some(true));
    // One that never ran ended in the year 1.
    let at = ended.filter(|at| *at > Timestamp::UNIX_EPOCH);
    Some(Ending { code, at, out_of_memory, error })
}

/// Bytes that whoever the engine runs as may still write below a folder.
fn free(folder: &str) -> Option<u64> {
    let seen = rustix::fs::statvfs(folder).ok()?;
    Some(seen.f_bavail.saturating_mul(seen.f_frsize))
}

/// An image as the engine describes it.
pub fn image(from: ImageInspect) -> ImageView {
    let config = from.config.unwrap_or_default();
    let any = |words: Option<Vec<String>>| words.is_some_and(|words| !words.is_empty());
    ImageView {
        id: from.id.unwrap_or_default(),
        architecture: Clean::new(from.architecture.unwrap_or_default()),
        starts: any(config.cmd) || any(config.entrypoint),
    }
}

fn network(from: Network) -> Option<NetworkView> {
    Some(NetworkView { id: from.id?, name: Clean::new(from.name?), labels: sorted(from.labels) })
}

fn sorted(labels: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    labels.unwrap_or_default().into_iter().collect()
}

fn state(said: Said) -> ContainerState {
    match said {
        Said::CREATED => ContainerState::Created,
        Said::RUNNING => ContainerState::Running,
        Said::PAUSED => ContainerState::Paused,
        Said::RESTARTING => ContainerState::Restarting,
        Said::EXITED | Said::DEAD => ContainerState::Ended,
        Said::REMOVING | Said::STOPPING => ContainerState::Removing,
        Said::EMPTY => ContainerState::Unknown,
    }
}

/// Longer lines of a container are cut.
const LINE: usize = 400;

pub async fn last_lines(docker: &Docker, id: &str, lines: u32) -> Result<Vec<Clean>, Error> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
    let mut said = docker.logs(id, Some(options));
    let mut text = Vec::new();
    while let Some(piece) = said.try_next().await? {
        text.extend_from_slice(&piece.into_bytes());
    }
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.map(|line| Clean::new(line.chars().take(LINE).collect::<String>())).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_container_is_known_by_its_own_name_and_not_by_a_link_to_it() {
        let listed = serde_json::json!({
            "Id": "0d0b", "Names": ["/proxy/seat", "/rust-intro-seat-01"], "Image": "seat:test", "State": "running",
            "Status": "Up 2 seconds", "Labels": {"homeroom": "1"},
            "NetworkSettings": {"Networks": {"rust-intro-host": {}}},
            "Ports": [{"IP": "127.0.0.1", "PrivatePort": 3001, "PublicPort": 3011, "Type": "tcp"},
                      {"PrivatePort": 9, "Type": "tcp"}],
        });
        let view = container(serde_json::from_value(listed).unwrap()).unwrap();
        assert_eq!(view.name.as_str(), "rust-intro-seat-01");
        assert_eq!((view.state, view.published), (ContainerState::Running, vec![3011]));
        assert_eq!(view.networks, ["rust-intro-host".into()]);
        assert_eq!(view.labels.get("homeroom").map(String::as_str), Some("1"));
    }

    #[test]
    fn limits_are_read_however_they_were_given() {
        let read = |said| limits(serde_json::from_value(said).unwrap());
        let said = read(serde_json::json!({"Memory": 67_108_864, "NanoCpus": 289_999_999, "PidsLimit": 64}));
        assert_eq!(said, SeatLimits { memory: Size(64 << 20), cpus: 0.29, pids: 64 });
        let said = read(serde_json::json!({"CpuQuota": 70_000, "CpuPeriod": 100_000, "PidsLimit": -1}));
        assert_eq!(said, SeatLimits { memory: Size(0), cpus: 0.7, pids: 0 });
    }

    #[test]
    fn a_listing_that_says_little_is_no_error() {
        let view = container(serde_json::from_value(serde_json::json!({"Id": "1", "Names": ["/a1"]})).unwrap());
        assert_eq!(view.unwrap().state, ContainerState::Unknown);
    }
}

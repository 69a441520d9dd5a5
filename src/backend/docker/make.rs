//! From what is wanted to the engine's requests.

use std::collections::{BTreeMap, HashMap};

use bollard::{
    Docker, body_full,
    errors::Error,
    models::{ContainerCreateBody, ContainerUpdateBody, HostConfig, NetworkCreateRequest, PortBinding},
    query_parameters::{
        CreateContainerOptions, CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveContainerOptions,
        RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    },
};
use futures_util::TryStreamExt;
use tokio::sync::mpsc;

use super::tar;
use crate::{
    domain::{
        engine::{Attached, ContainerSpec},
        workshop::SeatLimits,
    },
    port::containers::Pulled,
};

/// A bridge of its own on which containers do not reach each other. The engine refuses it where it cannot
/// hold them apart.
pub fn network(name: &str, labels: &BTreeMap<String, String>) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        options: Some(HashMap::from([("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned())])),
        labels: Some(labels.clone().into_iter().collect()),
        ..NetworkCreateRequest::default()
    }
}

/// What one that stands is held to from now on.
pub fn limits(limits: &SeatLimits) -> ContainerUpdateBody {
    let memory = i64::try_from(limits.memory.0).ok();
    ContainerUpdateBody {
        memory,
        memory_swap: memory,
        nano_cpus: Some(nano(limits.cpus)),
        pids_limit: Some(i64::from(limits.pids)),
        ..ContainerUpdateBody::default()
    }
}

/// CPUs as the engine counts them.
fn nano(cpus: f64) -> i64 {
    (cpus * 1e9) as i64
}

pub fn container(spec: &ContainerSpec) -> (CreateContainerOptions, ContainerCreateBody) {
    let binding = |host: u16| PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(host.to_string()) };
    let ports = spec.ports.iter().map(|(inside, host)| (format!("{inside}/tcp"), Some(vec![binding(*host)])));
    let memory = spec.memory.and_then(|size| i64::try_from(size.0).ok());
    let host = HostConfig {
        memory,
        // No swap beyond it: a seat that asks for too much is ended rather than slowing all others down.
        memory_swap: memory,
        nano_cpus: spec.cpus.map(nano),
        pids_limit: spec.pids.map(i64::from),
        port_bindings: Some(ports.collect()),
        network_mode: Some(match &spec.network {
            Attached::To(name) => name.clone(),
            Attached::Host => "host".to_owned(),
        }),
        // Without raw packets nobody can pass for a neighbour on the bridge.
        cap_drop: Some(vec!["NET_RAW".to_owned()]),
        // Programs that end are reaped, whatever the image starts first.
        init: Some(true),
        ..HostConfig::default()
    };
    let body = ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: spec.command.clone(),
        hostname: spec.hostname.clone(),
        // A port that is bound and not exposed is silently left out.
        exposed_ports: Some(spec.ports.iter().map(|(inside, _)| format!("{inside}/tcp")).collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    };
    (CreateContainerOptionsBuilder::new().name(&spec.name).build(), body)
}

/// With what it wrote, running or not.
pub fn whole_removal() -> RemoveContainerOptions {
    RemoveContainerOptionsBuilder::new().v(true).force(true).build()
}

pub async fn put_file(docker: &Docker, id: &str, path: &str, content: &[u8]) -> Result<(), Error> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = if folder.is_empty() { "/" } else { folder };
    let options = UploadToContainerOptionsBuilder::new().path(folder).build();
    docker.upload_to_container(id, Some(options), body_full(tar::one_file(name, content).into())).await
}

/// Fetches an image, and tells now and then how much is here.
pub async fn pull(docker: &Docker, image: &str, tell: mpsc::Sender<Pulled>) -> Result<(), Error> {
    // Without a tag the engine would fetch every one there is.
    let whole = if has_tag(image) { image.to_owned() } else { format!("{image}:latest") };
    let options = CreateImageOptionsBuilder::new().from_image(&whole).build();
    let mut news = docker.create_image(Some(options), None, None);
    let mut layers: HashMap<String, Pulled> = HashMap::new();
    while let Some(line) = news.try_next().await? {
        let (Some(layer), Some(detail)) = (line.id, line.progress_detail) else { continue };
        if line.status.as_deref() != Some("Downloading") {
            continue;
        }
        let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
        if let (Some(bytes), Some(of)) = (number(detail.current), number(detail.total)) {
            layers.insert(layer, Pulled { bytes, of });
            let sum = layers
                .values()
                .fold(Pulled::default(), |sum, layer| Pulled { bytes: sum.bytes + layer.bytes, of: sum.of + layer.of });
            // A reader that is busy misses one.
            let _ = tell.try_send(sum);
        }
    }
    Ok(())
}

/// Whether an image's name says which one: `host:5000/name` does not.
fn has_tag(image: &str) -> bool {
    image.contains('@') || image.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::size::Size;

    #[test]
    fn a_registrys_port_is_no_tag() {
        assert!(has_tag("workspace:latest") && has_tag("host:5000/workspace:2") && has_tag("a@sha256:00"));
        assert!(!has_tag("workspace") && !has_tag("host:5000/workspace"));
    }

    #[test]
    fn a_seats_ports_are_bound_to_the_loopback_alone_and_its_limits_are_hard() {
        let spec = ContainerSpec {
            name: "rust-intro-seat-01".to_owned(),
            image: "workspace:latest".to_owned(),
            hostname: Some("seat-01".to_owned()),
            command: None,
            labels: BTreeMap::new(),
            network: Attached::To("rust-intro-host".to_owned()),
            memory: Some(Size::gib(1)),
            cpus: Some(0.5),
            pids: Some(256),
            ports: vec![(3001, 3011)],
        };
        let host = container(&spec).1.host_config.unwrap();
        let bound = host.port_bindings.unwrap()["3001/tcp"].clone().unwrap();
        assert_eq!((bound[0].host_ip.as_deref(), bound[0].host_port.as_deref()), (Some("127.0.0.1"), Some("3011")));
        assert_eq!((host.memory, host.memory_swap), (Some(1 << 30), Some(1 << 30)));
        assert_eq!((host.nano_cpus, host.pids_limit), (Some(500_000_000), Some(256)));
        assert_eq!(host.privileged, None);
    }
}

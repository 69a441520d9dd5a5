//! A guest on an engine that is somebody's own: what it makes there carries its mark and goes with it, and it brings
//! images of its own instead of fetching any.
//!
//! What does not carry the mark is never touched.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

use bollard::{
    Docker, body_full,
    errors::Error,
    models::{ContainerCreateBody, NetworkCreateRequest},
    query_parameters::{
        CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
        RemoveImageOptionsBuilder,
    },
};
use futures_util::TryStreamExt;

use super::{
    make,
    tar::{self, Entry},
};

/// The label of everything that is made for a guest.
const GUEST: &str = "homeroom.demo";

/// Somebody who will leave again.
#[derive(Debug, Clone, Default)]
pub struct Guest {
    /// Who it is; the value of the label on everything made for it.
    pub mark: String,
    pub images: Vec<Brought>,
}

/// An image made of files of this host.
#[derive(Debug, Clone)]
pub struct Brought {
    /// Such as `homeroom-demo/seat:1`.
    pub name: String,
    pub parts: Vec<Part>,
    /// What it says beside its files, as in a Dockerfile: `CMD ["/start"]`.
    pub says: Vec<String>,
}

/// Something in an image that is brought; paths are relative to its root.
#[derive(Debug, Clone)]
pub enum Part {
    /// A file of this host, as a program.
    Copy { path: String, of: PathBuf },
    /// A file with this text, and whether it is a program.
    Text { path: String, program: bool, text: String },
    /// A symbolic link.
    Link { path: String, to: String },
    /// A folder everybody may write in.
    Folder { path: String },
}

impl Guest {
    pub fn mark_container(&self, body: &mut ContainerCreateBody) {
        body.labels.get_or_insert_default().extend(self.labels());
    }

    pub fn mark_network(&self, request: &mut NetworkCreateRequest) {
        request.labels.get_or_insert_default().extend(self.labels());
    }

    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(GUEST.to_owned(), self.mark.clone())])
    }

    /// The image of that name, if the guest brings it.
    pub fn brings(&self, image: &str) -> Option<&Brought> {
        self.images.iter().find(|brought| brought.name == image)
    }

    /// Puts an image there.
    pub async fn unpack(&self, docker: &Docker, image: &Brought) -> Result<(), Error> {
        let packed = pack(image).map_err(|err| Error::IOError { err })?;
        let says = image.says.iter().cloned().chain([format!("LABEL {GUEST}=\"{}\"", self.mark)]).collect();
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(&image.name).changes(says).build();
        let mut news = docker.create_image(Some(options), Some(body_full(packed.into())), None);
        while news.try_next().await?.is_some() {}
        Ok(())
    }
}

fn pack(image: &Brought) -> std::io::Result<Vec<u8>> {
    let mut copies = HashMap::new();
    for part in &image.parts {
        if let Part::Copy { of, .. } = part {
            let read = std::fs::read(of);
            copies.insert(of, read.map_err(|e| std::io::Error::other(format!("cannot read {}: {e}", of.display())))?);
        }
    }
    let entries: Vec<Entry<'_>> = image
        .parts
        .iter()
        .map(|part| match part {
            Part::Copy { path, of } => {
                Entry::File { path, program: true, content: copies.get(of).map_or(&[], Vec::as_slice) }
            }
            Part::Text { path, program, text } => Entry::File { path, program: *program, content: text.as_bytes() },
            Part::Link { path, to } => Entry::Link { path, to },
            Part::Folder { path } => Entry::Folder { path, shared: true },
        })
        .collect();
    Ok(tar::archive(&entries))
}

/// The marks of all guests of whom something is on the engine.
pub async fn guests(docker: &Docker) -> Result<BTreeSet<String>, Error> {
    let all = ListContainersOptionsBuilder::new().all(true).filters(&with(GUEST)).build();
    let containers = docker.list_containers(Some(all)).await?.into_iter().filter_map(|it| it.labels);
    let those = ListNetworksOptionsBuilder::new().filters(&with(GUEST)).build();
    let networks = docker.list_networks(Some(those)).await?.into_iter().filter_map(|it| it.labels);
    let those = ListImagesOptionsBuilder::new().filters(&with(GUEST)).build();
    let images = docker.list_images(Some(those)).await?.into_iter().map(|it| it.labels);
    Ok(containers.chain(networks).chain(images).filter_map(|mut labels| labels.remove(GUEST)).collect())
}

/// Removes everything that carries a guest's mark: containers, then what they stand on. How many things that was.
pub async fn clear(docker: &Docker, mark: &str) -> Result<usize, Error> {
    let filters = with(&format!("{GUEST}={mark}"));
    let mut gone = 0;
    let all = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    for id in docker.list_containers(Some(all)).await?.into_iter().filter_map(|it| it.id) {
        gone += done(docker.remove_container(&id, Some(make::whole_removal())).await)?;
    }
    let those = ListNetworksOptionsBuilder::new().filters(&filters).build();
    for id in docker.list_networks(Some(those)).await?.into_iter().filter_map(|it| it.id) {
        gone += done(docker.remove_network(&id).await)?;
    }
    let those = ListImagesOptionsBuilder::new().filters(&filters).build();
    for image in docker.list_images(Some(those)).await? {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        gone += done(docker.remove_image(&image.id, Some(options), None).await.map(drop))?;
    }
    Ok(gone)
}

/// What is gone already, or on its way out, is as good as removed.
fn done(removed: Result<(), Error>) -> Result<usize, Error> {
    match removed {
        Ok(()) => Ok(1),
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(1),
        Err(error) => Err(error),
    }
}

fn with(label: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::engine::{Attached, ContainerSpec};

    #[test]
    fn what_is_made_for_a_guest_carries_its_mark_beside_our_labels() {
        let guest = Guest { mark: "process 7".to_owned(), images: Vec::new() };
        let mut network = make::network("intro-host", &BTreeMap::from([("homeroom".to_owned(), "1".to_owned())]));
        guest.mark_network(&mut network);
        assert_eq!(network.labels.unwrap().len(), 2);
        let spec = ContainerSpec {
            name: "intro-seat-01".to_owned(),
            image: "seat:1".to_owned(),
            hostname: None,
            command: None,
            labels: BTreeMap::new(),
            network: Attached::Host,
            memory: None,
            cpus: None,
            pids: None,
            ports: Vec::new(),
        };
        let mut body = make::container(&spec).1;
        guest.mark_container(&mut body);
        assert_eq!(body.labels.unwrap()[GUEST], "process 7");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let parts = vec![Part::Copy { path: "bin/busybox".to_owned(), of: "/no/such/busybox".into() }];
        let image = Brought { name: "homeroom-demo/seat:1".to_owned(), parts, says: Vec::new() };
        assert!(pack(&image).unwrap_err().to_string().contains("/no/such/busybox"));
    }
}

//! Fetching an image from the network onto a storage. The simulated network has every file, and
//! each is half a gibibyte.

use super::{Call, Fail, Reply};
use crate::sim::world::{Op, World};

const SIZE: u64 = 512 << 20;

/// POST /nodes/{node}/storage/{storage}/download-url
pub fn download(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (store, content) = (call.need("storage"), call.need("content"));
    let file: String = call
        .need("filename")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
        .collect();
    let storage = world.storages.get(&store).ok_or_else(|| Fail::param("storage", "No such storage."))?;
    if !storage.content.contains(&content) {
        return Err(format!("storage '{store}' is not configured for content-type '{content}'").into());
    }
    let kinds: &[&str] = match content.as_str() {
        "iso" => &[".iso", ".img"],
        "import" => &[".ova", ".qcow2", ".raw", ".vmdk"],
        _ => &[".tar.gz", ".tar.xz", ".tar.zst"],
    };
    if !kinds.iter().any(|kind| file.ends_with(kind)) {
        return Err(Fail::param("filename", "wrong file extension"));
    }
    let name = format!("{content}/{file}");
    let (checked, url) = (call.params.contains_key("checksum"), call.need("url"));
    let pipe = storage.pipe(&call.node());
    let there = storage.files.contains_key(&name);
    let ops = vec![Op::run(move |_, _| {
        if there && !checked {
            return Err(format!("refusing to override existing file '{file}'").into());
        }
        if there {
            return Ok(vec![Op::Log(format!("OK, got correct file already, no need to re-download '{file}'"))]);
        }
        Ok(vec![
            Op::Log(format!("downloading {url} to {file}")),
            Op::Flow { pipe, units: SIZE as f64, total: None, command: String::new() },
            Op::run(move |world, _| {
                if let Some(storage) = world.storages.get_mut(&store) {
                    storage.files.insert(name, SIZE);
                }
                Ok(vec![Op::Log(format!("download of '{url}' to '{file}' finished"))])
            }),
        ])
    })];
    let upid = world.spawn(&call.node(), "download", &call.need("filename"), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

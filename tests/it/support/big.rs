//! A large cluster: the default world, and around it many nodes and guests.

use std::fmt::Write as _;

/// The scenario of a cluster with this many nodes and guests more than the default world has.
pub fn scenario(nodes: u32, guests: u32) -> String {
    let mut text = String::from("extends = \"default\"\n");
    for node in 0..nodes {
        let (high, low) = (node / 200, node % 200 + 20);
        writeln!(text, "[[nodes]]\nname = \"n{node}\"\nip = \"198.51.{high}.{low}\"\nbridges = [\"vmbr0\"]").unwrap();
    }
    for guest in 0..guests {
        let (vmid, node, running) = (20_000 + guest, guest % nodes, guest % 3 != 0);
        writeln!(text, "[[guests]]\nvmid = {vmid}\nname = \"g{vmid}\"\nnode = \"n{node}\"\nstorage = \"fast\"")
            .unwrap();
        writeln!(text, "running = {running}\nconfig = {{ memory = \"1024\", tags = \"other;t{node}\" }}").unwrap();
    }
    text
}

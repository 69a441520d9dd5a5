//! An engine whose disk is full: told before anything is made, and where it fills up in the middle, with the engine's
//! own words and nothing lost.

use std::{path::PathBuf, process::Command};

use super::{Lab, alone, restart::Engine};

/// A small disk for an engine's data; it goes with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn of(megabytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).status().unwrap();
        assert!(mounted.success(), "a small disk is mounted; this needs root");
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
#[ignore = "needs dockerd, and root to start it on a small disk"]
fn a_full_disk_is_told_in_the_plan_and_one_that_fills_up_meanwhile_in_the_engines_words() {
    let alone = alone();
    let disk = SmallDisk::of(640);
    let data = disk.0.display().to_string();
    let engine = Engine::with_data(tempfile::tempdir().unwrap(), &data, Vec::new());
    let lab = Lab::on(alone, engine.socket(), 2);
    // Room enough for a plan, not for a proxy's own copy of its image: that is made last.
    let ballast = disk.0.join("ballast");
    let free = rustix::fs::statvfs(&disk.0).unwrap();
    let free = free.f_bavail * free.f_frsize;
    std::fs::File::create(&ballast).unwrap();
    let fill = |left: u64| {
        let status = Command::new("fallocate").args(["--length", &(free - left).to_string()]).arg(&ballast).status();
        assert!(status.unwrap().success());
    };

    fill(100 << 20);
    let said = lab.runs(&["deploy", "intro", "--yes"], 2);
    assert!(said.contains("left on its disk") && said.contains("docker system df"), "{said}");
    lab.nothing_is_left();
    let said = lab.runs(&["doctor"], 0);
    assert!(said.contains("left where the engine keeps its data"), "{said}");

    std::fs::remove_file(&ballast).unwrap();
    lab.define(40, "homeroom-test/large:1");
    let maker = lab.asked(&["create", "homeroom-test/workspace:1"]);
    let block = tempfile::NamedTempFile::new().unwrap();
    block.as_file().set_len(20 << 20).unwrap();
    lab.asked(&["cp", &block.path().display().to_string(), &format!("{maker}:/block")]);
    lab.asked(&["commit", &maker, "homeroom-test/large:1"]);
    lab.asked(&["rm", &maker]);
    // Every seat's own copy takes twenty megabytes.
    let said = lab.runs(&["deploy", "intro", "--yes"], 3);
    assert!(said.contains("no space left on device"), "{said}");
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
    lab.define(2, "homeroom-test/workspace:1");
    lab.runs(&["deploy", "intro", "--yes"], 0);
    lab.runs(&["destroy", "intro", "--yes"], 0);
}

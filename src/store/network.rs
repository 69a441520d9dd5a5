//! Network file systems, on which SQLite's locks and shared memory do not hold.
//!
//! Told by the `f_type` of `statfs(2)`; for FUSE, which serves disks as well as networks, by the
//! type in the kernel's table of mounts.

use std::path::Path;

/// `f_type` of FUSE, from `linux/magic.h`.
const FUSE: u32 = 0x6573_5546;

/// `f_type` of file systems that other hosts share, from `linux/magic.h` and their own headers.
const NETWORK: [(u32, &str); 15] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "CephFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x786f_4256, "VirtualBox shared folder"),
];

/// FUSE file systems that stand on a disk of this host.
const LOCAL_FUSE: [&str; 5] = ["fuseblk", "fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs"];

/// The name of the network file system, if it is one. `mount_type` is the kernel's name for it
/// (`fuse.sshfs`), where known.
pub(super) fn name_of(f_type: u32, mount_type: Option<&str>) -> Option<String> {
    if f_type == FUSE {
        let name = mount_type.unwrap_or("fuse");
        return (!LOCAL_FUSE.contains(&name)).then(|| name.to_owned());
    }
    NETWORK.iter().find(|(magic, _)| *magic == f_type).map(|(_, name)| (*name).to_owned())
}

/// Why a store must not lie in `folder` (which exists), if it must not.
pub(super) fn refusal(folder: &Path) -> std::io::Result<Option<String>> {
    let stat = rustix::fs::statfs(folder)?;
    // The field is signed on some architectures and 64 bits wide; the numbers are 32 bits everywhere.
    let f_type = (stat.f_type as u64 & 0xffff_ffff) as u32;
    let mount_type = if f_type == FUSE { mount_type(folder) } else { None };
    Ok(name_of(f_type, mount_type.as_deref()).map(|name| reason(folder, &name)))
}

/// The refusal, in words.
fn reason(folder: &Path, name: &str) -> String {
    format!(
        "{} lies on a network file system ({name}), where the locks and shared memory that keep the store \
         whole do not hold; set [store] path to a folder on a disk of this host",
        folder.display()
    )
}

/// The file system type of the mount that holds `folder`, from `/proc/self/mountinfo`.
fn mount_type(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mount_type_in(&table, &folder)
}

/// The last mount with the longest matching mount point: `… MOUNTPOINT OPTIONS … - TYPE SOURCE …`.
fn mount_type_in(table: &str, folder: &Path) -> Option<String> {
    let mounts = table.lines().filter_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let point = head.split(' ').nth(4)?.replace("\\040", " ");
        let kind = tail.split(' ').next()?;
        folder.starts_with(&point).then(|| (point.len(), kind.to_owned()))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn network_file_systems_are_named_and_disks_are_not() {
        assert_eq!(name_of(0x6969, None).unwrap(), "NFS");
        assert_eq!(name_of(0xff53_4d42, None).unwrap(), "CIFS");
        assert_eq!(name_of(0x0102_1997, None).unwrap(), "9p");
        for disk in [0xef53_u32, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x2fc1_2fc1, 0x794c_7630] {
            assert_eq!(name_of(disk, None), None, "{disk:#x}");
        }
    }

    #[test]
    fn fuse_is_refused_unless_it_is_known_to_stand_on_a_disk() {
        assert_eq!(name_of(FUSE, Some("fuse.sshfs")).unwrap(), "fuse.sshfs");
        assert_eq!(name_of(FUSE, None).unwrap(), "fuse");
        assert_eq!(name_of(FUSE, Some("fuseblk")), None);
    }

    #[test]
    fn the_innermost_mount_tells_the_type() {
        let table = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                     40 22 0:41 / /home/ada rw,nosuid shared:3 - fuse.sshfs ada@files: rw\n\
                     41 22 0:42 / /home/ada/a\\040b rw - ext4 /dev/vdb rw\n";
        assert_eq!(mount_type_in(table, Path::new("/home/ada/.local")).unwrap(), "fuse.sshfs");
        assert_eq!(mount_type_in(table, Path::new("/home/ada/a b/c")).unwrap(), "ext4");
        assert_eq!(mount_type_in(table, Path::new("/home/adam")).unwrap(), "ext4");
    }

    #[test]
    fn the_refusal_says_why_and_what_to_do() {
        let text = reason(Path::new("/home/ada"), "NFS");
        assert!(text.contains("NFS") && text.contains("locks") && text.contains("[store] path"), "{text}");
    }
}

//! The files of a guest: those somebody wrote, and those every system has.

use super::Inside;
use super::shell::Session;

/// Reads a file of the guest.
///
/// # Errors
/// The words of the C library.
pub fn read_file(inside: &Inside, session: &Session, file: &str) -> Result<Vec<u8>, &'static str> {
    let path = absolute(session, file);
    if !may_read(inside, session, &path) {
        return Err("Permission denied");
    }
    if let Some(bytes) = inside.files.get(&path) {
        return Ok(bytes.clone());
    }
    let system = inside.system();
    let text = match path.as_str() {
        "/etc/hostname" => format!("{}\n", inside.hostname),
        "/etc/machine-id" => format!("{}\n", inside.machine_id),
        "/etc/ssh/ssh_host_ed25519_key.pub" => format!("{}\n", inside.host_key_line()),
        "/etc/os-release" => format!(
            "PRETTY_NAME=\"{}\"\nNAME=\"{}\"\nVERSION_ID=\"{}\"\nVERSION=\"{}\"\nID={}\n",
            system.pretty, system.name, system.version_id, system.version, system.id
        ),
        "/etc/passwd" => inside
            .users
            .values()
            .map(|user| format!("{0}:x:{1}:{1}::{2}:/bin/bash\n", user.name, user.uid, user.home))
            .collect(),
        "/proc/meminfo" => {
            let total = inside.memory / 1024 * 96 / 100;
            format!(
                "MemTotal:       {total:>8} kB\nMemFree:        {:>8} kB\nMemAvailable:   {:>8} kB\n",
                total / 2,
                total * 7 / 8
            )
        }
        "/proc/uptime" => format!("{:.2} {:.2}\n", session.uptime as f64 / 1000.0, session.uptime as f64 / 1100.0),
        "/proc/loadavg" => "0.08 0.03 0.01 1/97 4711\n".into(),
        "/proc/cpuinfo" => {
            (0..inside.cores).map(|n| format!("processor\t: {n}\nmodel name\t: QEMU Virtual CPU\n\n")).collect()
        }
        "/dev/null" => String::new(),
        other => {
            let login = inside.users.values().find(|user| format!("{}/.ssh/authorized_keys", user.home) == other);
            match login {
                Some(user) => user.keys.iter().map(|key| format!("{key}\n")).collect(),
                None => return Err("No such file or directory"),
            }
        }
    };
    Ok(text.into_bytes())
}

/// Writes (or appends to) a file of the guest.
pub fn write_file(inside: &mut Inside, session: &Session, file: &str, bytes: Vec<u8>, append: bool) {
    let path = absolute(session, file);
    if path == "/dev/null" {
        return;
    }
    // The keys that let a user in are what the SSH server reads.
    if let Some(user) = inside.users.values_mut().find(|user| format!("{}/.ssh/authorized_keys", user.home) == path) {
        if !append {
            user.keys.clear();
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        user.keys.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        return;
    }
    let entry = inside.files.entry(path).or_default();
    if !append {
        entry.clear();
    }
    entry.extend(bytes);
}

/// The owner's bits for reading, and for going through a folder.
const READ: u32 = 0o400;
const THROUGH: u32 = 0o100;

/// May this user go through the folders on the way to a path?
pub fn may_reach(inside: &Inside, session: &Session, path: &str) -> bool {
    let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
    let open = |folder: &str| inside.modes.get(folder).is_none_or(|mode| mode & THROUGH != 0);
    session.user == "root" || folders.filter(|folder| !folder.is_empty()).all(open)
}

/// May this user read what lies there, if it is there?
pub fn may_read(inside: &Inside, session: &Session, path: &str) -> bool {
    let open = inside.modes.get(path).is_none_or(|mode| mode & READ != 0);
    session.user == "root" || (open && may_reach(inside, session, path))
}

/// A path from the root on.
pub fn absolute(session: &Session, file: &str) -> String {
    let full = match (file.strip_prefix("~/"), session.vars.get("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ if file.starts_with('/') => file.to_owned(),
        _ => format!("{}/{file}", session.folder),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in full.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}

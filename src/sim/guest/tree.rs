//! The files of a guest as a tree, for its SFTP server: a folder is there when something lies in it,
//! when every system has it, or when somebody made it (then a name with a slash at its end stands for it).

use super::{
    Inside,
    files::{may_reach, may_read, read_file},
    shell::Session,
};

/// The largest file a guest takes, in bytes.
const LARGEST: usize = 64 << 20;
/// The owner's bit for writing.
const WRITE: u32 = 0o200;
/// Folders of every system.
const FOLDERS: [&str; 10] = ["/", "/dev", "/etc", "/etc/ssh", "/home", "/proc", "/root", "/tmp", "/usr", "/var"];

/// Why it was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// There is no such file.
    Missing,
    /// Not this user's.
    Denied,
    /// Anything else, in words.
    Failure(&'static str),
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Is it a folder?
    pub folder: bool,
    /// Bytes of a file.
    pub size: u64,
    /// Who may do what with it.
    pub mode: u32,
}

/// Looks a path up: that what lies there may not be read keeps nobody from that.
pub fn about(inside: &Inside, session: &Session, path: &str) -> Result<About, No> {
    if !may_reach(inside, session, path) {
        return Err(No::Denied);
    }
    let mode = |usual: u32| inside.modes.get(path).copied().unwrap_or(usual);
    if is_folder(inside, path) {
        return Ok(About { folder: true, size: 4096, mode: mode(0o755) });
    }
    let bytes = read_file(inside, &Session::new("root"), path).map_err(|_| No::Missing)?;
    // The kernel's own files say nothing of their size.
    let size = if path.starts_with("/proc/") { 0 } else { bytes.len() as u64 };
    Ok(About { folder: false, size, mode: mode(0o644) })
}

/// Changes who may do what with it.
pub fn set_mode(inside: &mut Inside, session: &Session, path: &str, mode: u32) -> Result<(), No> {
    about(inside, session, path)?;
    inside.modes.insert(path.to_owned(), mode & 0o7777);
    Ok(())
}

/// Opens a file for reading.
pub fn open(inside: &Inside, session: &Session, path: &str) -> Result<(), No> {
    if may_read(inside, session, path) { Ok(()) } else { Err(No::Denied) }
}

fn is_folder(inside: &Inside, path: &str) -> bool {
    let inner = if path == "/" { path.to_owned() } else { format!("{path}/") };
    FOLDERS.contains(&path)
        || inside.users.values().any(|user| user.home == path)
        || inside.files.range(inner.clone()..).next().is_some_and(|(file, _)| file.starts_with(&inner))
}

/// The names in a folder that somebody put there.
pub fn list(inside: &Inside, session: &Session, path: &str) -> Result<Vec<String>, No> {
    if !is_folder(inside, path) {
        return Err(No::Missing);
    }
    open(inside, session, path)?;
    let inner = if path == "/" { path.to_owned() } else { format!("{path}/") };
    let homes = inside.users.values().map(|user| user.home.as_str());
    let known = inside.files.keys().map(String::as_str).chain(homes).chain(FOLDERS);
    let mut names: Vec<String> = known
        .filter_map(|file| file.strip_prefix(&inner)?.split('/').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// A piece of a file.
pub fn read(inside: &Inside, session: &Session, path: &str, from: u64, most: usize) -> Result<Vec<u8>, No> {
    let bytes = read_file(inside, session, path).map_err(|_| No::Missing)?;
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    Ok(bytes[from..bytes.len().min(from.saturating_add(most))].to_vec())
}

/// May this user write there?
fn may_write(inside: &Inside, session: &Session, path: &str) -> Result<(), No> {
    let home = inside.users.get(&session.user).map(|user| format!("{}/", user.home));
    let own = home.is_some_and(|home| path.starts_with(&home)) || path.starts_with("/tmp/");
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder });
    if !is_folder(inside, folder) {
        Err(No::Missing)
    } else if own || session.user == "root" {
        Ok(())
    } else {
        Err(No::Denied)
    }
}

/// Opens a file for writing: makes it where it is missing, empties it where asked.
pub fn create(inside: &mut Inside, session: &Session, path: &str, empty: bool) -> Result<(), No> {
    may_write(inside, session, path)?;
    if is_folder(inside, path) {
        return Err(No::Failure("Is a directory"));
    }
    if session.user != "root" && inside.modes.get(path).is_some_and(|mode| mode & WRITE == 0) {
        return Err(No::Denied);
    }
    let file = inside.files.entry(path.to_owned()).or_default();
    if empty {
        file.clear();
    }
    Ok(())
}

/// Writes a piece of a file.
pub fn write(inside: &mut Inside, path: &str, from: u64, bytes: &[u8]) -> Result<(), No> {
    let file = inside.files.get_mut(path).ok_or(No::Missing)?;
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let end = from.saturating_add(bytes.len());
    if end > LARGEST {
        return Err(No::Failure("No space left on device"));
    }
    if file.len() < end {
        file.resize(end, 0);
    }
    file[from..end].copy_from_slice(bytes);
    Ok(())
}

/// Makes a folder.
pub fn make_folder(inside: &mut Inside, session: &Session, path: &str) -> Result<(), No> {
    if is_folder(inside, path) || inside.files.contains_key(path) {
        return Err(No::Failure("File exists"));
    }
    may_write(inside, session, path)?;
    inside.files.insert(format!("{path}/"), Vec::new());
    Ok(())
}

/// Gives a file another name; one that something has is refused, as OpenSSH refuses it.
pub fn rename(inside: &mut Inside, session: &Session, from: &str, to: &str) -> Result<(), No> {
    may_write(inside, session, from)?;
    may_write(inside, session, to)?;
    if about(inside, session, to).is_ok() {
        return Err(No::Failure("File exists"));
    }
    let bytes = inside.files.remove(from).ok_or(No::Missing)?;
    inside.files.insert(to.to_owned(), bytes);
    if let Some(mode) = inside.modes.remove(from) {
        inside.modes.insert(to.to_owned(), mode);
    }
    Ok(())
}

/// Removes a file.
pub fn remove(inside: &mut Inside, session: &Session, path: &str) -> Result<(), No> {
    may_write(inside, session, path)?;
    inside.modes.remove(path);
    inside.files.remove(path).map(drop).ok_or(No::Missing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_make_the_folders_they_lie_in_and_users_write_in_their_own() {
        let mut inside = Inside::new("debian-12", [1; 32], [2; 32]);
        inside.add_user("ada");
        let (ada, root) = (Session::new("ada"), Session::new("root"));
        make_folder(&mut inside, &ada, "/home/ada/work").unwrap();
        assert_eq!(make_folder(&mut inside, &ada, "/home/ada/work"), Err(No::Failure("File exists")));
        create(&mut inside, &ada, "/home/ada/work/a", true).unwrap();
        write(&mut inside, "/home/ada/work/a", 2, b"xy").unwrap();
        assert_eq!(read(&inside, &ada, "/home/ada/work/a", 1, 9), Ok(b"\0xy".to_vec()));
        assert_eq!(list(&inside, &ada, "/home/ada"), Ok(vec!["work".to_owned()]));
        assert_eq!(about(&inside, &ada, "/home/ada/work").map(|about| about.folder), Ok(true));
        assert_eq!(create(&mut inside, &ada, "/etc/motd", true), Err(No::Denied));
        assert_eq!(create(&mut inside, &root, "/etc/motd", true), Ok(()));
        assert_eq!(create(&mut inside, &root, "/no/such", true), Err(No::Missing));
        assert_eq!(rename(&mut inside, &root, "/etc/motd", "/home/ada/work/a"), Err(No::Failure("File exists")));
        assert_eq!(rename(&mut inside, &ada, "/home/ada/work/a", "/home/ada/b"), Ok(()));
        assert_eq!(remove(&mut inside, &ada, "/home/ada/gone"), Err(No::Missing));
    }

    #[test]
    fn what_may_not_be_read_is_known_and_read_by_root_alone() {
        let mut inside = Inside::new("debian-12", [1; 32], [2; 32]);
        inside.add_user("ada");
        let (ada, root) = (Session::new("ada"), Session::new("root"));
        make_folder(&mut inside, &ada, "/home/ada/work").unwrap();
        create(&mut inside, &ada, "/home/ada/work/a", true).unwrap();
        set_mode(&mut inside, &ada, "/home/ada/work/a", 0o200).unwrap();
        let known = About { folder: false, size: 0, mode: 0o200 };
        assert_eq!(about(&inside, &ada, "/home/ada/work/a"), Ok(known));
        assert_eq!(open(&inside, &ada, "/home/ada/work/a"), Err(No::Denied));
        assert_eq!(open(&inside, &root, "/home/ada/work/a"), Ok(()));
        set_mode(&mut inside, &ada, "/home/ada/work", 0o000).unwrap();
        assert_eq!(list(&inside, &ada, "/home/ada/work"), Err(No::Denied));
        assert_eq!(about(&inside, &ada, "/home/ada/work/a"), Err(No::Denied));
        assert_eq!(list(&inside, &root, "/home/ada/work"), Ok(vec!["a".to_owned()]));
    }
}

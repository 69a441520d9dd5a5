//! A renewal in files: beside a lab's pair lies the one that comes, then the one that goes, and who is still owed.
//!
//! `LAB` is the pair in place. `LAB.new` is a pair no machine need have yet: it comes. `LAB.old` is one that some machine
//! may still let in: it goes. `LAB.renewal` names the seats that are not through. At any instant one of the pairs there
//! opens each machine: the old one is copied aside before the new one takes its place, in one rename.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret as _;

use super::{KeyError, files::KeyFiles, read, write_once};
use crate::{
    domain::{LabName, SeatName},
    port::keys::{self as port, Kept, Renewal, Renewing},
};

/// A pair that can be read.
type Pair = (PathBuf, String);

impl KeyFiles {
    fn coming(&self, lab: &LabName) -> PathBuf {
        self.beside(lab, "new")
    }

    fn going(&self, lab: &LabName) -> PathBuf {
        self.beside(lab, "old")
    }

    fn record(&self, lab: &LabName) -> PathBuf {
        self.beside(lab, "renewal")
    }

    /// Everything a renewal may have left.
    pub(super) fn of_renewal(&self, lab: &LabName) -> [PathBuf; 3] {
        [self.coming(lab), self.going(lab), self.record(lab)]
    }

    /// What there is of a lab's key. Where the pair in place is lost or damaged, one beside it stands for it.
    pub(super) fn kept_now(&self, lab: &LabName) -> Result<Kept, port::KeyError> {
        let here = self.private(lab);
        let damage = match self.public_at(&here, lab) {
            Ok(public) => Ok((here.clone(), public)),
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Err(None),
            Err(error @ KeyError::File { .. }) => return Err(failed("cannot read the key", &here, error.reason())),
            Err(error) => Err(Some(failed("cannot read the key", &here, error.reason()))),
        };
        let mut pairs: Vec<Pair> = Vec::new();
        let beside = [self.coming(lab), self.going(lab)];
        let mut under_way = false;
        let known = damage.as_ref().ok().cloned();
        for path in &beside {
            under_way |= path.exists();
            if let Ok(public) = self.public_at(path, lab)
                && known.iter().chain(&pairs).all(|(_, other)| *other != public)
            {
                pairs.push((path.clone(), public));
            }
        }
        let seats = self.owed(lab);
        let renewal = |pairs| (under_way || !seats.is_empty()).then(|| Renewal { pairs, seats: seats.clone() });
        match damage {
            Ok((private, public)) => Ok(Kept::Pair(self.with_lock(private, public, renewal(pairs)))),
            Err(_) if !pairs.is_empty() => {
                let (private, public) = pairs.remove(0);
                Ok(Kept::Pair(self.with_lock(private, public, renewal(pairs))))
            }
            Err(None) => Ok(Kept::Nothing),
            Err(Some(error)) => Ok(Kept::Damaged(error)),
        }
    }

    /// The seats that are written down as not through.
    fn owed(&self, lab: &LabName) -> Vec<SeatName> {
        let text = fs::read_to_string(self.record(lab)).unwrap_or_default();
        text.lines().filter_map(|line| SeatName::new(line.trim()).ok()).collect()
    }

    /// Makes the pair that comes, unless one is under way.
    pub(super) fn begin_renewal_now(&self, lab: &LabName, seats: &[SeatName]) -> Result<Renewing, port::KeyError> {
        let (here, coming, going) = (self.private(lab), self.coming(lab), self.going(lab));
        let cannot = |path: &Path, why: String| failed("cannot make a new key", path, why);
        let pair = |path: &Path| match self.public_at(path, lab) {
            Ok(public) => Ok(Some(public)),
            Err(KeyError::File { source, .. }) if source.kind() != io::ErrorKind::NotFound => {
                Err(cannot(path, source.to_string()))
            }
            Err(_) => Ok(None),
        };
        let in_place = pair(&here)?;
        let is_placed = !coming.exists() && (going.exists() || !self.owed(lab).is_empty());
        let renewing = match in_place {
            Some(new) if is_placed => Renewing { new, old: pair(&going)? },
            old => {
                // One that comes and cannot be read opens nothing.
                if coming.exists() && pair(&coming)?.is_none() {
                    fs::remove_file(&coming).map_err(|e| cannot(&coming, e.to_string()))?;
                }
                let new = self.key_at(&coming, lab).map_err(|e| cannot(&coming, e.reason()))?;
                Renewing { new, old }
            }
        };
        self.owe_now(lab, seats)?;
        Ok(renewing)
    }

    /// Writes down which seats are not through.
    pub(super) fn owe_now(&self, lab: &LabName, seats: &[SeatName]) -> Result<(), port::KeyError> {
        let path = self.record(lab);
        let text: String = seats.iter().map(|seat| format!("{seat}\n")).collect();
        let written = aside(&self.folder, text.as_bytes(), self.mode).and_then(|file| {
            file.persist(&path).map_err(|e| e.error)?;
            settle(&self.folder)
        });
        written.map_err(|e| failed("cannot write down whom a new key is owed,", &path, e.to_string()))
    }

    /// The pair that comes takes its place; the one that was there goes.
    pub(super) fn place_now(&self, lab: &LabName) -> Result<(), port::KeyError> {
        let (here, coming, going) = (self.private(lab), self.coming(lab), self.going(lab));
        if !coming.exists() {
            return Ok(());
        }
        let place = || {
            // What is no key opens nothing, and is not kept.
            if self.public_at(&here, lab).is_ok() {
                let old = read(&here).map_err(|e| io::Error::other(e.reason()))?;
                write_once(&going, old.expose_secret().as_bytes(), self.mode)?;
            }
            settle(&self.folder)?;
            fs::rename(&coming, &here)?;
            settle(&self.folder)
        };
        place().map_err(|e| failed("cannot put the new key in place of", &here, e.to_string()))
    }

    /// Nobody is owed anything: the pair that goes is gone.
    pub(super) fn end_renewal_now(&self, lab: &LabName) -> Result<(), port::KeyError> {
        for path in [self.record(lab), self.going(lab)] {
            gone(&path)?;
        }
        settle(&self.folder).map_err(|e| failed("cannot write", &self.folder, e.to_string()))
    }
}

fn failed(doing: &'static str, path: &Path, why: String) -> port::KeyError {
    port::KeyError { doing, path: path.to_owned(), why }
}

/// Removes a file that may not be there.
pub(super) fn gone(path: &Path) -> Result<(), port::KeyError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("cannot remove", path, e.to_string())),
        _ => Ok(()),
    }
}

/// A file that is whole and on the disk, to be given its name.
fn aside(folder: &Path, bytes: &[u8], mode: u32) -> io::Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new().prefix(".key").make_in(folder, |path| {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        Ok(file)
    })?;
    file.as_file().write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Names given and taken in a folder are on the disk.
fn settle(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::keys::LabKey;

    fn files() -> (tempfile::TempDir, KeyFiles, LabName, Vec<SeatName>) {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles::new(folder.path().join("keys"), 0o640);
        let seats = ["ada", "grace"].map(|seat| SeatName::new(seat).unwrap()).to_vec();
        (folder, files, LabName::new("cs101").unwrap(), seats)
    }

    #[track_caller]
    fn kept(files: &KeyFiles, lab: &LabName) -> LabKey {
        match files.kept_now(lab).unwrap() {
            Kept::Pair(key) => key,
            other => panic!("{other:?}"),
        }
    }

    fn names(files: &KeyFiles) -> Vec<String> {
        let entries = fs::read_dir(&files.folder).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_renewal_keeps_both_pairs_from_its_first_instant_to_its_last_and_makes_no_third() {
        let (_folder, files, lab, seats) = files();
        let old = files.lab_key_now(&lab).unwrap();
        let begun = files.begin_renewal_now(&lab, &seats).unwrap();
        assert_eq!((begun.old.as_deref(), old.renewal), (Some(old.public.as_str()), None));
        assert_ne!(begun.new, old.public);
        let under_way = kept(&files, &lab);
        assert_eq!(under_way.public, old.public, "the old one stays in its place");
        let all: Vec<&str> = under_way.publics().collect();
        assert_eq!(all, [old.public.as_str(), begun.new.as_str()]);
        assert_eq!(under_way.renewal.as_ref().unwrap().seats, seats);
        let again = files.begin_renewal_now(&lab, &seats).unwrap();
        assert_eq!(again.new, begun.new, "the same pair goes on");
        // Broken off between the copy and the rename.
        fs::copy(files.private(&lab), files.going(&lab)).unwrap();
        assert_eq!(kept(&files, &lab).publics().count(), 2);
        assert_eq!(files.begin_renewal_now(&lab, &seats).unwrap().new, begun.new);

        files.place_now(&lab).unwrap();
        let placed = kept(&files, &lab);
        assert_eq!(placed.publics().collect::<Vec<_>>(), [begun.new.as_str(), old.public.as_str()]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&files.private(&lab)), mode(&files.going(&lab)), mode(&files.record(&lab))),
            (0o640, 0o640, 0o640)
        );
        files.owe_now(&lab, &seats[1..]).unwrap();
        let again = files.begin_renewal_now(&lab, &seats[1..]).unwrap();
        assert_eq!((again.new.as_str(), again.old.as_deref()), (begun.new.as_str(), Some(old.public.as_str())));
        files.place_now(&lab).unwrap();
        files.end_renewal_now(&lab).unwrap();
        let ended = kept(&files, &lab);
        assert_eq!((ended.public.as_str(), ended.renewal), (begun.new.as_str(), None));
        assert_eq!(names(&files), ["cs101"]);
        assert_ne!(files.begin_renewal_now(&lab, &seats).unwrap().new, begun.new, "the next one is another");
        files.forget_now(&lab).unwrap();
        assert_eq!(names(&files), [""; 0], "a lab that is forgotten leaves none of them");
    }

    #[test]
    fn a_lost_or_damaged_pair_is_replaced_and_one_beside_it_is_taken_for_it_until_then() {
        let (_folder, files, lab, seats) = files();
        assert!(matches!(files.kept_now(&lab).unwrap(), Kept::Nothing));
        files.lab_key_now(&lab).unwrap();
        fs::write(files.private(&lab), "garbage").unwrap();
        assert!(matches!(files.kept_now(&lab).unwrap(), Kept::Damaged(_)));
        let begun = files.begin_renewal_now(&lab, &seats).unwrap();
        assert_eq!(begun.old, None);
        assert_eq!(kept(&files, &lab).private, files.coming(&lab));
        assert_eq!(files.lab_key_now(&lab).unwrap().public, begun.new, "no third is made");
        files.place_now(&lab).unwrap();
        assert_eq!((kept(&files, &lab).public, files.going(&lab).exists()), (begun.new.clone(), false));
        assert_eq!(files.begin_renewal_now(&lab, &seats).unwrap().new, begun.new, "it is still owed to them");
    }
}

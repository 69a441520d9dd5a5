//! The volumes of a storage by name, and which guest owns which: thousands are looked through for
//! every new disk otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::storage::Volume;

/// Volumes by the part of the volume id after the colon. Reads like the map it is.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    by_name: BTreeMap<String, Volume>,
    by_guest: BTreeMap<u32, BTreeSet<String>>,
}

impl Deref for Volumes {
    type Target = BTreeMap<String, Volume>;

    fn deref(&self) -> &Self::Target {
        &self.by_name
    }
}

impl<'a> IntoIterator for &'a Volumes {
    type Item = (&'a String, &'a Volume);
    type IntoIter = std::collections::btree_map::Iter<'a, String, Volume>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_name.iter()
    }
}

impl Volumes {
    /// Adds one.
    pub fn insert(&mut self, name: String, volume: Volume) {
        self.by_guest.entry(volume.vmid).or_default().insert(name.clone());
        self.by_name.insert(name, volume);
    }

    /// Takes one out.
    pub fn remove(&mut self, name: &str) -> Option<Volume> {
        let volume = self.by_name.remove(name)?;
        if let Some(own) = self.by_guest.get_mut(&volume.vmid) {
            own.remove(name);
        }
        Some(volume)
    }

    /// One to change. Its owner stays.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Volume> {
        self.by_name.get_mut(name)
    }

    /// The names of a guest's volumes.
    pub fn of(&self, vmid: u32) -> impl Iterator<Item = &String> {
        self.by_guest.get(&vmid).into_iter().flatten()
    }

    /// Takes all volumes of a guest out.
    pub fn drop_guest(&mut self, vmid: u32) {
        for name in self.by_guest.remove(&vmid).unwrap_or_default() {
            self.by_name.remove(&name);
        }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.by_name.clear();
        self.by_guest.clear();
    }
}

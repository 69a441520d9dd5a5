//! Everything that is wrong with a definition at once: read as always, and where that ends at a complaint, read again
//! without what was complained about.

use std::path::Path;

use toml_edit::{DocumentMut, Item, TableLike, value};

use super::parse;
use crate::config::{ConfigError, Settings};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key it is about, as a path: `machine.memory`; empty for the whole.
    pub key: String,
    pub message: String,
}

/// More are not looked for.
const MOST: usize = 12;

/// What is wrong with a definition; nothing when it can be taken as it is. Paths and settings as for [`parse`].
pub fn faults(text: &str, base_dir: &Path, settings: Option<&Settings>) -> Vec<Fault> {
    let mut found: Vec<Fault> = Vec::new();
    let mut rest = text.to_owned();
    while found.len() < MOST {
        let (key, message) = match parse(&rest, "the definition", base_dir, settings) {
            Ok(_) => break,
            Err(ConfigError::Document { key, message, .. }) => (key, message),
            Err(other) => (String::new(), other.to_string()),
        };
        let known = found.iter().any(|fault| fault.key == key);
        found.extend((!known).then_some(Fault { key: key.clone(), message }));
        match without(&rest, &key, settings).filter(|_| !known) {
            Some(shorter) => rest = shorter,
            None => break,
        }
    }
    found
}

/// The text without a key, or where it has to be there, with something that will do; none where that is no help.
fn without(text: &str, key: &str, settings: Option<&Settings>) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let is_class = document.get("kind").and_then(Item::as_str) == Some("class");
    match key {
        "" | "kind" => return None,
        "name" | "template" | "image" => document[key] = value("a"),
        "seats" => document[key] = value(1),
        "students" | "count" => {
            document.remove("students");
            document["count"] = value(1);
        }
        "site" => {
            let fits = |site: &&crate::config::Site| site.proxmox().is_some() == is_class;
            document[key] = value(settings?.sites.values().find(fits)?.name.as_str());
        }
        path => remove(document.as_table_mut(), path)?,
    }
    Some(document.to_string())
}

/// Takes away what stands there; a list as a whole.
fn remove(table: &mut dyn TableLike, path: &str) -> Option<()> {
    match path.split_once('.') {
        Some((key, rest)) => match table.get_mut(key)?.as_table_like_mut() {
            Some(inner) => remove(inner, rest),
            None => table.remove(key).map(drop),
        },
        None => table.remove(path).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        faults(text, Path::new("/"), None).into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once_each_with_its_key() {
        let text = "kind = \"class\"\nname = \"CS 1\"\nsite = \"campus\"\nstudents = [\"Ada\"]\ncolour = \"blue\"\n\n\
                    [machine]\ncores = \"two\"\nnic = [{ vlan = 1 }]\n\n[cloud_init]\nip = \"10.1.0.20-10.1.0.20/24\"\n\n\
                    [rollout]\ndelay = \"soon\"\n";
        let mut found = keys(text);
        found.sort();
        let wanted = ["colour", "machine.cores", "machine.nic.bridge", "name", "rollout.delay", "students", "template"];
        assert_eq!(found, wanted);
        assert_eq!(keys("kind = \"workshop\"\nname = \"a\"\nsite = \"b\"\n"), ["seats", "image"]);
        assert_eq!(keys("kind = \"class"), [""]);
        assert_eq!(keys("name = \"a\""), ["kind"]);
        let right = "kind = \"class\"\nname = \"a\"\nsite = \"b\"\ntemplate = 9000\ncount = 2\n";
        assert!(keys(right).is_empty());
    }
}

//! Everything that is wrong with a definition, each by its key: for forms, which show it beside the field.

use std::path::Path;

use super::parse;
use crate::config::{ConfigError, Settings};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key it is about, as a path: `machine.memory`; empty for the whole.
    pub key: String,
    pub message: String,
}

/// What is wrong with a definition; nothing when it can be taken as it is. Paths and settings as for [`parse`].
pub fn faults(text: &str, base_dir: &Path, settings: Option<&Settings>) -> Vec<Fault> {
    let Err(error) = parse(text, "the definition", base_dir, settings) else { return Vec::new() };
    let fault = |error| match error {
        ConfigError::Document { key, message, .. } => Fault { key, message },
        other => Fault { key: String::new(), message: other.to_string() },
    };
    error.each().into_iter().map(fault).collect()
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

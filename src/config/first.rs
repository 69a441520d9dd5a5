//! The text of a first configuration, from what a person typed into the welcome. Composes, and does not write.

use std::path::Path;

/// What a site is reached by, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First<'a> {
    pub name: &'a str,
    pub api: &'a str,
    pub environment: &'a str,
    pub token_id: &'a str,
    /// The file that holds the token's secret.
    pub secret: &'a Path,
    pub fingerprints: &'a [String],
}

impl First<'_> {
    /// A complete configuration: what was typed, and where the rest is explained.
    pub fn text(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let fingerprints: Vec<_> = self.fingerprints.iter().map(|print| quoted(print)).collect();
        let trust = if fingerprints.is_empty() {
            "# its certificate is vouched for by the system's authorities\n".to_owned()
        } else {
            format!("fingerprints = [{}]\n", fingerprints.join(", "))
        };
        format!(
            "# homeroom's configuration. Written once by the welcome; from here on it is yours, and homeroom only\n\
             # reads it. Every key, with its default, stands in config/homeroom.toml of the source, and the README\n\
             # says what a token may need and how nodes are reached by SSH.\n\
             \n\
             [sites.{name}]\n\
             kind = \"proxmox\"\n\
             environment = {environment}\n\
             api = [{api}]                # more nodes may follow, tried in turn\n\
             {trust}\
             token = {{ id = {id}, secret = {{ file = {secret} }} }}\n\
             # monitor_token = {{ id = \"homeroom@pve!watch\", secret = {{ … }} }}   # for homeroom --kiosk\n\
             vmids = \"9100-9999\"          # lab machines get numbers from here, and no others do\n\
             # ssh = {{ user = \"root\", key = \"~/.ssh/homeroom\" }}   # how homeroom logs in to nodes\n",
            name = self.name,
            environment = quoted(self.environment),
            api = quoted(self.api),
            id = quoted(self.token_id),
            secret = quoted(&self.secret.display().to_string()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Folders, parse};

    #[test]
    fn what_is_composed_can_be_read() {
        let first = First {
            name: "campus",
            api: "https://pve1:8006",
            environment: "dev",
            token_id: "homeroom@pve!lab",
            secret: Path::new("/home/ada/.config/homeroom/campus \"1\".secret"),
            fingerprints: &["AB:".repeat(31) + "AB"],
        };
        let folders = Folders::under(Path::new("/home/ada"));
        let (settings, warnings) =
            parse(&first.text(), &folders.config_file(), &folders, &|_| None).expect("it can be read");
        assert!(warnings.is_empty(), "{warnings:?}");
        let site = settings.only_site().expect("one");
        assert_eq!((site.name.as_str(), site.environment.as_str()), ("campus", "dev"));
        let proxmox = site.proxmox().expect("of Proxmox");
        assert_eq!((proxmox.api.as_slice(), proxmox.fingerprints.len()), (&["https://pve1:8006".to_owned()][..], 1));
    }
}

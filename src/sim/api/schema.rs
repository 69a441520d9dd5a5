//! The calls Proxmox VE knows, with their parameters and permissions, from the assets
//! `assets/pve-schema.json` (what matters here, whole) and `assets/pve-schema-more.json` (everything
//! else that can be read, and what its directories list).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../assets/pve-schema.json");
const MORE: &str = include_str!("../../../assets/pve-schema-more.json");

/// What came with Proxmox VE 9, by the beginning of its path.
const SINCE_NINE: [&str; 16] = [
    "/cluster/bulk-action",
    "/cluster/ha/rules",
    "/cluster/ha/status/arm-ha",
    "/cluster/ha/status/disarm-ha",
    "/cluster/qemu",
    "/cluster/sdn/fabrics",
    "/cluster/sdn/prefix-lists",
    "/cluster/sdn/route-maps",
    "/nodes/{node}/capabilities/qemu/cpu-flags",
    "/nodes/{node}/query-oci-repo-tags",
    "/nodes/{node}/sdn/fabrics",
    "/nodes/{node}/sdn/vnets",
    "/nodes/{node}/sdn/zones/{zone}/bridges",
    "/nodes/{node}/sdn/zones/{zone}/ip-vrf",
    "/nodes/{node}/storage/{storage}/identity",
    "/nodes/{node}/storage/{storage}/oci-registry-pull",
];

/// Was a path unknown to Proxmox VE 8?
fn since_nine(template: &str) -> bool {
    SINCE_NINE
        .iter()
        .any(|start| template.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Every path.
#[derive(Debug, Default, Deserialize)]
pub struct Schema {
    #[serde(default)]
    formats: BTreeMap<String, BTreeMap<String, Param>>,
    paths: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Directories: the key of their rows and what lies in them.
    #[serde(default)]
    index: BTreeMap<String, (String, Vec<String>)>,
}

/// One method of one path.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// Parameters by name; `net[n]` stands for net0, net1, …
    #[serde(default)]
    pub parameters: BTreeMap<String, Param>,
    /// Who may call it.
    #[serde(default)]
    pub permissions: Value,
    #[serde(default)]
    protected: u8,
    /// Where the call is answered.
    #[serde(default)]
    pub proxyto: Option<String>,
    #[serde(default)]
    additional: u8,
}

impl Entry {
    /// Does the daemon (root) answer it?
    pub fn is_protected(&self) -> bool {
        self.protected == 1
    }

    /// Does it take parameters it does not know?
    pub fn takes_more(&self) -> bool {
        self.additional == 1
    }
}

/// One parameter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Param {
    /// `integer`, `number`, `boolean`, `array`, `object`; text when absent.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// May it be left out?
    pub optional: Value,
    /// The name of a format; `@…` is a property string of this schema.
    pub format: Option<String>,
    /// A Perl regular expression.
    pub pattern: Option<String>,
    /// Allowed values.
    #[serde(rename = "enum")]
    pub choices: Option<Vec<String>>,
    /// Smallest number.
    pub minimum: Option<f64>,
    /// Largest number.
    pub maximum: Option<f64>,
    /// Shortest text.
    #[serde(rename = "minLength")]
    pub shortest: Option<usize>,
    /// Longest text.
    #[serde(rename = "maxLength")]
    pub longest: Option<usize>,
    /// Of an array.
    pub items: Option<Box<Param>>,
    /// Another parameter it needs beside it.
    pub requires: Option<String>,
    /// In a property string: another name for this one.
    pub alias: Option<String>,
    /// In a property string: the key that takes this one's name as value.
    #[serde(rename = "keyAlias")]
    pub key_alias: Option<String>,
    /// In a property string: the key of a value that stands alone.
    pub default_key: Option<u8>,
}

impl Param {
    /// May it be left out?
    pub fn is_optional(&self) -> bool {
        !(self.optional.is_null() || self.optional == 0 || self.optional == false)
    }
}

/// A path found: its template and the parameters in it.
#[derive(Debug)]
pub struct Route {
    /// `/nodes/{node}/qemu`
    pub template: &'static str,
    /// `node` → `pve1`
    pub values: Vec<(&'static str, String)>,
}

impl Schema {
    /// Finds the path, as Proxmox VE 8 (`eight`) or 9 knows it.
    pub fn find(&'static self, path: &str, eight: bool) -> Option<Route> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut best: Option<(usize, Route)> = None;
        for template in self.paths.keys() {
            let Some(values) = fit(template, &parts) else { continue };
            if eight && since_nine(template) {
                continue;
            }
            let fixed = template.matches('/').count() * 2 - values.len();
            if best.as_ref().is_none_or(|(score, _)| fixed > *score) {
                best = Some((fixed, Route { template, values }));
            }
        }
        best.map(|(_, route)| route)
    }

    /// The call.
    pub fn entry(&self, template: &str, method: &str) -> Option<&Entry> {
        self.paths.get(template)?.get(method)
    }

    /// What a directory lists: the key of its rows, and their names.
    pub fn index(&'static self, template: &str, eight: bool) -> Option<(&'static str, Vec<&'static str>)> {
        let (key, names) = self.index.get(template)?;
        let known = |name: &&'static str| !(eight && since_nine(&format!("{template}/{name}")));
        Some((key, names.iter().map(String::as_str).filter(known).collect()))
    }

    /// A property string's keys.
    pub fn format(&self, name: &str) -> Option<&BTreeMap<String, Param>> {
        self.formats.get(name)
    }
}

fn fit(template: &'static str, parts: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let mut values = Vec::new();
    let mut rest = parts.iter();
    for wanted in template.split('/').filter(|part| !part.is_empty()) {
        let part = rest.next()?;
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            // a volume's name may hold slashes of its own
            Some("volume") => {
                let mut all = vec![*part];
                all.extend(rest.by_ref());
                values.push(("volume", all.join("/")));
            }
            Some(name) => values.push((name, (*part).to_owned())),
            None if wanted == *part => {}
            None => return None,
        }
    }
    rest.next().is_none().then_some(values)
}

/// The schema; empty should an asset be broken, which a test excludes.
pub fn get() -> &'static Schema {
    static PARSED: LazyLock<Schema> = LazyLock::new(|| {
        let mut all: Schema = serde_json::from_str(SCHEMA).unwrap_or_default();
        let more: Schema = serde_json::from_str(MORE).unwrap_or_default();
        for (path, entries) in more.paths {
            all.paths.entry(path).or_default().extend(entries);
        }
        all.index = more.index;
        all
    });
    &PARSED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asset_is_readable_and_finds_calls() {
        for asset in [SCHEMA, MORE] {
            serde_json::from_str::<Schema>(asset).unwrap();
        }
        let route = get().find("/nodes/pve1/qemu/101/agent/exec", true).unwrap();
        assert_eq!(route.template, "/nodes/{node}/qemu/{vmid}/agent/exec");
        assert!(get().entry(route.template, "POST").unwrap().is_protected());
        assert!(get().find("/no/such/path", false).is_none());
    }

    #[test]
    fn a_path_of_nine_is_unknown_to_eight() {
        assert!(get().find("/cluster/ha/rules", false).is_some());
        assert!(get().find("/cluster/ha/rules", true).is_none());
        assert!(get().find("/nodes/pve1/sdn/zones/localnetwork", true).is_some());
        let (key, names) = get().index("/cluster/ha", true).unwrap();
        assert_eq!((key, names), ("id", vec!["groups", "resources", "status"]));
    }
}

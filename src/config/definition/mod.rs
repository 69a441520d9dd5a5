//! Definitions as TOML: how they come in, checked to the last key, and how they go out.
//!
//! The store keeps the domain's own form; this one is for people.

mod class;
mod cloud_init;
mod faults;
mod machine;
mod print;
mod ssh_keys;
mod workshop;

use std::path::Path;

pub use faults::{Fault, faults};
pub use print::to_toml;

use toml::de::{DeTable, DeValue};

use super::{
    ConfigError, Folders, Settings, Site,
    files::read_text,
    reader::{Document, Node, Table},
    whole,
};
use crate::domain::{Definition, LabName, SiteName};

/// No definition is larger.
const LONGEST: u64 = 1 << 20;

#[derive(Clone, Copy)]
enum Kind {
    Class,
    Workshop,
}

/// What a definition is read against.
struct Context<'c> {
    folders: Folders,
    /// Where relative paths begin.
    folder: &'c Path,
    /// The definition's site, when the configuration is known.
    site: Option<&'c Site>,
}

/// Reads and checks the definition in `file`.
pub fn read(file: &Path, settings: Option<&Settings>) -> Result<Definition, ConfigError> {
    let text = read_text(file, LONGEST)?;
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    parse(&text, &file.display().to_string(), absolute.parent().unwrap_or(Path::new("/")), settings)
}

/// Reads and checks a definition. `origin` is what complaints call it; relative paths begin at `base_dir`;
/// with `settings`, it must also fit its site. SSH public keys are read from their files here and now.
pub fn parse(
    text: &str,
    origin: &str,
    base_dir: &Path,
    settings: Option<&Settings>,
) -> Result<Definition, ConfigError> {
    let mut document = Document::parse(text, origin, class::SCHEMA)?;
    let kind = read_kind(&document.root())?;
    if let Kind::Workshop = kind {
        document.set_schema(workshop::SCHEMA);
    }
    let mend = |root: &mut DeTable<'_>, key: &str| mend(root, key, kind, settings);
    whole::read(&mut document, &mend, |document| read_as(kind, document, base_dir, settings))
}

fn read_as(
    kind: Kind,
    document: &Document<'_>,
    base_dir: &Path,
    settings: Option<&Settings>,
) -> Result<Definition, ConfigError> {
    let root = document.root().table()?;
    let name: LabName = root.need("name", "\"cs101\"")?.parsed()?;
    let site: SiteName = root.need("site", "\"campus\"")?.parsed()?;
    let context =
        Context { folders: Folders::of_user()?, folder: base_dir, site: on_site(&root, &site, kind, settings)? };
    Ok(match kind {
        Kind::Class => Definition::Class(class::read(&root, name, site, &context)?),
        Kind::Workshop => Definition::Workshop(workshop::read(&root, name, site, &context)?),
    })
}

/// Something that will do for a key, so that a complaint about it does not lead to others that are none.
fn mend(root: &mut DeTable<'_>, key: &str, kind: Kind, settings: Option<&Settings>) -> bool {
    match key {
        // One seat fits everywhere.
        "seats" => whole::put(root, "seats", one()),
        "students" | "count" if matches!(kind, Kind::Class) => {
            root.remove("students");
            whole::put(root, "count", one());
        }
        "site" => {
            let fits = |site: &&Site| site.proxmox().is_some() == matches!(kind, Kind::Class);
            let Some(site) = settings.and_then(|settings| settings.sites.values().find(fits)) else { return false };
            whole::put(root, "site", DeValue::String(site.name.to_string().into()));
        }
        _ => return false,
    }
    true
}

fn one() -> DeValue<'static> {
    DeValue::parse("1").map_or(DeValue::Boolean(false), toml::Spanned::into_inner)
}

fn read_kind(root: &Node<'_>) -> Result<Kind, ConfigError> {
    let kind = root.entries()?.into_iter().find(|(_, key)| *key == "kind");
    let (kind, _) =
        kind.ok_or_else(|| root.lacks("kind", "kind is missing; write kind = \"class\" or kind = \"workshop\""))?;
    kind.choice(&[("class", Kind::Class), ("workshop", Kind::Workshop)])
}

/// The configured site, if the configuration is known; it must be of the right kind.
fn on_site<'s>(
    root: &Table<'_>,
    name: &SiteName,
    kind: Kind,
    settings: Option<&'s Settings>,
) -> Result<Option<&'s Site>, ConfigError> {
    let (Some(settings), Some(node)) = (settings, root.get("site")) else { return Ok(None) };
    let site = settings.site(name.as_str()).map_err(|e| node.complain(e))?;
    let (fits, needs) = match kind {
        Kind::Class => (site.proxmox().is_some(), "a class needs a proxmox site"),
        Kind::Workshop => (site.proxmox().is_none(), "a workshop needs a docker or gce site"),
    };
    if !fits {
        return Err(node.complain(format!("site {name} is a {} site; {needs}", site.kind_name())));
    }
    Ok(Some(site))
}

/// `seats` of something that may be 1 to the site's most.
fn check_seats(node: &Node<'_>, seats: u64, what: &str, context: &Context<'_>) -> Result<u32, ConfigError> {
    if !(1..=50).contains(&seats) {
        return Err(node.complain(format!("{} makes {seats} {what}; a lab has 1 to 50", node.path())));
    }
    if let Some(site) = context.site.filter(|site| seats > u64::from(site.max_seats)) {
        let (name, most) = (&site.name, site.max_seats);
        return Err(
            node.complain(format!("{} makes {seats} {what}; site {name} takes {most} (max_seats)", node.path()))
        );
    }
    u32::try_from(seats).map_err(|_| node.complain("too many seats"))
}

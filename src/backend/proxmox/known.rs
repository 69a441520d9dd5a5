//! Certificates `doctor` was told to trust, in a file beside the store: by site and address.
//!
//! Used where the configuration neither pins a fingerprint nor names a CA file. Nothing is trusted here by
//! itself: [`trust`] is called when a person said yes. The file holds no secret, but whoever may write it
//! decides whom homeroom believes.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use super::trust::{parse_fingerprint, show_fingerprint};

const HEAD: &str = "\
# Certificates homeroom was told to trust by `homeroom doctor --trust`: the SHA-256 fingerprint of what each
# address showed. Take a line out to be asked again.\n";

type Sites = BTreeMap<String, BTreeMap<String, String>>;

/// The fingerprints trusted for a site, by address; none if nobody was asked yet.
pub fn trusted(file: &Path, site: &str) -> io::Result<BTreeMap<String, [u8; 32]>> {
    let mut sites = read(file)?;
    sites
        .remove(site)
        .unwrap_or_default()
        .into_iter()
        .map(|(endpoint, text)| {
            parse_fingerprint(&text).map(|print| (endpoint, print)).ok_or_else(|| {
                let why = format!("{text:?} for {site} is no SHA-256 fingerprint; take the line out");
                io::Error::new(io::ErrorKind::InvalidData, why)
            })
        })
        .collect()
}

/// Writes down that `endpoint` of `site` shows this certificate, in place of what it showed before. The file
/// is replaced in one rename.
pub fn trust(file: &Path, site: &str, endpoint: &str, fingerprint: &[u8; 32], mode: u32) -> io::Result<()> {
    let mut sites = read(file)?;
    sites.entry(site.to_owned()).or_default().insert(endpoint.to_owned(), show_fingerprint(fingerprint));
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text = HEAD.to_owned();
    for (site, endpoints) in &sites {
        text += &format!("\n[{}]\n", quoted(site));
        for (endpoint, fingerprint) in endpoints {
            text += &format!("{} = {}\n", quoted(endpoint), quoted(fingerprint));
        }
    }
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut fresh = tempfile::Builder::new().prefix(".certificates").tempfile_in(folder)?;
    fresh.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    fresh.write_all(text.as_bytes())?;
    fresh.as_file().sync_all()?;
    fresh.persist(file).map_err(|e| e.error)?;
    Ok(())
}

fn read(file: &Path) -> io::Result<Sites> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Sites::new()),
        Err(e) => return Err(e),
    };
    toml::from_str(&text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.message().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_trusted_is_kept_by_site_and_a_renewed_certificate_replaces_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deeper/certificates.toml");
        assert!(trusted(&file, "campus").unwrap().is_empty());
        trust(&file, "campus", "https://pve1:8006", &[1; 32], 0o600).unwrap();
        trust(&file, "campus", "https://pve2:8006", &[2; 32], 0o600).unwrap();
        trust(&file, "annex", "https://pve1:8006", &[3; 32], 0o600).unwrap();
        trust(&file, "campus", "https://pve1:8006", &[4; 32], 0o600).unwrap();
        let of = |site| trusted(&file, site).unwrap().into_values().collect::<Vec<_>>();
        assert_eq!(of("campus"), [[4; 32], [2; 32]]);
        assert_eq!(of("annex"), [[3; 32]]);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_somebody_broke_is_an_error_not_no_trust() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("certificates.toml");
        std::fs::write(&file, "[campus]\n\"https://pve1:8006\" = \"AB:CD\"\n").unwrap();
        assert!(trusted(&file, "campus").unwrap_err().to_string().contains("no SHA-256 fingerprint"));
        std::fs::write(&file, "[campus\n").unwrap();
        assert!(trusted(&file, "campus").is_err());
    }
}

//! SSH public keys of a definition: from files or written out; a private key is refused unread.

use ssh_key::PublicKey;

use super::Context;
use crate::{
    config::{
        ConfigError,
        files::read_text,
        reader::{Node, shorten},
    },
    domain::Clean,
};

/// No file of public keys is larger.
const LONGEST: u64 = 64 * 1024;

/// Reads a list of files and keys; every key in OpenSSH's one-line form.
pub(super) fn read(list: &Node<'_>, context: &Context<'_>) -> Result<Vec<String>, ConfigError> {
    let mut keys: Vec<String> = Vec::new();
    for item in list.list()? {
        for key in read_item(&item, context)? {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

fn read_item(item: &Node<'_>, context: &Context<'_>) -> Result<Vec<String>, ConfigError> {
    let text = item.string()?;
    if is_private(text) {
        return Err(item.complain(format!(
            "{} holds a private key; it is secret and stays with you: name the public half, the file that ends in .pub",
            item.path()
        )));
    }
    if ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind)) && text.contains(' ') {
        return Ok(vec![key(item.text()?).map_err(|why| item.complain(format!("{}: {why}", item.path())))?]);
    }
    let written = item.text()?;
    let path = context.folders.locate(written, context.folder);
    let content = read_text(&path, LONGEST).map_err(|e| item.complain(format!("{}: {e}", item.path())))?;
    let file = shorten(written);
    if is_private(&content) {
        return Err(item.complain(format!(
            "{}: {file} is a private key; name its public half, usually {}",
            item.path(),
            shorten(&format!("{written}.pub"))
        )));
    }
    let lines = content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = lines
        .map(|line| key(line).map_err(|why| item.complain(format!("{}: {file}: {why}", item.path()))))
        .collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(item.complain(format!("{}: {file} holds no key", item.path())));
    }
    Ok(keys)
}

fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY") || text.starts_with("PuTTY-User-Key-File")
}

/// One public key, as OpenSSH would write it.
fn key(line: &str) -> Result<String, String> {
    const WRONG: &str = "not an SSH public key; it must read like \"ssh-ed25519 AAAA… name\"";
    let clean = Clean::new(line);
    let key = PublicKey::from_openssh(clean.as_str()).map_err(|_| WRONG.to_owned())?;
    key.to_openssh().map(|line| line.trim_end().to_owned()).map_err(|_| WRONG.to_owned())
}

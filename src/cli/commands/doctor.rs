//! `doctor`: what was found, site by site; and with `--trust`, what to believe from now on.

use std::{
    collections::BTreeSet,
    io::{BufRead, IsTerminal, Write},
};

use serde_json::json;

use crate::{
    cli::{
        exit::{CliError, Exit},
        output::Output,
    },
    config::Settings,
    domain::{Level, SiteName},
    service::doctor::{Finding, Grade, Options, Trustable, examine},
    wire::{self, Access},
};

/// Certificates come first; only then the nodes, and with them their SSH keys, are known.
const ROUNDS: usize = 3;

/// What `--trust` was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Only these, and also in place of others; empty: whatever is new.
    pub fingerprints: Vec<String>,
    /// Without asking.
    pub yes: bool,
}

pub async fn doctor(
    out: Output,
    settings: &Settings,
    site: Option<&SiteName>,
    trust: Option<&Trust>,
    hide: &(dyn Fn(&str) + Sync),
) -> Result<Exit, CliError> {
    if settings.sites.is_empty() {
        settings.only_site()?;
    }
    let mut decided = BTreeSet::new();
    let mut findings = look(settings, site, hide).await?;
    for _ in 0..ROUNDS {
        let Some(trust) = trust else { break };
        let open: Vec<Trustable> = findings
            .iter()
            .flat_map(|finding| finding.trust.clone())
            .filter(|trustable| !decided.contains(trustable.fingerprint()))
            .collect();
        let chosen = choose(trust, &open)?;
        decided.extend(open.iter().map(|trustable| trustable.fingerprint().to_owned()));
        if chosen.is_empty() {
            break;
        }
        for trustable in &chosen {
            write_down(settings, trustable)?;
        }
        findings = look(settings, site, hide).await?;
    }
    if let Some(trust) = trust
        && let Some(unseen) = trust.fingerprints.iter().find(|given| !decided.iter().any(|seen| same(seen, given)))
    {
        let shown = findings.iter().flat_map(|finding| &finding.trust);
        let shown: Vec<_> = shown.map(Trustable::fingerprint).collect();
        return Err(CliError::Usage(match shown.as_slice() {
            [] => format!("nothing that waits to be trusted shows {unseen}; nothing waits at all"),
            shown => format!("nothing that waits to be trusted shows {unseen}; waiting are:\n{}", shown.join("\n")),
        }));
    }
    print(out, &findings);
    Ok(if findings.iter().any(|finding| finding.grade == Grade::Error) { Exit::Failed } else { Exit::Done })
}

async fn look(
    settings: &Settings,
    site: Option<&SiteName>,
    hide: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Finding>, CliError> {
    let (home, left_out) = wire::what_can_be_built(settings, Access::Full, hide).await?;
    let options = Options { scaled: settings.clock.speed != 1.0 };
    let mut findings = examine(&home, site, options).await;
    for (name, error) in left_out.into_iter().filter(|(name, _)| site.is_none_or(|only| only == name)) {
        findings.push(Finding {
            site: name,
            check: "configuration",
            grade: Grade::Error,
            what: error.to_string(),
            why: "the site cannot be used, and as long as it stands there no command works".to_owned(),
            mend: format!("correct it in {}", settings.file.display()),
            trust: Vec::new(),
        });
    }
    Ok(findings)
}

/// What of the open questions is to be trusted.
fn choose(trust: &Trust, open: &[Trustable]) -> Result<Vec<Trustable>, CliError> {
    if !trust.fingerprints.is_empty() {
        let named =
            |trustable: &&Trustable| trust.fingerprints.iter().any(|given| same(given, trustable.fingerprint()));
        return Ok(open.iter().filter(named).cloned().collect());
    }
    // Another one is trusted there: that takes its name.
    let new = open.iter().filter(|trustable| !trustable.changed());
    if trust.yes {
        return Ok(new.cloned().collect());
    }
    let mut chosen: Vec<Trustable> = Vec::new();
    let mut refused = BTreeSet::new();
    for trustable in new {
        // One question for one fingerprint, however many addresses show it.
        if chosen.iter().any(|known| known.fingerprint() == trustable.fingerprint()) {
            chosen.push(trustable.clone());
            continue;
        }
        if refused.contains(trustable.fingerprint()) {
            continue;
        }
        if !std::io::stdin().is_terminal() {
            return Err(CliError::Usage(format!(
                "standard input is no terminal, so nobody can be asked whether to trust\n{}\ncompare it on the node, \
                 then: homeroom doctor --trust {}\n(or, to trust everything new unseen: --trust --yes)",
                trustable.fingerprint(),
                trustable.fingerprint(),
            )));
        }
        if asked(trustable)? {
            chosen.push(trustable.clone());
        } else {
            refused.insert(trustable.fingerprint());
        }
    }
    Ok(chosen)
}

/// Puts the question to the person at the terminal; anything but y is no.
fn asked(trustable: &Trustable) -> Result<bool, CliError> {
    let io = |source| CliError::Io { doing: "cannot ask".to_owned(), source };
    let mut err = std::io::stderr().lock();
    let compare = match trustable {
        Trustable::Certificate { .. } => {
            "`pvenode cert info` there shows it, and Node > Certificates in the web interface"
        }
        Trustable::HostKey { .. } => {
            "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there shows it, or the key of its type"
        }
    };
    write!(err, "{} shows\n  {}\n  ({compare})\nTrust it? [y/N] ", label(trustable), trustable.fingerprint())
        .map_err(io)?;
    err.flush().map_err(io)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(io)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn label(trustable: &Trustable) -> String {
    match trustable {
        Trustable::Certificate { site, endpoint, .. } => format!("the certificate of {endpoint} ({site})"),
        Trustable::HostKey { host, .. } => format!("the SSH host key of {host}"),
    }
}

fn write_down(settings: &Settings, trustable: &Trustable) -> Result<(), CliError> {
    match trustable {
        Trustable::Certificate { site, endpoint, fingerprint, .. } => {
            wire::trust_certificate(&settings.store, site, endpoint, fingerprint)?;
        }
        Trustable::HostKey { host, key, changed, .. } => {
            wire::trust_host_key(&settings.store, host, key, *changed).map_err(|source| {
                let file = settings.store.known_hosts();
                CliError::Io { doing: format!("cannot write {}", file.display()), source }
            })?;
        }
    }
    eprintln!("trusted: {} {}", label(trustable), trustable.fingerprint());
    Ok(())
}

/// The same fingerprint: of certificates case and colons do not matter, of SSH keys they do.
fn same(a: &str, b: &str) -> bool {
    if a.starts_with("SHA256:") || b.starts_with("SHA256:") {
        return a == b;
    }
    let plain = |text: &str| text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_uppercase();
    plain(a) == plain(b)
}

/// Whether a word can be a fingerprint, and so no site.
pub fn is_fingerprint(word: &str) -> bool {
    word.contains(':') || (word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn print(out: Output, findings: &[Finding]) {
    if out.json {
        let rows: Vec<_> = findings
            .iter()
            .map(|f| {
                json!({
                    "site": f.site, "check": f.check, "level": f.grade.as_str(),
                    "what": f.what, "why": f.why, "mend": f.mend,
                })
            })
            .collect();
        out.object(json!({"findings": rows}));
        return;
    }
    let mut site = None;
    for finding in findings {
        if site != Some(&finding.site) {
            if site.is_some() {
                out.line("");
            }
            out.line(finding.site.as_str());
            site = Some(&finding.site);
        }
        show(out, finding);
    }
    let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
    let plural = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let words: Vec<String> = [(Grade::Error, "error"), (Grade::Warning, "warning")]
        .into_iter()
        .filter(|(grade, _)| count(*grade) > 0)
        .map(|(grade, what)| plural(count(grade), what))
        .collect();
    out.line("");
    out.line(if words.is_empty() { "all is well".to_owned() } else { words.join(", ") });
}

/// The text of a finding begins here.
const INDENT: usize = 25;

fn show(out: Output, finding: &Finding) {
    let level = match finding.grade {
        Grade::Ok => Level::Success,
        Grade::Warning => Level::Warning,
        Grade::Error => Level::Error,
    };
    let head = format!("  {:<8}", finding.grade.as_str());
    let gap = " ".repeat(INDENT);
    let mut lines = finding.what.lines();
    let first = lines.next().unwrap_or_default();
    out.line(format!("{}{:<15}{first}", out.levelled(level, &head), finding.check));
    for line in lines {
        out.line(format!("{gap}{line}"));
    }
    for (word, text) in [("why", &finding.why), ("mend", &finding.mend)] {
        for (n, line) in text.lines().enumerate() {
            let word = if n == 0 { word } else { "" };
            out.line(format!("{gap}{}{line}", out.dim(&format!("{word:<6}"))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(fingerprint: &str, changed: bool) -> Trustable {
        let site = SiteName::new("campus").expect("well formed");
        let endpoint = "https://pve1:8006".to_owned();
        Trustable::Certificate { site, endpoint, fingerprint: fingerprint.to_owned(), changed }
    }

    #[test]
    fn a_changed_certificate_is_trusted_only_by_its_name() {
        let open = [certificate("AA:BB", true), certificate("CC:DD", false)];
        let all = Trust { fingerprints: Vec::new(), yes: true };
        assert_eq!(choose(&all, &open).expect("no question"), [open[1].clone()]);
        let named = Trust { fingerprints: vec!["aabb".to_owned()], yes: false };
        assert_eq!(choose(&named, &open).expect("no question"), [open[0].clone()]);
    }

    #[test]
    fn sites_and_fingerprints_are_told_apart() {
        assert!(is_fingerprint("SHA256:abc") && is_fingerprint("AB:CD") && is_fingerprint(&"ab".repeat(32)));
        assert!(!is_fingerprint("campus"));
        assert!(same("ab:cd", "ABCD") && !same("SHA256:ab", "SHA256:AB"));
    }
}

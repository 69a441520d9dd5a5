//! Doctor: looks every site over and says what will hurt, why, and how to mend it. Changes nothing.
//!
//! `look` asks; the other files are rules over what was seen. A site that does not answer hides no other.

mod clouds;
mod engines;
mod keys;
mod labs;
mod look;
mod nodes;
mod privileges;
mod reach;

use futures_util::future::join_all;

use self::look::Look;
use super::{Homeroom, Site};
use crate::domain::SiteName;

pub use self::look::Options;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Ok,
    Warning,
    Error,
}

impl Grade {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub site: SiteName,
    /// What was looked at, in one word: `certificate`, `privileges`, `room`, …
    pub check: &'static str,
    pub grade: Grade,
    pub what: String,
    /// Why it will hurt; empty where all is well.
    pub why: String,
    /// What to do; empty where all is well.
    pub mend: String,
    /// What `--trust` would write down.
    pub trust: Vec<Trustable>,
}

/// Something a person may say to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trustable {
    Certificate {
        site: SiteName,
        endpoint: String,
        fingerprint: String,
        changed: bool,
    },
    /// `host` is spelt as known_hosts spells it; `key` is `TYPE BASE64`.
    HostKey {
        host: String,
        key: String,
        fingerprint: String,
        changed: bool,
    },
}

impl Trustable {
    pub fn fingerprint(&self) -> &str {
        match self {
            Self::Certificate { fingerprint, .. } | Self::HostKey { fingerprint, .. } => fingerprint,
        }
    }

    /// Another one is trusted now: only naming the new one changes that.
    pub fn changed(&self) -> bool {
        match self {
            Self::Certificate { changed, .. } | Self::HostKey { changed, .. } => *changed,
        }
    }
}

/// Findings of one site, as they are made.
struct Findings {
    site: SiteName,
    list: Vec<Finding>,
}

impl Findings {
    fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(check, Grade::Ok, what.into(), "", "");
    }

    fn warning(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(check, Grade::Warning, what.into(), why, mend);
    }

    fn error(&mut self, check: &'static str, what: impl Into<String>, why: impl Into<String>, mend: impl Into<String>) {
        self.add(check, Grade::Error, what.into(), why, mend);
    }

    fn add(
        &mut self,
        check: &'static str,
        grade: Grade,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let (site, what, why, mend) = (self.site.clone(), what.into(), why.into(), mend.into());
        self.list.push(Finding { site, check, grade, what, why, mend, trust: Vec::new() });
    }

    /// The last finding can be put right by trusting this.
    fn trustable(&mut self, trust: Trustable) {
        if let Some(last) = self.list.last_mut() {
            last.trust.push(trust);
        }
    }

    fn has_error(&self) -> bool {
        self.list.iter().any(|finding| finding.grade == Grade::Error)
    }
}

/// Looks over the sites, all at once; findings come site by site.
pub async fn examine(home: &Homeroom, only: Option<&SiteName>, options: Options) -> Vec<Finding> {
    let sites = home.sites.values().filter(|site| only.is_none_or(|only| *only == site.name));
    let mut findings: Vec<_> =
        join_all(sites.map(|site| one(home, site, options))).await.into_iter().flatten().collect();
    for engine in home.engines.values().filter(|engine| only.is_none_or(|only| *only == engine.name)) {
        let mut of_engine = Findings { site: engine.name.clone(), list: Vec::new() };
        engines::findings(home, engine, &mut of_engine).await;
        findings.extend(of_engine.list);
    }
    for cloud in home.clouds.values().filter(|cloud| only.is_none_or(|only| *only == cloud.name)) {
        let mut of_cloud = Findings { site: cloud.name.clone(), list: Vec::new() };
        clouds::findings(home, cloud, &mut of_cloud).await;
        findings.extend(of_cloud.list);
    }
    // The store's, and so told once.
    if let (Some(folder), Some(site)) = (home.keys.closed_to_team().await, findings.first().map(|it| it.site.clone())) {
        let mut of_store = Findings { site, list: Vec::new() };
        keys::closed(&folder, &mut of_store);
        let at = findings.iter().take_while(|it| it.site == of_store.site).count();
        findings.splice(at..at, of_store.list);
    }
    findings
}

async fn one(home: &Homeroom, site: &Site, options: Options) -> Vec<Finding> {
    let look = Look::at(home, site, options).await;
    let mut findings = Findings { site: site.name.clone(), list: Vec::new() };
    reach::findings(&look, &mut findings);
    if look.view.is_ok() {
        privileges::findings(&look, &mut findings);
        labs::findings(&look, &mut findings);
        nodes::findings(&look, &mut findings);
    }
    findings.list
}

/// `a`, `a and b`, `a, b and c`.
fn listed<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match names.pop() {
        None => "none".to_owned(),
        Some(only) if names.is_empty() => only,
        Some(last) => format!("{} and {last}", names.join(", ")),
    }
}

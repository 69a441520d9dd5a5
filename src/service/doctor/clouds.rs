//! Rules for clouds: whether the project answers, and what of ours there costs money that nobody looks after.

use super::Findings;
use crate::service::{CloudSite, Homeroom, cloud};

pub async fn findings(home: &Homeroom, site: &CloudSite, out: &mut Findings) {
    let project = site.cloud.project();
    match site.cloud.view().await {
        Ok(view) => {
            let count = match view.instances.len() {
                1 => "one instance".to_owned(),
                count => format!("{count} instances"),
            };
            out.ok("project", format!("{project} answers; homeroom has {count} there"));
        }
        Err(error) => {
            let mend = "see the words above: credentials, a role, or an API to switch on";
            out.error("project", error.to_string(), "no workshop can be made, seen or ended there", mend);
            return;
        }
    }
    if site.prices.is_none() {
        let mend = "add [sites.NAME.prices], with the date they are of";
        out.warning("prices", "the configuration has no prices", "no plan says what it costs", mend);
    }
    let currency = site.prices.as_ref().map(|prices| prices.currency.clone()).unwrap_or_default();
    match cloud::costing(home, site).await {
        Ok(found) if found.is_empty() => out.ok("left behind", "nothing of ours that nobody looks after"),
        Ok(found) => {
            for it in found {
                out.warning("left behind", it.words(&currency), "nobody will miss it, and it goes on", it.mend);
            }
        }
        Err(error) => out.warning("left behind", error.to_string(), "it cannot be told what is left", "look again"),
    }
}

//! Rules for clouds: whether the project answers, and what of ours there costs money that nobody looks after.

use super::Findings;
use crate::{
    domain::{Definition, planning::Names},
    service::{CloudSite, Homeroom, cloud},
};

pub async fn findings(home: &Homeroom, site: &CloudSite, out: &mut Findings) {
    let project = site.cloud.project();
    match site.cloud.view().await {
        Ok(view) => {
            let count = match view.instances.len() {
                1 => "one instance".to_owned(),
                count => format!("{count} instances"),
            };
            match view.blind() {
                None => out.ok("project", format!("{project} answers; homeroom has {count} there")),
                Some(why) => {
                    let words = format!("{project} answers, but {why}; homeroom has {count} elsewhere");
                    out.warning("project", words, "what stands there is neither seen nor ended", "look again later");
                }
            }
        }
        Err(error) => {
            let mend = "see the words above: credentials, a role, or an API to switch on";
            out.error("project", error.to_string(), "no workshop can be made, seen or ended there", mend);
            return;
        }
    }
    names(home, site, out).await;
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

/// Whether names can be published, where a workshop asks for one.
async fn names(home: &Homeroom, site: &CloudSite, out: &mut Findings) {
    let Ok(definitions) = home.store.definitions().await else { return };
    let wanted = definitions.iter().find_map(|stored| match &stored.definition {
        Definition::Workshop(workshop) if workshop.site == site.name => Names::example(workshop),
        _ => None,
    });
    let Some(wanted) = wanted else { return };
    match site.dns.find(&wanted).await {
        Ok(_) => out.ok("DNS", format!("a managed zone holds {wanted}")),
        Err(error) => {
            let mend = "see the words above, or leave gce.dns out: a workshop is reached by its address then";
            out.error("DNS", error.to_string(), "no workshop gets the name its definition asks for", mend);
        }
    }
}

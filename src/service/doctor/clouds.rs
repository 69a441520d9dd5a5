//! Rules for clouds: whether the project answers, and what of ours there costs money that nobody looks after.

use super::Findings;
use crate::{
    domain::{
        Definition,
        cloud::{lacking, permissions},
        planning::Names,
    },
    service::{CloudSite, Homeroom, cloud},
};

pub async fn findings(home: &Homeroom, site: &CloudSite, out: &mut Findings) {
    let project = site.cloud.project();
    match site.look().await {
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
    let wanted = names(home, site, out).await;
    allowed(site, wanted, out).await;
    match &site.prices {
        None => {
            let mend = "add [sites.NAME.prices], with the date they are of";
            out.warning("prices", "the configuration has no prices", "no plan says what it costs", mend);
        }
        Some(prices) => {
            if let Some(why) = prices.incomplete() {
                out.warning("prices", why, "plans and the cost so far say too little", "add it to [sites.NAME.prices]");
            }
            if let Some(why) = prices.stale(home.clock.now()) {
                let mend = "look them up again, and set their date";
                out.warning("prices", why, "what plans say it costs may not be so any more", mend);
            }
        }
    }
    let currency = site.prices.as_ref().map(|prices| prices.currency.clone()).unwrap_or_default();
    match cloud::costing(home, site).await {
        Ok(left) => {
            if left.found.is_empty() && left.unseen.is_none() {
                out.ok("left behind", "nothing of ours that nobody looks after");
            }
            for it in left.found {
                out.warning("left behind", it.words(&currency), it.matters, it.mend);
            }
            if let Some(why) = left.unseen {
                out.warning("left behind", why, "it cannot be told what is left", "look again later");
            }
        }
        Err(error) => out.warning("left behind", error.to_string(), "it cannot be told what is left", "look again"),
    }
}

/// Which permissions are not there, before a run trips over them.
async fn allowed(site: &CloudSite, named: bool, out: &mut Findings) {
    match site.cloud.held(&permissions(named)).await {
        Ok(held) => match lacking(named, &held) {
            lacking if lacking.is_empty() => out.ok("permissions", "the account has all that a workshop takes"),
            lacking => {
                let words = format!("the account lacks {} on {}", lacking.join(", "), site.cloud.project());
                let why = "what needs them will fail, unless they are granted elsewhere than on the project";
                out.warning("permissions", words, why, "ask for a role with them");
            }
        },
        Err(error) => {
            let why = "one that is missing shows when something needs it";
            out.warning("permissions", error.to_string(), why, "see the words above, or leave it at that");
        }
    }
}

/// Whether names can be published, where a workshop asks for one; and whether one does.
async fn names(home: &Homeroom, site: &CloudSite, out: &mut Findings) -> bool {
    let Ok(definitions) = home.store.definitions().await else { return false };
    let wanted = definitions.iter().find_map(|stored| match &stored.definition {
        Definition::Workshop(workshop) if workshop.site == site.name => Names::example(workshop),
        _ => None,
    });
    let Some(wanted) = wanted else { return false };
    match site.dns.find(&wanted).await {
        Ok(_) => out.ok("DNS", format!("a managed zone holds {wanted}")),
        Err(error) => {
            let mend = "see the words above, or leave gce.dns out: a workshop is reached by its address then";
            out.error("DNS", error.to_string(), "no workshop gets the name its definition asks for", mend);
        }
    }
    true
}

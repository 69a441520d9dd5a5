//! What doctor asks of one site: all of it reading, at most a few questions at a time, each with a limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::privileges;
use crate::{
    domain::{
        Clean, Definition, NodeName, Plan, Progress, SiteName, Vmid,
        class::ClassDefinition,
        cluster::{ClusterView, GuestView, TemplateView},
        mark::{Ownership, ownership},
        name::VmidRange,
    },
    port::{
        SiteError,
        agent::ExecOutput,
        inspect::{Bridge, Caller, Certificate, RoleRow, Verdict},
        keys::Kept,
        shell::{ShellError, ShellTarget},
    },
    service::{GuestVia, Homeroom, ServiceError, Site, plan::plan_deploy},
};

/// Questions under way at once, for one site.
const AT_ONCE: usize = 8;
/// For one question to the site.
const WITHIN: Duration = Duration::from_secs(20);
/// Proves the login, and that `qm` runs.
const QM: &str = "qm list";

/// How to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The cluster's time passes at another speed than ours.
    pub scaled: bool,
}

/// How one address did.
pub struct Endpoint {
    pub address: String,
    /// The error says why there is no connection.
    pub certificate: Result<Certificate, Clean>,
    /// Asked only of those whose certificate is trusted.
    pub version: Option<Result<Clean, SiteError>>,
}

/// How a login on a node, or on the host on the way to guests, went.
pub struct NodeLogin {
    /// `None`: the jump host.
    pub node: Option<NodeName>,
    pub target: ShellTarget,
    pub outcome: Result<ExecOutput, ShellError>,
}

/// A lab defined on the site, and what was found out for it.
pub struct Lab {
    pub class: ClassDefinition,
    /// Its machines as the store knows them.
    pub progress: Progress,
    pub templates: Vec<TemplateView>,
    /// Bridges and tags of the templates' cards, which every clone begins with.
    pub template_nics: BTreeSet<(String, Option<u16>)>,
    pub plan: Result<Plan, ServiceError>,
    /// Its own SSH key, or why that cannot be told.
    pub key: Result<Kept, String>,
}

/// A machine with our tag that the store does not know.
pub struct Stray {
    pub guest: GuestView,
    pub owner: Ownership,
}

/// Everything seen of a site.
pub struct Look {
    pub site: SiteName,
    pub scaled: bool,
    pub user: String,
    pub vmids: VmidRange,
    pub caller: Caller,
    pub endpoints: Vec<Endpoint>,
    pub view: Result<ClusterView, SiteError>,
    /// How far each node's clock is ahead of ours.
    pub clocks: Vec<(NodeName, Result<SignedDuration, SiteError>)>,
    pub bridges: Vec<(NodeName, Result<Vec<Bridge>, SiteError>)>,
    /// What may be done on each path that matters.
    pub held: BTreeMap<String, BTreeSet<String>>,
    /// Why privileges could not be asked for.
    pub unasked: Option<SiteError>,
    pub roles: Vec<RoleRow>,
    pub pools: Vec<Clean>,
    pub logins: Vec<NodeLogin>,
    pub labs: Vec<Lab>,
    /// VMIDs any lab of the store has set aside here.
    pub reserved: BTreeSet<Vmid>,
    pub strays: Vec<Stray>,
    /// Guests are reached, or asked, through the nodes.
    pub needs_node_login: bool,
}

impl Look {
    pub async fn at(home: &Homeroom, site: &Site, options: Options) -> Self {
        let inspect = &site.inspect;
        let endpoints = each(inspect.endpoints(), async |address| endpoint(site, address).await).await;
        let reached = endpoints.iter().any(|endpoint| matches!(endpoint.version, Some(Ok(_))));
        let mut look = Self {
            site: site.name.clone(),
            scaled: options.scaled,
            user: site.rules.user.clone(),
            vmids: site.rules.vmids,
            caller: inspect.caller(),
            view: match reached {
                true => limited(&site.name, site.cluster.view()).await,
                false => Err(not_reached(&site.name)),
            },
            endpoints,
            clocks: Vec::new(),
            bridges: Vec::new(),
            held: BTreeMap::new(),
            unasked: None,
            roles: Vec::new(),
            pools: Vec::new(),
            logins: Vec::new(),
            labs: Vec::new(),
            reserved: BTreeSet::new(),
            strays: Vec::new(),
            needs_node_login: site.rules.guest_via == GuestVia::Node,
        };
        if let Ok(view) = look.view.clone() {
            look.closer(home, site, &view).await;
        }
        look
    }

    /// What can be asked once the cluster answers.
    async fn closer(&mut self, home: &Homeroom, site: &Site, view: &ClusterView) {
        let inspect = &site.inspect;
        // Not knowing shows in the logins themselves.
        let _ = limited(&site.name, site.know_nodes()).await;
        let nodes: Vec<NodeName> = view.nodes.iter().filter(|n| n.online).map(|n| n.node.clone()).collect();
        let (all, _) = home.store.all_progress().await.unwrap_or_default();
        let mine =
            |progress: &Progress| progress.seats.iter().filter(|s| s.site == site.name).cloned().collect::<Vec<_>>();
        self.reserved = all.iter().flat_map(mine).filter_map(|seat| seat.vmid).collect();

        let classes: Vec<ClassDefinition> = home
            .store
            .definitions()
            .await
            .unwrap_or_default()
            .into_iter()
            .filter_map(|stored| match stored.definition {
                Definition::Class(class) if class.site == site.name => Some(class),
                _ => None,
            })
            .collect();
        let progress_of = |class: &ClassDefinition| {
            all.iter().find(|p| p.lab == class.name).cloned().unwrap_or_else(|| Progress::new(class.name.clone()))
        };
        let (clocks, bridges, logins, strays, labs) = futures_util::join!(
            each(nodes.clone(), async |node: NodeName| (node.clone(), ahead(site, &node).await)),
            each(nodes.clone(), async |node: NodeName| {
                let bridges = limited(&site.name, inspect.bridges(&node)).await;
                (node, bridges)
            }),
            each(logins(site, &nodes), async |(node, target): (Option<NodeName>, ShellTarget)| {
                let command = if node.is_some() { QM } else { "true" };
                let outcome = site.shell.run(&target, command, WITHIN).await;
                NodeLogin { node, target, outcome }
            }),
            strays(home, site, view, &self.reserved),
            each(classes, async |class: ClassDefinition| {
                let progress = progress_of(&class);
                lab(home, site, view, class, progress).await
            }),
        );
        (self.clocks, self.bridges, self.logins, self.strays, self.labs) = (clocks, bridges, logins, strays, labs);
        self.needs_node_login |= self.labs.iter().any(|lab| lab.class.rollcall.via == crate::domain::class::Via::Ssh);
        self.pools = limited(&site.name, site.cluster.pools()).await.unwrap_or_default();
        self.roles = limited(&site.name, inspect.roles()).await.unwrap_or_default();
        let paths: BTreeSet<String> = privileges::needs(self).into_iter().flat_map(|need| need.asked_on).collect();
        let held = each(paths, async |path: String| {
            let held = limited(&site.name, inspect.privileges(&path)).await;
            (path, held)
        });
        for (path, held) in held.await {
            match held {
                Ok(held) => drop(self.held.insert(path, held)),
                Err(error) => self.unasked = Some(error),
            }
        }
    }

    /// The major version, if it can be told.
    pub fn major(&self) -> Option<u32> {
        self.view.as_ref().ok()?.version.as_str().split('.').next()?.parse().ok()
    }

    /// The first number of the range that nobody has.
    pub fn free_vmid(&self) -> Option<Vmid> {
        self.free_vmids().next()
    }

    pub fn free_vmids(&self) -> impl Iterator<Item = Vmid> {
        let view = self.view.as_ref().ok();
        self.vmids.iter().filter(move |id| !self.reserved.contains(id) && view.is_none_or(|v| v.guest(*id).is_none()))
    }
}

/// Asks about each thing, a few at a time, and keeps their order.
async fn each<T, R>(things: impl IntoIterator<Item = T>, ask: impl AsyncFn(T) -> R) -> Vec<R> {
    stream::iter(things).map(|thing| ask(thing)).buffered(AT_ONCE).collect().await
}

async fn limited<T>(site: &SiteName, ask: impl Future<Output = Result<T, SiteError>>) -> Result<T, SiteError> {
    match tokio::time::timeout(WITHIN, ask).await {
        Ok(answer) => answer,
        Err(_) => Err(SiteError::Unreachable {
            what: "look it over".to_owned(),
            site: site.to_string(),
            why: Clean::new(format!("no answer within {} s", WITHIN.as_secs())),
        }),
    }
}

fn not_reached(site: &SiteName) -> SiteError {
    SiteError::Unreachable {
        what: "look it over".to_owned(),
        site: site.to_string(),
        why: Clean::new("none of its addresses can be used"),
    }
}

async fn endpoint(site: &Site, address: String) -> Endpoint {
    let certificate = match tokio::time::timeout(WITHIN, site.inspect.certificate(&address)).await {
        Ok(certificate) => certificate,
        Err(_) => Err(Clean::new(format!("no answer within {} s", WITHIN.as_secs()))),
    };
    let version = match &certificate {
        Ok(Certificate { verdict: Verdict::Trusted(_), .. }) => {
            Some(limited(&site.name, site.inspect.version_at(&address)).await)
        }
        _ => None,
    };
    Endpoint { address, certificate, version }
}

async fn ahead(site: &Site, node: &NodeName) -> Result<SignedDuration, SiteError> {
    let before = Timestamp::now();
    let theirs = limited(&site.name, site.inspect.time(node)).await?;
    let after = Timestamp::now();
    // Whole seconds, told at some moment between the two.
    let middle = before + after.duration_since(before) / 2;
    Ok(theirs.duration_since(middle) + SignedDuration::from_millis(500))
}

fn logins(site: &Site, nodes: &[NodeName]) -> Vec<(Option<NodeName>, ShellTarget)> {
    let jump = match &site.rules.guest_via {
        GuestVia::Jump(target) => Some((None, target.clone())),
        _ => None,
    };
    nodes.iter().map(|node| (Some(node.clone()), site.nodes.target(node))).chain(jump).collect()
}

/// Machines that carry our tag and that the store does not know.
async fn strays(home: &Homeroom, site: &Site, view: &ClusterView, known: &BTreeSet<Vmid>) -> Vec<Stray> {
    let tagged: Vec<GuestView> = view
        .guests
        .iter()
        .filter(|g| g.is_tagged() && !g.template && !g.container && !known.contains(&g.vmid))
        .cloned()
        .collect();
    let read = async |guest: GuestView| {
        let config = limited(&site.name, site.cluster.config(&guest.node, guest.vmid)).await.ok()?;
        let owner = ownership(home.store.id(), guest.vmid, guest.template, &config.description);
        Some(Stray { guest, owner })
    };
    each(tagged, read).await.into_iter().flatten().collect()
}

async fn lab(home: &Homeroom, site: &Site, view: &ClusterView, class: ClassDefinition, progress: Progress) -> Lab {
    let (mut templates, mut template_nics) = (Vec::new(), BTreeSet::new());
    for guest in view.templates(&class.template).filter(|g| !g.container) {
        if let Ok(template) = limited(&site.name, site.cluster.template(&guest.node, guest.vmid)).await {
            templates.push(template);
        }
        if let Ok(config) = limited(&site.name, site.cluster.config(&guest.node, guest.vmid)).await {
            let cards = config.values.iter().filter(|(key, _)| key.starts_with("net"));
            template_nics.extend(cards.filter_map(|(_, card)| nic(card.as_str())));
        }
    }
    let plan = plan_deploy(home, &class.name).await.map(|planned| planned.plan);
    let key = home.keys.kept_key(&class.name).await.map_err(|error| error.to_string());
    Lab { class, progress, templates, template_nics, plan, key }
}

/// `virtio=…,bridge=vmbr1,tag=101`
fn nic(card: &str) -> Option<(String, Option<u16>)> {
    let value = |key: &str| card.split(',').find_map(|part| part.trim().strip_prefix(key)?.strip_prefix('='));
    Some((value("bridge")?.to_owned(), value("tag").and_then(|tag| tag.parse().ok())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_names_its_bridge_and_its_tag() {
        assert_eq!(nic("virtio=BC:24:11:0:0:1,bridge=vmbr1,tag=101"), Some(("vmbr1".to_owned(), Some(101))));
        assert_eq!(nic("virtio,bridge=vmbr0"), Some(("vmbr0".to_owned(), None)));
        assert_eq!(nic("virtio,firewall=1"), None);
    }
}

//! `nodes`: what the sites are made of.

use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit::{CliError, Exit},
        output::time,
    },
    domain::{
        cluster::{ClusterView, StorageView},
        size::Size,
    },
};

pub async fn nodes(context: &Context) -> Result<Exit, CliError> {
    if let Some(site) = &context.site {
        context.home.site(site)?;
    }
    if context.home.sites.is_empty() && !(context.home.engines.is_empty() && context.home.clouds.is_empty()) {
        return Err(CliError::Usage(
            "nodes are those of Proxmox sites, and none is configured; `homeroom status` shows the workshops"
                .to_owned(),
        ));
    }
    if context.home.sites.is_empty() {
        return Err(CliError::Usage("no site is configured yet; `homeroom demo` shows what one looks like".to_owned()));
    }
    let (mut nodes, mut storages, mut rows, mut storage_rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut failed = false;
    for site in context.home.sites.values().filter(|site| context.wants(&site.name)) {
        let view = match site.cluster.view().await {
            Ok(view) => view,
            Err(error) => {
                eprintln!("{}: {error}", site.name);
                failed = true;
                continue;
            }
        };
        for node in &view.nodes {
            let machines = view.guests.iter().filter(|g| g.node == node.node && !g.template).count();
            nodes.push(json!({
                "site": site.name, "node": node.node, "online": node.online, "cpu": node.cpu, "cpus": node.cpus,
                "memory_used": node.memory_used, "memory": node.memory, "uptime": node.uptime,
                "machines": machines, "version": view.version, "at": time(view.at),
            }));
            rows.push([
                site.name.to_string(),
                node.node.to_string(),
                if node.online { "online" } else { "offline" }.to_owned(),
                format!("{:.0} % of {}", node.cpu * 100.0, node.cpus),
                format!("{} of {}", Size(node.memory_used).human(), Size(node.memory).human()),
                machines.to_string(),
            ]);
        }
        for storage in listed(&view) {
            storages.push(json!({
                "site": site.name, "storage": storage.storage, "shared": storage.shared,
                "node": (!storage.shared).then_some(&storage.node), "kind": storage.kind,
                "available": storage.available, "used": storage.used, "total": storage.total,
            }));
            storage_rows.push([
                site.name.to_string(),
                storage.storage.to_string(),
                if storage.shared { "all nodes".to_owned() } else { storage.node.to_string() },
                format!("{} of {}", Size(storage.used).human(), Size(storage.total).human()),
            ]);
        }
    }
    if context.out.json {
        context.out.object(json!({"nodes": nodes, "storages": storages}));
    } else if !rows.is_empty() {
        context.out.table(["SITE", "NODE", "STATE", "CPU", "MEMORY", "MACHINES"], &rows);
        context.out.line("");
        context.out.table(["SITE", "STORAGE", "ON", "USED"], &storage_rows);
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Shared storages once, others for each node.
fn listed(view: &ClusterView) -> Vec<&StorageView> {
    let mut seen = std::collections::BTreeSet::new();
    view.storages.iter().filter(|s| !s.shared || seen.insert(s.storage.clone())).collect()
}

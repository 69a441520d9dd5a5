//! A Compute Engine project of the settings.

use std::sync::Arc;

use super::{Access, WireError};
use crate::{
    backend::gce::{Gce, Tokens},
    config::{self, GceSite},
    domain::{NodeName, SiteName},
    port::RemoteShell,
    service::CloudSite,
};

/// A Compute Engine project. Its tokens are fetched when the first call is made.
pub(super) fn cloud(
    name: &SiteName,
    site: &config::Site,
    gce: &GceSite,
    shell: Arc<dyn RemoteShell>,
    access: Access,
) -> Result<CloudSite, WireError> {
    let wrong = |why: String| WireError::Site { site: name.clone(), why };
    let endpoint = gce.endpoint.as_deref();
    // A simulated project has a metadata server of its own; a file that is named goes before it.
    let named = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").is_some();
    let tokens = match endpoint {
        Some(endpoint) if !named => Tokens::of_metadata_server(endpoint),
        _ => Tokens::default_credentials(access == Access::Monitor),
    };
    let tokens = tokens.map_err(wrong)?;
    let project = Arc::new(Gce::new(&gce.project, tokens, endpoint).map_err(wrong)?);
    Ok(CloudSite {
        name: name.clone(),
        environment: site.environment.as_str().to_owned(),
        max_seats: site.max_seats,
        cloud: project.clone(),
        dns: project,
        shell,
        zones: gce.zones.iter().map(NodeName::new).collect(),
        spot: gce.spot,
        registry: gce.registry.clone(),
        service_account: gce.service_account.clone(),
        ssh_port: gce.ssh_port,
        prices: gce.prices.clone(),
    })
}

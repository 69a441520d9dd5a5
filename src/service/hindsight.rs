//! A closer look at one node or machine: the site's own memory of the last hour, asked for only while somebody
//! looks at it.

use super::{Homeroom, ServiceError};
use crate::domain::{NodeName, SiteName, Vmid, hindsight::Hindsight};

/// What the site remembers of the node, or of one machine on it.
pub async fn hindsight(
    home: &Homeroom,
    site: &SiteName,
    node: &NodeName,
    vmid: Option<Vmid>,
) -> Result<Hindsight, ServiceError> {
    Ok(home.site(site)?.cluster.hindsight(node, vmid).await?)
}

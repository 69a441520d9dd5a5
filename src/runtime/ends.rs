//! Ends that come while a dashboard is open: it warns of them and brings them about, as `serve` and `expire` do.

use std::sync::Arc;

use super::Shared;
use crate::service::ends::keep_looking;

/// Looks for ends until the screens are gone. The runs begun are carried out here like those the screens ask for.
pub fn look_for_ends(shared: &Arc<Shared>) {
    let shared = shared.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = shared.actions.closed() => {}
            () = keep_looking(&shared.home, |run| shared.keep(run)) => {}
        }
    });
}

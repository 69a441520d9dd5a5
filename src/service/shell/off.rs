//! Whether a seat's machine is off, or there no more: asked beside a login, so that nobody has to guess it from what a
//! network says. A site that does not answer holds nobody up.

use std::{future, time::Duration};

use super::{LOOK, NoWay, Ways};
use crate::{
    domain::{
        MachineState, SeatName,
        cluster::{ClusterView, Power},
        readiness::{Hand, Look, current_state},
    },
    port::shell::{ShellError, ShellTarget},
    service::ServiceError,
};

impl Ways {
    /// Goes into a seat. What is wrong with its machine is told in place of what the network says.
    pub(super) async fn enter<T>(
        &self,
        seat: &SeatName,
        enter: impl AsyncFnOnce(ShellTarget) -> Result<T, ShellError>,
    ) -> Result<T, ServiceError> {
        let lab = &self.class.name;
        self.spec(seat)?;
        let going = async {
            let target = self.target(seat).await.map_err(|why| why.of(lab, seat))?;
            Ok(enter(target).await.map_err(|error| error.of_lab(lab))?)
        };
        let passing = |error: &ServiceError| match error {
            ServiceError::Shell(error) => error.is_passing(),
            error => matches!(error, ServiceError::NotNow(_)),
        };
        self.unless_off(seat, going, passing, |why| why.of(lab, seat)).await
    }

    /// Waits for `going`, but no longer than until the machine is known to be off; and where it failed in a way that
    /// `passing` says a machine that is off might be behind, for what the site knows of it.
    pub(in crate::service) async fn unless_off<T, E>(
        &self,
        seat: &SeatName,
        going: impl Future<Output = Result<T, E>>,
        passing: impl Fn(&E) -> bool,
        off: impl Fn(NoWay) -> E,
    ) -> Result<T, E> {
        let found = async {
            match self.against(seat, true).await {
                Some(why) => why,
                None => future::pending().await,
            }
        };
        let done = tokio::select! {
            biased;
            done = going => done,
            why = found => return Err(off(why)),
        };
        match done {
            Err(error) if passing(&error) => {
                let why = tokio::time::timeout(LOOK, self.against(seat, false)).await;
                Err(why.ok().flatten().map_or(error, off))
            }
            done => done,
        }
    }

    /// Why nobody is in, where the site says so at once.
    pub(in crate::service) async fn is_off(&self, seat: &SeatName) -> Option<NoWay> {
        tokio::time::timeout(LOOK, self.against(seat, true)).await.ok().flatten()
    }

    /// What the site shows, as soon as it has told; none where it does not.
    pub(super) async fn looked_at(&self) -> Option<&ClusterView> {
        self.view.get_or_try_init(|| self.site.cluster.view()).await.ok()
    }

    /// What the site knows against a login; with `sure` only what its node says at this moment.
    async fn against(&self, seat: &SeatName, sure: bool) -> Option<NoWay> {
        let row = self.row(seat).ok()?;
        let view = self.looked_at().await?;
        let look = Look::of(view, row)?;
        let hand = Hand::of(&self.progress, true);
        let stand = current_state(row, Some(look), hand, view.at, Duration::MAX);
        let (state, reason) = (stand.state, stand.reason);
        let off = look.node_online && look.guest.is_some_and(|guest| guest.power == Power::Stopped);
        let (node, vmid) = (look.guest.map(|guest| &guest.node).or(row.node.as_ref())?, row.vmid?);
        let why = reason.unwrap_or_default();
        let off = off || state == MachineState::Stopped;
        // What the site tells of all its machines is up to ten seconds old: where a login failed, its node is asked.
        if off || (!sure && look.node_online && look.guest.is_some()) {
            match self.site.cluster.status(node, vmid).await {
                Ok(now) if !now.running => return Some(NoWay::Off),
                Err(_) if off && !sure => return Some(NoWay::Off),
                _ => {}
            }
        }
        match state {
            MachineState::Gone if look.guest.is_none() => {
                let now = self.site.cluster.status(node, vmid).await;
                let gone = now.map_or_else(|error| error.is_missing() || !sure, |_| false);
                gone.then_some(NoWay::Gone(why))
            }
            MachineState::Gone => Some(NoWay::Gone(why)),
            MachineState::Unknown => (!sure).then_some(NoWay::Unseen(why)),
            _ => None,
        }
    }
}

//! A login on a seat's machine.

use std::sync::Arc;

use super::{GuestVia, Homeroom, ServiceError, Site, logins::LabLogins};
use crate::{
    deploy::class::Logins,
    domain::{LabName, Progress, SeatName, class::SeatSpec, progress::SeatProgress},
    port::shell::ShellTarget,
};

/// Where to log in to a seat, as far as its roll call has found out.
pub async fn target(home: &Homeroom, lab: &LabName, seat: &SeatName) -> Result<(Arc<Site>, ShellTarget), ServiceError> {
    let (class, site) = home.class(lab).await?;
    let specs = class.resolve();
    let (progress, _) = home.store.progress(lab).await?;
    let Some(spec) = specs.iter().find(|spec| &spec.seat == seat) else {
        return Err(ServiceError::NoSeat {
            lab: lab.clone(),
            seat: seat.clone(),
            known: specs.iter().map(|spec| spec.seat.to_string()).collect(),
        });
    };
    if site.rules.guest_via == GuestVia::Node {
        site.know_nodes().await?;
    }
    let logins = LabLogins::new(home, &site, lab, Vec::new()).await?;
    if site.rules.guest_via == GuestVia::Teacher
        && seat != &SeatName::teacher()
        && let Some(teacher) = specs.iter().find(|spec| spec.seat == SeatName::teacher())
    {
        logins.proven(teacher, &login(&logins, &progress, teacher)?);
    }
    Ok((site, login(&logins, &progress, spec)?))
}

fn login(logins: &LabLogins, progress: &Progress, spec: &SeatSpec) -> Result<ShellTarget, ServiceError> {
    let lab = &progress.lab;
    let seat = &spec.seat;
    let missing = |what: &str, next: &str| ServiceError::NotNow(format!("{lab}/{seat} has {what}; {next}"));
    let row: &SeatProgress = progress
        .seat(seat)
        .filter(|row| row.vmid.is_some())
        .ok_or_else(|| missing("no machine", &format!("`homeroom deploy {lab}` makes it")))?;
    let (Some(ip), Some(node)) = (row.ip, &row.node) else {
        return Err(missing("no known address", &format!("`homeroom check {lab}/{seat}` looks for it")));
    };
    if row.host_keys.is_empty() {
        return Err(missing(
            "no host key on record",
            &format!("`homeroom check {lab}/{seat}` reads it through the guest agent"),
        ));
    }
    logins
        .target(spec, node, ip, &row.host_keys)
        .map_err(|why| ServiceError::NotNow(format!("{lab}/{seat} cannot be reached: {why}")))
}

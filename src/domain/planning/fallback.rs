//! Whether linked clones that the site refuses in the middle of a run may go on as full ones: only where that
//! keeps to the plan that was agreed to.

use super::{PlanInput, estimate::at_worst, templates::Room};
use crate::domain::{
    class::CloneMode,
    cluster::TemplateView,
    plan::{CloneSource, SeatPlan},
};

/// Marks the linked clones of a plan as ones that may become full copies: the definition leaves it open, all of
/// them fit on their storages as full copies, and the whole would still be there within the time the definition
/// gives a machine to show its address.
pub(super) fn allow(input: &PlanInput<'_>, seats: &mut [SeatPlan], templates: &[&TemplateView]) {
    if input.class.clone != CloneMode::Auto {
        return;
    }
    let mut room = Room::new(input.view);
    let mut copies = Vec::new();
    for seat in seats.iter() {
        let mut seat = seat.clone();
        if let Some(source) = &mut seat.source {
            if source.linked {
                let Some(full) = full(source, templates) else { return };
                *source = full;
            }
            if room.check(source, &seat.node, source.bytes).is_err() {
                return;
            }
            room.take(source, &seat.node, source.bytes);
        }
        copies.push(seat);
    }
    let time = at_worst(&copies, input.view, &input.class.rollcall, &input.class.rollout);
    if time.is_some_and(|time| time > input.class.rollcall.address_within) {
        return;
    }
    for source in seats.iter_mut().filter_map(|seat| seat.source.as_mut()).filter(|source| source.linked) {
        source.full_fallback = true;
    }
}

/// The same clone as a full copy, on the template's own storage.
fn full(source: &CloneSource, templates: &[&TemplateView]) -> Option<CloneSource> {
    let template = templates.iter().find(|template| template.vmid == source.template)?;
    let bytes = template.disks.iter().map(|disk| disk.size).sum();
    Some(CloneSource { linked: false, bytes, ..source.clone() })
}

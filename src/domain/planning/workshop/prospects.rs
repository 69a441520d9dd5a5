//! What lies before a workshop: how long its life will be, and what it costs.

use std::time::Duration;

use super::WorkshopInput;
use crate::domain::{life::plain, workshop::WorkshopDefinition};

/// What whoever agrees to a new workshop should know: where it is reached, how long it stays, what it costs.
pub(super) fn prospects(input: &WorkshopInput<'_>) -> Vec<String> {
    let WorkshopDefinition { proxy, ends_after, max_life, .. } = input.workshop;
    let named = proxy.name.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    let reached = format!("it is reached on port {} of {}{named}", proxy.port, input.view.host);
    let (after, most) = (plain(*ends_after), plain(*max_life));
    let ends = format!("it ends {after} after it is deployed; extensions go up to {most}");
    let cost = input.price.filter(|(per_hour, _)| *per_hour > 0.0).map(|(per_hour, currency)| {
        let of = |life: Duration| format!("{:.2} {currency}", per_hour * life.as_secs_f64() / 3600.0);
        format!("about {per_hour:.2} {currency}/h, {} until it ends, {} at most", of(*ends_after), of(*max_life))
    });
    [Some(reached), Some(ends), cost].into_iter().flatten().collect()
}

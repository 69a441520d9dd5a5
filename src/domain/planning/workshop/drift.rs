//! What somebody changed of a container by hand: the engine's limits of it, held against what it was made with.

use crate::domain::{engine::ContainerView, plan::FieldChange, size::Size, workshop::SeatLimits};

use super::said;

/// The keys of [`super::MadeOf`] that the engine can be asked about, as it answers.
pub fn limits_of(limits: &SeatLimits) -> [(&'static str, String); 3] {
    [("memory", String::from(limits.memory)), ("cpus", limits.cpus.to_string()), ("pids", limits.pids.to_string())]
}

/// The limits a container was made with, by its label; nothing where it has none, as a proxy.
pub fn made_with(made_of: &str) -> Option<SeatLimits> {
    Some(SeatLimits {
        memory: said(made_of, "memory")?.parse::<Size>().ok()?,
        cpus: said(made_of, "cpus")?.parse().ok()?,
        pids: said(made_of, "pids")?.parse().ok()?,
    })
}

/// Which limits of a container are others than it was made with.
pub(super) fn drift(container: &ContainerView, made_of: &str) -> Vec<FieldChange> {
    let (Some(is), Some(was)) = (&container.limits, made_with(made_of)) else { return Vec::new() };
    let both = limits_of(is).into_iter().zip(limits_of(&was));
    let differing = both.filter(|((_, is), (_, was))| is != was);
    // The engine says 0 of what it does not limit.
    let shown = |is: String| if is == "0" { String::new() } else { is };
    let told = differing.map(|((field, is), (_, was))| FieldChange::new(field, shown(is), was));
    told.map(|change| FieldChange { drift: true, ..change }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_a_label_has_them() {
        let limits = SeatLimits { memory: Size(64 << 20), cpus: 0.5, pids: 64 };
        let words = limits_of(&limits).map(|(key, value)| format!("{key}={value}")).join(" ");
        assert_eq!(made_with(&format!("image=workspace:1 {words}")), Some(limits));
        assert_eq!(made_with("proxy=caddy:2 proxy.port=8080"), None);
    }
}

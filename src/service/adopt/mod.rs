//! Adopt: machines that the store does not know come into it: by their marks, where a store was lost; from another
//! store, where that is asked for; by name or number, where hands or another tool made them.
//!
//! What is adopted is not proven: it is stale until a roll call. Nothing is started, changed in its hardware, or
//! removed; a mark and our tag are all that is written.

mod found;
mod inside;
mod rekey;
mod write;

use std::collections::{BTreeMap, BTreeSet};

pub use found::Wish;
pub(super) use found::{look_for, mark_of};
pub use rekey::{Rekeyed, rekey};

use self::{
    found::{Candidate, look, wish_for},
    write::Taken,
};
use super::{Homeroom, ServiceError, Site, run::lock, silent::silent};
use crate::domain::{
    Definition, LabName, MachineState, Progress, RunId, SeatName, SiteName, Vmid,
    class::ClassDefinition,
    cluster::{ClusterView, GuestView, NodeView},
    event::RunKind,
    machine::machine_name,
    mark::Ownership,
    planning::on_nodes,
    progress::SeatProgress,
    regain::{Regained, class_of, origin, unseen},
    verify::has_key,
};
use crate::port::SiteError;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Machines marked by another store are taken over too.
    pub take_over: bool,
    /// Machines to be taken in whatever they carry. Only these, where there are any.
    pub wishes: Vec<Wish>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub adopted: Vec<Adopted>,
    /// Machines that carry another store's mark and were left alone.
    pub others: Vec<String>,
    /// Machines left alone for any other reason, each with it.
    pub left: Vec<String>,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// A lab with seats that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    pub lab: LabName,
    /// It had no definition: one was made out from its machines.
    pub defined: bool,
    pub seats: Vec<SeatName>,
    /// Those of them whose machines' settings do not let the lab's key in.
    pub keyless: Vec<SeatName>,
}

/// Takes in the machines of a site.
///
/// Which labs have news is only known from a look, and what is true of them is what is seen under their locks: it
/// looks again once it has those.
pub async fn adopt(home: &Homeroom, site: &SiteName, request: &Request) -> Result<Report, ServiceError> {
    if home.engines.contains_key(site) || home.clouds.contains_key(site) {
        return Err(ServiceError::NotNow(format!(
            "workshops are not adopted: {site} has no machines of classes. Where the store was lost, bring a backup of it \
             back; without one, `homeroom doctor` names what stands on {site} and the command that removes it, and \
             `homeroom apply` with `deploy` makes a workshop anew"
        )));
    }
    let place = home.site(site)?.clone();
    let mut held = BTreeMap::new();
    let (view, labs, counted, mut report) = loop {
        let News { view, labs, counted, report } = news(home, &place, request).await?;
        let open: Vec<LabName> = labs.keys().filter(|lab| !held.contains_key(*lab)).cloned().collect();
        if open.is_empty() {
            break (view, labs, counted, report);
        }
        for lab in open {
            let lock = lock(home, &lab, RunKind::Adopt).await?;
            held.insert(lab, lock);
        }
    };
    // A store that was lost counts its runs from one again: no new run shares a number with a mark that stands.
    if let Some(run) = counted {
        home.store.count_runs_from(run).await?;
    }
    for (lab, machines) in labs {
        if let Some((class, open)) = class(home, site, &lab, &machines, &view, &mut report).await? {
            let defined = open.is_some();
            let open = open.map(|open| [open, vec![unseen(&[&lab])]].concat());
            if defined {
                home.store.put_definition(&Definition::Class(class.clone()), home.clock.now()).await?;
            }
            // What could not be told stays with the run: whoever looks at the definition is to know it too.
            let taken = Taken { class: &class, machines: &machines, view: &view, open: open.unwrap_or_default() };
            write::take_in(home, &place, taken).await?;
            let keyless = keyless(home, &lab, &machines).await;
            let seats = machines.into_iter().map(|(seat, _)| seat).collect();
            report.adopted.push(Adopted { lab, defined, seats, keyless });
        }
    }
    let made: Vec<&LabName> = report.adopted.iter().filter(|lab| lab.defined).map(|adopted| &adopted.lab).collect();
    if !made.is_empty() {
        let words = unseen(&made);
        report.notes.push(words);
    }
    Ok(report)
}

/// The seats whose machines' settings do not let the lab's key in.
async fn keyless(home: &Homeroom, lab: &LabName, machines: &[(SeatName, Candidate)]) -> Vec<SeatName> {
    let ours = home.keys.lab_key(lab).await.map(|key| key.public).unwrap_or_default();
    let lets_in = |candidate: &Candidate| {
        candidate.config.plain().get("sshkeys").is_some_and(|known| !ours.is_empty() && has_key(known, &ours))
    };
    machines.iter().filter(|(_, candidate)| !lets_in(candidate)).map(|(seat, _)| seat.clone()).collect()
}

/// What one look at a site shows.
struct News {
    view: ClusterView,
    /// The machines to be taken in.
    labs: Machines,
    /// The highest run number in this store's marks.
    counted: Option<RunId>,
    /// Why others are not.
    report: Report,
}

/// No store has counted so far: a number beyond it was not written by one.
const MOST_RUNS: i64 = 1 << 40;

type Machines = BTreeMap<LabName, Vec<(SeatName, Candidate)>>;

/// One look at the site: the machines to be taken in, by lab, and why others are not.
async fn news(home: &Homeroom, place: &Site, request: &Request) -> Result<News, ServiceError> {
    let view = place.cluster.view().await?;
    let mut report = Report::default();
    report.notes.extend(away(&view, &silent(home, place, &view).await?));
    let candidates = look(home, place, &view, &request.wishes).await?;
    let runs = candidates.iter().filter_map(|candidate| match &candidate.owner {
        Ownership::Ours(mark) => Some(mark.run),
        _ => None,
    });
    let counted = runs.filter(|run| run.0 < MOST_RUNS).max();
    let (known, _) = home.store.all_progress().await?;
    let mut labs = Machines::new();
    for candidate in candidates {
        if let Some((lab, seat)) = seat_of(&place.name, &candidate, request, &known, &mut report) {
            labs.entry(lab).or_default().push((seat, candidate));
        }
    }
    let mut fresh = Machines::new();
    for (lab, machines) in labs {
        let mut machines = without_twins(&lab, machines, &mut report);
        machines.retain(|(seat, candidate)| is_news(&known, &lab, seat, candidate, &mut report));
        if !machines.is_empty() {
            fresh.insert(lab, machines);
        }
    }
    Ok(News { view, labs: fresh, counted, report })
}

/// What is to be known of nodes that do not answer: a word for each, and which machines there may be ours.
fn away(view: &ClusterView, silent: &[GuestView]) -> Vec<String> {
    let told = |node: &NodeView| {
        let there: Vec<&GuestView> = silent.iter().filter(|guest| guest.node == node.node).collect();
        let (node, numbers) = (&node.node, on_nodes(there.iter().copied()));
        match there.len() {
            0 => format!("{node} is offline: machines on it are not seen"),
            n => {
                let (is, its) = if n == 1 { ("is", "its seat") } else { ("are", "their seats") };
                format!(
                    "{node} is offline, and {numbers} may be homeroom's (by its tag or number) and {is} not known to this \
                     store: adopt again when {node} is back; until then nothing is deployed for {its} without --abandon-old"
                )
            }
        }
    };
    view.nodes.iter().filter(|node| !node.online).map(told).collect()
}

/// Which seat a machine is, as far as it may be taken in; otherwise the report says why not.
fn seat_of(
    site: &SiteName,
    candidate: &Candidate,
    request: &Request,
    known: &[Progress],
    report: &mut Report,
) -> Option<(LabName, SeatName)> {
    let label = candidate.label();
    let wish = wish_for(&request.wishes, candidate);
    if wish.is_none() && !request.wishes.is_empty() {
        return None;
    }
    match candidate.config.get("lock") {
        Some("destroyed") => {
            report.left.push(half_removed(candidate, known));
            return None;
        }
        Some("clone") => {
            report.left.push(format!("{label} is locked (clone)"));
            return None;
        }
        _ => {}
    }
    let theirs = |lab: &LabName, seat: &SeatName| format!("{label} carries another store's mark, for {lab}/{seat}");
    match (&candidate.owner, wish) {
        (Ownership::OtherStore(mark), _) if !request.take_over => {
            report.others.push(theirs(&mark.lab, &mark.seat));
            None
        }
        (Ownership::Ours(mark), Some(wish)) if (&mark.lab, &mark.seat) != (&wish.lab, &wish.seat) => {
            report.left.push(format!("{label} is {}/{} already", mark.lab, mark.seat));
            None
        }
        (_, Some(wish)) => Some((wish.lab.clone(), wish.seat.clone())),
        (owner, None) => match mark_of(owner) {
            Some(mark) => Some((mark.lab.clone(), mark.seat.clone())),
            None => {
                if let Some(words) = unmarked(site, candidate, known) {
                    report.left.push(words);
                }
                None
            }
        },
    }
}

/// What is to be done about a machine of which nothing but the lock of its removal is left.
fn half_removed(candidate: &Candidate, known: &[Progress]) -> String {
    let (label, vmid, node) = (candidate.label(), candidate.guest.vmid, &candidate.guest.node);
    let seats = known.iter().flat_map(|progress| progress.seats.iter().map(move |row| (&progress.lab, row)));
    let meant = |row: &SeatProgress| row.removal.as_ref().is_some_and(|removal| removal.vmid == vmid);
    if let Some((lab, row)) = seats.into_iter().find(|(_, row)| meant(row)) {
        return format!("{label} is half removed; `homeroom destroy {lab}/{} --yes` ends it", row.seat);
    }
    format!(
        "{label} is half removed (lock: destroyed) and shows no mark any more; if nobody is removing it and nobody needs \
         it, `qm unlock {vmid} && qm destroy {vmid}` on {node} ends it"
    )
}

/// Why a machine without a mark is worth a word: it has our tag, or the name of a machine of ours.
fn unmarked(site: &SiteName, candidate: &Candidate, known: &[Progress]) -> Option<String> {
    let (label, guest) = (candidate.label(), &candidate.guest);
    let name = candidate.config.get("name");
    let seats = known.iter().flat_map(|progress| progress.seats.iter().map(move |row| (progress, row)));
    let of_name =
        seats.filter(|(_, row)| Some(row.name.as_str()) == name).map(|(progress, row)| (&progress.lab, &row.seat));
    let how = |lab: &str, seat: &str| format!("`homeroom adopt {site} {lab}/{seat}={}` takes it in", guest.vmid);
    if let Some((lab, seat)) = of_name.into_iter().next() {
        return Some(format!(
            "{label} is named like {lab}/{seat} and carries no mark of its own; {}",
            how(lab.as_str(), seat.as_str())
        ));
    }
    guest.is_tagged().then(|| format!("{label} has homeroom's tag and no mark of its own; {}", how("LAB", "SEAT")))
}

/// A seat that two machines claim is nobody's until one of them is looked after by hand.
fn without_twins(
    lab: &LabName,
    machines: Vec<(SeatName, Candidate)>,
    report: &mut Report,
) -> Vec<(SeatName, Candidate)> {
    let mut twins = BTreeSet::new();
    for (seat, _) in &machines {
        let of_seat: Vec<String> = machines.iter().filter(|(other, _)| other == seat).map(|(_, c)| c.label()).collect();
        if of_seat.len() > 1 && twins.insert(seat.clone()) {
            let words =
                format!("{} are all marked as {lab}/{seat}; take the mark from all but one", of_seat.join(", "));
            report.left.push(words);
        }
    }
    machines.into_iter().filter(|(seat, _)| !twins.contains(seat)).collect()
}

/// Whether the store does not know the machine yet. A seat that has another machine keeps it.
fn is_news(known: &[Progress], lab: &LabName, seat: &SeatName, candidate: &Candidate, report: &mut Report) -> bool {
    let row = known.iter().find(|progress| progress.lab == *lab).and_then(|progress| progress.seat(seat));
    match row.filter(|row| row.state != MachineState::Gone).and_then(|row| row.vmid) {
        None => true,
        Some(vmid) if vmid == candidate.guest.vmid => !matches!(candidate.owner, Ownership::Ours(_)),
        Some(vmid) => {
            report.left.push(format!("{} is marked as {lab}/{seat}, which has {vmid} already", candidate.label()));
            false
        }
    }
}

/// A machine's settings, if it is there and can be read.
async fn settings_of(
    place: &Site,
    view: &ClusterView,
    vmid: Vmid,
) -> Result<Option<BTreeMap<String, String>>, ServiceError> {
    let Some(guest) = view.guest(vmid) else { return Ok(None) };
    match place.cluster.config(&guest.node, vmid).await {
        Ok(config) => Ok(Some(config.plain())),
        Err(SiteError::Missing { .. } | SiteError::Forbidden { .. } | SiteError::Lost { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The lab's definition; or one made out from its machines, with what could not be told.
async fn class(
    home: &Homeroom,
    site: &SiteName,
    lab: &LabName,
    machines: &[(SeatName, Candidate)],
    view: &ClusterView,
    report: &mut Report,
) -> Result<Option<(ClassDefinition, Option<Vec<String>>)>, ServiceError> {
    let stored = home.store.definitions().await?.into_iter().find(|stored| stored.definition.name() == lab);
    match stored.map(|stored| stored.definition) {
        Some(Definition::Class(class)) if class.site == *site => {
            let seats = class.seats();
            let unknown = machines.iter().map(|(seat, _)| seat).filter(|seat| !seats.iter().any(|(s, _)| s == *seat));
            for seat in unknown {
                report.notes.push(format!(
                    "{} is not in the definition of {lab}: `homeroom plan {lab}` would remove it; add it, or leave it so",
                    machine_name(lab, seat)
                ));
            }
            Ok(Some((class, None)))
        }
        Some(other) => {
            let words = format!("{lab} is a {} on {} here; its machines are left alone", other.kind(), other.site());
            report.left.push(words);
            Ok(None)
        }
        None => {
            let regained: Vec<Regained> = machines
                .iter()
                .map(|(seat, candidate)| Regained {
                    seat: seat.clone(),
                    vmid: candidate.guest.vmid,
                    config: candidate.config.plain(),
                })
                .collect();
            let place = home.site(site)?;
            let origin = origin(&regained, view);
            let template = match &origin {
                Some(origin) => settings_of(place, view, origin.vmid).await?,
                None => None,
            };
            let passwords = home.keys.has_made_passwords(lab).await;
            let made = origin.and_then(|origin| {
                class_of(lab, site, &regained, (&origin, template.as_ref()), view, place.rules.vmids, passwords)
            });
            match made {
                Some((class, open)) => {
                    report.notes.extend(open.iter().cloned());
                    Ok(Some((class, Some(open))))
                }
                None => {
                    report.left.push(format!(
                        "{lab} has no definition and none can be made out from its machines; apply one, then adopt again"
                    ));
                    Ok(None)
                }
            }
        }
    }
}

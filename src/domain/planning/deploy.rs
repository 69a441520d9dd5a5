//! The plan of a deploy: every seat of the definition, then what is no longer in it.

use std::collections::BTreeMap;

use super::{
    PlanInput, Problem, addresses, count, destroy,
    estimate::estimate,
    listed,
    standing::{Fate, Home, fate},
    steps::{Target, roll_call},
    templates::{self, Room},
    vmids,
};
use crate::domain::{
    NodeName, Plan, SeatName, StepName,
    class::SeatSpec,
    cluster::{Power, TemplateView},
    event::RunKind,
    machine::machine_name,
    placement::{Board, Want},
    plan::{CloneSource, SeatPlan, Verb},
    size::Size,
};

/// What a deploy would do, or everything that stands in its way.
pub fn plan_deploy(input: &PlanInput<'_>) -> Result<Plan, Vec<Problem>> {
    let mut problems = definition_problems(input);
    let mut notes = cluster_notes(input);
    let specs = addresses::settle(input).unwrap_or_else(|problem| {
        problems.push(problem);
        input.class.resolve()
    });
    let fates: Vec<(SeatSpec, Fate)> = specs
        .into_iter()
        .map(|spec| {
            let fate = fate(input, &spec, &mut notes);
            (spec, fate)
        })
        .collect();
    let clones = fates.iter().any(|(_, fate)| !matches!(fate, Fate::Settled { .. }));
    let templates = if clones { templates::candidates(input) } else { Ok(Vec::new()) }.unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    if clones && !templates.is_empty() {
        problems.extend(clone_problems(input, &fates, &templates));
        problems.extend(room_problems(input, &fates, &templates));
        template_notes(input, &templates, &mut problems, &mut notes);
    }
    let fresh = fates.iter().filter(|(_, fate)| matches!(fate, Fate::New { .. })).count();
    let numbers = vmids::block(input, fresh).unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    if !problems.is_empty() {
        return Err(problems);
    }

    let mut work = Work::new(input, templates, &fates);
    let mut numbers = numbers.into_iter();
    let mut seats = Vec::new();
    for (spec, fate) in fates {
        seats.extend(work.seat(spec, fate, &mut numbers));
    }
    if !work.unplaced.is_empty() || !work.problems.is_empty() {
        let unplaced = unplaced_problems(&work.unplaced);
        return Err(work.problems.into_iter().chain(unplaced).collect());
    }
    seats.extend(destroy::removals(input, &mut notes));
    Ok(Plan {
        kind: RunKind::Deploy,
        lab: input.class.name.clone(),
        site: input.class.site.clone(),
        skipped_nodes: work.board.skipped(),
        memory_after: work.board.memory_after(),
        estimate: estimate(&seats, &input.class.rollcall, &input.class.rollout),
        room: work.room.taken(),
        rollcall: input.class.rollcall.clone(),
        order: input.class.rollout.order,
        stagger: input.class.rollout.delay,
        pool: input.class.pool.clone(),
        notes,
        seats,
    })
}

/// What can be said against a definition by looking at the site's nodes and names.
fn definition_problems(input: &PlanInput<'_>) -> Vec<Problem> {
    let mut out = Vec::new();
    let seats = input.class.seats();
    if seats.is_empty() {
        out.push(Problem::new(format!("{} has no seats", input.class.name), "name students, or set teacher = true"));
    }
    let students = seats.len() - usize::from(input.class.teacher);
    if students > input.site.max_seats as usize {
        let (class, most) = (input.class, input.site.max_seats);
        out.push(Problem::new(
            format!("{} has {} and site {} takes {most} in a lab", class.name, count(students, "student"), class.site),
            "take students out or raise max_seats of the site",
        ));
    }
    let known: Vec<String> = input.view.nodes.iter().map(|node| node.node.to_string()).collect();
    for node in &input.class.placement.nodes {
        if input.view.node(node).is_none() {
            out.push(Problem::new(
                format!("placement.nodes names {node}, which site {} does not have", input.class.site),
                format!("it has {}", known.join(", ")),
            ));
        }
    }
    for (seat, _) in seats {
        let name = machine_name(&input.class.name, &seat);
        let own = input.progress.seat(&seat).and_then(|row| row.vmid);
        let twin = input
            .view
            .guests
            .iter()
            .find(|g| Some(g.vmid) != own && g.name.as_ref().is_some_and(|n| n.as_str() == name));
        if let Some(twin) = twin {
            out.push(Problem::new(
                format!(
                    "a machine called {name} is already there and not known to this store: {} on {}",
                    twin.vmid, twin.node
                ),
                "rename it or remove it, or give the lab another name",
            ));
        }
    }
    out
}

fn cluster_notes(input: &PlanInput<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if input.view.quorate == Some(false) {
        notes.push("the cluster has no quorum: it changes nothing until enough of its nodes are back".to_owned());
    }
    notes
}

/// Clone mode and disk size against the template, once per distinct complaint.
fn clone_problems(input: &PlanInput<'_>, fates: &[(SeatSpec, Fate)], templates: &[&TemplateView]) -> Vec<Problem> {
    let mut out: Vec<Problem> = Vec::new();
    let mut add = |problem: Problem| {
        if !out.contains(&problem) {
            out.push(problem);
        }
    };
    for (spec, _) in fates.iter().filter(|(_, fate)| !matches!(fate, Fate::Settled { .. })) {
        for template in templates {
            if let Err(problem) = templates::mode(input.class.clone, &spec.machine, template) {
                add(problem);
            }
            let own = template.disks.first().map_or(0, |disk| disk.size);
            if let Some(disk) = spec.machine.disk.filter(|disk| disk.bytes() < own) {
                add(Problem::new(
                    format!("disk = \"{disk}\" is smaller than the {} of {}", Size(own).human(), template.name),
                    "disks are never shrunk: ask for at least as much, or leave disk out",
                ));
            }
        }
        if let Some(storage) = &spec.machine.storage
            && !input.view.storages.is_empty()
            && !input.view.storages.iter().any(|row| row.storage.as_str() == storage)
        {
            let mut there: Vec<&str> =
                input.view.storages.iter().filter(|row| row.images).map(|row| row.storage.as_str()).collect();
            there.sort_unstable();
            there.dedup();
            add(Problem::new(
                format!("site {} has no storage {storage}", input.class.site),
                format!("for VM disks it has {}", there.join(", ")),
            ));
        }
    }
    out
}

/// Shared storages that cannot hold all the new machines together.
fn room_problems(input: &PlanInput<'_>, fates: &[(SeatSpec, Fate)], templates: &[&TemplateView]) -> Vec<Problem> {
    let room = Room::new(input.view);
    let mut needs: BTreeMap<String, (u64, u64, usize)> = BTreeMap::new();
    for (spec, _) in fates.iter().filter(|(_, fate)| !matches!(fate, Fate::Settled { .. })) {
        let mut open = input.view.nodes.iter().filter(|node| node.online).map(|node| &node.node);
        let source = open.find_map(|node| {
            let source = templates::source_on(input.view, node, input.class.clone, &spec.machine, templates).ok()?;
            Some((room.left(&source, node)?, source))
        });
        if let Some((left, source)) = source.filter(|(_, source)| source.storage_shared) {
            let need = needs.entry(source.limit_storage.clone()).or_insert((left, 0, 0));
            need.1 += room.need(&source, growth(templates, spec, &source));
            need.2 += 1;
        }
    }
    needs.retain(|_, (left, need, _)| need > left);
    let problem = |(storage, (left, need, n)): (String, (u64, u64, usize))| {
        let (left, need) = (Size(left).human(), Size(need).human());
        let verb = if n == 1 { "needs" } else { "need" };
        Problem::new(
            format!("storage {storage} has {left} left and {} {verb} {need}", count(n, "new machine")),
            format!("free space on {storage}, or set another storage, or clone = \"linked\" where the storage can"),
        )
    };
    needs.into_iter().map(problem).collect()
}

/// What a template lacks for the roll call that is asked for.
fn template_notes(
    input: &PlanInput<'_>,
    templates: &[&TemplateView],
    problems: &mut Vec<Problem>,
    notes: &mut Vec<String>,
) {
    let proofs = roll_call(&input.class.rollcall);
    let cloud = &input.class.cloud_init;
    for template in templates {
        let label = format!("template {} ({})", template.name, template.vmid);
        if !proofs.is_empty() && !template.agent {
            notes.push(format!(
                "{label} has the guest agent off: it is switched on in each machine, but qemu-guest-agent must be \
                 installed in it, or the roll call waits in vain"
            ));
        }
        if template.cloud_init {
            continue;
        }
        let drive = format!("add one with `qm set {} --ide2 STORAGE:cloudinit`", template.vmid);
        if matches!(cloud.ip, Some(crate::domain::class::IpSource::Range { .. })) {
            problems
                .push(Problem::new(format!("{label} has no cloud-init drive, so cloud_init.ip reaches nobody"), drive));
        } else if proofs.contains(&StepName::Ssh) {
            notes.push(format!(
                "{label} has no cloud-init drive: the lab's key does not reach the guests and the ssh proof fails; \
                 {drive}, or set rollcall.ssh = false"
            ));
        } else if cloud != &crate::domain::class::CloudInit::default() {
            notes.push(format!("{label} has no cloud-init drive: [cloud_init] reaches nobody; {drive}"));
        }
    }
}

/// Why each node cannot take a machine.
type Reasons = Vec<(NodeName, String)>;

/// Seats that no node can take, with each node's reason; the same reasons are told once.
fn unplaced_problems(unplaced: &[(SeatName, Reasons)]) -> Vec<Problem> {
    let mut groups: Vec<(&Reasons, Vec<String>)> = Vec::new();
    for (seat, reasons) in unplaced {
        match groups.iter_mut().find(|(known, _)| *known == reasons) {
            Some((_, seats)) => seats.push(seat.to_string()),
            None => groups.push((reasons, vec![seat.to_string()])),
        }
    }
    let problem = |(reasons, seats): (&Reasons, Vec<String>)| {
        let why = match reasons.as_slice() {
            [] => "the site shows no nodes".to_owned(),
            // A full shared storage is one fact, not one per node.
            [(_, one), rest @ ..] if rest.iter().all(|(_, other)| other == one) => format!("on every node: {one}"),
            _ => reasons.iter().map(|(node, why)| format!("{node}: {why}")).collect::<Vec<_>>().join(", "),
        };
        Problem::new(
            format!("no node can take {} ({why})", listed(&seats)),
            "free what is short, or change storage, memory or placement in the definition",
        )
    };
    groups.into_iter().map(problem).collect()
}

/// The site while the plan fills it.
struct Work<'a> {
    input: &'a PlanInput<'a>,
    templates: Vec<&'a TemplateView>,
    board: Board,
    room: Room,
    unplaced: Vec<(SeatName, Reasons)>,
    problems: Vec<Problem>,
}

impl<'a> Work<'a> {
    fn new(input: &'a PlanInput<'a>, templates: Vec<&'a TemplateView>, fates: &[(SeatSpec, Fate)]) -> Self {
        let placement = &input.class.placement;
        let standing = fates.iter().filter(|(_, fate)| !matches!(fate, Fate::New { .. })).count();
        let mut board = Board::new(input.view, placement, input.site.memory_overcommit, standing);
        for (node, want) in input.commitments {
            board.commit(node, *want);
        }
        // Machines of this lab that do not run yet will.
        for (_, fate) in fates {
            if let Fate::Settled { home, .. } = fate
                && let Some(guest) = input.view.guest(home.vmid).filter(|g| g.power != Power::Running)
            {
                board.commit(&home.node, Want { cpus: guest.cpus, memory: guest.memory });
            }
        }
        Self { input, templates, board, room: Room::new(input.view), unplaced: Vec::new(), problems: Vec::new() }
    }

    fn seat(
        &mut self,
        spec: SeatSpec,
        fate: Fate,
        numbers: &mut impl Iterator<Item = crate::domain::Vmid>,
    ) -> Option<SeatPlan> {
        match fate {
            Fate::Settled { home, verb, changes, steps, why } => {
                Some(SeatPlan { changes, steps, ..self.plan(spec, home, verb, None, why) })
            }
            Fate::New { because } => {
                let (node, source, why) = self.place(&spec)?;
                let vmid = numbers.next()?;
                let why = because.map_or(why.clone(), |because| format!("{why}; {because}"));
                let steps =
                    Target { resize: self.grows(&spec, &source), ..Target::NEW }.steps(&self.input.class.rollcall);
                Some(SeatPlan { steps, ..self.plan(spec, Home { node, vmid }, Verb::Create, Some(source), why) })
            }
            Fate::Again { home, verb, why } => {
                let source = self.source_at(&spec, &home)?;
                let resize = self.grows(&spec, &source);
                let steps = Target { reserve: false, resize, ..Target::NEW }.steps(&self.input.class.rollcall);
                Some(SeatPlan { steps, ..self.plan(spec, home, verb, Some(source), why) })
            }
            Fate::Replace { home, stop, changes, why } => {
                let source = self.source_at(&spec, &home)?;
                let resize = self.grows(&spec, &source);
                let mut steps = if stop { vec![StepName::Stop] } else { Vec::new() };
                steps.push(StepName::Destroy);
                steps.extend(Target { reserve: false, resize, ..Target::NEW }.steps(&self.input.class.rollcall));
                let plan = self.plan(spec, home, Verb::Replace, Some(source), why);
                Some(SeatPlan { changes, steps, ..plan })
            }
        }
    }

    fn plan(&self, spec: SeatSpec, home: Home, verb: Verb, source: Option<CloneSource>, why: String) -> SeatPlan {
        SeatPlan {
            name: machine_name(&self.input.class.name, &spec.seat),
            seat: spec.seat.clone(),
            role: spec.role,
            verb,
            node: home.node,
            vmid: home.vmid,
            source,
            spec,
            changes: Vec::new(),
            steps: Vec::new(),
            why,
        }
    }

    /// The best node for a new machine, and what it is cloned from there.
    fn place(&mut self, spec: &SeatSpec) -> Option<(NodeName, CloneSource, String)> {
        let (input, templates) = (self.input, &self.templates);
        let room = &self.room;
        let source_on = |node: &NodeName| {
            let source = templates::source_on(input.view, node, input.class.clone, &spec.machine, templates)?;
            room.check(&source, node, room.need(&source, growth(templates, spec, &source)))?;
            Ok(source)
        };
        let placed = self.board.place(want(spec, templates), |node| source_on(node).map(|_| ()));
        let placed = match placed {
            Ok(placed) => placed,
            Err(reasons) => {
                self.unplaced.push((spec.seat.clone(), reasons));
                return None;
            }
        };
        let source = source_on(&placed.node).ok()?;
        let mode = self.template_of(&source).and_then(|t| templates::mode(input.class.clone, &spec.machine, t).ok());
        let why = match mode.and_then(|(_, why)| why) {
            Some(mode) => format!("{}; {mode}", placed.why),
            None => placed.why,
        };
        self.take_room(spec, &source, &placed.node);
        Some((placed.node, source, why))
    }

    /// What a machine is cloned from where it already has its place.
    fn source_at(&mut self, spec: &SeatSpec, home: &Home) -> Option<CloneSource> {
        let view = self.input.view;
        let source = templates::source_on(view, &home.node, self.input.class.clone, &spec.machine, &self.templates)
            .and_then(|source| {
                let need = self.room.need(&source, growth(&self.templates, spec, &source));
                self.room.check(&source, &home.node, need).map(|()| source)
            });
        match source {
            Ok(source) => {
                let counted = view.guest(home.vmid).is_some_and(|guest| guest.power == Power::Running);
                if !counted {
                    self.board.commit(&home.node, want(spec, &self.templates));
                }
                self.take_room(spec, &source, &home.node);
                Some(source)
            }
            Err(why) => {
                self.problems.push(Problem::new(
                    format!(
                        "{} cannot be cloned on {}, where {} is set aside for it: {why}",
                        spec.seat, home.node, home.vmid
                    ),
                    format!(
                        "put that right, or `homeroom destroy {}/{}` and deploy again",
                        self.input.class.name, spec.seat
                    ),
                ));
                None
            }
        }
    }

    fn take_room(&mut self, spec: &SeatSpec, source: &CloneSource, node: &NodeName) {
        let need = self.room.need(source, growth(&self.templates, spec, source));
        self.room.take(source, node, need);
    }

    fn template_of(&self, source: &CloneSource) -> Option<&'a TemplateView> {
        self.templates.iter().find(|t| t.vmid == source.template).copied()
    }

    fn grows(&self, spec: &SeatSpec, source: &CloneSource) -> bool {
        growth(&self.templates, spec, source) > 0
    }
}

/// How much the first disk grows behind the clone, in bytes.
fn growth(templates: &[&TemplateView], spec: &SeatSpec, source: &CloneSource) -> u64 {
    let own = templates.iter().find(|t| t.vmid == source.template).and_then(|t| t.disks.first()).map_or(0, |d| d.size);
    spec.machine.disk.map_or(0, |disk| disk.bytes().saturating_sub(own))
}

/// What a machine takes of its node: the definition's figures, else the template's.
fn want(spec: &SeatSpec, templates: &[&TemplateView]) -> Want {
    let template = templates.first();
    let cores = spec.machine.cores.or(template.map(|t| t.cores)).unwrap_or(1);
    let sockets = spec.machine.sockets.or(template.map(|t| t.sockets)).unwrap_or(1);
    let memory = spec.machine.memory.or(template.map(|t| Size::mib(t.memory_mib))).unwrap_or(Size::mib(512));
    Want { cpus: cores * sockets, memory: memory.bytes() }
}

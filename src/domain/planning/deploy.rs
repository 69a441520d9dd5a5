//! The plan of a deploy: every seat of the definition, then what is no longer in it.

use std::collections::BTreeMap;

use super::{
    PlanInput, Problem, addresses, destroy,
    difference::{Stays, stays},
    estimate::estimate,
    fallback, listed, problems, room, silent,
    standing::{Fate, Home, fate},
    steps::Target,
    templates::{self, Room, growth},
    vmids,
};
use crate::domain::{
    NodeName, Plan, SeatName, StepName,
    class::SeatSpec,
    cluster::TemplateView,
    event::RunKind,
    machine::machine_name,
    placement::{Board, Want},
    plan::{CloneSource, SeatPlan, Verb},
    size::Size,
};

/// What a deploy would do, or everything that stands in its way.
pub fn plan_deploy(input: &PlanInput<'_>) -> Result<Plan, Vec<Problem>> {
    let mut problems = problems::definition_problems(input);
    let mut notes = problems::cluster_notes(input);
    notes.extend(silent::given_up_note(input));
    let mut staying: BTreeMap<Stays, Vec<String>> = BTreeMap::new();
    let specs = addresses::settle(input).unwrap_or_else(|problem| {
        problems.push(problem);
        input.class.resolve()
    });
    let fates: Vec<(SeatSpec, Fate)> = specs
        .into_iter()
        .map(|spec| {
            let fate = fate(input, &spec, &mut notes);
            if matches!(fate, Fate::Settled { .. }) {
                for what in stays(input, &spec) {
                    staying.entry(what).or_default().push(spec.seat.to_string());
                }
            }
            (spec, fate)
        })
        .collect();
    notes.extend(staying.into_iter().map(|((what, why), seats)| {
        format!("kept though no longer in the definition: {what} of {}; {why}", listed(&seats))
    }));
    let clones = fates.iter().any(|(_, fate)| !matches!(fate, Fate::Settled { .. }));
    let templates = if clones { templates::candidates(input) } else { Ok(Vec::new()) }.unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    if clones && !templates.is_empty() {
        problems.extend(problems::clone_problems(input, &fates, &templates));
        problems.extend(problems::room_problems(input, &fates, &templates));
        problems::template_notes(input, &templates, &mut problems, &mut notes);
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
        let unplaced = problems::unplaced_problems(&work.unplaced);
        return Err(work.problems.into_iter().chain(unplaced).collect());
    }
    fallback::allow(input, &mut seats, &work.templates);
    let removals = destroy::removals(input, &mut notes);
    room::give_back(input, &mut work.board, &removals);
    seats.extend(removals);
    let rebuilds = input.rebuild.kept();
    Ok(Plan {
        kind: if !input.rebuild.seats.is_empty() { RunKind::Rebuild } else { RunKind::Deploy },
        lab: input.class.name.clone(),
        site: input.class.site.clone(),
        skipped_nodes: work.board.skipped(),
        memory_after: work.board.memory_after(),
        estimate: estimate(&seats, input.view, input.paces, &input.class.rollcall, &input.class.rollout),
        room: work.room.taken(),
        rollcall: input.class.rollcall.clone(),
        order: input.class.rollout.order,
        stagger: input.class.rollout.delay,
        pool: input.class.pool.clone(),
        fixes_drift: input.fix_drift,
        rebuilds,
        workshop: None,
        notes,
        seats,
    })
}

/// The site while the plan fills it.
struct Work<'a> {
    input: &'a PlanInput<'a>,
    templates: Vec<&'a TemplateView>,
    board: Board,
    room: Room,
    unplaced: Vec<(SeatName, problems::Reasons)>,
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
        let problems = room::of_standing(input, &mut board, &templates, fates);
        Self { input, templates, board, room: Room::new(input.view), unplaced: Vec::new(), problems }
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
            Fate::Again { home, verb, reserve, rest, why } => {
                let source = self.source_at(&spec, &home)?;
                let resize = self.grows(&spec, &source);
                let mut steps = if rest { vec![StepName::Destroy] } else { Vec::new() };
                steps.extend(Target { reserve, resize, ..Target::NEW }.steps(&self.input.class.rollcall));
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
            unlisted: false,
            name: machine_name(&self.input.class.name, &spec.seat),
            seat: spec.seat.clone(),
            role: spec.role,
            verb,
            node: home.node,
            vmid: Some(home.vmid),
            source,
            spec,
            changes: Vec::new(),
            steps: Vec::new(),
            why,
            person: None,
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
        let shown = input.shown.and_then(|plan| plan.seats.iter().find(|seat| seat.seat == spec.seat));
        let promised = shown.filter(|seat| seat.verb == Verb::Create).map(|seat| &seat.node);
        let placed = self.board.place(want(spec, templates), promised, |node| source_on(node).map(|_| ()));
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

/// What a machine takes of its node: the definition's figures, else the template's.
pub(super) fn want(spec: &SeatSpec, templates: &[&TemplateView]) -> Want {
    let template = templates.first();
    let cores = spec.machine.cores.or(template.map(|t| t.cores)).unwrap_or(1);
    let sockets = spec.machine.sockets.or(template.map(|t| t.sockets)).unwrap_or(1);
    let memory = spec.machine.memory.or(template.map(|t| Size::mib(t.memory_mib))).unwrap_or(Size::mib(512));
    Want { cpus: cores * sockets, memory: memory.bytes() }
}

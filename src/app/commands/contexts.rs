//! Where several commands are offered alike: lists of contexts.

use super::Context;

use Context as C;

pub(super) const OVERVIEW: &[Context] = &[C::Nodes, C::Classes, C::Workshops, C::Log];
pub(super) const FILTERED: &[Context] =
    &[C::Nodes, C::Classes, C::Workshops, C::Log, C::Board, C::LogScreen, C::Node, C::Runs, C::Run];
/// Where rows have columns to be ordered by.
pub(super) const ORDERED: &[Context] = &[C::Nodes, C::Classes, C::Workshops, C::Board, C::Node, C::Runs, C::Run];
pub(super) const LISTS: &[Context] = &[
    C::Nodes,
    C::Classes,
    C::Workshops,
    C::Log,
    C::Board,
    C::LogScreen,
    C::Runs,
    C::Run,
    C::Node,
    C::Machine,
    C::Shells,
    C::Answers,
];
pub(super) const SCROLLS: &[Context] = &[
    C::Nodes,
    C::Classes,
    C::Workshops,
    C::Log,
    C::Board,
    C::LogScreen,
    C::Runs,
    C::Run,
    C::Shells,
    C::Node,
    C::PlanPopup,
    C::HelpPopup,
    C::Answers,
    C::CopyPopup,
];
pub(super) const LABS: &[Context] = &[C::Classes, C::Workshops, C::Board];
/// Where a row has something to copy.
pub(super) const COPIED: &[Context] =
    &[C::Nodes, C::Classes, C::Workshops, C::Log, C::Board, C::LogScreen, C::Runs, C::Node, C::Machine];
/// Where rows are marked.
pub(super) const MARKED: &[Context] = &[C::Classes, C::Workshops, C::Board, C::Node];
pub(super) const MACHINES: &[Context] = &[C::Classes, C::Board, C::Node, C::Machine];
pub(super) const LOGS: &[Context] = &[C::Log, C::LogScreen];
pub(super) const ANYWHERE: &[Context] = &[
    C::Nodes,
    C::Classes,
    C::Workshops,
    C::Log,
    C::Board,
    C::LogScreen,
    C::Runs,
    C::Run,
    C::Shells,
    C::Node,
    C::Machine,
    C::Welcome,
    C::Form,
    C::Filter,
    C::PlanPopup,
    C::DestroyPopup,
    C::DeedPopup,
    C::CopyPopup,
    C::CancelPopup,
    C::TrustPopup,
    C::PassphrasePopup,
    C::HelpPopup,
    C::LogFilterPopup,
    C::PalettePopup,
    C::Answers,
    C::LinePopup,
    C::LabForm,
    C::OptionsPopup,
    C::LinesPopup,
    C::UnsavedPopup,
];

/// Where a row may have a shell. In a log the key looks for a text.
pub(super) const ENTERED: &[Context] =
    &[C::Nodes, C::Classes, C::Workshops, C::Board, C::Runs, C::Run, C::Node, C::Machine, C::Shells, C::Answers];

//! Definitions in an editor: a lab's own, or a new one begun with what the sites have. What was typed stays until it
//! is taken or given up by name.

use std::collections::BTreeSet;

use super::{Context, Effect, State, popup::Popup};
use crate::domain::{Clean, Definition, LabName, class::TemplateRef};

/// What a definition's text is opened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Form,
    Editor,
}

/// A text that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The lab it is the definition of; none for a new one.
    pub lab: Option<LabName>,
    pub text: String,
    pub why: Clean,
}

impl State {
    /// The text a new class begins with: what has to be said, and what the sites have to choose from.
    pub fn new_class(&self) -> String {
        let site = self.sites.keys().next().map_or("campus", |site| site.as_str());
        let (mut templates, mut storages, mut nodes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for view in self.sites.values().filter_map(|site| site.view.as_deref()) {
            let named = view.guests.iter().filter(|guest| guest.template).filter_map(|guest| guest.name.as_ref());
            templates.extend(named.map(Clean::as_str));
            storages
                .extend(view.storages.iter().filter(|storage| storage.images).map(|storage| storage.storage.as_str()));
            nodes.extend(view.nodes.iter().map(|node| node.node.as_str()));
        }
        let there = |names: &BTreeSet<&str>| match names.len() {
            0 => "none is seen yet".to_owned(),
            _ => names.iter().take(12).copied().collect::<Vec<_>>().join(", "),
        };
        let template = templates.first().copied().unwrap_or("ubuntu-22.04");
        let sites: Vec<_> = self.sites.keys().map(ToString::to_string).collect();
        format!(
            "# A new class. Saved and left, it is checked as `homeroom apply` checks it; left as it is, nothing happens.\n\
             kind = \"class\"\n\
             name = \"\"                            # a-z, 0-9 and -, beginning with a letter\n\
             site = \"{site}\"                      # there are: {}\n\
             template = \"{template}\"              # there are: {}\n\
             count = 10                           # or students = [\"ada\", \"grace\"]\n\
             teacher = true\n\
             \n\
             [machine]                            # otherwise as the template has it\n\
             # cores = 2\n\
             # memory = \"4G\"\n\
             # disk = \"32G\"\n\
             # storage = \"\"                      # there are: {}\n\
             \n\
             # [placement]\n\
             # nodes = []                         # there are: {}\n",
            sites.join(", "),
            there(&templates),
            there(&storages),
            there(&nodes),
        )
    }

    /// The text the form of a new class begins with.
    pub(super) fn blank_class(&self) -> String {
        let site = self.sites.iter().find(|(_, site)| site.view.is_some()).or_else(|| self.sites.iter().next());
        let view = site.and_then(|(_, site)| site.view.as_deref());
        let mut templates: Vec<_> = view
            .iter()
            .flat_map(|view| &view.guests)
            .filter(|it| it.template)
            .filter_map(|it| it.name.as_ref())
            .collect();
        // The one most classes here are made from, else the first by name.
        let used = |name: &Clean| {
            let made_from = |definition: &&Definition| matches!(definition, Definition::Class(class) if class.template == TemplateRef::Name(name.to_string()));
            self.definitions.iter().filter(made_from).count()
        };
        templates.sort_by(|a, b| used(b).cmp(&used(a)).then(a.cmp(b)));
        let mut text = "kind = \"class\"\n".to_owned();
        let mut say = |key: &str, value: String| text.push_str(&format!("{key} = {}\n", toml_edit::Value::from(value)));
        site.into_iter().for_each(|(name, _)| say("site", name.to_string()));
        templates.first().into_iter().for_each(|name| say("template", name.to_string()));
        text.push_str("count = 10\nteacher = true\n");
        text
    }

    /// The text the form of a new workshop begins with.
    pub(super) fn blank_workshop(&self) -> String {
        let site = self.engines.keys().next().map_or(String::new(), |site| format!("site = \"{site}\"\n"));
        format!("kind = \"workshop\"\n{site}seats = 10\n")
    }

    /// The text a new workshop begins with.
    pub fn new_workshop(&self) -> String {
        let engines: Vec<_> = self.engines.keys().map(ToString::to_string).collect();
        let site = engines.first().map_or("local", String::as_str);
        format!(
            "# A new workshop. Saved and left, it is checked as `homeroom apply` checks it; left as it is, nothing happens.\n\
             kind = \"workshop\"\n\
             name = \"\"                            # a-z, 0-9 and -, beginning with a letter\n\
             site = \"{site}\"                      # there are: {}\n\
             seats = 10\n\
             image = \"workspace:latest\"           # answers by HTTP on the ports below\n\
             ports = {{ terminal = 3001, files = 3002 }}\n\
             ends_after = \"4h\"\n",
            engines.join(", ")
        )
    }
}

/// `e` and `E`: the definition under the cursor.
pub(super) fn edit(state: &mut State, tool: Tool) -> Vec<Effect> {
    match state.target_lab().filter(|lab| state.definition(lab).is_some()) {
        Some(lab) => vec![Effect::PrintDefinition { lab, tool }],
        None => Vec::new(),
    }
}

/// `N`: a new class, or a new workshop where those are.
pub(super) fn begin(state: &mut State) -> Vec<Effect> {
    let text = if state.context() == Context::Workshops { state.new_workshop() } else { state.new_class() };
    vec![Effect::EditText { lab: None, text }]
}

/// Enter on what was not taken: the same text again.
pub(super) fn again(state: &mut State) -> Vec<Effect> {
    match state.popup.take() {
        Some(Popup::Draft(Draft { lab, text, .. })) => vec![Effect::EditText { lab, text }],
        other => {
            state.popup = other;
            Vec::new()
        }
    }
}

/// The editor was left.
pub(super) fn edited(lab: Option<LabName>, before: &str, text: String) -> Vec<Effect> {
    if text == before { Vec::new() } else { vec![Effect::Define { lab, text }] }
}

//! What a definition can choose from: what the sites were last seen to have, and a doubt where something else is named.

use std::collections::BTreeSet;

use super::{LabForm, LabKind, document::Shape, fields::Offer};
use crate::{
    app::{State, form::Kind},
    domain::{Clean, Definition, SiteName, nearest::meant},
};

impl State {
    /// Gives every field of the form its choices, and tells what of it is not there as far as was seen.
    pub(in crate::app) fn renew_choices(&mut self) {
        let Some(mut form) = self.lab_form.take() else { return };
        let asked = form.kind.fields();
        let is_cloud = self.cloud_chosen(&form);
        form.on_cloud(is_cloud);
        for n in 0..form.form.fields.len() {
            let Some(asked) = asked.iter().find(|asked| asked.path == form.form.fields[n].key) else { continue };
            let offered = self.offered(&form, asked.offer);
            let typed = form.form.fields[n].input.value().trim();
            let doubt = match &offered {
                _ if asked.path == "name" => self.name_taken(typed),
                _ if LabForm::is_of_cloud(asked.path) && !is_cloud && !typed.is_empty() => {
                    Some("only a cloud has this".into())
                }
                Some(there) => self.doubt(&form, asked.offer, asked.shape, typed, there),
                None => None,
            };
            let field = &mut form.form.fields[n];
            field.doubt = doubt;
            if let (Kind::Choice { of, .. }, Some(offered)) = (&mut field.kind, offered) {
                *of = offered;
            }
        }
        self.lab_form = Some(form);
    }

    /// The site chosen in the form.
    pub(in crate::app) fn site_chosen(&self, form: &LabForm) -> Option<SiteName> {
        form.value("site").parse().ok()
    }

    /// Whether the site chosen is a cloud.
    pub fn cloud_chosen(&self, form: &LabForm) -> bool {
        let engine = self.site_chosen(form).and_then(|site| self.engines.get(&site));
        engine.is_some_and(|engine| engine.is_cloud)
    }

    /// What there is to choose from; none where that is not known, or fixed.
    fn offered(&self, form: &LabForm, offer: Offer) -> Option<Vec<String>> {
        let site = self.site_chosen(form)?;
        let view = || self.sites.get(&site).and_then(|site| site.view.as_deref());
        let engine = || self.engines.get(&site);
        let mut found: BTreeSet<String> = BTreeSet::new();
        match offer {
            Offer::Nothing | Offer::Words(_) => return None,
            Offer::Sites if form.kind == LabKind::Class => found.extend(self.sites.keys().map(ToString::to_string)),
            Offer::Sites => found.extend(self.engines.keys().map(ToString::to_string)),
            Offer::Templates => {
                let templates = view()?.guests.iter().filter(|guest| guest.template);
                found
                    .extend(templates.map(|it| it.name.as_ref().map_or_else(|| it.vmid.to_string(), Clean::to_string)));
            }
            Offer::Storages => {
                let storages = view()?.storages.iter().filter(|storage| storage.images);
                found.extend(storages.map(|storage| storage.storage.to_string()));
            }
            Offer::Nodes => found.extend(view()?.nodes.iter().map(|node| node.node.to_string())),
            Offer::Bridges => found.extend(
                self.bridges.get(&site)?.as_ref().filter(|known| !known.is_empty())?.iter().map(ToString::to_string),
            ),
            Offer::Pools => {
                found.extend(view()?.guests.iter().filter_map(|guest| guest.pool.as_ref()).map(ToString::to_string));
            }
            Offer::Images => {
                let running = engine().and_then(|engine| engine.view.as_deref());
                found.extend(running.iter().flat_map(|view| &view.containers).map(|it| it.image.to_string()));
                let defined = self.definitions.iter().filter_map(|definition| match definition {
                    Definition::Workshop(workshop) => Some(workshop),
                    Definition::Class(_) => None,
                });
                found.extend(defined.flat_map(|workshop| workshop.images()).map(str::to_owned));
            }
            Offer::MachineTypes => {
                let prices = engine().and_then(|engine| engine.prices.as_ref());
                found.extend(
                    prices.iter().flat_map(|(prices, _)| prices.machines.keys().chain(prices.spot.keys())).cloned(),
                );
            }
        }
        Some(found.into_iter().filter(|name| !name.is_empty()).collect())
    }

    /// Something is named that the site was not seen to have.
    fn doubt(&self, form: &LabForm, offer: Offer, shape: Shape, typed: &str, there: &[String]) -> Option<Clean> {
        if !matches!(offer, Offer::Templates | Offer::Storages | Offer::Nodes | Offer::Bridges) {
            return None;
        }
        let site = self.site_chosen(form)?;
        let by_number = |name: &str| {
            let guests = self.sites.get(&site).and_then(|site| site.view.as_deref()).map(|view| &view.guests);
            offer == Offer::Templates
                && guests.into_iter().flatten().any(|guest| guest.template && guest.vmid.to_string() == name)
        };
        let named: Vec<&str> =
            if shape == Shape::Words { typed.split(',').map(str::trim).collect() } else { vec![typed] };
        let mut missing = named
            .into_iter()
            .filter(|name| !name.is_empty() && !there.iter().any(|known| known == name) && !by_number(name));
        let missing = missing.next()?;
        // One that stands alone in its field need not be named.
        let which = if shape == Shape::Words { format!("{missing} was ") } else { String::new() };
        let near = meant(missing, there.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        Some(format!("{which}not seen on {site}{near}").into())
    }

    fn name_taken(&self, typed: &str) -> Option<Clean> {
        let taken = self.definitions.iter().any(|definition| definition.name().as_str() == typed);
        taken.then(|| "there is a lab of this name already; choose another".into())
    }
}

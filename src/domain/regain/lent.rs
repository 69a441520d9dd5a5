//! What adopted machines had of their template, as far as it can be made out, and which of them are as their definition
//! says. Pure.

use std::collections::BTreeMap;

use crate::domain::{
    Clean, Vmid,
    class::SeatSpec,
    lent::{Lent, OPEN, is_card},
    verify::{Wanted, config_changes, config_unwanted, config_wanted},
};

type Config = BTreeMap<String, String>;

/// What a machine was cloned from: its number, its name, its settings where they can be read.
pub type Source<'a> = (Vmid, &'a Clean, Option<&'a Config>);

/// What the definition leaves open a machine has of its template, or it would be in the definition; what the
/// definition sets the template alone can tell.
pub fn lent(spec: Option<&SeatSpec>, machine: &Config, source: Option<Source<'_>>) -> Lent {
    let template = source.and_then(|(_, _, config)| config);
    let asked = spec.map(|spec| config_wanted(&alone(spec, ""), machine)).unwrap_or_default();
    let mut lent = Lent::from_template(source.map(|(vmid, name, _)| (vmid, name.clone())));
    for key in OPEN {
        if !asked.contains_key(key) {
            lent.put(key, machine.get(key).cloned());
        } else if let Some(template) = template {
            lent.put(key, template.get(key).cloned());
        }
    }
    if !asked.keys().any(|key| is_card(key)) {
        lent.put_cards(machine);
    } else if let Some(cards) = template.and_then(|template| cards(template, machine)) {
        lent.put_cards(&cards);
    }
    for (key, value) in machine.iter().filter(|(key, _)| is_card(key)) {
        if lent.card(key).is_none() {
            lent.add_card(key, value);
        }
    }
    lent
}

/// The template's cards with the machine's own models and MACs: nobody but the template has its own. None where the
/// machine has not all of them any more.
fn cards(template: &Config, machine: &Config) -> Option<Config> {
    let cards = template.iter().filter(|(key, _)| is_card(key));
    let of = |(key, theirs): (&String, &String)| {
        let own = machine.get(key)?.split(',').next()?;
        let rest: Vec<&str> = theirs.split(',').skip(1).collect();
        Some((key.clone(), [vec![own], rest].concat().join(",")))
    };
    cards.map(of).collect()
}

/// Whether a machine is as its definition says, by all that can be read. The keys it lets in are looked at elsewhere:
/// the lab's own may be another by now.
pub fn is_as_defined(spec: &SeatSpec, name: &str, machine: &Config) -> bool {
    let wanted = alone(spec, name);
    let changes = config_changes(&config_wanted(&wanted, machine), &config_unwanted(&wanted, machine), machine);
    changes.iter().all(|change| change.field == "sshkeys")
}

fn alone<'a>(spec: &'a SeatSpec, name: &'a str) -> Wanted<'a> {
    Wanted { spec, name, lab_key: None, mark: None, agent: false, lent: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Role, SeatName,
        class::{CloudInit, MachineSpec, Nic},
    };

    fn config(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn spec(machine: MachineSpec) -> SeatSpec {
        let seat = SeatName::new("ada").unwrap();
        SeatSpec { seat, role: Role::Student, machine, cloud_init: CloudInit::default(), address: None }
    }

    #[test]
    fn what_the_definition_sets_is_known_of_the_template_alone_and_no_card_gets_the_templates_mac() {
        let nic = vec![Nic { bridge: "vmbr1".to_owned(), vlan: None }];
        let spec = spec(MachineSpec { cores: Some(4), nic, ..MachineSpec::default() });
        let machine = config(&[("cores", "4"), ("memory", "2048"), ("net0", "virtio=BC:24:11:00:00:02,bridge=vmbr1")]);
        let template =
            config(&[("cores", "2"), ("memory", "1024"), ("net0", "e1000=BC:24:11:00:00:01,bridge=vmbr0,tag=3")]);
        let name = Clean::new("golden");
        let known = lent(Some(&spec), &machine, Some((Vmid::new(9000).unwrap(), &name, Some(&template))));
        assert_eq!((known.value("cores"), known.value("memory")), (Some("2"), Some("2048")));
        assert_eq!(known.card("net0"), Some("virtio=BC:24:11:00:00:02,bridge=vmbr0,tag=3"));
        let known = lent(Some(&spec), &machine, None);
        assert!(!known.knows("cores") && !known.knows_cards() && known.knows("memory"));
        assert_eq!(known.card("net0"), Some("virtio=BC:24:11:00:00:02,bridge=vmbr1"));
    }
}

//! The user's keys, from the configuration to the table of commands.

use crate::{
    app::{
        Command, Key,
        commands::{Commands, TABLE},
    },
    config::{ConfigError, KeySetting, UiSettings},
};

/// The commands, with the keys the configuration gives them; else everything that is wrong with those.
pub fn rekeyed(ui: &UiSettings, mut commands: Commands) -> Result<Commands, ConfigError> {
    let mut changed: Vec<(Command, &KeySetting)> = Vec::new();
    let mut wrong = Vec::new();
    for setting in &ui.keys {
        match rekey(setting, &mut commands) {
            Ok(command) => changed.push((command, setting)),
            Err(error) => wrong.push(error),
        }
    }
    let names: Vec<Command> = changed.iter().map(|(command, _)| *command).collect();
    for (command, refused) in commands.clashes(&names) {
        // Without a change there is no clash: the table has none.
        let setting = changed.iter().find(|(changed, _)| *changed == command).or(changed.last());
        wrong.extend(setting.map(|(_, setting)| setting.complain(refused)));
    }
    if wrong.is_empty() { Ok(commands) } else { Err(ConfigError::together(wrong)) }
}

fn rekey(setting: &KeySetting, commands: &mut Commands) -> Result<Command, ConfigError> {
    let command = Command::named(&setting.command).ok_or_else(|| setting.complain(unknown(&setting.command)))?;
    let keys: Vec<Key> = setting.keys.iter().map(|text| key(setting, text)).collect::<Result<_, _>>()?;
    commands.rebind(command, &keys).map_err(|refused| setting.complain(refused))?;
    Ok(command)
}

fn key(setting: &KeySetting, text: &str) -> Result<Key, ConfigError> {
    text.parse().map_err(|()| {
        let text: String = text.chars().filter(|c| !c.is_control()).take(20).collect();
        setting.complain(format!(
            "{text:?} is no key; one is a letter, or such as space, enter, f5, pgup, ctrl-r, shift-tab"
        ))
    })
}

/// What is said of a command that is not there, with the one that was perhaps meant.
fn unknown(name: &str) -> String {
    let names = || TABLE.iter().map(|entry| entry.command.name());
    let near = names().min_by_key(|known| strsim::osa_distance(name, known));
    let near = near.filter(|known| strsim::osa_distance(name, known) <= 1 + known.len() / 3);
    let near = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
    format!("there is no such command{near} (`?` and `:` in the dashboard name them)")
}

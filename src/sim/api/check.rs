//! Checks the parameters of a call against the schema, as Proxmox does, in its words.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use regex::Regex;
use serde_json::{Map, Value};

use super::schema::{Entry, Param};
use super::{Params, format, plain};

/// A parameter nobody knows.
pub const UNKNOWN: &str = "property is not defined in schema and the schema does not allow additional properties";
/// A parameter that must be there.
pub const MISSING: &str = "property is missing and it is not optional";

/// Checks and straightens parameters: single values become lists where a list is wanted, lists
/// become text where text is wanted, booleans become 0 and 1.
///
/// # Errors
/// For each parameter what is wrong with it.
pub fn params(entry: &Entry, given: &Params) -> Result<Params, Map<String, Value>> {
    let mut errors = Map::new();
    let mut good = Params::new();
    for (name, value) in given {
        match find(entry, name) {
            Some(spec) => match one(spec, value, name) {
                Ok(value) => {
                    good.insert(name.clone(), value);
                }
                Err(why) => {
                    errors.insert(name.clone(), Value::String(why));
                }
            },
            None if entry.takes_more() => {
                good.insert(name.clone(), value.clone());
            }
            None => {
                errors.insert(name.clone(), Value::String(UNKNOWN.into()));
            }
        }
        if let Some(other) = find(entry, name).and_then(|spec| spec.requires.as_ref())
            && !given.contains_key(other)
        {
            let why = format!("missing property - '{name}' requires this property");
            errors.insert(other.clone(), Value::String(why));
        }
    }
    for (name, spec) in &entry.parameters {
        if !spec.is_optional() && !name.contains('[') && !given.contains_key(name) {
            errors.insert(name.clone(), Value::String(MISSING.into()));
        }
    }
    if errors.is_empty() { Ok(good) } else { Err(errors) }
}

/// The specification of a parameter, `net3` being `net[n]`.
pub fn find<'a>(entry: &'a Entry, name: &str) -> Option<&'a Param> {
    entry.parameters.get(name).filter(|_| !name.contains('[')).or_else(|| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if stem.len() == name.len() {
            return None;
        }
        let number: u32 = name[stem.len()..].parse().ok()?;
        let most = match stem {
            "ide" => 3,
            "sata" => 5,
            "scsi" => 30,
            "virtio" => 15,
            "net" | "ipconfig" => 31,
            _ => 255,
        };
        entry.parameters.get(&format!("{stem}[n]")).filter(|_| number <= most)
    })
}

fn one(spec: &Param, value: &Value, name: &str) -> Result<Value, String> {
    match (spec.kind.as_deref(), value) {
        (Some("array"), Value::Array(items)) => {
            let inner = spec.items.as_deref();
            for item in items {
                if let Some(inner) = inner {
                    one(inner, item, name)?;
                }
            }
            Ok(value.clone())
        }
        (Some("array"), single) => {
            if let Some(inner) = spec.items.as_deref() {
                one(inner, single, name)?;
            }
            Ok(Value::Array(vec![single.clone()]))
        }
        (_, Value::Array(_)) if spec.format.as_deref().is_some_and(|name| name.ends_with("-list")) => {
            one(spec, &Value::String(plain(value)), name)
        }
        (kind, Value::Array(_)) => Err(format!("type check ('{}') failed - got ARRAY", kind.unwrap_or("string"))),
        (kind, Value::Object(_)) => Err(format!("type check ('{}') failed - got HASH", kind.unwrap_or("string"))),
        (Some("boolean"), Value::Bool(on)) => Ok(Value::String(if *on { "1" } else { "0" }.into())),
        (_, single) => {
            let text = plain(single);
            scalar(spec, &text, name, false)?;
            Ok(Value::String(text))
        }
    }
}

/// Checks one value inside a property string, where booleans may be words.
///
/// # Errors
/// The words.
pub fn inner(spec: &Param, text: &str, name: &str) -> Result<(), String> {
    scalar(spec, text, name, true)
}

fn scalar(spec: &Param, text: &str, name: &str, wordy: bool) -> Result<(), String> {
    let kind = spec.kind.as_deref().unwrap_or("string");
    let digits = text.trim_start_matches(['+', '-']);
    let fits = match kind {
        "integer" => text.len() - digits.len() <= 1 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
        "number" => text.parse::<f64>().is_ok(),
        "boolean" if wordy => matches!(text, "0" | "1" | "on" | "off" | "yes" | "no" | "true" | "false"),
        "boolean" => matches!(text, "0" | "1"),
        _ => true,
    };
    if !fits {
        return Err(format!("type check ('{kind}') failed - got '{text}'"));
    }
    if let Some(name_of_format) = &spec.format {
        format::format(name_of_format, text, name).map_err(|why| {
            let end = if why.ends_with('\n') { "" } else { "\n" };
            format!("invalid format - {why}{end}")
        })?;
    }
    if let Some(pattern) = &spec.pattern
        && !matches(pattern, text)
    {
        return Err("value does not match the regex pattern".into());
    }
    if let Some(longest) = spec.longest
        && text.chars().count() > longest
    {
        return Err(format!("value may only be {longest} characters long"));
    }
    if let Some(shortest) = spec.shortest
        && text.chars().count() < shortest
    {
        return Err(format!("value must be at least {shortest} characters long"));
    }
    if let Some(choices) = &spec.choices
        && !choices.iter().any(|choice| choice == text)
    {
        let all = choices.join(", ");
        return Err(format!("value '{text}' does not have a value in the enumeration '{all}'"));
    }
    if matches!(kind, "integer" | "number") {
        let number: f64 = text.parse().unwrap_or(0.0);
        if let Some(least) = spec.minimum.filter(|least| number < *least) {
            return Err(format!("value must have a minimum value of {least}"));
        }
        if let Some(most) = spec.maximum.filter(|most| number > *most) {
            return Err(format!("value must have a maximum value of {most}"));
        }
    }
    Ok(())
}

/// Matches a whole value against a Perl pattern. One this engine cannot read matches everything.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<BTreeMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let regex = compiled.entry(pattern.to_owned()).or_insert_with(|| {
        let plain = pattern.replace("(?^:", "(?:").replace("(?^i:", "(?i:").replace("{,", "{0,");
        Regex::new(&format!("^(?:{plain})$")).ok()
    });
    regex.as_ref().is_none_or(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    fn errors(template: &str, method: &str, given: Value) -> Map<String, Value> {
        let entry = schema::get().entry(template, method).unwrap();
        let mut all = given.as_object().unwrap().clone();
        all.insert("node".into(), "pve1".into());
        all.insert("vmid".into(), "201".into());
        params(entry, &all).err().unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_said_in_proxmox_words() {
        let config = "/nodes/{node}/qemu/{vmid}/config";
        let said = errors(config, "PUT", serde_json::json!({"cores": "many", "memory": "1"}));
        assert_eq!(said["cores"], "type check ('integer') failed - got 'many'");
        assert_eq!(
            said["memory"],
            "invalid format - format error\nmemory.current: value must have a minimum value of 16\n"
        );
        let said =
            errors("/nodes/{node}/qemu/{vmid}/clone", "POST", serde_json::json!({"newid": "50", "full": "true"}));
        assert_eq!(said["newid"], "invalid format - value does not look like a valid VM ID\n");
        assert_eq!(said["full"], "type check ('boolean') failed - got 'true'");
    }

    #[test]
    fn a_good_configuration_passes() {
        let said = errors(
            "/nodes/{node}/qemu/{vmid}/config",
            "PUT",
            serde_json::json!({
                "net0": "virtio=BC:24:11:32:0C:1B,bridge=vmbr0,tag=101",
                "ipconfig0": "ip=10.0.0.5/24,gw=10.0.0.1",
                "scsi0": "fast:9000/base-9000-disk-0.qcow2/101/vm-101-disk-0.qcow2,size=8G",
                "agent": "enabled=1,fstrim_cloned_disks=1", "tags": "homeroom;cs", "sshkeys": "ssh-ed25519%20AAAA",
                "cores": 2, "onboot": true
            }),
        );
        assert!(said.is_empty(), "{said:?}");
    }
}

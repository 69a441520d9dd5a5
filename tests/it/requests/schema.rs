//! Proxmox's schema as a judge of requests caught on the wire. Knows neither the client nor the simulated
//! cluster: it reads the asset itself, and a format it was not told of fails the test.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use regex::Regex;
use serde_json::Value;

/// A request as it went over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Behind `/api2/json`, decoded segment by segment.
    pub path: Vec<String>,
    /// From the query and the body, in order.
    pub params: Vec<(String, String)>,
}

impl Request {
    /// Reads head and body.
    pub fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut line = head.lines().next().unwrap().split(' ');
        let (method, url) = (line.next().unwrap(), line.next().unwrap());
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let path = path.strip_prefix("/api2/json/").unwrap_or_else(|| panic!("{url}"));
        // a body is a form only where it says so
        let is_form = head.to_ascii_lowercase().contains("content-type: application/x-www-form-urlencoded");
        assert!(body.is_empty() || is_form, "{head}");
        let params = [query, body].into_iter().flat_map(|text| text.split('&')).filter(|pair| !pair.is_empty());
        let params = params.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("{pair} is no pair"));
            assert!(!value.contains([';', '=', '+']), "{pair}: Proxmox would split it, or take + for a blank");
            (decoded(name), decoded(value))
        });
        Self { method: method.to_owned(), path: path.split('/').map(decoded).collect(), params: params.collect() }
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            assert!(byte.is_ascii_alphanumeric() || b"-_.~:!@".contains(&byte), "{text}: unescaped {byte}");
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

pub struct Schema(Value);

impl Schema {
    pub fn load() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/pve-schema.json");
        Self(serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
    }

    /// The call a request makes, such as `PUT /nodes/{node}/qemu/{vmid}/config`.
    pub fn call(&self, request: &Request) -> String {
        let fits = |template: &&String| {
            let parts: Vec<&str> = template[1..].split('/').collect();
            parts.len() == request.path.len()
                && parts.iter().zip(&request.path).all(|(part, own)| part.starts_with('{') || part == own)
        };
        let paths = self.0["paths"].as_object().unwrap();
        let found = paths.keys().filter(fits).min_by_key(|template| template.matches('{').count());
        let template = found.unwrap_or_else(|| panic!("Proxmox knows no {:?}", request.path));
        format!("{} {template}", request.method)
    }

    /// What Proxmox would refuse in a request.
    pub fn refuses(&self, request: &Request) -> Vec<String> {
        let call = self.call(request);
        let (method, template) = call.split_once(' ').unwrap();
        let Some(entry) = self.0["paths"][template].get(method) else { return vec![format!("no {call}")] };
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (part, own) in template[1..].split('/').zip(&request.path) {
            if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                given.entry(name.to_owned()).or_default().push(own.clone());
            }
        }
        for (name, value) in &request.params {
            given.entry(name.clone()).or_default().push(value.clone());
        }
        let none = serde_json::Map::new();
        let specs = entry["parameters"].as_object().unwrap_or(&none);
        let mut found = Vec::new();
        for (name, values) in &given {
            let Some(spec) = spec_of(specs, name) else {
                found.push(format!("{name}: not known"));
                continue;
            };
            if values.len() > 1 && spec["type"] != "array" {
                found.push(format!("{name}: sent {} times", values.len()));
            }
            let spec = if spec["type"] == "array" { &spec["items"] } else { spec };
            found.extend(values.iter().filter_map(|value| self.wrong(spec, value)).map(|why| format!("{name}: {why}")));
            if let Some(other) = spec["requires"].as_str().filter(|other| !given.contains_key(*other)) {
                found.push(format!("{name}: needs {other}"));
            }
        }
        let missing = specs.iter().filter(|(name, spec)| spec["optional"] != 1 && !given.contains_key(*name));
        found.extend(missing.map(|(name, _)| format!("{name}: missing")));
        found
    }

    /// What is wrong with a value.
    fn wrong(&self, spec: &Value, value: &str) -> Option<String> {
        let not = |what: &str| Some(format!("{value:?} is {what}"));
        let length = value.chars().count() as u64;
        match spec["type"].as_str().unwrap_or("string") {
            "integer" if value.parse::<i64>().is_err() => return not("no integer"),
            "number" if value.parse::<f64>().is_err() => return not("no number"),
            "boolean" if !["0", "1"].contains(&value) => return not("neither 0 nor 1"),
            "integer" | "number" => {
                let number: f64 = value.parse().unwrap();
                if spec["minimum"].as_f64().is_some_and(|least| number < least)
                    || spec["maximum"].as_f64().is_some_and(|most| number > most)
                {
                    return not("out of range");
                }
            }
            _ => {}
        }
        if spec["enum"].as_array().is_some_and(|all| !all.contains(&value.into())) {
            return not("no choice");
        }
        if let Some(pattern) = spec["pattern"].as_str() {
            let pattern = pattern.replace("(?^:", "(?:");
            if !Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(value) {
                return not("not of the pattern");
            }
        }
        if spec["maxLength"].as_u64().is_some_and(|most| length > most)
            || spec["minLength"].as_u64().is_some_and(|least| length < least)
        {
            return not("too long or too short");
        }
        spec["format"].as_str().and_then(|format| self.format(format, value))
    }

    fn format(&self, format: &str, value: &str) -> Option<String> {
        if let Some(one) = format.strip_suffix("-list") {
            let parts = value.split([',', ';', ' ']).filter(|part| !part.is_empty());
            return parts.filter_map(|part| self.format(one, part)).next();
        }
        if let Some(keys) = self.0["formats"].get(format) {
            return self.properties(keys, value);
        }
        let matches = |pattern: &str| Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(value);
        let address = |v4: bool| {
            let (ip, prefix) = value.split_once('/')?;
            let (ip, prefix) = (ip.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?);
            (ip.is_ipv4() == v4 && prefix <= if v4 { 32 } else { 128 }).then_some(())
        };
        let good = match format {
            "pve-node" | "dns-name" => {
                let label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
                matches(&if format == "pve-node" { label.to_owned() } else { format!(r"{label}(?:\.{label})*") })
            }
            "pve-vmid" => matches("[1-9][0-9]{2,8}"),
            "pve-configid" => matches("[a-zA-Z][a-zA-Z0-9_-]+"),
            "pve-poolid" => matches("[A-Za-z0-9._/-]+"),
            "pve-storage-id" => matches("[a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]"),
            "pve-tag" => matches("[a-zA-Z0-9_][a-zA-Z0-9_+.-]*"),
            "pve-volume-id-or-qm-path" => matches(r"[a-zA-Z][a-zA-Z0-9._-]*:\S+"),
            "pve-bridge-id" => matches("[A-Za-z0-9_.-]+"),
            "urlencoded" => matches("[A-Za-z0-9._~%-]*"),
            "address" => value.parse::<IpAddr>().is_ok() || matches("[A-Za-z0-9.-]+"),
            "mac-addr" => matches("(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"),
            "pve-vm-cpu-conf" => matches(r"[A-Za-z0-9_.-]+(?:,[a-z-]+=[A-Za-z0-9_.;+-]+)*"),
            "ipv4" => value.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()),
            "ipv6" => value.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
            "pve-ipv4-config" => value == "dhcp" || address(true).is_some(),
            "pve-ipv6-config" => ["dhcp", "auto"].contains(&value) || address(false).is_some(),
            "pve-qm-ipconfig" => {
                return value.split(',').find_map(|part| {
                    let format = match part.split_once('=')?.0 {
                        "ip" => "pve-ipv4-config",
                        "ip6" => "pve-ipv6-config",
                        "gw" => "ipv4",
                        "gw6" => "ipv6",
                        other => return Some(format!("{other:?} is no key of ipconfig")),
                    };
                    self.format(format, part.split_once('=')?.1)
                });
            }
            "disk-size" => matches(r"\d+(?:\.\d+)?[KMGT]?"),
            other => panic!("what is a {other}? ({value:?})"),
        };
        (!good).then(|| format!("{value:?} is no {format}"))
    }

    /// `key=value,…`, of which one may stand without its key.
    fn properties(&self, keys: &Value, value: &str) -> Option<String> {
        for part in value.split(',') {
            let (key, value) = match part.split_once('=') {
                Some(pair) => pair,
                None => {
                    let default = keys.as_object()?.iter().find(|(_, spec)| spec["default_key"] == 1);
                    let Some((key, _)) = default else { return Some(format!("{part:?} stands alone")) };
                    (key.as_str(), part)
                }
            };
            let Some(mut spec) = keys.get(key) else { return Some(format!("{key:?} is no key of {value:?}")) };
            while let Some(other) = spec["alias"].as_str() {
                spec = &keys[other];
            }
            if let Some(why) = self.wrong(spec, value) {
                return Some(format!("{key}: {why}"));
            }
        }
        None
    }
}

/// `net0` is described as `net[n]`.
fn spec_of<'a>(specs: &'a serde_json::Map<String, Value>, name: &str) -> Option<&'a Value> {
    let numbered = || format!("{}[n]", name.trim_end_matches(|c: char| c.is_ascii_digit()));
    specs.get(name).or_else(|| specs.get(&numbered()))
}

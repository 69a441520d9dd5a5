//! A container engine that says what a test wants it to say, in Docker's protocol on a socket of its own: for what no
//! real engine at hand can be made to be. It answers questions only, and remembers what else it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What it says of itself.
#[derive(Clone)]
pub struct Facts {
    pub api: &'static str,
    /// `GET /info`
    pub info: Value,
    /// Of every image: `GET /images/NAME/json`.
    pub image: Value,
}

impl Default for Facts {
    /// An engine on which everything is well.
    fn default() -> Self {
        Self {
            api: "1.43",
            info: json!({
                "Name": "hall", "ServerVersion": "24.0.5", "NCPU": 8, "MemTotal": 16_i64 << 30, "Architecture": "x86_64",
                "MemoryLimit": true, "CpuCfsQuota": true, "PidsLimit": true, "DockerRootDir": "/",
            }),
            image: json!({"Id": "sha256:1", "Architecture": "amd64", "Config": {"Cmd": ["/start"]}}),
        }
    }
}

pub struct FakeEngine {
    folder: TempDir,
    /// Requests other than questions.
    orders: Arc<Mutex<Vec<String>>>,
}

impl FakeEngine {
    pub fn start(facts: Facts) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let orders: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = orders.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (facts, noted) = (facts.clone(), noted.clone());
                thread::spawn(move || serve(stream, &facts, &noted));
            }
        });
        Self { folder, orders }
    }

    /// As Docker's own client is told it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// A configuration with the site `hall` on it; the store beside it.
    pub fn config(&self) -> PathBuf {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let text = format!(
            "[sites.hall]\nkind = \"docker\"\nenvironment = \"dev\"\nhost = \"unix://{}\"\n[store]\npath = \"{}\"\n",
            path("socket"),
            path("homeroom.db")
        );
        std::fs::write(path("config.toml"), text).unwrap();
        self.folder.path().join("config.toml")
    }

    pub fn orders(&self) -> Vec<String> {
        self.orders.lock().unwrap().clone()
    }
}

fn serve(stream: UnixStream, facts: &Facts, orders: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let request = line.trim().to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            if lines.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        let _ = lines.read_exact(&mut vec![0; length]);
        if !request.starts_with("GET ") {
            orders.lock().unwrap().push(request.clone());
        }
        let (status, body) = answer(&request, facts);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let written = write!(
            stream,
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        if written.is_err() {
            return;
        }
    }
}

fn answer(request: &str, facts: &Facts) -> (u16, Value) {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    // With the version that was agreed on, or before there is one.
    let path = path.strip_prefix("/v1.").and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
    match path {
        "/version" => (200, json!({"ApiVersion": facts.api, "MinAPIVersion": "1.12", "Version": "24.0.5"})),
        "/info" => (200, facts.info.clone()),
        "/containers/json" | "/networks" => (200, json!([])),
        "/events" => (200, Value::Null),
        _ if path.starts_with("/images/") => (200, facts.image.clone()),
        _ => (500, json!({"message": format!("nobody expects {request}")})),
    }
}

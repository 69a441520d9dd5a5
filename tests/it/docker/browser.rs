//! The join page in a real browser: Chromium without a screen, driven by WebDriver over plain HTTP.
//!
//! With `HOMEROOM_SCREENSHOTS` set to a folder, what is seen is kept there.

use std::{net::SocketAddr, process::Child};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;

/// A browser with a profile of its own, on a phone's screen, where scripts of pages do not run.
struct Browser {
    driver: Child,
    at: SocketAddr,
    session: String,
    _profile: TempDir,
}

impl Browser {
    fn open() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium-driver is installed");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| {
                let line = line.unwrap();
                line.split("started successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok()
            })
            .expect("chromedriver says its port");
        // It stops when nobody reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self { driver, at: ([127, 0, 0, 1], port).into(), session: String::new(), _profile: profile };
        let data = browser._profile.path().join("data");
        let flags = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-proxy-server".to_owned(),
            "--window-size=360,740".to_owned(),
            "--host-resolver-rules=MAP * 127.0.0.1".to_owned(),
            format!("--user-data-dir={}", data.display()),
        ];
        let no_scripts = json!({"profile.managed_default_content_settings.javascript": 2});
        let chrome = json!({"args": flags, "prefs": no_scripts, "mobileEmulation": {"deviceMetrics": {"width": 360, "height": 740, "pixelRatio": 2.0, "touch": true}}});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": chrome}}});
        let begun = browser.ask("POST", "/session", &wanted);
        browser.session = begun["sessionId"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned();
        browser
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if method == "POST" { body.to_string() } else { String::new() };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["value"].clone()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.ask("POST", &format!("/session/{}{path}", self.session), body);
        assert!(answer.get("error").is_none(), "{path}: {answer}");
        answer
    }

    fn get(&self, path: &str) -> Value {
        self.ask("GET", &format!("/session/{}{path}", self.session), &Value::Null)
    }

    fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    fn find(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    fn text(&self, selector: &str) -> String {
        self.get(&format!("/element/{}/text", self.find(selector))).as_str().unwrap().to_owned()
    }

    /// What a screen reader calls it.
    fn label(&self, selector: &str) -> String {
        self.get(&format!("/element/{}/computedlabel", self.find(selector))).as_str().unwrap().to_owned()
    }

    fn kind(&self, keys: &str, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": keys }));
    }

    fn click(&self, selector: &str) {
        self.post(&format!("/element/{}/click", self.find(selector)), &json!({}));
    }

    /// The answer of a script that only reads.
    fn reads(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": format!("return {script}"), "args": []}))
    }

    /// Waits for a page: a click does not always.
    fn until(&self, script: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let body = json!({"script": format!("return {script}"), "args": []});
            // Between two pages there is none to ask.
            let seen = self.ask("POST", &format!("/session/{}/execute/sync", self.session), &body);
            if seen == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{script} is {seen}, not {wanted}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("HOMEROOM_SCREENSHOTS") else { return };
        let picture = self.get("/screenshot");
        let bytes = STANDARD.decode(picture.as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Every text on the page against what is behind it: at least 4.5 : 1.
    fn is_readable(&self) {
        let script = "(() => {
            const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => { v /= 255;
                return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
                if (c !== 'rgba(0, 0, 0, 0)' && c !== 'transparent') return c; } return 'rgb(255, 255, 255)'; };
            let worst = 21;
            for (const e of document.querySelectorAll('h1, p, label, input, button, a, strong')) {
                const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
                worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)); }
            return worst; })()";
        let worst = self.reads(script).as_f64().unwrap();
        assert!(worst >= 4.5, "contrast is {worst} : 1");
        let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        assert_eq!(self.reads(fits), true, "it has to be moved sideways");
        let touched = "Math.min(...[...document.querySelectorAll('input, button, a.open')].map(e => e.getBoundingClientRect().height))";
        assert!(self.reads(touched).as_f64().is_none_or(|height| height >= 44.0), "too small to touch");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            self.ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
#[ignore = "needs a Docker engine and Chromium"]
fn somebody_with_a_phone_joins_by_the_page_and_opens_a_terminal() {
    let lab = Lab::new(2);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let (code, serving) = (lab.code(), lab.serve());
    let browser = Browser::open();
    browser.go(&format!("http://{}/", serving.at));
    assert_eq!(browser.reads("document.documentElement.lang"), "en");
    assert_eq!(browser.reads("document.title"), "Join a workshop");
    assert_eq!((browser.label("#code"), browser.label("#name")), ("Code".to_owned(), "Your name".to_owned()));
    assert_eq!(browser.label("button"), "Join");
    browser.is_readable();
    browser.picture("join");

    // A wrong code: said at its field, which is where one is.
    browser.kind("zzzzzz", "#code");
    browser.kind("Ada", "#name");
    browser.click("button");
    browser.until("document.title", "Error: join a workshop");
    assert!(browser.text("#code-problem").contains("No workshop has this code"));
    let described = "document.getElementById('code').getAttribute('aria-describedby').split(' ').every(id => document.getElementById(id))";
    assert_eq!(browser.reads(described), true);
    assert_eq!(browser.reads("document.activeElement.id"), "code");
    assert_eq!(browser.reads("document.getElementById('name').value"), "Ada");
    browser.is_readable();
    browser.picture("join-wrong");

    browser.kind(&code.to_lowercase(), "#code");
    browser.click("button");
    browser.until("document.querySelector('h1').innerText", "Welcome, Ada");
    assert!(browser.text("main").contains("You have seat-01 of intro"));
    browser.is_readable();
    browser.picture("seat");
    let link = browser.reads("document.querySelector('a.open').href");
    browser.click("a.open");
    browser.until("document.body.innerText.trim()", "the terminal");
    // The token is no longer in the address, and opens the files too.
    let address = browser.get("/url").as_str().unwrap().to_owned();
    assert!(address.ends_with("/vm/1/terminal/"), "{address}");
    browser.go(&address.replace("terminal", "files"));
    assert!(browser.text("body").contains("the files"));
    browser.go(&address.replace("/vm/1/", "/vm/2/"));
    assert!(browser.text("body").contains("needs the token"));

    // Back by another way, the same seat.
    browser.go(&format!("http://{}/?code={code}", serving.at));
    browser.kind(" ada ", "#name");
    browser.click("button");
    // As the name was typed first.
    browser.until("document.querySelector('h1').innerText", "Welcome back, ada");
    assert_eq!(browser.reads("document.querySelector('a.open').href"), link);
}

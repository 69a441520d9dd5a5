//! The example workspace, built from Debian's packages, as seats of a workshop: a terminal and files in a browser.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use super::{Lab, PROXY, get, token};

/// Several times what building takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
#[ignore = "needs a Docker engine, mmdebstrap and a Debian mirror; takes a minute"]
fn the_example_workspace_is_built_without_a_registry_and_has_a_terminal_and_files() {
    let lab = Lab::new(1);
    let built = Command::new("assets/workspace/build.sh")
        .arg("homeroom-test/debian:1")
        .env("DOCKER_HOST", &lab.socket)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    lab.define(1, "homeroom-test/debian:1");
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let said = lab.runs(&["exec", "intro", "--", "su - student -c 'id -un; echo hello > note.txt'"], 0);
    assert!(said.contains("student"), "{said}");

    let seats = lab.json(&["roster", "intro", "--json"], 0)["seats"].clone();
    let cookie = format!("homeroom={}", token(&seats[0]));
    let (status, answer) = get("/vm/1/files/note.txt", &cookie);
    assert!(status == 200 && answer.contains("hello"), "{answer}");
    assert_eq!(get("/vm/1/files/note.txt", "").0, 403);
    // Files are put there, edited and removed, and none outside the home is reached.
    for (path, body) in [("", "make=plan.txt"), ("plan.txt", "text=first+line"), ("", "remove=note.txt")] {
        assert_eq!(super::post(&format!("/vm/1/files/{path}"), &cookie, body).0, 303, "{path} {body}");
    }
    assert!(get("/vm/1/files/plan.txt", &cookie).1.contains("first line"));
    assert_eq!(get("/vm/1/files/note.txt", &cookie).0, 404);
    assert_eq!(get("/vm/1/files/%2fetc/passwd", &cookie).0, 403);
    assert!(lab.runs(&["exec", "intro", "--", "ls -l /home/student/plan.txt"], 0).contains("student student"));

    let (status, answer) = get("/vm/1/terminal/", &cookie);
    assert!(status == 200 && answer.contains("xterm.js"), "{answer}");
    assert_eq!(get("/vm/1/terminal/static/xterm.js", &cookie).0, 200);
    assert!(web_socket("").is_err_and(|status| status == 403));
    let mut shell = web_socket(&cookie).unwrap();
    typed(&mut shell, r#"["stdin","echo $((40+2)) | tee answer\r"]"#);
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains(r"42\r\n") {
        let mut piece = [0; 512];
        let read = shell.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&piece[..read]);
    }
    assert!(get("/vm/1/files/answer", &cookie).1.contains("42"));
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}

/// A WebSocket to the seat's terminal, as a browser opens it; else the status of the refusal.
fn web_socket(cookie: &str) -> Result<TcpStream, u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", PROXY)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /vm/1/terminal/ws HTTP/1.1\r\nHost: localhost:{PROXY}\r\nOrigin: http://localhost:{PROXY}\r\n\
         Cookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    match String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().parse().unwrap() {
        101 => Ok(stream),
        status => Err(status),
    }
}

/// A text in one masked frame.
fn typed(stream: &mut TcpStream, text: &str) {
    let mask = [1, 2, 3, 4];
    let masked = text.bytes().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let frame: Vec<u8> =
        [0x81, 0x80 | u8::try_from(text.len()).unwrap()].into_iter().chain(mask).chain(masked).collect();
    stream.write_all(&frame).unwrap();
}

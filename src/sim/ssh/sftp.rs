//! A guest's SFTP server: version 3 of the protocol, as OpenSSH speaks it, over one channel.

use std::collections::HashMap;

use super::{
    Place,
    channel::{Came, Client},
};
use crate::sim::guest::{
    Inside, Session, absolute,
    tree::{self, No},
};

/// No request is longer, as with OpenSSH.
const LONGEST: usize = 256 << 10;
/// Most that one answer carries of a file.
const MOST_READ: usize = 64 << 10;
/// Names in one answer about a folder.
const NAMES: usize = 100;

const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;

const OK: u32 = 0;
const EOF: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
const FAILURE: u32 = 4;
const BAD_MESSAGE: u32 = 5;
const UNSUPPORTED: u32 = 8;

/// What a handle stands for.
enum Open {
    File(String),
    /// The folder, and the names not told yet.
    Folder(String, Vec<String>),
}

/// Serves the subsystem until the client leaves.
pub(super) async fn serve(client: &mut Client, place: &mut dyn Place) {
    let mut server = Server { open: HashMap::new(), next: 0 };
    let mut waiting: Vec<u8> = Vec::new();
    loop {
        match client.next().await {
            Came::Bytes(bytes) => waiting.extend(bytes),
            Came::Resized | Came::Interrupt => continue,
            Came::Eof | Came::Closed => return,
        }
        while let Some((length, rest)) = waiting.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if length == 0 || length > LONGEST {
                return;
            }
            let Some(packet) = rest.get(..length) else { break };
            let answer = server.answer(place, packet);
            waiting.drain(..4 + length);
            let mut framed = (answer.len() as u32).to_be_bytes().to_vec();
            framed.extend(answer);
            client.print(framed).await;
        }
    }
}

/// Reads the fields of a request.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn long(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let bytes = self.0.get(..length)?;
        self.0 = &self.0[length..];
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes()?).into_owned())
    }
}

struct Server {
    open: HashMap<u32, Open>,
    next: u32,
}

impl Server {
    fn answer(&mut self, place: &mut dyn Place, packet: &[u8]) -> Vec<u8> {
        let (kind, mut fields) = (packet[0], Fields(&packet[1..]));
        if kind == 1 {
            return [&[2][..], &3_u32.to_be_bytes()].concat();
        }
        let Some(id) = fields.number() else { return status(0, BAD_MESSAGE, "Bad message") };
        let mut answer = None;
        let there = place.inside(&mut |inside, session| {
            answer = Some(self.asked(inside, session, id, kind, &mut Fields(fields.0)));
        });
        match answer {
            Some(answer) if there => answer.unwrap_or_else(|| status(id, BAD_MESSAGE, "Bad message")),
            _ => status(id, FAILURE, "Failure"),
        }
    }

    /// None for a request that cannot be read.
    fn asked(
        &mut self,
        inside: &mut Inside,
        session: &Session,
        id: u32,
        kind: u8,
        fields: &mut Fields<'_>,
    ) -> Option<Vec<u8>> {
        let path = |fields: &mut Fields<'_>| fields.text().map(|path| absolute(session, &path));
        Some(match kind {
            3 => {
                let (path, flags) = (path(fields)?, fields.number()?);
                let (write, make, empty) = (flags & 2 != 0, flags & 8 != 0, flags & 16 != 0);
                let there = tree::about(inside, session, &path);
                let opened = match there {
                    Ok(about) if about.folder => Err(No::Failure("Is a directory")),
                    Ok(_) if !write => tree::open(inside, session, &path),
                    Ok(_) => tree::create(inside, session, &path, empty),
                    Err(_) if write && make => tree::create(inside, session, &path, empty),
                    Err(no) => Err(no),
                };
                match opened {
                    Ok(()) => self.handle(id, Open::File(path)),
                    Err(no) => refused(id, no),
                }
            }
            4 => {
                let handle = handle(fields)?;
                told(id, self.open.remove(&handle).map(drop).ok_or(No::Failure("Failure")))
            }
            5 => {
                let (handle, from, most) = (handle(fields)?, fields.long()?, fields.number()? as usize);
                let Some(Open::File(path)) = self.open.get(&handle) else {
                    return Some(status(id, FAILURE, "Failure"));
                };
                match tree::read(inside, session, path, from, most.min(MOST_READ)) {
                    Ok(bytes) if bytes.is_empty() => status(id, EOF, "End of file"),
                    Ok(bytes) => {
                        let mut answer = head(DATA, id);
                        string(&mut answer, &bytes);
                        answer
                    }
                    Err(no) => refused(id, no),
                }
            }
            6 => {
                let (handle, from, bytes) = (handle(fields)?, fields.long()?, fields.bytes()?);
                let Some(Open::File(path)) = self.open.get(&handle) else {
                    return Some(status(id, FAILURE, "Failure"));
                };
                told(id, tree::write(inside, path, from, bytes))
            }
            7 | 17 => {
                let path = path(fields)?;
                about(inside, session, id, &path)
            }
            8 => match self.open.get(&handle(fields)?) {
                Some(Open::File(path) | Open::Folder(path, _)) => about(inside, session, id, path),
                None => status(id, FAILURE, "Failure"),
            },
            // Times are taken and not kept.
            9 => {
                let path = path(fields)?;
                told(id, set(inside, session, &path, mode(fields)?))
            }
            10 => match self.open.get(&handle(fields)?) {
                Some(Open::File(path) | Open::Folder(path, _)) => told(id, set(inside, session, path, mode(fields)?)),
                None => status(id, FAILURE, "Failure"),
            },
            11 => {
                let path = path(fields)?;
                match tree::list(inside, session, &path) {
                    Ok(mut names) => {
                        names.splice(0..0, [".".to_owned(), "..".to_owned()]);
                        self.handle(id, Open::Folder(path, names))
                    }
                    Err(no) => refused(id, no),
                }
            }
            12 => self.names(inside, session, id, handle(fields)?),
            13 => {
                let path = path(fields)?;
                told(id, tree::remove(inside, session, &path))
            }
            14 => {
                let path = path(fields)?;
                told(id, tree::make_folder(inside, session, &path))
            }
            16 => {
                let path = path(fields)?;
                let mut answer = head(NAME, id);
                answer.extend(1_u32.to_be_bytes());
                string(&mut answer, path.as_bytes());
                string(&mut answer, path.as_bytes());
                answer.extend(0_u32.to_be_bytes());
                answer
            }
            18 => {
                let (from, to) = (path(fields)?, path(fields)?);
                told(id, tree::rename(inside, session, &from, &to))
            }
            _ => status(id, UNSUPPORTED, "Operation unsupported"),
        })
    }

    fn handle(&mut self, id: u32, open: Open) -> Vec<u8> {
        self.next += 1;
        self.open.insert(self.next, open);
        let mut answer = head(HANDLE, id);
        string(&mut answer, &self.next.to_be_bytes());
        answer
    }

    fn names(&mut self, inside: &Inside, session: &Session, id: u32, handle: u32) -> Vec<u8> {
        let Some(Open::Folder(path, left)) = self.open.get_mut(&handle) else { return status(id, FAILURE, "Failure") };
        if left.is_empty() {
            return status(id, EOF, "End of file");
        }
        let names: Vec<String> = left.drain(..left.len().min(NAMES)).collect();
        let mut answer = head(NAME, id);
        answer.extend((names.len() as u32).to_be_bytes());
        for name in names {
            let about = tree::about(inside, session, &absolute(session, &format!("{path}/{name}")));
            string(&mut answer, name.as_bytes());
            string(&mut answer, name.as_bytes());
            attributes(&mut answer, about.unwrap_or(tree::About { folder: true, size: 4096, mode: 0o755 }));
        }
        answer
    }
}

fn handle(fields: &mut Fields<'_>) -> Option<u32> {
    Some(u32::from_be_bytes(fields.bytes()?.try_into().ok()?))
}

fn head(kind: u8, id: u32) -> Vec<u8> {
    [&[kind][..], &id.to_be_bytes()].concat()
}

fn string(answer: &mut Vec<u8>, bytes: &[u8]) {
    answer.extend((bytes.len() as u32).to_be_bytes());
    answer.extend(bytes);
}

fn status(id: u32, code: u32, words: &str) -> Vec<u8> {
    let mut answer = head(STATUS, id);
    answer.extend(code.to_be_bytes());
    string(&mut answer, words.as_bytes());
    string(&mut answer, b"");
    answer
}

fn told(id: u32, done: Result<(), No>) -> Vec<u8> {
    done.map_or_else(|no| refused(id, no), |()| status(id, OK, "Success"))
}

fn refused(id: u32, no: No) -> Vec<u8> {
    match no {
        No::Missing => status(id, NO_SUCH_FILE, "No such file"),
        No::Denied => status(id, PERMISSION_DENIED, "Permission denied"),
        // OpenSSH's server tells no more than that.
        No::Failure(_) => status(id, FAILURE, "Failure"),
    }
}

fn about(inside: &Inside, session: &Session, id: u32, path: &str) -> Vec<u8> {
    match tree::about(inside, session, path) {
        Ok(about) => {
            let mut answer = head(ATTRS, id);
            attributes(&mut answer, about);
            answer
        }
        Err(no) => refused(id, no),
    }
}

/// The mode among the attributes a client sets, if it is.
fn mode(fields: &mut Fields<'_>) -> Option<Option<u32>> {
    let flags = fields.number()?;
    if flags & 1 != 0 {
        fields.long()?;
    }
    if flags & 2 != 0 {
        fields.long()?;
    }
    if flags & 4 != 0 { fields.number().map(Some) } else { Some(None) }
}

fn set(inside: &mut Inside, session: &Session, path: &str, mode: Option<u32>) -> Result<(), No> {
    match mode {
        Some(mode) => tree::set_mode(inside, session, path, mode),
        None => tree::about(inside, session, path).map(drop),
    }
}

/// Size and mode.
fn attributes(answer: &mut Vec<u8>, about: tree::About) {
    let kind: u32 = if about.folder { 0o040_000 } else { 0o100_000 };
    let mode = kind | about.mode;
    answer.extend(5_u32.to_be_bytes());
    answer.extend(about.size.to_be_bytes());
    answer.extend(mode.to_be_bytes());
}

//! Into the instance of a workshop in a cloud, and into the containers on it: by one login with the workshop's key.
//! The serial port is read through the cloud, and needs no login.

mod beside;

use std::{sync::Arc, time::Duration};

use tokio::sync::{OnceCell, mpsc};

use self::beside::Beside;

use super::{
    CloudSite, Homeroom, ServiceError,
    exec::line as words,
    own_key::{is_not_mistaken, of_instance},
};
use crate::{
    deploy::workshop::USER,
    domain::{
        Clean, LabName, NodeName, Progress, SeatName, StoreId, cloud::doubled, machine::machine_name,
        workshop::WorkshopDefinition,
    },
    port::{
        Clock, Cloud, CloudError, RemoteShell,
        copy::{Copied, CopyError, Direction, Transfer},
        keys::Kept,
        shell::{HostKey, ShellError, ShellInput, ShellOutput, ShellSession, ShellTarget},
    },
};

/// Bytes a line of a serial port is reckoned with.
const LINE: i64 = 400;
/// For one command on an instance: wall time.
const WITHIN: Duration = Duration::from_secs(30);
/// For one copy between an instance and its containers: wall time.
const COPIED_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks at a serial port: modelled time.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Pieces waiting to be read.
const PIECES: usize = 32;
/// Where the startup script keeps what it did.
const STARTUP_LOG: &str = "/var/lib/homeroom/startup.log";

/// A way into a workshop's instance, or into a seat's container on it.
#[derive(Clone)]
pub struct Way {
    pub shell: Arc<dyn RemoteShell>,
    pub target: ShellTarget,
    /// The container, for a seat.
    pub container: Option<String>,
}

impl Way {
    /// The way to a row of a workshop in a cloud; `None` where the lab is none.
    pub async fn of(home: &Homeroom, lab: &LabName, seat: &SeatName) -> Result<Option<Self>, ServiceError> {
        let ways = Self::all(home, lab, std::slice::from_ref(seat)).await?;
        Ok(ways.and_then(|ways| ways.into_iter().next()).map(|(_, way)| way))
    }

    /// The ways to the rows named, each once, or to all seats; `None` where the lab is no workshop in a cloud.
    pub async fn all(
        home: &Homeroom,
        lab: &LabName,
        named: &[SeatName],
    ) -> Result<Option<Vec<(SeatName, Self)>>, ServiceError> {
        let Some((workshop, site)) = home.in_cloud(lab).await? else { return Ok(None) };
        let seats = rows(&workshop, named)?;
        let (progress, _) = home.store.progress(lab).await?;
        let target = target(home, &site, &progress).await?;
        let host = SeatName::host();
        let shell: Arc<dyn RemoteShell> = Arc::new(Beside {
            shell: site.shell.clone(),
            cloud: site.cloud.clone(),
            clock: home.clock.clone(),
            store: home.store.id().clone(),
            workshop,
            progress,
            view: OnceCell::new(),
        });
        let way = |seat: SeatName| {
            let container = (seat != host).then(|| machine_name(lab, &seat));
            let way = Self { shell: shell.clone(), target: target.clone(), container };
            (seat, way)
        };
        Ok(Some(seats.into_iter().map(way).collect()))
    }

    /// A line for the shell over there.
    pub fn line(&self, line: &str) -> String {
        match &self.container {
            None => line.to_owned(),
            Some(name) => format!("docker exec --interactive {name} sh -c {}", quoted(line)),
        }
    }

    /// What opens a terminal; the login shell where there is nothing to say.
    pub fn terminal(&self) -> Option<String> {
        self.container.as_ref().map(|name| format!("docker exec --interactive --tty {name} sh -l"))
    }

    /// The last lines of what was printed, and what is printed from now on: by a container, or by the startup script.
    pub async fn printed(&self, lines: u32) -> Result<ShellSession, ShellError> {
        let line = match &self.container {
            Some(name) => format!("docker logs --tail {lines} --follow {name}"),
            None => format!("tail --lines {lines} --follow {STARTUP_LOG}"),
        };
        self.shell.start(&self.target, &line).await
    }

    /// Copies files: to the host by SFTP, to a container by way of a folder there that is gone afterwards.
    pub async fn copy(&self, transfer: &Transfer) -> Result<Copied, CopyError> {
        let Some(name) = &self.container else { return self.shell.copy(&self.target, transfer).await };
        let folder = self.asked("mktemp --directory \"$HOME/homeroom.XXXXXXXX\"", WITHIN).await?;
        let copied = self.through(name, folder.trim(), transfer).await;
        // What stays behind is a copy in a folder nobody reads.
        let _ = self.asked(&words(&["rm", "-rf", folder.trim()].map(str::to_owned)), WITHIN).await;
        copied
    }

    async fn through(&self, name: &str, folder: &str, transfer: &Transfer) -> Result<Copied, CopyError> {
        let inside = format!("{name}:{}", self.absolute(name, &transfer.remote).await?);
        match transfer.direction {
            Direction::Up => {
                let put = Transfer { remote: format!("{folder}/"), ..transfer.clone() };
                let copied = self.shell.copy(&self.target, &put).await?;
                let what = transfer.local.file_name().map(|name| name.to_string_lossy().into_owned());
                let from = format!("{folder}/{}", what.unwrap_or_else(|| ".".to_owned()));
                self.asked(&words(&["docker", "cp", &from, &inside].map(str::to_owned)), COPIED_WITHIN).await?;
                Ok(copied)
            }
            Direction::Down => {
                let to = format!("{folder}/");
                self.asked(&words(&["docker", "cp", &inside, &to].map(str::to_owned)), COPIED_WITHIN).await?;
                let what = transfer.remote.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                let get = Transfer { remote: format!("{folder}/{what}"), ..transfer.clone() };
                self.shell.copy(&self.target, &get).await
            }
        }
    }

    /// A path in a container: one that does not begin with `/` counts from where the image's programs start.
    async fn absolute(&self, name: &str, path: &str) -> Result<String, CopyError> {
        if path.starts_with('/') {
            return Ok(path.to_owned());
        }
        let ask = format!("docker container inspect --format '{{{{.Config.WorkingDir}}}}' {name}");
        let folder = self.asked(&ask, WITHIN).await?;
        Ok(format!("{}/{}", folder.trim().trim_end_matches('/'), path.strip_prefix("~/").unwrap_or(path)))
    }

    /// What a command on the instance prints; an error in its own words where it ended badly.
    async fn asked(&self, command: &str, within: Duration) -> Result<String, CopyError> {
        let said = self.shell.run(&self.target, command, within).await?;
        match said.code {
            Some(0) => Ok(said.stdout),
            _ => Err(CopyError::There {
                path: Clean::new(command.split(' ').take(2).collect::<Vec<_>>().join(" ")),
                why: Clean::new(said.stderr.trim()),
            }),
        }
    }
}

/// The rows named, each once; all seats where none is.
fn rows(workshop: &WorkshopDefinition, named: &[SeatName]) -> Result<Vec<SeatName>, ServiceError> {
    let defined: Vec<SeatName> = workshop.rows().into_iter().map(|(seat, _)| seat).collect();
    if named.is_empty() {
        return Ok(defined.into_iter().filter(|seat| *seat != SeatName::host()).collect());
    }
    let mut rows: Vec<SeatName> = Vec::new();
    for seat in named {
        if !defined.contains(seat) {
            let known = defined.iter().map(ToString::to_string).collect();
            return Err(ServiceError::NoSeat { lab: workshop.name.clone(), seat: seat.clone(), known });
        }
        if !rows.contains(seat) {
            rows.push(seat.clone());
        }
    }
    Ok(rows)
}

async fn target(home: &Homeroom, site: &CloudSite, progress: &Progress) -> Result<ShellTarget, ServiceError> {
    let lab = &progress.lab;
    let row = progress.seat(&SeatName::host()).filter(|row| !row.host_keys.is_empty());
    let Some((row, ip)) = row.and_then(|row| Some((row, row.ip?))) else {
        return Err(ServiceError::NotNow(format!(
            "{lab} has no instance whose address and host key are known; `homeroom deploy {lab} --yes` makes one"
        )));
    };
    let key = match home.keys.kept_key(lab).await? {
        Kept::Pair(key) => key,
        Kept::Damaged(error) => return Err(error.into()),
        Kept::Nothing => return Err(of_instance(lab)),
    };
    is_not_mistaken(lab, &key, &*site.shell)?;
    Ok(ShellTarget {
        host: ip.to_string(),
        port: site.ssh_port,
        user: USER.to_owned(),
        keys: vec![key.private],
        ask_agent: false,
        host_key: HostKey::Exactly(row.host_keys.clone()),
        via: None,
    })
}

/// One word of a shell, in quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The serial port of a workshop's instance, which the cloud keeps and hands out also where nothing else answers.
pub struct Serial {
    cloud: Arc<dyn Cloud>,
    clock: Arc<dyn Clock>,
    store: StoreId,
    lab: LabName,
}

impl Serial {
    /// The serial port of a row, which must be the host; `None` where the lab is no workshop in a cloud.
    pub async fn of(home: &Homeroom, lab: &LabName, seat: &SeatName) -> Result<Option<Self>, ServiceError> {
        let Some((workshop, site)) = home.in_cloud(lab).await? else { return Ok(None) };
        rows(&workshop, std::slice::from_ref(seat))?;
        if *seat != SeatName::host() {
            return Err(ServiceError::NotNow(format!(
                "{lab}/{seat} is a container, which has no serial port; `homeroom logs {lab}/{seat}` shows what it \
                 printed, `homeroom console {lab}/host` the serial port of its instance"
            )));
        }
        let (cloud, clock) = (site.cloud.clone(), home.clock.clone());
        Ok(Some(Self { cloud, clock, store: home.store.id().clone(), lab: lab.clone() }))
    }

    /// Where the instance is; an error without one.
    async fn instance(&self) -> Result<(NodeName, String), ServiceError> {
        let view = self.cloud.view().await?;
        let (lab, own) = (&self.lab, view.own(&self.store, &self.lab).collect::<Vec<_>>());
        let not_now = |why: String| Err(ServiceError::NotNow(why));
        match (own.as_slice(), doubled(lab, &own), view.blind()) {
            (_, Some(why), _) => {
                let reads = own.iter().map(|it| {
                    let project = self.cloud.project();
                    format!(
                        "`gcloud compute instances get-serial-port-output {} --zone {} --project {project}`",
                        it.name, it.zone
                    )
                });
                let reads = reads.collect::<Vec<_>>().join(" and ");
                not_now(format!("{lab}: {why}. None of them is taken for it; {reads} read their serial ports"))
            }
            ([one, ..], ..) => Ok((one.zone.clone(), one.name.clone())),
            ([], _, Some(why)) => not_now(format!("{why}: the instance of {lab} may be there; try again later")),
            ([], _, None) => not_now(format!("{lab} has no instance; `homeroom deploy {lab} --yes` makes one")),
        }
    }

    /// Its last lines, oldest first.
    pub async fn last(&self, lines: u32) -> Result<Vec<Clean>, ServiceError> {
        let (zone, name) = self.instance().await?;
        // Its last megabyte is kept; a line is rarely longer than this.
        let tail = -(i64::from(lines) * LINE).max(LINE);
        let mut all = self.cloud.serial(&zone, &name, tail).await?.lines;
        let surplus = all.len().saturating_sub(lines as usize);
        Ok(all.split_off(surplus))
    }

    /// The same as a session that goes on with what is printed from now on. Nothing typed goes there: Ctrl-C,
    /// Ctrl-D, Ctrl-O and q leave.
    pub async fn follow(self, lines: u32) -> Result<ShellSession, ServiceError> {
        let (zone, name) = self.instance().await?;
        let tail = -(i64::from(lines) * LINE).max(LINE);
        let first = self.cloud.serial(&zone, &name, tail).await?;
        let (input, mut typed) = mpsc::channel(PIECES);
        let (shown, output) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            let leaves = async {
                while let Some(given) = typed.recv().await {
                    match given {
                        ShellInput::Bytes(bytes) if bytes.iter().any(|key| matches!(key, 3 | 4 | 15 | b'q')) => return,
                        _ => {}
                    }
                }
                // Nobody types; who reads may read on.
                std::future::pending::<()>().await;
            };
            let tells = async {
                let surplus = first.lines.len().saturating_sub(lines as usize);
                let (mut lines, mut next) = (first.lines.into_iter().skip(surplus).collect::<Vec<_>>(), first.next);
                loop {
                    for line in lines {
                        if shown.send(ShellOutput::Bytes(format!("{line}\r\n").into_bytes())).await.is_err() {
                            return;
                        }
                    }
                    self.clock.sleep(LOOK_EVERY).await;
                    let from = i64::try_from(next).unwrap_or(i64::MAX);
                    match self.cloud.serial(&zone, &name, from).await {
                        Ok(more) => (lines, next) = (more.lines, more.next),
                        Err(error) if error.is_passing() => lines = Vec::new(),
                        Err(error) => {
                            let why = match error {
                                CloudError::Missing { .. } => Clean::new("the instance is gone"),
                                error => Clean::new(error.to_string()),
                            };
                            let _ = shown.send(ShellOutput::Lost(why)).await;
                            return;
                        }
                    }
                }
            };
            tokio::select! {
                () = tells => {}
                () = leaves => { let _ = shown.send(ShellOutput::Exit(0)).await; }
                () = shown.closed() => {}
            }
        });
        Ok(ShellSession { input, output })
    }
}

/// The last lines of a row, oldest first: of the host its serial port's, its startup script's among them; of a seat
/// what its container printed.
pub async fn last_lines(
    home: &Homeroom,
    lab: &LabName,
    seat: &SeatName,
    lines: u32,
) -> Result<Vec<Clean>, ServiceError> {
    if *seat == SeatName::host()
        && let Some(serial) = Serial::of(home, lab, seat).await?
    {
        return serial.last(lines).await;
    }
    let Some(Way { shell, target, container: Some(name) }) = Way::of(home, lab, seat).await? else {
        return Err(ServiceError::NotNow(format!("{lab} is no workshop in a cloud")));
    };
    let said = shell.run(&target, &format!("docker logs --tail {lines} {name}"), WITHIN).await?;
    if said.code != Some(0) && said.stdout.is_empty() {
        return Err(ServiceError::NotNow(format!("{lab}/{seat}: {}", Clean::new(said.stderr.trim()))));
    }
    Ok(said.stdout.lines().chain(said.stderr.lines()).map(Clean::new).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::SiteName;

    #[test]
    fn no_names_are_all_seats_and_the_host_is_asked_by_name() {
        let name = |text: &str| LabName::new(text).unwrap();
        let workshop = WorkshopDefinition::new(name("intro"), SiteName::new("cloud").unwrap(), 2, "workspace:1");
        let told = |named: &[&str]| {
            let named: Vec<SeatName> = named.iter().map(|seat| SeatName::new(*seat).unwrap()).collect();
            rows(&workshop, &named).map(|rows| rows.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(told(&[]).unwrap(), ["seat-01", "seat-02"]);
        assert_eq!(told(&["host", "seat-02", "host"]).unwrap(), ["host", "seat-02"]);
        assert!(matches!(told(&["ada"]), Err(ServiceError::NoSeat { .. })));
    }
}

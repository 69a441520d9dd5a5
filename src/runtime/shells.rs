//! Opens terminals for the screens and for `ssh`: on seats, in containers, on nodes, on serial ports; and does away
//! with what stands before logins.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Shared, effects::words};
use crate::{
    app::{
        Action, Effect,
        attach::{Attach, FromShell, ToShell},
        bars::{At, Passphrase},
        doors::Door,
        shells::{TabId, Way},
    },
    domain::{Clean, LabName, SeatName, SiteName, Vmid, answers::Bar},
    service::{
        Homeroom, ServiceError, ShellInput, ShellOutput, ShellSession, Tty,
        container::Container,
        shell::{self, console, open_node},
    },
};

/// Pieces that may wait on the way into a shell.
const SHELL_QUEUE: usize = 64;
/// Pieces that may wait to be shown: few, as they are still shown after Ctrl-C.
const SHOWN: usize = 4;

/// Opens what the screens asked for and hands it to them.
pub(super) async fn open(shared: &Arc<Shared>, id: TabId, door: Door, way: Way, size: (u16, u16)) {
    let tty = match way {
        Way::Pane => Tty::pane(size),
        Way::Whole => own(size),
    };
    match enter(&shared.home, &door, &tty).await {
        // The screens end the terminal themselves when they cannot take it.
        Ok(session) => drop(shared.shells.send(carried(id, door, session)).await),
        Err(ServiceError::Shell(error)) if error.bar().is_some() => {
            if let Some(bar) = error.bar() {
                let at = door.at();
                shared.say(Action::Barred { at, bar, then: Effect::OpenShell { id, door, way, size } }).await;
            }
        }
        Err(error) => drop(shared.say(Action::NotOpened { id, door, why: words(error) }).await),
    }
}

async fn enter(home: &Homeroom, door: &Door, tty: &Tty) -> Result<ShellSession, ServiceError> {
    match door {
        Door::Seat { lab, seat } => shell::open(home, lab, seat, tty).await,
        Door::Console { lab, seat } => console(home, lab, seat, tty).await,
        Door::Container { site, vmid } => Container::of(home, site.as_str(), *vmid).await?.enter(tty).await,
        Door::Node { site, node } => open_node(home, site, node, tty).await,
    }
}

/// The terminal this program runs in.
fn own(size: (u16, u16)) -> Tty {
    Tty::own(size, |name| std::env::var(name).ok())
}

/// Does away with what stands before logins, as the person at the screen said.
pub(super) async fn lift(home: &Homeroom, at: &At, bar: &Bar, passphrase: Option<Passphrase>) -> Result<(), Clean> {
    let site = match at {
        At::Lab(lab) => home.class(lab).await.map_err(words)?.1,
        At::Site(site) => home.site(site).map_err(words)?.clone(),
    };
    match (bar, passphrase) {
        (Bar::Stranger { host, key, .. }, _) => site.shell.trust(host, key),
        (Bar::Locked { key }, Some(passphrase)) => {
            site.shell.unlock(key, passphrase.into_secret());
            Ok(())
        }
        (Bar::Locked { .. }, None) => Ok(()),
    }
}

/// Opens a terminal on a seat, of the kind this program runs in: of `size` columns and rows.
pub async fn attach(home: &Homeroom, lab: LabName, seat: SeatName, size: (u16, u16)) -> Result<Attach, ServiceError> {
    through(home, Door::Seat { lab, seat }, size).await
}

/// Opens the serial console of a seat's machine, through its node or its cloud.
pub async fn attach_console(
    home: &Homeroom,
    lab: LabName,
    seat: SeatName,
    size: (u16, u16),
) -> Result<Attach, ServiceError> {
    through(home, Door::Console { lab, seat }, size).await
}

/// Opens root's shell in an LXC container.
pub async fn attach_container(container: &Container, size: (u16, u16)) -> Result<Attach, ServiceError> {
    let session = container.enter(&own(size)).await?;
    let (site, vmid): (SiteName, Vmid) = (container.site.name.clone(), container.vmid);
    Ok(carried(0, Door::Container { site, vmid }, session))
}

async fn through(home: &Homeroom, door: Door, size: (u16, u16)) -> Result<Attach, ServiceError> {
    let session = enter(home, &door, &own(size)).await?;
    Ok(carried(0, door, session))
}

fn carried(id: TabId, door: Door, session: ShellSession) -> Attach {
    let (to, inbox) = mpsc::channel(SHELL_QUEUE);
    let (outbox, from) = mpsc::channel(SHOWN);
    tokio::spawn(pump(session, inbox, outbox));
    Attach { id, door, to, from }
}

/// Carries bytes between a session and the screens until either ends.
async fn pump(session: ShellSession, mut inbox: mpsc::Receiver<ToShell>, outbox: mpsc::Sender<FromShell>) {
    let ShellSession { input, mut output } = session;
    let keys = async {
        while let Some(given) = inbox.recv().await {
            let given = match given {
                ToShell::Bytes(bytes) => ShellInput::Bytes(bytes),
                ToShell::Resize(columns, rows) => ShellInput::Resize(columns, rows),
            };
            if input.send(given).await.is_err() {
                // The session ended; what it last said is still on its way out.
                std::future::pending::<()>().await;
            }
        }
    };
    let screen = async {
        while let Some(shown) = output.recv().await {
            let shown = match shown {
                ShellOutput::Bytes(bytes) | ShellOutput::Stderr(bytes) => FromShell::Bytes(bytes),
                ShellOutput::Exit(code) => FromShell::Exit(code),
                ShellOutput::Lost(why) => FromShell::Lost(why),
            };
            if outbox.send(shown).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = keys => {}
        () = screen => {}
    }
}

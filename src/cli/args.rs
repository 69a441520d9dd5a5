//! The command line, as typed.

mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand};
pub use values::{Format, Via};

use self::values::{run_number, time_span};
use crate::domain::{Level, SiteName};

/// Below the list of commands.
const AFTER: &str = "Without a command: the dashboard.\n\n\
    Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not every machine is\n\
    ready, 4 refused (not confirmed, held by another run), 130 interrupted.";
/// Below the options of `exec`.
const EXEC: &str = "Exit codes: 0 where the command ended with 0 on every seat, 3 where it did not.";
/// How `cp` is used.
const CP_USAGE: &str = "homeroom cp [OPTIONS] FILE... LAB[/SEAT]:PATH\n       \
    homeroom cp [OPTIONS] LAB[/SEAT]:PATH... PLACE";
/// Below the options of `cp`.
const CP: &str = "With a lab and no seat, every seat of the lab; {seat} in a path, here and there, \
    stands for the seat's name, and there * and ? for what matches: homeroom cp -r cs101:work 'handed-in/{seat}/'";
/// Heads the options every command takes.
const EVERYWHERE: &str = "Options of every command";

/// Deploys and watches the machines of a training lab
#[derive(Debug, Parser)]
#[command(name = "homeroom", version, max_term_width = 80, after_help = AFTER)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    /// The dashboard unattended: looks only, turns from board to board, calls on red
    #[arg(long)]
    pub kiosk: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct Global {
    /// Configuration file, else $HOMEROOM_CONFIG, else ~/.config/homeroom/config.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    pub config: Option<PathBuf>,
    /// Nothing but this site
    #[arg(long, global = true, value_name = "SITE", help_heading = EVERYWHERE)]
    pub site: Option<SiteName>,
    /// Answer in JSON
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// Tell more: debug lines of runs too
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    pub verbose: bool,
    /// Started by `--detach`.
    #[arg(long, hide = true)]
    pub detached: bool,
}

/// What to say yes to beyond creating and updating.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Allow {
    /// Stop and start machines where a change needs it
    #[arg(long)]
    pub allow_restart: bool,
    /// Remove and clone anew where a change needs it: what is on the machine is lost
    #[arg(long)]
    pub allow_replace: bool,
    /// Remove machines that are no longer defined
    #[arg(long)]
    pub allow_remove: bool,
    /// Put right what somebody else changed
    #[arg(long)]
    pub fix_drift: bool,
    /// Make machines although some on a node that does not answer may be those of the same seats
    #[arg(long)]
    pub abandon_old: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Store definitions from TOML files
    Apply {
        /// Definition files; `-` reads standard input
        #[arg(short, long = "file", required = true, num_args = 1.., value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List definitions, or print one
    Get {
        /// One lab; all without
        lab: Option<String>,
        /// `toml` can be applied again
        #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
        output: Format,
    },
    /// Edit a definition in $EDITOR
    Edit {
        /// The lab
        lab: String,
    },
    /// Forget a definition; its machines must be gone
    Delete {
        /// The lab
        lab: String,
    },
    /// Show what deploy would do, and why each machine goes where it goes
    Plan {
        /// The lab
        lab: String,
        /// Exit 2 where something would change, 0 where nothing would, 1 where no plan can be made
        #[arg(long)]
        detailed_exitcode: bool,
        /// Show what `deploy --fix-drift` would do: drift alone changes nothing without it
        #[arg(long)]
        fix_drift: bool,
        /// Show what `deploy --abandon-old` would do
        #[arg(long)]
        abandon_old: bool,
    },
    /// Make a lab what its definition says: creates, and updates what needs no stop
    Deploy {
        /// The lab
        lab: String,
        /// Do it; without, the plan is shown
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        allow: Allow,
        /// Answer as soon as the run is under way; it goes on by itself
        #[arg(long, requires = "yes")]
        detach: bool,
    },
    /// Remove a lab's machines, or some seats'
    Destroy {
        /// A lab, or seats of one lab
        #[arg(required = true, value_name = "LAB[/SEAT]")]
        what: Vec<String>,
        /// Do it; without, what would go is shown
        #[arg(long)]
        yes: bool,
        /// On a production site: the lab's name again
        #[arg(long, value_name = "LAB")]
        confirm: Option<String>,
        /// Answer as soon as the run is under way; it goes on by itself
        #[arg(long, requires = "yes")]
        detach: bool,
    },
    /// Go on with a run that was broken off or interrupted
    Resume {
        /// A run's number, or a lab for its newest
        #[arg(value_name = "RUN|LAB")]
        what: Option<String>,
        /// The run's number
        #[arg(long, value_name = "N", value_parser = run_number, conflicts_with = "what")]
        run: Option<i64>,
        /// As soon as whoever works on it hands it over
        #[arg(long, hide = true)]
        once_free: bool,
        /// Answer as soon as the run is under way; it goes on by itself
        #[arg(long)]
        detach: bool,
    },
    /// Remove a seat's machine and make it anew: what is on it is lost
    Rebuild {
        /// Seats of one lab
        #[arg(required = true, value_name = "LAB/SEAT")]
        what: Vec<String>,
        /// Do it; without, the plan is shown
        #[arg(long)]
        yes: bool,
        /// Give up a machine on a node that does not answer, and make another
        #[arg(long)]
        abandon_old: bool,
        /// On a production site: the lab's name again
        #[arg(long, value_name = "LAB")]
        confirm: Option<String>,
    },
    /// Take a deploy back: remove the machines it made
    Rollback {
        /// The run's number
        #[arg(value_parser = run_number)]
        run: i64,
        /// Do it; without, what would go is shown
        #[arg(long)]
        yes: bool,
        /// Also machines that became ready: somebody may use them
        #[arg(long)]
        allow_remove: bool,
        /// On a production site: the lab's name again
        #[arg(long, value_name = "LAB")]
        confirm: Option<String>,
    },
    /// Gather what happened in a run, or to a seat, into a folder to hand on
    Report {
        /// A run's number, or a seat
        #[arg(value_name = "RUN|LAB/SEAT")]
        what: String,
        /// The folder to make, instead of homeroom-report-…
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Take machines in that the store does not know: by their marks, or by name
    Adopt {
        /// The site they are on
        site: SiteName,
        /// A machine by name or VMID, and the seat it is to be; without, every marked one
        #[arg(value_name = "LAB/SEAT=MACHINE")]
        machines: Vec<String>,
        /// Machines that carry another store's mark too
        #[arg(long)]
        take_over: bool,
        /// Then make a new key for a lab and give it to its machines through their agents
        #[arg(long, value_name = "LAB")]
        rekey: Vec<String>,
    },
    /// Give a run up: it is wound down; the next deploy plans anew
    Cancel {
        /// The run's number
        #[arg(value_parser = run_number)]
        run: i64,
    },
    /// Machines, proofs and their age
    Status {
        /// One lab; all without
        lab: Option<String>,
    },
    /// Repeat the roll call
    Check {
        /// A lab, or seats of one lab
        #[arg(required = true, value_name = "LAB[/SEAT]")]
        what: Vec<String>,
        /// The seats named have other SSH host keys than before, and you know why: take those their guest agents tell
        #[arg(long)]
        new_host_key: bool,
    },
    /// Start what does not run, and prove it: machines, a workshop's seats and its proxy
    Start {
        /// A lab, or seats of one lab
        #[arg(required = true, value_name = "LAB[/SEAT]")]
        what: Vec<String>,
    },
    /// Shut machines down; a workshop runs until its end
    Stop {
        /// A lab, or seats of one lab
        #[arg(required = true, value_name = "LAB[/SEAT]")]
        what: Vec<String>,
        /// Do not ask: at a terminal, what would be shut down is shown first
        #[arg(long)]
        yes: bool,
    },
    /// Shut machines down, start them and prove them; a workshop's containers too
    Restart {
        /// A lab, or seats of one lab
        #[arg(required = true, value_name = "LAB[/SEAT]")]
        what: Vec<String>,
        /// Do not ask: at a terminal, what would be shut down is shown first
        #[arg(long)]
        yes: bool,
    },
    /// Nodes and storages
    Nodes,
    /// Every machine of every lab
    Machines,
    /// Runs, newest first
    Runs {
        #[command(subcommand)]
        command: Option<RunsCommand>,
    },
    /// What happened, line by line; of a workshop's seat, what its container printed
    Logs {
        /// One lab; all without. LAB/SEAT in a workshop: the container's output, LAB/host the proxy's
        lab: Option<String>,
        /// Only this run
        #[arg(long, value_name = "N", value_parser = run_number)]
        run: Option<i64>,
        /// Only this seat
        #[arg(long, value_name = "SEAT")]
        seat: Option<String>,
        /// Go on as lines come in
        #[arg(short, long)]
        follow: bool,
        /// This loud or louder: debug, info, success, warning, error
        #[arg(long, value_name = "LEVEL")]
        level: Option<Level>,
        /// The newest so many
        #[arg(long, value_name = "N", default_value_t = 1000)]
        last: u32,
    },
    /// What students need: machine, address, user, password
    Roster {
        /// The lab
        lab: String,
        /// Comma-separated, with a heading
        #[arg(long)]
        csv: bool,
    },
    /// Give somebody a seat of a workshop, the same one on return
    Join {
        /// The workshop's code; `homeroom status LAB` has it
        code: String,
        /// Who sits there
        #[arg(required = true)]
        name: Vec<String>,
    },
    /// A page where people join workshops by code, for phones and laptops; metrics; ends workshops in time
    Serve {
        /// Where to listen, as in 0.0.0.0:8081
        #[arg(long, value_name = "ADDR")]
        listen: std::net::SocketAddr,
        /// A proxy in front of it that says in X-Forwarded-For who asks; several may be named
        #[arg(long, value_name = "ADDR")]
        trust_proxy: Vec<std::net::IpAddr>,
    },
    /// Put a workshop's end off, up to its max_life
    Extend {
        /// The workshop
        lab: String,
        /// By how much, as in 30m or 1h
        #[arg(value_name = "TIME", value_parser = time_span)]
        by: Duration,
    },
    /// Destroy the workshops that are past their end: one pass over all sites
    Expire {
        /// Do it; without, they are listed
        #[arg(long)]
        yes: bool,
    },
    /// One command on every seat of a lab, or on some; equal answers are folded
    #[command(after_help = EXEC)]
    Exec {
        /// A lab, or seats of one lab
        #[arg(required = true, value_name = "LAB[/SEAT]")]
        what: Vec<String>,
        /// How long each seat may take, as in 30s, 5m or 1h
        #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time_span)]
        timeout: Duration,
        /// What every seat's command reads; `-` is this command's own standard input
        #[arg(long, value_name = "FILE")]
        stdin: Option<PathBuf>,
        /// By SSH, or by the guest agent as root; auto takes SSH where the lab has it
        #[arg(long, value_enum, default_value_t)]
        via: Via,
        /// Seats at work at once
        #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=50))]
        at_once: u8,
        /// One word is a line for the shell there; several are a command and its words
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Files to and from seats, by SFTP
    #[command(override_usage = CP_USAGE, after_help = CP)]
    Cp {
        /// Folders too, with all that is in them
        #[arg(short, long)]
        recursive: bool,
        /// Seats at work at once
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=50))]
        at_once: u8,
        /// From, and last where to; a path there counts from the user's home
        #[arg(required = true, num_args = 2.., value_name = "PATH")]
        paths: Vec<String>,
    },
    /// A shell on a seat's machine or in its container, or one command
    Ssh {
        /// The seat
        #[arg(value_name = "LAB/SEAT")]
        what: String,
        /// The command is given nothing to read, as for one in a loop that reads itself
        #[arg(short = 'n', long, requires = "command")]
        no_input: bool,
        /// One word is a line for the shell there; several are a command and its words
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// The serial console of a seat's machine, through its node or its cloud: works without a network
    Console {
        /// The seat
        #[arg(value_name = "LAB/SEAT")]
        what: String,
    },
    /// The SSH key a lab's machines let in: its public half, or the private one for other programs; or a new one
    Key {
        /// The lab
        lab: String,
        /// The private half: whoever has it has the lab
        #[arg(long)]
        private: bool,
        /// Make a new key and give it to every machine through its guest agent, in place of the old one
        #[arg(long, conflicts_with = "private")]
        renew: bool,
    },
    /// Look the sites over: what will hurt, why, and how to mend it. Changes nothing on them
    Doctor {
        /// Only this site
        #[arg(value_name = "SITE")]
        place: Option<String>,
        /// Trust certificates and SSH host keys seen for the first time (asks), or those given by fingerprint
        #[arg(long, num_args = 0.., value_name = "FINGERPRINT")]
        trust: Option<Vec<String>>,
        /// With --trust: do not ask
        #[arg(long, requires = "trust")]
        yes: bool,
    },
    /// A simulated cluster that other programs can use
    Sim(SimArgs),
    /// The dashboard on a simulated cluster and cloud, and on a Docker engine of this computer where one answers;
    /// leaves nothing behind
    Demo {
        /// How many times faster than real the cluster runs
        #[arg(long, default_value_t = 2.5, value_name = "N")]
        speed: f64,
        /// The world, as a scenario file
        #[arg(long, value_name = "FILE")]
        scenario: Option<PathBuf>,
        /// Another Docker engine of this computer for a workshop, as unix:///SOCKET; or none
        #[arg(long, value_name = "ENGINE")]
        docker: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// One run: its plan, and how long each step took
    Show {
        /// The run's number
        #[arg(value_parser = run_number)]
        run: i64,
    },
}

impl Command {
    /// Whether it is to be carried out by a process of its own.
    pub fn detaches(&self) -> bool {
        matches!(
            self,
            Self::Deploy { detach: true, .. } | Self::Destroy { detach: true, .. } | Self::Resume { detach: true, .. }
        )
    }
}

#[derive(Debug, ClapArgs)]
pub struct SimArgs {
    /// Address of the first node's API; the others take the next free ports
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub listen: std::net::SocketAddr,
    /// The world, as a scenario file, instead of the one of `homeroom demo`
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Behave as this version of Proxmox VE, such as 8.4, instead of the scenario's
    #[arg(long, value_name = "VERSION")]
    pub pve: Option<String>,
    /// How many times faster than real
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub speed: f64,
    /// Make a complete homeroom configuration for it in this folder
    #[arg(long, value_name = "DIR")]
    pub write_config: Option<PathBuf>,
    /// A simulated Compute Engine project too: the site `cloud` of the configuration, with a workshop defined on it
    #[arg(long)]
    pub cloud: bool,
}

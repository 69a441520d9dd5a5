//! `adopt`: machines the store does not know come into it; and a new key for labs whose old one is lost.

use serde_json::json;

use super::{Context, key};
use crate::{
    cli::exit::{CliError, Exit},
    domain::{SeatName, SiteName},
    service::adopt::{self, Report, Request, Wish},
};

pub async fn adopt(
    context: &Context,
    site: &SiteName,
    machines: &[String],
    take_over: bool,
    rekey: &[String],
) -> Result<Exit, CliError> {
    let wishes = machines.iter().map(|text| wish(text)).collect::<Result<Vec<_>, _>>()?;
    let wished = wishes.len();
    let report = adopt::adopt(&context.home, site, &Request { take_over, wishes }).await?;
    let mut rekeyed = Vec::new();
    for name in rekey {
        let lab = context.lab(name).await?;
        let (seats, stopped) = key::give(context, &lab).await?;
        rekeyed.push((lab, seats));
        if stopped {
            break;
        }
    }
    let taken: usize = report.adopted.iter().map(|adopted| adopted.seats.len()).sum();
    let silent = rekeyed.iter().flat_map(|(_, seats)| seats).filter(|seat| seat.outcome.is_err()).count();
    if context.out.json {
        let adopted: Vec<_> = (report.adopted.iter())
            .map(|adopted| json!({"lab": adopted.lab, "defined": adopted.defined, "seats": adopted.seats}))
            .collect();
        let keys: Vec<_> = (rekeyed.iter())
            .map(|(lab, seats)| json!({"lab": lab, "seats": seats.iter().map(key::of_seat).collect::<Vec<_>>()}))
            .collect();
        context.out.object(json!({
            "site": site, "adopted": adopted, "others": report.others, "left": report.left, "notes": report.notes,
            "rekeyed": keys,
        }));
    } else {
        tell(context, site, &report, !rekeyed.is_empty());
        for (lab, seats) in &rekeyed {
            key::tell(context, lab, seats);
        }
    }
    Ok(if !report.others.is_empty() && !take_over {
        Exit::Refused
    } else if taken < wished {
        Exit::Failed
    } else if silent > 0 {
        Exit::NotReady
    } else {
        Exit::Done
    })
}

fn tell(context: &Context, site: &SiteName, report: &Report, rekeyed: bool) {
    for adopted in &report.adopted {
        let seats: Vec<String> = adopted.seats.iter().map(SeatName::to_string).collect();
        let defined = if adopted.defined { "; its definition was made out from them" } else { "" };
        context.out.line(format!("{}: {} adopted ({}){defined}", adopted.lab, seats.len(), seats.join(", ")));
    }
    for line in report.left.iter().chain(&report.others) {
        context.out.line(format!("left alone: {line}"));
    }
    for note in &report.notes {
        context.out.line(format!("note: {note}"));
    }
    if !report.others.is_empty() {
        eprintln!("not done: `homeroom adopt {site} --take-over` takes over what another store's mark is on");
    } else if report.adopted.is_empty() && report.left.is_empty() && !rekeyed {
        context.out.nothing(&format!("{site} has no marked machine that the store does not know"));
    } else if !report.adopted.is_empty() {
        let (open, shut): (Vec<_>, Vec<_>) = report.adopted.iter().partition(|adopted| adopted.keyless.is_empty());
        let checks: Vec<String> = open.iter().map(|adopted| format!("`homeroom check {}`", adopted.lab)).collect();
        if !checks.is_empty() {
            context.out.line(format!("none of them is proven yet: {}", checks.join(", ")));
        }
        for adopted in shut {
            let (lab, seats) = (&adopted.lab, adopted.keyless.iter().map(SeatName::as_str).collect::<Vec<_>>());
            context.out.line(format!(
                "the lab's key is not in {}: `homeroom adopt {site} --rekey {lab}` lets it in, and `homeroom check {lab}` \
                 proves them then; `homeroom plan {lab}` shows what else a deploy would write",
                seats.join(", ")
            ));
        }
    }
}

/// `LAB/SEAT=MACHINE`
fn wish(text: &str) -> Result<Wish, CliError> {
    let usage = |why: String| CliError::Usage(format!("{text:?}: {why}; write LAB/SEAT=NAME or LAB/SEAT=VMID"));
    let (place, machine) = text.split_once('=').ok_or_else(|| usage("no machine is named".to_owned()))?;
    let (lab, seat) = place.split_once('/').ok_or_else(|| usage("no seat is named".to_owned()))?;
    Ok(Wish {
        lab: lab.parse().map_err(|why| usage(format!("{why}")))?,
        seat: seat.parse().map_err(|why| usage(format!("{why}")))?,
        machine: machine.to_owned(),
    })
}

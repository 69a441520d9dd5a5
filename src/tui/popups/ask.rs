//! Questions before something is taken away: machines, a run, the program itself.

use ratatui::layout::Rect;

use super::{field, frame, keys};
use crate::{
    app::{Command, State, popup::DestroyPopup},
    domain::{LabName, RunId},
    tui::{pen::Page, theme::Tone},
};

/// Every machine that goes, and the name to type.
pub fn destroy(page: &mut Page<'_>, area: Rect, state: &State, popup: &DestroyPopup) {
    let Some(row) = state.class(&popup.lab) else { return };
    let standing: Vec<_> = row.standing().collect();
    let listed = standing.len().min(usize::from(area.height).saturating_sub(9)).min(14);
    let more = standing.len() - listed;
    let lines = listed + usize::from(more > 0) + 6;
    let width = usize::from(area.width).saturating_sub(6).min(72);
    let inner = frame(page, area, width, lines, &format!("destroy {}?", popup.lab), Tone::Bad);
    let count = match standing.len() {
        1 => "1 machine is removed, with everything on it:".to_owned(),
        n => format!("{n} machines are removed, with everything on them:"),
    };
    page.line(inner, 0).put(&count, Tone::Bad);
    for (n, seat) in standing.iter().take(listed).enumerate() {
        let Some(progress) = seat.progress else { continue };
        let mut pen = page.line(inner, n + 1);
        pen.col("-", 2, Tone::Bad).col(&progress.name, 32, Tone::Text);
        pen.col(progress.node.as_ref().map_or("", |node| node.as_str()), 8, Tone::Dim);
        pen.col(&progress.vmid.map_or(String::new(), |vmid| format!("vmid {vmid}")), 12, Tone::Dim);
        pen.put(&progress.ip.map_or(String::new(), |ip| ip.to_string()), Tone::Dim);
    }
    if more > 0 {
        page.line(inner, listed + 1).skip(2).put(&format!("and {more} more"), Tone::Dim);
    }
    let ask = lines - 4;
    let prod = row.site().and_then(|site| state.sites.get(site)).is_some_and(|s| s.environment.as_str() == "prod");
    if prod {
        page.line(inner, ask).put("this is a production site", Tone::Warn);
    }
    field(page, inner, ask + 1, &format!("type {} to go on:", popup.lab), &popup.typed, true);
    let commands: &[_] = if popup.confirmed() { &[(Command::ConfirmDestroy, "destroy")] } else { &[] };
    keys(page, inner, usize::from(inner.height).saturating_sub(1), state, commands);
}

/// Stop a run.
pub fn cancel(page: &mut Page<'_>, area: Rect, state: &State, lab: &LabName, run: RunId) {
    let inner = frame(page, area, 64, 4, &format!("stop run {run} of {lab}?"), Tone::Warn);
    page.line(inner, 0).put("What is in flight is finished, nothing new is begun.", Tone::Text);
    page.line(inner, 1).put("The machines stay; a deploy plans anew from what is there.", Tone::Text);
    keys(page, inner, 3, state, &[(Command::ConfirmCancel, "stop the run")]);
}

/// Leave in the middle of a run.
pub fn quit(page: &mut Page<'_>, area: Rect, state: &State) {
    let runs: Vec<_> = state.own_runs.iter().map(|(run, lab)| format!("run {run} of {lab}")).collect();
    let inner = frame(page, area, 64, 5, "leave?", Tone::Warn);
    page.line(inner, 0).put(&format!("Under way here: {}.", runs.join(", ")), Tone::Text);
    page.line(inner, 1).put("Only the screen is left: on a real site the run is carried on", Tone::Text);
    page.line(inner, 2).put("without it until it has ended (a demo ends with its screen).", Tone::Text);
    keys(page, inner, 4, state, &[(Command::ConfirmQuit, "leave")]);
}

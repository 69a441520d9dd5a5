//! `roster`: the list a teacher hands out.

use secrecy::ExposeSecret;
use serde_json::json;

use super::Context;
use crate::{
    cli::exit::{CliError, Exit},
    domain::Role,
    service::roster::{RosterRow, roster as rows_of},
};

pub async fn roster(context: &Context, name: &str, csv: bool) -> Result<Exit, CliError> {
    let lab = context.lab(name).await?;
    let rows = rows_of(&context.home, &lab).await?;
    if context.out.json {
        let seats: Vec<_> = rows
            .iter()
            .map(|row| {
                let mut seat = json!({"seat": row.seat, "role": row.role, "machine": row.machine, "ip": row.ip,
                                      "user": row.user, "password": password(row), "state": row.state});
                // Of a workshop's seats alone.
                if row.role == Role::Seat {
                    seat["name"] = json!(row.person);
                    seat["link"] = json!(link(row));
                }
                seat
            })
            .collect();
        context.out.object(json!({"lab": lab, "seats": seats}));
        return Ok(Exit::Done);
    }
    if rows.iter().any(|row| row.role == Role::Seat) {
        seats(context, &rows, csv);
        return Ok(Exit::Done);
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                row.seat.to_string(),
                row.machine.clone(),
                row.ip.map_or_else(String::new, |ip| ip.to_string()),
                row.user.clone(),
                password(row).unwrap_or_default(),
            ]
        })
        .collect();
    if csv {
        context.out.line("seat,machine,address,user,password");
        for row in &cells {
            context.out.line(row.each_ref().map(|cell| quoted(cell)).join(","));
        }
    } else {
        context.out.table(["SEAT", "MACHINE", "ADDRESS", "USER", "PASSWORD"], &cells);
    }
    Ok(Exit::Done)
}

/// Who sits where in a workshop: a seat and what opens it.
fn seats(context: &Context, rows: &[RosterRow], csv: bool) {
    let name = |row: &RosterRow| row.person.as_ref().map(ToString::to_string).unwrap_or_default();
    let cells: Vec<_> = rows
        .iter()
        .map(|row| [row.seat.to_string(), name(row), row.state.to_string(), link(row).unwrap_or_default()])
        .collect();
    if csv {
        context.out.line("seat,name,state,link");
        for row in &cells {
            context.out.line(row.each_ref().map(|cell| quoted(cell)).join(","));
        }
    } else {
        context.out.table(["SEAT", "NAME", "STATE", "LINK"], &cells);
    }
}

fn link(row: &RosterRow) -> Option<String> {
    row.link.as_ref().map(|link| link.expose_secret().to_owned())
}

fn password(row: &RosterRow) -> Option<String> {
    row.password.as_ref().map(|password| password.expose_secret().to_owned())
}

/// RFC 4180: quoted where it must be.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

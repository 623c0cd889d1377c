//! What a console says of itself: `enable`, `exit`, `terminal`, `show history`, `show users`.

use std::fmt::Write;

use super::answer::Said;
use super::command::{Command, Started, duration, vty_command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::vty::{Role, Vty};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    vty_command("enable", "Allow commands that change something", enable),
    vty_command("disable", "Allow commands that look only", |appliance, id, _| with(appliance, id, |vty| vty.is_enabled = false)),
    vty_command("exit", "End the session", leave),
    vty_command("logout", "End the session", leave),
    vty_command("quit", "End the session", leave),
    vty_command("terminal length <rows:0-512>", "Rows of a page; 0 for all at once",
                |appliance, id, args| with(appliance, id, |vty| vty.length = args.optional("rows"))),
    vty_command("terminal width <columns:0-512>", "Columns of a row",
                |appliance, id, args| with(appliance, id, |vty| vty.width = args.optional("columns"))),
    vty_command("show history", "The last lines of this session", history),
    vty_command("show users", "Who is on a console", users),
];

fn with(appliance: &mut Appliance, id: u64, set: impl FnOnce(&mut Vty)) -> Started {
    appliance.vtys.get_mut(id).map(set);
    Ok(Box::new(Said::new(String::new())))
}

fn enable(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    let is_refused = appliance.vtys.get(id).is_none_or(|vty| vty.role != Role::Change);
    if is_refused {
        return Err("% Access denied: this socket is for looking".into());
    }
    with(appliance, id, |vty| vty.is_enabled = true)
}

fn leave(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    with(appliance, id, |vty| vty.is_over = true)
}

fn history(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    let lines = appliance.vtys.get(id).into_iter().flat_map(|vty| &vty.history);
    Ok(Box::new(Said::new(lines.map(|line| format!("  {line}\n")).collect())))
}

fn users(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    let mut out = format!("{:<14}{:<11}{:<21}{:<11}{}\n", "    Line", "User", "Host(s)", "Idle", "Location");
    for (other, vty) in appliance.vtys.iter() {
        let mark = if other == id { '*' } else { ' ' };
        let idle = duration(appliance.operation.now_ms.saturating_sub(vty.heard_ms));
        let line = format!("{mark}{other:>3} vty {other}");
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{line:<14}{:<11}{:<21}{idle:<11}console", vty.user, "idle");
    }
    Ok(Box::new(Said::new(out)))
}

//! Live configuration: from `configure terminal` to `write memory`. Lines are checked as they are typed, and come into force together.

use std::path::PathBuf;

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};

use super::answer::{Answer, Progress, Said};
use super::command::{Command, Started, duration, vty_command};
use crate::appliance::Appliance;
use crate::change::{Change, Outcome, Save, Saved, Wanted};
use crate::config::grammar::Row;
use crate::config::{Args, Config, Editing, difference, parse};
use crate::vty::Draft;

const MINUTE_MS: u64 = 60_000;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    vty_command("configure terminal [ revert timer <minutes:1-120> ]",
                "Change the configuration, for good or until a timer ends", terminal),
    vty_command("configure replace <file:word> [ forced ]", "Take over all that a file says", replace),
    vty_command("configure confirm", "Keep the changes that a timer would undo", confirm),
    vty_command("configure revert now", "Undo the changes that a timer would undo", revert_now),
    vty_command("configure revert timer <minutes:1-120>", "Set the timer that undoes changes anew", revert_timer),
    vty_command("clear configuration lock", "Give up what somebody else is changing", clear_lock),
    vty_command("show configuration diff",
                "What is typed and not in force yet, or else in force and not in the file", diff),
    vty_command("write [ memory ]", "Write the configuration in force to its file", write_memory),
    vty_command("copy running-config startup-config", "Write the configuration in force to its file", write_memory),
];

pub(super) fn text(text: String) -> Box<dyn Answer> {
    Box::new(Said::new(text))
}

/// A copy of the configuration in force, to be changed.
fn draft(appliance: &Appliance, revert_minutes: Option<u32>) -> Draft {
    Draft {
        editing: Editing::of(&appliance.config),
        base: appliance.config_number,
        since_ms: appliance.operation.now_ms,
        revert_minutes,
    }
}

fn terminal(appliance: &mut Appliance, id: u64, args: &Args) -> Started {
    if let Some((other, vty, draft)) = appliance.vtys.changing() {
        let since = duration(appliance.operation.now_ms.saturating_sub(draft.since_ms));
        return Err(format!(
            "% Configuration mode is locked by {} on vty {other} for {since}; 'clear configuration lock' gives up what is \
             changed there",
            vty.user
        ));
    }
    let draft = draft(appliance, args.optional("minutes"));
    if let Some(vty) = appliance.vtys.get_mut(id) {
        vty.draft = Some(draft);
    }
    Ok(text("Enter configuration commands, one per line.  End with CNTL/Z.\n".into()))
}

fn clear_lock(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    let Some((other, vty, _)) = appliance.vtys.changing() else {
        return Err("% Nobody is changing the configuration".into());
    };
    let (user, by) = (vty.user.clone(), by(appliance, id));
    tracing::warn!(mnemonic = "SYS-4-CONFIG_LOCK", "What {user} changed on vty {other} was given up: {by}");
    appliance.vtys.free();
    Ok(text(String::new()))
}

/// Who does something, for the log.
fn by(appliance: &Appliance, id: u64) -> String {
    let user = appliance.vtys.get(id).map_or("nobody", |vty| vty.user.as_str());
    format!("console by {user} on vty {id}")
}

pub(super) fn exit(appliance: &mut Appliance, id: u64, args: &Args) -> Started {
    let draft = appliance.vtys.get_mut(id).and_then(|vty| vty.draft.as_mut());
    match draft.filter(|draft| !draft.editing.is_global()) {
        Some(draft) => {
            draft.editing.leave();
            Ok(text(String::new()))
        }
        None => end(appliance, id, args),
    }
}

pub(super) fn abort(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    if let Some(vty) = appliance.vtys.get_mut(id) {
        vty.draft = None;
    }
    Ok(text(String::new()))
}

pub(super) fn commit(appliance: &mut Appliance, id: u64, args: &Args) -> Started {
    bring_into_force(appliance, id, args, false)
}

pub(super) fn end(appliance: &mut Appliance, id: u64, args: &Args) -> Started {
    bring_into_force(appliance, id, args, true)
}

fn bring_into_force(appliance: &mut Appliance, id: u64, args: &Args, leaves: bool) -> Started {
    let draft =
        appliance.vtys.get(id).and_then(|vty| vty.draft.as_ref()).ok_or("% Not in configuration mode")?;
    let said = match draft.editing.refused() {
        0 => Vec::new(),
        count => vec![format!("% {count} line(s) were refused, and are not part of it")],
    };
    if difference(&appliance.config, draft.editing.config()).is_empty() {
        if leaves {
            abort(appliance, id, args)?;
        }
        return Ok(text(String::new()));
    }
    if draft.base != appliance.config_number {
        return Err(
            "% Another configuration came into force meanwhile; 'abort', and make the changes to that one"
                .into(),
        );
    }
    let parsed = draft.editing.finished().map_err(|found| {
        let lines: Vec<String> = found.iter().map(|said| format!("% {}", said.text)).collect();
        format!("{}\n% Nothing has changed; correct it, or 'abort'", lines.join("\n"))
    })?;
    let warnings = parsed.warnings.iter().map(|warning| format!("% {}", warning.text));
    let said = said.into_iter().chain(warnings).collect();
    let (reply, outcome) = bounded(1);
    appliance.operation.changes.push_back(Change {
        wanted: Wanted::Config(Box::new(parsed.config)),
        by: by(appliance, id),
        is_forced: args.has("forced") || draft.editing.is_forced(),
        revert_after_ms: draft.revert_minutes.map(|minutes| u64::from(minutes) * MINUTE_MS),
        reply: Some(reply),
    });
    Ok(Box::new(Commit { id, leaves, said, outcome }))
}

fn replace(appliance: &mut Appliance, id: u64, args: &Args) -> Started {
    if let Some((other, vty, _)) = appliance.vtys.changing() {
        return Err(format!("% Configuration mode is locked by {} on vty {other}", vty.user));
    }
    let (reply, outcome) = bounded(1);
    appliance.operation.changes.push_back(Change {
        wanted: Wanted::File(PathBuf::from(args.required::<String>("file"))),
        by: by(appliance, id),
        is_forced: args.has("forced"),
        revert_after_ms: None,
        reply: Some(reply),
    });
    Ok(Box::new(Commit { id, leaves: true, said: Vec::new(), outcome }))
}

/// Waits for a change to be made.
struct Commit {
    id: u64,
    leaves: bool,
    /// What there is to say once it is.
    said: Vec<String>,
    outcome: Receiver<Outcome>,
}

impl Answer for Commit {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        match self.outcome.try_recv() {
            Ok(Ok(told)) => {
                let draft = (!self.leaves).then(|| draft(appliance, None));
                if let Some(vty) = appliance.vtys.get_mut(self.id) {
                    vty.draft = draft;
                }
                self.said.extend(told);
                Progress::Piece(self.said.drain(..).map(|line| line + "\n").collect())
            }
            Ok(Err(why)) => Progress::Refused(why.join("\n")),
            Err(TryRecvError::Empty) => Progress::Waiting,
            // It was told of before.
            Err(TryRecvError::Disconnected) => Progress::Done,
        }
    }
}

fn confirm(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    if appliance.operation.revert.take().is_none() {
        return Err("% No change waits to be confirmed".into());
    }
    tracing::info!(mnemonic = "SYS-5-CONFIG_CONFIRMED", "Changes are confirmed: {}", by(appliance, id));
    Ok(text(String::new()))
}

fn revert_now(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    let Some(revert) = appliance.operation.revert.take() else {
        return Err("% No change waits to be confirmed".into());
    };
    let (reply, outcome) = bounded(1);
    appliance.operation.changes.push_back(Change {
        wanted: Wanted::Config(revert.config),
        by: by(appliance, id),
        is_forced: true,
        revert_after_ms: None,
        reply: Some(reply),
    });
    Ok(Box::new(Commit { id, leaves: true, said: Vec::new(), outcome }))
}

fn revert_timer(appliance: &mut Appliance, _: u64, args: &Args) -> Started {
    let minutes: u32 = args.required("minutes");
    let now_ms = appliance.operation.now_ms;
    let revert = appliance.operation.revert.as_mut().ok_or("% No change waits to be confirmed")?;
    revert.due_ms = now_ms + u64::from(minutes) * MINUTE_MS;
    Ok(text(String::new()))
}

pub(super) fn diff(appliance: &mut Appliance, _: u64, _: &Args) -> Started {
    let lines = match appliance.vtys.changing() {
        Some((.., draft)) => difference(&appliance.config, draft.editing.config()),
        None => difference(&in_file(appliance)?, &appliance.config),
    };
    Ok(text(lines.into_iter().map(|line| line + "\n").collect()))
}

fn in_file(appliance: &Appliance) -> Result<Config, String> {
    let startup = appliance.operation.startup.as_ref().ok_or("% There is no file in a replay")?;
    let parsed = parse(&startup.path.display().to_string(), &startup.text);
    parsed.map(|parsed| parsed.config).map_err(|found| {
        found.first().map_or_else(|| "% The file has mistakes".into(), |said| format!("% {said}"))
    })
}

fn write_memory(appliance: &mut Appliance, id: u64, _: &Args) -> Started {
    let startup = appliance.operation.startup.as_ref().ok_or("% There is no file in a replay")?;
    let (reply, saved): (Sender<_>, _) = bounded(1);
    let config = Box::new(appliance.config.clone());
    let save = Save { config, known: startup.text.clone(), reply };
    startup.writer.try_send(save).map_err(|_| "% The file is being written; try again")?;
    Ok(Box::new(Writing { by: by(appliance, id), saved }))
}

/// Waits for the file to be written.
struct Writing {
    by: String,
    saved: Receiver<Result<Saved, String>>,
}

impl Answer for Writing {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        match self.saved.try_recv() {
            Ok(Ok(Saved { text, is_apart })) => {
                if let Some(startup) = &mut appliance.operation.startup {
                    startup.text = text;
                    let file = startup.path.display();
                    tracing::info!(
                        mnemonic = "SYS-5-CONFIG_SAVED",
                        "Configuration written to {file}: {}",
                        self.by
                    );
                }
                let apart = "% Comments and lines of other features stand before all else in the file now\n";
                let said = if is_apart { apart } else { "" };
                Progress::Piece(format!("Building configuration...\n{said}[OK]\n"))
            }
            Ok(Err(why)) => Progress::Refused(format!("% {why}")),
            Err(TryRecvError::Empty) => Progress::Waiting,
            Err(TryRecvError::Disconnected) => Progress::Done,
        }
    }
}

//! `show track`

use std::fmt::Write;

use super::command::{Command, command, duration};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::{Track, TrackObject};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show track [ <object:1-1000> ]", "Tracked objects, and what depends on them", show),
];

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted: Option<u16> = args.optional("object");
    let tracks = appliance.config.tracks.iter();
    let shown: Vec<&Track> =
        tracks.filter(|track| wanted.is_none_or(|wanted| track.number == wanted)).collect();
    match wanted {
        Some(wanted) if shown.is_empty() => Err(format!("% There is no track {wanted}")),
        _ => Ok(shown.into_iter().map(|track| show_track(appliance, track)).collect()),
    }
}

fn show_track(appliance: &Appliance, track: &Track) -> String {
    let mut out = format!("Track {}\n", track.number);
    // Writing to a string cannot fail.
    let _ = match &track.object {
        TrackObject::Interface(name) => writeln!(out, "  Interface {name} line-protocol"),
        TrackObject::Other(text) => writeln!(out, "  {text}\n  Not supported"),
    };
    let tracked = appliance.operation.tracks.get(track.number);
    if let Some(tracked) = tracked.filter(|_| matches!(track.object, TrackObject::Interface(_))) {
        let state = if tracked.is_up { "Up" } else { "Down (hw down)" };
        let changes = if tracked.change_count == 1 { "change" } else { "changes" };
        let ago = duration(appliance.operation.now_ms.saturating_sub(tracked.changed_ms));
        let _ = writeln!(out, "  Line protocol is {state}");
        let _ = writeln!(out, "    {} {changes}, last change {ago}", tracked.change_count);
    }
    if appliance.config.routes.iter().any(|route| route.track == Some(track.number)) {
        out += "  Tracked by:\n    Static IP Routing 0\n";
    }
    out
}

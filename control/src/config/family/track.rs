//! `track`: objects that are up or down, which static routes depend on.

use std::fmt::{self, Display};

use super::edit::{pass_over_as, put, remove, statement};
use super::row::{Family, Section, Stage};
use crate::compile::compiler::Compiler;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::interface_name::InterfaceName;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::Place;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::Track, TRACK)],
    render: &[(Section::Tracks, |config| config.tracks.iter().map(Track::to_string).collect())],
    lint: |lint| lint.check_tracks(),
    compile: &[(Stage::Settings, |compiler| compiler.tracks())],
    ..Family::NONE
};

/// `track N ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Where it stands.
    pub place: Place,
    /// Its number; no two have the same.
    pub number: u16,
    /// What is tracked.
    pub object: TrackObject,
}

/// What a tracked object is up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackObject {
    /// `interface IFACE line-protocol`
    Interface(InterfaceName),
    /// What is not supported, such as `ip sla 1 reachability`: it is kept, and nothing may depend on it.
    Other(String),
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("track <object:1-1000> / interface <interface> { line-protocol | ip routing }",
              "Track the line protocol of an interface, for static routes", interface),
    statement("track <object:1-1000> { ip | list | stub-object | application } <text>",
              "Accepted, and refused where a route depends on it", other),
    statement("track { timer | resolution } <text>", "Accepted, without effect", at_once),
];

#[rustfmt::skip]
const TRACK: &[Row<Apply>] = &[
    statement("{ delay | default-state | carrier-delay } <text>", "Accepted, without effect", at_once),
    statement("{ object | threshold } <text>", "Accepted, without effect", of_list),
];

fn interface(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let interface: Option<InterfaceName> = statement.args.optional("interface");
    let object = interface.map(|interface| match statement.args.has("routing") {
        true => TrackObject::Other(format!("interface {interface} ip routing")),
        false => TrackObject::Interface(interface),
    });
    edit(builder, statement, object)
}

fn other(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let mut words = ["ip", "list", "stub-object", "application"].into_iter();
    let word = words.find(|word| statement.args.has(word)).expect("every line has one of these words");
    let text: String = statement.args.required("text");
    edit(builder, statement, Some(TrackObject::Other(format!("{word} {text}"))))
}

fn at_once(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    pass_over_as(builder, statement, "a change of the tracked object counts at once")
}

fn of_list(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    pass_over_as(builder, statement, "lists of objects are not tracked")
}

fn edit(builder: &mut Builder, statement: &Statement, object: Option<TrackObject>) -> Result<(), Fault> {
    let number: u16 = statement.args.required("object");
    let tracks = &mut builder.config.tracks;
    let Some(object) = object.filter(|_| statement.sets()) else {
        let removed = remove(tracks, |track| track.number == number);
        builder.expect_removed(removed, statement);
        return Ok(());
    };
    let track = Track { place: statement.place, number, object };
    if let TrackObject::Other(text) = &track.object {
        let text = format!("{text:?} is not supported; only \"interface IFACE line-protocol\" is tracked");
        builder.warn(statement.args.column("object"), text);
    }
    let tracks = &mut builder.config.tracks;
    put(&mut builder.known, List::Tracks, tracks, track, |track| track.number.to_string());
    builder.open(Mode::Track, (0, 0));
    Ok(())
}

/// What is tracked, as the line has it.
impl Display for TrackObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrackObject::Interface(interface) => write!(f, "interface {interface} line-protocol"),
            TrackObject::Other(text) => f.write_str(text),
        }
    }
}

/// The object's line.
impl Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "track {} {}", self.number, self.object)
    }
}

impl Lint<'_> {
    /// An object that something depends on. What depends on one that is never up is hardly meant.
    pub(super) fn check_track(&mut self, place: Place, number: u16) {
        let Some(track) = self.track(number).map(|position| &self.config.tracks[position]) else {
            self.warn(place, format!("track {number} is not defined: what depends on it is not used"));
            return;
        };
        if let TrackObject::Other(text) = &track.object {
            let text = format!(
                "track {number} is {text:?} by line {}, which is not supported; only \"interface IFACE line-protocol\" \
                 is tracked",
                track.place.line
            );
            self.error(place, text);
        }
    }

    fn check_tracks(&mut self) {
        for track in &self.config.tracks {
            if let TrackObject::Interface(name) = &track.object {
                self.check_defined(track.place, name);
            }
        }
    }
}

impl Compiler<'_> {
    /// The states of all objects. An interface that is not there is down.
    fn tracks(&mut self) {
        let is_up = |track: &Track| match &track.object {
            TrackObject::Interface(name) => {
                let index = self.interface_index(name);
                index.is_some_and(|index| self.out.policy.interfaces[usize::from(index)].is_up)
            }
            TrackObject::Other(_) => false,
        };
        self.out.tracks = self.config.tracks.iter().map(|track| (track.number, is_up(track))).collect();
    }

    /// Whether what depends on an object is in force; not on one that is not there.
    pub(super) fn is_track_up(&self, number: u16) -> bool {
        self.out.tracks.get(&number).copied().unwrap_or_default()
    }
}

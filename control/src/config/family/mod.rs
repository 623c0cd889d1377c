//! Every statement of the configuration language, by families: a family's file has what is remembered of its
//! statements, their syntax, what each does, their canonical text, what lint says about them and
//! what the data plane gets of them. `FAMILIES` lists the families; reading, rendering, lint and compilation are
//! loops over it. What several families do is in `edit` and `config/text.rs`.

pub(super) mod access_list;
mod edit;
pub(super) mod inside;
pub(super) mod interface;
pub(super) mod object_group;
pub(super) mod outside;
mod phrases;
pub(super) mod platform;
pub(super) mod pool;
pub(super) mod prefix_list;
pub(super) mod route_map;
pub(super) mod routing;
pub(crate) mod row;
pub(super) mod rule;
pub(super) mod service;
pub(super) mod settings;
pub(super) mod system;
pub(super) mod time_range;
pub(super) mod track;
pub(super) mod translation;
mod words;

use std::sync::LazyLock;

use super::builder::{Apply, Mode};
use super::grammar::{Grammar, Language};
use row::Family;

pub use phrases::PHRASES;

/// Every family. Their order is that of the lines in the manual, and of what is expected in messages.
pub(crate) const FAMILIES: &[Family] = &[
    system::FAMILY,
    platform::FAMILY,
    interface::FAMILY,
    pool::FAMILY,
    inside::FAMILY,
    outside::FAMILY,
    translation::FAMILY,
    settings::FAMILY,
    service::FAMILY,
    time_range::FAMILY,
    object_group::FAMILY,
    access_list::FAMILY,
    prefix_list::FAMILY,
    route_map::FAMILY,
    track::FAMILY,
    routing::FAMILY,
];

/// A mode: what lines may stand in it.
pub struct ModeRow {
    /// The mode.
    pub mode: Mode,
    /// Its title in the manual.
    pub title: &'static str,
    /// What a console's prompt has between its brackets.
    pub prompt: &'static str,
    /// The syntax lines of all families, compiled.
    pub grammar: Grammar<Apply>,
}

/// Every mode.
pub static MODES: LazyLock<[ModeRow; 12]> = LazyLock::new(|| {
    [
        (Mode::Global, "Global", "config"),
        (Mode::Platform, "Under `platform dpdk`", "config-platform"),
        (Mode::Vrf, "Under `vrf definition` and `ip vrf`", "config-vrf"),
        (Mode::Interface, "Under `interface`", "config-if"),
        (Mode::Pool, "Under `ip nat pool NAME netmask MASK`", "config-ipnat-pool"),
        (Mode::RouteMap, "Under `route-map`", "config-route-map"),
        (Mode::StandardList, "Under `ip access-list standard`", "config-std-nacl"),
        (Mode::ExtendedList, "Under `ip access-list extended`", "config-ext-nacl"),
        (Mode::NetworkGroup, "Under `object-group network`", "config-network-group"),
        (Mode::ServiceGroup, "Under `object-group service`", "config-service-group"),
        (Mode::Track, "Under `track`", "config-track"),
        (Mode::TimeRange, "Under `time-range`", "config-time-range"),
    ]
    .map(|(mode, title, prompt)| {
        let of_families = FAMILIES.iter().flat_map(|family| family.grammars);
        let rows = of_families.filter(|(of, _)| *of == mode).flat_map(|(_, rows)| *rows);
        ModeRow { mode, title, prompt, grammar: Grammar::new(rows, &LANGUAGE) }
    })
});

static LANGUAGE: Language = Language { phrases: PHRASES, words: words::WORDS };

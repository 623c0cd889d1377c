//! Every statement of the configuration language, by families: a family's file has what is remembered of its
//! statements, their syntax, what each does, their canonical text, what [`lint`](super::lint()) says about them and
//! what the data plane gets of them. `FAMILIES` lists the families; reading, rendering, lint and compilation are
//! loops over it. What several families do is in `edit` and `config/text.rs`.

pub(super) mod access_list;
mod edit;
pub(super) mod inside;
pub(super) mod interface;
pub(super) mod outside;
mod phrases;
pub(super) mod platform;
pub(super) mod pool;
pub(super) mod route_map;
pub(super) mod routing;
pub(crate) mod row;
pub(super) mod rule;
pub(super) mod service;
pub(super) mod settings;
pub(super) mod system;
pub(super) mod translation;
mod words;

use std::sync::LazyLock;

use super::builder::{Apply, Mode};
use super::grammar::{Grammar, Language};
use row::Family;

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
    access_list::FAMILY,
    route_map::FAMILY,
    routing::FAMILY,
];

/// Every mode, with its title in the manual.
pub const MODES: &[(Mode, &str)] = &[
    (Mode::Global, "Global"),
    (Mode::Platform, "Under `platform dpdk`"),
    (Mode::Vrf, "Under `vrf definition` and `ip vrf`"),
    (Mode::Interface, "Under `interface`"),
    (Mode::Pool, "Under `ip nat pool NAME netmask MASK`"),
    (Mode::RouteMap, "Under `route-map`"),
    (Mode::StandardList, "Under `ip access-list standard`"),
    (Mode::ExtendedList, "Under `ip access-list extended`"),
];

/// The compiled tables of syntax lines, one for each mode, in the order of [`MODES`].
pub static GRAMMARS: LazyLock<Vec<(Mode, Grammar<Apply>)>> = LazyLock::new(|| {
    let grammar = |&(mode, _): &(Mode, &str)| {
        let of_families = FAMILIES.iter().flat_map(|family| family.grammars);
        let rows = of_families.filter(|(of, _)| *of == mode).flat_map(|(_, rows)| *rows);
        (mode, Grammar::new(rows, &LANGUAGE))
    };
    MODES.iter().map(grammar).collect()
});

static LANGUAGE: Language = Language { phrases: phrases::PHRASES, words: words::WORDS };

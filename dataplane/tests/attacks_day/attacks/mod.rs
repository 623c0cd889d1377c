//! The attacks, a row each.

mod blind;
mod field;
mod floods;
mod fragments;
mod gateways;
mod mutated;
mod notices;

pub use field::Field;

/// An attack.
pub struct Attack {
    pub name: &'static str,
    /// Packets a second at most.
    pub rate_max: u32,
    /// Sends the next packets of it.
    pub next: fn(&mut Field),
}

/// As fast as attacks are.
const FAST: u32 = 10_000;
/// Flows in the names of many inside hosts are not told from those of as many hosts (docs/threats.md): so few a second that they
/// fit into what greedy hosts leave of the table, for the five minutes that UDP's live, and the one or four that TCP's do.
const MADE_UP_UDP: u32 = 1;
const MADE_UP_TCP: u32 = 3;

const fn row(name: &'static str, rate_max: u32, next: fn(&mut Field)) -> Attack {
    Attack { name, rate_max, next }
}

pub const ATTACKS: &[Attack] = &[
    row("syns", FAST, floods::syns),
    row("made-up-handshakes", FAST, floods::handshakes),
    row("datagrams", FAST, floods::datagrams),
    row("made-up-inside-udp", MADE_UP_UDP, floods::made_up_datagrams),
    row("made-up-inside-syns", MADE_UP_TCP, floods::made_up_syns),
    row("infected-to-many", FAST, floods::infected_to_many),
    row("infected-to-one", FAST, floods::infected_to_one),
    row("infected-of-interface", FAST, floods::infected_of_interface),
    row("infected-established", FAST, floods::established),
    row("outside-pool", FAST, floods::outside_pool),
    row("resets", FAST, blind::resets),
    row("resets-then-syns", FAST, blind::resets_then_syns),
    row("forged-errors", FAST, blind::errors),
    row("syns-to-gateways", FAST, gateways::syns_inwards),
    row("syns-to-gateways-outwards", FAST, gateways::syns_outwards),
    row("ftp-doors", FAST, gateways::ftp_outwards),
    row("ftp-doors-of-strangers", FAST, gateways::ftp_inwards),
    row("ftp-half-lines", FAST, gateways::ftp_half_lines),
    row("rtsp-never-whole", FAST, gateways::rtsp_never_whole),
    row("rtsp-doors", FAST, gateways::rtsp_doors),
    row("rcmd-doors", FAST, gateways::rcmd_doors),
    row("tftp-of-strangers", FAST, gateways::tftp_inwards),
    row("tftp-outwards", FAST, gateways::tftp_outwards),
    row("lone-first-fragments", FAST, fragments::first),
    row("lone-later-fragments", FAST, fragments::later),
    row("fragments-that-overlap", FAST, fragments::overlapping),
    row("dns-never-whole", FAST, fragments::dns),
    row("ttl-1", FAST, notices::ttl),
    row("too-big", FAST, notices::too_big),
    row("unroutable", FAST, notices::unroutable),
    row("closed-ports", FAST, notices::closed),
    row("absent-neighbours", FAST, notices::neighbours),
    row("mutated", FAST, mutated::frame),
];

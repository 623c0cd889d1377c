//! `show platform hardware qfp active feature alg statistics sip l7data`: messages by kind, under IOS's titles.

use std::collections::BTreeMap;
use std::fmt::Write;

use alg::Refusal;
use alg::registry::ROWS as GATEWAYS;
use dataplane::counters::{GATEWAY_METRICS, STREAM};

use crate::appliance::Appliance;

/// Where a number comes from: a metric that has a label, and a value of that.
type Source = (&'static str, &'static str);

const KINDS: &str = "alg_messages_by_kind_total";
const REFUSED: &str = "alg_refused_messages_total";
const DETACHED: &str = "alg_detached_sessions_total";

const fn kind(name: &'static str) -> Source {
    (KINDS, name)
}

const fn refused(refusal: Refusal) -> Source {
    (REFUSED, refusal.label())
}

/// Requests and the answers to them that say yes: their title, and both kinds.
const ANSWERED: &[(&str, &str, &str)] = &[
    ("Register", "register", "200-to-register"),
    ("Invite", "invite", "200-to-invite"),
    ("Update", "update", "200-to-update"),
    ("Bye", "bye", "200-to-bye"),
    ("Subscribe", "subscribe", "200-to-subscribe"),
    ("Refer", "refer", "200-to-refer"),
    ("Prack", "prack", "200-to-prack"),
];

type Cell = (&'static str, &'static [Source]);

/// What else was received.
#[rustfmt::skip]
const RECEIVED: &[Cell] = &[
    ("Trying", &[kind("100")]),
    ("Ringing", &[kind("180")]),
    ("Sess Prog", &[kind("183")]),
    ("Ack", &[kind("ack")]),
    ("Info", &[kind("info")]),
    ("Cancel", &[kind("cancel")]),
    ("Message", &[kind("message")]),
    ("Notify", &[kind("notify")]),
    ("Publish", &[kind("publish")]),
    ("Options", &[kind("options")]),
    ("1xx", &[kind("1xx")]),
    ("2xx", &[kind("2xx")]),
    ("OtherReq", &[kind("other-request")]),
    ("OtherOk", &[kind("200-to-other")]),
    ("OtherResp", &[kind("other-response")]),
    ("3xx", &[kind("3xx")]),
    ("4xx", &[kind("4xx")]),
    ("5xx", &[kind("5xx")]),
    ("6xx", &[kind("6xx")]),
    ("Keepalive", &[kind("keep-alive")]),
];

/// What followed from it.
#[rustfmt::skip]
const EVENTS: &[Cell] = &[
    ("Media Port Zero", &[kind("media-port-zero")]),
    ("Call Begun", &[kind("call-begun")]),
    ("Call Ended", &[kind("call-ended")]),
    ("Call Refused", &[kind("call-refused")]),
    ("Registered", &[kind("registered")]),
    ("Unregistered", &[kind("unregistered")]),
];

/// Why messages passed as they came, or sessions were let go of. Of a stream what is not SIP is seen before it is a message.
#[rustfmt::skip]
const ERRORS: &[Cell] = &[
    ("Not SIP Msg", &[kind("not-sip"), (DETACHED, Refusal::Foreign.label())]),
    ("Parse SIP Hdr Fail", &[kind("malformed")]),
    ("No Call-id", &[kind("no-call-id")]),
    ("Bad Format", &[refused(Refusal::Malformed)]),
    ("Huge Size", &[refused(Refusal::TooLong)]),
    ("Bad Argument", &[refused(Refusal::Argument)]),
    ("Foreign Address", &[refused(Refusal::ForeignAddress)]),
    ("Low Port", &[refused(Refusal::LowPort)]),
    ("No Port", &[refused(Refusal::NoPort)]),
    ("Door Limit", &[refused(Refusal::DoorLimit)]),
    ("Call Limit", &[refused(Refusal::CallLimit)]),
    ("Stream Lost", &[(DETACHED, STREAM)]),
];

/// Why what a message was to become could not be written.
const WRITEBACK_ERRORS: &[Cell] =
    &[("Edit Limit", &[refused(Refusal::EditLimit)]), ("Signed", &[refused(Refusal::Signed)])];

const SECTIONS: [(&str, &[Cell]); 3] =
    [("Events", EVENTS), ("Errors", ERRORS), ("Writeback Errors", WRITEBACK_ERRORS)];

const CELLS_PER_LINE: usize = 3;

/// The page of a gateway that counts kinds; none of one that counts none.
pub(super) fn page(appliance: &Appliance, position: usize) -> Option<String> {
    let row = GATEWAYS.get(position).filter(|row| !row.kinds.is_empty())?;
    let counts = counts(appliance, position);
    let count = |source: &Source| counts.get(source).copied().unwrap_or_default();
    let calls: u64 =
        appliance.counters.iter().map(|counters| counters.gateways[position].calls.value()).sum();
    let mut out = format!("{} info pool used chunk entries number: {calls}\n\nRECEIVE\n", row.label);
    for (title, request, ok) in ANSWERED {
        let title = format!("{title}:");
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {title:<12}{:>10} -> 200-OK: {}", count(&kind(request)), count(&kind(ok)));
    }
    add_cells(&mut out, RECEIVED, count);
    for (title, cells) in SECTIONS {
        let _ = writeln!(out, "\n{title}");
        add_cells(&mut out, cells, count);
    }
    Some(out)
}

fn add_cells(out: &mut String, cells: &[Cell], count: impl Fn(&Source) -> u64) {
    for line in cells.chunks(CELLS_PER_LINE) {
        let cells = line.iter().map(|(title, sources)| {
            let sum: u64 = sources.iter().map(&count).sum();
            format!("{:<20}{sum:>10}", format!("{title}:"))
        });
        let _ = writeln!(out, "  {}", cells.collect::<Vec<_>>().join("    "));
    }
}

/// What was counted since it was cleared, by metric and value of its label.
fn counts(appliance: &Appliance, position: usize) -> BTreeMap<Source, u64> {
    let baselines = &appliance.operation.baselines;
    let rows = GATEWAY_METRICS.iter().filter(|row| row.label().is_some());
    rows.flat_map(|row| {
        let values = baselines.values(&appliance.counters, row, |counters| &counters.gateways[position]);
        values.into_iter().map(move |(label, count)| ((row.name, label), count))
    })
    .collect()
}

//! The table of attacks.

use crate::controls::{
    control_sessions, doors, held_pieces, opened_again, retained_messages, strangers_doors,
};
use crate::floods::{
    borrowed_names, endless_fragments, guessed_resets, half_open, lone_fragments, notices_in_borrowed_names,
    outside_pool, provoked_notices, spent_limits, strangers_files, streams, unfinished_names,
};
use crate::management::{
    damaged_requests, endless_headers, huge_pool, idle_connections, large_pool, stopped_worker,
    unread_listings, unread_pages,
};
use crate::neighbours::{answered_for, made_up_stations, scanned};
use crate::stage::{AttackedLab, Promise, Row};
use anyhow::Result;

/// A table so small that a flood fills its part of it in a second.
const SMALL_TABLE: &[&str] = &["platform dpdk", " max-sessions 16384"];

const fn row(name: &'static str, rate: u32, attack: fn(&AttackedLab) -> Result<()>) -> Row {
    Row { name, lines: &[], rate, workers: 1, promise: Promise::All, attack }
}

/// All attacks.
pub const ROWS: &[Row] = &[
    Row { lines: SMALL_TABLE, ..row("SYNs in made-up names to a published server", 2000, half_open) },
    Row { lines: SMALL_TABLE, ..row("SYNs in made-up names to a published FTP server", 2000, streams) },
    row("listings that nobody reads", 20, unread_listings),
    row("idle and slow connections to the metrics port", 200, idle_connections),
    row("headers without end at the metrics port", 50, endless_headers),
    row("pages of metrics that nobody reads", 50, unread_pages),
    row("damaged requests for metrics", 100, damaged_requests),
    row("lone fragments from outside", 3000, lone_fragments),
    Row {
        lines: &[
            "interface GigabitEthernet0/0/1",
            " ip access-group 101 in",
            "access-list 101 deny ip 8.0.0.0 0.255.255.255 any",
            "access-list 101 permit ip any any",
        ],
        ..row("lone fragments that the access list denies", 3000, lone_fragments)
    },
    row("endless fragments of one stranger", 3000, endless_fragments),
    row("control sessions without end of inside hosts", 2000, control_sessions),
    row("connections of which every second byte is missing", 1000, held_pieces),
    row("commands that nobody acknowledges", 1000, retained_messages),
    row("doors of inside hosts", 2000, doors),
    row("doors of a stranger at a published FTP server", 500, strangers_doors),
    row("resets and SYNs with guessed numbers", 2000, guessed_resets),
    row("control connections opened again", 3, opened_again),
    Row {
        lines: &[
            "ip nat pool OUTSIDE 172.16.1.1 172.16.1.254 prefix-length 24",
            "access-list 2 permit 8.0.0.0 1.255.255.255",
            "ip nat outside source list 2 pool OUTSIDE",
            // Where the honest ones of them are.
            "ip route 172.16.1.0 255.255.255.0 198.51.100.10",
        ],
        ..row("strangers who need an address of an outside pool", 200, outside_pool)
    },
    Row {
        lines: &["ip nat translation max-entries all-host 100"],
        ..row("strangers' sessions with a host that has a limit", 1000, spent_limits)
    },
    row("reloads with a pool of a million addresses", 1, large_pool),
    row("reloads with a pool of sixteen million addresses", 1, huge_pool),
    row("ARP of made-up hosts", 1000, made_up_stations),
    row("a scan of the subnet", 1000, scanned),
    row("a scan, and a host that answers for all", 1000, answered_for),
    Row { workers: 2, promise: Promise::NothingLost, ..row("a worker that stands still", 1, stopped_worker) },
    row("questions for names that are never whole", 1000, unfinished_names),
    Row { lines: SMALL_TABLE, ..row("sessions in the names of other inside hosts", 2000, borrowed_names) },
    row("strangers' requests to a published TFTP server", 1000, strangers_files),
    row("packets that the box must answer itself", 2000, provoked_notices),
    row("packets that the box must answer, in the names of others", 1000, notices_in_borrowed_names),
];

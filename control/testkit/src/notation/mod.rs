//! The `.nat` notation: conversations with the appliance.
//!
//! ```text
//! case  The source port is kept where it is free
//! rfc   RFC 4787 REQ-3
//! config
//!   interface GigabitEthernet0/0/0
//!    ip address 10.0.0.1 255.255.255.0
//!    ip nat inside
//!   ...
//! step 1  the first packet makes a session
//!   in   inside   udp 10.0.0.2:4000 > 198.51.100.7:53 "query"
//!   out  outside  udp 203.0.113.1:4000 > 198.51.100.7:53
//! step 2  a stranger is not let in
//!   drop outside  udp 198.51.100.8:53 > 203.0.113.1:4000  no-mapping
//! ```
//!
//! # A case
//!
//! `case TITLE`, `rfc REFERENCE` (any number), `arp explicit`, `workers N` and `clock DATE TIME` (if so), `config` with the
//! configuration indented below it, then steps, numbered from 1. A line that starts with `#` is a comment.
//! With `workers 1` the case is played with one worker only: several claim ports in groups, and have a table each. With
//! `clock 2026-12-01 08:59` that is the time of day at the beginning, in UTC.
//!
//! # Lines of a step
//!
//! | line | meaning |
//! |---|---|
//! | `in WHERE [LABEL] PACKET` | the packet arrives |
//! | `out WHERE PACKET` | what becomes of the packet that went in last; `out WHERE [LABEL] PACKET`, of that one |
//! | `own WHERE PACKET` | the appliance sends a packet of its own |
//! | `drop WHERE PACKET REASON` | the packet arrives, and is dropped for this reason |
//! | `counter NAME +N` | a drop reason or another counter went up by N in this step; an ALG's is `ftp-edited`, `ftp-doors-opened`, `ftp-refused-argument`, `ftp-detached-stream` and so on; any other of a worker's is named as its metric, without `portico_` |
//! | `wait TIME` | time passes: `300s`, `500ms`, `2min`, `24h` |
//! | `sessions N` | there are so many sessions now |
//! | `where $NAME CONDITION` | `even`, `odd`, `in LOW-HIGH`, `is N`, `not N`, `is $OTHER`, `not $OTHER` |
//! | `config` | the lines indented below are added to the configuration, and it is loaded again |
//!
//! **Silence means unchanged.** A field of an `out` packet that is not named is what it was when the packet went
//! in, but for the TTL, which is one less, and checksums, which are right again (one that was wrong is still wrong
//! by as much). An `own` packet has the notation's defaults, but for its IPv4 identification, which may be
//! anything. A frame that is not expected is a failure, and so is a drop that is not named. Frames are compared in
//! their order, interface by interface, at the end of the step.
//!
//! WHERE is `inside` or `outside`, where one interface only is that, or the interface's name, `Gi0/0/0`.
//! Frames come from, and are expected to go to, the station of the next hop by the configured routes; a station's
//! address is `02aa` and its IPv4 address, so that 10.0.0.2 has `02aa.0a00.0002`.
//!
//! Stations answer the appliance's ARP requests, out of sight. With `arp explicit` they do not: every request is
//! seen and the case answers it, or not.
//!
//! # Packets
//!
//! | packet | |
//! |---|---|
//! | `udp SRC:PORT > DST:PORT ...` | |
//! | `tcp SRC:PORT > DST:PORT FLAGS ...` | flags as `syn`, `syn,ack`, `fin,ack`, or `no-flags` |
//! | `icmp TYPE SRC > DST ...` | `echo`, `echo-reply`, `port-unreachable`, `time-exceeded`, ..., or `TYPE/CODE` |
//! | `ip PROTOCOL SRC > DST ...` | a protocol by name or number, its header given as `hex` |
//! | `arp who-has TARGET tell SENDER` | |
//! | `arp SENDER is-at MAC tell TARGET` | |
//! | `raw HEX` | a whole frame |
//!
//! A number may be given as `*`, anything, where a packet is expected, or as `$name`: anything the first time, and
//! that number from then on. A port in an `in` line may be a range, `1-511`: one packet for each.
//!
//! After the endpoints, in any order:
//!
//! - payload: `"text"` (with `\r \n \t \0 \\ \" \x7f`), `bytes N`, `hex 00ff`
//! - IPv4: `ttl N`, `tos N`, `ip-id N`, `df`, `mf`, `frag N` (in units of 8 bytes), `reserved`, `version N`, `ihl N`,
//!   `total-length N`, `ip-checksum N|bad`, `record-route N`, `loose-route A`, `strict-route A`, `ip-options HEX`
//! - `checksum N|bad|none` of the transport
//! - UDP: `udp-length N`
//! - TCP: `seq N` (0 of a SYN, else 1), `ack N` (1), `win N`, `urg N`, `tcp-offset N`, `tcp-reserved N`, and options in their order: `mss N`,
//!   `wscale N`, `sack-ok`, `sack A-B`, `timestamps A B`, `nop`, `tcp-options HEX`
//! - ICMP: `id N`, `seq N`, `mtu N`, `pointer N`, `unused N`, `rest N`, and what errors quote: `quote { PACKET }`,
//!   `quote in` (the packet that went in last) or `quote [LABEL]`
//! - Ethernet: `to MAC`, `from MAC`, `vlan N|none`, `ethertype HEX`, `via ADDRESS` (the station of this next hop)
//! - the frame as bytes, at last: `at OFFSET = HEX`, `cut N` (keeps the first N bytes), `pad N`; within a quote,
//!   offsets count from its IPv4 header
//! - `x N`: so many times

mod file;
mod lex;
pub mod names;
mod packet;

pub use file::read;
pub use lex::{Cursor, Token};
pub use packet::{NO_VLAN, packet};

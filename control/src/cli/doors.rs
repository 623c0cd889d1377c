//! `show ip nat doors`

use std::fmt::Write;

use alg::registry::ROWS as GATEWAYS;
use dataplane::flow::protocol_name;
use dataplane::message::DoorRow;
use dataplane::policy::GatewayIndex;

use super::answer::{Answer, Progress};
use super::command::{Command, Started, duration, long_command};
use super::walk::{Walk, Walking};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show ip nat doors", "Endpoints that ALGs announced and nobody came to yet", show),
];

/// The table under way.
struct Table {
    walk: Option<Walk<DoorRow>>,
    is_begun: bool,
    count: u64,
}

fn show(_: &mut Appliance, _: &Args) -> Started {
    Ok(Box::new(Table { walk: Some(Walk::new(())), is_begun: false, count: 0 }))
}

impl Answer for Table {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        if !self.is_begun {
            self.is_begun = true;
            return Progress::Piece(line(
                ["Pro", "Inside global", "Inside local", "Outside", "ALG", "Child", "Uses"],
                "Left",
            ));
        }
        let Some(walk) = &mut self.walk else { return Progress::Done };
        match walk.advance(appliance) {
            Walking::Waiting => Progress::Waiting,
            Walking::Rows(rows) => {
                self.count += rows.len() as u64;
                Progress::Piece(rows.iter().map(text).collect())
            }
            Walking::Through => {
                self.walk = None;
                Progress::Piece(format!("\nTotal number of doors: {}\n", self.count))
            }
            Walking::Refused(refusal) => Progress::Refused(refusal),
        }
    }
}

fn text(row: &DoorRow) -> String {
    let protocol = protocol_name(row.protocol);
    let (global, local) = (row.inside_global.to_string(), row.inside_local.to_string());
    let peer = row.peer.map_or("any".to_string(), |peer| peer.to_string());
    let child = row.child.map_or("-", name);
    let uses = row.uses_left.to_string();
    let columns = [protocol.as_ref(), &global, &local, &peer, name(row.gateway), child, &uses];
    line(columns, &duration(u64::from(row.left_ms)))
}

fn line([protocol, global, local, outside, gateway, child, uses]: [&str; 7], left: &str) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{protocol:<4} {global:<21} {local:<21} {outside:<15} {gateway:<11} {child:<11} {uses:>5} {left}"
    );
    out
}

/// A gateway's name.
pub(super) fn name(gateway: GatewayIndex) -> &'static str {
    GATEWAYS.get(usize::from(gateway)).map_or("?", |row| row.name)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use dataplane::flow::{Endpoint, UDP};
    use dataplane::policy::gateway_named;

    use super::*;

    #[test]
    fn a_door_is_a_line() {
        let row = DoorRow {
            protocol: UDP,
            inside_local: Endpoint::new(Ipv4Addr::new(10, 0, 0, 11), 6970),
            inside_global: Endpoint::new(Ipv4Addr::new(203, 0, 113, 1), 6972),
            peer: None,
            vrf: 0,
            gateway: gateway_named("rtsp").expect("a row"),
            child: None,
            uses_left: 1,
            left_ms: 299_999,
            call: None,
            number: 0,
            session_count: Some(0),
        };
        let any = "udp  203.0.113.1:6972      10.0.0.11:6970        any             rtsp        -               1 00:04:59\n";
        assert_eq!(text(&row), any);
        let row = DoorRow { peer: Some(Ipv4Addr::new(198, 51, 100, 7)), child: gateway_named("ftp"), ..row };
        let expected = any.replace("any         ", "198.51.100.7").replace("-  ", "ftp");
        assert_eq!(text(&row), expected);
    }
}

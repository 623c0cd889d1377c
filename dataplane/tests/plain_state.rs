//! Plain state of appliances in every conversation below `cases/`: it is what the tables hold, and is read as it was
//! written.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use alg::Side;
use alg::registry::ROWS;
use dataplane::flow::{Endpoint, Tuple};
use dataplane::policy::IdleClass;
use dataplane::state::plain::{Channel, Door, Owner, Plain, decode, encode};
use dataplane::stream::Shifts;
use testkit::bench::Bench;
use testkit::case::files;
use testkit::run::{Circumstances, run_watched};

/// A record's kind, as far as it matters which of them were seen.
fn kind(record: &Plain) -> &'static str {
    match record {
        Plain::Subscriber(subscriber) if subscriber.sets.is_empty() => "a pairing",
        Plain::Subscriber(_) => "port sets",
        Plain::Address(address) if address.side == Side::Inside => "an inside host's address",
        Plain::Address(_) => "an outside host's address",
        Plain::Session(_) => "a session",
        Plain::ControlSession(control) => match control.channel {
            Channel::Datagrams => "datagrams",
            Channel::Opening(None) => "a connection of which no SYN was kept",
            Channel::Opening(Some(_)) => "a handshake",
            Channel::Open(None) => "a stream with bytes of its own",
            Channel::Open(Some(shifts)) if shifts == Shifts::default() => "a stream",
            Channel::Open(Some(_)) => "a shifted stream",
            Channel::Settled(_) => "a stream that settled",
            Channel::Untouched => "a connection that is not read",
            Channel::Ended(_) => "a connection that is over",
        },
        Plain::Child { .. } => "a child",
        Plain::Call(_) => "a call",
        Plain::Door(door) if door.outward.is_some() => "a door outwards",
        Plain::Door(_) => "a door",
    }
}

/// What the records say must be what the walks of `show` say.
fn compare_with_walks(bench: &mut Bench, records: &[Plain]) -> Result<(), String> {
    let rows = bench.sessions();
    let mut walked: Vec<String> = rows
        .iter()
        .map(|row| {
            let ends = [row.inside_local, row.inside_global, row.outside_local, row.outside_global];
            format!(
                "{} {ends:?} vrf {} rule {} {:?} age {} idle {}",
                row.protocol, row.vrf, row.rule, row.class, row.age_ms, row.idle_ms
            )
        })
        .collect();
    walked.extend(bench.doors().iter().map(|row| {
        let child = row.child.map(|child| ROWS[usize::from(child)].name);
        format!(
            "{} {} {} {:?} vrf {} {} {child:?} {} left {}",
            row.protocol,
            row.inside_local,
            row.inside_global,
            row.peer,
            row.vrf,
            ROWS[usize::from(row.gateway)].name,
            row.uses_left,
            row.left_ms
        )
    }));
    let mut told: Vec<String> = records.iter().filter_map(as_walked).collect();
    walked.sort();
    told.sort();
    if walked == told { Ok(()) } else { Err(format!("show says {walked:#?}, plain state {told:#?}")) }
}

fn as_walked(record: &Plain) -> Option<String> {
    let nobody = Endpoint::new(Ipv4Addr::UNSPECIFIED, 0);
    let (protocol, ends, vrf, rule, class, age_ms, idle_ms) = match record {
        Plain::Session(it) => {
            let ends = [it.inside_local, it.inside_global, it.outside_local, it.outside_global];
            (it.protocol, ends, it.inside_vrf, it.rule, it.progress.class(), it.age_ms, it.idle_ms)
        }
        Plain::Address(it) => {
            let (own, seen) = (Endpoint::new(it.own, 0), Endpoint::new(it.seen, 0));
            let (ends, inside_vrf) = match it.side {
                Side::Inside => ([own, seen, nobody, nobody], it.own_vrf),
                Side::Outside => ([nobody, nobody, seen, own], it.seen_vrf),
            };
            (0, ends, inside_vrf, it.rule, IdleClass::Other, it.age_ms, it.idle_ms)
        }
        Plain::Door(it) => {
            let (peer, child) = (it.peer, it.child.as_deref());
            return Some(format!(
                "{} {} {} {peer:?} vrf {} {} {child:?} {} left {}",
                it.protocol, it.inside, it.global, it.inside_vrf, it.gateway, it.uses_left, it.left_ms
            ));
        }
        Plain::Subscriber(_) | Plain::ControlSession(_) | Plain::Child { .. } | Plain::Call(_) => {
            return None;
        }
    };
    Some(format!("{protocol} {ends:?} vrf {vrf} rule {rule} {class:?} age {age_ms} idle {idle_ms}"))
}

/// Whatever a record names stands before it.
fn names_what_stands_before(records: &[Plain]) -> Result<(), String> {
    let (mut sessions, mut controls) = (Vec::new(), Vec::new());
    for record in records {
        let is_known = match record {
            Plain::Session(it) => {
                let (src, dst) = (it.inside_local, it.outside_local);
                sessions.push(Tuple { src, dst, protocol: it.protocol, vrf: it.inside_vrf });
                true
            }
            Plain::ControlSession(it) => {
                controls.push(it.session);
                sessions.contains(&it.session)
            }
            Plain::Child { session, control } => sessions.contains(session) && controls.contains(control),
            // Its control session may have nothing to remember, and then is no more than a session.
            Plain::Door(Door { owner: Owner::ControlSession(control), .. }) => sessions.contains(control),
            Plain::Subscriber(_) | Plain::Address(_) | Plain::Call(_) | Plain::Door(_) => true,
        };
        if !is_known {
            return Err(format!("{record:?} names what does not stand before it"));
        }
    }
    Ok(())
}

#[test]
fn what_appliances_hold_is_told_and_read_again() {
    let cases = files(Path::new("cases"));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for path in &cases {
        let text = std::fs::read_to_string(path).expect("a case");
        let case = testkit::notation::read(path, &text).expect("a case that can be read");
        // Just before the clock's 32 bits wrap around.
        let worker_count = case.worker_count.unwrap_or(1);
        let circumstances = Circumstances { start_ms: (1 << 32) - 2500, worker_count };
        let played = run_watched(&case, circumstances, |bench| {
            let records = bench.plain();
            for record in &records {
                *seen.entry(kind(record)).or_default() += 1;
            }
            let bytes = encode(&records).map_err(|error| error.to_string())?;
            if decode(&bytes) != Ok(records.clone()) {
                return Err(format!("what was read is not what was written: {records:#?}"));
            }
            names_what_stands_before(&records)?;
            compare_with_walks(bench, &records)
        });
        assert_eq!(played, Ok(()));
    }
    println!("{seen:#?}");
    for kind in [
        "a pairing",
        "port sets",
        "an inside host's address",
        "an outside host's address",
        "a session",
        "datagrams",
        "a handshake",
        "a stream",
        "a shifted stream",
        "a stream with bytes of its own",
        "a stream that settled",
        "a connection that is not read",
        "a child",
        "a door",
        "a door outwards",
    ] {
        assert!(seen.contains_key(kind), "no case has {kind}");
    }
}

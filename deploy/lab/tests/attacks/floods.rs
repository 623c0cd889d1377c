//! Floods of packets, each in names without end.

use crate::stage::{AttackedLab, ECHO, PUBLISHED, WEB};
use crate::wire::{Wire, random, stranger};
use anyhow::{Context, Result};
use lab::address::{INSIDE_GATEWAY, OUTSIDE_GATEWAY, STATIC_GLOBAL};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::net::{Ipv4Addr, SocketAddrV4};
use testkit::packet::{ACK, MORE, RST, SYN, TCP, UDP, datagram, fragment, seal_header, segment};

/// A segment size, so that the segment begins a stream that a gateway may read.
const MSS: [u8; 4] = [2, 4, 5, 0xb4];

/// Sends what `make` makes of a number, from outside.
fn from_outside(stage: &AttackedLab, mut make: impl FnMut(&mut SmallRng, u64) -> Vec<u8>) -> Result<()> {
    let (mut wire, mut random) = (Wire::outside(stage)?, random(stage));
    stage.at_rate(|number| {
        wire.send(&make(&mut random, number));
        Ok(())
    })
}

/// Sends what `make` makes of a number, from inside.
fn from_inside(stage: &AttackedLab, mut make: impl FnMut(&mut SmallRng, u64) -> Vec<u8>) -> Result<()> {
    let (mut wire, mut random) = (Wire::inside(stage)?, random(stage));
    stage.at_rate(|number| {
        wire.send(&make(&mut random, number));
        Ok(())
    })
}

/// SYNs to the published web server, which answers each, and now and then a third segment.
pub fn half_open(stage: &AttackedLab) -> Result<()> {
    let mut last = None;
    from_outside(stage, |random, number| match last.filter(|_| number % 3 == 2) {
        Some(from) => segment((from, WEB), (random.random(), random.random(), ACK), &[], &[]),
        None => {
            let from = stranger(random);
            last = Some(from);
            segment((from, WEB), (random.random(), 0, SYN), &[], &[])
        }
    })
}

/// SYNs to the published FTP server, which answers each.
pub fn streams(stage: &AttackedLab) -> Result<()> {
    let to = SocketAddrV4::new(PUBLISHED, 21);
    from_outside(stage, |random, _| segment((stranger(random), to), (random.random(), 0, SYN), &MSS, &[]))
}

/// Global addresses that something is translated to, and one that nobody has.
fn global(random: &mut SmallRng) -> Ipv4Addr {
    match random.random_range(0..4) {
        0 => STATIC_GLOBAL,
        1 => PUBLISHED,
        2 => Ipv4Addr::new(203, 0, 113, random.random_range(1..=4)),
        _ => Ipv4Addr::new(198, 18, 0, random.random()),
    }
}

/// First and later fragments whose packets are never whole.
pub fn lone_fragments(stage: &AttackedLab) -> Result<()> {
    from_outside(stage, |random, number| {
        let field = if number % 3 == 0 { MORE } else { MORE | random.random_range(1..64) };
        let ends = (*stranger(random).ip(), global(random));
        fragment(
            ends,
            UDP,
            (random.random(), field),
            &[0x1b, 0x58, 0x1b, 0x58, 0, 100, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        )
    })
}

/// Of one stranger: 48 later fragments of each packet, of as many packets as there are.
pub fn endless_fragments(stage: &AttackedLab) -> Result<()> {
    let from = Ipv4Addr::new(8, 0, 0, 9);
    from_outside(stage, |_, number| {
        let id = (number / 48) as u16;
        fragment((from, STATIC_GLOBAL), UDP, (id, MORE | (1 + number % 48) as u16), &[7; 8])
    })
}

/// The first fragments of questions to a published name server, and of an inside host's own.
pub fn unfinished_names(stage: &AttackedLab) -> Result<()> {
    let (mut inside, mut outside) = (Wire::inside(stage)?, Wire::outside(stage)?);
    let mut random = random(stage);
    let mut question = vec![0x30, 0x39, 0, 53, 0x05, 0xdc, 0, 0];
    question.extend(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03www\x07example\x03com\0\0\x01\0\x01");
    question.resize(64, 0);
    stage.at_rate(|number| {
        let port: u16 = random.random_range(1024..=65535);
        question[..2].copy_from_slice(&port.to_be_bytes());
        let marks = (random.random(), MORE);
        match number % 3 {
            0 => outside.send(&fragment((*stranger(&mut random).ip(), STATIC_GLOBAL), UDP, marks, &question)),
            1 => outside.send(&fragment((Ipv4Addr::new(8, 0, 0, 9), STATIC_GLOBAL), UDP, marks, &question)),
            _ => inside.send(&fragment(
                (Ipv4Addr::new(10, 0, 3, 1), lab::address::FAR_SERVER),
                UDP,
                marks,
                &question,
            )),
        }
        Ok(())
    })
}

/// Datagrams of an inside host in the names of four thousand others of its subnet.
pub fn borrowed_names(stage: &AttackedLab) -> Result<()> {
    from_inside(stage, |random, _| {
        let address = Ipv4Addr::from_bits(0x0a00_1000 | random.random_range(0..0x1000));
        let from = SocketAddrV4::new(address, random.random_range(1024..=65535));
        datagram((from, stranger(random)), b"who am I")
    })
}

/// Requests to the published TFTP server, each of which has a door opened.
pub fn strangers_files(stage: &AttackedLab) -> Result<()> {
    let to = SocketAddrV4::new(PUBLISHED, 69);
    from_outside(stage, |random, _| datagram((stranger(random), to), b"\0\x01file\0octet\0"))
}

/// Whatever makes the box itself send: what expires at it, what it does not listen to, and what it has no place for; of an inside
/// host and of strangers.
pub fn provoked_notices(stage: &AttackedLab) -> Result<()> {
    let (mut inside, mut outside) = (Wire::inside(stage)?, Wire::outside(stage)?);
    let mut random = random(stage);
    stage.at_rate(|number| {
        let own = SocketAddrV4::new(Ipv4Addr::new(10, 0, 3, 1), random.random_range(1024..=65535));
        let far = stranger(&mut random);
        match number % 4 {
            0 => inside.send(&expiring(own, far)),
            1 => inside.send(&datagram((own, SocketAddrV4::new(INSIDE_GATEWAY, 9)), b"closed")),
            2 => outside.send(&datagram((far, SocketAddrV4::new(OUTSIDE_GATEWAY, 9)), b"closed")),
            _ => {
                let to = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 1), random.random_range(1024..=65535));
                outside.send(&segment((far, to), (random.random(), 0, SYN), &[], &[]));
            }
        }
        Ok(())
    })
}

/// The same of an inside host in the names of fifteen others.
pub fn notices_in_borrowed_names(stage: &AttackedLab) -> Result<()> {
    from_inside(stage, |random, _| {
        let borrowed = SocketAddrV4::new(Ipv4Addr::from_bits(0x0a00_0301 + random.random_range(0..15)), 5000);
        expiring(borrowed, stranger(random))
    })
}

/// A datagram that expires at the box.
fn expiring(from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
    let mut packet = datagram((from, to), b"expires");
    packet[8] = 1;
    seal_header(&mut packet);
    packet
}

/// Resets and SYNs with any numbers in the names of both ends of the witness's connections, some with a wrong checksum, and
/// to every port of the pool.
pub fn guessed_resets(stage: &AttackedLab) -> Result<()> {
    let connections = stage.connections.get().context("the witness's connections")?;
    let (mut inside, mut outside) = (Wire::inside(stage)?, Wire::outside(stage)?);
    let mut random = random(stage);
    stage.at_rate(|number| {
        let (local, global) = connections[random.random_range(0..connections.len())];
        let anywhere =
            SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, random.random_range(1..=4)), random.random());
        let (seq, ack) = (random.random(), random.random());
        // A reset, and a SYN after it.
        let (flags, ack) = match number % 4 {
            0 => (RST, 0),
            1 => (SYN, 0),
            2 => (RST | ACK, ack),
            _ => (RST, 0),
        };
        let ends = match number / 4 % 3 {
            0 => (ECHO, global),
            1 => (ECHO, anywhere),
            _ => (local, ECHO),
        };
        let mut packet = segment(ends, (seq, ack, flags), &[], &[]);
        debug_assert_eq!(packet[9], TCP);
        if number % 4 == 3 {
            packet[36] ^= 0x12;
        }
        if ends.1 == ECHO {
            inside.send(&packet)
        } else {
            outside.send(&packet)
        }
        Ok(())
    })
}

/// Strangers to the published host with an address of its own, whose own sessions have a limit.
pub fn spent_limits(stage: &AttackedLab) -> Result<()> {
    from_outside(stage, |random, number| {
        let from = stranger(random);
        let to = SocketAddrV4::new(STATIC_GLOBAL, random.random_range(1024..=65535));
        match number % 2 {
            0 => segment((from, to), (random.random(), 0, SYN), &[], &[]),
            _ => datagram((from, to), b"anybody there"),
        }
    })
}

/// One packet of each stranger who needs an address of the outside pool.
pub fn outside_pool(stage: &AttackedLab) -> Result<()> {
    from_outside(stage, |random, number| {
        let flags = if number % 2 == 0 { SYN } else { ACK };
        segment((stranger(random), WEB), (random.random(), random.random(), flags), &[], &[])
    })
}

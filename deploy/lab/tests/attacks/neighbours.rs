//! A station of the inside subnet and the table of neighbours.

use crate::stage::AttackedLab;
use crate::wire::{Wire, random, stranger};
use anyhow::Result;
use lab::address::INSIDE_GATEWAY;
use rand::RngExt;
use std::net::{Ipv4Addr, SocketAddrV4};
use testkit::packet::datagram;

const BROADCAST: [u8; 6] = [0xff; 6];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// Addresses of the subnet at which nobody is: 10.0.32.0/19.
fn nobody(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_2000 | number & 0x1fff)
}

/// An ARP packet as a frame.
fn arp(
    operation: u8,
    to: [u8; 6],
    (station, sender): ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
) -> Vec<u8> {
    let mut frame = [to, station].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, operation]);
    frame.extend(station);
    frame.extend(sender.octets());
    frame.extend(target.0);
    frame.extend(target.1.octets());
    frame
}

/// ARP requests for the gateway, each of another address and another station; and of one address with ever another station.
pub fn made_up_stations(stage: &AttackedLab) -> Result<()> {
    let (mut wire, mut random) = (Wire::inside(stage)?, random(stage));
    stage.at_rate(|number| {
        let mut station: [u8; 6] = random.random();
        station[0] = 2;
        let address = if number % 4 == 3 { nobody(1) } else { nobody(number as u32) };
        wire.send_frame(&arp(REQUEST, BROADCAST, (station, address), ([0; 6], INSIDE_GATEWAY)));
        Ok(())
    })
}

/// Packets through the gateway to every address of the subnet, each of which has to be resolved; with `answers` the scanner
/// says of each that it is its own.
fn scan(stage: &AttackedLab, answers: bool) -> Result<()> {
    let (mut wire, mut random) = (Wire::inside(stage)?, random(stage));
    let own = crate::stage::ATTACKER_STATION;
    stage.at_rate(|number| {
        let from = match number % 2 {
            0 => SocketAddrV4::new(Ipv4Addr::new(10, 0, 3, 1), 5000),
            _ => stranger(&mut random),
        };
        wire.send(&datagram((from, SocketAddrV4::new(nobody(number as u32), 5000)), b"anybody"));
        while let Some(frame) = wire.hear().filter(|_| answers) {
            let is_request = frame.get(12..22) == Some(&[8, 6, 0, 1, 8, 0, 6, 4, 0, REQUEST][..]);
            let (Some(asked), true) = (frame.get(38..42), is_request) else { continue };
            let asked = Ipv4Addr::new(asked[0], asked[1], asked[2], asked[3]);
            if asked.to_bits() & 0xffff_e000 == 0x0a00_2000 {
                let box_station = [2, 0, 0, 0, 0, 1];
                wire.send_frame(&arp(REPLY, box_station, (own, asked), (box_station, INSIDE_GATEWAY)));
            }
        }
        Ok(())
    })
}

/// Nobody answers.
pub fn scanned(stage: &AttackedLab) -> Result<()> {
    scan(stage, false)
}

/// The scanner answers for everybody.
pub fn answered_for(stage: &AttackedLab) -> Result<()> {
    scan(stage, true)
}

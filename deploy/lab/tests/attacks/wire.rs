//! An attacker's packets: frames of his own making, by a device of his.

use crate::stage::{ATTACKER_STATION, Stage};
use anyhow::Result;
use lab::{End, Namespace};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use testkit::random::generator;

use crate::device;

/// What an attacker sends by, to the appliance's station on his side.
pub struct Wire {
    device: File,
    station: [u8; 6],
    own: [u8; 6],
}

impl Wire {
    fn new(namespace: &Namespace, interface: u8, own: [u8; 6]) -> Result<Wire> {
        let device = device::open(End { namespace, device: "eth0" })?;
        Ok(Wire { device, station: [2, 0, 0, 0, 0, interface], own })
    }

    /// The inside attacker's.
    pub fn inside(stage: &Stage) -> Result<Wire> {
        Wire::new(&stage.attacker().namespace, 1, ATTACKER_STATION)
    }

    /// A stranger's.
    pub fn outside(stage: &Stage) -> Result<Wire> {
        Wire::new(&stage.lab.client.namespace, 2, [2, 0xbb, 0, 0, 0, 2])
    }

    /// Sends a packet. A device without room loses it.
    pub fn send(&mut self, packet: &[u8]) {
        let frame = [&self.station[..], &self.own, &[8, 0], packet].concat();
        self.send_frame(&frame);
    }

    /// Sends a frame as it is.
    pub fn send_frame(&mut self, frame: &[u8]) {
        let _ = self.device.write(frame);
    }

    /// The next frame that was heard; none if there is none now.
    pub fn hear(&mut self) -> Option<Vec<u8>> {
        let mut frame = vec![0; device::FRAME_LEN_MAX];
        let len = self.device.read(&mut frame).ok()?;
        frame.truncate(len);
        Some(frame)
    }
}

/// Numbers for a row.
pub fn random(stage: &Stage) -> SmallRng {
    generator(stage.row.name, 1)
}

/// A stranger's endpoint, made up.
pub fn stranger(random: &mut SmallRng) -> SocketAddrV4 {
    let address = Ipv4Addr::from_bits(0x0800_0000 | random.random::<u32>() >> 9);
    SocketAddrV4::new(address, random.random_range(1024..=65535))
}

/// A piece of a packet: identification and the field of flags and offset. What it carries is as given.
pub fn fragment(
    (src, dst): (Ipv4Addr, Ipv4Addr),
    protocol: u8,
    (id, field): (u16, u16),
    carried: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + carried.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(field.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    seal(&mut packet);
    packet.extend(carried);
    packet
}

/// Computes the checksum of an IPv4 header without options.
pub fn seal(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let words = packet[..20].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes());
}

/// More fragments follow.
pub const MORE: u16 = 0x2000;

//! An attacker's packets: frames of his own making, by a device of his.

use crate::stage::{ATTACKER_STATION, AttackedLab, HONEST};
use anyhow::{Context, Result, bail};
use lab::address::INSIDE_GATEWAY;
use lab::{End, Namespace};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::sleep;
use std::time::{Duration, Instant};
use testkit::random::generator;
use testkit::stations::{Arp, BROADCAST, frame};

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
    pub fn inside(stage: &AttackedLab) -> Result<Wire> {
        Wire::new(&stage.attacker().namespace, 1, ATTACKER_STATION)
    }

    /// A stranger's.
    pub fn outside(stage: &AttackedLab) -> Result<Wire> {
        Wire::new(&stage.lab.client.namespace, 2, [2, 0xbb, 0, 0, 0, 2])
    }

    /// Sends a packet. A device without room loses it.
    pub fn send(&mut self, packet: &[u8]) {
        self.send_frame(&frame(self.station, self.own, None, 0x0800, packet));
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

/// What a new station does before it sends anything: it asks for the box's. Its kernel would, were the host not one of many
/// addresses that share what it knows.
pub fn ask_for_gateway(stage: &AttackedLab, host: Ipv4Addr) -> Result<()> {
    let end = End { namespace: stage.inside(HONEST), device: "eth0" };
    let mut device = device::open(end)?;
    let own = end.namespace.within(|| device::link_of(end))??.addr().context("a device without a station")?;
    let request = Arp { operation: 1, sender: (own, host), target: ([0; 6], INSIDE_GATEWAY) };
    let frame = frame(BROADCAST, own, None, 0x0806, &request.bytes());
    let (start, mut heard) = (Instant::now(), vec![0; device::FRAME_LEN_MAX]);
    while start.elapsed() < stage.patience {
        device.write_all(&frame)?;
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(1) {
            let Ok(len) = device.read(&mut heard) else {
                sleep(Duration::from_millis(1));
                continue;
            };
            if Arp::of_frame(&heard[..len]).is_some_and(|arp| arp.operation == 2 && arp.target.1 == host) {
                return Ok(());
            }
        }
    }
    bail!("the box does not answer {host}'s question for its station")
}

/// Numbers for a row.
pub fn random(stage: &AttackedLab) -> SmallRng {
    generator(stage.row.name, 1)
}

/// A stranger's endpoint, made up.
pub fn stranger(random: &mut SmallRng) -> SocketAddrV4 {
    let address = Ipv4Addr::from_bits(0x0800_0000 | random.random::<u32>() >> 9);
    SocketAddrV4::new(address, random.random_range(1024..=65535))
}

//! Frames and capture files of the tests' own making: pcap and pcapng are written here byte for byte, and packets by the test
//! kit, so that a mistake in the product's code cannot hide behind itself. What the program writes is read by the product's
//! reader, which these files are a test of.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use dataplane::port::pcap::read_capture;
use testkit::packet::{DF, ICMP, Ipv4, TCP, Tcp, UDP, icmp, udp};
use testkit::stations::{Arp, BROADCAST, frame};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// The link type of Ethernet captures.
pub const ETHERNET: u32 = 1;

/// What an IPv4 packet carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// A datagram; without a checksum where `checksummed` is false.
    Udp { payload: Vec<u8>, checksummed: bool },
    /// A segment: flags, sequence number, acknowledgement number, payload.
    Tcp { flags: u8, seq: u32, ack: u32, payload: Vec<u8> },
    /// An echo request or reply, whose identifier is the port of its endpoints.
    Echo { is_request: bool, seq: u16, payload: Vec<u8> },
}

/// An IPv4 packet from one endpoint to another.
#[derive(Clone, Debug)]
pub struct Packet {
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub ttl: u8,
    pub body: Body,
}

impl Packet {
    /// The packet in an Ethernet frame.
    pub fn frame(&self, source: Mac, destination: Mac) -> Vec<u8> {
        let (from, to) = (self.from, self.to);
        let ports = (from.port(), to.port());
        let header = |protocol| Ipv4 {
            id: 0x1234,
            fragment: DF,
            ttl: self.ttl,
            ..Ipv4::new((*from.ip(), *to.ip()), protocol)
        };
        let packet = match &self.body {
            Body::Udp { payload, checksummed: true } => header(UDP).sealed(&udp(ports, payload)),
            Body::Udp { payload, checksummed: false } => header(UDP).around(&udp(ports, payload)),
            Body::Tcp { flags, seq, ack, payload } => {
                let (seq, ack, flags) = (*seq, *ack, *flags);
                let segment = Tcp { ports, seq, ack, flags, window: 0xffff, urgent: 0 };
                header(TCP).sealed(&segment.around(&[], payload))
            }
            Body::Echo { is_request, seq, payload } => {
                let (kind, id) = if *is_request { (8, ports.0) } else { (0, ports.1) };
                let [a, b] = id.to_be_bytes();
                let [c, d] = seq.to_be_bytes();
                header(ICMP).sealed(&icmp((kind, 0), [a, b, c, d], payload))
            }
        };
        frame(destination, source, None, 0x0800, &packet)
    }
}

/// An ARP request to everyone, or a reply to `to`.
pub fn arp(sender: (Mac, Ipv4Addr), to: Option<Mac>, target: Ipv4Addr) -> Vec<u8> {
    let operation = if to.is_some() { 2 } else { 1 };
    let arp = Arp { operation, sender, target: (to.unwrap_or_default(), target) };
    frame(to.unwrap_or(BROADCAST), sender.0, None, 0x0806, &arp.bytes())
}

/// A frame with its time in microseconds since 1970.
pub type Timed = (u64, Vec<u8>);

/// A pcap file, little-endian, in microseconds.
pub fn pcap(link_type: u32, frames: &[Timed]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, link_type] {
        file.extend(word.to_le_bytes());
    }
    for (at_us, frame) in frames {
        let len = frame.len() as u32;
        for word in [(at_us / 1_000_000) as u32, (at_us % 1_000_000) as u32, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// A pcapng file, big-endian, of one interface with times in nanoseconds.
pub fn pcapng(link_type: u16, frames: &[Timed]) -> Vec<u8> {
    let mut file = Vec::new();
    let section = [&0x1a2b_3c4du32.to_be_bytes()[..], &[0, 1, 0, 0], &[0xff; 8]].concat();
    put_block(&mut file, 0x0a0d_0d0a, &section);
    // Option 9, the resolution of times: nine decimals; then the end of options.
    let resolution = [0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0];
    let interface = [&link_type.to_be_bytes()[..], &[0, 0], &65_535u32.to_be_bytes(), &resolution].concat();
    put_block(&mut file, 1, &interface);
    for (at_us, frame) in frames {
        let at_ns = (at_us * 1000).to_be_bytes();
        let len = (frame.len() as u32).to_be_bytes();
        let mut body = [&[0; 4][..], &at_ns, &len, &len, frame].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        put_block(&mut file, 6, &body);
    }
    file
}

fn put_block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let len = (body.len() as u32 + 12).to_be_bytes();
    file.extend(kind.to_be_bytes());
    file.extend(len);
    file.extend(body);
    file.extend(len);
}

/// The frames of a capture that the program wrote.
pub fn read(path: &Path) -> Vec<Timed> {
    let frames = read_capture(path).unwrap_or_else(|error| panic!("{error}"));
    frames.into_iter().map(|frame| (frame.at_us, frame.bytes)).collect()
}

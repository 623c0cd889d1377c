//! Reading headers: a frame becomes positions and a tuple, or the reason why it is not one we carry.

use std::net::Ipv4Addr;

use mem::Packet;

use crate::checksum::checksum;
use crate::drops::DropReason;
use crate::policy::{AclKey, InterfaceIndex, Policy};
use crate::tuple::{Endpoint, ICMP, TCP, Tuple, UDP, Vrf};

/// Bytes of an Ethernet header without tags.
pub const ETHERNET_LEN: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_VLAN: u16 = 0x8100;
const IPV4_LEN_MIN: usize = 20;

/// TCP flag bits (RFC 9293 section 3.1).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is valid.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is valid.
    pub const URG: u8 = 0x20;
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Parsed {
    /// An IPv4 packet.
    Ipv4(Head),
    /// An ARP packet at this offset, for the control thread.
    Arp(InterfaceIndex, u16),
}

/// The positions and values of an IPv4 packet's headers.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// What the packet is looked up by.
    pub tuple: Tuple,
    /// Outer source. Differs from the tuple's only for ICMP errors.
    pub src: Ipv4Addr,
    /// Outer destination.
    pub dst: Ipv4Addr,
    /// Interface of arrival.
    pub interface: InterfaceIndex,
    /// Offset of the IPv4 header in the frame.
    pub l3: u16,
    /// Offset of the transport header.
    pub l4: u16,
    /// Total length of the IPv4 packet in bytes.
    pub total_len: u16,
    /// What follows the IPv4 header.
    pub transport: Transport,
    /// Time to live as it arrived.
    pub ttl: u8,
    /// TCP flags, 0 for other protocols.
    pub tcp_flags: u8,
    /// ICMP type and code, 0 for other protocols.
    pub icmp: (u8, u8),
    /// The type-of-service byte.
    pub tos: u8,
    /// The sender forbids fragmentation.
    pub dont_fragment: bool,
    /// A fragment of a longer packet, first or later.
    pub is_fragment: bool,
    /// Identification, which the fragments of a packet share.
    pub id: u16,
    /// What the identification is to become when the packet leaves; set where fragments are gathered.
    pub new_id: Option<u16>,
    /// Where a fragment's payload belongs in the packet's, in bytes.
    pub fragment_offset: u16,
    /// The last fragment of its packet, or no fragment at all.
    pub is_last: bool,
}

/// What follows the IPv4 header, as far as translation differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with at least its fixed header.
    Tcp,
    /// UDP, with its header.
    Udp,
    /// An ICMP message with an identifier: echo, timestamp.
    IcmpQuery,
    /// An ICMP error about the packet quoted at `l3`, with its transport header at `l4`.
    IcmpError {
        /// Offset of the quoted IPv4 header in the frame.
        l3: u16,
        /// Offset of the quoted transport header in the frame.
        l4: u16,
    },
    /// A protocol without ports.
    Other,
    /// A fragment that is not the first, whatever its protocol.
    LaterFragment,
}

impl Head {
    /// Outer source and destination, with ports where the packet shows some of its own.
    #[inline]
    pub fn outer_endpoints(&self) -> (Endpoint, Endpoint) {
        match self.transport {
            Transport::Tcp | Transport::Udp => (self.tuple.src, self.tuple.dst),
            _ => (Endpoint::new(self.src, 0), Endpoint::new(self.dst, 0)),
        }
    }

    /// What access lists look at.
    pub fn acl_key(&self) -> AclKey {
        let (src, dst) = self.outer_endpoints();
        AclKey {
            src,
            dst,
            protocol: if matches!(self.transport, Transport::IcmpError { .. }) {
                ICMP
            } else {
                self.tuple.protocol
            },
            tcp_flags: self.tcp_flags,
            icmp: self.icmp,
            later_fragment: self.transport == Transport::LaterFragment,
            dscp: self.tos >> 2,
        }
    }
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(word) => u16::from_be_bytes([word[0], word[1]]),
        None => 0,
    }
}

#[inline]
fn addr_at(bytes: &[u8], at: usize) -> Ipv4Addr {
    match bytes.get(at..at + 4) {
        Some(word) => Ipv4Addr::new(word[0], word[1], word[2], word[3]),
        None => Ipv4Addr::UNSPECIFIED,
    }
}

/// Reads a frame's headers. Cuts off Ethernet padding, and changes nothing else.
pub fn parse(packet: &mut Packet, policy: &Policy) -> Result<Parsed, DropReason> {
    let bytes = packet.bytes();
    if bytes.len() < ETHERNET_LEN {
        return Err(DropReason::EthernetTruncated);
    }
    let mut ethertype = u16_at(bytes, 12);
    let mut l3 = ETHERNET_LEN;
    let mut vlan = None;
    if ethertype == ETHERTYPE_VLAN {
        if bytes.len() < ETHERNET_LEN + 4 {
            return Err(DropReason::EthernetTruncated);
        }
        vlan = Some(u16_at(bytes, 14) & 0x0fff).filter(|&id| id != 0);
        ethertype = u16_at(bytes, 16);
        l3 += 4;
    }
    let index = policy.attachments.find(packet.port(), vlan).ok_or(match vlan {
        Some(_) => DropReason::VlanUnknown,
        None => DropReason::InterfaceDown,
    })?;
    let interface = &policy.interfaces[usize::from(index)];
    if !interface.is_up {
        return Err(DropReason::InterfaceDown);
    }
    let is_ours = bytes[..6] == interface.mac;
    match ethertype {
        ETHERTYPE_ARP if is_ours || bytes[0] & 1 == 1 => Ok(Parsed::Arp(index, l3 as u16)),
        ETHERTYPE_IPV4 if is_ours => {
            let head = parse_ipv4(bytes, l3, index, interface.vrf)?;
            // On a wire, that is: a packet that turns around may have one global address at both ends.
            if head.src == head.dst {
                return Err(DropReason::Ipv4Land);
            }
            let end = l3 + usize::from(head.total_len);
            // Shrinking a frame always succeeds: parse_ipv4 checked that it holds `end` bytes.
            let _ = packet.resize(end);
            Ok(Parsed::Ipv4(head))
        }
        ETHERTYPE_IPV4 if bytes[0] & 1 == 1 => Err(DropReason::Ipv4Multicast),
        ETHERTYPE_IPV4 | ETHERTYPE_ARP => Err(DropReason::EthernetNotForUs),
        _ => Err(DropReason::EtherTypeUnknown),
    }
}

/// Reads an IPv4 packet that starts at `l3` (RFC 1812 section 5.2.2, with the address checks of 5.3.7).
pub fn parse_ipv4(frame: &[u8], l3: usize, interface: InterfaceIndex, vrf: Vrf) -> Result<Head, DropReason> {
    let bytes = &frame[l3..];
    if bytes.len() < IPV4_LEN_MIN {
        return Err(DropReason::Ipv4Truncated);
    }
    if bytes[0] >> 4 != 4 {
        return Err(DropReason::Ipv4Version);
    }
    let header_len = usize::from(bytes[0] & 0x0f) * 4;
    let total_len = usize::from(u16_at(bytes, 2));
    if header_len < IPV4_LEN_MIN || header_len > total_len {
        return Err(DropReason::Ipv4HeaderLength);
    }
    if total_len > bytes.len() {
        return Err(DropReason::Ipv4Truncated);
    }
    if checksum(&bytes[..header_len]) != 0 {
        return Err(DropReason::Ipv4Checksum);
    }
    let (src, dst) = (addr_at(bytes, 12), addr_at(bytes, 16));
    check_addresses(src, dst)?;
    if header_len > IPV4_LEN_MIN && has_source_route(&bytes[IPV4_LEN_MIN..header_len]) {
        return Err(DropReason::Ipv4SourceRoute);
    }
    let fragment = u16_at(bytes, 6);
    let protocol = bytes[9];
    let mut head = Head {
        tuple: Tuple { src: Endpoint::new(src, 0), dst: Endpoint::new(dst, 0), protocol, vrf },
        src,
        dst,
        interface,
        l3: l3 as u16,
        l4: (l3 + header_len) as u16,
        total_len: total_len as u16,
        transport: Transport::Other,
        ttl: bytes[8],
        tcp_flags: 0,
        icmp: (0, 0),
        tos: bytes[1],
        dont_fragment: fragment & 0x4000 != 0,
        is_fragment: fragment & 0x3fff != 0,
        id: u16_at(bytes, 4),
        new_id: None,
        fragment_offset: (fragment & 0x1fff) * 8,
        is_last: fragment & 0x2000 == 0,
    };
    if fragment & 0x1fff != 0 {
        head.transport = Transport::LaterFragment;
    } else {
        parse_transport(&frame[..l3 + total_len], &mut head)?;
    }
    Ok(head)
}

fn check_addresses(src: Ipv4Addr, dst: Ipv4Addr) -> Result<(), DropReason> {
    let is_class_e = |addr: Ipv4Addr| addr.octets()[0] >= 240;
    if src.is_multicast() || is_class_e(src) || src.is_loopback() || src.octets()[0] == 0 {
        return Err(DropReason::Ipv4Source);
    }
    if dst.is_multicast() || dst.is_broadcast() {
        return Err(DropReason::Ipv4Multicast);
    }
    if dst.is_loopback() || dst.octets()[0] == 0 || is_class_e(dst) {
        return Err(DropReason::Ipv4Destination);
    }
    Ok(())
}

/// Whether IPv4 options contain a loose or strict source route. An option with an impossible length ends the
/// search: routers leave such options alone.
fn has_source_route(options: &[u8]) -> bool {
    let mut rest = options;
    while let [kind, tail @ ..] = rest {
        match kind {
            0 => return false,
            1 => rest = tail,
            131 | 137 => return true,
            _ => match tail.first() {
                Some(&len) if len >= 2 && usize::from(len) <= rest.len() => rest = &rest[usize::from(len)..],
                _ => return false,
            },
        }
    }
    false
}

/// Reads the transport header of a whole packet or a first fragment; `frame` ends where the packet does.
fn parse_transport(frame: &[u8], head: &mut Head) -> Result<(), DropReason> {
    let l4 = usize::from(head.l4);
    let bytes = &frame[l4..];
    match head.tuple.protocol {
        TCP => {
            if bytes.len() < 20
                || bytes[12] < 0x50
                || (usize::from(bytes[12] >> 4) * 4 > bytes.len() && !head.is_fragment)
            {
                return Err(DropReason::TcpHeader);
            }
            head.tcp_flags = bytes[13] & 0x3f;
            check_tcp_flags(head.tcp_flags)?;
            head.transport = Transport::Tcp;
            (head.tuple.src.port, head.tuple.dst.port) = (u16_at(bytes, 0), u16_at(bytes, 2));
        }
        UDP => {
            let len = usize::from(u16_at(bytes, 4));
            if bytes.len() < 8 || len < 8 || (len > bytes.len() && !head.is_fragment) {
                return Err(DropReason::UdpLength);
            }
            head.transport = Transport::Udp;
            (head.tuple.src.port, head.tuple.dst.port) = (u16_at(bytes, 0), u16_at(bytes, 2));
        }
        ICMP => parse_icmp(frame, head)?,
        _ => {}
    }
    Ok(())
}

/// Combinations that no TCP sends: nothing at all, SYN with FIN or RST, FIN without ACK.
fn check_tcp_flags(flags: u8) -> Result<(), DropReason> {
    use tcp_flags::{ACK, FIN, RST, SYN};
    let is_impossible = flags & (SYN | FIN) == SYN | FIN
        || flags & (SYN | RST) == SYN | RST
        || flags & (FIN | ACK | RST) == FIN
        || flags & (SYN | ACK | RST | FIN) == 0;
    if is_impossible { Err(DropReason::TcpFlags) } else { Ok(()) }
}

fn parse_icmp(frame: &[u8], head: &mut Head) -> Result<(), DropReason> {
    let l4 = usize::from(head.l4);
    let bytes = &frame[l4..];
    if bytes.len() < 8 {
        return Err(DropReason::IcmpTruncated);
    }
    // A first fragment holds only a part of what the checksum covers.
    if !head.is_fragment && checksum(bytes) != 0 {
        return Err(DropReason::IcmpChecksum);
    }
    head.icmp = (bytes[0], bytes[1]);
    match bytes[0] {
        0 | 8 | 13 | 14 => {
            // The identifier stands on both sides, as IOS shows it: each side sees its own view of it.
            let id = u16_at(bytes, 4);
            head.transport = Transport::IcmpQuery;
            (head.tuple.src.port, head.tuple.dst.port) = (id, id);
            Ok(())
        }
        3 | 11 | 12 => parse_quote(frame, head),
        _ => Err(DropReason::IcmpType),
    }
}

/// Reads the packet an ICMP error quotes: the tuple becomes the flow it would answer.
fn parse_quote(frame: &[u8], head: &mut Head) -> Result<(), DropReason> {
    let l3 = usize::from(head.l4) + 8;
    let quote = frame.get(l3..).unwrap_or_default();
    if quote.len() < IPV4_LEN_MIN || quote[0] >> 4 != 4 {
        return Err(DropReason::IcmpQuote);
    }
    let header_len = usize::from(quote[0] & 0x0f) * 4;
    let is_later_fragment = u16_at(quote, 6) & 0x1fff != 0;
    // RFC 792 promises eight bytes of the quoted transport header, which hold its ports.
    if header_len < IPV4_LEN_MIN || quote.len() < header_len + 8 || is_later_fragment {
        return Err(DropReason::IcmpQuote);
    }
    if checksum(&quote[..header_len]) != 0 {
        return Err(DropReason::IcmpQuote);
    }
    let inner = &quote[header_len..];
    let ports = match quote[9] {
        TCP | UDP => (u16_at(inner, 0), u16_at(inner, 2)),
        ICMP if matches!(inner[0], 0 | 8 | 13 | 14) => (u16_at(inner, 4), u16_at(inner, 4)),
        ICMP => return Err(DropReason::IcmpQuote),
        _ => (0, 0),
    };
    let quoted = Tuple {
        src: Endpoint::new(addr_at(quote, 12), ports.0),
        dst: Endpoint::new(addr_at(quote, 16), ports.1),
        protocol: quote[9],
        vrf: head.tuple.vrf,
    };
    head.tuple = quoted.reverse();
    head.transport = Transport::IcmpError { l3: l3 as u16, l4: (l3 + header_len) as u16 };
    Ok(())
}

//! Reading headers: a frame becomes positions and a tuple, or the reason why it is not one we carry.

use std::net::Ipv4Addr;

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::{Endpoint, ICMP, TCP, Tuple, UDP, Vrf};
use crate::policy::{AclKey, InterfaceIndex, Policy};
use crate::wire::checksum::checksum;

/// Bytes of an Ethernet header without tags.
pub const ETHERNET_LEN: usize = 14;
/// Bytes that a VLAN tag adds.
pub(crate) const TAG_LEN: usize = 4;
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
pub(crate) const ETHERTYPE_VLAN: u16 = 0x8100;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// An IPv4 packet, whose [`Head`] was read.
    Ipv4,
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
    /// A head that nothing was read into.
    pub const EMPTY: Head = Head {
        tuple: Tuple { src: Head::NOWHERE, dst: Head::NOWHERE, protocol: 0, vrf: 0 },
        src: Ipv4Addr::UNSPECIFIED,
        dst: Ipv4Addr::UNSPECIFIED,
        interface: 0,
        l3: 0,
        l4: 0,
        total_len: 0,
        transport: Transport::Other,
        ttl: 0,
        tcp_flags: 0,
        icmp: (0, 0),
        tos: 0,
        dont_fragment: false,
        is_fragment: false,
        id: 0,
        new_id: None,
        fragment_offset: 0,
        is_last: false,
    };
    const NOWHERE: Endpoint = Endpoint::new(Ipv4Addr::UNSPECIFIED, 0);

    /// Takes over the ports as they stand at the beginning of a TCP or UDP header.
    #[inline]
    fn set_ports(&mut self, [src_high, src_low, dst_high, dst_low]: [u8; 4]) {
        self.tuple.src.port = u16::from_be_bytes([src_high, src_low]);
        self.tuple.dst.port = u16::from_be_bytes([dst_high, dst_low]);
    }

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

/// Reads a frame's headers into `head`, which says nothing unless the answer is [`Frame::Ipv4`]. Cuts off Ethernet
/// padding, and changes nothing else.
#[inline]
pub fn parse(packet: &mut Packet, policy: &Policy, head: &mut Head) -> Result<Frame, DropReason> {
    let bytes = packet.bytes();
    let ethernet: &[u8; ETHERNET_LEN] = bytes.first_chunk().ok_or(DropReason::EthernetTruncated)?;
    let mut ethertype = u16::from_be_bytes([ethernet[12], ethernet[13]]);
    let mut l3 = ETHERNET_LEN;
    let mut vlan = None;
    if ethertype == ETHERTYPE_VLAN {
        (vlan, ethertype) = parse_tag(bytes)?;
        l3 += TAG_LEN;
    }
    let index = policy.attachments.find(packet.port(), vlan).ok_or(match vlan {
        Some(_) => DropReason::VlanUnknown,
        None => DropReason::InterfaceDown,
    })?;
    let interface = &policy.interfaces[usize::from(index)];
    if !interface.is_up {
        return Err(DropReason::InterfaceDown);
    }
    let is_ours = ethernet[..6] == interface.mac;
    if ethertype != ETHERTYPE_IPV4 || !is_ours {
        return not_for_us(ethernet, ethertype, is_ours, index, l3);
    }
    read_ipv4(bytes, l3, index, interface.vrf, head)?;
    // On a wire, that is: a packet that turns around may have one global address at both ends.
    if head.src == head.dst {
        return Err(DropReason::Ipv4Land);
    }
    // Shrinking a frame always succeeds: parse_ipv4 checked that it holds the packet.
    let _ = packet.resize(l3 + usize::from(head.total_len));
    Ok(Frame::Ipv4)
}

/// The VLAN and the type of what it carries (IEEE 802.1Q); no VLAN for a priority tag.
#[inline]
pub(crate) fn parse_tag(bytes: &[u8]) -> Result<(Option<u16>, u16), DropReason> {
    if bytes.len() < ETHERNET_LEN + TAG_LEN {
        return Err(DropReason::EthernetTruncated);
    }
    Ok((Some(u16_at(bytes, 14) & 0x0fff).filter(|&id| id != 0), u16_at(bytes, 16)))
}

/// A frame that is no IPv4 packet to the interface's own station address.
#[cold]
fn not_for_us(
    ethernet: &[u8; ETHERNET_LEN],
    ethertype: u16,
    is_ours: bool,
    index: InterfaceIndex,
    l3: usize,
) -> Result<Frame, DropReason> {
    let is_to_many = ethernet[0] & 1 == 1;
    match ethertype {
        ETHERTYPE_ARP if is_ours || is_to_many => Ok(Frame::Arp(index, l3 as u16)),
        ETHERTYPE_IPV4 if is_to_many => Err(DropReason::Ipv4Multicast),
        ETHERTYPE_IPV4 | ETHERTYPE_ARP => Err(DropReason::EthernetNotForUs),
        _ => Err(DropReason::EtherTypeUnknown),
    }
}

/// Reads an IPv4 packet that starts at `l3` (RFC 1812 section 5.2.2, with the address checks of 5.3.7).
pub fn parse_ipv4(frame: &[u8], l3: usize, interface: InterfaceIndex, vrf: Vrf) -> Result<Head, DropReason> {
    let mut head = Head::EMPTY;
    read_ipv4(frame, l3, interface, vrf, &mut head)?;
    Ok(head)
}

/// Reads an IPv4 packet into a head in its place: it is too long to be passed around for nothing.
#[inline]
fn read_ipv4(
    frame: &[u8],
    l3: usize,
    interface: InterfaceIndex,
    vrf: Vrf,
    head: &mut Head,
) -> Result<(), DropReason> {
    let bytes = frame.get(l3..).unwrap_or_default();
    let header: &[u8; IPV4_LEN_MIN] = bytes.first_chunk().ok_or(DropReason::Ipv4Truncated)?;
    let (src, dst) = (addr_at(header, 12), addr_at(header, 16));
    let [first, second, _] = read_words(header);
    let total_len = usize::from((first >> 32) as u16);
    let has_options = first >> 56 != 0x45;
    let header_len = if has_options || total_len < IPV4_LEN_MIN || total_len > bytes.len() {
        check_header(bytes, total_len)?
    } else {
        if !sums_to_ones([first, second, dst.to_bits().into()]) {
            return Err(DropReason::Ipv4Checksum);
        }
        IPV4_LEN_MIN
    };
    check_addresses(src, dst)?;
    if has_options && has_source_route(&bytes[IPV4_LEN_MIN..header_len]) {
        return Err(DropReason::Ipv4SourceRoute);
    }
    let fragment = first as u16;
    *head = Head {
        tuple: Tuple {
            src: Endpoint::new(src, 0),
            dst: Endpoint::new(dst, 0),
            protocol: (second >> 48) as u8,
            vrf,
        },
        src,
        dst,
        interface,
        l3: l3 as u16,
        l4: (l3 + header_len) as u16,
        total_len: total_len as u16,
        transport: Transport::Other,
        ttl: (second >> 56) as u8,
        tcp_flags: 0,
        icmp: (0, 0),
        tos: (first >> 48) as u8,
        dont_fragment: fragment & 0x4000 != 0,
        is_fragment: fragment & 0x3fff != 0,
        id: (first >> 16) as u16,
        new_id: None,
        fragment_offset: (fragment & 0x1fff) * 8,
        is_last: fragment & 0x2000 == 0,
    };
    if fragment & 0x1fff != 0 {
        head.transport = Transport::LaterFragment;
        return Ok(());
    }
    parse_transport(&frame[..l3 + total_len], head)
}

/// A header in words of eight bytes; what is missing of the last one reads as zero.
#[inline(always)]
pub(crate) fn read_words<const LEN: usize>(header: &[u8; LEN]) -> [u64; 3] {
    const { assert!(LEN >= IPV4_LEN_MIN) };
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(header.chunks(8)) {
        *word = match bytes.first_chunk() {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => bytes.iter().rev().fold(0, |word, &byte| word >> 8 | u64::from(byte) << 56),
        };
    }
    words
}

/// Whether the words of a header without options sum to what a correct checksum makes of them (RFC 1071).
#[inline(always)]
pub(crate) fn sums_to_ones([first, second, last]: [u64; 3]) -> bool {
    let halves = (first >> 32) + (first & 0xffff_ffff) + (second >> 32) + (second & 0xffff_ffff);
    let sum = halves + last;
    let folded = (sum >> 32) + (sum & 0xffff_ffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    (folded >> 16) + (folded & 0xffff) == 0xffff
}

/// Checks the length, version and checksum of any header. Returns its length.
#[cold]
fn check_header(bytes: &[u8], total_len: usize) -> Result<usize, DropReason> {
    if bytes[0] >> 4 != 4 {
        return Err(DropReason::Ipv4Version);
    }
    let header_len = usize::from(bytes[0] & 0x0f) * 4;
    if header_len < IPV4_LEN_MIN || header_len > total_len {
        return Err(DropReason::Ipv4HeaderLength);
    }
    if total_len > bytes.len() {
        return Err(DropReason::Ipv4Truncated);
    }
    if checksum(&bytes[..header_len]) != 0 {
        return Err(DropReason::Ipv4Checksum);
    }
    Ok(header_len)
}

/// Whether an address may be one host's: networks 1 to 223 but loopback.
#[inline(always)]
pub(crate) fn is_unicast(addr: Ipv4Addr) -> bool {
    let network = (addr.to_bits() >> 24) as u8;
    network.wrapping_sub(1) < 223 && network != 127
}

#[inline]
fn check_addresses(src: Ipv4Addr, dst: Ipv4Addr) -> Result<(), DropReason> {
    if !is_unicast(src) {
        return Err(DropReason::Ipv4Source);
    }
    if is_unicast(dst) {
        return Ok(());
    }
    let is_to_many = dst.is_multicast() || dst.is_broadcast();
    Err(if is_to_many { DropReason::Ipv4Multicast } else { DropReason::Ipv4Destination })
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
#[inline]
fn parse_transport(frame: &[u8], head: &mut Head) -> Result<(), DropReason> {
    let bytes = frame.get(usize::from(head.l4)..).unwrap_or_default();
    match head.tuple.protocol {
        UDP => {
            let header: &[u8; 8] = bytes.first_chunk().ok_or(DropReason::UdpLength)?;
            let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
            if len < header.len() || (len > bytes.len() && !head.is_fragment) {
                return Err(DropReason::UdpLength);
            }
            head.transport = Transport::Udp;
            head.set_ports([header[0], header[1], header[2], header[3]]);
        }
        TCP => {
            let header: &[u8; 20] = bytes.first_chunk().ok_or(DropReason::TcpHeader)?;
            let header_len = usize::from(header[12] >> 4) * 4;
            if header_len < header.len() || (header_len > bytes.len() && !head.is_fragment) {
                return Err(DropReason::TcpHeader);
            }
            head.tcp_flags = header[13] & 0x3f;
            check_tcp_flags(head.tcp_flags)?;
            head.transport = Transport::Tcp;
            head.set_ports([header[0], header[1], header[2], header[3]]);
        }
        ICMP => parse_icmp(frame, head)?,
        _ => {}
    }
    Ok(())
}

/// Combinations that no TCP sends: nothing at all, SYN with FIN or RST, FIN without ACK.
#[inline]
pub(crate) fn check_tcp_flags(flags: u8) -> Result<(), DropReason> {
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

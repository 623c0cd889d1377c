//! Reading: what a packet for the fast path is looked up by, of the headers of a frame in one go.

use mem::Packet;

use crate::flow::{Direction, Endpoint, InterfaceIndex, Protocol, TCP, Tuple, UDP, Vrf};
use crate::path::tables::Tables;
use crate::policy::Policy;
use crate::state::session::{ANYONE, Ends, SessionKey};
use crate::state::shard::SessionRef;
use crate::state::table::index::Hash;
use crate::wire::bytes::word;
use crate::wire::{ethernet, ipv4, tcp, udp};

/// What every packet for the fast path has at least: an IPv4 header without options, and a transport header's first bytes.
const HEADERS_LEN: usize = ipv4::LEN + udp::LEN;

/// What was read of a packet: something only if it is UDP or TCP between inside and outside, whole and without IPv4
/// options.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// Whether anything was read.
    pub is_read: bool,
    /// What its session is found by.
    pub key: SessionKey,
    /// The key's hash.
    pub hash: Hash,
    /// What the index's line promises; to be compared with the key.
    pub candidate: Option<SessionRef>,
    /// The outside endpoint, as the packet has it.
    pub peer: Endpoint,
    /// Interface of arrival.
    pub interface: InterfaceIndex,
    /// Offset of the IPv4 header in the frame.
    pub l3: u16,
    /// Length of the IPv4 packet in bytes.
    pub total_len: u16,
    /// Of a TCP segment, its sequence number in the upper half, and what it acknowledges in the lower one.
    pub numbers: u64,
    /// Nothing but its session and its way out keeps it from the fast path.
    pub is_ordinary: bool,
}

impl Plain {
    /// A packet that nothing was read of.
    pub const UNREAD: Plain = Plain {
        is_read: false,
        key: SessionKey {
            ends: Ends { src: ANYONE, dst: ANYONE, vrf: 0 },
            protocol: 0,
            direction: Direction::Outbound,
        },
        hash: Hash::NONE,
        candidate: None,
        peer: ANYONE,
        interface: 0,
        l3: 0,
        total_len: 0,
        numbers: 0,
        is_ordinary: false,
    };

    /// Length of its frame without padding, in bytes.
    #[inline(always)]
    pub fn frame_len(&self) -> usize {
        usize::from(self.l3) + usize::from(self.total_len)
    }
}

/// What is the same for all packets of an interface that the fast path may take packets from.
#[derive(Clone, Copy, Debug)]
pub struct Ingress {
    index: InterfaceIndex,
    mac: [u8; 6],
    vrf: Vrf,
    direction: Direction,
    /// An access list or a check of sources looks at what arrives, which is the full path's to do.
    is_checked: bool,
}

impl Ingress {
    /// An interface that is up, inside or outside.
    #[inline]
    pub fn of(policy: &Policy, index: InterfaceIndex) -> Option<Ingress> {
        let interface = policy.interfaces.get(usize::from(index)).filter(|interface| interface.is_up)?;
        Some(Ingress {
            index,
            mac: interface.mac,
            vrf: interface.vrf,
            direction: interface.direction()?,
            is_checked: interface.acl_in.is_some() || interface.source_check.is_some(),
        })
    }

    /// The interface of a port's frames without a tag.
    pub fn of_port(policy: &Policy, port: usize) -> Option<Ingress> {
        Ingress::of(policy, policy.attachments.find(port, None)?)
    }
}

/// Reads the headers of a frame, and asks for the index's cache line; none if they are in any way unusual. Frames without
/// a tag are `untagged`'s.
#[inline(always)]
pub fn read(packet: &Packet, untagged: Option<&Ingress>, tables: &Tables, plain: &mut Plain) -> Option<()> {
    let bytes = packet.bytes();
    let header: &[u8; ethernet::LEN] = bytes.first_chunk()?;
    let ethertype = word(header, ethernet::TYPE);
    if ethertype == ethernet::IPV4 {
        let ingress = untagged.filter(|ingress| header[..6] == ingress.mac)?;
        return read_ipv4(bytes, ethernet::LEN, ingress, tables, plain);
    }
    if ethertype == ethernet::VLAN {
        return read_tagged(packet, tables, plain);
    }
    None
}

/// Reads the headers of a frame with a tag: apart, as the registers are for those without.
#[inline(never)]
fn read_tagged(packet: &Packet, tables: &Tables, plain: &mut Plain) -> Option<()> {
    let (bytes, policy) = (packet.bytes(), &tables.policy);
    let (vlan, ethertype) = ethernet::tag(bytes)?;
    let ingress = Ingress::of(policy, policy.attachments.find(packet.port(), vlan)?)?;
    if ethertype != ethernet::IPV4 || bytes[..6] != ingress.mac {
        return None;
    }
    read_ipv4(bytes, ethernet::LEN_MAX, &ingress, tables, plain)
}

/// Reads the headers of an IPv4 packet at `l3` that arrived on an interface (RFC 791 section 3.1).
#[inline(always)]
pub fn read_ipv4(
    frame: &[u8],
    l3: usize,
    ingress: &Ingress,
    tables: &Tables,
    plain: &mut Plain,
) -> Option<()> {
    let &Ingress { index, vrf, direction, is_checked, .. } = ingress;
    let bytes = frame.get(l3..)?;
    let headers: &[u8; HEADERS_LEN] = bytes.first_chunk()?;
    let [first, second, third] = ipv4::words(headers);
    let total_len = usize::from((first >> 32) as u16);
    let is_whole = first >> 56 == 0x45 && first & 0x3fff == 0 && total_len <= bytes.len();
    if !is_whole || !ipv4::sums_to_ones([first, second, third >> 32]) {
        return None;
    }
    let src = Endpoint::from_bits((second & 0xffff_ffff) << 16 | third >> 16 & 0xffff);
    let dst = Endpoint::from_bits(third >> 32 << 16 | third & 0xffff);
    if !ipv4::is_unicast(src.addr) || !ipv4::is_unicast(dst.addr) || src.addr == dst.addr {
        return None;
    }
    let protocol = (second >> 48) as u8;
    let (is_settled, numbers) = read_transport(bytes, protocol, total_len)?;
    let key = SessionKey::of(&tables.policy, &Tuple { src, dst, protocol, vrf }, direction);
    *plain = Plain {
        is_read: true,
        key,
        hash: tables.shard.prepare(key),
        candidate: None,
        peer: direction.outside_end(src, dst),
        interface: index,
        l3: l3 as u16,
        total_len: total_len as u16,
        numbers,
        is_ordinary: is_settled && second >> 56 > 1 && !is_checked,
    };
    Some(())
}

/// Checks the transport header of a packet without IPv4 options. Returns whether it neither begins nor ends anything, and
/// the numbers of a TCP segment; none if it is malformed or of another protocol.
#[inline(always)]
fn read_transport(bytes: &[u8], protocol: Protocol, total_len: usize) -> Option<(bool, u64)> {
    let payload_len = total_len.checked_sub(ipv4::LEN)?;
    match protocol {
        UDP => {
            const AT: usize = ipv4::LEN + udp::LENGTH;
            let len = usize::from(u16::from_be_bytes([*bytes.get(AT)?, *bytes.get(AT + 1)?]));
            (len >= udp::LEN && len <= payload_len).then_some((true, 0))
        }
        TCP => {
            let header: &[u8; tcp::FLAGS + 1 - tcp::SEQ] =
                bytes.get(ipv4::LEN + tcp::SEQ..)?.first_chunk()?;
            let &[a, b, c, d, e, f, g, h, offset, flags] = header;
            let (numbers, flags) = (u64::from_be_bytes([a, b, c, d, e, f, g, h]), flags & 0x3f);
            let header_len = usize::from(offset >> 4) * 4;
            if header_len < tcp::LEN || header_len > payload_len {
                return None;
            }
            if !tcp::are_possible(flags) {
                return None;
            }
            Some((flags & (tcp::SYN | tcp::FIN | tcp::RST) == 0, numbers))
        }
        _ => None,
    }
}

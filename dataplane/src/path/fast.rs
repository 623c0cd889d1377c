//! The express lane: whole UDP and TCP packets of sessions that need nothing but new addresses, ports and a lower TTL.
//! Most packets are of this kind.
//!
//! The lane reads a packet's headers in one go and makes no plan. It never judges either: whatever is unusual about a
//! packet, its session or its way out leaves the packet to the full path, which knows all cases. So the lane may take
//! less than it could, but must do to what it takes exactly what `parse`, `translate` and `rewrite` would.

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::{Direction, Endpoint, InterfaceIndex, Protocol, TCP, Tuple, UDP, Vrf, WorkerIndex};
use crate::path::engine::Engine;
use crate::path::lookup::{self, Probe};
use crate::path::plan::Translation;
use crate::path::rewrite;
use crate::path::route;
use crate::path::tables::Tables;
use crate::policy::Policy;
use crate::route::neighbour::Neighbour;
use crate::state::session::{ANYONE, Flags};
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
    /// What its session is looked up with.
    pub probe: Probe,
    /// The outside endpoint, as the packet has it.
    peer: Endpoint,
    /// Interface of arrival.
    pub interface: InterfaceIndex,
    /// Offset of the IPv4 header in the frame.
    pub l3: u16,
    /// Length of the IPv4 packet in bytes.
    total_len: u16,
    /// Nothing but its session and its way out keeps it from the lane.
    is_ordinary: bool,
}

impl Plain {
    /// A packet that nothing was read of.
    pub const UNREAD: Plain = Plain {
        is_read: false,
        probe: Probe::NONE,
        peer: ANYONE,
        interface: 0,
        l3: 0,
        total_len: 0,
        is_ordinary: false,
    };

    /// Length of its frame without padding, in bytes.
    #[inline(always)]
    pub fn frame_len(&self) -> usize {
        usize::from(self.l3) + usize::from(self.total_len)
    }
}

/// What is the same for all packets of an interface that the lane may take packets from.
#[derive(Clone, Copy, Debug)]
pub struct Ingress {
    index: InterfaceIndex,
    mac: [u8; 6],
    vrf: Vrf,
    direction: Direction,
    /// An access list looks at what arrives.
    is_listed: bool,
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
            direction: lookup::direction(interface.domain)?,
            is_listed: interface.acl_in.is_some(),
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
    let &Ingress { index, vrf, direction, is_listed, .. } = ingress;
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
    let is_settled = read_transport(bytes, protocol, total_len)?;
    let key = lookup::key(&tables.policy, &Tuple { src, dst, protocol, vrf }, direction);
    *plain = Plain {
        is_read: true,
        probe: lookup::prepare(&tables.shard, key),
        peer: direction.outside_end(src, dst),
        interface: index,
        l3: l3 as u16,
        total_len: total_len as u16,
        is_ordinary: is_settled && second >> 56 > 1 && !is_listed,
    };
    Some(())
}

/// Checks the transport header of a packet without IPv4 options. Returns whether it neither begins nor ends anything;
/// none if it is malformed or of another protocol.
#[inline(always)]
fn read_transport(bytes: &[u8], protocol: Protocol, total_len: usize) -> Option<bool> {
    let payload_len = total_len.checked_sub(ipv4::LEN)?;
    match protocol {
        UDP => {
            const AT: usize = ipv4::LEN + udp::LENGTH;
            let len = usize::from(u16::from_be_bytes([*bytes.get(AT)?, *bytes.get(AT + 1)?]));
            (len >= udp::LEN && len <= payload_len).then_some(true)
        }
        TCP => {
            let (offset, flags) =
                (*bytes.get(ipv4::LEN + tcp::OFFSET)?, *bytes.get(ipv4::LEN + tcp::FLAGS)? & 0x3f);
            let header_len = usize::from(offset >> 4) * 4;
            if header_len < tcp::LEN || header_len > payload_len {
                return None;
            }
            if !tcp::are_possible(flags) {
                return None;
            }
            Some(flags & (tcp::SYN | tcp::FIN | tcp::RST) == 0)
        }
        _ => None,
    }
}

/// Sends a packet on, or gives it back where it is none for the lane. Its frame loses its padding in any case.
#[inline(always)]
pub fn forward(
    engine: &mut Engine,
    mut packet: Packet,
    plain: &Plain,
    now: u32,
) -> Result<Result<(), DropReason>, Packet> {
    if engine.count > 1 && owner(engine, plain) != engine.index {
        return Err(packet);
    }
    let Some((translation, neighbour)) = way(&mut engine.tables, plain, now) else { return Err(packet) };
    if packet.len() != plain.frame_len() && !packet.resize(plain.frame_len()) {
        return Err(packet);
    }
    rewrite::translate_plain(&mut packet, plain.l3, plain.probe.key.protocol, &translation);
    Ok(engine.egress.send_framed(&mut engine.ports, packet, plain.l3, neighbour))
}

/// The worker that owns a packet.
fn owner(engine: &Engine, plain: &Plain) -> WorkerIndex {
    engine.owners().of_key(&plain.probe.key)
}

/// What becomes of a packet, and where it goes, if it is one for the lane; its session is refreshed then.
#[inline(always)]
fn way<'a>(tables: &'a mut Tables, plain: &Plain, now: u32) -> Option<(Translation, &'a Neighbour)> {
    let Tables { policy, fib, neighbours, recent_routes, shard, .. } = tables;
    let found = plain.probe.candidate.filter(|_| plain.is_ordinary)?;
    let direction = plain.probe.key.direction;
    let session = shard.session_mut(found.index)?;
    if session.flags.has(Flags::CONTROL)
        || found.direction != direction
        || session.key(direction) != plain.probe.key
    {
        return None;
    }
    if plain.probe.key.protocol != UDP && !session.tcp.is_settled(direction) {
        return None;
    }
    let noted = route::noted_way(policy, fib, neighbours, recent_routes, session, direction, plain.peer.addr);
    let neighbour = noted.1?;
    let egress = policy.interfaces.get(usize::from(neighbour.next_hop.interface))?;
    if !egress.is_up || plain.total_len > egress.mtu || egress.acl_out.is_some() {
        return None;
    }
    session.used_ms = now;
    Some((Translation::of(plain.peer, session, direction), neighbour))
}

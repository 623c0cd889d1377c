//! What the headers of an IPv4 packet say: positions, and what the packet is looked up by.

use std::net::Ipv4Addr;

use crate::drops::DropReason;
use crate::flow::{Endpoint, ICMP, InterfaceIndex, TCP, Tuple, UDP, Vrf};
use crate::wire::bytes::{long, word};
use crate::wire::checksum::{checksum, transport_checksum};
use crate::wire::{icmp, ipv4, tcp, udp};

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
    /// The sequence number of a TCP segment, of an ICMP error that of the segment it quotes.
    pub seq: u32,
    /// What a TCP segment acknowledges.
    pub ack: u32,
    /// Bytes of data in a TCP segment.
    pub payload_len: u16,
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
        seq: 0,
        ack: 0,
        payload_len: 0,
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

    /// Reads the IPv4 packet that starts at `l3` of a frame (RFC 1812 section 5.2.2, with the address checks of 5.3.7).
    pub fn of(frame: &[u8], l3: u16, interface: InterfaceIndex, vrf: Vrf) -> Result<Head, DropReason> {
        let mut head = Head::EMPTY;
        head.read(frame, usize::from(l3), interface, vrf)?;
        Ok(head)
    }

    /// The same into a head in its place: it is too long to be passed around for nothing.
    #[inline]
    pub fn read(
        &mut self,
        frame: &[u8],
        l3: usize,
        interface: InterfaceIndex,
        vrf: Vrf,
    ) -> Result<(), DropReason> {
        let bytes = frame.get(l3..).unwrap_or_default();
        let header: &[u8; ipv4::LEN] = bytes.first_chunk().ok_or(DropReason::Ipv4Truncated)?;
        let (src, dst) = (ipv4::addr(header, ipv4::SRC), ipv4::addr(header, ipv4::DST));
        let [first, second, _] = ipv4::words(header);
        let total_len = usize::from((first >> 32) as u16);
        let has_options = first >> 56 != 0x45;
        let header_len = if has_options || total_len < ipv4::LEN || total_len > bytes.len() {
            check_header(bytes, total_len)?
        } else {
            if !ipv4::sums_to_ones([first, second, dst.to_bits().into()]) {
                return Err(DropReason::Ipv4Checksum);
            }
            ipv4::LEN
        };
        check_addresses(src, dst)?;
        if has_options && ipv4::has_source_route(&bytes[ipv4::LEN..header_len]) {
            return Err(DropReason::Ipv4SourceRoute);
        }
        let fragment = first as u16;
        *self = Head {
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
            seq: 0,
            ack: 0,
            payload_len: 0,
            icmp: (0, 0),
            tos: (first >> 48) as u8,
            dont_fragment: fragment & ipv4::DONT_FRAGMENT != 0,
            is_fragment: fragment & (ipv4::MORE_FRAGMENTS | ipv4::OFFSET) != 0,
            id: (first >> 16) as u16,
            new_id: None,
            fragment_offset: (fragment & ipv4::OFFSET) * 8,
            is_last: fragment & ipv4::MORE_FRAGMENTS == 0,
        };
        if fragment & ipv4::OFFSET != 0 {
            self.transport = Transport::LaterFragment;
            return Ok(());
        }
        self.read_transport(&frame[..l3 + total_len])
    }

    /// Reads the transport header of a whole packet or a first fragment; `frame` ends where the packet does.
    #[inline]
    fn read_transport(&mut self, frame: &[u8]) -> Result<(), DropReason> {
        let bytes = frame.get(usize::from(self.l4)..).unwrap_or_default();
        match self.tuple.protocol {
            UDP => {
                let header: &[u8; udp::LEN] = bytes.first_chunk().ok_or(DropReason::UdpLength)?;
                let len = usize::from(word(header, udp::LENGTH));
                if len < header.len() || (len > bytes.len() && !self.is_fragment) {
                    return Err(DropReason::UdpLength);
                }
                self.transport = Transport::Udp;
                self.set_ports([header[0], header[1], header[2], header[3]]);
            }
            TCP => {
                let header: &[u8; tcp::LEN] = bytes.first_chunk().ok_or(DropReason::TcpHeader)?;
                let header_len = usize::from(header[tcp::OFFSET] >> 4) * 4;
                if header_len < header.len() || (header_len > bytes.len() && !self.is_fragment) {
                    return Err(DropReason::TcpHeader);
                }
                self.tcp_flags = header[tcp::FLAGS] & 0x3f;
                if !tcp::are_possible(self.tcp_flags) {
                    return Err(DropReason::TcpFlags);
                }
                // What changes a connection is what its sender wrote; a first fragment holds only a part of it.
                if self.tcp_flags & (tcp::SYN | tcp::FIN | tcp::RST) != 0
                    && !self.is_fragment
                    && transport_checksum(self.src.octets(), self.dst.octets(), TCP, bytes) != 0
                {
                    return Err(DropReason::TcpChecksum);
                }
                (self.seq, self.ack) = (long(header, tcp::SEQ), long(header, tcp::ACK_NUMBER));
                self.payload_len = bytes.len().saturating_sub(header_len) as u16;
                self.transport = Transport::Tcp;
                self.set_ports([header[0], header[1], header[2], header[3]]);
            }
            ICMP => self.read_icmp(frame)?,
            _ => {}
        }
        Ok(())
    }

    /// Takes over the ports as they stand at the beginning of a TCP or UDP header.
    #[inline]
    fn set_ports(&mut self, [src_high, src_low, dst_high, dst_low]: [u8; 4]) {
        self.tuple.src.port = u16::from_be_bytes([src_high, src_low]);
        self.tuple.dst.port = u16::from_be_bytes([dst_high, dst_low]);
    }

    fn read_icmp(&mut self, frame: &[u8]) -> Result<(), DropReason> {
        let bytes = &frame[usize::from(self.l4)..];
        if bytes.len() < icmp::LEN {
            return Err(DropReason::IcmpTruncated);
        }
        // A first fragment holds only a part of what the checksum covers.
        if !self.is_fragment && checksum(bytes) != 0 {
            return Err(DropReason::IcmpChecksum);
        }
        self.icmp = (bytes[0], bytes[1]);
        if icmp::is_query(bytes[0]) {
            // The identifier stands on both sides, as IOS shows it: each side sees its own view of it.
            let id = word(bytes, icmp::ID);
            self.transport = Transport::IcmpQuery;
            (self.tuple.src.port, self.tuple.dst.port) = (id, id);
            return Ok(());
        }
        if icmp::is_error(bytes[0]) { self.read_quote(frame) } else { Err(DropReason::IcmpType) }
    }

    /// Reads the packet an ICMP error quotes: the tuple becomes the flow it would answer.
    fn read_quote(&mut self, frame: &[u8]) -> Result<(), DropReason> {
        let l3 = usize::from(self.l4) + icmp::LEN;
        let quote = frame.get(l3..).unwrap_or_default();
        if quote.len() < ipv4::LEN || quote[0] >> 4 != 4 {
            return Err(DropReason::IcmpQuote);
        }
        let header_len = ipv4::header_len(quote[0]);
        let is_later_fragment = word(quote, ipv4::FRAGMENT) & ipv4::OFFSET != 0;
        // RFC 792 promises eight bytes of the quoted transport header, which hold its ports.
        if header_len < ipv4::LEN || quote.len() < header_len + 8 || is_later_fragment {
            return Err(DropReason::IcmpQuote);
        }
        if checksum(&quote[..header_len]) != 0 {
            return Err(DropReason::IcmpQuote);
        }
        let inner = &quote[header_len..];
        if quote[ipv4::PROTOCOL] == TCP {
            self.seq = long(inner, tcp::SEQ);
        }
        let ports = match quote[ipv4::PROTOCOL] {
            TCP | UDP => (word(inner, 0), word(inner, 2)),
            ICMP if icmp::is_query(inner[0]) => (word(inner, icmp::ID), word(inner, icmp::ID)),
            ICMP => return Err(DropReason::IcmpQuote),
            _ => (0, 0),
        };
        let quoted = Tuple {
            src: Endpoint::new(ipv4::addr(quote, ipv4::SRC), ports.0),
            dst: Endpoint::new(ipv4::addr(quote, ipv4::DST), ports.1),
            protocol: quote[ipv4::PROTOCOL],
            vrf: self.tuple.vrf,
        };
        self.tuple = quoted.reverse();
        self.transport = Transport::IcmpError { l3: l3 as u16, l4: (l3 + header_len) as u16 };
        Ok(())
    }

    /// Outer source and destination, with ports where the packet shows some of its own.
    #[inline]
    pub fn outer_endpoints(&self) -> (Endpoint, Endpoint) {
        match self.transport {
            Transport::Tcp | Transport::Udp => (self.tuple.src, self.tuple.dst),
            _ => (Endpoint::new(self.src, 0), Endpoint::new(self.dst, 0)),
        }
    }

    /// The protocol that the IPv4 header names. The tuple of an ICMP error is that of the packet it quotes.
    pub fn outer_protocol(&self) -> u8 {
        if matches!(self.transport, Transport::IcmpError { .. }) { ICMP } else { self.tuple.protocol }
    }

    /// Bytes of the IPv4 header.
    pub fn header_len(&self) -> usize {
        usize::from(self.l4 - self.l3)
    }
}

/// Checks the length, version and checksum of any header. Returns its length.
#[cold]
fn check_header(bytes: &[u8], total_len: usize) -> Result<usize, DropReason> {
    if bytes[0] >> 4 != 4 {
        return Err(DropReason::Ipv4Version);
    }
    let header_len = ipv4::header_len(bytes[0]);
    if header_len < ipv4::LEN || header_len > total_len {
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

#[inline]
fn check_addresses(src: Ipv4Addr, dst: Ipv4Addr) -> Result<(), DropReason> {
    if !ipv4::is_unicast(src) {
        return Err(DropReason::Ipv4Source);
    }
    if ipv4::is_unicast(dst) {
        return Ok(());
    }
    let is_to_many = dst.is_multicast() || dst.is_broadcast();
    Err(if is_to_many { DropReason::Ipv4Multicast } else { DropReason::Ipv4Destination })
}

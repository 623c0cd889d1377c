//! Why packets are dropped: one table, read by the counters, the metrics, `show drops` and the documentation.

/// Whose doing a drop is: what an operator looks at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The frame itself is wrong; its sender is broken or hostile.
    Sender,
    /// The configuration says so.
    Policy,
    /// A table, a pool or a queue is full.
    Capacity,
    /// The network around the box: routes, neighbours, links.
    Network,
}

impl Blame {
    /// Its name in metrics and `show drops`, and what it means.
    fn row(self) -> [&'static str; 2] {
        match self {
            Blame::Sender => ["sender", "the packet itself is wrong"],
            Blame::Policy => ["policy", "the configuration says so"],
            Blame::Capacity => ["capacity", "a table, a pool or a queue is full"],
            Blame::Network => ["network", "routes, neighbours and links around the box"],
        }
    }

    /// Its name in metrics and `show drops`.
    pub fn label(self) -> &'static str {
        self.row()[0]
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        self.row()[1]
    }
}

/// The ICMP message that tells the sender about a drop, where one is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Dropped in silence.
    Silent,
    /// Type 3 code 0.
    NetUnreachable,
    /// Type 3 code 1.
    HostUnreachable,
    /// Type 3 code 3.
    PortUnreachable,
    /// Type 3 code 4, with the next hop's MTU.
    FragmentationNeeded,
    /// Type 3 code 13.
    AdministrativelyProhibited,
    /// Type 11 code 0.
    TtlExceeded,
}

macro_rules! drops {
    ($($variant:ident $label:literal $blame:ident $notice:ident $sentence:literal $source:literal;)*) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason { $(#[doc = $sentence] $variant,)* }

        impl DropReason {
            /// Every reason, in the table's order.
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)*];
            const ROWS: &[(&str, Blame, Notice, &str, &str)] =
                &[$(($label, Blame::$blame, Notice::$notice, $sentence, $source),)*];
        }
    };
}

drops! {
    EthernetTruncated "ethernet-truncated" Sender Silent "The frame ends inside its Ethernet header." "IEEE 802.3";
    EthernetNotForUs "ethernet-not-for-us" Network Silent "The frame is addressed to another MAC address; usual on a shared segment." "IEEE 802.3";
    EtherTypeUnknown "ethertype-unknown" Network Silent "The frame carries neither IPv4 nor ARP." "RFC 894";
    VlanUnknown "vlan-unknown" Policy Silent "No sub-interface has the frame's VLAN; check encapsulation dot1Q." "IEEE 802.1Q";
    InterfaceDown "interface-down" Policy Silent "The interface is shut down or has no address." "";
    ArpMalformed "arp-malformed" Sender Silent "The ARP packet is not Ethernet and IPv4, or is truncated." "RFC 826";
    Ipv4Truncated "ipv4-truncated" Sender Silent "The frame ends inside its IPv4 header or before its total length." "RFC 791 3.1";
    Ipv4Version "ipv4-version" Sender Silent "The IP version is not 4." "RFC 1812 5.2.2";
    Ipv4HeaderLength "ipv4-header-length" Sender Silent "The header length is below 20 or above the total length." "RFC 1812 5.2.2";
    Ipv4Checksum "ipv4-checksum" Sender Silent "The IPv4 header checksum is wrong." "RFC 1812 5.2.2";
    Ipv4Source "ipv4-source" Sender Silent "The source is a multicast, broadcast, loopback or zero address." "RFC 1812 5.3.7";
    SourceGlobal "source-global" Sender Silent "An inside host sends with a global address that the NAT gives others as its source." "RFC 2827 3";
    SourceUnverified "source-unverified" Sender Silent "No route to the source leads back where the packet came in; see ip verify unicast." "RFC 3704 2.2";
    Ipv4Destination "ipv4-destination" Sender Silent "The destination is a loopback, zero or reserved address." "RFC 1812 5.3.7";
    Ipv4Land "ipv4-land" Sender Silent "Source and destination are the same address." "RFC 1812 5.3.7";
    Ipv4Multicast "ipv4-multicast" Network Silent "Multicast and broadcast are not forwarded." "RFC 1812 5.3.5";
    Ipv4SourceRoute "ipv4-source-route" Policy Silent "The packet carries a source route, which a NAT cannot honour." "RFC 3022 4.6";
    TcpHeader "tcp-header" Sender Silent "The TCP header is truncated or its offset is wrong." "RFC 9293 3.1";
    TcpFlags "tcp-flags" Sender Silent "The TCP flags contradict each other." "RFC 9293 3.1";
    TcpChecksum "tcp-checksum" Sender Silent "The checksum of a TCP segment that begins or ends a connection is wrong." "RFC 9293 3.1";
    UdpLength "udp-length" Sender Silent "The UDP length is below 8 or above what the packet holds." "RFC 768";
    IcmpTruncated "icmp-truncated" Sender Silent "The ICMP message ends inside its header." "RFC 792";
    IcmpChecksum "icmp-checksum" Sender Silent "The ICMP checksum is wrong." "RFC 5508 REQ-3";
    IcmpQuote "icmp-quote" Sender Silent "The packet an ICMP error quotes is truncated or malformed." "RFC 5508 REQ-3";
    IcmpType "icmp-type" Policy Silent "The ICMP type is obsolete or not one a NAT carries." "RFC 5508 REQ-10";
    TtlExceeded "ttl-exceeded" Sender TtlExceeded "The TTL ran out here; traceroute does this on purpose." "RFC 1812 5.3.1";
    NoRoute "no-route" Network NetUnreachable "No route leads to the destination; check ip route." "RFC 1812 5.2.7.1";
    NullRoute "null-route" Policy NetUnreachable "The route to the destination is Null0." "RFC 1812 5.2.7.1";
    NoLocalService "no-local-service" Policy PortUnreachable "Nothing listens on this address and port of the box itself." "RFC 1122 3.2.2.1";
    AclInDenied "acl-in-denied" Policy AdministrativelyProhibited "The interface's inbound access list denies the packet." "RFC 1812 5.2.7.1";
    AclOutDenied "acl-out-denied" Policy AdministrativelyProhibited "The interface's outbound access list denies the packet." "RFC 1812 5.2.7.1";
    FragmentationNeeded "fragmentation-needed" Network FragmentationNeeded "Longer than the next link's MTU, and DF is set." "RFC 1191 4";
    NoMapping "no-mapping" Policy Silent "Addressed to a NAT address, but no session, mapping or static matches." "RFC 4787 REQ-8";
    InsideLocal "inside-local" Policy Silent "From outside to an inside host's own address, although outside it has another; see ip nat settings inside-local." "";
    TcpNoSession "tcp-no-session" Sender Silent "A TCP segment without a session that begins none: a reset from inside or its answer to a SYN, or anything but a SYN from outside." "RFC 7857 2.2";
    IcmpUnmatched "icmp-unmatched" Sender Silent "The ICMP error quotes a packet that no session sent." "RFC 5508 REQ-4";
    IcmpNumbers "icmp-numbers" Sender Silent "The ICMP error quotes a TCP segment that is not on its way now: a guess, or far too late." "RFC 5927 4";
    ProtocolUntranslatable "protocol-untranslatable" Policy Silent "The protocol has no ports, and the matching rule translates by port." "RFC 6888 REQ-1";
    FragmentUntranslatable "fragment-untranslatable" Sender Silent "A fragment of a packet to be translated, without its first part." "RFC 4787 REQ-14";
    PoolExhausted "pool-exhausted" Capacity HostUnreachable "No global address or port is free for a new mapping; enlarge the pool." "RFC 6888 REQ-11";
    PortShare "port-share" Capacity HostUnreachable "The inside host has as many ports of its global address as are left to others; see max-entries, or enlarge the pool." "RFC 6888 REQ-4";
    SessionsFull "sessions-full" Capacity HostUnreachable "The session table is full; raise max-sessions." "RFC 6888 REQ-11";
    SessionShare "session-share" Capacity HostUnreachable "The inside host has as many sessions as are left to others; see max-entries, or raise max-sessions." "RFC 6888 REQ-5";
    DestinationShare "destination-share" Capacity HostUnreachable "The inside host has many flows to this destination, and the last of its sessions or ports are for others." "RFC 6888 REQ-4";
    AddressesFull "addresses-full" Capacity HostUnreachable "The table of whole addresses' mappings is full." "RFC 6888 REQ-11";
    SubscribersFull "subscribers-full" Capacity HostUnreachable "The table of inside hosts is full; raise max-sessions." "RFC 6888 REQ-11";
    HostUnresolved "host-unresolved" Capacity Silent "The tables are nearly full, and the inside host on a connected subnet has not answered ARP: it is asked, and may begin flows once it answers." "RFC 2827 2";
    SessionConflict "session-conflict" Policy Silent "The flow would need endpoints that another session has; rules overlap." "";
    LimitGroup "limit-group" Capacity HostUnreachable "A limit on all sessions, a list's or a VRF's is reached; see max-entries." "RFC 6888 REQ-5";
    LimitHost "limit-host" Capacity HostUnreachable "The inside host has as many sessions as it may; see max-entries." "RFC 6888 REQ-4";
    LimitRate "limit-rate" Capacity HostUnreachable "The inside host begins sessions faster than it may; see max-rate." "RFC 6888 REQ-4";
    FragmentsFull "fragments-full" Capacity Silent "Its sender, or its side, has too many fragments that wait for the rest of their packets: the oldest went." "RFC 4787 REQ-14";
    FragmentOverlap "fragment-overlap" Sender Silent "Fragments of one packet overlap, or its first is too short to tell the ports." "RFC 5722";
    FragmentsScattered "fragments-scattered" Capacity Silent "A packet came in more pieces, with gaps between them, than are told apart." "RFC 4787 REQ-14";
    FragmentTimeout "fragment-timeout" Network Silent "The first fragment of a packet, or another of one that an ALG reads, did not come in time." "RFC 791 3.2";
    UnsolicitedSyn "unsolicited-syn" Sender Silent "An inbound SYN to a NAT address that nobody inside asked for; answered later." "RFC 5382 REQ-4";
    NeighbourUnresolved "neighbour-unresolved" Network HostUnreachable "The next hop does not answer ARP." "RFC 1122 2.3.2.2";
    NeighbourQueueFull "neighbour-queue-full" Capacity Silent "Its sender, its side or its next hop has too many packets that wait for an ARP answer: the oldest went." "RFC 1122 2.3.2.2";
    HandoverFull "handover-full" Capacity Silent "The worker that owns the packet does not keep up." "";
    PathTwice "path-twice" Policy Silent "The packet took the path twice and would have to be hairpinned again." "RFC 4787 REQ-9";
    PathQueueFull "path-queue-full" Capacity Silent "Too many packets wait to take the path again." "";
    ControlQueueFull "control-queue-full" Capacity Silent "The control thread has no room for another event; an ARP storm does this." "";
    BuffersExhausted "buffers-exhausted" Capacity Silent "No packet buffer or head room is left; raise memory under platform dpdk." "";
    LinkDown "link-down" Network Silent "The device of the outgoing interface has no link." "";
    TransmitQueueFull "transmit-queue-full" Capacity Silent "The device took no more packets; the link is slower than the traffic." "";
}

impl DropReason {
    fn row(self) -> &'static (&'static str, Blame, Notice, &'static str, &'static str) {
        &Self::ROWS[self as usize]
    }

    /// The reason's name in metrics, tests and `show drops`.
    pub fn label(self) -> &'static str {
        self.row().0
    }

    /// Whose doing it is.
    pub fn blame(self) -> Blame {
        self.row().1
    }

    /// What the sender is told.
    pub fn notice(self) -> Notice {
        self.row().2
    }

    /// One sentence for the operator.
    pub fn sentence(self) -> &'static str {
        self.row().3
    }

    /// The standard's section behind it, where there is one.
    pub fn source(self) -> &'static str {
        self.row().4
    }

    /// The reason with this label.
    pub fn from_label(label: &str) -> Option<DropReason> {
        Self::ALL.iter().copied().find(|reason| reason.label() == label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct_and_find_their_reason() {
        for &reason in DropReason::ALL {
            assert_eq!(DropReason::from_label(reason.label()), Some(reason));
        }
    }
}

//! Lines of IOS that are not a matter of NAT: what `show running-config` of a router has beside them. They are passed over, with
//! a warning each (`passed_over.rs`). Only whole words are taken, as IOS writes them, so that a slip in a line of ours is never
//! one of these. What a NAT would need and this one has not is refused.

use super::builder::Mode;

/// First words of global lines that are passed over.
#[rustfmt::skip]
pub const LINES: &[&str] = &[
    "aaa", "access-list compiled", "alias", "boot", "boot-end-marker", "boot-start-marker", "bridge",
    "building configuration...", "card", "cdp", "chat-script", "clock", "cns", "config-register", "cpld",
    "crypto engine", "crypto ipsec df-bit", "crypto ipsec fragmentation", "crypto ipsec nat-transparency",
    "crypto ipsec security-association", "crypto isakmp aggressive-mode", "crypto isakmp enable", "crypto isakmp identity",
    "crypto isakmp invalid-spi-recovery", "crypto isakmp keepalive", "crypto isakmp key", "crypto isakmp nat", "crypto logging", "cts",
    "current configuration", "device-tracking", "diagnostic", "dialer-list", "enable", "errdisable", "ethernet", "exception",
    "facility-alarm", "frame-relay", "ftp-server", "hw-module", "iox", "ip as-path", "ip audit",
    "ip bgp-community", "ip bootp", "ip cef", "ip classless", "ip community-list", "ip default-gateway", "ip default-network",
    "ip dhcp", "ip dhcp-server", "ip domain", "ip domain-list", "ip domain-lookup", "ip domain-name", "ip finger",
    "ip flow-cache", "ip flow-export", "ip flow-top-talkers", "ip forward-protocol", "ip ftp", "ip gratuitous-arps", "ip host",
    "ip http", "ip icmp", "ip identd", "ip igmp", "ip inspect", "ip ips", "ip local", "ip mroute", "ip msdp", "ip multicast",
    "ip multicast-routing", "ip name-server", "ip nbar", "ip nhrp", "ip options", "ip pim", "ip radius", "ip rcmd", "ip routing",
    "ip rsvp", "ip rtcp", "ip rtp", "ip sap", "ip scp", "ip slb", "ip sockets", "ip source-route", "ip spd", "ip ssh",
    "ip subnet-zero", "ip tacacs", "ip tcp", "ip telnet", "ip tftp", "ip wccp", "ipv6", "isdn", "key-hash", "l2vpn", "license",
    "lldp", "log config", "logging count", "logging discriminator", "logging enable", "logging event", "logging exception",
    "logging facility", "logging history", "logging monitor", "logging on", "logging origin-id", "logging persistent",
    "logging queue-limit", "logging rate-limit", "logging snmp-trap", "logging source-interface", "logging synchronous",
    "logging userinfo", "login", "mac", "mac-address-table", "memory", "memory-size", "mls", "mmi", "mpls",
    "multilink", "netconf", "netconf-yang", "network-clock", "network-clock-participate", "network-clock-select", "nls", "no-aaa",
    "ntp", "parser", "partition", "password", "platform console", "platform hardware", "platform ipsec", "platform loadbalance",
    "platform multicast", "platform punt-keepalive", "platform punt-police", "platform qfp", "platform shell", "platform slot",
    "platform software", "platform trace", "platform urpf", "priority-list", "privilege", "process", "prompt",
    "queue-list", "radius-server", "resource", "restconf", "sampler", "scheduler", "sdm", "security", "snmp",
    "snmp-server", "sntp", "spanning-tree", "standby", "stcapp", "subscriber", "tacacs-server",
    "tftp-server", "transceiver", "udld", "username", "virtual-profile", "vpdn", "vpdn-group", "vtp", "warm-reboot", "x25",
    "xconnect",
];

/// First words of global lines that are passed over with the lines under them, unless [`LINES`] has more of the line's words.
#[rustfmt::skip]
pub const BLOCKS: &[&str] = &[
    "aaa attribute", "aaa group", "aaa server", "archive", "bba-group", "call", "call-home",
    "class-map", "control-plane", "controller", "crypto", "dial-peer", "dspfarm", "eem", "ephone", "ephone-dn", "ephone-template",
    "ethernet cfm", "ethernet evc", "event", "flow", "gatekeeper", "gateway", "ip dhcp class", "ip dhcp pool",
    "ip explicit-path", "ip sla", "ip vrf forwarding", "ipv6 access-list", "ipv6 dhcp pool", "ipv6 prefix-list",
    "ipv6 route-map", "ipv6 router", "key", "kron", "l2tp-class", "line", "macro", "map-class", "mgcp", "monitor",
    "parameter-map", "pfr", "policy-map", "pseudowire-class", "radius server", "redundancy", "rmon", "router",
    "service-insertion", "sip-ua", "table-map", "tacacs server", "telephony-service", "template", "track", "trunk group", "vlan",
    "voice", "voice-card", "voice-port", "wsma", "zone", "zone-pair",
];

/// Types of interfaces that are passed over with the lines under them.
#[rustfmt::skip]
pub const INTERFACES: &[&str] = &[
    "AppNav-Compress", "AppNav-UnCompress", "Async", "ATM", "BRI", "Cellular", "Dot11Radio", "Embedded-Service-Engine", "Group-Async",
    "ISM", "LISP", "MFR", "Multilink", "nve", "POS", "Serial", "Service-Engine", "Tunnel", "ucse", "Virtual-PPP", "Virtual-Template",
    "VirtualPortGroup", "Wlan-ap", "Wlan-GigabitEthernet",
];

/// First words of lines under `interface` that are passed over.
#[rustfmt::skip]
pub const OF_INTERFACES: &[&str] = &[
    "arp", "authentication", "auto", "bandwidth", "bfd", "bridge-domain", "bridge-group", "carrier-delay", "cdp", "channel-group",
    "clock", "crypto", "cts", "dampening", "delay", "device-tracking", "dialer", "dialer-group", "dot1x", "duplex",
    "encapsulation frame-relay", "encapsulation hdlc", "encapsulation ppp", "ethernet", "fair-queue", "flowcontrol",
    "frame-relay", "full-duplex", "glbp", "h323-gateway", "half-duplex", "history", "hold-queue", "ip accounting", "ip admission",
    "ip auth-proxy", "ip authentication", "ip bandwidth-percent", "ip cef", "ip ddns", "ip dhcp", "ip directed-broadcast",
    "ip dvmrp", "ip flow", "ip hello-interval", "ip helper-address", "ip hold-time", "ip igmp", "ip information-reply",
    "ip inspect", "ip ips", "ip lisp", "ip load-sharing", "ip local-proxy-arp", "ip mask-reply", "ip mobile", "ip mroute-cache",
    "ip multicast", "ip nbar", "ip nhrp", "ip ospf", "ip pim", "ip proxy-arp", "ip redirects", "ip rgmp", "ip rip",
    "ip route-cache", "ip router", "ip rsvp", "ip rtp", "ip sap", "ip security", "ip split-horizon", "ip summary-address",
    "ip traffic-export", "ip unreachables", "ip urd", "ip wccp", "ipv6", "isdn", "isis", "keepalive", "l2protocol", "lacp",
    "lldp", "load-interval", "logging", "mab", "macsec", "max-reserved-bandwidth", "mdix", "media-type", "mls", "mop", "mpls",
    "mtu", "negotiation", "ntp", "ospfv3", "peer", "plim", "power", "ppp", "priority-queue", "qos", "random-detect", "rate-limit",
    "service-policy", "snmp", "source-interface", "spanning-tree", "speed", "srr-queue", "standby", "storm-control", "switchport",
    "traffic-shape", "transmit-interface", "trust", "tunnel", "tx-ring-limit", "udld", "vrrp", "vtp", "xconnect", "zone-member",
];

/// First words of lines under `interface` that are passed over with the lines that are indented below them.
pub const BLOCKS_OF_INTERFACES: &[&str] = &["pvc", "service instance", "vrrp"];

/// First words of lines under `vrf definition` that are passed over.
#[rustfmt::skip]
pub const OF_VRFS: &[&str] = &[
    "address-family ipv6", "address-family l2vpn", "evpn-instance", "export", "import", "maximum routes", "mdt", "route-target", "vnet",
    "vpn",
];

/// Beginnings of lines that are refused, and what to do instead.
#[rustfmt::skip]
pub const REFUSED: &[(Mode, &str, &str)] = &[
    (Mode::Global, "ip nat source", "the NAT virtual interface is not supported; use \"ip nat inside source\", and \"ip nat inside\" and \"ip nat outside\" on interfaces"),
    (Mode::Global, "ip nat sip-sbc", "the border controller for SIP is not supported"),
    (Mode::Global, "ip nat piggyback-support", "piggyback information in SIP is not supported"),
    (Mode::Interface, "ip nat enable", "the NAT virtual interface is not supported; use \"ip nat inside\" or \"ip nat outside\""),
    (Mode::Interface, "ip nat stick", "\"ip nat stick\" is not supported"),
    (Mode::Interface, "ip nat allow-static-host", "\"ip nat allow-static-host\" is not supported"),
    (Mode::Interface, "ip address negotiated", "an address that the link gives is not supported; give one, as in \"ip address 192.0.2.1 255.255.255.0\""),
    (Mode::Interface, "ip address dhcp", "an address that DHCP gives is not supported; give one, as in \"ip address 192.0.2.1 255.255.255.0\""),
    (Mode::Interface, "ip unnumbered", "an interface without an address of its own is not supported; give one, as in \"ip address 192.0.2.1 255.255.255.0\""),
    (Mode::Interface, "ip policy", "policy routing is not supported"),
    (Mode::Interface, "pppoe-client", "PPPoE is not supported"),
    (Mode::Interface, "pppoe", "PPPoE is not supported"),
    (Mode::Global, "nat64", "translation of IPv6 is not supported"),
    (Mode::Global, "nat66", "translation of IPv6 is not supported"),
];

/// Why an interface of the type `Dialer` is refused.
pub const NO_DIALER: &str =
    "dialer interfaces are not supported; NAT needs interfaces with a device and an address of their own";

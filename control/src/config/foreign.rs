//! Lines of IOS that are not a matter of NAT: what `show running-config` of a router has beside them. They are passed over, with
//! a warning each. Only whole words are taken, as IOS writes them, so that a slip in a line of ours is never one of these.
//! What a NAT would need and this one has not is refused.

use super::builder::{Builder, Fault, Mode, Under};
use super::lex::Token;

/// First words of global lines that are passed over.
#[rustfmt::skip]
pub const LINES: &[&str] = &[
    "aaa", "alias", "boot", "boot-end-marker", "boot-start-marker", "bridge", "building configuration...", "call-home", "card",
    "cdp", "chat-script", "clock", "config-register", "cpld", "cts", "current configuration", "device-tracking", "diagnostic",
    "dialer-list", "enable", "errdisable", "exception", "facility-alarm", "hw-module", "ip as-path", "ip bgp-community",
    "ip bootp", "ip cef", "ip classless", "ip community-list", "ip default-gateway", "ip default-network", "ip dhcp",
    "ip dhcp-server", "ip domain", "ip domain-list", "ip domain-lookup", "ip domain-name", "ip finger", "ip flow-cache",
    "ip flow-export", "ip flow-top-talkers", "ip forward-protocol", "ip ftp", "ip gratuitous-arps", "ip host", "ip http",
    "ip icmp", "ip identd", "ip igmp", "ip inspect", "ip local", "ip multicast", "ip multicast-routing", "ip name-server",
    "ip options", "ip pim", "ip radius", "ip rcmd", "ip routing", "ip rsvp", "ip rtcp", "ip scp", "ip source-route", "ip ssh",
    "ip subnet-zero", "ip tacacs", "ip tcp", "ip telnet", "ip tftp", "ip wccp", "ipv6", "isdn", "key-hash", "l2vpn", "license",
    "lldp", "logging count", "logging discriminator", "logging event", "logging exception", "logging facility", "logging history",
    "logging monitor", "logging on", "logging origin-id", "logging persistent", "logging queue-limit", "logging rate-limit",
    "logging snmp-trap", "logging source-interface", "logging synchronous", "logging userinfo", "login", "mac", "mac-address-table",
    "memory", "mls", "mmi", "mpls", "multilink", "network-clock", "no-aaa", "ntp", "parser", "password", "platform punt-keepalive",
    "platform qfp", "process", "prompt", "radius-server", "scheduler", "security", "snmp", "snmp-server", "spanning-tree",
    "standby", "subscriber", "tacacs-server", "transceiver", "tftp-server", "udld", "username", "virtual-profile", "vlan", "voice-card",
    "vpdn", "vpdn-group", "vtp", "warm-reboot", "xconnect",
];

/// First words of global lines that are passed over with the indented lines under them.
#[rustfmt::skip]
pub const BLOCKS: &[&str] = &[
    "archive", "call", "class-map", "control-plane", "controller", "crypto", "dial-peer", "dspfarm", "eem", "event", "flow",
    "gateway", "ip dhcp pool", "ip explicit-path", "ip sla", "ip vrf forwarding", "ipv6 access-list", "ipv6 router", "key",
    "l2tp-class", "line", "mgcp", "monitor", "parameter-map", "policy-map", "pseudowire-class", "redundancy", "rmon", "router",
    "sip-ua", "table-map", "telephony-service", "voice", "voice-port", "zone", "zone-pair",
];

/// Types of interfaces that are passed over with the lines under them.
#[rustfmt::skip]
pub const INTERFACES: &[&str] = &[
    "AppNav-Compress", "AppNav-UnCompress", "Async", "ATM", "BRI", "Cellular", "Dot11Radio", "Embedded-Service-Engine", "Group-Async",
    "ISM", "LISP", "MFR", "Multilink", "POS", "Serial", "Service-Engine", "ucse", "Virtual-PPP", "Virtual-Template",
    "VirtualPortGroup", "Wlan-ap", "Wlan-GigabitEthernet",
];

/// First words of lines under `interface` that are passed over.
#[rustfmt::skip]
pub const OF_INTERFACES: &[&str] = &[
    "arp", "auto", "bandwidth", "bfd", "carrier-delay", "cdp", "channel-group", "clock", "crypto", "delay", "duplex", "fair-queue",
    "flowcontrol", "hold-queue", "ip accounting", "ip authentication", "ip bandwidth-percent", "ip cef", "ip directed-broadcast",
    "ip dhcp", "ip flow", "ip hello-interval", "ip helper-address", "ip hold-time", "ip igmp", "ip inspect", "ip load-sharing",
    "ip mask-reply", "ip mroute-cache", "ip nbar", "ip ospf", "ip pim", "ip proxy-arp", "ip redirects", "ip rip", "ip route-cache",
    "ip rsvp", "ip split-horizon", "ip summary-address", "ip unreachables", "ip wccp", "ipv6", "keepalive", "lacp", "lldp",
    "load-interval", "logging", "macsec", "media-type", "mls", "mop", "mpls", "negotiation", "ntp", "plim", "power", "priority-queue",
    "rate-limit", "service-policy", "snmp", "spanning-tree", "speed", "standby", "storm-control", "switchport", "tx-ring-limit",
    "udld", "vrrp", "xconnect", "zone-member",
];

/// Beginnings of lines that are refused, and what to do instead.
#[rustfmt::skip]
pub const REFUSED: &[(Mode, &str, &str)] = &[
    (Mode::Global, "ip nat source", "the NAT virtual interface is not supported; use \"ip nat inside source\", and \"ip nat inside\" and \"ip nat outside\" on interfaces"),
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

const NO_DIALER: &str =
    "dialer interfaces are not supported; NAT needs interfaces with a device and an address of their own";

/// Whether a line belongs to one before it that was passed over.
///
/// # Errors
/// When NAT is configured on an interface that is passed over.
pub(super) fn belongs(builder: &mut Builder, line: &str) -> Result<bool, Fault> {
    let is_indented = line.starts_with(char::is_whitespace);
    match builder.under.take() {
        None => return Ok(false),
        Some(Under::Text(end)) => {
            if !line.contains(&end) {
                builder.under = Some(Under::Text(end));
            }
        }
        Some(Under::Indented { .. }) if !is_indented && !line.is_empty() => return Ok(false),
        Some(Under::Indented { is_interface }) => {
            builder.under = Some(Under::Indented { is_interface });
            let words: Vec<&str> = line.split_whitespace().take(2).collect();
            if is_interface && words == ["ip", "nat"] {
                let column = line.len() - line.trim_start().len() + 1;
                return Err(Fault::at(column, "NAT on an interface of this type is not supported".into()));
            }
        }
    }
    builder.passed_over += 1;
    Ok(true)
}

/// Passes over a line that no table has, if IOS has it and a NAT has no use for it. The tables' rows have it up to this column: a
/// line that goes on beyond the words of a list is one of ours with a mistake in it.
///
/// # Errors
/// When a NAT would have a use for it, and this one has not got it.
pub(super) fn pass_over(builder: &mut Builder, tokens: &[Token<'_>], known_to: usize) -> Result<bool, Fault> {
    let is_negated = ["no", "default"].iter().any(|word| tokens[0].text.eq_ignore_ascii_case(word));
    let words = &tokens[usize::from(is_negated)..];
    let Some(first) = words.first() else { return Ok(false) };
    let begins = |beginning: &str| {
        let mut pairs = beginning.split(' ').zip(words);
        let last = words.get(beginning.split(' ').count() - 1);
        last.is_some_and(|last| known_to <= last.column)
            && pairs.all(|(word, token)| token.text.eq_ignore_ascii_case(word))
    };
    let is_in = |list: &[&str]| list.iter().any(|beginning| begins(beginning));
    let is_of = |mode| mode == Mode::Global || builder.mode == Some(mode);
    if let Some((.., why)) = REFUSED.iter().find(|(mode, beginning, _)| is_of(*mode) && begins(beginning)) {
        return Err(Fault::at(first.column, (*why).to_string()));
    }
    // Some words begin lines of both. What is indented belongs to the interface.
    let is_of_interface = is_of(Mode::Interface) && is_in(OF_INTERFACES);
    if is_of_interface && (tokens[0].column > 1 || !(is_in(BLOCKS) || is_in(LINES))) {
        builder.pass_over(&tokens[0], "is");
        return Ok(true);
    }
    let is_interface = first.text.eq_ignore_ascii_case("interface");
    let kind = words.get(1).filter(|_| is_interface).map(|word| (word, kind_of(word.text)));
    if let Some((word, _)) = kind.filter(|(_, kind)| kind.eq_ignore_ascii_case("Dialer")) {
        builder.mode = None;
        return Err(Fault::at(word.column, NO_DIALER.into()));
    }
    let is_foreign = |(_, kind): (_, &str)| INTERFACES.iter().any(|known| known.eq_ignore_ascii_case(kind));
    let is_interface = kind.is_some_and(is_foreign);
    let is_block = is_interface || is_in(BLOCKS);
    if is_block {
        builder.under = Some(Under::Indented { is_interface });
    } else if begins("banner") && words.len() > 2 {
        builder.under = text_of(words[2].rest).map(Under::Text);
    } else if !is_in(LINES) {
        return Ok(false);
    }
    if !is_of_interface {
        builder.mode = Some(Mode::Global);
    }
    builder.pass_over(&tokens[0], if builder.under.is_some() { "and the lines under it are" } else { "is" });
    Ok(true)
}

/// The type in an interface's name, which may be the first of two words.
fn kind_of(name: &str) -> &str {
    &name[..name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len())]
}

/// What ends a text that begins so and is not over at the end of its line.
fn text_of(text: &str) -> Option<String> {
    let end = if text.starts_with("^C") { "^C" } else { &text[..text.chars().next()?.len_utf8()] };
    (!text[end.len()..].contains(end)).then(|| end.to_string())
}

//! The appliance's configuration, written from the rules.

use crate::address::{INSIDE_GATEWAY, OUTSIDE_GATEWAY, ROUTER};
use crate::rules::{Rules, Source, Static};
use std::fs;
use std::net::Ipv4Addr;

const MEMORY_MIB: u32 = 256;
const BLUE_INSIDE: &str = "GigabitEthernet0/0/2";
const POOL: &str = "LAB";
const BLUE_POOL: &str = "LAB-BLUE";

/// Whether enough 2 MiB pages are free for the appliance and DPDK's own tables.
pub(crate) fn huge_pages_are_free() -> bool {
    let is_mounted = fs::read_to_string("/proc/mounts").is_ok_and(|mounts| mounts.contains(" hugetlbfs "));
    let free = fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    let free: u32 = free.ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0);
    is_mounted && free * 2 >= MEMORY_MIB + 64
}

/// The appliance's configuration.
pub(crate) fn configuration(rules: &Rules, has_huge_pages: bool) -> String {
    let mut lines = vec![
        "platform dpdk".to_owned(),
        format!(" workers {}", rules.worker_count),
        format!(" memory {MEMORY_MIB}"),
    ];
    lines.extend((!has_huge_pages).then(|| " no hugepages".to_owned()));
    lines.extend(
        rules.vrfs.iter().flat_map(|_| ["vrf definition RED", "vrf definition BLUE"]).map(str::to_owned),
    );
    lines.extend(interface_lines(rules));
    if rules.vrfs.is_some() {
        let route = |vrf| format!("ip route vrf {vrf} 0.0.0.0 0.0.0.0 {ROUTER} global");
        lines.extend(["RED", "BLUE"].map(route));
    }
    lines.push(format!("ip route 0.0.0.0 0.0.0.0 {ROUTER}"));
    lines.push("access-list 10 permit 10.0.0.0 0.0.0.255".to_owned());
    lines.push("prometheus exporter 127.0.0.1 9464".to_owned());
    lines.extend(nat_lines(rules));
    lines.extend(rules.lines.iter().cloned());
    lines.join("\n") + "\n"
}

fn interface_lines(rules: &Rules) -> Vec<String> {
    let red = rules.vrfs.as_ref().map(|_| "RED");
    let [inside_name, outside_name] = rules.interface_names;
    let inside =
        Interface { name: inside_name, number: 0, device: "inside", vrf: red, mtu: rules.inside_mtu };
    let outside =
        Interface { name: outside_name, number: 1, device: "outside", vrf: None, mtu: rules.outside_mtu };
    let blue = Interface { name: BLUE_INSIDE, number: 2, device: "inside-blue", vrf: Some("BLUE"), ..inside };
    let mut lines = inside.lines(rules, INSIDE_GATEWAY, "inside");
    lines.extend(outside.lines(rules, OUTSIDE_GATEWAY, "outside"));
    if rules.vrfs.is_some() {
        lines.extend(blue.lines(rules, INSIDE_GATEWAY, "inside"));
    }
    lines
}

#[derive(Clone, Copy)]
struct Interface {
    name: &'static str,
    number: u8,
    device: &'static str,
    vrf: Option<&'static str>,
    mtu: Option<u16>,
}

impl Interface {
    fn lines(&self, rules: &Rules, address: Ipv4Addr, side: &str) -> Vec<String> {
        let Interface { name, number, device, vrf, mtu } = self;
        // A queue pair for each worker.
        let queues = match rules.worker_count {
            1 => String::new(),
            count => format!(",qpairs={count}"),
        };
        let mut lines = vec![
            format!("interface {name}"),
            format!(" device net_af_packet{number},iface={device}{queues}"),
            format!(" mac-address 0200.0000.000{}", number + 1),
        ];
        lines.extend(vrf.map(|vrf| format!(" vrf forwarding {vrf}")));
        lines.push(format!(" ip address {address} 255.255.255.0"));
        lines.extend(mtu.map(|mtu| format!(" ip mtu {mtu}")));
        lines.push(format!(" ip nat {side}"));
        lines
    }
}

fn nat_lines(rules: &Rules) -> Vec<String> {
    let mut lines = Vec::new();
    let red = if rules.vrfs.is_some() { " vrf RED" } else { "" };
    lines.extend(pool_line(POOL, rules.source));
    let [_, outside] = rules.interface_names;
    lines.push(source_line(POOL, rules.source, red, outside));
    lines.extend(rules.statics.iter().map(|rule| static_line(rule, red, outside)));
    let outside_line = |(global, local)| format!("ip nat outside source static {global} {local}");
    lines.extend(rules.outside_statics.iter().copied().map(outside_line));
    if let Some(vrfs) = &rules.vrfs {
        // One pool for both is one line.
        let pool = if vrfs.blue_source == rules.source { POOL } else { BLUE_POOL };
        lines.extend(pool_line(pool, vrfs.blue_source).filter(|_| pool == BLUE_POOL));
        lines.push(source_line(pool, vrfs.blue_source, " vrf BLUE", outside));
        lines.extend(vrfs.blue_statics.iter().map(|rule| static_line(rule, " vrf BLUE", outside)));
    }
    lines
}

fn pool_line(name: &str, source: Source) -> Option<String> {
    match source {
        Source::Pool(first, last) => Some(format!("ip nat pool {name} {first} {last} prefix-length 24")),
        Source::Interface => None,
    }
}

fn source_line(pool: &str, source: Source, vrf: &str, outside: &str) -> String {
    let target = match source {
        Source::Pool(..) => format!("pool {pool}"),
        Source::Interface => format!("interface {outside}"),
    };
    format!("ip nat inside source list 10 {target}{vrf} overload")
}

fn static_line(rule: &Static, vrf: &str, outside: &str) -> String {
    match rule {
        Static::Address(local, global) => format!("ip nat inside source static {local} {global}{vrf}"),
        Static::Port(protocol, local, global) => {
            let local = format!("{} {}", local.ip(), local.port());
            let global = if *global.ip() == OUTSIDE_GATEWAY {
                format!("interface {outside} {}{vrf}", global.port())
            } else {
                format!("{} {}{vrf} extendable", global.ip(), global.port())
            };
            format!("ip nat inside source static {protocol} {local} {global}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Vrfs;

    fn assert_has_lines(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|written| written == *line), "no line \"{line}\" in\n{text}");
        }
    }

    #[test]
    fn configuration_names_devices_pool_and_statics() {
        let text = configuration(&Rules::routed_pool(), false);
        assert_has_lines(
            &text,
            &[
                " no hugepages",
                " device net_af_packet1,iface=outside",
                "ip nat pool LAB 203.0.113.1 203.0.113.4 prefix-length 24",
                "ip nat inside source static tcp 10.0.0.11 80 203.0.113.10 8080 extendable",
                "ip nat inside source static 10.0.0.12 203.0.113.20",
            ],
        );
        assert!(!text.contains("vrf"), "{text}");
    }

    #[test]
    fn interface_overload_writes_the_interface_form() {
        let text = configuration(&Rules { outside_mtu: Some(1400), ..Rules::interface_overload() }, true);
        assert!(text.contains("\n ip mtu 1400\n ip nat outside\n"), "{text}");
        assert!(text.contains("static tcp 10.0.0.11 80 interface GigabitEthernet0/0/1 8080\n"), "{text}");
        assert!(!text.contains("hugepages"), "{text}");
    }

    #[test]
    fn workers_have_a_queue_pair_each() {
        let text = configuration(&Rules { worker_count: 2, ..Rules::routed_pool() }, true);
        assert_has_lines(&text, &[" workers 2", " device net_af_packet0,iface=inside,qpairs=2"]);
    }

    #[test]
    fn vrfs_share_a_pool_or_have_their_own() {
        let one = Rules { vrfs: Some(Vrfs::one_pool()), ..Rules::routed_pool() };
        let text = configuration(&one, true);
        let blue = [" device net_af_packet2,iface=inside-blue", " vrf forwarding BLUE"];
        assert_has_lines(
            &text,
            &[&blue[..], &["ip nat inside source list 10 pool LAB vrf BLUE overload"]].concat(),
        );
        assert_eq!(text.matches("ip nat pool ").count(), 1, "{text}");
        let two = Rules { vrfs: Some(Vrfs::two_pools()), ..Rules::routed_pool() };
        let text = configuration(&two, true);
        assert_has_lines(&text, &["ip nat inside source list 10 pool LAB-BLUE vrf BLUE overload"]);
        assert_eq!(text.matches("ip nat pool ").count(), 2, "{text}");
    }
}

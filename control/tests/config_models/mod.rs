//! Random configurations: valid models of every shape the language can say.

mod conditions;
mod nat;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use alg::Side;
use control::config::InterfaceName;
use control::config::model::*;
use ipnet::Ipv4Net;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z_#/.-][!-~]{0,8}",
        select(vec!["in", "overload", "any", "no", "pool"]).prop_map(str::to_string)
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]([ -~]{0,20}[!-~])?", "\\PC{0,9}x"].prop_map(|text| text.trim().to_string())
}

fn acl_name() -> impl Strategy<Value = String> {
    prop_oneof![
        name(),
        (1u16..=199).prop_map(|n| n.to_string()),
        (1300u16..=2699).prop_map(|n| n.to_string())
    ]
}

fn place() -> Place {
    Place::default()
}

fn interface_name() -> impl Strategy<Value = InterfaceName> {
    let kind = select(vec!["GigabitEthernet", "TenGigabitEthernet", "Loopback", "Vlan", "Port-channel"]);
    (kind, vec(0u32..20, 1..=4), option::of(0u32..5000)).prop_map(|(kind, slots, sub)| {
        let slots: Vec<String> = slots.iter().map(u32::to_string).collect();
        let sub = sub.map_or(String::new(), |sub| format!(".{sub}"));
        InterfaceName::new(kind, &format!("{}{sub}", slots.join("/"))).unwrap()
    })
}

/// Names of VRFs.
type Names = Arc<Vec<String>>;

fn vrfs() -> impl Strategy<Value = Vec<Vrf>> {
    let form = select(vec![VrfForm::Definition, VrfForm::Legacy]);
    let rd = select(vec!["65000:1", "192.0.2.1:7"]).prop_map(str::to_string);
    let body = (form, option::of(rd), option::of(text()));
    (btree_set(name(), 0..3), vec(body, 3)).prop_map(|(names, bodies)| {
        let vrfs = names.into_iter().zip(bodies);
        vrfs.map(|(name, (form, route_distinguisher, description))| Vrf {
            place: place(),
            name,
            form,
            route_distinguisher,
            description,
        })
        .collect()
    })
}

/// One of the VRFs, or the global table.
fn table(vrfs: &Names) -> impl Strategy<Value = Option<String>> + use<> {
    let vrfs = vrfs.clone();
    option::of(any::<Index>())
        .prop_map(move |at| at.filter(|_| !vrfs.is_empty()).map(|at| at.get(&vrfs[..]).clone()))
}

/// An interface whose subnet nobody else has; its VLAN is as unique.
fn interface(name: InterfaceName, number: u8, vrfs: Names) -> impl Strategy<Value = Interface> {
    let sub = name.parent().is_some();
    let addresses = btree_set(1u8..255, 0..4).prop_map(move |hosts| {
        let address = |host: &u8| Ipv4Addr::new(10, number, 0, *host);
        let network = |host| Ipv4Net::new(address(host), 24).unwrap();
        hosts
            .iter()
            .map(|host| InterfaceAddress { place: place(), network: network(host) })
            .collect::<Vec<_>>()
    });
    let group = || option::of(acl_name().prop_map(|access_list| AccessGroup { place: place(), access_list }));
    let link = (option::of(text()), option::of("[!-~]{1,20}"), option::of(any::<[u8; 6]>()), any::<bool>());
    let nat = option::of(select(vec![Side::Inside, Side::Outside]));
    let sizes = (option::of(68u16..=9216), option::of(500u16..=1460));
    let check =
        (any::<bool>(), any::<bool>(), option::of(1u16..=199)).prop_map(|(any, allow_default, list)| {
            SourceCheck { place: place(), any, allow_default, access_list: list.map(|list| list.to_string()) }
        });
    let vrf = table(&vrfs).prop_map(|vrf| vrf.map(|vrf| VrfMember { place: place(), vrf }));
    let addresses = (vrf, addresses);
    let sources = (nat, option::of(check));
    (link, addresses, sources, sizes, group(), group(), any::<bool>()).prop_map(
        move |(
            (description, device, mac, tagged),
            (vrf, addresses),
            (nat, source_check),
            sizes,
            access_group_in,
            access_group_out,
            shutdown,
        )| {
            Interface {
                place: place(),
                name: name.clone(),
                description,
                device: device.filter(|device| !sub && !device.starts_with('!')),
                mac_address: mac.map(MacAddress),
                encapsulation: (sub && tagged)
                    .then_some(Encapsulation { vlan: 1 + number as u16, native: shutdown }),
                vrf,
                addresses,
                nat,
                ip_mtu_bytes: sizes.0,
                adjust_mss_bytes: sizes.1,
                access_group_in,
                access_group_out,
                source_check,
                shutdown,
            }
        },
    )
}

fn interfaces(vrfs: Names) -> impl Strategy<Value = Vec<Interface>> {
    btree_set(interface_name(), 0..5).prop_flat_map(move |names| {
        names
            .into_iter()
            .zip(0u8..)
            .map(|(name, number)| interface(name, number, vrfs.clone()).boxed())
            .collect::<Vec<_>>()
    })
}

fn platform() -> impl Strategy<Value = Platform> {
    let cores = btree_set(0u16..1024, 0..6).prop_map(Vec::from_iter).prop_shuffle();
    let sizes = (option::of(1u16..=256), option::of(64u32..=1048576), option::of(1u32..=4_000_000_000));
    (sizes, cores, any::<bool>()).prop_map(|((workers, memory_mib, max_sessions), cores, hugepages)| {
        Platform { place: place(), workers, cores, memory_mib, hugepages, max_sessions }
    })
}

fn address_match() -> impl Strategy<Value = AddressMatch> {
    let address = any::<u32>().prop_map(Ipv4Addr::from_bits);
    let wildcard =
        prop_oneof![Just(0), Just(u32::MAX), Just(0xff), any::<u32>()].prop_map(Ipv4Addr::from_bits);
    (address, wildcard).prop_map(|(address, wildcard)| AddressMatch::new(address, wildcard))
}

fn port_match() -> impl Strategy<Value = PortMatch> {
    let port = || prop_oneof![0u16..1024, any::<u16>()];
    prop_oneof![
        vec(port(), 1..5).prop_map(PortMatch::Equal),
        port().prop_map(PortMatch::NotEqual),
        port().prop_map(PortMatch::Below),
        port().prop_map(PortMatch::Above),
        (port(), port()).prop_map(|(a, b)| PortMatch::Range(a.min(b), a.max(b))),
    ]
}

fn access_rule(kind: AccessListKind) -> impl Strategy<Value = AccessRule> {
    let flags = prop_oneof![Just(TcpFlagsMatch::Established), (1u8..64).prop_map(TcpFlagsMatch::AnyOf)];
    let icmp = (any::<u8>(), option::of(0u8..20)).prop_map(|(kind, code)| IcmpMatch { kind, code });
    let parts = (option::of(port_match()), option::of(port_match()), option::of(flags), option::of(icmp));
    let protocol = option::of(prop_oneof![Just(1), Just(6), Just(17), 1u8..]);
    let tail = (option::of(0u8..64), any::<[bool; 3]>(), option::of(name()));
    let networks = || option::of(name().prop_map(|name| conditions::group_name(GroupKind::Network, &name)));
    let services = option::of(name().prop_map(|name| conditions::group_name(GroupKind::Service, &name)));
    let groups = (services, networks(), networks());
    (protocol, address_match(), address_match(), parts, tail, groups).prop_map(
        move |(protocol, source, destination, (source_port, destination_port, flags, icmp), tail, groups)| {
            let (dscp, [permit, fragments, log], time_range) = tail;
            let action = if permit { AccessAction::Permit } else { AccessAction::Deny };
            let rule = AccessRule { source: Addresses::Match(source), log, ..AccessRule::any(action) };
            if kind == AccessListKind::Standard {
                return rule;
            }
            let (services, of_source, of_destination) = groups;
            let source = of_source.map_or(rule.source, Addresses::Group);
            let destination = of_destination.map_or(Addresses::Match(destination), Addresses::Group);
            let rule = AccessRule { source, destination, dscp, fragments, time_range, ..rule };
            if services.is_some() {
                return AccessRule { services, ..rule };
            }
            let ports = matches!(protocol, Some(6 | 17)) && !fragments;
            AccessRule {
                protocol,
                source_port: source_port.filter(|_| ports),
                destination_port: destination_port.filter(|_| ports),
                tcp_flags: flags.filter(|_| protocol == Some(6) && !fragments),
                icmp: icmp.filter(|_| protocol == Some(1) && !fragments),
                ..rule
            }
        },
    )
}

fn access_list(name: String, named_kind: AccessListKind) -> impl Strategy<Value = AccessList> {
    let kind = match name.parse::<u16>() {
        Ok(1..=99 | 1300..=1999) => AccessListKind::Standard,
        Ok(_) => AccessListKind::Extended,
        Err(_) => named_kind,
    };
    let body = prop_oneof![text().prop_map(EntryBody::Remark), access_rule(kind).prop_map(EntryBody::Rule)];
    (vec((1u32..30, body), 0..8), any::<bool>()).prop_map(move |(bodies, plain)| {
        let mut entries: Vec<AccessListEntry> = Vec::new();
        for (step, body) in bodies {
            let sequence = entries.last().map_or(0, |last| last.sequence) + if plain { 10 } else { step };
            if matches!(body, EntryBody::Remark(_)) || entries.iter().all(|entry| entry.body != body) {
                entries.push(AccessListEntry { place: place(), sequence, body });
            }
        }
        AccessList { place: place(), name: name.clone(), kind, entries }
    })
}

fn access_lists() -> impl Strategy<Value = Vec<AccessList>> {
    let kind = select(vec![AccessListKind::Standard, AccessListKind::Extended]);
    (btree_set(acl_name(), 0..5), vec(kind, 5)).prop_flat_map(|(names, kinds)| {
        names.into_iter().zip(kinds).map(|(name, kind)| access_list(name, kind).boxed()).collect::<Vec<_>>()
    })
}

fn prefix() -> impl Strategy<Value = Ipv4Net> {
    (any::<u32>(), 0u8..=32)
        .prop_map(|(bits, length)| Ipv4Net::new(Ipv4Addr::from_bits(bits), length).unwrap().trunc())
}

fn routes(vrfs: &Names) -> impl Strategy<Value = Vec<Route>> + use<> {
    let address = || any::<u32>().prop_map(Ipv4Addr::from_bits);
    let target = prop_oneof![
        address().prop_map(RouteTarget::NextHop),
        Just(RouteTarget::Null),
        (interface_name(), option::of(address())).prop_map(|(name, hop)| RouteTarget::Interface(name, hop)),
    ];
    let track = option::of(1u16..=500);
    let options = (option::of(name()), option::of(any::<u32>()), any::<bool>(), any::<bool>(), track);
    let route = (prefix(), table(vrfs), target, 1u8.., options).prop_map(
        |(prefix, vrf, target, distance, (name, tag, permanent, global, track))| {
            let global = global && vrf.is_some();
            let plain = Route::new(place(), prefix, target);
            let track = track.filter(|_| !permanent);
            Route { vrf, distance, name, tag, permanent, global, track, ..plain }
        },
    );
    vec(route, 0..5).prop_map(|routes| {
        let mut seen = BTreeSet::new();
        let target = |route: &Route| format!("{:?}{}{:?}", route.vrf, route.prefix, route.target);
        routes.into_iter().filter(|route| seen.insert(target(route))).collect()
    })
}

fn route_maps() -> impl Strategy<Value = Vec<RouteMap>> {
    let lists = || vec(acl_name(), 0..3).prop_map(unique);
    let interfaces = vec(interface_name(), 0..3).prop_map(unique);
    let prefix_lists = vec(name(), 0..3).prop_map(unique);
    let lists = (lists(), prefix_lists, lists());
    let entry = (any::<u16>(), any::<bool>(), option::of(text()), lists, interfaces).prop_map(
        |(sequence, permit, description, (access_lists, prefix_lists, next_hops), interfaces)| {
            let action = if permit { AccessAction::Permit } else { AccessAction::Deny };
            let plain = RouteMapEntry::new(place(), action, sequence);
            RouteMapEntry { description, access_lists, prefix_lists, interfaces, next_hops, ..plain }
        },
    );
    let map = vec(entry, 1..4).prop_map(|mut entries| {
        entries.sort_by_key(|entry| entry.sequence);
        entries.dedup_by_key(|entry| entry.sequence);
        entries
    });
    (btree_set(name(), 0..3), vec(map, 3)).prop_map(|(names, maps)| {
        let maps = names.into_iter().zip(maps);
        maps.map(|(name, entries)| RouteMap { place: place(), name, entries }).collect()
    })
}

/// The values without those that repeat an earlier one.
fn unique<T: std::fmt::Debug>(mut values: Vec<T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    values.retain(|value| seen.insert(format!("{value:?}")));
    values
}

fn arp_entries(vrfs: &Names) -> impl Strategy<Value = Vec<ArpEntry>> + use<> {
    let bodies = vec((table(vrfs), any::<[u8; 6]>()), 3);
    (btree_set(any::<u32>(), 0..3), bodies).prop_map(|(addresses, bodies)| {
        let entries = addresses.into_iter().zip(bodies);
        entries
            .map(|(bits, (vrf, mac))| ArpEntry {
                place: place(),
                vrf,
                address: Ipv4Addr::from_bits(bits),
                mac: MacAddress(mac),
            })
            .collect()
    })
}

fn logging() -> impl Strategy<Value = Logging> {
    let hosts = btree_set(any::<u32>().prop_map(Ipv4Addr::from_bits), 0..3).prop_map(Vec::from_iter);
    let trap = option::of((0u8..8).prop_filter("the default", |trap| *trap != Logging::TRAP_DEFAULT));
    let severity = (0u8..8).prop_map(ConsoleLogging::Severity);
    let console = prop_oneof![Just(ConsoleLogging::Off), severity]
        .prop_filter("the default", |console| *console != Logging::CONSOLE_DEFAULT);
    (hosts, trap, option::of(console)).prop_map(|(hosts, trap, console)| Logging { hosts, trap, console })
}

/// Any configuration that is free of errors.
pub fn config() -> impl Strategy<Value = Config> {
    vrfs().prop_flat_map(|vrfs| {
        let names: Names = Arc::new(vrfs.iter().map(|vrf| vrf.name.clone()).collect());
        let exporter = option::of((any::<u32>(), 1u16..).prop_map(|(a, p)| {
            let socket = SocketAddrV4::new(Ipv4Addr::from_bits(a), p);
            Exporter { place: place(), socket }
        }));
        let host = (option::of(name()), platform(), logging(), exporter);
        let network = (interfaces(names.clone()), routes(&names), arp_entries(&names));
        let times = conditions::time_ranges();
        let named = (conditions::object_groups(), conditions::prefix_lists(), conditions::tracks(), times);
        let selectors = (access_lists(), route_maps(), named);
        (host, network, selectors, nat::nat(&names)).prop_map(
            move |(
                (hostname, platform, logging, prometheus_exporter),
                (interfaces, routes, arp_entries),
                (access_lists, route_maps, (object_groups, prefix_lists, tracks, time_ranges)),
                nat,
            )| Config {
                source: Source::default(),
                hostname,
                platform,
                vrfs: vrfs.clone(),
                interfaces,
                nat,
                access_lists,
                time_ranges,
                object_groups,
                prefix_lists,
                tracks,
                route_maps,
                routes,
                arp_entries,
                logging,
                prometheus_exporter,
            },
        )
    })
}

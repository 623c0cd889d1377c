//! Random pools, rules and limits.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use control::config::InterfaceName;
use control::config::model::*;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Names, acl_name, interface_name, name, place, prefix, table};

/// Pools in networks of their own, their ranges apart.
fn pools() -> impl Strategy<Value = Vec<Pool>> {
    let kind = select(vec![PoolKind::Generic, PoolKind::MatchHost, PoolKind::Rotary]);
    let bounds = btree_set(1u8..=254, 0..6);
    (btree_set(name(), 0..4), vec((bounds, kind), 4)).prop_map(|(names, bodies)| {
        let pools = names.into_iter().zip(bodies).zip(0..);
        pools
            .map(|((name, (bounds, kind)), number)| {
                let address = |host: u8| Ipv4Addr::new(198, 18, number, host);
                let bounds: Vec<u8> = bounds.into_iter().collect();
                let ranges = bounds.chunks_exact(2).map(|pair| AddressRange {
                    place: place(),
                    start: address(pair[0]),
                    end: address(pair[1]),
                });
                Pool { place: place(), name, ranges: ranges.collect(), prefix_length: 24, kind }
            })
            .collect()
    })
}

fn selector() -> impl Strategy<Value = Selector> {
    prop_oneof![acl_name().prop_map(Selector::List), name().prop_map(Selector::RouteMap)]
}

fn rule_vrf(vrfs: &Names) -> impl Strategy<Value = Option<RuleVrf>> + use<> {
    (table(vrfs), any::<bool>())
        .prop_map(|(name, match_in_vrf)| name.map(|name| RuleVrf { name, match_in_vrf }))
}

/// The rules without those that would replace an earlier one.
fn distinct<T>(mut rules: Vec<T>, key: impl Fn(&T) -> String) -> Vec<T> {
    let mut seen = BTreeSet::new();
    rules.retain(|rule| seen.insert(key(rule)));
    rules
}

fn dynamic_rules(vrfs: &Names) -> impl Strategy<Value = Vec<DynamicRule>> + use<> {
    let target = prop_oneof![
        name().prop_map(DynamicTarget::Pool),
        interface_name().prop_map(DynamicTarget::Interface)
    ];
    let overload = option::of(select(vec![Overload::Plain, Overload::Paired]));
    let options = (overload, option::of(interface_name()), any::<bool>(), any::<bool>());
    let rule = (selector(), target, rule_vrf(vrfs), options).prop_map(
        |(selector, target, vrf, (overload, egress_interface, reversible, no_payload))| {
            let reversible = reversible && matches!(selector, Selector::RouteMap(_));
            let plain = DynamicRule::new(place(), selector, target);
            let overload = overload.or(plain.overload);
            DynamicRule { vrf, overload, egress_interface, reversible, no_payload, ..plain }
        },
    );
    let key = |rule: &DynamicRule| {
        let vrf = rule.vrf.as_ref().map(|vrf| &vrf.name);
        format!("{:?}{vrf:?}{:?}", rule.selector, rule.egress_interface)
    };
    vec(rule, 0..5).prop_map(move |rules| distinct(rules, key))
}

fn destination_rules() -> impl Strategy<Value = Vec<DestinationRule>> {
    let rule = (acl_name(), name()).prop_map(|(access_list, pool)| DestinationRule {
        place: place(),
        access_list,
        pool,
    });
    vec(rule, 0..3).prop_map(|rules| distinct(rules, |rule| rule.access_list.clone()))
}

fn outside_dynamic_rules(vrfs: &Names) -> impl Strategy<Value = Vec<OutsideDynamicRule>> + use<> {
    let rule = (selector(), name(), rule_vrf(vrfs), any::<[bool; 3]>()).prop_map(
        |(selector, pool, vrf, [overload, add_route, no_payload])| OutsideDynamicRule {
            place: place(),
            selector,
            pool,
            vrf,
            overload,
            add_route,
            no_payload,
        },
    );
    let key = |rule: &OutsideDynamicRule| {
        format!("{:?}{:?}", rule.selector, rule.vrf.as_ref().map(|vrf| &vrf.name))
    };
    vec(rule, 0..3).prop_map(move |rules| distinct(rules, key))
}

/// Static rules of the outside that never share an address.
fn outside_static_rules(vrfs: &Names) -> impl Strategy<Value = Vec<OutsideStaticRule>> + use<> {
    let rule = |number: u8| {
        let global = Ipv4Addr::new(198, 51, number, 0);
        let local = Ipv4Addr::new(10, 250, number, 0);
        let port = (protocol(), 1u16.., 1u16..).prop_map(move |(protocol, global_port, local_port)| {
            OutsideMapping::Port { protocol, global, global_port, local, local_port }
        });
        let mapping = prop_oneof![
            Just(OutsideMapping::Address { global, local }),
            Just(OutsideMapping::Network { global, local, prefix_length: 24 }),
            port,
        ];
        (mapping, rule_vrf(vrfs), any::<[bool; 4]>()).prop_map(
            |(mapping, vrf, [add_route, extendable, no_alias, no_payload])| OutsideStaticRule {
                place: place(),
                mapping,
                vrf,
                add_route,
                extendable,
                no_alias,
                no_payload,
            },
        )
    };
    let rules: Vec<_> = (0u8..4).map(rule).collect();
    (rules, 0usize..=4).prop_map(|(mut rules, count)| {
        rules.truncate(count);
        rules
    })
}

fn protocol() -> impl Strategy<Value = PortProtocol> {
    select(vec![PortProtocol::Tcp, PortProtocol::Udp])
}

/// Static rules that never share an address.
fn static_rules(vrfs: &Names) -> impl Strategy<Value = Vec<StaticRule>> + use<> {
    let rule = |number: u8| {
        let route_map =
            (name(), any::<bool>()).prop_map(|(name, reversible)| StaticRouteMap { name, reversible });
        let options = (option::of(route_map), option::of(interface_name()), any::<[bool; 3]>());
        (static_mapping(number), rule_vrf(vrfs), options).prop_map(
            |(mapping, vrf, (route_map, egress_interface, [extendable, no_alias, no_payload]))| {
                let plain = StaticRule::new(place(), mapping);
                let extendable = plain.extendable || extendable;
                StaticRule { vrf, route_map, egress_interface, extendable, no_alias, no_payload, ..plain }
            },
        )
    };
    let rules: Vec<_> = (0u8..6).map(rule).collect();
    (rules, 0usize..=6).prop_map(|(mut rules, count)| {
        rules.truncate(count);
        rules
    })
}

fn static_mapping(number: u8) -> impl Strategy<Value = StaticMapping> {
    let (local, address) = (Ipv4Addr::new(10, 200, number, 0), Ipv4Addr::new(203, 0, number, 0));
    let loopback = InterfaceName::new("Loopback", &number.to_string()).unwrap();
    let globals = vec![GlobalAddress::Address(address), GlobalAddress::Interface(loopback.clone())];
    let port = (protocol(), 1u16.., select(globals.clone()), 1u16..);
    let esp = StaticMapping::Esp { local, interface: loopback };
    prop_oneof![
        Just(esp),
        Just(StaticMapping::Network { local, global: address, prefix_length: 24 }),
        select(globals).prop_map(move |global| StaticMapping::Address { local, global }),
        port.prop_map(move |(protocol, local_port, global, global_port)| {
            StaticMapping::Port { protocol, local, local_port, global, global_port }
        }),
    ]
}

fn timeout() -> impl Strategy<Value = Timeout> {
    prop_oneof![Just(Timeout::Never), (0u32..=536870).prop_map(Timeout::Seconds)]
}

fn timeouts() -> impl Strategy<Value = BTreeMap<TimeoutKind, Timeout>> {
    vec(option::of(timeout()), TIMEOUTS.len()).prop_map(|values| {
        let set = TIMEOUTS.iter().zip(values).filter_map(|(row, value)| Some((row.kind, value?)));
        set.filter(|(kind, value)| *value != kind.default()).collect()
    })
}

fn port_timeouts() -> impl Strategy<Value = Vec<PortTimeout>> {
    vec((protocol(), timeout()), 0..4).prop_map(|values| {
        let timeouts = values.into_iter().zip(1u16..);
        timeouts.map(|((protocol, timeout), port)| PortTimeout { protocol, port, timeout }).collect()
    })
}

fn limits(vrfs: &Names) -> impl Strategy<Value = Vec<Limit>> + use<> {
    let vrf = table(vrfs).prop_map(|vrf| vrf.map_or(LimitScope::All, LimitScope::Vrf));
    let scope = prop_oneof![
        select(vec![LimitScope::All, LimitScope::EachHost, LimitScope::EachVrf]),
        any::<u32>().prop_map(|bits| LimitScope::Host(Ipv4Addr::from_bits(bits))),
        acl_name().prop_map(LimitScope::List),
        vrf,
    ];
    let limit = (scope, 1u32..=2147483647).prop_map(|(scope, max)| Limit { place: place(), scope, max });
    vec(limit, 0..5).prop_map(|limits| distinct(limits, |limit| limit.scope.to_string()))
}

fn rates() -> impl Strategy<Value = Vec<Limit>> {
    let of_hosts = |limit: &Limit| matches!(limit.scope, LimitScope::EachHost | LimitScope::Host(_));
    limits(&Names::default()).prop_map(move |limits| limits.into_iter().filter(of_hosts).collect())
}

fn vrf_leaks(vrfs: &Names) -> impl Strategy<Value = Vec<VrfLeak>> + use<> {
    vec((table(vrfs), prefix()), 0..3).prop_map(|leaks| {
        let mut seen = BTreeSet::new();
        let leaks = leaks.into_iter().filter_map(|(vrf, prefix)| Some((vrf?, prefix)));
        let unique = leaks.filter(|leak| seen.insert(format!("{leak:?}")));
        unique.map(|(vrf, prefix)| VrfLeak { place: place(), vrf, prefix }).collect::<Vec<_>>()
    })
}

fn port_range() -> impl Strategy<Value = PortRange> {
    (1024u16.., 1024u16..).prop_map(|(a, b)| PortRange { start: a.min(b), end: a.max(b) })
}

fn pairing() -> impl Strategy<Value = Pairing> {
    let limit = select(vec![30, 60, 120, 250, 500, 1000]);
    let set_size = select(vec![64, 128, 256, 512, 1024]);
    let blocks = (set_size, select(vec![1, 2, 4, 8, 16]), any::<bool>())
        .prop_map(|(set_size, step_size, single_set)| BlockAllocation { set_size, step_size, single_set });
    (limit, any::<bool>(), any::<bool>(), option::of(blocks)).prop_map(|(limit, marked, soft, blocks)| {
        let marked_only = marked && blocks.is_none();
        Pairing { marked_only, limit, soft, blocks, ..Pairing::new(place()) }
    })
}

fn deterministic() -> impl Strategy<Value = Vec<Deterministic>> {
    let reserved = btree_set(any::<u16>(), 2..6).prop_map(|bounds| {
        let bounds: Vec<u16> = bounds.into_iter().collect();
        bounds.chunks_exact(2).map(|pair| PortRange { start: pair[0], end: pair[1] }).collect::<Vec<_>>()
    });
    let reserved = prop_oneof![Just(Deterministic::RESERVED_DEFAULT.to_vec()), reserved];
    let ports = (1u16..4000, 0u16..60000, option::of(any::<u16>()));
    let body = (acl_name(), ports, reserved).prop_map(
        |(access_list, (ports_per_host, dynamic_ports, more), reserved)| Deterministic {
            place: place(),
            pool: String::new(),
            access_list,
            ports_per_host,
            dynamic_ports,
            max_ports: more.map(|more| ports_per_host.saturating_add(more)),
            reserved,
        },
    );
    let body = body.prop_filter("room for a host", |body| body.hosts_per_address() > 0);
    (btree_set(name(), 0..3), vec(body, 3)).prop_map(|(pools, bodies)| {
        let settings = pools.into_iter().zip(bodies);
        settings.map(|(pool, body)| Deterministic { pool, ..body }).collect()
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    use Filtering::*;
    let behaviour = (
        option::of(select(vec![EndpointIndependent, AddressDependent, AddressAndPortDependent])),
        option::of(select(vec![PortParity::Preserve, PortParity::Ignore])),
        option::of(select(vec![PortChoice::Preserve, PortChoice::Random])),
        option::of((0u32..=3600, option::of(1u32..)).prop_map(|(seconds, max)| HoldDown { seconds, max })),
        option::of(select(vec![UnsolicitedSyn::Hold, UnsolicitedSyn::Silent])),
    );
    let watermark = option::of((2u8..=100, option::of(1u8..=99)).prop_map(|(high_percent, low)| Watermark {
        high_percent,
        low_percent: low.map(|low| low.min(high_percent - 1)),
    }));
    let blocked = vec((protocol(), 1024u16..), 0..3)
        .prop_map(|ports| distinct(ports, |(protocol, port)| format!("{protocol}{port}")));
    let sizes = (option::of(512u32..=1048576), watermark, option::of(port_range()), blocked);
    let mode = select(vec![NatMode::Default, NatMode::Cgn]);
    (mode, option::of(pairing()), sizes, behaviour, deterministic(), any::<[bool; 6]>()).prop_map(
        |(mode, pairing, sizes, behaviour, deterministic, flags)| Settings {
            mode,
            mode_place: place(),
            inside_only: flags[0],
            pairing,
            gatekeeper_size: sizes.0,
            non_pat_drop: flags[1],
            inside_local_drop: flags[5],
            interface_ports: sizes.2,
            interface_blocked_ports: sizes.3,
            watermark: sizes.1,
            log_destination: flags[2],
            record_sessions: flags[4],
            filtering: behaviour.0,
            port_parity: behaviour.1,
            port_choice: behaviour.2,
            hold_down: behaviour.3,
            deterministic,
            icmp_admin_prohibited: flags[3],
            unsolicited_syn: behaviour.4,
        },
    )
}

/// Any switch, on or off: what only a list has, what has ports, and the rest.
fn service_key() -> impl Strategy<Value = ServiceKey> {
    let row = select(SERVICES.iter().collect::<Vec<_>>());
    let port = prop_oneof![1u16..=511, select(vec![21, 554, 2000, 5060, 8554])];
    (row, any::<Index>(), port, acl_name()).prop_map(|(row, at, port, access_list)| {
        let protocols = match row.service {
            Service::Fullrange => &[PortProtocol::Tcp, PortProtocol::Udp][..],
            _ => row.protocols,
        };
        let protocol = (!protocols.is_empty()).then(|| *at.get(protocols));
        let plain = ServiceKey::new(row.service, protocol);
        match row.service {
            Service::EspSpiMatch | Service::IkePreservePort => {
                ServiceKey { access_list: Some(access_list), ..plain }
            }
            Service::Ftp if port < 256 => {
                let access_list = Some(access_list).filter(|_| port % 2 == 0);
                ServiceKey { protocol: Some(PortProtocol::Tcp), port: Some(port), access_list, ..plain }
            }
            Service::Rtsp if port != 2000 => ServiceKey { port: Some(port), ..plain },
            Service::Fullrange => ServiceKey { port: Some(port.min(511)), ..plain },
            Service::Sip | Service::Skinny => ServiceKey { port: Some(port), ..plain },
            _ => plain,
        }
    })
}

fn services() -> impl Strategy<Value = Vec<ServiceSwitch>> {
    let switch = (service_key(), any::<bool>());
    let switch = switch.prop_map(|(key, on)| ServiceSwitch { place: place(), on, key });
    vec(switch, 0..8).prop_map(|switches| distinct(switches, |switch| format!("{:?}", switch.key)))
}

/// Everything under `ip nat`.
pub fn nat(vrfs: &Names) -> impl Strategy<Value = Nat> + use<> {
    let inside = (dynamic_rules(vrfs), static_rules(vrfs), destination_rules());
    let outside = (outside_dynamic_rules(vrfs), outside_static_rules(vrfs));
    let limits = (timeouts(), port_timeouts(), limits(vrfs), rates());
    let defaults = select(vec![AlgDefaults::Cisco, AlgDefaults::Ietf]);
    let third_parties = option::of(acl_name());
    let doors_per_host = option::of((1u32..=65535).prop_filter("the default is not kept", |max| *max != 128));
    let switches = (settings(), services(), defaults, third_parties, doors_per_host);
    (pools(), inside, outside, limits, switches, vrf_leaks(vrfs)).prop_map(
        |(
            pools,
            (dynamic_rules, static_rules, destination_rules),
            (outside_dynamic_rules, outside_static_rules),
            (timeouts, port_timeouts, max_entries, max_rates),
            (settings, services, defaults, third_parties, doors_per_host),
            vrf_leaks,
        )| {
            let third_parties = third_parties.map(|access_list| ThirdParties { place: place(), access_list });
            let nat = Nat {
                pools,
                dynamic_rules,
                static_rules,
                destination_rules,
                outside_dynamic_rules,
                outside_static_rules,
                translations: Translations { timeouts, port_timeouts, max_entries, max_rates },
                settings,
                algs: Algs { services, defaults, third_parties, doors_per_host },
                vrf_leaks,
            };
            let algs = &nat.algs;
            let differs = |switch: &&ServiceSwitch| switch.on != algs.default_on(&switch.key);
            let services = algs.services.iter().filter(differs).cloned().collect();
            Nat { algs: Algs { services, ..nat.algs }, ..nat }
        },
    )
}

//! Random object groups, prefix lists, tracked objects and time ranges.

use std::net::Ipv4Addr;

use control::config::model::*;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{interface_name, name, place, port_match, prefix, text, unique};

/// A port condition that a group may have: no `neq`, and one port only.
fn ports() -> impl Strategy<Value = PortMatch> {
    port_match().prop_map(|ports| match ports {
        PortMatch::Equal(ports) => PortMatch::Equal(ports[..1].to_vec()),
        PortMatch::NotEqual(port) => PortMatch::Equal(vec![port]),
        others => others,
    })
}

fn network_object() -> impl Strategy<Value = GroupObject> {
    let range = (any::<u32>(), any::<u32>())
        .prop_map(|(a, b)| GroupObject::Range(Ipv4Addr::from_bits(a.min(b)), Ipv4Addr::from_bits(a.max(b))));
    prop_oneof![prefix().prop_map(GroupObject::Network), range]
}

fn service_object() -> impl Strategy<Value = GroupObject> {
    let transport = select(vec![GroupTransport::Tcp, GroupTransport::Udp, GroupTransport::TcpUdp]);
    let with_ports = (transport, option::of(ports()), option::of(ports()))
        .prop_map(|(transport, source, destination)| GroupObject::Ports { transport, source, destination });
    let icmp = (any::<u8>(), option::of(0u8..20)).prop_map(|(kind, code)| IcmpMatch { kind, code });
    let others = option::of((2u8..).prop_filter("lines of their own", |number| ![6, 17].contains(number)));
    prop_oneof![
        with_ports,
        option::of(icmp).prop_map(GroupObject::Icmp),
        others.prop_map(GroupObject::Protocol)
    ]
}

/// Names of groups of the two kinds are apart, so that no entry names one of the other kind.
pub fn group_name(kind: GroupKind, name: &str) -> String {
    match kind {
        GroupKind::Network => format!("N{name}"),
        GroupKind::Service => format!("S{name}"),
    }
}

/// Groups that hold those before them and others that there are not, so that none holds itself.
pub fn object_groups() -> impl Strategy<Value = Vec<ObjectGroup>> {
    let kind = select(vec![GroupKind::Network, GroupKind::Service]);
    let objects = (vec(network_object(), 0..4), vec(service_object(), 0..4), any::<bool>());
    let body = (kind, option::of(text()), objects);
    (btree_set(name(), 0..4), vec(body, 4)).prop_map(|(names, bodies)| {
        let mut groups: Vec<ObjectGroup> = Vec::new();
        for (name, (kind, description, (networks, services, holds))) in names.into_iter().zip(bodies) {
            let mut objects = if kind == GroupKind::Network { networks } else { services };
            let inner = groups.iter().filter(|group| group.kind == kind && holds);
            objects.extend(inner.map(|group| GroupObject::Group(group.name.clone())));
            let members = unique(objects).into_iter().map(|object| GroupMember { place: place(), object });
            let name = group_name(kind, &name);
            groups.push(ObjectGroup { place: place(), name, kind, description, members: members.collect() });
        }
        groups
    })
}

fn prefix_entry() -> impl Strategy<Value = PrefixEntry> {
    let lengths = (option::of(1u8..=32), option::of(1u8..=32));
    (prefix(), any::<bool>(), lengths).prop_map(|(prefix, permit, (ge, le))| {
        let ge = ge.filter(|ge| *ge > prefix.prefix_len());
        let le = le.filter(|le| *le > prefix.prefix_len() && ge.is_none_or(|ge| *le >= ge));
        let action = if permit { AccessAction::Permit } else { AccessAction::Deny };
        PrefixEntry { place: place(), sequence: 0, action, prefix, ge, le }
    })
}

pub fn prefix_lists() -> impl Strategy<Value = Vec<PrefixList>> {
    let body = (vec((1u32..20, prefix_entry()), 0..5), option::of(text()));
    (btree_set(name(), 0..3), vec(body, 3)).prop_map(|(names, bodies)| {
        let lists = names.into_iter().zip(bodies).map(|(name, (entries, description))| {
            let (steps, entries): (Vec<u32>, Vec<PrefixEntry>) = entries.into_iter().unzip();
            let numbers = steps.iter().scan(0, |last, step| {
                *last += step;
                Some(*last)
            });
            let entries = unique(entries).into_iter().zip(numbers);
            let entries = entries.map(|(entry, sequence)| PrefixEntry { sequence, ..entry }).collect();
            PrefixList { place: place(), name, description, entries }
        });
        lists.filter(|list| !list.entries.is_empty() || list.description.is_some()).collect()
    })
}

/// Routes of the models depend on numbers up to 500, of which only interfaces are tracked.
pub fn tracks() -> impl Strategy<Value = Vec<Track>> {
    let others = ["ip sla 1 reachability", "list boolean and", "interface Loopback0 ip routing"];
    let other = select(others.to_vec()).prop_map(|text| TrackObject::Other(text.to_string()));
    let followed = vec((1u16..=500, interface_name().prop_map(TrackObject::Interface)), 0..3);
    let objects = (followed, vec((501u16..=1000, other), 0..3));
    objects.prop_map(|(followed, others)| {
        let numbered: std::collections::BTreeMap<_, _> = followed.into_iter().chain(others).collect();
        let tracks = numbered.into_iter();
        tracks.map(|(number, object)| Track { place: place(), number, object }).collect()
    })
}

fn moment() -> impl Strategy<Value = Moment> {
    (1993u16..=2035, 1u8..=12, 1u8..=31, 0u16..1440)
        .prop_map(|(year, month, day, minute)| Moment { year, month, day, minute })
        .prop_filter("a day that there is", Moment::exists)
}

fn absolute() -> impl Strategy<Value = Option<Absolute>> {
    (option::of(moment()), option::of(moment())).prop_map(|(start, end)| match (start, end) {
        (None, None) => None,
        (Some(a), Some(b)) => Some(Absolute { start: Some(a.min(b)), end: Some(a.max(b)) }),
        (start, end) => Some(Absolute { start, end }),
    })
}

fn period() -> impl Strategy<Value = Period> {
    let named = vec(0u8..7, 1..4).prop_map(unique).prop_map(Days::Of);
    let days = prop_oneof![select(vec![Days::Daily, Days::Weekdays, Days::Weekend]), named];
    (days, 0u16..1440, 0u16..1440, option::of(0u8..7)).prop_map(|(days, a, b, end_day)| {
        let is_single = matches!(&days, Days::Of(days) if days.len() == 1);
        match end_day.filter(|_| is_single) {
            None => Period { place: place(), days, start_min: a.min(b), end_day: None, end_min: a.max(b) },
            end_day => Period { place: place(), days, start_min: a, end_day, end_min: b },
        }
    })
}

pub fn time_ranges() -> impl Strategy<Value = Vec<TimeRange>> {
    let body = (absolute(), vec(period(), 0..4).prop_map(unique));
    (btree_set(name(), 0..3), vec(body, 3)).prop_map(|(names, bodies)| {
        let ranges = names.into_iter().zip(bodies);
        ranges
            .map(|(name, (absolute, periods))| TimeRange { place: place(), name, absolute, periods })
            .collect()
    })
}

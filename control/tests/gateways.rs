//! `ip nat service` and `alg` as workers get them: which gateway reads a session, by its rule, server and port.
use std::net::Ipv4Addr;

use control::compile::{Compiled, compile};
use control::config::model::{Place, ServiceKey, ServiceSwitch};
use control::config::parse;
use control::means::Means;
use dataplane::flow::{ICMP, Protocol, TCP, UDP};
use dataplane::policy::{Policy, RuleId, gateway_named};

/// With an address mapped as a whole: without one, a gateway that has a word on those alone reads nothing.
const LISTS: &str = "access-list 10 permit 198.51.100.10\naccess-list 11 permit 198.51.100.11\n\
                     ip nat inside source static 10.0.0.8 203.0.113.8\n";
const RULES: &str = "ip nat pool P 203.0.113.1 203.0.113.1 prefix-length 24\n\
                     ip nat inside source list 1 pool P overload\n\
                     ip nat inside source list 2 pool P overload no-payload\n\
                     ip nat inside source static 10.0.0.9 203.0.113.9 no-payload\n\
                     ip nat outside source static 198.51.100.7 10.9.0.7 no-payload\n";
const ANYONE: [u8; 4] = [198, 51, 100, 99];
const LISTED: [u8; 4] = [198, 51, 100, 10];
const RULE: RuleId = 0;

fn compiled(text: &str) -> Compiled {
    let config =
        parse("test", &format!("{LISTS}{text}")).unwrap_or_else(|errors| panic!("{text}: {errors:?}")).config;
    compile(&config, &[], None, &Means::uncounted(1)).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

fn reader(policy: &Policy, protocol: Protocol, port: u16, server: [u8; 4]) -> Option<&'static str> {
    let gateway = policy.gateway_of(RULE, protocol, port, Ipv4Addr::from(server))?;
    Some(alg::registry::ROWS[usize::from(gateway)].name)
}

/// The gateways that read anything at their own ports.
fn at_home(policy: &Policy) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for row in alg::registry::ROWS {
        for at in row.ports() {
            let protocol = if at.transport == alg::Transport::Tcp { TCP } else { UDP };
            names.extend(reader(policy, protocol, at.port, ANYONE));
        }
    }
    names.dedup();
    names
}

#[test]
fn all_are_on_until_a_line_or_a_preset_switches_them() {
    let all: Vec<&str> = alg::registry::ROWS.iter().map(|row| row.name).collect();
    let others = |off: &str| all.iter().copied().filter(|name| *name != off).collect::<Vec<_>>();
    for row in alg::registry::ROWS {
        let switches = row.ports().iter().map(|at| {
            let key = ServiceKey::of_port(row, at).expect("a keyword");
            ServiceSwitch { place: Place::default(), key, on: true }.to_string() + "\n"
        });
        let switches: Vec<String> = switches.collect();
        let lines: String = switches.iter().map(|line| format!("no {line}")).collect();
        assert_eq!(at_home(&compiled(&lines).policy), others(row.name), "{lines}");
        let back = format!("alg defaults ietf\nno ip nat service ftp\n{}", switches.concat());
        assert_eq!(at_home(&compiled(&back).policy), [row.name], "{back}");
    }
    assert_eq!(at_home(&compiled("").policy), all);
    assert_eq!(at_home(&compiled("no ip nat service all-algs\n").policy), [""; 0]);
    assert_eq!(at_home(&compiled("alg defaults ietf\n").policy), ["ftp"]);
    assert_eq!(at_home(&compiled("alg defaults ietf\nip nat service all-algs\n").policy), all);
}

#[test]
fn transports_and_ports_are_switched_one_by_one() {
    let policy = compiled("no ip nat service alg tcp dns\n").policy;
    assert_eq!(reader(&policy, TCP, 53, ANYONE), None);
    assert_eq!(reader(&policy, UDP, 53, ANYONE), Some("dns"));
    assert_eq!(reader(&policy, ICMP, 53, ANYONE), None);

    let policy = compiled("no ip nat service rtsp tcp port 8554\nip nat service ftp tcp port 554\n").policy;
    assert_eq!(reader(&policy, TCP, 8554, ANYONE), None);
    assert_eq!(reader(&policy, UDP, 8554, ANYONE), Some("rtsp"));
    assert_eq!(reader(&policy, TCP, 554, ANYONE), Some("ftp"), "a line goes before another row's port");

    let policy = compiled("no ip nat service rtsp tcp\nip nat service rtsp tcp port 554\n").policy;
    assert_eq!([554, 8554].map(|port| reader(&policy, TCP, port, ANYONE)), [Some("rtsp"), None]);
}

#[test]
fn a_listed_server_is_read_where_it_is_listed() {
    let line = "ip nat service list 10 ftp tcp port 2121\n";
    let policy = compiled(line).policy;
    let ports = [21, 2121, 53, 554];
    assert_eq!(
        ports.map(|port| reader(&policy, TCP, port, ANYONE)),
        [Some("ftp"), None, Some("dns"), Some("rtsp")]
    );
    assert_eq!(
        ports.map(|port| reader(&policy, TCP, port, LISTED)),
        [None, Some("ftp"), Some("dns"), Some("rtsp")]
    );

    let policy = compiled(&format!("{line}ip nat service list 10 ftp tcp port 21\n")).policy;
    assert_eq!([21, 2121].map(|port| reader(&policy, TCP, port, LISTED)), [Some("ftp"); 2]);
    let policy = compiled(&format!("{line}no ip nat service ftp\n")).policy;
    assert_eq!([21, 2121].map(|port| reader(&policy, TCP, port, LISTED)), [None, Some("ftp")]);
    assert_eq!([21, 2121].map(|port| reader(&policy, TCP, port, ANYONE)), [None; 2]);
    let policy = compiled(&format!("{line}no {line}")).policy;
    assert_eq!([21, 2121].map(|port| reader(&policy, TCP, port, LISTED)), [Some("ftp"), None]);
    let policy = compiled("ip nat service list 77 ftp tcp port 2121\n").policy;
    assert_eq!(
        [21, 2121].map(|port| reader(&policy, TCP, port, LISTED)),
        [Some("ftp"), None],
        "no such list"
    );
}

#[test]
fn rules_with_no_payload_are_left_alone() {
    let compiled = compiled(RULES);
    let kept = |rule: &str| {
        let (_, id) = compiled.rule_lines.iter().find(|(line, _)| line.starts_with(rule)).expect(rule);
        compiled.policy.gateway_of(*id, TCP, 21, Ipv4Addr::from(ANYONE)).is_none()
    };
    assert!(!kept("ip nat inside source list 1 "));
    assert!(kept("ip nat inside source list 2 "));
    assert!(kept("ip nat inside source static 10.0.0.9 "));
    assert!(kept("ip nat outside source static "));
}

#[test]
fn options_reach_the_workers() {
    let gateways = |text: &str| compiled(text).policy.gateways;
    assert_eq!((gateways("").resets_ttl, gateways("").third_parties), (false, None));
    assert!(gateways("ip nat service dns-reset-ttl\n").resets_ttl);
    let doors = |lines: &str| gateways(lines).doors_per_host_max;
    assert_eq!((doors(""), doors("alg doors per-host 2000\n")), (128, 2000));
    assert_eq!(doors("alg doors per-host 2000\nno alg doors per-host\n"), 128);
    let records_sessions = |lines: &str| compiled(lines).policy.behaviour.records_sessions;
    assert!(records_sessions("ip nat settings record-sessions\n"));
    assert!(!records_sessions("ip nat settings record-sessions\nno ip nat settings record-sessions\n"));
    let policy = compiled("alg third-party 11\n").policy;
    assert_eq!(policy.gateways.third_parties, Some(1), "the second list");
    assert_eq!(policy.pin_of(Ipv4Addr::new(198, 51, 100, 11)), Some(0), "third parties share one worker");
    assert_eq!(policy.pin_of(Ipv4Addr::new(198, 51, 100, 12)), None);
}

#[test]
fn names_are_those_of_the_rows() {
    for (index, row) in alg::registry::ROWS.iter().enumerate() {
        assert_eq!(gateway_named(row.name).map(usize::from), Some(index));
    }
}

/// What DNS reads is decided by what answers can name.
#[test]
fn dns_is_read_where_whole_addresses_are_mapped() {
    let pool = "ip nat pool P 203.0.113.1 203.0.113.1 prefix-length 24\n";
    let reads_dns = |lines: &str| {
        let config =
            parse("test", &format!("{pool}{lines}\n")).unwrap_or_else(|errors| panic!("{errors:?}")).config;
        let policy = compile(&config, &[], None, &Means::uncounted(1))
            .unwrap_or_else(|errors| panic!("{errors:?}"))
            .policy;
        let is_read = reader(&policy, UDP, 53, ANYONE) == Some("dns");
        assert_eq!(policy.gateways.outside_ports.holds(53), is_read, "{lines}");
        assert_eq!(reader(&policy, TCP, 21, ANYONE), Some("ftp"), "{lines}");
        is_read
    };
    let without = [
        "",
        "ip nat inside source list 1 pool P overload",
        "ip nat inside source static tcp 10.0.0.9 80 203.0.113.9 80",
    ];
    let with = [
        "ip nat inside source list 1 pool P",
        "ip nat inside source static 10.0.0.9 203.0.113.9",
        "ip nat inside source static network 10.0.1.0 203.0.114.0 /24",
        "ip nat outside source static 198.51.100.7 10.9.0.7",
        "ip nat outside source list 1 pool P",
    ];
    assert_eq!(without.map(reads_dns), [false; 3]);
    assert_eq!(with.map(reads_dns), [true; 5]);
}

//! Conditions by name, in a running appliance: what commands show of them, and what they come to.

use control::compile::compile;
use control::config::parse;
use control::means::Means;
use testkit::bench::{Bench, Setup};
use testkit::build;
use testkit::spec::PacketSpec;

const SIDES: &str = "\
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.255.0
 ip access-group GUARD in
interface GigabitEthernet0/0/1
 ip address 192.0.2.1 255.255.255.0
";

fn bench(config: &str) -> Bench {
    Bench::new("test", &format!("{SIDES}{config}"), Setup::default()).expect("a configuration")
}

/// Lets a packet arrive from inside. Returns whether it was forwarded.
fn passes(bench: &mut Bench, packet: &str) -> bool {
    let spec: PacketSpec = packet.parse().expect("a packet");
    let bytes = build::packet(&spec).expect("a packet");
    let interface = "GigabitEthernet0/0/0".parse().expect("a name");
    let frame = bench.frame_to(&interface, &bytes).expect("a frame");
    bench.inject(&interface, &frame).expect("sound");
    bench.take_all().iter().any(|(name, _)| *name != interface)
}

const GROUPS: &str = "\
object-group network HOSTS
 description of the branch
 host 10.0.0.5
 10.0.0.32 255.255.255.240
 range 10.0.0.10 10.0.0.12
 group-object MORE
object-group network MORE
 host 10.0.0.99
object-group service WEB
 tcp eq www
 tcp-udp source gt 1023 range 8000 8080
 icmp echo
ip access-list extended GUARD
 10 permit object-group WEB object-group HOSTS any
 20 permit udp object-group HOSTS any eq domain log
";

#[test]
fn an_entry_with_groups_is_shown_as_written_with_its_count() {
    let mut bench = bench(GROUPS);
    for packet in [
        "tcp 10.0.0.5:4000 > 192.0.2.9:80 syn",
        "tcp 10.0.0.12:4000 > 192.0.2.9:80 syn",
        "udp 10.0.0.99:4000 > 192.0.2.9:8080",
    ] {
        assert!(passes(&mut bench, packet), "{packet}");
    }
    for packet in ["tcp 10.0.0.13:4000 > 192.0.2.9:80 syn", "udp 10.0.0.99:1023 > 192.0.2.9:8080"] {
        assert!(!passes(&mut bench, packet), "{packet}");
    }
    let shown = "\
Extended IP access list GUARD
    10 permit object-group WEB object-group HOSTS any (3 matches)
    20 permit udp object-group HOSTS any eq domain log
";
    assert_eq!(bench.exec("show access-lists").as_deref(), Ok(shown));
    bench.exec("clear access-list counters GUARD").expect("cleared");
    assert!(passes(&mut bench, "udp 10.0.0.33:4000 > 192.0.2.9:53"));
    let shown = "\
Extended IP access list GUARD
    10 permit object-group WEB object-group HOSTS any
    20 permit udp object-group HOSTS any eq domain log (1 match)
";
    assert_eq!(bench.exec("show access-lists GUARD").as_deref(), Ok(shown));
}

#[test]
fn object_groups_are_shown() {
    let mut bench = bench(GROUPS);
    let web = "Service object group WEB\n tcp eq www\n tcp-udp source gt 1023 range 8000 8080\n icmp echo\n";
    assert_eq!(bench.exec("show object-group WEB").as_deref(), Ok(web));
    let all = bench.exec("show object-group").expect("a list");
    let hosts = "\
Network object group HOSTS
 Description of the branch
 host 10.0.0.5
 10.0.0.32 255.255.255.240
 range 10.0.0.10 10.0.0.12
 group-object MORE
Network object group MORE
 host 10.0.0.99
";
    assert_eq!(all, format!("{hosts}{web}"));
}

/// A hundred networks from and to make ten thousand conditions of an entry; ten such entries are the most.
#[test]
fn what_groups_make_of_entries_is_bounded() {
    let group: String = (0..100).map(|n| format!(" 10.{}.0.0 255.255.0.0\n", 2 * n)).collect();
    let entries = |count: usize| -> String {
        (1..=count)
            .map(|n| format!("access-list 101 permit tcp object-group G object-group G eq {n}\n"))
            .collect()
    };
    let text = |count| format!("object-group network G\n{group}{}", entries(count));
    let compiled = |count| {
        let config = parse("test", &text(count)).expect("no mistake").config;
        compile(&config, &[], None, &Means::uncounted(1))
    };
    let policy = compiled(10).expect("as much as there may be").policy;
    assert_eq!(policy.acls[0].entries.len(), 100_000);
    let errors: Vec<String> = compiled(12).err().expect("too much").iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let expected = "test:112:1: error: the object groups make 10000 conditions of this entry, and ";
    assert!(errors[0].starts_with(expected), "{}", errors[0]);
}

/// Networks that lie side by side or in each other are one condition.
#[test]
fn networks_of_a_group_are_joined() {
    let text = "object-group network G\n range 10.0.0.0 10.0.0.255\n host 10.0.0.7\n 10.0.1.0 255.255.255.0\n\
                access-list 101 permit ip object-group G any\n";
    let config = parse("test", text).expect("no mistake").config;
    let policy = compile(&config, &[], None, &Means::uncounted(1)).expect("sound").policy;
    assert_eq!(policy.acls[0].entries.len(), 1);
}

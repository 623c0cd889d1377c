//! Answers of a running appliance as parsers of IOS read them: ntc-templates, every field of every command that it has a
//! template for (`parsers/fields.py`), with two VRFs whose hosts have the same addresses.

use lab::address::SERVER;
use lab::{Lab, Peer, Plan, Rules, Vrfs, session, turn};
use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;

const LINES: &[&str] = &[
    "hostname edge",
    "vrf definition RED",
    " rd 65000:1",
    "ip access-list extended WEB",
    " 10 deny tcp any host 198.51.100.10 eq daytime",
    " 20 permit ip any any",
    "route-map OUT permit 10",
    " match ip address 10",
    " match interface GigabitEthernet0/0/1",
    "route-map OUT deny 20",
    " match ip next-hop 10",
    "interface GigabitEthernet0/0/0",
    " description subscribers",
    " ip access-group WEB in",
    "ip route vrf RED 192.0.2.128 255.255.255.128 Null0",
];

const COMMANDS: &[&str] = &[
    "show ip nat translations",
    "show ip route",
    "show ip route vrf RED",
    "show ip arp",
    "show ip arp vrf RED",
    "show arp",
    "show arp vrf RED",
    "show vrf",
    "show interfaces",
    "show ip interface",
    "show ip interface brief",
    "show access-lists",
    "show ip access-lists",
    "show route-map",
    "show version",
    "show logging",
    "show clock",
];

/// The Python that `deploy/setup` gave ntc-templates.
fn python() -> PathBuf {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/parsers/bin/python3"));
    assert!(path.exists(), "no {}: run deploy/setup", path.display());
    path.to_owned()
}

#[test]
fn every_field_is_read_as_it_is_configured() {
    let _turn = turn();
    let lines = LINES.iter().map(|line| (*line).to_owned()).collect();
    let rules = Rules { vrfs: Some(Vrfs::two_pools()), lines, ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    for hosts in [&lab.hosts, &lab.blue_hosts] {
        session::ping(&hosts[0].namespace, SERVER, 2).expect("ping");
        session::fetch(&hosts[0].namespace, SocketAddrV4::new(SERVER, 80), "").expect("fetch");
    }
    let folder = std::env::temp_dir().join(format!("portico-parsers-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder of the test's own");
    for command in COMMANDS {
        let text = lab.gateway.appliance().exec(command).expect(command);
        fs::write(folder.join(command), text).expect("the folder can be written to");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parsers/fields.py");
    let told = Command::new(python()).arg(script).arg(&folder).output().expect("Python starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(told.status.success(), "{}\n{}", text(&told.stdout), text(&told.stderr));
    println!("{}", text(&told.stdout));
    fs::remove_dir_all(&folder).expect("the folder is the test's own");
}

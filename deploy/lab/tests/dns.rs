//! DNS through the gateways: dig and named, with names of inside hosts, of outside hosts under twice NAT, and of nobody
//! that the gateway knows.

use anyhow::{Result, ensure};
use lab::address::{CLIENT, INSIDE_GATEWAY, SERVER, STATIC_GLOBAL, STATIC_HOST, inside_host};
use lab::comparison::{Column, Outcome, assert_as_written};
use lab::{
    Host, Lab, NameServer, Namespace, Peer, Plan, Rules, Vrfs, Zone, datagram, session, static_global, turn,
};
use std::net::{Ipv4Addr, SocketAddrV4};
use testkit::leak::{Pass, Row};

const PLAIN_SERVER: SocketAddrV4 = SocketAddrV4::new(SERVER, 53);
/// What the inside calls two outside hosts, where they are translated too.
const OUTSIDE_LOCALS: [(Ipv4Addr, Ipv4Addr); 2] =
    [(SERVER, Ipv4Addr::new(10, 1, 0, 10)), (CLIENT, Ipv4Addr::new(10, 1, 0, 20))];
/// Records of a zone that take a segment or many to transfer.
const FILLER_COUNT: usize = 400;
/// Other addresses of a name: at sixteen bytes each they do not go into one packet, and named takes a hundred.
const MANY_COUNT: usize = 95;

/// A lab with a name server inside too, at the host with a global address of its own.
struct DnsLab {
    _inside: NameServer,
    lab: Lab,
}

impl DnsLab {
    fn build(peer: Peer, outside_statics: &[(Ipv4Addr, Ipv4Addr)]) -> DnsLab {
        let rules = Rules { outside_statics: outside_statics.to_vec(), ..Rules::routed_pool() };
        let lab = Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab");
        let zones = inside_zones();
        let inside = &lab.hosts[STATIC_HOST].namespace;
        let inside = NameServer::start(inside, lab.directory(), "named-inside", &zones).expect("named");
        if peer == Peer::Portico {
            lab.tap().may_pass(vec![unmapped(inside_host(2))]);
        }
        DnsLab { _inside: inside, lab }
    }

    /// An outside client.
    fn client(&self) -> &Namespace {
        &self.lab.client.namespace
    }

    /// A subscriber.
    fn subscriber(&self) -> &Namespace {
        &self.lab.hosts[2].namespace
    }

    /// What dig says of `question` asked from outside to the inside server.
    fn ask_inside(&self, question: &str, options: &[&str]) -> Result<String> {
        session::resolve(self.client(), STATIC_GLOBAL, question, options)
    }

    fn ask_outside(&self, question: &str, options: &[&str]) -> Result<String> {
        session::resolve(self.subscriber(), SERVER, question, options)
    }

    fn inward_pointer(&self, option: &str) -> Result<()> {
        let found = self.ask_inside(&format!("-x {STATIC_GLOBAL}"), &[option])?;
        ensure_equal(&found, "www.inside.example.")
    }

    /// An alias and what it stands for, with their times to live.
    fn inward_alias(&self) -> Result<()> {
        let argv = ["dig", &format!("@{STATIC_GLOBAL}"), "alias.inside.example", "A", "+noall", "+answer"];
        let answer = self.client().run(&argv)?;
        let records: Vec<String> =
            answer.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let address = format!("www.inside.example. 300 IN A {STATIC_GLOBAL}");
        ensure!(
            records == ["alias.inside.example. 7200 IN CNAME www.inside.example.", address.as_str()],
            "the answer is {answer}"
        );
        Ok(())
    }

    /// An address among many, whose answer takes two packets.
    fn inward_fragments(&self) -> Result<()> {
        let options = ["+notcp", "+ignore", "+bufsize=4096", "+nocookie"];
        let found = self.ask_inside("many.inside.example A", &options)?;
        ensure_equal(&found.lines().count().to_string(), &(MANY_COUNT + 1).to_string())?;
        ensure!(found.lines().any(|line| line == STATIC_GLOBAL.to_string()), "the answer is {found}");
        ensure!(!found.contains(&inside_host(STATIC_HOST).to_string()), "the answer is {found}");
        Ok(())
    }

    /// What a neighbour of the server gets, but for the address that has a global one.
    fn inward_transfer(&self) -> Result<()> {
        let options = ["+nocookie"];
        let zone = "inside.example AXFR";
        let as_written = session::resolve(self.subscriber(), inside_host(STATIC_HOST), zone, &options)?;
        ensure!(as_written.lines().count() > FILLER_COUNT, "the zone is {as_written}");
        let local = inside_host(STATIC_HOST).to_string();
        let translated = as_written.lines().map(|line| match line == local {
            true => STATIC_GLOBAL.to_string(),
            false => line.to_owned(),
        });
        let (found, expected) = (self.ask_inside(zone, &options)?, translated.collect::<Vec<_>>());
        let others: Vec<_> = found.lines().zip(&expected).filter(|(found, line)| found != line).collect();
        ensure!(others.is_empty(), "these should be equal: {others:?}");
        ensure_equal(&found.lines().count().to_string(), &expected.len().to_string())
    }

    /// The answer over UDP is byte for byte what somebody gets whose queries are not translated.
    fn unchanged(&self, name: &str, kind: u16) -> Result<()> {
        let query = query(name, kind);
        let [translated, plain] = [self.subscriber(), self.client()]
            .map(|from| datagram::exchange(from, None, PLAIN_SERVER, &query));
        let (translated, plain) = (translated?, plain?);
        ensure!(plain.len() > query.len(), "{name}: no answer outside: {plain:?}");
        ensure!(translated == plain, "{name}: {translated:?}\nand not {plain:?}");
        Ok(())
    }

    /// As [`DnsLab::unchanged`], over TCP, with what dig reads.
    fn unchanged_over_tcp(&self, question: &str) -> Result<()> {
        let [translated, plain] = [self.subscriber(), self.client()]
            .map(|from| session::resolve(from, SERVER, question, &["+tcp"]));
        ensure_equal(&translated?, &plain?)
    }
}

/// A zone of the inside's names as the inside knows them, and of the names of its addresses.
fn inside_zones() -> [Zone; 2] {
    let (server, other) = (inside_host(STATIC_HOST), inside_host(2));
    let filler: String = (0..FILLER_COUNT)
        .map(|index| format!("filler{index} A 172.16.{}.{}\n", index / 250, 1 + index % 250))
        .collect();
    let many: String = (1..=MANY_COUNT).map(|index| format!("many A 172.17.0.{index}\n")).collect();
    let records =
        format!("www A {server}\nother A {other}\nalias 7200 CNAME www\nmany A {server}\n{many}{filler}");
    let reverse = format!("{} PTR www.inside.example.\n", server.octets()[3]);
    [Zone { origin: "inside.example", records }, Zone { origin: "0.0.10.in-addr.arpa", records: reverse }]
}

/// The record of a host that nobody reaches: type A, class IN, and the zone's time to live.
fn unmapped(host: Ipv4Addr) -> Pass {
    let bytes = [&[0, 1, 0, 1, 0, 0, 1, 44, 0, 4], &host.octets()[..]].concat();
    Pass { row: Row::Unmapped, bytes }
}

fn ensure_equal(found: &str, expected: &str) -> Result<()> {
    ensure!(found == expected, "the answer is {found}, not {expected}");
    Ok(())
}

const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_ANY: u16 = 255;

/// A query without options, so that what servers answer to it is the same each time.
fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut query = vec![0x4c, 0x41, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend([kind, 1].map(u16::to_be_bytes).concat());
    query
}

type Scenario = (&'static str, fn(&DnsLab) -> Result<()>);

const SCENARIOS: &[Scenario] = &[
    ("subscriber's answers over UDP are unchanged", |lab| {
        lab.unchanged("www.lab.example", TYPE_A)?;
        lab.unchanged("lab.example", TYPE_ANY)?;
        lab.unchanged("nobody.lab.example", TYPE_A)?;
        lab.unchanged("10.100.51.198.in-addr.arpa", TYPE_PTR)
    }),
    ("subscriber's answers over TCP are unchanged", |lab| {
        lab.unchanged_over_tcp("client.lab.example A")?;
        lab.unchanged_over_tcp("long.lab.example TXT")
    }),
    ("subscriber asks for an inside server's published address: the inside one", |lab| {
        ensure_equal(&lab.ask_outside("published.lab.example A", &[])?, &inside_host(STATIC_HOST).to_string())
    }),
    ("inside server, A over UDP", |lab| {
        ensure_equal(&lab.ask_inside("www.inside.example A", &[])?, &STATIC_GLOBAL.to_string())
    }),
    ("inside server, A over TCP", |lab| {
        ensure_equal(&lab.ask_inside("www.inside.example A", &["+tcp"])?, &STATIC_GLOBAL.to_string())
    }),
    ("inside server, A of a host that nobody reaches, unchanged", |lab| {
        ensure_equal(&lab.ask_inside("other.inside.example A", &[])?, &inside_host(2).to_string())
    }),
    ("inside server, PTR over UDP", |lab| lab.inward_pointer("+notcp")),
    ("inside server, PTR over TCP", |lab| lab.inward_pointer("+tcp")),
    ("inside server, CNAME and A with their times to live", DnsLab::inward_alias),
    ("inside server, A over UDP, in an answer in fragments", DnsLab::inward_fragments),
    ("inside server, zone transfer", DnsLab::inward_transfer),
];

/// With [`OUTSIDE_LOCALS`].
const TWICE_NAT_SCENARIOS: &[Scenario] = &[
    ("twice NAT, A of an outside host over UDP", |lab| twice_nat_address(lab, "+notcp")),
    ("twice NAT, A of an outside host over TCP", |lab| twice_nat_address(lab, "+tcp")),
    ("twice NAT, PTR of an outside host over UDP", |lab| twice_nat_pointer(lab, "+notcp")),
    ("twice NAT, PTR of an outside host over TCP", |lab| twice_nat_pointer(lab, "+tcp")),
    ("twice NAT, the address answered is the inside's, and is served", |lab| {
        let [(_, server), _] = OUTSIDE_LOCALS;
        let address = session::resolve(lab.subscriber(), server, "www.lab.example A", &[])?;
        let at = SocketAddrV4::new(address.parse()?, 80);
        ensure!(at.ip().octets()[0] == INSIDE_GATEWAY.octets()[0], "{at} is not the inside's");
        ensure_equal(session::fetch(lab.subscriber(), at, "")?.trim(), "hello from web")
    }),
];

fn twice_nat_address(lab: &DnsLab, option: &str) -> Result<()> {
    let [(_, server), (_, client)] = OUTSIDE_LOCALS;
    let found = session::resolve(lab.subscriber(), server, "client.lab.example A", &[option])?;
    ensure_equal(&found, &client.to_string())
}

fn twice_nat_pointer(lab: &DnsLab, option: &str) -> Result<()> {
    let [(_, server), (_, client)] = OUTSIDE_LOCALS;
    let found = session::resolve(lab.subscriber(), server, &format!("-x {client}"), &[option])?;
    ensure_equal(&found, "client.lab.example.")
}

fn play(lab: &DnsLab, scenarios: &[Scenario]) -> Vec<Outcome> {
    scenarios.iter().map(|(title, play)| (*title, play(lab))).collect()
}

fn compare(column: Column, peer: Peer) {
    let _turn = turn();
    let mut outcomes = play(&DnsLab::build(peer, &[]), SCENARIOS);
    outcomes.extend(play(&DnsLab::build(peer, &OUTSIDE_LOCALS), TWICE_NAT_SCENARIOS));
    assert_as_written("DNS", column, &outcomes);
}

#[test]
fn every_name_is_right() {
    compare(Column::Portico, Peer::Portico);
}

/// The kernel has no helper for DNS.
#[test]
fn kernel_nat_is_as_written() {
    compare(Column::Nftables, Peer::Nftables);
}

/// Outside hosts of a list get addresses of a pool when a subscriber asks for their names, and are reached there.
#[test]
fn overlapping_networks_meet_by_name() {
    let _turn = turn();
    let lines = [
        "ip nat pool LOCAL 10.1.0.50 10.1.0.59 prefix-length 24".to_owned(),
        format!("access-list 90 permit {SERVER}"),
        "ip nat outside source list 90 pool LOCAL".to_owned(),
    ];
    let rules = Rules { lines: lines.to_vec(), ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    let subscriber = &lab.hosts[2].namespace;
    for transport in ["+notcp", "+tcp"] {
        let argv = ["dig", &format!("@{SERVER}"), "www.lab.example", "A", "+noall", "+answer", transport];
        let answer = subscriber.run(&argv).expect("an answer");
        let fields: Vec<&str> = answer.split_whitespace().collect();
        assert_eq!(fields, ["www.lab.example.", "0", "IN", "A", "10.1.0.50"], "{transport}");
    }
    let at = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 50), 80);
    assert_eq!(session::fetch(subscriber, at, "").expect("a page").trim(), "hello from web");
    let other = session::resolve(subscriber, SERVER, "client.lab.example A", &[]).expect("an answer");
    assert_eq!(other, CLIENT.to_string(), "the list does not permit this one");
}

/// Two VRFs have a name server of the same address each, which answers with it: each answer has the global address of
/// its own.
#[test]
fn overlapping_vrfs_have_their_own_answers() {
    let _turn = turn();
    let rules = Rules { vrfs: Some(Vrfs::one_pool()), ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    let blue_statics = &lab.rules.vrfs.as_ref().expect("VRFs").blue_statics;
    let vrfs = [("red", &lab.hosts, &lab.rules.statics), ("blue", &lab.blue_hosts, blue_statics)];
    let servers = vrfs.map(|(name, hosts, statics)| {
        let (namespace, name) = (&hosts[STATIC_HOST].namespace, format!("named-{name}"));
        let server = NameServer::start(namespace, lab.directory(), &name, &inside_zones()).expect("named");
        (static_global(statics).expect("a static host"), server)
    });
    for (global, _server) in &servers {
        for transport in ["+notcp", "+tcp"] {
            let ask = |question: &str| {
                session::resolve(&lab.client.namespace, *global, question, &[transport]).expect(question)
            };
            assert_eq!(ask("www.inside.example A"), global.to_string(), "{transport}");
            assert_eq!(ask(&format!("-x {global}")), "www.inside.example.", "{transport}");
        }
    }
    // A subscriber asks an outside server for the published address of RED's server, which BLUE has to go out for.
    let published = |hosts: &[Host]| {
        session::resolve(&hosts[2].namespace, SERVER, "published.lab.example A", &[]).expect("an answer")
    };
    assert_eq!(published(&lab.hosts), inside_host(STATIC_HOST).to_string());
    assert_eq!(published(&lab.blue_hosts), STATIC_GLOBAL.to_string());
}

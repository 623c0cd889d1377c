//! The tasks of IOS's guide to gateways, line by line as it prints them, in tmux and through netmiko, while traffic goes on. After
//! each the configuration has what it says and nothing else, and the box does what its lines say.

use lab::address::{CLIENT, FAR_SERVER, OUTSIDE_GATEWAY, SERVER};
use lab::console::{Netmiko, Tmux};
use lab::datagram::{self, Answer, Responder};
use lab::{Lab, Peer, Plan, Rules, Traffic, session, turn};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// The inside host that the guide's static names, and where it is: the address of the third inside host is its next hop.
const GUIDE_HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 23);
const ESP: i32 = 50;
const ESP_STATIC: &str = "esp  198.51.100.1:0        192.0.2.23:0          ---                   ---\n";

/// A task, and what comes of it.
struct Task {
    /// The guide's heading.
    heading: &'static str,
    /// The lines of configuration, and what is answered to each.
    lines: &'static [(&'static str, &'static str)],
    /// How the guide leaves configuration mode, and what is answered to that.
    leave: (&'static str, &'static str),
    /// What `show running-config` then has more, and less.
    changes: &'static [&'static str],
    /// What traffic shows.
    shows: fn(&Lab),
}

#[rustfmt::skip]
const TASKS: &[Task] = &[
    Task {
        heading: "Configuring IPsec ESP Through NAT",
        lines: &[("ip nat inside source static esp 192.0.2.23 interface gigabitethernet 0/0/0", "")],
        leave: ("exit", ""),
        changes: &["+ip nat inside source static esp 192.0.2.23 interface GigabitEthernet0/0/0"],
        shows: esp_reaches_the_static,
    },
    Task {
        heading: "Enabling the Preserve Port",
        lines: &[("ip nat service list 10 IKE preserve-port", PRESERVE_PORT)],
        leave: ("end", ""),
        changes: &["+ip nat service list 10 IKE preserve-port"],
        shows: ike_gets_a_low_port,
    },
    Task {
        heading: "Changing the Default Port",
        lines: &[("ip nat service list 10 esp spi-match", SPI_MATCH)],
        leave: ("end", ""),
        changes: &["+ip nat service list 10 ESP spi-match"],
        shows: esp_reaches_the_static,
    },
    Task {
        heading: "Disabling SPI Matching on the NAT Device",
        lines: &[("no ip nat service list 10 esp spi-match", SPI_MATCH)],
        leave: ("end", ""),
        changes: &["-ip nat service list 10 ESP spi-match"],
        shows: esp_reaches_the_static,
    },
    Task {
        heading: "Disabling SPI Matching on the NAT Device or Changing the Default Port",
        lines: &[("ip nat service list 10 esp spi-match", SPI_MATCH), ("no ip nat service list 10 esp spi-match", SPI_MATCH)],
        leave: ("end", ""),
        changes: &[],
        shows: esp_reaches_the_static,
    },
    Task {
        heading: "Enabling SPI Matching on Endpoints",
        lines: &[("crypto ipsec nat-transparency spi-matching", OF_ENDPOINTS)],
        leave: ("end", ""),
        changes: &[],
        shows: esp_reaches_the_static,
    },
    Task {
        heading: "Specifying a Port for NAT Translation",
        lines: &[("ip nat service skinny tcp port 20002", SKINNY)],
        leave: ("end", ""),
        changes: &["+ip nat service skinny tcp port 20002"],
        shows: the_port_of_phones_carries_bytes,
    },
    // The guide has NetBIOS on without a task; this is how it is switched.
    Task {
        heading: "NetBIOS off",
        lines: &[("no ip nat service netbios-ns udp", "% \"netbios-ns\" has no effect: this ALG is not built yet\n"),
                 ("no ip nat service netbios-dgm", "% \"netbios-dgm\" has no effect: this ALG is not built yet\n"),
                 ("no ip nat service netbios-ssn", "% \"netbios-ssn\" has no effect: this ALG is not built yet\n")],
        leave: ("end", ""),
        changes: &["+no ip nat service netbios-ns udp", "+no ip nat service netbios-dgm", "+no ip nat service netbios-ssn"],
        shows: |_| {},
    },
    Task {
        heading: "NetBIOS on",
        lines: &[("ip nat service netbios-ns udp", "% \"netbios-ns\" has no effect: this ALG is not built yet\n"),
                 ("ip nat service netbios-dgm", "% \"netbios-dgm\" has no effect: this ALG is not built yet\n"),
                 ("ip nat service netbios-ssn", "% \"netbios-ssn\" has no effect: this ALG is not built yet\n")],
        leave: ("end", ""),
        changes: &["-no ip nat service netbios-ns udp", "-no ip nat service netbios-dgm", "-no ip nat service netbios-ssn"],
        shows: |_| {},
    },
    Task {
        heading: "Configuration Examples",
        lines: &[("ip nat pool outside 192.0.2.1 192.0.2.14 netmask 255.255.255.0", ""),
                 // The guide has no pool of this name.
                 ("ip nat outside source list 1 pool mypool", ""),
                 ("access-list 1 permit 192.0.2.3 0.0.0.255", ""),
                 ("ip nat inside source static esp 192.0.2.23 interface gigabitethernet 0/0/0", "% this repeats another line\n"),
                 ("ip nat inside source static esp 192.0.2.21 interface gigabitethernet 0/0/1", ""),
                 ("ip nat service list 10 IKE preserve-port", PRESERVE_PORT),
                 ("ip nat service list 10 esp spi-match", SPI_MATCH),
                 ("no ip nat service list 10 esp spimatch", SPI_MATCH),
                 ("crypto ipsec nat-transparency spi-matching", OF_ENDPOINTS),
                 ("ip nat service skinny tcp port 20002", SKINNY)],
        leave: ("end", "% pool \"mypool\" is not defined\n"),
        changes: &["+ip nat pool outside 192.0.2.1 192.0.2.14 netmask 255.255.255.0",
                   "+ip nat inside source static esp 192.0.2.21 interface GigabitEthernet0/0/1",
                   "+ip nat outside source list 1 pool mypool", "+access-list 1 permit 192.0.2.0 0.0.0.255"],
        shows: hosts_of_the_list_are_reached,
    },
];

const PRESERVE_PORT: &str = "% \"IKE\" has no effect: port 500 gets one of 512 to 1023\n";
const SKINNY: &str = "% \"skinny\" has no effect: this ALG is not built yet\n";
const OF_ENDPOINTS: &str =
    "% \"crypto ipsec nat-transparency spi-matching\" is passed over: not a matter of NAT\n";
const SPI_MATCH: &str = "% \"ESP\" has no effect: SPIs are not matched yet\n";

/// The interface that the guide names is the outside's, and its host is behind the third inside host.
fn build() -> Lab {
    let behind = format!("ip route {GUIDE_HOST} 255.255.255.255 10.0.0.13");
    let lines = vec!["hostname edge".to_owned(), behind];
    let interface_names = ["GigabitEthernet0/0/1", "GigabitEthernet0/0/0"];
    let rules = Rules { lines, interface_names, ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    lab.hosts[2].namespace.ip(&format!("addr add {GUIDE_HOST}/32 dev eth0")).expect("its address");
    lab
}

fn running(lab: &Lab) -> String {
    lab.gateway.appliance().exec("show running-config").expect("the configuration")
}

/// The lines that only the new one of two configurations has, and those that only the old one has.
fn changes(old: &str, new: &str) -> Vec<String> {
    let only = |sign: char, one: &str, other: &str| -> Vec<String> {
        let is_news = |line: &&str| {
            !line.starts_with("Current configuration") && !other.lines().any(|known| known == *line)
        };
        one.lines().filter(is_news).map(|line| format!("{sign}{line}")).collect()
    };
    [only('+', new, old), only('-', old, new)].concat()
}

/// Has every task done at a console, and judges what comes of it. `type_in` returns the table that a task ends with.
fn every_task<C>(
    open: impl FnOnce(&Lab) -> C,
    mut type_in: impl FnMut(&mut C, &Task) -> String,
    close: impl FnOnce(C),
) {
    let lab = build();
    let mut traffic = Traffic::start(&lab).expect("traffic");
    let mut console = open(&lab);
    for task in TASKS {
        let before = running(&lab);
        let table = type_in(&mut console, task);
        assert_eq!(changes(&before, &running(&lab)), task.changes, "{}", task.heading);
        let (port, server) = (traffic.port().expect("its port").to_string(), SERVER.to_string());
        let is_live = |line: &str| line.starts_with("tcp ") && line.contains(&port) && line.contains(&server);
        assert!(table.starts_with("Pro  Inside global"), "{}: {table}", task.heading);
        assert!(table.lines().any(is_live) && table.contains("\nicmp "), "{}: {table}", task.heading);
        assert!(table.contains(ESP_STATIC), "{}: {table}", task.heading);
        (task.shows)(&lab);
        traffic.fetch().expect("a page");
    }
    close(console);
    println!("{} echo replies without a gap", traffic.finish().expect("whole traffic"));
}

/// A socket for ESP in a host, which the host's own kernel leaves alone.
fn esp_socket(host: &lab::Namespace, local: Ipv4Addr) -> Socket {
    let open = || Socket::new(Domain::IPV4, Type::from(nix::libc::SOCK_RAW), Some(Protocol::from(ESP)));
    let socket = host.within(open).expect("a thread").expect("a raw socket");
    socket.bind(&SocketAddrV4::new(local, 0).into()).expect("an address");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    socket
}

/// The next packet's source and what follows its header.
fn receive(mut socket: &Socket) -> (Ipv4Addr, Vec<u8>) {
    let mut packet = [0; 2048];
    let len = socket.read(&mut packet).expect("a packet of ESP");
    let source: [u8; 4] = packet[12..16].try_into().expect("four bytes");
    (source.into(), packet[20..len].to_vec())
}

/// ESP to the interface's address reaches the static's host, and its answer has that address.
fn esp_reaches_the_static(lab: &Lab) {
    let inside = esp_socket(&lab.hosts[2].namespace, GUIDE_HOST);
    let outside = esp_socket(&lab.client.namespace, CLIENT);
    let there = b"\x1a\x2b\x3c\x4d\0\0\0\x01as it was";
    outside.send_to(there, &SocketAddrV4::new(OUTSIDE_GATEWAY, 0).into()).expect("there");
    assert_eq!(receive(&inside), (CLIENT, there.to_vec()));
    let back = b"\x5a\x6b\x7c\x8d\0\0\0\x01and back";
    inside.send_to(back, &SocketAddrV4::new(CLIENT, 0).into()).expect("back");
    assert_eq!(receive(&outside), (OUTSIDE_GATEWAY, back.to_vec()));
    let table = lab.gateway.translations().expect("the table");
    let is_live = |line: &str| line.starts_with("esp ") && line.contains(&CLIENT.to_string());
    assert!(table.lines().any(is_live), "{table}");
}

/// As the warning says: the port of IKE is none that a pool gives.
fn ike_gets_a_low_port(lab: &Lab) {
    let server = SocketAddrV4::new(SERVER, 500);
    let _responder =
        Responder::start(&lab.server.namespace, lab.directory(), server, Answer::Peer).expect("a responder");
    let host = &lab.hosts[3];
    let local = SocketAddrV4::new(host.address, 500);
    let seen = datagram::seen_as(&host.namespace, Some(local), server).expect("a question");
    assert!(seen.is_some_and(|peer| (512..=1023).contains(&peer.port())), "{seen:?}");
}

/// What is no message of SCCP passes as it is.
fn the_port_of_phones_carries_bytes(lab: &Lab) {
    let server = SocketAddrV4::new(SERVER, 20002);
    let listen = || TcpListener::bind(server);
    let listener = lab.server.namespace.within(listen).expect("a thread").expect("a listener");
    let connect = || TcpStream::connect(server);
    let mut phone = lab.hosts[3].namespace.within(connect).expect("a thread").expect("a connection");
    phone.write_all(b"a phone calls").expect("a message");
    let (mut manager, _) = listener.accept().expect("a phone");
    manager.set_read_timeout(Some(LIMIT)).expect("a limit");
    let mut heard = [0; 13];
    manager.read_exact(&mut heard).expect("the message");
    assert_eq!(&heard, b"a phone calls");
}

/// A rule without its pool translates nobody.
fn hosts_of_the_list_are_reached(lab: &Lab) {
    esp_reaches_the_static(lab);
    session::ping(&lab.hosts[3].namespace, FAR_SERVER, 2).expect("ping");
}

fn in_a_window(tmux: &mut Tmux, task: &Task) -> String {
    let type_line = |line: &str, prompt: &str| tmux.type_line(line, prompt).expect("a prompt");
    assert_eq!(type_line("disable", "edge>"), "");
    assert_eq!(type_line("enable", "edge#"), "");
    let entered = "Enter configuration commands, one per line.  End with CNTL/Z.\n";
    assert_eq!(type_line("configure terminal", "edge(config)#"), entered);
    for (line, answer) in task.lines {
        assert_eq!(type_line(line, "edge(config)#"), *answer, "{line}");
    }
    let (line, answer) = task.leave;
    assert_eq!(type_line(line, "edge#"), answer, "{}", task.heading);
    type_line("show ip nat translations", "edge#")
}

#[test]
fn in_tmux() {
    let _turn = turn();
    let open = |lab: &Lab| {
        let tmux = Tmux::open(lab).expect("tmux");
        tmux.wait_for("").expect("a prompt");
        tmux
    };
    every_task(open, in_a_window, drop);
}

/// netmiko types `configure terminal` by itself, and `end` where it is still in configuration mode.
fn as_a_set(netmiko: &mut Netmiko, task: &Task) -> String {
    let mut step = |step: &str| netmiko.step(step).expect("its result");
    step("enable");
    let mut lines: Vec<&str> = task.lines.iter().map(|(line, _)| *line).collect();
    lines.extend((task.leave.0 != "end").then_some(task.leave.0));
    let said = step(&format!("set {}", lines.join(";")));
    let said_to = task.lines.iter().chain([&task.leave]);
    for (line, answer) in said_to.clone() {
        assert!(said.contains(&format!("edge(config)#{line}\n{answer}edge")), "{line}: {said}");
    }
    let expected = said_to.filter(|(_, answer)| !answer.is_empty()).count();
    assert_eq!(said.lines().filter(|line| line.starts_with('%')).count(), expected, "{said}");
    assert!(said.ends_with("edge#"), "{said}");
    step("show show ip nat translations")
}

#[test]
fn through_netmiko() {
    let _turn = turn();
    let open = |lab: &Lab| {
        let mut netmiko = Netmiko::open(lab).expect("netmiko");
        netmiko.step("disable").expect("its result");
        assert_eq!(netmiko.step("prompt").expect("a prompt"), "edge>");
        netmiko
    };
    let close = |netmiko: Netmiko| {
        let shown = netmiko.close().expect("its end");
        assert!(!shown.contains(['\u{1b}', '\u{8}']), "{shown:?}");
    };
    every_task(open, as_a_set, close);
}

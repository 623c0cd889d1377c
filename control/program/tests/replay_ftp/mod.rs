//! A client inside announces where it listens: what `portico replay` makes of the capture, and what the commands tell of
//! it afterwards.

use std::net::SocketAddrV4;

use testkit::packet::{ACK, PSH, SYN};

use crate::capture::{Body, ETHERNET, Packet, Timed, pcap, read};
use crate::program::Scratch;
use crate::{CONFIGURATION, HOST, HOST_ADDRESS, INSIDE, OUTSIDE, ROUTER};

/// The client's station is known.
const ARP: &str = "arp 10.0.0.11 0200.0000.0011 arpa\n";

const CLIENT: SocketAddrV4 = SocketAddrV4::new(HOST_ADDRESS, 40_000);
const GLOBAL: SocketAddrV4 = SocketAddrV4::new(super::GLOBAL, 40_000);
const SERVER: SocketAddrV4 = SocketAddrV4::new(super::SERVER, 21);

fn segment(from: SocketAddrV4, to: SocketAddrV4, flags: u8, (seq, ack): (u32, u32), text: &str) -> Packet {
    Packet { from, to, ttl: 64, body: Body::Tcp { flags, seq, ack, payload: text.into() } }
}

/// Each side's capture: a handshake, the server's greeting, and the client's port.
fn captures() -> [Vec<Timed>; 2] {
    let greeting = "220 ready\r\n";
    let greeted = 901 + greeting.len() as u32;
    let out = |at_ms: u64, flags, numbers, text| {
        (at_ms * 1000, segment(CLIENT, SERVER, flags, numbers, text).frame(HOST, INSIDE))
    };
    let back = |at_ms: u64, flags, numbers, text| {
        (at_ms * 1000, segment(SERVER, GLOBAL, flags, numbers, text).frame(ROUTER, OUTSIDE))
    };
    let from_inside = vec![
        out(1, SYN, (100, 0), ""),
        out(3, ACK, (101, 901), ""),
        out(5, ACK, (101, greeted), ""),
        out(6, PSH | ACK, (101, greeted), "PORT 10,0,0,11,19,136\r\n"),
    ];
    let from_outside = vec![back(2, SYN | ACK, (900, 101), ""), back(4, PSH | ACK, (901, 101), greeting)];
    [from_inside, from_outside]
}

/// Replays the conversation with these lines added, and returns what leaves to the outside, as text, and the answers.
fn replay(lines: &str, shows: &[&str]) -> (String, String) {
    let scratch = Scratch::new();
    let [inside, outside] = captures();
    scratch.write("nat.conf", format!("{CONFIGURATION}{ARP}{lines}"));
    scratch.write("inside.pcap", pcap(ETHERNET, &inside));
    scratch.write("outside.pcap", pcap(ETHERNET, &outside));
    let ports = ["GigabitEthernet0/0/0=inside.pcap", "GigabitEthernet0/0/1=outside.pcap"];
    let mut arguments = vec!["replay", "--config", "nat.conf", "--out", "out"];
    arguments.extend(ports.iter().flat_map(|port| ["--port", port]));
    arguments.extend(shows.iter().flat_map(|show| ["--show", show]));
    let ended = scratch.run(&arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let frames =
        read(&scratch.path("out/GigabitEthernet0_0_1.pcap")).into_iter().flat_map(|(_, frame)| frame);
    (String::from_utf8_lossy(&frames.collect::<Vec<u8>>()).into_owned(), ended.stdout)
}

const DOORS: &str = "show ip nat doors";
const FTP: &str = "show platform hardware qfp active feature alg statistics ftp";

#[test]
fn a_port_is_announced_and_its_door_listed() {
    let (sent, told) = replay("", &[DOORS, FTP, "show ip nat statistics"]);
    assert!(sent.contains("PORT 203,0,113,1,19,136\r\n"), "{sent:?}");
    let doors: Vec<&str> = told.lines().filter(|line| line.starts_with("tcp ")).collect();
    let [door] = doors[..] else { panic!("one door in\n{told}") };
    let words: Vec<&str> = door.split_whitespace().collect();
    assert_eq!(words[..4], ["tcp", "203.0.113.1:5000", "10.0.0.11:5000", "192.0.2.80"]);
    assert_eq!(words[4], "ftp");
    assert!(words[7].starts_with("00:0"), "the time left in {door}");
    for line in ["Total number of doors: 1", "Total doors: 1", "Appl doors: 1"] {
        assert!(told.lines().any(|told| told == line), "no {line:?} in\n{told}");
    }
    for (title, count) in
        [("Control sessions read now", 1), ("Messages changed", 1), ("Doors opened", 1), ("Doors used", 0)]
    {
        let line = told.lines().find(|line| line.trim_start().starts_with(title));
        let shown = line.and_then(|line| line.split_whitespace().last());
        assert_eq!(shown, Some(count.to_string().as_str()), "{title} in\n{told}");
    }
}

#[test]
fn a_gateway_that_is_off_changes_nothing() {
    for lines in [
        "no ip nat service ftp\n",
        "no ip nat service all-algs\n",
        "access-list 7 permit 192.0.2.80\nip nat service list 7 ftp tcp port 2121\n",
        "no ip nat inside source list 10 pool P overload\nip nat inside source list 10 pool P overload no-payload\n",
    ] {
        let (sent, told) = replay(lines, &[DOORS, FTP]);
        assert!(sent.contains("PORT 10,0,0,11,19,136\r\n"), "{lines}: {sent:?}");
        assert!(told.contains("Total number of doors: 0"), "{lines}: {told}");
        let attached = told.lines().find(|line| line.contains("Control sessions attached"));
        assert!(attached.is_some_and(|line| line.ends_with(" 0")), "{lines}: {told}");
    }
    let (sent, _) = replay("alg defaults ietf\n", &[]);
    assert!(sent.contains("PORT 203,0,113,1,19,136\r\n"), "{sent:?}");
}

//! `portico replay`: captures that the test writes itself go in, and every frame that comes out is compared with one the
//! test makes itself. The program runs without privileges.

mod capture;
mod program;
mod replay_ftp;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};

use capture::{Body, ETHERNET, Mac, Packet, Timed, arp, pcap, pcapng, read};
use program::{Ended, Scratch};
use testkit::packet::{ACK, PSH, SYN};

const CONFIGURATION: &str = "\
interface GigabitEthernet0/0/0
 mac-address 0200.0000.0001
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/1
 mac-address 0200.0000.0002
 ip address 198.51.100.1 255.255.255.0
 ip nat outside
interface GigabitEthernet0/0/2
 mac-address 0200.0000.0003
access-list 10 permit 10.0.0.0 0.0.0.255
ip nat pool P 203.0.113.1 203.0.113.2 prefix-length 24
ip nat inside source list 10 pool P overload
ip nat inside source static tcp 10.0.0.12 8080 203.0.113.2 80
ip route 0.0.0.0 0.0.0.0 198.51.100.254
arp 198.51.100.254 0200.0000.00fe arpa
arp 10.0.0.12 0200.0000.0012 arpa
";

/// The capture's start, in microseconds since 1970.
const START_US: u64 = 1_700_000_000_250_000;

const INSIDE: Mac = [2, 0, 0, 0, 0, 1];
const OUTSIDE: Mac = [2, 0, 0, 0, 0, 2];
const ROUTER: Mac = [2, 0, 0, 0, 0, 0xfe];
const HOST: Mac = [2, 0, 0, 0, 0, 0x11];
const OTHER_HOST: Mac = [2, 0, 0, 0, 0, 0x12];

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OUTSIDE_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 12);
const GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const STATIC_GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// What goes in and what must come out, on each side.
#[derive(Default)]
struct Conversation {
    now_us: u64,
    inside_in: Vec<Timed>,
    inside_out: Vec<Timed>,
    outside_in: Vec<Timed>,
    outside_out: Vec<Timed>,
}

impl Conversation {
    /// The program announces its addresses before the first frame, and the first host asks for its gateway.
    fn start() -> Conversation {
        let mut c = Conversation { now_us: START_US, ..Conversation::default() };
        c.inside_out.push((START_US - 1, arp((INSIDE, GATEWAY), None, GATEWAY)));
        c.outside_out.push((START_US - 1, arp((OUTSIDE, OUTSIDE_GATEWAY), None, OUTSIDE_GATEWAY)));
        c.inside_in.push((c.now_us, arp((HOST, HOST_ADDRESS), None, GATEWAY)));
        c.inside_out.push((c.now_us, arp((INSIDE, GATEWAY), Some(HOST), HOST_ADDRESS)));
        c
    }

    /// A packet from inside, which leaves with this source.
    fn outbound(
        &mut self,
        from: (Ipv4Addr, u16),
        as_global: (Ipv4Addr, u16),
        to: (Ipv4Addr, u16),
        body: Body,
    ) {
        self.now_us += 1000;
        let host = if from.0 == OTHER_ADDRESS { OTHER_HOST } else { HOST };
        let sent = packet(from, to, 64, &body);
        self.inside_in.push((self.now_us, sent.frame(host, INSIDE)));
        let expected = packet(as_global, to, 63, &body);
        self.outside_out.push((self.now_us, expected.frame(OUTSIDE, ROUTER)));
    }

    /// A packet from outside, which arrives with this destination.
    fn inbound(&mut self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), as_local: (Ipv4Addr, u16), body: Body) {
        let host = if as_local.0 == OTHER_ADDRESS { OTHER_HOST } else { HOST };
        self.refused(from, to, body.clone());
        let expected = packet(from, as_local, 56, &body);
        self.inside_out.push((self.now_us, expected.frame(INSIDE, host)));
    }

    /// A packet from outside that nobody asked for.
    fn refused(&mut self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), body: Body) {
        self.now_us += 1000;
        self.outside_in.push((self.now_us, packet(from, to, 57, &body).frame(ROUTER, OUTSIDE)));
    }
}

fn packet(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), ttl: u8, body: &Body) -> Packet {
    // The identifier of an echo stands on both sides, and the test's endpoints carry the one that is in the packet.
    let end = |(address, port)| SocketAddrV4::new(address, port);
    Packet { from: end(from), to: end(to), ttl, body: body.clone() }
}

fn udp(payload: &[u8]) -> Body {
    Body::Udp { payload: payload.to_vec(), checksummed: true }
}

fn tcp(flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Body {
    Body::Tcp { flags, seq, ack, payload: payload.to_vec() }
}

fn echo(is_request: bool, seq: u16) -> Body {
    Body::Echo { is_request, seq, payload: b"0123456789abcdef!".to_vec() }
}

/// A query for www.example and its answer, 192.0.2.80.
fn dns() -> (Vec<u8>, Vec<u8>) {
    let question = b"\x03www\x07example\x00\x00\x01\x00\x01";
    let answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x50";
    let query = [&b"\x2b\x67\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"[..], question].concat();
    let reply = [&b"\x2b\x67\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"[..], question, answer].concat();
    (query, reply)
}

/// Names are resolved, a page is fetched and a server pinged by two hosts that choose the same ports; the second one's
/// web server is visited; somebody scans.
fn conversation() -> Conversation {
    let mut c = Conversation::start();
    let (query, reply) = dns();
    let resolver = (SERVER, 53);
    c.outbound((HOST_ADDRESS, 40_000), (GLOBAL, 40_000), resolver, udp(&query));
    // The same port again: the next one of its parity.
    c.outbound((OTHER_ADDRESS, 40_000), (GLOBAL, 40_002), resolver, udp(&query));
    c.inbound(resolver, (GLOBAL, 40_002), (OTHER_ADDRESS, 40_000), udp(&reply));
    c.inbound(resolver, (GLOBAL, 40_000), (HOST_ADDRESS, 40_000), udp(&reply));

    let unchecked = Body::Udp { payload: b"odd".to_vec(), checksummed: false };
    c.outbound((HOST_ADDRESS, 40_000), (GLOBAL, 40_000), (SERVER, 9), unchecked.clone());
    c.inbound((SERVER, 9), (GLOBAL, 40_000), (HOST_ADDRESS, 40_000), unchecked);

    let (client, global, web) = ((HOST_ADDRESS, 50_001), (GLOBAL, 50_001), (SERVER, 80));
    c.outbound(client, global, web, tcp(SYN, 100, 0, b""));
    c.inbound(web, global, client, tcp(SYN | ACK, 900, 101, b""));
    c.outbound(client, global, web, tcp(ACK, 101, 901, b""));
    c.outbound(client, global, web, tcp(PSH | ACK, 101, 901, b"GET / HTTP/1.0\r\n\r\n"));
    c.inbound(web, global, client, tcp(PSH | ACK, 901, 119, b"HTTP/1.0 204 No Content\r\n\r\n"));

    let (visitor, local) = ((SERVER, 33_333), (OTHER_ADDRESS, 8080));
    c.inbound(visitor, (STATIC_GLOBAL, 80), local, tcp(SYN, 7, 0, b""));
    c.outbound(local, (STATIC_GLOBAL, 80), visitor, tcp(SYN | ACK, 70, 8, b""));

    for seq in 1..=2 {
        c.outbound((HOST_ADDRESS, 7), (GLOBAL, 7), (SERVER, 0), echo(true, seq));
        c.outbound((OTHER_ADDRESS, 7), (GLOBAL, 9), (SERVER, 0), echo(true, seq));
        c.inbound((SERVER, 0), (GLOBAL, 9), (OTHER_ADDRESS, 7), echo(false, seq));
        c.inbound((SERVER, 0), (GLOBAL, 7), (HOST_ADDRESS, 7), echo(false, seq));
    }

    c.refused((SERVER, 53), (GLOBAL, 40_004), udp(b"nobody asked"));
    c.refused((SERVER, 54), (GLOBAL, 40_000), udp(b"another endpoint"));
    c.refused((SERVER, 80), (STATIC_GLOBAL, 81), tcp(SYN, 1, 0, b""));
    c
}

const SHOWS: [&str; 3] = ["show ip nat translations", "show ip nat statistics", "show drops"];

/// Writes the conversation's captures, the inside's as pcap and the outside's as pcapng, and replays them.
fn replay(scratch: &Scratch, out: &str, conversation: &Conversation) -> Ended {
    scratch.write("nat.conf", CONFIGURATION);
    scratch.write("inside.pcap", pcap(ETHERNET, &conversation.inside_in));
    scratch.write("outside.pcapng", pcapng(ETHERNET as u16, &conversation.outside_in));
    scratch.write("nothing.pcap", pcap(ETHERNET, &[]));
    let ports =
        ["GigabitEthernet0/0/0=inside.pcap", "gi0/0/1=outside.pcapng", "GigabitEthernet0/0/2=nothing.pcap"];
    let mut arguments = vec!["replay", "--config", "nat.conf", "--out", out];
    arguments.extend(ports.iter().flat_map(|port| ["--port", port]));
    arguments.extend(SHOWS.iter().flat_map(|show| ["--show", show]));
    scratch.run(&arguments)
}

/// Compares frames one by one, and shows the first two that differ.
#[track_caller]
fn expect_frames(side: &str, written: &[Timed], expected: &[Timed]) {
    let hex = |frame: Option<&Timed>| {
        frame.map_or("nothing".into(), |(at_us, bytes)| format!("{} us {bytes:02x?}", at_us - START_US + 1))
    };
    for position in 0..written.len().max(expected.len()) {
        let (is, should) = (written.get(position), expected.get(position));
        assert!(is == should, "{side} frame {position}\n is     {}\n should {}", hex(is), hex(should));
    }
}

#[test]
fn every_frame_is_translated_as_the_test_expects() {
    let scratch = Scratch::new();
    let conversation = conversation();
    let ended = replay(&scratch, "out", &conversation);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let written = |name: &str| read(&scratch.path(name));
    expect_frames("outside", &written("out/GigabitEthernet0_0_1.pcap"), &conversation.outside_out);
    expect_frames("inside", &written("out/GigabitEthernet0_0_0.pcap"), &conversation.inside_out);
    assert_eq!(
        written("out/GigabitEthernet0_0_2.pcap"),
        [],
        "nothing leaves by an interface without addresses"
    );
    let files = fs::read_dir(scratch.path("out")).expect("the folder").count();
    assert_eq!(files, 3, "a file for each port and no other");
}

#[test]
fn the_same_captures_give_the_same_bytes() {
    let scratch = Scratch::new();
    let conversation = conversation();
    let first = replay(&scratch, "first", &conversation);
    let second = replay(&scratch, "second", &conversation);
    assert_eq!(first, second);
    for number in 0..3 {
        let bytes = |out: &str| {
            fs::read(scratch.path(&format!("{out}/GigabitEthernet0_0_{number}.pcap"))).expect("an output")
        };
        assert_eq!(bytes("first"), bytes("second"), "interface {number}");
    }
}

#[test]
fn shows_are_answered_in_their_order() {
    let scratch = Scratch::new();
    let stdout = replay(&scratch, "out", &conversation()).stdout;
    let position = |text: &str| stdout.find(text).unwrap_or_else(|| panic!("no {text:?} in\n{stdout}"));
    let headings =
        ["Pro  Inside global", "Total active translations:", "Total packets dropped: 3"].map(position);
    assert!(headings.is_sorted(), "{headings:?} in\n{stdout}");
    for row in [
        ["udp  203.0.113.1:40000", "10.0.0.11:40000", "192.0.2.80:53", "192.0.2.80:53"],
        ["udp  203.0.113.1:40002", "10.0.0.12:40000", "192.0.2.80:53", "192.0.2.80:53"],
        ["tcp  203.0.113.1:50001", "10.0.0.11:50001", "192.0.2.80:80", "192.0.2.80:80"],
        ["tcp  203.0.113.2:80", "10.0.0.12:8080", "192.0.2.80:33333", "192.0.2.80:33333"],
        ["icmp 203.0.113.1:9", "10.0.0.12:7", "192.0.2.80:7", "192.0.2.80:9"],
    ] {
        let has_row = stdout.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words == row.join(" ").split_whitespace().collect::<Vec<&str>>()
        });
        assert!(has_row, "no {row:?} in\n{stdout}");
    }
}

/// Replays one file into the inside and expects to be refused with a message that has all these parts.
#[track_caller]
fn expect_refusal(scratch: &Scratch, file: &str, parts: &[&str]) {
    scratch.write("nat.conf", CONFIGURATION);
    let port = format!("GigabitEthernet0/0/0={file}");
    let ended = scratch.run(&["replay", "--config", "nat.conf", "--port", &port, "--out", "out"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{file}: {}", ended.stderr);
    assert!(ended.stderr.starts_with(&format!("portico: {file}: ")), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "{file}: no {part:?} in {}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), 1, "one line says it all: {}", ended.stderr);
}

#[test]
fn only_ethernet_is_played() {
    let scratch = Scratch::new();
    let frame = || vec![(START_US, vec![0x45; 60])];
    for (number, name) in [(101, "RAW"), (113, "LINUX_SLL"), (276, "LINUX_SLL2")] {
        let file = format!("{name}.pcap");
        scratch.write(&file, pcap(number, &frame()));
        expect_refusal(&scratch, &file, &[&format!("link type {name},"), "only Ethernet"]);
        let file = format!("{name}.pcapng");
        scratch.write(&file, pcapng(number as u16, &frame()));
        expect_refusal(&scratch, &file, &[&format!("link type {name},"), "only Ethernet"]);
    }
}

#[test]
fn damaged_captures_are_refused_by_name() {
    let scratch = Scratch::new();
    let frames = conversation().inside_in;
    let (plain, blocks) = (pcap(ETHERNET, &frames), pcapng(ETHERNET as u16, &frames));
    let mut endless = plain.clone();
    endless[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut unknown_interface = blocks.clone();
    let first_packet = 28 + 32;
    unknown_interface[first_packet + 8..first_packet + 12].copy_from_slice(&7u32.to_be_bytes());
    let mut block_without_end = blocks.clone();
    block_without_end[first_packet + 4..first_packet + 8].copy_from_slice(&0x7fff_fff0u32.to_be_bytes());
    for (file, content) in [
        ("empty.pcap", &[][..]),
        ("text.pcap", b"interface GigabitEthernet0/0/0\n"),
        ("header.pcap", &plain[..20]),
        ("cut.pcap", &plain[..plain.len() - 5]),
        ("endless.pcap", &endless),
        ("cut.pcapng", &blocks[..blocks.len() - 5]),
        ("interface.pcapng", &unknown_interface),
        ("block.pcapng", &block_without_end),
    ] {
        scratch.write(file, content);
        expect_refusal(&scratch, file, &["not a readable pcap or pcapng file"]);
    }
    scratch.write("jumbo.pcap", pcap(ETHERNET, &[(START_US, vec![0; 65_001])]));
    expect_refusal(&scratch, "jumbo.pcap", &["a frame of 65001 bytes"]);
    expect_refusal(&scratch, "absent.pcap", &["No such file"]);
}

#[test]
fn mistakes_in_the_arguments_are_told() {
    let scratch = Scratch::new();
    scratch.write("nat.conf", CONFIGURATION);
    scratch.write("broken.conf", "ip nat pool P 203.0.113.1\n");
    scratch.write("in.pcap", pcap(ETHERNET, &conversation().inside_in));
    let port = "GigabitEthernet0/0/0=in.pcap";
    for (arguments, code, part) in [
        (
            ["nat.conf", "GigabitEthernet0/0/9=in.pcap", "show drops"],
            1,
            "GigabitEthernet0/0/9: the configuration has no",
        ),
        (["nat.conf", "Gx0=in.pcap", "show drops"], 2, "\"Gx0\" is no interface name"),
        (["nat.conf", "in.pcap", "show drops"], 2, "expected INTERFACE=FILE"),
        (["broken.conf", port, "show drops"], 1, "broken.conf:1:26: error:"),
        (["absent.conf", port, "show drops"], 1, "cannot read the configuration absent.conf"),
        (["nat.conf", port, "show nonsense"], 1, "% Invalid input detected"),
    ] {
        let [configuration, port, show] = arguments;
        let ended = scratch.run(&[
            "replay",
            "--config",
            configuration,
            "--port",
            port,
            "--out",
            "out",
            "--show",
            show,
        ]);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "{arguments:?}: no {part:?} in {}", ended.stderr);
    }
}

/// Replays what comes in on both sides, with more arguments.
fn replay_with(scratch: &Scratch, c: &Conversation, more: &[&str]) -> Ended {
    scratch.write("nat.conf", CONFIGURATION);
    scratch.write("inside.pcap", pcap(ETHERNET, &c.inside_in));
    scratch.write("outside.pcap", pcap(ETHERNET, &c.outside_in));
    let ports = ["--port", "GigabitEthernet0/0/0=inside.pcap", "--port", "GigabitEthernet0/0/1=outside.pcap"];
    scratch.run(&[&["replay", "--config", "nat.conf", "--out", "out"][..], &ports, more].concat())
}

const SECOND_US: u64 = 1_000_000;

#[test]
fn what_ends_in_a_silence_ends_before_the_frame_behind_it() {
    // Half a minute's idle time remains, it has just passed, and years of silence pass too.
    for (silence_s, is_known) in [(270, true), (301, false), (100_000_000, false)] {
        let scratch = Scratch::new();
        let mut c = Conversation::start();
        c.outbound((HOST_ADDRESS, 4000), (GLOBAL, 4000), (SERVER, 9), udp(b"a"));
        c.now_us += silence_s * SECOND_US;
        c.refused((SERVER, 9), (GLOBAL, 4000), udp(b"b"));
        let ended = replay_with(&scratch, &c, &[]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{silence_s} s");
        let inside = read(&scratch.path("out/GigabitEthernet0_0_0.pcap"));
        let arrived = inside.iter().filter(|(_, frame)| frame[12..14] == [0x08, 0x00]).count();
        assert_eq!(arrived, usize::from(is_known), "{silence_s} s");
    }
}

#[test]
fn a_syn_that_nobody_wants_is_answered_behind_the_last_frame() {
    let scratch = Scratch::new();
    let mut c = Conversation::start();
    c.refused((SERVER, 9), (GLOBAL, 4444), tcp(SYN, 1, 0, b""));
    scratch.write("cgn.conf", format!("{CONFIGURATION}ip nat settings mode cgn\n"));
    scratch.write("outside.pcap", pcap(ETHERNET, &c.outside_in));
    let ended = scratch.run(&[
        "replay",
        "--config",
        "cgn.conf",
        "--out",
        "out",
        "--port",
        "GigabitEthernet0/0/1=outside.pcap",
    ]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let outside = read(&scratch.path("out/GigabitEthernet0_0_1.pcap"));
    let errors: Vec<u64> =
        outside.iter().filter(|(_, frame)| frame[23] == 1).map(|(at_us, _)| at_us - c.now_us).collect();
    assert!(matches!(errors[..], [after_us] if after_us >= 6 * SECOND_US), "{errors:?}");
}

#[test]
fn interfaces_without_a_capture_are_up() {
    let scratch = Scratch::new();
    let mut c = Conversation::start();
    c.outbound((HOST_ADDRESS, 4000), (GLOBAL, 4000), (SERVER, 9), udp(b"a"));
    scratch.write("nat.conf", CONFIGURATION.replace(" mac-address 0200.0000.0002\n", ""));
    scratch.write("inside.pcap", pcap(ETHERNET, &c.inside_in));
    let ended = scratch.run(&[
        "replay",
        "--config",
        "nat.conf",
        "--out",
        "out",
        "--port",
        "GigabitEthernet0/0/0=inside.pcap",
    ]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let outside = read(&scratch.path("out/GigabitEthernet0_0_1.pcap"));
    assert!(outside.iter().any(|(_, frame)| frame[26..30] == GLOBAL.octets()), "{outside:02x?}");
}

#[test]
fn a_command_behind_a_refused_one_is_answered() {
    let scratch = Scratch::new();
    let more = ["--show", "show nonsense", "--show", "show drops"];
    let ended = replay_with(&scratch, &Conversation::start(), &more);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("show nonsense"), "{}", ended.stderr);
    assert!(ended.stdout.contains("Total packets dropped: 0"), "{}", ended.stdout);
}

/// Nine hosts send pieces of control connections whose first byte is missing: 1,152 wait, and a port has 1,024 buffers.
#[test]
fn frames_that_find_no_buffer_are_told() {
    let scratch = Scratch::new();
    let mut c = Conversation::start();
    let server = (SERVER, 21);
    for host in 0..9 {
        let client = (Ipv4Addr::new(10, 0, 0, 50 + host), 4000 + u16::from(host));
        c.outbound(client, client, server, tcp(SYN, 100, 0, b""));
        c.refused(server, (GLOBAL, client.1), tcp(SYN | ACK, 900, 101, b""));
        c.outbound(client, client, server, tcp(ACK, 101, 901, b""));
        for piece in 0..128 {
            c.outbound(client, client, server, tcp(PSH | ACK, 103 + 2 * piece, 901, b"x"));
        }
    }
    let ended = replay_with(&scratch, &c, &["--show", "show drops"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("frames were not read in their time"), "{}", ended.stderr);
}

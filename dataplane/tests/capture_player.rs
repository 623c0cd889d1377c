//! Captures of real traffic through the player: every address that the folder's index lists is changed and its door
//! opens, every other byte stays, nothing is refused that is well-formed, and nothing is left behind.
//!
//! The captures are no part of the project. `PORTICO_CAPTURES` names their folder, which has an `INDEX.md`;
//! `deploy/test --captures DIR` sets it. Without it only the conversations written here are played.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use capture_file::DataLink;
use testkit::packet::{self, ACK, FIN, ICMP, PSH, SYN};
use testkit::player::index::{self, Entry, Inside};
use testkit::player::scenario::{Renamed, casts};
use testkit::player::splits::{self, Script, Splitter};
use testkit::player::{Mode, Report, Scenario, Taken, capture, play};

/// What is not well-formed, or not ours: what is refused, what is dropped, and why that is right.
struct Odd {
    path: &'static str,
    refused: &'static [&'static str],
    dropped: &'static [&'static str],
    /// What it says and what comes of it are not judged.
    is_damaged: bool,
    /// The doors that the index lists stay closed.
    has_no_doors: bool,
    why: &'static str,
}

/// What is sound.
const SOUND: Odd =
    Odd { path: "", refused: &[], dropped: &[], is_damaged: false, has_no_doors: false, why: "" };

const ODD: &[Odd] = &[
    Odd {
        path: "ftp/bounce_third_party_port.pcap",
        refused: &["low-port"],
        why: "one PORT names another host, and a port below 1024: the bounce attack",
        ..SOUND
    },
    Odd {
        path: "ftp/long_and_bad_commands.pcap",
        refused: &["foreign"],
        why: "command words of more letters than any command has: not FTP",
        ..SOUND
    },
    Odd {
        path: "tftp/heap_overflow.pcap",
        dropped: &["ipv4-truncated"],
        why: "the packet claims 12336 bytes and has 32",
        ..SOUND
    },
    Odd {
        path: "dns/compression_loop_1.pcap",
        refused: &["foreign"],
        why: "its UDP header says that it is empty; a name that points to itself follows",
        ..SOUND
    },
    Odd {
        path: "frag/udp_first_fragment_overlap.pcap",
        dropped: &["fragment-overlap"],
        why: "fragments that overlap: the whole packet is dropped (RFC 5722 for IPv6, RFC 1858 for the attack)",
        ..SOUND
    },
    Odd {
        path: "frag/teardrop.pcap",
        dropped: &["fragment-overlap"],
        why: "fragments that overlap: the teardrop attack",
        ..SOUND
    },
    Odd {
        path: "sip/fuzzed_udp_2594.pcap",
        refused: &["foreign", "malformed"],
        dropped: &[
            "arp-malformed",
            "fragment-overlap",
            "fragment-timeout",
            "ipv4-header-length",
            "ipv4-source",
            "ipv4-truncated",
            "ipv4-version",
            "tcp-header",
            "udp-length",
        ],
        is_damaged: true,
        why: "bits of all its packets were flipped",
        ..SOUND
    },
    Odd {
        path: "sip/bad_content_length.pcap",
        refused: &["malformed"],
        why: "the body's length is 'bad' in one message, and 'xyz' in the other",
        ..SOUND
    },
    Odd {
        path: "sip/compact_headers.pcap",
        has_no_doors: true,
        why: "the body ends by its length before the media line: what is behind it is discarded (RFC 3261 section 18.3)",
        ..SOUND
    },
];

/// What a client said before its capture began, where the answer alone tells nothing.
const PROLOGUES: &[(&str, &str)] = &[(
    "rtsp/reply_only_udp.pcap",
    "SETUP rtsp://216.64.190.61/x RTSP/1.0\r\nCSeq: 2\r\n\
     Transport: RTP/AVP/UDP;unicast;client_port=2462-2463;mode=PLAY\r\n\r\n",
)];

fn odd(path: &str) -> &'static Odd {
    ODD.iter().find(|odd| odd.path == path).unwrap_or(&SOUND)
}

fn entries(folder: &Path) -> Vec<Entry> {
    index::read(folder).unwrap_or_else(|why| panic!("{why}"))
}

/// Plays a capture in every way that it can be, and returns what is wrong.
fn play_entry(folder: &Path, entry: &Entry) -> Vec<String> {
    let taken = capture::read(&folder.join(&entry.path)).unwrap_or_else(|why| panic!("{why}"));
    let mut wrong = Vec::new();
    for (mode, cast) in [Mode::Default, Mode::Cgn]
        .into_iter()
        .flat_map(|mode| casts(entry, &taken).into_iter().map(move |cast| (mode, cast)))
    {
        let mut scenario = Scenario::new(entry, cast, mode, &taken);
        let odd = odd(&entry.path);
        scenario.is_damaged = odd.is_damaged;
        scenario.doors.retain(|_| !odd.has_no_doors);
        let prologue = PROLOGUES.iter().find(|(path, _)| *path == entry.path);
        scenario.prologue = prologue.map(|(_, text)| text.as_bytes().to_vec()).unwrap_or_default();
        if entry.inside == Inside::EitherEnd {
            // Who is inside is our choice here, and so is whose addresses may change.
            scenario.may_change = scenario.inside.clone();
        }
        wrong.extend(judged(&entry.path, &scenario, &taken));
        scenario.renamed = renamed(entry);
        // Rules for the outside translate nothing in CGN mode.
        if !scenario.renamed.is_empty() && mode == Mode::Default {
            wrong.extend(judged(&format!("{} with twice NAT", entry.path), &scenario, &taken));
        }
    }
    wrong
}

/// Names and addresses that a DNS capture's answers have, each given another address by configuration: those that
/// outside hosts tell, and those that inside hosts ask for. Digits and all, as long as they were.
fn renamed(entry: &Entry) -> Vec<Renamed> {
    let neighbour = |addr: Ipv4Addr| {
        let [a, b, c, d] = addr.octets();
        Ipv4Addr::new(a, b, c, if [9, 99, 255].contains(&d) { d - 1 } else { d + 1 })
    };
    let mut renamed = Vec::new();
    for item in entry.rewrite.split(';').map(str::trim).filter(|_| entry.protocol() == "dns") {
        let told = item.strip_prefix("A records ").unwrap_or_default().split(' ');
        let told = told.filter_map(|addr| addr.parse::<Ipv4Addr>().ok());
        let hosts = if let Inside::Hosts(hosts) = &entry.inside { &hosts[..] } else { &[] };
        for outside in told.filter(|addr| !hosts.contains(addr)) {
            let n = renamed.len() as u8;
            renamed.push((Ipv4Addr::new(172, 31, 7, n + 1), outside));
        }
        let asked = item.strip_prefix("PTR names ").unwrap_or_default().split(' ');
        for name in asked.filter_map(|name| name.strip_suffix(".in-addr.arpa")) {
            let Ok(backwards) = name.parse::<Ipv4Addr>() else { continue };
            let mut octets = backwards.octets();
            octets.reverse();
            let inside = Ipv4Addr::from(octets);
            if !inside.is_loopback() {
                renamed.push((inside, neighbour(inside)));
            }
        }
    }
    renamed
}

fn judged(path: &str, scenario: &Scenario, taken: &[Taken]) -> Vec<String> {
    let name = path.to_string();
    let of = |why: String| format!("{name}, {:?}, inside {:?}: {why}", scenario.mode, scenario.inside);
    let report = match play(scenario, taken) {
        Ok(report) => report,
        Err(why) => return vec![of(why)],
    };
    tell(path, scenario, &report);
    let path = path.split(' ').next().unwrap_or_default();
    let mut wrong: Vec<String> = report.complaints.iter().cloned().map(of).collect();
    let all = report.played + report.elsewhere + report.not_ipv4;
    if all != taken.len() {
        wrong.push(of(format!("{all} of {} frames are accounted for", taken.len())));
    }
    if !scenario.is_judged() {
        return wrong;
    }
    let Odd { refused: may_refuse, dropped: may_drop, .. } = odd(path);
    let refused = report.refused.iter().filter(|(label, _)| !may_refuse.contains(label));
    wrong.extend(refused.map(|(label, count)| of(format!("{count} messages were refused: {label}"))));
    let is_known = |label: &&str| *label == "ethertype-unknown" || may_drop.contains(label);
    let dropped = report.dropped.iter().filter(|(label, _)| !is_known(label));
    wrong.extend(dropped.map(|(label, count)| of(format!("{count} packets were dropped: {label}"))));
    wrong
}

fn tell(path: &str, scenario: &Scenario, report: &Report) {
    let Report { played, made, elsewhere, not_ipv4, doors, edits, messages, refused, dropped, .. } = report;
    println!(
        "{path} {:?}: {played} frames played, {made} made, {elsewhere} elsewhere, {not_ipv4} not IPv4; {messages} \
         messages, {edits} edits, {} of {} doors; refused {refused:?}, dropped {dropped:?}",
        scenario.mode, doors.0, doors.1
    );
}

#[test]
fn captures_become_whole_conversations() {
    let Some(folder) = capture_file::folder() else { return };
    let wrong: Vec<String> = entries(&folder).iter().flat_map(|entry| play_entry(&folder, entry)).collect();
    for odd in ODD {
        println!("odd: {}: {}", odd.path, odd.why);
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

/// Plays the control connections of a folder again and again, cut in every place. Returns what makes a difference.
fn cut_everywhere(folder: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for entry in entries(folder) {
        let taken = capture::read(&folder.join(&entry.path)).unwrap_or_else(|why| panic!("{why}"));
        for cast in casts(&entry, &taken) {
            let scenario = Scenario::new(&entry, cast, Mode::Default, &taken);
            let scripts = if scenario.is_judged() { splits::scripts(&scenario, &taken) } else { Vec::new() };
            for script in scripts {
                let of = format!("{}, {} - {}", entry.path, script.ends[0], script.ends[1]);
                match cut_script(&scenario, &taken, script) {
                    Ok(count) => println!("{of}: cut in {count} places"),
                    Err(why) => wrong.push(format!("{of}: {why}")),
                }
            }
        }
    }
    wrong
}

fn cut_script(scenario: &Scenario, taken: &[Taken], script: Script) -> Result<usize, String> {
    let segments: Vec<usize> = script.said.iter().map(|(_, data)| data.len()).collect();
    let mut splitter = Splitter::new(scenario, taken, script)?;
    let (stands, heard) = splitter.whole()?;
    let mut count = 0;
    for (n, len) in segments.into_iter().enumerate() {
        for at in 1..len {
            let cut = splitter.cut(n, at, &stands, &heard);
            cut.map_err(|why| format!("segment {n} cut at {at}: {why}"))?;
            count += 1;
        }
    }
    Ok(count)
}

#[test]
fn every_cut_of_a_control_connection_makes_no_difference() {
    let Some(folder) = capture_file::folder() else { return };
    let wrong = cut_everywhere(&folder);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Packets of a conversation written by hand.
#[derive(Default)]
struct Written {
    packets: Vec<Vec<u8>>,
}

/// One connection of it: its ends, and what either end says next.
struct Talk {
    ends: [SocketAddrV4; 2],
    next: [u32; 2],
}

fn end(text: &str) -> SocketAddrV4 {
    text.parse().expect("an endpoint")
}

impl Written {
    fn segment(&mut self, talk: &mut Talk, by: usize, flags: u8, data: &str) {
        let ack = if flags & ACK != 0 { talk.next[1 - by] } else { 0 };
        let ends = (talk.ends[by], talk.ends[1 - by]);
        self.packets.push(packet::segment(ends, (talk.next[by], ack, flags), &[], data.as_bytes()));
        talk.next[by] =
            talk.next[by].wrapping_add((data.len() + usize::from(flags & (SYN | FIN) != 0)) as u32);
    }

    /// A connection, with its handshake or, if the capture began late, without.
    fn connect(&mut self, client: &str, server: &str, is_seen: bool) -> Talk {
        let mut talk = Talk { ends: [end(client), end(server)], next: [1000, 0xffff_fff0] };
        for (by, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)].into_iter().filter(|_| is_seen) {
            self.segment(&mut talk, by, flags, "");
        }
        talk
    }

    /// An end says something, and the other one acknowledges.
    fn say(&mut self, talk: &mut Talk, by: usize, text: &str) {
        self.segment(talk, by, PSH | ACK, text);
        self.segment(talk, 1 - by, ACK, "");
    }

    /// Client and server in turn, beginning with the server's greeting.
    fn dialogue(&mut self, talk: &mut Talk, lines: &[&str]) {
        lines.iter().enumerate().for_each(|(n, line)| self.say(talk, (n + 1) % 2, line));
    }

    fn close(&mut self, talk: &mut Talk) {
        for (by, flags) in [(0, FIN | ACK), (1, FIN | ACK), (0, ACK)] {
            self.segment(talk, by, flags, "");
        }
    }

    fn datagram(&mut self, from: &str, to: &str, payload: &[u8]) {
        self.packets.push(packet::datagram((end(from), end(to)), payload));
    }

    /// The last packet does not arrive, and a router says so.
    fn unreachable(&mut self, router: &str) {
        let quoted = self.packets.last().expect("a packet").clone();
        let host = Ipv4Addr::new(quoted[12], quoted[13], quoted[14], quoted[15]);
        let message = [&[3, 1, 0, 0, 0, 0, 0, 0][..], &quoted[..28]].concat();
        self.packets.push(packet::ipv4((router.parse().expect("an address"), host), ICMP, &message));
    }
}

/// FTP with the client inside: a data connection to it, and an announcement that nobody follows.
fn ftp_client_inside(is_seen: bool) -> Vec<Vec<u8>> {
    let mut written = Written::default();
    let mut control = written.connect("10.1.2.3:40000", "198.51.100.7:21", is_seen);
    written
        .dialogue(&mut control, &["220 hello\r\n", "PORT 10,1,2,3,19,136\r\n", "200 well\r\n", "LIST\r\n"]);
    let mut data = written.connect("198.51.100.7:20", "10.1.2.3:5000", true);
    written.say(&mut data, 0, "PORT 10,1,2,3,19,136 is only text here\r\n");
    written.close(&mut data);
    written.dialogue(&mut control, &["226 done\r\n", "EPRT |1|10.1.2.3|5001|\r\n", "200 well\r\n"]);
    written.close(&mut control);
    written.packets
}

/// FTP with a command that comes twice, and an error about a segment whose number was shifted.
fn ftp_quoted() -> Vec<Vec<u8>> {
    let mut written = Written::default();
    let mut control = written.connect("10.1.2.3:40000", "198.51.100.7:21", true);
    let port = "PORT 10,1,2,3,19,136\r\n";
    written.dialogue(&mut control, &["220 hello\r\n", port]);
    control.next[0] -= port.len() as u32;
    written.say(&mut control, 0, port);
    written.say(&mut control, 1, "200 well\r\n");
    written.segment(&mut control, 0, PSH | ACK, "NOOP\r\n");
    written.unreachable("192.0.2.250");
    written.packets
}

/// FTP with the server inside, and a client outside that was not asked to come.
fn ftp_server_inside() -> Vec<Vec<u8>> {
    let mut written = Written::default();
    let mut control = written.connect("198.51.100.9:40000", "10.1.2.4:21", true);
    written.dialogue(
        &mut control,
        &["220 hello\r\n", "PASV\r\n", "227 Entering Passive Mode (10,1,2,4,200,1)\r\n", "RETR a\r\n"],
    );
    let mut data = written.connect("198.51.100.9:40001", "10.1.2.4:51201", true);
    written.say(&mut data, 1, "contents\r\n");
    written.close(&mut data);
    written.dialogue(&mut control, &["226 done\r\n", "EPSV\r\n", "229 Extended (|||51202|)\r\n"]);
    written.packets
}

fn rtsp_echo() -> Vec<Vec<u8>> {
    let mut written = Written::default();
    let mut control = written.connect("10.1.2.3:40000", "198.51.100.7:554", true);
    let asks = "SETUP rtsp://198.51.100.7/a RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=6000-6001\r\n\r\n";
    let answers = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 9\r\n\
                   Transport: RTP/AVP;unicast;client_port=6000-6001;server_port=6000-6001\r\n\r\n";
    written.say(&mut control, 0, asks);
    written.say(&mut control, 1, answers);
    written.datagram("198.51.100.7:6000", "10.1.2.3:6000", b"media");
    written.say(&mut control, 0, "TEARDOWN rtsp://198.51.100.7/a RTSP/1.0\r\nCSeq: 2\r\nSession: 9\r\n\r\n");
    written.close(&mut control);
    written.packets
}

fn tftp() -> Vec<Vec<u8>> {
    let mut written = Written::default();
    written.datagram("10.1.2.3:4000", "198.51.100.7:69", b"\0\x01file\0octet\0");
    written.datagram("198.51.100.7:33000", "10.1.2.3:4000", b"\0\x03\0\x01contents");
    written.datagram("10.1.2.3:4000", "198.51.100.7:33000", b"\0\x04\0\x01");
    written.packets
}

/// rsh twice at once, and a port that nobody connects to.
fn rcmd_client_inside() -> Vec<Vec<u8>> {
    let mut written = Written::default();
    for (control, port, is_used) in [(1023, 1022, true), (1021, 999, false)] {
        let mut talk = written.connect(&format!("10.1.2.3:{control}"), "198.51.100.7:514", true);
        written.say(&mut talk, 0, &format!("{port}\0"));
        if is_used {
            let mut errors = written.connect("198.51.100.7:1023", "10.1.2.3:1022", true);
            written.say(&mut talk, 0, "1020\0bob\0ls\0");
            written.say(&mut errors, 0, "ls: not found\n");
            written.close(&mut errors);
        }
        written.say(&mut talk, 1, "\0");
        written.close(&mut talk);
    }
    written.packets
}

fn unreachables() -> Vec<Vec<u8>> {
    let mut written = Written::default();
    written.datagram("10.1.2.3:4000", "198.51.100.7:9", b"anybody?");
    written.unreachable("192.0.2.250");
    let mut talk = written.connect("10.1.2.3:4000", "198.51.100.7:80", true);
    written.segment(&mut talk, 0, PSH | ACK, "GET / HTTP/1.0\r\n\r\n");
    written.unreachable("192.0.2.250");
    written.packets
}

const OWN_INDEX: &str = "
### ftp/client_inside.pcap
- inside: 10.1.2.3
- rewrite: PORT 10,1,2,3,19,136; EPRT |1|10.1.2.3|5001|
- doors: PORT tcp 10.1.2.3:5000; EPRT tcp 10.1.2.3:5001
### ftp/begun_late.pcap
- inside: 10.1.2.3
- rewrite: PORT 10,1,2,3,19,136; EPRT |1|10.1.2.3|5001|
- doors: PORT tcp 10.1.2.3:5000; EPRT tcp 10.1.2.3:5001
### ftp/server_inside.pcap
- inside: 10.1.2.4
- rewrite: 227 Entering Passive Mode (10,1,2,4,200,1); 229 (|||51202|)
- doors: 227 tcp 10.1.2.4:51201; 229 tcp server:51202
### ftp/quoted.pcap
- inside: 10.1.2.3
- rewrite: PORT 10,1,2,3,19,136
- doors: PORT tcp 10.1.2.3:5000
### rtsp/echo.pcap
- inside: 10.1.2.3
- rewrite: Transport: RTP/AVP;unicast;client_port=6000-6001
- doors: udp client 6000-6001
### tftp/request.pcap
- inside: 10.1.2.3
- rewrite: nothing
- doors: udp 10.1.2.3:4000 from 198.51.100.7 any port
### rcmd/client_inside.pcap
- inside: 10.1.2.3
- rewrite: stderr port 1022; stderr port 999
- doors: tcp 10.1.2.3:1022 from 198.51.100.7; tcp 10.1.2.3:999 from 198.51.100.7
### icmp/unreachables.pcap
- inside: 10.1.2.3
- rewrite: what is quoted
- doors: none
";

/// A folder with captures of the conversations above.
fn own_folder(name: &str, index: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let captures = [
        ("ftp/client_inside.pcap", ftp_client_inside(true)),
        ("ftp/begun_late.pcap", ftp_client_inside(false)),
        ("ftp/server_inside.pcap", ftp_server_inside()),
        ("ftp/quoted.pcap", ftp_quoted()),
        ("rtsp/echo.pcap", rtsp_echo()),
        ("tftp/request.pcap", tftp()),
        ("rcmd/client_inside.pcap", rcmd_client_inside()),
        ("icmp/unreachables.pcap", unreachables()),
    ];
    for (path, packets) in captures {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        capture::write(&path, DataLink::RAW, &packets).expect("a capture");
    }
    std::fs::write(folder.join("INDEX.md"), index).expect("an index");
    folder
}

#[test]
fn conversations_written_here_are_played() {
    let folder = own_folder("player", OWN_INDEX);
    let entries = entries(&folder);
    assert_eq!(entries.len(), 8);
    let wrong: Vec<String> = entries.iter().flat_map(|entry| play_entry(&folder, entry)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cut_everywhere(&folder), Vec::<String>::new());
}

/// What the player says of an index that is wrong about a capture.
fn complaints(name: &str, before: &str, after: &str, path: &str) -> String {
    assert!(OWN_INDEX.contains(before), "{before}");
    let folder = own_folder(name, &OWN_INDEX.replace(before, after));
    let entry = entries(&folder).into_iter().find(|entry| entry.path == path).expect("an entry");
    play_entry(&folder, &entry).join("\n")
}

#[test]
fn a_wrong_index_is_noticed() {
    let rewrite = "- rewrite: PORT 10,1,2,3,19,136; EPRT |1|10.1.2.3|5001|\n";
    let doors = "- doors: PORT tcp 10.1.2.3:5000; EPRT tcp 10.1.2.3:5001";
    let path = "ftp/client_inside.pcap";
    let before = format!("{rewrite}{doors}");
    let said = complaints("unlisted", &before, "- rewrite: x\n- doors: PORT tcp 10.1.2.3:5000", path);
    assert!(said.contains("a door that is not listed"), "{said}");
    assert!(said.contains("EPRT |1|10' became '203'"), "{said}");
    let more = format!("{doors}; PORT tcp 10.1.2.3:5002");
    let said = complaints("missing", doors, &more, path);
    assert!(said.contains("10.1.2.3:5002 was not announced"), "{said}");
}

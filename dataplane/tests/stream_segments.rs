//! A stream, segment by segment: what goes on, what is held, what is acknowledged for whom.

use dataplane::stream::{Buffers, Cause, Chunks, Means, Opening, Sender, Shifts, Stream};
use dataplane::wire::tcp::{ACK, FIN, PSH, RST, SYN, URG};
use mem::{Packet, Slab};
use testkit::packet::{DF, Ipv4, TCP, Tcp, seal};
use testkit::simulator::lines::Lines;

const CLIENT: Sender = Sender::Client;
const SERVER: Sender = Sender::Server;
/// Initial sequence numbers: both wrap around within a few bytes.
const START: [u32; 2] = [u32::MAX - 7, u32::MAX - 3];
const MSS: u16 = 536;

struct Store(Slab, bool);

impl Buffers for Store {
    fn take(&mut self) -> Option<Packet> {
        if self.1 { self.0.allocate(0) } else { None }
    }
}

/// A stream under test. Sequence numbers are relative: each side's first byte is 0.
struct Table {
    store: Store,
    chunks: Chunks,
    stream: Stream,
    lines: Lines,
    now: u32,
}

/// A segment, as it is sent and as it comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    sender: Sender,
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    urgent: u16,
    sack: Vec<(u32, u32)>,
    payload: Vec<u8>,
}

fn segment(sender: Sender, seq: u32, ack: u32, payload: &[u8]) -> Segment {
    let flags = if payload.is_empty() { ACK } else { ACK | PSH };
    Segment { sender, seq, ack, flags, window: 8000, urgent: 0, sack: Vec::new(), payload: payload.to_vec() }
}

fn opening(sender: Sender) -> Opening {
    let ends = [([10, 0, 0, 2], 40000), ([198, 51, 100, 7], 21)];
    let at = sender as usize;
    Opening {
        source: ends[at],
        destination: ends[1 - at],
        ttl: 60,
        sequence: START[at].wrapping_sub(1),
        window: 8000,
        segment_len_max: Some(MSS),
        window_scale: None,
        timestamp: None,
    }
}

impl Table {
    fn new() -> Table {
        let mut table = Table {
            store: Store(Slab::new(128, 2048), true),
            chunks: Chunks::new(64, 4000),
            stream: Stream::new(&opening(CLIENT), &opening(SERVER)),
            lines: Lines::default(),
            now: u32::MAX - 100,
        };
        // The end of the handshake.
        table.send(&segment(CLIENT, 0, 0, b""));
        table
    }

    fn with(&mut self, act: impl FnOnce(&mut Stream, &mut Means)) -> Vec<Segment> {
        let mut output = Vec::new();
        let mut means = Means {
            chunks: &mut self.chunks,
            buffers: &mut self.store,
            inspector: &mut self.lines,
            output: &mut output,
            now: self.now,
        };
        act(&mut self.stream, &mut means);
        let read = |e: dataplane::stream::Emission| read(e.sender, &e.packet.bytes()[usize::from(e.l3)..]);
        output.into_iter().map(read).collect()
    }

    fn send(&mut self, segment: &Segment) -> Vec<Segment> {
        let packet = self.store.0.copy_of(&write(segment), 0).expect("a buffer");
        self.with(|stream, means| stream.segment(segment.sender, packet, 14, 34, means))
    }

    /// Lets time pass up to the stream's next deadline.
    fn wait(&mut self) -> Vec<Segment> {
        self.now = self.stream.deadline().expect("something to wait for");
        self.with(|stream, means| stream.tick(means))
    }

    /// The payload that a receiver would put together of what was sent, from `start` on.
    fn check_end(mut self) {
        self.stream.close(&mut self.chunks);
        assert_eq!((self.chunks.in_use(), self.store.0.available()), (0, 128));
    }
}

fn write(segment: &Segment) -> Vec<u8> {
    let opening = opening(segment.sender);
    let own = START[segment.sender as usize];
    let other = START[segment.sender.other() as usize];
    let mut options = Vec::new();
    if !segment.sack.is_empty() {
        options.extend([1, 1, 5, 2 + 8 * segment.sack.len() as u8]);
        for (left, right) in &segment.sack {
            options.extend(other.wrapping_add(*left).to_be_bytes());
            options.extend(other.wrapping_add(*right).to_be_bytes());
        }
    }
    let header = Tcp {
        ports: (opening.source.1, opening.destination.1),
        seq: own.wrapping_add(segment.seq),
        ack: other.wrapping_add(segment.ack),
        flags: segment.flags,
        window: segment.window,
        urgent: segment.urgent,
    };
    let ends = (opening.source.0.into(), opening.destination.0.into());
    let outer = Ipv4 { id: 0, fragment: DF, ttl: 60, ..Ipv4::new(ends, TCP) };
    let packet = outer.sealed(&header.around(&options, &segment.payload));
    [vec![0; 14], packet].concat()
}

fn read(sender: Sender, packet: &[u8]) -> Segment {
    let long = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
    let short = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let mut sealed = packet.to_vec();
    seal(&mut sealed);
    assert_eq!(sealed, packet, "lengths and checksums are right");
    let (source, destination) = (opening(sender).source, opening(sender).destination);
    assert_eq!((&packet[12..16], &packet[16..20]), (&source.0[..], &destination.0[..]));
    assert_eq!((short(20), short(22)), (source.1, destination.1));
    let headers_len = 20 + usize::from(packet[32] >> 4) * 4;
    let own = START[sender as usize];
    let other = START[sender.other() as usize];
    let mut sack = Vec::new();
    if let Some(at) = packet[40..headers_len].iter().position(|kind| *kind == 5).map(|at| 40 + at) {
        for block in (at + 2..at + usize::from(packet[at + 1])).step_by(8) {
            sack.push((long(block).wrapping_sub(other), long(block + 4).wrapping_sub(other)));
        }
    }
    Segment {
        sender,
        seq: long(24).wrapping_sub(own),
        ack: long(28).wrapping_sub(other),
        flags: packet[33],
        window: short(34),
        urgent: short(38),
        sack,
        payload: packet[headers_len..].to_vec(),
    }
}

/// What `G` becomes.
const GROWN: &[u8] = b"<grown by some bytes>";

#[test]
fn what_is_not_changed_goes_on_as_it_came() {
    let mut table = Table::new();
    let mut line = segment(CLIENT, 0, 0, b"two\nlines\n");
    (line.flags, line.urgent) = (ACK | PSH | URG, 3);
    assert_eq!(table.send(&line), [line]);
    let answer = segment(SERVER, 0, 10, b"answer\n");
    assert_eq!(table.send(&answer), [answer]);
    let mut selective = segment(CLIENT, 10, 7, b"");
    selective.sack = vec![(3, 5), (20, 30)];
    assert_eq!(table.send(&selective), [selective]);
    assert_eq!((table.chunks.counters().generated, table.stream.deadline()), (0, None));
    table.check_end();
}

#[test]
fn an_unfinished_message_waits_and_is_acknowledged_only_when_its_sender_does() {
    let mut table = Table::new();
    // The acknowledgement that comes with it does not wait.
    assert_eq!(table.send(&segment(SERVER, 0, 0, b"hi\n")).len(), 1);
    assert_eq!(table.send(&segment(CLIENT, 0, 3, b"a G")), [segment(CLIENT, 0, 3, b"")]);
    assert_eq!(table.wait(), [segment(SERVER, 3, 3, b"")], "the sender waits");
    let changed = [b"a ", GROWN, b"b\n"].concat();
    assert_eq!(table.send(&segment(CLIENT, 3, 3, b"b\n")), [segment(CLIENT, 0, 3, &changed)]);
    // The receiver's acknowledgement of a part is below what the sender was told.
    assert_eq!(table.send(&segment(SERVER, 3, 2, b"")), []);
    assert_eq!(table.wait(), [segment(CLIENT, 2, 3, &changed[2..])], "it is ours to deliver");
    let len = changed.len() as u32;
    assert_eq!(table.send(&segment(SERVER, 3, len, b"")), [segment(SERVER, 3, 5, b"")]);
    assert_eq!((table.stream.deadline(), table.chunks.in_use()), (None, 0));
    table.check_end();
}

#[test]
fn a_changed_message_is_repeated_identically_however_it_is_cut() {
    let mut table = Table::new();
    let changed = [b"x", GROWN, b"y", GROWN, b"\n"].concat();
    let len = changed.len() as u32;
    table.send(&segment(CLIENT, 0, 0, b"ab\n"));
    assert_eq!(table.send(&segment(CLIENT, 3, 0, b"xGyG\ncd\n")).len(), 2);
    for (seq, payload) in [(3, &b"xG"[..]), (4, b"GyG\n"), (5, b"y"), (7, b"\n")] {
        let sent = table.send(&segment(CLIENT, seq, 0, payload));
        assert_eq!(sent, [segment(CLIENT, 3, 0, &changed)], "repeated from {seq}");
    }
    let sent = table.send(&segment(CLIENT, 1, 0, b"b\nxGyG\nc"));
    let expected =
        [segment(CLIENT, 1, 0, b"b\n"), segment(CLIENT, 3, 0, &changed), segment(CLIENT, 3 + len, 0, b"c")];
    assert_eq!(sent, expected);
    // What follows is shifted, both ways, and still is when the change has been acknowledged.
    for _ in 0..2 {
        let mut report = segment(SERVER, 0, 3 + len + 3, b"");
        report.sack = vec![(3 + len + 4, 3 + len + 9)];
        let sent = table.send(&report);
        assert_eq!((sent[0].ack, &sent[0].sack[..]), (11, &[(12, 17)][..]));
    }
    assert_eq!(table.send(&segment(CLIENT, 11, 0, b"ok\n")), [segment(CLIENT, len + 6, 0, b"ok\n")]);
    // A keep-alive: the byte before.
    assert_eq!(table.send(&segment(CLIENT, 10, 0, b"")), [segment(CLIENT, len + 5, 0, b"")]);
    table.check_end();
}

#[test]
fn reports_from_inside_a_change_count_for_its_beginning() {
    let mut table = Table::new();
    table.send(&segment(CLIENT, 0, 0, b"ab\n"));
    let len = table.send(&segment(CLIENT, 3, 0, b"xG\n"))[0].payload.len() as u32;
    let shift = len - 3;
    let mut report = segment(SERVER, 0, 5, b"");
    report.sack = vec![(6, 3 + len + 4), (4, 5)];
    let sent = table.send(&report);
    assert_eq!((sent[0].ack, &sent[0].sack[..]), (3, &[(6, 10)][..]));
    // ICMP errors quote what was sent; the sender must see what it sent.
    let (own, other) = (START[0], START[1]);
    for (sent, quoted) in [(2, 2), (3, 3), (9, 3), (3 + len, 6), (3 + len + 5, 11)] {
        let numbers = table.stream.quoted(&table.chunks, CLIENT, own.wrapping_add(sent), other);
        assert_eq!(numbers, (own.wrapping_add(quoted), other), "{sent}");
    }
    let (_, ack) = table.stream.quoted(&table.chunks, SERVER, other, own.wrapping_add(6));
    assert_eq!(ack, own.wrapping_add(6 + shift));
    table.check_end();
}

#[test]
fn of_contradicting_bytes_the_first_count() {
    let mut table = Table::new();
    assert_eq!(table.send(&segment(CLIENT, 6, 0, b"seven\n")).len(), 1, "a gap is reported");
    table.send(&segment(CLIENT, 2, 0, b"xx"));
    let sent = table.send(&segment(CLIENT, 0, 0, b"pYZZQ\nSEVEN"));
    let payload: Vec<u8> =
        sent.iter().filter(|s| s.sender == CLIENT).flat_map(|s| s.payload.clone()).collect();
    assert_eq!(payload, b"pYxxQ\nseven\n");
    assert_eq!(table.chunks.counters().contradictions, 1);
    table.check_end();
}

#[test]
fn growth_is_cut_to_segments_and_waits_for_the_window() {
    let mut table = Table::new();
    let mut ack = segment(SERVER, 0, 0, b"");
    ack.window = 1000;
    table.send(&ack);
    let sent = table.send(&segment(CLIENT, 0, 0, b"B\n"));
    let lens: Vec<_> = sent.iter().map(|s| (s.seq, s.payload.len())).collect();
    assert_eq!(lens, [(0, 536), (536, 464)]);
    // Complete, but nothing overtakes what waits.
    assert_eq!(table.send(&segment(CLIENT, 2, 0, b"next\n")), []);
    (ack.ack, ack.window) = (1000, 5000);
    let sent = table.send(&ack);
    let lens: Vec<_> = sent.iter().map(|s| (s.sender, s.seq, s.payload.len())).collect();
    let parts = [(CLIENT, 1000, 200), (CLIENT, 1200, 536), (CLIENT, 1736, 536), (CLIENT, 2272, 128)];
    assert!(parts[1..].iter().all(|part| lens.contains(part)) || lens.len() >= 5, "{lens:?}");
    assert_eq!(lens.iter().filter(|part| part.0 == CLIENT).map(|part| part.2).sum::<usize>(), 2001 + 5);
    let last = sent.iter().rev().find(|s| !s.payload.is_empty()).unwrap();
    assert_eq!(last.payload, b"next\n");
    table.check_end();
}

#[test]
fn a_closed_window_is_probed() {
    let mut table = Table::new();
    let mut ack = segment(SERVER, 0, 0, b"");
    ack.window = 0;
    table.send(&ack);
    // All of it is acknowledged for the receiver at once, as the sender may send no more: it will not probe.
    assert_eq!(table.send(&segment(CLIENT, 0, 0, b"G"))[0].ack, 1);
    table.send(&segment(CLIENT, 1, 0, b"\n"));
    for _ in 0..30 {
        let probe = table.wait();
        assert_eq!(probe.iter().filter(|s| s.sender == CLIENT).map(|s| s.payload.len()).sum::<usize>(), 1);
        table.send(&ack);
    }
    assert_eq!(table.stream.detached(), None, "a receiver that answers is waited for");
    ack.window = 100;
    ack.ack = 1;
    let sent = table.send(&ack);
    assert!(sent.iter().any(|s| s.payload == [&GROWN[1..], b"\n"].concat()), "{sent:?}");
    table.check_end();
}

#[test]
fn what_precedes_a_change_is_repeated_while_the_change_waits() {
    let mut table = Table::new();
    let mut ack = segment(SERVER, 0, 0, b"");
    ack.window = 100;
    table.send(&ack);
    table.send(&segment(CLIENT, 0, 0, b"lost\n"));
    table.send(&segment(CLIENT, 5, 0, b"B\n"));
    assert_eq!(table.send(&segment(CLIENT, 0, 0, b"lost\n")), [segment(CLIENT, 0, 0, b"lost\n")]);
    table.check_end();
}

#[test]
fn an_empty_segment_beyond_the_window_is_a_probe() {
    let mut table = Table::new();
    table.send(&segment(CLIENT, 0, 0, b"G\n"));
    let mut ack = segment(SERVER, 0, 22, b"");
    ack.window = 0;
    table.send(&ack);
    // The number before the receiver's next: it must answer, and tells its window.
    assert_eq!(table.send(&segment(CLIENT, 7, 0, b"")), [segment(CLIENT, 21, 0, b"")]);
    table.check_end();
}

/// The sender may be beyond the window that it knows of now, as it was told of a larger one before: for the bytes that
/// were acknowledged to it, the receiver's last window was all that was known.
#[test]
fn an_acknowledgement_beyond_the_window_is_none() {
    let mut table = Table::new();
    let window = |ack, window| Segment { window, ..segment(SERVER, 0, ack, b"") };
    table.send(&window(0, 72));
    assert_eq!(table.send(&segment(CLIENT, 0, 0, &[b'p'; 72]))[0].ack, 72, "for the receiver");
    table.send(&segment(CLIENT, 72, 0, &[&[b'p'; 54][..], b"\n"].concat()));
    table.send(&window(72, 20));
    table.send(&window(92, 34));
    table.send(&Segment { payload: b"pq\n".to_vec(), ..window(92, 34) });
    // A number that the receiver accepts, or it would not look at the acknowledgement.
    assert_eq!(table.send(&segment(CLIENT, 127, 3, b"")), [segment(CLIENT, 125, 3, b"")]);
    // Without news it is a probe still.
    assert_eq!(table.send(&segment(CLIENT, 127, 3, b"")), [segment(CLIENT, 91, 3, b"")]);
    table.check_end();
}

#[test]
fn undeliverable_bytes_end_the_connection() {
    let mut table = Table::new();
    table.send(&segment(CLIENT, 0, 0, b"G"));
    table.wait();
    table.send(&segment(CLIENT, 1, 0, b"\n"));
    let mut last = Vec::new();
    for _ in 0..40 {
        if table.stream.deadline().is_none() {
            break;
        }
        last = table.wait();
    }
    assert_eq!(table.stream.detached(), Some(Cause::Undeliverable));
    let resets: Vec<_> = last.iter().map(|s| (s.sender, s.seq, s.flags)).collect();
    assert_eq!(resets, [(CLIENT, 0, RST | ACK), (SERVER, 0, RST | ACK)]);
    table.check_end();
}

#[test]
fn an_end_inside_a_message_lets_it_go() {
    let mut table = Table::new();
    table.send(&segment(CLIENT, 0, 0, b"G\n"));
    let mut end = segment(CLIENT, 2, 0, b"no G end");
    end.flags |= FIN;
    let sent = table.send(&end);
    let shifted = segment(CLIENT, 22, 0, b"no G end");
    assert_eq!(
        (sent[0].seq, &sent[0].payload, sent.last().unwrap().flags & FIN),
        (22, &shifted.payload, FIN)
    );
    assert_eq!(table.stream.detached(), Some(Cause::Truncated));
    // Half closed: the other side goes on, unread, and numbers are still mapped.
    assert_eq!(table.send(&segment(SERVER, 0, 31, b"G\n")), [segment(SERVER, 0, 11, b"G\n")]);
    assert!(table.stream.is_settled(&table.chunks));
    let shifts = table.stream.shifts();
    assert_eq!(shifts, Shifts { client: 20, server: 0 });
    let mut packet = table.store.0.copy_of(&write(&segment(SERVER, 2, 31, b"x")), 0).unwrap();
    assert!(shifts.apply(SERVER, &mut packet, 14, 34));
    assert_eq!(read(SERVER, &packet.bytes()[14..]), segment(SERVER, 2, 11, b"x"));
    drop(packet);
    table.check_end();
}

#[test]
fn a_foreign_line_detaches_for_good() {
    let mut table = Table::new();
    table.send(&segment(CLIENT, 0, 0, b"held"));
    table.send(&segment(CLIENT, 9, 0, b"beyond a gap"));
    let sent = table.send(&segment(SERVER, 0, 0, b"X-Protocol\n"));
    let payload = |sender| {
        let of = sent.iter().filter(move |s| s.sender == sender);
        of.map(|s| (s.seq, s.payload.clone())).filter(|(_, p)| !p.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(payload(CLIENT), [(0, b"held".to_vec()), (9, b"beyond a gap".to_vec())]);
    assert_eq!(payload(SERVER), [(0, b"X-Protocol\n".to_vec())]);
    assert_eq!(table.stream.detached(), Some(Cause::Refused));
    let line = segment(CLIENT, 4, 0, b"G\nG\nG");
    assert_eq!(table.send(&line).last(), Some(&line), "never read again");
    table.check_end();
}

#[test]
fn long_messages_detach_and_missing_memory_lets_nothing_pass() {
    let mut table = Table::new();
    for at in 0..8 {
        let part = segment(CLIENT, at * 500, 0, &[b'a'; 500]);
        table.send(&part);
    }
    assert_eq!(table.stream.detached(), Some(Cause::TooLong));
    table.check_end();

    let mut table = Table::new();
    table.store.1 = false;
    assert_eq!(table.send(&segment(CLIENT, 0, 0, b"G\n")), []);
    assert_eq!(table.stream.detached(), Some(Cause::Undeliverable));
    table.check_end();
}

#[test]
fn resets_and_handshakes_pass() {
    let mut table = Table::new();
    let mut syn = segment(CLIENT, u32::MAX, 0, b"");
    syn.flags = SYN;
    table.send(&segment(CLIENT, 0, 0, b"G\n"));
    assert_eq!(table.send(&syn), [syn]);
    table.send(&segment(CLIENT, 2, 0, b"held"));
    let mut reset = segment(CLIENT, 4000, 0, b"");
    reset.flags = RST;
    // A guess resets nothing here.
    assert_eq!(table.send(&reset).len(), 1);
    assert_eq!(table.stream.detached(), None);
    reset.seq = 6;
    let sent = table.send(&reset);
    assert_eq!((sent.len(), sent[0].seq), (1, 22), "the number that the receiver expects");
    assert_eq!((table.stream.detached(), table.chunks.in_use()), (Some(Cause::Reset), 0));
    table.check_end();
}

/// The responder says what it waits for; the initiator, which knows of no connection, answers with a reset.
fn number_of_reset_that_answers(table: &mut Table, ack: u32) -> u32 {
    let challenge = table.send(&segment(SERVER, 0, ack, b""));
    assert_eq!(challenge.len(), 1, "the challenge goes on: {challenge:?}");
    let reset = Segment { flags: RST, ..segment(CLIENT, challenge[0].ack, 0, b"") };
    let sent = table.send(&reset);
    assert_eq!((sent.len(), sent[0].flags), (1, RST));
    sent[0].seq
}

type Act = fn(&mut Table);

/// The sender is told more than the receiver acknowledges: five bytes, which become more.
fn tell(table: &mut Table) {
    table.send(&segment(CLIENT, 0, 0, b"a G"));
    table.wait();
    table.send(&segment(CLIENT, 3, 0, b"b\n"));
}

#[test]
fn a_reset_that_answers_has_the_number_that_its_receiver_waits_for() {
    let rows: [Act; 5] = [
        tell,
        |table| {
            tell(table);
            table.send(&segment(CLIENT, 5, 0, b"held"));
        },
        |table| {
            tell(table);
            table.send(&segment(SERVER, 0, 0, b"X-Protocol\n"));
            assert_eq!(table.stream.detached(), Some(Cause::Refused));
        },
        |table| assert_eq!(table.send(&segment(CLIENT, 0, 0, b"a\nGG\n")).len(), 2),
        |table| assert_eq!(table.send(&segment(CLIENT, 0, 0, b"a\nb\n")).len(), 1),
    ];
    for (row, before) in rows.iter().enumerate() {
        for ack in 0..4 {
            let mut table = Table::new();
            before(&mut table);
            // A SYN only where its sender was told more: without one, that is not contradicted.
            if row < 3 {
                table.stream.note_reopening();
            }
            for time in 0..3 {
                assert_eq!(number_of_reset_that_answers(&mut table, ack), ack, "row {row}, time {time}");
            }
            assert!(table.stream.is_settled(&table.chunks));
            table.check_end();
        }
    }
}

#[test]
fn behind_the_end_of_a_stream_a_reset_that_answers_has_its_number_too() {
    let mut table = Table::new();
    tell(&mut table);
    let reset = Segment { flags: RST, ..segment(CLIENT, 5, 0, b"") };
    assert_eq!(table.send(&reset)[0].seq, 4 + GROWN.len() as u32, "if all has arrived");
    assert_eq!(table.stream.detached(), Some(Cause::Reset));
    assert_eq!(number_of_reset_that_answers(&mut table, 1), 1);
    table.check_end();
}

#[test]
fn whoever_goes_on_after_a_connection_was_given_up_is_told_again() {
    let mut table = Table::new();
    tell(&mut table);
    while table.stream.deadline().is_some() {
        table.wait();
    }
    assert_eq!(table.stream.detached(), Some(Cause::Undeliverable));
    let told = |sent: Vec<Segment>| sent.iter().map(|s| (s.sender, s.flags, s.seq)).collect::<Vec<_>>();
    for _ in 0..2 {
        assert_eq!(told(table.send(&segment(SERVER, 0, 1, b""))), [(CLIENT, RST | ACK, 1)]);
        let more = table.send(&segment(CLIENT, 5, 0, b"10.0.0.2\n"));
        assert_eq!(told(more), [(SERVER, RST | ACK, 0)], "and nothing passes unread");
    }
    assert_eq!(table.send(&segment(CLIENT, 1 << 30, 0, b"")), [], "no guess is answered");
    table.check_end();
}

#[test]
fn a_deleted_message_is_acknowledged() {
    let mut table = Table::new();
    assert_eq!(table.send(&segment(CLIENT, 0, 0, b"Deleted\n")), [segment(SERVER, 0, 8, b"")]);
    assert_eq!(table.send(&segment(CLIENT, 8, 0, b"next\n")), [segment(CLIENT, 0, 0, b"next\n")]);
    // In flight, it is acknowledged with what came before.
    assert_eq!(table.send(&segment(CLIENT, 13, 0, b"Deleted\n")), []);
    assert_eq!(table.send(&segment(SERVER, 0, 5, b"")), [segment(SERVER, 0, 21, b"")]);
    table.check_end();
}

#[test]
fn a_wrong_checksum_is_not_read() {
    let mut table = Table::new();
    let mut frame = write(&segment(CLIENT, 0, 0, b"line\n"));
    *frame.last_mut().unwrap() ^= 1;
    let packet = table.store.0.copy_of(&frame, 0).unwrap();
    let sent = table.with(|stream, means| stream.segment(CLIENT, packet, 14, 34, means));
    assert_eq!((sent, table.chunks.counters().malformed), (vec![], 1));
    table.check_end();
}

#[test]
fn a_line_in_single_bytes_is_put_together_once() {
    let mut table = Table::new();
    let len = 3900;
    for at in 0..len {
        assert_eq!(table.send(&segment(CLIENT, at, 0, b"a")), [], "byte {at} waits");
    }
    assert_eq!(table.chunks.counters().gathered, 0, "nothing was worth reading");
    let sent: usize = table.send(&segment(CLIENT, len, 0, b"\n")).iter().map(|s| s.payload.len()).sum();
    assert_eq!((sent as u32, table.chunks.counters().gathered), (len + 1, u64::from(len) + 1));
    table.check_end();
}

#[test]
fn many_changed_lines_that_come_at_once_are_read_where_they_are() {
    let mut table = Table::new();
    let line = [b"R", &[b'a'; 70][..], b"\n"].concat();
    let lines = line.repeat(50);
    let (parts, gap) = (lines[8..].chunks(1000), &lines[..8]);
    for (n, part) in parts.enumerate() {
        table.send(&segment(CLIENT, 8 + 1000 * n as u32, 0, part));
    }
    assert_eq!(table.lines.released(CLIENT), 0, "the first bytes are missing");
    table.send(&segment(CLIENT, 0, 0, gap));
    assert_eq!((table.lines.released(CLIENT), table.chunks.counters().edited), (lines.len(), 50));
    let gathered = table.chunks.counters().gathered;
    assert!(gathered <= 5 * lines.len() as u64, "{gathered} bytes were put together for {}", lines.len());
    table.check_end();
}

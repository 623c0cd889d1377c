//! A host with one TCP socket, and the program that uses it: it writes a script in chunks, and reads to the end.

use std::cell::Cell;
use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::packet::{ACK, FIN, RST, SYN, seal};

/// What differs from host to host.
#[derive(Clone, Debug)]
pub struct HostSetup {
    /// Address and port.
    pub endpoint: ([u8; 4], u16),
    /// Bytes of the largest packet of its link.
    pub mtu: usize,
    /// Bytes it receives before its program reads them.
    pub receive_room: usize,
    /// Bytes its program writes before they are acknowledged.
    pub send_room: usize,
    /// Small segments wait for acknowledgements (RFC 896).
    pub nagle: bool,
    /// How long it waits with acknowledgements, in milliseconds.
    pub ack_delay_ms: Option<u64>,
    /// It offers timestamps (RFC 7323).
    pub timestamps: bool,
    /// What its program says.
    pub script: Vec<u8>,
    /// The longest chunk it writes at once.
    pub write_len_max: usize,
    /// The longest pause between writes, and between reads, in milliseconds.
    pub pause_ms_max: u64,
    /// How long it reads nothing once in a while, until its window is closed perhaps, in milliseconds.
    pub nap_ms: u64,
}

thread_local! {
    /// What hosts put into timestamps: they ask for it through a plain function.
    static CLOCK_MS: Cell<u32> = const { Cell::new(0) };
}

fn timestamp() -> u32 {
    CLOCK_MS.get()
}

/// A running host.
pub struct Host {
    setup: HostSetup,
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    generator: SmallRng,
    written: usize,
    /// Its program may have more to say than it knows yet.
    is_open: bool,
    /// What its program has read.
    pub received: Vec<u8>,
    next_write_ms: u64,
    next_read_ms: u64,
    /// Behind the last byte it said it has room for.
    edge: Option<u32>,
    /// Its last packet could be a probe of a window: it had a byte at most, and no FIN.
    sent_probe: bool,
    /// The furthest acknowledgement that arrived.
    acked: Option<u32>,
    /// Its last packet was empty and no reset.
    sent_nothing: bool,
    /// Segments in a row that began behind that: what is to be repeated was left out.
    skipped: u32,
    /// Behind the last byte it sent.
    sent_end: Option<u32>,
    /// The headers of its last segment but resets, without options.
    last_headers: Option<[u8; HEADERS_LEN]>,
    /// The number behind all that it sent.
    next_number: Option<u32>,
    /// Its last packet without data has a number that it sent before.
    is_rewound: bool,
}

impl Host {
    /// A host at rest.
    pub fn new(setup: HostSetup, seed: u64, now_ms: u64) -> Host {
        let mut wire = Wire { mtu: setup.mtu, arrived: VecDeque::new(), sent: Vec::new() };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, instant(now_ms));
        let [a, b, c, d] = setup.endpoint.0;
        interface.update_ip_addrs(|addresses| {
            // There is room for one, at least.
            let _ = addresses.push(IpCidr::new(IpAddress::v4(a, b, c, d), 0));
        });
        let room = |len: usize| SocketBuffer::new(vec![0; len]);
        let mut socket = Socket::new(room(setup.receive_room), room(setup.send_room));
        socket.set_nagle_enabled(setup.nagle);
        socket.set_ack_delay(setup.ack_delay_ms.map(Duration::from_millis));
        socket.set_tsval_generator(setup.timestamps.then_some(timestamp));
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(socket);
        let (received, generator) = (Vec::new(), SmallRng::seed_from_u64(seed));
        let (next_write_ms, next_read_ms) = (now_ms, now_ms);
        Host {
            setup,
            wire,
            interface,
            sockets,
            socket,
            generator,
            written: 0,
            is_open: false,
            received,
            edge: None,
            sent_probe: false,
            sent_nothing: false,
            acked: None,
            skipped: 0,
            sent_end: None,
            last_headers: None,
            next_number: None,
            is_rewound: false,
            next_write_ms,
            next_read_ms,
        }
    }

    /// Waits for a connection.
    pub fn listen(&mut self) {
        let port = self.setup.endpoint.1;
        self.sockets.get_mut::<Socket>(self.socket).listen(port).expect("a port to listen on");
    }

    /// From now on its program talks when it is told to, until it is told that this was all.
    pub fn keep_open(&mut self) {
        self.is_open = true;
    }

    /// Its program has more to say.
    pub fn say(&mut self, bytes: &[u8]) {
        self.setup.script.extend_from_slice(bytes);
    }

    /// Its program closes when it has said everything.
    pub fn fall_silent(&mut self) {
        self.is_open = false;
    }

    /// Opens a connection.
    pub fn connect(&mut self, ([a, b, c, d], port): ([u8; 4], u16)) {
        let socket = self.sockets.get_mut::<Socket>(self.socket);
        let to = (IpAddress::v4(a, b, c, d), port);
        socket.connect(self.interface.context(), to, self.setup.endpoint.1).expect("a socket to connect");
    }

    /// Its program gives up: its connection is reset. Packets it sends are returned.
    pub fn abort(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        self.sockets.get_mut::<Socket>(self.socket).abort();
        self.run(now_ms)
    }

    /// A packet arrives.
    pub fn arrive(&mut self, mut packet: Vec<u8>) {
        if packet[33] & (SYN | ACK | RST) == SYN {
            self.challenge();
        }
        // A segment is cut to the window, and with its end goes its FIN (RFC 9293 section 3.10.7.4). smoltcp takes the
        // FIN for the end of what it kept.
        let payload_len = packet.len() - 20 - usize::from(packet[32] >> 4) * 4;
        let end = long(&packet, 24).wrapping_add(payload_len as u32);
        let is_beyond = self.edge.is_some_and(|edge| (edge.wrapping_sub(end) as i32) < 0);
        if packet[33] & FIN != 0 && payload_len > 0 && is_beyond {
            packet[33] &= !FIN;
            seal(&mut packet);
        }
        let ack = long(&packet, 28);
        // What was not sent cannot be acknowledged: a stranger's.
        let is_possible = self.next_number.is_some_and(|next| (next.wrapping_sub(ack) as i32) >= 0);
        let is_ahead = self.acked.is_none_or(|acked| (ack.wrapping_sub(acked) as i32) > 0);
        if packet[33] & ACK != 0 && is_possible && is_ahead {
            self.acked = Some(ack);
        }
        self.wire.arrived.push_back(packet);
    }

    /// Lets program and socket run at `now_ms`. Packets it sends are returned.
    pub fn run(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        CLOCK_MS.set(now_ms as u32);
        self.interface.poll(instant(now_ms), &mut self.wire, &mut self.sockets);
        self.read(now_ms);
        self.write(now_ms);
        self.interface.poll(instant(now_ms), &mut self.wire, &mut self.sockets);
        let sent = std::mem::take(&mut self.wire.sent);
        // Resets answer what is of no connection of its own: their numbers are others'.
        let own = || sent.iter().filter(|packet| packet[33] & RST == 0);
        if let Some(packet) = own().next_back() {
            self.last_headers = packet.first_chunk().copied();
            // No window is large enough to be scaled.
            self.edge =
                Some(long(packet, 28).wrapping_add(u32::from(packet[34]) << 8 | u32::from(packet[35])));
            let headers_len = 20 + usize::from(packet[32] >> 4) * 4;
            self.sent_probe = packet.len() <= headers_len + 1 && packet[33] & FIN == 0;
            self.sent_nothing = packet.len() == headers_len && packet[33] & FIN == 0;
        }
        own().for_each(|packet| self.note_numbers(packet));
        sent
    }

    /// Answers a SYN amid a connection with what it waits for, so that a client that restarted resets it (RFC 5961
    /// section 4). smoltcp is silent.
    fn challenge(&mut self) {
        let (Some(headers), Some(next), true) = (self.last_headers, self.next_number, self.is_synchronized())
        else {
            return;
        };
        let mut packet = headers.to_vec();
        packet[24..28].copy_from_slice(&next.to_be_bytes());
        (packet[32], packet[33]) = (0x50, ACK);
        seal(&mut packet);
        self.wire.sent.push(packet);
    }

    fn note_numbers(&mut self, packet: &[u8]) {
        let payload_len = packet.len() - 20 - usize::from(packet[32] >> 4) * 4;
        let end = long(packet, 24).wrapping_add(payload_len as u32);
        let is_ahead = self.sent_end.is_none_or(|sent| (end.wrapping_sub(sent) as i32) >= 0);
        if payload_len == 0 {
            self.is_rewound = !is_ahead;
        } else {
            let skips = self.acked.is_some_and(|acked| (long(packet, 24).wrapping_sub(acked) as i32) > 0);
            self.skipped = if skips { self.skipped + 1 } else { 0 };
        }
        if is_ahead {
            self.sent_end = Some(end);
        }
        let behind = end.wrapping_add(u32::from(packet[33] & (SYN | FIN) != 0));
        if self.next_number.is_none_or(|next| (behind.wrapping_sub(next) as i32) > 0) {
            self.next_number = Some(behind);
        }
    }

    fn read(&mut self, now_ms: u64) {
        let socket = self.sockets.get_mut::<Socket>(self.socket);
        if now_ms < self.next_read_ms || !socket.can_recv() {
            return;
        }
        let len = self.generator.random_range(1..=socket.recv_queue());
        let mut bytes = vec![0; len];
        let len = socket.recv_slice(&mut bytes).expect("bytes to read");
        self.received.extend_from_slice(&bytes[..len]);
        let is_napping = self.setup.nap_ms > 0 && self.generator.random_bool(0.02);
        self.next_read_ms = now_ms + if is_napping { self.setup.nap_ms } else { self.pause() };
    }

    fn write(&mut self, now_ms: u64) {
        let socket = self.sockets.get_mut::<Socket>(self.socket);
        if now_ms < self.next_write_ms || !socket.may_send() {
            return;
        }
        let rest = &self.setup.script[self.written..];
        if rest.is_empty() {
            if !self.is_open {
                socket.close();
            }
            return;
        }
        let len = self.generator.random_range(1..=self.setup.write_len_max.min(rest.len()));
        self.written += socket.send_slice(&rest[..len]).expect("room to write");
        self.next_write_ms = now_ms + self.pause();
    }

    fn pause(&mut self) -> u64 {
        // Mostly there is none, or every session would take minutes.
        if self.generator.random_bool(0.7) {
            0
        } else {
            self.generator.random_range(0..=self.setup.pause_ms_max)
        }
    }

    /// When to run again.
    pub fn next_ms(&mut self, now_ms: u64) -> Option<u64> {
        let due = self.interface.poll_at(instant(now_ms), &self.sockets).map(|at| at.total_millis() as u64);
        let socket = self.sockets.get::<Socket>(self.socket);
        let read = socket.can_recv().then_some(self.next_read_ms);
        let has_said_all = self.written == self.setup.script.len();
        let may_write = if has_said_all { !self.is_open } else { socket.can_send() };
        let write = (socket.may_send() && may_write).then_some(self.next_write_ms);
        [due, read, write].into_iter().flatten().min().map(|at| at.max(now_ms))
    }

    /// Whether it waits for a connection.
    pub fn is_listening(&self) -> bool {
        self.state() == State::Listen
    }

    /// Whether it has a connection that both sides agreed to, and that has not come to its end.
    pub fn is_synchronized(&self) -> bool {
        use State::{Closed, Listen, SynReceived, SynSent, TimeWait};
        !matches!(self.state(), Closed | Listen | SynReceived | SynSent | TimeWait)
    }

    /// Whether there is nothing that a new connection could be in the way of.
    pub fn is_free(&self) -> bool {
        matches!(self.state(), State::Closed | State::Listen | State::TimeWait)
    }

    /// Its sequence number and what it acknowledges, as it last said.
    pub fn numbers(&self) -> Option<[u32; 2]> {
        let headers = self.last_headers?;
        Some([24, 28].map(|at| long(&headers, at)))
    }

    fn state(&self) -> State {
        self.sockets.get::<Socket>(self.socket).state()
    }

    /// Whether both directions have come to their end, and all was read.
    pub fn is_done(&self) -> bool {
        let socket = self.sockets.get::<Socket>(self.socket);
        matches!(socket.state(), State::Closed | State::TimeWait) && !socket.can_recv()
    }

    /// Whether its socket waits for an acknowledgement without a timer to repeat what it waits for. smoltcp forgets a
    /// FIN when another acknowledgement arrives, and what was on its way when a closed window opens.
    pub fn has_forgotten(&mut self, now_ms: u64) -> bool {
        let has_timer = self.interface.poll_at(instant(now_ms), &self.sockets).is_some();
        let has_more = self.sockets.get::<Socket>(self.socket).send_queue() > 0;
        !has_timer && (self.awaits_fin() || has_more)
    }

    /// Whether it cannot go on: about to close, smoltcp takes no notice of a window that opens, and probes one where it
    /// should repeat its last data or its FIN; or it repeats the end of what is not acknowledged, and never its beginning.
    /// A closed window it probes with what it has not sent yet: where all was sent, with nothing, which nobody answers.
    pub fn is_stuck(&self) -> bool {
        let has_more = self.sockets.get::<Socket>(self.socket).send_queue() > 0;
        let is_silent = self.sent_nothing && has_more;
        is_silent || self.awaits_fin() && (self.sent_probe || self.skipped >= SKIPPED_MIN)
    }

    /// Whether its acknowledgements have a number that it sent before. While smoltcp repeats what it believes to be lost,
    /// it acknowledges from there; two that both do so refuse each other's for ever.
    pub fn is_rewound(&self) -> bool {
        self.is_rewound
    }

    /// Whether it waits for the acknowledgement of its FIN.
    fn awaits_fin(&self) -> bool {
        matches!(self.state(), State::FinWait1 | State::Closing | State::LastAck)
    }

    /// Whether it got all of the other side's data acknowledged, and has read all of it.
    pub fn is_settled(&self) -> bool {
        let socket = self.sockets.get::<Socket>(self.socket);
        self.written == self.setup.script.len() && socket.send_queue() == 0 && !socket.can_recv()
    }

    /// How much of what its program said the other side has acknowledged, in bytes.
    pub fn acknowledged(&self) -> usize {
        self.written - self.sockets.get::<Socket>(self.socket).send_queue()
    }

    /// What the socket says about itself, for messages.
    pub fn describe(&self) -> String {
        let socket = self.sockets.get::<Socket>(self.socket);
        let (state, written, queued) = (socket.state(), self.written, socket.send_queue());
        format!(
            "{state}, wrote {written} of {}, {queued} of them unacknowledged, read {}",
            self.setup.script.len(),
            self.received.len()
        )
    }
}

/// Bytes of both headers without options.
const HEADERS_LEN: usize = 40;
/// Segments in a row that leave out what is to be repeated first, after which it will not be repeated.
const SKIPPED_MIN: u32 = 8;

fn long(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}

fn instant(ms: u64) -> Instant {
    Instant::from_millis(ms as i64)
}

struct Wire {
    mtu: usize,
    arrived: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Arrived(Vec<u8>);

struct Sent<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Wire {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Sent<'_>)> {
        Some((Arrived(self.arrived.pop_front()?), Sent(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

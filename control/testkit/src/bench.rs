//! The appliance under test: its workers and control side on ports in memory, stepped by the test on a clock of
//! its own.
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alg::registry::ROWS;
use alg::{Refusal, Side};
use control::appliance::{Answering, Appliance};
use control::cli;
use control::compile::PortBinding;
use control::config::model::Interface;
use control::config::{Config, InterfaceName};
use control::question::Pending;
use dataplane::counters::{Count, Counters, WORKER_METRICS};
use dataplane::drops::DropReason;
use dataplane::message::{CallRow, DoorRow, List, SessionRow, TableRow};
use dataplane::port::Port;
use dataplane::port::memory::{Wire, memory_port};
use dataplane::protocols::{PROTOCOLS, Protocols};
use dataplane::state::plain::Plain;
use dataplane::worker::{Worker, WorkerSetup};
use mem::Slab;

use crate::records::Records;
use crate::stations::{Arp, frame, station_mac};

/// The time between two rounds of the workers while the test waits, in milliseconds: at least, and at most where
/// it waits for hours.
const TICK_MS: std::ops::RangeInclusive<u64> = 50..=1000;
/// Rounds that a long wait is made of.
const ROUNDS_PER_WAIT: u64 = 20_000;
/// Rounds after which the appliance must have come to rest.
const ROUNDS_MAX: usize = 10_000;
/// Frames that a wire holds.
const WIRE_LEN: usize = 512;
/// Sessions there is room for, unless the configuration says otherwise.
const SESSION_COUNT_DEFAULT: u32 = 4096;

/// How an appliance under test is set up.
#[derive(Clone, Copy)]
pub struct Setup {
    /// What its clock shows at first, in milliseconds.
    pub start_ms: u64,
    /// The time of day then.
    pub time_of_day: SystemTime,
    /// Whether stations answer its ARP requests, out of the test's sight.
    pub stations_answer: bool,
    /// Workers.
    pub worker_count: usize,
    /// Packet buffers of all ports together.
    pub buffer_count: usize,
    /// The longest frame, in bytes.
    pub frame_len_max: usize,
    /// What hashes and port choice are seeded with.
    pub secret: [u64; 2],
    /// The gateways and other protocols that the workers know.
    pub protocols: Protocols,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            start_ms: 1000,
            time_of_day: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            stations_answer: true,
            worker_count: 1,
            buffer_count: 4096,
            frame_len_max: 2048,
            secret: [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210],
            protocols: PROTOCOLS,
        }
    }
}

/// An appliance under test.
pub struct Bench {
    /// Its control side.
    pub appliance: Appliance,
    workers: Workers,
    records: Vec<Records>,
    /// By worker, then by port.
    wires: Vec<Vec<Wire>>,
    /// The interface of each port.
    ports: Vec<InterfaceName>,
    slab: Slab,
    setup: Setup,
    now_ms: u64,
    next_worker: usize,
    put_in: u64,
    /// Frames that came out and were not taken yet, with their interface.
    came_out: VecDeque<(InterfaceName, Vec<u8>)>,
}

/// The workers, stepped in turn.
struct Workers {
    workers: Vec<Worker>,
    now_ms: u64,
}

impl Answering for Workers {
    fn let_work(&mut self) -> u64 {
        let now_ms = self.now_ms;
        self.workers.iter_mut().for_each(|worker| {
            worker.round(now_ms as u32);
        });
        now_ms
    }
}

/// Reads a configuration for an appliance under test.
fn read(file: &str, text: &str) -> Result<Config, String> {
    let listed =
        |diagnostics: Vec<_>| diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let mut config = control::config::parse(file, text).map_err(listed)?.config;
    config.platform.max_sessions.get_or_insert(SESSION_COUNT_DEFAULT);
    Ok(config)
}

impl Bench {
    /// An appliance with this configuration. Each interface that is neither a sub-interface nor a loopback has a
    /// port; a port without `mac-address` has `0200.0000.0001`, `0200.0000.0002` and so on, in their order.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(file: &str, text: &str, setup: Setup) -> Result<Bench, String> {
        let config = read(file, text)?;
        let has_port = |name: &InterfaceName| name.parent().is_none() && !name.is_loopback();
        let names = config.interfaces.iter().map(|interface| interface.name.clone());
        let ports: Vec<InterfaceName> = names.filter(has_port).collect();
        let binding = |(index, interface): (usize, &InterfaceName)| PortBinding {
            interface: interface.clone(),
            mac: Some([2, 0, 0, 0, 0, index as u8 + 1]),
            has_link: true,
        };
        let bindings: Vec<PortBinding> = ports.iter().enumerate().map(binding).collect();
        let slab = Slab::new(setup.buffer_count, setup.frame_len_max);
        let (mut queues, mut wires) = (Vec::new(), Vec::new());
        for _ in 0..setup.worker_count {
            let pairs = (0..ports.len()).map(|index| memory_port(index, &slab, WIRE_LEN));
            let (own, other): (Vec<_>, Vec<_>) = pairs.unzip();
            queues.push(own.into_iter().map(|port| Box::new(port) as Box<dyn Port>).collect());
            wires.push(other);
        }
        let (mut appliance, setups) = Appliance::new(config, bindings, queues, setup.secret)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        let began = setup.time_of_day.checked_sub(Duration::from_millis(setup.start_ms));
        appliance.note_start(began.unwrap_or(SystemTime::UNIX_EPOCH));
        let now = setup.start_ms as u32;
        let workers = setups
            .into_iter()
            .map(|own| Worker::new(WorkerSetup { protocols: setup.protocols, ..own }, now))
            .collect();
        let mut bench = Bench {
            appliance,
            workers: Workers { workers, now_ms: setup.start_ms },
            records: (0..setup.worker_count).map(|_| Records::default()).collect(),
            wires,
            ports,
            slab,
            setup,
            now_ms: setup.start_ms,
            next_worker: 0,
            put_in: 0,
            came_out: VecDeque::new(),
        };
        bench.settle()?;
        // The appliance announces its addresses when it starts; no conversation begins with that.
        bench.came_out.clear();
        Ok(bench)
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.appliance.config
    }

    /// The interface called so: by its side of the translator, if it is the only one there, or by its name.
    pub fn interface(&self, place: &str) -> Result<&Interface, String> {
        let side = match place {
            "inside" => Side::Inside,
            "outside" => Side::Outside,
            name => {
                let name = name.parse::<InterfaceName>().map_err(|()| format!("'{name}' is no interface"))?;
                return self.config().interface(&name).ok_or(format!("there is no interface {name}"));
            }
        };
        let mut on_side =
            self.config().interfaces.iter().filter(|interface| interface.nat == Some(side)).peekable();
        let found = on_side.next().ok_or(format!("no interface is {place}"))?;
        match on_side.peek() {
            None => Ok(found),
            Some(_) => Err(format!("several interfaces are {place}: name one")),
        }
    }

    /// The station address and the VLAN of an interface's frames.
    pub fn link(&self, name: &InterfaceName) -> Option<([u8; 6], Option<u16>)> {
        let interfaces = &self.appliance.compiled.policy.interfaces;
        let interface = interfaces.iter().find(|interface| interface.name == name.as_str())?;
        Some((interface.mac, interface.vlan))
    }

    fn port(&self, name: &InterfaceName) -> Result<usize, String> {
        let owner = name.parent().unwrap_or_else(|| name.clone());
        let position = self.ports.iter().position(|port| *port == owner);
        position.ok_or(format!("{name} has no port"))
    }

    /// The frame that brings an IPv4 packet to an interface, from the station that has its source address.
    ///
    /// # Errors
    /// The interface has no port.
    pub fn frame_to(&self, interface: &InterfaceName, packet: &[u8]) -> Result<Vec<u8>, String> {
        let (mac, vlan) = self.link(interface).ok_or(format!("{interface} has no port"))?;
        let source: [u8; 4] =
            packet.get(12..16).and_then(|source| source.try_into().ok()).unwrap_or_default();
        Ok(frame(mac, station_mac(source.into()), vlan, 0x0800, packet))
    }

    /// Frames that were put on the wires, stations' ARP answers included.
    pub fn put_in(&self) -> u64 {
        self.put_in
    }

    /// Puts a frame on an interface's wire and lets the appliance work until nothing moves.
    ///
    /// # Errors
    /// The frame is too long for the wire, or an invariant is broken.
    pub fn inject(&mut self, interface: &InterfaceName, frame: &[u8]) -> Result<(), String> {
        self.queue(interface, frame)?;
        self.settle()
    }

    /// Puts a frame on an interface's wire and leaves it there.
    ///
    /// # Errors
    /// The wire or the buffers are full.
    pub fn queue(&mut self, interface: &InterfaceName, frame: &[u8]) -> Result<(), String> {
        let port = self.port(interface)?;
        self.next_worker = (self.next_worker + 1) % self.wires.len();
        let sent = self.wires[self.next_worker][port].send(frame);
        self.put_in += u64::from(sent);
        if sent { Ok(()) } else { Err(format!("the wire of {interface} is full, or out of buffers")) }
    }

    /// Lets the workers and the control side work until nothing moves, then verifies the invariants.
    ///
    /// # Errors
    /// An invariant that is broken, or an appliance that does not come to rest.
    pub fn settle(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_MAX {
            if !self.work()? {
                self.check_records()?;
                return self.check_fates();
            }
        }
        Err("the appliance does not come to rest: it sends frames on and on".into())
    }

    /// One round of everything. Returns whether anything moved.
    fn work(&mut self) -> Result<bool, String> {
        let sent_before = self.counter("sent");
        let now = self.now_ms as u32;
        self.workers.now_ms = self.now_ms;
        let mut count: usize = self.workers.workers.iter_mut().map(|worker| worker.round(now)).sum();
        self.appliance.step(self.now_ms);
        for worker in 0..self.wires.len() {
            for port in 0..self.ports.len() {
                while let Some(packet) = self.wires[worker][port].receive() {
                    count += 1;
                    self.came_out(worker, port, packet.bytes().to_vec())?;
                }
            }
        }
        // What the control side ordered is done in the next round.
        Ok(count > 0 || self.counter("sent") != sent_before)
    }

    fn came_out(&mut self, worker: usize, port: usize, bytes: Vec<u8>) -> Result<(), String> {
        let tag = (bytes.get(12..14) == Some(&[0x81, 0x00]))
            .then(|| u16::from_be_bytes([bytes[14], bytes[15]]) & 0x0fff);
        let belongs = |name: &InterfaceName| {
            name.parent().unwrap_or_else(|| name.clone()) == self.ports[port]
                && self.link(name).is_some_and(|(_, vlan)| vlan == tag)
        };
        let names = self.config().interfaces.iter().map(|interface| &interface.name);
        let interface = names.clone().find(|name| belongs(name)).unwrap_or(&self.ports[port]).clone();
        match Arp::of_frame(&bytes) {
            Some(arp) if self.setup.stations_answer && arp.operation == 1 => {
                if arp.sender.1 != arp.target.1 {
                    let answer = arp.answer();
                    let reply = frame(arp.sender.0, answer.sender.0, tag, 0x0806, &answer.bytes());
                    if !self.wires[worker][port].send(&reply) {
                        return Err("no buffer is left for a station's ARP answer".into());
                    }
                    self.put_in += 1;
                }
            }
            _ => self.came_out.push_back((interface, bytes)),
        }
        Ok(())
    }

    /// Lets time pass, in ticks fine enough for every timer to run out when it should.
    ///
    /// # Errors
    /// An invariant that is broken.
    pub fn advance(&mut self, ms: u64) -> Result<(), String> {
        let end = self.now_ms + ms;
        let tick = (ms / ROUNDS_PER_WAIT).clamp(*TICK_MS.start(), *TICK_MS.end());
        while self.now_ms < end {
            self.now_ms = end.min(self.now_ms + tick);
            while self.work()? {}
        }
        self.settle()
    }

    /// What the clock shows, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Takes the frames that came out of an interface, oldest first.
    pub fn take(&mut self, interface: &InterfaceName) -> Vec<Vec<u8>> {
        let (own, others) = self.came_out.drain(..).partition(|(name, _)| name == interface);
        self.came_out = others;
        let own: VecDeque<(InterfaceName, Vec<u8>)> = own;
        own.into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// Takes all frames that came out, with their interfaces.
    pub fn take_all(&mut self) -> Vec<(InterfaceName, Vec<u8>)> {
        self.came_out.drain(..).collect()
    }

    /// Another configuration, loaded without a restart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reconfigure(&mut self, file: &str, text: &str) -> Result<(), String> {
        let config = read(file, text)?;
        self.appliance
            .reconfigure(config)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        self.settle()
    }

    /// A counter by its name, of all workers together: a drop reason's label, or one of the fates and of the NAT's.
    /// 0 for a name that [`Bench::has_counter`] does not know.
    pub fn counter(&self, name: &str) -> u64 {
        self.appliance.counters.iter().filter_map(|counters| counter(counters, name)).sum()
    }

    /// Whether there is a counter of this name.
    pub fn has_counter(&self, name: &str) -> bool {
        self.appliance.counters.iter().any(|counters| counter(counters, name).is_some())
    }

    /// All drops by reason.
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        DropReason::ALL.iter().map(|&reason| (reason, self.counter(reason.label()))).collect()
    }

    /// What an exec command answers, or why it is refused.
    ///
    /// # Errors
    /// The refusal.
    pub fn exec(&mut self, command: &str) -> Result<String, String> {
        let Bench { appliance, workers, now_ms, .. } = self;
        workers.now_ms = *now_ms;
        cli::execute(&mut cli::Context { appliance, answering: workers, now_ms: *now_ms }, command)
    }

    /// Every session, by walking the workers' tables as `show` does.
    pub fn sessions(&mut self) -> Vec<SessionRow> {
        self.rows(Arc::default())
    }

    /// Every door, likewise.
    pub fn doors(&mut self) -> Vec<DoorRow> {
        self.rows(())
    }

    /// Every call, likewise.
    pub fn calls(&mut self) -> Vec<CallRow> {
        self.rows(())
    }

    fn rows<R: TableRow>(&mut self, wanted: R::Wanted) -> Vec<R> {
        let mut rows = Vec::new();
        for worker in 0..self.appliance.worker_count() {
            let mut start = Some(0);
            while let Some(from) = start {
                let list = |reply| R::ASK(wanted.clone(), List { start: from, limit: 64, reply });
                let asked = Pending::ask(&self.appliance, worker, list);
                let slice = asked.and_then(|pending| pending.wait(&mut self.workers));
                let slice = slice.unwrap_or_else(|refusal| panic!("{refusal}"));
                rows.extend(slice.rows);
                start = slice.next;
            }
        }
        rows
    }

    /// All that the workers' tables hold.
    pub fn plain(&self) -> Vec<Plain> {
        let now = self.now_ms as u32;
        self.workers.workers.iter().flat_map(|worker| worker.plain(now)).collect()
    }

    /// Ports in use by global address.
    pub fn ports_in_use(&self) -> Vec<(Ipv4Addr, u32)> {
        self.workers.workers.iter().flat_map(|worker| worker.shard().ports_in_use()).collect()
    }

    /// Live mappings.
    pub fn mapping_count(&self) -> usize {
        self.workers.workers.iter().map(|worker| worker.shard().mapping_count()).sum()
    }

    /// How much of everything is taken now, of all workers together: places of tables, ports, waiting packets, packet buffers.
    pub fn levels(&self) -> Vec<(String, u64)> {
        let mut levels: Vec<(String, u64)> = Vec::new();
        let mut add = |name: &str, taken: u64| match levels.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += taken,
            None => levels.push((name.to_owned(), taken)),
        };
        for counters in &self.appliance.counters {
            counters.levels.iter().for_each(|(table, taken, _)| add(table, taken));
            add("mappings", counters.nat.mappings.value());
            add("unconfirmed-inside", counters.nat.unconfirmed_inside.value());
            add("port-sets", counters.nat.port_sets.value());
            add("held-packets", counters.fates.held.value());
            for (row, gateway) in ROWS.iter().zip(&counters.gateways) {
                add(&format!("read-by-{}", row.name), gateway.reading.value());
            }
        }
        add("ports", self.ports_in_use().iter().map(|(_, used)| u64::from(*used)).sum());
        add("packet-buffers", (self.setup.buffer_count - self.slab.available()) as u64);
        levels
    }

    /// Verifies that every packet had one fate.
    ///
    /// # Errors
    /// The numbers that do not add up.
    pub fn check_fates(&self) -> Result<(), String> {
        let total = |names: &[&str]| names.iter().map(|name| self.counter(name)).sum::<u64>();
        let (came, went) = (
            total(&["received", "taken-over", "generated"]),
            total(&["sent", "consumed", "dropped", "handed-over", "held"]),
        );
        if came == went {
            return Ok(());
        }
        let names =
            ["received", "taken-over", "generated", "sent", "consumed", "dropped", "handed-over", "held"];
        let listed: Vec<String> = names.iter().map(|name| format!("{name} {}", self.counter(name))).collect();
        Err(format!("{came} packets came and {went} had a fate: {}", listed.join(", ")))
    }

    /// At every worker, what began and did not end is what is live, and its journal tells the same.
    fn check_records(&mut self) -> Result<(), String> {
        let has_sessions = self.appliance.config.nat.settings.record_sessions;
        let workers = self.workers.workers.iter_mut().zip(&mut self.records);
        for (number, (worker, records)) in workers.enumerate() {
            let counters = Arc::clone(worker.counters());
            let agrees = records.follow(worker.journal_mut(), &counters, has_sessions);
            agrees.map_err(|text| format!("worker {number}: {text}"))?;
        }
        Ok(())
    }

    /// Verifies the workers' tables. Walks all of them.
    ///
    /// # Errors
    /// The invariant that is broken.
    pub fn check_tables(&self) -> Result<(), String> {
        self.workers.workers.iter().try_for_each(|worker| worker.shard().check())
    }

    /// Ends the test: stops the appliance and verifies that every packet buffer came back.
    ///
    /// # Errors
    /// How many are missing.
    pub fn finish(self) -> Result<(), String> {
        self.check_fates()?;
        self.check_tables()?;
        let Bench { workers, wires, slab, setup, appliance, .. } = self;
        drop((workers, wires, appliance));
        match setup.buffer_count - slab.available() {
            0 => Ok(()),
            missing => Err(format!("{missing} packet buffers were not given back")),
        }
    }
}

fn counter(counters: &Counters, name: &str) -> Option<u64> {
    let (fates, nat) = (&counters.fates, &counters.nat);
    let count = match name {
        "received" => &fates.received,
        "taken-over" => &fates.taken_over,
        "generated" => &fates.generated,
        "sent" => &fates.sent,
        "consumed" => &fates.consumed,
        "dropped" => &fates.dropped,
        "handed-over" => &fates.handed_over,
        "held" => &fates.held,
        "hits" => &nat.hits,
        "misses" => &nat.misses,
        "created" => &nat.session_lives.begun,
        "expired" => return Some(nat.expired()),
        _ => match DropReason::from_label(name) {
            Some(reason) => counters.drops(reason),
            None => match gateway_counter(counters, name) {
                Some(count) => count,
                None => return by_metric(counters, name),
            },
        },
    };
    Some(count.value())
}

/// A counter of a worker's by its metric's name, as `nat_hits_total`.
fn by_metric(counters: &Counters, name: &str) -> Option<u64> {
    let metric = WORKER_METRICS.iter().find(|metric| metric.name == name)?;
    Some(metric.sum([counters]).iter().map(|(_, count)| count).sum())
}

/// A counter of a gateway's, as `ftp-doors-opened` or `dns-refused-signed`.
fn gateway_counter<'c>(counters: &'c Counters, name: &str) -> Option<&'c Count> {
    let (gateway, name) = name.split_once('-')?;
    let of = &counters.gateways[ROWS.iter().position(|row| row.name == gateway)?];
    let by_reason = |counts: &'c [Count; Refusal::ALL.len()], label: &str| {
        counts.get(Refusal::ALL.iter().position(|refusal| refusal.label() == label)?)
    };
    match name {
        "attached" => Some(&of.attached),
        "messages" => Some(&of.messages),
        "edited" => Some(&of.edited),
        "unread" => Some(&of.unread),
        "unread-datagrams" => Some(&of.unread_datagrams),
        "detached-stream" => Some(&of.detached_stream),
        "doors-opened" => Some(&of.doors_opened),
        "doors-used" => Some(&of.doors_used),
        "doors-expired" => Some(&of.doors_expired),
        _ => match name.split_once('-')? {
            ("refused", label) => by_reason(&of.refused, label),
            ("detached", label) => by_reason(&of.detached, label),
            _ => None,
        },
    }
}

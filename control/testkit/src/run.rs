//! Plays a case against an appliance under test, and says what differs.
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use control::config::InterfaceName;
use dataplane::drops::DropReason;

use crate::bench::{Bench, Setup};
use crate::build;
use crate::case::{Action, Case, Condition, Frames, Operand, Step};
use crate::compare::differences;
use crate::describe;
use crate::dissect::Dissection;
use crate::notation::NO_VLAN;
use crate::spec::{Names, PacketSpec, Quote, Shape, Value};
use crate::stations::{self, Arp, BROADCAST, station_mac};

/// Differences that are told of a step.
const FAILURES_SHOWN: usize = 12;

/// What a case does not say about the appliance it is played against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// What the clock shows at first, in milliseconds.
    pub start_ms: u64,
    /// Workers.
    pub worker_count: usize,
}

/// Plays a case.
///
/// # Errors
/// What differs in the first step that fails, each as `FILE:LINE: text`.
pub fn run(case: &Case, circumstances: Circumstances) -> Result<(), Vec<String>> {
    run_watched(case, circumstances, |_| Ok(()))
}

/// Plays a case, and has the appliance looked at after each step.
///
/// # Errors
/// What differs in the first step that fails, or what `look` says of it, each as `FILE:LINE: text`.
pub fn run_watched(
    case: &Case,
    circumstances: Circumstances,
    mut look: impl FnMut(&mut Bench) -> Result<(), String>,
) -> Result<(), Vec<String>> {
    let file = case.file.display().to_string();
    let Circumstances { start_ms, worker_count } = circumstances;
    let stations_answer = !case.is_arp_explicit;
    let usual = Setup::default();
    let time_of_day = case.time_of_day.unwrap_or(usual.time_of_day);
    let setup = Setup { start_ms, worker_count, stations_answer, time_of_day, ..usual };
    let bench = Bench::new(&file, &case.config, setup).map_err(|errors| vec![errors])?;
    let config = case.config.clone();
    let mut run = Run {
        file,
        bench,
        config,
        names: Names::new(),
        sent: BTreeMap::new(),
        last_sent: Vec::new(),
        failures: Vec::new(),
    };
    for step in &case.steps {
        run.step(step);
        if let Err(why) = look(&mut run.bench) {
            run.fail(step.line, why);
        }
        if !run.failures.is_empty() {
            let count = run.failures.len();
            run.failures.truncate(FAILURES_SHOWN);
            if count > FAILURES_SHOWN {
                run.failures.push(format!("{}: and {} more", run.file, count - FAILURES_SHOWN));
            }
            return Err(run.failures);
        }
    }
    run.bench.finish().map_err(|why| vec![format!("{}: at the end: {why}", run.file)])
}

struct Run {
    file: String,
    bench: Bench,
    config: String,
    names: Names,
    /// IPv4 packets that went in, by label.
    sent: BTreeMap<String, Vec<Vec<u8>>>,
    last_sent: Vec<Vec<u8>>,
    failures: Vec<String>,
}

/// A frame that must come.
struct Expected {
    line: usize,
    packet: PacketSpec,
    /// The packet it was; none for one of the appliance's own.
    input: Option<Vec<u8>>,
    /// The packet that `quote in` or `quote [LABEL]` means.
    quoted: Option<Vec<u8>>,
}

/// What a step expects, gathered while it is played.
#[derive(Default)]
struct Expectations {
    frames: BTreeMap<InterfaceName, VecDeque<Expected>>,
    counters: BTreeMap<String, (usize, u64)>,
}

impl Run {
    fn fail(&mut self, line: usize, text: impl AsRef<str>) {
        self.failures.push(format!("{}:{line}: {}", self.file, text.as_ref()));
    }

    fn step(&mut self, step: &Step) {
        let names = step.actions.iter().filter_map(|(_, action)| match action {
            Action::Counter(name, _) => Some(name.clone()),
            _ => None,
        });
        let drops = DropReason::ALL.iter().map(|reason| reason.label().to_string());
        let before: BTreeMap<String, u64> =
            drops.chain(names).map(|name| (name.clone(), self.bench.counter(&name))).collect();
        let mut expected = Expectations::default();
        for (line, action) in &step.actions {
            if matches!(action, Action::Where(..)) {
                continue;
            }
            if let Err(why) = self.action(*line, action, &mut expected) {
                self.fail(*line, why);
                return;
            }
        }
        self.compare_frames(step, expected.frames);
        self.compare_counters(step, &before, &expected.counters);
        for (line, action) in &step.actions {
            if let Action::Where(name, condition) = action
                && let Err(why) = holds(&self.names, name, condition)
            {
                self.fail(*line, why);
            }
        }
        if let Err(why) = self.bench.check_tables() {
            self.fail(step.line, format!("step {}: {why}", step.number));
        }
    }

    fn action(&mut self, line: usize, action: &Action, expected: &mut Expectations) -> Result<(), String> {
        match action {
            Action::In(frames, reason) => {
                let count = self.send(frames)?;
                if let Some(reason) = reason {
                    self.count(line, reason, count, expected)?;
                }
                Ok(())
            }
            Action::Out(frames) => self.expect_forwarded(line, frames, expected),
            Action::Own(frames) => self.expect_own(line, frames, expected),
            Action::Counter(name, growth) => self.count(line, name, *growth, expected),
            Action::Wait(ms) => self.bench.advance(*ms),
            Action::Sessions(count) => match self.bench.sessions() {
                rows if rows.len() == *count => Ok(()),
                rows => {
                    let listed: Vec<String> = rows.iter().map(|row| format!("\n  {row:?}")).collect();
                    Err(format!("expected {count} sessions, there are {}{}", rows.len(), listed.concat()))
                }
            },
            Action::Config(lines) => {
                let known = self.config.lines().count();
                let added: Vec<&str> = lines.lines().skip(known).collect();
                self.config.push_str(&added.join("\n"));
                self.config.push('\n');
                self.bench.reconfigure(&self.file, &self.config)
            }
            Action::Where(..) => Ok(()),
        }
    }

    fn count(&mut self, line: usize, name: &str, growth: u64, to: &mut Expectations) -> Result<(), String> {
        if !self.bench.has_counter(name) {
            return Err(format!("'{name}' is neither a drop reason nor another counter"));
        }
        let entry = to.counters.entry(name.into()).or_insert((line, 0));
        *entry = (line, entry.1 + growth);
        Ok(())
    }

    /// Sends what an `in` or `drop` line says. Returns how many frames that were.
    fn send(&mut self, frames: &Frames) -> Result<u64, String> {
        let interface = self.bench.interface(&frames.place)?.name.clone();
        let packets = frames.packet.expand();
        self.last_sent.clear();
        let mut count = 0;
        let earlier = self.sent.clone();
        for spec in packets.iter().cycle().take(packets.len() * frames.times) {
            let mut spec = spec.filled(&self.names, &|_, _| None, 0);
            if let Some(Quote::Sent(Some(label))) = &spec.quote {
                let quoted = earlier.get(label).and_then(|packets| packets.first()).cloned();
                spec.quote = Some(Quote::Bytes(quoted.ok_or(format!("no packet is called [{label}]"))?));
            }
            let frame = self.frame_to_send(&interface, &spec)?;
            let layout = Dissection::of_frame(&frame);
            let packet = layout.ipv4.map_or(Vec::new(), |range| frame[range].to_vec());
            self.last_sent.push(packet);
            self.bench.inject(&interface, &frame)?;
            count += 1;
        }
        if let Some(label) = &frames.label {
            self.sent.insert(label.clone(), self.last_sent.clone());
        }
        Ok(count)
    }

    fn frame_to_send(&self, interface: &InterfaceName, spec: &PacketSpec) -> Result<Vec<u8>, String> {
        let (mac, vlan) = self.bench.link(interface).ok_or("the interface has no port")?;
        let mut frame = match spec.shape {
            Shape::Raw => spec.data.clone().unwrap_or_default(),
            Shape::Arp => {
                let number = |name| spec.number(name);
                let addr = |name| Ipv4Addr::from_bits(number(name).unwrap_or(0) as u32);
                let is_request = number("operation") == Some(1);
                let sender_mac = number("from").or(number("sender-mac")).map(mac_of);
                let sender_mac = sender_mac.unwrap_or_else(|| station_mac(addr("sender")));
                let arp = Arp {
                    operation: if is_request { 1 } else { 2 },
                    sender: (number("sender-mac").map_or(sender_mac, mac_of), addr("sender")),
                    target: (if is_request { [0; 6] } else { mac }, addr("target")),
                };
                let to = number("to").map_or(if is_request { BROADCAST } else { mac }, mac_of);
                let vlan = vlan_of(spec, vlan);
                stations::frame(to, sender_mac, vlan, 0x0806, &arp.bytes())
            }
            _ => {
                let packet = build::packet(spec)?;
                let source = Ipv4Addr::new(packet[12], packet[13], packet[14], packet[15]);
                let to = spec.number("to").map_or(mac, mac_of);
                let from = spec.number("from").map_or_else(|| station_mac(source), mac_of);
                let ethertype = spec.number("ethertype").unwrap_or(0x0800) as u16;
                stations::frame(to, from, vlan_of(spec, vlan), ethertype, &packet)
            }
        };
        frame.resize(frame.len() + spec.pad, 0);
        build::finish(&mut frame, spec)?;
        Ok(frame)
    }

    fn expect_forwarded(
        &mut self,
        line: usize,
        frames: &Frames,
        to: &mut Expectations,
    ) -> Result<(), String> {
        let interface = self.bench.interface(&frames.place)?.name.clone();
        let inputs = self.sent_as(frames.label.as_deref())?;
        if frames.times != 1 && frames.times != inputs.len() {
            return Err(format!("{} packets went in, not {}", inputs.len(), frames.times));
        }
        for input in inputs {
            let packet = frames.packet.clone();
            let expected = Expected { line, packet, input: Some(input), quoted: None };
            to.frames.entry(interface.clone()).or_default().push_back(expected);
        }
        Ok(())
    }

    fn expect_own(&mut self, line: usize, frames: &Frames, to: &mut Expectations) -> Result<(), String> {
        let interface = self.bench.interface(&frames.place)?.name.clone();
        let quoted = match &frames.packet.quote {
            Some(Quote::Sent(label)) => self.sent_as(label.as_deref())?,
            _ => Vec::new(),
        };
        for index in 0..frames.times {
            let quoted = quoted.get(index).or(quoted.last()).cloned();
            let expected = Expected { line, packet: frames.packet.clone(), input: None, quoted };
            to.frames.entry(interface.clone()).or_default().push_back(expected);
        }
        Ok(())
    }

    fn sent_as(&self, label: Option<&str>) -> Result<Vec<Vec<u8>>, String> {
        match label {
            None if self.last_sent.is_empty() => Err("no packet went in before".into()),
            None => Ok(self.last_sent.clone()),
            Some(label) => self.sent.get(label).cloned().ok_or(format!("no packet is called [{label}]")),
        }
    }

    fn compare_frames(&mut self, step: &Step, mut expected: BTreeMap<InterfaceName, VecDeque<Expected>>) {
        for (interface, came) in self.bench.take_all() {
            let Some(wanted) = expected.get_mut(&interface).and_then(VecDeque::pop_front) else {
                let text = describe::frame(&came);
                self.fail(
                    step.line,
                    format!(
                        "step {}: {interface} sends a frame that is not expected\n  came      {text}",
                        step.number
                    ),
                );
                continue;
            };
            let frame = match self.expected_frame(&interface, &wanted, &came) {
                Ok(frame) => frame,
                Err(why) => {
                    self.fail(wanted.line, format!("{why}\n  came      {}", describe::frame(&came)));
                    continue;
                }
            };
            let differing = differences(&frame, &came);
            if !differing.is_empty() {
                let (should, is) = (describe::frame(&frame), describe::frame(&came));
                let listed = differing.iter().map(|line| format!("\n  {line}")).collect::<String>();
                self.fail(wanted.line, format!("step {}: {interface} sends another frame than expected{listed}\n  expected  {should}\n  came      {is}", step.number));
            }
            self.learn(&wanted.packet, &came);
        }
        for (interface, missing) in expected {
            for wanted in missing {
                self.fail(wanted.line, format!("step {}: {interface} does not send this frame", step.number));
            }
        }
    }

    fn learn(&mut self, packet: &PacketSpec, came: &[u8]) {
        let layout = Dissection::of_frame(came);
        packet.learn(&mut self.names, &|depth, name| layout.value(came, depth, name), 0);
    }

    /// The frame expected, with what may be anything taken from the one that came.
    fn expected_frame(
        &self,
        interface: &InterfaceName,
        wanted: &Expected,
        came: &[u8],
    ) -> Result<Vec<u8>, String> {
        let layout = Dissection::of_frame(came);
        let actual = |depth, name: &str| layout.value(came, depth, name);
        let mut spec = wanted.packet.filled(&self.names, &actual, 0);
        let (mac, vlan) = self.bench.link(interface).ok_or("the interface has no port")?;
        let from = spec.number("from").map_or(mac, mac_of);
        let vlan = vlan_of(&spec, vlan);
        if spec.shape == Shape::Arp {
            return Ok(own_arp(&spec, mac, from, vlan));
        }
        let packet = match &wanted.input {
            Some(input) => build::forwarded(input, &spec)?,
            None => {
                if let Some(quoted) = &wanted.quoted {
                    let len = spec.cut.take().unwrap_or(build::QUOTE_LEN_MAX).min(quoted.len());
                    spec.quote = Some(Quote::Bytes(quoted[..len].to_vec()));
                }
                if spec.setting("ip-id").is_none() {
                    spec.settings.push(("ip-id", Value::Is(actual(0, "ip-id").unwrap_or(0))));
                }
                build::packet(&spec)?
            }
        };
        let destination = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
        let config = self.bench.config();
        let to = match (spec.number("to"), spec.via) {
            (Some(to), _) => mac_of(to),
            (None, Some(via)) => station_mac(Ipv4Addr::from_bits(via)),
            (None, None) => match config.interface(interface) {
                Some(interface) => stations::next_hop_mac(config, interface, destination),
                None => station_mac(destination),
            },
        };
        Ok(stations::frame(to, from, vlan, 0x0800, &packet))
    }

    fn compare_counters(
        &mut self,
        step: &Step,
        before: &BTreeMap<String, u64>,
        expected: &BTreeMap<String, (usize, u64)>,
    ) {
        for (name, before) in before {
            let growth = self.bench.counter(name) - before;
            let (line, wanted) = expected.get(name).copied().unwrap_or((step.line, 0));
            if growth != wanted {
                let text =
                    format!("step {}: counter {name}: expected +{wanted}, came +{growth}", step.number);
                self.fail(line, text);
            }
        }
    }
}

fn own_arp(spec: &PacketSpec, mac: [u8; 6], from: [u8; 6], vlan: Option<u16>) -> Vec<u8> {
    let addr = |name| Ipv4Addr::from_bits(spec.number(name).unwrap_or(0) as u32);
    let is_request = spec.number("operation") == Some(1);
    let to = match spec.number("to") {
        Some(to) => mac_of(to),
        None if is_request => BROADCAST,
        None => station_mac(addr("target")),
    };
    let target_mac = if to == BROADCAST { [0; 6] } else { to };
    let arp = Arp {
        operation: if is_request { 1 } else { 2 },
        sender: (spec.number("sender-mac").map_or(mac, mac_of), addr("sender")),
        target: (target_mac, addr("target")),
    };
    stations::frame(to, from, vlan, 0x0806, &arp.bytes())
}

fn mac_of(value: u64) -> [u8; 6] {
    let bytes = value.to_be_bytes();
    [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]
}

fn vlan_of(spec: &PacketSpec, own: Option<u16>) -> Option<u16> {
    match spec.number("vlan") {
        None => own,
        Some(NO_VLAN) => None,
        Some(vlan) => Some(vlan as u16),
    }
}

fn holds(names: &Names, name: &str, condition: &Condition) -> Result<(), String> {
    let known = |name: &str| names.get(name).copied().ok_or(format!("${name} is not known yet"));
    let operand = |operand: &Operand| match operand {
        Operand::Number(number) => Ok(*number),
        Operand::Name(name) => known(name),
    };
    let value = known(name)?;
    let is_met = match condition {
        Condition::Even => value % 2 == 0,
        Condition::Odd => value % 2 == 1,
        Condition::In(low, high) => (*low..=*high).contains(&value),
        Condition::Is(other) => value == operand(other)?,
        Condition::Not(other) => value != operand(other)?,
    };
    if is_met { Ok(()) } else { Err(format!("${name} is {value}, which is not as demanded: {condition:?}")) }
}

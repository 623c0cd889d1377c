//! What the contract promises beyond one control session, tried by a gateway that exists for this, on the tables.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use alg::registry::{Attach, ROWS, Reads};
use alg::{Call, Context, Framing, Handled, Message, Owner, Ports, Refusal, Row, Side, State, Transport};
use arrayvec::ArrayVec;

use super::context::Access;
use crate::counters::GatewayCounters;
use crate::flow::{Direction, Endpoint, UDP};
use crate::lives::EndReason;
use crate::policy::{IdleClass, Policy, StaticRule, Statics};
use crate::state::call::CallKey;
use crate::state::control_session::{Channel, ControlSession};
use crate::state::enter::First;
use crate::state::room::Initiator;
use crate::state::session::{Above, Flags, NewSession, Session};
use crate::state::shard::Shard;
use crate::state::supply::Supplier;
use crate::state::wanted::Wanted;
use crate::stream::EditList;

/// A message is what to do and a call's name, a byte each: `B`egin it and announce a port, `K`eep it, `E`nd it, `X` begin
/// it and refuse, or `T`ell through whose door this session came.
const TOY: Row = Row {
    name: "toy",
    label: "TOY",
    keyword: "toy",
    attach: Attach::Door,
    is_ietf: false,
    reads: Reads::Always,
    state: State::default,
    framing: |_, _| Framing::Message(2),
    handle,
    about: "Remembers calls.",
    standards: "none",
    kinds: &[],
};
const LIFE_S: u32 = 60;

fn handle(_: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let &[what, name] = message.bytes else { return Err(Refusal::Malformed) };
    let call = u64::from(name);
    match what {
        b'B' => {
            let inside = SocketAddrV4::new(*context.session().inside_local.ip(), 5000 + u16::from(name));
            context.reserve(door(inside, call))?;
            match context.call(call, LIFE_S)? {
                Call::Announced(ends) => ends.try_push(inside).map_err(|_| Refusal::Argument)?,
                new => *new = Call::Announced(ArrayVec::from_iter([inside])),
            }
        }
        b'K' => {
            context.call(call, 2 * LIFE_S)?;
            context.renew(Owner::Call(call), 2 * LIFE_S);
        }
        b'E' => context.close(Owner::Call(call)),
        b'T' if context.session().through == Some(Owner::Call(call)) => {}
        _ => {
            context.call(call, LIFE_S)?;
            context.renew(Owner::Call(call), 1);
            return Err(Refusal::Argument);
        }
    }
    Ok(Handled::Continue)
}

fn door(inside: SocketAddrV4, call: u64) -> alg::Door {
    alg::Door {
        transport: Transport::Udp,
        inside,
        peer: None,
        ports: Ports::One,
        life_s: LIFE_S,
        uses_max: 2,
        owner: Owner::Call(call),
        child: None,
    }
}

struct Test {
    shard: Shard,
    policy: Policy,
    now: u32,
}

const HOSTS: u8 = 2;

impl Test {
    /// Hosts 10.0.0.1 and so on, each with a whole address of its own.
    fn new() -> Test {
        let mut policy = Policy::default();
        let end = |addr| Endpoint::new(addr, 0);
        policy.statics = Statics::new(vec![StaticRule {
            id: 1,
            protocol: None,
            local: end(Ipv4Addr::new(10, 0, 0, 0)),
            global: end(Ipv4Addr::new(203, 0, 113, 0)),
            prefix_len: 24,
            inside_vrf: 0,
            outside_vrf: 0,
            selector: None,
            egress: None,
            is_reversible: false,
            is_default: false,
        }]);
        let mut shard = Shard::new(1024, [1, 2], 0, 1, 0);
        let ownership = Arc::default();
        let supply = Supplier::new(1024, [1, 2]).supply(&policy, &ownership);
        shard.start_policy(&policy, ownership, supply);
        Test { shard, policy, now: 1000 }
    }

    /// A control session of a host's, by its index.
    fn open(&mut self, host: u8, port: u16) -> u32 {
        let peer = Endpoint::new(Ipv4Addr::new(198, 51, 100, 7), 4711);
        let session = NewSession {
            inside_local: Endpoint::new(Ipv4Addr::new(10, 0, 0, host), port),
            inside_global: Endpoint::new(Ipv4Addr::new(203, 0, 113, host), port),
            outside_local: peer,
            outside_global: peer,
            inside_vrf: 0,
            outside_vrf: 0,
            rule: 1,
            protocol: UDP,
            class: IdleClass::Udp,
            first: Direction::Outbound,
            flags: Flags::default(),
            above: Above::Fixed,
        };
        let session = Session::new(&session, self.now);
        let first = First::FromInside { to: peer.addr };
        let index = self.shard.begin(&self.policy, session, Above::Fixed, first, self.now).unwrap();
        let holder = Initiator::host((0, Ipv4Addr::new(10, 0, 0, host)));
        let control = ControlSession::new(0, holder, Side::Inside, Channel::Datagrams);
        assert!(self.shard.attach(index, control, State::None));
        index
    }

    fn say(&mut self, control: u32, message: &[u8]) -> Result<(), Refusal> {
        let mut edits = EditList::with_room();
        let Test { shard, policy, now } = self;
        let counters = GatewayCounters::of(&TOY);
        let mut access =
            Access::new(shard, policy, &mut edits, (control, 0, &counters), None, 2, *now).unwrap();
        let message = Message { bytes: message, from: Side::Inside, by_client: true };
        let said = (TOY.handle)(&mut State::None, &message, &mut access);
        match said {
            Ok(_) => _ = access.keep(),
            Err(_) => access.forget(),
        }
        said.map(|_| ())
    }

    fn wait(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now += 1000;
            self.shard.expire(&self.policy, self.now, 64);
        }
        self.shard.check().unwrap();
    }

    /// Calls and doors that there are, where what began and has not ended is what is live.
    fn count(&self) -> (usize, usize) {
        let totals = self.shard.journal.totals();
        assert_eq!(totals.sessions.live(), self.shard.session_count() as u64);
        assert_eq!(totals.bindings.live(), 0, "the addresses are the configuration's");
        self.shard.check().unwrap();
        (self.shard.calls.len(), self.shard.door_count())
    }

    /// Endpoints that a call remembers.
    fn announced(&mut self, host: u8, call: u8) -> usize {
        let key = CallKey { host: (0, Ipv4Addr::new(10, 0, 0, host)), hash: u64::from(call) };
        match self.shard.calls.find(key).and_then(|number| self.shard.calls.memory_mut(number)) {
            Some(Call::Announced(ends)) => ends.len(),
            _ => 0,
        }
    }
}

#[test]
fn a_call_outlives_its_control_session_and_closes_its_doors() {
    let mut test = Test::new();
    let first = test.open(1, 40_000);
    test.say(first, b"B1").unwrap();
    let policy = test.policy.clone();
    test.shard.end(&policy, first, EndReason::Idle, test.now);
    assert_eq!((test.count(), test.announced(1, b'1')), ((1, 1), 1), "the session ended, the call did not");

    let second = test.open(1, 40_001);
    test.say(second, b"B1").unwrap();
    assert_eq!((test.count(), test.announced(1, b'1')), ((1, 1), 2), "it is found by its name");
    test.say(second, b"E1").unwrap();
    assert_eq!(test.count(), (0, 0));
}

#[test]
fn a_call_is_its_hosts_alone() {
    let mut test = Test::new();
    let controls = [1, HOSTS].map(|host| test.open(host, 40_000));
    test.say(controls[0], b"B1").unwrap();
    test.say(controls[1], b"E1").unwrap();
    assert_eq!(test.count(), (1, 1), "another host's call of that name");
    test.say(controls[1], b"B1").unwrap();
    assert_eq!((test.count(), test.announced(1, b'1'), test.announced(HOSTS, b'1')), ((2, 2), 1, 1));
}

#[test]
fn calls_and_doors_are_forgotten_unless_they_are_renewed() {
    let mut test = Test::new();
    let control = test.open(1, 40_000);
    test.say(control, b"B1").unwrap();
    test.say(control, b"B2").unwrap();
    test.wait(LIFE_S - 10);
    test.say(control, b"K1").unwrap();
    test.wait(20);
    assert_eq!((test.count(), test.announced(1, b'1')), ((1, 1), 1), "what was kept");
    test.wait(2 * LIFE_S);
    assert_eq!(test.count(), (0, 0));
}

#[test]
fn a_refused_message_leaves_no_call_and_renews_nothing() {
    let mut test = Test::new();
    let control = test.open(1, 40_000);
    assert_eq!(test.say(control, b"X1"), Err(Refusal::Argument));
    assert_eq!(test.count(), (0, 0));
    test.say(control, b"B2").unwrap();
    assert_eq!(test.say(control, b"X2"), Err(Refusal::Argument));
    test.wait(LIFE_S / 2);
    assert_eq!(test.count(), (1, 1), "neither forgotten nor shortened");
}

#[test]
fn a_session_knows_the_call_whose_door_it_came_through() {
    let mut test = Test::new();
    let control = test.open(1, 40_000);
    test.say(control, b"B1").unwrap();
    let inside = Endpoint::new(Ipv4Addr::new(10, 0, 0, 1), 5000 + u16::from(b'1'));
    let peer = Ipv4Addr::new(198, 51, 100, 7);
    let policy = test.policy.clone();
    let child = test.open(1, inside.port);
    let through = test.shard.go_through(&policy, child, peer, None, test.now).unwrap();
    test.shard.control_sessions.of_mut(child).unwrap().through = Some(through.owner);
    test.say(child, b"T1").unwrap();
    assert!(test.say(child, b"T2").is_err() && test.say(control, b"T1").is_err());
    test.say(child, b"E1").unwrap();
    assert_eq!(test.count(), (0, 0), "it ends the call that it belongs to");
}

#[test]
fn a_host_has_a_part_of_the_calls_and_all_end_by_command() {
    let mut test = Test::new();
    let controls = [1, HOSTS].map(|host| test.open(host, 40_000));
    let key = |name: u64| CallKey { host: (0, Ipv4Addr::new(10, 0, 0, 1)), hash: 1000 + name };
    let begun = (0..1024)
        .filter_map(|name| {
            test.shard.begin_call((0, Initiator::host(key(name).host)), key(name), LIFE_S, test.now)
        })
        .count();
    // What is not other gateways' own, without the reserve: half of it.
    let of_gateway = 1024 - 1024 / (2 * ROWS.len()) * (ROWS.len() - 1);
    assert_eq!(begun, (of_gateway - of_gateway / 16).div_ceil(2));
    assert_eq!(test.say(controls[0], b"B1"), Err(Refusal::CallLimit));
    test.say(controls[1], b"B1").unwrap();
    assert_eq!(test.count(), (begun + 1, 1), "what was refused gave its door back");
    let mut position = Some(0);
    while let Some(start) = position {
        position = test.shard.clear(&test.policy, &Wanted::default(), start, test.now).0;
    }
    assert_eq!(test.count(), (0, 0));
    test.shard.check().unwrap();
}

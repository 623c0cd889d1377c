//! A new gateway is one file and one row: this file is one.

mod stage;

use std::net::SocketAddrV4;

use alg::registry::{Attach, Port, Reads};
use alg::{
    Call, Context, Door, Framing, Handled, Message, Owner, Ports, Refusal, Row, Side, Span, State, Transport,
};
use stage::{Conversation, FakeContext, INSIDE_LOCAL, OUTSIDE, endpoint, session};

/// The toy's messages are a length, `T`, and a port of UDP on which the sender listens, in two bytes.
const TOY: Row = Row {
    name: "toy",
    label: "TOY",
    keyword: "toy {} port",
    attach: Attach::Ports(&[Port { transport: Transport::Tcp, port: 4711 }]),
    is_ietf: false,
    reads: Reads::Always,
    state: State::default,
    framing,
    handle,
    about: "Opens the port that the message names.",
    standards: "none",
    kinds: &[],
};

fn framing(_: &State, message: &Message) -> Framing {
    match *message.bytes {
        [4, b'T', _, _, ..] => Framing::Message(4),
        [4] | [4, b'T'] | [4, b'T', _] => Framing::Incomplete,
        _ => Framing::Foreign,
    }
}

fn handle(_: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let [4, b'T', high, low] = *message.bytes else { return Err(Refusal::Malformed) };
    if message.from == Side::Outside {
        return Ok(Handled::Continue);
    }
    if high < 4 {
        return Err(Refusal::LowPort);
    }
    let session = *context.session();
    let global = context.reserve(Door {
        transport: Transport::Udp,
        inside: SocketAddrV4::new(*session.inside_local.ip(), u16::from_be_bytes([high, low])),
        peer: Some(*session.outside_global.ip()),
        ports: Ports::One,
        life_s: 30,
        uses_max: 1,
        owner: Owner::Session(0),
        child: None,
    })?;
    context.replace(Span { start: 2, end: 4 }, &global.port().to_be_bytes())?;
    Ok(Handled::Continue)
}

#[test]
fn a_row_is_a_gateway() {
    let mut stage = FakeContext::new(session(Transport::Tcp, Side::Inside, 4711));
    stage.port_shift = 1000;
    let mut toy = Conversation::new(&TOY, stage, Side::Inside);
    assert_eq!(toy.client([4, b'T', 0x13]), []);
    assert_eq!(toy.client([0x88, 4]), [4, b'T', 0x17, 0x70], "5000 becomes 6000");
    let (door, global) = toy.stage.doors[0];
    assert_eq!((door.inside, door.peer), (endpoint(INSIDE_LOCAL, 5000), Some(OUTSIDE)));
    assert_eq!(global.port(), 6000);

    assert_eq!(toy.client([b'T', 0, 80]), [4, b'T', 0, 80], "a low port passes, without a door");
    assert_eq!(toy.refusals, [Refusal::LowPort]);
    assert!(toy.is_attached);
    assert_eq!(toy.client(b"GET /"), b"GET /");
    assert_eq!(toy.client([4, b'T', 0x13, 0x89]), [4, b'T', 0x13, 0x89], "it let go for good");
    assert_eq!(toy.stage.doors.len(), 1);
}

/// Like the toy, but what it opens belongs to a call, by the message's second byte, and lasts until another message ends it.
fn handle_call(_: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let [4, call, high, low] = *message.bytes else { return Err(Refusal::Malformed) };
    let owner = Owner::Call(u64::from(call));
    let session = *context.session();
    match (high, low) {
        (0, 0) => context.close(owner),
        (0, 1) => context.renew(owner, 600),
        (0, 2) if session.through == Some(owner) => {}
        (0, _) => {
            context.call(u64::from(call), 60)?;
            return Err(Refusal::LowPort);
        }
        _ => {
            let inside = SocketAddrV4::new(*session.inside_local.ip(), u16::from_be_bytes([high, low]));
            match context.call(u64::from(call), 60)? {
                Call::Announced(ends) => ends.try_push(inside).map_err(|_| Refusal::Argument)?,
                new => *new = Call::Announced([inside].into_iter().collect()),
            }
            context.reserve(Door {
                transport: Transport::Udp,
                inside,
                peer: None,
                ports: Ports::One,
                life_s: 30,
                uses_max: 1,
                owner,
                child: Some("toy"),
            })?;
        }
    }
    Ok(Handled::Continue)
}

/// It is attached through its own doors alone.
const CALLING: Row = Row {
    name: "calling",
    attach: Attach::Door,
    framing: |_, _| Framing::Message(4),
    handle: handle_call,
    ..TOY
};

#[test]
fn a_call_has_memory_doors_and_sessions() {
    assert_eq!(CALLING.ports(), []);
    let mut toy = Conversation::new(
        &CALLING,
        FakeContext::new(session(Transport::Tcp, Side::Inside, 4711)),
        Side::Inside,
    );
    toy.client([4, 7, 0x13, 0x88]);
    toy.client([4, 7, 0x13, 0x89]);
    let (hash, call, life_s) = &toy.stage.calls[0];
    let Call::Announced(ends) = call else { panic!("{call:?}") };
    assert_eq!((*hash, ends.len(), *life_s), (7, 2, 60));
    toy.client([4, 8, 0, 9]);
    assert_eq!(
        (toy.stage.calls.len(), &toy.refusals[..]),
        (1, &[Refusal::LowPort][..]),
        "refused, and no call"
    );
    toy.client([4, 7, 0, 1]);
    assert_eq!(toy.stage.renewed, [(Owner::Call(7), 600)]);
    assert!(toy.stage.doors.iter().all(|(door, _)| door.life_s == 600));

    let mut child = Conversation::new(&CALLING, toy.stage, Side::Inside);
    child.stage.session.through = Some(Owner::Call(7));
    child.client([4, 7, 0, 2]);
    assert_eq!(child.refusals, [], "a session that came through the call's door");
    child.client([4, 7, 0, 0]);
    assert_eq!((child.stage.calls.len(), child.stage.doors.len()), (0, 0));
}

//! SIP (RFC 3261 and its extensions): where hosts are reached, and where their media go.
//!
//! A message is read whole, whatever its method. In its headers and its session description the inside host's own endpoints
//! become global ones, and the other way they become again what the inside host wrote; all else stays: digests, dialogs'
//! identifiers, users. Doors open for media, for who is registered, and for the signalling of calls. They belong to calls and
//! registrations, which outlive control sessions: a trunk has thousands of calls over one.

use crate::message::{self, Grammar, Parsed};
use crate::registry::{Attach, Call, Port, Reads};
use crate::slice::Slice;
use crate::{Context, Framing, Handled, Message, Refusal, Row, Side, State, Transport, realm};

mod about;
mod dialog;
mod forms;
mod kinds;
mod media;
mod places;
mod reach;
mod registration;
mod shown;
mod turn;
mod uri;

use about::{About, descriptions};
pub use dialog::{Dialog, Registration};
pub use forms::Forms;
use kinds::Mark;
use reach::{PENDING_LIFE_S, Purpose, RINGING_LIFE_S};
use turn::Turn;

/// The gateway.
pub const ROW: Row = Row {
    name: "sip",
    label: "SIP",
    keyword: "sip {}",
    attach: Attach::Ports(&[
        Port { transport: Transport::Tcp, port: 5060 },
        Port { transport: Transport::Udp, port: 5060 },
    ]),
    is_ietf: false,
    reads: Reads::Always,
    state: || State::None,
    framing,
    handle,
    about: "Translates the hosts' endpoints in headers and session descriptions, and opens doors for media, calls and \
            registrations.",
    standards: "RFC 3261, 3262, 3264, 3311, 3515, 3581, 3605, 3891, 4145, 4566, 5761, 6665",
    kinds: kinds::NAMES,
};

/// Its messages over TCP, where each tells its length.
const GRAMMAR: Grammar = Grammar {
    version: b"SIP/9.9",
    is_of_method: |byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte),
    length: &["content-length", "l"],
    has_rest: false,
};

/// Its messages over UDP: a datagram ends where it ends.
const DATAGRAM: Grammar = Grammar { has_rest: true, ..GRAMMAR };

/// Methods whose requests begin a dialog.
const BEGINNINGS: &[&str] = &["INVITE", "SUBSCRIBE", "REFER"];
/// Methods whose requests and answers say where their sender is reached from now on (RFC 3261 section 12.1, 3311, 6665).
const REFRESHES: &[&str] = &["INVITE", "SUBSCRIBE", "REFER", "UPDATE", "NOTIFY"];

fn framing(_: &State, message: &Message) -> Framing {
    match message.bytes {
        [b'\r' | b'\n', ..] => Framing::Opaque(1),
        bytes => message::framing(&GRAMMAR, bytes),
    }
}

/// Whether a datagram keeps a mapping alive, and says nothing: line ends, zeros, STUN (RFC 5626 section 4.4.2), a word of old.
fn is_keep_alive(bytes: &[u8]) -> bool {
    const STUN: &[u8] = &[0x21, 0x12, 0xa4, 0x42];
    let is_blank = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0 | b' ');
    bytes.iter().all(is_blank) || (bytes[0] < 4 && bytes.get(4..8) == Some(STUN)) || bytes == b"jaK"
}

fn handle(_: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let grammar = match context.session().transport {
        Transport::Udp if is_keep_alive(message.bytes) => {
            kinds::mark(context, Mark::KeepAlive);
            return Ok(Handled::Continue);
        }
        Transport::Udp => DATAGRAM,
        Transport::Tcp => GRAMMAR,
    };
    // Line ends ahead of a message say nothing (RFC 3261 section 7.5).
    let ahead = message.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let parsed = Parsed::read(&grammar, Slice::whole(message.bytes).skip(ahead))
        .inspect_err(|refusal| kinds::unknown(context, *refusal))?;
    let about = About::read(&parsed);
    kinds::known(context, &about);
    let mut turn = Turn::new(context, message.from);
    turn.transaction = about.transaction();
    if about.method == b"REGISTER" {
        register(&mut turn, &parsed, &about)?;
    } else {
        converse(&mut turn, &parsed, &about)?;
    }
    let growth = turn.growth;
    let refused = turn.refused;
    if growth != 0 {
        let len = parsed.body.bytes.len().saturating_add_signed(growth);
        for value in parsed.named("content-length").chain(parsed.named("l")) {
            realm::replace(context, value, format_args!("{len}"))?;
        }
    }
    Ok(refused.map_or(Handled::Continue, Handled::Refused))
}

/// A registration, or its answer.
fn register(turn: &mut Turn, parsed: &Parsed, about: &About) -> Result<(), Refusal> {
    let registration = about.call.map(|call| registration::known(turn.context, call)).unwrap_or_default();
    turn.forms = registration.forms;
    let is_own_request = turn.from == Side::Inside && about.code.is_none();
    if is_own_request && about.expires_s != Some(0) {
        (turn.opens, turn.life_s) = (Some(Purpose::Registration), PENDING_LIFE_S);
    }
    turn.translate_headers(parsed)?;
    translate_body(turn, parsed, about, None)?;
    let Some(call) = about.call else { return Ok(()) };
    if is_own_request {
        let is_star = parsed.named("contact").chain(parsed.named("m")).any(|value| value.is("*"));
        registration::request(turn, registration, about, (call, is_star));
    } else if turn.from == Side::Outside {
        kinds::answered(turn.context, &registration, about);
        registration::answer(turn, registration, about, call);
    }
    Ok(())
}

/// Any other message.
fn converse(turn: &mut Turn, parsed: &Parsed, about: &About) -> Result<(), Refusal> {
    let mut dialog = about.call.and_then(|call| known(turn, about, call));
    turn.forms = dialog.as_ref().map(|dialog| dialog.forms).unwrap_or_default();
    if turn.from == Side::Outside && turn.forms.is_empty() && is_global_contact(turn) {
        turn.forms = Forms::GLOBAL;
    }
    let is_refresh = REFRESHES.iter().any(|method| about.method == method.as_bytes());
    let is_valid = about.code.is_none_or(|code| (101..300).contains(&code));
    let lives = dialog.as_mut().filter(|dialog| !dialog.is_over);
    if let Some(dialog) = lives.as_ref().filter(|_| turn.from == Side::Inside && is_refresh && is_valid) {
        (turn.opens, turn.life_s) = (Some(Purpose::Dialogs), dialog.life_s());
    }
    turn.translate_headers(parsed)?;
    translate_body(turn, parsed, about, lives)?;
    let Some(call) = about.call else { return Ok(()) };
    let Some(mut dialog) = dialog else {
        if turn.forms.is_empty() || turn.from == Side::Outside {
            return Ok(());
        }
        let mut dialog = Dialog::default();
        dialog.forms = turn.forms;
        match turn.context.call(call, PENDING_LIFE_S) {
            Ok(record) => *record = Call::Dialog(dialog),
            Err(refusal) => turn.refused = Some(refusal),
        }
        return Ok(());
    };
    dialog.forms = turn.forms;
    if !dialog.is_over && dialog.hear(about, turn.from, call, turn.context) {
        kinds::ended(turn.context, about);
        dialog.end(call, turn.context);
    } else if !dialog.is_over
        && turn.from == Side::Inside
        && is_valid
        && !matches!(about.method, b"BYE" | b"CANCEL")
    {
        rely_on_doors(turn, &mut dialog);
    }
    if let Some(record) = turn.context.known_call(call) {
        *record = Call::Dialog(dialog);
    }
    Ok(())
}

/// Whether the inside host told others its global endpoint, where this message reached it.
fn is_global_contact(turn: &mut Turn) -> bool {
    let forms = reach::forms(turn.context, turn.session.transport, turn.session.inside_local);
    forms.is_some_and(|forms| forms.is_global(places::Place::Contact))
}

/// What is remembered of a message's dialog. A new one begins with a request that begins dialogs.
fn known(turn: &mut Turn, about: &About, call: u64) -> Option<Dialog> {
    let begins = BEGINNINGS.iter().any(|method| about.requests(method));
    if let Some(Call::Dialog(dialog)) = turn.context.known_call(call) {
        let mut dialog = dialog.clone();
        if dialog.is_over && begins {
            dialog.begin_again();
            kinds::begun(turn.context, about);
        }
        return Some(dialog);
    }
    if !begins {
        return None;
    }
    match turn.context.call(call, RINGING_LIFE_S) {
        Ok(_) => {
            kinds::begun(turn.context, about);
            Some(Dialog::default())
        }
        Err(refusal) => {
            turn.refused = Some(refusal);
            None
        }
    }
}

/// While a dialog lives whoever takes part in it reaches the inside host: at its contact, and where it sends from. Without
/// `Record-Route` the two ends talk to each other, by other control sessions than the first request's.
fn rely_on_doors(turn: &mut Turn, dialog: &mut Dialog) {
    if let Some(contact) = turn.contacts.first() {
        dialog.contact = Some(*contact);
    }
    let signalling = (Transport::Udp, turn.session.inside_local);
    let signalling = Some(signalling).filter(|_| turn.session.transport == Transport::Udp);
    let contact = dialog.contact.map(|contact| (contact.transport(), contact.local));
    for (n, (transport, local)) in signalling.into_iter().chain(contact).enumerate() {
        let key = reach::key(turn.context, Purpose::Dialogs, transport, local);
        if n == 0 || contact != signalling {
            let forms = reach::forms(turn.context, transport, local).unwrap_or_default();
            let opened =
                reach::open(turn.context, Purpose::Dialogs, (transport, local), dialog.life_s(), forms);
            turn.refused = opened.err().or(turn.refused);
        }
        dialog.rely_on(key, turn.context);
    }
}

/// Translates the descriptions of a message.
fn translate_body(
    turn: &mut Turn,
    parsed: &Parsed,
    about: &About,
    mut dialog: Option<&mut Dialog>,
) -> Result<(), Refusal> {
    let is_provisional = about.code.is_some_and(|code| code < 200);
    for body in descriptions(parsed) {
        let body: Slice = body;
        kinds::described(turn.context, body);
        match turn.from {
            Side::Inside => media::announce(turn, dialog.as_deref_mut(), about.call, body)?,
            Side::Outside => media::hear(turn, dialog.as_deref_mut(), about.call, (body, is_provisional))?,
        }
    }
    Ok(())
}

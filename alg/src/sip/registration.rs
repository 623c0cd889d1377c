//! Registrations: doors for who is registered, for as long as the registrar grants (RFC 3261 section 10).

use super::about::About;
use super::dialog::Registration;
use super::forms::Contact;
use super::reach::{self, PENDING_LIFE_S, Purpose};
use super::turn::Turn;
use crate::registry::Call;
use crate::{Context, Owner};

/// How long a registration lasts that nobody set a time for.
const GRANTED_S: u32 = 3600;

/// What is remembered of the registration that a message is about.
pub fn known(context: &mut dyn Context, call: u64) -> Registration {
    match context.known_call(call) {
        Some(Call::Registration(registration)) => registration.clone(),
        _ => Registration::default(),
    }
}

/// Takes note of the inside host's request, whose contacts were read.
pub fn request(turn: &mut Turn, mut registration: Registration, about: &About, (call, is_star): (u64, bool)) {
    registration.forms = turn.forms;
    registration.ask(about, &turn.contacts, is_star);
    if turn.context.known_call(call).is_none()
        && let Err(refusal) = turn.context.call(call, PENDING_LIFE_S)
    {
        // Its addresses are translated all the same.
        turn.refused = Some(refusal);
    }
    if let Some(record) = turn.context.known_call(call) {
        *record = Call::Registration(registration);
    }
}

/// Takes note of the registrar's answer, in which contacts are those of the inside host that it knows now.
pub fn answer(turn: &mut Turn, mut registration: Registration, about: &About, call: u64) {
    let is_granted = about.code.is_some_and(|code| (200..300).contains(&code));
    if !is_granted || registration.number != about.number {
        return;
    }
    let mut longest_s = 0;
    for contact in &registration.contacts {
        let owner = reach::key(turn.context, Purpose::Registration, contact.transport(), contact.local);
        if contact.is_removed {
            turn.context.close(Owner::Call(owner));
            continue;
        }
        let is_it = |listed: &&Contact| (listed.is_tcp, listed.local) == (contact.is_tcp, contact.local);
        let listed = turn.contacts.iter().find(is_it).and_then(|listed| listed.expires_s);
        let asked = contact.expires_s;
        let granted_s = listed.or(about.expires_s).or(asked).unwrap_or(GRANTED_S);
        reach::grant(turn.context, contact.transport(), contact.local, granted_s);
        longest_s = longest_s.max(granted_s);
    }
    registration.contacts.retain(|contact| !contact.is_removed);
    if registration.contacts.is_empty() {
        turn.context.close(Owner::Call(call));
        return;
    }
    registration.is_granted = true;
    turn.context.renew(Owner::Call(call), longest_s);
    if let Some(record) = turn.context.known_call(call) {
        *record = Call::Registration(registration);
    }
}

//! What happens within a call: changes, and its end (RFC 3261 sections 12.2, 14, 15; RFC 3311).

use super::agent::{Agent, Client, Purpose};
use super::book::{self, Book};
use super::call::State;
use super::message::{self, Message};
use super::plan::{Change, End};

/// Who offered while the other side did tries again after so long.
const AGAIN_MS: u64 = 3000;

impl Agent {
    /// What comes next in a call, if it is this side's.
    pub fn plan_next(&mut self, number: usize, book: &Book) {
        let (plan, now_ms) = (&book.plans[number], book.now_ms);
        let Some(call) = self.calls.get_mut(&number) else { return };
        if call.state != State::Confirmed || plan.end != End::Answered {
            return;
        }
        call.act_ms = match plan.steps.get(call.step) {
            Some(step) => (step.by == call.side).then_some(now_ms + step.after_ms),
            None => (plan.ended_by == call.side).then_some(now_ms + plan.talk_ms),
        };
    }

    /// A step of a call is done.
    fn step_done(&mut self, number: usize, book: &mut Book) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.step += 1;
            self.plan_next(number, book);
        }
    }

    /// It is time for what comes next.
    pub fn act(&mut self, number: usize, book: &mut Book) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.act_ms = None;
        let (state, step) = (call.state, call.step);
        match state {
            State::Calling => self.cancel(number, book),
            State::Ringing => self.pick_up(number, book),
            State::Confirmed => match book.plans[number].steps.get(step).copied() {
                Some(step) => self.change(number, step.change, book),
                None => self.hang_up(number, book),
            },
            State::Closing | State::Over => {}
        }
    }

    fn change(&mut self, number: usize, change: Change, book: &mut Book) {
        let method = match change {
            Change::Update => "UPDATE",
            Change::Info => "INFO",
            _ => "INVITE",
        };
        let body = self.offer_change(number, change, book);
        if let Some(call) = self.calls.get_mut(&number) {
            call.cseq += 1;
        }
        let draft = self.draft(number, method, body);
        self.request(Purpose::Change(number), draft, book);
    }

    /// A change is answered.
    pub fn changed(&mut self, number: usize, client: &Client, response: &Message, book: &mut Book) {
        let status = response.status();
        let Some(call) = self.calls.get_mut(&number) else { return };
        if status < 200 {
            return;
        }
        let (id, step, is_open) = (call.call_id.clone(), call.step, call.state == State::Confirmed);
        let is_refusal =
            book.plans[number].steps.get(step).is_some_and(|step| step.change == Change::Refused);
        let (cseq, method) = client.request.cseq();
        if status < 300 {
            if !response.body.is_empty() {
                self.read_theirs(number, response.description(), book);
                book.counts.changes += 1;
            } else if !client.request.body.is_empty() {
                book.wrong(&id, "an offer has no answer");
            }
            if method == "INVITE" {
                self.acknowledge(number, cseq, None, book);
            }
        } else {
            call.offered = None;
            if method == "INVITE" {
                self.acknowledge_refusal(number, client, response, book);
            }
            if [491, 500].contains(&status) && is_open {
                if let Some(call) = self.calls.get_mut(&number) {
                    call.act_ms = Some(book.now_ms + AGAIN_MS);
                }
                return;
            }
        }
        let expected = if is_refusal { 488 } else { 200 };
        if status != expected && is_open {
            let text = format!("{}'s {method} is answered {status}", self.setup.user);
            book.unfinished(Some(number), self.setup.number, &id, text);
        }
        if is_open {
            self.step_done(number, book);
        }
    }

    /// A request within a call arrives.
    pub fn asked_within(&mut self, at: usize, book: &mut Book) {
        let request = self.servers[at].request.clone();
        let call_id = request.get("Call-ID");
        let call = book::number(call_id).and_then(|number| self.calls.get_mut(&number));
        let Some(call) = call.filter(|call| call.call_id == call_id) else {
            return self.answer(at, 481, &[], None, book);
        };
        let (number, names) = (call.number, [call.remote.clone(), call.local.clone()]);
        if [request.get("From"), request.get("To")] != [names[0].as_str(), names[1].as_str()] {
            book.wrong(call_id, format!("{} is asked by others than {names:?}", self.setup.user));
        }
        call.remote_cseq = call.remote_cseq.max(request.cseq().0);
        let (state, step) = (call.state, call.step);
        if request.method() == "BYE" {
            return self.bye(number, at, book);
        }
        if state != State::Confirmed {
            return self.answer(at, 481, &[], None, book);
        }
        let is_asking = self.clients.iter().any(|client| client.purpose == Purpose::Change(number));
        if is_asking {
            return self.answer(at, 491, &[], None, book);
        }
        if !self.imply_acknowledgement(number, at, book) {
            return self.answer(at, 500, &[("Retry-After", "1".into())], None, book);
        }
        let change = book.plans[number].steps.get(step).map(|step| step.change);
        match request.method() {
            "INFO" => {
                self.answer(at, 200, &[], None, book);
                self.step_done(number, book);
            }
            "INVITE" if change == Some(Change::Refused) => self.answer(at, 488, &[], None, book),
            method => {
                let target = message::uri_of(request.get("Contact")).to_string();
                if let Some(call) = self.calls.get_mut(&number) {
                    call.target = target;
                }
                self.read_theirs(number, request.description(), book);
                let body = self.reply(number, book);
                let contact = self.contact();
                self.answer(at, 200, &contact, Some(body), book);
                if method == "UPDATE" {
                    self.step_done(number, book);
                }
            }
        }
    }

    /// Who asks for more has read the last answer, acknowledged or not. False where the answer to an offer is still to come.
    fn imply_acknowledgement(&mut self, number: usize, but: usize, book: &mut Book) -> bool {
        let Some(call) = self.calls.get(&number) else { return true };
        let (id, is_waiting) = (call.call_id.clone(), call.offered.is_some());
        for at in (0..self.servers.len()).filter(|at| *at != but) {
            let server = &self.servers[at];
            let is_own = server.request.method() == "INVITE" && server.request.get("Call-ID") == id;
            if is_own && server.status >= 200 && !server.is_acknowledged {
                if is_waiting {
                    return false;
                }
                let ack = Message::default();
                self.acknowledged(at, &ack, book);
            }
        }
        true
    }

    /// An answer to an invitation is acknowledged.
    pub fn acknowledged(&mut self, at: usize, ack: &Message, book: &mut Book) {
        if self.servers[at].status < 200 || !self.settle(at) {
            return;
        }
        let server = &self.servers[at];
        let (status, call_id) = (server.status, server.request.get("Call-ID"));
        let is_first = message::parameter(server.request.get("To"), "tag").is_none();
        let Some(call) = book::number(call_id).and_then(|number| self.calls.get(&number)) else { return };
        let (number, is_waiting) = (call.number, call.offered.is_some());
        match (status, is_first) {
            (300.., true) => self.end(number, book),
            (491 | 500, false) => {}
            (_, false) => self.step_done(number, book),
            (_, true) => {
                if is_waiting {
                    self.read_theirs(number, ack.description(), book);
                }
                self.plan_next(number, book);
            }
        }
    }

    /// Hangs up.
    pub fn hang_up(&mut self, number: usize, book: &mut Book) {
        self.set_state(number, State::Closing);
        if let Some(call) = self.calls.get_mut(&number) {
            call.cseq += 1;
            call.media_ms = None;
            book.leaving.insert((number, call.side));
        }
        let draft = self.draft(number, "BYE", None);
        self.request(Purpose::Bye(number), draft, book);
    }

    /// The other side hangs up.
    fn bye(&mut self, number: usize, at: usize, book: &mut Book) {
        let call_id = self.servers[at].request.get("Call-ID").to_string();
        for other in 0..self.servers.len() {
            if self.servers[other].request.get("Call-ID") == call_id {
                self.settle(other);
            }
        }
        self.clients.retain(|client| client.purpose != Purpose::Change(number));
        self.answer(at, 200, &[], None, book);
        self.end(number, book);
    }

    /// A call is over.
    pub fn end(&mut self, number: usize, book: &mut Book) {
        self.set_state(number, State::Over);
        if let Some(call) = self.calls.get_mut(&number) {
            call.media_ms = None;
            book.leaving.insert((number, call.side));
            book.ended[number][call.side].get_or_insert(book.now_ms);
        }
    }
}

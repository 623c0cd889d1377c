//! A call begins, on its callee's side (RFC 3261 sections 9.2, 13.3).

use rand::RngExt;

use super::agent::{Agent, Server};
use super::book::{self, Book};
use super::call::{Call, State};
use super::message::{self, Message};
use super::plan::End;

impl Agent {
    /// An invitation arrives.
    pub fn ring(&mut self, at: usize, book: &mut Book) {
        let server = &self.servers[at];
        let (request, to) = (server.request.clone(), server.to.clone());
        let call_id = request.get("Call-ID");
        let plan = book::number(call_id).and_then(|number| Some((number, book.plans.get(number)?.clone())));
        let Some((number, plan)) = plan.filter(|(_, plan)| plan.parties[1] == self.setup.number) else {
            return book.wrong(call_id, format!("{} is invited by mistake", self.setup.user));
        };
        let mut call = Call::new(number, 1, call_id, State::Ringing);
        (call.local, call.remote) = (to, request.get("From").to_string());
        call.target = message::uri_of(request.get("Contact")).to_string();
        call.routes = request.all("Record-Route").map(str::to_string).collect();
        call.remote_cseq = request.cseq().0;
        call.cseq = self.generator.random_range(1..1000);
        call.act_ms = (plan.end != End::Cancelled).then_some(book.now_ms + plan.ring_ms);
        self.calls.insert(number, call);
        if request.body.is_empty() != plan.is_late {
            book.wrong(call_id, "an offer was lost, or made");
        }
        if !plan.is_late {
            self.read_theirs(number, request.description(), book);
        }
        if self.generator.random_bool(0.5) {
            self.answer(at, 100, &[], None, book);
        }
        let body = plan.has_early_media.then(|| self.reply(number, book));
        let contact = self.contact();
        self.answer(at, if body.is_some() { 183 } else { 180 }, &contact, body, book);
    }

    /// The own Contact, as answers have it.
    pub fn contact(&self) -> [(&'static str, String); 1] {
        [("Contact", format!("<{}>", self.setup.contact()))]
    }

    fn invitation(&self, call_id: &str) -> Option<usize> {
        let is_it = |server: &Server| {
            server.request.method() == "INVITE"
                && server.status < 200
                && server.request.get("Call-ID") == call_id
        };
        self.servers.iter().position(is_it)
    }

    /// It has rung long enough.
    pub fn pick_up(&mut self, number: usize, book: &mut Book) {
        let plan = book.plans[number].clone();
        let Some(call) = self.calls.get(&number) else { return };
        let Some(at) = self.invitation(&call.call_id) else { return };
        if let End::Refused(code) = plan.end {
            self.set_state(number, State::Closing);
            return self.answer(at, code, &[], None, book);
        }
        self.set_state(number, State::Confirmed);
        let has_own = self.calls.get(&number).is_some_and(|call| !call.own.is_empty());
        let body = match (plan.is_late, has_own) {
            (true, _) => {
                let lines = self.lines(&plan.kinds);
                self.offer(number, lines, false, book)
            }
            // What was said early is said again.
            (false, true) => self.repeat_description(number),
            (false, false) => self.reply(number, book),
        };
        let contact = self.contact();
        self.answer(at, 200, &contact, Some(body), book);
    }

    /// A state, and nothing more to do by itself.
    pub fn set_state(&mut self, number: usize, state: State) {
        if let Some(call) = self.calls.get_mut(&number) {
            (call.state, call.act_ms) = (state, None);
        }
    }

    /// The caller gives up.
    pub fn cancelled(&mut self, at: usize, book: &mut Book) {
        let request = &self.servers[at].request;
        let bare = |request: &Message| message::without(request.get("Via"), &["rport", "received"]);
        let (call_id, via) = (request.get("Call-ID").to_string(), bare(request));
        let is_it = |server: &Server| server.request.method() == "INVITE" && bare(&server.request) == via;
        let Some(invite) = self.servers.iter().position(is_it) else {
            return self.answer(at, 481, &[], None, book);
        };
        self.answer(at, 200, &[], None, book);
        if self.servers[invite].status < 200 {
            if let Some(number) = book::number(&call_id) {
                self.set_state(number, State::Closing);
            }
            self.answer(invite, 487, &[], None, book);
        }
    }
}

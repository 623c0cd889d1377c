//! An agent's turn: what is due, and what requests and answers are for.

use super::agent::{Agent, Client, Purpose};
use super::book::{self, Book};
use super::message::{self, Message};

impl Agent {
    /// All that is due.
    pub fn tick(&mut self, book: &mut Book) {
        if book.now_ms < self.away_until_ms {
            return;
        }
        self.repeat(book);
        self.refresh(book);
        let now_ms = book.now_ms;
        let is_due = |at: Option<u64>| at.is_some_and(|at| at <= now_ms);
        let due: Vec<usize> =
            self.calls.values().filter(|call| is_due(call.act_ms)).map(|call| call.number).collect();
        for number in due {
            self.act(number, book);
        }
        self.talk(book);
    }

    /// When something is due.
    pub fn next_ms(&self) -> Option<u64> {
        let calls = self.calls.values().flat_map(|call| [call.act_ms, call.media_ms]).flatten().min();
        let next = [calls, self.next_repeat_ms(), self.registration_ms()];
        next.into_iter().flatten().min().map(|at| at.max(self.away_until_ms))
    }

    fn registration_ms(&self) -> Option<u64> {
        self.setup.registers_s.and(self.registration.next_ms)
    }

    /// A request is answered.
    pub fn answered(&mut self, client: &Client, response: &Message, book: &mut Book) {
        match client.purpose {
            Purpose::Register => self.registered(client, response, book),
            Purpose::Invite(number) => self.invited(number, client, response, book),
            Purpose::Change(number) => self.changed(number, client, response, book),
            Purpose::Bye(number) | Purpose::Cancel(number) => {
                let status = response.status();
                if status >= 300 {
                    let text = format!("{:?} is answered {status}", client.purpose);
                    book.unfinished(Some(number), self.setup.number, response.get("Call-ID"), text);
                }
                if status >= 200 && client.purpose == Purpose::Bye(number) {
                    self.end(number, book);
                }
            }
        }
    }

    /// A request was not answered in time.
    pub fn unanswered(&mut self, client: &Client, book: &mut Book) {
        let call = match client.purpose {
            Purpose::Register => None,
            Purpose::Invite(call) | Purpose::Change(call) | Purpose::Bye(call) | Purpose::Cancel(call) => {
                Some(call)
            }
        };
        let id = client.request.get("Call-ID");
        let text = format!("{}'s {} was not answered", self.setup.user, client.request.method());
        book.unfinished(call, self.setup.number, id, text);
        if let Some(number) = call {
            self.end(number, book);
        }
    }

    /// An answer was not acknowledged in time.
    pub fn unacknowledged(&mut self, request: &Message, book: &mut Book) {
        let id = request.get("Call-ID");
        let text = format!("{}'s answer was not acknowledged", self.setup.user);
        let number = book::number(id);
        book.unfinished(number, self.setup.number, id, text);
        if let Some(number) = number.filter(|number| self.calls.contains_key(number)) {
            self.end(number, book);
        }
    }

    /// A new request arrived.
    pub fn asked(&mut self, at: usize, book: &mut Book) {
        let request = &self.servers[at].request;
        let is_within = message::parameter(request.get("To"), "tag").is_some();
        match request.method() {
            "CANCEL" => self.cancelled(at, book),
            "INVITE" if !is_within => self.ring(at, book),
            "OPTIONS" => self.answer(at, 200, &[], None, book),
            _ => self.asked_within(at, book),
        }
    }
}

//! A call begins, on its caller's side (RFC 3261 sections 9, 13.2).

use super::agent::{Agent, Client, Draft, Purpose};
use super::book::Book;
use super::call::{Call, State};
use super::message::{self, Message};
use super::parcel::Outgoing;
use super::plan::End;

impl Agent {
    /// Begins a call.
    pub fn start_call(&mut self, number: usize, target: &str, book: &mut Book) {
        let own = if self.setup.has_own_ids { format!("@{}", self.setup.ip) } else { String::new() };
        let call_id = format!("c{number}-{}{}{own}", self.word(), self.word());
        book.ids.insert(number, call_id.clone());
        let mut call = Call::new(number, 0, &call_id, State::Calling);
        call.local = format!("{};tag={}", self.setup.name(), self.word());
        call.remote = format!("<{}>", target.split(';').next().unwrap_or(""));
        call.target = target.to_string();
        call.cseq = 1;
        let plan = &book.plans[number];
        let (is_late, kinds) = (plan.is_late, plan.kinds.clone());
        self.calls.insert(number, call);
        let body = (!is_late).then(|| {
            let lines = self.lines(&kinds);
            self.offer(number, lines, false, book)
        });
        let draft = self.draft(number, "INVITE", body);
        let branch = self.request(Purpose::Invite(number), draft, book);
        if let Some(call) = self.calls.get_mut(&number) {
            call.branch = branch;
        }
    }

    /// A request within a call, or its first.
    pub fn draft(&mut self, number: usize, method: &str, body: Option<String>) -> Draft {
        let call = &self.calls[&number];
        let has_contact = ["INVITE", "UPDATE"].contains(&method);
        let contact = ("Contact".to_string(), format!("<{}>", self.setup.contact()));
        Draft {
            method: method.to_string(),
            uri: call.target.clone(),
            dialog: [call.local.clone(), call.remote.clone(), call.call_id.clone()],
            cseq: call.cseq,
            routes: call.routes.clone(),
            headers: has_contact.then_some(contact).into_iter().collect(),
            body,
        }
    }

    /// The invitation is answered.
    pub fn invited(&mut self, number: usize, client: &Client, response: &Message, book: &mut Book) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let (plan, status) = (book.plans[number].clone(), response.status());
        match status {
            100..200 => {
                if call.state == State::Calling && call.act_ms.is_none() {
                    call.act_ms = match plan.end {
                        End::Cancelled => Some(book.now_ms + plan.ring_ms / 2),
                        End::Raced => Some(book.now_ms + plan.ring_ms),
                        _ => None,
                    };
                }
                if !response.body.is_empty() && !plan.is_late {
                    self.read_theirs(number, response.description(), book);
                }
            }
            200..300 => self.accepted(number, response, book),
            _ => {
                let (id, was_cancelled) = (call.call_id.clone(), call.state == State::Closing);
                self.acknowledge_refusal(number, client, response, book);
                let is_expected = match plan.end {
                    End::Refused(code) => code == status,
                    End::Cancelled | End::Raced => status == 487 && was_cancelled,
                    End::Answered => false,
                };
                if !is_expected {
                    let text = format!("{} is refused: {status}", self.setup.user);
                    book.unfinished(Some(number), self.setup.number, &id, text);
                }
                self.end(number, book);
            }
        }
    }

    fn accepted(&mut self, number: usize, response: &Message, book: &mut Book) {
        let plan = book.plans[number].clone();
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.remote = response.get("To").to_string();
        call.target = message::uri_of(response.get("Contact")).to_string();
        call.routes = response.all("Record-Route").map(str::to_string).collect();
        call.routes.reverse();
        let gives_up = call.state == State::Closing || plan.end != End::Answered;
        (call.state, call.act_ms) = (State::Confirmed, None);
        let cseq = call.cseq;
        self.read_theirs(number, response.description(), book);
        let body = plan.is_late.then(|| self.reply(number, book));
        self.acknowledge(number, cseq, body, book);
        match gives_up {
            true => self.hang_up(number, book),
            false => self.plan_next(number, book),
        }
    }

    /// Acknowledges an acceptance.
    pub fn acknowledge(&mut self, number: usize, cseq: u32, body: Option<String>, book: &mut Book) {
        let draft = Draft { cseq, ..self.draft(number, "ACK", body) };
        let branch = format!("z9hG4bK{}", self.word());
        let (_, sent) = self.prepare(&draft, &branch, book);
        self.note_ack(number, cseq, sent);
    }

    fn note_ack(&mut self, number: usize, cseq: u32, sent: Outgoing) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.acks.push((cseq, sent.clone()));
        }
        self.send(sent);
    }

    /// Acknowledges a refusal, within the transaction (section 17.1.1.3).
    pub fn acknowledge_refusal(
        &mut self,
        number: usize,
        client: &Client,
        response: &Message,
        book: &mut Book,
    ) {
        let cseq = client.request.cseq().0;
        let mut ack = within(client, "ACK");
        ack.add("To", response.get("To"));
        let sent = self.parcel(&ack, book);
        self.note_ack(number, cseq, sent);
    }

    /// An answer arrives again.
    pub fn acknowledge_again(&mut self, response: &Message) {
        let id = response.get("Call-ID");
        let Some(call) = self.calls.values().find(|call| call.call_id == id) else { return };
        let cseq = response.cseq().0;
        let ack = call.acks.iter().rev().find(|(number, _)| *number == cseq).map(|(_, ack)| ack.clone());
        self.out.extend(ack);
    }

    /// Gives up the invitation.
    pub fn cancel(&mut self, number: usize, book: &mut Book) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.state = State::Closing;
        let branch = call.branch.clone();
        let is_it = |client: &&Client| client.purpose == Purpose::Invite(number);
        let Some(client) = self.clients.iter().find(is_it).cloned() else { return };
        let mut cancel = within(&client, "CANCEL");
        cancel.add("To", client.request.get("To"));
        let sent = self.parcel(&cancel, book);
        self.begin(Purpose::Cancel(number), cancel, branch, sent, book.now_ms);
    }
}

/// ACK or CANCEL of a request's own transaction.
fn within(client: &Client, method: &str) -> Message {
    let request = &client.request;
    let mut message = Message::new(format!("{method} {} SIP/2.0", request.uri()));
    message.copy(request, &["Via", "Route", "Max-Forwards", "From", "Call-ID"]);
    message.add("CSeq", format!("{} {method}", request.cseq().0));
    message
}

//! An agent registers, refreshes and leaves (RFC 3261 section 10).

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::RngExt;

use super::agent::{Agent, Client, Draft, Purpose};
use super::book::Book;
use super::message::{self, Message};

/// What an agent answers to be believed: a hash over what digests are over (RFC 2617 section 3.2.2).
pub fn digest(user: &str, nonce: &str, method: &str, uri: &str) -> String {
    let mut hasher = DefaultHasher::new();
    [user, "secret", nonce, method, uri].hash(&mut hasher);
    format!("{:032x}", hasher.finish())
}

impl Agent {
    /// Whether it can be called.
    pub fn is_reachable(&self) -> bool {
        self.setup.registers_s.is_none() || self.registration.is_granted
    }

    /// It removes its registration.
    pub fn leave(&mut self, now_ms: u64) {
        self.registration.is_leaving = true;
        self.registration.next_ms = Some(now_ms);
    }

    /// What is due of the registration.
    pub fn refresh(&mut self, book: &mut Book) {
        let is_due = self.registration.next_ms.is_some_and(|at| at <= book.now_ms);
        if let Some(wanted_s) = self.setup.registers_s.filter(|_| is_due) {
            self.registration.next_ms = None;
            self.register(wanted_s, book);
        }
    }

    fn register(&mut self, wanted_s: u32, book: &mut Book) {
        let uri = format!("sip:{}", self.setup.proxy.0);
        let name = format!("<sip:{}@{}>", self.setup.user, self.setup.proxy.0);
        let contact = format!("<{}>", self.setup.contact());
        let mut headers = Vec::new();
        let mut add = |name: &str, value: String| headers.push((name.to_string(), value));
        let is_leaving = self.registration.is_leaving;
        match (is_leaving, self.generator.random_bool(0.5)) {
            (true, true) => {
                add("Contact", "*".into());
                add("Expires", "0".into());
            }
            (true, false) => add("Contact", format!("{contact};expires=0")),
            (false, true) => add("Contact", format!("{contact};expires={wanted_s}")),
            (false, false) => {
                add("Contact", contact);
                add("Expires", wanted_s.to_string());
            }
        }
        if let Some(nonce) = &self.registration.nonce {
            let (user, response) = (&self.setup.user, digest(&self.setup.user, nonce, "REGISTER", &uri));
            add(
                "Authorization",
                format!(
                    "Digest username=\"{user}\", realm=\"lab\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\""
                ),
            );
        }
        self.registration.cseq += 1;
        let from = format!("{name};tag={}", self.registration.tag);
        let dialog = [from, name, self.registration.call_id.clone()];
        let (method, cseq) = ("REGISTER".to_string(), self.registration.cseq);
        let draft = Draft { method, uri, dialog, cseq, headers, ..Draft::default() };
        self.request(Purpose::Register, draft, book);
    }

    /// The registrar answers.
    pub fn registered(&mut self, client: &Client, response: &Message, book: &mut Book) {
        let call_id = response.get("Call-ID").to_string();
        let status = response.status();
        if status == 401 && !client.request.headers.iter().any(|(name, _)| name == "Authorization") {
            let challenge = response.get("WWW-Authenticate");
            let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
            self.registration.nonce = nonce.map(str::to_string);
            self.registration.next_ms = Some(book.now_ms);
            return;
        }
        if status < 200 {
            return;
        }
        if status != 200 {
            return book.wrong(&call_id, format!("{} is refused: {status}", self.setup.user));
        }
        let own = self.setup.contact();
        let contacts: Vec<&str> = response.all("Contact").collect();
        let granted = contacts.iter().find(|value| message::uri_of(value) == own);
        let granted_s = granted.and_then(|value| message::parameter(value, "expires")?.parse::<u64>().ok());
        let was_leaving =
            client.request.get("Expires") == "0" || client.request.get("Contact").ends_with("expires=0");
        match granted_s {
            None if was_leaving && contacts.is_empty() => self.registration.is_granted = false,
            Some(granted_s) if !was_leaving => {
                self.registration.is_granted = true;
                book.counts.registrations += 1;
                book.come_back(self.setup.number);
                let share = self.generator.random_range(500..900);
                if self.registration.next_ms.is_none() {
                    self.registration.next_ms = Some(book.now_ms + granted_s * share);
                }
            }
            _ => book.wrong(&call_id, format!("{} reads {contacts:?}, not {own}", self.setup.user)),
        }
    }
}

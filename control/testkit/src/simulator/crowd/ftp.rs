//! FTP: logins, commands and replies of all kinds, data ports announced in all forms, and what only looks like that.

use rand::RngExt;
use rand::rngs::SmallRng;

use super::Parties;
use super::conversation::{Conversation, Form, Framing, Part, TCP};
use crate::leak::Row;

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// A client and a server.
struct Ftp<'a> {
    parties: &'a Parties,
    generator: &'a mut SmallRng,
    talk: Conversation,
    /// The next port of the inside host that nobody has announced.
    port: u16,
    /// The client has promised to use `EPSV` only, and was believed.
    has_promised: bool,
    /// The client's next command waits for the replies to those before.
    must_wait: bool,
}

/// A random conversation.
pub fn conversation(parties: &Parties, generator: &mut SmallRng) -> Conversation {
    let port = parties.shared_port.unwrap_or_else(|| generator.random_range(1024..60_000));
    let mut ftp = Ftp {
        parties,
        generator,
        talk: Conversation::default(),
        port,
        has_promised: false,
        must_wait: false,
    };
    ftp.reply("220", "ready", None);
    ftp.exchange("USER anonymous", "331", "who are you?");
    ftp.exchange("PASS guest@", "230", "come in");
    for _ in 0..ftp.generator.random_range(0..8) {
        ftp.something();
    }
    if ftp.generator.random_bool(0.15) {
        ftp.encrypt();
    } else if ftp.generator.random_bool(0.9) {
        ftp.exchange("QUIT", "221", "bye");
    }
    ftp.talk
}

impl Ftp<'_> {
    fn chance(&mut self, share: f64) -> bool {
        self.generator.random_bool(share)
    }

    fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.generator.random_range(0..texts.len())]
    }

    fn next_port(&mut self) -> u16 {
        // Often the same again.
        if self.generator.random_bool(0.6) {
            self.port =
                if self.port < 64_000 { self.port + self.generator.random_range(1..300) } else { 1024 };
        }
        self.port
    }

    /// A line's end: mostly as it should be.
    fn line(&mut self, who: usize, mut parts: Vec<Part>, waits: bool) {
        let end = if self.chance(0.03) { "\n" } else { "\r\n" };
        parts.push(Part::text(end));
        match waits {
            true => self.talk.say(who, Framing::Line, parts),
            false => self.talk.add(who, Framing::Line, parts),
        }
    }

    /// The client may go on before it hears of what it said last.
    fn command(&mut self, parts: Vec<Part>) {
        let waits = self.chance(0.8) || self.must_wait;
        self.must_wait = false;
        self.line(CLIENT, parts, waits);
    }

    /// A reply of one line, or of several; `last` is its last line in place of `code text`.
    fn reply(&mut self, code: &str, text: &str, last: Option<Vec<Part>>) {
        if self.chance(0.2) {
            self.line(SERVER, vec![Part::passing(Row::Words, format!("{code}-{text}, and:"))], true);
            for _ in 0..self.generator.random_range(0..4) {
                let inner = self.one_of(&[
                    " EPRT",
                    " 227 Entering Passive Mode (10,0,0,2,4,1)",
                    "  229 Entering Extended Passive Mode (|||5000|)",
                    "",
                    "PORT 10,0,0,2,4,1",
                    "777 nothing",
                    " a rather long line that says nothing at all, but takes its time to do so",
                ]);
                self.line(SERVER, vec![Part::passing(Row::Words, inner)], true);
            }
        }
        let last = last.unwrap_or_else(|| vec![Part::passing(Row::Words, format!("{code} {text}"))]);
        self.line(SERVER, last, true);
    }

    fn exchange(&mut self, command: &str, code: &str, text: &str) {
        self.command(vec![Part::passing(Row::Words, command)]);
        self.reply(code, text, None);
    }

    fn something(&mut self) {
        match self.generator.random_range(0..100) {
            0..20 => {
                let command = self.one_of(&[
                    "NOOP",
                    "pwd",
                    "CWD /pub/10,0,0,2,4,1",
                    "SYST",
                    "TYPE I",
                    "STAT",
                    "XYZZY 1",
                ]);
                let code = if self.chance(0.9) { "200" } else { "500" };
                self.exchange(command, code, "well");
            }
            20..45 => self.port(),
            45..60 => self.passive(),
            60..75 => self.extended_passive(),
            75..79 => self.long_passive(),
            79..91 => self.almost(),
            91..94 => self.interrupt(),
            94..97 if !self.has_promised => self.promise(),
            _ => self.exchange("RETR file", "550", "no such file"),
        }
    }

    /// The client announces a port of its own.
    fn port(&mut self) {
        let port = self.next_port();
        let form =
            [Form::Six, Form::Marked('|'), Form::Marked('!'), Form::Long][self.generator.random_range(0..4)];
        let endpoint = if self.parties.client_is_inside && !self.has_promised {
            Part::Door(TCP, port, form)
        } else {
            let client =
                if self.parties.client_is_inside { self.parties.inside } else { self.parties.outside };
            Part::passing(Row::Promised, form.write((client, port)))
        };
        let mut parts = match form {
            Form::Six => vec![Part::text(self.one_of(&["PORT ", "port ", "PORT   "])), endpoint],
            Form::Long => vec![Part::text("LPRT "), endpoint],
            Form::Marked(mark) => {
                vec![Part::text(format!("EPRT {mark}1{mark}")), endpoint, Part::text(mark.to_string())]
            }
            Form::Port | Form::Address => unreachable!("not of FTP"),
        };
        if self.chance(0.05) {
            parts.push(Part::text(" "));
        }
        self.command(parts);
        self.reply("200", "consider using PASV", None);
    }

    /// The endpoint of the server's own that a reply names.
    fn server_endpoint(&mut self, form: Form) -> Part {
        let port = self.next_port();
        if self.parties.client_is_inside {
            return Part::text(form.write((self.parties.outside, port)));
        }
        let knows_itself = form != Form::Port && self.parties.is_whole_static && self.chance(0.2);
        if knows_itself { Part::KnowingDoor(TCP, port, form) } else { Part::Door(TCP, port, form) }
    }

    fn passive(&mut self) {
        let command = self.one_of(&["PASV", "pasv"]);
        self.command(vec![Part::text(command)]);
        let endpoint = self.server_endpoint(Form::Six);
        let (before, behind) = match self.generator.random_range(0..4) {
            0 => ("227 Entering Passive Mode (", ")."),
            1 => ("227 =", ""),
            2 => ("227 Entering Passive Mode. ", " "),
            _ => ("227 ok (", ")"),
        };
        let last = vec![Part::text(before), endpoint, Part::text(behind)];
        // A first line of several may name it, too, and would open its door first.
        self.line(SERVER, last, true);
    }

    fn extended_passive(&mut self) {
        let command = self.one_of(&["EPSV", "epsv 1"]);
        self.command(vec![Part::text(command)]);
        let mark = self.one_of(&["|", "!"]);
        let endpoint = self.server_endpoint(Form::Port);
        let before = format!("229 Entering Extended Passive Mode ({mark}{mark}{mark}");
        self.line(SERVER, vec![Part::text(before), endpoint, Part::text(format!("{mark})"))], true);
    }

    fn long_passive(&mut self) {
        self.command(vec![Part::text("LPSV")]);
        let endpoint = self.server_endpoint(Form::Long);
        self.line(
            SERVER,
            vec![Part::text("228 Entering Long Passive Mode ("), endpoint, Part::text(")")],
            true,
        );
    }

    /// What looks like an announcement, and must stay.
    fn almost(&mut self) {
        let inside = self.parties.inside.to_string().replace('.', ",");
        let kind = self.generator.random_range(0..9);
        let text = match kind {
            0 => "PORT 10,9,9,9,4,1".to_string(),
            1 => format!("PORT {inside},3,255"),
            2 => format!("PORT {inside},300,1"),
            3 => format!("PORT {inside},4"),
            4 => "EPRT |2|2001:db8::1|5000|".to_string(),
            5 => format!("EPRT |1|{}|70000|", self.parties.inside),
            6 => format!("SITE PORT {inside},4,1"),
            7 => format!("CWD PORT {inside},4,1"),
            _ => format!("XPORT {inside},4,1"),
        };
        let row = if kind < 6 { Row::Refused } else { Row::Words };
        self.command(vec![Part::passing(row, text)]);
        // Nobody has asked for this one, and nobody may before it is over.
        self.reply("227", &format!("({inside},19,137)"), None);
        self.must_wait = true;
    }

    fn interrupt(&mut self) {
        self.command(vec![Part::text(b"\xff\xf4\xff\xf2ABOR")]);
        self.reply("226", "aborted", None);
    }

    fn promise(&mut self) {
        self.line(CLIENT, vec![Part::text("EPSV ALL")], true);
        self.reply("200", "as you wish", None);
        // What comes next is said in the knowledge of this.
        self.line(CLIENT, vec![Part::text("NOOP")], true);
        self.reply("200", "well", None);
        self.has_promised = true;
    }

    /// From here on nothing can be read, and anything may come.
    fn encrypt(&mut self) {
        let command = self.one_of(&["AUTH TLS", "AUTH SSL", "auth tls"]);
        self.line(CLIENT, vec![Part::text(command)], true);
        self.line(SERVER, vec![Part::text("234 go on")], true);
        for who in [CLIENT, SERVER] {
            let mut bytes =
                format!("\x16\x03\x01 PORT {},4,1\r\n", self.parties.inside.to_string().replace('.', ","));
            bytes.push_str(&"\r\n\u{7f}".repeat(self.generator.random_range(1..30)));
            let framing = Framing::Bytes(bytes.len());
            self.talk.say(who, framing, vec![Part::passing(Row::Encrypted, bytes)]);
        }
    }
}

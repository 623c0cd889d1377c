//! The client's half of the command socket: a session, which lasts as long as its connection.
//!
//! The client sends one request a line, `exec LINE` or `complete LINE`. The server answers with pieces, each `out LENGTH` or,
//! for refusals, `err LENGTH` on a line and then so many bytes, and at last with `end LENGTH WIDTH PROMPT`, or with `bye` when
//! the session is over.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail};
use control::config::grammar::Candidate;

use crate::socket::view_path;

/// The longest request, in bytes, with the end of its line.
const REQUEST_MAX: usize = 4096;
const EXEC: &str = "exec ";
/// The longest line that can be carried out, in bytes.
const LINE_MAX: usize = REQUEST_MAX - EXEC.len() - 1;

/// What a session shows before each line, and how it wants answers shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The text, such as `portico(config)#`.
    pub text: String,
    /// Rows of a page by `terminal length`, none of them for no pages; otherwise the terminal's.
    pub length: Option<usize>,
    /// Columns by `terminal width`, none of them for any number; otherwise the terminal's.
    pub width: Option<usize>,
}

impl Prompt {
    /// Whether lines are configuration now.
    pub fn is_configuration(&self) -> bool {
        self.text.contains("(config")
    }

    /// Of `LENGTH WIDTH PROMPT`.
    fn read(text: &str) -> Option<Prompt> {
        let mut fields = text.splitn(3, ' ');
        let mut number = || match fields.next()? {
            "-" => Some(None),
            number => number.parse().ok().map(Some),
        };
        let (length, width) = (number()?, number()?);
        Some(Prompt { text: fields.next()?.into(), length, width })
    }
}

/// A piece of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered<'a> {
    /// Of the text.
    Out(&'a [u8]),
    /// Why it is refused.
    Refused(&'a [u8]),
}

/// A session with the appliance.
#[derive(Debug)]
pub struct Session {
    answers: BufReader<UnixStream>,
    prompt: Prompt,
}

impl Session {
    /// Begins a session on a socket.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn connect(path: &Path) -> Result<Session> {
        let denied = |connected: &io::Result<UnixStream>| {
            connected.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        let mut connected = UnixStream::connect(path);
        // Whoever may not change anything may still look.
        if denied(&connected)
            && let Ok(stream) = UnixStream::connect(view_path(path))
        {
            connected = Ok(stream);
        }
        let is_denied = denied(&connected);
        let stream = connected.with_context(|| match is_denied {
            true => format!("may not use the socket {}; ask as its owner, who runs portico", path.display()),
            false => {
                format!("no portico answers on {}; is it running, and on this --socket?", path.display())
            }
        })?;
        Session::over(stream)
    }

    /// Begins a session over a connection.
    ///
    /// # Errors
    /// When the other end does not answer as the appliance does.
    pub fn over(stream: UnixStream) -> Result<Session> {
        let mut session = Session { answers: BufReader::new(stream), prompt: Prompt::default() };
        // An empty line is answered with the prompt alone.
        let mut refusal = Vec::new();
        let is_open = session.exec("", |piece| {
            if let Answered::Refused(text) = piece {
                refusal.extend_from_slice(text);
            }
            true
        })?;
        if !is_open {
            bail!("the appliance takes no session: {}", String::from_utf8_lossy(&refusal).trim_end());
        }
        Ok(session)
    }

    /// What the session showed last.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// Has a line carried out, and hands on each piece of the answer. Whether the session goes on: it does not once `take`
    /// wants no more, for the rest of the answer is in the way then.
    ///
    /// # Errors
    /// When the answer has no end.
    pub fn exec(&mut self, line: &str, mut take: impl FnMut(Answered) -> bool) -> Result<bool> {
        if line.len() > LINE_MAX {
            let refusal = format!("% Line is too long: at most {LINE_MAX} bytes are read\n");
            return Ok(take(Answered::Refused(refusal.as_bytes())));
        }
        self.ask(&format!("{EXEC}{line}"), take)
    }

    /// What could stand at the end of a line.
    ///
    /// # Errors
    /// When the answer has no end.
    pub fn complete(&mut self, line: &str) -> Result<Vec<Candidate>> {
        let request = format!("complete {line}");
        if request.len() >= REQUEST_MAX {
            return Ok(Vec::new());
        }
        let mut text = Vec::new();
        self.ask(&request, |piece| {
            if let Answered::Out(bytes) = piece {
                text.extend_from_slice(bytes);
            }
            true
        })?;
        let candidate = |line: &str| {
            let mut fields = line.split('\t').map(str::to_string);
            let (word, help) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            Candidate { word, help, literal: fields.next().as_deref() == Some("1") }
        };
        Ok(String::from_utf8_lossy(&text).lines().map(candidate).collect())
    }

    fn ask(&mut self, request: &str, mut take: impl FnMut(Answered) -> bool) -> Result<bool> {
        let closed = "the appliance closed the connection; what was not committed is dropped";
        let request = request.replace(['\n', '\r'], " ") + "\n";
        self.answers.get_mut().write_all(request.as_bytes()).context(closed)?;
        loop {
            let mut header = String::new();
            if self.answers.read_line(&mut header).context(closed)? == 0 {
                bail!(closed);
            }
            let header = header.trim_end_matches('\n');
            let (kind, rest) = header.split_once(' ').unwrap_or((header, ""));
            let length = match kind {
                "bye" => return Ok(false),
                "end" => None,
                "out" | "err" => rest.parse::<usize>().ok(),
                _ => None,
            };
            match (length, kind) {
                (None, "end") => {
                    self.prompt = Prompt::read(rest).context("the appliance answers in another protocol")?;
                    return Ok(true);
                }
                (None, _) => bail!("the appliance answers in another protocol"),
                (Some(length), _) => {
                    let mut piece = vec![0; length];
                    self.answers.read_exact(&mut piece).context(closed)?;
                    let piece = if kind == "out" { Answered::Out(&piece) } else { Answered::Refused(&piece) };
                    if !take(piece) {
                        return Ok(false);
                    }
                }
            }
        }
    }
}

/// The lines of a text, which end with line feed, carriage return, or both.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').flat_map(|line| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line).split('\r')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session with a server that answers so, whatever is asked.
    fn session(answers: &str) -> (Result<Session>, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(answers.as_bytes()).expect("answers");
        (Session::over(ours), theirs)
    }

    /// Why there is no session, or no answer in it, with a server that says this and closes.
    fn error(answers: &str) -> String {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(answers.as_bytes()).expect("answers");
        theirs.shutdown(std::net::Shutdown::Write).expect("closed");
        let answer = |mut session: Session| session.exec("show version", |_| true);
        format!("{:#}", Session::over(ours).and_then(answer).expect_err("no answer"))
    }

    #[test]
    fn answers_have_pieces_and_a_prompt() {
        let answers = "end - - edge#\nout 3\nab\nerr 4\n% c\nend 0 511 edge(config-if)# \nbye\n";
        let (session, _theirs) = session(answers);
        let mut session = session.expect("a session");
        assert_eq!(session.prompt(), &Prompt { text: "edge#".into(), length: None, width: None });
        assert!(!session.prompt().is_configuration());
        let mut pieces = Vec::new();
        let is_open = session.exec("show version", |piece| {
            pieces.push(match piece {
                Answered::Out(text) => ("out", text.to_vec()),
                Answered::Refused(text) => ("refused", text.to_vec()),
            });
            true
        });
        assert!(is_open.expect("an answer"));
        assert_eq!(pieces, [("out", b"ab\n".to_vec()), ("refused", b"% c\n".to_vec())]);
        let prompt = Prompt { text: "edge(config-if)# ".into(), length: Some(0), width: Some(511) };
        assert_eq!(session.prompt(), &prompt);
        assert!(session.prompt().is_configuration());
        assert!(!session.exec("exit", |_| true).expect("an answer"), "the session is over");
    }

    #[test]
    fn a_line_that_is_too_long_is_not_sent() {
        let (session, mut theirs) = session("end - - edge#\nend - - edge#\n");
        let mut session = session.expect("a session");
        let mut refusals = Vec::new();
        let mut exec = |line: &str| {
            let take = |piece: Answered| {
                refusals.push(format!("{piece:?}"));
                true
            };
            assert!(session.exec(line, take).expect("an answer"));
        };
        exec(&"x".repeat(LINE_MAX + 1));
        exec(&"y".repeat(LINE_MAX));
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        drop(session);
        let mut sent = String::new();
        theirs.read_to_string(&mut sent).expect("requests");
        let lengths: Vec<usize> = sent.split_inclusive('\n').map(str::len).collect();
        assert_eq!(lengths, ["exec \n".len(), REQUEST_MAX]);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for answers in ["", "end - - edge#\n", "end - - edge#\nout 5\nabc"] {
            assert!(error(answers).starts_with("the appliance closed the connection"), "{}", error(answers));
        }
        for answers in ["hello\n", "end x - edge#\n", "end - -\n", "end - - edge#\nout x\n"] {
            assert_eq!(error(answers), "the appliance answers in another protocol");
        }
        assert_eq!(error("err 7\n% Full\nbye\n"), "the appliance takes no session: % Full");
    }

    #[test]
    fn lines_end_in_three_ways() {
        let found: Vec<&str> = lines("a\r\n\nb\rc\r\n d \n").collect();
        assert_eq!(found, ["a", "", "b", "c", " d "]);
        assert_eq!(lines("a\r\rb").collect::<Vec<_>>(), ["a", "", "b"]);
        assert_eq!(lines("").count(), 0);
    }
}

//! `portico exec`: one command, or the lines of a file in one session.
use std::io::{Write, read_to_string};
use std::path::Path;

use anyhow::{Context, Result};
use control::log::say;

use crate::client::{Answered, Session, lines};

/// Has one command carried out. Returns whether it was; a refusal goes to the standard error.
///
/// # Errors
/// When nobody answers on the socket, or not to the end.
pub fn command(socket: &Path, command: &str) -> Result<bool> {
    let refusal = carry_out(&mut Session::connect(socket)?, command)?.refusal;
    if let Some(refusal) = &refusal {
        say(refusal);
    }
    Ok(refusal.is_none())
}

/// Has the lines of a file carried out, those of the standard input for `-`. Returns whether all were: the first that is
/// refused ends it, and the session with what it did not commit.
///
/// # Errors
/// When the file cannot be read, and as [`command`].
pub fn file(socket: &Path, file: &Path) -> Result<bool> {
    let is_input = file == Path::new("-");
    let read = if is_input { read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = read.with_context(|| format!("cannot read the commands of {}", file.display()))?;
    let mut session = Session::connect(socket)?;
    for (number, line) in lines(&text).enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let done = carry_out(&mut session, line)?;
        if let Some(refusal) = done.refusal {
            // A marker of several lines must stay below its word.
            let space = if refusal.contains('\n') { '\n' } else { ' ' };
            say(format_args!("{}:{}:{space}{refusal}", file.display(), number + 1));
            return Ok(false);
        }
        if !done.is_open {
            return Ok(true);
        }
    }
    if session.prompt().is_configuration() {
        say(format_args!(
            "{}: ends in configuration mode; what no 'end' or 'commit' put in force is dropped",
            file.display()
        ));
        return Ok(false);
    }
    Ok(true)
}

struct Done {
    refusal: Option<String>,
    is_open: bool,
}

fn carry_out(session: &mut Session, line: &str) -> Result<Done> {
    let mut refusal = None;
    let mut out = std::io::stdout().lock();
    let is_open = session.exec(line, |piece| match piece {
        // Who reads only the head of a long answer closes the pipe; that is no failure of ours.
        Answered::Out(text) => out.write_all(text).is_ok(),
        Answered::Refused(text) => {
            refusal.get_or_insert_with(String::new).push_str(&String::from_utf8_lossy(text));
            true
        }
    })?;
    let _ = out.flush();
    Ok(Done { refusal: refusal.map(|text| text.trim_end().to_string()), is_open })
}

//! A terminal in tmux.

use super::command;
use crate::topology::Lab;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A tmux of the test's own, with one window that has a console in it.
pub struct Tmux {
    socket: String,
    buffer: String,
}

impl Tmux {
    /// Opens the console.
    pub fn open(lab: &Lab) -> Result<Tmux> {
        let path = |name: &str| lab.directory().join(name).to_string_lossy().into_owned();
        let tmux = Tmux { socket: path("tmux"), buffer: path("buffer") };
        let state = format!("XDG_STATE_HOME={}", path("state"));
        let history = ["set-option", "-g", "history-limit", "5000", ";"];
        let console = command(lab.gateway.appliance());
        let window = ["new-session", "-d", "-x", "100", "-y", "24", "-e", &state, &console];
        tmux.run(&[&["-f", "/dev/null", "start-server", ";"], &history[..], &window[..]].concat())?;
        Ok(tmux)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let done = Command::new("tmux").args(["-u", "-S", &self.socket]).args(arguments).output();
        let done = done.context("cannot run tmux, which deploy/setup installs")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(done.status.success(), "tmux {arguments:?}: {}", text(&done.stderr));
        Ok(text(&done.stdout))
    }

    /// Pastes a text.
    pub fn paste(&self, text: &str) -> Result<()> {
        fs::write(&self.buffer, text)?;
        self.run(&["load-buffer", &self.buffer, ";", "paste-buffer"]).map(drop)
    }

    /// Presses keys, by tmux's names; what is none is typed.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.run(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// Types a line after a prompt, and waits for the next prompt, which is this one; returns what was answered between them.
    pub fn type_line(&self, line: &str, prompt: &str) -> Result<String> {
        let before = self.shown()?;
        let before = before.trim_end();
        self.run(&["send-keys", "-l", line])?;
        self.press(&["Enter"])?;
        let echoed = format!("{before}{line}\n");
        let shown = self.wait_until(&format!("{prompt:?} after {line:?}"), |shown| {
            shown.starts_with(&echoed) && last_line(shown) == prompt
        })?;
        let answer = &shown.trim_end()[echoed.len()..];
        Ok(answer[..answer.len() - prompt.len()].to_owned())
    }

    /// Waits until this was shown and the last line is the prompt of who may change things; returns all that was shown.
    pub fn wait_for(&self, what: &str) -> Result<String> {
        self.wait_until(&format!("{what:?}"), |shown| shown.contains(what) && last_line(shown) == "edge#")
    }

    fn wait_until(&self, what: &str, is_it: impl Fn(&str) -> bool) -> Result<String> {
        let start = Instant::now();
        loop {
            let shown = self.shown()?;
            if is_it(&shown) {
                return Ok(shown);
            }
            ensure!(start.elapsed() < LIMIT, "no {what} in\n{shown}");
            sleep(POLL_INTERVAL);
        }
    }

    /// All that was shown so far, also what has scrolled away.
    fn shown(&self) -> Result<String> {
        let text = self.run(&["capture-pane", "-p", "-J", "-S", "-"])?;
        Ok(text.lines().map(|line| line.trim_end().to_owned() + "\n").collect())
    }
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().last().unwrap_or_default()
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

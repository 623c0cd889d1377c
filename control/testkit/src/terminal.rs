//! A program at a terminal, and a test in front of it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::pty::{Winsize, openpty};

/// Much more than anything takes on a machine that does something else besides.
const LIMIT: Duration = Duration::from_secs(300);

/// A terminal and the program at it, which is killed when this is dropped.
pub struct Terminal {
    /// The program.
    pub child: Child,
    /// Where keys go.
    pub keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not looked at yet.
    shown: String,
}

impl Terminal {
    /// Starts a program at a terminal of so many rows and columns.
    ///
    /// # Panics
    /// When it does not start.
    pub fn open(command: &mut Command, rows: u16, columns: u16) -> Terminal {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).expect("a terminal");
        let end = || Stdio::from(pair.slave.try_clone().expect("its end"));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the program");
        // The command keeps its ends, and with them the terminal, for as long as it is there.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let keyboard = File::from(pair.master);
        let mut output = keyboard.try_clone().expect("its output");
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of the program is an error here.
            while let Ok(len @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, keyboard, screen, shown: String::new() }
    }

    /// Presses keys.
    ///
    /// # Panics
    /// When the program is gone.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the keys");
    }

    /// Waits until this is shown; returns what came before it.
    ///
    /// # Panics
    /// When it is not shown.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        loop {
            if let Some((before, after)) = self.shown.split_once(text) {
                let before = before.to_owned();
                self.shown = after.to_owned();
                return before;
            }
            match self.screen.recv_timeout(LIMIT) {
                Ok(bytes) => self.shown += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("no {text:?} ({error}) in\n{:?}", self.shown),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! One session of the simulator's conversations, between sockets of the kernel.

use crate::stops::Gate;
use anyhow::{Context, Result, bail, ensure};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use testkit::simulator::crowd::conversation::{Conversation, Endpoint, Known, Message, Part, Protocol, said};

/// The longest a session may take: what is lost, again and again, is waited for longer each time.
const LIMIT: Duration = Duration::from_secs(600);
/// How long a side waits for something to read before it looks for something to say.
const WAIT: Duration = Duration::from_millis(10);

/// A door of the appliance: its protocol, its inside endpoint, its global one.
pub type Door = (Protocol, Endpoint, Endpoint);

/// A session under way.
pub struct Session<'a> {
    /// What is said.
    pub conversation: &'a Conversation,
    /// What is known of its translation.
    pub known: Mutex<Known>,
    /// Asks the appliance.
    pub doors: &'a (dyn Fn() -> Result<Vec<Door>> + Sync),
    /// Where the sides' programs wait while they are stopped.
    pub gates: &'a [Gate; 2],
}

impl Session<'_> {
    /// Both sides talk, the client over the first of these connections, until all is heard.
    ///
    /// # Errors
    /// What differs from what an ideal rewriter would have written, or that it takes too long.
    pub fn play(&self, streams: [TcpStream; 2], seed: u64) -> Result<()> {
        let [client, server] = streams;
        thread::scope(|scope| {
            let server = scope.spawn(|| self.side(1, server, seed ^ 1).context("the server"));
            let client = self.side(0, client, seed).context("the client");
            let server = server.join().unwrap_or_else(|_| bail!("the server panicked"));
            client.and(server)
        })
    }

    /// Says what is to be said, a piece at a time, and hears what there is to hear.
    fn side(&self, at: usize, mut stream: TcpStream, seed: u64) -> Result<()> {
        let mut generator = SmallRng::seed_from_u64(seed);
        stream.set_nodelay(generator.random())?;
        stream.set_read_timeout(Some(WAIT))?;
        let piece_len_max = [1, 7, 100][generator.random_range(0..3)];
        let nap = Duration::from_millis(if generator.random_bool(0.2) { 700 } else { 0 });
        let (own, others) = (&self.conversation.messages[at], &self.conversation.messages[1 - at]);
        let (mut said_count, mut heard_count, mut parsed, mut received) = (0, 0, 0, Vec::new());
        let (mut is_closed, start) = (false, Instant::now());
        let mut bytes = [0; 600];
        loop {
            self.gates[at].pass();
            ensure!(start.elapsed() < LIMIT, "it takes too long: {said_count} said, {heard_count} heard");
            while let Some(message) = own.get(said_count).filter(|message| heard_count >= message.after) {
                self.say(at, &mut stream, &message.parts, piece_len_max, &mut generator)?;
                said_count += 1;
            }
            if said_count == own.len() && !is_closed {
                is_closed = true;
                stream.shutdown(Shutdown::Write)?;
            }
            let len = generator.random_range(1..=bytes.len());
            match stream.read(&mut bytes[..len]) {
                Ok(0) => break,
                Ok(len) => received.extend_from_slice(&bytes[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error).context("cannot read"),
            }
            if generator.random_bool(0.05) {
                sleep(nap);
            }
            while let Some(message) = others.get(heard_count)
                && let Some(len) = message.framing.len(&received[parsed..])
            {
                self.check(message, &received[parsed..parsed + len])
                    .with_context(|| format!("message {heard_count}"))?;
                parsed += len;
                heard_count += 1;
            }
        }
        ensure!(
            (said_count, heard_count, parsed) == (own.len(), others.len(), received.len()),
            "it ended early, or late: {said_count} said, {heard_count} heard, {} bytes behind them",
            received.len() - parsed
        );
        Ok(())
    }

    fn say(
        &self,
        at: usize,
        stream: &mut TcpStream,
        parts: &[Part],
        piece_len_max: usize,
        generator: &mut SmallRng,
    ) -> Result<()> {
        let bytes = said(parts, &self.known.lock().expect("what is known"));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            self.gates[at].pass();
            let len = generator.random_range(1..=piece_len_max.min(rest.len()));
            stream.write_all(&rest[..len]).context("cannot write")?;
            rest = &rest[len..];
        }
        Ok(())
    }

    fn check(&self, message: &Message, bytes: &[u8]) -> Result<()> {
        let has_door =
            message.parts.iter().any(|part| matches!(part, Part::Door(..) | Part::KnowingDoor(..)));
        let doors = if has_door { (self.doors)()? } else { Vec::new() };
        let mut known = self.known.lock().expect("what is known");
        for (protocol, (inside, port), global) in doors {
            if inside == known.inside {
                known.note_door(protocol, port, global);
            }
        }
        message.check(bytes, &mut known).map(drop).map_err(anyhow::Error::msg)
    }
}

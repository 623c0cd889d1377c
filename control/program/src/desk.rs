//! Where the connections of the metrics port ask the control thread, which never makes the runtime wait.
use std::io;
use std::time::Duration;

use control::question::ANSWER_WITHIN;
use crossbeam::channel::{Sender, bounded};
use hyper::body::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::request::{Piece, Request, pieces};

/// The least time between two questions: however many ask, the control thread has other things to do.
const PAUSE: Duration = Duration::from_millis(50);
/// How long to wait for a metrics page: longer than the control thread waits for a worker that hangs.
const PAGE_WITHIN: Duration = Duration::from_secs(ANSWER_WITHIN.as_secs() + 2);
/// And for a sign of life.
const HEALTH_WITHIN: Duration = Duration::from_secs(3);

/// A thread that asks the control thread one question at a time. All who wait share the next answer.
pub struct Desk {
    bell: Sender<()>,
    /// The last answer, or none when there was none to have.
    answers: watch::Sender<Option<Bytes>>,
    within: Duration,
}

impl Desk {
    /// The longest that any of them waits.
    pub const LONGEST: Duration = PAGE_WITHIN;

    /// Where the metrics page is asked for.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn of_page(requests: Sender<Request>) -> io::Result<Desk> {
        Desk::open("metrics-page", PAGE_WITHIN, move || {
            let (reply, answer) = bounded(1);
            requests.send(Request::Metrics(reply)).ok()?;
            let mut page = String::new();
            for piece in pieces(&answer) {
                match piece {
                    Piece::Text(text) => page += &text,
                    Piece::Refused(_) => return None,
                    Piece::End => break,
                }
            }
            Some(page.into())
        })
    }

    /// Where it is asked whether the control thread answers.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn of_health(requests: Sender<Request>) -> io::Result<Desk> {
        Desk::open("metrics-health", HEALTH_WITHIN, move || {
            let (reply, answer) = bounded(1);
            requests.send(Request::Alive(reply)).ok()?;
            answer.recv().ok()?;
            Some(Bytes::from_static(b"ok\n"))
        })
    }

    fn open(
        name: &str,
        within: Duration,
        question: impl Fn() -> Option<Bytes> + Send + 'static,
    ) -> io::Result<Desk> {
        let (bell, rings) = bounded(1);
        let answers = watch::Sender::new(None);
        let told = answers.clone();
        let serve = move || {
            for () in rings {
                // Who rang may be gone.
                if told.receiver_count() > 0 {
                    told.send_replace(question());
                    std::thread::sleep(PAUSE);
                }
            }
        };
        std::thread::Builder::new().name(name.into()).spawn(serve)?;
        Ok(Desk { bell, answers, within })
    }

    /// The next answer; none when there is none in time.
    pub async fn ask(&self) -> Option<Bytes> {
        let mut answers = self.answers.subscribe();
        // A bell that is full has been rung already.
        let _ = self.bell.try_send(());
        timeout(self.within, answers.changed()).await.ok()?.ok()?;
        answers.borrow().clone()
    }
}

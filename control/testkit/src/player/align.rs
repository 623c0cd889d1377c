//! Two versions of the same bytes, as they were said and as they were heard, beside each other.
//!
//! What the appliance changed is found by comparing, independently of how it changes: in text only runs of digits
//! may differ, and be of other lengths; elsewhere only values in place. A difference of any other kind is an error.

use std::collections::BTreeMap;
use std::ops::Range;

use super::shown::excerpt;
use super::sip::compare::compare;
use super::sip::read::{Message, frame};

/// How two versions can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In runs of digits, which may be longer or shorter.
    Text,
    /// In bytes, which keep their places.
    InPlace,
    /// In the endpoints of SIP messages, which are compared whole; over TCP or not.
    Sip {
        /// Over TCP.
        is_tcp: bool,
    },
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What was said.
    pub said: Range<usize>,
    /// What was heard in its place.
    pub heard: Range<usize>,
}

/// Two versions beside each other, as far as both are known.
#[derive(Clone, Debug)]
pub struct Alignment {
    form: Form,
    said_at: usize,
    heard_at: usize,
    /// In their order.
    pub edits: Vec<Edit>,
    /// Whole messages: where they stand in what was said and in what was heard.
    pub messages: Vec<(Range<usize>, Range<usize>)>,
}

impl Alignment {
    /// Of nothing yet.
    pub fn new(form: Form) -> Alignment {
        Alignment { form, said_at: 0, heard_at: 0, edits: Vec::new(), messages: Vec::new() }
    }

    /// Of whole messages.
    ///
    /// # Errors
    /// Where they differ in what must not.
    pub fn of(form: Form, said: &[u8], heard: &[u8]) -> Result<Alignment, String> {
        let mut alignment = Alignment::new(form);
        if !matches!(form, Form::Sip { .. }) {
            alignment.extend(said, heard)?;
        }
        alignment.finish(said, heard)?;
        Ok(alignment)
    }

    /// Goes on, as both versions have grown.
    ///
    /// # Errors
    /// Where they differ in what must not.
    pub fn extend(&mut self, said: &[u8], heard: &[u8]) -> Result<(), String> {
        match self.form {
            Form::Text => self.extend_text(said, heard, false),
            Form::InPlace => {
                self.extend_in_place(said, heard);
                Ok(())
            }
            Form::Sip { .. } => self.extend_messages(said, heard),
        }
    }

    /// Nothing more will come: both must end here.
    ///
    /// # Errors
    /// What is left over.
    pub fn finish(&mut self, said: &[u8], heard: &[u8]) -> Result<(), String> {
        if self.form == Form::Text {
            self.extend_text(said, heard, true)?;
        }
        if let Form::Sip { is_tcp } = self.form
            && said.len() > self.said_at
        {
            self.extend_message((said, said.len()), (heard, heard.len()), is_tcp)?;
        }
        let left = (said.len() - self.said_at, heard.len() - self.heard_at);
        if left == (0, 0) {
            return Ok(());
        }
        let tail = |bytes: &[u8], at: usize| excerpt(&bytes[at..]);
        Err(format!(
            "{} of {} bytes were not heard ({}), {} more were not said ({})",
            left.0,
            said.len(),
            tail(said, self.said_at),
            left.1,
            tail(heard, self.heard_at)
        ))
    }

    fn extend_in_place(&mut self, said: &[u8], heard: &[u8]) {
        for at in self.said_at..said.len().min(heard.len()) {
            if said[at] != heard[at] {
                match self.edits.last_mut() {
                    Some(edit) if edit.said.end == at => (edit.said.end, edit.heard.end) = (at + 1, at + 1),
                    _ => self.edits.push(Edit { said: at..at + 1, heard: at..at + 1 }),
                }
            }
            (self.said_at, self.heard_at) = (at + 1, at + 1);
        }
    }

    fn extend_messages(&mut self, said: &[u8], heard: &[u8]) -> Result<(), String> {
        let Form::Sip { is_tcp } = self.form else { return Ok(()) };
        while let (Some(own), Some(other)) = (frame(&said[self.said_at..]), frame(&heard[self.heard_at..])) {
            self.extend_message((said, self.said_at + own), (heard, self.heard_at + other), is_tcp)?;
        }
        Ok(())
    }

    fn extend_message(
        &mut self,
        (said, said_end): (&[u8], usize),
        (heard, heard_end): (&[u8], usize),
        is_tcp: bool,
    ) -> Result<(), String> {
        let (own, other) = (self.said_at..said_end, self.heard_at..heard_end);
        let (one, two) = (&said[own.clone()], &heard[other.clone()]);
        match Message::read(one, is_tcp) {
            Some(message) => {
                for read in compare(&message, two)? {
                    let at = message.places[read.place].at.clone();
                    if one[at.clone()] != two[read.heard.clone()] {
                        let moved = |range: Range<usize>, by: usize| range.start + by..range.end + by;
                        let edit = Edit { said: moved(at, own.start), heard: moved(read.heard, other.start) };
                        self.edits.push(edit);
                    }
                }
            }
            None if one == two => {}
            None => return Err(format!("what is no message changed: {}", excerpt(two))),
        }
        (self.said_at, self.heard_at) = (own.end, other.end);
        self.messages.push((own, other));
        Ok(())
    }

    fn extend_text(&mut self, said: &[u8], heard: &[u8], is_all: bool) -> Result<(), String> {
        while let (Some(own), Some(other)) = (said.get(self.said_at), heard.get(self.heard_at)) {
            if !own.is_ascii_digit() || !other.is_ascii_digit() {
                if own != other {
                    let place = excerpt(&said[self.said_at.saturating_sub(20)..]);
                    return Err(format!("byte {} became another: {place}", self.said_at));
                }
                (self.said_at, self.heard_at) = (self.said_at + 1, self.heard_at + 1);
                continue;
            }
            let ends = (run_end(said, self.said_at), run_end(heard, self.heard_at));
            // A run that reaches the end may go on.
            if !is_all && (ends.0 == said.len() || ends.1 == heard.len()) {
                break;
            }
            let edit = Edit { said: self.said_at..ends.0, heard: self.heard_at..ends.1 };
            if said[edit.said.clone()] != heard[edit.heard.clone()] {
                self.edits.push(edit);
            }
            (self.said_at, self.heard_at) = ends;
        }
        Ok(())
    }

    /// Where a position in what was said is in what was heard.
    pub fn map(&self, position: usize) -> usize {
        let before = self.edits.iter().rev().find(|edit| edit.said.start < position);
        match before {
            Some(Edit { said, heard }) if position < said.end => {
                (heard.start + position - said.start).min(heard.end)
            }
            Some(Edit { said, heard }) => position + heard.end - said.end,
            None => position,
        }
    }

    /// What a stretch of what was said became; none if that is not heard yet.
    pub fn heard(&self, said: &Range<usize>) -> Option<Range<usize>> {
        (said.end <= self.said_at).then(|| self.map(said.start)..self.map(said.end))
    }
}

fn run_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |len| at + len)
}

/// A byte stream put together from segments.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// What is known without a gap, from its beginning.
    pub bytes: Vec<u8>,
    later: BTreeMap<usize, Vec<u8>>,
}

impl Stream {
    /// Adds a segment.
    ///
    /// # Errors
    /// It repeats bytes, and not as they were.
    pub fn put(&mut self, at: usize, data: &[u8]) -> Result<(), String> {
        if !data.is_empty() {
            self.later.entry(at).and_modify(|known| {
                if known.len() < data.len() {
                    *known = data.to_vec()
                }
            });
            self.later.entry(at).or_insert_with(|| data.to_vec());
        }
        while let Some(entry) = self.later.first_entry().filter(|entry| *entry.key() <= self.bytes.len()) {
            let (at, data) = entry.remove_entry();
            let known = &self.bytes[at..self.bytes.len().min(at + data.len())];
            if *known != data[..known.len()] {
                return Err(format!(
                    "byte {at} and those behind it were repeated otherwise: {}",
                    excerpt(&data)
                ));
            }
            let new = &data[known.len()..];
            self.bytes.extend(new);
        }
        Ok(())
    }

    /// Whether segments wait for others before them.
    pub fn has_gap(&self) -> bool {
        !self.later.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_other_lengths_move_what_is_behind_them() {
        let (said, heard) = (&b"PORT 10,0,0,2,19,136\r\nX"[..], &b"PORT 203,0,113,1,4,7\r\nX"[..]);
        let alignment = Alignment::of(Form::Text, said, heard).expect("the same but for numbers");
        assert_eq!(alignment.edits[0], Edit { said: 5..7, heard: 5..8 });
        let said_end = said.len();
        assert_eq!(alignment.map(said_end), heard.len());
        assert_eq!(alignment.heard(&(14..20)), Some(17..20));
        assert_eq!(&heard[17..20], b"4,7");
    }

    #[test]
    fn other_differences_are_errors() {
        assert!(Alignment::of(Form::Text, b"USER a1\r\n", b"USER b1\r\n").is_err());
        assert!(Alignment::of(Form::Text, b"USER a1\r\n", b"USER a1").is_err());
        assert!(Alignment::of(Form::InPlace, b"\0\x01\x02", b"\0\x01\x02\x03").is_err());
    }

    #[test]
    fn a_number_is_compared_when_it_is_whole() {
        let mut alignment = Alignment::new(Form::Text);
        alignment.extend(b"port 12", b"port 1").expect("not known yet");
        assert!(alignment.edits.is_empty());
        alignment.extend(b"port 1234\r\n", b"port 1234\r\n").expect("the same");
        assert!(alignment.edits.is_empty());
    }

    #[test]
    fn segments_in_any_order_are_a_stream() {
        let mut stream = Stream::default();
        stream.put(3, b"def").expect("later");
        assert!(stream.has_gap());
        stream.put(0, b"abcd").expect("first");
        assert_eq!((&stream.bytes[..], stream.has_gap()), (&b"abcdef"[..], false));
        assert!(stream.put(1, b"xx").is_err());
    }
}

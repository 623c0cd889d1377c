//! What a gateway sees of a stream, and what it may ask for.

use std::ops::Range;

use super::sender::Sender;

/// Reads the messages of a stream. It is shown every byte in order, and none twice once released.
pub trait Inspector {
    /// Looks at `bytes`: what has arrived without a gap and is not released, from a message's beginning on;
    /// never empty. More may be there already, and is shown if it is asked for. Replacements go to `edits`, which is empty; they take effect with [`Inspection::Release`].
    fn inspect(&mut self, sender: Sender, bytes: &[u8], edits: &mut EditList) -> Inspection;
}

/// What is to become of the bytes at the front of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// The message is incomplete.
    More {
        /// Ask again when there are this many bytes. What is not more than was shown means one more byte.
        length_min: usize,
    },
    /// The message is incomplete until a line feed comes behind what was shown, or there are this many bytes.
    Line {
        /// As `length_min`.
        length_max: usize,
    },
    /// This many bytes, at least one, are done, and go on with the edits recorded.
    Release {
        /// May exceed what was shown where there are no edits: the rest passes unseen when it arrives.
        length: usize,
    },
    /// Not this protocol, or nothing more to read: the bytes go on as they came, and so does all that follows.
    Detach,
}

/// Replacements within one message, in order and without overlap.
#[derive(Debug, Default)]
pub struct EditList {
    edits: Vec<Edit>,
    text: Vec<u8>,
}

#[derive(Debug)]
struct Edit {
    range: Range<usize>,
    /// Where in `text` the new bytes are.
    new: Range<usize>,
}

/// Edits that one message can have.
const EDITS_MAX: usize = 512;
/// New bytes that one message can have.
const TEXT_MAX: usize = 65_536;

/// Why a replacement was not recorded: it overlaps another, its range is reversed, or the message has too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the edit overlaps another, or there are too many")]
pub struct EditRefused;

impl EditList {
    /// A list with its room taken, so that recording takes no memory.
    pub fn with_room() -> EditList {
        EditList { edits: Vec::with_capacity(EDITS_MAX), text: Vec::with_capacity(TEXT_MAX) }
    }

    /// Records that `new` takes the place of the message's bytes in `range`, which counts from the beginning of
    /// what was shown. Edits may come in any order.
    pub fn replace(&mut self, range: Range<usize>, new: &[u8]) -> Result<(), EditRefused> {
        let at = self.edits.partition_point(|edit| edit.range.start < range.start);
        let is_behind_last = at == 0 || self.edits[at - 1].range.end <= range.start;
        // Two edits that start at the same place are two answers to one question.
        let is_before_next = self
            .edits
            .get(at)
            .is_none_or(|next| range.end <= next.range.start && range.start != next.range.start);
        let has_room = self.edits.len() < EDITS_MAX && self.text.len() + new.len() <= TEXT_MAX;
        if range.start > range.end || !is_behind_last || !is_before_next || !has_room {
            return Err(EditRefused);
        }
        let start = self.text.len();
        self.text.extend_from_slice(new);
        self.edits.insert(at, Edit { range, new: start..self.text.len() });
        Ok(())
    }

    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// All edits, in order: which bytes, and what takes their place.
    pub fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        self.edits
            .iter()
            .map(|edit| (edit.range.clone(), self.text.get(edit.new.clone()).unwrap_or_default()))
    }

    /// Forgets all edits.
    pub fn clear(&mut self) {
        self.edits.clear();
        self.text.clear();
    }

    /// Writes the edited message to `output`. False, with `output` undefined, where an edit lies outside of it.
    pub(crate) fn apply(&self, message: &[u8], output: &mut Vec<u8>) -> bool {
        output.clear();
        let mut done = 0;
        for Edit { range, new } in &self.edits {
            let (Some(kept), Some(new)) = (message.get(done..range.start), self.text.get(new.clone())) else {
                return false;
            };
            output.extend_from_slice(kept);
            output.extend_from_slice(new);
            done = range.end;
        }
        let Some(rest) = message.get(done..) else { return false };
        output.extend_from_slice(rest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(message: &[u8], edits: &[(Range<usize>, &str)]) -> Option<Vec<u8>> {
        let mut list = EditList::default();
        for (range, new) in edits {
            list.replace(range.clone(), new.as_bytes()).ok()?;
        }
        let mut output = Vec::new();
        list.apply(message, &mut output).then_some(output)
    }

    #[test]
    fn edits_apply_in_any_order() {
        let message = b"PORT 10,0,0,1,2,3";
        assert_eq!(edited(message, &[(14..17, "9,9"), (5..13, "192,0,2,1")]).unwrap(), b"PORT 192,0,2,1,9,9");
        assert_eq!(edited(message, &[(0..17, "")]).unwrap(), b"");
        assert_eq!(edited(message, &[(0..0, "X "), (17..17, "!")]).unwrap(), b"X PORT 10,0,0,1,2,3!");
    }

    #[test]
    fn edits_that_overlap_or_lie_outside_are_refused() {
        let message = b"0123456789";
        for edits in [
            &[(2..5, "a"), (4..6, "b")][..],
            &[(4..6, "b"), (2..5, "a")],
            &[(2..4, "a"), (2..2, "b")],
            &[(8..11, "a")],
            &[(11..11, "a")],
        ] {
            assert_eq!(edited(message, edits), None, "{edits:?}");
        }
        let reversed = Range { start: 5, end: 2 };
        assert_eq!(EditList::default().replace(reversed, b"a"), Err(EditRefused));
    }

    #[test]
    fn a_growth_bomb_is_refused() {
        let mut list = EditList::with_room();
        assert_eq!(list.replace(0..1, &vec![0; TEXT_MAX + 1]), Err(EditRefused));
        for at in 0..EDITS_MAX {
            assert_eq!(list.replace(at..at + 1, b"x"), Ok(()));
        }
        assert_eq!(list.replace(EDITS_MAX..EDITS_MAX + 1, b"x"), Err(EditRefused));
    }
}

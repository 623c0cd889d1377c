//! Names spelled anew: the addresses in them, and the pointers into and over what changed its length.
//!
//! Names are taken in the order of the message. One keeps its own labels and its pointer if they still spell what
//! they should; else its pointer is led to the first place where the rest of the name is still spelled, and what is
//! before that is spelled out.

use std::net::Ipv4Addr;

use arrayvec::ArrayVec;

use super::name::{Label, Labels, NAME_LEN_MAX, POINTER_REACH, own_span};
use crate::{Refusal, Span};

/// Names that change in one message. A reverse lookup has a handful.
const CHANGED_MAX: usize = 128;

/// A name as it will be spelled, with pointers already where they will lead.
pub(super) type Spelling = ArrayVec<u8, NAME_LEN_MAX>;

/// An address in a name that becomes another one.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub old: Ipv4Addr,
    pub new: Ipv4Addr,
}

impl Change {
    /// The octet that is the name's label at this index, before and after; none behind the address.
    fn octets(self, index: usize) -> Option<(u8, u8)> {
        let at = 3usize.checked_sub(index)?;
        Some((self.old.octets()[at], self.new.octets()[at]))
    }

    /// What follows from this label on becomes something else.
    fn alters_from(self, index: usize) -> bool {
        (index..4).any(|i| self.octets(i).is_some_and(|(old, new)| old != new))
    }

    fn agrees_from(self, other: Change, index: usize) -> bool {
        (index..4).all(|i| self.octets(i) == other.octets(i))
    }
}

/// A name whose bytes or whose meaning differ from before.
struct Changed {
    span: Span,
    new_start: usize,
    new_end: usize,
    change: Option<Change>,
}

/// The names of a message so far.
pub(super) struct Renames<'m> {
    bytes: &'m [u8],
    /// Where labels, roots and pointers of known names are, a bit each.
    known: [u64; POINTER_REACH / 64],
    changed: ArrayVec<Changed, CHANGED_MAX>,
}

impl<'m> Renames<'m> {
    pub(super) fn new(bytes: &'m [u8]) -> Self {
        Renames { bytes, known: [0; POINTER_REACH / 64], changed: ArrayVec::new() }
    }

    /// By how much the names so far have grown.
    pub(super) fn growth(&self) -> isize {
        self.changed.last().map_or(0, |last| last.new_end as isize - last.span.end as isize)
    }

    /// The next name's new bytes, if they differ from its own ones.
    pub(super) fn spell(
        &mut self,
        start: usize,
        change: Option<Change>,
    ) -> Result<Option<Spelling>, Refusal> {
        let span = own_span(self.bytes, start)?;
        let mut spelling = Spelling::new();
        let mut was_own = true;
        for (index, label) in Labels::new(self.bytes, start).enumerate() {
            let label = label?;
            if !label.is_own && was_own && !self.is_known(label.at) {
                // Its pointer leads into what is no name here, and may read on into what changes.
                return Err(Refusal::Malformed);
            }
            was_own = label.is_own;
            if !label.is_own
                && let Some(pointer) = self.pointer(label.at, index, change)
            {
                extend(&mut spelling, &pointer)?;
                break;
            }
            spell_label(&mut spelling, &label, index, change)?;
        }
        self.note_known(span);
        let differs = self.bytes.get(span.start..span.end) != Some(&spelling[..]);
        if differs || change.is_some() {
            let new_start = span.start.saturating_add_signed(self.growth());
            let new_end = new_start + spelling.len();
            let changed = Changed { span, new_start, new_end, change };
            self.changed.try_push(changed).map_err(|_| Refusal::EditLimit)?;
        }
        Ok(differs.then_some(spelling))
    }

    /// The pointer to what was at `at`, if that still spells the labels of a name from `index` on.
    fn pointer(&self, at: usize, index: usize, change: Option<Change>) -> Option<[u8; 2]> {
        let alters = |change: Option<Change>, index| change.filter(|change| change.alters_from(index));
        let before = self.changed.partition_point(|changed| changed.span.end <= at);
        let (position, spelled) = match self.changed.get(before) {
            Some(changed) if changed.span.start <= at => self.place_within(changed, at),
            _ => {
                let last = before.checked_sub(1).and_then(|last| self.changed.get(last));
                let growth = last.map_or(0, |last| last.new_end as isize - last.span.end as isize);
                (at.saturating_add_signed(growth), None)
            }
        };
        let is_same = match (alters(change, index), spelled) {
            (None, None) => true,
            (Some(wanted), Some((spelled, there))) => index == there && wanted.agrees_from(spelled, index),
            _ => false,
        };
        (is_same && position < POINTER_REACH).then(|| (position as u16 | 0xc000).to_be_bytes())
    }

    /// Where a label of a changed name is now, and if its rest is spelled differently: how, and which label it is.
    fn place_within(&self, changed: &Changed, at: usize) -> (usize, Option<(Change, usize)>) {
        let mut position = changed.new_start;
        let mut index = 0;
        for label in Labels::new(self.bytes, changed.span.start).map_while(Result::ok) {
            if label.at >= at || !label.is_own {
                break;
            }
            position += 1 + match changed.change.and_then(|change| change.octets(index)) {
                Some((_, new)) => decimal_len(new),
                None => label.text.len(),
            };
            index += 1;
        }
        (position, changed.change.filter(|change| change.alters_from(index)).map(|change| (change, index)))
    }

    fn is_known(&self, at: usize) -> bool {
        self.known.get(at / 64).is_some_and(|word| word & 1 << (at % 64) != 0)
    }

    fn note_known(&mut self, span: Span) {
        let own = Labels::new(self.bytes, span.start).map_while(Result::ok).take_while(|label| label.is_own);
        let mut at = span.start;
        for label in own {
            set(&mut self.known, at);
            at += 1 + label.text.len();
        }
        // The pointer, if it has one.
        if at < span.end {
            set(&mut self.known, at);
        }
    }
}

fn set(known: &mut [u64], at: usize) {
    if let Some(word) = known.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

fn spell_label(
    spelling: &mut Spelling,
    label: &Label,
    index: usize,
    change: Option<Change>,
) -> Result<(), Refusal> {
    let Some((_, octet)) = change.and_then(|change| change.octets(index)) else {
        extend(spelling, &[label.text.len() as u8])?;
        return extend(spelling, label.text);
    };
    let len = decimal_len(octet);
    let digits = [b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10];
    extend(spelling, &[len as u8])?;
    extend(spelling, &digits[3 - len..])
}

fn decimal_len(octet: u8) -> usize {
    match octet {
        0..=9 => 1,
        10..=99 => 2,
        100.. => 3,
    }
}

fn extend(spelling: &mut Spelling, bytes: &[u8]) -> Result<(), Refusal> {
    spelling.try_extend_from_slice(bytes).map_err(|_| Refusal::Malformed)
}

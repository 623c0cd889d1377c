//! The second walk through a message: addresses, names, times to live, lengths.

use super::data;
use super::edits::Edits;
use super::message::{Body, CLASS_IN, Entries, Entry, FLAG_TC, HEADER_LEN, Header, kind};
use super::rename::Renames;
use super::survey::Survey;
use crate::{Refusal, Span};

const COUNTS: Span = Span { start: 6, end: 12 };
const FLAGS: Span = Span { start: 2, end: 4 };

/// A message that has something to change.
pub(super) struct Rewrite<'m> {
    pub bytes: &'m [u8],
    pub header: &'m Header,
    pub survey: &'m Survey,
}

/// What happened to a record, for its time to live.
#[derive(Clone, Copy, Default)]
struct Touch {
    is_changed: bool,
    is_dynamic: bool,
}

impl Touch {
    fn note(&mut self, is_static: bool) {
        self.is_changed = true;
        self.is_dynamic |= !is_static;
    }
}

impl Rewrite<'_> {
    /// Edits the message. `size_max` is what the receiver takes: a longer answer is cut, and says so.
    pub(super) fn apply(&self, edits: &mut Edits, size_max: Option<usize>) -> Result<(), Refusal> {
        if let Some(size_max) = size_max {
            edits.is_rehearsal = true;
            let growth = self.entries(edits)?;
            edits.is_rehearsal = false;
            if growth > 0 && self.bytes.len().saturating_add_signed(growth) > size_max {
                return self.cut(edits);
            }
        }
        let growth = self.entries(edits)?;
        if edits.is_stream() && growth != 0 {
            let len = self.bytes.len().saturating_add_signed(growth);
            edits.replace_prefix(len.try_into().map_err(|_| Refusal::EditLimit)?)?;
        }
        Ok(())
    }

    /// Edits all entries. Returns by how much the message grows.
    fn entries(&self, edits: &mut Edits) -> Result<isize, Refusal> {
        let mut renames = Renames::new(self.bytes);
        for entry in Entries::new(self.bytes, self.header) {
            self.entry(&entry?, &mut renames, edits)?;
        }
        Ok(renames.growth())
    }

    fn entry(&self, entry: &Entry, renames: &mut Renames, edits: &mut Edits) -> Result<(), Refusal> {
        let mut touch = Touch::default();
        self.name(entry.class, entry.name, renames, &mut touch, edits)?;
        let Some(body) = &entry.body else { return Ok(()) };
        let growth_before = renames.growth();
        for name in data::names(self.bytes, entry.kind, body.data)? {
            self.name(entry.class, name, renames, &mut touch, edits)?;
        }
        let growth = renames.growth() - growth_before;
        if growth != 0 {
            let len = (body.data.end - body.data.start).saturating_add_signed(growth);
            let len: u16 = len.try_into().map_err(|_| Refusal::EditLimit)?;
            let span = Span { start: body.ttl_at + 4, end: body.ttl_at + 6 };
            edits.replace(span, &len.to_be_bytes())?;
        }
        if entry.class == CLASS_IN && entry.kind == kind::A {
            return self.address(body, touch, edits);
        }
        if entry.class == CLASS_IN {
            self.hints(entry.kind, body, &mut touch, edits)?;
        }
        if is_reset(entry.kind, body, touch, edits) {
            edits.replace(Span { start: body.ttl_at, end: body.ttl_at + 4 }, &[0; 4])?;
        }
        Ok(())
    }

    fn name(
        &self,
        class: u16,
        span: Span,
        renames: &mut Renames,
        touch: &mut Touch,
        edits: &mut Edits,
    ) -> Result<(), Refusal> {
        let change = edits.change(self.bytes, class, span);
        if let Some((_, is_static)) = change {
            touch.note(is_static);
        }
        match renames.spell(span.start, change.map(|(change, _)| change))? {
            Some(spelling) => edits.replace(span, &spelling),
            None => Ok(()),
        }
    }

    /// An address record: its time to live and its address in one edit, for edits are counted.
    fn address(&self, body: &Body, mut touch: Touch, edits: &mut Edits) -> Result<(), Refusal> {
        let found = data::addresses(self.bytes, kind::A, body.data)?
            .find_map(|(_, addr)| edits.bound(addr))
            .inspect(|found| touch.note(found.is_static));
        let mut record = [0; 10];
        let Span { start, end } = Span { start: body.ttl_at, end: body.data.end };
        record.copy_from_slice(self.bytes.get(start..end).ok_or(Refusal::Malformed)?);
        let is_reset = is_reset(kind::A, body, touch, edits);
        if is_reset {
            record[..4].fill(0);
        }
        if let Some(found) = found {
            record[6..].copy_from_slice(&found.addr.octets());
        }
        match (is_reset, found) {
            (true, Some(_)) => edits.replace(Span { start, end }, &record),
            (true, None) => edits.replace(Span { start, end: start + 4 }, &record[..4]),
            (false, Some(_)) => edits.replace(body.data, &record[6..]),
            (false, None) => Ok(()),
        }
    }

    /// The addresses that HTTPS and SVCB records hint at.
    fn hints(&self, kind: u16, body: &Body, touch: &mut Touch, edits: &mut Edits) -> Result<(), Refusal> {
        for (start, addr) in data::addresses(self.bytes, kind, body.data)? {
            if let Some(found) = edits.bound(addr) {
                touch.note(found.is_static);
                edits.replace(Span { start, end: start + 4 }, &found.addr.octets())?;
            }
        }
        Ok(())
    }

    /// Leaves the questions, and the OPT record if there is one; the asker comes again with TCP (RFC 2181 section 9).
    fn cut(&self, edits: &mut Edits) -> Result<(), Refusal> {
        let mut renames = Renames::new(self.bytes);
        let mut questions_end = HEADER_LEN;
        for entry in Entries::new(self.bytes, self.header) {
            let entry = entry?;
            if entry.body.is_some() {
                break;
            }
            self.entry(&entry, &mut renames, edits)?;
            questions_end = entry.span().end;
        }
        edits.replace(FLAGS, &(self.header.flags | FLAG_TC).to_be_bytes())?;
        edits.replace(COUNTS, &[0, 0, 0, 0, 0, u8::from(self.survey.opt.is_some())])?;
        let end = self.bytes.len();
        let opt = self.survey.opt.unwrap_or(Span { start: end, end });
        for dropped in [Span { start: questions_end, end: opt.start }, Span { start: opt.end, end }] {
            if dropped.start < dropped.end {
                edits.replace(dropped, &[])?;
            }
        }
        Ok(())
    }
}

/// A dynamic counterpart may be somebody else's soon: nobody may keep it (RFC 2694). With `dns-reset-ttl` nobody
/// keeps anything of a rewritten answer, aliases included.
fn is_reset(kind: u16, body: &Body, touch: Touch, edits: &Edits) -> bool {
    let is_answer = touch.is_changed || kind == kind::CNAME;
    (touch.is_dynamic || is_answer && edits.resets_ttl()) && body.ttl_s != 0
}

//! The first walk through a message: is there anything to change, and may it be changed?

use super::data;
use super::edits::Edits;
use super::message::{CLASS_IN, Entries, Entry, FLAG_AD, Header, kind};
use crate::{Refusal, Span};

/// Bit of an OPT record's time to live: the asker wants signatures (RFC 3225).
const OPT_DO: u32 = 0x8000;

/// A datagram's payload that everyone takes (RFC 1035 section 2.3.4).
pub(super) const PAYLOAD_SIZE_MIN: u16 = 512;

/// What a message is like.
pub(super) struct Survey {
    /// An address or a name changes.
    pub has_changes: bool,
    /// It is signed, or vouched for to somebody who cares: it must not change.
    pub is_authenticated: bool,
    /// It has a signature of a transaction (RFC 8945).
    pub has_tsig: bool,
    /// The largest datagram that its sender takes.
    pub payload_size_max: u16,
    /// The OPT record.
    pub opt: Option<Span>,
}

impl Survey {
    /// Reads the whole message, and tells `edits` if it is part of a zone transfer.
    pub(super) fn new(bytes: &[u8], header: &Header, edits: &mut Edits) -> Result<Survey, Refusal> {
        edits.is_transfer = edits.is_stream() && header.is_response() && header.has_no_question();
        let mut survey = Survey {
            has_changes: false,
            is_authenticated: false,
            has_tsig: false,
            payload_size_max: PAYLOAD_SIZE_MIN,
            opt: None,
        };
        for entry in Entries::new(bytes, header) {
            survey.read(bytes, &entry?, header, edits)?;
        }
        Ok(survey)
    }

    fn read(
        &mut self,
        bytes: &[u8],
        entry: &Entry,
        header: &Header,
        edits: &mut Edits,
    ) -> Result<(), Refusal> {
        let Some(body) = &entry.body else {
            edits.is_transfer |= matches!(entry.kind, kind::AXFR | kind::IXFR);
            self.has_changes |= edits.change(bytes, entry.class, entry.name).is_some();
            return Ok(());
        };
        match entry.kind {
            kind::TSIG => (self.is_authenticated, self.has_tsig) = (true, true),
            kind::RRSIG | kind::SIG => self.is_authenticated = true,
            kind::OPT => {
                self.opt = Some(entry.span());
                self.payload_size_max = entry.class.max(PAYLOAD_SIZE_MIN);
                self.is_authenticated |= header.flags & FLAG_AD != 0 && body.ttl_s & OPT_DO != 0;
            }
            _ => {}
        }
        self.has_changes |= edits.change(bytes, entry.class, entry.name).is_some();
        for name in data::names(bytes, entry.kind, body.data)? {
            self.has_changes |= edits.change(bytes, entry.class, name).is_some();
        }
        if entry.class == CLASS_IN {
            let mut addresses = data::addresses(bytes, entry.kind, body.data)?;
            self.has_changes = self.has_changes || addresses.any(|(_, addr)| edits.changes(addr));
        }
        Ok(())
    }
}

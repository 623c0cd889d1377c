//! The last edits of a worker's gateways, for whoever asks what an ALG changed: so many, of so many bytes each, in memory taken at
//! start. Only messages that gateways read and changed come here.

use std::net::Ipv4Addr;

use alg::Side;

use crate::flow::Vrf;
use crate::policy::GatewayIndex;
use crate::stream::EditList;

/// Edits that are kept of a worker.
pub const EDITS_KEPT: usize = 256;
/// Bytes that are kept of what was there before, and of what is there now.
pub const EXCERPT_LEN_MAX: usize = 48;
/// Edits that are kept of one message, so that one does not push out all others.
const EDITS_PER_MESSAGE: usize = 32;
/// The longest name of a line that is kept.
const NAME_LEN_MAX: usize = 24;
/// Bytes in which the beginning of an edit's line is looked for.
const LINE_LEN_MAX: usize = 256;

/// The beginning of some text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excerpt<const N: usize> {
    bytes: [u8; N],
    len: u8,
    /// There was more.
    pub is_cut: bool,
}

impl<const N: usize> Excerpt<N> {
    fn of(text: &[u8]) -> Excerpt<N> {
        let kept = &text[..text.len().min(N)];
        let mut bytes = [0; N];
        bytes[..kept.len()].copy_from_slice(kept);
        Excerpt { bytes, len: kept.len() as u8, is_cut: kept.len() < text.len() }
    }

    /// What was kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A message whose edits took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The gateway that read it.
    pub gateway: GatewayIndex,
    /// The inside host whose message it is, or whom it is for.
    pub host: (Vrf, Ipv4Addr),
    /// The call that it is about, by the gateway's hash.
    pub call: Option<u64>,
    /// Who sent it.
    pub from: Side,
    /// When, in milliseconds.
    pub at_ms: u32,
}

/// An edit of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The message.
    pub of: Edited,
    /// How its line begins, where messages are of text: the name of a header, say.
    pub line: Excerpt<NAME_LEN_MAX>,
    /// What was there.
    pub before: Excerpt<EXCERPT_LEN_MAX>,
    /// What is there now.
    pub after: Excerpt<EXCERPT_LEN_MAX>,
}

/// The last edits.
pub struct Edits {
    kept: Vec<Edit>,
    /// The place of the oldest, once all are taken.
    oldest: usize,
}

impl Default for Edits {
    fn default() -> Edits {
        Edits { kept: Vec::with_capacity(EDITS_KEPT), oldest: 0 }
    }
}

impl Edits {
    /// Takes note of a message's edits.
    pub fn note(&mut self, of: Edited, message: &[u8], edits: &EditList) {
        for (range, new) in edits.iter().take(EDITS_PER_MESSAGE) {
            let (Some(old), Some(ahead)) = (message.get(range.clone()), message.get(..range.start)) else {
                continue;
            };
            let line = Excerpt::of(name_of_line(ahead));
            self.push(Edit { of, line, before: Excerpt::of(old), after: Excerpt::of(new) });
        }
    }

    fn push(&mut self, edit: Edit) {
        if self.kept.len() < EDITS_KEPT {
            return self.kept.push(edit);
        }
        self.kept[self.oldest] = edit;
        self.oldest = (self.oldest + 1) % EDITS_KEPT;
    }

    /// Those from one position to before another, the oldest first.
    pub fn iter_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &Edit)> {
        let (newer, older) = self.kept.split_at(self.oldest);
        let ordered = older.iter().chain(newer).zip(0..).map(|(edit, position)| (position, edit));
        ordered.skip(start as usize).take(end.saturating_sub(start) as usize)
    }
}

/// How the line begins that text ends in: a header's name, the letter of a line of SDP, with the name of an attribute.
fn name_of_line(text: &[u8]) -> &[u8] {
    let near = &text[text.len().saturating_sub(LINE_LEN_MAX)..];
    let line = match near.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => &near[at + 1..],
        None if near.len() == text.len() => near,
        None => return b"",
    };
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let name_len = |of: &[u8]| of.iter().take_while(|byte| is_of_name(byte)).count();
    match line {
        [b'a', b'=', rest @ ..] => &line[..2 + name_len(rest)],
        _ => &line[..name_len(line)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Edited = Edited {
        gateway: 0,
        host: (0, Ipv4Addr::new(10, 0, 0, 2)),
        call: Some(7),
        from: Side::Inside,
        at_ms: 1000,
    };

    /// The kept edits: line, before, after.
    fn kept(edits: &Edits) -> Vec<[String; 3]> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = edits.iter_between(0, EDITS_KEPT as u32);
        all.map(|(_, edit)| [text(edit.line.bytes()), text(edit.before.bytes()), text(edit.after.bytes())])
            .collect()
    }

    fn list(edits: &[(std::ops::Range<usize>, &[u8])]) -> EditList {
        let mut list = EditList::with_room();
        edits.iter().for_each(|(range, new)| list.replace(range.clone(), new).unwrap());
        list
    }

    #[test]
    fn an_edit_is_told_with_its_line() {
        let message = b"OPTIONS sip:h SIP/2.0\r\nVia: x\r\n folded\r\nP-Asserted-Identity-Of-All-Kinds: y\r\n\r\na=candidate:1 z\r\nc=w";
        let at = |what: &[u8]| message.windows(what.len()).position(|of| of == what).unwrap();
        let marks: [&[u8]; 6] = [b"h SIP", b"x\r", b"folded", b"y\r", b"z\r", b"w"];
        let replaced: Vec<_> = marks.iter().map(|mark| (at(mark)..at(mark) + 1, &b"new"[..])).collect();
        let mut edits = Edits::default();
        edits.note(OF, message, &list(&replaced));
        let lines: Vec<String> = kept(&edits).into_iter().map(|[line, ..]| line).collect();
        assert_eq!(lines, ["OPTIONS", "Via", "", "P-Asserted-Identity-Of-A", "a=candidate", "c"]);
        assert_eq!(kept(&edits)[1], ["Via", "x", "new"]);
        let (_, long) = edits.iter_between(3, 4).next().unwrap();
        assert!(long.line.is_cut && !long.before.is_cut);
    }

    #[test]
    fn long_texts_are_cut_and_long_lines_have_no_name() {
        let message = [&b"Via: "[..], &[b'x'; 1000]].concat();
        let mut edits = Edits::default();
        edits.note(OF, &message, &list(&[(5..105, &[b'y'; 49]), (900..900, b"")]));
        let all: Vec<&Edit> = edits.iter_between(0, 9).map(|(_, edit)| edit).collect();
        let told = |edit: &Edit| {
            [(edit.before.bytes().len(), edit.before.is_cut), (edit.after.bytes().len(), edit.after.is_cut)]
        };
        assert_eq!(told(all[0]), [(48, true), (48, true)]);
        assert_eq!(told(all[1]), [(0, false), (0, false)]);
        assert_eq!([all[0].line.bytes(), all[1].line.bytes()], [&b"Via"[..], b""]);
    }

    #[test]
    fn the_last_ones_are_kept_in_order_without_more_memory() {
        let mut edits = Edits::default();
        let lists: Vec<_> = (0..3 * EDITS_KEPT).map(|n| list(&[(0..1, n.to_string().as_bytes())])).collect();
        let taken = allocation_counter::measure(|| lists.iter().for_each(|list| edits.note(OF, b"x", list)));
        assert_eq!(taken.count_total, 0);
        let after: Vec<String> = kept(&edits).into_iter().map(|[.., after]| after).collect();
        let expected: Vec<String> = (2 * EDITS_KEPT..3 * EDITS_KEPT).map(|n| n.to_string()).collect();
        assert_eq!(after, expected);
        let some: Vec<u32> = edits.iter_between(250, 4096).map(|(position, _)| position).collect();
        assert_eq!(some, [250, 251, 252, 253, 254, 255]);
    }

    #[test]
    fn an_edit_is_as_large_as_architecture_md_says() {
        assert!((150..=170).contains(&size_of::<Edit>()), "{} bytes", size_of::<Edit>());
    }

    #[test]
    fn one_message_does_not_push_out_all_others() {
        let many: Vec<(std::ops::Range<usize>, &[u8])> = (0..400).map(|at| (at..at + 1, &b"y"[..])).collect();
        let mut edits = Edits::default();
        edits.note(OF, &[b'x'; 400], &list(&many));
        assert_eq!(kept(&edits).len(), EDITS_PER_MESSAGE);
    }
}

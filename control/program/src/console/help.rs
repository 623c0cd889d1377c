//! What could stand in a line: help on `?`, and completion.
use anyhow::Result;
use control::config::grammar::Candidate;

use crate::client::Session;

/// Where a line may end.
const END: &str = "<cr>";
/// What stands for text up to the end of the line.
const TEXT: &str = "LINE";

/// The help on what could come next, a line each in the order of the alphabet, as on IOS.
pub fn listing(mut candidates: Vec<Candidate>) -> String {
    if candidates.is_empty() {
        return "% Unrecognized command\n".into();
    }
    candidates.sort_by(|one, other| (one.word == END, &one.word).cmp(&(other.word == END, &other.word)));
    let width = candidates.iter().map(|candidate| candidate.word.len()).max().unwrap_or(0);
    candidates.iter().map(|Candidate { word, help, .. }| format!("  {word:<width$}  {help}\n")).collect()
}

/// What completes the word that is being typed: all that the words it could be have in common, with a space behind the only
/// one. None if that is no more than is there.
pub fn completion(candidates: &[Candidate], typed: &str) -> Option<String> {
    let mut words = candidates.iter().filter(|candidate| candidate.literal).map(|candidate| &candidate.word);
    let mut begun: String = words.next()?.clone();
    // Words of which one is chosen are not completed by one that stands for any.
    if candidates.len() == 1 {
        return Some(begun + " ");
    }
    for word in words {
        let same = begun.chars().zip(word.chars()).take_while(|(one, other)| one == other);
        begun = same.map(|(char, _)| char).collect();
    }
    let is_more = candidates.iter().all(|candidate| candidate.literal) && begun.len() > typed.len();
    is_more.then_some(begun)
}

/// Whether a `?` behind this would be of a text, such as a description: then it is no question.
///
/// # Errors
/// When the session ends.
pub fn is_text(session: &mut Session, head: &str) -> Result<bool> {
    let ends = head.char_indices().filter(|(at, char)| {
        let next = head[at + char.len_utf8()..].chars().next();
        !char.is_whitespace() && next.is_none_or(char::is_whitespace)
    });
    let ends: Vec<usize> = ends.map(|(at, char)| at + char.len_utf8()).collect();
    for end in ends {
        let candidates = session.complete(&head[..end])?;
        if candidates.iter().any(|candidate| candidate.word == TEXT && !candidate.literal) {
            return Ok(true);
        }
        if candidates.is_empty() {
            return Ok(false);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(words: &[&str]) -> Vec<Candidate> {
        let candidate = |word: &&str| Candidate {
            word: word.to_string(),
            help: format!("Help on {word}"),
            literal: word.chars().all(char::is_lowercase),
        };
        words.iter().map(candidate).collect()
    }

    #[test]
    fn help_is_sorted_and_the_end_comes_last() {
        let expected = "  A.B.C.D  Help on A.B.C.D\n  nat      Help on nat\n  route    Help on route\n  <cr>     Help on <cr>\n";
        assert_eq!(listing(candidates(&["<cr>", "route", "A.B.C.D", "nat"])), expected);
        assert_eq!(listing(Vec::new()), "% Unrecognized command\n");
    }

    #[test]
    fn what_words_have_in_common_is_completed() {
        let completed = |words: &[&str], typed: &str| completion(&candidates(words), typed);
        assert_eq!(completed(&["translations"], "tr").as_deref(), Some("translations "));
        assert_eq!(completed(&["statistics", "static"], "s").as_deref(), Some("statis").map(|s| &s[..5]));
        assert_eq!(completed(&["statistics", "static"], "stati"), None);
        assert_eq!(completed(&["show", "clear"], ""), None);
        assert_eq!(completed(&["A.B.C.D"], ""), None);
        assert_eq!(completed(&["host", "A.B.C.D"], "h"), None);
        assert_eq!(completed(&[], "x"), None);
    }
}

//! Case files: their blocks and lines.

use std::path::Path;
use std::time::SystemTime;

use control::config::model::Moment;

use crate::case::{Action, Case, Condition, Frames, Operand, Step};
use crate::notation::{Cursor, packet};
use crate::spec::{Quote, Value};

/// Reads a case.
///
/// # Errors
/// The first line that cannot be understood, as `FILE:LINE: text`.
pub fn read(file: &Path, text: &str) -> Result<Case, String> {
    let mut reader = Reader { case: Case { file: file.into(), ..Case::default() }, block: Block::None };
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line)).peekable();
    let refused = |line: usize, why: String| format!("{}:{line}: {why}", file.display());
    let mut last = 0;
    for (number, line) in &mut lines {
        last = number;
        reader.line(number, line).map_err(|why| refused(number, why))?;
    }
    let case = reader.case;
    if case.title.is_empty() || case.config.is_empty() || case.steps.is_empty() {
        return Err(refused(last, "a case has a 'case' line, a 'config' block, and steps".into()));
    }
    Ok(case)
}

/// What indented lines belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Config,
    Step,
    /// A `config` line of a step, indented by so much: deeper lines are its own.
    StepConfig(usize),
}

struct Reader {
    case: Case,
    block: Block,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let content = line.trim();
        let indent = line.len() - line.trim_start().len();
        if content.is_empty() || content.starts_with('#') {
            return Ok(());
        }
        if let Block::StepConfig(above) = self.block {
            if indent > above {
                return self.step_config_line(number, content);
            }
            self.block = Block::Step;
        }
        match (indent, self.block) {
            (0, _) => self.heading(number, content),
            (_, Block::Config) => {
                add_config_line(&mut self.case.config, number, content);
                Ok(())
            }
            (_, Block::Step) => self.step_line(number, indent, content),
            _ => Err("an indented line belongs to 'config' or to a step".into()),
        }
    }

    fn heading(&mut self, number: usize, content: &str) -> Result<(), String> {
        let (word, rest) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
        let rest = rest.trim();
        self.block = Block::None;
        match (word, rest) {
            ("case", title) if !title.is_empty() && self.case.title.is_empty() => {
                self.case.title = title.into();
            }
            ("rfc", reference) if !reference.is_empty() => self.case.references.push(reference.into()),
            ("workers", count) => {
                let count = count.parse().map_err(|_| format!("'{count}' is not a number of workers"))?;
                self.case.worker_count = Some(count);
            }
            ("clock", at) => {
                let time = time_of_day(at);
                self.case.time_of_day = Some(time.ok_or(format!("'{at}' is no time as 2026-12-01 08:59"))?);
            }
            ("arp", "explicit") => self.case.is_arp_explicit = true,
            ("config", "") if self.case.config.is_empty() => self.block = Block::Config,
            ("step", rest) => {
                let (count, title) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let next = self.case.steps.len() + 1;
                if count.parse() != Ok(next) {
                    return Err(format!("this is step {next}, not '{count}'"));
                }
                let title = title.trim().into();
                self.case.steps.push(Step { number: next, title, line: number, actions: Vec::new() });
                self.block = Block::Step;
            }
            _ => {
                let known = "case TITLE, rfc REFERENCE, arp explicit, workers N, clock DATE TIME, config, step N TITLE";
                return Err(format!("'{content}' is none of: {known}"));
            }
        }
        Ok(())
    }

    fn step_line(&mut self, number: usize, indent: usize, content: &str) -> Result<(), String> {
        let action = if content == "config" {
            self.block = Block::StepConfig(indent);
            Action::Config(String::new())
        } else {
            let mut line = Cursor::new(content)?;
            let action = action(&mut line)?;
            if let Some(left) = line.take() {
                return Err(format!("{left:?} is left over at the end of the line"));
            }
            action
        };
        let step = self.case.steps.last_mut().ok_or("no step begins here")?;
        step.actions.push((number, action));
        Ok(())
    }

    fn step_config_line(&mut self, number: usize, content: &str) -> Result<(), String> {
        let action = self.case.steps.last_mut().and_then(|step| step.actions.last_mut());
        if let Some((_, Action::Config(text))) = action {
            add_config_line(text, number, content);
        }
        Ok(())
    }
}

/// Adds a line under its number in the file.
fn add_config_line(config: &mut String, number: usize, line: &str) {
    let count = config.lines().count();
    config.extend(std::iter::repeat_n('\n', (number - 1).saturating_sub(count)));
    config.push_str(line);
    config.push('\n');
}

fn action(line: &mut Cursor) -> Result<Action, String> {
    match line.word("an action")?.as_str() {
        "in" => Ok(Action::In(sent(frames(line)?)?, None)),
        "drop" => {
            let reason = line.take_last_word().ok_or("a drop ends with its reason")?;
            Ok(Action::In(sent(frames(line)?)?, Some(reason)))
        }
        "out" => Ok(Action::Out(expected(frames(line)?)?)),
        "own" => Ok(Action::Own(expected(frames(line)?)?)),
        "counter" => {
            let name = line.word("a counter")?;
            let word = line.word("+N")?;
            let growth = word.strip_prefix('+').and_then(|digits| digits.parse().ok());
            Ok(Action::Counter(name, growth.ok_or(format!("'{word}' should be +N"))?))
        }
        "wait" => Ok(Action::Wait(duration_ms(&line.word("a time")?)?)),
        "sessions" => {
            let count = line.word("a number")?;
            Ok(Action::Sessions(count.parse().map_err(|_| format!("'{count}' is not a number"))?))
        }
        "where" => {
            let word = line.word("$NAME")?;
            let name = word.strip_prefix('$').ok_or(format!("'{word}' should be $NAME"))?;
            Ok(Action::Where(name.into(), condition(line)?))
        }
        other => {
            let known = "in, out, own, drop, counter, wait, sessions, where, config";
            Err(format!("'{other}' is none of: {known}"))
        }
    }
}

fn frames(line: &mut Cursor) -> Result<Frames, String> {
    let place = line.word("an interface")?;
    let label = line.label()?;
    let packet = packet(line)?;
    let times = match line.take_if("x") {
        true => line.word("a number")?.parse().map_err(|_| "'x' is followed by a number")?,
        false => 1,
    };
    Ok(Frames { place, label, packet, times })
}

fn sent(frames: Frames) -> Result<Frames, String> {
    let open = frames.packet.settings.iter().find(|(_, value)| matches!(value, Value::Any));
    match open {
        Some((name, _)) => Err(format!("{name} cannot be '*' in a packet that is sent")),
        None => Ok(frames),
    }
}

fn expected(frames: Frames) -> Result<Frames, String> {
    let packet = &frames.packet;
    if packet.settings.iter().any(|(_, value)| matches!(value, Value::Each(..))) {
        return Err("a range is for packets that are sent; write '*' or $name".into());
    }
    if packet.pad > 0 || packet.setting("ethertype").is_some() || !packet.patches.is_empty() {
        return Err("pad, ethertype and at are for packets that are sent".into());
    }
    let quotes_open = matches!(&packet.quote, Some(Quote::Packet(quoted)) if quoted.quote.is_some());
    if quotes_open { Err("a quoted packet quotes no other".into()) } else { Ok(frames) }
}

fn condition(line: &mut Cursor) -> Result<Condition, String> {
    let operand = |word: String| match word.strip_prefix('$') {
        Some(name) => Ok(Operand::Name(name.into())),
        None => {
            word.parse().map(Operand::Number).map_err(|_| format!("'{word}' is neither number nor $NAME"))
        }
    };
    match line.word("a condition")?.as_str() {
        "even" => Ok(Condition::Even),
        "odd" => Ok(Condition::Odd),
        "is" => Ok(Condition::Is(operand(line.word("a number")?)?)),
        "not" => Ok(Condition::Not(operand(line.word("a number")?)?)),
        "in" => {
            let word = line.word("LOW-HIGH")?;
            let ends = word.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let (low, high) = ends.ok_or(format!("'{word}' should be LOW-HIGH"))?;
            Ok(Condition::In(low, high))
        }
        other => Err(format!("'{other}' is none of: even, odd, in, is, not")),
    }
}

/// A time of UTC as `2026-12-01 08:59`.
fn time_of_day(text: &str) -> Option<SystemTime> {
    let (date, clock) = text.split_once(' ')?;
    let (hour, minute) = clock.split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let mut date = date.split('-');
    let year = date.next()?.parse().ok()?;
    let (month, day) = (date.next()?.parse().ok()?, date.next()?.parse().ok()?);
    let moment = Moment { year, month, day, minute: hour * 60 + minute };
    (moment.exists() && hour < 24 && minute < 60).then(|| moment.time())
}

fn duration_ms(word: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("min", 60_000), ("h", 3_600_000), ("s", 1000)];
    for (unit, factor) in UNITS {
        if let Some(count) = word.strip_suffix(unit).and_then(|digits| digits.parse::<u64>().ok()) {
            return Ok(count * factor);
        }
    }
    Err(format!("'{word}' is not a time, as 300s, 500ms, 2min or 24h"))
}

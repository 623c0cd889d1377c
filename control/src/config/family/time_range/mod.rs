//! `time-range`: when entries of access lists are in force. Times are those of UTC; a minute that is named as the end belongs to it.

mod calendar;

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::time::SystemTime;

use super::edit::{remove, statement};
use super::row::{Family, Section, Stage};
use crate::compile::compiler::Compiler;
use crate::config::args::Args;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{Config, Place};
use crate::config::names::{WEEKDAYS, name_of};
use crate::config::text::blocks;
use calendar::{DAY_MIN, minutes_to, weekday};

pub use calendar::Moment;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::TimeRange, TIME_RANGE)],
    render: &[(Section::TimeRanges, |config| blocks(config.time_ranges.iter().map(TimeRange::lines)))],
    lint: |lint| lint.check_time_ranges(),
    compile: &[(Stage::Interfaces, |compiler| compiler.time_ranges())],
    ..Family::NONE
};

/// `time-range NAME`: active when its absolute time and one of its periods are, of those that it has. One without any never is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Where its first line stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// `absolute ...`
    pub absolute: Option<Absolute>,
    /// `periodic ...`; no two are the same.
    pub periods: Vec<Period>,
}

/// `absolute [start ...] [end ...]`, at least one of them; the end is not before the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absolute {
    /// The first minute; without it, it has always been active.
    pub start: Option<Moment>,
    /// The last minute; without it, it stays active.
    pub end: Option<Moment>,
}

/// `periodic DAYS HH:MM to [DAY] HH:MM`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// Where it stands.
    pub place: Place,
    /// The days on which it begins.
    pub days: Days,
    /// The first minute, of the day.
    pub start_min: u16,
    /// The day on which it ends, 0 for Sunday, if it begins on one only; else it ends on the day on which it began.
    pub end_day: Option<u8>,
    /// The last minute, of the day; not before the first one if the day is the same.
    pub end_min: u16,
}

/// Days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Days {
    /// `daily`
    Daily,
    /// `weekdays`: Monday to Friday.
    Weekdays,
    /// `weekend`: Saturday and Sunday.
    Weekend,
    /// By name, 0 for Sunday, in the order given; at least one, and none twice.
    Of(Vec<u8>),
}

impl Days {
    fn has(&self, day: u8) -> bool {
        match self {
            Days::Daily => true,
            Days::Weekdays => (1..=5).contains(&day),
            Days::Weekend => day == 0 || day == 6,
            Days::Of(days) => days.contains(&day),
        }
    }
}

impl TimeRange {
    /// Whether it is active in a minute, counted from the first of 1970.
    fn is_active(&self, minute: u64) -> bool {
        let has_any = self.absolute.is_some() || !self.periods.is_empty();
        let in_absolute = self.absolute.is_none_or(|absolute| absolute.has(minute));
        has_any
            && in_absolute
            && (self.periods.is_empty() || self.periods.iter().any(|period| period.has(minute)))
    }
}

impl Absolute {
    fn has(&self, minute: u64) -> bool {
        self.start.is_none_or(|start| start.minutes() <= minute)
            && self.end.is_none_or(|end| minute <= end.minutes())
    }
}

impl Period {
    fn has(&self, minute: u64) -> bool {
        let (day, of_day) = (weekday(minute), (minute % DAY_MIN) as u16);
        let (Days::Of(days), Some(end_day)) = (&self.days, self.end_day) else {
            return self.days.has(day) && (self.start_min..=self.end_min).contains(&of_day);
        };
        let of_week = |day: u8, minute: u16| (day, minute);
        let (now, end) = (of_week(day, of_day), of_week(end_day, self.end_min));
        let start = of_week(days.first().copied().unwrap_or_default(), self.start_min);
        if start <= end { (start..=end).contains(&now) } else { now >= start || now <= end }
    }
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("time-range <name:word>", "Name times, for entries of access lists", time_range),
];

#[rustfmt::skip]
const TIME_RANGE: &[Row<Apply>] = &[
    statement("absolute / [ start <start:clock> <start-day:1-31> <start-month:month> <start-year:1993-2035> ] \
               [ end <end:clock> <end-day:1-31> <end-month:month> <end-year:1993-2035> ]",
              "Be active from one date to another, in UTC", absolute),
    statement("periodic { daily | weekdays | weekend | <day:weekday> ... } <start:clock> to [ <end-weekday:weekday> ] <end:clock>",
              "Be active at times of some days, in UTC", periodic),
];

fn time_range(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let name: String = statement.args.required("name");
    let ranges = &mut builder.config.time_ranges;
    if !statement.sets() {
        let removed = remove(ranges, |range| range.name == name);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let known = builder.known.position(List::TimeRanges, ranges, |range| range.name.clone(), &name);
    let index = known.unwrap_or(ranges.len());
    if known.is_none() {
        ranges.push(TimeRange { place: statement.place, name, absolute: None, periods: Vec::new() });
    }
    builder.open(Mode::TimeRange, (index, 0));
    Ok(())
}

fn absolute(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let new = match statement.sets() {
        false => None,
        true => {
            let start = moment(statement, ["start", "start-day", "start-month", "start-year"])?;
            let end = moment(statement, ["end", "end-day", "end-month", "end-year"])?;
            if start.is_none() && end.is_none() {
                return Err(statement.fault("absolute", "expected \"start\" or \"end\" with a time and date"));
            }
            if let (Some(start), Some(end)) = (start, end)
                && end < start
            {
                return Err(statement.fault("end", format!("the end {end} is before the start {start}")));
            }
            Some(Absolute { start, end })
        }
    };
    builder.time_range().absolute = new;
    Ok(())
}

/// The moment that values of these names say.
fn moment(statement: &Statement, names: [&str; 4]) -> Result<Option<Moment>, Fault> {
    let args = &statement.args;
    let [minute, day, month, year] = names;
    if !args.has(year) {
        return Ok(None);
    }
    let moment = Moment {
        year: args.required(year),
        month: args.required(month),
        day: args.required(day),
        minute: args.required(minute),
    };
    match moment.exists() {
        true => Ok(Some(moment)),
        false => Err(statement.fault(day, "that month has no such day")),
    }
}

fn periodic(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let period = Period {
        place: statement.place,
        days: days(args),
        start_min: args.required("start"),
        end_day: args.optional("end-weekday"),
        end_min: args.required("end"),
    };
    let is_single = matches!(&period.days, Days::Of(days) if days.len() == 1);
    if period.end_day.is_some() && !is_single {
        return Err(statement.fault("end-weekday", "only a period that begins on one day can end on another"));
    }
    if period.end_day.is_none() && period.end_min < period.start_min {
        let (end, start) = (clock(period.end_min), clock(period.start_min));
        let text = format!(
            "the end {end} is before the start {start}; a night is two days, as in \"periodic Monday {start} to \
             Tuesday {end}\""
        );
        return Err(statement.fault("end", text));
    }
    let periods = &mut builder.time_range().periods;
    if !statement.sets() {
        let removed = remove(periods, |known| *known == period);
        builder.expect_removed(removed, statement);
    } else if let Some(known) = periods.iter().find(|known| **known == period) {
        let text = format!("this repeats line {}", known.place.line);
        builder.warn(statement.place.column as usize, text);
    } else {
        periods.push(period);
    }
    Ok(())
}

fn days(args: &Args) -> Days {
    if args.has("daily") {
        return Days::Daily;
    }
    if args.has("weekdays") {
        return Days::Weekdays;
    }
    if args.has("weekend") {
        return Days::Weekend;
    }
    let mut days: Vec<u8> = Vec::new();
    for day in args.all("day") {
        if !days.contains(&day) {
            days.push(day);
        }
    }
    Days::Of(days)
}

impl Builder {
    /// The time range whose mode this is.
    fn time_range(&mut self) -> &mut TimeRange {
        &mut self.config.time_ranges[self.opened.0]
    }
}

impl TimeRange {
    fn lines(&self) -> Vec<String> {
        let header = format!("time-range {}", self.name);
        std::iter::once(header).chain(self.times().map(|line| format!(" {line}"))).collect()
    }

    /// The lines under its name, without indentation.
    pub fn times(&self) -> impl Iterator<Item = String> {
        let absolute = self.absolute.iter().map(Absolute::to_string);
        absolute.chain(self.periods.iter().map(Period::to_string))
    }
}

impl Display for Absolute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("absolute")?;
        for (word, moment) in [("start", self.start), ("end", self.end)] {
            moment.map_or(Ok(()), |moment| write!(f, " {word} {moment}"))?;
        }
        Ok(())
    }
}

impl Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("periodic")?;
        let name = |day: &u8| name_of(WEEKDAYS, (*day).into()).unwrap_or_default();
        match &self.days {
            Days::Daily => f.write_str(" daily")?,
            Days::Weekdays => f.write_str(" weekdays")?,
            Days::Weekend => f.write_str(" weekend")?,
            Days::Of(days) => days.iter().try_for_each(|day| write!(f, " {}", name(day)))?,
        }
        write!(f, " {} to", clock(self.start_min))?;
        self.end_day.iter().try_for_each(|day| write!(f, " {}", name(day)))?;
        write!(f, " {}", clock(self.end_min))
    }
}

/// A minute of the day as IOS writes it in periods.
fn clock(minute: u16) -> String {
    format!("{}:{:02}", minute / 60, minute % 60)
}

impl Lint<'_> {
    fn check_time_ranges(&mut self) {
        for range in &self.config.time_ranges {
            if range.absolute.is_none() && range.periods.is_empty() {
                self.warn(
                    range.place,
                    format!("time range {:?} has no times: it is never active", range.name),
                );
            }
        }
    }
}

impl Config {
    /// Which time ranges are active at a time, by their names.
    pub fn active_time_ranges(&self, time: SystemTime) -> HashMap<String, bool> {
        let minute = minutes_to(time);
        self.time_ranges.iter().map(|range| (range.name.clone(), range.is_active(minute))).collect()
    }
}

impl Compiler<'_> {
    /// The time ranges, before the access lists.
    fn time_ranges(&mut self) {
        self.out.time_ranges = self.config.active_time_ranges(self.time_of_day);
    }

    /// Whether what names this time range is in force, which it is not by one that is not there.
    pub(super) fn is_in_force(&self, time_range: Option<&String>) -> bool {
        time_range.is_none_or(|name| self.out.time_ranges.get(name).copied().unwrap_or_default())
    }
}

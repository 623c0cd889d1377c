//! Minutes, days and months of UTC.

use std::fmt::{self, Display};
use std::time::{Duration, SystemTime};

use crate::config::names::{MONTHS, name_of};

/// Minutes of a day.
pub(super) const DAY_MIN: u64 = 24 * 60;

/// A minute of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The year, not before 1970.
    pub year: u16,
    /// The month, from 1.
    pub month: u8,
    /// The day, from 1.
    pub day: u8,
    /// The minute of the day.
    pub minute: u16,
}

impl Moment {
    /// Whether there is such a day.
    pub fn exists(&self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=days_of_month(self.year, self.month)).contains(&self.day.into())
    }

    /// Minutes since the first of 1970.
    pub fn minutes(&self) -> u64 {
        let years: u64 = (1970..self.year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
        let months: u64 = (1..self.month).map(|month| days_of_month(self.year, month)).sum();
        (years + months + u64::from(self.day) - 1) * DAY_MIN + u64::from(self.minute)
    }

    /// When it begins.
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.minutes() * 60)
    }
}

/// The moment as IOS writes it.
impl Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = name_of(MONTHS, self.month.into()).unwrap_or_default();
        let (hour, minute) = (self.minute / 60, self.minute % 60);
        write!(f, "{hour:02}:{minute:02} {:02} {month} {}", self.day, self.year)
    }
}

/// Whole minutes from the first of 1970 to a time.
pub(super) fn minutes_to(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60)
}

/// The day of the week that a minute since 1970 is on, 0 for Sunday. The first of 1970 was a Thursday.
pub(super) fn weekday(minutes: u64) -> u8 {
    ((minutes / DAY_MIN + 4) % 7) as u8
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_month(year: u16, month: u8) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(year: u16, month: u8, day: u8, minute: u16) -> Moment {
        Moment { year, month, day, minute }
    }

    /// As `date -u -d @SECONDS` tells them.
    #[test]
    fn minutes_are_those_of_the_calendar() {
        for (seconds, at, day) in [
            (0, moment(1970, 1, 1, 0), 4),
            (951_782_400, moment(2000, 2, 29, 0), 2),
            (1_709_164_740, moment(2024, 2, 28, 23 * 60 + 59), 3),
            (1_796_115_540, moment(2026, 12, 1, 8 * 60 + 59), 2),
            (2_082_758_340, moment(2035, 12, 31, 23 * 60 + 59), 1),
        ] {
            assert_eq!(at.minutes() * 60, seconds, "{at}");
            assert_eq!(weekday(at.minutes()), day, "{at}");
            assert_eq!(minutes_to(at.time() + Duration::from_secs(59)), at.minutes());
        }
    }

    #[test]
    fn days_that_there_are_not() {
        for at in
            [moment(2026, 2, 29, 0), moment(2026, 4, 31, 0), moment(2100, 2, 29, 0), moment(2026, 13, 1, 0)]
        {
            assert!(!at.exists(), "{at:?}");
        }
        assert!(moment(2024, 2, 29, 0).exists());
    }
}

//! Dates as IOS prints them, in UTC.

use std::ops::Range;
use std::time::SystemTime;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The first of January 1970 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const S_PER_DAY: u64 = 86_400;

/// A time of day, in the parts that are printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    year: String,
    month: &'static str,
    day: u8,
    weekday: &'static str,
    /// `hh:mm:ss.mmm`
    time: String,
}

impl From<SystemTime> for Calendar {
    fn from(at: SystemTime) -> Calendar {
        // YYYY-MM-DDThh:mm:ss.mmmZ
        let text = humantime::format_rfc3339_millis(at).to_string();
        let part = |range: Range<usize>| text.get(range).unwrap_or_default();
        let number = |range: Range<usize>| part(range).parse::<u8>().unwrap_or(1);
        let month = usize::from(number(5..7)).wrapping_sub(1);
        let since_1970 = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let days = since_1970.as_secs() / S_PER_DAY;
        Calendar {
            year: part(0..4).to_string(),
            month: MONTHS.get(month).copied().unwrap_or_default(),
            day: number(8..10),
            weekday: WEEKDAYS[(days % 7) as usize],
            time: part(11..23).to_string(),
        }
    }
}

impl Calendar {
    /// `12:00:05.123 UTC Tue Dec 1 2026`, as `show clock` has it.
    pub fn clock(&self) -> String {
        let Calendar { year, month, day, weekday, time } = self;
        format!("{time} UTC {weekday} {month} {day} {year}")
    }

    /// The same in whole seconds.
    pub fn clock_in_seconds(&self) -> String {
        let time = self.time.get(..8).unwrap_or_default().to_string();
        Calendar { time, ..self.clone() }.clock()
    }

    /// `Dec  1 12:00:05.123 UTC`, as lines of the log begin.
    pub fn stamp(&self) -> String {
        let Calendar { month, day, time, .. } = self;
        format!("{month} {day:>2} {time} UTC")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_in_the_order_of_ios() {
        let at = |ms| Calendar::from(SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
        assert_eq!(at(0).clock(), "00:00:00.000 UTC Thu Jan 1 1970");
        let leap = at(1_709_211_605_123);
        assert_eq!(leap.clock(), "13:00:05.123 UTC Thu Feb 29 2024");
        assert_eq!(leap.clock_in_seconds(), "13:00:05 UTC Thu Feb 29 2024");
        assert_eq!(at(1_796_083_200_007).stamp(), "Dec  1 00:00:00.007 UTC");
    }
}

//! Where hours, days, weeks and months begin and end in a time zone, and what they are called.
//!
//! | period | id | is |
//! | --- | --- | --- |
//! | hour | `2026-10-25T02+0200` | the local hour under one offset from UTC: an hour that the clocks go through twice is two windows |
//! | day | `2026-11-21` | from the first instant of the local date to the first of the next |
//! | week | `2026-W47` | ISO 8601: Monday to Sunday; week 1 has the year's first Thursday |
//! | month | `2026-11` | from its first day to the next month's |
//!
//! The windows of a period follow each other without gap or overlap, whatever the clocks do: a day
//! has 23 or 25 hours when they are put forward or back, an hour in which the offset changes is cut
//! there, a date that a zone has skipped is no window.
//!
//! The rules of the zones come with the program, not from the machine, so that all machines that
//! run one version decide alike.

use crate::windows::{Window, WindowKind};
use contracts::{EventTime, Refusal, RefusalClass};
use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use std::fmt;

const HOUR_MICROS: i64 = 3_600_000_000;

/// What recurs in a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A local hour.
    Hour,
    /// A local day.
    Day,
    /// An ISO week, from Monday.
    Week,
    /// A month.
    Month,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The name in `boards.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// How long it is where the clocks are left alone, in seconds; of months, the shortest.
    #[must_use]
    pub fn seconds(self) -> u64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Month => 28 * 86_400,
        }
    }

    /// The period of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == name)
    }
}

/// A time zone's calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { zone: TimeZone::UTC }
    }
}

impl Calendar {
    /// The calendar of an IANA time zone, such as `Europe/Malta`; `None` when there is none of
    /// that name.
    #[must_use]
    pub fn of_zone(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        zone.iana_name()?;
        Some(Self { zone })
    }

    /// The zone's IANA name.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.zone.iana_name().expect("it was made from a name")
    }

    /// The window that `time` lies in.
    #[must_use]
    pub fn window_at(&self, period: Period, time: EventTime) -> Window {
        match period {
            Period::Hour => self.hour_at(time),
            Period::Day | Period::Week | Period::Month => self.days_at(period, time),
        }
    }

    /// The window of that id, past or to come; `None` when there is none, such as the 53rd week of
    /// a year that has 52, or an hour that the clocks have left out. A `+` may have become a space
    /// on its way through a URL.
    #[must_use]
    pub fn window_of_id(&self, id: &str) -> Option<Window> {
        let id = &*id.replace(' ', "+");
        let is = |window: &Window| *window.id == *id;
        let of_day = |period, date| Some(self.window_at(period, self.first_instant(date))).filter(is);
        match (id.len(), id.as_bytes().get(4..)?) {
            (10, _) => of_day(Period::Day, id.parse().ok()?),
            (8, [b'-', b'W', ..]) => {
                let week = ISOWeekDate::new(number(id, 0..4)?, number(id, 6..8)?, Weekday::Monday);
                of_day(Period::Week, week.ok()?.date())
            }
            (7, [b'-', ..]) => {
                of_day(Period::Month, Date::new(number(id, 0..4)?, number(id, 5..7)?, 1).ok()?)
            }
            (18 | 20, _) => {
                let hour = Time::new(number(id, 11..13)?, 0, 0, 0).ok()?;
                let local = id.get(..10)?.parse::<Date>().ok()?.to_datetime(hour);
                let start = micros_of(offset_of_id(id.get(13..)?)?.to_timestamp(local).ok()?);
                // Where the offset changes within the hour, only its first or last part is of it.
                [start, start + HOUR_MICROS - 1]
                    .into_iter()
                    .filter_map(EventTime::from_micros)
                    .map(|time| self.hour_at(time))
                    .find(is)
            }
            _ => None,
        }
    }

    /// An instant as a person writes it: with an offset, or without one as the zone's clocks show
    /// it; a date alone is its first instant.
    ///
    /// # Errors
    /// [`RefusalClass::InvalidValue`] or [`RefusalClass::OutOfRange`], naming `field`; also where the
    /// zone's clocks have shown that time never or twice.
    pub fn parse_instant(&self, text: &str, field: &'static str) -> Result<EventTime, Refusal> {
        let local = match Pieces::parse(text) {
            Ok(pieces) if pieces.to_numeric_offset().is_none() && pieces.time_zone_annotation().is_none() => {
                if pieces.date().year() < 1 {
                    let what = "is out of range: the years 1 to 9999 are kept";
                    return Err(Refusal::of_field(RefusalClass::OutOfRange, field, what));
                }
                let Some(time) = pieces.time() else { return Ok(self.first_instant(pieces.date())) };
                pieces.date().to_datetime(time)
            }
            // With an offset no zone is needed; what is wrong is told there, too.
            _ => return EventTime::parse_iso(text, field),
        };
        let zone = self.zone();
        let refuse =
            |what: fmt::Arguments<'_>| Err(Refusal::of_field(RefusalClass::InvalidValue, field, what));
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => Ok(saturated(offset, local)),
            AmbiguousOffset::Gap { .. } => {
                refuse(format_args!("is {local}, which the clocks of {zone} have left out"))
            }
            AmbiguousOffset::Fold { before, after } => refuse(format_args!(
                "is {local}, which the clocks of {zone} have shown twice: say {before} or {after} behind it"
            )),
        }
    }

    /// `time` as the zone's clocks show it, with the offset, to the second.
    #[must_use]
    pub fn local(&self, time: EventTime) -> String {
        timestamp(time).to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    fn hour_at(&self, time: EventTime) -> Window {
        let at = timestamp(time);
        let offset = self.zone.to_offset(at);
        let local = offset.to_datetime(at);
        let seconds = 60 * i64::from(local.minute()) + i64::from(local.second());
        let mut start = time.micros() - seconds * 1_000_000 - i64::from(local.subsec_nanosecond() / 1000);
        let mut end = start + HOUR_MICROS;
        // `preceding` leaves out one that is just now.
        let after = at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at);
        let change = self.zone.preceding(after).find(|change| {
            let before = change.timestamp().checked_sub(SignedDuration::from_nanos(1));
            micros_of(change.timestamp()) <= start
                || before.is_ok_and(|before| self.zone.to_offset(before) != change.offset())
        });
        start = start.max(change.map_or(start, |change| micros_of(change.timestamp())));
        let change = self
            .zone
            .following(at)
            .find(|change| micros_of(change.timestamp()) >= end || change.offset() != offset);
        end = end.min(change.map_or(end, |change| micros_of(change.timestamp())));

        let id = format!("{}T{:02}{}", local.date(), local.hour(), id_of_offset(offset)).into();
        Window {
            kind: WindowKind::Period(Period::Hour),
            id,
            start: within_range(start),
            end: within_range(end),
        }
    }

    /// A window that begins and ends with a day.
    fn days_at(&self, period: Period, time: EventTime) -> Window {
        let at = timestamp(time);
        let mut first = first_day(period, self.zone.to_datetime(at).date());
        loop {
            let next = day_after(period, first);
            let end = next.map_or(EventTime::MAX, |next| self.first_instant(next));
            match next {
                // Clocks that go back across midnight show the old date again, in the new day.
                Some(next) if time >= end && end < EventTime::MAX => first = next,
                _ => {
                    let (kind, id) = (WindowKind::Period(period), id_of(period, first).into());
                    return Window { kind, id, start: self.first_instant(first), end };
                }
            }
        }
    }

    /// The first instant at which the zone's clocks show `date`, or have left it out.
    fn first_instant(&self, date: Date) -> EventTime {
        let midnight = date.at(0, 0, 0, 0);
        match self.zone.to_ambiguous_timestamp(midnight).offset() {
            AmbiguousOffset::Unambiguous { offset } => saturated(offset, midnight),
            AmbiguousOffset::Fold { before, .. } => saturated(before, midnight),
            AmbiguousOffset::Gap { before, after } => {
                // The clocks are put forward past midnight, at the latest when they would have
                // shown it.
                let latest = saturated(before, midnight);
                let behind = timestamp(latest).checked_add(SignedDuration::from_nanos(1));
                let change = behind
                    .ok()
                    .and_then(|behind| self.zone.preceding(behind).find(|change| change.offset() == after));
                change.map_or(latest, |change| within_range(micros_of(change.timestamp())))
            }
        }
    }
}

/// The first day of the period that `date` lies in.
fn first_day(period: Period, date: Date) -> Date {
    match period {
        Period::Hour | Period::Day => date,
        Period::Week => date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
        Period::Month => date.first_of_month(),
    }
}

/// The first day of the period after the one that begins at `first`; `None` beyond all days.
fn day_after(period: Period, first: Date) -> Option<Date> {
    let length = match period {
        Period::Hour | Period::Day => 1.days(),
        Period::Week => 7.days(),
        Period::Month => 1.months(),
    };
    first.checked_add(length).ok()
}

fn id_of(period: Period, first: Date) -> String {
    match period {
        Period::Hour | Period::Day => first.to_string(),
        Period::Week => {
            let week = first.iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }
        Period::Month => format!("{:04}-{:02}", first.year(), first.month()),
    }
}

fn number<T: std::str::FromStr>(text: &str, digits: std::ops::Range<usize>) -> Option<T> {
    text.get(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// `+0200`, or `-045602` where a zone's clocks followed the sun.
fn id_of_offset(offset: Offset) -> String {
    let sign = if offset.is_negative() { '-' } else { '+' };
    let seconds = offset.seconds().unsigned_abs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let to_the_second = if seconds == 0 { String::new() } else { format!("{seconds:02}") };
    format!("{sign}{hours:02}{minutes:02}{to_the_second}")
}

fn offset_of_id(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (number(text, 1..3)?, number(text, 3..5)?);
    let seconds = if text.len() == 7 { number(text, 5..7)? } else { 0 };
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60 + seconds)).ok()
}

fn timestamp(time: EventTime) -> Timestamp {
    // Not `from_microsecond`, which does not reach the end of the last second.
    Timestamp::UNIX_EPOCH + SignedDuration::from_micros(time.micros())
}

fn micros_of(timestamp: Timestamp) -> i64 {
    timestamp.as_microsecond()
}

/// The instant, or the nearest that is kept.
fn within_range(micros: i64) -> EventTime {
    let micros = micros.clamp(EventTime::MIN.micros(), EventTime::MAX.micros());
    EventTime::from_micros(micros).expect("it was clamped")
}

/// What the clocks show at an offset, as an instant, or the nearest that is kept.
fn saturated(offset: Offset, local: DateTime) -> EventTime {
    match offset.to_timestamp(local) {
        Ok(instant) => within_range(micros_of(instant)),
        Err(_) if local.year() < 1000 => EventTime::MIN,
        Err(_) => EventTime::MAX,
    }
}

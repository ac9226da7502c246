//! What the members of the file have in common.

use super::Fault;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const MAX_NAME_BYTES: usize = 64;

pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A table of the file: a board, or a season.
pub(super) struct Entry<'t, 'a> {
    pub(super) members: &'t DeTable<'a>,
    pub(super) span: Range<usize>,
}

impl<'t, 'a> Entry<'t, 'a> {
    pub(super) fn of(value: &'t Value<'a>) -> Option<Self> {
        value.get_ref().as_table().map(|members| Self { members, span: value.span() })
    }

    /// The member's value, or the whole entry where it is absent.
    pub(super) fn span_of(&self, member: &str) -> Range<usize> {
        self.members.get(member).map_or(self.span.clone(), Value::span)
    }

    pub(super) fn has(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }
}

/// Collects faults while it reads. A member that is absent or has a fault is read as `None`, and
/// the rest is held against its default.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) faults: Vec<Fault>,
}

impl Reader<'_> {
    pub(super) fn fault(&mut self, span: Range<usize>, reason: impl Into<String>) {
        let line = self.text[..span.start.min(self.text.len())].matches('\n').count() + 1;
        self.faults.push(Fault { line, reason: reason.into() });
    }

    /// Reads a member if it is there; what `read` does not understand is a fault.
    pub(super) fn member<T>(
        &mut self,
        entry: &Entry<'_, '_>,
        member: &str,
        must_be: impl FnOnce() -> String,
        read: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = entry.members.get(member)?;
        let found = read(value.get_ref());
        if found.is_none() {
            self.fault(value.span(), format!("`{member}` must be {}", must_be()));
        }
        found
    }

    pub(super) fn number(
        &mut self,
        entry: &Entry<'_, '_>,
        member: &str,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        let must_be = || format!("a whole number from {} to {}", range.start(), range.end());
        self.member(entry, member, must_be, |value| {
            let number = value.as_integer()?;
            i64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| range.contains(number))
        })
    }

    /// A number of things, at least one.
    pub(super) fn size(&mut self, entry: &Entry<'_, '_>, member: &str, max: usize) -> Option<usize> {
        let max = i64::try_from(max).expect("limits are small");
        self.number(entry, member, 1..=max).and_then(|number| usize::try_from(number).ok())
    }

    pub(super) fn boolean(&mut self, entry: &Entry<'_, '_>, member: &str) -> Option<bool> {
        self.member(entry, member, || "true or false".to_owned(), |value| value.as_bool())
    }

    pub(super) fn name(&mut self, entry: &Entry<'_, '_>) -> Option<String> {
        if !entry.has("name") {
            self.fault(entry.span.clone(), "`name` is missing");
        }
        let must_be = || format!("1 to {MAX_NAME_BYTES} of a-z, 0-9, `.`, `_`, `-`");
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        self.member(entry, "name", must_be, |value| {
            let fits = |name: &&str| (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(allowed);
            value.as_str().filter(fits).map(str::to_owned)
        })
    }

    /// One of several words, or the default.
    pub(super) fn choice<T: Copy + Default, const N: usize>(
        &mut self,
        entry: &Entry<'_, '_>,
        member: &str,
        choices: [T; N],
        word_of: impl Fn(T) -> &'static str,
    ) -> T {
        let must_be = || choices.map(|choice| format!("\"{}\"", word_of(choice))).join(" or ");
        let chosen = self.member(entry, member, must_be, |value| {
            choices.into_iter().find(|choice| value.as_str() == Some(word_of(*choice)))
        });
        chosen.unwrap_or_default()
    }

    /// A duration in seconds.
    pub(super) fn duration(&mut self, entry: &Entry<'_, '_>, member: &str, max_seconds: u32) -> Option<u32> {
        self.member(
            entry,
            member,
            || duration_shape(max_seconds),
            |value| duration_seconds(value.as_str()?, max_seconds),
        )
    }
}

/// `90s`, `15m`, `2h` or `1d`, in seconds.
pub(super) fn duration_seconds(text: &str, max_seconds: u32) -> Option<u32> {
    let seconds_each = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u32>().ok()?.checked_mul(seconds_each).filter(|seconds| *seconds <= max_seconds)
}

pub(super) fn duration_shape(max_seconds: u32) -> String {
    let longest = duration_text(max_seconds);
    format!("a duration such as \"90s\", \"15m\", \"2h\" or \"1d\", \"{longest}\" at most")
}

/// A duration as it is written in the file, in the largest unit that it is whole in.
pub(crate) fn duration_text(seconds: u32) -> String {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let unit = units.into_iter().find(|(each, _)| seconds > 0 && seconds.is_multiple_of(*each));
    let (each, unit) = unit.unwrap_or((1, 's'));
    format!("{}{unit}", seconds / each)
}

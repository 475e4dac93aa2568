//! What resources did, hour by hour, in few bytes and without losing a bit.
//!
//! Values of one kind stand together and as differences from hour to hour, split into low and high
//! bytes: so the packing finds little noise and much that repeats. Names and differences go on from
//! record to record up to the next checkpoint, where both begin anew.

use std::collections::{BTreeMap, BTreeSet};

use fleet::resource::ResourceId;
use fleet::usage::{Code, Day, HOURS_A_DAY, Signal};
use fleet::{Seconds, Timestamp};

use super::dictionary::Dictionary;
use super::engine::Tree;
use super::frame::{Frame, unseal};
use super::reader::damaged;
use super::source::{Source, Walk};
use super::{BadBody, Journal, JournalFault, RecordId, Writer, fold, wire};

/// Days of one record: a back-fill of a large fleet is cut into many. The store keeps
/// thousands of records in memory, whatever their size, so they are small.
const DAYS_A_RECORD: usize = 1_000;

/// Days of a calendar that are held in memory at a time while they are carried.
const DAYS_A_PASS: usize = 7;

/// How long after a record a later one may correct it, for what is carried: no cloud takes longer.
const CORRECTED_WITHIN: Seconds = Seconds::days(35);

/// What a resource did in a day of UTC, or in some of its hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageDay {
    pub resource: ResourceId,
    pub signal: Signal,
    /// The day, counted from 1970; see [`Timestamp::utc_day`].
    pub day: i64,
    pub hours: Day,
}

/// What records have told since the last checkpoint: names, and each signal's last code.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct UsageSoFar {
    names: Dictionary<ResourceId>,
    codes: Vec<Codes>,
    /// How many days, so that a record that is missing is noticed by the next one.
    days: u64,
}

/// The last codes of a resource, by signal.
type Codes = [u16; Signal::ALL.len()];

fn code_of(codes: &mut Vec<Codes>, number: usize, signal: u8) -> Option<&mut u16> {
    if codes.len() <= number {
        codes.resize(number + 1, [0; Signal::ALL.len()]);
    }
    codes.get_mut(number)?.get_mut(usize::from(signal))
}

/// Puts the hours of a later record over those of an earlier one, where the later has them.
pub fn lay_over(under: &mut Day, over: &Day) {
    for hour in 0..HOURS_A_DAY {
        let code = over.get(hour);
        if !code.is_missing() {
            under.set(hour, code);
        }
    }
}

impl Journal {
    /// Records what resources did: whole days, or hours as they come. Days in order of resources
    /// and signals take the fewest bytes. On disk with the next cycle or [`Journal::flush`].
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be written.
    pub fn record_usage(&self, now: Timestamp, days: &[UsageDay]) -> Result<(), JournalFault> {
        let mut writer = self.inner.writer();
        writer.append_usage(now, days);
        writer.log.apply()
    }
}

impl Writer {
    pub(super) fn append_usage(&mut self, now: Timestamp, days: &[UsageDay]) {
        for part in days.chunks(DAYS_A_RECORD) {
            let body = encode(&mut self.fold.usage, part);
            self.log.append(Tree::Usage, now, &body);
        }
    }

    /// Records again what records from `from` up to `to` say of days from `oldest` on, so that
    /// these can be removed. Both ids are those of checkpoints.
    pub(super) fn carry_usage(
        &mut self,
        source: &dyn Source,
        (from, to): (RecordId, RecordId),
        oldest: i64,
        now: Timestamp,
    ) -> Result<(), JournalFault> {
        let mut days = BTreeSet::new();
        walk(source, from, to, &mut |_, _, _, day, _| {
            days.insert(day);
        })?;
        let days: Vec<i64> = days.split_off(&oldest).into_iter().collect();
        for pass in days.chunks(DAYS_A_PASS) {
            let carried = merged(source, (from, to), pass)?;
            for part in carried.chunks(DAYS_A_RECORD) {
                self.append_usage(now, part);
                self.log.apply()?;
            }
        }
        self.log.flush()
    }
}

/// What is known of some days of which records from `from` up to `to` tell, with all corrections.
fn merged(
    source: &dyn Source,
    (from, to): (RecordId, RecordId),
    days: &[i64],
) -> Result<Vec<UsageDay>, JournalFault> {
    let mut names = Dictionary::default();
    let mut hours: BTreeMap<(usize, Signal, i64), Day> = BTreeMap::new();
    let eras = source.eras()?;
    let corrected = eras.at_or_after(eras.effective(to) + CORRECTED_WITHIN);
    walk(source, from, corrected, &mut |id, resource, signal, day, over| {
        if days.binary_search(&day).is_err() {
            return;
        }
        let key = (names.number(resource), signal, day);
        let known = match id < to {
            true => Some(hours.entry(key).or_insert(Day::EMPTY)),
            false => hours.get_mut(&key),
        };
        if let Some(known) = known {
            lay_over(known, over);
        }
    })?;
    let day = |((number, signal, day), hours): ((usize, Signal, i64), Day)| {
        Some(UsageDay { resource: names.key(number)?.clone(), signal, day, hours })
    };
    Ok(hours.into_iter().filter_map(day).collect())
}

/// Is shown the record's id, the resource, the signal, the day, and the hours.
pub(super) type See<'s> = dyn FnMut(RecordId, &ResourceId, Signal, i64, &Day) + 's;

/// Shows what records from the checkpoint `from` on, up to `to`, tell of usage.
pub(super) fn walk(
    source: &dyn Source,
    from: RecordId,
    to: RecordId,
    see: &mut See<'_>,
) -> Result<(), JournalFault> {
    let mut told = UsageSoFar::default();
    for entry in Walk::new(source, &[Tree::Checkpoints, Tree::Usage], from) {
        let (tree, (key, value)) = entry.map_err(|(_, fault)| fault)?;
        if RecordId::from_key(&key).is_some_and(|id| id >= to) {
            break;
        }
        if tree == Tree::Checkpoints {
            told = UsageSoFar::default();
            continue;
        }
        let frame = unseal(tree, &key, &value).map_err(|why| damaged(tree, &key, &why))?;
        let Frame { id, body, .. } = &frame;
        visit(&mut told, body, &mut |resource, signal, day, hours| {
            see(*id, resource, signal, day, hours);
        })
        .ok_or_else(|| damaged(tree, &key, &BadBody::NoUsage))?;
    }
    Ok(())
}

/// The body of a record that holds `days`; resources that were not told before come first.
pub(super) fn encode(told: &mut UsageSoFar, days: &[UsageDay]) -> Vec<u8> {
    let mut out = Vec::new();
    let numbers = told.names.tell(&mut out, days.iter().map(|day| &day.resource));
    wire::put(&mut out, told.days);
    told.days += days.len() as u64;
    wire::put(&mut out, days.len() as u64);
    let mut before = 0;
    for number in &numbers {
        wire::put_signed(&mut out, *number as i64 - before);
        before = *number as i64;
    }
    out.extend(days.iter().map(|day| tag(day.signal)));
    let mut before = 0;
    for day in days {
        wire::put_signed(&mut out, day.day.wrapping_sub(before));
        before = day.day;
    }
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for (day, number) in days.iter().zip(numbers) {
        let mut there = 0u32;
        let mut unknown = 0;
        let before = code_of(&mut told.codes, number, tag(day.signal)).unwrap_or(&mut unknown);
        for hour in 0..HOURS_A_DAY {
            let code = day.hours.get(hour);
            if code.is_missing() {
                continue;
            }
            there |= 1 << hour;
            let step = zigzag(i32::from(code.raw()) - i32::from(*before));
            *before = code.raw();
            low.push(step as u8);
            high.push((step >> 8) as u8);
        }
        out.extend_from_slice(&there.to_le_bytes()[..3]);
    }
    out.append(&mut low);
    out.append(&mut high);
    fold::wrap(&out)
}

/// Reads what [`encode`] wrote; `None` where the bytes are not such a record.
pub(super) fn decode(told: &mut UsageSoFar, body: &[u8]) -> Option<Vec<UsageDay>> {
    let mut days = Vec::new();
    visit(told, body, &mut |resource, signal, day, hours| {
        days.push(UsageDay { resource: resource.clone(), signal, day, hours: *hours });
    })?;
    Some(days)
}

/// Shows each day of a record without making copies. `None` where the bytes are not such a record.
fn visit(
    told: &mut UsageSoFar,
    body: &[u8],
    see: &mut dyn FnMut(&ResourceId, Signal, i64, &Day),
) -> Option<()> {
    let bytes = fold::unwrap(body).ok()?;
    let mut bytes = bytes.as_slice();
    told.names.learn(&mut bytes)?;
    if wire::take(&mut bytes)? != told.days {
        return None;
    }
    let count = usize::try_from(wire::take(&mut bytes)?).ok()?;
    told.days += count as u64;
    // Each has a byte at least: a damaged count must not take all memory.
    if count > bytes.len() {
        return None;
    }
    let numbers = running(&mut bytes, count)?;
    let signals = wire::take_bytes(&mut bytes, count)?;
    let days = running(&mut bytes, count)?;
    let there = wire::take_bytes(&mut bytes, count.checked_mul(3)?)?;
    let (low, high) = bytes.split_at_checked(bytes.len() / 2)?;
    let mut steps = low.iter().zip(high);
    for (((number, signal), day), there) in
        numbers.iter().zip(signals).zip(days).zip(there.chunks_exact(3))
    {
        let there = there.iter().rev().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
        let mut hours = Day::EMPTY;
        let number = usize::try_from(*number).ok()?;
        let UsageSoFar { names, codes, .. } = &mut *told;
        let resource = names.key(number)?;
        let before = code_of(codes, number, *signal)?;
        for hour in (0..HOURS_A_DAY).filter(|hour| there >> hour & 1 == 1) {
            let (low, high) = steps.next()?;
            let raw = i32::from(*before) + unzigzag(u16::from(*low) | u16::from(*high) << 8);
            *before = u16::try_from(raw).ok()?;
            hours.set(hour, Code::from_raw(*before));
        }
        see(resource, *Signal::ALL.get(usize::from(*signal))?, day, &hours);
    }
    (low.len() == high.len() && steps.next().is_none()).then_some(())
}

/// Numbers that were written as differences.
fn running(bytes: &mut &[u8], count: usize) -> Option<Vec<i64>> {
    let mut before = 0i64;
    let mut next = || {
        before = before.wrapping_add(wire::take_signed(bytes)?);
        Some(before)
    };
    (0..count).map(|_| next()).collect()
}

/// A signal's place in [`Signal::ALL`], which is its number on disk.
fn tag(signal: Signal) -> u8 {
    let place = Signal::ALL.iter().position(|known| *known == signal);
    // The signals are fewer than 256.
    place.unwrap_or(Signal::ALL.len()) as u8
}

/// A difference of two codes, small where it is near zero.
fn zigzag(step: i32) -> u16 {
    ((step << 1) ^ (step >> 31)) as u16
}

fn unzigzag(step: u16) -> i32 {
    i32::from(step >> 1) ^ -i32::from(step & 1)
}

//! Samples that arrived together, in few bytes and without losing a bit.

use fleet::Timestamp;
use fleet::metric::{MetricKey, Sample};

use super::dictionary::Dictionary;
use super::record::SampleBatch;
use super::{fold, wire};

/// The body of a record that holds `batches`; metrics that are new to the dictionary come first.
pub(crate) fn encode(dictionary: &mut Dictionary<MetricKey>, batches: &[SampleBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let numbers = dictionary.tell(&mut out, batches.iter().map(|batch| &batch.metric));
    wire::put(&mut out, batches.len() as u64);
    let (mut number_before, mut seen_before, mut start_before) = (0i64, 0i64, 0i64);
    for (batch, number) in batches.iter().zip(numbers) {
        let number = number as i64;
        wire::put_signed(&mut out, number - number_before - 1);
        wire::put_signed(&mut out, batch.seen_at.0.wrapping_sub(seen_before));
        wire::put(&mut out, batch.samples.len() as u64);
        (number_before, seen_before) = (number, batch.seen_at.0);
        let mut before = start_before;
        for (place, sample) in batch.samples.iter().enumerate() {
            wire::put_signed(&mut out, sample.start.0.wrapping_sub(before));
            before = sample.start.0;
            if place == 0 {
                start_before = before;
            }
            put_value(&mut out, sample.value);
        }
    }
    fold::wrap(&out)
}

/// Reads what [`encode`] wrote, batches without samples left out; `None` where the bytes are not
/// such a record.
pub(crate) fn decode(
    dictionary: &mut Dictionary<MetricKey>,
    body: &[u8],
) -> Option<Vec<SampleBatch>> {
    let mut batches: Vec<SampleBatch> = Vec::new();
    let mut current = None;
    visit(dictionary, body, &mut |number, key, seen_at, sample| {
        if current != Some(number) {
            current = Some(number);
            let (metric, samples) = (key.clone(), Vec::new());
            batches.push(SampleBatch { metric, seen_at, samples });
        }
        if let Some(batch) = batches.last_mut() {
            batch.samples.push(sample);
        }
    })?;
    Some(batches)
}

/// Shows each sample of a record without making copies: the number of its batch, its metric, when
/// it arrived, and itself. `None` where the bytes are not such a record.
pub(crate) fn visit(
    dictionary: &mut Dictionary<MetricKey>,
    body: &[u8],
    see: &mut dyn FnMut(usize, &MetricKey, Timestamp, Sample),
) -> Option<()> {
    let bytes = fold::unwrap(body).ok()?;
    let mut bytes = bytes.as_slice();
    dictionary.learn(&mut bytes)?;
    let (mut number_before, mut seen_before, mut start_before) = (0i64, 0i64, 0i64);
    for batch in 0..usize::try_from(wire::take(&mut bytes)?).ok()? {
        let number = wire::take_signed(&mut bytes)?.checked_add(number_before)?.checked_add(1)?;
        let metric = dictionary.key(usize::try_from(number).ok()?)?;
        let seen_at = wire::take_signed(&mut bytes)?.wrapping_add(seen_before);
        (number_before, seen_before) = (number, seen_at);
        let mut before = start_before;
        for place in 0..wire::take(&mut bytes)? {
            before = wire::take_signed(&mut bytes)?.wrapping_add(before);
            if place == 0 {
                start_before = before;
            }
            let sample = Sample { start: Timestamp(before), value: take_value(&mut bytes)? };
            see(batch, metric, Timestamp(seen_at), sample);
        }
    }
    bytes.is_empty().then_some(())
}

/// Largest whole number that a double counts to without gaps.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Whole numbers take a varint, what fits in single precision 5 bytes, the rest 9.
fn put_value(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && (0.0..WHOLE_MAX).contains(&value) && value.is_sign_positive() {
        wire::put(out, (value as u64) << 1);
    } else if f64::from(value as f32).to_bits() == value.to_bits() {
        out.push(1);
        out.extend_from_slice(&(value as f32).to_le_bytes());
    } else {
        out.push(3);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn take_value(bytes: &mut &[u8]) -> Option<f64> {
    match wire::take(bytes)? {
        1 => Some(f64::from(f32::from_le_bytes(wire::take_bytes(bytes, 4)?.try_into().ok()?))),
        3 => Some(f64::from_le_bytes(wire::take_bytes(bytes, 8)?.try_into().ok()?)),
        tagged if tagged & 1 == 0 => Some((tagged >> 1) as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_in_every_bit() {
        let values = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            1234.0,
            0.1,
            0.5,
            1e300,
            f64::MIN_POSITIVE,
            f64::INFINITY,
            WHOLE_MAX - 1.0,
            WHOLE_MAX,
            12_345.678,
        ];
        let batch = |metric: &str, seen: i64, from: i64| SampleBatch {
            metric: MetricKey(metric.to_string()),
            seen_at: Timestamp(seen),
            samples: (0i64..)
                .zip(values)
                .map(|(n, value)| Sample { start: Timestamp(from + 60 * n), value })
                .collect(),
        };
        let batches = [batch("b", 1_000_000, 999_000), batch("a", 1_000_060, 5), batch("b", -7, 0)];
        let (mut wrote, mut read) = (Dictionary::default(), Dictionary::default());
        for batches in [&batches[..], &batches[1..], &[]] {
            let body = encode(&mut wrote, batches);
            let back = decode(&mut read, &body).unwrap();
            let bits = |list: &[SampleBatch]| -> Vec<u64> {
                list.iter().flat_map(|b| b.samples.iter().map(|s| s.value.to_bits())).collect()
            };
            assert_eq!(bits(&back), bits(batches));
            assert_eq!(back, batches);
            assert_eq!(read, wrote);
        }
        assert_eq!(decode(&mut Dictionary::default(), &encode(&mut wrote, &batches)), None);
        let mut hollow = batches.to_vec();
        hollow[0].samples.clear();
        let body = encode(&mut wrote, &hollow);
        assert_eq!(decode(&mut read, &body).as_deref(), Some(&batches[1..]));
    }
}

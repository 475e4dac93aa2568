//! Small numbers in few bytes: what the journal's own encodings are made of.

/// Writes `number` in groups of seven bits, lowest first.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a number that may be negative, small where it is near zero.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Reads what [`put`] wrote; `None` where the bytes end or say too much.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let group = u64::from(first & 0x7f);
        if shift == 63 && group > 1 {
            return None;
        }
        number |= group << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Reads what [`put_signed`] wrote.
pub(crate) fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let number = take(bytes)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// Reads `count` bytes.
pub(crate) fn take_bytes<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_damage_is_no_number() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, number);
            put_signed(&mut out, number as i64);
            put_signed(&mut out, (number as i64).wrapping_neg());
            let mut bytes = out.as_slice();
            assert_eq!(take(&mut bytes), Some(number));
            assert_eq!(take_signed(&mut bytes), Some(number as i64));
            assert_eq!(take_signed(&mut bytes), Some((number as i64).wrapping_neg()));
            assert_eq!(take(&mut bytes), None);
        }
        assert_eq!(take(&mut [0xff; 9].as_slice()), None);
        assert_eq!(take(&mut [0xff; 10].as_slice()), None);
        assert_eq!(take_bytes(&mut [1, 2].as_slice(), 3), None);
    }
}

//! Compression of bytes against bytes that are known already.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, compress_bound, get_error_name};

use super::fault::BadPack;

/// zstd's own default: beyond it time grows much faster than size falls.
const LEVEL: i32 = 3;

/// The largest window zstd decodes without being told otherwise: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;

/// The most a record unpacks to: a damaged length must not take all memory.
const BYTES_MAX: u64 = 1 << 30;

/// Packs `data`, telling only what is not in `known`.
pub(crate) fn pack(known: &[u8], data: &[u8]) -> Vec<u8> {
    let mut context = CCtx::create();
    let mut out = Vec::with_capacity(compress_bound(data.len()) + 8);
    let bits = usize::BITS - (known.len() + data.len()).leading_zeros();
    let packed = context
        .set_parameter(CParameter::CompressionLevel(LEVEL))
        .and_then(|_| context.set_parameter(CParameter::WindowLog(bits.clamp(10, WINDOW_LOG_MAX))))
        .and_then(|_| context.ref_prefix(known))
        .and_then(|_| context.compress2(&mut out, data));
    match packed {
        Ok(_) => out,
        // zstd fails on want of memory or room alone, and there is room.
        Err(code) => panic!("zstd failed to compress: {}", get_error_name(code)),
    }
}

/// Unpacks what [`pack`] made of `known` and data of `length` bytes.
pub(crate) fn unpack(known: &[u8], packed: &[u8], length: u64) -> Result<Vec<u8>, BadPack> {
    let room = usize::try_from(length).ok().filter(|_| length <= BYTES_MAX);
    let room = room.ok_or(BadPack::TooLong { bytes: length })?;
    let mut context = DCtx::create();
    let mut out = Vec::with_capacity(room);
    context
        .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
        .and_then(|_| context.ref_prefix(known))
        .and_then(|_| context.decompress(&mut out, packed))
        .map_err(|code| BadPack::Zstd { code })?;
    if out.len() == room {
        Ok(out)
    } else {
        Err(BadPack::Length { found: out.len() as u64, expected: length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_told_by_what_differs_and_comes_back() {
        let known: Vec<u8> =
            (0..200_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut data = known.clone();
        for at in (0..data.len()).step_by(10_000) {
            data[at] ^= 0x55;
        }
        let packed = pack(&known, &data);
        assert!(packed.len() < 2_000, "{} bytes", packed.len());
        let length = data.len() as u64;
        assert_eq!(unpack(&known, &packed, length), Ok(data.clone()));
        // The decoder has no room for the last byte.
        let small = unpack(&known, &packed, length - 1).unwrap_err();
        assert_eq!(small.to_string(), "Destination buffer is too small");
        assert!(matches!(unpack(&[], &packed, length), Err(BadPack::Zstd { .. })));
        let more = BadPack::Length { found: length, expected: length + 1 };
        assert_eq!(unpack(&known, &packed, length + 1), Err(more));
        let far = BadPack::TooLong { bytes: u64::MAX };
        assert_eq!(unpack(&[], &packed, u64::MAX), Err(far));
        assert_eq!(unpack(&[], &pack(&[], &[]), 0), Ok(Vec::new()));
    }
}

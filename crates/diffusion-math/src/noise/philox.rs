//! Philox4x32-10, the counter-based generator of Salmon et al. 2011 (*Parallel random numbers: as easy as 1, 2, 3*, SC '11).
//!
//! A bijection of 128-bit counters for every 64-bit key: a random number is looked up, not generated in sequence, so
//! that no split of the work over batches, threads or devices can change it.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Weyl increments of the key: the golden ratio and √3 − 1.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// One block: four random words of a counter under a key.
///
/// ```
/// use diffusion_math::philox4x32;
/// // Random123's known-answer test.
/// assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    philox_lanes(counter.map(|word| [word]), key).map(|[word]| word)
}

/// L blocks at once, word by word: `counter[w][lane]`. Written so that the compiler turns each line into vector code.
#[inline(always)]
pub(super) fn philox_lanes<const L: usize>(
    mut counter: [[u32; L]; 4],
    mut key: [u32; 2],
) -> [[u32; L]; 4] {
    for _ in 0..ROUNDS {
        let [c0, c1, c2, c3] = &mut counter;
        for lane in 0..L {
            let (high0, low0) = multiply_wide(MULTIPLIERS[0], c0[lane]);
            let (high1, low1) = multiply_wide(MULTIPLIERS[1], c2[lane]);
            c0[lane] = high1 ^ c1[lane] ^ key[0];
            c1[lane] = low1;
            c2[lane] = high0 ^ c3[lane] ^ key[1];
            c3[lane] = low0;
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// The high and the low word of a product.
#[inline(always)]
fn multiply_wide(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a).wrapping_mul(u64::from(b));
    ((product >> 32) as u32, product as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file `kat_vectors` of Random123 1.14, lines `philox 4x32 10`.
    #[test]
    fn known_answers() {
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32(counter, key), expected);
        }
    }

    #[test]
    fn lanes_are_the_single_blocks() {
        let key = [7, 11];
        let lanes =
            philox_lanes::<8>([std::array::from_fn(|i| i as u32), [3; 8], [5; 8], [9; 8]], key);
        for lane in 0..8 {
            assert_eq!(lanes.map(|word| word[lane]), philox4x32([lane as u32, 3, 5, 9], key));
        }
    }
}

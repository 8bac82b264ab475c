//! Standard normals from random words: the Box–Muller transform with our own logarithm and sines.
//!
//! Only +, −, ×, ÷ and √ on IEEE floats, no library function and no fused multiply-add: each is rounded the same way on
//! every machine, so that the same words give the same bits everywhere. The loops have no branch and run over lanes, so
//! that the compiler vectorises them.

const TWO_POW_M31: f64 = 1.0 / 2_147_483_648.0;
const TWO_POW_M32: f64 = 0.5 * TWO_POW_M31;
const TWO_POW_M53: f64 = 1.0 / 9_007_199_254_740_992.0;

/// `√(−2 ln u)·(cos θ, sin θ)` of two words in f32, Box & Muller 1958: u in (0, 1] to 2⁻³³, so tails reach 6.7 σ.
#[inline(always)]
pub(super) fn normal_pair_f32(radius: u32, angle: u32) -> (f32, f32) {
    let u = (radius as f32 + 0.5) * TWO_POW_M32 as f32;
    let r = (-2.0 * ln_f32(u)).sqrt();
    let (cos, sin) = unit_circle_f32(angle);
    (r * cos, r * sin)
}

/// As [`normal_pair_f32`] in f64, from four words: u in (0, 1] to 2⁻⁵⁴, so tails reach 8.6 σ.
#[inline(always)]
pub(super) fn normal_pair_f64(radius: [u32; 2], angle: [u32; 2]) -> (f64, f64) {
    let u = unit_interval(radius) + 0.5 * TWO_POW_M53;
    let r = (-2.0 * ln_f64(u)).sqrt();
    let (cos, sin) = unit_circle_f64(angle);
    (r * cos, r * sin)
}

/// A number in [0, 1) of the upper 53 bits of two words; exact.
#[inline(always)]
pub(super) fn unit_interval([high, low]: [u32; 2]) -> f64 {
    f64::from(high) * TWO_POW_M32 + f64::from(low >> 11) * TWO_POW_M53
}

/// ln u for 0 < u ≤ 1, normal; relative error below 2 ulp.
///
/// `u = 2^e·m`, m in [√½, √2); `ln m = 2 artanh s`, `s = (m − 1)/(m + 1)`, |s| < 0.172.
#[inline(always)]
fn ln_f32(u: f32) -> f32 {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let offset = u.to_bits().wrapping_sub(SQRT_HALF);
    let exponent = (offset as i32) >> 23;
    let m = f32::from_bits((offset & 0x007f_ffff).wrapping_add(SQRT_HALF));
    let f = m - 1.0;
    let s = f / (m + 1.0);
    let z = s * s;
    // Σ z^k/(2k + 1); the first term left out is z⁵/11 < 2e-9.
    let series = z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0))));
    exponent as f32 * std::f32::consts::LN_2 + (2.0 * s + 2.0 * s * series)
}

/// As [`ln_f32`] in f64; the first term left out is z¹¹/23 < 1e-18.
#[inline(always)]
fn ln_f64(u: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let offset = u.to_bits().wrapping_sub(SQRT_HALF);
    let exponent = ((offset >> 32) as i32) >> 20;
    let m = f64::from_bits((offset & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF));
    let f = m - 1.0;
    let s = f / (m + 1.0);
    let z = s * s;
    let tail = 1.0 / 15.0 + z * (1.0 / 17.0 + z * (1.0 / 19.0 + z * (1.0 / 21.0)));
    let head = 1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0 + z * (1.0 / 13.0 + z * tail)));
    let series = z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * head));
    f64::from(exponent) * std::f64::consts::LN_2 + (2.0 * s + 2.0 * s * series)
}

/// (cos θ, sin θ) of a word's angle: the upper two bits are the quadrant, the rest an angle in (−π/4, π/4) within it.
#[inline(always)]
fn unit_circle_f32(word: u32) -> (f32, f32) {
    // The 30 lower bits, centred: an odd number in (−2³⁰, 2³⁰), in units of 2⁻³¹ quadrants.
    let centred = (((word & 0x3fff_ffff) << 1) | 1).wrapping_sub(1 << 30) as i32;
    let angle = centred as f32 * (std::f32::consts::FRAC_PI_2 * TWO_POW_M31 as f32);
    let z = angle * angle;
    // Taylor; the first terms left out are angle¹¹/11! < 2e-9 and angle¹⁰/10! < 3e-8·cos.
    let sin = angle
        + angle
            * z
            * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5_040.0 + z * (1.0 / 362_880.0))));
    let cos = 1.0
        + z * (-0.5
            + z * (1.0 / 24.0
                + z * (-1.0 / 720.0 + z * (1.0 / 40_320.0 + z * (-1.0 / 3_628_800.0)))));
    let swap = word & (1 << 30) != 0;
    let (c, s) = if swap { (sin, cos) } else { (cos, sin) };
    // Quadrants 0 to 3: (c, s), (−s, c), (−c, −s), (s, −c).
    let negative_cos = (word ^ (word << 1)) & (1 << 31);
    let negative_sin = word & (1 << 31);
    (f32::from_bits(c.to_bits() ^ negative_cos), f32::from_bits(s.to_bits() ^ negative_sin))
}

/// As [`unit_circle_f32`] with 62 bits of angle, of which f64 holds 53.
#[inline(always)]
fn unit_circle_f64([high, low]: [u32; 2]) -> (f64, f64) {
    let centred = (((high & 0x3fff_ffff) << 1) | 1).wrapping_sub(1 << 30) as i32;
    // The lower word refines the upper one's cell of width 2, symmetrically about its middle.
    let refinement = (f64::from(low) + 0.5) * TWO_POW_M31 - 1.0;
    let angle = (f64::from(centred) + refinement) * (std::f64::consts::FRAC_PI_2 * TWO_POW_M31);
    let z = angle * angle;
    // Taylor, from the highest power; the first terms left out are angle¹⁹/19! < 1e-19 and angle¹⁸/18! < 3e-18.
    let sin = [
        -1.0 / 1_307_674_368_000.0,
        1.0 / 6_227_020_800.0,
        -1.0 / 39_916_800.0,
        1.0 / 362_880.0,
        -1.0 / 5_040.0,
    ]
    .iter()
    .fold(1.0 / 355_687_428_096_000.0, |sum, c| c + z * sum);
    let sin = angle + angle * z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * sin));
    let cos = [
        -1.0 / 87_178_291_200.0,
        1.0 / 479_001_600.0,
        -1.0 / 3_628_800.0,
        1.0 / 40_320.0,
        -1.0 / 720.0,
    ]
    .iter()
    .fold(1.0 / 20_922_789_888_000.0, |sum, c| c + z * sum);
    let cos = 1.0 + z * (-0.5 + z * (1.0 / 24.0 + z * cos));
    let swap = high & (1 << 30) != 0;
    let (c, s) = if swap { (sin, cos) } else { (cos, sin) };
    let negative_cos = u64::from((high ^ (high << 1)) & (1 << 31)) << 32;
    let negative_sin = u64::from(high & (1 << 31)) << 32;
    (f64::from_bits(c.to_bits() ^ negative_cos), f64::from_bits(s.to_bits() ^ negative_sin))
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_agree_with_the_library() {
        for i in 0..200_000_u32 {
            let word = i.wrapping_mul(2_654_435_761).rotate_left(i % 32) >> (i % 31);
            let u = (word as f32 + 0.5) * TWO_POW_M32 as f32;
            let exact = f64::from(u).ln();
            assert!((f64::from(ln_f32(u)) - exact).abs() <= 2e-7 * exact.abs(), "{u}");
            let u = (f64::from(word) + 0.5) * 2.0_f64.powi(-32 - (i % 20) as i32);
            assert!((ln_f64(u) - u.ln()).abs() <= 5e-16 * u.ln().abs(), "{u}");
        }
        assert_eq!(ln_f32(1.0), 0.0);
        assert_eq!(ln_f64(1.0), 0.0);
    }

    #[test]
    fn angles_are_on_the_circle_and_cover_its_quadrants() {
        let quarter = std::f64::consts::FRAC_PI_2;
        for i in 0..100_000_u32 {
            let word = i.wrapping_mul(2_654_435_761);
            // Quadrant q spans (q − ½, q + ½) quarters, the word's lower 30 bits from one end to the other.
            let angle = (f64::from(word >> 30) - 0.5
                + (f64::from(word & 0x3fff_ffff) + 0.5) * 2.0_f64.powi(-30))
                * quarter;
            let (c, s) = unit_circle_f32(word);
            assert!(
                (f64::from(c) - angle.cos()).abs() < 2e-7
                    && (f64::from(s) - angle.sin()).abs() < 2e-7,
                "{word:x}"
            );
            let (c, s) = unit_circle_f64([word, 1 << 31]);
            assert!((c - angle.cos()).abs() < 2e-9 && (s - angle.sin()).abs() < 2e-9, "{word:x}");
            assert!((c * c + s * s - 1.0).abs() < 5e-16);
        }
    }

    #[test]
    fn the_extreme_words_give_finite_normals() {
        for word in [0, 1, u32::MAX - 1, u32::MAX] {
            let (a, b) = normal_pair_f32(word, word);
            assert!(a.is_finite() && b.is_finite() && a.abs() < 6.8);
            let (a, b) = normal_pair_f64([word; 2], [word; 2]);
            assert!(a.is_finite() && b.is_finite() && a.abs() < 8.7);
        }
    }
}

//! Chance that is always the same: for one seed and one number, on every machine and in every version.
//!
//! The generator stands here in full and is none of a library's, because a library may change what a seed means.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Chance {
    /// The chance of one thing (`number`) of one kind (`stream`) under a seed.
    pub(super) fn new(seed: u64, stream: u64, number: u64) -> Self {
        Self(mix(mix(seed ^ stream.wrapping_mul(STEP)).wrapping_add(number)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below a bound.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product; the bias is at most bound / 2⁶⁴.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The numbers from 0 to n, each once, in an order that jumps about: i → (a·i + b) mod n with a coprime to n. Nothing is
/// held.
#[derive(Clone, Debug)]
pub(super) struct Shuffled {
    n: u64,
    step: u64,
    at: u64,
    left: u64,
}

impl Shuffled {
    pub(super) fn new(n: u64, seed: u64) -> Self {
        let mut chance = Chance::new(seed, 0, n);
        // Between a third and two thirds of n, neighbours lie far apart.
        let mut step = (n / 3 + chance.below(n / 3 + 1)).max(1);
        while greatest_common_divisor(step, n) > 1 {
            step += 1;
        }
        Self { n, step: step % n.max(1), at: if n == 0 { 0 } else { chance.below(n) }, left: n }
    }
}

impl Iterator for Shuffled {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        self.at = (u128::from(at) + u128::from(self.step)).rem_euclid(u128::from(self.n)) as u64;
        Some(at)
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_once() {
        for n in [0, 1, 2, 3, 7, 10, 97, 1_000, 4_096] {
            let mut seen: Vec<u64> = Shuffled::new(n, 5).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn neighbours_lie_far_apart() {
        let order: Vec<u64> = Shuffled::new(10_000, 1).collect();
        assert!(order.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1_000));
    }

    #[test]
    fn chance_is_always_the_same() {
        let mut chance = Chance::new(1, 2, 3);
        assert_eq!([chance.next(), chance.next()], [0x3b3d_e992_7617_bf4f, 0x2fe5_c1c7_ffe1_faf2]);
    }
}

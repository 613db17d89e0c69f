//! On which side of a great circle a point lies, never wrong by rounding.

use crate::UnitVector3d;

/// The sign of a·(b×c): +1 where `c` is left of the way from `a` to `b`, -1 where it is right, 0 on the great circle.
pub(crate) fn orientation(a: UnitVector3d, b: UnitVector3d, c: UnitVector3d) -> i8 {
    let [x, y, z] = a.cross(b);
    let determinant = x * c.x + y * c.y + z * c.z;
    let permanent = (a.y * b.z).abs().max((a.z * b.y).abs()) * c.x.abs()
        + (a.z * b.x).abs().max((a.x * b.z).abs()) * c.y.abs()
        + (a.x * b.y).abs().max((a.y * b.x).abs()) * c.z.abs();
    // Two products, a difference, a product and two sums: less than 7 roundings of at most twice the permanent.
    let bound = 1.6e-15 * permanent;
    if determinant > bound {
        1
    } else if determinant < -bound {
        -1
    } else {
        exact_orientation(a, b, c)
    }
}

/// The sign by exact arithmetic. Slow, and needed only for points within rounding of the great circle.
#[cold]
pub(crate) fn exact_orientation(a: UnitVector3d, b: UnitVector3d, c: UnitVector3d) -> i8 {
    if a == b || b == c || a == c {
        return 0;
    }
    let mut sum = Expansion::default();
    for (p, q, r) in [(a.x, b.y, c.z), (a.y, b.z, c.x), (a.z, b.x, c.y)] {
        sum.add_product(p, q, r);
    }
    for (p, q, r) in [(a.x, b.z, c.y), (a.y, b.x, c.z), (a.z, b.y, c.x)] {
        sum.add_product(-p, q, r);
    }
    sum.sign()
}

/// An exact sum of doubles: parts that do not overlap, the smallest first.
#[derive(Default)]
struct Expansion {
    parts: [f64; 24],
    used: usize,
}

impl Expansion {
    /// Adds p·q·r, which is four parts.
    fn add_product(&mut self, p: f64, q: f64, r: f64) {
        let (high, low) = two_product(p, q);
        for factor in [low, high] {
            let (high, low) = two_product(factor, r);
            self.add(low);
            self.add(high);
        }
    }

    fn add(&mut self, value: f64) {
        let mut carry = value;
        let mut kept = 0;
        for at in 0..self.used {
            let (sum, error) = two_sum(carry, self.parts[at]);
            if error != 0.0 {
                self.parts[kept] = error;
                kept += 1;
            }
            carry = sum;
        }
        if carry != 0.0 {
            self.parts[kept] = carry;
            kept += 1;
        }
        self.used = kept;
    }

    fn sign(&self) -> i8 {
        match self.used {
            0 => 0,
            used if self.parts[used - 1] > 0.0 => 1,
            used if self.parts[used - 1] < 0.0 => -1,
            _ => 0, // NaN, from coordinates whose products overflow
        }
    }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    let of_a = sum - of_b;
    (sum, (a - of_a) + (b - of_b))
}

fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_turns_at_one_unit_in_the_last_place() {
        let a = UnitVector3d::from_normalized(1.0, 0.0, 0.0);
        let b = UnitVector3d::from_normalized(0.0, 1.0, 0.0);
        for (z, sign) in [(0.0, 0), (1e-300, 1), (-1e-300, -1), (f64::EPSILON, 1)] {
            assert_eq!(orientation(a, b, UnitVector3d::from_normalized(0.6, 0.8, z)), sign);
        }
    }

    #[test]
    fn points_of_one_plane_give_zero_and_their_neighbours_do_not() {
        // c = a + b exactly (the components are short), so the determinant is exactly zero.
        let a = UnitVector3d::from_normalized(0.3125, 0.640_625, 0.109_375);
        let b = UnitVector3d::from_normalized(0.5625, 0.046_875, 0.828_125);
        let c = UnitVector3d::from_normalized(0.875, 0.6875, 0.9375);
        assert_eq!(orientation(a, b, c), 0);
        let up = UnitVector3d { z: c.z.next_up(), ..c };
        let down = UnitVector3d { z: c.z.next_down(), ..c };
        assert_eq!(orientation(a, b, up), -orientation(a, b, down));
        assert_ne!(orientation(a, b, up), 0);
    }

    #[test]
    fn the_sign_is_that_of_every_even_permutation() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 40).expect("24 bits")) / f64::from(1 << 23) - 1.0
        };
        for _ in 0..2000 {
            let [a, b] = [(); 2].map(|()| UnitVector3d::new(next(), next(), next()).expect("not zero"));
            let c = a.midpoint(b); // within rounding of the plane: the hard case
            let sign = orientation(a, b, c);
            assert_eq!(sign, orientation(b, c, a));
            assert_eq!(sign, orientation(c, a, b));
            assert_eq!(sign, -orientation(b, a, c));
        }
    }
}

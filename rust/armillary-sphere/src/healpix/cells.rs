//! Where the cells lie. The formulas are those of Górski et al. 2005 (Astrophysical Journal 622, 759), sections 4 and 5.

use crate::UnitVector3d;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

/// A cell: one of 4^level of a base diamond, `x` steps to the north-east and `y` to the north-west of its south corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    level: u32,
    /// 0 to 3 touch the north pole, 4 to 7 lie on the equator, 8 to 11 touch the south pole.
    base: u8,
    x: i64,
    y: i64,
}

impl Cell {
    pub(super) const fn level(self) -> u32 {
        self.level
    }

    pub(super) fn of_index(index: u64, level: u32) -> Self {
        let within = index & ((1 << (2 * level)) - 1);
        let base = u8::try_from(index >> (2 * level)).unwrap_or(0);
        Self { level, base, x: even_bits(within), y: even_bits(within >> 1) }
    }

    pub(super) fn index(self) -> u64 {
        (u64::from(self.base) << (2 * self.level)) | spread_bits(self.x) | (spread_bits(self.y) << 1)
    }

    /// The cell of a level that a direction lies in.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // values within the cells per side
    pub(super) fn at(direction: UnitVector3d, level: u32) -> Self {
        let cells = 1_i64 << level;
        let size = cells as f64;
        let UnitVector3d { x, y, z } = direction;
        let quarters = (y.atan2(x) / FRAC_PI_2).rem_euclid(4.0); // longitude in right angles
        if z.abs() <= 2.0 / 3.0 {
            let (sum, difference) = (size * (0.5 + quarters), size * z * 0.75);
            // Lines that run up and lines that run down to the east, counted from longitude -45°.
            let (up, down) = ((sum - difference).floor() as i64, (sum + difference).floor() as i64);
            let (up_base, down_base) = (up / cells, down / cells);
            let base = match up_base.cmp(&down_base) {
                std::cmp::Ordering::Equal => 4 + (up_base & 3),
                std::cmp::Ordering::Less => up_base & 3,
                std::cmp::Ordering::Greater => 8 + (down_base & 3),
            };
            return Self::new(level, base, down & (cells - 1), cells - 1 - (up & (cells - 1)));
        }
        let quarter = quarters.floor().min(3.0);
        let along = quarters - quarter;
        // Rings counted from the pole; the sine is the better measure close to it.
        let from_axis = (x * x + y * y).sqrt();
        let rings = size * from_axis / ((1.0 + z.abs()) / 3.0).sqrt();
        let last = cells - 1;
        let (left, right) = ((along * rings).floor() as i64, ((1.0 - along) * rings).floor() as i64);
        let (left, right) = (left.min(last), right.min(last));
        if z >= 0.0 {
            Self::new(level, quarter as i64, last - right, last - left)
        } else {
            Self::new(level, 8 + quarter as i64, left, right)
        }
    }

    fn new(level: u32, base: i64, x: i64, y: i64) -> Self {
        Self { level, base: u8::try_from(base).unwrap_or(0), x, y }
    }

    /// The middle.
    #[allow(clippy::cast_precision_loss)] // below 2^53
    pub(super) fn center(self) -> UnitVector3d {
        self.point(self.x as f64 + 0.5, self.y as f64 + 0.5)
    }

    /// The corners, from the south on against the clock.
    #[allow(clippy::cast_precision_loss)] // below 2^53
    pub(super) fn corners(self) -> [UnitVector3d; 4] {
        let (x, y) = (self.x as f64, self.y as f64);
        [(x, y), (x + 1.0, y), (x + 1.0, y + 1.0), (x, y + 1.0)].map(|(x, y)| self.point(x, y))
    }

    /// The direction so many steps to the north-east and north-west of the south corner of the base diamond.
    #[allow(clippy::cast_precision_loss)] // below 2^53
    fn point(self, x: f64, y: f64) -> UnitVector3d {
        let size = (1_i64 << self.level) as f64;
        let (row, turn) = (self.base / 4, self.base % 4);
        // Rings from the north pole to the point, and to the middle of the diamond.
        let ring = f64::from(row + 2) * size - (x + y);
        let middle = f64::from(2 * turn + u8::from(row != 1));
        let (around, z, from_axis) = if ring < size {
            let (depth, from_axis) = cap(ring / size);
            (ring, 1.0 - depth, from_axis)
        } else if ring > 3.0 * size {
            let rest = 4.0 * size - ring;
            let (depth, from_axis) = cap(rest / size);
            (rest, depth - 1.0, from_axis)
        } else {
            let z = (2.0 * size - ring) * 2.0 / (3.0 * size);
            (size, z, ((1.0 - z) * (1.0 + z)).sqrt())
        };
        // At a pole all longitudes are one.
        let lon = if around > 0.0 { FRAC_PI_4 * (middle * around + (x - y)) / around } else { 0.0 };
        UnitVector3d::from_normalized(from_axis * lon.cos(), from_axis * lon.sin(), z)
    }

    pub(super) fn children(self) -> [Self; 4] {
        let (level, x, y) = (self.level + 1, 2 * self.x, 2 * self.y);
        [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| Self { level, x, y, ..self })
    }

    /// The cells `depth` levels deeper that lie around this one: along its sides and at its corners.
    pub(super) fn grains_around(self, depth: u32) -> impl Iterator<Item = Self> {
        let count = 1 << depth;
        let level = self.level + depth;
        let (x, y) = (self.x << depth, self.y << depth);
        (-1..=count).flat_map(move |step| {
            let corners_once = (0..count).contains(&step);
            let first = [Some((x + step, y - 1)), Some((x + step, y + count))];
            let second = [(x - 1, y + step), (x + count, y + step)].map(|at| corners_once.then_some(at));
            first.into_iter().chain(second).flatten().filter_map(move |(x, y)| self.brought_in(level, x, y))
        })
    }

    /// The cell at a position that may be outside of the base diamond by one; none where only three diamonds meet.
    fn brought_in(self, level: u32, x: i64, y: i64) -> Option<Self> {
        let last = (1_i64 << level) - 1;
        let over = |value: i64| if value < 0 { -1 } else { i64::from(value > last) };
        let (row, turn) = (self.base / 4, i64::from(self.base % 4));
        // Base diamonds of a row, counted around: north (0), equator (1), south (2).
        let on = |row: i64, turn: i64, x: i64, y: i64| Some(Self::new(level, 4 * row + turn.rem_euclid(4), x, y));
        match (row, over(x), over(y)) {
            (_, 0, 0) => on(i64::from(row), turn, x, y),
            (0, 1, 0) => on(0, turn + 1, y, last),
            (0, 0, 1) => on(0, turn + 3, last, x),
            (0, -1, 0) => on(1, turn, last, y),
            (0, 0, -1) => on(1, turn + 1, x, last),
            (0, 1, 1) => on(0, turn + 2, last, last),
            (0, -1, -1) => on(2, turn, last, last),
            (1, 1, 0) => on(0, turn, 0, y),
            (1, 0, 1) => on(0, turn + 3, x, 0),
            (1, -1, 0) => on(2, turn + 3, last, y),
            (1, 0, -1) => on(2, turn, x, last),
            (1, 1, -1) => on(1, turn + 1, 0, last),
            (1, -1, 1) => on(1, turn + 3, last, 0),
            (2, 1, 0) => on(1, turn + 1, 0, y),
            (2, 0, 1) => on(1, turn, x, 0),
            (2, -1, 0) => on(2, turn + 3, y, 0),
            (2, 0, -1) => on(2, turn + 1, 0, x),
            (2, 1, 1) => on(0, turn, 0, 0),
            (2, -1, -1) => on(2, turn + 2, 0, 0),
            _ => None,
        }
    }
}

/// 1 - |z| and the distance from the axis, for a ring of a polar cap, counted in cap heights from the pole.
fn cap(ring: f64) -> (f64, f64) {
    let depth = ring * ring / 3.0;
    (depth, (depth * (2.0 - depth)).sqrt())
}

/// The largest angle from a cell's center to its corners, in radians, over all cells of a level.
pub(super) fn pixel_radius(level: u32) -> f64 {
    RADII[level as usize]
}

const LEVELS: usize = 24;

static RADII: std::sync::LazyLock<[f64; LEVELS]> = std::sync::LazyLock::new(|| std::array::from_fn(radius_of));

/// The largest is that of the cell at latitude asin(2/3) next to a diamond's corner.
#[allow(clippy::cast_precision_loss)] // below 2^53
fn radius_of(level: usize) -> f64 {
    let size = (1_u64 << level) as f64;
    let on_ring = |z: f64, lon: f64| {
        let from_axis = (1.0 - z * z).sqrt();
        UnitVector3d::from_normalized(from_axis * lon.cos(), from_axis * lon.sin(), z)
    };
    let inner = 1.0 - 1.0 / size;
    on_ring(2.0 / 3.0, FRAC_PI_4 / size).angle_to(on_ring(1.0 - inner * inner / 3.0, 0.0))
}

/// Every second bit, from the lowest, closed up.
fn even_bits(interleaved: u64) -> i64 {
    let mut bits = interleaved & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | (bits >> shift)) & mask;
    }
    bits.cast_signed()
}

/// The inverse of [`even_bits`].
fn spread_bits(value: i64) -> u64 {
    let mut bits = value.cast_unsigned() & 0xffff_ffff;
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | (bits << shift)) & mask;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_center_lies_in_its_cell_and_indices_survive() {
        for level in 0..5 {
            for index in 0..12_u64 << (2 * level) {
                let cell = Cell::of_index(index, level);
                assert_eq!(cell.index(), index);
                assert_eq!(Cell::at(cell.center(), level), cell);
            }
        }
    }

    #[test]
    fn neighbours_lie_next_to_each_other_and_are_mutual() {
        for level in 0..4 {
            let around = |cell: Cell| cell.grains_around(0).collect::<Vec<_>>();
            for index in 0..12_u64 << (2 * level) {
                let cell = Cell::of_index(index, level);
                let neighbours = around(cell);
                assert!(neighbours.len() >= 6, "cell {index} of level {level} has {neighbours:?}");
                for neighbour in neighbours {
                    assert_ne!(neighbour, cell);
                    assert!(around(neighbour).contains(&cell));
                    assert!(cell.center().angle_to(neighbour.center()) <= 2.0 * pixel_radius(level) + 1e-9);
                }
            }
        }
    }

    #[test]
    fn grains_around_touch_the_cell_and_are_complete() {
        for index in 0..12 * 16 {
            let cell = Cell::of_index(index, 2);
            let inside = |grain: Cell| grain.x >> 2 == cell.x && grain.y >> 2 == cell.y && grain.base == cell.base;
            let found: Vec<_> = cell.grains_around(2).collect();
            assert!(found.iter().all(|grain| !inside(*grain)));
            let mut expected = 0;
            for other in 0..12 * 256 {
                let other = Cell::of_index(other, 4);
                let touches = !inside(other) && other.grains_around(0).any(inside);
                assert_eq!(touches, found.contains(&other));
                expected += usize::from(touches);
            }
            assert_eq!(found.len(), expected);
        }
    }
}

//! Convex polygons, and what is worth keeping of one that is compared many times.

use crate::circle::CHORD_MARGIN;
use crate::lon_lat_box::squared_chord_of_sine;
use crate::predicate::{exact_orientation, orientation};
use crate::vector::{dot, length};
use crate::{Circle, LatitudeInterval, LonLatBox, LongitudeInterval, Relationship, UnitVector3d};
use std::f64::consts::FRAC_PI_2;

/// A polygon of great circle arcs, convex, its three or more vertices counter-clockwise as seen from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvexPolygon {
    vertices: Vec<UnitVector3d>,
}

impl ConvexPolygon {
    /// A polygon of vertices known to be convex and counter-clockwise, at least three.
    pub(crate) fn from_vertices(vertices: Vec<UnitVector3d>) -> Self {
        debug_assert!(vertices.len() >= 3, "a polygon has at least three vertices");
        Self { vertices }
    }

    /// The corners, counter-clockwise.
    #[must_use]
    pub fn vertices(&self) -> &[UnitVector3d] {
        &self.vertices
    }

    /// Whether the direction is in the polygon or on its edge, exactly.
    #[must_use]
    pub fn contains(&self, direction: UnitVector3d) -> bool {
        let following = self.vertices.iter().cycle().skip(1);
        self.vertices.iter().zip(following).all(|(&start, &end)| orientation(start, end, direction) >= 0)
    }

    /// A circle that holds the polygon.
    #[must_use]
    pub fn bounding_circle(&self) -> Circle {
        let cap = Cap::around(&self.vertices);
        Circle::from_center_angle(cap.center, 2.0 * (cap.chord / 2.0).min(1.0).asin() + 1e-9)
    }

    /// A box that holds the polygon.
    #[must_use]
    pub fn bounding_box(&self) -> LonLatBox {
        Edges::of(&self.vertices).as_ref().bounding_box()
    }
}

/// One side: where it starts, and the normal of its great circle, whose length is the sine of the side's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) start: UnitVector3d,
    pub(crate) normal: [f64; 3],
    norm: f64,
}

impl Edge {
    pub(crate) fn between(start: UnitVector3d, end: UnitVector3d) -> Self {
        let normal = start.cross_of_close(end);
        Self { start, normal, norm: length(normal) }
    }
}

/// A circle around a polygon by center and chord, for a test without trigonometry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cap {
    center: UnitVector3d,
    /// From the center to the farthest vertex; 2, the whole sphere, if that is farther than 90°.
    chord: f64,
}

impl Cap {
    pub(crate) fn around(vertices: &[UnitVector3d]) -> Self {
        let sum = vertices.iter().fold([0.0; 3], |sum, v| [sum[0] + v.x, sum[1] + v.y, sum[2] + v.z]);
        let whole = Self { center: UnitVector3d::from_normalized(0.0, 0.0, 1.0), chord: 2.0 };
        let norm = length(sum);
        if !(norm > 0.0 && norm.is_finite()) {
            return whole;
        }
        let center = UnitVector3d::from_normalized(sum[0] / norm, sum[1] / norm, sum[2] / norm);
        let squared = vertices.iter().map(|v| center.squared_chord(*v)).fold(0.0, f64::max);
        // Only a cap of less than 90° is sure to hold the arcs between the points that it holds.
        if squared < 1.999 { Self { center, chord: squared.sqrt() * ROUND_UP + 1e-15 } } else { whole }
    }

    /// Whether no point of one cap is in the other.
    fn is_apart(self, other: Self) -> bool {
        self.is_apart_from(other.center, other.chord)
    }

    fn is_apart_from(self, center: UnitVector3d, chord: f64) -> bool {
        let reach = self.chord + chord;
        self.center.squared_chord(center) > reach * reach * ROUND_UP
    }

    /// False for a point outside of the cap.
    pub(crate) fn holds(self, point: UnitVector3d) -> bool {
        self.center.squared_chord(point) <= self.chord * self.chord * ROUND_UP
    }

    /// Whether all of this cap is on the right, the outer side of an edge.
    pub(crate) fn is_right_of(self, edge: &Edge) -> bool {
        self.is_clear(edge, -dot(edge.normal, self.center.components()))
    }

    /// Whether all of this cap is on the left, the inner side of an edge.
    pub(crate) fn is_left_of(self, edge: &Edge) -> bool {
        self.is_clear(edge, dot(edge.normal, self.center.components()))
    }

    /// Whether the great circle of an edge does not come near the cap, whose center is that high above it.
    fn is_clear(self, edge: &Edge, height: f64) -> bool {
        // A point a chord away from the center is no more than the chord lower.
        height > (self.chord * ROUND_UP) * edge.norm + 1e-14
    }
}

/// Makes a bound that was computed with rounding a safe one.
const ROUND_UP: f64 = 1.0 + 1e-12;

/// The rounding error, with room, of a normal times a vertex: 8 roundings of terms of up to 2, for unit vectors.
const SIDE_ERROR: f64 = 4e-15;

/// The sides of a polygon, ready for comparison.
#[derive(Clone, Debug)]
pub(crate) struct Edges {
    sides: Vec<Edge>,
    cap: Cap,
}

impl Edges {
    pub(crate) fn of(vertices: &[UnitVector3d]) -> Self {
        let following = vertices.iter().cycle().skip(1);
        let sides = vertices.iter().zip(following).map(|(&start, &end)| Edge::between(start, end)).collect();
        Self { sides, cap: Cap::around(vertices) }
    }

    pub(crate) fn as_ref(&self) -> EdgesRef<'_> {
        EdgesRef { edges: &self.sides, cap: self.cap }
    }
}

/// The sides of a polygon, borrowed: from [`Edges`] or from three on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdgesRef<'a> {
    edges: &'a [Edge],
    cap: Cap,
}

impl<'a> EdgesRef<'a> {
    pub(crate) const fn new(edges: &'a [Edge], cap: Cap) -> Self {
        Self { edges, cap }
    }

    pub(crate) const fn cap(&self) -> Cap {
        self.cap
    }

    fn end(&self, edge: usize) -> UnitVector3d {
        self.edges[if edge + 1 == self.edges.len() { 0 } else { edge + 1 }].start
    }

    /// +1 if the point is left of the edge (the inner side), -1 right of it, 0 on its great circle. Exact.
    #[inline]
    fn side(&self, edge: usize, point: &UnitVector3d) -> i8 {
        let [x, y, z] = &self.edges[edge].normal;
        let height = x * point.x + y * point.y + z * point.z;
        if height > SIDE_ERROR {
            1
        } else if height < -SIDE_ERROR {
            -1
        } else {
            self.exact_side(edge, point)
        }
    }

    /// Apart from [`Self::side`], which else would copy each point for this.
    #[cold]
    #[inline(never)]
    fn exact_side(&self, edge: usize, point: &UnitVector3d) -> i8 {
        exact_orientation(self.edges[edge].start, self.end(edge), *point)
    }

    pub(crate) fn contains(&self, point: UnitVector3d) -> bool {
        (0..self.edges.len()).all(|edge| self.side(edge, &point) >= 0)
    }

    /// How two polygons lie to each other, exactly.
    pub(crate) fn relate_polygon(&self, other: &EdgesRef<'_>) -> Relationship {
        if self.cap.is_apart(other.cap) {
            return Relationship::DISJOINT;
        }
        let count = self.edges.len() * other.edges.len();
        if count <= SMALL {
            self.relate_by_sides(other, &mut [0; SMALL][..count], &mut [0; SMALL][..count])
        } else {
            self.relate_by_sides(other, &mut vec![0; count], &mut vec![0; count])
        }
    }

    /// Whether two polygons have a point in common, exactly. Most that do show it by a vertex of ours.
    pub(crate) fn touches(&self, other: &EdgesRef<'_>) -> bool {
        if self.cap.is_apart(other.cap) {
            return false;
        }
        self.edges.iter().any(|edge| other.contains(edge.start)) || !self.relate_polygon(other).is_disjoint()
    }

    fn relate_by_sides(&self, other: &EdgesRef<'_>, ours: &mut [i8], theirs: &mut [i8]) -> Relationship {
        // An edge with the other polygon strictly outside proves them disjoint: the usual end of near misses.
        if self.fill_sides(other, ours) || other.fill_sides(self, theirs) {
            return Relationship::DISJOINT;
        }
        let (m, n) = (self.edges.len(), other.edges.len());
        let inside_us = (0..n).filter(|j| (0..m).all(|i| ours[i * n + j] >= 0)).count();
        let inside_them = (0..m).filter(|i| (0..n).all(|j| theirs[j * m + i] >= 0)).count();
        if inside_us == 0 && inside_them == 0 && !sides_cross(ours, theirs, m, n) {
            return Relationship::DISJOINT;
        }
        Relationship::when(inside_us == n, Relationship::CONTAINS)
            | Relationship::when(inside_them == m, Relationship::WITHIN)
    }

    /// Fills `sides[edge * n + vertex]` with the side on which each of n vertices of `other` lies.
    ///
    /// Returns true, with the rest unfilled, when all of them are strictly outside of one edge.
    fn fill_sides(&self, other: &EdgesRef<'_>, sides: &mut [i8]) -> bool {
        for (edge, row) in sides.chunks_exact_mut(other.edges.len()).enumerate() {
            let mut outermost = -1;
            for (side, theirs) in row.iter_mut().zip(other.edges) {
                *side = self.side(edge, &theirs.start);
                outermost = outermost.max(*side);
            }
            if outermost < 0 {
                return true;
            }
        }
        false
    }

    pub(crate) fn relate_circle(&self, circle: &Circle) -> Relationship {
        if circle.is_empty() {
            return Relationship::CONTAINS | Relationship::DISJOINT;
        }
        if circle.is_full() {
            return Relationship::WITHIN;
        }
        let center = circle.center();
        let reach = circle.squared_chord_length() + CHORD_MARGIN;
        if self.cap.is_apart_from(center, reach.sqrt()) {
            return Relationship::DISJOINT;
        }
        if self.squared_chord_to_boundary(center) > reach {
            // No side comes near the circle, so all of it is where its center is.
            return if self.contains(center) { Relationship::CONTAINS } else { Relationship::DISJOINT };
        }
        Relationship::when(self.is_within_circle(circle), Relationship::WITHIN)
    }

    fn is_within_circle(&self, circle: &Circle) -> bool {
        let squared = circle.squared_chord_length();
        if squared <= 2.0 {
            return self.edges.iter().all(|edge| circle.center().squared_chord(edge.start) <= squared - CHORD_MARGIN);
        }
        // More than a hemisphere is not convex: ask for the distance to what it leaves out.
        let antipode = circle.center().antipode();
        !self.contains(antipode) && self.squared_chord_to_boundary(antipode) > (4.0 - squared) + CHORD_MARGIN
    }

    /// The squared chord from a point to the nearest point of the sides.
    fn squared_chord_to_boundary(&self, point: UnitVector3d) -> f64 {
        (0..self.edges.len()).map(|edge| self.squared_chord_to_edge(edge, point)).fold(8.0, f64::min)
    }

    fn squared_chord_to_edge(&self, edge: usize, point: UnitVector3d) -> f64 {
        let Edge { start, normal, norm } = self.edges[edge];
        let end = self.end(edge);
        let [x, y, z] = normal;
        let normal_vector = UnitVector3d::from_normalized(x, y, z);
        let is_beside = norm > 0.0
            && dot(normal_vector.cross(start), point.components()) >= 0.0
            && dot(normal_vector.cross(end), point.components()) <= 0.0;
        if is_beside {
            squared_chord_of_sine(dot(normal, point.components()) / norm)
        } else {
            point.squared_chord(start).min(point.squared_chord(end))
        }
    }

    /// A box around the polygon, with the margins and the order of steps of `lsst.sphgeom`.
    pub(crate) fn bounding_box(&self) -> LonLatBox {
        let mut lon = LongitudeInterval::EMPTY;
        let (mut south, mut north) = (FRAC_PI_2, -FRAC_PI_2);
        for edge in 0..self.edges.len() {
            let (at, lat) = self.edges[edge].start.lon_lat();
            lon = lon.expanded_to(LongitudeInterval::around(at, BOX_MARGIN));
            south = south.min(lat);
            north = north.max(lat);
            match self.turning_latitude(edge) {
                Some(lat) if lat > 0.0 => north = north.max(lat),
                Some(lat) => south = south.min(lat),
                None => (),
            }
        }
        for z in [1.0, -1.0] {
            if self.contains(UnitVector3d::from_normalized(0.0, 0.0, z)) {
                lon = LongitudeInterval::FULL;
                south = south.min(z * FRAC_PI_2);
                north = north.max(z * FRAC_PI_2);
            }
        }
        LonLatBox::new(lon, LatitudeInterval::new(south - BOX_MARGIN, north + BOX_MARGIN))
    }

    /// The latitude where a side's great circle turns back towards the equator, if it does so within the side.
    fn turning_latitude(&self, edge: usize) -> Option<f64> {
        let [x, y, z] = self.edges[edge].normal;
        let (start, end) = (self.edges[edge].start, self.end(edge));
        let from_axis = (x * x + y * y).sqrt();
        // How fast the latitude grows when walking from the start, and still at the end, up to a positive factor.
        let (leaving, arriving) = (x * start.y - y * start.x, x * end.y - y * end.x);
        (leaving * arriving < 0.0).then(|| from_axis.atan2(z.abs()).copysign(leaving))
    }
}

/// Products of sides up to which two polygons are compared without the heap: eight by eight.
const SMALL: usize = 64;

/// Radians by which a polygon's box is wider than its points.
const BOX_MARGIN: f64 = 5e-10;

/// Whether a side of one polygon crosses a side of the other, given who lies on which side of whom.
///
/// With the vertices a, b of one side and c, d of the other: they cross where c and d are on different sides of ab, a
/// and b are on different sides of cd, and the turn is the same, which tells the crossing from one at the antipode.
fn sides_cross(ours: &[i8], theirs: &[i8], m: usize, n: usize) -> bool {
    (0..m).any(|i| {
        let next_i = if i + 1 == m { 0 } else { i + 1 };
        (0..n).any(|j| {
            let next_j = if j + 1 == n { 0 } else { j + 1 };
            let (c, d) = (ours[i * n + j], ours[i * n + next_j]);
            let (a, b) = (theirs[j * m + i], theirs[j * m + next_i]);
            c != 0 && c == -d && a == -b && a == -c
        })
    })
}

//! A bounding circle holds its region, and an envelope the pixel of every direction in it.

use armillary_sphere::{Circle, ConvexPolygon, LonLatBox, Region, UnitVector3d, healpix, htm};
use proptest::prelude::*;

fn at() -> impl Strategy<Value = UnitVector3d> {
    (0.0..360.0_f64, -90.0..=90.0_f64).prop_map(|(lon, lat)| UnitVector3d::from_lon_lat_degrees(lon, lat))
}

fn circle() -> impl Strategy<Value = Region> {
    (at(), 0.0..3.2_f64).prop_map(|(center, angle)| Circle::from_center_angle(center, angle).into())
}

fn lon_lat_box() -> impl Strategy<Value = Region> {
    (0.0..=360.0_f64, 0.0..=360.0_f64, -90.0..=90.0_f64, -90.0..=90.0_f64).prop_map(|(west, east, a, b)| {
        LonLatBox::from_degrees(west, a.min(b), east, a.max(b)).expect("longitudes within a turn").into()
    })
}

fn polygon() -> impl Strategy<Value = Region> {
    (0.0..360.0_f64, -50.0..50.0_f64, prop::collection::vec((-40.0..40.0_f64, -35.0..35.0_f64), 4..8)).prop_filter_map(
        "the points span no polygon",
        |(lon, lat, offsets)| {
            let points = offsets.iter().map(|(x, y)| UnitVector3d::from_lon_lat_degrees(lon + x, lat + y));
            ConvexPolygon::convex_hull(&points.collect::<Vec<_>>()).ok().map(Region::from)
        },
    )
}

fn region() -> impl Strategy<Value = Region> {
    let simple = prop_oneof![circle(), lon_lat_box(), polygon()].boxed();
    let parts = prop::collection::vec(simple.clone(), 1..4);
    prop_oneof![
        3 => simple,
        1 => parts.clone().prop_map(Region::union),
        1 => parts.prop_map(Region::intersection),
    ]
}

/// Many directions, so that some are in the region.
fn directions() -> impl Strategy<Value = Vec<UnitVector3d>> {
    prop::collection::vec(at(), 50)
}

proptest! {
    #[test]
    fn a_bounding_circle_holds_its_region(region in region(), directions in directions()) {
        let around = region.bounding_circle();
        for direction in directions.into_iter().filter(|direction| region.contains(*direction)) {
            prop_assert!(around.contains(direction), "{around:?} lacks {direction:?}");
        }
    }

    #[test]
    fn an_envelope_holds_the_pixels_of_its_region(region in region(), directions in directions()) {
        let htm5 = htm::envelope(&region, 5).unwrap();
        let healpix4 = healpix::envelope(&region, 4).unwrap();
        for direction in directions.into_iter().filter(|direction| region.contains(*direction)) {
            let triangle = htm::index(direction, 5).unwrap();
            prop_assert!(htm5.iter().any(|range| range.contains(&triangle)));
            let diamond = healpix::index(direction, 4).unwrap();
            prop_assert!(healpix4.iter().any(|range| range.contains(&diamond)));
        }
    }

    #[test]
    fn a_mesh_that_remembers_gives_what_the_triangles_themselves_say(regions in prop::collection::vec(region(), 4)) {
        let mut mesh = htm::Mesh::default();
        for (region, level) in regions.iter().chain(&regions).zip([3, 3, 1, 2, 3, 3, 3, 0]) {
            let found = mesh.envelope(region, level).unwrap();
            prop_assert_eq!(&found, &htm::envelope(region, level).unwrap());
            if let Region::ConvexPolygon(_) = region {
                for pixel in htm::universe(level).unwrap() {
                    let triangle = ConvexPolygon::convex_hull(&htm::trixel(pixel).unwrap()).unwrap().into();
                    let touches = !region.relate(&triangle).is_disjoint();
                    prop_assert_eq!(found.iter().any(|range| range.contains(&pixel)), touches, "{}", pixel);
                }
            }
        }
    }

    #[test]
    fn small_polygons_have_the_pixels_that_they_touch(at in at(), size in 1e-3..1.0_f64, turn in 0.0..1.6_f64) {
        let (east, north) = at.lon_lat();
        let (east, north) = (east.to_degrees(), north.to_degrees().clamp(-89.0, 89.0));
        let corner = |quarter: u8| {
            let (sin, cos) = (turn + f64::from(quarter) * std::f64::consts::FRAC_PI_2).sin_cos();
            UnitVector3d::from_lon_lat_degrees(east + size * cos / north.to_radians().cos(), north + size * sin)
        };
        let square = Region::from(ConvexPolygon::convex_hull(&[0, 1, 2, 3].map(corner)).unwrap());
        let found = htm::Mesh::default().envelope(&square, 7).unwrap();
        for wider in htm::envelope(&square.bounding_circle().into(), 7).unwrap() {
            for pixel in wider {
                let triangle = ConvexPolygon::convex_hull(&htm::trixel(pixel).unwrap()).unwrap().into();
                let touches = !square.relate(&triangle).is_disjoint();
                prop_assert_eq!(found.iter().any(|range| range.contains(&pixel)), touches, "{}", pixel);
            }
        }
        for pixel in found.into_iter().flatten() {
            let triangle = ConvexPolygon::convex_hull(&htm::trixel(pixel).unwrap()).unwrap().into();
            prop_assert!(!square.relate(&triangle).is_disjoint());
        }
    }

    #[test]
    fn relations_agree_with_directions_in_both(a in region(), b in region(), directions in directions()) {
        let relation = a.relate(&b);
        let is_compound = |region: &Region| matches!(region, Region::Union(_) | Region::Intersection(_));
        if !(is_compound(&a) && is_compound(&b)) {
            // Of two compounds the first is taken apart first, which can settle more or less.
            prop_assert_eq!(relation.inverse(), b.relate(&a));
        }
        for direction in directions {
            let (in_a, in_b) = (a.contains(direction), b.contains(direction));
            prop_assert!(!(relation.is_disjoint() && in_a && in_b));
            prop_assert!(!(relation.is_containing() && in_b && !in_a));
            prop_assert!(!(relation.is_within() && in_a && !in_b));
        }
    }
}

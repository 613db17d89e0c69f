//! Whatever bytes a repository holds, decoding them ends in a region or an error, and the region can be worked with.

use armillary_sphere::{Region, SphereError, UnitVector3d, healpix, htm};
use proptest::prelude::*;

/// Doubles as they come, the troublesome ones often.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -2.0..2.0_f64,
        1 => any::<f64>(),
        2 => prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, 1e-300, 4.0, std::f64::consts::PI, std::f64::consts::TAU]),
    ]
}

fn payload(tag: u8, numbers: &[f64]) -> Vec<u8> {
    std::iter::once(tag).chain(numbers.iter().flat_map(|number| number.to_le_bytes())).collect()
}

fn direction() -> impl Strategy<Value = [f64; 3]> {
    (number(), number(), number())
        .prop_map(|(x, y, z)| UnitVector3d::new(x, y, z).map_or([0.0, 0.0, 1.0], UnitVector3d::components))
}

/// Bytes with the right tag and length and any numbers, and polygons of any directions in any order.
fn shape() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(number(), 4).prop_map(|numbers| payload(b'b', &numbers)),
        (direction(), number(), number()).prop_map(|([x, y, z], chord, angle)| payload(b'c', &[x, y, z, chord, angle])),
        (prop::collection::vec(number(), 6), direction(), prop::collection::vec(number(), 5))
            .prop_map(|(axes, center, rest)| payload(b'e', &[axes, center.to_vec(), rest].concat())),
        prop::collection::vec(direction(), 3..7).prop_map(|corners| payload(b'p', &corners.concat())),
    ]
}

fn compound() -> impl Strategy<Value = Vec<u8>> {
    shape().prop_recursive(3, 12, 3, |inner| {
        (prop::sample::select(vec![b'u', b'i']), prop::collection::vec(inner, 0..3)).prop_map(|(tag, parts)| {
            let sized = parts.iter().flat_map(|part| (part.len() as u64).to_le_bytes().into_iter().chain(part.clone()));
            std::iter::once(tag).chain(sized).collect()
        })
    })
}

proptest! {
    #[test]
    fn any_bytes_give_a_region_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(region) = Region::decode(&bytes) {
            prop_assert_eq!(Region::decode(&region.encode()).map(|again| again.encode()), Ok(region.encode()));
        }
    }

    #[test]
    fn a_decoded_region_can_be_related_and_pixelized(first in compound(), second in compound(), at in direction()) {
        let (Ok(first), Ok(second)) = (Region::decode(&first), Region::decode(&second)) else { return Ok(()) };
        prop_assert_eq!(first.overlaps(&second), !first.relate(&second).is_disjoint());
        let [x, y, z] = at;
        let direction = UnitVector3d::from_normalized(x, y, z);
        let _ = first.contains(direction);
        let _ = first.bounding_circle();
        for ranges in [htm::envelope(&first, 2).unwrap(), healpix::envelope(&first, 1).unwrap()] {
            prop_assert!(ranges.iter().all(|range| range.start < range.end));
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }

    #[test]
    fn cut_bytes_are_an_error_unless_a_list_ends_there(whole in compound(), keep in any::<prop::sample::Index>()) {
        let cut = &whole[..keep.index(whole.len())];
        if Region::decode(&whole).is_ok() && !matches!(whole[0], b'u' | b'i' | b'p') {
            prop_assert!(Region::decode(cut).is_err());
        }
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let mut bytes = vec![b'i'];
    for depth in 0..200 {
        let tag = if depth % 2 == 0 { b'u' } else { b'i' };
        let length = (bytes.len() as u64).to_le_bytes();
        bytes = [&[tag][..], &length, &bytes].concat();
    }
    assert_eq!(Region::decode(&bytes), Err(SphereError::TooDeep { limit: 64 }));
}

#[test]
fn a_length_beyond_the_end_is_refused_before_anything_is_reserved() {
    let bytes = [&b"u"[..], &u64::MAX.to_le_bytes()].concat();
    assert!(matches!(Region::decode(&bytes), Err(SphereError::WrongLength { region: "UnionRegion", .. })));
}

#[test]
fn what_is_no_direction_is_refused() {
    let zero = payload(b'p', &[0.0; 9]);
    assert_eq!(Region::decode(&zero), Err(SphereError::NotUnit { region: "ConvexPolygon", length: 0.0 }));
    let nan = payload(b'c', &[f64::NAN, 0.0, 1.0, 0.5, 0.5]);
    assert_eq!(Region::decode(&nan), Err(SphereError::NotFinite { region: "Circle" }));
}

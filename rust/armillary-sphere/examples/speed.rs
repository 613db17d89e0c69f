//! How many relations and envelopes a second: `cargo run --release -p armillary-sphere --example speed`.

use armillary_sphere::{Circle, ConvexPolygon, PreparedRegion, Region, UnitVector3d, healpix, htm};
use std::hint::black_box;
use std::time::Instant;

/// Numbers within 0 and 1 from a seed, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 40).unwrap_or(0)) / f64::from(1 << 24)
    }
}

/// A tilted square like a detector on the sky, `size` degrees wide, within 10 degrees of (150, 2).
fn detector(random: &mut Random, size: f64) -> Region {
    let (lon, lat, turn) = (140.0 + 20.0 * random.next(), -8.0 + 20.0 * random.next(), random.next());
    let corners: Vec<_> = (0..4)
        .map(|corner| std::f64::consts::FRAC_PI_2 * (f64::from(corner) + turn))
        .map(|angle| UnitVector3d::from_lon_lat_degrees(lon + size / 2.0 * angle.cos(), lat + size / 2.0 * angle.sin()))
        .collect();
    ConvexPolygon::convex_hull(&corners).expect("four corners").into()
}

fn report(what: &str, count: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let rate = count as f64 / seconds;
    println!("{what}: {count} in {seconds:.3} s, {rate:.3e} /s");
}

fn main() {
    let mut random = Random(1);
    let regions: Vec<_> = (0..31_000).map(|_| detector(&mut random, 0.22)).collect();
    let stored: Vec<_> = regions.iter().map(Region::encode).collect();

    let start = Instant::now();
    let decoded: Vec<_> = stored.iter().map(|bytes| Region::decode(bytes).expect("just encoded")).collect();
    report("decode", decoded.len(), start);

    let start = Instant::now();
    let prepared: Vec<PreparedRegion> = decoded.iter().map(Region::prepare).collect();
    report("prepare", prepared.len(), start);

    let patches: Vec<_> = (0..300).map(|_| detector(&mut random, 0.25).prepare()).collect();
    let start = Instant::now();
    let hits: usize = patches.iter().map(|a| prepared.iter().filter(|b| a.overlaps(b)).count()).sum();
    report(&format!("pairs, most far apart ({hits} overlap)"), patches.len() * prepared.len(), start);

    let near: Vec<_> = patches
        .iter()
        .flat_map(|a| prepared.iter().filter(|b| a.overlaps(b)).map(move |b| (a, b)).collect::<Vec<_>>())
        .collect();
    let start = Instant::now();
    for _ in 0..100 {
        black_box(near.iter().filter(|(a, b)| a.overlaps(b)).count());
    }
    report("pairs that overlap", 100 * near.len(), start);

    let start = Instant::now();
    let ranges: usize = regions.iter().map(|region| htm::envelope(region, 7).map_or(0, |ranges| ranges.len())).sum();
    report(&format!("envelopes htm7 ({ranges} ranges)"), regions.len(), start);

    let start = Instant::now();
    let mut mesh = htm::Mesh::default();
    let ranges: usize = regions.iter().map(|region| mesh.envelope(region, 7).map_or(0, |ranges| ranges.len())).sum();
    report(&format!("the same, of one mesh ({ranges} ranges)"), regions.len(), start);

    let start = Instant::now();
    let ranges: usize = regions.iter().map(|region| htm::envelope(region, 11).map_or(0, |ranges| ranges.len())).sum();
    report(&format!("envelopes htm11 ({ranges} ranges)"), regions.len(), start);

    let some = &regions[..3000];
    let start = Instant::now();
    let ranges: usize = some.iter().map(|region| healpix::envelope(region, 9).map_or(0, |ranges| ranges.len())).sum();
    report(&format!("envelopes healpix9 ({ranges} ranges)"), some.len(), start);

    let visits: Vec<_> = (0..3000)
        .map(|_| UnitVector3d::from_lon_lat_degrees(360.0 * random.next(), 60.0 * random.next()))
        .map(|center| Region::from(Circle::from_center_angle(center, 0.03)))
        .collect();
    let start = Instant::now();
    let ranges: usize = visits.iter().map(|region| htm::envelope(region, 7).map_or(0, |ranges| ranges.len())).sum();
    report(&format!("envelopes htm7 of circles of 1.7 degrees ({ranges} ranges)"), visits.len(), start);
}

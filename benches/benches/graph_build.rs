//! From the rows of a join to a quantum graph, to a file and back.

use armillary_graph::graph_file::{GraphReader, WriteOptions, write};
use benches::synthetic::{Survey, pipeline};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{hint::black_box, sync::Arc};

const SEED: u64 = 42;

fn build(c: &mut Criterion) {
    let pipeline = pipeline().expect("the pipeline is right");
    let mut group = c.benchmark_group("graph_build");
    group.sample_size(10);
    for quanta in [1_000, 10_000, 100_000] {
        let survey = Arc::new(Survey::new(quanta, SEED));
        let built = survey.build(&pipeline).expect("the graph can be built");
        group.throughput(Throughput::Elements(built.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(built.len()), &survey, |b, survey| {
            b.iter(|| black_box(survey.build(&pipeline)));
        });
    }
    group.finish();
}

fn files(c: &mut Criterion) {
    let pipeline = pipeline().expect("the pipeline is right");
    let mut group = c.benchmark_group("graph_file");
    group.sample_size(10);
    for quanta in [1_000, 10_000] {
        let built = Arc::new(Survey::new(quanta, SEED)).build(&pipeline).expect("the graph can be built");
        let path = std::env::temp_dir().join(format!("armillary-bench-{}-{quanta}.qg", std::process::id()));
        group.throughput(Throughput::Elements(built.len() as u64));
        for level in [3, 10] {
            let options = WriteOptions { level, ..WriteOptions::default() };
            group.bench_function(BenchmarkId::new(format!("write_level_{level}"), built.len()), |b| {
                b.iter(|| write(&built, &path, options).expect("the file can be written"));
            });
        }
        group.bench_function(BenchmarkId::new("read", built.len()), |b| {
            b.iter(|| GraphReader::open(&path).and_then(|mut reader| reader.read(None)).expect("the file can be read"));
        });
        let _ = std::fs::remove_file(&path);
    }
    group.finish();
}

criterion_group!(benches, build, files);
criterion_main!(benches);

//! A home that is larger than most.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use crate::kept::{ON_DEMAND, in_the_end, is_ready, lose, patiently, settled, start};
use crate::repository::Repository;
use crate::tree::hand_over;

/// Files of a home of 20 GB.
const FILES: u64 = 2_000;
/// Bytes of each, in blocks that differ and are nearly all the same byte: the repository of a test is in memory.
const BLOCKS: u64 = 160;
const BLOCK: usize = 64 * 1024;

fn block(file: u64, number: u64) -> Vec<u8> {
    let mut block = vec![7; BLOCK];
    block[..16].copy_from_slice(&[file.to_be_bytes(), number.to_be_bytes()].concat());
    block
}

fn write(path: &Path, file: u64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut to = File::create(path).unwrap();
    for number in 0..BLOCKS {
        to.write_all(&block(file, number)).unwrap();
    }
}

fn is_whole(path: &Path, file: u64) -> bool {
    let mut from = File::open(path).unwrap();
    let mut read = vec![0; BLOCK];
    let all = (0..BLOCKS).all(|number| from.read_exact(&mut read).is_ok() && read == block(file, number));
    all && from.read(&mut read).unwrap() == 0
}

#[test]
#[ignore = "wants 45 GB of disk and half an hour: cargo test --release -p moltbot-supervisor --test supervisor -- --ignored --nocapture twenty_gigabytes"]
fn a_home_of_twenty_gigabytes_is_saved_and_restored() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let path = |home: &Path, file: u64| home.join(format!("large/{}/{file}", file % 20));
    for file in 0..FILES {
        write(&path(&fixture.home, file), file);
    }
    hand_over(&fixture.home);
    let begun = Instant::now();
    let taken = patiently(&fixture);
    println!(
        "saved in {:?}, standing still for {:?} ms",
        begun.elapsed(),
        taken.pause_ms
    );
    assert!(taken.amount.bytes >= FILES * BLOCKS * BLOCK as u64);
    assert!(taken.lacks.is_empty() && taken.moments.is_empty(), "{taken:?}");

    std::fs::write(fixture.home.join("note"), "small").unwrap();
    let begun = Instant::now();
    patiently(&fixture);
    println!("saved once more in {:?}", begun.elapsed());
    lose(fixture);

    let begun = Instant::now();
    let fixture = start(&repository, &ON_DEMAND);
    in_the_end(&fixture, |status| is_ready(status).then_some(()));
    println!("restored in {:?}", begun.elapsed());
    for file in 0..FILES {
        assert!(is_whole(&path(&fixture.home, file), file), "{file}");
    }
}
